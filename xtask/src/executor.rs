//! Carries a plan out: prepare in parallel, two gates, and the decisions of what to undo when something fails.
//!
//! Every function that ends a run early returns the [`Verdict`] as its error, so that the order of events reads from top to bottom.

use crate::config::OnFrontendFailure;
use crate::event::{EventKind, Step};
use crate::exit::Exit;
use crate::ids::{DeployId, Lane, ReleaseId};
use crate::job::{Job, LaneError};
use crate::lane::frontend::Draft;
use crate::lane::{backend, checks, frontend, undo, verify};
use crate::live::{self, LiveLane, LiveRecord};
use crate::refs::Swap;
use crate::service::{self, Identity};
use crate::world::{Cancelled, Signal};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What state things are in.
    pub exit: Exit,
    /// One or two sentences.
    pub reason: String,
    /// The release that is live because of this run.
    pub release: Option<ReleaseId>,
}

impl Verdict {
    fn new(exit: Exit, reason: impl Into<String>) -> Self {
        Self { exit, reason: reason.into(), release: None }
    }

    fn interrupted(cancelled: Cancelled, what: &str) -> Self {
        Self::new(cancelled_exit(cancelled), format!("{cancelled}: {what}"))
    }
}

/// The exit code that names the signal.
pub fn cancelled_exit(cancelled: Cancelled) -> Exit {
    if cancelled.0 == Signal::Interrupt { Exit::Interrupted } else { Exit::Terminated }
}

/// What the backend lane left live, when it ran.
struct Halves {
    backend: Option<DeployId>,
    frontend: Option<Draft>,
}

/// Carries the plan out.
pub fn execute(job: &Job<'_>) -> Verdict {
    release(job).unwrap_or_else(|verdict| verdict)
}

fn release(job: &Job<'_>) -> Result<Verdict, Verdict> {
    let draft = prepare(job)?;
    gate(job, 1, "everything is prepared and every check passed")?;
    let backend = if job.plan.runs(Lane::Backend) { Some(release_backend(job)?) } else { None };
    if let (Some(_), Some(draft)) = (&backend, &draft) {
        gate(job, 2, "the backend is live, migrated and ours").inspect_err(|_| undo::cancel_draft(job, &draft.deploy))?;
    }
    if let Some(draft) = &draft {
        release_frontend(job, draft, backend.is_some())?;
    }
    let halves = Halves { backend, frontend: draft };
    bake(job, &halves)?;
    finalise(job, &halves)
}

/// Both gates renew the lease: whoever lost it must not go on.
fn gate(job: &Job<'_>, number: u8, because: &str) -> Result<(), Verdict> {
    if let Err(error) = job.lease.renew(job.world) {
        let because = format!("{error:#}");
        job.world.emit(EventKind::Gate { number, passed: false, because: because.clone() });
        return Err(Verdict::new(Exit::Unknown, because));
    }
    job.world.emit(EventKind::Gate { number, passed: true, because: because.to_owned() });
    Ok(())
}

/// Checks, upload and rehearsal side by side; nothing that is live changes here.
fn prepare(job: &Job<'_>) -> Result<Option<Draft>, Verdict> {
    type Task<'t> = Box<dyn Fn() -> Result<Option<Draft>, LaneError> + Sync + 't>;
    let mut tasks: Vec<Task<'_>> = Vec::new();
    if job.plan.runs(Lane::Frontend) {
        tasks.push(Box::new(|| frontend::prepare(job).map(Some)));
    }
    if job.plan.runs(Lane::Backend) && job.plan.steps.contains(&Step::BackendRehearse) {
        tasks.push(Box::new(|| backend::rehearse(job).map(|()| None)));
    }
    if job.plan.steps.contains(&Step::Checks) {
        tasks.push(Box::new(|| checks::run(job).map(|()| None)));
    }
    let results: Mutex<Vec<Result<Option<Draft>, LaneError>>> = Mutex::new(Vec::new());
    job.world.lanes(tasks.len(), &|index| {
        let Some(task) = tasks.get(index) else { return };
        let result = catch_unwind(AssertUnwindSafe(task)).unwrap_or_else(|panic| Err(LaneError::Bug(panic_text(&*panic))));
        results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
    });
    let mut draft = None;
    let mut errors = Vec::new();
    for result in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match result {
            Ok(found) => draft = found.or(draft),
            Err(error) => errors.push(error),
        }
    }
    match errors.into_iter().min_by_key(rank) {
        None => Ok(draft),
        Some(error) => Err(stop_at_gate_1(job, error)),
    }
}

