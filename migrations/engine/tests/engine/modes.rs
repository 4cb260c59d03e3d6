//! What a file may ask for: no transaction, its own transaction, a schema edited by hand, a contract.

use crate::env::Env;
use migrate::{Event, Phase};

#[test]
fn a_file_outside_a_transaction_ends_the_batch_before_it() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);")
        .file(
            "2.sql",
            "-- migrate: no-transaction\nPRAGMA journal_mode = WAL;\nVACUUM;",
        )
        .file("3.sql", "CREATE TABLE a (x);");
    assert!(
        env.error().contains("3.sql:1:14: table a already exists"),
        "{}",
        env.error()
    );
    assert_eq!(
        env.value("SELECT group_concat(filename || kind) FROM migrations"),
        "1.sqlapply,2.sqlapply"
    );
    assert_eq!(env.value("PRAGMA journal_mode"), "wal");
}

#[test]
fn such_a_file_that_stops_half_way_is_never_run_again_blindly() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x); INSERT INTO a VALUES (1);");
    // Fails on the database only: the rehearsal's copy does not have the row that another program adds meanwhile.
    env.file(
        "2.sql",
        "-- migrate: no-transaction\nCREATE TABLE b (x);\nCREATE UNIQUE INDEX i ON a (x);",
    );
    let database = env.database();
    let migrator = env.migrator().on_event(move |event| {
        if matches!(&event, Event::Started { phase: Phase::Apply, file } if file == "2.sql") {
            let other = rusqlite::Connection::open(&database).expect("the database");
            other
                .execute_batch("INSERT INTO a VALUES (1)")
                .expect("a row");
        }
    });
    let error = migrator.apply().expect_err("half way");
    assert_eq!(error.exit_code(), 9);
    assert!(error.to_string().starts_with("2.sql runs outside a transaction and stopped half way: 2.sql:3:29: UNIQUE constraint failed: a.x"), "{error}");
    let again = env.apply().expect_err("a person has to look");
    assert_eq!(again.exit_code(), 9);
    assert!(again.to_string().contains("and never ended"), "{again}");
    env.sql("DELETE FROM a WHERE rowid = 2; CREATE UNIQUE INDEX i ON a (x)");
    assert_eq!(
        env.migrator().baseline("2.sql").expect("by hand").recorded,
        ["2.sql"]
    );
    assert_eq!(env.apply().expect("done"), [""; 0]);
}

#[test]
fn a_file_may_bring_its_own_transaction() {
    let env = Env::new();
    env.file("1.sql", "-- migrate: own-transaction\nPRAGMA foreign_keys = OFF;\nBEGIN TRANSACTION;\nCREATE TABLE a (x);\nCOMMIT;\nBEGIN;CREATE TABLE b (x);END TRANSACTION");
    env.apply().expect("applied");
    assert_eq!(env.value("SELECT statements FROM migrations"), "2");
    env.file("2.sql", "BEGIN; CREATE TABLE c (x); ROLLBACK;");
    let refused = |env: &Env| {
        env.migrator()
            .own_transaction(true)
            .apply()
            .map(|report| report.applied.len())
            .map_err(|error| error.message())
    };
    assert!(refused(&env).is_err_and(|message| message.starts_with("transaction control")));
    env.file("2.sql", "BEGIN; CREATE TABLE c (x);");
    assert_eq!(refused(&env), Err("BEGIN without its COMMIT".to_owned()));
    env.file("2.sql", "CREATE TABLE c (x); COMMIT;");
    assert_eq!(refused(&env), Err("COMMIT without BEGIN".to_owned()));
    env.file("2.sql", "BEGIN; BEGIN; COMMIT;");
    assert_eq!(refused(&env), Err("BEGIN inside BEGIN".to_owned()));
    // Written for a runner that has a transaction open, to get rid of it for a moment.
    env.file("2.sql", "COMMIT; PRAGMA foreign_keys = OFF; BEGIN; CREATE TABLE c (x); COMMIT; PRAGMA foreign_keys = ON; BEGIN;");
    assert_eq!(refused(&env), Ok(1));
}

