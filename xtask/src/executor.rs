//! Carries a plan out: prepare in parallel, two gates, and the decisions of what to undo when something fails.
//!
//! Every function that ends a run early returns the [`Verdict`] as its error, so that the order of events reads from top to bottom.

mod backend;
mod bake;
mod finalise;
mod frontend;
mod lost;
mod others;
mod prepare;
mod restore;
mod schema;

pub use lost::after_lost_lease;
pub use others::rollback_holds;

use crate::contract::Contract;
use crate::event::EventKind;
use crate::exit::Exit;
use crate::ids::{DeployId, Lane, ReleaseId};
use crate::job::{Job, LaneError};
use crate::lane::frontend::Draft;
use crate::world::{Cancelled, Signal};

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
        Self {
            exit,
            reason: reason.into(),
            release: None,
        }
    }

    /// The run was asked to stop: nothing more is begun, undoing included. What is left is for `--resume` and `--abort`.
    fn interrupted(job: &Job<'_>, cancelled: Cancelled, what: &str) -> Self {
        // A client that was cut short does not know which signal it was.
        let cancelled = job.world.cancelled().unwrap_or(cancelled);
        Self::new(cancelled_exit(cancelled), format!("{cancelled}: {what}"))
    }

    /// The end of a run that could not go on for another reason than a failure of the release.
    fn stopped(job: &Job<'_>, error: &LaneError, what: &str) -> Self {
        match error {
            LaneError::Cancelled(cancelled) => Self::interrupted(job, *cancelled, what),
            other => Self::new(Exit::Unknown, format!("{other} ({what})")),
        }
    }
}

/// The exit code that names the signal.
pub fn cancelled_exit(cancelled: Cancelled) -> Exit {
    match cancelled.0 {
        Signal::Interrupt => Exit::Interrupted,
        Signal::Terminate => Exit::Terminated,
        // What failed beside it decides, and not what was ended for it.
        Signal::Beside => Exit::Bug,
    }
}

/// The backend that this run left live, and what it is judged by.
struct Serving {
    deploy: DeployId,
    contract: Contract,
}

/// What this run left live, by half.
struct Halves {
    backend: Option<Serving>,
    frontend: Option<Draft>,
}

/// Carries the plan out, or goes on undoing it when an earlier attempt of the run had begun to.
pub fn execute(job: &Job<'_>) -> Verdict {
    let verdict = match restore::begun(job) {
        Some(reason) => restore::restore(job, &reason),
        None => release(job).unwrap_or_else(|verdict| verdict),
    };
    last_words(job, verdict)
}

/// What a run says at its end holds when it says it: who lost the lease looks at who has released, and everybody else waits for what
/// others still have under way.
fn last_words(job: &Job<'_>, verdict: Verdict) -> Verdict {
    let verdict = after_lost_lease(job, verdict);
    match verdict.exit {
        Exit::FailedUnchanged | Exit::RolledBack => {
            after_lost_lease(job, others::last_words(job, verdict))
        }
        _ => verdict,
    }
}

/// `deploy --abort`: brings back what was live when the run began.
pub fn abort(job: &Job<'_>) -> Verdict {
    last_words(job, restore::abort(job))
}

fn release(job: &Job<'_>) -> Result<Verdict, Verdict> {
    let draft = prepare::prepare(job)?;
    gate(job, 1, "everything is prepared and every check passed")?;
    prepare::remember_gate_1(job)?;
    let backend = if job.plan.runs(Lane::Backend) {
        Some(backend::release(job)?)
    } else {
        None
    };
    if let (Some(_), Some(_)) = (&backend, &draft) {
        gate(job, 2, "the backend is live and proven as planned")?;
    }
    if let Some(draft) = &draft {
        frontend::release(job, draft, backend.is_some())?;
    }
    let halves = Halves {
        backend,
        frontend: draft,
    };
    bake::bake(job, &halves)?;
    others::before_recording(job, &halves)?;
    finalise::finalise(job, &halves)
}

/// Both gates renew the lease: whoever lost it must not go on, nor clean up.
fn gate(job: &Job<'_>, number: u8, because: &str) -> Result<(), Verdict> {
    if let Err(error) = job.lease.renew(job.world) {
        let because = format!("{error:#}");
        job.world.emit(EventKind::Gate {
            number,
            passed: false,
            because: because.clone(),
        });
        return Err(Verdict::new(Exit::Unknown, because));
    }
    job.world.emit(EventKind::Gate {
        number,
        passed: true,
        because: because.to_owned(),
    });
    Ok(())
}

fn close_gate(job: &Job<'_>, number: u8, because: &str) {
    job.world.emit(EventKind::Gate {
        number,
        passed: false,
        because: because.to_owned(),
    });
}
