//! Which call of Render's API is which: authentication, rate limits, and the table of methods and paths.

use http::{Method, Request, Response};
use serde_json::{Value, json};

use crate::answer::{self, param};
use crate::core::Cloud;
use crate::rate::Verdict;

use super::{deploys, json as shape, logs};

/// Answers one call below `/v1/`.
pub(crate) fn handle(
    cloud: &mut Cloud,
    now_ms: i64,
    rest: &str,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    let mut response = if answer::has_bearer(request, &cloud.secrets.render_key) {
        let verdict = count(cloud, now_ms, rest, request.method());
        let mut response = if verdict.allowed {
            route(cloud, now_ms, rest, request)
        } else {
            let mut refused = error(429, "rate limit exceeded");
            answer::set_header(
                &mut refused,
                "retry-after",
                &verdict.seconds_left(now_ms).to_string(),
            );
            refused
        };
        answer::set_header(&mut response, "ratelimit-limit", &verdict.limit.to_string());
        answer::set_header(
            &mut response,
            "ratelimit-remaining",
            &verdict.remaining.to_string(),
        );
        // Seconds left, as on the wire, though an old page calls it a time.
        answer::set_header(
            &mut response,
            "ratelimit-reset",
            &verdict.seconds_left(now_ms).to_string(),
        );
        response
    } else {
        error(401, "Unauthorized")
    };
    let id = format!("api-local/{}", cloud.state.ids.base32(12));
    answer::set_header(&mut response, "render-request-id", &id);
    answer::set_header(&mut response, "vary", "Origin");
    answer::set_header(&mut response, "referrer-policy", "same-origin");
    answer::set_header(&mut response, "x-content-type-options", "nosniff");
    answer::set_header(&mut response, "x-frame-options", "DENY");
    answer::set_header(&mut response, "x-xss-protection", "1; mode=block");
    response
}

/// An error in Render's shape.
pub(super) fn error(status: u16, message: &str) -> Response<Vec<u8>> {
    shape::answer(status, &json!({ "message": message }))
}

fn count(cloud: &mut Cloud, now_ms: i64, rest: &str, method: &Method) -> Verdict {
    let limits = &cloud.state.settings.rate_limits;
    let is_deploy = (method == Method::POST
        && [
            "/deploys",
            "/rollback",
            "/scale",
            "/restart",
            "/suspend",
            "/resume",
        ]
        .iter()
        .any(|end| rest.ends_with(end)))
        || method == Method::PATCH;
    let (bucket, limit) = if is_deploy {
        ("render-deploys", limits.render_deploys_per_min)
    } else if method == Method::GET {
        ("render-reads", limits.render_reads_per_min)
    } else {
        ("render-writes", limits.render_writes_per_min)
    };
    cloud.state.buckets.take(now_ms, bucket, limit)
}

fn route(
    cloud: &mut Cloud,
    now_ms: i64,
    rest: &str,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    let segments: Vec<&str> = rest.split('/').filter(|s| !s.is_empty()).collect();
    match (request.method(), segments.as_slice()) {
        (&Method::GET, ["users"]) => shape::answer(
            200,
            &json!({ "email": "local@localhost", "name": cloud.state.settings.project }),
        ),
        (&Method::GET, ["owners"]) => {
            let owner = shape::owner(cloud);
            shape::answer(
                200,
                &json!([{ "owner": owner, "cursor": shape::cursor(&cloud.state.render.owner_id) }]),
            )
        }
        (&Method::GET, ["owners", id]) if *id == cloud.state.render.owner_id => {
            shape::answer(200, &shape::owner(cloud))
        }
        (&Method::GET, ["services"]) => services(cloud, request),
        (_, ["services", id, tail @ ..]) => {
            if *id == cloud.state.render.id {
                service_route(cloud, now_ms, tail, request)
            } else {
                error(404, &format!("not found: {id}"))
            }
        }
        (&Method::GET, ["logs"]) => logs::list(cloud, now_ms, request),
        (&Method::GET, ["events", id]) => event(cloud, id),
        (&Method::GET, ["disks"]) => disks(cloud),
        (&Method::GET, ["disks", id]) if *id == cloud.state.render.disk_id => {
            match shape::whole_disk(cloud) {
                Some(disk) => shape::answer(200, &disk),
                None => error(404, &format!("not found: {id}")),
            }
        }
        (_, [.., last]) => error(404, &format!("not found: {last}")),
        _ => error(404, "not found"),
    }
}

