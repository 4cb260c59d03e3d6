//! What a caller gets back from the cloud in virtual time, and what is really out there.

use std::collections::BTreeMap;

/// Why there was no answer. Whether the request was processed is for tests; a real client cannot know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportFault {
    /// The connection was reset.
    Reset {
        /// Did the request take effect?
        processed: bool,
    },
    /// The connection was reset within the body.
    Truncated {
        /// The answer's status.
        status: u16,
        /// The part of the body that arrived.
        received: Vec<u8>,
    },
    /// The answer would have come after the caller's timeout.
    Timeout {
        /// Did the request take effect?
        processed: bool,
    },
}

impl std::fmt::Display for TransportFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reset { .. } => "connection reset by peer",
            Self::Truncated { .. } => "connection reset within the body",
            Self::Timeout { .. } => "timed out",
        })
    }
}

impl std::error::Error for TransportFault {}

/// In the extensions of an answer: how much virtual time it took. The caller has to let that much pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took {
    /// In virtual milliseconds.
    pub delay_ms: i64,
}

/// What is really out there, for invariants: read from the state, not through any API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The published deploy's id.
    pub site_deploy: Option<String>,
    /// Its title and commit, as its creator gave them.
    pub site_title: Option<String>,
    /// The commit given with the published deploy's files.
    pub site_commit: Option<String>,
    /// Paths and digests the public gets.
    pub site_files: BTreeMap<String, String>,
    /// The commit whose process has the traffic now, if one has.
    pub serving_commit: Option<String>,
    /// Whether that process answers its health URL with 200 now.
    pub serving_healthy: bool,
    /// Processes that run, whatever they do. With a disk never more than one.
    pub running_processes: usize,
    /// The deploy Render calls live.
    pub live_deploy: Option<String>,
    /// Applied migrations.
    pub schema_generation: usize,
}
