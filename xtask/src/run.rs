//! One run of `deploy`: preflight, lease, plan, execution, and an end that is always written down.

mod hold;
mod resume;

pub use hold::Hold;

use crate::changes::LaneFilters;
use crate::config::{Config, Target};
use crate::event::{EventKind, Step, StepEnd};
use crate::executor::{self, Verdict};
use crate::exit::Exit;
use crate::facts::{self, Observed};
use crate::forwards::{self, History};
use crate::ids::{Commit, ReleaseId, RunId};
use crate::inputs::Inputs;
use crate::job::{Baseline, Job, LaneError, Preparation};
use crate::journal::{Process, RunRow};
use crate::lane::frontend::Accepted;
use crate::lease::{Holder, Lease, LeaseError, Terms};
use crate::live::Live;
use crate::netlify::Netlify;
use crate::plan::{Asked, Plan, plan};
use crate::redact::Secret;
use crate::render::Render;
use crate::shared_run::Shared;
use crate::source::SourceTree;
use crate::world::World;
use hold::{Seen, not_shared, warn_not_shared};
use resume::{Beginning, Unfinished};
use std::time::Duration;

/// So often at most a command looks anew because another machine went on with the run that it had found.
const ROUNDS_MAX: u32 = 3;

/// Everything a run is given.
pub struct Session<'a> {
    /// Everything outside.
    pub world: &'a dyn World,
    /// deploy.toml.
    pub config: &'a Config,
    /// Its lanes' filters, compiled.
    pub filters: &'a LaneFilters,
    /// Where to.
    pub target: &'a Target,
    /// What would be released.
    pub source: &'a SourceTree,
    /// The frontend's provider.
    pub netlify: &'a Netlify<'a>,
    /// The backend's provider.
    pub render: &'a Render<'a>,
    /// For the service's admin endpoints.
    pub admin_token: Option<&'a Secret>,
    /// The site's files and the migrations.
    pub inputs: &'a dyn Inputs,
    /// Who prepares.
    pub preparation: Preparation<'a>,
    /// Who or what started the run.
    pub by: String,
    /// This process.
    pub process: Process,
    /// Tells whether the process of an earlier run is gone.
    pub is_dead: &'a (dyn Fn(&Process) -> bool + Sync),
    /// How commits are related.
    pub history: &'a dyn History,
}

/// What a caller may ask for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Lanes and force.
    pub asked: Asked,
    /// What may be published although it looks like a mistake.
    pub accepted: Accepted,
    /// How long to wait for a held lease.
    pub wait_lock: Duration,
    /// Why the lease is overridden.
    pub break_glass: Option<String>,
    /// Why a release is made although it goes backwards, or from another branch.
    pub anyway: Option<String>,
    /// Go on with an unfinished run, and with nothing else.
    pub resume: bool,
    /// Undo an unfinished run.
    pub abort: bool,
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The run, when there was one.
    pub run: Option<RunId>,
    /// How it ended.
    pub verdict: Verdict,
    /// The plan, when it came so far.
    pub plan: Option<Box<Plan>>,
    /// Whether nothing differed from what is live.
    pub nothing_to_do: bool,
}

impl Ended {
    /// An end before the run had a name.
    pub fn early(exit: Exit, reason: impl Into<String>) -> Self {
        let verdict = Verdict {
            exit,
            reason: reason.into(),
            release: None,
        };
        Self {
            run: None,
            verdict,
            plan: None,
            nothing_to_do: false,
        }
    }
}

/// Runs `deploy` to its end. Every event has been emitted when it returns, the last one included.
pub fn deploy(session: &Session<'_>, options: &Options) -> Ended {
    finish(
        session,
        deploy_inner(session, options).unwrap_or_else(|ended| ended),
    )
}

