//! The builder and the calls it offers; each call's work is in the module of its name.

use crate::cancel::Cancel;
use crate::error::Error;
use crate::event::Event;
use crate::heartbeat::{Heartbeat, Listener};
use crate::history::HistoryRow;
use crate::report::{
    Baseline, DryRun, Lint, Rehearsal, Repair, Report, Restore, Status, Verification,
};
use crate::schema::Schema;
use crate::source::MigrationFile;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for another writer unless told otherwise: longer than any sane transaction of a running service.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is kept beside a database, by SQLite and by this crate, is beside the file, not beside a link to it: under whatever
/// name it is opened, there is one log, one lock and one set of backups.
fn behind_links(database: PathBuf) -> PathBuf {
    if database.is_symlink() {
        fs_err::canonicalize(&database).unwrap_or(database)
    } else {
        database
    }
}

/// Brings one database to the state that a list of files describes.
pub struct Migrator {
    pub(crate) database: PathBuf,
    pub(crate) files: Vec<MigrationFile>,
    pub(crate) timeout: Duration,
    pub(crate) history_table: String,
    pub(crate) per_file: bool,
    pub(crate) own_transaction: bool,
    pub(crate) allow_newer: bool,
    pub(crate) git_commit: Option<String>,
    pub(crate) cancel: Cancel,
    pub(crate) on_event: Option<Listener>,
    pub(crate) heartbeat: Heartbeat,
}

impl Migrator {
    /// For a database file, created by [`Self::apply`] if absent, and files in the order in which they are to be applied.
    pub fn new(database: impl Into<PathBuf>, files: Vec<MigrationFile>) -> Self {
        Self {
            database: behind_links(database.into()),
            files,
            timeout: TIMEOUT,
            history_table: "migrations".to_owned(),
            per_file: false,
            own_transaction: false,
            allow_newer: false,
            git_commit: None,
            cancel: Cancel::new(),
            on_event: None,
            heartbeat: Heartbeat::default(),
        }
    }

    /// For a database file and a folder, whose files are read now. Where byte order and natural order differ, use
    /// [`discover`](crate::discover) with an [`Order`](crate::Order) and [`Self::new`].
    ///
    /// # Errors
    /// What [`discover`](crate::discover) answers.
    pub fn from_folder(database: impl Into<PathBuf>, dir: &Path) -> Result<Self, Error> {
        Ok(Self::new(database, crate::discover(dir, None)?))
    }

    /// How long to wait for a lock that another process holds (30 s).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The table that remembers what was applied (`migrations`).
    #[must_use]
    pub fn history_table(mut self, table: &str) -> Self {
        table.clone_into(&mut self.history_table);
        self
    }

    /// One transaction per file instead of one for all: progress survives a failure further on.
    #[must_use]
    pub fn per_file(mut self, per_file: bool) -> Self {
        self.per_file = per_file;
        self
    }

    /// Files may bring their own BEGIN and COMMIT, which are left out in favour of the runner's transaction.
    #[must_use]
    pub fn own_transaction(mut self, own_transaction: bool) -> Self {
        self.own_transaction = own_transaction;
        self
    }

    /// Accept a database that a newer release has migrated, as long as every newer file is marked compatible. For a
    /// service that starts; a person at a command line wants to hear of a missing file.
    #[must_use]
    pub fn allow_newer(mut self, allow_newer: bool) -> Self {
        self.allow_newer = allow_newer;
        self
    }

    /// The commit to write beside each applied file.
    #[must_use]
    pub fn git_commit(mut self, git_commit: Option<String>) -> Self {
        self.git_commit = git_commit;
        self
    }

