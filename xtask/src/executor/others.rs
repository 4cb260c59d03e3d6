//! Other people's deploys of the service: waited for before last words, never cancelled, never fought over.
//!
//! The provider works on one deploy at a time, and whatever it still has will become live: what is said before that is true for a
//! few seconds only. And when one of them has taken our place, what may stay depends on whether its commit contains ours.

use super::restore::roll_back;
use super::{Halves, Verdict};
use crate::exit::Exit;
use crate::forwards::Ancestry;
use crate::ids::{Commit, DeployId};
use crate::job::{Job, LaneError, OUTAGE, poll_interval};
use crate::lane::draft::drop_draft;
use crate::lane::frontend::published;
use crate::lane::trigger::{self, Ours};
use crate::lane::{backend, undo, verify};
use crate::render::Deploy;
use std::time::Duration;

/// The backend's deploy that last words speak of, and what it answers.
type Said<'s> = Option<(&'s DeployId, Option<&'s Commit>)>;

/// Waits until the provider has nothing of others under way; answers whether there was anything since what is live went live.
///
/// # Errors
/// When that takes longer than a deploy may, or could not be learnt.
pub(super) fn wait(job: &Job<'_>) -> Result<bool, LaneError> {
    let started = job.now_ms();
    let budget = job.target.policy.deploy_timeout;
    let mut told: Option<DeployId> = None;
    loop {
        let recent = job.read(OUTAGE, || job.service().recent())?;
        // Nothing older than the live one can still be under way.
        let newer: Vec<&Deploy> = recent
            .iter()
            .take_while(|deploy| !deploy.status.is_live())
            .collect();
        let Some(other) = newer.iter().find(|deploy| deploy.is_under_way()) else {
            return Ok(told.is_some() || !newer.is_empty());
        };
        let name = format!("{} of somebody else is {}", other.id, other.status);
        let waited = job.since(started);
        if waited >= budget {
            return Err(LaneError::Unknown(format!(
                "{name} and was waited for {} s; it may become live at any time",
                waited.as_secs()
            )));
        }
        if told.as_ref() != Some(&other.id) {
            job.warn(format!("{name}: it is waited for, since it becomes live"));
            told = Some(other.id.clone());
        }
        job.wait(poll_interval(job.world, waited).max(Duration::from_secs(1)))?;
    }
}

/// The last look before a release is recorded as live.
pub(super) fn before_recording(job: &Job<'_>, halves: &Halves) -> Result<(), Verdict> {
    let text = "the release was live and verified";
    let backend = match &halves.backend {
        Some(serving) => Some((&serving.deploy, Some(&job.plan.commit))),
        None => baseline(job),
    };
    match hold(job, backend) {
        Ok(Hold::Yes) => Ok(()),
        Ok(Hold::Replaced(winner)) => Err(overtaken(job, text, &job.plan.commit, Ok(winner))),
        Ok(Hold::Silent(why)) => Err(roll_back(job, &format!("{text}; {why}"))),
        Err(error) => Err(Verdict::stopped(job, &error, text)),
    }
}

/// The last look before a run says with `verdict` that what was live before is.
pub(super) fn last_words(job: &Job<'_>, verdict: Verdict) -> Verdict {
    let text = verdict.reason.as_str();
    let rollback = undo::rolled_back_to(job);
    let backend = match &rollback {
        Some(id) => Some((id, job.baseline.backend_commit.as_ref())),
        None => baseline(job),
    };
    let said = backend.and_then(|(_, commit)| commit);
    match hold(job, backend) {
        Ok(Hold::Yes) => verdict,
        Ok(Hold::Replaced(Some(winner))) if said.is_some() && winner.commit.as_ref() == said => {
            verdict
        }
        Ok(Hold::Replaced(winner)) => {
            overtaken(job, text, said.unwrap_or(&job.plan.commit), Ok(winner))
        }
        Ok(Hold::Silent(why)) => Verdict::new(Exit::Unhealthy, format!("{text}; but {why}")),
        Err(error) => Verdict::stopped(job, &error, text),
    }
}

/// The last look before a `rollback` is recorded, which made `id` live again.
///
/// # Errors
/// The end that is true instead.
pub fn rollback_holds(job: &Job<'_>, id: &DeployId) -> Result<(), Verdict> {
    let text = "the earlier release was live again";
    let commit = job.baseline.backend_commit.as_ref();
    match hold(job, Some((id, commit))) {
        Ok(Hold::Yes) => Ok(()),
        Ok(Hold::Replaced(winner)) => {
            let said = commit.unwrap_or(&job.plan.commit);
            Err(overtaken(job, text, said, Ok(winner)))
        }
        Ok(Hold::Silent(why)) => Err(Verdict::new(Exit::Unhealthy, format!("{text}; but {why}"))),
        Err(error) => Err(Verdict::stopped(job, &error, text)),
    }
}

fn baseline<'j>(job: &'j Job<'_>) -> Said<'j> {
    let id = job.baseline.backend.as_ref()?;
    Some((id, job.baseline.backend_commit.as_ref()))
}

/// Whether what is about to be said still holds.
enum Hold {
    /// It does.
    Yes,
    /// Another deploy is live.
    Replaced(Option<Deploy>),
    /// Another deploy failed and left nothing that answers.
    Silent(String),
}

