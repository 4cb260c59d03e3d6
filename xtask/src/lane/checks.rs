//! The project's own commands: the checks, without which nothing goes live, and the site's build.

use crate::config::Config;
use crate::event::{EventKind, Step};
use crate::job::{Commands, Job, LaneError, Preparation, step};
use crate::world::{Command, RunEnd, RunEvent, World};
use std::time::Duration;

/// What running the project's commands needs. It is less than a lane has: who prepares a bundle has no lease and knows no provider.
pub struct Workshop<'a> {
    /// Everything outside.
    pub world: &'a dyn World,
    /// deploy.toml.
    pub config: &'a Config,
    /// Where and with what environment.
    pub commands: &'a Commands,
    /// Called about once a second while a command runs.
    pub keep: &'a (dyn Fn() -> Result<(), LaneError> + Sync),
}

/// A check that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub duration_ms: u64,
}

/// Runs all checks, or says which of them have passed where a bundle was prepared.
///
/// # Errors
/// When one fails; the message names it.
pub fn run(job: &Job<'_>) -> Result<(), LaneError> {
    match job.preparation {
        Preparation::Here(commands) => in_workshop(job, commands, |workshop| {
            workshop.checks().map(|_passed| ())
        }),
        Preparation::Bundle { manifest, .. } => job.step(Step::Checks, || {
            let passed: Vec<&str> = manifest
                .checks
                .iter()
                .map(|check| check.name.as_str())
                .collect();
            Ok((
                (),
                format!("passed before, for the bundle: {}", passed.join(", ")),
            ))
        }),
    }
}

/// Runs the site's build command, when it has one.
///
/// # Errors
/// When it fails.
pub fn build_site(job: &Job<'_>) -> Result<(), LaneError> {
    match job.preparation {
        Preparation::Here(commands) => in_workshop(job, commands, |workshop| workshop.build_site()),
        Preparation::Bundle { .. } if job.config.frontend.build.is_some() => job
            .step(Step::FrontendBuild, || {
                Ok(((), "built before, for the bundle".to_owned()))
            }),
        Preparation::Bundle { .. } => Ok(()),
    }
}

/// A lane's workshop: its lease is kept while commands run.
pub(super) fn in_workshop<T>(
    job: &Job<'_>,
    commands: &Commands,
    body: impl FnOnce(&Workshop<'_>) -> Result<T, LaneError>,
) -> Result<T, LaneError> {
    let keep = || {
        job.lease
            .keep(job.world)
            .map_err(|error| LaneError::Unknown(format!("{error:#}")))
    };
    body(&Workshop {
        world: job.world,
        config: job.config,
        commands,
        keep: &keep,
    })
}

impl Workshop<'_> {
    /// Runs all checks, one after the other.
    ///
    /// # Errors
    /// When one fails; the message names it.
    pub fn checks(&self) -> Result<Vec<Passed>, LaneError> {
        if self.config.checks.is_empty() {
            return Ok(Vec::new());
        }
        self.step(Step::Checks, || {
            let mut passed: Vec<Passed> = Vec::new();
            for check in &self.config.checks {
                self.world.emit(EventKind::StepProgress {
                    step: Step::Checks,
                    text: check.name.clone(),
                });
                let started_ms = self.world.now().mono_ms;
                let command = self.command(&check.run, check.timeout_s);
                self.execute(Step::Checks, &format!("check '{}'", check.name), &command)?;
                passed.push(Passed {
                    name: check.name.clone(),
                    duration_ms: self.world.now().mono_ms.saturating_sub(started_ms),
                });
            }
            let names: Vec<&str> = passed.iter().map(|check| check.name.as_str()).collect();
            let detail = format!("passed: {}", names.join(", "));
            Ok((passed, detail))
        })
    }

    /// Runs the site's build command, when it has one.
    ///
    /// # Errors
    /// When it fails.
    pub fn build_site(&self) -> Result<(), LaneError> {
        let Some(script) = &self.config.frontend.build else {
            return Ok(());
        };
        self.step(Step::FrontendBuild, || {
            let command = self.command(script, self.config.frontend.build_timeout_s);
            self.execute(Step::FrontendBuild, "the site's build", &command)?;
            Ok(((), script.clone()))
        })
    }

    fn step<T>(
        &self,
        which: Step,
        body: impl FnOnce() -> Result<(T, String), LaneError>,
    ) -> Result<T, LaneError> {
        if let Some(cancelled) = self.world.cancelled() {
            return Err(cancelled.into());
        }
        step(self.world, which, body)
    }

    pub(super) fn command(&self, script: &str, timeout_s: u64) -> Command {
        Command {
            script: script.to_owned(),
            dir: self.commands.root.clone(),
            env: self.commands.env.clone(),
            timeout: Duration::from_secs(timeout_s),
        }
    }

    /// Runs one command to its end, whatever that is; what must be kept is kept meanwhile.
    ///
    /// # Errors
    /// When it could not be started, or was cancelled, or what must be kept was lost.
    pub(super) fn attend(
        &self,
        what: &str,
        command: &Command,
        on: &mut dyn FnMut(RunEvent<'_>),
    ) -> Result<RunEnd, LaneError> {
        let mut lost = None;
        let end = self
            .world
            .run(command, &mut |event| {
                if matches!(event, RunEvent::Tick) {
                    lost = (self.keep)().err().or(lost.take());
                }
                on(event);
            })
            .map_err(|error| {
                LaneError::Failed(format!("{what} could not be started: {error:#}"))
            })?;
        match (lost, end) {
            (Some(error), _) => Err(error),
            (None, RunEnd::Cancelled) => Err(self.cancelled(what)),
            (None, end) => Ok(end),
        }
    }

    fn cancelled(&self, what: &str) -> LaneError {
        self.world.cancelled().map_or_else(
            || LaneError::Failed(format!("{what} was cancelled")),
            LaneError::Cancelled,
        )
    }

    /// Runs one command to its end, its lines as events.
    ///
    /// # Errors
    /// When it does not exit with 0.
    pub(super) fn execute(
        &self,
        step: Step,
        what: &str,
        command: &Command,
    ) -> Result<(), LaneError> {
        let end = self.attend(what, command, &mut |event| {
            if let RunEvent::Line(line) = event {
                self.world.emit(EventKind::Output {
                    step,
                    line: line.to_owned(),
                });
            }
        })?;
        let script = &command.script;
        match end {
            RunEnd::Exited(0) => Ok(()),
            RunEnd::Exited(code) => Err(LaneError::Failed(format!(
                "{what} failed with exit code {code}: {script}"
            ))),
            RunEnd::Killed(signal) => Err(LaneError::Failed(format!(
                "{what} was ended by signal {signal}: {script}"
            ))),
            RunEnd::TimedOut => Err(LaneError::Failed(format!(
                "{what} ran longer than {} s and was stopped: {script} (hint: raise its `timeout_s` in deploy.toml)",
                command.timeout.as_secs()
            ))),
            RunEnd::Cancelled => Err(self.cancelled(what)),
        }
    }
}