/// When several lanes fail, this one decides.
fn rank(error: &LaneError) -> u8 {
    match error {
        LaneError::Bug(_) => 0,
        LaneError::Cancelled(_) => 1,
        LaneError::Database(_) => 2,
        LaneError::Failed(_) | LaneError::Unverifiable(_) | LaneError::Superseded(_) => 3,
        LaneError::Refused(_) => 4,
        LaneError::Unknown(_) => 5,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("a lane of this program panicked: {} (this is a bug of Tandem)", said.unwrap_or("no message"))
}

fn stop_at_gate_1(job: &Job<'_>, error: LaneError) -> Verdict {
    job.world.emit(EventKind::Gate { number: 1, passed: false, because: error.to_string() });
    drop_draft(job);
    let unchanged = "nothing that is live was changed";
    match error {
        LaneError::Cancelled(cancelled) => Verdict::interrupted(cancelled, unchanged),
        LaneError::Refused(text) => Verdict::new(Exit::Refused, text),
        LaneError::Bug(text) => Verdict::new(Exit::Bug, format!("{text}; {unchanged}")),
        LaneError::Unknown(text) => Verdict::new(Exit::Unknown, text),
        LaneError::Database(text) => Verdict::new(Exit::Database, text),
        LaneError::Failed(text) | LaneError::Unverifiable(text) | LaneError::Superseded(text) => {
            Verdict::new(Exit::FailedUnchanged, format!("{text}; {unchanged}"))
        }
    }
}

fn release_backend(job: &Job<'_>) -> Result<DeployId, Verdict> {
    let deployed = backend::deploy(job);
    let id = deployed.map_err(|error| not_live(job, error))?;
    backend::schema(job).and_then(|()| backend::identity(job, &id)).map_err(|error| live_but_bad(job, error))?;
    Ok(id)
}

/// The deploy never became live: find out who answers, and undo only what must be undone.
fn not_live(job: &Job<'_>, error: LaneError) -> Verdict {
    let text = match error {
        LaneError::Cancelled(cancelled) => {
            return Verdict::interrupted(cancelled, "the backend's deploy is left to the provider and the frontend was not published");
        }
        LaneError::Unknown(text) => return Verdict::new(Exit::Unknown, text),
        LaneError::Superseded(text) => {
            drop_draft(job);
            return Verdict::new(Exit::Superseded, text);
        }
        other => other.to_string(),
    };
    close_gate_2(job, &text);
    match &job.baseline.backend_commit {
        Some(old) => match verify::answers(job, old) {
            Ok(true) => return Verdict::new(Exit::FailedUnchanged, format!("{text}; {} still answers and the frontend was never published", old.short())),
            Ok(false) => {}
            Err(error) => return interrupted_or_unknown(error),
        },
        None if job.baseline.backend.is_none() => {
            return Verdict::new(Exit::RolledBack, format!("{text}; it was the first release and nothing of it is public"));
        }
        None => {}
    }
    roll_backend_back(job, &text)
}

/// The deploy is live and is not what it should be.
fn live_but_bad(job: &Job<'_>, error: LaneError) -> Verdict {
    let text = match error {
        LaneError::Cancelled(cancelled) => {
            return Verdict::interrupted(cancelled, "the new backend is live and was not proven; the frontend was not published");
        }
        LaneError::Unknown(text) => return Verdict::new(Exit::Unknown, text),
        LaneError::Unverifiable(text) => {
            close_gate_2(job, &text);
            return Verdict::new(Exit::Degraded, format!("{text}; the new backend is live, the frontend was not published"));
        }
        other => other.to_string(),
    };
    backend::show_log(job);
    close_gate_2(job, &text);
    roll_backend_back(job, &text)
}

fn close_gate_2(job: &Job<'_>, text: &str) {
    job.world.emit(EventKind::Gate { number: 2, passed: false, because: text.to_owned() });
    drop_draft(job);
}

/// Takes the unpublished deploy away; the next attempt of this run uploads anew.
fn drop_draft(job: &Job<'_>) {
    if let Some(draft) = frontend::created(job) {
        undo::cancel_draft(job, &draft);
        if let Err(error) = job.world.journal().withdraw(&job.run, "frontend.create") {
            job.warn(format!("{error:#}"));
        }
    }
}

fn roll_backend_back(job: &Job<'_>, text: &str) -> Verdict {
    if !job.plan.reversible {
        return Verdict::new(
            Exit::Database,
            format!("{text}; the backend was not rolled back because {} (choices: fix forward with a new release, or restore the backup that was made before the migration)", job.plan.reversible_because),
        );
    }
    if job.baseline.backend.is_none() {
        return Verdict::new(Exit::Unhealthy, format!("{text}; there is no earlier healthy deploy to go back to"));
    }
    match undo::backend(job) {
        Ok(_) => Verdict::new(Exit::RolledBack, format!("{text}; the backend was rolled back and the frontend was never published")),
        Err(LaneError::Cancelled(cancelled)) => Verdict::interrupted(cancelled, "a rollback of the backend was under way"),
        Err(error) => Verdict::new(Exit::Unhealthy, format!("{text}; and rolling the backend back failed: {error}")),
    }
}

fn interrupted_or_unknown(error: LaneError) -> Verdict {
    match error {
        LaneError::Cancelled(cancelled) => Verdict::interrupted(cancelled, "what is live was being checked"),
        other => Verdict::new(Exit::Unknown, other.to_string()),
    }
}

fn release_frontend(job: &Job<'_>, draft: &Draft, backend_ran: bool) -> Result<(), Verdict> {
    let error = match frontend::publish(job, draft).and_then(|()| frontend::verify_public(job, draft)) {
        Ok(()) => return Ok(()),
        Err(LaneError::Cancelled(cancelled)) => {
            return Err(Verdict::interrupted(cancelled, "the frontend was being published; the new backend stays"));
        }
        Err(error) => error,
    };
    let text = format!("the frontend could not be published: {error}");
    // Without an answer nobody knows what is public; the restore below asks again and says so when it cannot.
    let restored = match job.netlify.published() {
        Ok(found) if found == job.baseline.frontend && found.is_some() => Ok(()),
        _ => undo::frontend(job, Some(draft)),
    };
    if let Err(undo_error) = restored {
        let first = job.baseline.frontend.is_none();
        return Err(match (first, backend_ran) {
            (true, true) => Verdict::new(Exit::Degraded, format!("{text}; it is the first one, so there is no earlier deploy to restore; the new backend is live and verified")),
            (true, false) => Verdict::new(Exit::RolledBack, format!("{text}; it was the first release of the site")),
            (false, _) => Verdict::new(Exit::Unhealthy, format!("{text}; and the previous frontend could not be restored: {undo_error}")),
        });
    }
    if !backend_ran {
        return Err(Verdict::new(Exit::RolledBack, format!("{text}; the previous frontend is public")));
    }
    if job.target.policy.on_frontend_failure == OnFrontendFailure::Rollback {
        return Err(roll_backend_back(job, &format!("{text}; the previous frontend is public")));
    }
    Err(Verdict::new(Exit::Degraded, format!("{text}; the previous frontend is public on the new backend, which is live and verified")))
}

/// Watches both halves for a while; errors decide, slowness only warns.
fn bake(job: &Job<'_>, halves: &Halves) -> Result<(), Verdict> {
    /// So many bad answers in a row end the bake.
    const BAD_MAX: u32 = 3;
    let bake = job.target.policy.bake;
    if bake.is_zero() {
        return Ok(());
    }
    let watched = job.step(Step::Bake, || {
        let started = job.now_ms();
        let mut bad = 0;
        loop {
            let passed = Duration::from_millis(job.now_ms().saturating_sub(started));
            if passed >= bake {
                return Ok(((), format!("both were good for {} s", bake.as_secs())));
            }
            job.progress(Step::Bake, format!("{} of {} s", passed.as_secs(), bake.as_secs()));
            match look(job, halves) {
                None => bad = 0,
                Some(problem) if bad + 1 >= BAD_MAX => return Err(LaneError::Failed(format!("failed while it was watched: {problem}"))),
                Some(_) => bad += 1,
            }
            job.wait(Duration::from_secs(1).max(bake / 60).min(bake))?;
        }
    });
    let error = match watched {
        Ok(()) => return Ok(()),
        Err(LaneError::Cancelled(cancelled)) => return Err(Verdict::interrupted(cancelled, "both halves are live; they were being watched")),
        Err(error) => error.to_string(),
    };
    // A new frontend must never stand on an old backend, so the frontend goes first.
    if let Some(draft) = &halves.frontend
        && let Err(undo_error) = undo::frontend(job, Some(draft))
    {
        return Err(Verdict::new(Exit::Unhealthy, format!("{error}; and the previous frontend could not be restored: {undo_error}")));
    }
    if halves.backend.is_none() {
        return Err(Verdict::new(Exit::RolledBack, format!("{error}; the previous frontend is public")));
    }
    Err(roll_backend_back(job, &error))
}

/// One look at each half that this run changed: what is wrong, if anything.
fn look(job: &Job<'_>, halves: &Halves) -> Option<String> {
    if halves.backend.is_some() {
        let found = verify::look(job, &job.plan.commit);
        if !matches!(found, Identity::Ours { .. }) {
            return Some(found.to_string());
        }
    }
    if let Some(draft) = &halves.frontend {
        let file = draft.files.iter().find(|file| file.path == verify::RELEASE_FILE)?;
        match service::site_file(job.world, &verify::public(job), &file.path) {
            Ok(found) if found.sha1 == file.sha1 => {}
            Ok(found) => return Some(format!("the site answers with status {} and another release", found.status)),
            Err(error) => return Some(error.to_string()),
        }
    }
    None
}

/// Moves the record of what is live.
fn finalise(job: &Job<'_>, halves: &Halves) -> Result<Verdict, Verdict> {
    let release = ReleaseId(job.run.0.clone());
    let record = record(job, halves, &release);
    let moved = job.step(Step::Finalise, || {
        let files = live::files(&record, &merged_manifests(job, halves))?;
        let expected = job.live.map(|live| &live.oid);
        let name = live::live_ref(&job.target.name);
        let swap = job.world.refs().swap(&name, expected, &files, true, &format!("release {release}"))?;
        Ok((swap, format!("{release} is recorded as live")))
    });
    match moved {
        Ok(Swap::Moved(_)) => {
            let lanes: Vec<&str> = job.plan.lanes.iter().filter(|decision| decision.run).map(|decision| decision.lane.name()).collect();
            let reason = format!("{} of {} is live and verified", lanes.join(" and "), job.plan.commit.short());
            Ok(Verdict { exit: Exit::Done, reason, release: Some(release) })
        }
        Ok(Swap::Lost(_)) => Err(Verdict::new(Exit::Superseded, "another run recorded its release first; its record stands (look at `status` for what is live)")),
        Err(LaneError::Cancelled(cancelled)) => Err(Verdict::interrupted(cancelled, "both halves are live and verified; only the record is missing")),
        Err(error) => Err(Verdict::new(Exit::Unknown, format!("both halves are live and verified, but that could not be recorded: {error}"))),
    }
}

fn record(job: &Job<'_>, halves: &Halves, release: &ReleaseId) -> LiveRecord {
    let mut lanes = job.live.map(|live| live.record.lanes.clone()).unwrap_or_default();
    let ran = [(Lane::Frontend, halves.frontend.as_ref().map(|draft| &draft.deploy)), (Lane::Backend, halves.backend.as_ref())];
    for (lane, deploy) in ran {
        if let Some(deploy) = deploy {
            let digest = job.manifests.get(&lane).map(|manifest| manifest.digest()).unwrap_or_default();
            lanes.insert(lane, LiveLane { commit: job.plan.commit.clone(), deploy_id: deploy.clone(), release: release.clone(), digest });
        }
    }
    LiveRecord {
        release: release.clone(),
        run: job.run.clone(),
        command: "deploy".to_owned(),
        commit: job.plan.commit.clone(),
        subject: job.plan.subject.clone(),
        created_ms: job.world.now().wall_ms,
        by: job.by.clone(),
        lanes,
        migrations: job.plan.migrations.iter().map(|file| file.name.clone()).collect(),
        override_reason: job.override_reason.clone(),
    }
}

/// The manifests of what is live afterwards: ours for the lanes that ran, the old ones for the others.
fn merged_manifests(job: &Job<'_>, halves: &Halves) -> std::collections::BTreeMap<Lane, crate::changes::manifest::Manifest> {
    let mut manifests = job.live.map(|live| live.manifests.clone()).unwrap_or_default();
    for (lane, ran) in [(Lane::Frontend, halves.frontend.is_some()), (Lane::Backend, halves.backend.is_some())] {
        if let Some(manifest) = job.manifests.get(&lane).filter(|_| ran) {
            manifests.insert(lane, manifest.clone());
        }
    }
    manifests
}
