//! Triggering, listing, cancelling and rolling back Render deploys.

use http::{Request, Response};
use serde_json::Value;

use crate::answer::{self, param, params};
use crate::core::Cloud;
use crate::ids::DeployId;
use crate::settings::{QueuePolicy, ServiceSettings};
use crate::time;

use super::events::Failure;
use super::routes::error;
use super::{Commit, Deploy, Status, json as shape, machine};

/// What a new deploy is made from.
struct Wanted {
    trigger: &'static str,
    commit: Option<Commit>,
    service: ServiceSettings,
    build: Option<String>,
    reuses: Option<DeployId>,
}

/// `POST …/deploys`: 201 with the deploy, or 202 without a body when it has to wait.
pub(super) fn trigger(
    cloud: &mut Cloud,
    now_ms: i64,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    if request.body().is_empty() {
        return error(400, "invalid JSON: a body is required, it may be {}");
    }
    let body = match answer::json_body(request) {
        Ok(body) => body,
        Err(message) => return error(400, &message),
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if body.contains_key("imageUrl") {
        return error(
            400,
            "imageUrl is only allowed for services that run an image",
        );
    }
    if text("clearCache").is_some_and(|v| v != "clear" && v != "do_not_clear") {
        return error(400, "invalid clearCache: must be clear or do_not_clear");
    }
    let commit = match text("commitId") {
        Some(id) if is_commit(id) => Some(Commit {
            id: id.to_lowercase(),
            message: String::new(),
            created_ms: None,
        }),
        Some(id) => return error(400, &format!("invalid commitId: {id}")),
        None => None,
    };
    let service = cloud.state.settings.service.clone();
    let wanted = match text("deployMode").unwrap_or("build_and_deploy") {
        "build_and_deploy" => Wanted {
            trigger: "api",
            commit,
            service,
            build: None,
            reuses: None,
        },
        "deploy_only" if commit.is_some() || body.contains_key("clearCache") => {
            return error(
                400,
                "deployMode must not be combined with commitId or clearCache",
            );
        }
        "deploy_only" => {
            let last = cloud
                .state
                .render
                .live
                .as_ref()
                .and_then(|id| cloud.state.render.deploy(id.as_str()));
            let Some(last) = last else {
                return error(400, "there is no build to deploy");
            };
            let (commit, build, reuses) = (
                last.commit.clone(),
                last.build.clone(),
                Some(last.id.clone()),
            );
            Wanted {
                trigger: "api",
                commit,
                service,
                build,
                reuses,
            }
        }
        _ => {
            return error(
                400,
                "invalid deployMode: must be build_and_deploy or deploy_only",
            );
        }
    };
    create(cloud, now_ms, wanted)
}

fn is_commit(id: &str) -> bool {
    (7..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `POST …/rollback`: a new deploy of an old build, with the settings of that time; the disk stays as it is.
pub(super) fn rollback(
    cloud: &mut Cloud,
    now_ms: i64,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    let body = match answer::json_body(request) {
        Ok(body) => body,
        Err(message) => return error(400, &message),
    };
    let Some(target) = body.get("deployId").and_then(Value::as_str) else {
        return error(400, "deployId is required");
    };
    let Some(old) = cloud.state.render.deploy(target) else {
        return error(404, &format!("not found: {target}"));
    };
    if !old.status.was_live() {
        return error(
            400,
            &format!("deploy {target} was never live and cannot be rolled back to"),
        );
    }
    let Some(build) = old.build.clone() else {
        return error(
            404,
            &format!("the build of {target} is no longer available"),
        );
    };
    let wanted = Wanted {
        trigger: "rollback",
        commit: old.commit.clone(),
        service: old.service.clone(),
        build: Some(build),
        reuses: Some(old.id.clone()),
    };
    create(cloud, now_ms, wanted)
}

fn create(cloud: &mut Cloud, now_ms: i64, wanted: Wanted) -> Response<Vec<u8>> {
    let id = DeployId(format!("dep-{}", cloud.state.ids.base32(20)));
    let running = cloud.state.render.active.clone();
    cloud.state.render.deploys.push(Deploy {
        id: id.clone(),
        status: Status::Queued,
        trigger: wanted.trigger.to_owned(),
        commit: wanted.commit,
        service: wanted.service,
        build: wanted.build,
        reuses: wanted.reuses,
        instance: None,
        outcome: None,
        hold_until_ms: now_ms,
        deadline_ms: None,
        created_ms: now_ms,
        updated_ms: now_ms,
        started_ms: None,
        finished_ms: None,
    });
    cloud.state.render.prune();
    match (running, cloud.state.settings.service.queue_policy) {
        (Some(_), QueuePolicy::Wait) => {
            // What was queued before will never run.
            let skipped: Vec<DeployId> = cloud
                .state
                .render
                .deploys
                .iter()
                .filter(|d| d.status == Status::Queued && d.id != id)
                .map(|d| d.id.clone())
                .collect();
            for old in skipped {
                machine::finish(
                    cloud,
                    now_ms,
                    &old,
                    Status::Canceled,
                    Some(&Failure::NewDeploy(id.clone())),
                );
            }
            return answer::empty(202);
        }
        (Some(old), QueuePolicy::Override) => {
            machine::cancel(cloud, now_ms, &old, &Failure::NewDeploy(id.clone()));
        }
        (None, _) => {}
    }
    machine::activate(cloud, now_ms, &id);
    machine::advance(cloud, now_ms);
    with_status(get(cloud, id.as_str()), 201)
}

fn with_status(mut response: Response<Vec<u8>>, status: u16) -> Response<Vec<u8>> {
    if let Ok(status) = http::StatusCode::from_u16(status) {
        *response.status_mut() = status;
    }
    response
}

pub(super) fn get(cloud: &Cloud, id: &str) -> Response<Vec<u8>> {
    match cloud.state.render.deploy(id) {
        Some(deploy) => shape::answer(200, &shape::deploy(deploy)),
        None => error(404, &format!("not found: {id}")),
    }
}

pub(super) fn cancel(cloud: &mut Cloud, now_ms: i64, id: &str) -> Response<Vec<u8>> {
    let Some(d) = cloud.state.render.deploy(id) else {
        return error(404, &format!("not found: {id}"));
    };
    if !d.status.is_under_way() {
        return error(
            400,
            &format!(
                "deploy {id} is {} and cannot be canceled",
                d.status.as_str()
            ),
        );
    }
    let deploy = d.id.clone();
    machine::cancel(cloud, now_ms, &deploy, &Failure::Canceled);
    get(cloud, id)
}

/// Newest first, with the provider's filters and cursors.
pub(super) fn list(cloud: &Cloud, now_ms: i64, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
    let query = answer::query(request);
    let lag_ms = cloud.state.settings.timings.render_list_lag_ms;
    let statuses = params(&query, "status");
    let mut bounds = Vec::new();
    for (name, of) in [
        (
            "created",
            (|d: &Deploy| Some(d.created_ms)) as fn(&Deploy) -> Option<i64>,
        ),
        ("updated", |d| Some(d.updated_ms)),
        ("finished", |d| d.finished_ms),
    ] {
        for (end, sign) in [("After", 1_i64), ("Before", -1)] {
            let Some(text) = param(&query, &format!("{name}{end}")) else {
                continue;
            };
            let Some(bound_ms) = time::parse(text) else {
                return error(400, &format!("invalid {name}{end}: must be RFC 3339"));
            };
            bounds.push(move |d: &Deploy| {
                of(d).is_some_and(|at_ms| (at_ms - bound_ms).signum() == sign)
            });
        }
    }
    let found: Vec<&Deploy> = cloud
        .state
        .render
        .deploys
        .iter()
        .rev()
        .filter(|d| now_ms - d.created_ms >= lag_ms)
        .filter(|d| statuses.is_empty() || statuses.contains(&d.status.as_str()))
        .filter(|d| bounds.iter().all(|is_within| is_within(d)))
        .collect();
    let with_cursor = |d: &Deploy| serde_json::json!({ "deploy": shape::deploy(d), "cursor": shape::cursor(d.id.as_str()) });
    page(&query, &found, |d| d.id.as_str(), |d| with_cursor(d))
}

/// One page of a list: `limit` 1 to 100, 20 when absent, after the item the cursor names.
pub(super) fn page<T>(
    query: &[(String, String)],
    found: &[T],
    id: impl Fn(&T) -> &str,
    show: impl Fn(&T) -> Value,
) -> Response<Vec<u8>> {
    let limit = param(query, "limit").map_or(Some(20), |l| l.parse::<usize>().ok());
    let Some(limit) = limit.filter(|l| (1..=100).contains(l)) else {
        return error(400, "invalid limit: must be between 1 and 100");
    };
    let first = match param(query, "cursor").filter(|c| !c.is_empty()) {
        None => 0,
        Some(cursor) => match found
            .iter()
            .position(|item| shape::cursor(id(item)) == cursor)
        {
            Some(at) => at + 1,
            None => return error(400, "invalid cursor"),
        },
    };
    shape::answer(
        200,
        &Value::Array(found.iter().skip(first).take(limit).map(show).collect()),
    )
}
