//! Undoing: each half goes back to what was live when the run began, and that is proven.

use crate::event::{LaneState, Step};
use crate::ids::{Commit, DeployId, Lane};
use crate::job::{Job, LaneError};
use crate::lane::backend::{self, Ended};
use crate::lane::frontend::{Draft, attempt, publish_deploy, settle};
use crate::lane::verify;
use crate::once::{Attempt, Probe, once};
use std::collections::BTreeSet;

/// Takes an unpublished deploy away. A draft that stays is harmless, so a failure is only worth a warning.
pub fn cancel_draft(job: &Job<'_>, draft: &DeployId) {
    match job.netlify.cancel(draft) {
        Ok(_) => job.lane(Lane::Frontend, LaneState::Failed, Some(draft), None),
        Err(error) => job.warn(format!("the unpublished deploy {draft} could not be cancelled: {error}; it is not public")),
    }
}

/// Makes the site's previous deploy public again.
///
/// # Errors
/// When it could not be restored or proven; then what is public needs a person.
pub fn frontend(job: &Job<'_>, draft: Option<&Draft>) -> Result<(), LaneError> {
    job.undo_step(Step::UndoFrontend, || {
        let ours = draft.map(|draft| draft.deploy.clone());
        let Some(before) = &job.baseline.frontend else {
            return Err(LaneError::Failed("there is no earlier deploy of the site to restore".to_owned()));
        };
        let key = format!("frontend.restore.{before}");
        publish_deploy(job, &key, before)?;
        let found = job.netlify.published()?;
        if found.as_ref() != Some(before) {
            return Err(LaneError::Failed(format!("{before} was restored, but {} is published", found.map_or_else(|| "nothing".to_owned(), |id| id.to_string()))));
        }
        // The next attempt publishes anew: both intents have had their effect and are history.
        job.world.journal().withdraw(&job.run, "frontend.publish")?;
        job.world.journal().withdraw(&job.run, &key)?;
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
            return Err(LaneError::Failed("there is no earlier healthy deploy of the backend".to_owned()));
        };
        let id = roll_back(job, before)?;
        match backend::follow(job, &id)? {
            Ended::Live(_) => {}
            Ended::NotLive(_, why) => {
                backend::show_log(job);
                return Err(LaneError::Failed(format!("the rollback did not come up: {why}")));
            }
        }
        let proof = match commit {
            Some(commit) => prove_old(job, commit)?,
            None => "what answered before the release is not known, so its identity was not compared".to_owned(),
        };
        Ok((id.clone(), format!("{id} brought back {before}; {proof}")))
    })?;
    job.lane(Lane::Backend, LaneState::RolledBack, Some(&id), Some(&job.target.service_url));
    Ok(id)
}

fn prove_old(job: &Job<'_>, commit: &Commit) -> Result<String, LaneError> {
    verify::identity(job, Step::UndoBackend, commit).map_err(|error| LaneError::Failed(format!("after the rollback: {error} (does an auto-deploy undo it?)")))
}

fn roll_back(job: &Job<'_>, before: &DeployId) -> Result<DeployId, LaneError> {
    job.permit()?;
    let seen: BTreeSet<DeployId> = job.render.recent()?.into_iter().map(|deploy| deploy.id).collect();
    let find = |seen: &BTreeSet<DeployId>| {
        let recent = job.render.recent()?;
        Ok(recent.into_iter().find(|deploy| !seen.contains(&deploy.id) && deploy.trigger.as_deref() == Some("rollback")).map(|deploy| deploy.id))
    };
    let id = once(
        job.world,
        &job.run,
        &format!("backend.rollback.{before}"),
        seen,
        |seen| Ok(settle(job, || find(seen))?.map_or(Probe::Absent, Probe::Found)),
        || match job.render.rollback(before) {
            Ok(deploy) => Attempt::Done(deploy.id),
            Err(error) => attempt(error),
        },
    )?;
    Ok(id)
}
