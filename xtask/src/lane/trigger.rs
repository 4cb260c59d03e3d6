//! Asking for the backend's deploy exactly once, and knowing it again: the provider has no key for that, so ours is told from others
//! by what was there before.

use crate::event::Step;
use crate::ids::DeployId;
use crate::job::{Job, LaneError, OUTAGE, poll_interval};
use crate::lane::backend::not_known;
use crate::lane::draft::settle;
use crate::lane::reconcile;
use crate::once::{Attempt, Probe, once};
use crate::render::{Triggered, find_ours};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// What was known before the trigger, so that ours can be told from others afterwards.
#[derive(Serialize, Deserialize)]
struct Before {
    seen: BTreeSet<DeployId>,
}

/// The key of the intent to deploy this run's commit.
const TRIGGER: &str = "backend.trigger";

/// What the trigger answered: a queued deploy has no id yet.
#[derive(Serialize, Deserialize)]
struct Accepted {
    deploy: Option<DeployId>,
    seen: BTreeSet<DeployId>,
}

/// What the journal knows of this run's deploy.
pub enum Ours {
    /// None was asked for.
    None,
    /// One was or may have been asked for, and its id is not known.
    Unnamed,
    /// This one.
    Deploy(DeployId),
}

/// Whether this run asked the provider for a deploy, and for which.
///
/// # Errors
/// When the journal cannot be read.
pub fn ours(job: &Job<'_>) -> Result<Ours, LaneError> {
    let Some(row) = job.world.journal().intent(&job.run, TRIGGER)? else {
        return Ok(Ours::None);
    };
    let accepted = row
        .outcome
        .and_then(|outcome| serde_json::from_str::<Accepted>(&outcome).ok());
    Ok(accepted
        .and_then(|accepted| accepted.deploy)
        .map_or(Ours::Unnamed, Ours::Deploy))
}

/// Settles whether this run's deploy was made, when the journal does not know: as [`ours`], without a doubt left.
///
/// # Errors
/// When it could not be learnt.
pub fn settle_ours(job: &Job<'_>) -> Result<Option<DeployId>, LaneError> {
    match ours(job)? {
        Ours::None => Ok(None),
        Ours::Deploy(id) => Ok(Some(id)),
        Ours::Unnamed => {
            let row = job.world.journal().intent(&job.run, TRIGGER)?;
            let text = row
                .map(|row| row.outcome.unwrap_or(row.intent))
                .unwrap_or_default();
            let before: Before = serde_json::from_str(&text).map_err(anyhow::Error::from)?;
            settle(job, || find(job, &before.seen))
        }
    }
}

/// Asks for a deploy of the commit at most once per run, and names it.
///
/// # Errors
/// When the provider refuses, or when it could not be learnt which deploy is ours.
pub(super) fn trigger(job: &Job<'_>) -> Result<DeployId, LaneError> {
    let accepted = accepted(job)?;
    match accepted.deploy {
        Some(id) => Ok(id),
        None => find_queued(job, accepted),
    }
}

