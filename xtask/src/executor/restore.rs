//! Back to what was live when the run began, and the proof that it is.
//!
//! An undo that has begun is written down: a resumed run goes on with it instead of releasing again.

use super::{Verdict, others, schema};
use crate::exit::Exit;
use crate::ids::{Commit, DeployId, Lane, ReleaseId};
use crate::job::{Job, LaneError, OUTAGE};
use crate::lane::draft::drop_draft;
use crate::lane::frontend::published;
use crate::lane::trigger::{self, Ours};
use crate::lane::{backend, undo, verify};
use crate::live;
use crate::refs::Swap;
use std::time::Duration;

/// The journal's mark that this run is being undone.
const UNDO: &str = "undo";

/// What became of what was live before.
pub(super) enum Old {
    /// It is live and answers, both halves.
    Live,
    /// It is not; the text says why.
    Gone(String),
}

/// Looks whether both halves are what they were when the run began.
///
/// # Errors
/// When that could not be learnt.
pub(super) fn old(job: &Job<'_>) -> Result<Old, LaneError> {
    let found = published(job)?;
    if found != job.baseline.frontend {
        let name =
            |id: Option<&DeployId>| id.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        return Ok(Old::Gone(format!(
            "{} is published, and it was {}",
            name(found.as_ref()),
            name(job.baseline.frontend.as_ref())
        )));
    }
    let Some(id) = &job.baseline.backend else {
        return Ok(match job.read(OUTAGE, || job.service().live())? {
            None => Old::Live,
            Some(deploy) => Old::Gone(format!("{} is live, and nothing was before", deploy.id)),
        });
    };
    if let Some(why) = job.baseline.ill.get(&Lane::Backend) {
        return Ok(Old::Gone(format!(
            "the backend did not answer as recorded before this run either: {why}"
        )));
    }
    let contract = job.old_contract();
    let commit = job.baseline.backend_commit.clone();
    let expected = commit.clone().unwrap_or_else(|| Commit(String::new()));
    if !verify::answers(job, &contract, &expected)? {
        let what = commit.as_ref().map_or(id.as_str(), Commit::short);
        return Ok(Old::Gone(format!(
            "{what} does not answer, healthy, as it did before"
        )));
    }
    if contract.rung.unproven().is_none() {
        return Ok(Old::Live);
    }
    // The answers do not tell which release they are from, so the provider must: it itself, or a rollback to it.
    let live = job.read(OUTAGE, || job.service().live())?;
    Ok(match live {
        Some(live) if live.id == *id || (live.commit.is_some() && live.commit == commit) => {
            Old::Live
        }
        other => Old::Gone(format!(
            "the provider says that {} is live, and it was {id}",
            other.map_or_else(|| "nothing".to_owned(), |live| live.id.to_string())
        )),
    })
}

/// The end of a run that changed nothing, once that is proven.
pub(super) fn unchanged(job: &Job<'_>, text: &str) -> Verdict {
    match old(job) {
        Ok(Old::Live) => Verdict::new(
            Exit::FailedUnchanged,
            format!("{text}; nothing that is live was changed"),
        ),
        Ok(Old::Gone(why)) => gone(
            job,
            text,
            &format!("this run changed nothing that is live, but {why}"),
        ),
        Err(error) => Verdict::stopped(job, &error, text),
    }
}

/// The end of a run that is undone, once that is proven.
pub(super) fn restored(job: &Job<'_>, text: &str) -> Verdict {
    match old(job) {
        Ok(Old::Live) => Verdict::new(Exit::RolledBack, text),
        Ok(Old::Gone(why)) => gone(job, text, &format!("but {why}")),
        Err(error) => Verdict::stopped(job, &error, text),
    }
}

