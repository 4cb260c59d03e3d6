//! Compares foreign keys without a parent before and after: what was broken before does not block, what breaks now does.

use crate::error::{Doing as _, Error};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Violations per child and parent table.
pub(crate) type Violations = BTreeMap<(String, String), usize>;

/// Runs SQLite's check. One statement for the whole database; where a foreign key is itself malformed, which ends that
/// statement with an error, table by table.
pub(crate) fn violations(connection: &Connection) -> Result<Violations, Error> {
    let doing = || "check the foreign keys".to_owned();
    let mut found = Violations::new();
    match collect(connection, None, &mut found) {
        Ok(()) => return Ok(found),
        Err(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
        {
            return Err(error).doing(doing);
        }
        Err(_) => found.clear(),
    }
    for (table, kind) in crate::rows::tables(connection, "")? {
        if kind != "table" {
            continue;
        }
        match collect(connection, Some(&table), &mut found) {
            Ok(()) => {}
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
            {
                return Err(error).doing(doing);
            }
            Err(error) => {
                found.insert((table, crate::locate::message(&error)), 1);
            }
        }
    }
    Ok(found)
}

fn collect(
    connection: &Connection,
    table: Option<&str>,
    found: &mut Violations,
) -> rusqlite::Result<()> {
    let mut statement = match table {
        None => connection.prepare("PRAGMA main.foreign_key_check")?,
        Some(table) => connection.prepare(&format!(
            "PRAGMA main.foreign_key_check({})",
            crate::history::quote(table)
        ))?,
    };
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        *found.entry((row.get(0)?, row.get(2)?)).or_insert(0) += 1;
    }
    Ok(())
}

/// What is worse after than before. A pair of tables that did not exist before is a renamed one when the total has not
/// grown.
pub(crate) fn worse(before: &Violations, after: &Violations) -> Vec<String> {
    let total = |violations: &Violations| violations.values().sum::<usize>();
    let renamed_only = total(after) <= total(before);
    after
        .iter()
        .filter(|(pair, rows)| match before.get(*pair) {
            Some(old) => *rows > old,
            None => !renamed_only,
        })
        .map(|(pair, rows)| {
            describe(
                pair,
                rows.saturating_sub(before.get(pair).copied().unwrap_or(0)),
            )
        })
        .collect()
}

/// One line per pair whose number of rows without a parent is another one after than before.
pub(crate) fn differences(before: &Violations, after: &Violations) -> Vec<String> {
    let pairs: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let rows = |of: &Violations, pair| of.get(pair).copied().unwrap_or(0);
    pairs
        .into_iter()
        .filter(|pair| rows(before, pair) != rows(after, pair))
        .map(|pair| {
            let (child, parent) = pair;
            format!(
                "{child} -> {parent}: {} -> {}",
                rows(before, pair),
                rows(after, pair)
            )
        })
        .collect()
}

/// One line per pair, for a person.
pub(crate) fn describe((child, parent): &(String, String), rows: usize) -> String {
    if parent.contains(' ') {
        format!("{child}: {parent}")
    } else {
        format!("{child} -> {parent}: {rows} row(s) without a parent")
    }
}

/// All of them.
pub(crate) fn total(violations: &Violations) -> usize {
    violations.values().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pairs: &[(&str, &str, usize)]) -> Violations {
        pairs
            .iter()
            .map(|(child, parent, rows)| (((*child).to_owned(), (*parent).to_owned()), *rows))
            .collect()
    }

    #[test]
    fn old_violations_do_not_block_and_new_ones_do() {
        let before = set(&[("a", "b", 2)]);
        assert!(worse(&before, &before).is_empty());
        assert!(worse(&before, &set(&[("renamed", "b", 2)])).is_empty());
        assert_eq!(
            worse(&before, &set(&[("a", "b", 3)])),
            ["a -> b: 1 row(s) without a parent"]
        );
        assert_eq!(
            worse(&before, &set(&[("a", "b", 1), ("c", "b", 2)])),
            ["c -> b: 2 row(s) without a parent"]
        );
    }
}
