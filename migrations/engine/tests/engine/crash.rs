//! Kills the runner before each of its calls that change a file, tears them, fails them, fills the disk, and cuts the power
//! after each. Whatever the point: the database is sound, what is applied is what is recorded, no file is there by half, exit
//! 0 means complete, and a plain second run reaches the same end.
#![expect(
    clippy::disallowed_methods,
    reason = "runs the real binary in the laboratory"
)]

use crate::env::{Env, dump};
use crate::lab::{Fault, Lab, Story};
use rusqlite::Connection;
use std::cell::RefCell;
use std::path::Path;
use std::process::{Command, ExitStatus};

/// Power cuts per call besides the one after which only what was synced is there.
const SEEDS: u64 = 3;

/// A populated database and three pending files, one of them a rebuild.
fn populated(mode: &str) -> Env {
    let env = Env::new();
    env.open()
        .pragma_update(None, "journal_mode", mode)
        .expect("a mode");
    env.file("1.sql", "CREATE TABLE a (x); CREATE TABLE c (x);");
    env.apply().expect("the base");
    env.sql("INSERT INTO a VALUES (1), (2); INSERT INTO c SELECT zeroblob(3000) FROM a");
    pending(&env);
    env
}

fn pending(env: &Env) {
    env.file(
        "2.sql",
        "CREATE TABLE t2 (x); INSERT INTO t2 SELECT x FROM a;",
    );
    env.file("3.sql", "CREATE TABLE n (x, y); INSERT INTO n SELECT x, 3 FROM a; DROP TABLE a; ALTER TABLE n RENAME TO a; CREATE TABLE t3 (x);");
    env.file(
        "4.sql",
        "CREATE TABLE t4 (x); UPDATE c SET x = zeroblob(5000);",
    );
}

/// As a killed service leaves it: a log beside the file, with content that is nowhere else.
fn with_a_log() -> Env {
    let service = populated("delete");
    let connection = service.open();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; INSERT INTO a VALUES (7)",
        )
        .expect("a row in the log");
    let env = Env::new();
    pending(&env);
    env.file("1.sql", "CREATE TABLE a (x); CREATE TABLE c (x);");
    for name in ["app.db", "app.db-wal"] {
        fs_err::copy(
            service.folder.path().join(name),
            env.folder.path().join(name),
        )
        .expect("a copy");
    }
    env
}

fn migrate(arguments: &'static [&'static str]) -> impl Fn(&Path) -> Command {
    move |_| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
        command.env_clear().args(["--database", "app.db"]);
        command.args(arguments);
        command
    }
}

fn open(path: &Path) -> Connection {
    Connection::open(path).expect("the database")
}

fn text(connection: &Connection, sql: &str) -> String {
    connection
        .query_row(sql, [], |row| row.get(0))
        .expect("a text")
}

fn is_sound(database: &Path) -> bool {
    let check = open(database).query_row("PRAGMA integrity_check", [], |row| row.get(0));
    check.is_ok_and(|problems: String| problems == "ok")
}

/// The names of the files whose table is there, and of those that are recorded, beyond the first.
fn applied_and_recorded(connection: &Connection) -> (String, String) {
    let tables = "SELECT coalesce(group_concat(substr(name, 2), ' '), '') FROM (SELECT name FROM sqlite_schema WHERE name IN ('t2', 't3', 't4') ORDER BY name)";
    let known = "SELECT count(*) FROM sqlite_schema WHERE name = 'migrations'";
    let has_history: i64 = connection
        .query_row(known, [], |row| row.get(0))
        .expect("a count");
    let recorded = if has_history == 0 {
        String::new()
    } else {
        text(
            connection,
            "SELECT coalesce(group_concat(substr(filename, 1, 1), ' '), '') FROM (SELECT filename FROM migrations WHERE filename > '2' ORDER BY filename)",
        )
    };
    (text(connection, tables), recorded)
}

