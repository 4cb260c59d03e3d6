//! Applies a whole set of files twice, by the engine and by nothing but SQLite, and compares what is left.

use crate::env::{Env, dump, tables};
use migrate::{MigrationFile, Migrator, Schema};
use rusqlite::Connection;
use rusqlite::fallible_iterator::FallibleIterator as _;
use std::path::Path;

/// Three rows in every table: values that fit each other as keys, since every column counts the same way.
pub(crate) fn populate(connection: &Connection) {
    connection
        .pragma_update(None, "foreign_keys", false)
        .expect("no enforcement");
    connection
        .pragma_update(None, "ignore_check_constraints", true)
        .expect("no checks");
    for table in tables(connection) {
        let mut statement = connection
            .prepare("SELECT name, upper(type) FROM pragma_table_info(?1) WHERE dflt_value IS NULL")
            .expect("columns");
        let columns: Vec<(String, String)> = statement
            .query_map([&table], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("columns")
            .map(|column| column.expect("a column"))
            .collect();
        for row in 1..=3 {
            let names: Vec<String> = columns
                .iter()
                .map(|(name, _)| format!("\"{name}\""))
                .collect();
            let value = |kind: &str| {
                if kind.contains("INT") || kind.contains("BOOL") {
                    row.to_string()
                } else {
                    format!("'k{row}'")
                }
            };
            let values: Vec<String> = columns.iter().map(|(_, kind)| value(kind)).collect();
            connection
                .execute(
                    &format!(
                        "INSERT OR IGNORE INTO \"{table}\" ({}) VALUES ({})",
                        names.join(", "),
                        values.join(", ")
                    ),
                    [],
                )
                .expect("a row");
        }
    }
    connection
        .pragma_update(None, "ignore_check_constraints", false)
        .expect("checks");
}

/// What the files do when nothing but SQLite cuts and runs them. Answers how many statements of each file are the
/// engine's business, too: not the switches and transactions that it leaves out.
fn run_plainly(connection: &Connection, files: &[MigrationFile]) -> Vec<usize> {
    let left_out = ["PRAGMA no_such", "BEGIN", "COMMIT"];
    let run = |file: &MigrationFile| {
        connection
            .pragma_update(None, "foreign_keys", false)
            .expect("no enforcement");
        let text = String::from_utf8(file.text.clone()).expect("UTF-8");
        let text = text.replace("PRAGMA foreign_keys", "PRAGMA no_such_pragma");
        // Written for a runner with an open transaction.
        let inside = text.starts_with("COMMIT");
        if inside {
            connection.execute_batch("BEGIN").expect("a transaction");
        }
        let mut batch = rusqlite::Batch::new(connection, &text);
        let mut count = 0;
        while let Some(mut statement) = batch.next().expect(&file.name) {
            let sql = statement.expanded_sql().expect("its text");
            // Comments before a statement belong to it here.
            let first = sql.lines().map(str::trim).find(|line| {
                let comment = ["--", "/*", "*", "- ", "Warnings"];
                !line.is_empty() && !comment.iter().any(|mark| line.starts_with(mark))
            });
            let first = first.unwrap_or_default();
            count += usize::from(!left_out.iter().any(|start| first.starts_with(start)));
            let mut rows = statement.raw_query();
            while rows.next().expect(&file.name).is_some() {}
        }
        if inside {
            connection.execute_batch("COMMIT").expect("its end");
        }
        count
    };
    files.iter().map(run).collect()
}

fn schema(connection: &Connection) -> Vec<String> {
    let schema = Schema::read(connection, "migrations").expect("a schema");
    let mut lines: Vec<String> = schema
        .definitions
        .into_iter()
        .map(|definition| {
            format!(
                "{} {}: {}",
                definition.kind, definition.name, definition.sql
            )
        })
        .collect();
    lines.sort();
    lines
}

/// The rows without what the clock and the generator of random numbers put there.
fn rows(connection: &Connection) -> Vec<String> {
    let mask = |value: &str| match value.len() {
        10.. if value.chars().all(|c| c.is_ascii_digit()) => "<time>".to_owned(),
        16 if value.chars().all(|c| c.is_ascii_hexdigit()) => "<random>".to_owned(),
        19 if value.starts_with("20") && value.contains(':') => "<time>".to_owned(),
        _ => value.to_owned(),
    };
    let mut lines: Vec<String> = dump(connection)
        .iter()
        .map(|line| {
            let (table, values) = line.split_once(": ").expect("a table and its values");
            let values: Vec<String> = values.split(" | ").map(mask).collect();
            format!("{table}: {}", values.join(" | "))
        })
        .collect();
    lines.sort();
    lines
}

/// Applies `files` from `split` on to a populated database and compares with plain SQLite; then everything at once to
/// an empty one.
pub(crate) fn compare(
    base: Option<&Path>,
    files: &[MigrationFile],
    split: usize,
    tune: impl Fn(Migrator) -> Migrator,
) {
    let (env, plain) = (Env::new(), Env::new());
    for env in [&env, &plain] {
        if let Some(base) = base {
            fs_err::copy(base, env.database()).expect("the base");
            let mut permissions = fs_err::metadata(env.database())
                .expect("the base")
                .permissions();
            std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
            fs_err::set_permissions(env.database(), permissions).expect("the base");
        }
    }
    let migrator = |files: &[MigrationFile]| tune(Migrator::new(env.database(), files.to_vec()));
    if split > 0 {
        migrator(&files[..split]).apply().expect("the first part");
        run_plainly(&plain.open(), &files[..split]);
        populate(&env.open());
        populate(&plain.open());
    }
    assert_eq!(rows(&env.open()), rows(&plain.open()), "both start alike");
    let report = migrator(files)
        .apply()
        .unwrap_or_else(|error| panic!("{error}"));
    let statements: Vec<usize> = report.applied.iter().map(|file| file.statements).collect();
    assert_eq!(statements, run_plainly(&plain.open(), &files[split..]));
    assert_eq!(schema(&env.open()), schema(&plain.open()));
    assert_eq!(rows(&env.open()), rows(&plain.open()));
    assert_eq!(
        migrator(files)
            .apply()
            .expect("nothing to do")
            .applied
            .len(),
        0
    );
}
