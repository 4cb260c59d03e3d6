//! The invariants of ARCHITECTURE.md, judged after every process from what is really out there, never from what the engine says.

use super::project::{Outcome, Version};
use cloud::inprocess::{Health, InProcess, Truth};
use cloud::{Door, RequestRecord};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tandem::config::Target;
use tandem::event::Step;
use tandem::exit::Exit;
use tandem::live::{lease_ref, run_ref};
use tandem::refs::Refs as _;
use tandem::shared_run::RunRecord;
use tandem::sim::Universe;
use tandem::state::RunState;

/// Longest time between the last confirmed renewal of the lease and a call that changes something: its time to live less its margin.
const LEASE_USABLE_MS: i64 = 120_000 - 35_000;

/// The commit of deploys that somebody else makes: it contains every version.
pub(super) const BY_HAND: &str = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
/// As [`BY_HAND`]: every version contains it.
pub(super) const OLDER_BY_HAND: &str = "0000000000000000000000000000000000000000";

/// What was out there when a process began.
pub(super) struct Before {
    pub(super) at_ms: i64,
    truth: Truth,
    calls: usize,
    deploys: usize,
}

impl Before {
    pub(super) fn read(universe: &Universe, at_ms: i64) -> Self {
        let mut cloud = universe.cloud();
        let truth = cloud.truth(at_ms);
        let deploys = cloud.created_deploys().1;
        Self {
            at_ms,
            truth,
            calls: cloud.cloud().requests().count(),
            deploys,
        }
    }

    /// The deploys that the service has had.
    pub(super) fn deploys(&self) -> usize {
        self.deploys
    }

    /// Whether `wanted` leads forward from the frontend that is public.
    pub(super) fn order(&self, versions: &BTreeMap<String, Version>, wanted: &Version) -> Order {
        let site = self
            .truth
            .site_commit
            .as_ref()
            .and_then(|commit| versions.get(commit));
        // The nameless version stands for a rollback, which has an order of its own: the frontend first.
        let is_backward =
            wanted.backend > 0 && site.is_some_and(|site| wanted.backend < site.backend);
        if is_backward {
            Order::Backward
        } else {
            Order::Forward
        }
    }
}

/// Which way a release leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// To newer halves: a frontend needs the backend of its own release, or a newer one.
    Forward,
    /// An older commit is released anew. Its backend goes live first, as always, under the frontend that it finds.
    Backward,
}

/// What a run began from: a resumed run is judged by its first attempt.
#[derive(Clone)]
struct Begun {
    truth: Truth,
    deploys: usize,
}

/// Remembers where runs began, across the processes that carried them.
#[derive(Default)]
pub(super) struct Oracle {
    begun: BTreeMap<String, Begun>,
}

/// What must hold at every moment: a frontend never stands on an older backend than its own release has (I2), and nothing is live
/// whose checks failed (I1).
pub(super) fn look(
    versions: &BTreeMap<String, Version>,
    order: Order,
    cloud: &mut InProcess,
    now_ms: i64,
) -> Vec<String> {
    let truth = cloud.truth(now_ms);
    let known = |commit: &Option<String>| commit.as_ref().and_then(|commit| versions.get(commit));
    let (site, serving) = (known(&truth.site_commit), known(&truth.serving_commit));
    let mut problems = Vec::new();
    if let (Some(site), Some(serving)) = (site, serving)
        && order == Order::Forward
        && serving.backend < site.backend
    {
        problems.push(format!(
            "I2: frontend {} is public on backend {}",
            site.id, serving.id
        ));
    }
    for version in [site, serving].into_iter().flatten() {
        if version.check_fails || version.rehearsal_fails {
            problems.push(format!("I1: {} is live, and its checks failed", version.id));
        }
    }
    problems
}