#[test]
fn its_transaction_is_the_runners() {
    let env = Env::new();
    env.file("1.sql", "BEGIN; CREATE TABLE a (x); COMMIT;")
        .file("2.sql", "BEGIN; CREATE TABLE a (x); COMMIT;");
    assert!(env.migrator().own_transaction(true).apply().is_err());
    assert_eq!(env.value("SELECT count(*) FROM sqlite_schema"), "0");
}

#[test]
fn a_rebuild_that_forgets_rows_has_to_say_so() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x); CREATE TABLE p (x);");
    env.apply().expect("the base");
    env.sql("INSERT INTO a VALUES (1), (1), (NULL); INSERT INTO p VALUES (1)");
    let copy = |select: &str| {
        format!("CREATE TABLE n (x UNIQUE);\n{select};\nDROP TABLE a;\nALTER TABLE n RENAME TO a;")
    };
    env.file("2.sql", copy("INSERT OR IGNORE INTO n SELECT x FROM a"));
    insta::assert_snapshot!(env.error(), @r"
    exit 4: 2.sql would lose rows without deleting any: a has 3 rows before and 2 after (line 2 copies some of them, with IGNORE)
    hint: copy all rows; if some are to go, DELETE them from that table in the same file, or say `-- migrate: allow contract` at its top
    ");
    env.file("2.sql", copy("SELECT 'the copy is missing'"));
    assert_eq!(env.apply().map_err(|error| error.exit_code()), Err(4));
    assert_eq!(env.value("SELECT count(*) FROM a"), "3");
    env.file(
        "2.sql",
        format!(
            "-- migrate: allow contract\n{}",
            copy("INSERT OR IGNORE INTO n SELECT x FROM a")
        ),
    );
    env.apply().expect("it says so");
    assert_eq!(env.value("SELECT count(*) FROM a"), "2");
    for (select, said) in [
        ("SELECT a.x FROM a JOIN p ON a.x = p.x", "JOIN"),
        (
            "SELECT a.x FROM a INNER JOIN p ON a.x = p.x WHERE a.x > 0",
            "JOIN",
        ),
        ("SELECT x FROM a LIMIT 1", "LIMIT"),
    ] {
        // What is said of another table, or lost while another one grows, says nothing of this one.
        let other =
            "CREATE TABLE b (x); INSERT INTO b VALUES (1), (2), (3); DELETE FROM b WHERE x > 1;";
        env.file(
            "3.sql",
            format!("{other}\n{}", copy(&format!("INSERT INTO n {select}"))),
        );
        let error = env.error();
        let wanted = format!("after (line 3 copies some of them, with {said})");
        assert!(
            error.starts_with("exit 4") && error.contains(&wanted),
            "{error}"
        );
    }
    env.file(
        "3.sql",
        format!(
            "DELETE FROM a WHERE x IS NULL;\n{}",
            copy("INSERT INTO n SELECT a.x FROM a JOIN p ON a.x = p.x")
        ),
    );
    env.apply().expect("it deletes them in so many words");
    env.sql("INSERT INTO a VALUES (2)");
    env.file("3b.sql", copy("INSERT INTO n SELECT x FROM a WHERE x < 2"));
    let notes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = std::sync::Arc::clone(&notes);
    let migrator = env.migrator().on_event(move |event| {
        if let Event::Note { text } = event {
            heard.lock().expect("notes").push(text);
        }
    });
    migrator.apply().expect("a WHERE says which rows stay");
    assert_eq!(
        *notes.lock().expect("notes"),
        ["3b.sql: a has 2 rows before and 1 after (line 2 copies some of them, with WHERE)"]
    );
    env.file("4.sql", "CREATE TABLE k (x); CREATE TRIGGER r AFTER INSERT ON k BEGIN DELETE FROM a; END; INSERT INTO k VALUES (1);");
    env.apply().expect("so does a trigger");
    assert_eq!(env.value("SELECT count(*) FROM a"), "0");
}