fn accepted(job: &Job<'_>) -> Result<Accepted, LaneError> {
    let commit = &job.plan.commit;
    let (mut seen, under_way) = look(job)?;
    if let (Ours::None, Some(deploy)) = (ours(job)?, under_way) {
        job.warn(format!(
            "adopted {deploy}: it was under way already and deploys this commit"
        ));
        return adopt(job, &deploy, seen);
    }
    let started = job.now_ms();
    loop {
        let outcome = once(
            job.world,
            &job.run,
            TRIGGER,
            &Before { seen: seen.clone() },
            |before: &Before| {
                let found = settle(job, || find(job, &before.seen))?;
                Ok(found.map_or(Probe::Absent, |id| {
                    Probe::Found(Accepted {
                        deploy: Some(id),
                        seen: before.seen.clone(),
                    })
                }))
            },
            || {
                if let Err(error) = job.shared.push(job.world) {
                    return Attempt::NotDone(error.context(
                        "nothing was triggered, because the intent could not be written down where other machines find it",
                    ));
                }
                job.attempt(|until_ms| {
                    let deploy = match job.render.until(until_ms).trigger(commit)? {
                        Triggered::Created(deploy) => Some(deploy.id),
                        Triggered::Queued => None,
                    };
                    Ok(Accepted {
                        deploy,
                        seen: seen.clone(),
                    })
                })
            },
        );
        match outcome {
            Ok(accepted) => return Ok(accepted),
            Err(error) if is_conflict(&error) => {
                // Another deploy is under way: the same commit is adopted, any other is waited for.
                let running = job
                    .read(OUTAGE, || job.service().recent())?
                    .into_iter()
                    .find(|deploy| !deploy.status.is_terminal());
                match running {
                    Some(deploy) if deploy.commit.as_ref() == Some(commit) => {
                        job.warn(format!(
                            "adopted {}: it already deploys this commit",
                            deploy.id
                        ));
                        return adopt(job, &deploy.id, seen);
                    }
                    Some(deploy) => job.progress(
                        Step::BackendDeploy,
                        format!("waits for {} ({})", deploy.id, deploy.status),
                    ),
                    None => {}
                }
                let waited = job.since(started);
                if waited >= job.target.policy.deploy_timeout {
                    return Err(LaneError::Failed(format!("{error:#}")));
                }
                job.wait(poll_interval(job.world, waited).max(Duration::from_secs(1)))?;
                (seen, _) = look(job)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Somebody else's deploy of our commit becomes this run's: a resumed run must find it again.
fn adopt(job: &Job<'_>, id: &DeployId, seen: BTreeSet<DeployId>) -> Result<Accepted, LaneError> {
    let intent =
        serde_json::to_string(&Before { seen: seen.clone() }).map_err(anyhow::Error::from)?;
    job.world
        .journal()
        .intend(&job.run, TRIGGER, &intent, job.world.now().wall_ms)?;
    name(
        job,
        Accepted {
            deploy: Some(id.clone()),
            seen,
        },
    )
}

/// Writes down which deploy the accepted trigger made.
fn name(job: &Job<'_>, accepted: Accepted) -> Result<Accepted, LaneError> {
    let json = serde_json::to_string(&accepted).map_err(anyhow::Error::from)?;
    let written = job
        .world
        .journal()
        .complete(&job.run, TRIGGER, &json, job.world.now().wall_ms);
    written.map(|()| accepted).map_err(|error| {
        LaneError::Unknown(format!("{error:#}; the deploy goes on at the provider"))
    })
}

/// The deploys that are there before ours is, and the one among them that deploys our commit already: a push may have made it, or a
/// run of which nothing was left but this.
fn look(job: &Job<'_>) -> Result<(BTreeSet<DeployId>, Option<DeployId>), LaneError> {
    let recent = job.read(OUTAGE, || job.service().recent())?;
    let under_way = recent.iter().find(|deploy| {
        !deploy.status.is_terminal()
            && deploy.commit.as_ref() == Some(&job.plan.commit)
            && deploy.trigger.as_deref() != Some("rollback")
    });
    let under_way = under_way.map(|deploy| deploy.id.clone());
    Ok((
        recent.into_iter().map(|deploy| deploy.id).collect(),
        under_way,
    ))
}

/// Our deploy among the newest ones.
fn find(job: &Job<'_>, seen: &BTreeSet<DeployId>) -> Result<Option<DeployId>, LaneError> {
    reconcile::find(job, seen, "api", Some(&job.plan.commit))
}

fn is_conflict(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<crate::http::ApiError>()
        .is_some_and(crate::http::ApiError::is_conflict)
}

/// A trigger that was only queued gets its id later, when the deploys before it have ended.
fn find_queued(job: &Job<'_>, accepted: Accepted) -> Result<DeployId, LaneError> {
    let started = job.now_ms();
    let budget = job.target.policy.deploy_timeout;
    let found = loop {
        let recent = job
            .read(budget, || job.service().recent())
            .map_err(|error| not_known(error, "the provider queued the deploy"))?;
        if let Some(ours) = find_ours(&recent, &accepted.seen, "api", Some(&job.plan.commit)) {
            break ours.id.clone();
        }
        if let Some(before) = recent.iter().find(|deploy| deploy.is_under_way()) {
            job.progress(
                Step::BackendDeploy,
                format!("queued behind {} ({})", before.id, before.status),
            );
        }
        let waited = job.since(started);
        if waited >= budget {
            match settle(job, || find(job, &accepted.seen))? {
                Some(id) => break id,
                None => return Err(never_started(job, &accepted.seen, waited)?),
            }
        }
        job.wait(poll_interval(job.world, waited))?;
    };
    name(
        job,
        Accepted {
            deploy: Some(found.clone()),
            ..accepted
        },
    )?;
    Ok(found)
}

/// What it means that an accepted trigger has made no deploy: while the provider works on something it may yet; afterwards it will
/// not, and a later attempt asks anew.
fn never_started(
    job: &Job<'_>,
    seen: &BTreeSet<DeployId>,
    waited: Duration,
) -> Result<LaneError, LaneError> {
    let recent = job.read(OUTAGE, || job.service().recent())?;
    if let Some(other) = recent.iter().find(|deploy| deploy.is_under_way()) {
        return Ok(LaneError::Unknown(format!(
            "the provider queued the deploy behind {} ({}) and did not start it in time",
            other.id, other.status
        )));
    }
    job.world.journal().withdraw(&job.run, TRIGGER)?;
    let text = format!(
        "the provider accepted the deploy {} s ago and never started it, and has nothing queued or under way",
        waited.as_secs()
    );
    let live = recent.into_iter().find(|deploy| deploy.status.is_live());
    Ok(match live.filter(|live| !seen.contains(&live.id)) {
        Some(newer) => LaneError::Superseded(format!("{text}; {} became live", newer.id)),
        None => LaneError::Failed(text),
    })
}