impl Oracle {
    /// Panics with everything that is wrong.
    #[expect(clippy::too_many_arguments, reason = "all the evidence there is")]
    pub(super) fn judge(
        &mut self,
        universe: &Universe,
        target: &Target,
        versions: &BTreeMap<String, Version>,
        wanted: Option<&Version>,
        before: &Before,
        outcome: &Outcome,
        renewals: &[(String, i64)],
        seen: BTreeSet<String>,
    ) {
        let mut problems: Vec<String> = seen.into_iter().collect();
        let end_ms = before.at_ms + i64::try_from(outcome.elapsed_ms).unwrap();
        let mut cloud = universe.cloud();
        let calls: Vec<RequestRecord> = cloud
            .cloud()
            .requests()
            .skip(before.calls)
            .cloned()
            .collect();
        let truth = cloud.truth(end_ms);
        problems.extend(under_lease(&calls, renewals, &lease_ref(&target.name)));
        problems.extend(self.once(universe, target, before, &mut cloud));
        let made = count(&deploys(&mut cloud).split_off(before.deploys), "api");
        problems.extend(shared_truly(universe, target, outcome, made));
        if let Some(ended) = &outcome.ended {
            let run = ended
                .run
                .as_ref()
                .map(|run| run.0.clone())
                .unwrap_or_default();
            let begun = self
                .begun
                .get(&run)
                .cloned()
                .unwrap_or_else(|| Begun::of(before));
            problems.extend(told_truly(
                ended.verdict.exit,
                versions,
                wanted,
                &begun.truth,
                &truth,
            ));
            problems.extend(unplanned(&outcome.state));
            // What the providers still have under way must not change what was said.
            if matches!(ended.verdict.exit.code(), 0 | 4 | 5) {
                let later = cloud.truth(end_ms + 20 * 60_000);
                if (later.site_deploy.as_ref(), later.live_deploy.as_ref())
                    != (truth.site_deploy.as_ref(), truth.live_deploy.as_ref())
                {
                    problems.push(format!(
                        "I3: exit {} was said, and later something else became live: {later:?}",
                        ended.verdict.exit.code()
                    ));
                }
                *universe.elapsed_ms.lock().unwrap() += 20 * 60_000;
            }
            drop(cloud);
            problems.extend(written_down(
                universe,
                target,
                ended
                    .run
                    .as_ref()
                    .map(|run| run.0.as_str())
                    .unwrap_or_default(),
            ));
        }
        assert!(
            problems.is_empty(),
            "{}\nexit {} ({})\nbefore {:?}\nafter {truth:?}\nwarnings {:#?}\ncalls\n{}",
            problems.join("\n"),
            outcome.code(),
            outcome.reason(),
            before.truth,
            outcome.state.warnings,
            calls
                .iter()
                .filter(|call| call.method != "GET")
                .map(|call| format!(
                    "  {} {} {} → {}",
                    call.at_ms - before.at_ms,
                    call.method,
                    call.path,
                    call.status
                ))
                .collect::<Vec<_>>()
                .join("\n"),
        );
    }

    /// I4: a run makes at most one deploy and one rollback, however many processes carried it.
    fn once(
        &mut self,
        universe: &Universe,
        target: &Target,
        before: &Before,
        cloud: &mut InProcess,
    ) -> Option<String> {
        // The run of whichever machine that held the lease last: no other has asked for anything since.
        let newest = newest_run(universe, target)?;
        let begun = self
            .begun
            .entry(newest.run.0.clone())
            .or_insert_with(|| Begun::of(before));
        if cloud.created_deploys().1 <= begun.deploys + 1 {
            return None;
        }
        let since = deploys(cloud).split_off(begun.deploys);
        let (made, rolled) = (count(&since, "api"), count(&since, "rollback"));
        (made > 1 || rolled > 1).then(|| {
            format!(
                "I4: run {} made {made} deploys and {rolled} rollbacks",
                newest.run
            )
        })
    }
}

impl Begun {
    fn of(before: &Before) -> Self {
        Self {
            truth: before.truth.clone(),
            deploys: before.deploys,
        }
    }
}

/// No step runs that the plan does not hold, but for what stands before every plan and what undoes it.
fn unplanned(state: &RunState) -> Vec<String> {
    let free = [
        Step::Preflight,
        Step::Lock,
        Step::UndoFrontend,
        Step::UndoBackend,
    ];
    let ran = state.steps.iter().filter(|(_, status)| status.began);
    ran.filter(|(step, _)| !free.contains(step) && !state.planned.contains(step))
        .map(|(step, _)| format!("{step:?} ran, and the plan does not hold it"))
        .collect()
}

