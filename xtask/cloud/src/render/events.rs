//! The service's events: the only place where the API says why a deploy failed.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ids::{DeployId, InstanceId};

use super::ServiceState;

/// Events kept.
const KEPT: usize = 2_000;

/// One event, with its details as the API shows them.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) at_ms: i64,
    pub(crate) kind: String,
    pub(crate) details: Value,
}

/// Why a deploy, build or process ended badly.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) enum Failure {
    /// Exit code other than 0.
    NonZeroExit(i32),
    /// It ended, by itself with code 0 or by a signal, though it should run on.
    EarlyExit,
    /// It ran, but its health check failed.
    Unhealthy(String),
    /// Nothing listened before the window ended.
    TimedOut { seconds: i64, reason: String },
    /// The build gave no artifacts.
    BuildFailed,
    /// Another deploy took its place.
    NewDeploy(DeployId),
    /// A person or tool cancelled it.
    Canceled,
}

impl Failure {
    /// What an exit code means for a process that should not have ended.
    pub(crate) const fn exit(code: Option<i32>) -> Self {
        match code {
            Some(code) if code != 0 => Self::NonZeroExit(code),
            _ => Self::EarlyExit,
        }
    }

    fn process_json(&self) -> Value {
        match self {
            Self::NonZeroExit(code) => json!({ "evicted": false, "nonZeroExit": code }),
            Self::EarlyExit => json!({ "evicted": false, "earlyExit": true }),
            Self::Unhealthy(detail) => json!({ "evicted": false, "unhealthy": detail }),
            Self::TimedOut { seconds, reason } => {
                json!({ "evicted": false, "timedOutSeconds": seconds, "timedOutReason": reason })
            }
            Self::BuildFailed | Self::NewDeploy(_) | Self::Canceled => json!({ "evicted": false }),
        }
    }

    fn json(&self, build_id: &str) -> Value {
        match self {
            Self::BuildFailed => json!({ "buildFailed": { "id": build_id } }),
            Self::NewDeploy(id) => json!({ "newDeploy": { "id": id } }),
            Self::Canceled => json!({}),
            other => json!({ "failure": other.process_json() }),
        }
    }

    const fn outcome(&self) -> (&'static str, u8) {
        match self {
            Self::NewDeploy(_) | Self::Canceled => ("canceled", 4),
            _ => ("failed", 3),
        }
    }
}

/// The three ends a step can have: word, deprecated number, reason.
fn ended(build_id: &str, failure: Option<&Failure>) -> (&'static str, u8, Value) {
    failure.map_or_else(
        || ("succeeded", 2, json!({})),
        |f| {
            let (word, number) = f.outcome();
            (word, number, f.json(build_id))
        },
    )
}

/// A build's id follows from its deploy's.
fn build_id(deploy: &DeployId) -> String {
    format!("bld-{}", deploy.as_str().trim_start_matches("dep-"))
}

fn trigger_json(trigger: &str, commit: Option<&str>, rollback_of: Option<&DeployId>) -> Value {
    let mut value = json!({
        "firstBuild": false,
        "envUpdated": trigger == "service_updated",
        "manual": trigger == "manual" || trigger == "api",
        "deployedByRender": trigger == "deployed_by_render",
        "clearCache": false,
        "rollback": trigger == "rollback",
    });
    if let Some(commit) = commit {
        value["newCommit"] = json!(commit);
    }
    if let Some(target) = rollback_of.filter(|_| trigger == "rollback") {
        value["rollbackTargetDeployId"] = json!(target);
    }
    value
}

impl ServiceState {
    fn push_event(&mut self, now_ms: i64, kind: &str, details: Value) {
        // Derived from the count, so that recording an event draws no id of anything else.
        let number = self
            .events
            .back()
            .and_then(|e| u64::from_str_radix(&e.id[4..], 36).ok())
            .unwrap_or(0)
            + 1;
        let id = format!("evt-{:0>20}", to_base36(number));
        self.events.push_back(Event {
            id,
            at_ms: now_ms,
            kind: kind.to_owned(),
            details,
        });
        if self.events.len() > KEPT {
            self.events.pop_front();
        }
    }

    pub(crate) fn build_started(&mut self, now_ms: i64, deploy: &DeployId) {
        let Some(d) = self.deploy(deploy.as_str()) else {
            return;
        };
        let trigger = trigger_json(
            &d.trigger,
            d.commit.as_ref().map(|c| c.id.as_str()),
            d.reuses.as_ref(),
        );
        self.push_event(
            now_ms,
            "build_started",
            json!({ "buildId": build_id(deploy), "trigger": trigger }),
        );
    }

    pub(crate) fn build_ended(
        &mut self,
        now_ms: i64,
        deploy: &DeployId,
        failure: Option<&Failure>,
    ) {
        let id = build_id(deploy);
        // A build that failed by itself says how its command ended, not that the build failed.
        let (word, number, mut reason) = ended(&id, failure);
        if failure == Some(&Failure::BuildFailed) {
            reason = json!({ "failure": { "evicted": false } });
        }
        let details =
            json!({ "buildId": id, "status": number, "buildStatus": word, "reason": reason });
        self.push_event(now_ms, "build_ended", details);
    }

    pub(crate) fn deploy_started(&mut self, now_ms: i64, deploy: &DeployId) {
        let Some(d) = self.deploy(deploy.as_str()) else {
            return;
        };
        let trigger = trigger_json(
            &d.trigger,
            d.commit.as_ref().map(|c| c.id.as_str()),
            d.reuses.as_ref(),
        );
        self.push_event(
            now_ms,
            "deploy_started",
            json!({ "deployId": deploy, "trigger": trigger }),
        );
    }

    pub(crate) fn deploy_ended(
        &mut self,
        now_ms: i64,
        deploy: &DeployId,
        failure: Option<&Failure>,
    ) {
        let (word, number, reason) = ended(&build_id(deploy), failure);
        let details =
            json!({ "deployId": deploy, "status": number, "deployStatus": word, "reason": reason });
        self.push_event(now_ms, "deploy_ended", details);
    }

    pub(crate) fn pre_deploy_started(&mut self, now_ms: i64, deploy: &DeployId) {
        let details = json!({ "deployCommandExecutionId": format!("dce-{}", &deploy.as_str()[4..]), "deployId": deploy });
        self.push_event(now_ms, "pre_deploy_started", details);
    }

    pub(crate) fn pre_deploy_ended(
        &mut self,
        now_ms: i64,
        deploy: &DeployId,
        failure: Option<&Failure>,
    ) {
        let (word, number, reason) = ended(&build_id(deploy), failure);
        let details = json!({
            "deployCommandExecutionId": format!("dce-{}", &deploy.as_str()[4..]),
            "deployId": deploy,
            "status": number,
            "preDeployStatus": word,
            "reason": reason,
        });
        self.push_event(now_ms, "pre_deploy_ended", details);
    }

    pub(crate) fn server_failed(&mut self, now_ms: i64, instance: &InstanceId, failure: &Failure) {
        let details = json!({ "instanceID": instance, "reason": failure.process_json() });
        self.push_event(now_ms, "server_failed", details);
    }

    pub(crate) fn server_available(&mut self, now_ms: i64, instance: &InstanceId) {
        self.push_event(
            now_ms,
            "server_available",
            json!({ "instanceID": instance }),
        );
    }
}

fn to_base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        let digit = u32::try_from(number % 36).unwrap_or(0);
        digits.push(char::from_digit(digit, 36).unwrap_or('0'));
        number /= 36;
    }
    digits.iter().rev().collect()
}
