//! What `migrate` through a running service reports, for people and for scripts.

use crate::exit::Exit;
use crate::service::MigrateError;
use serde_json::json;
use std::fmt::Write as _;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// What state that leaves.
    pub exit: Exit,
    pub(super) outcome: &'static str,
    pub(super) applied: Vec<String>,
    pub(super) pending: Vec<String>,
    /// Files of this checkout that the running service does not carry.
    pub(super) next_deploy: Vec<String>,
    pub(super) backup: Option<String>,
    pub(super) error: Option<MigrateError>,
    pub(super) text: String,
    /// Whether the text for people ends with the pending files.
    pub(super) listed: bool,
}

impl Report {
    pub(super) fn new(exit: Exit, outcome: &'static str, text: impl Into<String>) -> Self {
        Self {
            exit,
            outcome,
            applied: Vec::new(),
            pending: Vec::new(),
            next_deploy: Vec::new(),
            backup: None,
            error: None,
            text: text.into(),
            listed: true,
        }
    }

    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self::failure(Exit::Refused, &text.into())
    }

    /// What is reported when it could not begin.
    pub fn failure(exit: Exit, text: &str) -> Self {
        Self {
            error: Some(message(text)),
            ..Self::new(exit, "refused", text)
        }
    }

    /// What is reported when it went wrong on the way.
    pub(super) fn failed(exit: Exit, error: MigrateError, text: impl Into<String>) -> Self {
        Self {
            error: Some(error),
            ..Self::new(exit, "failed", text)
        }
    }

    /// The document of `migrate --json`.
    pub fn json(&self) -> String {
        let document = json!({
            "outcome": self.outcome,
            "applied": self.applied,
            "pending": self.pending,
            "ships_with_next_deploy": self.next_deploy,
            "backup": self.backup,
            "error": self.error,
        });
        format!("{document:#}")
    }

    /// The text for people.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.text);
        for name in &self.applied {
            let _infallible = writeln!(text, "  applied  {name}");
        }
        for name in self.pending.iter().filter(|_| self.listed) {
            let _infallible = writeln!(text, "  pending  {name}");
        }
        for name in &self.next_deploy {
            let _infallible = writeln!(text, "  ships with the next deploy: {name}");
        }
        if let Some(backup) = &self.backup {
            let _infallible = writeln!(text, "  backup   {backup}");
        }
        text
    }
}

/// An error of which only the words are known.
pub(super) fn message(text: &str) -> MigrateError {
    MigrateError {
        file: None,
        line: None,
        column: None,
        statement: None,
        message: text.to_owned(),
    }
}
