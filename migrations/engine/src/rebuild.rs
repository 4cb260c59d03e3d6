//! What the text of a rebuild cannot say, answered by comparing the table before and after the file has run: does it keep
//! its columns, can the previous release still write to it, and could the same have been done in place?

use crate::lint::{Finding, Risk};
use crate::shape::Shape;

/// What it means for a release that knows the table, or the view, as it was.
pub(crate) fn compare(table: &str, before: &Shape, after: &Shape) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |risk, message| findings.push(Finding::at_start(table, risk, message));
    let what = if after.view { "view" } else { "rebuilt" };
    let names = |wanted: &dyn Fn(&str) -> bool, of: &Shape| {
        let names: Vec<&str> = of
            .columns
            .keys()
            .map(String::as_str)
            .filter(|name| wanted(name))
            .collect();
        names.join(", ")
    };
    let lost = names(&|name| !after.columns.contains_key(name), before);
    if !lost.is_empty() {
        find(
            Risk::Breaking,
            format!("the {what} {table} lacks {lost}, which the previous release may still use"),
        );
        if !after.view {
            find(
                Risk::Destructive,
                format!("throws away what is in {lost} of {table}"),
            );
        }
    }
    if after.view {
        return findings;
    }
    let stricter = |name: &str| match (before.columns.get(name), after.columns.get(name)) {
        (Some(old), Some(new)) => new.not_null && !old.not_null,
        (None, Some(new)) => new.required,
        _ => false,
    };
    let stricter = names(&stricter, after);
    if !stricter.is_empty() {
        find(
            Risk::Breaking,
            format!(
                "the rebuilt {table} demands {stricter}, which the previous release may leave out"
            ),
        );
    }
    for unique in after.uniques.difference(&before.uniques) {
        find(
            Risk::Breaking,
            format!(
                "the rebuilt {table} refuses a second row with the same {unique}, which the previous release may write"
            ),
        );
    }
    for key in after.foreign_keys.difference(&before.foreign_keys) {
        find(
            Risk::Breaking,
            format!(
                "the rebuilt {table} demands a parent ({}), which the previous release may not know",
                key.trim_end()
            ),
        );
    }
    let new_check = after
        .text
        .checks
        .keys()
        .find(|check| !before.text.checks.contains_key(*check));
    if let Some(check) = new_check {
        find(
            Risk::Breaking,
            format!(
                "the rebuilt {table} demands {check}, which the previous release does not know"
            ),
        );
    }
    let strict = |shape: &Shape| shape.text.options.contains("strict");
    if strict(after) && !strict(before) {
        find(
            Risk::Breaking,
            format!(
                "the rebuilt {table} is STRICT and refuses values of another type, which the previous release may write"
            ),
        );
    }
    findings
}

