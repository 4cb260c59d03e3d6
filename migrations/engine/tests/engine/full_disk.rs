//! A disk of a few megabytes: what does not fit is refused before it begins and says what it needs, a disk that fills up on the
//! way changes nothing, and backups take no more than their share.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "runs the real binary on a disk of its own, and says why it skips"
)]

use crate::env::Env;
use std::process::{Command, Output};

/// Runs a script in which the folder `disk` is a file system of this many megabytes, seen by nobody else; none where an
/// ordinary user may not make one.
fn on_disk(env: &Env, megabytes: u32, script: &str) -> Option<Output> {
    let disk = env.folder.path().join("disk");
    fs_err::create_dir_all(&disk).expect("a folder");
    let mount = format!("mount -t tmpfs -o size={megabytes}m none disk");
    let run = |script: &str| {
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-euc", script])
            .env("MIGRATE", env!("CARGO_BIN_EXE_migrate"))
            .current_dir(env.folder.path())
            .output()
    };
    if !run(&mount).is_ok_and(|tried| tried.status.success()) {
        println!("skipped: no file system can be mounted here");
        return None;
    }
    Some(run(&format!("{mount}; {script}")).expect("the shell runs"))
}

/// A database of about two megabytes, and a file that is pending.
fn two_megabytes() -> Env {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);");
    env.apply().expect("the base");
    env.sql("INSERT INTO a VALUES (zeroblob(2000000))");
    env.file("2.sql", "CREATE TABLE b (x);");
    env
}

const MIGRATE: &str = "cp app.db disk/app.db; status=0; $MIGRATE --database disk/app.db || status=$?; ls disk; exit $status";

#[test]
fn what_does_not_fit_is_refused_with_what_it_needs() {
    let env = two_megabytes();
    let Some(output) = on_disk(&env, 6, MIGRATE) else {
        return;
    };
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "app.db\napp.db.backups\n"
    );
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stderr), @r"
    the database is as it was
    error: 5.1 MB of free space are needed beside disk/app.db, and there are 4.3 MB: 2.5 times its size: a backup, a copy to rehearse on, and room for the migration
    hint: free 0.8 MB on this disk, for instance by moving old backups out of disk/app.db.backups, and run it again; nothing was changed
    ");
    let output = on_disk(&env, 8, MIGRATE).expect("as before");
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_disk_that_fills_up_on_the_way_changes_nothing() {
    let env = two_megabytes();
    env.file(
        "2.sql",
        "CREATE TABLE b (x);\nINSERT INTO b VALUES (zeroblob(3000000));",
    );
    let script = MIGRATE.replace(
        "exit $status",
        "$MIGRATE --database disk/app.db --status; exit $status",
    );
    let Some(output) = on_disk(&env, 8, &script) else {
        return;
    };
    assert_eq!(output.status.code(), Some(4));
    let (said, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(said.ends_with("1 applied, 1 pending\n"), "{said}");
    assert!(
        error.contains("database or disk is full\nhint: the disk is full: free space"),
        "{error}"
    );
}

#[test]
fn backups_take_a_quarter_of_the_disk() {
    let env = two_megabytes();
    for n in 3..=6 {
        env.file(&format!("{n}.sql"), format!("CREATE TABLE t{n} (x);"));
    }
    // File by file, as releases come.
    let script = "cp app.db disk/app.db; mkdir disk/m; for n in 1 2 3 4 5 6; do cp migrations/$n.sql disk/m; $MIGRATE --database disk/app.db --dir disk/m; done; ls disk/app.db.backups";
    let kept = |megabytes| {
        let output = on_disk(&env, megabytes, script)?;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Some(said.lines().filter(|line| line.ends_with(".db")).count())
    };
    let Some(small) = kept(20) else { return };
    // A quarter of them is 5 MB and 9 MB: two backups and four of them.
    assert_eq!((small, kept(36)), (2, Some(4)));
}
