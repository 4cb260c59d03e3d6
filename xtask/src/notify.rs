//! Tells Slack and GitHub how a run ended. A message that does not get through is one warning, and never changes the outcome.

use crate::cli::app::{App, Connected};
use crate::console::Console;
use crate::credentials::CredentialName;
use crate::environ::Environ;
use crate::exit::Exit;
use crate::http::excerpt;
use crate::redact::Secret;
use crate::run::Session;
use crate::sink::log::random_token;
use crate::sink::slack::Extra;
use crate::sink::{github, slack};
use crate::state::RunState;
use crate::world::{Limits, Response, SendError, SendErrorKind, World};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// A release is over when it is over; nobody waits longer than this for a chat.
const BUDGET_MS: u64 = 5_000;
/// Tries in all.
const TRIES_MAX: u32 = 2;
/// Before the second try, when the answer does not name a time.
const PAUSE_MS: u64 = 250;
/// Slack answers with a word.
const ANSWER_BYTES_MAX: u64 = 4_096;

/// Tells everybody who wants to know. To be called after the run's last event.
pub fn all(app: &App<'_>, session: &Session<'_>, connected: &Connected, state: &RunState) {
    let mut state = state.clone();
    // A refusal comes before the run's first event.
    state
        .environment
        .get_or_insert_with(|| session.target.name.clone());
    state
        .commit
        .get_or_insert_with(|| session.source.commit.clone());
    let webhook = connected.credentials.get(CredentialName::SlackWebhookUrl);
    if let Some(webhook) =
        webhook.filter(|_| session.target.policy.notify_slack && !is_nothing_to_do(&state))
    {
        let extra = Extra {
            site_url: session.target.site_url.clone(),
            service_url: session.target.service_url.clone(),
            run_url: run_url(app.environ),
        };
        let body = app
            .console
            .redact(&slack::payload(&state, &extra).to_string());
        if let Err(problem) = post(session.world, webhook, &body) {
            app.console.err(&format!(
                "warning: Slack was not told how the run ended: {problem}"
            ));
        }
    }
    for problem in github_files(app.environ, app.console, &state) {
        app.console.err(&format!("warning: {problem}"));
    }
    if app.environ.var("GITHUB_ACTIONS").is_some() {
        let annotations = github::annotations(&state);
        if !annotations.is_empty() {
            app.console.err(&annotations);
        }
    }
}

/// Such a run is in no journal, and no news.
fn is_nothing_to_do(state: &RunState) -> bool {
    state.run.is_none() && state.exit == Some(Exit::Done)
}

fn run_url(environ: &Environ) -> Option<String> {
    let (server, repository) = (
        environ.var("GITHUB_SERVER_URL")?,
        environ.var("GITHUB_REPOSITORY")?,
    );
    Some(format!(
        "{server}/{repository}/actions/runs/{}",
        environ.var("GITHUB_RUN_ID")?
    ))
}

/// Sends one message. What may have arrived is not sent again: a message cannot be taken back.
fn post(world: &dyn World, webhook: &Secret, body: &str) -> Result<(), String> {
    let request = http::Request::post(webhook.expose())
        .header("content-type", "application/json")
        .header("user-agent", concat!("tandem/", env!("CARGO_PKG_VERSION")))
        .body(body.as_bytes().to_vec())
        .map_err(|_| format!("{} is no address", CredentialName::SlackWebhookUrl))?;
    let deadline_ms = world.now().mono_ms + BUDGET_MS;
    let mut tries = 0;
    loop {
        tries += 1;
        let left_ms = deadline_ms.saturating_sub(world.now().mono_ms);
        let limits = Limits {
            timeout: Duration::from_millis(left_ms),
            body_bytes: ANSWER_BYTES_MAX,
        };
        let (problem, wait_ms) = match judge(world.send(&request, limits)) {
            Ok(()) => return Ok(()),
            Err(found) => found,
        };
        let Some(wait_ms) = wait_ms.filter(|_| tries < TRIES_MAX) else {
            return Err(format!("{problem} ({tries} of {TRIES_MAX} tries)"));
        };
        if world.now().mono_ms + wait_ms >= deadline_ms {
            return Err(format!("{problem}; another try would come too late"));
        }
        if let Err(cancelled) = world.sleep(Duration::from_millis(wait_ms)) {
            return Err(format!("{problem}; {cancelled} before another try"));
        }
    }
}

