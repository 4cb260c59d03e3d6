//! What the text of a rebuild cannot say: does the table keep its columns, and can the previous release still write to it?
//! Answered by comparing the table before and after the file has run.

use crate::error::{Doing as _, Error};
use crate::lint::{Finding, Risk};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// A column as far as a writer that does not know it is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// NOT NULL without a default: whoever inserts must name it.
    required: bool,
}

/// The columns of a table by lower-case name; empty where there is no such table.
pub(crate) fn columns(
    connection: &Connection,
    table: &str,
) -> Result<BTreeMap<String, Column>, Error> {
    let doing = || format!("read the columns of {table}");
    let sql = "SELECT lower(name), \"notnull\" AND dflt_value IS NULL AND pk = 0 AND hidden = 0 FROM pragma_table_xinfo(?1)";
    let mut statement = connection.prepare_cached(sql).doing(doing)?;
    let rows = statement
        .query_map([table], |row| {
            Ok((
                row.get(0)?,
                Column {
                    required: row.get(1)?,
                },
            ))
        })
        .doing(doing)?;
    rows.collect::<rusqlite::Result<_>>().doing(doing)
}

/// What a rebuild means for a release that knows the table as it was.
pub(crate) fn compare(
    table: &str,
    before: &BTreeMap<String, Column>,
    after: &BTreeMap<String, Column>,
) -> Option<Finding> {
    if before.is_empty() {
        return None;
    }
    let lost: Vec<&str> = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .map(String::as_str)
        .collect();
    let required = |name: &str, column: &Column| {
        column.required && !before.get(name).is_some_and(|old| old.required)
    };
    let stricter: Vec<&str> = after
        .iter()
        .filter(|(name, column)| required(name, column))
        .map(|(name, _)| name.as_str())
        .collect();
    let message = match (lost.is_empty(), stricter.is_empty()) {
        (true, true) => return None,
        (false, _) => format!(
            "the rebuilt {table} lacks {}, which the previous release may still use",
            lost.join(", ")
        ),
        (true, false) => format!(
            "the rebuilt {table} demands {}, which the previous release may leave out",
            stricter.join(", ")
        ),
    };
    Some(Finding {
        line: 1,
        column: 1,
        risk: Risk::Breaking,
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuild_is_compatible_when_it_only_adds_what_may_be_left_out() {
        let columns = |list: &[(&str, bool)]| {
            list.iter()
                .map(|(name, required)| {
                    (
                        (*name).to_owned(),
                        Column {
                            required: *required,
                        },
                    )
                })
                .collect::<BTreeMap<_, _>>()
        };
        let before = columns(&[("a", true), ("b", false)]);
        let verdict = |after: &[(&str, bool)]| {
            compare("t", &before, &columns(after)).map(|finding| finding.message)
        };
        assert_eq!(verdict(&[("a", true), ("b", false), ("c", false)]), None);
        assert_eq!(
            verdict(&[("a", true)]),
            Some("the rebuilt t lacks b, which the previous release may still use".to_owned())
        );
        assert_eq!(
            verdict(&[("a", true), ("b", true)]),
            Some("the rebuilt t demands b, which the previous release may leave out".to_owned())
        );
    }
}
