//! Everything or nothing: what a failure, a crash in the middle of the list and a second run leave behind.

use crate::env::Env;
use migrate::{Cancel, Event, Phase};

#[test]
fn a_failure_in_the_last_file_leaves_nothing_of_the_first() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);\nINSERT INTO a VALUES (1);")
        .file(
            "2.sql",
            "CREATE TABLE b (x);\nINSERT INTO b\n  VALUES (1, nope);",
        );
    insta::assert_snapshot!(env.error(), @r"
    exit 4: 2.sql:3:14: no such column: nope (rolled back)
    3 |   VALUES (1, nope);
      |              ^
    ");
    assert_eq!(env.value("SELECT count(*) FROM sqlite_schema"), "0");
    env.file("2.sql", "CREATE TABLE b (x);");
    assert_eq!(env.apply().expect("fixed"), ["1.sql", "2.sql"]);
    assert_eq!(env.apply().expect("nothing left"), [""; 0]);
}

#[test]
fn per_file_keeps_what_was_finished() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);")
        .file("2.sql", "CREATE TABLE a (x);");
    let error = env
        .migrator()
        .per_file(true)
        .apply()
        .expect_err("the second fails");
    assert_eq!(error.exit_code(), 4);
    assert_eq!(
        env.value("SELECT group_concat(filename) FROM migrations"),
        "1.sql"
    );
}

#[test]
fn constraint_errors_point_at_the_statement_and_name_errors_at_the_name() {
    let env = Env::new();
    env.file(
        "1.sql",
        "CREATE TABLE a (x UNIQUE);\n\n/* twice */ INSERT INTO a VALUES (1), (1);",
    );
    insta::assert_snapshot!(env.error(), @r"
    exit 4: 1.sql:3:13: UNIQUE constraint failed: a.x (rolled back)
    3 | /* twice */ INSERT INTO a VALUES (1), (1);
      |             ^
    hint: rows that are there already do not fit: fix them in a statement before this one
    ");
    env.file(
        "1.sql",
        "CREATE TABLE a (x);\nINSERT INTO a (x,\n\ty) VALUES (1, 2);",
    );
    insta::assert_snapshot!(env.error(), @r"
    exit 4: 1.sql:3:2: table a has no column named y (rolled back)
    3 | 	y) VALUES (1, 2);
      | 	^
    ");
    env.file("1.sql", "-- é\nSELECT 'é' FORM a;");
    insta::assert_snapshot!(env.error(), @r#"
    exit 4: 1.sql:2:17: near "a": syntax error (rolled back)
    2 | SELECT 'é' FORM a;
      |                 ^
    "#);
}

#[test]
fn dropping_a_parent_does_not_cascade() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE p (id INTEGER PRIMARY KEY, old); CREATE TABLE c (p REFERENCES p (id) ON DELETE CASCADE);");
    env.apply().expect("the base");
    env.sql("INSERT INTO p VALUES (1, 2), (2, 3); INSERT INTO c VALUES (1), (2), (2)");
    env.file("2.sql", "CREATE TABLE n (id INTEGER PRIMARY KEY); INSERT INTO n SELECT id FROM p; DROP TABLE p; ALTER TABLE n RENAME TO p;");
    env.apply().expect("the rebuild");
    assert_eq!(env.value("SELECT count(*) FROM c"), "3");
    assert_eq!(
        env.value("SELECT compatible FROM migrations WHERE filename = '2.sql'"),
        "0"
    );
}

#[test]
fn new_rows_without_a_parent_are_refused_and_old_ones_are_not() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id)); INSERT INTO p VALUES (1);");
    env.apply().expect("the base");
    env.sql("INSERT INTO c VALUES (7)");
    env.file("2.sql", "CREATE TABLE harmless (x);");
    env.apply().expect("an old violation does not block");
    env.file("3.sql", "INSERT INTO c VALUES (1), (8);");
    insta::assert_snapshot!(env.error(), @r"
    exit 4: foreign keys that hold now would be broken: c -> p: 1 row(s) without a parent
    hint: delete or repair those rows in the migration; parents may have been dropped or rebuilt without their keys
    ");
    assert_eq!(env.value("SELECT count(*) FROM c"), "1");
}

