//! A production environment: the local cloud addressed as if it were the providers, and a git remote that holds the shared refs.

use crate::env::TestEnv;
use crate::env::fixture;
use crate::env::origin::Origin;
use serde_json::json;
use std::path::PathBuf;

/// See [`Origin::new`].
pub(crate) fn production() -> (TestEnv, PathBuf) {
    let Origin { env, bare } = Origin::new();
    (env, bare)
}

#[test]
fn production_is_released_and_recorded_on_the_origin() {
    let (env, origin) = production();
    env.xtask(&["deploy", "--prod"])
        .assert_exit(0)
        .assert_says("to production")
        .assert_says("next: cargo xtask status --prod");
    let cloud = env.cloud();
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );
    let refs = || {
        env.git_in(
            &origin,
            &["for-each-ref", "--format=%(refname)", "refs/tandem"],
        )
    };
    assert_eq!(
        refs(),
        "refs/tandem/production/live\nrefs/tandem/production/run",
        "the lease was given back"
    );
    env.xtask(&["status", "--prod"]).assert_exit(0);
    env.xtask(&["deploy", "--prod"])
        .assert_exit(0)
        .assert_says("Nothing to do");
    env.xtask_with(&["plan", "--exit-code"], &[("TANDEM_ENV", "production")])
        .assert_exit(0);

    let document = env
        .xtask(&["migrate", "--prod", "--json"])
        .assert_exit(0)
        .json();
    assert_eq!(document["outcome"], "up_to_date");

    // The lock is on the origin, so another clone sees it.
    env.xtask(&["lock", "--prod", "take", "--reason", "stock-taking"])
        .assert_exit(0);
    assert!(refs().contains("refs/tandem/production/lease"));
    let clone = env.beside("clone");
    env.git_in(
        &env.root(),
        &[
            "clone",
            "--quiet",
            origin.to_str().unwrap(),
            clone.to_str().unwrap(),
        ],
    );
    let state = env.beside("clone-state");
    let elsewhere = [("TANDEM_STATE_DIR", state.to_str().unwrap())];
    env.start_in(&clone, &["lock", "--prod", "status"], &elsewhere)
        .wait()
        .assert_exit(0)
        .assert_says("stock-taking");
    env.change_frontend("Second");
    env.git(&["push", "--quiet", "origin", "main"]);
    env.xtask(&["deploy", "--prod"])
        .assert_exit(3)
        .assert_says("stock-taking");
    env.xtask(&["lock", "--prod", "release"]).assert_exit(0);
    env.xtask(&["deploy", "--prod"]).assert_exit(0);
    env.xtask(&["rollback", "--prod"]).assert_exit(0);
    let log = env.git_in(
        &origin,
        &["log", "--format=%s", "refs/tandem/production/live"],
    );
    assert_eq!(log.lines().count(), 3, "{log}");
}

#[test]
fn pending_migrations_are_applied_by_the_running_service() {
    let (env, _origin) = production();
    env.xtask(&["deploy", "--prod"]).assert_exit(0);
    // What the service carries and has not applied: its newest migration is taken out of the database by hand.
    let newest = fixture::migrations().pop().unwrap();
    let newest = newest.file_name().unwrap().to_str().unwrap();
    let database =
        rusqlite::Connection::open(env.state_dir().join("cloud/disk/data/shop.db")).unwrap();
    database.execute_batch("INSERT INTO revenue (date, amount_minor, currency, created_at) VALUES ('2026-01-02', 100, 'EUR', '2026-01-02T00:00:00Z')").unwrap();
    database.execute_batch("DROP TABLE admin_audit").unwrap();
    database
        .execute("DELETE FROM migrations WHERE filename = ?1", [newest])
        .unwrap();
    drop(database);

    let document = env
        .xtask(&["migrate", "--prod", "--status", "--json"])
        .assert_exit(0)
        .json();
    assert_eq!(
        (&document["outcome"], &document["pending"]),
        (&"pending".into(), &json!([newest]))
    );
    env.xtask(&["migrate", "--prod", "--rehearse"])
        .assert_exit(0)
        .assert_says("1 file(s) ran on a copy of the live schema");
    let document = env
        .xtask(&["migrate", "--prod", "--json"])
        .assert_exit(0)
        .json();
    assert_eq!(
        (&document["outcome"], &document["applied"]),
        (&"applied".into(), &json!([newest]))
    );
    assert!(document["backup"].is_string(), "{document}");
    assert_eq!(
        env.xtask(&["migrate", "--prod", "--json"])
            .assert_exit(0)
            .json()["outcome"],
        "up_to_date"
    );
}