/// Writes the end down and emits the last event.
pub fn finish(session: &Session<'_>, ended: Ended) -> Ended {
    let next = next_commands(&ended, session);
    if let Some(run) = &ended.run {
        let now = session.world.now().wall_ms;
        if let Err(error) =
            session
                .world
                .journal()
                .finish_run(run, now, ended.verdict.exit, &ended.verdict.reason)
        {
            session.world.emit(EventKind::Warning {
                text: format!("{error:#}"),
            });
        }
    }
    session.world.emit(EventKind::RunFinished {
        exit: ended.verdict.exit,
        release: ended.verdict.release.clone(),
        reason: ended.verdict.reason.clone(),
        next,
    });
    ended
}

fn deploy_inner(session: &Session<'_>, options: &Options) -> Result<Ended, Ended> {
    for _ in 0..ROUNDS_MAX {
        if let Some(ended) = attempt(session, options)? {
            return Ok(ended);
        }
    }
    Err(Ended::early(
        Exit::Refused,
        "other machines go on with the same run again and again (hint: try once more when they have ended)",
    ))
}

/// One look and what follows from it; `None` when the run that it found was not to be had any more.
fn attempt(session: &Session<'_>, options: &Options) -> Result<Option<Ended>, Ended> {
    let world = session.world;
    world.emit(EventKind::StepStarted {
        step: Step::Preflight,
    });
    let found = resume::find(session, options)?;
    let observed = facts::observe(session).map_err(|error| preflight_failed(world, &error))?;
    let planned = plan(&observed.facts, &options.asked);
    let live = observed.facts.live.as_ref();
    if let Some(unfinished) = &found.unfinished
        && resume::still_current(session, options, unfinished, live)?
    {
        return go_on(
            session,
            options,
            unfinished,
            &found.seen,
            &observed,
            planned,
        );
    }
    facts::may_release(session, options, &observed, &planned)
        .map_err(|error| preflight_failed(world, &error))?;
    if planned.is_empty() {
        return Ok(Some(nothing_to_do(session, planned)));
    }
    begin(session, options, &found.seen, observed, planned).map(Some)
}

/// A run of its own.
fn begin(
    session: &Session<'_>,
    options: &Options,
    seen: &Seen,
    mut observed: Observed,
    mut planned: Plan,
) -> Result<Ended, Ended> {
    let world = session.world;
    let row = new_row(session, "deploy", &session.source.commit);
    let run = begin_new(session, options, row.clone(), &session.source.subject)?;
    session.inputs.begin(&run);
    let lease = acquire(session, options, &run)?;
    let failed = |ended: Ended| give_back(session, &lease, end(&run, ended));
    // The lease is ours: what was read before it may have moved.
    let before = Seen::read(session).map_err(&failed)?;
    let newer = if before.oid == seen.oid {
        facts::observe_again(session, &observed)
    } else {
        before
            .nothing_to_go_on_with(session, options)
            .map_err(&failed)?;
        facts::observe(session).map(Some)
    };
    if let Some(newer) = newer.map_err(|error| failed(preflight_failed(world, &error)))? {
        planned = plan(&newer.facts, &options.asked);
        facts::may_release(session, options, &newer, &planned)
            .map_err(|error| failed(preflight_failed(world, &error)))?;
        if planned.is_empty() {
            return Ok(failed(nothing_to_do(session, planned)));
        }
        observed = newer;
    }
    let beginning = Beginning::new(session, &planned, &observed.baseline);
    resume::remember(session, &run, &beginning).map_err(|error| failed(no_journal(&error)))?;
    before.warn_of_unfinished(session);
    let shared = Shared::new(world, &row, &session.process, &session.by, before.oid);
    shared
        .push(world)
        .map_err(|error| failed(not_shared(world, &error)))?;
    let hold = Hold { lease, shared };
    announce(session, &planned);
    let live = observed.facts.live.as_ref();
    let job = job(
        session,
        options,
        &run,
        &planned,
        live,
        observed.baseline,
        &hold,
    );
    let ended = Ended {
        run: Some(run.clone()),
        verdict: executor::execute(&job),
        plan: Some(Box::new(planned.clone())),
        nothing_to_do: false,
    };
    Ok(hold.close(session, ended))
}

