//! Six runners at once, in one process and in six: every one succeeds and nothing is applied twice.

use crate::env::Env;
use migrate::{Event, Phase};
use std::process::{Command, Stdio};

/// Enough for several to be in every phase at once.
const RUNNERS: usize = 6;
const FILES: usize = 20;

fn race(env: &Env, prepare: impl Fn(migrate::Migrator) -> migrate::Migrator + Sync) -> Vec<usize> {
    let (prepare, barrier) = (&prepare, &std::sync::Barrier::new(RUNNERS));
    std::thread::scope(|scope| {
        let runners: Vec<_> = (0..RUNNERS)
            .map(|_| {
                scope.spawn(move || {
                    let migrator = prepare(env.migrator());
                    barrier.wait();
                    migrator
                        .apply()
                        .map(|report| report.applied.len())
                        .expect("every runner succeeds")
                })
            })
            .collect();
        runners
            .into_iter()
            .map(|runner| runner.join().expect("no panic"))
            .collect()
    })
}

fn filled() -> Env {
    let env = Env::new();
    env.file("0000.sql", "CREATE TABLE log (n INTEGER);");
    for n in 1..FILES {
        env.file(
            &format!("{n:04}.sql"),
            format!("INSERT INTO log VALUES ({n});"),
        );
    }
    env
}

fn check(env: &Env, applied: &[usize]) {
    assert_eq!(applied.iter().sum::<usize>(), FILES, "{applied:?}");
    assert_eq!(
        env.value("SELECT count(*) || '/' || count(DISTINCT n) FROM log"),
        "19/19"
    );
    assert_eq!(env.value("SELECT count(*) FROM migrations"), "20");
}

#[test]
fn one_transaction_for_all() {
    for mode in ["delete", "wal"] {
        let env = filled();
        env.open()
            .pragma_update(None, "journal_mode", mode)
            .expect("a mode");
        let applied = race(&env, |migrator| migrator);
        check(&env, &applied);
    }
}

#[test]
fn one_transaction_per_file() {
    let env = filled();
    let applied = race(&env, |migrator| migrator.per_file(true));
    check(&env, &applied);
}

#[test]
fn a_populated_database_is_backed_up_once() {
    let env = filled();
    env.sql("CREATE TABLE own (x); INSERT INTO own VALUES (1)");
    let applied = race(&env, |migrator| migrator);
    check(&env, &applied);
    assert_eq!(env.backups().len(), 1);
}

#[test]
fn a_file_outside_a_transaction_is_waited_for() {
    let env = filled();
    env.file("0007b.sql", "-- migrate: no-transaction\nVACUUM;");
    let applied = race(&env, |migrator| migrator);
    assert_eq!(applied.iter().sum::<usize>(), FILES + 1, "{applied:?}");
    assert_eq!(
        env.value("SELECT count(*) || '/' || count(DISTINCT n) FROM log"),
        "19/19"
    );
}

/// Processes rather than threads: locks on files belong to processes.
#[expect(
    clippy::disallowed_methods,
    reason = "starts the real binary six times at once"
)]
#[test]
fn sixty_of_sixty_processes_succeed() {
    for round in 0..10 {
        let env = filled();
        let arguments: &[&str] = if round % 3 == 2 { &["--per-file"] } else { &[] };
        // From nothing, where all of them make the database at once; and with rows and with a log, where the first one
        // makes a backup.
        if round % 2 == 1 {
            env.sql("PRAGMA journal_mode = WAL; CREATE TABLE own (x); INSERT INTO own VALUES (1)");
        }
        if round == 9 {
            env.file("0007b.sql", "-- migrate: no-transaction\nREINDEX;");
        }
        let start = || {
            Command::new(env!("CARGO_BIN_EXE_migrate"))
                .env_clear()
                .args(["--database", "app.db", "--json"])
                .args(arguments)
                .current_dir(env.folder.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the binary runs")
        };
        let runners: Vec<_> = (0..RUNNERS).map(|_| start()).collect();
        let mut applied = 0;
        for runner in runners {
            let output = runner.wait_with_output().expect("it ends");
            let answer = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "round {round}: {answer}");
            let answer: serde_json::Value = serde_json::from_str(&answer).expect("one document");
            applied += answer["applied"].as_array().expect("a list").len();
        }
        let expected = FILES + usize::from(round == 9);
        assert_eq!(applied, expected, "round {round}");
        assert_eq!(
            env.value("SELECT count(*) || '/' || count(DISTINCT n) FROM log"),
            "19/19",
            "round {round}"
        );
        assert_eq!(
            env.value("SELECT count(*) FROM migrations"),
            expected.to_string()
        );
        // File by file another runner may go on, and finds rows then.
        if arguments.is_empty() && round != 9 {
            assert_eq!(env.backups().len(), round % 2, "round {round}");
        }
    }
}

/// Had this process opened the database file a second time and closed it again, its locks would be gone by now: they belong
/// to the process, not to the handle.
#[expect(
    clippy::disallowed_methods,
    reason = "only another process can see whether the lock is there"
)]
#[test]
fn the_lock_holds_from_the_backup_to_the_commit() {
    for mode in ["delete", "wal"] {
        let env = filled();
        env.open()
            .pragma_update(None, "journal_mode", mode)
            .expect("a mode");
        env.sql("CREATE TABLE own (x); INSERT INTO own VALUES (1)");
        let (folder, asked) = (
            env.folder.path().to_owned(),
            std::sync::Mutex::new(Vec::new()),
        );
        let asked = std::sync::Arc::new(asked);
        let answers = std::sync::Arc::clone(&asked);
        let migrator = env.migrator().on_event(move |event| {
            let is_moment = matches!(&event, Event::BackedUp { .. })
                || matches!(&event, Event::Ran { phase: Phase::Apply, file, .. } if file == "0019.sql");
            if is_moment {
                let other = Command::new(env!("CARGO_BIN_EXE_migrate"))
                    .env_clear()
                    .args(["--database", "app.db", "--timeout", "0"])
                    .current_dir(&folder)
                    .output()
                    .expect("the binary runs");
                let said = String::from_utf8_lossy(&other.stderr).into_owned();
                answers
                    .lock()
                    .expect("answers")
                    .push((other.status.code(), said));
            }
        });
        migrator.apply().expect("applied");
        let asked = asked.lock().expect("answers");
        assert_eq!(asked.len(), 2);
        for (code, said) in asked.iter() {
            assert_eq!(*code, Some(3), "{mode}: {said}");
            assert!(said.contains("stayed locked by another process"), "{said}");
        }
    }
}
