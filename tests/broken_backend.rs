//! A new backend that does not come up, is not well, or is not the one that was released: the old one serves, and the frontend
//! of the same release is never public.

use crate::env::TestEnv;
use crate::env::cloud::Cloud;
use crate::env::normal;
use crate::env::output::Output;
use insta::assert_snapshot;
use serde_json::json;

/// Releases the behaviour together with a frontend that must not become public.
fn release(env: &TestEnv, behaviour: &str) -> Output {
    let cloud = env.cloud();
    env.write(
        "frontend/app.js",
        &format!("console.info(\"{behaviour}\");\n"),
    );
    env.change_backend(behaviour);
    cloud.forget_requests();
    env.xtask(&["deploy"])
}

/// What was live is live, healthy and recorded; nobody has published anything.
#[track_caller]
fn assert_old(env: &TestEnv, cloud: &Cloud, commit: &str) {
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (commit.to_owned(), commit.to_owned())
    );
    assert_eq!(cloud.page("/api/health").status, 200);
    let published: Vec<String> = cloud
        .netlify_writes()
        .into_iter()
        .filter(|line| line.ends_with("/restore"))
        .collect();
    assert_eq!(published, Vec::<String>::new());
    let status = env.xtask(&["status", "--json"]);
    assert_eq!(
        status.assert_exit(0).json()["drift"],
        json!([]),
        "a verified rollback is no drift"
    );
}

#[test]
fn one_that_crashes_is_rolled_back() {
    let env = TestEnv::released();
    let (cloud, live) = (env.cloud(), env.head());
    let output = release(&env, "crash");
    output
        .assert_exit(5)
        .assert_says("fatal: LEDGER_URL is not set")
        .assert_says("next: cargo xtask history");
    output.assert_says("the backend was rolled back");
    assert_old(&env, &cloud, &live);
    // The provider was asked for one deploy and one rollback.
    assert_eq!(
        cloud.render_writes().len(),
        2,
        "{:?}",
        cloud.render_writes()
    );

    let document = env.xtask(&["deploy", "--json"]).assert_exit(5).json();
    assert_eq!(
        (&document["outcome"], &document["exit_code"]),
        (&"rolled_back".into(), &5.into())
    );
    assert!(
        document["failed_step"]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("exited with code 1")),
        "{document}"
    );
    // The next good commit goes out as if nothing had been.
    env.change_backend("ok");
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), live.clone()),
        "its files are those of the live release again"
    );
}

#[test]
fn one_that_stays_unhealthy_is_rolled_back() {
    let env = TestEnv::released();
    break_database(&env);
    let (cloud, live) = (env.cloud(), env.head());
    let output = release(&env, "unhealthy");
    output
        .assert_exit(5)
        .assert_says("/api/health answered 503")
        .assert_says("no such table: revenue");
    assert_old(&env, &cloud, &live);
}

/// A database whose history says that it is migrated, without the table that health is asked of.
fn break_database(env: &TestEnv) {
    let path = env.broken_database();
    env.xtask(&[
        "migrate",
        "--database",
        path.to_str().unwrap(),
        "--dir",
        "migrations",
    ])
    .assert_exit(0);
    rusqlite::Connection::open(path)
        .unwrap()
        .execute_batch("DROP TABLE revenue")
        .unwrap();
}

#[test]
fn one_that_says_it_is_another_version_is_rolled_back() {
    let env = TestEnv::released();
    let (cloud, live) = (env.cloud(), env.head());
    let output = release(&env, "wrong-version");
    output.assert_exit(5).assert_says("but fffffff answers");
    assert_old(&env, &cloud, &live);
}

#[test]
fn one_that_cannot_be_built_leaves_the_old_process_alone() {
    let env = TestEnv::released();
    let (cloud, live) = (env.cloud(), env.head());
    let instance = cloud.status()["instance"]["id"].clone();
    let output = release(&env, "build-fails");
    output
        .assert_exit(4)
        .assert_says("cannot find function ledger in this scope");
    assert_snapshot!(normal::without_output(normal::summary(
        &output.normal_stdout()
    )));
    assert_old(&env, &cloud, &live);
    assert_eq!(cloud.status()["instance"]["id"], instance);
    assert_eq!(
        cloud.render_writes().len(),
        1,
        "{:?}",
        cloud.render_writes()
    );
}

#[test]
fn a_first_one_that_crashes_leaves_nothing_public() {
    let env = TestEnv::new();
    env.change_backend("crash");
    let output = env.xtask(&["deploy"]);
    output
        .assert_exit(5)
        .assert_says("it was the first release and nothing of it is public");
    let cloud = env.cloud();
    assert_eq!(cloud.page("/").status, 404);
    env.change_backend("ok");
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );
}

#[test]
fn one_that_fails_after_a_migration_that_the_old_one_cannot_run_on_needs_a_person() {
    let env = TestEnv::released();
    let (cloud, live) = (env.cloud(), env.head());
    env.write(
        "migrations/0003_drop_note.sql",
        "ALTER TABLE revenue DROP COLUMN note;\n",
    );
    // The engine migrates; then the service, which does not know that file, must not run on its schema.
    let output = release(&env, "migrates");
    output
        .assert_exit(9)
        .assert_says("0003_drop_note.sql")
        .assert_says("the backend was not rolled back");
    assert_eq!(cloud.site_commit(), live);
    assert_eq!(
        cloud.render_writes().len(),
        1,
        "{:?}",
        cloud.render_writes()
    );
    env.xtask(&["status"])
        .assert_exit(8)
        .assert_says("UNHEALTHY");
}

#[test]
fn one_whose_migration_fails_on_the_real_data_gives_way_to_the_old_one() {
    let env = TestEnv::released();
    let (cloud, live) = (env.cloud(), env.head());
    let path = env.state_dir().join("cloud/disk/data/shop.db");
    let twice = "INSERT INTO revenue (date, amount_minor, currency, created_at) VALUES ('2026-01-01', 5, 'EUR', 'x')";
    rusqlite::Connection::open(path)
        .unwrap()
        .execute_batch(&format!("{twice}; {twice};"))
        .unwrap();
    // An empty database with the live schema takes both; the live version cannot run without the column.
    env.write(
        "migrations/0003_once.sql",
        "ALTER TABLE revenue DROP COLUMN note;\nCREATE UNIQUE INDEX once ON revenue (date);\n",
    );
    let output = release(&env, "migrates-or-ends");
    output
        .assert_exit(5)
        .assert_says("0003_once.sql:2:38")
        .assert_says("UNIQUE constraint failed")
        .assert_says("the database is as it was")
        .assert_says("the backend was rolled back");
    assert_old(&env, &cloud, &live);
}
