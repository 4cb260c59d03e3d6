//! The history table: what was applied, when, and with which text.
//!
//! It is the table `migrations(id, filename, executed_at)` of earlier hand-written runners with more columns, so that
//! a database they have been writing is adopted where it stands and they could still read it.

use crate::error::{Doing as _, Error};
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::{Deserialize, Serialize};

/// How a row came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The file ran here.
    Apply,
    /// Declared to be in the database already.
    Baseline,
    /// A file outside a transaction has begun and not ended.
    Unfinished,
    /// The file is gone for good and no longer looked for.
    Retired,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Baseline => "baseline",
            Self::Unfinished => "unfinished",
            Self::Retired => "retired",
        }
    }

    fn parse(text: Option<&str>) -> Self {
        match text {
            Some("baseline") => Self::Baseline,
            Some("unfinished") => Self::Unfinished,
            Some("retired") => Self::Retired,
            _ => Self::Apply,
        }
    }
}

/// One applied file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Order of application.
    pub id: i64,
    /// The file's key.
    pub filename: String,
    /// UTC, as SQLite's CURRENT_TIMESTAMP writes it.
    pub executed_at: Option<String>,
    /// SHA-256 of the normalised text; absent for rows of an earlier runner.
    pub checksum: Option<String>,
    /// SHA-256 of the bytes.
    pub raw_checksum: Option<String>,
    /// May the release before this file run on the schema after it? False where nobody knows.
    pub compatible: bool,
    /// How long the statements ran.
    pub duration_ms: Option<i64>,
    /// How many statements ran.
    pub statements: Option<i64>,
    /// The library that ran them.
    pub sqlite_version: Option<String>,
    /// This crate's version.
    pub tool_version: Option<String>,
    /// The commit the files came from.
    pub git_commit: Option<String>,
    /// How the row came to be.
    pub kind: Kind,
}

/// A row to be written; the rest of [`HistoryRow`] is filled in here.
pub(crate) struct NewRow<'a> {
    pub(crate) filename: &'a str,
    pub(crate) checksum: &'a str,
    pub(crate) raw_checksum: &'a str,
    pub(crate) compatible: bool,
    pub(crate) duration_ms: u64,
    pub(crate) statements: usize,
    pub(crate) git_commit: Option<&'a str>,
    pub(crate) kind: Kind,
    /// Is there a row of this file already, of one that had begun?
    pub(crate) replaces: bool,
}

/// Columns that the three-column table lacks, in the order in which they are added.
const ADDED: [(&str, &str); 9] = [
    ("checksum", "TEXT"),
    ("raw_checksum", "TEXT"),
    ("compatible", "INTEGER"),
    ("duration_ms", "INTEGER"),
    ("statements", "INTEGER"),
    ("sqlite_version", "TEXT"),
    ("tool_version", "TEXT"),
    ("git_commit", "TEXT"),
    ("kind", "TEXT"),
];

/// Reads the history in order of application; empty when there is no such table yet.
///
/// # Errors
/// [`Error::Refused`] when a table of that name is not a history, [`Error::Database`] when it cannot be read.
pub fn read_history(connection: &Connection, table: &str) -> Result<Vec<HistoryRow>, Error> {
    if table.is_empty() || table.to_lowercase().starts_with("sqlite_") || table.contains('\0') {
        return Err(Error::Refused {
            message: format!("{table:?} cannot be the name of the history table"),
            hint: "name it with --history-table; names that begin with sqlite_ are SQLite's own"
                .to_owned(),
        });
    }
    let columns = columns(connection, table)?;
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    if !columns.iter().any(|column| column == "id")
        || !columns.iter().any(|column| column == "filename")
    {
        return Err(Error::Refused {
            message: format!(
                "the table {table} has the columns {}, so it is not a history of migrations",
                columns.join(", ")
            ),
            hint: "name another table with --history-table".to_owned(),
        });
    }
    let select = |name: &str| {
        if columns.iter().any(|column| column == name) {
            quote(name)
        } else {
            "NULL".to_owned()
        }
    };
    let wanted: Vec<String> = ["executed_at"]
        .into_iter()
        .chain(ADDED.iter().map(|(name, _)| *name))
        .map(select)
        .collect();
    let sql = format!(
        "SELECT id, filename, {} FROM main.{} ORDER BY id",
        wanted.join(", "),
        quote(table)
    );
    let doing = || format!("read the history table {table}");
    let mut statement = connection.prepare(&sql).doing(doing)?;
    let rows = statement.query_map([], row).doing(doing)?;
    rows.collect::<rusqlite::Result<_>>().doing(doing)
}