/// What was live before is not what is found: somebody else's deploy came, or a person is needed.
fn gone(job: &Job<'_>, text: &str, why: &str) -> Verdict {
    match others::came(job) {
        Ok(true) => others::replaced_after_undo(job, text),
        // The old backend was tried although it may not run on the new schema.
        Ok(false) | Err(LaneError::Failed(_))
            if !job.plan.reversible && undo::has_begun(job).unwrap_or(true) =>
        {
            schema::refused(job, &format!("{text}; {why}"))
        }
        Ok(false) | Err(LaneError::Failed(_)) => {
            Verdict::new(Exit::Unhealthy, format!("{text}; {why}"))
        }
        Err(error) => Verdict::stopped(job, &error, text),
    }
}

/// Writes down that the run is being undone, and why. Undoing goes on when that fails.
fn mark(job: &Job<'_>, reason: &str) {
    if begun(job).is_none()
        && let Err(error) =
            job.world
                .journal()
                .intend(&job.run, UNDO, reason, job.world.now().wall_ms)
    {
        job.warn(format!("{error:#}"));
    }
}

/// Why an earlier attempt of this run began to undo it, if it did.
pub(super) fn begun(job: &Job<'_>) -> Option<String> {
    Some(job.world.journal().intent(&job.run, UNDO).ok()??.intent)
}

/// The end of a run whose place somebody else's deploy has taken: it is not fought over.
fn superseded(job: &Job<'_>, text: &str) -> Result<Option<Verdict>, LaneError> {
    let Ours::Deploy(id) = trigger::ours(job)? else {
        return Ok(None);
    };
    // Our own rollback replaces it too.
    if undo::has_begun(job)? {
        return Ok(None);
    }
    // A rollback would wait behind it at the provider all the same, or cancel it.
    others::wait(job)?;
    let recent = job.read(OUTAGE, || job.service().recent())?;
    // The list begins with the newest.
    let newer = recent.iter().position(|deploy| deploy.id == id);
    let newer = newer
        .and_then(|ours| recent.get(..ours))
        .unwrap_or_default();
    let is_others = newer.iter().any(|deploy| deploy.status.is_live());
    if !is_others && !backend::is_superseded(job, &id)? {
        return Ok(None);
    }
    Ok(Some(others::replaced(job, text)))
}

/// Rolls the backend back when that is possible, the frontend before it.
pub(super) fn roll_back(job: &Job<'_>, text: &str) -> Verdict {
    match superseded(job, text) {
        Ok(None) => {}
        Ok(Some(verdict)) => return verdict,
        Err(error) => return Verdict::stopped(job, &error, text),
    }
    match undo::has_begun(job) {
        Ok(true) => {}
        Ok(false) => match schema::forbids(job, text) {
            Ok(None) => {}
            Ok(Some(verdict)) => return verdict,
            Err(error) => return Verdict::stopped(job, &error, text),
        },
        Err(error) => return Verdict::stopped(job, &error, text),
    }
    if job.baseline.backend.is_none() {
        return Verdict::new(
            Exit::Unhealthy,
            format!("{text}; there is no earlier healthy deploy to go back to"),
        );
    }
    if let Some(why) = job.baseline.ill.get(&Lane::Backend) {
        return Verdict::new(
            Exit::Unhealthy,
            format!(
                "{text}; the backend was not rolled back, because what was live before did not answer as recorded either: {why}"
            ),
        );
    }
    mark(job, text);
    if let Err(verdict) = frontend_first(job, text) {
        return verdict;
    }
    match undo::backend(job) {
        Ok(id) => {
            record(job, &id);
            restored(
                job,
                &format!("{text}; the backend was rolled back and the previous frontend is public"),
            )
        }
        Err(error @ (LaneError::Cancelled(_) | LaneError::Unknown(_))) => Verdict::stopped(
            job,
            &error,
            &format!("{text}; a rollback of the backend was under way"),
        ),
        Err(error) => gone(
            job,
            text,
            &format!("and rolling the backend back failed: {error}"),
        ),
    }
}

/// A new frontend must never stand on an old backend: when it is public, the previous one comes back before anything else.
fn frontend_first(job: &Job<'_>, text: &str) -> Result<(), Verdict> {
    let restored = match published(job) {
        Ok(found) if found == job.baseline.frontend => Ok(()),
        Ok(_) => undo::frontend(job, None),
        Err(error) => Err(error),
    };
    restored.map_err(|error| match error {
        LaneError::Cancelled(_) | LaneError::Unknown(_) => Verdict::stopped(job, &error, text),
        error => Verdict::new(
            Exit::Unhealthy,
            format!("{text}; and the previous frontend could not be restored: {error}"),
        ),
    })
}

