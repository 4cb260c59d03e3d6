//! The rehearsal of pending migrations before anything is triggered: on a copy of the live data where the project can fetch
//! one, else on the live schema in an empty database.

use crate::inputs::Rehearsal;
use crate::service::AdminState;
use anyhow::{Context as _, Result, bail};
use migrate::{MigrationFile, Migrator};
use std::path::Path;

/// What the files are applied to.
#[derive(Clone, Copy, Debug)]
pub enum Base<'a> {
    /// Nothing: there is no live service yet, or its schema could not be read.
    Empty,
    /// The live schema, without rows.
    Schema(&'a AdminState),
    /// A database file with the live data, as far as the copy was up to date.
    Data {
        /// The file; it is left as it is.
        database: &'a Path,
        /// What is live, if that could be read.
        live: Option<&'a AdminState>,
    },
}

impl Base<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Empty => "an empty database",
            Self::Schema(_) => "a copy of the live schema",
            Self::Data { .. } => "a copy of the live data",
        }
    }
}

/// Applies what the base lacks to a copy of it.
///
/// # Errors
/// When a file fails, with its place; when the base is not the service's database.
pub fn rehearse(files: &[MigrationFile], base: &Base<'_>) -> Result<Rehearsal> {
    let folder = tempfile::tempdir().context("make a folder for the rehearsal")?;
    let migrator = |database: &Path| Migrator::new(database, files.to_vec());
    let empty = folder.path().join("rehearsal.db");
    let mut remark = String::new();
    let report = match base {
        Base::Empty => migrator(&empty).rehearse()?,
        Base::Schema(state) => migrator(&empty).rehearse_schema(&schema(state), &history(state))?,
        Base::Data { database, live } => {
            let migrator = migrator(database);
            let applied = migrator.status()?.applied.len();
            let live = live.map_or(applied, |state| state.history.len());
            if applied == 0 && live > 0 {
                bail!(
                    "the copy has no history of migrations, and the live database has {live} (hint: does `backend.rehearse.source` in deploy.toml fetch this service's database?)"
                );
            }
            if let Some(behind) = live.checked_sub(applied).filter(|behind| *behind > 0) {
                remark = format!(" (the copy is {behind} migration(s) behind what is live)");
            }
            let report = migrator.rehearse()?;
            let rows: u64 = report.rows.iter().filter_map(|change| change.before).sum();
            remark = format!(", {rows} rows{remark}");
            report
        }
    };
    let applied: Vec<String> = report.files.iter().map(|file| file.name.clone()).collect();
    let base = base.name();
    let summary = match applied.len() {
        0 => format!("nothing is pending on {base}{remark}"),
        count => format!(
            "{count} file(s) ran on {base}{remark} in {} ms",
            report.duration_ms
        ),
    };
    Ok(Rehearsal { applied, summary })
}

fn schema(state: &AdminState) -> migrate::Schema {
    let definitions = state.schema.definitions.iter().filter_map(|found| {
        Some(migrate::Definition {
            kind: found.kind.clone(),
            name: found.name.clone(),
            table: found.table.clone(),
            sql: found.sql.clone()?,
        })
    });
    migrate::Schema {
        definitions: definitions.collect(),
    }
}

/// The live history in the engine's terms.
fn history(state: &AdminState) -> Vec<migrate::HistoryRow> {
    let row = |(index, applied): (usize, &crate::service::Applied)| migrate::HistoryRow {
        id: i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1),
        filename: applied.filename.clone(),
        executed_at: applied.executed_at.clone(),
        checksum: applied.checksum.clone(),
        raw_checksum: None,
        compatible: applied.compatible.unwrap_or(false),
        duration_ms: None,
        statements: None,
        sqlite_version: None,
        tool_version: None,
        git_commit: None,
        kind: migrate::Kind::Apply,
    };
    state.history.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn files() -> Vec<MigrationFile> {
        let texts = [
            ("1.sql", "CREATE TABLE item (id INTEGER PRIMARY KEY);"),
            ("2.sql", "CREATE UNIQUE INDEX one ON item (id % 2);"),
        ];
        let file = |(name, text): (&str, &str)| MigrationFile::new(name, text);
        texts.into_iter().map(file).collect()
    }

    fn live(applied: usize) -> AdminState {
        let row = |file: &MigrationFile| json!({ "filename": file.name, "checksum": file.checksum(), "compatible": true });
        let history: Vec<_> = files().iter().take(applied).map(row).collect();
        serde_json::from_value(json!({ "commit": "c", "schema": { "generation": applied, "definitions": [] }, "history": history, "pending": [] })).unwrap()
    }

    #[test]
    fn data_brings_out_what_a_schema_cannot() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("copy.db");
        Migrator::new(&database, files()[..1].to_vec())
            .apply()
            .unwrap();
        let connection = rusqlite::Connection::open(&database).unwrap();
        connection
            .execute_batch("INSERT INTO item VALUES (1), (2)")
            .unwrap();
        let state = live(2);
        let base = Base::Data {
            database: &database,
            live: Some(&state),
        };
        let said = rehearse(&files(), &base).unwrap().summary;
        assert!(said.starts_with("1 file(s) ran on a copy of the live data, 2 rows (the copy is 1 migration(s) behind what is live) in "), "{said}");
        connection
            .execute_batch("INSERT INTO item VALUES (3)")
            .unwrap();
        let error = rehearse(&files(), &base).unwrap_err().to_string();
        assert!(
            error.contains("2.sql:1:21: UNIQUE constraint failed"),
            "{error}"
        );
        // Nothing of it reached the copy that was given.
        assert_eq!(
            migrate::read_history(&connection, "migrations")
                .unwrap()
                .len(),
            1
        );
        let schema = rehearse(&files(), &Base::Empty).unwrap().summary;
        assert!(
            schema.starts_with("2 file(s) ran on an empty database in "),
            "{schema}"
        );
    }

    #[test]
    fn another_services_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("copy.db");
        rusqlite::Connection::open(&database)
            .unwrap()
            .execute_batch("CREATE TABLE other (x)")
            .unwrap();
        let state = live(1);
        let base = Base::Data {
            database: &database,
            live: Some(&state),
        };
        let error = rehearse(&files(), &base).unwrap_err().to_string();
        assert!(
            error.starts_with("the copy has no history of migrations, and the live database has 1"),
            "{error}"
        );
    }
}
