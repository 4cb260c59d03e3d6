//! How a section runs: its heading and its time, its commands with their output as it comes, and what it needs to make sense.
#![expect(
    clippy::disallowed_methods,
    reason = "the time of a section is what is told"
)]

use super::super::app::{App, Project};
use crate::console::Console;
use crate::credentials::child_vars;
use crate::real::CancelFlag;
use crate::supervisor::supervise;
use crate::world::{Cancelled, Command, RunEnd, RunEvent};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// No command of any section takes so long unless it hangs.
const TIMEOUT: Duration = Duration::from_secs(45 * 60);
/// How much of a silent command is shown when it fails.
const LAST_LINES_MAX: usize = 200;

/// Why a section did not pass.
#[derive(Debug)]
pub(super) enum Stop {
    /// It does not apply here, for this reason.
    Skipped(String),
    /// What was tried, and what came back.
    Failed(String),
    /// Somebody asked the whole run to stop.
    Cancelled(Cancelled),
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}

/// What the sections share.
pub(super) struct Ci<'a> {
    /// The project that is checked.
    pub(super) project: &'a Project,
    /// The caller's environment without credentials.
    pub(super) env: Vec<(String, String)>,
    /// Whether a missing tool is a failure.
    pub(super) strict: bool,
    console: &'a Console,
    cancel: CancelFlag,
    quiet: bool,
    /// Whether the log is folded by its reader.
    grouped: bool,
}

impl<'a> Ci<'a> {
    pub(super) fn new(
        app: &App<'a>,
        project: &'a Project,
        cancel: CancelFlag,
        strict: bool,
    ) -> Self {
        let mut env = child_vars(app.environ);
        // Their output passes through here, so that they cannot see for themselves that somebody reads it in colour.
        if app.console.color {
            env.push(("CARGO_TERM_COLOR".to_owned(), "always".to_owned()));
        }
        Self {
            project,
            env,
            strict,
            console: app.console,
            cancel,
            quiet: app.globals.quiet,
            grouped: app.environ.var("GITHUB_ACTIONS").is_some(),
        }
    }

    /// Runs one section below its heading and takes its time, in milliseconds.
    pub(super) fn section(
        &self,
        name: &str,
        body: impl FnOnce() -> Result<(), Stop>,
    ) -> (Result<(), Stop>, u64) {
        self.say(&if self.grouped {
            format!("::group::{name}")
        } else {
            format!("\n== {name}")
        });
        let started = Instant::now();
        let ended = match self.cancel.get() {
            Some(cancelled) => Err(Stop::Cancelled(cancelled)),
            None => body(),
        };
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Err(Stop::Skipped(why)) = &ended {
            self.say(&format!("skipped: {why}"));
        }
        if self.grouped {
            self.say("::endgroup::");
        }
        (ended, took_ms)
    }

    /// Says something, unless only results are wanted.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            self.console.err(text);
        }
    }

    /// A path below the project's root.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.project.root.join(path)
    }

    /// The section makes no sense without this file or folder of the project.
    pub(super) fn needs_path(&self, path: &str) -> Result<(), Stop> {
        if self.path(path).exists() {
            Ok(())
        } else {
            Err(Stop::Skipped(format!("this project has no {path}")))
        }
    }

    /// The section cannot run without this program.
    pub(super) fn needs_tool(&self, tool: &str, hint: &str) -> Result<(), Stop> {
        let path = self.env.iter().find(|(name, _)| name == "PATH");
        let folders = path.map_or("", |(_, value)| value.as_str()).split(':');
        if folders.map(Path::new).any(|dir| dir.join(tool).is_file()) {
            return Ok(());
        }
        let text = format!("{tool} is not on the PATH (hint: {hint})");
        Err(if self.strict {
            Stop::Failed(text)
        } else {
            Stop::Skipped(text)
        })
    }

    /// Runs a script in the project's root.
    pub(super) fn sh(&self, script: &str) -> Result<(), Stop> {
        self.sh_in(&self.project.root, &self.env, script)
    }

    /// Runs a script in a folder and with an environment of its own.
    pub(super) fn sh_in(
        &self,
        dir: &Path,
        env: &[(String, String)],
        script: &str,
    ) -> Result<(), Stop> {
        let first_line = script.lines().next().unwrap_or_default();
        for line in script.lines() {
            self.say(&format!("$ {line}"));
        }
        let command = Command {
            script: format!("set -eu\n{script}"),
            dir: dir.to_owned(),
            env: env.to_vec(),
            timeout: TIMEOUT,
        };
        let mut kept: VecDeque<String> = VecDeque::new();
        let end = supervise(&command, &|| self.cancel.get(), &mut |event| {
            let RunEvent::Line(line) = event else { return };
            if self.quiet {
                kept.truncate(LAST_LINES_MAX - 1);
                kept.push_front(line.to_owned());
            } else {
                self.console.err(line);
            }
        })?;
        if end != RunEnd::Exited(0) {
            kept.iter().rev().for_each(|line| self.console.err(line));
        }
        match end {
            RunEnd::Exited(0) => Ok(()),
            RunEnd::Exited(code) => Err(Stop::Failed(format!("'{first_line}' ended with {code}"))),
            RunEnd::Killed(signal) => Err(Stop::Failed(format!(
                "'{first_line}' was ended by signal {signal}"
            ))),
            RunEnd::TimedOut => Err(Stop::Failed(format!(
                "'{first_line}' did not end within {} min",
                TIMEOUT.as_secs() / 60
            ))),
            RunEnd::Cancelled => Err(self.cancel.get().map_or_else(
                || Stop::Failed(format!("'{first_line}' was stopped")),
                Stop::Cancelled,
            )),
        }
    }
}
