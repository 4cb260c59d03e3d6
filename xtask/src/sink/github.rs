//! GitHub Actions: the job summary in Markdown, annotations, and values for later steps of the job.

use super::clean;
use super::outcome;
use super::timeline::{self, chain};
use super::words::{duration, lane_state};
use crate::exit::Exit;
use crate::state::RunState;
use std::fmt::Write as _;

/// GitHub shows ten warnings of a step.
const WARNINGS_MAX: usize = 10;
/// Characters of a cell; a summary may have 1 MiB, and nobody reads that much.
const CELL_CHARS: usize = 500;

/// The job summary.
pub fn summary(state: &RunState) -> String {
    let exit = state.exit.unwrap_or(Exit::Unknown);
    let mut text = String::new();
    let _infallible = writeln!(text, "### {} {}\n", outcome::mark(exit), cell(&outcome::headline(exit, state)));
    if !state.reason.is_empty() {
        let _infallible = writeln!(text, "{}\n", cell(&state.reason));
    }
    lanes(&mut text, exit, state);
    facts(&mut text, state);
    failure(&mut text, state);
    steps(&mut text, state);
    for warning in &state.warnings {
        let _infallible = writeln!(text, "- warning: {}", cell(warning));
    }
    if !state.warnings.is_empty() {
        text.push('\n');
    }
    if !state.next.is_empty() {
        let commands: Vec<String> = state.next.iter().map(|command| html(&clean::line(command))).collect();
        let _infallible = writeln!(text, "Next:\n<pre>\n{}\n</pre>", commands.join("\n"));
    }
    text
}

fn lanes(text: &mut String, exit: Exit, state: &RunState) {
    if state.lanes.is_empty() {
        return;
    }
    text.push_str("| Lane | State | Live now | Deploy | Why |\n|---|---|---|---|---|\n");
    for (lane, status) in &state.lanes {
        let deploy = status.deploy_id.as_ref().map_or("", |id| id.as_str());
        let (_, live) = outcome::live_now(exit, state, *lane, status);
        let _infallible = writeln!(
            text,
            "| {lane} | {} | {} | {} | {} |",
            lane_state(status.state),
            cell(&live),
            cell(deploy),
            cell(&status.decision.reason)
        );
    }
    text.push('\n');
}

fn facts(text: &mut String, state: &RunState) {
    let commit = state.commit.as_ref().map_or("", |commit| commit.short());
    let run = state.run.as_ref().map_or("", |run| run.as_str());
    let rows = [
        ("Commit", format!("{commit} {}", state.subject)),
        ("Migrations", if state.migrations.is_empty() { "none".to_owned() } else { state.migrations.join(", ") }),
        ("Duration", duration(state.elapsed_ms)),
        ("Run", run.to_owned()),
        ("Started by", state.by.clone()),
        ("Override", state.override_reason.clone().unwrap_or_default()),
    ];
    text.push_str("| | |\n|---|---|\n");
    for (name, value) in rows.iter().filter(|(_, value)| !value.trim().is_empty()) {
        let _infallible = writeln!(text, "| {name} | {} |", cell(value));
    }
    text.push('\n');
}

fn failure(text: &mut String, state: &RunState) {
    let Some((step, status)) = state.failed_step() else { return };
    let _infallible = writeln!(text, "Failed step: **{}**: {}\n", step.title(), cell(&status.detail));
    let tail: Vec<String> = outcome::tail(state, step, status).map(|line| html(&clean::output(line))).collect();
    if !tail.is_empty() {
        let _infallible = writeln!(text, "<pre>\n{}\n</pre>\n", tail.join("\n"));
    }
}

fn steps(text: &mut String, state: &RunState) {
    if state.steps.is_empty() {
        return;
    }
    let (path, length_ms) = state.critical_path();
    text.push_str("<details><summary>Steps</summary>\n\n| Lane | Step | Took | Result |\n|---|---|---:|---|\n");
    for row in timeline::rows(state) {
        let _infallible = writeln!(
            text,
            "| {} | {} | {} | {}: {} |",
            super::line::who(row.step.lane()),
            row.step.title(),
            duration(row.duration_ms),
            timeline::end_word(row.end),
            cell(row.detail)
        );
    }
    let _infallible = writeln!(text, "\nThe longest chain of steps is {}: {}\n\n</details>\n", duration(length_ms), chain(&path));
}

/// Workflow commands that put the outcome and the warnings on the run's page, one per line; empty when all is well.
pub fn annotations(state: &RunState) -> String {
    let exit = state.exit.unwrap_or(Exit::Unknown);
    let mut text = String::new();
    if exit != Exit::Done {
        let level = if outcome::mark(exit) == '✗' { "error" } else { "warning" };
        let title = property(&outcome::headline(exit, state));
        let _infallible = writeln!(text, "::{level} title={title}::{}", message(&state.reason));
    }
    for warning in state.warnings.iter().take(WARNINGS_MAX - 1) {
        let _infallible = writeln!(text, "::warning title=Tandem::{}", message(warning));
    }
    text
}

/// One entry of the file that `GITHUB_OUTPUT` names. No value can end the entry: `delimiter` is random.
pub fn output(name: &str, value: &str, delimiter: &str) -> String {
    format!("{name}<<{delimiter}\n{}\n{delimiter}\n", clean::line(value))
}

fn message(text: &str) -> String {
    // The order matters: the sign that escapes goes first.
    clean::clip(&clean::line(text), CELL_CHARS).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

/// One line of Markdown in which nothing is markup, neither Markdown's nor HTML's, and no address is a link.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in clean::clip(&clean::line(text), CELL_CHARS).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // As references these are characters for sure: a backslash is not enough inside tables, for `@name`, nor for addresses.
            '|' | '`' | '*' | '_' | '[' | ']' | '~' | '\\' | '@' | '#' | '!' | ':' => {
                let _infallible = write!(out, "&#{};", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

/// Text in a `pre` element, which Markdown leaves alone up to its end tag.
fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
