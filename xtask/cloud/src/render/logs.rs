//! The service's log: bounded, kept with the state, queried by time.

use http::{Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::{self, param, params};
use crate::core::Cloud;
use crate::ids::{DeployId, InstanceId};
use crate::time;

use super::ServiceState;
use super::routes::error;

/// Lines kept, and the longest a line may be, in bytes.
const LINES_KEPT: usize = 4_000;
const LINE_MAX: usize = 4_096;

/// One line.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct LogLine {
    pub(crate) id: u64,
    pub(crate) at_ms: i64,
    /// `app` or `build`.
    pub(crate) kind: String,
    pub(crate) deploy: Option<DeployId>,
    pub(crate) instance: Option<InstanceId>,
    pub(crate) text: String,
}

impl ServiceState {
    pub(crate) fn push_log(
        &mut self,
        now_ms: i64,
        deploy: Option<DeployId>,
        instance: Option<InstanceId>,
        text: &str,
    ) {
        let id = self.log.back().map_or(1, |l| l.id + 1);
        let kind = if instance.is_some() { "app" } else { "build" };
        let end = text.floor_char_boundary(LINE_MAX);
        let text = text[..end].to_owned();
        self.log.push_back(LogLine {
            id,
            at_ms: now_ms,
            kind: kind.to_owned(),
            deploy,
            instance,
            text,
        });
        if self.log.len() > LINES_KEPT {
            self.log.pop_front();
        }
    }
}

/// `GET /logs`: the owner and at least one resource are required.
pub(super) fn list(cloud: &Cloud, now_ms: i64, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
    let query = answer::query(request);
    let service = &cloud.state.render;
    let Some(owner) = param(&query, "ownerId") else {
        return error(400, "ownerId is required");
    };
    let resources = params(&query, "resource");
    if resources.is_empty() {
        return error(400, "resource is required");
    }
    if owner != service.owner_id {
        return error(404, &format!("not found: {owner}"));
    }
    let Some(limit) = param(&query, "limit")
        .map_or(Some(20), |l| l.parse::<usize>().ok())
        .filter(|l| (1..=100).contains(l))
    else {
        return error(400, "limit must be between 1 and 100");
    };
    let (Some(start_ms), Some(end_ms)) = (
        time_param(&query, "startTime", now_ms - 3_600_000),
        time_param(&query, "endTime", now_ms),
    ) else {
        return error(400, "startTime and endTime must be RFC 3339");
    };
    let (kinds, instances, texts) = (
        params(&query, "type"),
        params(&query, "instance"),
        params(&query, "text"),
    );
    let is_wanted = |line: &&LogLine| {
        resources.contains(&service.id.as_str())
            && line.at_ms >= start_ms
            && line.at_ms <= end_ms
            && (kinds.is_empty() || kinds.contains(&line.kind.as_str()))
            && (instances.is_empty()
                || line
                    .instance
                    .as_ref()
                    .is_some_and(|i| instances.contains(&i.as_str())))
            && (texts.is_empty() || texts.iter().any(|t| line.text.contains(t)))
    };
    let mut found: Vec<&LogLine> = service.log.iter().filter(is_wanted).collect();
    let forward = param(&query, "direction") == Some("forward");
    if !forward {
        found.reverse();
    }
    let has_more = found.len() > limit;
    found.truncate(limit);
    // The next page starts where this one ended, in the direction of travel.
    let edge_ms = found
        .last()
        .map_or(if forward { end_ms } else { start_ms }, |l| l.at_ms);
    let (next_start, next_end) = if forward {
        (edge_ms, end_ms)
    } else {
        (start_ms, edge_ms)
    };
    let lines: Vec<Value> = found
        .into_iter()
        .map(|line| line_json(service, line))
        .collect();
    let body = json!({
        "hasMore": has_more,
        "nextStartTime": time::rfc3339(next_start),
        "nextEndTime": time::rfc3339(next_end),
        "logs": lines,
    });
    super::json::answer(200, &body)
}

fn time_param(query: &[(String, String)], name: &str, otherwise: i64) -> Option<i64> {
    param(query, name).map_or(Some(otherwise), time::parse)
}

fn line_json(service: &ServiceState, line: &LogLine) -> Value {
    let mut labels = vec![
        json!({ "name": "resource", "value": service.id }),
        json!({ "name": "type", "value": line.kind }),
        json!({ "name": "level", "value": "info" }),
    ];
    if let Some(instance) = &line.instance {
        labels.push(json!({ "name": "instance", "value": instance }));
    }
    json!({ "id": format!("log-{:020}", line.id), "message": line.text, "timestamp": time::rfc3339(line.at_ms), "labels": labels })
}
