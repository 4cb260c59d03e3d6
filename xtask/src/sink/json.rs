//! For programs: events one per line, and the documents of `deploy --json` and `plan --json`. Keys are a contract: they may be
//! added, none is renamed.

use super::clean;
use crate::config::Config;
use crate::console::Console;
use crate::dispatch::Sink;
use crate::event::{Event, LaneDecision, LaneState, Step};
use crate::exit::Exit;
use crate::ids::{Commit, DeployId, EnvironmentName, Lane, ReleaseId, RunId};
use crate::plan::{Facts, Pending, Plan, Remarks};
use crate::run::Ended;
use crate::state::{LaneStatus, RunState};
use serde::Serialize;
use serde_json::json;

/// Every event as one JSON document per line on standard error.
pub fn ndjson(console: Console) -> Box<dyn Sink> {
    Box::new(Ndjson(console))
}

struct Ndjson(Console);

impl Sink for Ndjson {
    fn event(&mut self, event: &Event, _: &RunState) {
        // An event is made of texts and numbers; that cannot fail.
        if let Ok(line) = serde_json::to_string(event) {
            self.0.err(&defuse(&line));
        }
    }
}

#[derive(Serialize)]
struct DeployDocument<'a> {
    outcome: &'a str,
    exit_code: u8,
    environment: Option<&'a EnvironmentName>,
    run: Option<&'a RunId>,
    release: Option<&'a ReleaseId>,
    commit: Option<&'a Commit>,
    lanes: Vec<LaneDocument<'a>>,
    duration_ms: u64,
    critical_path_ms: u64,
    reason: String,
    failed_step: Option<FailedStep<'a>>,
    warnings: &'a [String],
    next: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct LaneDocument<'a> {
    lane: Lane,
    run: bool,
    reason: &'a str,
    state: LaneState,
    deploy_id: Option<&'a DeployId>,
    url: Option<&'a str>,
}

#[derive(Serialize)]
struct FailedStep<'a> {
    step: Step,
    /// The same in words.
    title: &'static str,
    reason: &'a str,
}

/// The document of `deploy --json`.
pub fn deploy(ended: &Ended, state: &RunState) -> String {
    let exit = ended.verdict.exit;
    let done = exit == Exit::Done;
    let plan = ended.plan.as_ref();
    let mut lanes: Vec<LaneDocument<'_>> = state.lanes.values().map(lane).collect();
    if lanes.is_empty() {
        lanes = plan
            .map(|plan| plan.lanes.iter().map(decided).collect())
            .unwrap_or_default();
    }
    document(&DeployDocument {
        outcome: if ended.nothing_to_do {
            "nothing_to_do"
        } else {
            exit.outcome()
        },
        exit_code: if ended.nothing_to_do {
            Exit::Done.code()
        } else {
            exit.code()
        },
        environment: state
            .environment
            .as_ref()
            .or_else(|| plan.map(|plan| &plan.environment)),
        run: ended.run.as_ref(),
        release: ended.verdict.release.as_ref(),
        commit: state
            .commit
            .as_ref()
            .or_else(|| plan.map(|plan| &plan.commit)),
        lanes,
        duration_ms: state.elapsed_ms,
        critical_path_ms: state.critical_path().1,
        reason: ended.verdict.reason.clone(),
        failed_step: state.failed_step().map(|(step, status)| FailedStep {
            step,
            title: step.title(),
            reason: &status.detail,
        }),
        warnings: &state.warnings,
        next: &state.next,
        error: (!done).then(|| ended.verdict.reason.clone()),
    })
}

/// The document of a `deploy --json` that could not begin.
pub fn failure(exit: Exit, text: &str) -> String {
    document(&DeployDocument {
        outcome: exit.outcome(),
        exit_code: exit.code(),
        environment: None,
        run: None,
        release: None,
        commit: None,
        lanes: Vec::new(),
        duration_ms: 0,
        critical_path_ms: 0,
        reason: text.to_owned(),
        failed_step: None,
        warnings: &[],
        next: &[],
        error: Some(text.to_owned()),
    })
}

