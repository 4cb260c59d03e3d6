//! What every lane of a run is given: the plan, the clients, the lease, and the few verbs that keep the promises.

mod preparation;
mod side_by_side;

pub use preparation::{Commands, Preparation};
pub use side_by_side::{Task, side_by_side};

use crate::config::Config;
use crate::config::Target;
use crate::contract::Contract;
use crate::event::{EventKind, LaneState, Step, StepEnd};
use crate::forwards::History;
use crate::http::ApiError;
use crate::ids::{Commit, DeployId, Lane, RunId};
use crate::inputs::Inputs;
use crate::lane::frontend::Accepted;
use crate::lease::Lease;
use crate::live::Live;
use crate::netlify::Netlify;
use crate::once::{Attempt, Unsettled};
use crate::plan::Plan;
use crate::redact::Secret;
use crate::render::Render;
use crate::shared_run::Shared;
use crate::world::{Cancelled, Signal, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How long one read may take with its retries, in milliseconds: one call's limit and a little more, less than the lease has left.
pub const READ_MAX_MS: u64 = 35_000;

/// Outages shorter than this are waited out where something is read and nothing is at stake but time.
pub const OUTAGE: Duration = Duration::from_secs(150);

/// Why a lane ended early, in the terms in which the executor decides.
#[derive(Clone, Debug)]
pub enum LaneError {
    /// Refused before anything was created.
    Refused(String),
    /// Refused before anything was created, because what is live is not well and this release would not mend it.
    Unhealthy(String),
    /// It failed; the executor finds out what is live and undoes what must be undone.
    Failed(String),
    /// The service answers, but who it is cannot be judged from outside: a configuration error, not a failed release.
    Unverifiable(String),
    /// A newer deploy of somebody else is live.
    Superseded(String),
    /// What happened could not be learnt within the budget.
    Unknown(String),
    /// The database needs a person.
    Database(String),
    /// A fault of this program: a lane panicked.
    Bug(String),
    /// Somebody asked the run to stop.
    Cancelled(Cancelled),
}

impl fmt::Display for LaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text)
            | Self::Unhealthy(text)
            | Self::Failed(text)
            | Self::Unverifiable(text)
            | Self::Superseded(text)
            | Self::Unknown(text)
            | Self::Database(text)
            | Self::Bug(text) => f.write_str(text),
            Self::Cancelled(cancelled) => cancelled.fmt(f),
        }
    }
}

impl std::error::Error for LaneError {}

impl From<Cancelled> for LaneError {
    fn from(cancelled: Cancelled) -> Self {
        Self::Cancelled(cancelled)
    }
}

