//! The runner's side of the service: what it reports changes deploys and processes, and what it has lost is ordered again.

use crate::core::Cloud;
use crate::ids::DeployId;
use crate::reply::{Action, RunnerEvent};

use super::events::Failure;
use super::machine::advance;
use super::{Commit, Status, processes};

/// Takes note of what the runner says. News about what no longer matters is ignored.
pub(crate) fn report(cloud: &mut Cloud, now_ms: i64, event: RunnerEvent) {
    match event {
        RunnerEvent::Resolved {
            deploy,
            commit,
            message,
            committed_ms,
        } => {
            if let Some(d) = cloud.state.render.deploy_mut(&deploy) {
                d.commit = Some(Commit {
                    id: commit,
                    message,
                    created_ms: Some(committed_ms),
                });
            }
        }
        RunnerEvent::Built { deploy, build } => {
            set_outcome(cloud, &deploy, Status::BuildInProgress, Ok(build));
        }
        RunnerEvent::BuildFailed { deploy, log, code } => {
            for line in log.lines() {
                cloud
                    .state
                    .render
                    .push_log(now_ms, Some(deploy.clone()), None, line);
            }
            let failure = code.map_or(Failure::BuildFailed, |c| Failure::exit(Some(c)));
            set_outcome(cloud, &deploy, Status::BuildInProgress, Err(failure));
        }
        RunnerEvent::PreDeployed { deploy, code } => {
            let outcome = if code == Some(0) {
                Ok(String::new())
            } else {
                Err(Failure::exit(code))
            };
            set_outcome(cloud, &deploy, Status::PreDeployInProgress, outcome);
        }
        RunnerEvent::Log {
            deploy,
            instance,
            text,
        } => cloud.state.render.push_log(now_ms, deploy, instance, &text),
        RunnerEvent::Started { instance, port } => {
            if let Some(i) = cloud.state.render.instance_mut(&instance) {
                i.port = Some(port);
            }
        }
        RunnerEvent::Exited { instance, code } => processes::exited(cloud, now_ms, &instance, code),
        RunnerEvent::Probe {
            instance,
            healthy,
            detail,
        } => processes::probed(cloud, now_ms, &instance, healthy, detail),
    }
}

fn set_outcome(cloud: &mut Cloud, id: &DeployId, during: Status, outcome: Result<String, Failure>) {
    if let Some(d) = cloud.state.render.deploy_mut(id)
        && d.status == during
    {
        d.outcome = Some(outcome);
    }
}

/// After a restart no process runs: what was under way is ordered again, and the live deploy gets a new process.
pub(crate) fn resume(cloud: &mut Cloud, now_ms: i64) {
    cloud.state.render.instances.clear();
    let active = cloud.state.render.active.clone();
    let mut is_swapping = false;
    if let Some(d) = active
        .as_ref()
        .and_then(|id| cloud.state.render.deploys.iter_mut().find(|d| d.id == *id))
    {
        let id = d.id.clone();
        match (d.status, &d.outcome) {
            (Status::BuildInProgress, None) => {
                let (commit, service) =
                    (d.commit.as_ref().map(|c| c.id.clone()), d.service.clone());
                cloud.actions.push(Action::Build {
                    deploy: id,
                    commit,
                    service,
                });
            }
            (Status::PreDeployInProgress, None) => {
                let instance = processes::new_id(cloud);
                if let Some(spec) = processes::spec(cloud, instance, &id) {
                    cloud.actions.push(Action::PreDeploy(spec));
                }
            }
            (Status::UpdateInProgress, _) => {
                (d.instance, d.outcome) = (None, None);
                is_swapping = d.service.disk.is_some();
            }
            _ => {}
        }
    }
    if let Some(live) = cloud.state.render.live.clone()
        && !is_swapping
    {
        processes::start(cloud, &live);
    }
    advance(cloud, now_ms);
}