/// I3: the exit code against what is out there.
fn told_truly(
    exit: Exit,
    versions: &BTreeMap<String, Version>,
    wanted: Option<&Version>,
    old: &Truth,
    now: &Truth,
) -> Vec<String> {
    let version = |commit: &Option<String>| commit.as_ref().and_then(|commit| versions.get(commit));
    let is_old_site = now.site_deploy == old.site_deploy;
    let is_old_service = now.serving_commit == old.serving_commit;
    let is_others = now.serving_healthy && version(&now.serving_commit).is_none();
    let is_new = |wanted: &Version| {
        let site = version(&now.site_commit).is_some_and(|site| site.frontend == wanted.frontend);
        let serving =
            version(&now.serving_commit).is_some_and(|serving| serving.backend == wanted.backend);
        (site, serving)
    };
    // What a service does by itself, after it was watched or while nobody touched it, is not the release's to say, nor is how a
    // half was that the release left alone.
    let is_fickle = version(&now.serving_commit).is_some_and(|serving| {
        matches!(
            serving.behaviour.health,
            Health::Flapping { .. } | Health::DegradesAfter { .. }
        )
    });
    let is_well = now.serving_healthy || is_fickle;
    let is_no_worse = is_well || !old.serving_healthy;
    let holds = match (exit, wanted) {
        (Exit::Done, Some(wanted)) => {
            is_new(wanted).0 && (is_new(wanted).1 || is_old_service) && is_well
        }
        // What was verified to be the old one answers, unless there was none.
        (Exit::FailedUnchanged | Exit::RolledBack, Some(_)) => {
            is_old_site && (is_old_service && is_well || old.serving_commit.is_none())
        }
        (Exit::Refused, Some(_)) => {
            is_old_site && (is_old_service || old.serving_commit.is_none()) && is_no_worse
        }
        // The new backend under the old frontend, or one that somebody else deployed meanwhile.
        (Exit::Degraded, Some(wanted)) => is_old_site && (is_new(wanted).1 || is_others),
        // What has taken its place contains it: nothing of the release stands on an older backend.
        (Exit::Superseded, Some(wanted)) => {
            now.site_commit.as_ref() != Some(&wanted.id)
                || is_old_service
                || now.serving_commit >= Some(wanted.id.clone())
        }
        _ => true,
    };
    if holds {
        Vec::new()
    } else {
        vec![format!("I3: exit {} is not what is out there", exit.code())]
    }
}

/// I5: nothing is changed longer after the last confirmed renewal than the lease allows.
fn under_lease(calls: &[RequestRecord], renewals: &[(String, i64)], lease: &str) -> Vec<String> {
    let changes = calls
        .iter()
        .filter(|call| call.door == Door::Api && call.method != "GET");
    let mut problems = Vec::new();
    for call in changes {
        let renewed = renewals
            .iter()
            .filter(|(name, at_ms)| name == lease && *at_ms <= call.at_ms)
            .map(|(_, at_ms)| *at_ms)
            .max();
        if renewed.is_none_or(|at_ms| call.at_ms - at_ms > LEASE_USABLE_MS) {
            problems.push(format!(
                "I5: {} {} at {}, lease renewed {renewed:?}",
                call.method, call.path, call.at_ms
            ));
        }
    }
    problems
}

/// I8: the run that ended has an outcome and a reason, and so has every one whose process is gone.
fn written_down(universe: &Universe, target: &Target, resumed: &str) -> Vec<String> {
    let runs = universe.journal.runs(&target.name, 100).unwrap();
    let lacks = |run: &&tandem::journal::RunRow| {
        run.exit_code.is_none() || run.reason.as_ref().is_none_or(String::is_empty)
    };
    // A command that was refused before it began a run of its own leaves the others to the next.
    runs.iter()
        .filter(lacks)
        .filter(|_| !resumed.is_empty())
        .map(|run| format!("I8: run {} has no outcome", run.id))
        .collect()
}

/// What every machine can read of the newest run.
fn newest_run(universe: &Universe, target: &Target) -> Option<RunRecord> {
    let value = universe.refs.read(&run_ref(&target.name)).unwrap();
    value.map(|value| RunRecord::parse(&value).unwrap())
}

/// I4 and I8 on other machines: the ref tells what this process did, in time, and how it ended.
fn shared_truly(
    universe: &Universe,
    target: &Target,
    outcome: &Outcome,
    made: usize,
) -> Vec<String> {
    let record = newest_run(universe, target);
    let mut problems = Vec::new();
    let knows_trigger = record
        .as_ref()
        .is_some_and(|record| record.intent("backend.trigger").is_some());
    if made > 0 && !knows_trigger {
        problems.push(format!(
            "I4: no other machine could know of the deploy: {record:?}"
        ));
    }
    let (Some(ended), Some(record)) = (&outcome.ended, record) else {
        return problems;
    };
    let said = record.end.map(|end| end.exit_code);
    // Whoever lost the lease writes nothing there any more.
    let may_lack = !outcome.pushes_well || outcome.reason().contains("lease");
    if ended.run.as_ref() == Some(&record.run) && said != Some(outcome.code()) && !may_lack {
        problems.push(format!(
            "I8: run {} ended with {}, and other machines read {said:?}",
            record.run,
            outcome.code()
        ));
    }
    problems
}

/// The deploys of that trigger, without those that a test triggered by hand.
fn count(deploys: &[Value], trigger: &str) -> usize {
    deploys
        .iter()
        .filter(|deploy| deploy["trigger"] == trigger)
        .filter(|deploy| deploy["commit"]["id"] != BY_HAND)
        .filter(|deploy| deploy["commit"]["id"] != OLDER_BY_HAND)
        .count()
}

/// All deploys of the service, as the cloud itself keeps them: no fault stands before that.
fn deploys(cloud: &mut InProcess) -> Vec<Value> {
    let saved: Value = serde_json::from_slice(&cloud.cloud_mut().save().unwrap()).unwrap();
    saved["render"]["deploys"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}
