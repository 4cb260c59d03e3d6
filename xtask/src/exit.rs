//! Exit codes say what state production is in, so that a script can decide without reading text.

use serde::{Deserialize, Serialize};

/// How a command ended. The numbers are a stable interface; `docs` in README.md lists the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// Done and verified, or nothing to do.
    Done,
    /// A fault of this program, also a panic.
    Bug,
    /// The command line or the configuration is wrong; nothing was contacted.
    Usage,
    /// Refused before anything changed: lock, credentials, an edited migration.
    Refused,
    /// Failed; production is unchanged and was verified to be the old release.
    FailedUnchanged,
    /// Failed; production was rolled back and verified to be the old release.
    RolledBack,
    /// Live, but the halves differ from what was wanted or health is only partly good.
    Degraded,
    /// The outcome could not be learnt in time; `deploy --resume` goes on.
    Unknown,
    /// The rollback failed or production is unhealthy: a person must act.
    Unhealthy,
    /// The database needs a person.
    Database,
    /// A newer release is live or under way.
    Superseded,
    /// `plan --exit-code`: something would change.
    Pending,
    /// SIGINT, after a clean journal entry.
    Interrupted,
    /// SIGTERM, after a clean journal entry.
    Terminated,
}

impl Exit {
    /// The process exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Bug => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::FailedUnchanged => 4,
            Self::RolledBack => 5,
            Self::Degraded => 6,
            Self::Unknown => 7,
            Self::Unhealthy => 8,
            Self::Database => 9,
            Self::Superseded => 10,
            Self::Pending => 20,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What the code means, in one line.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done and verified, or nothing to do",
            Self::Bug => "a fault of this program",
            Self::Usage => "usage or configuration; nothing was contacted",
            Self::Refused => "refused before anything changed",
            Self::FailedUnchanged => "failed; production is unchanged and verified old",
            Self::RolledBack => "failed; rolled back and verified old",
            Self::Degraded => "live, but skewed or degraded",
            Self::Unknown => "outcome unknown within the budget; resumable",
            Self::Unhealthy => "rollback failed or production unhealthy: a person must act",
            Self::Database => "the database needs a person",
            Self::Superseded => "superseded by a newer release",
            Self::Pending => "changes are pending",
            Self::Interrupted => "interrupted (SIGINT) after a clean journal entry",
            Self::Terminated => "terminated (SIGTERM) after a clean journal entry",
        }
    }

    /// The word for `outcome` in `deploy --json`.
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Done => "released",
            Self::Bug => "bug",
            Self::Usage | Self::Refused => "refused",
            Self::FailedUnchanged => "failed_unchanged",
            Self::RolledBack => "rolled_back",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::Unhealthy => "unhealthy",
            Self::Database => "database",
            Self::Superseded => "superseded",
            Self::Pending => "pending",
            Self::Interrupted | Self::Terminated => "interrupted",
        }
    }

    /// Whether a run that ended with this code can go on.
    pub fn can_go_on(code: u8) -> bool {
        [
            Self::Degraded,
            Self::Unknown,
            Self::Interrupted,
            Self::Terminated,
            Self::Bug,
        ]
        .iter()
        .any(|exit| exit.code() == code)
    }

    /// Every code, in ascending order: for documentation and its test.
    pub const ALL: [Self; 14] = [
        Self::Done,
        Self::Bug,
        Self::Usage,
        Self::Refused,
        Self::FailedUnchanged,
        Self::RolledBack,
        Self::Degraded,
        Self::Unknown,
        Self::Unhealthy,
        Self::Database,
        Self::Superseded,
        Self::Pending,
        Self::Interrupted,
        Self::Terminated,
    ];
}
