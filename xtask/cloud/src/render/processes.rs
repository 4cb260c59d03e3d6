//! The service's processes: starting, stopping, health, and bringing back one that died.

use std::collections::BTreeMap;

use crate::core::{Cloud, State};
use crate::ids::{DeployId, InstanceId};
use crate::reply::{Action, StartSpec};

use super::events::Failure;
use super::{Instance, Phase, Status};

/// The backoff grows up to 2 to this power.
const BACKOFF_DOUBLINGS_MAX: u32 = 6;

/// An id for a process that is about to be started.
pub(super) fn new_id(cloud: &mut Cloud) -> InstanceId {
    let suffix = cloud.state.ids.base32(5);
    InstanceId(format!("{}-{suffix}", cloud.state.render.id))
}

/// Everything the runner needs to run something of a deploy.
pub(super) fn spec(cloud: &Cloud, instance: InstanceId, id: &DeployId) -> Option<StartSpec> {
    let d = cloud.state.render.deploy(id.as_str())?;
    let commit = d.commit.as_ref().map(|c| c.id.clone()).unwrap_or_default();
    let env = environment(cloud, &d.service, &commit, &instance);
    Some(StartSpec {
        env,
        instance,
        deploy: id.clone(),
        commit,
        build: d.build.clone()?,
        service: d.service.clone(),
    })
}

fn environment(
    cloud: &Cloud,
    service: &crate::settings::ServiceSettings,
    commit: &str,
    instance: &InstanceId,
) -> BTreeMap<String, String> {
    let url = &cloud.endpoints.service_url;
    let mut env = service.env.clone();
    if !service.admin_token_env.is_empty() {
        env.insert(
            service.admin_token_env.clone(),
            cloud.secrets.admin_token.clone(),
        );
    }
    let own = [
        ("HOST", "127.0.0.1"),
        ("IS_PULL_REQUEST", "false"),
        ("RENDER", "true"),
        ("RENDER_CPU_COUNT", "0.5"),
        (
            "RENDER_EXTERNAL_HOSTNAME",
            url.split("://").nth(1).unwrap_or(url),
        ),
        ("RENDER_EXTERNAL_URL", url),
        ("RENDER_GIT_BRANCH", "main"),
        ("RENDER_GIT_COMMIT", commit),
        ("RENDER_INSTANCE_ID", instance.as_str()),
        ("RENDER_SERVICE_ID", &cloud.state.render.id),
        ("RENDER_SERVICE_NAME", &service.name),
        ("RENDER_SERVICE_TYPE", "web"),
    ];
    env.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    env
}

/// Orders a new process of a deploy.
pub(super) fn start(cloud: &mut Cloud, id: &DeployId) -> Option<InstanceId> {
    let instance = new_id(cloud);
    let spec = spec(cloud, instance.clone(), id)?;
    cloud.state.render.instances.push(Instance {
        id: instance.clone(),
        deploy: id.clone(),
        phase: Phase::Starting,
        port: None,
        failing_since_ms: None,
        unrouted: false,
        restart_when_gone: false,
        last_failure: String::new(),
        crashes: 0,
        restart_ms: None,
        stop_ms: None,
    });
    cloud.actions.push(Action::Start(spec));
    Some(instance)
}

/// Orders the end of one process.
pub(super) fn stop(cloud: &mut Cloud, id: &InstanceId) {
    let service = &mut cloud.state.render;
    let Some(at) = service.instances.iter().position(|i| i.id == *id) else {
        return;
    };
    match service.instances[at].phase {
        Phase::Stopping => {}
        // Nothing runs.
        Phase::Waiting => {
            service.instances.remove(at);
        }
        Phase::Starting | Phase::Ready => {
            service.instances[at].phase = Phase::Stopping;
            let deploy = service.instances[at].deploy.clone();
            let delay_s = service
                .deploy(deploy.as_str())
                .map_or(30, |d| d.service.max_shutdown_delay_s);
            let grace_ms = i64::from(delay_s.clamp(1, 300)) * 1000;
            cloud.actions.push(Action::Stop {
                instance: id.clone(),
                grace_ms,
            });
        }
    }
}

/// Orders the end of every process.
pub(super) fn stop_all(cloud: &mut Cloud) {
    let ids: Vec<InstanceId> = cloud
        .state
        .render
        .instances
        .iter()
        .map(|i| i.id.clone())
        .collect();
    for id in ids {
        if let Some(instance) = cloud.state.render.instance_mut(&id) {
            instance.restart_when_gone = false;
        }
        stop(cloud, &id);
    }
}