/// Goes on with an unfinished run, or undoes it. The plan is the one that it began with.
fn go_on(
    session: &Session<'_>,
    options: &Options,
    unfinished: &Unfinished,
    seen: &Seen,
    observed: &Observed,
    planned: Plan,
) -> Result<Option<Ended>, Ended> {
    let world = session.world;
    let row = &unfinished.row;
    let run = row.id.clone();
    // Until the lease is ours the run is somebody else's.
    let not_ours = |ended: Ended| Ended { run: None, ..ended };
    let lease = acquire(session, options, &run).map_err(not_ours)?;
    let failed = |ended: Ended| give_back(session, &lease, not_ours(ended));
    let refused = |error: &LaneError| failed(preflight_failed(world, error));
    let newer = facts::observe_again(session, observed).map_err(|error| refused(&error))?;
    let observed = newer.as_ref().unwrap_or(observed);
    let live = observed.facts.live.as_ref();
    if !resume::is_as_found(session, unfinished, seen).map_err(&failed)?
        || !resume::still_current(session, options, unfinished, live).map_err(&failed)?
    {
        release_lease(session, &lease);
        return Ok(None);
    }
    let beginning = match &unfinished.beginning {
        Some(beginning) => beginning.clone(),
        // It stopped before it had a plan, and so before it changed anything.
        None => Beginning::new(session, &planned, &observed.baseline),
    };
    let planned = Plan {
        commit: row.commit.clone(),
        ..beginning.plan(planned)
    };
    if !options.abort {
        facts::bundle_serves(session, &planned).map_err(|error| refused(&error))?;
    }
    resume::take_over(session, options, unfinished).map_err(&failed)?;
    let failed = |ended: Ended| resume::leave(session, row, failed(ended));
    session.inputs.begin(&run);
    resume::remember(session, &run, &beginning).map_err(|error| failed(no_journal(&error)))?;
    let shared = Shared::new(world, row, &session.process, &session.by, seen.oid.clone());
    match shared.push(world) {
        Ok(()) => {}
        // What is wrong in production is put right first.
        Err(error) if options.abort => warn_not_shared(world, &error),
        Err(error) => return Err(failed(not_shared(world, &error))),
    }
    let hold = Hold { lease, shared };
    announce(session, &planned);
    let is_recorded = live.is_some_and(|live| live.record.release.0 == run.0);
    let verdict = if is_recorded && !options.abort {
        let reason =
            format!("{run} was live and recorded already; only the end of its run was missing");
        Verdict {
            exit: Exit::Done,
            reason,
            release: Some(ReleaseId(run.0.clone())),
        }
    } else {
        let job = job(
            session,
            options,
            &run,
            &planned,
            live,
            beginning.baseline,
            &hold,
        );
        if options.abort {
            executor::abort(&job)
        } else {
            executor::execute(&job)
        }
    };
    let ended = Ended {
        run: Some(run),
        verdict,
        plan: Some(Box::new(planned)),
        nothing_to_do: false,
    };
    Ok(Some(hold.close(session, ended)))
}

fn end(run: &RunId, mut ended: Ended) -> Ended {
    ended.run = Some(run.clone());
    ended
}

pub(crate) fn preflight_failed(world: &dyn World, error: &LaneError) -> Ended {
    world.emit(EventKind::StepFinished {
        step: Step::Preflight,
        end: StepEnd::Failed,
        detail: error.to_string(),
    });
    match error {
        LaneError::Cancelled(cancelled) => Ended::early(
            executor::cancelled_exit(*cancelled),
            format!("{cancelled} before anything changed"),
        ),
        LaneError::Database(text) => Ended::early(Exit::Database, text),
        LaneError::Superseded(text) => Ended::early(Exit::Superseded, text),
        LaneError::Unhealthy(text) => Ended::early(Exit::Unhealthy, text),
        other => Ended::early(Exit::Refused, other.to_string()),
    }
}

fn nothing_to_do(session: &Session<'_>, planned: Plan) -> Ended {
    session.world.emit(EventKind::StepFinished {
        step: Step::Preflight,
        end: StepEnd::Ok,
        detail: "nothing differs from what is live, and both halves answer as recorded".to_owned(),
    });
    announce_plan(session.world, &planned);
    let reason = format!(
        "nothing to do: {} already has this content, and it answers",
        session.target.name
    );
    let release = planned.parent.clone();
    Ended {
        run: None,
        verdict: Verdict {
            exit: Exit::Done,
            reason,
            release,
        },
        plan: Some(Box::new(planned)),
        nothing_to_do: true,
    }
}

