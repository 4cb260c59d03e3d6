//! The plan: a pure function of the configuration and of what was read. It leaves the executor no choices.

use crate::changes::manifest::{Change, Manifest, Status};
use crate::contract::{Contract, Standing};
use crate::event::{LaneDecision, Step};
use crate::ids::{Commit, DeployId, EnvironmentName, Lane, ReleaseId};
use crate::live::Live;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The reason of a lane that `--only` leaves out: nothing is said of whether it differs.
pub const NOT_ASKED_FOR: &str = "not asked for (--only)";

/// Everything that planning needs to know; read once, by [`crate::snapshot`].
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where to.
    pub environment: EnvironmentName,
    /// What would be released.
    pub commit: Commit,
    /// First line of its message.
    pub subject: String,
    /// Paths of a dirty tree that the commit is a snapshot of.
    pub dirty: Vec<String>,
    /// What each lane would consist of.
    pub manifests: BTreeMap<Lane, Manifest>,
    /// For each lane with a live manifest, the differences that its filter selects.
    pub changes: BTreeMap<Lane, Vec<Change>>,
    /// For each lane with differences, the rule that the first one meets.
    pub rules: BTreeMap<Lane, String>,
    /// What the live record says.
    pub live: Option<Live>,
    /// What the providers say is live.
    pub deployed: BTreeMap<Lane, DeployId>,
    /// How the halves answer that are live as recorded.
    pub answering: BTreeMap<Lane, Standing>,
    /// What the service is judged by after this release.
    pub contract: Contract,
    /// The migrations that the commit brings and the live database has not.
    pub pending: Vec<Pending>,
    /// Whether the live schema could be read; if not, `pending` is a guess from the live record.
    pub schema_known: bool,
    /// Whether the schema can be asked for after the release: the service has administration endpoints, or may have.
    pub asks_schema: bool,
    /// The commit's checks, by name: lanes of nothing but skipped work need none.
    pub checks: Vec<String>,
    /// Tracked files that belong to no lane and are not ignored.
    pub unselected: Vec<String>,
    /// Whether the frontend has a build command.
    pub frontend_builds: bool,
    /// Whether the backend has migrations.
    pub backend_migrates: bool,
    /// The lanes that are looked at from outside once they are public.
    pub smoke: Vec<Lane>,
    /// Whether there is a bake.
    pub bakes: bool,
    /// How the published folder differs from what was sent of it, where nothing is built into it.
    pub unsent: Option<String>,
}

/// One migration that a release would apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// File name.
    pub name: String,
    /// Whether the version that is live now can run on the schema afterwards.
    pub compatible: bool,
}

/// What the caller asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Only these lanes; empty: all.
    pub only: Vec<Lane>,
    /// Run lanes even when nothing differs.
    pub force: bool,
}

/// What will be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where to.
    pub environment: EnvironmentName,
    /// What.
    pub commit: Commit,
    /// First line of its message.
    pub subject: String,
    /// The release that it starts from.
    pub parent: Option<ReleaseId>,
    /// One entry per lane.
    pub lanes: Vec<LaneDecision>,
    /// Whether the backend can be rolled back afterwards.
    pub reversible: bool,
    /// Why, or why not.
    pub reversible_because: String,
    /// Migrations that it brings.
    pub migrations: Vec<Pending>,
    /// What the service is judged by.
    pub contract: Contract,
    /// The steps, in order of display.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Whether the lane runs.
    pub fn runs(&self, lane: Lane) -> bool {
        self.lanes
            .iter()
            .any(|decision| decision.lane == lane && decision.run)
    }

    /// Whether anything runs.
    pub fn is_empty(&self) -> bool {
        !self.lanes.iter().any(|decision| decision.run)
    }
}

/// What is said of a plan before it is carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// Why a deploy would be refused, each reason.
    pub refusals: Vec<String>,
    /// What is only worth knowing.
    pub warnings: Vec<String>,
}

/// Decides what a release does.
pub fn plan(facts: &Facts, asked: &Asked) -> Plan {
    let lanes: Vec<LaneDecision> = Lane::ALL
        .into_iter()
        .map(|lane| decide(facts, asked, lane))
        .collect();
    let runs = |lane: Lane| {
        lanes
            .iter()
            .any(|decision| decision.lane == lane && decision.run)
    };
    let migrations = if runs(Lane::Backend) {
        facts.pending.clone()
    } else {
        Vec::new()
    };
    let (reversible, reversible_because) = reversible(facts, runs(Lane::Backend), &migrations);
    let steps = steps(facts, runs(Lane::Frontend), runs(Lane::Backend));
    Plan {
        environment: facts.environment.clone(),
        commit: facts.commit.clone(),
        subject: facts.subject.clone(),
        parent: facts.live.as_ref().map(|live| live.record.release.clone()),
        lanes,
        reversible,
        reversible_because,
        migrations,
        contract: facts.contract.clone(),
        steps,
    }
}

