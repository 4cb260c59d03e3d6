//! What a migrator answers: plain values that the command layer prints and the backend or xtask reads.

use crate::history::HistoryRow;
use crate::lint::Finding;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where a database stands against a set of files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The history, in order of application.
    pub applied: Vec<HistoryRow>,
    /// Keys of files that are not applied, in order.
    pub pending: Vec<String>,
    /// Keys that the history has on top of these files: a newer release was here.
    pub newer: Vec<String>,
    /// Harmless things worth saying, for instance changed line ends.
    pub notes: Vec<String>,
}

/// What one file did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// The file's key.
    pub name: String,
    /// Statements that ran.
    pub statements: usize,
    /// How long they ran.
    pub duration_ms: u64,
    /// May the release before this file run on the schema after it?
    pub compatible: bool,
    /// What lint says about it.
    pub findings: Vec<Finding>,
    /// Tables whose number of rows changed; measured in rehearsals only.
    pub rows: Vec<RowChange>,
}

/// Rows of one table before and after; none where the table does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowChange {
    pub table: String,
    pub before: Option<u64>,
    pub after: Option<u64>,
}

/// What an apply did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The files that were applied, in order; empty when the database was up to date.
    pub applied: Vec<FileReport>,
    /// The backup that was made, unless nothing was pending or the database had no row of its own.
    pub backup: Option<PathBuf>,
    /// The run on the copy, under the same condition.
    pub rehearsal: Option<Rehearsal>,
    /// Harmless things worth saying.
    pub notes: Vec<String>,
    /// The whole call.
    pub duration_ms: u64,
}

/// What the pending files did to a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// The files, in order.
    pub files: Vec<FileReport>,
    /// All tables, before the first and after the last file.
    pub rows: Vec<RowChange>,
    /// Rows whose foreign key has no parent: before, after.
    pub violations: (usize, usize),
    /// The whole rehearsal.
    pub duration_ms: u64,
}

/// What would run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRun {
    pub files: Vec<PlannedFile>,
    pub notes: Vec<String>,
}

/// One pending file of a dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFile {
    pub name: String,
    /// False for files that ask to run outside a transaction.
    pub transaction: bool,
    pub statements: Vec<PlannedStatement>,
    pub findings: Vec<Finding>,
}

/// One statement of a dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStatement {
    /// Line in the file, from 1.
    pub line: usize,
    pub text: String,
}

/// What lint says about the pending files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lint {
    pub files: Vec<LintedFile>,
}

/// One file's verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LintedFile {
    pub name: String,
    pub compatible: bool,
    /// Does the file say `-- migrate: allow contract`?
    pub contract: bool,
    pub findings: Vec<Finding>,
}

/// What a full check found; all lists are empty when all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Files that the check compared with the history.
    pub files: usize,
    /// Answers of SQLite's integrity check other than "ok".
    pub damage: Vec<String>,
    /// Foreign keys without a parent, as `child -> parent: rows`.
    pub violations: Vec<String>,
}

/// What a repair changed in the history, one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    pub actions: Vec<String>,
    pub backup: Option<PathBuf>,
}

/// What a baseline recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Keys now recorded as applied, in order.
    pub recorded: Vec<String>,
}

/// What a restore did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// The backup that is now the database.
    pub from: PathBuf,
    /// Where the content that was replaced is kept, when there was any.
    pub kept: Option<PathBuf>,
}
