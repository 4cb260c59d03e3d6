//! The Render half: one web service, its deploys and processes, and the API that changes them.

mod deploys;
mod events;
mod json;
mod logs;
mod machine;
mod processes;
mod routes;
mod runner;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::ids::{DeployId, IdSource, InstanceId};
use crate::settings::ServiceSettings;

pub(crate) use events::{Event, Failure};
pub(crate) use logs::LogLine;
pub(crate) use machine::{advance, next_event_ms};
pub(crate) use routes::handle;
pub(crate) use runner::{report, resume};

/// Deploys kept; older ones that are not live are forgotten.
const DEPLOYS_KEPT: usize = 300;

/// The provider's eleven states.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Created,
    Queued,
    BuildInProgress,
    PreDeployInProgress,
    UpdateInProgress,
    Live,
    Deactivated,
    BuildFailed,
    PreDeployFailed,
    UpdateFailed,
    Canceled,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Queued => "queued",
            Self::BuildInProgress => "build_in_progress",
            Self::PreDeployInProgress => "pre_deploy_in_progress",
            Self::UpdateInProgress => "update_in_progress",
            Self::Live => "live",
            Self::Deactivated => "deactivated",
            Self::BuildFailed => "build_failed",
            Self::PreDeployFailed => "pre_deploy_failed",
            Self::UpdateFailed => "update_failed",
            Self::Canceled => "canceled",
        }
    }

    pub(crate) const fn is_under_way(self) -> bool {
        matches!(
            self,
            Self::Created
                | Self::Queued
                | Self::BuildInProgress
                | Self::PreDeployInProgress
                | Self::UpdateInProgress
        )
    }

    /// Was it live at some time, so that its build can be gone back to?
    pub(crate) const fn was_live(self) -> bool {
        matches!(self, Self::Live | Self::Deactivated)
    }
}

/// A commit as the deploy object shows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) message: String,
    pub(crate) created_ms: Option<i64>,
}

/// One deploy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Deploy {
    pub(crate) id: DeployId,
    pub(crate) status: Status,
    pub(crate) trigger: String,
    pub(crate) commit: Option<Commit>,
    /// The service as configured when the deploy was made: a rollback restores it.
    pub(crate) service: ServiceSettings,
    /// The runner's name for the artifacts.
    pub(crate) build: Option<String>,
    /// The deploy whose build and settings this one reuses.
    pub(crate) reuses: Option<DeployId>,
    /// The process this deploy is starting or has started.
    pub(crate) instance: Option<InstanceId>,
    /// The build has ended well or badly, but is shown as running until `hold_until_ms`.
    pub(crate) outcome: Option<Result<String, Failure>>,
    /// Earliest time the current status may change.
    pub(crate) hold_until_ms: i64,
    /// Latest time a start may take.
    pub(crate) deadline_ms: Option<i64>,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    pub(crate) started_ms: Option<i64>,
    pub(crate) finished_ms: Option<i64>,
}

/// A process's life.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Phase {
    /// Ordered, not yet healthy.
    Starting,
    /// Passed its health check once.
    Ready,
    /// Told to stop.
    Stopping,
    /// Died; started again at `restart_ms`.
    Waiting,
}

/// One process of the service.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) deploy: DeployId,
    pub(crate) phase: Phase,
    pub(crate) port: Option<u16>,
    pub(crate) failing_since_ms: Option<i64>,
    /// Failing for so long that it gets no traffic.
    pub(crate) unrouted: bool,
    /// Stopped to be started again.
    pub(crate) restart_when_gone: bool,
    pub(crate) last_failure: String,
    pub(crate) crashes: u32,
    pub(crate) restart_ms: Option<i64>,
    /// A superseded process is told to stop at this time.
    pub(crate) stop_ms: Option<i64>,
}

/// The service and everything that belongs to it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ServiceState {
    pub(crate) id: String,
    pub(crate) owner_id: String,
    pub(crate) disk_id: String,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    /// Oldest first.
    pub(crate) deploys: Vec<Deploy>,
    /// The one deploy that is being worked on.
    pub(crate) active: Option<DeployId>,
    pub(crate) live: Option<DeployId>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) log: VecDeque<LogLine>,
}

impl ServiceState {
    pub(crate) fn new(ids: &mut IdSource, now_ms: i64) -> Self {
        Self {
            id: format!("srv-{}", ids.base32(20)),
            owner_id: format!("tea-{}", ids.base32(20)),
            disk_id: format!("dsk-{}", ids.base32(20)),
            created_ms: now_ms,
            updated_ms: now_ms,
            deploys: Vec::new(),
            active: None,
            live: None,
            instances: Vec::new(),
            events: VecDeque::new(),
            log: VecDeque::new(),
        }
    }

    /// The process that has the traffic: the live deploy's, while it is well.
    pub(crate) fn routed(&self) -> Option<(&InstanceId, u16)> {
        let live = self.live.as_ref()?;
        let instance = self
            .instances
            .iter()
            .find(|i| i.deploy == *live && i.phase == Phase::Ready && !i.unrouted)?;
        Some((&instance.id, instance.port?))
    }

    pub(crate) fn deploy(&self, id: &str) -> Option<&Deploy> {
        self.deploys.iter().find(|d| d.id.as_str() == id)
    }

    pub(crate) fn deploy_mut(&mut self, id: &DeployId) -> Option<&mut Deploy> {
        self.deploys.iter_mut().find(|d| d.id == *id)
    }

    pub(crate) fn instance_mut(&mut self, id: &InstanceId) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|i| i.id == *id)
    }

    pub(crate) const fn logs(&self) -> &VecDeque<LogLine> {
        &self.log
    }

    fn prune(&mut self) {
        while self.deploys.len() > DEPLOYS_KEPT {
            let removable =
                |d: &Deploy| !d.status.is_under_way() && Some(&d.id) != self.live.as_ref();
            let Some(at) = self.deploys.iter().position(removable) else {
                return;
            };
            self.deploys.remove(at);
        }
    }
}
