//! Undoing: each half goes back to what was live when the run began, and that is proven.

use crate::event::{LaneState, Step};
use crate::ids::{Commit, DeployId, Lane};
use crate::job::{Job, LaneError};
use crate::lane::backend::{self, Ended};
use crate::lane::draft::settle;
use crate::lane::frontend::{Draft, publish_deploy, published};
use crate::lane::{reconcile, service_log, verify};
use crate::once::{Probe, once};
use std::collections::BTreeSet;

/// Makes the site's previous deploy public again.
///
/// # Errors
/// When it could not be restored or proven; then what is public needs a person.
pub fn frontend(job: &Job<'_>, draft: Option<&Draft>) -> Result<(), LaneError> {
    job.undo_step(Step::UndoFrontend, || {
        let ours = draft.map(|draft| draft.deploy.clone());
        let Some(before) = &job.baseline.frontend else {
            return Err(LaneError::Failed(
                "there is no earlier deploy of the site to restore".to_owned(),
            ));
        };
        publish_deploy(job, &format!("frontend.restore.{before}"), before)?;
        let found = published(job)?;
        if found.as_ref() != Some(before) {
            return Err(LaneError::Failed(format!(
                "{before} was restored, but {} is published",
                found.map_or_else(|| "nothing".to_owned(), |id| id.to_string())
            )));
        }
        job.lane(Lane::Frontend, LaneState::RolledBack, ours.as_ref(), None);
        Ok(((), format!("{before} is published again")))
    })
}

/// Rolls the backend back to the deploy that was live before, at most once per run.
///
/// # Errors
/// When there is nothing to go back to, or what it went back to is not healthy.
pub fn backend(job: &Job<'_>) -> Result<DeployId, LaneError> {
    let id = job.undo_step(Step::UndoBackend, || {
        let (Some(before), commit) = (&job.baseline.backend, &job.baseline.backend_commit) else {
            return Err(LaneError::Failed(
                "there is no earlier healthy deploy of the backend".to_owned(),
            ));
        };
        let id = roll_back(job, before)?;
        match backend::follow(job, Step::UndoBackend, &id)? {
            Ended::Live(_) => {}
            Ended::NotLive(id, why) => {
                let why = service_log::explain(job, Step::UndoBackend, &id, &why);
                return Err(LaneError::Failed(format!(
                    "the rollback did not come up: {why}"
                )));
            }
        }
        let proof = prove_old(job, commit.as_ref())?;
        Ok((id.clone(), format!("{id} brought back {before}; {proof}")))
    })?;
    job.lane(
        Lane::Backend,
        LaneState::RolledBack,
        Some(&id),
        Some(&job.target.service_url),
    );
    Ok(id)
}

/// The old release is judged by what it was released with: it cannot know a path that came later.
fn prove_old(job: &Job<'_>, commit: Option<&Commit>) -> Result<String, LaneError> {
    let contract = job.old_contract();
    let Some(commit) = commit else {
        return Ok("the provider names no commit of it, so it was not compared".to_owned());
    };
    verify::identity(job, Step::UndoBackend, &contract, commit).map_err(|error| match error {
        LaneError::Failed(text) | LaneError::Unverifiable(text) => LaneError::Failed(format!(
            "after the rollback: {text} (does an auto-deploy undo it?)"
        )),
        other => other,
    })
}

/// Whether this run asked for a rollback, in this attempt or an earlier one.
///
/// # Errors
/// When the journal cannot be read.
pub fn has_begun(job: &Job<'_>) -> Result<bool, LaneError> {
    let Some(before) = &job.baseline.backend else {
        return Ok(false);
    };
    Ok(job
        .world
        .journal()
        .intent(&job.run, &key(before))?
        .is_some())
}

/// The deploy by which this run brought the backend back, if it did.
pub fn rolled_back_to(job: &Job<'_>) -> Option<DeployId> {
    let key = key(job.baseline.backend.as_ref()?);
    let row = job.world.journal().intent(&job.run, &key).ok()??;
    serde_json::from_str(&row.outcome?).ok()
}

fn key(before: &DeployId) -> String {
    format!("backend.rollback.{before}")
}

fn roll_back(job: &Job<'_>, before: &DeployId) -> Result<DeployId, LaneError> {
    let seen = reconcile::seen(job)?;
    let id = once(
        job.world,
        &job.run,
        &key(before),
        &seen,
        |seen: &BTreeSet<DeployId>| {
            let found = settle(job, || reconcile::find(job, seen, "rollback", None))?;
            Ok(found.map_or(Probe::Absent, Probe::Found))
        },
        || {
            // What is wrong in production is put right first.
            if let Err(error) = job.shared.push(job.world) {
                job.warn(format!(
                    "the rollback could not be written down where other machines find it: {error:#}"
                ));
            }
            job.attempt(|until_ms| {
                job.render
                    .until(until_ms)
                    .rollback(before)
                    .map(|deploy| deploy.id)
            })
        },
    )?;
    Ok(id)
}
