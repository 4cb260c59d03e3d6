//! `/_cloud/…`: how tests and the command line steer and inspect a running cloud. Not part of either provider's API.

use http::{Method, Request, Response};
use serde_json::{Value, json};

use crate::answer;
use crate::core::Cloud;
use crate::fault::Fault;
use crate::settings::Settings;

pub(crate) fn handle(
    cloud: &mut Cloud,
    _now_ms: i64,
    rest: &str,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    if rest == "ready" && request.method() == Method::GET {
        return answer::json(
            200,
            &json!({ "project": cloud.settings().project, "pid": std::process::id() }),
        );
    }
    if !answer::has_bearer(request, &cloud.secrets.control_token) {
        return error(
            401,
            "the control token is missing or wrong; it is kept in the cloud's state folder",
        );
    }
    match (request.method(), rest) {
        (&Method::GET, "status") => answer::json(200, &status(cloud)),
        (&Method::GET, "settings") => answer::json(
            200,
            &serde_json::to_value(cloud.settings()).unwrap_or_default(),
        ),
        (&Method::POST, "settings") => match serde_json::from_slice::<Settings>(request.body()) {
            Ok(settings) => {
                cloud.set_settings(settings);
                answer::json(200, &json!({}))
            }
            Err(cause) => error(400, &format!("not settings: {cause}")),
        },
        (&Method::GET, "faults") => answer::json(200, &json!(cloud.state.faults)),
        (&Method::POST, "faults") => add_faults(cloud, request.body()),
        (&Method::DELETE, "faults") => {
            cloud.clear_faults();
            answer::json(200, &json!([]))
        }
        (&Method::GET, "requests") => answer::json(200, &json!(cloud.state.requests)),
        (&Method::DELETE, "requests") => {
            cloud.state.requests.clear();
            answer::json(200, &json!([]))
        }
        (&Method::GET, "slack") => answer::json(200, &json!(cloud.slack_messages())),
        (&Method::GET, "logs") => answer::json(200, &json!(cloud.state.render.logs())),
        _ => error(
            404,
            "no such control call; there are status, settings, faults, requests, slack and logs",
        ),
    }
}

fn error(status: u16, message: &str) -> Response<Vec<u8>> {
    answer::json(status, &json!({ "message": message }))
}

/// One fault or an array of them.
fn add_faults(cloud: &mut Cloud, body: &[u8]) -> Response<Vec<u8>> {
    let parsed = serde_json::from_slice::<Value>(body).and_then(|value| match value {
        Value::Array(_) => serde_json::from_value::<Vec<Fault>>(value),
        one => serde_json::from_value::<Fault>(one).map(|f| vec![f]),
    });
    match parsed {
        Ok(faults) if faults.iter().any(|f| !f.has_valid_path()) => {
            error(400, "a fault's path is not a valid glob")
        }
        Ok(faults) => {
            for fault in faults {
                cloud.add_fault(fault);
            }
            answer::json(201, &json!(cloud.state.faults))
        }
        Err(cause) => error(400, &format!("not a fault: {cause}")),
    }
}

fn status(cloud: &Cloud) -> Value {
    json!({
        "project": cloud.settings().project,
        "endpoints": cloud.endpoints,
        "site_id": cloud.site_id(),
        "service_id": cloud.service_id(),
        "published_deploy": cloud.state.netlify.published,
        "live_deploy": cloud.state.render.live,
        "instance": cloud.routed().map(|(instance, port)| json!({ "id": instance, "port": port })),
    })
}
