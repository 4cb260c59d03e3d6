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
    /// Foreign keys with more or fewer such rows after than before, as `child -> parent: before -> after`.
    #[serde(default)]
    pub foreign_keys: Vec<String>,
    /// Bytes of the database: before, after.
    #[serde(default)]
    pub size_bytes: (u64, u64),
    /// How long others would be kept from writing, in order.
    #[serde(default)]
    pub locks: Vec<Lock>,
    /// The whole rehearsal.
    pub duration_ms: u64,
}

/// A lock that an apply would hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The files that run under it.
    pub files: Vec<String>,
    /// While their statements run. In front of the first one come the backup and the rehearsal, under the same lock; a file
    /// outside a transaction takes and returns the lock with each statement.
    pub held_ms: u64,
    /// Is it one transaction?
    pub transaction: bool,
    /// Does it keep readers out as well? In rollback-journal mode, while the commit writes; with a write-ahead log never.
    pub readers_wait: bool,
}

/// What would run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRun {
    pub files: Vec<PlannedFile>,
    /// What they did to a copy.
    #[serde(default)]
    pub rehearsal: Rehearsal,
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
    /// `safe`, or which of `breaking`, `destructive` and `slow` it is.
    #[serde(default)]
    pub verdict: Vec<String>,
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
    /// Was every index compared with its table, too?
    #[serde(default)]
    pub full: bool,
    /// Answers of SQLite's check other than "ok".
    pub damage: Vec<String>,
    /// Rows that break a CHECK, a NOT NULL or a STRICT table's types, as SQLite's check says it.
    #[serde(default)]
    pub constraints: Vec<String>,
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
    /// The last file that counts as applied.
    pub last: String,
    /// Keys now recorded as applied, in order; in a proposal, those that would be.
    pub recorded: Vec<String>,
    /// What else changed in a history that disagreed, one line each.
    #[serde(default)]
    pub corrected: Vec<String>,
    /// The backup that was made before a history was corrected.
    #[serde(default)]
    pub backup: Option<PathBuf>,
}

/// What a restore did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// The backup that is now the database.
    pub from: PathBuf,
    /// Where the content that was replaced is kept, when there was any.
    pub kept: Option<PathBuf>,
}