impl From<ApiError> for LaneError {
    fn from(error: ApiError) -> Self {
        match error {
            // Only the world knows which signal it was; whoever ends the run asks it.
            ApiError::Cancelled { .. } => Self::Cancelled(Cancelled(Signal::Interrupt)),
            // Whatever it says no to was not done; where something may have been, `once` says so.
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<anyhow::Error> for LaneError {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Unsettled>() {
            Ok(Unsettled(source)) => {
                let text = format!("{source:#}");
                return match Self::from(source) {
                    cancelled @ Self::Cancelled(_) => cancelled,
                    _ => Self::Unknown(text),
                };
            }
            Err(error) => error,
        };
        if let Some(own) = error.downcast_ref::<Self>() {
            return own.clone();
        }
        if let Some(api) = error.downcast_ref::<ApiError>() {
            return api.clone().into();
        }
        if let Some(cancelled) = error.downcast_ref::<Cancelled>() {
            return Self::Cancelled(*cancelled);
        }
        Self::Failed(format!("{error:#}"))
    }
}

/// What was live when the run began: what an undo restores. Written to the journal once, so that a resumed run knows it too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The published deploy of the site.
    pub frontend: Option<DeployId>,
    /// The live deploy of the service.
    pub backend: Option<DeployId>,
    /// The commit of that deploy, as it was recorded, or as the provider names it.
    pub backend_commit: Option<Commit>,
    /// What that deploy is judged by; none in journals of older programs.
    #[serde(default)]
    pub contract: Option<Contract>,
    /// Why a half did not answer as recorded before the run: nothing is ever rolled back to such a one.
    #[serde(default)]
    pub ill: BTreeMap<Lane, String>,
    /// Whether it starts through the migration engine, which refuses a schema that the release cannot run on.
    #[serde(default)]
    pub through_engine: bool,
}

/// Runs one step of `world`: its start, its end and what it found become events.
///
/// # Errors
/// Those of the body.
pub fn step<T>(
    world: &dyn World,
    step: Step,
    body: impl FnOnce() -> Result<(T, String), LaneError>,
) -> Result<T, LaneError> {
    world.emit(EventKind::StepStarted { step });
    match body() {
        Ok((value, detail)) => {
            world.emit(EventKind::StepFinished {
                step,
                end: StepEnd::Ok,
                detail,
            });
            Ok(value)
        }
        Err(error) => {
            let end = if matches!(error, LaneError::Cancelled(_)) {
                StepEnd::Cancelled
            } else {
                StepEnd::Failed
            };
            world.emit(EventKind::StepFinished {
                step,
                end,
                detail: error.to_string(),
            });
            Err(error)
        }
    }
}

/// Everything that a run's lanes need.
pub struct Job<'a> {
    /// Everything outside.
    pub world: &'a dyn World,
    /// This run.
    pub run: RunId,
    /// deploy.toml.
    pub config: &'a Config,
    /// Where to.
    pub target: &'a Target,
    /// What to do.
    pub plan: &'a Plan,
    /// What was live before.
    pub baseline: Baseline,
    /// The live record that the plan started from.
    pub live: Option<&'a Live>,
    /// The record and manifests that a success leaves.
    pub manifests: &'a BTreeMap<Lane, crate::changes::manifest::Manifest>,
    /// The site's files, the migrations, the checks' environment.
    pub inputs: &'a dyn Inputs,
    /// Who prepares.
    pub preparation: Preparation<'a>,
    /// What may be published although it looks like a mistake.
    pub accepted: Accepted,
    /// The right to change things.
    pub lease: &'a Lease,
    /// What other machines know of this run.
    pub shared: &'a Shared,
    /// How commits are related.
    pub history: &'a dyn History,
    /// The frontend's provider.
    pub netlify: &'a Netlify<'a>,
    /// The backend's provider.
    pub render: &'a Render<'a>,
    /// For the service's admin endpoints.
    pub admin_token: Option<&'a Secret>,
    /// Who or what started it.
    pub by: String,
    /// The branches of the origin that hold the commit.
    pub branches: Vec<String>,
    /// A recorded override.
    pub override_reason: Option<String>,
}

