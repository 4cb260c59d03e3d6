//! Smoke tests: what has just become public, asked for by another program than the one that released it.
//!
//! `curl` asks for configured paths; its arguments are ours, so a release of a bundle may do that too. A test that is a command of
//! the project's own runs only where the project's commands run. What fails here is evidence against the lane.

use crate::config::Smoke;
use crate::event::Step;
use crate::job::{Job, LaneError, Preparation};
use crate::lane::checks::{Workshop, in_workshop};
use crate::lane::verify;
use crate::world::{Command, RunEnd, RunEvent, World};
use std::time::Duration;

/// What `curl` does. Address and text come in the environment, where no shell looks at them; options of the user's own are left out.
pub const CURL: &str = r#"body=$(curl --disable --fail --silent --show-error --globoff --proto =http,https --max-time 10 --max-filesize 1048576 --retry 3 --retry-delay 1 --retry-connrefused --header 'cache-control: no-cache' -- "$TANDEM_SMOKE_URL") || exit
case $body in
*"$TANDEM_SMOKE_TEXT"*) ;;
*) printf 'the answer is: %.200s' "$body" | tr '\n' ' '; exit 65 ;;
esac"#;

/// Whether there is a `curl` at all.
const FIND_CURL: &str = "command -v curl >/dev/null";
/// What a shell says when it does not find a program.
const NOT_FOUND: i32 = 127;
/// Between two questions: an edge that lags gets a moment.
const PAUSE: Duration = Duration::from_secs(2);

/// Smoke tests of the backend, before the frontend may be published.
///
/// # Errors
/// When one fails.
pub fn backend(job: &Job<'_>) -> Result<(), LaneError> {
    run(
        job,
        Step::BackendSmoke,
        &job.config.backend.smoke,
        &job.target.service_url,
    )
}

/// Smoke tests of the frontend, after it was published.
///
/// # Errors
/// When one fails.
pub fn frontend(job: &Job<'_>) -> Result<(), LaneError> {
    run(
        job,
        Step::FrontendSmoke,
        &job.config.frontend.smoke,
        &job.target.site_url,
    )
}

/// Whether `curl` can be run: better known before anything is released than after.
///
/// # Errors
/// When no shell can be started, or the run was cancelled.
pub fn has_curl(world: &dyn World, preparation: Preparation<'_>) -> anyhow::Result<bool> {
    let commands = preparation.commands();
    let command = Command {
        script: FIND_CURL.to_owned(),
        dir: commands.root.clone(),
        env: commands.env.clone(),
        timeout: Duration::from_secs(10),
    };
    Ok(world.run(&command, &mut |_| {})? == RunEnd::Exited(0))
}

fn run(job: &Job<'_>, step: Step, smokes: &[Smoke], url: &str) -> Result<(), LaneError> {
    if smokes.is_empty() {
        return Ok(());
    }
    in_workshop(job, job.preparation.commands(), |workshop| {
        job.step(step, || {
            let mut passed = Vec::new();
            for smoke in smokes {
                job.progress(step, &smoke.name);
                let asked = match (&smoke.path, &smoke.run) {
                    (Some(path), _) => ask(job, workshop, step, smoke, &format!("{url}{path}"))?,
                    (None, Some(script)) => command(job, workshop, step, smoke, script)?,
                    (None, None) => false,
                };
                if asked {
                    passed.push(smoke.name.as_str());
                }
            }
            let detail = match passed.is_empty() {
                true => "none could be run".to_owned(),
                false => format!("passed: {}", passed.join(", ")),
            };
            Ok(((), detail))
        })
    })
}

/// Runs a test that is a command; says whether it was run.
fn command(
    job: &Job<'_>,
    workshop: &Workshop<'_>,
    step: Step,
    smoke: &Smoke,
    script: &str,
) -> Result<bool, LaneError> {
    if job.preparation.bundle().is_some() {
        job.warn(format!(
            "the smoke test '{}' is a configured command and was not run: a release of a bundle runs none (hint: say `path` instead of `run`, and curl asks)",
            smoke.name
        ));
        return Ok(false);
    }
    let mut command = workshop.command(script, smoke.timeout_s);
    let known = [
        ("SITE_URL", job.target.site_url.clone()),
        ("SERVICE_URL", job.target.service_url.clone()),
        ("TANDEM_COMMIT", job.plan.commit.0.clone()),
        ("TANDEM_RELEASE", job.run.0.clone()),
    ];
    command
        .env
        .extend(known.map(|(name, value)| (name.to_owned(), value)));
    workshop.execute(step, &format!("smoke test '{}'", smoke.name), &command)?;
    Ok(true)
}

/// Has `curl` ask until the answer is good; says whether it could.
fn ask(
    job: &Job<'_>,
    workshop: &Workshop<'_>,
    step: Step,
    smoke: &Smoke,
    url: &str,
) -> Result<bool, LaneError> {
    let text = smoke.contains.as_ref().unwrap_or(&job.plan.commit.0);
    let what = format!("smoke test '{}'", smoke.name);
    let started = job.now_ms();
    let budget = Duration::from_secs(smoke.timeout_s);
    loop {
        let mut command = workshop.command(CURL, smoke.timeout_s);
        command.timeout = budget
            .saturating_sub(job.since(started))
            .max(Duration::from_secs(1));
        command.env.extend([
            ("TANDEM_SMOKE_URL".to_owned(), url.to_owned()),
            ("TANDEM_SMOKE_TEXT".to_owned(), text.clone()),
        ]);
        let mut said = String::new();
        let end = workshop.attend(&what, &command, &mut |event| {
            if let RunEvent::Line(line) = event {
                line.clone_into(&mut said);
            }
        })?;
        match end {
            RunEnd::Exited(0) => return Ok(true),
            RunEnd::Exited(NOT_FOUND) if job.target.is_local => {
                job.warn(format!(
                    "{what} was not run: there is no curl on the PATH (hint: install it)"
                ));
                return Ok(false);
            }
            _ if job.since(started) + PAUSE < budget => job.wait(PAUSE)?,
            _ => return Err(gave_up(job, smoke, url, text, &said)),
        }
        job.progress(step, format!("{}: {said}", smoke.name));
    }
}

/// A network that is away says nothing about the half that was asked.
fn gave_up(job: &Job<'_>, smoke: &Smoke, url: &str, text: &str, said: &str) -> LaneError {
    let said = if said.is_empty() { "nothing" } else { said };
    let text = format!(
        "smoke test '{}' failed: curl did not get an answer from {url} that contains '{text}' within {} s; last: {said}",
        smoke.name, smoke.timeout_s
    );
    if verify::is_offline(job) {
        return LaneError::Unknown(format!("{text}; and the provider cannot be reached either"));
    }
    LaneError::Failed(text)
}
