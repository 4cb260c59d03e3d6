//! A table or view as others see it: its columns and its constraints, from SQLite's own lists where it has them and from
//! the text of the definition where it has none.

use crate::error::{Doing as _, Error};
use crate::lexer::{self, Token, TokenKind};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::{BTreeMap, BTreeSet};

/// See the module's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) view: bool,
    /// By lower-case name.
    pub(crate) columns: BTreeMap<String, Column>,
    /// UNIQUE and PRIMARY KEY constraints, each as its columns.
    pub(crate) uniques: BTreeSet<String>,
    pub(crate) foreign_keys: BTreeSet<String>,
    /// Columns of any index, and of any foreign key.
    pub(crate) indexed: BTreeSet<String>,
    /// What the definition says.
    pub(crate) text: Definition,
}

/// A column as far as a writer is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) not_null: bool,
    /// NOT NULL without a default: whoever inserts must name it.
    pub(crate) required: bool,
}

/// The text of CREATE TABLE, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Definition {
    /// By lower-case name.
    pub(crate) columns: BTreeMap<String, ColumnText>,
    /// CHECK constraints of the table and of its columns: the condition, with the constraint's name as written.
    pub(crate) checks: BTreeMap<String, Option<String>>,
    /// All other constraints of the table.
    pub(crate) constraints: BTreeSet<String>,
    /// What follows the closing parenthesis: STRICT, WITHOUT ROWID.
    pub(crate) options: BTreeSet<String>,
}

/// A column's part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnText {
    /// The name as written, quotes included.
    pub(crate) name: String,
    /// As written.
    pub(crate) text: String,
    /// Without NOT NULL and CHECK, normalised.
    pub(crate) rest: String,
    pub(crate) not_null: bool,
}