impl Job<'_> {
    /// Runs one step: its start, its end and what it found become events.
    ///
    /// # Errors
    /// Those of the body.
    pub fn step<T>(
        &self,
        step: Step,
        body: impl FnOnce() -> Result<(T, String), LaneError>,
    ) -> Result<T, LaneError> {
        if let Some(cancelled) = self.world.cancelled() {
            return Err(cancelled.into());
        }
        self.undo_step(step, body)
    }

    /// A step that also runs when the run was cancelled.
    ///
    /// # Errors
    /// Those of the body.
    pub fn undo_step<T>(
        &self,
        step: Step,
        body: impl FnOnce() -> Result<(T, String), LaneError>,
    ) -> Result<T, LaneError> {
        self::step(self.world, step, body)
    }

    /// Says how far a step is.
    pub fn progress(&self, step: Step, text: impl Into<String>) {
        self.world.emit(EventKind::StepProgress {
            step,
            text: text.into(),
        });
    }

    /// Says where a lane stands.
    pub fn lane(
        &self,
        lane: Lane,
        state: LaneState,
        deploy_id: Option<&DeployId>,
        url: Option<&str>,
    ) {
        self.world.emit(EventKind::LaneChanged {
            lane,
            state,
            deploy_id: deploy_id.cloned(),
            url: url.map(str::to_owned),
        });
    }

    /// Says something that a person should know.
    pub fn warn(&self, text: impl Into<String>) {
        self.world.emit(EventKind::Warning { text: text.into() });
    }

    /// Asked before every call that changes something: until when (monotonic milliseconds) it may start under the lease.
    ///
    /// # Errors
    /// When nothing more may be changed.
    pub fn permit(&self) -> Result<u64, LaneError> {
        self.lease.permit(self.world).map_err(|error| {
            LaneError::Unknown(format!("{error:#}; nothing more was changed by this run"))
        })
    }

    /// One attempt at a change. `call` is given the moment until which it may send; a longer wait that the provider asks for is kept
    /// here, where the lease is renewed meanwhile.
    pub fn attempt<T>(&self, call: impl Fn(u64) -> Result<T, ApiError>) -> Attempt<T> {
        let started = self.now_ms();
        loop {
            let error = match self.permit().map(&call) {
                Err(error) => return Attempt::NotDone(error.into()),
                Ok(Ok(value)) => return Attempt::Done(value),
                Ok(Err(error)) => error,
            };
            match asked_wait(&error) {
                Some(pause) if self.since(started) + pause <= self.target.policy.deploy_timeout => {
                    self.warn(format!("{error}: waiting {} s", pause.as_secs()));
                    if let Err(error) = self.wait(pause) {
                        return Attempt::NotDone(error.into());
                    }
                }
                _ if error.is_definite_no() => return Attempt::NotDone(error.into()),
                _ => return Attempt::InDoubt(error.into()),
            }
        }
    }

    /// A change that may be made twice, and that matters only as far as what is read afterwards.
    ///
    /// # Errors
    /// When it was refused or no answer came.
    pub fn change<T>(&self, call: impl Fn(u64) -> Result<T, ApiError>) -> Result<T, LaneError> {
        match self.attempt(call) {
            Attempt::Done(value) => Ok(value),
            Attempt::NotDone(error) | Attempt::InDoubt(error) => Err(error.into()),
        }
    }

    /// Reads, and goes on asking through outages and rate limits until `budget` is spent: a lost answer must not decide a release.
    ///
    /// # Errors
    /// When the provider says no, when the budget is spent, or when the run was cancelled.
    pub fn read<T>(
        &self,
        budget: Duration,
        call: impl Fn() -> Result<T, ApiError>,
    ) -> Result<T, LaneError> {
        let started = self.now_ms();
        loop {
            let error = match call() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let passed = self.since(started);
            let pause = asked_wait(&error)
                .unwrap_or_else(|| poll_interval(self.world, passed).max(Duration::from_secs(1)));
            if !error.is_transient() || passed + pause > budget {
                return Err(error.into());
            }
            self.wait(pause)?;
        }
    }

    /// What the service that was live before is judged by.
    pub fn old_contract(&self) -> Contract {
        let recorded = self.baseline.contract.clone();
        recorded.unwrap_or_else(|| self.config.backend.contract())
    }

    /// What a commit of the service is judged by.
    pub fn contract_of(&self, commit: &Commit) -> Contract {
        if *commit == self.plan.commit {
            self.plan.contract.clone()
        } else {
            self.old_contract()
        }
    }

    /// The site's API for one read: its own retries end soon enough for the lease to be kept.
    pub fn site(&self) -> Netlify<'_> {
        self.netlify.until(self.now_ms() + READ_MAX_MS)
    }

    /// The service's API for one read, as [`Job::site`].
    pub fn service(&self) -> Render<'_> {
        self.render.until(self.now_ms() + READ_MAX_MS)
    }

    /// Waits, and keeps the lease meanwhile.
    ///
    /// # Errors
    /// When the run was cancelled or the lease was lost.
    pub fn wait(&self, duration: Duration) -> Result<(), LaneError> {
        /// Shorter than the time after which the lease is renewed.
        const SLICE: Duration = Duration::from_secs(20);
        let mut left = duration;
        loop {
            if let Err(error) = self.lease.keep(self.world) {
                return Err(LaneError::Unknown(format!(
                    "{error:#}; nothing more was changed by this run"
                )));
            }
            let slice = left.min(SLICE);
            self.world.sleep(slice)?;
            left -= slice;
            if left.is_zero() {
                return Ok(());
            }
        }
    }

    /// How long it has been since `started_ms` of the monotonic clock.
    pub fn since(&self, started_ms: u64) -> Duration {
        Duration::from_millis(self.now_ms().saturating_sub(started_ms))
    }

    /// Monotonic milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.world.now().mono_ms
    }
}

/// The wait that a provider asks for; a few seconds when it only says "later".
fn asked_wait(error: &ApiError) -> Option<Duration> {
    match error {
        ApiError::RateLimited { wait_ms, .. } => {
            Some(Duration::from_millis(*wait_ms).max(Duration::from_secs(5)))
        }
        _ => None,
    }
}

/// How long to wait before the next look at something that has been going on for `elapsed`: a hundredth of it, so that waiting
/// adds at most about one percent, between 50 ms and 5 s, with jitter so that two lanes do not ask in step.
pub fn poll_interval(world: &dyn World, elapsed: Duration) -> Duration {
    let base = (elapsed / 100).clamp(Duration::from_millis(50), Duration::from_secs(5));
    let jitter = u32::try_from(world.random() % 40).unwrap_or(0);
    base * (80 + jitter) / 100
}
