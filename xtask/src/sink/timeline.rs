//! The steps of a run against its critical path: what took how long, and what could not have been faster by more parallelism.

use super::words::{duration, shown_ms};
use crate::event::{Step, StepEnd};
use crate::state::RunState;

/// One step that began.
pub(crate) struct Row<'a> {
    /// Which.
    pub(crate) step: Step,
    /// When it began last, in milliseconds since the run began.
    pub(crate) started_ms: u64,
    /// How long it took, or has been running, in all.
    pub(crate) duration_ms: u64,
    /// The same since it began last.
    pub(crate) last_ms: u64,
    /// None while it runs.
    pub(crate) end: Option<StepEnd>,
    /// What it found, or why it failed.
    pub(crate) detail: &'a str,
    /// Whether it is on the longest chain.
    pub(crate) critical: bool,
}

/// The steps that began, by when they began.
pub(crate) fn rows(state: &RunState) -> Vec<Row<'_>> {
    let (path, _) = state.critical_path();
    let mut rows: Vec<Row<'_>> = state
        .steps
        .iter()
        .filter(|(_, status)| status.began)
        .map(|(step, status)| Row {
            step: *step,
            started_ms: status.started_ms,
            duration_ms: status.duration_ms(state.elapsed_ms),
            last_ms: status.last_ms(state.elapsed_ms),
            end: status.end,
            detail: &status.detail,
            critical: path.contains(step),
        })
        .collect();
    rows.sort_by_key(|row| (row.started_ms, row.step));
    rows
}

/// What the run took beside its longest chain, so that what is shown of both adds up; none when nothing would be seen.
pub(crate) fn between_ms(state: &RunState) -> Option<u64> {
    let (_, chain_ms) = state.critical_path();
    let ms = shown_ms(state.elapsed_ms).saturating_sub(shown_ms(chain_ms));
    (ms >= 100).then_some(ms)
}

/// The same in words that follow the length of the chain.
pub(crate) fn between(state: &RunState) -> String {
    let said = |ms| format!(", and {} lie between its steps", duration(ms));
    between_ms(state).map(said).unwrap_or_default()
}

/// `preflight → checks → publish`.
pub(crate) fn chain(path: &[Step]) -> String {
    path.iter()
        .map(|step| step.title())
        .collect::<Vec<_>>()
        .join(" → ")
}

/// The same on several lines of at most `max_columns`, broken after arrows.
pub(crate) fn chain_lines(path: &[Step], max_columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for (index, step) in path.iter().enumerate() {
        let arrow = if index + 1 < path.len() { " →" } else { "" };
        let word = format!("{}{arrow}", step.title());
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > max_columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.extend((!line.is_empty()).then_some(line));
    lines
}

/// The word for how a step ended.
pub(crate) fn end_word(end: Option<StepEnd>) -> &'static str {
    match end {
        Some(StepEnd::Ok) => "ok",
        Some(StepEnd::Failed) => "failed",
        Some(StepEnd::Cancelled) => "cancelled",
        None => "unfinished",
    }
}
