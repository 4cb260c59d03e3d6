//! Counts rows per table: how a rehearsal notices that a table lost some.

use crate::error::{Doing as _, Error};
use crate::history::quote;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Rows per ordinary table, without SQLite's own and without the history.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Counts the rows of every ordinary table. Reads each table once.
pub(crate) fn count(connection: &Connection, history_table: &str) -> Result<Counts, Error> {
    count_each(connection, tables(connection, history_table)?)
}

/// Counts those of these tables that there are. Thousands of small files would list thousands of tables thousands of times, so
/// each is asked for by its name, in which SQLite tells no case of ASCII letters apart.
pub(crate) fn count_named<'a>(
    connection: &Connection,
    history_table: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<Counts, Error> {
    let mut found = Vec::new();
    for name in names.filter(|name| !name.eq_ignore_ascii_case(history_table)) {
        let doing = || format!("look for the table {name}");
        let sql = "SELECT name, type FROM pragma_table_list(?1) WHERE schema = 'main'";
        let mut statement = connection.prepare_cached(sql).doing(doing)?;
        let rows = statement
            .query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))
            .doing(doing)?;
        for row in rows {
            found.push(row.doing(doing)?);
        }
    }
    count_each(connection, found)
}

fn count_each(connection: &Connection, tables: Vec<(String, String)>) -> Result<Counts, Error> {
    let ordinary = tables.into_iter().filter(|(_, kind)| kind == "table");
    let counted = ordinary.map(|(name, _)| {
        let sql = format!("SELECT count(*) FROM main.{}", quote(&name));
        let rows: i64 = connection
            .query_row(&sql, [], |row| row.get(0))
            .doing(|| format!("count the rows of {name}"))?;
        Ok((name, u64::try_from(rows).unwrap_or(0)))
    });
    counted.collect()
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