/// Every backup that has a name is a whole database.
fn backups_are_sound(folder: &Path, place: &str) -> usize {
    let Ok(entries) = fs_err::read_dir(folder.join("app.db.backups")) else {
        return 0;
    };
    let mut sound = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "db") {
            let problems = text(&open(&path), "PRAGMA integrity_check");
            assert_eq!(problems, "ok", "{place}: {}", path.display());
            sound += 1;
        }
    }
    sound
}

/// Five promises about a run that applies, and the run that follows it.
struct Applying {
    /// All files in one transaction?
    whole: bool,
    /// Has the database rows of its own, so that a backup comes first?
    populated: bool,
    /// What the database holds in the end; filled by the undisturbed run.
    golden: RefCell<Vec<String>>,
}

impl Applying {
    fn new(whole: bool, populated: bool) -> Self {
        Self {
            whole,
            populated,
            golden: RefCell::default(),
        }
    }

    fn check(&self, folder: &Path, status: Option<ExitStatus>, place: &str) {
        let connection = open(&folder.join("app.db"));
        assert_eq!(text(&connection, "PRAGMA integrity_check"), "ok", "{place}");
        let (applied, recorded) = applied_and_recorded(&connection);
        assert_eq!(
            applied, recorded,
            "{place}: half a file, or an unrecorded one"
        );
        drop(connection);
        let is_success = status.is_some_and(|status| status.success());
        assert!(
            !is_success || recorded == "2 3 4",
            "{place}: exit 0 with {recorded:?}"
        );
        if self.whole {
            assert!(
                ["", "2 3 4"].contains(&recorded.as_str()),
                "{place}: {recorded:?}"
            );
            let code = status.and_then(|status| status.code());
            assert!(
                !matches!(code, Some(3 | 4)) || recorded.is_empty(),
                "{place}: exit {code:?} with {recorded:?}"
            );
        }
        let backups = backups_are_sound(folder, place);
        assert!(
            recorded.is_empty() || backups > 0 || !self.populated,
            "{place}: changed without a backup"
        );
        apply(folder).unwrap_or_else(|error| panic!("{place}: the second run: {error}"));
        let end = dump(&open(&folder.join("app.db")));
        let mut golden = self.golden.borrow_mut();
        if golden.is_empty() {
            *golden = end;
        } else {
            assert_eq!(end, *golden, "{place}: the second run ends elsewhere");
        }
    }
}

/// A plain run, in this process.
fn apply(folder: &Path) -> Result<migrate::Report, migrate::Error> {
    let files = migrate::discover(&folder.join("migrations"), None)?;
    migrate::Migrator::new(folder.join("app.db"), files).apply()
}

fn applying(
    name: &str,
    env: &Env,
    arguments: &'static [&'static str],
    promises: &Applying,
    work: impl Fn(&Lab, &Story<'_>),
) {
    let Some(lab) = Lab::open() else { return };
    let story = Story {
        name,
        before: env.folder.path(),
        command: &migrate(arguments),
        check: &|folder, status, place| promises.check(folder, status, place),
    };
    work(&lab, &story);
}

#[test]
fn apply_with_a_rollback_journal() {
    let (env, promises) = (populated("delete"), Applying::new(true, true));
    applying("apply, journal", &env, &[], &promises, |lab, story| {
        lab.sweep(story, &Fault::ALL);
        lab.cut_power(story, SEEDS);
    });
}

#[test]
fn apply_with_a_write_ahead_log() {
    let (env, promises) = (with_a_log(), Applying::new(true, true));
    applying("apply, log", &env, &[], &promises, |lab, story| {
        lab.sweep(story, &Fault::ALL);
        lab.cut_power(story, SEEDS);
    });
}

#[test]
fn apply_file_by_file() {
    let (env, promises) = (populated("delete"), Applying::new(false, true));
    applying(
        "apply --per-file",
        &env,
        &["--per-file"],
        &promises,
        |lab, story| {
            lab.sweep(story, &[Fault::Kill, Fault::Io]);
            lab.cut_power(story, 1);
        },
    );
}