/// The row of a run of `command` that begins now and is about `commit`.
pub fn new_row(session: &Session<'_>, command: &str, commit: &Commit) -> RunRow {
    let now = session.world.now().wall_ms;
    RunRow {
        id: new_run_id(session, commit, now),
        command: command.to_owned(),
        environment: session.target.name.clone(),
        commit: commit.clone(),
        started_ms: now,
        finished_ms: None,
        exit_code: None,
        reason: None,
        process: session.process.clone(),
    }
}

/// Writes a run's first row and its first event.
///
/// # Errors
/// When the journal does not take it.
pub fn begin_new(
    session: &Session<'_>,
    options: &Options,
    row: RunRow,
    subject: &str,
) -> Result<RunId, Ended> {
    let world = session.world;
    resume::bury_all(session)?;
    world
        .journal()
        .begin_run(&row)
        .map_err(|error| no_journal(&error))?;
    world.attach(&row.id, &[]);
    world.emit(EventKind::RunStarted {
        run: row.id.clone(),
        command: row.command,
        environment: row.environment,
        commit: row.commit,
        subject: subject.to_owned(),
        by: session.by.clone(),
        override_reason: override_reason(options),
    });
    world.emit(EventKind::StepStarted {
        step: Step::Preflight,
    });
    Ok(row.id)
}

fn no_journal(error: &anyhow::Error) -> Ended {
    Ended::early(
        Exit::Refused,
        format!("{error:#} (without a journal nothing is released)"),
    )
}

/// Sorts by time and names the commit: `20261123T170102Z-abc1234-9f3c`.
fn new_run_id(session: &Session<'_>, commit: &Commit, now_ms: i64) -> RunId {
    let time = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let time = time.strftime("%Y%m%dT%H%M%SZ");
    RunId(format!(
        "{time}-{}-{:04x}",
        commit.short(),
        session.world.random() & 0xffff
    ))
}

