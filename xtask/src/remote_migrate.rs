//! Migrations where only the running service can reach the database: read its state, rehearse here, have it apply what it carries.

mod apply;
mod report;
mod settle;

pub use report::Report;

use crate::credentials::CredentialName;
use crate::exit::Exit;
use crate::facts;
use crate::http::ApiError;
use crate::job::LaneError;
use crate::lane::live_copy::LiveCopy;
use crate::rehearsal::{Base, rehearse};
use crate::run::Session;
use crate::service::{AdminState, MigrateError, Service};
use apply::Database;
use migrate::{MigrationFile, Migrator};
use report::message;
use std::collections::BTreeSet;

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

/// Does what was asked.
pub fn run(session: &Session<'_>, files: &[MigrationFile], action: Action) -> Report {
    let Some(token) = session.admin_token else {
        return Report::refused(format!(
            "{} is not set: the service's database can only be reached through its admin endpoints",
            CredentialName::TandemAdminToken.variable()
        ));
    };
    let contract = session.config.backend.contract();
    let service = Service::new(session.world, &session.target.service_url, &contract);
    let live = Database {
        session,
        service,
        token,
    };
    let state = match live.state() {
        Ok(state) => state,
        Err(report) => return *report,
    };
    let known = known(&state);
    let next_deploy = files
        .iter()
        .map(|file| file.name.clone())
        .filter(|name| !known.contains(name.as_str()))
        .collect();
    let checked = facts::compare_checksums(files, &state);
    let report = match (action, checked) {
        (Action::Status, checked) => status(&state, checked.err()),
        (_, Err(error)) => Report::refused(error.to_string()),
        (Action::Apply, Ok(())) if state.pending.is_empty() => live.up_to_date(&state),
        (Action::Apply, Ok(())) => live.apply(files, &state),
        (Action::Rehearse, Ok(())) => live
            .live_copy(&|| Ok(()))
            .and_then(|copy| rehearsed(files, &state, copy.as_ref()))
            .unwrap_or_else(|report| *report),
        (Action::Lint, Ok(())) => lint(files, &state),
    };
    Report {
        next_deploy,
        ..report
    }
}

/// The files that the database has or the running service carries.
fn known(state: &AdminState) -> BTreeSet<&str> {
    state
        .history
        .iter()
        .map(|row| row.filename.as_str())
        .chain(state.pending.iter().map(String::as_str))
        .collect()
}

fn unreachable(error: &ApiError) -> Report {
    let text = match error {
        ApiError::NotFound(_) => format!(
            "{error}: the service has no admin endpoints (hint: set {} in its environment, at least 32 bytes)",
            CredentialName::TandemAdminToken.variable()
        ),
        _ => format!("the state of the live database could not be read: {error}"),
    };
    if needs_a_person(&text) {
        Report::failed(Exit::Database, message(&text), text)
    } else {
        Report::refused(text)
    }
}

/// Whether a message says that the database is damaged or half changed: the words of SQLite for `SQLITE_CORRUPT` and
/// `SQLITE_NOTADB`, and those of the migration engine, because the service sends no code.
fn needs_a_person(message: &str) -> bool {
    [
        "database disk image is malformed",
        "file is not a database",
        "the database is damaged",
        "stopped half way",
        "a power cut may undo them",
    ]
    .iter()
    .any(|words| message.contains(words))
}

fn status(state: &AdminState, mismatch: Option<LaneError>) -> Report {
    let applied = state
        .history
        .iter()
        .map(|row| row.filename.clone())
        .collect();
    let report = match mismatch {
        Some(error) => Report::refused(error.to_string()),
        None => {
            let outcome = if state.pending.is_empty() {
                "up_to_date"
            } else {
                "pending"
            };
            Report::new(
                Exit::Done,
                outcome,
                format!(
                    "{} applied, {} pending in the running service",
                    state.history.len(),
                    state.pending.len()
                ),
            )
        }
    };
    Report {
        applied,
        pending: state.pending.clone(),
        ..report
    }
}

fn lint(files: &[MigrationFile], state: &AdminState) -> Report {
    let applied: BTreeSet<&str> = state
        .history
        .iter()
        .map(|row| row.filename.as_str())
        .collect();
    let lint = match Migrator::new("lint-needs-no-database", files.to_vec()).lint() {
        Ok(lint) => lint,
        Err(error) => return engine_error(&error, ""),
    };
    let mut pending = Vec::new();
    let mut lines = Vec::new();
    for file in lint
        .files
        .into_iter()
        .filter(|file| !applied.contains(file.name.as_str()))
    {
        lines.push(format!(
            "{}: {}",
            file.name,
            if file.compatible {
                "safe for the live version"
            } else {
                "breaks the live version"
            }
        ));
        pending.push(file.name);
    }
    let (outcome, text) = if pending.is_empty() {
        ("up_to_date", "no file is pending".to_owned())
    } else {
        ("pending", lines.join("\n"))
    };
    // The verdicts name the files already.
    Report {
        pending,
        listed: false,
        ..Report::new(Exit::Done, outcome, text)
    }
}

