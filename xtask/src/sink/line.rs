//! One event as lines of text: what the live display scrolls away and what a CI log keeps.

use super::clean;
use super::style::{Role, paint};
use super::words::{duration, lane_state};
use crate::event::{Event, EventKind, LaneDecision, Step, StepEnd};
use crate::exit::Exit;
use crate::ids::Lane;
use crate::state::RunState;
use std::fmt::Write as _;

/// Columns of the longest step title, so that durations stand below each other.
const TITLE_COLUMNS: usize = 21;
/// Characters of a commit's subject.
const SUBJECT_CHARS: usize = 72;
/// Characters of any other text from outside; the journal and the report have all of it.
const TEXT_CHARS: usize = 600;

/// A line, before anybody decides about colours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// What it is for.
    pub(crate) role: Role,
    /// The lane that it is about.
    pub(crate) lane: Option<Lane>,
    /// What stands out.
    pub(crate) head: String,
    /// What follows.
    pub(crate) rest: String,
    /// Whether it is worth showing to somebody who watches the run.
    pub(crate) live: bool,
}

impl Line {
    fn new(role: Role, lane: Option<Lane>, head: impl Into<String>, rest: &str) -> Self {
        let rest = clean::clip(&clean::line(rest), TEXT_CHARS);
        Self {
            role,
            lane,
            head: head.into(),
            rest,
            live: true,
        }
    }

    fn detail(mut self) -> Self {
        self.live = false;
        self
    }

    /// `✓ frontend  upload as a draft      1.2 s  3 of 12 files were new`.
    pub(crate) fn render(&self) -> String {
        let mark = paint(self.role, &self.role.mark().to_string());
        let who = paint(Role::Quiet, &format!("{:<8}", who(self.lane)));
        let head = if self.role == Role::Bad {
            paint(Role::Bad, &self.head)
        } else {
            self.head.clone()
        };
        let line = format!(
            "{mark} {who}  {head}{}{}",
            if self.head.is_empty() || self.rest.is_empty() {
                ""
            } else {
                "  "
            },
            self.rest
        );
        line.trim_end().to_owned()
    }
}

/// The first column: the lane, or the release for what belongs to both.
pub(crate) fn who(lane: Option<Lane>) -> &'static str {
    lane.map_or("release", Lane::name)
}

/// A line of a command's or provider's output.
pub(crate) fn output(line: &str) -> String {
    format!("  │ {}", clean::output(line))
}

/// The lines of one event. Output and progress have none: their sinks treat them in their own ways.
pub(crate) fn lines(event: &Event, state: &RunState) -> Vec<Line> {
    match &event.kind {
        EventKind::StepProgress { .. } | EventKind::Output { .. } => Vec::new(),
        EventKind::RunStarted {
            run,
            command,
            environment,
            commit,
            subject,
            by,
            override_reason,
        } => {
            let head = format!("{command} {} to {environment}", commit.short());
            let mut lines = vec![
                Line::new(
                    Role::Strong,
                    None,
                    head,
                    &clean::clip(&clean::line(subject), SUBJECT_CHARS),
                ),
                Line::new(
                    Role::Quiet,
                    None,
                    "",
                    &format!("run {run}, started by {by}"),
                )
                .detail(),
            ];
            lines.extend(
                override_reason
                    .iter()
                    .map(|reason| Line::new(Role::Warn, None, "override", reason)),
            );
            lines
        }
        EventKind::Recovered { run, text, .. } => {
            vec![Line::new(Role::Warn, None, format!("run {run}"), text)]
        }
        EventKind::Planned {
            lanes,
            reversible,
            reversible_because,
            migrations,
            ..
        } => planned(lanes, (*reversible, reversible_because), migrations),
        EventKind::StepStarted { step } => {
            vec![Line::new(Role::Quiet, step.lane(), step.title(), "begins").detail()]
        }
        EventKind::StepFinished { step, end, detail } => vec![finished(*step, *end, detail, state)],
        EventKind::Retry {
            what,
            because,
            wait_ms,
        } => {
            let text = format!("{what}: {because}; asked again in {}", duration(*wait_ms));
            vec![Line::new(Role::Warn, None, "retry", &text)]
        }
        EventKind::LaneChanged {
            lane,
            state,
            deploy_id,
            url,
        } => {
            let mut text = String::new();
            for part in [deploy_id.as_ref().map(|id| id.as_str()), url.as_deref()]
                .into_iter()
                .flatten()
            {
                let _infallible = write!(text, "{}{part}", if text.is_empty() { "" } else { ", " });
            }
            vec![Line::new(Role::Plain, Some(*lane), lane_state(*state), &text).detail()]
        }
        EventKind::Gate {
            number,
            passed: true,
            because,
        } => {
            vec![Line::new(Role::Good, None, format!("gate {number} open"), because).detail()]
        }
        EventKind::Gate {
            number,
            passed: false,
            because,
        } => {
            vec![Line::new(Role::Bad, None, format!("gate {number} closed"), because).detail()]
        }
        EventKind::Warning { text } => vec![Line::new(Role::Warn, None, "warning", text)],
        EventKind::Note { text } => vec![Line::new(Role::Plain, None, "", text)],
        EventKind::RunFinished { exit, reason, .. } => {
            // Rollbacks and runs with nothing to do end well, too: the reason says what was done.
            let outcome = match exit {
                Exit::Done => "done".to_owned(),
                other => other.outcome().replace('_', " "),
            };
            let line = Line::new(super::outcome::role(*exit, state), None, outcome, reason);
            vec![line.detail()]
        }
    }
}

fn planned(lanes: &[LaneDecision], reversible: (bool, &str), migrations: &[String]) -> Vec<Line> {
    let mut lines: Vec<Line> = lanes
        .iter()
        .map(|decision| {
            let head = if decision.run { "runs" } else { "does not run" };
            Line::new(Role::Plain, Some(decision.lane), head, &decision.reason)
        })
        .collect();
    if !migrations.is_empty() {
        lines.push(Line::new(
            Role::Plain,
            Some(Lane::Backend),
            "migrations",
            &migrations.join(", "),
        ));
    }
    if !reversible.0 {
        lines.push(Line::new(Role::Warn, None, "not reversible", reversible.1));
    }
    lines
}

fn finished(step: Step, end: StepEnd, detail: &str, state: &RunState) -> Line {
    let took = state
        .steps
        .get(&step)
        .map_or(0, |status| status.duration_ms(state.elapsed_ms));
    let role = match end {
        StepEnd::Ok => Role::Good,
        StepEnd::Failed => Role::Bad,
        StepEnd::Cancelled => Role::Warn,
    };
    let head = format!("{:<TITLE_COLUMNS$} {:>8}", step.title(), duration(took));
    Line::new(role, step.lane(), head, detail)
}
