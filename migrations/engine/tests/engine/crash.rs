//! Kills the runner before each of its writes, syncs, truncations, removals and renames in turn, and fails each of them
//! in turn. Whatever the point: the database is sound, what is applied is what is recorded, exit 0 means complete, and
//! a plain second run reaches the same end.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "runs a compiler and the real binary, and says why it skips"
)]

use crate::env::{Env, dump};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Far above what the sweep needs; a runner that suddenly syncs per statement should be noticed.
const CALLS_MAX: u32 = 400;
const EIO: &str = "5";
const ENOSPC: &str = "28";

/// Builds the shim; none where there is no C compiler.
fn shim(folder: &Path) -> Option<PathBuf> {
    let library = folder.join("shim.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/engine/crash_shim.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .status();
    if !built.is_ok_and(|status| status.success()) || !cfg!(target_env = "gnu") {
        println!("skipped: no C compiler, or a C library that cannot be preloaded");
        return None;
    }
    Some(library)
}

/// A populated database and three pending files, one of them a rebuild.
fn start(mode: &str) -> Env {
    let env = Env::new();
    env.open()
        .pragma_update(None, "journal_mode", mode)
        .expect("a mode");
    env.file("1.sql", "CREATE TABLE a (x); CREATE TABLE c (x);");
    env.apply().expect("the base");
    env.sql("INSERT INTO a VALUES (1), (2); INSERT INTO c SELECT zeroblob(3000) FROM a");
    env.file(
        "2.sql",
        "CREATE TABLE t2 (x); INSERT INTO t2 SELECT x FROM a;",
    );
    env.file("3.sql", "CREATE TABLE n (x, y); INSERT INTO n SELECT x, 3 FROM a; DROP TABLE a; ALTER TABLE n RENAME TO a; CREATE TABLE t3 (x);");
    env.file(
        "4.sql",
        "CREATE TABLE t4 (x); UPDATE c SET x = zeroblob(5000);",
    );
    env
}

fn run(env: &Env, arguments: &[&str], shim: &Path, settings: &[(&str, &str)]) -> ExitStatus {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    command
        .env_clear()
        .env("LD_PRELOAD", shim)
        .envs(settings.iter().copied());
    command
        .args(["--database", "app.db", "--json"])
        .args(arguments)
        .current_dir(env.folder.path());
    command.output().expect("the binary runs").status
}

/// The names of the files whose table is there, and of those that are recorded, beyond the first.
fn applied_and_recorded(env: &Env) -> (String, String) {
    let tables = "SELECT coalesce(group_concat(substr(name, 2), ' '), '') FROM (SELECT name FROM sqlite_schema WHERE name IN ('t2', 't3', 't4') ORDER BY name)";
    let rows = "SELECT coalesce(group_concat(substr(filename, 1, 1), ' '), '') FROM (SELECT filename FROM migrations WHERE filename > '2' ORDER BY filename)";
    (env.value(tables), env.value(rows))
}

/// A copy of an environment whose database nobody has open.
fn copy(template: &Env) -> Env {
    let env = Env::new();
    for entry in fs_err::read_dir(template.dir()).expect("the migrations") {
        let path = entry.expect("an entry").path();
        fs_err::copy(&path, env.dir().join(path.file_name().expect("a name"))).expect("a copy");
    }
    fs_err::copy(template.database(), env.database()).expect("a copy");
    env
}

/// What must hold after the run ended, however it did.
fn check(env: &Env, arguments: &[&str], status: ExitStatus, place: &str) {
    assert_eq!(env.value("PRAGMA integrity_check"), "ok", "{place}");
    let (applied, recorded) = applied_and_recorded(env);
    assert_eq!(applied, recorded, "{place}");
    assert!(
        !status.success() || recorded == "2 3 4",
        "{place}: exit 0 with {recorded}"
    );
    if arguments.is_empty() {
        assert!(
            ["", "2 3 4"].contains(&recorded.as_str()),
            "{place}: {recorded}"
        );
        let unchanged = matches!(status.code(), Some(3 | 4));
        assert!(
            !unchanged || recorded.is_empty(),
            "{place}: exit {status} with {recorded}"
        );
    }
    assert!(
        recorded.is_empty() || !env.backups().is_empty(),
        "{place}: changed without a backup"
    );
    for backup in env.backups() {
        let backup = rusqlite::Connection::open(backup).expect("a database");
        let problems: String = backup
            .query_row("PRAGMA quick_check", [], |row| row.get(0))
            .expect("a check");
        assert_eq!(problems, "ok", "{place}");
    }
}

fn sweep(mode: &str, arguments: &[&str], errno: Option<&str>) {
    let tools = Env::new();
    let Some(shim) = shim(tools.folder.path()) else {
        return;
    };
    let template = start(mode);
    let golden = copy(&template);
    let count = golden.folder.path().join("count");
    let status = run(
        &golden,
        arguments,
        &shim,
        &[("CRASH_COUNT", &count.to_string_lossy())],
    );
    assert!(status.success());
    let calls: u32 = fs_err::read_to_string(&count)
        .expect("the count")
        .parse()
        .expect("a number");
    assert!(
        (20..CALLS_MAX).contains(&calls),
        "{calls} calls that change files"
    );
    for at in 1..=calls {
        let env = copy(&template);
        let at_text = at.to_string();
        let mut settings = vec![("CRASH_AT", at_text.as_str())];
        settings.extend(errno.map(|errno| ("CRASH_ERRNO", errno)));
        let status = run(&env, arguments, &shim, &settings);
        let place = format!("{mode} {arguments:?} {errno:?} at call {at} of {calls}");
        check(&env, arguments, status, &place);
        assert!(
            run(&env, arguments, &shim, &[]).success(),
            "{place}: the second run"
        );
        assert_eq!(dump(&env.open()), dump(&golden.open()), "{place}");
    }
}

#[test]
fn killed_at_every_call() {
    sweep("delete", &[], None);
}

#[test]
fn killed_at_every_call_with_a_write_ahead_log() {
    sweep("wal", &[], None);
}

#[test]
fn killed_at_every_call_file_by_file() {
    sweep("delete", &["--per-file"], None);
}

#[test]
fn every_call_fails_once() {
    sweep("delete", &[], Some(EIO));
    sweep("wal", &[], Some(ENOSPC));
}
