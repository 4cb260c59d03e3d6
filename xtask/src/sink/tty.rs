//! The live display: a line for each step that runs, and finished ones scrolling away above them.

use super::clean;
use super::line::{self, Line};
use super::outcome;
use super::screen::Screen;
use super::words::duration;
use crate::console::Console;
use crate::dispatch::Sink;
use crate::event::{Event, EventKind, Step, StepEnd};
use crate::state::RunState;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often the elapsed time is drawn anew.
const TICK: Duration = Duration::from_millis(125);
/// Below so many columns a running step shows its name only.
const COLUMNS_MIN_FOR_PROGRESS: usize = 48;
/// Characters of a progress text; the line is cut to the terminal's width as well.
const PROGRESS_CHARS: usize = 200;

/// A live display on standard error. With `verbose` it also shows what commands print and the events between steps.
pub fn terminal(console: Console, verbose: bool) -> Box<dyn Sink> {
    let screen = Box::new(Screen::new(console.clone()));
    Box::new(Terminal::on(screen, console, verbose, Some(TICK)))
}

struct Terminal {
    console: Console,
    verbose: bool,
    /// None: drawn when something happens, and not in between.
    tick: Option<Duration>,
    display: MultiProgress,
    running: BTreeMap<Step, ProgressBar>,
    /// Warnings repeat when a loop goes round; one of each is enough.
    warned: BTreeSet<String>,
}

impl Terminal {
    fn on(screen: Box<dyn TermLike>, console: Console, verbose: bool, tick: Option<Duration>) -> Self {
        let display = MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(screen, 10));
        Self { console, verbose, tick, display, running: BTreeMap::new(), warned: BTreeSet::new() }
    }

    fn begin(&mut self, step: Step) {
        if self.running.contains_key(&step) {
            return;
        }
        let above = self.running.range(..step).count();
        let bar = self.display.insert(above, ProgressBar::no_length());
        bar.set_style(style(self.console.columns));
        bar.set_prefix(format!("{:<8}  {}", line::who(step.lane()), step.title()));
        match self.tick {
            Some(tick) => bar.enable_steady_tick(tick),
            None => bar.tick(),
        }
        self.running.insert(step, bar);
    }

    fn end(&mut self, step: Step) {
        if let Some(bar) = self.running.remove(&step) {
            bar.finish_and_clear();
            self.display.remove(&bar);
        }
    }

    /// Puts lines above the running steps, where they stay.
    fn print(&self, text: &str) {
        let text = self.console.redact(text);
        let text = if self.console.color { text } else { anstream::adapter::strip_str(&text).to_string() };
        // A terminal that went away is no reason to stop a release.
        let _closed = self.display.println(text);
    }

    fn print_lines(&mut self, lines: &[Line]) {
        for line in lines {
            if line.live || self.verbose {
                self.print(&line.render());
            }
        }
    }

    fn finished(&mut self, step: Step, end: StepEnd, state: &RunState, lines: &[Line]) {
        self.end(step);
        self.print_lines(lines);
        // With -v the same lines were shown while they came.
        if let (StepEnd::Failed, false, Some(status)) = (end, self.verbose, state.steps.get(&step)) {
            let tail: Vec<String> = outcome::tail(state, step, status).map(line::output).collect();
            if !tail.is_empty() {
                self.print(&tail.join("\n"));
            }
        }
    }
}

impl Sink for Terminal {
    fn event(&mut self, event: &Event, state: &RunState) {
        let lines = line::lines(event, state);
        match &event.kind {
            EventKind::StepStarted { step } => self.begin(*step),
            EventKind::StepProgress { step, text } => {
                if let Some(bar) = self.running.get(step) {
                    bar.set_message(clean::clip(&clean::line(&self.console.redact(text)), PROGRESS_CHARS));
                }
            }
            EventKind::StepFinished { step, end, .. } => self.finished(*step, *end, state, &lines),
            // A log that is fetched after its step has ended explains a failure.
            EventKind::Output { step, line } if self.verbose || !self.running.contains_key(step) => {
                self.print(&line::output(line));
            }
            EventKind::Warning { text } if !self.warned.insert(text.clone()) => {}
            EventKind::RunFinished { .. } => {
                self.print_lines(&lines);
                while let Some((_, bar)) = self.running.pop_last() {
                    bar.finish_and_clear();
                }
                let _closed = self.display.clear();
            }
            _ => self.print_lines(&lines),
        }
    }
}

/// `⠋ backend   deploy and start  build_in_progress  12.3 s`
fn style(columns: usize) -> ProgressStyle {
    let template = if columns < COLUMNS_MIN_FOR_PROGRESS { "{spinner} {prefix}" } else { "{spinner} {prefix}  {wide_msg} {took:>10}" };
    let took = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        let ms = u64::try_from(state.elapsed().as_millis()).unwrap_or(u64::MAX);
        let _infallible = text.write_str(&duration(ms));
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()).with_key("took", took)
}