/// Not to know whether there is another deploy takes nothing from what was proven; to know of one does.
fn hold(job: &Job<'_>, said: Said<'_>) -> Result<Hold, LaneError> {
    look(job, said).or_else(|error| match error {
        LaneError::Failed(why) => {
            job.warn(format!(
                "whether others deploy the service as well could not be read: {why}"
            ));
            Ok(Hold::Yes)
        }
        other => Err(other),
    })
}

fn look(job: &Job<'_>, said: Said<'_>) -> Result<Hold, LaneError> {
    let is_touched = wait(job)?;
    let Some((id, commit)) = said else {
        let live = live(job)?;
        return Ok(live.map_or(Hold::Yes, |winner| Hold::Replaced(Some(winner))));
    };
    if backend::is_superseded(job, id)? {
        return Ok(Hold::Replaced(live(job)?));
    }
    match commit {
        // A deploy that failed may have stopped the process that it was to replace.
        Some(commit) if is_touched && !verify::answers(job, &job.contract_of(commit), commit)? => {
            Ok(Hold::Silent(format!(
                "after somebody else's deploy {} does not answer, healthy, any more",
                commit.short()
            )))
        }
        _ => Ok(Hold::Yes),
    }
}

fn live(job: &Job<'_>) -> Result<Option<Deploy>, LaneError> {
    job.read(OUTAGE, || job.service().live())
}

/// Whether somebody else's deploy has replaced what the run began from or brought back, or is about to.
pub(super) fn came(job: &Job<'_>) -> Result<bool, LaneError> {
    let Some(id) = undo::rolled_back_to(job).or_else(|| job.baseline.backend.clone()) else {
        return Ok(false);
    };
    // A deploy of ours has replaced what was there before, until it is rolled back.
    if undo::rolled_back_to(job).is_none() && !matches!(trigger::ours(job)?, Ours::None) {
        return Ok(false);
    }
    wait(job)?;
    backend::is_superseded(job, &id)
}

/// The end of a run whose place somebody else's deploy has taken: superseded when that one's commit contains `said`; otherwise a
/// frontend of ours must not stand on it, and the rest is told as it is.
pub(super) fn replaced(job: &Job<'_>, text: &str) -> Verdict {
    overtaken(job, text, &job.plan.commit, live(job))
}

/// As [`replaced`], when what had been said is that the version before is live.
pub(super) fn replaced_after_undo(job: &Job<'_>, text: &str) -> Verdict {
    let said = job.baseline.backend_commit.as_ref();
    overtaken(job, text, said.unwrap_or(&job.plan.commit), live(job))
}

fn overtaken(
    job: &Job<'_>,
    text: &str,
    said: &Commit,
    winner: Result<Option<Deploy>, LaneError>,
) -> Verdict {
    winner
        .and_then(|winner| judge(job, text, said, winner))
        .unwrap_or_else(|error| Verdict::stopped(job, &error, text))
}

fn judge(
    job: &Job<'_>,
    text: &str,
    said: &Commit,
    winner: Option<Deploy>,
) -> Result<Verdict, LaneError> {
    drop_draft(job);
    let Some(winner) = winner else {
        let text = format!(
            "{text}; another deploy took its place, and the provider says that none is live"
        );
        return Ok(Verdict::new(Exit::Unhealthy, text));
    };
    let commit = winner.commit.as_ref();
    let told = format!(
        "{text}; {} (trigger {}, commit {}) has replaced it",
        winner.id,
        winner.trigger.as_deref().unwrap_or("unknown"),
        commit.map_or("unknown", Commit::short)
    );
    let contains =
        |commit: &Commit| commit == said || job.history.ancestry(said, commit) == Ancestry::Part;
    if commit.is_some_and(contains) {
        let text = format!("{told} and contains {}; nothing was undone", said.short());
        return Ok(Verdict::new(Exit::Superseded, text));
    }
    let told = format!("{told} and is not known to contain {}", said.short());
    if published(job)? != job.baseline.frontend {
        match undo::frontend(job, None) {
            Ok(()) => {}
            Err(LaneError::Failed(why)) => {
                let text =
                    format!("{told}; and the previous frontend could not be restored: {why}");
                return Ok(Verdict::new(Exit::Unhealthy, text));
            }
            Err(other) => return Err(other),
        }
    }
    let told = format!("{told}; the previous frontend is public");
    let (exit, rest) = match commit {
        None => (
            Exit::Unhealthy,
            "which backend answers is not known".to_owned(),
        ),
        Some(commit) if !verify::answers(job, &job.contract_of(commit), commit)? => (
            Exit::Unhealthy,
            format!("{} does not answer, healthy", commit.short()),
        ),
        Some(commit) if job.baseline.backend_commit.as_ref() == Some(commit) => (
            Exit::RolledBack,
            format!("{} answers, as before the run", commit.short()),
        ),
        Some(commit) => (
            Exit::Degraded,
            format!(
                "the backend that answers is {}, which is not this run's",
                commit.short()
            ),
        ),
    };
    Ok(Verdict::new(exit, format!("{told}; {rest}")))
}
