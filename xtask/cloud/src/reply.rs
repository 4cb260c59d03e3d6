//! What goes in and out of the core besides requests: answers with their faults, orders to the process runner, and its reports.

use std::collections::BTreeMap;

use http::{Request, Response};
use serde::{Deserialize, Serialize};

use crate::ids::{DeployId, InstanceId};
use crate::settings::ServiceSettings;

/// The answer to one request, and how it travels.
#[derive(Debug)]
pub struct Reply {
    /// Wait this long before sending; the request itself has been processed.
    pub delay_ms: i64,
    /// What to send.
    pub content: Content,
    /// What goes wrong on the way.
    pub effect: Effect,
}

/// Where the answer comes from.
#[derive(Debug)]
pub enum Content {
    /// The core's own answer.
    Response(Response<Vec<u8>>),
    /// The running service has to be asked; its answer is the answer.
    Proxy(Upstream),
}

/// A request to pass on to a running process of the service.
#[derive(Debug)]
pub struct Upstream {
    /// Which process.
    pub instance: InstanceId,
    /// Its loopback port.
    pub port: u16,
    /// The request as the process shall see it, with the proxy's headers added.
    pub request: Request<Vec<u8>>,
    /// Headers the proxy adds to the answer.
    pub response_headers: Vec<(String, String)>,
}

/// A scripted transport fault. The content is what would have been sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// Nothing goes wrong.
    #[default]
    Deliver,
    /// The connection is reset before the request has any effect; the content is not to be fetched.
    ResetBefore,
    /// The request is processed, then the connection is reset without an answer.
    ResetAfter,
    /// Reset after this many bytes of the body.
    TruncateAt(usize),
    /// The body travels in pieces of `bytes` with a pause before each.
    Drip {
        /// Bytes per piece, at least 1.
        bytes: usize,
        /// Pause before each piece.
        pause_ms: u64,
    },
    /// The body is followed by spaces up to this many bytes in all.
    Pad(u64),
    /// A proxied answer's status, headers and body are replaced after the service has processed the request.
    Replace(Box<Replacement>),
}

/// What a fault puts in place of the real answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replacement {
    /// The status, if it changes.
    pub status: Option<u16>,
    /// Headers to set.
    pub headers: BTreeMap<String, String>,
    /// The body, if it changes.
    pub body: Option<Vec<u8>>,
}

impl Replacement {
    /// Changes `response` as scripted. What is not a valid status or header is left out: faults are test input.
    pub fn apply(&self, response: &mut Response<Vec<u8>>) {
        if let Some(status) = self.status.and_then(|s| http::StatusCode::from_u16(s).ok()) {
            *response.status_mut() = status;
        }
        if let Some(body) = &self.body {
            response.body_mut().clone_from(body);
            response.headers_mut().remove(http::header::CONTENT_LENGTH);
        }
        for (name, value) in &self.headers {
            crate::answer::set_header(response, name, value);
        }
    }
}

impl Reply {
    /// A plain answer.
    pub fn respond(response: Response<Vec<u8>>) -> Self {
        Self {
            delay_ms: 0,
            content: Content::Response(response),
            effect: Effect::Deliver,
        }
    }
}

/// What the core wants done to real processes. Every action is answered by [`RunnerEvent`]s.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Build `commit` (`None`: the head of the working copy) and keep the artifacts. Answered by `Resolved`, then `Built` or `BuildFailed`.
    Build {
        /// For which deploy.
        deploy: DeployId,
        /// Full commit id.
        commit: Option<String>,
        /// The service as configured when the deploy was made.
        service: ServiceSettings,
    },
    /// Give up the build of this deploy; no answer expected.
    CancelBuild {
        /// Which.
        deploy: DeployId,
    },
    /// Run the pre-deploy command, without the disk. Answered by `PreDeployed`.
    PreDeploy(StartSpec),
    /// Start a process and check its health. Answered by `Started`, `Probe`s and, some day, `Exited`.
    Start(StartSpec),
    /// SIGTERM, and SIGKILL after `grace_ms`. Answered by `Exited`.
    Stop {
        /// Which process.
        instance: InstanceId,
        /// Between the two signals.
        grace_ms: i64,
    },
}

/// Everything needed to start one process.
#[derive(Clone, Debug, PartialEq)]
pub struct StartSpec {
    /// The new process's id.
    pub instance: InstanceId,
    /// Its deploy.
    pub deploy: DeployId,
    /// The deploy's commit.
    pub commit: String,
    /// The build as named by `Built`.
    pub build: String,
    /// Whole environment but for what only the runner knows (`PORT`, `PATH`, `HOME`, `LANG`).
    pub env: BTreeMap<String, String>,
    /// The service as configured when the deploy was made.
    pub service: ServiceSettings,
}

/// What happened to a process or build.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum RunnerEvent {
    /// The commit that is being built.
    Resolved {
        /// For which deploy.
        deploy: DeployId,
        /// Full id.
        commit: String,
        /// Its message.
        message: String,
        /// When it was made, ms since the epoch.
        committed_ms: i64,
    },
    /// The artifacts are there.
    Built {
        /// For which deploy.
        deploy: DeployId,
        /// The runner's name for them.
        build: String,
    },
    /// No artifacts.
    BuildFailed {
        /// For which deploy.
        deploy: DeployId,
        /// Why, for the log.
        log: String,
        /// The build command's exit code, if it ran.
        code: Option<i32>,
    },
    /// The pre-deploy command ended.
    PreDeployed {
        /// For which deploy.
        deploy: DeployId,
        /// Exit code; `None` when a signal ended it.
        code: Option<i32>,
    },
    /// The process runs and was told this port.
    Started {
        /// Which.
        instance: InstanceId,
        /// On loopback.
        port: u16,
    },
    /// The process is gone.
    Exited {
        /// Which.
        instance: InstanceId,
        /// Exit code; `None` when a signal ended it.
        code: Option<i32>,
    },
    /// One line of output.
    Log {
        /// Of a build or of a process.
        deploy: Option<DeployId>,
        /// The process, if it was one.
        instance: Option<InstanceId>,
        /// Without the line end.
        text: String,
    },
    /// One health check's result.
    Probe {
        /// Which process.
        instance: InstanceId,
        /// Within the provider's rules.
        healthy: bool,
        /// What came back, for the event's reason.
        detail: String,
    },
}