#[test]
fn a_cancelled_run_rolls_back() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);");
    // Counts for ever; only the request ends it.
    env.file("2.sql", "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) INSERT INTO a SELECT 0 FROM n WHERE x < 0;");
    let cancel = Cancel::new();
    let trigger = cancel.clone();
    let migrator = env.migrator().cancel(&cancel).on_event(move |event| {
        if matches!(&event, Event::Started { phase: Phase::Apply, file } if file == "2.sql") {
            trigger.request(15);
        }
    });
    let error = migrator.apply().expect_err("cancelled");
    assert_eq!((error.exit_code(), error.to_string()), (143, "interrupted; everything that was not committed is rolled back\nhint: run the same command again".to_owned()));
    assert_eq!(env.value("SELECT count(*) FROM sqlite_schema"), "0");
}

#[test]
fn a_lock_that_is_not_given_back_is_named() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);");
    let other = env.open();
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let error = env
        .migrator()
        .timeout(std::time::Duration::ZERO)
        .apply()
        .expect_err("locked");
    assert_eq!(error.exit_code(), 3);
    assert!(
        error
            .to_string()
            .contains("app.db stayed locked by another process"),
        "{error}"
    );
    other.execute_batch("COMMIT").expect("given back");
    env.apply().expect("free");
}

#[test]
fn a_file_that_is_no_database_needs_a_person() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);");
    fs_err::write(
        env.database(),
        "This is a letter, not a database. ".repeat(50),
    )
    .expect("a letter");
    let error = env.migrator().apply().expect_err("no database");
    assert_eq!(error.exit_code(), 9, "{error}");
}

#[test]
fn the_folder_of_the_database_is_not_made() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);");
    let error = migrate::Migrator::new(env.folder.path().join("no/such/app.db"), env.discover())
        .apply()
        .expect_err("no folder");
    assert_eq!(error.exit_code(), 3);
    assert!(!env.folder.path().join("no").exists());
    for (path, what) in [(env.dir(), "a folder"), ("/dev/null".into(), "a device")] {
        let error = migrate::Migrator::new(path, env.discover())
            .apply()
            .expect_err(what);
        assert_eq!(error.exit_code(), 3);
        assert!(error.message().ends_with(" is no file"), "{error}");
    }
}

#[test]
fn temporary_tables_end_with_their_file() {
    let env = Env::new();
    env.file("1.sql", "CREATE TEMP TABLE t (x); CREATE TEMP VIEW v AS SELECT x FROM t; INSERT INTO t VALUES (1); CREATE TABLE a AS SELECT x FROM v;");
    env.file(
        "2.sql",
        "CREATE TEMP TABLE t (x); INSERT INTO a SELECT count(*) FROM t;",
    );
    env.apply().expect("applied");
    assert_eq!(env.value("SELECT group_concat(x) FROM a"), "1,0");
}

#[test]
fn what_a_file_sets_does_not_reach_the_next() {
    let env = Env::new();
    env.file("1.sql", "PRAGMA ignore_check_constraints = ON; PRAGMA legacy_alter_table = ON; CREATE TABLE a (x CHECK (x > 0)); INSERT INTO a VALUES (-1);");
    env.file("2.sql", "INSERT INTO a VALUES (-2);");
    assert!(
        env.error().contains("2.sql:1:1: CHECK constraint failed"),
        "{}",
        env.error()
    );
}

#[test]
fn every_filled_table_has_statistics_afterwards_few_or_many() {
    for tables in [3, 30] {
        let env = Env::new();
        env.open()
            .execute_batch("CREATE TABLE first (x); INSERT INTO first VALUES (1);")
            .expect("a row, so that the database is worth learning from");
        for number in 0..tables {
            env.file(
                &format!("{number:02}.sql"),
                format!("CREATE TABLE t{number} (x); CREATE INDEX i{number} ON t{number} (x); INSERT INTO t{number} VALUES (1), (2);"),
            );
        }
        env.apply().expect("plain files");
        assert_eq!(
            env.value("SELECT count(*) FROM sqlite_stat1 WHERE idx LIKE 'i%'"),
            tables.to_string()
        );
    }
}