/// What an answer means, and how long to wait before another try; none when it would not help.
fn judge(answer: Result<Response, SendError>) -> Result<(), (String, Option<u64>)> {
    let response = match answer {
        Ok(response) if response.status().is_success() => return Ok(()),
        Ok(response) => response,
        Err(error)
            if matches!(
                error.kind,
                SendErrorKind::NotSent | SendErrorKind::NoSuchHost
            ) =>
        {
            return Err((error.to_string(), Some(PAUSE_MS)));
        }
        Err(error) if error.kind == SendErrorKind::Untrusted => {
            return Err((error.to_string(), None));
        }
        Err(error) => return Err((format!("{error}; the message may have arrived"), None)),
    };
    let status = response.status();
    let said = excerpt(&String::from_utf8_lossy(response.body()));
    let hint = match said.as_str() {
        "no_service" | "no_active_hooks" | "channel_not_found" | "channel_is_archived" => {
            format!(
                " (hint: make a new webhook and set {})",
                CredentialName::SlackWebhookUrl
            )
        }
        _ => String::new(),
    };
    let asked = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    let wait_ms = match status.as_u16() {
        429 => Some(asked.map_or(PAUSE_MS, |seconds| seconds.saturating_mul(1000))),
        500..=599 => Some(PAUSE_MS),
        _ => None,
    };
    Err((
        format!("status {} {said}{hint}", status.as_u16())
            .trim_end()
            .to_owned(),
        wait_ms,
    ))
}

