//! `migrate`: through the running service, and on a file.

use crate::env::TestEnv;
use insta::assert_snapshot;
use serde_json::json;

#[test]
fn the_running_service_says_what_is_applied() {
    let env = TestEnv::released();
    assert_snapshot!(env.xtask(&["migrate"]).assert_exit(0).normal_stdout(), @"local is up to date: 2 applied");
    assert_snapshot!(env.xtask(&["migrate", "--status"]).assert_exit(0).normal_stdout(), @r"
    2 applied, 0 pending in the running service
      applied  0001_create_revenue.sql
      applied  0002_create_admin_audit.sql
    ");
    let document = env
        .xtask(&["migrate", "--status", "--json"])
        .assert_exit(0)
        .json();
    assert_eq!(
        (&document["outcome"], &document["pending"]),
        (&"up_to_date".into(), &json!([]))
    );

    // A file that the running service does not carry ships with the next deploy.
    env.write(
        "migrations/0003_create_opening_hours.sql",
        "CREATE TABLE opening_hours (day TEXT PRIMARY KEY) STRICT;\n",
    );
    let document = env.xtask(&["migrate", "--json"]).assert_exit(0).json();
    assert_eq!(
        document["ships_with_next_deploy"],
        json!(["0003_create_opening_hours.sql"])
    );
    env.xtask(&["migrate", "--rehearse"])
        .assert_exit(0)
        .assert_says("1 file(s) ran on a copy of the live schema");
    env.xtask(&["migrate", "--lint"])
        .assert_exit(0)
        .assert_says("0003_create_opening_hours.sql: safe for the live version");
    env.xtask(&["migrate", "--repair"])
        .assert_exit(2)
        .assert_says("say --database FILE");
}

#[test]
fn a_migration_that_cannot_run_stops_the_release_before_anything_changes() {
    let env = TestEnv::released();
    let (cloud, live) = (env.cloud(), env.head());
    env.write(
        "migrations/0003_mistake.sql",
        "INSERT INTO opening_hours VALUES ('monday');\n",
    );
    env.commit("Add hours");
    cloud.forget_requests();
    let output = env.xtask(&["deploy"]);
    output
        .assert_exit(4)
        .assert_says("0003_mistake.sql")
        .assert_says("no such table: opening_hours");
    assert_eq!(cloud.render_writes(), Vec::<String>::new());
    assert_eq!(cloud.service_commit(), live);
}

#[test]
fn an_edited_migration_is_refused() {
    let env = TestEnv::released();
    let cloud = env.cloud();
    let path = "migrations/0002_create_admin_audit.sql";
    let text = fs_err::read_to_string(env.root().join(path)).unwrap();
    env.write(path, &text.replace("admin_audit_by_time", "audit_by_time"));
    env.commit("Rename an index that is there");
    cloud.forget_requests();
    env.xtask(&["deploy"])
        .assert_exit(3)
        .assert_says("0002_create_admin_audit.sql was edited after it was applied");
    assert_eq!(cloud.provider_writes(), Vec::<String>::new());
}

#[test]
fn a_database_file_is_migrated_without_any_cloud() {
    let env = TestEnv::without_git();
    let path = env.beside("own.db");
    let args = [
        "migrate",
        "--database",
        path.to_str().unwrap(),
        "--dir",
        "migrations",
        "--json",
    ];
    let document = env.xtask(&args).assert_exit(0).json();
    assert_eq!(
        (&document["outcome"], &document["applied"]),
        (
            &"applied".into(),
            &json!(["0001_create_revenue.sql", "0002_create_admin_audit.sql"])
        )
    );
    assert_eq!(
        env.xtask(&args).assert_exit(0).json()["outcome"],
        "up_to_date"
    );

    env.write(
        "migrations/0003_mistake.sql",
        "CREATE TABLE one (a);\nINSERT INTO two VALUES (1);\n",
    );
    let document = env.xtask(&args).assert_exit(4).json();
    assert_eq!(
        (
            &document["outcome"],
            &document["error"]["file"],
            &document["error"]["line"]
        ),
        (&"failed".into(), &"0003_mistake.sql".into(), &2.into())
    );
    assert!(env.find_cloud().is_none());
}
