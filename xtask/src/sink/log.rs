//! The CI log: plain lines that are never drawn over, each with the time since the run began.
//!
//! On GitHub a line of output could pass itself off as a command to the runner, so output is printed only between
//! `::stop-commands::` and a token that nobody can guess; parallel lanes cannot share a group, so a step's output is kept
//! until the step has ended.

use super::line::{self, Line};
use super::outcome;
use super::words::count;
use crate::console::Console;
use crate::dispatch::Sink;
use crate::event::{Event, EventKind, Step, StepEnd};
use crate::state::RunState;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};

/// Lines of output kept for one group; the journal has all of them.
const GROUP_LINES_MAX: usize = 5_000;

/// A log on standard error. Without `verbose` what a command prints is shown when it fails, and on GitHub always, folded.
pub fn ci_log(console: Console, verbose: bool, github: bool) -> Box<dyn Sink> {
    Box::new(CiLog { console, page: Page::new(verbose, github, random_token) })
}

struct CiLog {
    console: Console,
    page: Page,
}

impl Sink for CiLog {
    fn event(&mut self, event: &Event, state: &RunState) {
        let text = self.page.event(event, state);
        if !text.is_empty() {
            self.console.err(&text);
        }
    }
}

/// The log as text: what each event adds to it.
struct Page {
    verbose: bool,
    github: bool,
    token: fn() -> String,
    running: BTreeSet<Step>,
    held: BTreeMap<Step, Held>,
    warned: BTreeSet<String>,
}

#[derive(Default)]
struct Held {
    lines: VecDeque<String>,
    dropped: usize,
}

impl Page {
    fn new(verbose: bool, github: bool, token: fn() -> String) -> Self {
        Self { verbose, github, token, running: BTreeSet::new(), held: BTreeMap::new(), warned: BTreeSet::new() }
    }

    fn event(&mut self, event: &Event, state: &RunState) -> String {
        let mut text = String::new();
        match &event.kind {
            EventKind::Output { step, line } => {
                self.output(&mut text, *step, line);
                return text;
            }
            // The journal's first event comes after preflight began, which begins once all the same.
            EventKind::StepStarted { step } if !self.running.insert(*step) => return text,
            EventKind::Warning { text: warning } if !self.warned.insert(warning.clone()) => return text,
            EventKind::StepFinished { step, .. } => {
                self.running.remove(step);
            }
            EventKind::RunFinished { .. } => self.running.clear(),
            _ => {}
        }
        self.show_held(&mut text);
        for line in line::lines(event, state) {
            write_line(&mut text, event.elapsed_ms, &line);
        }
        if let EventKind::StepFinished { step, end: StepEnd::Failed, .. } = event.kind {
            self.show_tail(&mut text, step, state);
        }
        text
    }

    fn output(&mut self, text: &mut String, step: Step, line: &str) {
        let ended = !self.running.contains(&step);
        if self.github {
            let held = self.held.entry(step).or_default();
            if held.lines.len() == GROUP_LINES_MAX {
                held.lines.pop_front();
                held.dropped += 1;
            }
            held.lines.push_back(line.to_owned());
        } else if self.verbose || ended {
            let _infallible = writeln!(text, "{}", line::output(line));
        }
    }

    /// Prints the groups of steps that have ended.
    fn show_held(&mut self, text: &mut String) {
        let ended: Vec<Step> = self.held.keys().copied().filter(|step| !self.running.contains(step)).collect();
        for step in ended {
            let Some(held) = self.held.remove(&step) else { continue };
            let title = format!("output of {}, {}", step.title(), count(held.lines.len(), "line"));
            let cut = (held.dropped > 0).then(|| format!("({} before these are in the journal)", count(held.dropped, "line")));
            let lines = cut.into_iter().chain(held.lines.iter().map(|line| line::output(line)));
            text.push_str(&group(&title, &(self.token)(), lines));
        }
    }

    /// On GitHub the group above has the lines already.
    fn show_tail(&self, text: &mut String, step: Step, state: &RunState) {
        if self.github || self.verbose {
            return;
        }
        let Some(status) = state.steps.get(&step) else { return };
        for line in outcome::tail(state, step, status) {
            let _infallible = writeln!(text, "{}", line::output(line));
        }
    }
}

fn write_line(text: &mut String, elapsed_ms: u64, line: &Line) {
    let (seconds, tenths) = (elapsed_ms / 1000, elapsed_ms % 1000 / 100);
    let _infallible = writeln!(text, "{seconds:>4}.{tenths}s {}", line.render());
}

/// A folded group in which the runner obeys nothing but the end of the group's token.
fn group(title: &str, token: &str, lines: impl Iterator<Item = String>) -> String {
    let mut text = format!("::group::{title}\n::stop-commands::{token}\n");
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    let _infallible = write!(text, "::{token}::\n::endgroup::\n");
    text
}

/// 128 bits that no output can know beforehand: both halves are keyed hashes, and the keys come from the operating system.
pub(crate) fn random_token() -> String {
    let half = || RandomState::new().hash_one("tandem");
    format!("{:016x}{:016x}", half(), half())
}
