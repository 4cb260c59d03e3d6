//! What a migrator says while it works, for whoever draws progress.

use std::path::PathBuf;

/// On which database a file runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// On a copy that is thrown away.
    Rehearsal,
    /// On the database itself.
    Apply,
}

/// One fact, in the order in which things happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Another process holds the write lock; sent once.
    WaitingForLock { timeout_ms: u64 },
    /// A verified backup is on the disk under this name.
    BackedUp {
        path: PathBuf,
        bytes: u64,
        duration_ms: u64,
    },
    /// No backup and no rehearsal, because the database has no row of its own.
    NothingToBackUp,
    /// A file begins.
    Started { phase: Phase, file: String },
    /// A file is still running; at most one a second, and none for files that are done sooner.
    Running {
        phase: Phase,
        file: String,
        /// The statement that runs now, from 1.
        statement: usize,
        statements: usize,
        /// Since the file began.
        elapsed_ms: u64,
    },
    /// A file's statements have run; in [`Phase::Apply`] they are not committed yet.
    Ran {
        phase: Phase,
        file: String,
        statements: usize,
        duration_ms: u64,
    },
    /// Everything up to here is on the disk.
    Committed { files: Vec<String> },
    /// Something a person may want to know; nothing is wrong.
    Note { text: String },
}