fn row(row: &Row<'_>) -> rusqlite::Result<HistoryRow> {
    Ok(HistoryRow {
        id: row.get(0)?,
        filename: row.get(1)?,
        executed_at: row.get::<_, Option<rusqlite::types::Value>>(2)?.and_then(
            |value| match value {
                rusqlite::types::Value::Text(text) => Some(text),
                rusqlite::types::Value::Integer(seconds) => Some(seconds.to_string()),
                _ => None,
            },
        ),
        checksum: row.get(3)?,
        raw_checksum: row.get(4)?,
        compatible: row.get::<_, Option<bool>>(5)?.unwrap_or(false),
        duration_ms: row.get(6)?,
        statements: row.get(7)?,
        sqlite_version: row.get(8)?,
        tool_version: row.get(9)?,
        git_commit: row.get(10)?,
        kind: Kind::parse(row.get::<_, Option<String>>(11)?.as_deref()),
    })
}

/// Creates the table, or adds the columns it lacks. Call inside the write transaction.
pub(crate) fn ensure(connection: &Connection, table: &str) -> Result<(), Error> {
    let present = columns(connection, table)?;
    let doing = || format!("prepare the history table {table}");
    if present.is_empty() {
        let added: Vec<String> = ADDED
            .iter()
            .map(|(name, kind)| format!("{name} {kind}"))
            .collect();
        let sql = format!(
            "CREATE TABLE main.{} (id INTEGER PRIMARY KEY, filename TEXT NOT NULL UNIQUE, executed_at DATETIME DEFAULT CURRENT_TIMESTAMP, {})",
            quote(table),
            added.join(", ")
        );
        return connection.execute(&sql, []).map(drop).doing(doing);
    }
    for (name, kind) in ADDED {
        if !present.iter().any(|column| column == name) {
            connection
                .execute(
                    &format!("ALTER TABLE main.{} ADD COLUMN {name} {kind}", quote(table)),
                    [],
                )
                .doing(doing)?;
        }
    }
    Ok(())
}

/// Writes a row. The caller knows whether it is there; ON CONFLICT would need a unique index, which tables of earlier
/// runners may lack.
pub(crate) fn record(connection: &Connection, table: &str, row: &NewRow<'_>) -> Result<(), Error> {
    let table = quote(table);
    let sql = if row.replaces {
        format!(
            "UPDATE main.{table} SET checksum = ?2, raw_checksum = ?3, compatible = ?4, duration_ms = ?5, statements = ?6,
                 sqlite_version = ?7, tool_version = ?8, git_commit = ?9, kind = ?10 WHERE filename = ?1"
        )
    } else {
        format!(
            "INSERT INTO main.{table} (filename, checksum, raw_checksum, compatible, duration_ms, statements, sqlite_version, tool_version, git_commit, kind)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        )
    };
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let write = || {
        connection.prepare_cached(&sql)?.execute(rusqlite::params![
            row.filename,
            row.checksum,
            row.raw_checksum,
            row.compatible,
            number(row.duration_ms),
            number(row.statements as u64),
            rusqlite::version(),
            env!("CARGO_PKG_VERSION"),
            row.git_commit,
            row.kind.text(),
        ])
    };
    write()
        .map(drop)
        .doing(|| format!("record {} in the history", row.filename))
}

/// Is one of these files recorded?
pub(crate) fn contains_any(
    connection: &Connection,
    table: &str,
    filenames: &[&str],
) -> Result<bool, Error> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM main.{} WHERE filename = ?1)",
        quote(table)
    );
    let doing = || format!("look into the history table {table}");
    let mut statement = connection.prepare_cached(&sql).doing(doing)?;
    for filename in filenames {
        if statement
            .query_row([filename], |row| row.get(0))
            .doing(doing)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes one row.
pub(crate) fn forget(connection: &Connection, table: &str, id: i64) -> Result<(), Error> {
    connection
        .execute(
            &format!("DELETE FROM main.{} WHERE id = ?1", quote(table)),
            [id],
        )
        .map(drop)
        .doing(|| format!("remove row {id} from the history table {table}"))
}

/// Sets text and kind of a row that exists.
pub(crate) fn amend(
    connection: &Connection,
    table: &str,
    id: i64,
    hashes: Option<(&str, &str)>,
    kind: Kind,
) -> Result<(), Error> {
    let sql = format!(
        "UPDATE main.{} SET checksum = coalesce(?2, checksum), raw_checksum = coalesce(?3, raw_checksum), kind = ?4 WHERE id = ?1",
        quote(table)
    );
    let (checksum, raw) = hashes.unzip();
    connection
        .execute(&sql, rusqlite::params![id, checksum, raw, kind.text()])
        .map(drop)
        .doing(|| format!("amend row {id} of the history table {table}"))
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<String>, Error> {
    let doing = || format!("look for the history table {table}");
    let found: Option<String> =
        connection.query_row("SELECT type FROM main.sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')", [table], |row| row.get(0)).optional().doing(doing)?;
    if found.is_none() {
        return Ok(Vec::new());
    }
    let mut statement = connection
        .prepare_cached("SELECT name FROM pragma_table_info(?1, 'main')")
        .doing(doing)?;
    let rows = statement
        .query_map([table], |row| row.get(0))
        .doing(doing)?;
    rows.collect::<rusqlite::Result<_>>().doing(doing)
}

/// An identifier in double quotes.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