/// Appends to the files that GitHub Actions names; returns what could not be written.
fn github_files(environ: &Environ, console: &Console, state: &RunState) -> Vec<String> {
    let outcome = if is_nothing_to_do(state) {
        "nothing_to_do"
    } else {
        state.exit.unwrap_or(Exit::Unknown).outcome()
    };
    let release = state
        .release
        .as_ref()
        .map_or("", |release| release.as_str());
    let run = state.run.as_ref().map_or("", |run| run.as_str());
    let delimiter = random_token();
    let outputs: String = [("outcome", outcome), ("release", release), ("run", run)]
        .iter()
        .map(|(name, value)| github::output(name, value, &delimiter))
        .collect();
    let files = [
        ("GITHUB_STEP_SUMMARY", github::summary(state)),
        ("GITHUB_OUTPUT", outputs),
    ];
    let written = files.iter().filter_map(|(variable, text)| {
        let path = environ.cwd.join(environ.var(variable)?);
        append(&path, &console.redact(text))
            .err()
            .map(|error| format!("{variable} could not be written: {error}"))
    });
    written.collect()
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?
        .write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::script::{Script, answer, answer_with, fault};
    use crate::sink::sample;

    fn webhook() -> Secret {
        Secret::new(format!(
            "https://hooks.example/services/T0/B0/{}",
            "x7".repeat(12)
        ))
    }

    fn told(script: &Script) -> Result<(), String> {
        post(script, &webhook(), "{}")
    }

    #[test]
    fn a_message_is_posted_once() {
        let script = Script::new([answer(200, "ok")]);
        assert_eq!(told(&script), Ok(()));
        let (request, limits) = script.last();
        assert_eq!(
            (
                request.method().as_str(),
                request.uri().path().starts_with("/services/")
            ),
            ("POST", true)
        );
        assert_eq!(limits.timeout, Duration::from_secs(5));
    }

    #[test]
    fn what_certainly_did_not_arrive_is_sent_twice_at_most() {
        for first in [
            answer(500, "rollup_error"),
            fault(SendErrorKind::NotSent),
            answer_with(429, &[("retry-after", "1")], ""),
        ] {
            assert_eq!(told(&Script::new([first, answer(200, "ok")])), Ok(()));
        }
        let script = Script::new([answer(500, "a"), answer(503, "b"), answer(200, "ok")]);
        assert_eq!(told(&script), Err("status 503 b (2 of 2 tries)".to_owned()));
        assert_eq!((script.sent().len(), script.elapsed_ms()), (2, PAUSE_MS));
    }

    #[test]
    fn some_answers_end_it_at_once() {
        for (first, expected) in [
            (
                fault(SendErrorKind::Unknown),
                "Unknown as scripted; the message may have arrived (1 of 2 tries)",
            ),
            (
                answer(404, "no_service"),
                "status 404 no_service (hint: make a new webhook and set SLACK_WEBHOOK_URL) (1 of 2 tries)",
            ),
            (
                answer(400, "invalid_payload"),
                "status 400 invalid_payload (1 of 2 tries)",
            ),
            (
                answer_with(429, &[("retry-after", "60")], ""),
                "status 429; another try would come too late",
            ),
        ] {
            let script = Script::new([first, answer(200, "ok")]);
            assert_eq!(told(&script), Err(expected.to_owned()));
            assert_eq!((script.left(), script.elapsed_ms()), (1, 0));
        }
    }

    #[test]
    fn an_interrupted_run_tells_once() {
        let script = Script::new([answer(500, ""), answer(200, "ok")]).cancelled_at(1);
        assert_eq!(
            told(&script),
            Err("status 500; interrupted before another try".to_owned())
        );
    }

    #[test]
    fn what_is_no_address_is_said_without_it() {
        let problem = post(&Script::new([]), &Secret::new("not an address"), "{}");
        assert_eq!(problem, Err("SLACK_WEBHOOK_URL is no address".to_owned()));
    }

    fn environ(folder: &Path, summary: &str, output: &str) -> Environ {
        let vars = [("GITHUB_STEP_SUMMARY", summary), ("GITHUB_OUTPUT", output)];
        Environ {
            vars: vars
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            cwd: folder.to_owned(),
            ..Environ::default()
        }
    }

    #[test]
    fn the_files_are_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let environ = environ(folder.path(), "summary.md", "output");
        fs_err::write(folder.path().join("output"), "before=1\n").unwrap();
        let console = Console::new(false, 80);
        console.register("SECRET_SUBJECT", "Show revenue by region");
        assert_eq!(
            github_files(&environ, &console, &sample::released().state),
            Vec::<String>::new()
        );
        let output = fs_err::read_to_string(folder.path().join("output")).unwrap();
        let lines: Vec<&str> = output.lines().collect();
        let delimiter = lines[1].strip_prefix("outcome<<").unwrap();
        assert_eq!(lines[..4], ["before=1", lines[1], "released", delimiter]);
        assert!(
            delimiter.len() == 32 && lines[4].ends_with(delimiter),
            "{output}"
        );
        let summary = fs_err::read_to_string(folder.path().join("summary.md")).unwrap();
        assert!(
            summary.contains("Released 1a2b3c4") && !summary.contains("Show revenue"),
            "{summary}"
        );
    }

    #[test]
    fn files_that_cannot_be_written_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let problems = github_files(
            &environ(folder.path(), "no/such/folder", "."),
            &Console::new(false, 80),
            &sample::released().state,
        );
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems[0].starts_with("GITHUB_STEP_SUMMARY could not be written: ")
                && problems[1].starts_with("GITHUB_OUTPUT"),
            "{problems:?}"
        );
    }

    #[test]
    fn nothing_to_do_is_an_outcome_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let state = RunState {
            exit: Some(Exit::Done),
            ..RunState::default()
        };
        github_files(
            &environ(folder.path(), "summary.md", "output"),
            &Console::new(false, 80),
            &state,
        );
        let output = fs_err::read_to_string(folder.path().join("output")).unwrap();
        assert_eq!(output.lines().nth(1), Some("nothing_to_do"));
    }
}