fn service_route(
    cloud: &mut Cloud,
    now_ms: i64,
    tail: &[&str],
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    match (request.method(), tail) {
        (&Method::GET, []) => shape::answer(200, &shape::service(cloud)),
        (&Method::GET, ["deploys"]) => deploys::list(cloud, now_ms, request),
        (&Method::POST, ["deploys"]) => deploys::trigger(cloud, now_ms, request),
        (&Method::GET, ["deploys", id]) => deploys::get(cloud, id),
        (&Method::POST, ["deploys", id, "cancel"]) => deploys::cancel(cloud, now_ms, id),
        (&Method::POST, ["rollback"]) => deploys::rollback(cloud, now_ms, request),
        (&Method::GET, ["events"]) => events(cloud, request),
        (&Method::GET, ["instances"]) => instances(cloud),
        (&Method::GET, ["env-vars"]) => env_vars(cloud),
        (_, [.., last]) => error(404, &format!("not found: {last}")),
        _ => error(404, "not found"),
    }
}

/// The name filter matches a part, so callers have to compare for themselves.
fn services(cloud: &Cloud, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
    let query = answer::query(request);
    let (state, name) = (&cloud.state.render, &cloud.state.settings.service.name);
    let found = param(&query, "name").is_none_or(|wanted| name.contains(wanted))
        && param(&query, "ownerId").is_none_or(|wanted| wanted == state.owner_id)
        && param(&query, "type").is_none_or(|wanted| wanted == "web_service")
        && param(&query, "cursor").is_none();
    let one = found
        .then(|| json!({ "service": shape::service(cloud), "cursor": shape::cursor(&state.id) }));
    shape::answer(200, &Value::Array(one.into_iter().collect()))
}

fn disks(cloud: &Cloud) -> Response<Vec<u8>> {
    let one = shape::whole_disk(cloud)
        .map(|disk| json!({ "disk": disk, "cursor": shape::cursor(&cloud.state.render.disk_id) }));
    shape::answer(200, &Value::Array(one.into_iter().collect()))
}

fn instances(cloud: &Cloud) -> Response<Vec<u8>> {
    let state = &cloud.state.render;
    let all: Vec<Value> = state
        .instances
        .iter()
        .filter(|i| i.port.is_some())
        .map(|i| json!({ "id": i.id, "createdAt": crate::time::rfc3339(state.updated_ms) }))
        .collect();
    shape::answer(200, &Value::Array(all))
}

fn env_vars(cloud: &Cloud) -> Response<Vec<u8>> {
    let all = cloud.state.settings.service.env.iter();
    let all = all
        .map(|(k, v)| json!({ "envVar": { "key": k, "value": v }, "cursor": shape::cursor(k) }))
        .collect();
    shape::answer(200, &Value::Array(all))
}

fn event(cloud: &Cloud, id: &str) -> Response<Vec<u8>> {
    match cloud.state.render.events.iter().find(|e| e.id == id) {
        Some(event) => shape::answer(200, &shape::event(&cloud.state.render.id, event)["event"]),
        None => error(404, &format!("not found: {id}")),
    }
}

/// Newest first; filters by type and time.
fn events(cloud: &Cloud, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
    let query = answer::query(request);
    let (types, state) = (answer::params(&query, "type"), &cloud.state.render);
    let (Some(after_ms), Some(before_ms)) = (
        param(&query, "startTime").map_or(Some(i64::MIN), crate::time::parse),
        param(&query, "endTime").map_or(Some(i64::MAX), crate::time::parse),
    ) else {
        return error(400, "startTime and endTime must be RFC 3339");
    };
    let found: Vec<_> = state
        .events
        .iter()
        .rev()
        .filter(|e| types.is_empty() || types.contains(&e.kind.as_str()))
        .filter(|e| e.at_ms >= after_ms && e.at_ms <= before_ms)
        .collect();
    deploys::page(&query, &found, |e| &e.id, |e| shape::event(&state.id, e))
}
