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
    /// The call failed, and nothing that it did is in the database.
    AsItWas,
    /// Something a person may want to know; nothing is wrong.
    Note { text: String },
}

/// What became of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Files were committed.
    Changed,
    /// It is what it was before.
    AsItWas,
}

const AS_IT_WAS: &str = "the database is as it was";

impl Event {
    /// For the events that tell the database's fate, the words by which [`Fate::told_by`] knows it again in a log.
    pub fn fate(&self) -> Option<String> {
        match self {
            Self::Committed { files } => Some(format!("committed {} file(s)", files.len())),
            Self::AsItWas => Some(AS_IT_WAS.to_owned()),
            _ => None,
        }
    }
}

impl Fate {
    /// What a line of a log says of the database's fate, when this crate or the program around it wrote it.
    pub fn told_by(line: &str) -> Option<Self> {
        let committed = |(_, rest): (&str, &str)| {
            let (count, words) = rest.split_once(' ')?;
            (count.parse::<usize>().is_ok() && words.starts_with("file(s)"))
                .then_some(Self::Changed)
        };
        if line.contains(AS_IT_WAS) {
            return Some(Self::AsItWas);
        }
        line.split_once("committed ").and_then(committed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_tells_what_became_of_the_database() {
        let files = vec!["0001_a.sql".to_owned()];
        for (event, fate) in [
            (Event::Committed { files }, Some(Fate::Changed)),
            (Event::AsItWas, Some(Fate::AsItWas)),
            (Event::NothingToBackUp, None),
        ] {
            let line = event.fate().map(|words| format!("migrations: {words}"));
            assert_eq!(line.as_deref().and_then(Fate::told_by), fate);
        }
        assert_eq!(Fate::told_by("committed 3 orders"), None);
    }
}
