//! The migrations this binary carries, and what it does with them. A database is never changed
//! by anything else.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use migrate::{Error, Event, HistoryRow, MigrationFile, Migrator, Phase, Report};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{commit::Commit, log};

/// File names and contents of `migrations/*.sql`, in the order of their names; written by the
/// build script.
const EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));
const HISTORY_TABLE: &str = "migrations";

/// A migrator over the embedded files. It accepts a database that a newer release has migrated
/// if that release said that this one may still run: after a rollback it has to.
pub(crate) fn migrator(database: &Path, commit: &Commit) -> Migrator {
    let files = EMBEDDED
        .iter()
        .map(|(name, text)| MigrationFile::new(*name, *text))
        .collect();
    Migrator::new(database, files)
        .history_table(HISTORY_TABLE)
        .allow_newer(true)
        .git_commit(Some(commit.to_string()))
        .on_event(log_event)
}

/// Applies what is pending before the service listens, with one line in the log per file.
///
/// # Errors
/// Nothing was applied: the message says why and what to do.
pub(crate) fn apply_at_start(database: &Path, commit: &Commit) -> Result<()> {
    let migrator = migrator(database, commit);
    let report = migrator
        .apply()
        .map_err(|error| explained(&error))
        .context("migrate the database")?;
    log_report(&report);
    let status = migrator
        .status()
        .map_err(|error| explained(&error))
        .context("read the migration history")?;
    if !status.newer.is_empty() {
        log::info(format_args!(
            "migrations: the database is newer than this release, which may run on it: {}",
            status.newer.join(", ")
        ));
    }
    Ok(())
}

fn log_report(report: &Report) {
    for file in &report.applied {
        log::info(format_args!(
            "migrations: applied {} ({} statements, {} ms)",
            file.name, file.statements, file.duration_ms
        ));
    }
    for note in &report.notes {
        log::info(format_args!("migrations: {note}"));
    }
    if report.applied.is_empty() {
        log::info("migrations: up to date");
    }
}

fn log_event(event: Event) {
    match event {
        Event::WaitingForLock { timeout_ms } => {
            log::info(format_args!(
                "migrations: waiting up to {timeout_ms} ms for another process"
            ));
        }
        Event::BackedUp {
            path,
            bytes,
            duration_ms,
        } => {
            let path = path.display();
            log::info(format_args!(
                "migrations: backup {path} ({bytes} bytes, {duration_ms} ms)"
            ));
        }
        Event::Ran {
            phase: Phase::Rehearsal,
            file,
            duration_ms,
            ..
        } => {
            log::info(format_args!(
                "migrations: rehearsed {file} on a copy ({duration_ms} ms)"
            ));
        }
        Event::Note { text } => log::info(format_args!("migrations: {text}")),
        event => {
            if let Some(fate) = event.fate() {
                log::info(format_args!("migrations: {fate}"));
            }
        }
    }
}

/// Where the schema stands: what a release is compared by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Generation {
    /// How many migrations are applied.
    generation: usize,
    /// The one applied last.
    latest: Option<String>,
}

/// Reads how far the database is migrated.
///
/// # Errors
/// The history cannot be read.
pub(crate) fn generation(connection: &Connection) -> Result<Generation> {
    let mut history = history(connection)?;
    Ok(Generation {
        generation: history.len(),
        latest: history.pop().map(|row| row.filename),
    })
}

/// Reads what was applied, in order.
///
/// # Errors
/// The history cannot be read.
pub(crate) fn history(connection: &Connection) -> Result<Vec<HistoryRow>> {
    let rows =
        migrate::read_history(connection, HISTORY_TABLE).map_err(|error| explained(&error))?;
    Ok(rows
        .into_iter()
        .filter(|row| row.kind != migrate::Kind::Unfinished)
        .collect())
}

/// A call's outcome in the form of `migrate --json`.
pub(crate) struct Outcome {
    /// `applied`, `up_to_date`, `refused` or `failed`.
    pub(crate) name: &'static str,
    pub(crate) body: Value,
}

/// Applies what is pending while the service runs, and says what came of it.
pub(crate) fn apply_now(database: &Path, commit: &Commit) -> Outcome {
    let migrator = migrator(database, commit);
    let result = migrator.apply();
    let pending = migrator
        .status()
        .map(|status| status.pending)
        .unwrap_or_default();
    match result {
        Ok(report) => {
            log_report(&report);
            let applied: Vec<_> = report.applied.iter().map(|file| &file.name).collect();
            let name = if applied.is_empty() {
                "up_to_date"
            } else {
                "applied"
            };
            let body = json!({"outcome": name, "applied": applied, "pending": pending, "backup": report.backup});
            Outcome { name, body }
        }
        Err(error) => {
            log::warn(format_args!("migrations: {}", explained(&error)));
            let name = if error.exit_code() == REFUSED {
                "refused"
            } else {
                "failed"
            };
            let body = json!({
                "outcome": name, "applied": [], "pending": pending, "backup": null, "error": describe(&error),
            });
            Outcome { name, body }
        }
    }
}

/// The engine's exit code for "nothing was changed, and here is why".
const REFUSED: u8 = 3;

fn describe(error: &Error) -> Value {
    let at = error.location();
    json!({
        "file": error.file(),
        "line": at.map(|at| at.line),
        "column": at.map(|at| at.column),
        "statement": error.statement(),
        "message": error.message(),
    })
}

/// The engine's error on one line: where, what, and what to do about it.
fn explained(error: &Error) -> anyhow::Error {
    let place = error.location().map_or_else(String::new, |at| {
        format!("{}:{}:{}: ", at.file, at.line, at.column)
    });
    let hint = Some(error.hint()).filter(|hint| !hint.is_empty());
    let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
    anyhow!("{place}{}{hint}", error.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_files_are_all_there_in_order() {
        let on_disk =
            fs_err::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations")).unwrap();
        let mut names: Vec<_> = on_disk
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".sql"))
            .collect();
        names.sort();
        let embedded: Vec<_> = EMBEDDED.iter().map(|(name, _)| *name).collect();
        assert_eq!(embedded, names);
    }
}
