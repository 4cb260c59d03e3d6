//! The configured test commands. Nothing goes live unless every one of them passes.

use crate::event::{EventKind, Step};
use crate::job::{Commands, Job, LaneError};
use crate::world::{Command, RunEnd, RunEvent};
use std::time::Duration;

/// Runs all checks, one after the other.
///
/// # Errors
/// When one fails; the message names it.
pub fn run(job: &Job<'_>) -> Result<(), LaneError> {
    let Some(commands) = job.commands.filter(|_| !job.config.checks.is_empty()) else {
        return Ok(());
    };
    job.step(Step::Checks, || {
        for check in &job.config.checks {
            job.progress(Step::Checks, &check.name);
            let command = command(commands, &check.run, check.timeout_s);
            execute(
                job,
                Step::Checks,
                &format!("check '{}'", check.name),
                &command,
            )?;
        }
        let names: Vec<&str> = job
            .config
            .checks
            .iter()
            .map(|check| check.name.as_str())
            .collect();
        Ok(((), format!("passed: {}", names.join(", "))))
    })
}

/// Runs the site's build command, when it has one.
///
/// # Errors
/// When it fails.
pub fn build_site(job: &Job<'_>) -> Result<(), LaneError> {
    let (Some(commands), Some(script)) = (job.commands, &job.config.frontend.build) else {
        return Ok(());
    };
    job.step(Step::FrontendBuild, || {
        let command = command(commands, script, job.config.frontend.build_timeout_s);
        execute(job, Step::FrontendBuild, "the site's build", &command)?;
        Ok(((), script.clone()))
    })
}

fn command(commands: &Commands, script: &str, timeout_s: u64) -> Command {
    Command {
        script: script.to_owned(),
        dir: commands.root.clone(),
        env: commands.env.clone(),
        timeout: Duration::from_secs(timeout_s),
    }
}

/// Runs one configured command to its end, its lines as events.
///
/// # Errors
/// When it does not exit with 0.
fn execute(job: &Job<'_>, step: Step, what: &str, command: &Command) -> Result<(), LaneError> {
    let mut lost = None;
    let end = job
        .world
        .run(command, &mut |event| match event {
            RunEvent::Line(line) => job.world.emit(EventKind::Output {
                step,
                line: line.to_owned(),
            }),
            RunEvent::Tick => lost = job.lease.keep(job.world).err().or(lost.take()),
        })
        .map_err(|error| LaneError::Failed(format!("{what} could not be started: {error:#}")))?;
    if let Some(error) = lost {
        return Err(LaneError::Unknown(format!("{error:#}")));
    }
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
        RunEnd::Cancelled => Err(job.world.cancelled().map_or_else(
            || LaneError::Failed(format!("{what} was cancelled")),
            LaneError::Cancelled,
        )),
    }
}
