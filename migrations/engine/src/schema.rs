//! The definitions in a database, as text: what a release publishes about itself, and what a rehearsal without the data
//! is built from.

use crate::error::{Doing as _, Error};
use crate::lexer;
use crate::shape;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One table, index, view or trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// `table`, `index`, `view` or `trigger`.
    pub kind: String,
    pub name: String,
    /// The table it belongs to; its own name for tables and views.
    pub table: String,
    /// The statement that makes it, without a final semicolon.
    pub sql: String,
}

/// All definitions, in an order in which they can be executed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    pub definitions: Vec<Definition>,
}

impl Schema {
    /// Reads them from a database, without those that SQLite makes by itself and without the history table.
    ///
    /// # Errors
    /// [`Error::Database`] when the schema cannot be read.
    pub fn read(connection: &Connection, history_table: &str) -> Result<Self, Error> {
        let doing = || "read the schema".to_owned();
        let sql = "SELECT type, name, tbl_name, sql FROM main.sqlite_schema
            WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND tbl_name <> ?1 COLLATE NOCASE
              AND name NOT IN (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow')
            ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid";
        let mut statement = connection.prepare_cached(sql).doing(doing)?;
        let rows = statement
            .query_map([history_table], |row| {
                Ok(Definition {
                    kind: row.get(0)?,
                    name: row.get(1)?,
                    table: row.get(2)?,
                    sql: row.get(3)?,
                })
            })
            .doing(doing)?;
        Ok(Self {
            definitions: rows.collect::<rusqlite::Result<_>>().doing(doing)?,
        })
    }

    /// As a script that makes an empty database of this schema.
    pub fn to_sql(&self) -> String {
        self.definitions
            .iter()
            .map(|definition| format!("{};\n", definition.sql))
            .collect()
    }

    /// Makes the definitions in an empty database.
    pub(crate) fn build(&self, connection: &Connection) -> Result<(), Error> {
        for definition in &self.definitions {
            // One at a time, and only one: the text came from elsewhere.
            connection
                .execute(&definition.sql, [])
                .doing(|| format!("rebuild the {} {}", definition.kind, definition.name))?;
        }
        Ok(())
    }

    /// For comparing: each definition as a key, with names unquoted and in lower case, without comments and layout; and as
    /// a line for people.
    pub(crate) fn normal(&self, without: &[&str]) -> BTreeMap<String, String> {
        let kept = self.definitions.iter().filter(|definition| {
            !without
                .iter()
                .any(|name| definition.table.eq_ignore_ascii_case(name))
        });
        kept.map(|definition| {
            let (kind, name) = (&definition.kind, &definition.name);
            let key = format!(
                "{kind} {}: {}",
                name.to_lowercase(),
                normal(&definition.sql)
            );
            let words: Vec<&str> = definition.sql.split_whitespace().collect();
            (key, words.join(" "))
        })
        .collect()
    }
}

fn normal(sql: &str) -> String {
    let Ok(statements) = lexer::statements(sql) else {
        return sql.to_owned();
    };
    let statements = statements.iter();
    statements
        .map(|statement| shape::normal(&statement.tokens))
        .collect::<Vec<_>>()
        .join(" ")
}
