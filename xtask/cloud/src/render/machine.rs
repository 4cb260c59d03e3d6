//! How a Render deploy moves: build, pre-deploy, update, live. One at a time, driven by the clock and by what the runner reports.

use crate::core::{Cloud, State};
use crate::ids::{DeployId, InstanceId};
use crate::reply::Action;

use super::events::Failure;
use super::processes;
use super::{Phase, Status};

/// Moves everything to where it is due; says whether anything moved.
pub(crate) fn advance(cloud: &mut Cloud, now_ms: i64) -> bool {
    let mut changed = false;
    // Each turn makes one move, and every chain of moves is short: the bound only guards against a mistake here.
    for _ in 0..1_000 {
        if !(step_active(cloud, now_ms)
            || begin_queued(cloud, now_ms)
            || processes::step(cloud, now_ms))
        {
            return changed;
        }
        changed = true;
    }
    changed
}

/// When something moves next by the clock alone.
pub(crate) fn next_event_ms(state: &State) -> Option<i64> {
    let service = &state.render;
    let mut times = processes::due_times(state);
    if let Some(d) = service
        .active
        .as_ref()
        .and_then(|id| service.deploy(id.as_str()))
    {
        let is_held = match d.status {
            Status::Created => true,
            Status::BuildInProgress | Status::PreDeployInProgress => d.outcome.is_some(),
            Status::UpdateInProgress => is_ready(state, d.instance.as_ref()),
            _ => false,
        };
        times.extend(is_held.then_some(d.hold_until_ms));
        times.extend(d.deadline_ms);
    }
    times.into_iter().min()
}

fn is_ready(state: &State, instance: Option<&InstanceId>) -> bool {
    instance.is_some_and(|id| {
        state
            .render
            .instances
            .iter()
            .any(|i| i.id == *id && i.phase == Phase::Ready)
    })
}

/// The newest queued deploy starts when nothing runs; those before it are skipped.
fn begin_queued(cloud: &mut Cloud, now_ms: i64) -> bool {
    if cloud.state.render.active.is_some() {
        return false;
    }
    let queued: Vec<DeployId> = cloud
        .state
        .render
        .deploys
        .iter()
        .filter(|d| d.status == Status::Queued)
        .map(|d| d.id.clone())
        .collect();
    let Some((newest, skipped)) = queued.split_last() else {
        return false;
    };
    for id in skipped {
        finish(
            cloud,
            now_ms,
            id,
            Status::Canceled,
            Some(&Failure::NewDeploy(newest.clone())),
        );
    }
    activate(cloud, now_ms, newest);
    true
}

/// Makes a deploy the one that is worked on.
pub(super) fn activate(cloud: &mut Cloud, now_ms: i64, id: &DeployId) {
    let created_ms = cloud.state.settings.timings.render_created_ms;
    cloud.state.render.active = Some(id.clone());
    if let Some(d) = cloud.state.render.deploy_mut(id) {
        (d.status, d.hold_until_ms, d.updated_ms) = (Status::Created, now_ms + created_ms, now_ms);
    }
}

fn step_active(cloud: &mut Cloud, now_ms: i64) -> bool {
    let Some(id) = cloud.state.render.active.clone() else {
        return false;
    };
    let Some(d) = cloud.state.render.deploy(id.as_str()) else {
        return false;
    };
    let is_due = now_ms >= d.hold_until_ms;
    match (d.status, &d.outcome) {
        (Status::Created, _) if is_due => begin(cloud, now_ms, &id),
        (Status::BuildInProgress, Some(Ok(_))) if is_due => build_succeeded(cloud, now_ms, &id),
        (Status::BuildInProgress, Some(Err(failure))) if is_due => {
            let failure = failure.clone();
            cloud.state.render.build_ended(now_ms, &id, Some(&failure));
            finish(
                cloud,
                now_ms,
                &id,
                Status::BuildFailed,
                Some(&Failure::BuildFailed),
            );
        }
        (Status::PreDeployInProgress, Some(Ok(_))) if is_due => {
            cloud.state.render.pre_deploy_ended(now_ms, &id, None);
            begin_update(cloud, now_ms, &id);
        }
        (Status::PreDeployInProgress, Some(Err(failure))) if is_due => {
            let failure = failure.clone();
            cloud
                .state
                .render
                .pre_deploy_ended(now_ms, &id, Some(&failure));
            finish(cloud, now_ms, &id, Status::PreDeployFailed, Some(&failure));
        }
        (Status::UpdateInProgress, _) => return step_update(cloud, now_ms, &id),
        _ => return false,
    }
    true
}

/// From `created` to the build, or straight to the update when an earlier build is gone back to.
fn begin(cloud: &mut Cloud, now_ms: i64, id: &DeployId) {
    let build_min_ms = cloud.state.settings.timings.render_build_min_ms;
    let Some(d) = cloud.state.render.deploy_mut(id) else {
        return;
    };
    (d.started_ms, d.updated_ms) = (Some(now_ms), now_ms);
    let (has_build, commit, service) = (
        d.build.is_some(),
        d.commit.as_ref().map(|c| c.id.clone()),
        d.service.clone(),
    );
    cloud.state.render.deploy_started(now_ms, id);
    if has_build {
        begin_update(cloud, now_ms, id);
        return;
    }
    if let Some(d) = cloud.state.render.deploy_mut(id) {
        (d.status, d.hold_until_ms) = (Status::BuildInProgress, now_ms + build_min_ms);
    }
    cloud.state.render.build_started(now_ms, id);
    cloud.actions.push(Action::Build {
        deploy: id.clone(),
        commit,
        service,
    });
}

