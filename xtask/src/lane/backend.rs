//! The backend: rehearsed, triggered once, followed by its real status, and proven to be ours.

use crate::event::{EventKind, LaneState, Step};
use crate::http::ApiError;
use crate::ids::{Commit, DeployId, Lane};
use crate::job::{Job, LaneError, OUTAGE, Preparation, READ_MAX_MS, poll_interval};
use crate::lane::checks::{Workshop, in_workshop};
use crate::lane::live_copy::LiveCopy;
use crate::lane::trigger::trigger;
use crate::lane::verify;
use crate::redact::Secret;
use crate::rehearsal::Base;
use crate::render::DeployStatus;
use crate::service::{AdminState, Service};
use std::collections::BTreeSet;
use std::time::Duration;

/// Lines of the provider's log that a failure shows.
const LOG_LINES: usize = 20;

/// How a deploy of ours ended at the provider.
#[derive(Clone, Debug)]
pub enum Ended {
    /// It is live.
    Live(DeployId),
    /// It is not, and never was; the text says why.
    NotLive(DeployId, String),
}

/// Runs the pending migrations on a copy of what is live, as far as that can be had.
///
/// # Errors
/// When they fail there.
pub fn rehearse(job: &Job<'_>) -> Result<(), LaneError> {
    job.step(Step::BackendRehearse, || {
        let state = match job.admin_token {
            Some(token) if job.baseline.backend.is_some() => match Service::of(job.world, job.config, job.target).admin_state(token) {
                Ok(state) => Some(state),
                Err(error) => {
                    job.warn(format!("the live schema could not be read, so the rehearsal begins with an empty database: {error}"));
                    None
                }
            },
            _ => None,
        };
        let (copy, remark) = live_copy(job)?;
        let database = copy.as_ref().map(LiveCopy::database);
        let base = match (&database, &state) {
            (Some(database), live) => Base::Data { database, live: live.as_ref() },
            (None, Some(state)) => Base::Schema(state),
            (None, None) => Base::Empty,
        };
        let rehearsal = job.inputs.rehearse(&base).map_err(|error| LaneError::Failed(format!("the rehearsal of the migrations failed: {error:#}")))?;
        Ok(((), format!("{}{remark}", rehearsal.summary)))
    })
}

/// The live data, where the project can fetch it; else why not, when that needs saying. The local cloud's database is
/// another one than the command fetches, and before the first release there is none.
fn live_copy(job: &Job<'_>) -> Result<(Option<LiveCopy>, &'static str), LaneError> {
    let nothing_to_fetch = job.config.backend.rehearse.source.is_none()
        || job.target.is_local
        || job.baseline.backend.is_none();
    match job.preparation {
        _ if nothing_to_fetch => Ok((None, "")),
        Preparation::Here(commands) => {
            let fetch = |workshop: &Workshop<'_>| workshop.live_copy(Step::BackendRehearse);
            Ok((in_workshop(job, commands, fetch)?, ""))
        }
        Preparation::Bundle { .. } => Ok((
            None,
            "; no live data was fetched, because a bundle runs no configured command",
        )),
    }
}

/// Triggers the commit at most once per run and follows it to its end.
///
/// # Errors
/// When its end could not be learnt, or somebody else's newer deploy won.
pub fn deploy(job: &Job<'_>) -> Result<DeployId, LaneError> {
    job.step(Step::BackendDeploy, || {
        let id = trigger(job)?;
        match follow(job, Step::BackendDeploy, &id)? {
            Ended::Live(id) => {
                job.lane(
                    Lane::Backend,
                    LaneState::Live,
                    Some(&id),
                    Some(&job.target.service_url),
                );
                Ok((id.clone(), format!("{id} is live")))
            }
            Ended::NotLive(id, why) => {
                show_log(job);
                job.lane(Lane::Backend, LaneState::Failed, Some(&id), None);
                Err(LaneError::Failed(why))
            }
        }
    })
}

