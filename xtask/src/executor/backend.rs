//! The backend's half of a release, and what is done when it does not come up or is not what it should be.

use super::restore::{Old, old, restored, roll_back, unchanged};
use super::{Serving, Verdict, close_gate, others};
use crate::contract::Contract;
use crate::event::Step;
use crate::exit::Exit;
use crate::ids::DeployId;
use crate::job::{Job, LaneError};
use crate::lane::backend;
use crate::lane::draft::drop_draft;
use crate::lane::smoke;
use crate::lane::trigger::{self, Ours};

pub(super) fn release(job: &Job<'_>) -> Result<Serving, Verdict> {
    let deploy = backend::deploy(job).map_err(|error| not_live(job, error))?;
    let contract = prove(job, &deploy).map_err(|error| live_but_bad(job, error))?;
    Ok(Serving { deploy, contract })
}

fn prove(job: &Job<'_>, deploy: &DeployId) -> Result<Contract, LaneError> {
    if job.plan.steps.contains(&Step::BackendSchema) {
        backend::schema(job)?;
    }
    let contract = backend::identity(job, deploy)?;
    smoke::backend(job)?;
    Ok(contract)
}

/// The deploy never became live: find out who answers, and undo only what must be undone.
fn not_live(job: &Job<'_>, error: LaneError) -> Verdict {
    let text = match error {
        LaneError::Cancelled(_) | LaneError::Unknown(_) => {
            return Verdict::stopped(
                job,
                &error,
                "the backend's deploy is left to the provider and the frontend was not published",
            );
        }
        LaneError::Superseded(text) => return others::replaced(job, &text),
        other => other.to_string(),
    };
    close_gate(job, 2, &text);
    drop_draft(job);
    match trigger::ours(job) {
        Ok(Ours::None) => return unchanged(job, &text),
        Ok(_) => {}
        Err(error) => return Verdict::stopped(job, &error, &text),
    }
    if job.baseline.backend.is_none() {
        return restored(
            job,
            &format!("{text}; it was the first release and nothing of it is public"),
        );
    }
    match old(job) {
        Ok(Old::Live) => Verdict::new(
            Exit::FailedUnchanged,
            format!(
                "{text}; what was live before still answers and the frontend was never published"
            ),
        ),
        Ok(Old::Gone(_)) => roll_back(job, &text),
        Err(error) => Verdict::stopped(job, &error, &text),
    }
}

/// The deploy is live and is not what it should be.
fn live_but_bad(job: &Job<'_>, error: LaneError) -> Verdict {
    let text = match error {
        LaneError::Cancelled(_) | LaneError::Unknown(_) => {
            return Verdict::stopped(
                job,
                &error,
                "the new backend is live and was not proven; the frontend was not published",
            );
        }
        LaneError::Unverifiable(text) => {
            close_gate(job, 2, &text);
            drop_draft(job);
            return Verdict::new(
                Exit::Degraded,
                format!("{text}; the new backend is live, the frontend was not published"),
            );
        }
        other => other.to_string(),
    };
    backend::show_log(job);
    close_gate(job, 2, &text);
    drop_draft(job);
    roll_back(job, &text)
}