fn build_succeeded(cloud: &mut Cloud, now_ms: i64, id: &DeployId) {
    cloud.state.render.build_ended(now_ms, id, None);
    let Some(d) = cloud.state.render.deploy_mut(id) else {
        return;
    };
    if let Some(Ok(build)) = d.outcome.take() {
        d.build = Some(build);
    }
    if d.service.pre_deploy_command.is_empty() {
        begin_update(cloud, now_ms, id);
        return;
    }
    (d.status, d.updated_ms) = (Status::PreDeployInProgress, now_ms);
    cloud.state.render.pre_deploy_started(now_ms, id);
    let instance = processes::new_id(cloud);
    if let Some(spec) = processes::spec(cloud, instance, id) {
        cloud.actions.push(Action::PreDeploy(spec));
    }
}

/// With a disk the old process has to be gone before the new one may start: only one may hold it.
fn begin_update(cloud: &mut Cloud, now_ms: i64, id: &DeployId) {
    let update_min_ms = cloud.state.settings.timings.render_update_min_ms;
    let Some(d) = cloud.state.render.deploy_mut(id) else {
        return;
    };
    (d.status, d.updated_ms, d.hold_until_ms) =
        (Status::UpdateInProgress, now_ms, now_ms + update_min_ms);
    (d.outcome, d.instance) = (None, None);
    if d.service.disk.is_some() {
        processes::stop_all(cloud);
    }
}

fn step_update(cloud: &mut Cloud, now_ms: i64, id: &DeployId) -> bool {
    let window_ms = cloud.state.settings.timings.start_window_ms;
    let service = &cloud.state.render;
    let Some(d) = service.deploy(id.as_str()) else {
        return false;
    };
    let Some(instance) = d.instance.clone() else {
        if d.service.disk.is_some() && !service.instances.is_empty() {
            return false;
        }
        let started = processes::start(cloud, id);
        if let Some(d) = cloud.state.render.deploy_mut(id) {
            (d.instance, d.deadline_ms) = (started, Some(now_ms + window_ms));
        }
        return true;
    };
    if let Some(Err(failure)) = d.outcome.clone() {
        finish(cloud, now_ms, id, Status::UpdateFailed, Some(&failure));
    } else if is_ready(&cloud.state, Some(&instance)) {
        if now_ms < d.hold_until_ms {
            return false;
        }
        go_live(cloud, now_ms, id, &instance);
    } else if d.deadline_ms.is_some_and(|deadline| now_ms >= deadline) {
        let failure = start_failure(cloud, &instance, window_ms);
        cloud
            .state
            .render
            .server_failed(now_ms, &instance, &failure);
        finish(cloud, now_ms, id, Status::UpdateFailed, Some(&failure));
    } else {
        return false;
    }
    true
}

/// Why a process that runs was not accepted in time.
fn start_failure(cloud: &Cloud, instance: &InstanceId, window_ms: i64) -> Failure {
    let found = cloud
        .state
        .render
        .instances
        .iter()
        .find(|i| i.id == *instance);
    match found
        .map(|i| i.last_failure.clone())
        .filter(|detail| !detail.is_empty())
    {
        Some(detail) => Failure::Unhealthy(detail),
        None => Failure::TimedOut {
            seconds: window_ms / 1000,
            reason: "no answer from the process before the start window ended".to_owned(),
        },
    }
}

/// Traffic switches in this one step; the old process, if it still runs, ends after the drain time.
fn go_live(cloud: &mut Cloud, now_ms: i64, id: &DeployId, instance: &InstanceId) {
    let drain_ms = cloud.state.settings.timings.drain_ms;
    let service = &mut cloud.state.render;
    if let Some(old) = service.live.replace(id.clone())
        && let Some(d) = service.deploy_mut(&old)
        && old != *id
    {
        (d.status, d.updated_ms) = (Status::Deactivated, now_ms);
    }
    for other in service
        .instances
        .iter_mut()
        .filter(|i| i.id != *instance && i.phase != Phase::Stopping)
    {
        other.stop_ms = Some(now_ms + drain_ms);
    }
    service.updated_ms = now_ms;
    service.server_available(now_ms, instance);
    finish(cloud, now_ms, id, Status::Live, None);
}

/// Ends a deploy. Its process, unless it went live, is stopped; the old one is left as it is, which with a disk means down.
pub(super) fn finish(
    cloud: &mut Cloud,
    now_ms: i64,
    id: &DeployId,
    status: Status,
    failure: Option<&Failure>,
) {
    let service = &mut cloud.state.render;
    let Some(d) = service.deploy_mut(id) else {
        return;
    };
    (d.status, d.updated_ms, d.finished_ms) = (status, now_ms, Some(now_ms));
    (d.outcome, d.deadline_ms) = (None, None);
    let instance = d.instance.clone();
    if service.active.as_ref() == Some(id) {
        service.active = None;
    }
    service.deploy_ended(now_ms, id, failure);
    if status != Status::Live
        && let Some(instance) = instance
    {
        processes::stop(cloud, &instance);
    }
}

/// Ends a deploy that is under way, because someone asked or another one takes its place.
pub(super) fn cancel(cloud: &mut Cloud, now_ms: i64, id: &DeployId, reason: &Failure) {
    let Some(d) = cloud.state.render.deploy(id.as_str()) else {
        return;
    };
    if d.status == Status::BuildInProgress {
        cloud
            .actions
            .push(Action::CancelBuild { deploy: id.clone() });
        cloud.state.render.build_ended(now_ms, id, Some(reason));
    }
    finish(cloud, now_ms, id, Status::Canceled, Some(reason));
}