#[test]
fn pending_migrations_are_rehearsed_on_fetched_data() {
    let (env, _origin) = production();
    env.xtask(&["deploy", "--prod"]).assert_exit(0);
    let live = env.state_dir().join("cloud/disk/data/shop.db");
    let database = rusqlite::Connection::open(&live).unwrap();
    database.execute_batch("INSERT INTO revenue (date, amount_minor, currency, created_at) VALUES ('2026-01-02', 100, 'EUR', '2026-01-02T00:00:00Z')").unwrap();
    // The command of this test copies the file alone, so the row has to be in it.
    database
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(database);
    let seen = env.beside("environment-of-the-command");
    let config = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    let fetching = |source: &str| {
        let table = format!(
            "\n[backend.rehearse]\nsource = \"\"\"{source}\"\"\"\n\n[environments.production]"
        );
        env.write(
            "deploy.toml",
            &config.replacen("\n[environments.production]", &table, 1),
        );
    };
    let release = |change: &str| {
        env.commit(change);
        env.git(&["push", "--quiet", "origin", "main"]);
    };
    fetching(&format!(
        "env > {}; cp {} $REHEARSAL_DATABASE",
        seen.display(),
        live.display()
    ));
    // Fine on the live schema; the row that is there does not fit.
    let file = "migrations/0003_demand_more.sql";
    env.write(
        file,
        "ALTER TABLE revenue ADD CONSTRAINT much CHECK (amount_minor > 1000);\n",
    );
    release("Demand more");
    let cloud = env.cloud();
    cloud.forget_requests();
    env.xtask(&["deploy", "--prod"])
        .assert_exit(4)
        .assert_says("0003_demand_more.sql:1:1: constraint failed");
    assert_eq!(cloud.render_writes(), Vec::<String>::new());
    env.xtask(&["migrate", "--prod", "--rehearse"])
        .assert_exit(4)
        .assert_says("0003_demand_more.sql:1:1: constraint failed");
    let environment = fs_err::read_to_string(&seen).unwrap();
    for name in ["NETLIFY_AUTH_TOKEN", "RENDER_API_KEY", "TANDEM_ADMIN_TOKEN"] {
        assert!(!environment.contains(name), "{name} was there");
    }

    env.write(
        file,
        "ALTER TABLE revenue ADD CONSTRAINT some CHECK (amount_minor > 10);\n",
    );
    release("Demand less");
    env.xtask(&["migrate", "--prod", "--rehearse"])
        .assert_exit(0)
        .assert_says("1 file(s) ran on a copy of the live data, ");
    fetching("exit 7");
    release("A source that fails");
    env.xtask(&["deploy", "--prod"])
        .assert_exit(4)
        .assert_says("fetching the live data to rehearse on failed with exit code 7");
    fetching("echo no database > $REHEARSAL_DATABASE");
    env.xtask(&["migrate", "--prod", "--rehearse"])
        .assert_exit(4)
        .assert_says("left no SQLite database at $REHEARSAL_DATABASE");
}

#[test]
fn only_a_clean_commit_goes_to_production() {
    let (env, _origin) = production();
    let cloud = env.cloud();
    env.write(
        "frontend/about.html",
        "<!doctype html>\n<title>Draft</title>\n",
    );
    cloud.forget_requests();
    env.xtask(&["deploy", "--prod"])
        .assert_exit(3)
        .assert_says("1 uncommitted change(s): frontend/about.html");
    assert_eq!(cloud.provider_writes(), Vec::<String>::new());
}

#[test]
fn a_wrong_or_missing_credential_is_named() {
    let (env, _origin) = production();
    let wrong = format!("{}{}", "nfp_", "0".repeat(36));
    let output = env.xtask_with(&["deploy", "--prod"], &[("NETLIFY_AUTH_TOKEN", &wrong)]);
    output
        .assert_exit(3)
        .assert_says("NETLIFY_AUTH_TOKEN was not accepted")
        .assert_silent_about(&wrong);
    let key = format!("{}{}", "rnd_", "0".repeat(28));
    let output = env.xtask_with(&["deploy", "--prod"], &[("RENDER_API_KEY", &key)]);
    output
        .assert_exit(3)
        .assert_says("RENDER_API_KEY was not accepted")
        .assert_silent_about(&key);
    let output = env.xtask_with(
        &["deploy", "--prod", "--json"],
        &[("RENDER_API_KEY", ""), ("NETLIFY_AUTH_TOKEN", "")],
    );
    let document = output.assert_exit(3).json();
    assert_eq!(document["outcome"], "refused");
    output
        .assert_says("NETLIFY_AUTH_TOKEN")
        .assert_says("RENDER_API_KEY");
    let output = env.xtask_with(
        &["deploy", "--prod"],
        &[("RENDER_SERVICE_ID", "srv-00000000000000000000")],
    );
    output.assert_exit(3).assert_says("RENDER_SERVICE_ID");
}

#[test]
fn without_an_origin_production_is_refused() {
    let (env, _origin) = production();
    env.git(&["remote", "remove", "origin"]);
    let cloud = env.cloud();
    cloud.forget_requests();
    env.xtask(&["deploy", "--prod"])
        .assert_exit(3)
        .assert_says("origin");
    assert_eq!(cloud.provider_writes(), Vec::<String>::new());
}