fn decide(facts: &Facts, asked: &Asked, lane: Lane) -> LaneDecision {
    let changes = facts
        .changes
        .get(&lane)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let (run, reason) = reason(facts, asked, lane, changes);
    let with = |wanted: &[Status]| {
        changes
            .iter()
            .filter(|change| wanted.contains(&change.status))
            .map(|change| change.path.clone())
            .collect()
    };
    // With nothing recorded as live every file is new.
    let added = if facts
        .live
        .as_ref()
        .is_some_and(|live| live.manifests.contains_key(&lane))
    {
        with(&[Status::Added])
    } else {
        facts
            .manifests
            .get(&lane)
            .map(|manifest| manifest.paths().map(Cow::into_owned).collect())
            .unwrap_or_default()
    };
    LaneDecision {
        lane,
        run,
        reason,
        added,
        modified: with(&[Status::Modified, Status::TypeChanged]),
        deleted: with(&[Status::Deleted]),
        type_changed: with(&[Status::TypeChanged]),
        rule: facts.rules.get(&lane).filter(|_| run).cloned(),
        identity: match lane {
            Lane::Frontend => "the published deploy, and the content that is served".to_owned(),
            Lane::Backend => facts.contract.rung.to_string(),
        },
    }
}

/// Unknown always means "run the lane", with the reason.
fn reason(facts: &Facts, asked: &Asked, lane: Lane, changes: &[Change]) -> (bool, String) {
    if !asked.only.is_empty() && !asked.only.contains(&lane) {
        return (false, NOT_ASKED_FOR.to_owned());
    }
    let forced = |reason: String| {
        if asked.force {
            (true, format!("forced; otherwise: {reason}"))
        } else {
            (false, reason)
        }
    };
    let Some(live) = &facts.live else {
        return (
            true,
            format!("nothing is recorded as live in {} yet", facts.environment),
        );
    };
    let Some(recorded) = live.record.lanes.get(&lane) else {
        return (
            true,
            format!(
                "this lane has not been released to {} yet",
                facts.environment
            ),
        );
    };
    if let Some(drift) = drift(&recorded.deploy_id, facts.deployed.get(&lane)) {
        return (true, drift);
    }
    if let Some(Standing::Ill(why)) = facts.answering.get(&lane) {
        return (true, format!("not as recorded: {why}"));
    }
    let (Some(old), Some(new)) = (live.manifests.get(&lane), facts.manifests.get(&lane)) else {
        return (
            true,
            "what the live release consists of is not known".to_owned(),
        );
    };
    let settings = new.settings_changed_from(old);
    if !settings.is_empty() {
        return (
            true,
            format!(
                "its configuration differs from the live release: {}",
                settings.join(", ")
            ),
        );
    }
    if let Some(first) = changes.first() {
        let more = if changes.len() > 1 {
            format!(" and {} more", changes.len() - 1)
        } else {
            String::new()
        };
        return (
            true,
            format!("{} {}{more}", first.path, first.status.word()),
        );
    }
    if let Some(unsent) = facts.unsent.as_ref().filter(|_| lane == Lane::Frontend) {
        return (true, unsent.clone());
    }
    let files = new.files.len();
    forced(format!(
        "its {files} files are those of the live release {}",
        recorded.release
    ))
}

/// How what the provider says is live differs from what is recorded.
pub fn drift(recorded: &DeployId, found: Option<&DeployId>) -> Option<String> {
    match found {
        None => Some(format!(
            "{recorded} is recorded as live, the provider says that nothing is"
        )),
        Some(found) if found != recorded => {
            Some(format!("drift: {found} is live, {recorded} is recorded"))
        }
        Some(_) => None,
    }
}

fn reversible(facts: &Facts, backend_runs: bool, migrations: &[Pending]) -> (bool, String) {
    if !backend_runs {
        return (
            true,
            "the backend does not change; the frontend's previous deploy can be restored at once"
                .to_owned(),
        );
    }
    if !facts.deployed.contains_key(&Lane::Backend) {
        return (
            true,
            "first release of the backend: nothing is live that could be lost".to_owned(),
        );
    }
    match migrations.iter().find(|file| !file.compatible) {
        Some(file) => (false, format!("{} changes the schema in a way that the live version cannot run on", file.name)),
        None if !facts.schema_known && facts.backend_migrates => (true, "the live schema could not be read; no pending migration is known to break the live version".to_owned()),
        None if migrations.is_empty() => (true, "no migration is pending".to_owned()),
        None => (true, format!("the live version can run on the schema after {} pending migration(s)", migrations.len())),
    }
}

fn steps(facts: &Facts, frontend: bool, backend: bool) -> Vec<Step> {
    let either = frontend || backend;
    let wanted = [
        (Step::Checks, either && !facts.checks.is_empty()),
        (Step::FrontendBuild, frontend && facts.frontend_builds),
        (Step::FrontendUpload, frontend),
        (Step::FrontendPermalink, frontend),
        (Step::BackendRehearse, backend && facts.backend_migrates),
        (Step::BackendDeploy, backend),
        (
            Step::BackendSchema,
            backend && facts.backend_migrates && facts.asks_schema,
        ),
        (Step::BackendIdentity, backend),
        (
            Step::BackendSmoke,
            backend && facts.smoke.contains(&Lane::Backend),
        ),
        (Step::FrontendPublish, frontend),
        (Step::FrontendVerify, frontend),
        (
            Step::FrontendSmoke,
            frontend && facts.smoke.contains(&Lane::Frontend),
        ),
        (Step::Bake, either && facts.bakes),
        (Step::Finalise, either),
    ];
    wanted
        .into_iter()
        .filter(|(_, wanted)| *wanted)
        .map(|(step, _)| step)
        .collect()
}
