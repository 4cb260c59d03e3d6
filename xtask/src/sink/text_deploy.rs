//! The last words of `deploy`: what became of it, what is live now, where the time went, and what to type next.

use super::clean;
use super::outcome;
use super::style::{Role, paint};
use super::timeline::{self, chain};
use super::words::{duration, lane_state};
use crate::config::Target;
use crate::event::{LaneState, StepEnd};
use crate::exit::Exit;
use crate::ids::Lane;
use crate::run::Ended;
use crate::state::{LaneStatus, RunState};
use std::fmt::Write as _;

/// Columns of the longest step title.
const TITLE_COLUMNS: usize = 21;
/// Lines of output that explain a failure; the journal has more.
const TAIL_LINES: usize = 12;
/// Characters of a warning or a reason.
const TEXT_CHARS: usize = 1_000;

/// The closing summary.
pub fn deploy(ended: &Ended, state: &RunState, target: &Target) -> String {
    if ended.nothing_to_do {
        return nothing_to_do(ended, target);
    }
    let exit = ended.verdict.exit;
    let mut text = String::new();
    verdict(&mut text, ended, state, target);
    failure(&mut text, state);
    if !state.lanes.is_empty() {
        lanes(&mut text, exit, state, target);
    }
    if state.steps.len() > 1 {
        steps(&mut text, state);
    }
    for warning in &state.warnings {
        let _infallible = writeln!(text, "{} {}", paint(Role::Warn, "warning:"), prose(warning));
    }
    if !state.warnings.is_empty() {
        text.push('\n');
    }
    next(&mut text, &state.next);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn nothing_to_do(ended: &Ended, target: &Target) -> String {
    let mut text = String::new();
    let commit = ended.plan.as_ref().map(|plan| format!(" ({})", plan.commit.short())).unwrap_or_default();
    let title = format!("✓ Nothing to do: {} already has this content{commit}", target.name);
    let _infallible = writeln!(text, "{}", paint(Role::Good, &title));
    for decision in ended.plan.iter().flat_map(|plan| &plan.lanes) {
        let _infallible = writeln!(text, "  {:<8}  {}", decision.lane.name(), prose(&decision.reason));
    }
    text
}

fn verdict(text: &mut String, ended: &Ended, state: &RunState, target: &Target) {
    let exit = ended.verdict.exit;
    // A refusal comes before the run has an environment of its own.
    let mut known = RunState { environment: Some(target.name.clone()), command: state.command.clone(), ..RunState::default() };
    known.commit = state.commit.clone().or_else(|| ended.plan.as_ref().map(|plan| plan.commit.clone()));
    let title = format!("{} {}", outcome::mark(exit), outcome::headline(exit, &known));
    let _infallible = writeln!(text, "{}", paint(outcome::role(exit), &title));
    let subject = clean::clip(&clean::line(&state.subject), 72);
    if !subject.is_empty() {
        let _infallible = writeln!(text, "  {}", paint(Role::Quiet, &subject));
    }
    if exit != Exit::Done {
        for line in ended.verdict.reason.lines() {
            let _infallible = writeln!(text, "  {}", prose(line));
        }
    }
    text.push('\n');
}

fn failure(text: &mut String, state: &RunState) {
    let Some((step, status)) = state.failed_step() else { return };
    let who = step.lane().map(|lane| format!("{lane}: ")).unwrap_or_default();
    let title = format!("failed step: {who}{}, after {}", step.title(), duration(status.duration_ms(state.elapsed_ms)));
    let _infallible = writeln!(text, "{}", paint(Role::Bad, &title));
    let detail = prose(&status.detail);
    // The verdict above usually begins with the same words.
    if !detail.is_empty() && !state.reason.contains(status.detail.trim()) {
        let _infallible = writeln!(text, "  {detail}");
    }
    let tail: Vec<&str> = outcome::tail(state, step, status).collect();
    let shown = tail.get(tail.len().saturating_sub(TAIL_LINES)..).unwrap_or_default();
    for line in shown {
        let _infallible = writeln!(text, "{}", super::line::output(line));
    }
    text.push('\n');
}

fn lanes(text: &mut String, exit: Exit, state: &RunState, target: &Target) {
    if exit != Exit::Done {
        text.push_str("live now\n");
    }
    for (lane, status) in &state.lanes {
        let url = match lane {
            Lane::Frontend => &target.site_url,
            Lane::Backend => &target.service_url,
        };
        let _infallible = writeln!(text, "  {:<8}  {}", lane.name(), paint(Role::Accent, url));
        let (role, live) = match exit {
            Exit::Done => (Role::Good, done(status)),
            _ => outcome::live_now(exit, state, *lane, status),
        };
        let _infallible = writeln!(text, "            {}", paint(role, &live));
        let reason = prose(&status.decision.reason);
        let _infallible = writeln!(text, "            {}", paint(Role::Quiet, &reason));
    }
    if exit == Exit::Done && !state.migrations.is_empty() {
        let _infallible = writeln!(text, "  migrated  {}", prose(&state.migrations.join(", ")));
    }
    text.push('\n');
}

fn done(status: &LaneStatus) -> String {
    let deploy = status.deploy_id.as_ref().map(|id| format!(", deploy {id}")).unwrap_or_default();
    match status.state {
        LaneState::Unchanged => "unchanged".to_owned(),
        state => format!("{}{deploy}", lane_state(state)),
    }
}

/// Where the time went. A run that is longer than its longest chain waited for something that it need not have.
fn steps(text: &mut String, state: &RunState) {
    let (path, length_ms) = state.critical_path();
    let took = format!("took {}; the longest chain of steps is {}:", duration(state.elapsed_ms), duration(length_ms));
    let _infallible = writeln!(text, "{took}\n  {}", chain(&path));
    for row in timeline::rows(state) {
        let who = super::line::who(row.step.lane());
        let mark = if row.critical { "*" } else { " " };
        let end = match row.end {
            Some(StepEnd::Ok) => String::new(),
            end => format!("  {}", timeline::end_word(end)),
        };
        let line = format!("  {mark} {who:<8}  {:<TITLE_COLUMNS$} {:>10}{end}", row.step.title(), duration(row.duration_ms));
        let _infallible = writeln!(text, "{}", paint(if row.critical { Role::Plain } else { Role::Quiet }, line.trim_end()));
    }
    text.push('\n');
}

fn next(text: &mut String, commands: &[String]) {
    for (index, command) in commands.iter().enumerate() {
        let label = if index == 0 { "next:" } else { "" };
        let _infallible = writeln!(text, "{label:<5} {}", paint(Role::Accent, &clean::line(command)));
    }
}

fn prose(text: &str) -> String {
    clean::clip(&clean::line(text), TEXT_CHARS)
}
