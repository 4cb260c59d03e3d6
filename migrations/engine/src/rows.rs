//! Counts rows per table: how a rehearsal notices that a table lost some.

use crate::error::{Doing as _, Error};
use crate::history::quote;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Rows per ordinary table, without SQLite's own and without the history.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Counts the rows of every ordinary table. Reads each table once.
pub(crate) fn count(connection: &Connection, history_table: &str) -> Result<Counts, Error> {
    recount(connection, history_table, |_| None)
}

/// Counts those of which nobody knows the number.
pub(crate) fn recount(
    connection: &Connection,
    history_table: &str,
    known: impl Fn(&str) -> Option<u64>,
) -> Result<Counts, Error> {
    let mut counts = Counts::new();
    for (name, kind) in tables(connection, history_table)? {
        if kind != "table" {
            continue;
        }
        let rows = match known(&name) {
            Some(rows) => rows,
            None => {
                let sql = format!("SELECT count(*) FROM main.{}", quote(&name));
                let rows: i64 = connection
                    .query_row(&sql, [], |row| row.get(0))
                    .doing(|| format!("count the rows of {name}"))?;
                u64::try_from(rows).unwrap_or(0)
            }
        };
        counts.insert(name, rows);
    }
    Ok(counts)
}

/// Is there any row that is neither SQLite's nor the history's? Without one there is nothing to back up.
pub(crate) fn any(connection: &Connection, history_table: &str) -> Result<bool, Error> {
    for (name, kind) in tables(connection, history_table)? {
        if kind != "table" && kind != "virtual" {
            continue;
        }
        let found = connection.query_row(
            &format!("SELECT EXISTS (SELECT 1 FROM main.{})", quote(&name)),
            [],
            |row| row.get::<_, bool>(0),
        );
        // A virtual table whose module is missing here cannot be asked; it may hold rows.
        match found {
            Ok(false) => {}
            Err(_) if kind == "virtual" => return Ok(true),
            other => {
                if other.doing(|| format!("look into {name}"))? {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Name and kind (`table`, `virtual`, `shadow`) of every table.
pub(crate) fn tables(
    connection: &Connection,
    history_table: &str,
) -> Result<Vec<(String, String)>, Error> {
    let doing = || "list the tables".to_owned();
    let sql = "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type <> 'view' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> ?1 COLLATE NOCASE ORDER BY name";
    let mut statement = connection.prepare_cached(sql).doing(doing)?;
    let rows = statement
        .query_map([history_table], |row| Ok((row.get(0)?, row.get(1)?)))
        .doing(doing)?;
    rows.collect::<rusqlite::Result<_>>().doing(doing)
}