/// Runs what the live database lacks on a copy of it, or of its schema.
fn rehearsed(
    files: &[MigrationFile],
    state: &AdminState,
    copy: Option<&LiveCopy>,
) -> Result<Report, Box<Report>> {
    let database = copy.map(LiveCopy::database);
    let base = match &database {
        Some(database) => Base::Data {
            database,
            live: Some(state),
        },
        None => Base::Schema(state),
    };
    match rehearse(files, &base) {
        Ok(rehearsal) => {
            let outcome = if rehearsal.applied.is_empty() {
                "up_to_date"
            } else {
                "pending"
            };
            Ok(Report {
                pending: rehearsal.applied,
                ..Report::new(Exit::Done, outcome, rehearsal.summary)
            })
        }
        Err(error) => match error.downcast_ref::<migrate::Error>() {
            Some(error) => Err(Box::new(engine_error(
                error,
                "the rehearsal failed, nothing was applied: ",
            ))),
            None => Err(Box::new(Report::refused(format!(
                "the rehearsal could not be made, nothing was applied: {error:#}"
            )))),
        },
    }
}

/// The engine worked on a copy: whatever it says, the live database is as it was.
fn engine_error(error: &migrate::Error, lead: &str) -> Report {
    let place = error.location();
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let found = MigrateError {
        file: error.file().map(str::to_owned),
        line: place.map(|place| number(place.line)),
        column: place.map(|place| number(place.column)),
        statement: error.statement().map(str::to_owned),
        message: error.message(),
    };
    let text = format!("{lead}{error}");
    if error.exit_code() == Exit::Refused.code() {
        Report {
            error: Some(found),
            ..Report::refused(text)
        }
    } else {
        Report::failed(Exit::FailedUnchanged, found, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A database with the first file applied and `pending` in the running service.
    pub(super) fn state(pending: &[&str]) -> AdminState {
        let first = MigrationFile::new("1.sql", FIRST);
        let definition = json!({ "type": "table", "name": "item", "table": "item", "sql": "CREATE TABLE item (id INTEGER PRIMARY KEY) STRICT" });
        serde_json::from_value(json!({
            "commit": "c",
            "schema": { "generation": 1, "definitions": [definition] },
            "history": [{ "filename": "1.sql", "checksum": first.checksum(), "compatible": true }],
            "pending": pending,
        }))
        .unwrap()
    }

    const FIRST: &str = "CREATE TABLE item (id INTEGER PRIMARY KEY) STRICT;";

    fn ending(files: &[(&str, &str)]) -> (u8, &'static str, Option<MigrateError>) {
        let files: Vec<MigrationFile> = files
            .iter()
            .map(|(name, text)| MigrationFile::new(*name, *text))
            .collect();
        let report = rehearsed(&files, &state(&["2.sql"]), None).unwrap_or_else(|report| *report);
        (report.exit.code(), report.outcome, report.error)
    }

    #[test]
    fn a_rehearsal_tells_a_refusal_from_a_failure() {
        let (code, outcome, error) = ending(&[
            ("1.sql", FIRST),
            ("2.sql", "CREATE TABLE more (id INTEGER) STRICT;"),
        ]);
        assert_eq!((code, outcome, error), (0, "pending", None));
        let (code, outcome, error) = ending(&[
            ("1.sql", "CREATE TABLE item (id TEXT) STRICT;"),
            ("2.sql", "SELECT 1;"),
        ]);
        assert_eq!(
            (code, outcome, error.unwrap().file.as_deref()),
            (3, "refused", Some("1.sql"))
        );
        let (code, outcome, error) = ending(&[
            ("1.sql", FIRST),
            (
                "2.sql",
                "CREATE TABLE more (a);\nINSERT INTO nowhere VALUES (1);",
            ),
        ]);
        let error = error.unwrap();
        assert_eq!(
            (code, outcome, error.file.as_deref(), error.line),
            (4, "failed", Some("2.sql"), Some(2))
        );
        assert!(
            error
                .statement
                .is_some_and(|statement| statement.contains("nowhere"))
        );
    }

    #[test]
    fn lint_of_nothing_new_is_up_to_date() {
        let files = [
            MigrationFile::new("1.sql", FIRST),
            MigrationFile::new("2.sql", "ALTER TABLE item RENAME TO gone;"),
        ];
        assert_eq!(lint(&files[..1], &state(&[])).outcome, "up_to_date");
        let report = lint(&files, &state(&[]));
        assert_eq!(
            (report.outcome, report.text().as_str()),
            ("pending", "2.sql: breaks the live version\n")
        );
    }
}
