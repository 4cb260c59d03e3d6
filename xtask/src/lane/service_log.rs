//! What the service's log says of one deploy: shown when it fails, and searched for the line that tells why.

use crate::event::{EventKind, Step};
use crate::http::{ApiError, excerpt};
use crate::ids::DeployId;
use crate::job::Job;

/// Lines of the log that a failure shows.
const SHOWN: usize = 20;

/// The lines since the deploy was made, by the provider's clock, oldest first.
///
/// # Errors
/// When they cannot be read.
pub fn lines(job: &Job<'_>, id: &DeployId) -> Result<Vec<String>, ApiError> {
    let since_ms = job.service().deploy(id)?.created_ms();
    job.service().log_since(since_ms)
}

/// The last lines become output of the step that failed; answers the one that tells why, when one does.
pub fn show(job: &Job<'_>, step: Step, id: &DeployId) -> Option<String> {
    let lines = match lines(job, id) {
        Ok(lines) => lines,
        Err(error) => {
            job.warn(format!("the service's log could not be read: {error}"));
            return None;
        }
    };
    let fatal = fatal_line(&lines).map(|line| excerpt(&line));
    let hidden = lines.len().saturating_sub(SHOWN);
    for line in lines.into_iter().skip(hidden) {
        job.world.emit(EventKind::Output { step, line });
    }
    fatal
}

/// As [`show`], added to what is known of the failure.
pub fn explain(job: &Job<'_>, step: Step, id: &DeployId, why: &str) -> String {
    match show(job, step, id) {
        Some(line) => format!("{why}: {line}"),
        None => why.to_owned(),
    }
}

/// The last line by which a program says that it gives up; when none does so in so many words, the last one about an error. Of a
/// panic, whose message stands on the next line, both.
fn fatal_line(lines: &[String]) -> Option<String> {
    let last = |is: &dyn Fn(&str) -> bool| {
        lines
            .iter()
            .rposition(|line| !is_advice(line) && is(&line.to_lowercase()))
    };
    let at = last(&gives_up).or_else(|| last(&tells_error))?;
    let line = lines.get(at)?.trim();
    let message = lines
        .get(at + 1)
        .filter(|_| line.contains("panicked at") && line.ends_with(':'));
    Some(match message {
        Some(message) => format!("{line} {}", message.trim()),
        None => line.to_owned(),
    })
}

fn gives_up(line: &str) -> bool {
    const WORDS: [&str; 5] = ["panicked at", "panic:", "fatal", "uncaught", "unhandled"];
    WORDS.iter().any(|word| line.contains(word)) || names_a_migration(line)
}

fn tells_error(line: &str) -> bool {
    const NONE: [&str; 3] = ["0 error", "no error", "without error"];
    let is_none = NONE.iter().any(|words| line.contains(words));
    !is_none && (line.contains("error") || line.contains("exception"))
}

/// `0003_step.sql:2:1: …`: where the migration engine stopped.
fn names_a_migration(line: &str) -> bool {
    let place = line.split_once(".sql:").map(|(_, place)| place);
    let mut numbers = place.into_iter().flat_map(|place| place.splitn(3, ':'));
    let mut is_number = || numbers.next().is_some_and(|n| n.parse::<u32>().is_ok());
    is_number() && is_number()
}

/// What follows an error and says nothing of its cause.
fn is_advice(line: &str) -> bool {
    let line = line.trim_start();
    ["note:", "hint:", "at "]
        .iter()
        .any(|word| line.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_tells_why_a_program_ended() {
        for (lines, expected) in [
            (
                "starting\n\nthread 'main' panicked at src/main.rs:3:5:\nLEDGER_URL must be set\nnote: run with `RUST_BACKTRACE=1`",
                Some("thread 'main' panicked at src/main.rs:3:5: LEDGER_URL must be set"),
            ),
            (
                "error: the cache is cold\nfatal: no database\nerror: closing",
                Some("fatal: no database"),
            ),
            (
                "Traceback (most recent call last):\n  File \"app.py\", line 1\nModuleNotFoundError: No module named 'flask'",
                Some("ModuleNotFoundError: No module named 'flask'"),
            ),
            (
                "Error: Cannot find module 'express'\n    at node:internal/error:1\n    at Module._load",
                Some("Error: Cannot find module 'express'"),
            ),
            (
                "backend: migrate the database: 0003_a.sql:2:8: no such table: x (rolled back); see the error above\nerror: stopped",
                Some(
                    "backend: migrate the database: 0003_a.sql:2:8: no such table: x (rolled back); see the error above",
                ),
            ),
            ("listening\ndone, 0 errors", None),
            ("", None),
        ] {
            let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
            assert_eq!(fatal_line(&lines).as_deref(), expected);
        }
    }
}