fn lane(status: &LaneStatus) -> LaneDocument<'_> {
    LaneDocument {
        state: status.state,
        deploy_id: status.deploy_id.as_ref(),
        url: status.url.as_deref(),
        ..decided(&status.decision)
    }
}

fn decided(decision: &LaneDecision) -> LaneDocument<'_> {
    LaneDocument {
        lane: decision.lane,
        run: decision.run,
        reason: &decision.reason,
        state: if decision.run {
            LaneState::Planned
        } else {
            LaneState::Unchanged
        },
        deploy_id: None,
        url: None,
    }
}

#[derive(Serialize)]
struct PlanDocument<'a> {
    environment: &'a EnvironmentName,
    commit: &'a Commit,
    subject: &'a str,
    parent: Option<&'a ReleaseId>,
    reversible: bool,
    reversible_because: &'a str,
    lanes: &'a [LaneDecision],
    migrations: &'a [Pending],
    unselected: &'a [String],
    refusals: &'a [String],
    warnings: &'a [String],
}

/// The document of `plan --json`.
pub fn plan(plan: &Plan, facts: &Facts, remarks: &Remarks) -> String {
    document(&PlanDocument {
        environment: &plan.environment,
        commit: &plan.commit,
        subject: &plan.subject,
        parent: plan.parent.as_ref(),
        reversible: plan.reversible,
        reversible_because: &plan.reversible_because,
        lanes: &plan.lanes,
        migrations: &plan.migrations,
        unselected: &facts.unselected,
        refusals: &remarks.refusals,
        warnings: &remarks.warnings,
    })
}

/// The work before a release as a job matrix for GitHub Actions: the checks and the frontend's build. The line can be appended to
/// `$GITHUB_OUTPUT`; with nothing to do there is no job in it, and whoever uses it must not start a matrix then.
pub fn github_matrix(plan: &Plan, config: &Config) -> String {
    let minutes = |seconds: u64| seconds.div_ceil(60).max(1);
    let mut jobs = Vec::new();
    if !plan.is_empty() {
        jobs.extend(config.checks.iter().map(|check| {
            json!({ "kind": "check", "name": check.name, "run": check.run, "timeout_minutes": minutes(check.timeout_s) })
        }));
    }
    if let Some(build) = config
        .frontend
        .build
        .as_ref()
        .filter(|_| plan.runs(Lane::Frontend))
    {
        jobs.push(json!({
            "kind": "prepare", "name": "frontend", "run": build, "timeout_minutes": minutes(config.frontend.build_timeout_s),
            "artifact": config.frontend.publish,
        }));
    }
    defuse(&json!({ "include": jobs }).to_string())
}

fn document(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value);
    defuse(&text.unwrap_or_else(|error| {
        format!(
            "{{\"error\": \"{}\"}}",
            clean::line(&error.to_string()).replace('"', "'")
        )
    }))
}