/// A process is gone: expected, the end of a start, or a crash of the live one.
pub(super) fn exited(cloud: &mut Cloud, now_ms: i64, id: &InstanceId, code: Option<i32>) {
    let backoff_ms = cloud.state.settings.timings.restart_backoff_ms;
    let service = &mut cloud.state.render;
    let Some(at) = service.instances.iter().position(|i| i.id == *id) else {
        return;
    };
    let instance = &service.instances[at];
    if instance.phase == Phase::Stopping {
        if instance.restart_when_gone {
            wait(&mut service.instances[at], now_ms);
        } else {
            service.instances.remove(at);
        }
        return;
    }
    let (deploy, is_superseded) = (instance.deploy.clone(), instance.stop_ms.is_some());
    let failure = Failure::exit(code);
    service.server_failed(now_ms, id, &failure);
    let starting = service
        .deploy_mut(&deploy)
        .filter(|d| d.status == Status::UpdateInProgress && d.instance.as_ref() == Some(id));
    if let Some(d) = starting {
        d.outcome = Some(Err(failure));
        service.instances.remove(at);
    } else if is_superseded || service.live.as_ref() != Some(&deploy) {
        service.instances.remove(at);
    } else {
        let instance = &mut service.instances[at];
        let factor = 1_i64 << instance.crashes.min(BACKOFF_DOUBLINGS_MAX);
        instance.crashes += 1;
        wait(instance, now_ms + backoff_ms * factor);
    }
}

/// A process that is gone and will be started again at `restart_ms`.
fn wait(instance: &mut Instance, restart_ms: i64) {
    (instance.phase, instance.restart_ms, instance.port) = (Phase::Waiting, Some(restart_ms), None);
    (
        instance.failing_since_ms,
        instance.unrouted,
        instance.restart_when_gone,
    ) = (None, false, false);
}

/// A health check's result.
pub(super) fn probed(
    cloud: &mut Cloud,
    now_ms: i64,
    id: &InstanceId,
    healthy: bool,
    detail: String,
) {
    let service = &mut cloud.state.render;
    let is_live =
        |service: &super::ServiceState, deploy: &DeployId| service.live.as_ref() == Some(deploy);
    let Some(instance) = service.instance_mut(id) else {
        return;
    };
    if healthy {
        (instance.failing_since_ms, instance.unrouted) = (None, false);
        instance.last_failure.clear();
        if instance.phase == Phase::Starting {
            instance.phase = Phase::Ready;
            let deploy = instance.deploy.clone();
            if is_live(service, &deploy) {
                service.server_available(now_ms, id);
            }
        }
    } else {
        instance.failing_since_ms.get_or_insert(now_ms);
        instance.last_failure = detail;
    }
}

/// One due move of one process.
pub(super) fn step(cloud: &mut Cloud, now_ms: i64) -> bool {
    let timings = cloud.state.settings.timings.clone();
    let service = &mut cloud.state.render;
    let is_due = |at: Option<i64>, after_ms: i64| at.is_some_and(|at| now_ms >= at + after_ms);
    let runs = |i: &Instance| matches!(i.phase, Phase::Starting | Phase::Ready);
    let live = service.live.clone();
    if let Some(instance) = service
        .instances
        .iter()
        .find(|i| i.phase != Phase::Stopping && is_due(i.stop_ms, 0))
    {
        let id = instance.id.clone();
        stop(cloud, &id);
    } else if let Some(at) = service
        .instances
        .iter()
        .position(|i| i.phase == Phase::Waiting && is_due(i.restart_ms, 0))
    {
        restart(cloud, at);
    } else if let Some(i) = service.instances.iter_mut().find(|i| {
        i.phase == Phase::Ready
            && !i.unrouted
            && is_due(i.failing_since_ms, timings.unhealthy_unrouted_ms)
    }) {
        i.unrouted = true;
    } else if let Some(i) = service.instances.iter_mut().find(|i| {
        runs(i)
            && live.as_ref() == Some(&i.deploy)
            && is_due(i.failing_since_ms, timings.unhealthy_restart_ms)
    }) {
        i.restart_when_gone = true;
        let (id, detail) = (i.id.clone(), i.last_failure.clone());
        service.server_failed(now_ms, &id, &Failure::Unhealthy(detail));
        stop(cloud, &id);
    } else {
        return false;
    }
    true
}

/// A process that died gets a successor under a new id.
fn restart(cloud: &mut Cloud, at: usize) {
    let id = new_id(cloud);
    let instance = &mut cloud.state.render.instances[at];
    instance.id = id.clone();
    (instance.phase, instance.restart_ms) = (Phase::Starting, None);
    let deploy = instance.deploy.clone();
    match spec(cloud, id, &deploy) {
        Some(spec) => cloud.actions.push(Action::Start(spec)),
        None => {
            cloud.state.render.instances.remove(at);
        }
    }
}

/// When processes move by the clock alone.
pub(super) fn due_times(state: &State) -> Vec<i64> {
    let timings = &state.settings.timings;
    let service = &state.render;
    let mut times = Vec::new();
    for i in service
        .instances
        .iter()
        .filter(|i| i.phase != Phase::Stopping)
    {
        times.extend(i.stop_ms);
        times.extend(i.restart_ms);
        if let Some(since_ms) = i.failing_since_ms {
            times.extend(
                (i.phase == Phase::Ready && !i.unrouted)
                    .then_some(since_ms + timings.unhealthy_unrouted_ms),
            );
            times.extend(
                (service.live.as_ref() == Some(&i.deploy))
                    .then_some(since_ms + timings.unhealthy_restart_ms),
            );
        }
    }
    times
}
