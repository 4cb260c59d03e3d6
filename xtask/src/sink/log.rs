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

/// Lines of output kept for one group.
const GROUP_LINES_MAX: usize = 5_000;

/// A log on standard error. Without `verbose` what a command prints is shown when it fails, and on GitHub always, folded.
pub fn ci_log(console: Console, verbose: bool, github: bool) -> Box<dyn Sink> {
    Box::new(CiLog {
        console,
        page: Page::new(verbose, github, random_token),
    })
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
        Self {
            verbose,
            github,
            token,
            running: BTreeSet::new(),
            held: BTreeMap::new(),
            warned: BTreeSet::new(),
        }
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
            EventKind::Warning { text: warning } if !self.warned.insert(warning.clone()) => {
                return text;
            }
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
        if let EventKind::StepFinished {
            step,
            end: StepEnd::Failed,
            ..
        } = event.kind
        {
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
        let ended: Vec<Step> = self
            .held
            .keys()
            .copied()
            .filter(|step| !self.running.contains(step))
            .collect();
        for step in ended {
            let Some(held) = self.held.remove(&step) else {
                continue;
            };
            let title = format!(
                "output of {}, {}",
                step.title(),
                count(held.lines.len(), "line")
            );
            let cut = (held.dropped > 0).then(|| {
                format!(
                    "({} before these are left out here)",
                    count(held.dropped, "line")
                )
            });
            let lines = cut
                .into_iter()
                .chain(held.lines.iter().map(|line| line::output(line)));
            text.push_str(&group(&title, &(self.token)(), lines));
        }
    }

    /// On GitHub the group above has the lines already.
    fn show_tail(&self, text: &mut String, step: Step, state: &RunState) {
        if self.github || self.verbose {
            return;
        }
        let Some(status) = state.steps.get(&step) else {
            return;
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample::{self, Told, plain};
    use insta::assert_snapshot;

    fn shown(told: &Told, verbose: bool, github: bool) -> String {
        let mut page = Page::new(verbose, github, || "0123456789abcdef".to_owned());
        let mut state = RunState::default();
        let mut text = String::new();
        for event in &told.events {
            state.apply(event);
            text.push_str(&page.event(event, &state));
        }
        plain(&text)
    }

    #[test]
    fn released() {
        assert_snapshot!(shown(&sample::released(), false, false), @r#"
         0.0s · release   preflight  begins
         0.1s · release   deploy 1a2b3c4 to production  Show revenue by region
         0.1s · release   run 20261123T170102Z-1a2b3c4-9f3c, started by someone
         0.2s ✓ release   preflight                0.2 s  reversible: yes, because no pending migration breaks the live version
         0.2s · frontend  runs  frontend/js/main.js modified and 1 more
         0.2s · backend   runs  backend/src/main.rs modified and 1 more
         0.2s · backend   migrations  0003_add_region.sql
         0.2s · release   checks  begins
         0.2s · frontend  upload as a draft  begins
         0.2s · backend   rehearse migrations  begins
         0.5s ✓ backend   rehearse migrations      0.3 s  1 file on the live schema in 12 ms
         1.3s ✓ frontend  upload as a draft        1.1 s  3 of 12 files were new to the provider
         1.3s · frontend  prepared, not public  65f0c0ffee65f0c0ffee65f0, https://65f0c0ffee--shop.netlify.app
         1.3s · frontend  verify the draft  begins
         1.5s ✓ frontend  verify the draft         0.2 s  12 files have our content
         5.5s ✓ release   checks                   5.3 s  passed: backend
         5.5s ✓ release   gate 1 open  everything is prepared and every check passed
         5.6s · backend   deploy and start  begins
         6.5s ! release   retry  Render GET /services/srv-1/deploys/dep-9: status 503; asked again in 1.5 s
        12.5s ✓ backend   deploy and start         6.9 s  dep-9 is live
        12.5s · backend   live, not proven yet  dep-9, https://shop-api.onrender.com
        12.5s · backend   read the schema back  begins
        12.6s ✓ backend   read the schema back     0.0 s  generation 3, 1 applied by this release
        12.6s · backend   prove the version  begins
        12.8s ✓ backend   prove the version        0.2 s  1a2b3c4 answered 3 times in a row
        12.8s · backend   live and verified  dep-9, https://shop-api.onrender.com
        12.8s ✓ release   gate 2 open  the backend is live and proven as planned
        12.8s · frontend  publish  begins
        13.2s ✓ frontend  publish                  0.4 s  65f0c0ffee65f0c0ffee65f0 is the published deploy
        13.2s · frontend  verify what is public  begins
        13.4s ✓ frontend  verify what is public    0.1 s  12 files have our content
        13.4s · frontend  live and verified  65f0c0ffee65f0c0ffee65f0, https://shop.example
        13.4s · release   record what is live  begins
        13.5s ✓ release   record what is live      0.0 s  20261123T170102Z-1a2b3c4-9f3c is recorded as live
        13.5s ✓ release   done  frontend and backend of 1a2b3c4 are live and verified
        "#);
    }

    #[test]
    fn a_failed_check_on_github() {
        assert_snapshot!(shown(&sample::check_failed(), false, true), @r#"
           0.0s · release   preflight  begins
           0.1s · release   deploy 1a2b3c4 to production  Show revenue by region
           0.1s · release   run 20261123T170102Z-1a2b3c4-9f3c, started by someone
           0.2s ✓ release   preflight                0.2 s  reversible: yes, because no pending migration breaks the live version
           0.2s · frontend  runs  frontend/js/main.js modified and 1 more
           0.2s · backend   runs  backend/src/main.rs modified and 1 more
           0.2s · backend   migrations  0003_add_region.sql
           0.2s · release   checks  begins
           0.2s · frontend  upload as a draft  begins
           0.2s · backend   rehearse migrations  begins
           0.5s ✓ backend   rehearse migrations      0.3 s  1 file on the live schema in 12 ms
           1.3s ✓ frontend  upload as a draft        1.1 s  3 of 12 files were new to the provider
           1.3s · frontend  prepared, not public  65f0c0ffee65f0c0ffee65f0, https://65f0c0ffee--shop.netlify.app
           1.3s · frontend  verify the draft  begins
           1.5s ✓ frontend  verify the draft         0.2 s  12 files have our content
        ::group::output of checks, 5 lines
        ::stop-commands::0123456789abcdef
          │ running 2 tests
          │ test rounding ... FAILED
          │ ::error::not for the runner
          │   left: 1
          │  right: 2
        ::0123456789abcdef::
        ::endgroup::
           2.3s ✗ release   checks                   2.1 s  check 'backend' failed with exit code 101: cargo test -p backend
           2.3s ✗ release   gate 1 closed  check 'backend' failed with exit code 101: cargo test -p backend
           2.3s · frontend  not public  65f0c0ffee65f0c0ffee65f0
           2.4s ! release   failed unchanged  check 'backend' failed with exit code 101: cargo test -p backend; nothing that is live was changed
        "#);
    }

    #[test]
    fn output_is_shown_where_it_is_wanted() {
        let line = "test rounding ... FAILED";
        for (told, verbose, github, times) in [
            (sample::check_failed(), false, false, 1),
            (sample::check_failed(), true, false, 1),
            (sample::check_failed(), false, true, 1),
            (sample::frontend_only(), false, false, 0),
        ] {
            let text = shown(&told, verbose, github);
            assert_eq!(
                text.matches(line).count(),
                times,
                "verbose {verbose}, github {github}\n{text}"
            );
        }
        let text = shown(&sample::frontend_only(), true, false);
        assert!(text.contains("  │ test totals ... ok\n"), "{text}");
    }

    /// What the runner would obey, and whether it listens there.
    #[test]
    fn the_runner_obeys_only_us() {
        let text = shown(&sample::hostile(), false, true);
        let mut deaf = false;
        for line in text.lines() {
            if line.starts_with("::0123456789abcdef::") {
                deaf = false;
            } else if line.starts_with("::stop-commands::") {
                deaf = true;
            } else if line.starts_with("::") {
                assert!(
                    !deaf && ["::group::output of checks, 4 lines", "::endgroup::"].contains(&line),
                    "{line}"
                );
            }
            assert!(!line.contains("##["), "{line}");
            assert!(deaf || !line.contains("<script>"), "{line}");
        }
        assert!(!deaf);
    }

    #[test]
    fn a_long_output_keeps_its_end() {
        let lines = (0..GROUP_LINES_MAX + 3).map(|number| Event {
            seq: 0,
            at_ms: 0,
            elapsed_ms: 0,
            kind: EventKind::Output {
                step: Step::Checks,
                line: number.to_string(),
            },
        });
        let mut page = Page::new(false, true, random_token);
        page.running.insert(Step::Checks);
        for event in lines {
            assert_eq!(page.event(&event, &RunState::default()), "");
        }
        page.running.clear();
        let mut text = String::new();
        page.show_held(&mut text);
        assert!(
            text.contains("(3 lines before these are left out here)\n  │ 3\n")
                && text.contains("│ 5002\n"),
            "{}",
            &text[..200]
        );
    }

    #[test]
    fn tokens_differ() {
        let (one, other) = (random_token(), random_token());
        assert!(one != other && one.len() == 32, "{one} {other}");
    }
}