/// A rollback is a deploy with an id of its own: the record of what is live must name it, or the next run sees drift.
fn record(job: &Job<'_>, id: &DeployId) {
    let Some(live) = job.live else { return };
    let mut record = live.record.clone();
    let Some(lane) = record
        .lanes
        .get_mut(&Lane::Backend)
        .filter(|lane| job.baseline.backend.as_ref() == Some(&lane.deploy_id))
    else {
        return;
    };
    lane.deploy_id = id.clone();
    record.run = job.run.clone();
    record.command = "rollback".to_owned();
    record.created_ms = job.world.now().wall_ms;
    record.by.clone_from(&job.by);
    record.migrations = Vec::new();
    record.undo_of = Some(ReleaseId(job.run.0.clone()));
    let message = format!("undo of {}: {id} brought {} back", job.run, record.release);
    let moved = live::files(&record, &live.manifests, live.sent.as_ref()).and_then(|files| {
        job.world.refs().swap(
            &live::live_ref(&job.target.name),
            Some(&live.oid),
            &files,
            true,
            &message,
        )
    });
    match moved {
        Ok(Swap::Moved(_)) => {}
        Ok(Swap::Lost(_)) => {
            job.warn("another run moved the record of what is live meanwhile; its record stands");
        }
        Err(error) => job.warn(format!(
            "the rollback could not be recorded: {error:#}; the next release will see it as drift"
        )),
    }
}

/// Takes back whatever this run did, in this attempt or an earlier one.
pub(super) fn restore(job: &Job<'_>, text: &str) -> Verdict {
    mark(job, text);
    match take_back(job) {
        Ok(Old::Live) => restored(job, &format!("{text}; what was live before is live")),
        Ok(Old::Gone(why)) => roll_back(job, &format!("{text}; {why}")),
        Err(error @ (LaneError::Cancelled(_) | LaneError::Unknown(_))) => {
            Verdict::stopped(job, &error, &format!("{text}; it was being undone"))
        }
        Err(error) => Verdict::new(
            Exit::Unhealthy,
            format!("{text}; and undoing it failed: {error}"),
        ),
    }
}

/// Undoes the run because somebody asked for it.
pub(super) fn abort(job: &Job<'_>) -> Verdict {
    restore(
        job,
        &begun(job).unwrap_or_else(|| format!("run {} was aborted", job.run)),
    )
}

/// Everything but the backend's rollback, and whether that is needed.
fn take_back(job: &Job<'_>) -> Result<Old, LaneError> {
    let ours = trigger::settle_ours(job)?;
    if let Some(id) = &ours {
        end_deploy(job, id)?;
    }
    if published(job)? != job.baseline.frontend {
        // When the old backend cannot come back, the new frontend stays with the new one.
        if ours.is_some() && !job.plan.reversible {
            return old(job);
        }
        undo::frontend(job, None)?;
    }
    drop_draft(job);
    old(job)
}

/// A deploy that is still under way must not become live behind our back.
fn end_deploy(job: &Job<'_>, id: &DeployId) -> Result<(), LaneError> {
    let read = || Ok::<_, LaneError>(job.read(OUTAGE, || job.service().deploy(id))?.status);
    if read()?.is_terminal() {
        return Ok(());
    }
    let cancelled = backend::cancel(job, id);
    let started = job.now_ms();
    while !read()?.is_terminal() {
        if job.since(started) >= OUTAGE {
            let why = cancelled
                .err()
                .map(|error| format!(": {error}"))
                .unwrap_or_default();
            return Err(LaneError::Unknown(format!(
                "{id} is still under way and could not be cancelled{why}"
            )));
        }
        job.wait(Duration::from_secs(1))?;
    }
    Ok(())
}