/// Whatever kept us from reading, the deploy itself goes on: that is no failure of it.
pub(super) fn not_known(error: LaneError, what: &str) -> LaneError {
    match error {
        LaneError::Failed(text) | LaneError::Unknown(text) => LaneError::Unknown(format!(
            "{what}, and what became of it could not be learnt: {text}"
        )),
        other => other,
    }
}

/// Follows a deploy until it has ended.
///
/// # Errors
/// When its end could not be learnt, or a newer deploy superseded it.
pub(super) fn follow(job: &Job<'_>, step: Step, id: &DeployId) -> Result<Ended, LaneError> {
    let started = job.now_ms();
    let budget = job.target.policy.deploy_timeout;
    let mut last = "accepted".to_owned();
    loop {
        let left = budget.saturating_sub(job.since(started)).max(OUTAGE);
        let deploy = job
            .read(left, || job.service().deploy(id))
            .map_err(|error| not_known(error, &format!("{id} was {last}")))?;
        let status = deploy.status.to_string();
        if status != last {
            if let DeployStatus::Unknown(word) = &deploy.status {
                job.warn(format!("the provider reports the status '{word}', which this program does not know; it counts as in progress"));
            }
            job.progress(step, &status);
            last = status;
        }
        match &deploy.status {
            DeployStatus::Live => return Ok(Ended::Live(id.clone())),
            DeployStatus::Deactivated => return superseded(job, id),
            DeployStatus::Canceled => {
                return Ok(Ended::NotLive(
                    id.clone(),
                    format!("{id} was cancelled by someone else; it is not tried again"),
                ));
            }
            failed if failed.is_terminal() => {
                let reason = job
                    .render
                    .failure_reason(id)
                    .ok()
                    .flatten()
                    .unwrap_or_else(|| "the provider gives no reason".to_owned());
                return Ok(Ended::NotLive(
                    id.clone(),
                    format!("{id} ended as {failed}: {reason}"),
                ));
            }
            _ => {}
        }
        let waited = job.since(started);
        if waited >= budget {
            return give_up(job, id, &last, waited);
        }
        job.wait(poll_interval(job.world, waited))?;
    }
}

fn superseded(job: &Job<'_>, id: &DeployId) -> Result<Ended, LaneError> {
    let newer = job.read(OUTAGE, || job.service().live())?;
    let winner = newer.map_or_else(
        || "another deploy".to_owned(),
        |deploy| {
            format!(
                "{} (trigger {}, commit {})",
                deploy.id,
                deploy.trigger.as_deref().unwrap_or("unknown"),
                deploy.commit.as_ref().map_or("unknown", Commit::as_str)
            )
        },
    );
    job.lane(Lane::Backend, LaneState::Superseded, Some(id), None);
    Err(LaneError::Superseded(format!(
        "{id} was live and has been replaced by {winner}; it is left alone"
    )))
}

/// The budget is spent: our own deploy is cancelled, and that is confirmed.
fn give_up(
    job: &Job<'_>,
    id: &DeployId,
    status: &str,
    waited: Duration,
) -> Result<Ended, LaneError> {
    let stuck = format!("{id} was in state {status} for {} s", waited.as_secs());
    let cancelled = cancel(job, id);
    match job
        .read(OUTAGE, || job.service().deploy(id))
        .map_err(|error| not_known(error, &stuck))?
        .status
    {
        DeployStatus::Live => Ok(Ended::Live(id.clone())),
        ended if ended.is_terminal() => Ok(Ended::NotLive(
            id.clone(),
            format!("{stuck}; it was cancelled"),
        )),
        still => {
            let why = cancelled
                .err()
                .map(|error| format!(" ({error})"))
                .unwrap_or_default();
            Err(LaneError::Unknown(format!(
                "{stuck}; cancelling it did not work{why}, it is {still}"
            )))
        }
    }
}

