//! Six runners at once, each with its own connections: every one succeeds and nothing is applied twice.

use crate::env::Env;

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