/// GitHub's runner reads these documents as well, and obeys `##[command]` wherever it stands. In JSON a number sign can only
/// stand in a text, where a bracket may be written as an escape.
fn defuse(json: &str) -> String {
    json.replace("##[", "##\\u005b")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;
    use insta::assert_snapshot;
    use serde_json::Value;

    #[test]
    fn released() {
        let told = sample::released();
        assert_snapshot!(deploy(&told.ended, &told.state), @r#"
        {
          "outcome": "released",
          "exit_code": 0,
          "environment": "production",
          "run": "20261123T170102Z-1a2b3c4-9f3c",
          "release": "20261123T170102Z-1a2b3c4-9f3c",
          "commit": "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d",
          "lanes": [
            {
              "lane": "frontend",
              "run": true,
              "reason": "frontend/js/main.js modified and 1 more",
              "state": "verified",
              "deploy_id": "65f0c0ffee65f0c0ffee65f0",
              "url": "https://shop.example"
            },
            {
              "lane": "backend",
              "run": true,
              "reason": "backend/src/main.rs modified and 1 more",
              "state": "verified",
              "deploy_id": "dep-9",
              "url": "https://shop-api.onrender.com"
            }
          ],
          "duration_ms": 13526,
          "critical_path_ms": 13478,
          "reason": "frontend and backend of 1a2b3c4 are live and verified",
          "failed_step": null,
          "warnings": [],
          "next": [
            "cargo xtask status --prod",
            "cargo xtask rollback --prod"
          ]
        }
        "#);
    }

    #[test]
    fn a_failure_names_its_step() {
        let told = sample::check_failed();
        let value: Value = serde_json::from_str(&deploy(&told.ended, &told.state)).unwrap();
        assert_eq!(
            (&value["outcome"], &value["exit_code"]),
            (&"failed_unchanged".into(), &4.into())
        );
        assert_eq!(value["failed_step"]["step"], "checks");
        assert_eq!(value["error"], value["reason"]);
        assert_eq!(
            value["next"],
            serde_json::json!(["cargo xtask history --prod", "cargo xtask deploy --prod"])
        );
    }

    #[test]
    fn nothing_to_do_is_an_outcome() {
        let told = sample::released();
        let ended = Ended {
            nothing_to_do: true,
            ..told.ended
        };
        let value: Value = serde_json::from_str(&deploy(&ended, &RunState::default())).unwrap();
        assert_eq!(
            (&value["outcome"], &value["exit_code"]),
            (&"nothing_to_do".into(), &0.into())
        );
    }

    #[test]
    fn a_plan() {
        let facts = sample::facts(&[], &["README.md"]);
        let mut value = sample::planned(&facts, true, false);
        value.migrations.push(Pending {
            name: "0003_add_region.sql".to_owned(),
            compatible: true,
        });
        assert_snapshot!(plan(&value, &facts, &Remarks::default()), @r#"
        {
          "environment": "production",
          "commit": "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d",
          "subject": "Show revenue by region",
          "parent": "20261120T090000Z-0f0f0f0-0001",
          "reversible": true,
          "reversible_because": "no migration is pending",
          "lanes": [
            {
              "lane": "frontend",
              "run": true,
              "reason": "frontend/js/main.js modified and 1 more",
              "added": [
                "frontend/js/chart.js"
              ],
              "modified": [
                "frontend/js/main.js"
              ],
              "deleted": [
                "frontend/js/old.js"
              ],
              "type_changed": [],
              "rule": "frontend/**",
              "identity": ""
            },
            {
              "lane": "backend",
              "run": false,
              "reason": "its 12 files are those of the live release 20261120T090000Z-0f0f0f0-0001",
              "added": [],
              "modified": [],
              "deleted": [],
              "type_changed": [],
              "rule": null,
              "identity": ""
            }
          ],
          "migrations": [
            {
              "name": "0003_add_region.sql",
              "compatible": true
            }
          ],
          "unselected": [
            "README.md"
          ],
          "refusals": [],
          "warnings": []
        }
        "#);
    }

    #[test]
    fn what_could_not_begin() {
        assert_snapshot!(failure(Exit::Usage, "deploy.toml:3:1: unknown key"), @r#"
        {
          "outcome": "refused",
          "exit_code": 2,
          "environment": null,
          "run": null,
          "release": null,
          "commit": null,
          "lanes": [],
          "duration_ms": 0,
          "critical_path_ms": 0,
          "reason": "deploy.toml:3:1: unknown key",
          "failed_step": null,
          "warnings": [],
          "next": [],
          "error": "deploy.toml:3:1: unknown key"
        }
        "#);
    }

    #[test]
    fn nothing_in_a_document_is_a_command() {
        let told = sample::hostile();
        let text = deploy(&told.ended, &told.state);
        assert!(!text.contains("##[") && !text.contains('\u{1b}'), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["reason"], told.ended.verdict.reason);
    }
}
