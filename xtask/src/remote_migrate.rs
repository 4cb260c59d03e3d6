//! Migrations where only the running service can reach the database: read its state, rehearse here, have it apply what it carries.

use crate::credentials::CredentialName;
use crate::exit::Exit;
use crate::http::ApiError;
use crate::run::Session;
use crate::service::{AdminState, Migrated, Service};
use crate::working_tree::rehearse;
use migrate::{MigrationFile, Migrator};
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Have the service apply what it carries.
    Apply,
    /// Show what is applied and pending.
    Status,
    /// Run the pending files on a copy of the live schema.
    Rehearse,
    /// Judge the pending files.
    Lint,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// What state that leaves.
    pub exit: Exit,
    outcome: &'static str,
    applied: Vec<String>,
    pending: Vec<String>,
    /// Files of this checkout that the running service does not carry.
    next_deploy: Vec<String>,
    backup: Option<String>,
    error: Option<serde_json::Value>,
    text: String,
}

impl Report {
    fn new(exit: Exit, outcome: &'static str, text: impl Into<String>) -> Self {
        Self { exit, outcome, applied: Vec::new(), pending: Vec::new(), next_deploy: Vec::new(), backup: None, error: None, text: text.into() }
    }

    fn refused(text: impl Into<String>) -> Self {
        let text = text.into();
        let error = json!({ "message": text });
        Self { error: Some(error), ..Self::new(Exit::Refused, "refused", text) }
    }

    /// The document of `migrate --json`.
    pub fn json(&self) -> String {
        let mut document = json!({
            "outcome": self.outcome,
            "applied": self.applied,
            "pending": self.pending,
            "ships_with_next_deploy": self.next_deploy,
            "backup": self.backup,
        });
        if let (Some(error), Some(object)) = (&self.error, document.as_object_mut()) {
            object.insert("error".to_owned(), error.clone());
        }
        format!("{document:#}")
    }

    /// The text for people.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.text);
        for name in &self.applied {
            let _infallible = writeln!(text, "  applied  {name}");
        }
        for name in &self.pending {
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

/// Does what was asked.
pub fn run(session: &Session<'_>, files: &[MigrationFile], action: Action) -> Report {
    let Some(token) = session.admin_token else {
        return Report::refused(format!("{} is not set: the service's database can only be reached through its admin endpoints", CredentialName::TandemAdminToken.variable()));
    };
    let service = Service::new(session.world, &session.target.service_url);
    let state = match service.admin_state(token) {
        Ok(state) => state,
        Err(error) => return Report::refused(unreachable(&error)),
    };
    let known: BTreeSet<&str> = state.history.iter().map(|row| row.filename.as_str()).chain(state.pending.iter().map(String::as_str)).collect();
    let next_deploy = files.iter().map(|file| file.name.clone()).filter(|name| !known.contains(name.as_str())).collect();
    let report = match action {
        Action::Apply if state.pending.is_empty() => Report::new(Exit::Done, "up_to_date", format!("{} is up to date: {} applied", session.target.name, state.history.len())),
        Action::Apply => match rehearse(files, Some(&state)) {
            Ok(_) => apply(session, &service, &state, token),
            Err(error) => Report { error: Some(json!({ "message": format!("{error:#}") })), ..Report::new(Exit::FailedUnchanged, "failed", format!("the rehearsal failed, nothing was applied: {error:#}")) },
        },
        Action::Status => status(&state),
        Action::Rehearse => match rehearse(files, Some(&state)) {
            Ok(rehearsal) => Report { pending: rehearsal.applied, ..Report::new(Exit::Done, if state.pending.is_empty() { "up_to_date" } else { "pending" }, rehearsal.summary) },
            Err(error) => Report { error: Some(json!({ "message": format!("{error:#}") })), ..Report::new(Exit::FailedUnchanged, "failed", format!("{error:#}")) },
        },
        Action::Lint => lint(files, &state),
    };
    Report { next_deploy, ..report }
}

fn unreachable(error: &ApiError) -> String {
    match error {
        ApiError::NotFound(_) => format!("{error}: the service has no admin endpoints (hint: set {} in its environment, at least 32 bytes)", CredentialName::TandemAdminToken.variable()),
        _ => format!("the state of the live database could not be read: {error}"),
    }
}

fn status(state: &AdminState) -> Report {
    let applied = state.history.iter().map(|row| row.filename.clone()).collect();
    let outcome = if state.pending.is_empty() { "up_to_date" } else { "pending" };
    let text = format!("{} applied, {} pending in the running service", state.history.len(), state.pending.len());
    Report { applied, pending: state.pending.clone(), ..Report::new(Exit::Done, outcome, text) }
}

fn lint(files: &[MigrationFile], state: &AdminState) -> Report {
    let applied: BTreeSet<&str> = state.history.iter().map(|row| row.filename.as_str()).collect();
    match Migrator::new("lint-needs-no-database", files.to_vec()).lint() {
        Ok(lint) => {
            let mut text = String::new();
            for file in lint.files.iter().filter(|file| !applied.contains(file.name.as_str())) {
                let verdict = if file.compatible { "safe for the live version" } else { "breaks the live version" };
                let _infallible = writeln!(text, "{}: {verdict}", file.name);
            }
            Report::new(Exit::Done, "pending", if text.is_empty() { "no file is pending".to_owned() } else { text.trim_end().to_owned() })
        }
        Err(error) => Report::refused(error.to_string()),
    }
}

fn apply(session: &Session<'_>, service: &Service<'_>, before: &AdminState, token: &crate::redact::Secret) -> Report {
    let done = service.admin_migrate(token);
    // The answer may be lost while the work is done: what counts is what can be read back.
    let after = match service.admin_state(token) {
        Ok(after) => after,
        Err(error) => return Report { exit: Exit::Unknown, ..Report::refused(format!("what became of the migrations could not be read back: {error}")) },
    };
    let old: BTreeSet<&str> = before.history.iter().map(|row| row.filename.as_str()).collect();
    let applied: Vec<String> = after.history.iter().map(|row| row.filename.clone()).filter(|name| !old.contains(name.as_str())).collect();
    let pending = after.pending.clone();
    let backup = done.as_ref().ok().and_then(|done| done.backup.clone());
    if pending.is_empty() {
        return Report { applied, backup, ..Report::new(Exit::Done, "applied", format!("{} is migrated and read back", session.target.name)) };
    }
    let (exit, outcome, message) = match &done {
        Ok(Migrated { outcome, error, .. }) if outcome == "refused" => (Exit::Refused, "refused", error.as_ref().map(|error| error.message.clone())),
        Ok(Migrated { error, .. }) => (Exit::FailedUnchanged, "failed", error.as_ref().map(|error| error.message.clone())),
        Err(error) => (Exit::FailedUnchanged, "failed", Some(error.to_string())),
    };
    let message = message.unwrap_or_else(|| "the service gives no reason".to_owned());
    Report { applied, pending, backup, error: Some(json!({ "message": message })), ..Report::new(exit, outcome, message) }
}