impl Shape {
    /// Reads one; none where there is no such table or view.
    pub(crate) fn read(connection: &Connection, table: &str) -> Result<Option<Self>, Error> {
        let doing = || format!("read the definition of {table}");
        let found: Option<(String, Option<String>)> = connection
            .prepare_cached(
                "SELECT type, sql FROM main.sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')",
            )
            .and_then(|mut statement| {
                statement
                    .query_row([table], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .doing(doing)?;
        let Some((kind, sql)) = found else {
            return Ok(None);
        };
        let view = kind == "view";
        let mut shape = Self {
            view,
            columns: columns(connection, table).doing(doing)?,
            ..Self::default()
        };
        if !view {
            shape.constraints(connection, table).doing(doing)?;
            shape.text = Definition::parse(sql.as_deref().unwrap_or_default());
        }
        Ok(Some(shape))
    }

    fn constraints(&mut self, connection: &Connection, table: &str) -> rusqlite::Result<()> {
        let sql = "SELECT list.origin, list.\"unique\", group_concat(lower(info.name), ', ') FROM pragma_index_list(?1) AS list, pragma_index_info(list.name) AS info
            GROUP BY list.seq ORDER BY list.seq";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([table])?;
        while let Some(row) = rows.next()? {
            let (origin, unique): (String, bool) = (row.get(0)?, row.get(1)?);
            // An index on expressions has no names.
            let names: String = row.get::<_, Option<String>>(2)?.unwrap_or_default();
            self.indexed.extend(names.split(", ").map(str::to_owned));
            if unique && origin != "c" {
                self.uniques.insert(names);
            }
        }
        let sql = "SELECT lower(\"from\"), lower(\"table\"), coalesce(lower(\"to\"), '') FROM pragma_foreign_key_list(?1)";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([table])?;
        while let Some(row) = rows.next()? {
            let (from, parent, to): (String, String, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            self.foreign_keys.insert(format!("{from} -> {parent} {to}"));
            self.indexed.insert(from);
        }
        Ok(())
    }
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<BTreeMap<String, Column>> {
    let sql = "SELECT lower(name), \"notnull\" AND pk = 0 AND hidden = 0, dflt_value IS NULL FROM pragma_table_xinfo(?1)";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([table], |row| {
        let (not_null, no_default): (bool, bool) = (row.get(1)?, row.get(2)?);
        let column = Column {
            not_null,
            required: not_null && no_default,
        };
        Ok((row.get(0)?, column))
    })?;
    rows.collect()
}

impl Definition {
    /// Takes the text of a CREATE TABLE apart; empty when it is none.
    fn parse(sql: &str) -> Self {
        let statements = lexer::statements(sql).unwrap_or_default();
        let tokens = statements
            .first()
            .map(|statement| statement.tokens.as_slice())
            .unwrap_or_default();
        let mut definition = Self::default();
        let Some(open) = tokens.iter().position(|token| token.text == "(") else {
            return definition;
        };
        let (parts, end) = split(tokens, open);
        for part in parts {
            definition.part(sql, part);
        }
        definition.options = tokens
            .get(end..)
            .unwrap_or_default()
            .split(|token| token.text == ",")
            .map(normal)
            .filter(|option| !option.is_empty())
            .collect();
        definition
    }

    fn part(&mut self, sql: &str, part: &[Token<'_>]) {
        let (Some(first), Some(last)) = (part.first(), part.last()) else {
            return;
        };
        let mut rest: Vec<Token<'_>> = Vec::new();
        let mut not_null = false;
        let mut at = 0;
        while let Some(token) = part.get(at) {
            if let Some((name, condition, length)) = check(sql, part.get(at..).unwrap_or_default())
            {
                self.checks.insert(condition, name);
                at += length;
            } else if token.is("NOT") && part.get(at + 1).is_some_and(|next| next.is("NULL")) {
                not_null = true;
                at += 2;
            } else {
                rest.push(*token);
                at += 1;
            }
        }
        if rest.is_empty() {
            return;
        }
        let table_constraint = ["CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN"];
        if table_constraint.iter().any(|word| first.is(word)) {
            self.constraints.insert(normal(&rest));
            return;
        }
        let column = ColumnText {
            name: first.text.to_owned(),
            text: sql
                .get(first.start..last.start + last.text.len())
                .unwrap_or_default()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            rest: normal(&rest),
            not_null,
        };
        self.columns.insert(first.name().to_lowercase(), column);
    }
}

/// The comma-separated parts between the parenthesis at `open` and its partner, and the index after that.
fn split<'t, 's>(tokens: &'t [Token<'s>], open: usize) -> (Vec<&'t [Token<'s>]>, usize) {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, open + 1);
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 || depth == 1 && token.text == "," {
            parts.push(tokens.get(start..at).unwrap_or_default());
            start = at + 1;
        }
        if depth == 0 {
            return (parts, start);
        }
    }
    (parts, tokens.len())
}

/// `[CONSTRAINT name] CHECK (…)` at the beginning: the name, the condition as written, and how many tokens it has.
fn check(sql: &str, tokens: &[Token<'_>]) -> Option<(Option<String>, String, usize)> {
    let named = tokens.first()?.is("CONSTRAINT");
    let at = if named { 2 } else { 0 };
    if !tokens.get(at)?.is("CHECK") || tokens.get(at + 1)?.text != "(" {
        return None;
    }
    let (_, end) = split(tokens, at + 1);
    let (open, close) = (tokens.get(at + 1)?, tokens.get(end - 1)?);
    let condition = sql.get(open.start + 1..close.start)?.trim().to_owned();
    let name = named.then(|| tokens.get(1).map(|token| token.text.to_owned()));
    Some((name.flatten(), condition, end))
}

/// Unquoted, in lower case, without layout; texts keep their case.
pub(crate) fn normal(tokens: &[Token<'_>]) -> String {
    let words = tokens.iter().map(|token| match token.kind {
        TokenKind::Text => token.text.to_owned(),
        _ => token.name().to_lowercase(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_taken_apart() {
        let sql = "CREATE TABLE \"t\" (id INTEGER PRIMARY KEY, [b c] TEXT NOT NULL DEFAULT 'x, y' CHECK (length(b) > (1)),
            d NUMERIC (4, 2), CONSTRAINT pos CHECK (d > 0), UNIQUE (d, \"b c\")) STRICT, WITHOUT ROWID";
        let found = Definition::parse(sql);
        let columns: Vec<String> = found
            .columns
            .values()
            .map(|column| format!("{} | {} | {}", column.name, column.rest, column.not_null))
            .collect();
        insta::assert_snapshot!(columns.join("\n"), @r"
        [b c] | b c text default 'x, y' | true
        d | d numeric ( 4 , 2 ) | false
        id | id integer primary key | false
        ");
        assert_eq!(
            format!(
                "{:?} {:?} {:?}",
                found.checks, found.constraints, found.options
            ),
            r#"{"d > 0": Some("pos"), "length(b) > (1)": None} {"unique ( d , b c )"} {"strict", "without rowid"}"#
        );
        assert_eq!(
            Definition::parse("CREATE TABLE t AS SELECT 1"),
            Definition::default()
        );
    }
}
