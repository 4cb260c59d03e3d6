//! Kills the runner before each of its calls that change a file, tears them, fails them, fills the disk, and cuts the power
//! after each. Whatever the point: the database is sound, what is applied is what is recorded, no file is there by half, exit
//! 0 means complete, and a plain second run reaches the same end.
#![expect(
    clippy::disallowed_methods,
    reason = "runs the real binary in the laboratory"
)]

use crate::env::{Env, dump};
use crate::lab::promises::{self, Applying, apply, backups_are_sound, open, text};
use crate::lab::{Fault, Lab, Story};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Power cuts per call besides the one after which only what was synced is there.
const SEEDS: u64 = 3;

/// A populated database and three pending files.
fn populated(mode: &str) -> Env {
    let env = Env::new();
    promises::populate(env.folder.path(), mode);
    env
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
    promises::write_files(env.folder.path(), promises::BASE);
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

fn is_sound(database: &Path) -> bool {
    let check = open(database).query_row("PRAGMA integrity_check", [], |row| row.get(0));
    check.is_ok_and(|problems: String| problems == "ok")
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
    let base = format!("{} INSERT INTO a VALUES (1), (2);", promises::BASE);
    promises::write_files(env.folder.path(), &base);
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

/// A file outside a transaction can stop half way. Then nothing is run again blindly: the second run says that a person has to
/// look, and the backup from before leads to the same end.
#[test]
fn apply_with_a_file_outside_a_transaction() {
    let Some(lab) = Lab::open() else { return };
    let env = populated("delete");
    env.file(
        "3.sql",
        "-- migrate: no-transaction\nCREATE TABLE t3 (x);\nINSERT INTO t3 SELECT x FROM a;\nVACUUM;",
    );
    let golden = RefCell::new(Vec::new());
    let check = |folder: &Path, status: Option<ExitStatus>, place: &str| {
        let database = folder.join("app.db");
        assert!(is_sound(&database), "{place}");
        backups_are_sound(folder, place);
        if let Err(error) = apply(folder) {
            assert!(
                matches!(error, migrate::Error::Unfinished { .. }),
                "{place}: {error}"
            );
            assert!(!status.is_some_and(|status| status.success()), "{place}");
            let backup = first_backup(folder);
            migrate::Migrator::new(&database, Vec::new())
                .restore(&backup)
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            apply(folder).unwrap_or_else(|error| panic!("{place}: {error}"));
        }
        let end = dump(&open(&database));
        let mut golden = golden.borrow_mut();
        if golden.is_empty() {
            *golden = end;
        } else {
            assert_eq!(end, *golden, "{place}");
        }
    };
    let story = Story {
        name: "apply, outside",
        before: env.folder.path(),
        command: &migrate(&[]),
        check: &check,
    };
    lab.sweep(&story, &[Fault::Kill]);
    lab.cut_power(&story, 1);
}

fn first_backup(folder: &Path) -> PathBuf {
    let entries = fs_err::read_dir(folder.join("app.db.backups")).expect("the backups");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "db"))
        .min()
        .expect("a backup")
}
