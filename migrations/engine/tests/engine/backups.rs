//! Backups before the first change, the rehearsal on their copy, and the way back.

use crate::env::{Env, dump};
use migrate::{Event, Phase};
use std::sync::{Arc, Mutex};

/// One applied file and two rows of the application's own.
fn populated(mode: &str) -> Env {
    let env = Env::new();
    env.open()
        .pragma_update(None, "journal_mode", mode)
        .expect("a mode");
    env.file("1.sql", "CREATE TABLE a (x);");
    env.apply().expect("the base");
    env.sql("INSERT INTO a VALUES (1), (2)");
    env
}

#[test]
fn an_empty_database_is_neither_backed_up_nor_rehearsed() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);");
    let report = env.migrator().apply().expect("applied");
    assert_eq!((report.backup, report.rehearsal), (None, None));
    assert!(env.backups().is_empty());
}

#[test]
fn the_backup_holds_the_state_before_and_the_rehearsal_comes_first() {
    for mode in ["delete", "wal"] {
        let env = populated(mode);
        // A writer that stays: what is only in its log has to be in the backup.
        let writer = env.open();
        writer
            .execute_batch("INSERT INTO a VALUES (3)")
            .expect("a row");
        env.file("2.sql", "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x;");
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let migrator = env.migrator().on_event(move |event| {
            seen.lock().expect("events").push(match event {
                Event::BackedUp { .. } => "backup",
                Event::Ran {
                    phase: Phase::Rehearsal,
                    ..
                } => "rehearsal",
                Event::Ran {
                    phase: Phase::Apply,
                    ..
                } => "apply",
                Event::Committed { .. } => "commit",
                _ => return,
            });
        });
        let report = migrator.apply().expect("applied");
        assert_eq!(
            *events.lock().expect("events"),
            ["backup", "rehearsal", "apply", "commit"]
        );
        let left: Vec<String> = fs_err::read_dir(env.folder.path().join("app.db.backups"))
            .expect("the folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        assert_eq!(left.len(), 1, "only the backup is left: {left:?}");
        let backup =
            rusqlite::Connection::open(report.backup.expect("a backup")).expect("a database");
        assert_eq!(dump(&backup), ["a: 1", "a: 2", "a: 3"]);
        let rows = report.rehearsal.expect("a rehearsal").rows;
        assert_eq!(
            (rows[0].table.as_str(), rows[0].before, rows[0].after),
            ("a", Some(3), Some(3))
        );
    }
}

#[test]
fn a_release_that_fails_on_every_start_does_not_push_out_old_backups() {
    let env = populated("delete");
    env.file("2.sql", "CREATE TABLE b (x);");
    env.apply().expect("one backup");
    let before = env.backups();
    env.file(
        "3.sql",
        "INSERT INTO a SELECT abs(-9223372036854775807 - 1);",
    );
    for _ in 0..7 {
        assert!(env.error().contains("3.sql:1:1: integer overflow (in the rehearsal on a copy; the database was not touched)"), "{}", env.error());
    }
    assert_eq!(env.backups(), before);
}

#[test]
fn five_backups_are_kept_and_what_others_put_there() {
    let env = populated("delete");
    let foreign = env.folder.path().join("app.db.backups/0-by-hand.db");
    for n in 2..=9 {
        env.file(&format!("{n}.sql"), format!("CREATE TABLE t{n} (x);"));
        env.apply().expect("applied");
        fs_err::copy(env.database(), &foreign).expect("a copy");
    }
    let names: Vec<String> = env
        .backups()
        .iter()
        .map(|path| {
            path.to_string_lossy()
                .rsplit('-')
                .next()
                .expect("a name")
                .to_owned()
        })
        .collect();
    assert_eq!(names, ["hand.db", "4.db", "5.db", "6.db", "7.db", "8.db"]);
}

#[test]
fn a_restore_brings_the_state_back_and_keeps_what_it_replaces() {
    for mode in ["delete", "wal"] {
        let env = populated(mode);
        env.file("2.sql", "DELETE FROM a;");
        let backup = env
            .migrator()
            .apply()
            .expect("applied")
            .backup
            .expect("a backup");
        let restored = env.migrator().restore(&backup).expect("restored");
        assert_eq!(dump(&env.open()), ["a: 1", "a: 2"]);
        let kept = rusqlite::Connection::open(restored.kept.expect("kept")).expect("a database");
        assert_eq!(dump(&kept), [""; 0]);
        assert_eq!(
            env.migrator().status().expect("a status").pending,
            ["2.sql"]
        );
        assert_eq!(env.value("PRAGMA journal_mode"), mode);
    }
}

#[test]
fn a_restore_is_refused_while_somebody_has_the_database_open() {
    for mode in ["delete", "wal"] {
        let env = populated(mode);
        let backup = env.migrator().backup().expect("a backup");
        env.sql("DELETE FROM a");
        // Idle, so that no lock tells of it.
        let reader = env.open();
        assert_eq!(dump(&reader), [""; 0]);
        let refused = env.migrator().restore(&backup).expect_err("open elsewhere");
        assert_eq!(refused.exit_code(), 3);
        let message = refused.message();
        assert!(
            message.contains("app.db is open elsewhere: ")
                // Beside this one there may be a child of another test that is about to become another program.
                && message.contains(&format!("(process {})", std::process::id())),
            "{message}"
        );
        assert_eq!(dump(&reader), [""; 0]);
        drop(reader);
        env.migrator().restore(&backup).expect("restored");
        assert_eq!(dump(&env.open()), ["a: 1", "a: 2"]);
    }
}

#[test]
fn a_log_that_a_killed_service_left_does_not_bring_the_old_content_back() {
    let killed = populated("wal");
    let backup = killed.migrator().backup().expect("a backup");
    let service = killed.open();
    service
        .execute_batch("PRAGMA wal_autocheckpoint = 0; INSERT INTO a VALUES (3)")
        .expect("a row in the log");
    // What a kill leaves: the file and its log, and nobody who has them open.
    let env = Env::new();
    for suffix in ["", "-wal"] {
        let name = format!("app.db{suffix}");
        fs_err::copy(
            killed.folder.path().join(&name),
            env.folder.path().join(&name),
        )
        .expect("a copy");
    }
    let restored = env.migrator().restore(&backup).expect("restored");
    assert_eq!(dump(&env.open()), ["a: 1", "a: 2"]);
    let kept = rusqlite::Connection::open(restored.kept.expect("kept")).expect("a database");
    assert_eq!(dump(&kept), ["a: 1", "a: 2", "a: 3"]);
}

#[test]
fn a_backup_with_pages_of_another_size_is_restored_too() {
    for mode in ["delete", "wal"] {
        let env = populated(mode);
        let backup = env.migrator().backup().expect("a backup");
        env.sql("PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM; DELETE FROM a");
        env.open()
            .pragma_update(None, "journal_mode", mode)
            .expect("a mode");
        assert_eq!(env.value("PRAGMA page_size"), "512");
        env.migrator().restore(&backup).expect("restored");
        assert_eq!(dump(&env.open()), ["a: 1", "a: 2"]);
        assert_eq!(env.value("PRAGMA page_size"), "4096");
        assert_eq!(env.value("PRAGMA journal_mode"), mode);
    }
}

#[test]
fn a_restore_spares_its_source_and_takes_a_bare_name() {
    let env = populated("delete");
    for _ in 0..5 {
        env.migrator().backup().expect("a backup");
    }
    let oldest = env.backups()[0].clone();
    let name = std::path::Path::new(oldest.file_name().expect("a name"));
    env.sql("DELETE FROM a");
    env.migrator().restore(name).expect("restored");
    assert_eq!(env.value("SELECT count(*) FROM a"), "2");
    assert!(oldest.exists());
}

#[test]
fn a_destroyed_database_is_replaced_and_its_remains_are_kept() {
    let env = populated("wal");
    let backup = env.migrator().backup().expect("a backup");
    fs_err::write(env.database(), "rubble".repeat(3000)).expect("rubble");
    fs_err::write(env.folder.path().join("app.db-wal"), "stale").expect("a stale log");
    let restored = env.migrator().restore(&backup).expect("restored");
    assert_eq!(dump(&env.open()), ["a: 1", "a: 2"]);
    assert!(
        fs_err::read_to_string(restored.kept.expect("kept"))
            .expect("rubble")
            .starts_with("rubble")
    );
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let env = populated("delete");
    let backup = env.migrator().backup().expect("a backup");
    fs_err::write(&backup, "rubble".repeat(3000)).expect("rubble");
    let error = env.migrator().restore(&backup).expect_err("damaged");
    assert_eq!(error.exit_code(), 9);
    let message = error.message();
    assert!(
        message
            .ends_with(".db cannot be restored, and nothing was changed: file is not a database"),
        "{message}"
    );
    assert_eq!(env.value("SELECT count(*) FROM a"), "2");
    let unknown = env
        .migrator()
        .restore(std::path::Path::new("none.db"))
        .expect_err("unknown");
    assert_eq!(unknown.exit_code(), 3);
}

#[test]
fn a_rehearsal_alone_changes_nothing() {
    let env = populated("delete");
    env.file(
        "2.sql",
        "DELETE FROM a WHERE x = 1; CREATE TABLE b AS SELECT * FROM a;",
    );
    let before = fs_err::read(env.database()).expect("the file");
    let rehearsal = env.migrator().rehearse().expect("rehearsed");
    let rows: Vec<_> = rehearsal
        .rows
        .iter()
        .map(|row| (row.table.as_str(), row.before, row.after))
        .collect();
    assert_eq!(rows, [("a", Some(2), Some(1)), ("b", None, Some(1))]);
    assert_eq!(fs_err::read(env.database()).expect("the file"), before);
    assert_eq!(
        env.migrator().status().expect("a status").pending,
        ["2.sql"]
    );
    let left = fs_err::read_dir(env.folder.path())
        .expect("the folder")
        .count();
    assert_eq!(left, 2, "the database and the migrations");
}

#[test]
fn a_rehearsal_needs_no_more_than_the_schema() {
    let env = populated("delete");
    env.sql("CREATE VIEW v AS SELECT x FROM a; CREATE INDEX i ON a (x); CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END; CREATE VIRTUAL TABLE f USING fts4(x)");
    let schema = env.migrator().schema().expect("a schema");
    let kinds: Vec<&str> = schema
        .definitions
        .iter()
        .map(|definition| definition.kind.as_str())
        .collect();
    assert_eq!(kinds, ["table", "table", "index", "view", "trigger"]);
    let history = env.migrator().status().expect("a status").applied;
    env.file("2.sql", "ALTER TABLE a ADD COLUMN y;")
        .file("3.sql", "ALTER TABLE a DROP COLUMN z;");
    let elsewhere = migrate::Migrator::new("out-of-reach.db", env.discover());
    let error = elsewhere
        .rehearse_schema(&schema, &history)
        .expect_err("no such column");
    assert!(
        error.to_string().starts_with("3.sql:1:27: no such column"),
        "{error}"
    );
    env.file("3.sql", "ALTER TABLE a DROP COLUMN y;");
    let elsewhere = migrate::Migrator::new("out-of-reach.db", env.discover());
    assert_eq!(
        elsewhere
            .rehearse_schema(&schema, &history)
            .expect("rehearsed")
            .files
            .len(),
        2
    );
}

#[test]
fn a_damaged_database_is_not_migrated() {
    let env = populated("delete");
    env.sql("INSERT INTO a SELECT zeroblob(4000) FROM a, a AS b, a AS c");
    let mut bytes = fs_err::read(env.database()).expect("the file");
    bytes[8192..16384].fill(0xa5);
    fs_err::write(env.database(), &bytes).expect("damage");
    env.file("2.sql", "CREATE TABLE b (x);");
    let error = env.migrator().apply().expect_err("damaged");
    assert_eq!(error.exit_code(), 9);
    let message = error.message();
    assert!(
        message.contains("app.db: database disk image is malformed"),
        "{message}"
    );
    assert_eq!(fs_err::read(env.database()).expect("the file"), bytes);
    assert_eq!(env.backups().len(), 0);
}

#[test]
fn behind_a_link_there_is_one_database() {
    let env = populated("delete");
    let link = env.folder.path().join("link.db");
    std::os::unix::fs::symlink("app.db", &link).expect("a link");
    env.file("2.sql", "CREATE TABLE b (x);");
    let linked = migrate::Migrator::new(&link, env.discover());
    let backup = linked.apply().expect("applied").backup.expect("a backup");
    assert_eq!(env.backups().len(), 1);
    linked.restore(&backup).expect("restored");
    assert!(link.is_symlink());
    assert_eq!(
        env.migrator().status().expect("a status").pending,
        ["2.sql"]
    );
}