fn override_reason(options: &Options) -> Option<String> {
    let said = [
        options
            .break_glass
            .as_ref()
            .map(|reason| format!("lease overridden: {reason}")),
        options
            .anyway
            .as_ref()
            .map(|reason| format!("released anyway: {reason}")),
        options.asked.force.then(|| "--force".to_owned()),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// Takes the lease for a run that has begun.
///
/// # Errors
/// When it is held or cannot be had.
pub fn acquire(session: &Session<'_>, options: &Options, run: &RunId) -> Result<Lease, Ended> {
    let world = session.world;
    let holder = Holder {
        run: run.clone(),
        by: session.by.clone(),
        process: session.process.clone(),
        since_ms: world.now().wall_ms,
        renewed_ms: 0,
        reason: None,
        nonce: String::new(),
    };
    let terms = Terms {
        wait: options.wait_lock,
        is_dead: session.is_dead,
        break_glass: options.break_glass.is_some(),
    };
    Lease::acquire(world, &session.target.name, holder, terms).map_err(|error| {
        let (exit, text) = match &error {
            LeaseError::Held(_) => (Exit::Refused, error.to_string()),
            LeaseError::Store(_) => (
                Exit::Refused,
                format!("{error}; without a lease nothing is released"),
            ),
            LeaseError::Cancelled(cancelled) => {
                (executor::cancelled_exit(*cancelled), error.to_string())
            }
        };
        world.emit(EventKind::StepFinished {
            step: Step::Preflight,
            end: StepEnd::Failed,
            detail: text.clone(),
        });
        end(run, Ended::early(exit, text))
    })
}

/// Gives the lease back.
pub fn give_back(session: &Session<'_>, lease: &Lease, ended: Ended) -> Ended {
    release_lease(session, lease);
    ended
}

fn release_lease(session: &Session<'_>, lease: &Lease) {
    if let Err(error) = lease.release(session.world) {
        session.world.emit(EventKind::Warning {
            text: format!(
                "{error:#}; it ends by itself in {} s",
                crate::lease::TTL.as_secs()
            ),
        });
    }
}

/// Ends the preflight and shows the plan.
pub fn announce(session: &Session<'_>, planned: &Plan) {
    let detail = format!(
        "reversible: {}, because {}",
        if planned.reversible { "yes" } else { "no" },
        planned.reversible_because
    );
    session.world.emit(EventKind::StepFinished {
        step: Step::Preflight,
        end: StepEnd::Ok,
        detail,
    });
    announce_plan(session.world, planned);
}

/// Emits the plan as an event.
pub fn announce_plan(world: &dyn World, planned: &Plan) {
    world.emit(EventKind::Planned {
        parent: planned.parent.clone(),
        lanes: planned.lanes.clone(),
        reversible: planned.reversible,
        reversible_because: planned.reversible_because.clone(),
        migrations: planned
            .migrations
            .iter()
            .map(|file| file.name.clone())
            .collect(),
        steps: planned.steps.clone(),
    });
}

/// Everything that lanes need, in one place.
pub fn job<'a>(
    session: &'a Session<'_>,
    options: &Options,
    run: &RunId,
    planned: &'a Plan,
    live: Option<&'a Live>,
    baseline: Baseline,
    hold: &'a Hold,
) -> Job<'a> {
    Job {
        world: session.world,
        run: run.clone(),
        config: session.config,
        target: session.target,
        plan: planned,
        baseline,
        live,
        manifests: &session.source.manifests,
        inputs: session.inputs,
        preparation: session.preparation,
        accepted: options.accepted,
        lease: &hold.lease,
        shared: &hold.shared,
        history: session.history,
        netlify: session.netlify,
        render: session.render,
        admin_token: session.admin_token,
        by: session.by.clone(),
        branches: forwards::branch_names(
            session
                .source
                .remote_branches
                .as_deref()
                .unwrap_or_default(),
        ),
        override_reason: override_reason(options),
    }
}

/// Commands worth typing next, the likeliest first.
fn next_commands(ended: &Ended, session: &Session<'_>) -> Vec<String> {
    let target = session.target;
    // A deploy never plans to undo anything.
    let is_rollback = ended.plan.as_ref().is_some_and(|plan| {
        plan.steps
            .iter()
            .any(|step| matches!(step, Step::UndoFrontend | Step::UndoBackend))
    });
    let flag = if target.is_local {
        String::new()
    } else if target.is_production {
        " --prod".to_owned()
    } else {
        format!(" --env {}", target.name)
    };
    let lines: &[&str] = match ended.verdict.exit {
        Exit::Degraded | Exit::Unknown | Exit::Interrupted | Exit::Terminated | Exit::Bug
            if is_rollback =>
        {
            &["rollback", "status"]
        }
        Exit::Done => &["status", "rollback"],
        Exit::FailedUnchanged | Exit::RolledBack => &["history", "deploy"],
        Exit::Degraded | Exit::Unknown | Exit::Interrupted | Exit::Terminated | Exit::Bug => {
            &["deploy --resume", "deploy --abort", "status"]
        }
        // Nothing was begun: what is live does not answer.
        Exit::Unhealthy if ended.run.is_none() => &["deploy", "rollback --to live", "status"],
        Exit::Unhealthy => &["status", "rollback"],
        Exit::Database => &["migrate --status", "rollback", "status"],
        Exit::Superseded => &["status", "history"],
        Exit::Usage | Exit::Refused | Exit::Pending => &["plan"],
    };
    let bundle = match session.preparation {
        Preparation::Bundle { dir, .. } => format!(" --bundle {}", dir.display()),
        Preparation::Here(_) => String::new(),
    };
    lines
        .iter()
        .map(|line| match line.strip_prefix("deploy") {
            // What is undone needs no bundle.
            Some(rest) if rest != " --abort" => format!("cargo xtask deploy{bundle}{rest}{flag}"),
            _ => format!("cargo xtask {line}{flag}"),
        })
        .collect()
}