#[test]
fn apply_to_a_new_database() {
    let env = Env::new();
    env.file(
        "1.sql",
        "CREATE TABLE a (x); CREATE TABLE c (x); INSERT INTO a VALUES (1), (2);",
    );
    pending(&env);
    let promises = Applying::new(true, false);
    applying("apply, new", &env, &[], &promises, |lab, story| {
        lab.sweep(story, &Fault::ALL);
        lab.cut_power(story, SEEDS);
    });
}

/// Puts a backup in the place of a changed database. Afterwards there is the old content or the backup's, and a second run
/// brings the backup's.
fn restoring(name: &str, env: &Env, rubble: bool, work: impl Fn(&Lab, &Story<'_>)) {
    let Some(lab) = Lab::open() else { return };
    let backup = env.migrator().backup().expect("a backup");
    let wanted = dump(&open(&backup));
    fs_err::rename(&backup, env.folder.path().join("wanted.db")).expect("a plain name");
    if rubble {
        // With a log that would bring other content back, should it survive.
        let service = env.open();
        service
            .execute_batch("PRAGMA journal_mode = WAL; DELETE FROM a")
            .expect("a log");
        let log = env.folder.path().join("app.db-wal");
        let stale = fs_err::read(&log).expect("a log");
        drop(service);
        fs_err::write(env.database(), "rubble".repeat(3000)).expect("rubble");
        fs_err::write(&log, stale).expect("a stale log");
    } else {
        env.sql("DELETE FROM a; UPDATE c SET x = zeroblob(9000)");
    }
    let old = fs_err::read(env.database()).expect("the file");
    let old_rows = if rubble {
        Vec::new()
    } else {
        dump(&env.open())
    };
    let check = |folder: &Path, status: Option<ExitStatus>, place: &str| {
        let database = folder.join("app.db");
        let is_old = if rubble {
            fs_err::read(&database).expect("there is always a file") == old
        } else {
            assert_eq!(
                text(&open(&database), "PRAGMA integrity_check"),
                "ok",
                "{place}"
            );
            dump(&open(&database)) == old_rows
        };
        let is_new = !is_old && is_sound(&database) && dump(&open(&database)) == wanted;
        assert!(
            is_old || is_new,
            "{place}: neither the old content nor the backup's"
        );
        let is_success = status.is_some_and(|status| status.success());
        assert!(
            is_new || !is_success,
            "{place}: exit 0 with the old content"
        );
        if is_new && !rubble {
            assert!(
                backups_are_sound(folder, place) > 0,
                "{place}: the old content is nowhere"
            );
        }
        let again = migrate::Migrator::new(&database, Vec::new())
            .restore(&folder.join("wanted.db"))
            .unwrap_or_else(|error| panic!("{place}: the second run: {error}"));
        assert_eq!(dump(&open(&database)), wanted, "{place}: after {again:?}");
    };
    let story = Story {
        name,
        before: env.folder.path(),
        command: &migrate(&["--restore", "wanted.db"]),
        check: &check,
    };
    work(&lab, &story);
}

#[test]
fn restore_with_a_rollback_journal() {
    restoring(
        "restore, journal",
        &populated("delete"),
        false,
        |lab, story| {
            lab.sweep(story, &Fault::ALL);
            lab.cut_power(story, SEEDS);
        },
    );
}

#[test]
fn restore_with_a_write_ahead_log() {
    restoring("restore, log", &populated("wal"), false, |lab, story| {
        lab.sweep(story, &Fault::ALL);
        lab.cut_power(story, SEEDS);
    });
}

#[test]
fn restore_over_rubble() {
    restoring(
        "restore, rubble",
        &populated("delete"),
        true,
        |lab, story| {
            lab.sweep(story, &Fault::ALL);
            lab.cut_power(story, SEEDS);
        },
    );
}