/// Asks the provider to end a deploy that is not live yet. What came of it is for the caller to read.
///
/// # Errors
/// When it refused or gave no answer.
pub fn cancel(job: &Job<'_>, id: &DeployId) -> Result<(), LaneError> {
    job.change(|until_ms| job.render.until(until_ms).cancel(id))
        .map(|_| ())
}

/// Whether a newer deploy took this one's place.
///
/// # Errors
/// When the provider could not be asked.
pub fn is_superseded(job: &Job<'_>, id: &DeployId) -> Result<bool, LaneError> {
    Ok(job
        .read(OUTAGE, || job.service().deploy(id))?
        .status
        .is_superseded())
}

/// The last lines of the service's log become output of the step that failed.
pub fn show_log(job: &Job<'_>) {
    match job.render.log_tail(LOG_LINES) {
        Ok(lines) => {
            for line in lines {
                job.world.emit(EventKind::Output {
                    step: Step::BackendDeploy,
                    line,
                });
            }
        }
        Err(error) => job.warn(format!("the service's log could not be read: {error}")),
    }
}

/// Reads the schema back from the running service: everything that the release brings must be applied.
///
/// # Errors
/// When something is missing there.
pub fn schema(job: &Job<'_>) -> Result<(), LaneError> {
    job.step(Step::BackendSchema, || {
        let Some(token) = job.admin_token else {
            job.warn(
                "no TANDEM_ADMIN_TOKEN is set: the schema could not be read back from the service",
            );
            return Ok(((), "not read: no TANDEM_ADMIN_TOKEN".to_owned()));
        };
        let state = live_schema(job, token)?;
        let applied: BTreeSet<&str> = state
            .history
            .iter()
            .map(|row| row.filename.as_str())
            .collect();
        if let Some(missing) = job
            .plan
            .migrations
            .iter()
            .find(|file| !applied.contains(file.name.as_str()))
        {
            return Err(LaneError::Failed(format!(
                "migration {} is not in the service's history after the deploy",
                missing.name
            )));
        }
        if let Some(pending) = state.pending.first() {
            return Err(LaneError::Failed(format!(
                "the service says that migration {pending} is still pending"
            )));
        }
        Ok((
            (),
            format!(
                "generation {}, {} applied by this release",
                state.schema.generation,
                job.plan.migrations.len()
            ),
        ))
    })
}

fn live_schema(job: &Job<'_>, token: &Secret) -> Result<AdminState, LaneError> {
    let service = Service::of(job.world, job.config, job.target);
    let read = job.read(OUTAGE, || {
        match service.until(job.now_ms() + READ_MAX_MS).admin_state(token) {
            // A key that the service does not know is a fault of the configuration, not of the release.
            Err(
                refused @ (ApiError::Unauthorised(_)
                | ApiError::Forbidden(_)
                | ApiError::NotFound(_)),
            ) => Ok(Err(refused)),
            other => other.map(Ok),
        }
    });
    match read {
        Ok(Ok(state)) => Ok(state),
        Ok(Err(refused)) => Err(LaneError::Unverifiable(format!(
            "the schema could not be read back: {refused}"
        ))),
        Err(LaneError::Failed(text)) => Err(LaneError::Failed(format!(
            "the schema could not be read back: {text}"
        ))),
        Err(other) => Err(other),
    }
}

/// Proves that our commit answers, healthy, several times in a row.
///
/// # Errors
/// When it does not.
pub fn identity(job: &Job<'_>, id: &DeployId) -> Result<(), LaneError> {
    job.step(Step::BackendIdentity, || {
        let detail = verify::identity(job, Step::BackendIdentity, &job.plan.commit)?;
        Ok(((), detail))
    })?;
    job.lane(
        Lane::Backend,
        LaneState::Verified,
        Some(id),
        Some(&job.target.service_url),
    );
    Ok(())
}
