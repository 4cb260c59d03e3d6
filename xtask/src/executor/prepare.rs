//! Before anything that is live changes: checks, upload and rehearsal side by side, and what a failure among them means.

use super::restore::{restore, unchanged};
use super::{Verdict, close_gate};
use crate::event::Step;
use crate::exit::Exit;
use crate::ids::Lane;
use crate::job::{Job, LaneError, Task, side_by_side};
use crate::lane::draft::drop_draft;
use crate::lane::frontend::Draft;
use crate::lane::trigger::{self, Ours};
use crate::lane::{backend, checks, frontend};

/// The journal's mark that every check of this run has passed.
const GATE_1: &str = "gate.1";

/// Checks, upload and rehearsal side by side; nothing that is live changes here.
pub(super) fn prepare(job: &Job<'_>) -> Result<Option<Draft>, Verdict> {
    let passed_before = job
        .world
        .journal()
        .intent(&job.run, GATE_1)
        .is_ok_and(|row| row.is_some());
    let mut tasks: Vec<Task<'_, Option<Draft>>> = Vec::new();
    if job.plan.runs(Lane::Frontend) {
        tasks.push(Box::new(|| frontend::prepare(job).map(Some)));
    }
    // The same commit passed in an earlier attempt, and its migrations may be applied by now.
    if !passed_before {
        if job.plan.runs(Lane::Backend) && job.plan.steps.contains(&Step::BackendRehearse) {
            tasks.push(Box::new(|| backend::rehearse(job).map(|()| None)));
        }
        if job.plan.steps.contains(&Step::Checks) {
            tasks.push(Box::new(|| checks::run(job).map(|()| None)));
        }
    }
    side_by_side(job.world, &tasks)
        .map(|drafts| drafts.into_iter().flatten().next())
        .map_err(|error| stop(job, error))
}

/// Writes down that everything passed: a resumed run need not ask again.
pub(super) fn remember_gate_1(job: &Job<'_>) -> Result<(), Verdict> {
    let journal = job.world.journal();
    let known = journal.intent(&job.run, GATE_1).and_then(|row| match row {
        Some(_) => Ok(()),
        None => journal.intend(&job.run, GATE_1, "{}", job.world.now().wall_ms),
    });
    known.map_err(|error| stop(job, error.into()))
}

fn stop(job: &Job<'_>, error: LaneError) -> Verdict {
    close_gate(job, 1, &error.to_string());
    // A resumed run that fails here has changed things before.
    let touched = !matches!(trigger::ours(job), Ok(Ours::None)) || frontend::was_published(job);
    if touched && !matches!(error, LaneError::Cancelled(_) | LaneError::Bug(_)) {
        return restore(job, &error.to_string());
    }
    let unsaid = if touched {
        "what an earlier attempt of this run changed stays as it is"
    } else {
        "nothing that is live was changed"
    };
    if !touched {
        drop_draft(job);
    }
    match error {
        LaneError::Cancelled(cancelled) => Verdict::interrupted(job, cancelled, unsaid),
        LaneError::Bug(text) => Verdict::new(Exit::Bug, format!("{text}; {unsaid}")),
        LaneError::Refused(text) => Verdict::new(Exit::Refused, text),
        LaneError::Unhealthy(text) => Verdict::new(Exit::Unhealthy, text),
        LaneError::Database(text) => Verdict::new(Exit::Database, text),
        LaneError::Failed(text)
        | LaneError::Unverifiable(text)
        | LaneError::Superseded(text)
        | LaneError::Unknown(text) => unchanged(job, &text),
    }
}
