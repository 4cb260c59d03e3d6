//! The JSON shapes of Render's API, with the nulls seen on the wire and a line end after each body.

use http::Response;
use serde_json::{Value, json};

use crate::core::Cloud;
use crate::time::rfc3339;

use super::{Deploy, Event};

/// A JSON answer as Render sends it.
pub(super) fn answer(status: u16, body: &Value) -> Response<Vec<u8>> {
    let mut response = crate::answer::json(status, body);
    response.body_mut().push(b'\n');
    response
}

/// A deploy. `commit` and `finishedAt` are null rather than absent, `startedAt` absent rather than null.
pub(super) fn deploy(d: &Deploy) -> Value {
    let commit = d.commit.as_ref().map(|c| {
        let mut value = json!({ "id": c.id, "message": c.message });
        if let Some(at_ms) = c.created_ms {
            value["createdAt"] = json!(rfc3339(at_ms));
        }
        value
    });
    let mut value = json!({
        "id": d.id,
        "commit": commit,
        "status": d.status.as_str(),
        "trigger": d.trigger,
        "createdAt": rfc3339(d.created_ms),
        "updatedAt": rfc3339(d.updated_ms),
        "finishedAt": d.finished_ms.map(rfc3339),
    });
    if let Some(at_ms) = d.started_ms {
        value["startedAt"] = json!(rfc3339(at_ms));
    }
    value
}

/// An event with its cursor.
pub(super) fn event(service_id: &str, e: &Event) -> Value {
    let event = json!({
        "id": e.id,
        "timestamp": rfc3339(e.at_ms),
        "serviceId": service_id,
        "type": e.kind,
        "details": e.details,
    });
    json!({ "event": event, "cursor": cursor(&e.id) })
}

/// Cursors are opaque to clients.
pub(super) fn cursor(id: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id)
}

/// The service.
pub(super) fn service(cloud: &Cloud) -> Value {
    let (state, settings) = (&cloud.state.render, &cloud.state.settings.service);
    let mut details = json!({
        "buildPlan": "starter",
        "env": "rust",
        "envSpecificDetails": {
            "buildCommand": settings.build_command,
            "startCommand": settings.start_command,
            "preDeployCommand": settings.pre_deploy_command,
        },
        "healthCheckPath": settings.health_check_path,
        "maintenanceMode": { "enabled": false, "uri": "" },
        "maxShutdownDelaySeconds": settings.max_shutdown_delay_s,
        "numInstances": 1,
        "openPorts": open_ports(cloud),
        "plan": settings.plan,
        "previews": { "generation": "off" },
        "pullRequestPreviewsEnabled": "no",
        "region": "oregon",
        "runtime": "rust",
        "sshAddress": format!("{}@localhost", state.id),
        "url": cloud.endpoints.service_url,
    });
    if let Some(disk) = disk(cloud) {
        details["disk"] = disk;
    }
    json!({
        "id": state.id,
        "autoDeploy": "no",
        "autoDeployTrigger": "off",
        "branch": "main",
        "buildFilter": { "paths": settings.build_filter, "ignoredPaths": [] },
        "createdAt": rfc3339(state.created_ms),
        "dashboardUrl": format!("{}/dashboard/{}", cloud.endpoints.api_url, state.id),
        "name": settings.name,
        "notifyOnFail": "default",
        "ownerId": state.owner_id,
        "repo": format!("file://{}", cloud.state.settings.repo_dir.display()),
        "rootDir": "",
        "serviceDetails": details,
        "slug": settings.name,
        "suspended": "not_suspended",
        "suspenders": [],
        "type": "web_service",
        "updatedAt": rfc3339(state.updated_ms),
    })
}

fn open_ports(cloud: &Cloud) -> Value {
    let port = cloud
        .state
        .render
        .routed()
        .map(|(_, port)| json!({ "port": port, "protocol": "TCP" }));
    Value::Array(port.into_iter().collect())
}

/// The disk inside a service object.
pub(super) fn disk(cloud: &Cloud) -> Option<Value> {
    let disk = cloud.state.settings.service.disk.as_ref()?;
    Some(
        json!({ "id": cloud.state.render.disk_id, "name": disk.name, "mountPath": disk.mount_path, "sizeGB": 1 }),
    )
}

/// The workspace.
pub(super) fn owner(cloud: &Cloud) -> Value {
    json!({
        "id": cloud.state.render.owner_id,
        "name": cloud.state.settings.project,
        "email": "local@localhost",
        "type": "team",
    })
}

/// The disk as an object of its own, which says a little more.
pub(super) fn whole_disk(cloud: &Cloud) -> Option<Value> {
    let mut whole = disk(cloud)?;
    let state = &cloud.state.render;
    whole["serviceId"] = json!(state.id);
    whole["createdAt"] = json!(rfc3339(state.created_ms));
    whole["updatedAt"] = json!(rfc3339(state.updated_ms));
    Some(whole)
}
