//! The timeline of a run as a picture: one bar per step over time, the longest chain marked.

use super::html::escape;
use super::line::who;
use super::timeline::{Row, end_word, rows};
use super::words::duration;
use crate::event::StepEnd;
use crate::state::RunState;
use std::fmt::Write as _;

/// Units of the picture, which is scaled to the page.
const WIDTH: u64 = 960;
/// Where time begins: beside it stand the names.
const LEFT: u64 = 240;
/// Beside the last bar stands its duration.
const RIGHT: u64 = 90;
const ROW_HEIGHT: u64 = 24;
const BAR_HEIGHT: u64 = 14;
/// A shorter bar would not be seen.
const BAR_MIN: u64 = 2;
/// About so many vertical lines.
const TICKS: u64 = 6;

/// An `svg` element; empty when nothing began.
pub(super) fn svg(state: &RunState) -> String {
    let rows = rows(state);
    if rows.is_empty() {
        return String::new();
    }
    let end_ms = rows
        .iter()
        .map(|row| row.started_ms + row.last_ms)
        .max()
        .unwrap_or(0)
        .max(1);
    let height = ROW_HEIGHT * (rows.len() as u64 + 1);
    let mut text = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Timeline of the steps\" class=\"gantt\">\n"
    );
    axis(&mut text, end_ms, height);
    for (index, row) in rows.iter().enumerate() {
        bar(&mut text, row, end_ms, ROW_HEIGHT * (index as u64 + 1));
    }
    text.push_str("</svg>\n");
    text
}

fn x(ms: u64, end_ms: u64) -> u64 {
    LEFT + (WIDTH - LEFT - RIGHT) * ms / end_ms
}

fn axis(text: &mut String, end_ms: u64, height: u64) {
    let step = tick_ms(end_ms);
    let mut at = 0;
    while at <= end_ms {
        let x = x(at, end_ms);
        let _infallible = writeln!(
            text,
            "<line class=\"tick\" x1=\"{x}\" x2=\"{x}\" y1=\"18\" y2=\"{height}\"/><text class=\"when\" x=\"{x}\" y=\"12\">{}</text>",
            duration(at)
        );
        at += step;
    }
}

/// 1, 2 or 5 times a power of ten, so that the axis has round numbers.
fn tick_ms(end_ms: u64) -> u64 {
    let wanted = (end_ms / TICKS).max(100);
    let power = 10_u64.pow(wanted.ilog10());
    [1, 2, 5, 10]
        .into_iter()
        .map(|factor| factor * power)
        .find(|tick| *tick >= wanted)
        .unwrap_or(wanted)
}

fn bar(text: &mut String, row: &Row<'_>, end_ms: u64, top: u64) {
    let from = x(row.started_ms, end_ms);
    let width = (x(row.started_ms + row.last_ms, end_ms) - from).max(BAR_MIN);
    let class = match row.end {
        Some(StepEnd::Failed) => "failed",
        Some(StepEnd::Cancelled) | None => "cut",
        Some(StepEnd::Ok) if row.critical => "critical",
        Some(StepEnd::Ok) => "ok",
    };
    let mark = if row.critical { "* " } else { "" };
    let baseline = top + BAR_HEIGHT - 2;
    let _infallible = writeln!(
        text,
        "<g><title>{}</title><text class=\"name\" x=\"0\" y=\"{baseline}\">{mark}{}: {}</text>\
         <rect class=\"{class}\" x=\"{from}\" y=\"{top}\" width=\"{width}\" height=\"{BAR_HEIGHT}\" rx=\"2\"/>\
         <text class=\"took\" x=\"{}\" y=\"{baseline}\">{}</text></g>",
        escape(&format!(
            "{}: {} {}",
            row.step.title(),
            end_word(row.end),
            row.detail
        )),
        who(row.step.lane()),
        row.step.title(),
        from + width + 6,
        duration(row.duration_ms)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for (end_ms, expected) in [
            (1, 100),
            (900, 200),
            (6_000, 1_000),
            (12_345, 5_000),
            (61_000, 20_000),
            (3_600_000, 1_000_000),
        ] {
            let tick = tick_ms(end_ms);
            assert_eq!(tick, expected, "{end_ms}");
            assert!(end_ms / tick <= TICKS);
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(svg(&RunState::default()), "");
    }
}