    /// A way to stop it from elsewhere; a stop rolls back.
    #[must_use]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Called with every [`Event`], on the thread that migrates.
    #[must_use]
    pub fn on_event(mut self, on_event: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(on_event));
        self
    }

    /// How often a file that runs for long sends [`Event::Running`] (every second).
    #[must_use]
    pub fn progress_interval(mut self, interval: Duration) -> Self {
        self.heartbeat = Heartbeat::every(interval);
        self
    }

    pub(crate) fn emit(&self, event: Event) {
        if let Some(on_event) = &self.on_event {
            on_event(event);
        }
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        self.emit(Event::Note { text: text.into() });
    }

    /// Compares files and history; changes nothing and creates nothing.
    ///
    /// # Errors
    /// Edited, missing, doubled or out-of-order files, and a database that cannot be read.
    pub fn status(&self) -> Result<Status, Error> {
        let (comparison, applied) = self.settle(self.look())?;
        let pending = comparison
            .pending
            .iter()
            .filter_map(|index| self.files.get(*index))
            .map(|file| file.name.clone())
            .collect();
        Ok(Status {
            applied,
            pending,
            newer: comparison.newer,
            notes: comparison.notes,
        })
    }

    /// Applies everything that is pending, or nothing.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::exit_code`] says what state the database is in.
    pub fn apply(&self) -> Result<Report, Error> {
        self.settle(self.apply_now())
    }

    /// Lists the statements that would run, after running them on a copy that is thrown away.
    ///
    /// # Errors
    /// What [`Self::apply`] would answer.
    pub fn dry_run(&self) -> Result<DryRun, Error> {
        self.settle(self.dry_run_now())
    }

    /// Applies the pending files to a copy that is thrown away.
    ///
    /// # Errors
    /// What [`Self::apply`] would answer.
    pub fn rehearse(&self) -> Result<Rehearsal, Error> {
        self.settle(self.rehearse_now())
    }

    /// Rebuilds a schema in an empty database and applies what is pending there: a rehearsal for a database that is
    /// out of reach. `schema` and `history` are what [`Self::schema`] and [`read_history`](crate::read_history) said
    /// where it is.
    ///
    /// # Errors
    /// What [`Self::apply`] would answer, as far as it does not depend on rows.
    pub fn rehearse_schema(
        &self,
        schema: &Schema,
        history: &[HistoryRow],
    ) -> Result<Rehearsal, Error> {
        self.settle(self.rehearse_schema_now(schema, history))
    }

    /// Classifies the pending files, trying them on a copy where they run.
    ///
    /// # Errors
    /// As [`Self::dry_run`].
    pub fn lint(&self) -> Result<Lint, Error> {
        self.settle(self.lint_now())
    }

    /// Makes a verified backup now and answers its path.
    ///
    /// # Errors
    /// Nothing to back up, no space, or a database that fails its check.
    pub fn backup(&self) -> Result<PathBuf, Error> {
        self.settle(self.back_up_now())
    }

    /// Puts a backup in the place of the database, keeping what it replaces.
    ///
    /// # Errors
    /// A damaged backup, or a database that is in use.
    pub fn restore(&self, backup: &Path) -> Result<Restore, Error> {
        self.settle(self.restore_now(backup))
    }

    /// Compares the history with the files and checks the whole database: every page, every index, every foreign key.
    ///
    /// # Errors
    /// As [`Self::status`]; what the checks find is in the answer.
    pub fn verify(&self) -> Result<Verification, Error> {
        self.settle(self.verify_now(true))
    }

    /// As [`Self::verify`] without comparing indexes with their tables, which takes more than ten times as long as all the
    /// rest.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_quickly(&self) -> Result<Verification, Error> {
        self.settle(self.verify_now(false))
    }

    /// Makes the history agree with the files after a person has decided that it should.
    ///
    /// # Errors
    /// A database that is locked or cannot be backed up first.
    pub fn repair(&self) -> Result<Repair, Error> {
        self.settle(self.repair_now())
    }

    /// Records the files up to and including `file` as applied without running them. `auto` finds the file whose schema is
    /// the database's, and corrects a history that says otherwise.
    ///
    /// # Errors
    /// An unknown file, a history that disagrees, or, for `auto`, no or more than one match.
    pub fn baseline(&self, file: &str) -> Result<Baseline, Error> {
        self.settle(self.baseline_now(file, true))
    }

    /// What [`Self::baseline`] would record; writes nothing.
    ///
    /// # Errors
    /// As [`Self::baseline`].
    pub fn propose_baseline(&self, file: &str) -> Result<Baseline, Error> {
        self.settle(self.baseline_now(file, false))
    }

    /// The definitions in the database, without those of SQLite and of the history table; empty when there is no file.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub fn schema(&self) -> Result<Schema, Error> {
        let Some(connection) = self.settle(self.open_existing())? else {
            return Ok(Schema::default());
        };
        self.settle(Schema::read(&connection, &self.history_table))
    }
}
