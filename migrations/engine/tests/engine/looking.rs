//! Looking before changing: what a dry run, a rehearsal and lint show, and that they leave the database alone.

use crate::env::{Env, dump};
use migrate::Event;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn populated() -> Env {
    let env = Env::new();
    env.file(
        "1.sql",
        "CREATE TABLE p (id INTEGER PRIMARY KEY, a TEXT); CREATE TABLE c (p REFERENCES p (id));",
    );
    env.apply().expect("the base");
    env.sql("INSERT INTO p VALUES (1, 'x'), (2, NULL); INSERT INTO c VALUES (1), (9)");
    env
}

#[test]
fn a_dry_run_finds_what_only_the_data_brings_out_and_changes_nothing() {
    let env = populated();
    env.file(
        "2.sql",
        "ALTER TABLE p ADD COLUMN b;\nALTER TABLE p ALTER COLUMN a SET NOT NULL;",
    );
    let before = (
        dump(&env.open()),
        fs_err::read(env.database()).expect("bytes"),
    );
    let error = env.migrator().dry_run().expect_err("a NULL is there");
    assert!(error.to_string().starts_with("2.sql:2:1: constraint failed (in the rehearsal on a copy; the database was not touched)"), "{error}");
    assert_eq!(error.exit_code(), 4);
    env.file("2.sql", "ALTER TABLE p ADD COLUMN b;");
    let plan = env.migrator().dry_run().expect("it runs");
    assert_eq!(
        plan.files[0].statements[0].text,
        "ALTER TABLE p ADD COLUMN b;"
    );
    assert_eq!(plan.rehearsal.files[0].statements, 1);
    assert_eq!(
        before,
        (
            dump(&env.open()),
            fs_err::read(env.database()).expect("bytes")
        )
    );
    let left: Vec<_> = fs_err::read_dir(env.folder.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_copy_that_a_killed_run_left_is_removed_and_one_in_use_is_not() {
    let env = populated();
    let left = |name: &str| {
        let folder = env.folder.path().join(format!(".app.db.rehearsal-{name}"));
        fs_err::create_dir(&folder).expect("a folder");
        let alive = std::fs::File::create(folder.join(".alive")).expect("a file");
        (folder, alive)
    };
    let (dead, _) = left("dead");
    let (used, alive) = left("used");
    alive.try_lock().expect("a lock");
    env.migrator().rehearse().expect("nothing to do");
    assert_eq!((dead.exists(), used.exists()), (false, true));
}

#[test]
fn a_rehearsal_measures_rows_keys_size_and_locks() {
    let env = populated();
    env.sql("PRAGMA journal_mode = WAL");
    env.file("2.sql", "DELETE FROM c WHERE p = 9;")
        .file("3.sql", "-- migrate: no-transaction\nVACUUM;")
        .file(
            "4.sql",
            "CREATE TABLE big AS SELECT randomblob(100000) AS x;",
        );
    let rehearsal = env.migrator().rehearse().expect("it runs");
    assert_eq!(rehearsal.violations, (1, 0));
    assert_eq!(rehearsal.foreign_keys, ["c -> p: 1 -> 0"]);
    assert!(
        rehearsal.size_bytes.1 > rehearsal.size_bytes.0 + 100_000,
        "{:?}",
        rehearsal.size_bytes
    );
    let locks: Vec<_> = rehearsal
        .locks
        .iter()
        .map(|lock| (lock.files.join(" "), lock.transaction, lock.readers_wait))
        .collect();
    assert_eq!(
        locks,
        [
            ("2.sql".to_owned(), true, false),
            ("3.sql".to_owned(), false, false),
            ("4.sql".to_owned(), true, false)
        ]
    );
    let rows: Vec<_> = rehearsal
        .rows
        .iter()
        .map(|change| (change.table.as_str(), change.before, change.after))
        .collect();
    assert_eq!(
        rows,
        [
            ("big", None, Some(1)),
            ("c", Some(2), Some(1)),
            ("p", Some(2), Some(2))
        ]
    );
    assert_eq!(rehearsal.files[0].rows.len(), 1, "what one file did");
    assert_eq!(env.value("SELECT count(*) FROM c"), "2");
}

#[test]
fn lint_offers_what_can_be_done_in_place() {
    let env = populated();
    env.file("2.sql", "CREATE TABLE n (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b INT DEFAULT 7);\nINSERT INTO n (id, a) SELECT id, a FROM p WHERE a IS NOT NULL;\nDROP TABLE p;\nALTER TABLE n RENAME TO p;");
    let lint = |env: &Env| {
        let lint = env.migrator().lint().expect("judged");
        let lines = lint.files.iter().map(|file| {
            let findings = file.findings.iter().map(|finding| {
                let instead = finding
                    .instead
                    .as_ref()
                    .map_or_else(String::new, |sql| format!(" INSTEAD {sql}"));
                format!(
                    "\n{}:{} {} rows {:?} {}{instead}",
                    finding.line,
                    finding.column,
                    finding.risk.name(),
                    finding.rows,
                    finding.message
                )
            });
            format!(
                "{} {:?} {}{}",
                file.name,
                file.verdict,
                file.compatible,
                findings.collect::<String>()
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(lint(&env), @r#"
    2.sql ["breaking", "destructive", "slow"] false
    2:1 destructive rows Some(2) copies some of the rows of p
    4:1 slow rows Some(2) rebuilds p: every row is copied under the lock
    4:1 breaking rows None the rebuilt p demands a, which the previous release may leave out
    "#);
    env.file("2.sql", "CREATE TABLE n (id INTEGER PRIMARY KEY, a TEXT CHECK (length(a) < 9), b INT DEFAULT 7);\nINSERT INTO n (id, a) SELECT id, a FROM p;\nDROP TABLE p;\nALTER TABLE n RENAME TO p;");
    insta::assert_snapshot!(lint(&env), @r#"
    2.sql ["breaking", "slow"] false
    4:1 slow rows Some(2) rebuilds p: every row is copied under the lock INSTEAD ALTER TABLE p ADD COLUMN b INT DEFAULT 7; ALTER TABLE p ADD CHECK (length(a) < 9);
    4:1 breaking rows None the rebuilt p demands length(a) < 9, which the previous release does not know
    "#);
    env.file(
        "2.sql",
        "CREATE TABLE other (x); CREATE INDEX i ON other (x);",
    );
    insta::assert_snapshot!(lint(&env), @r#"2.sql ["safe"] true"#);
}

#[test]
fn a_long_file_gives_signs_of_life() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);\nWITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000) INSERT INTO a SELECT x FROM n;");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&heard);
    let migrator = env
        .migrator()
        .progress_interval(Duration::ZERO)
        .on_event(move |event| hear.lock().expect("events").push(event));
    migrator.apply().expect("applied");
    let heard = heard.lock().expect("events");
    let running = heard.iter().find_map(|event| match event {
        Event::Running {
            file,
            statement,
            statements,
            ..
        } => Some((file.as_str(), *statement, *statements)),
        _ => None,
    });
    assert_eq!(running, Some(("1.sql", 2, 2)));
}
