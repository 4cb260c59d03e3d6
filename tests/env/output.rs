//! What a run of the program left: its exit code and its two streams.

use super::normal;
use serde_json::Value;
use std::path::PathBuf;

/// One run's end. Looking at nothing of it would be a forgotten assertion.
#[derive(Clone)]
#[must_use]
pub(crate) struct Output {
    /// The arguments.
    pub(crate) args: Vec<String>,
    /// The exit code; none after a signal.
    pub(crate) code: Option<i32>,
    /// Results.
    pub(crate) stdout: String,
    /// Progress and problems.
    pub(crate) stderr: String,
    /// The test's folder, which normalising names.
    pub(crate) dir: PathBuf,
}

impl Output {
    /// Fails with everything that was said when the exit code is another one.
    #[track_caller]
    pub(crate) fn assert_exit(&self, code: i32) -> &Self {
        assert!(self.code == Some(code), "expected exit code {code}\n{self}");
        self
    }

    /// Fails when `text` is in neither stream.
    #[track_caller]
    pub(crate) fn assert_says(&self, text: &str) -> &Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "nothing says {text:?}\n{self}"
        );
        self
    }

    /// Fails when `text` is in one of the streams.
    #[track_caller]
    pub(crate) fn assert_silent_about(&self, text: &str) -> &Self {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "something says {text:?}\n{self}"
        );
        self
    }

    /// Standard output, which must be exactly one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output is no JSON document: {error}\n{self}"))
    }

    /// Standard output without what differs from run to run.
    pub(crate) fn normal_stdout(&self) -> String {
        normal::text(&self.stdout, &self.dir)
    }

    /// Standard error without what differs from run to run.
    pub(crate) fn normal_stderr(&self) -> String {
        normal::text(&self.stderr, &self.dir)
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            args,
            code,
            stdout,
            stderr,
            ..
        } = self;
        write!(
            f,
            "xtask {} ended with {code:?}\n--- stdout\n{stdout}--- stderr\n{stderr}---",
            args.join(" ")
        )
    }
}
