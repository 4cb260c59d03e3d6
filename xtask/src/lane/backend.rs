//! The backend: rehearsed, triggered once, followed by its real status, and proven to be ours.

use crate::contract::{Contract, Rung};
use crate::event::{LaneState, Step};
use crate::http::ApiError;
use crate::ids::{Commit, DeployId, Lane};
use crate::job::{Job, LaneError, OUTAGE, Preparation, READ_MAX_MS, poll_interval};
use crate::lane::checks::{Workshop, in_workshop};
use crate::lane::live_copy::LiveCopy;
use crate::lane::service_log;
use crate::lane::trigger::trigger;
use crate::lane::verify;
use crate::redact::Secret;
use crate::rehearsal::Base;
use crate::render::DeployStatus;
use crate::service::{AdminState, Service};
use std::collections::BTreeSet;
use std::time::Duration;

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
            Some(token) if job.baseline.backend.is_some() => match Service::new(job.world, &job.target.service_url, &job.old_contract()).admin_state(token) {
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
                let why = service_log::explain(job, Step::BackendDeploy, &id, &why);
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
        let Some(state) = live_schema(job, token)? else {
            job.warn("the service has no administration endpoint (`backend.admin` in deploy.toml names it): what its database has applied was not read back");
            return Ok(((), "not read: the service does not tell".to_owned()));
        };
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

/// What the service says of its schema; none when it has no endpoint for that, which is no fault of it.
fn live_schema(job: &Job<'_>, token: &Secret) -> Result<Option<AdminState>, LaneError> {
    let service = Service::new(job.world, &job.target.service_url, &job.plan.contract);
    let read = job.read(OUTAGE, || {
        match service.until(job.now_ms() + READ_MAX_MS).admin_state(token) {
            Err(ApiError::NotFound(_)) => Ok(Ok(None)),
            // A key that the service does not know is a fault of the configuration, not of the release.
            Err(refused @ (ApiError::Unauthorised(_) | ApiError::Forbidden(_))) => Ok(Err(refused)),
            other => other.map(|state| Ok(Some(state))),
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

/// Proves that our commit answers, healthy, several times in a row, and says what it is judged by from now on: where the file
/// leaves it open and the service tells its commit after all, by that.
///
/// # Errors
/// When it does not.
pub fn identity(job: &Job<'_>, id: &DeployId) -> Result<Contract, LaneError> {
    let contract = job.step(Step::BackendIdentity, || {
        let mut contract = job.plan.contract.clone();
        let mut detail = verify::identity(job, Step::BackendIdentity, &contract, &job.plan.commit)?;
        if contract.rung == Rung::Provider && job.config.backend.detects_identity() {
            let service = Service::new(job.world, &job.target.service_url, &contract);
            if let Some(told) = service.tells(&job.plan.commit) {
                contract.rung = Rung::Commit(told);
                detail = format!(
                    "{} answered; {} names it",
                    job.plan.commit.short(),
                    contract.rung
                );
            }
        }
        Ok((contract, detail))
    })?;
    job.lane(
        Lane::Backend,
        LaneState::Verified,
        Some(id),
        Some(&job.target.service_url),
    );
    if contract.rung == Rung::Answers {
        job.warn(contract.rung.unproven().unwrap_or_default());
    }
    Ok(contract)
}