/// The statements that turn the one into the other without copying a row, if there are such.
pub(crate) fn in_place(table: &str, before: &Shape, after: &Shape) -> Option<String> {
    let (old, new) = (&before.text, &after.text);
    if old.columns.is_empty() || old.options != new.options || old.constraints != new.constraints {
        return None;
    }
    let mut statements = Vec::new();
    let table = if table.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        table.to_owned()
    } else {
        crate::history::quote(table)
    };
    let mut alter = |change: String| statements.push(format!("ALTER TABLE {table} {change};"));
    for (check, name) in &old.checks {
        if !new.checks.contains_key(check) {
            // Without a name there is nothing to drop it by.
            alter(format!("DROP CONSTRAINT {}", name.as_ref()?));
        }
    }
    let dropped: Vec<_> = old
        .columns
        .iter()
        .filter(|(key, _)| !new.columns.contains_key(*key))
        .collect();
    let added: Vec<_> = new
        .columns
        .iter()
        .filter(|(key, _)| !old.columns.contains_key(*key))
        .collect();
    // One gone and one new may be a renamed one.
    if !dropped.is_empty() && !added.is_empty() {
        return None;
    }
    for (key, column) in dropped {
        if before.indexed.contains(key) || column.rest.contains("primary key") {
            return None;
        }
        alter(format!("DROP COLUMN {}", column.name));
    }
    for (_, column) in added {
        let has = |word: &str| column.rest.split(' ').any(|other| other == word);
        let computed = has("generated") || has("as") || column.rest.contains("default (");
        if has("primary") || has("unique") || computed || column.rest.contains("current_") {
            return None;
        }
        if column.not_null && !has("default") {
            return None;
        }
        alter(format!("ADD COLUMN {}", column.text));
    }
    for (key, column) in &new.columns {
        let Some(was) = old.columns.get(key) else {
            continue;
        };
        if was.rest != column.rest {
            return None;
        }
        match (was.not_null, column.not_null) {
            (false, true) => alter(format!("ALTER COLUMN {} SET NOT NULL", column.name)),
            (true, false) => alter(format!("ALTER COLUMN {} DROP NOT NULL", column.name)),
            _ => {}
        }
    }
    // A check that came with a new column is in that column's text.
    for (check, name) in &new.checks {
        let with_column = new.columns.iter().any(|(key, column)| {
            !old.columns.contains_key(key) && column.text.contains(check.as_str())
        });
        if !old.checks.contains_key(check) && !with_column {
            let name = name
                .as_ref()
                .map_or_else(String::new, |name| format!("CONSTRAINT {name} "));
            alter(format!("ADD {name}CHECK ({check})"));
        }
    }
    (!statements.is_empty()).then(|| statements.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    fn shape(sql: &str) -> Shape {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(sql).expect(sql);
        Shape::read(&connection, "t")
            .expect("readable")
            .expect("a table")
    }

    fn verdict(before: &str, after: &str) -> String {
        compare("t", &shape(before), &shape(after))
            .iter()
            .map(|finding| finding.message.as_str())
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[test]
    fn a_rebuild_is_compatible_when_it_only_adds_what_may_be_left_out() {
        let old = "CREATE TABLE t (a NOT NULL, b);";
        insta::assert_snapshot!([
            verdict(old, "CREATE TABLE t (b, a, c)"),
            verdict(old, "CREATE TABLE t (a NOT NULL)"),
            verdict(old, "CREATE TABLE t (a NOT NULL, b NOT NULL DEFAULT 1, c NOT NULL DEFAULT 1)"),
            verdict(old, "CREATE TABLE t (a NOT NULL, b UNIQUE, FOREIGN KEY (b) REFERENCES p)"),
            verdict(old, "CREATE TABLE t (a ANY NOT NULL, b ANY CHECK (b > 0)) STRICT"),
            verdict("CREATE VIEW t AS SELECT 1 AS a, 2 AS b", "CREATE VIEW t AS SELECT 1 AS b"),
        ].join("\n"), @r"

        the rebuilt t lacks b, which the previous release may still use; throws away what is in b of t
        the rebuilt t demands b, which the previous release may leave out
        the rebuilt t refuses a second row with the same b, which the previous release may write; the rebuilt t demands a parent (b -> p), which the previous release may not know
        the rebuilt t demands b > 0, which the previous release does not know; the rebuilt t is STRICT and refuses values of another type, which the previous release may write
        the view t lacks a, which the previous release may still use
        ");
    }

    /// The statements, after trying that they really turn the one into the other.
    fn instead(before: &str, after: &str) -> Option<String> {
        let sql = in_place("t", &shape(before), &shape(after))?;
        let reached = shape(&format!("{before}; {sql}"));
        assert_eq!(
            (&reached.columns, &reached.text.checks),
            (&shape(after).columns, &shape(after).text.checks),
            "{sql}"
        );
        Some(sql)
    }

    #[test]
    fn what_sqlite_can_do_in_place_is_offered() {
        let old = "CREATE TABLE t (id INTEGER PRIMARY KEY, \"a\" TEXT, b TEXT NOT NULL, CONSTRAINT few CHECK (id < 9))";
        let offers = [
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b TEXT, CONSTRAINT few CHECK (id < 9))",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT NOT NULL CHECK (length(b) > 0), CONSTRAINT many CHECK (id > 9))",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT NOT NULL, c INT NOT NULL DEFAULT 0 CHECK (c < 5), CONSTRAINT few CHECK (id < 9))",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT NOT NULL, CONSTRAINT few CHECK (id < 9))",
        ];
        let offers = offers.map(|after| instead(old, after).unwrap_or_default());
        insta::assert_snapshot!(offers.join("\n"), @r#"
        ALTER TABLE t ALTER COLUMN a SET NOT NULL; ALTER TABLE t ALTER COLUMN b DROP NOT NULL;
        ALTER TABLE t DROP CONSTRAINT few; ALTER TABLE t ADD CONSTRAINT many CHECK (id > 9); ALTER TABLE t ADD CHECK (length(b) > 0);
        ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 0 CHECK (c < 5);
        ALTER TABLE t DROP COLUMN "a";
        "#);
    }

    #[test]
    fn what_it_cannot_do_in_place_is_not_offered() {
        let old = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, CHECK (id < 9))";
        for after in [
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB, CHECK (id < 9))",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, CHECK (id < 9))",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT, CHECK (id < 9))",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b DEFAULT CURRENT_TIMESTAMP, CHECK (id < 9))",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, CHECK (id < 9)) STRICT",
            old,
        ] {
            assert_eq!(instead(old, after), None, "{after}");
        }
    }
}
