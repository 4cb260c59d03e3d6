//! What the service does before it listens, and when it refuses to.

use serde_json::json;

use crate::support::{Setup, commit};

fn refusal(setup: &Setup) -> String {
    let (code, stdout, stderr) = setup.run(&[]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(!stdout.contains("listening on"), "{stdout}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

#[test]
fn the_log_says_what_was_applied_and_where_it_listens() {
    let setup = Setup::new();
    let first = setup.start();
    assert!(
        first.lines[0].starts_with(&format!("starting: commit {}", commit())),
        "{:?}",
        first.lines
    );
    let applied: Vec<_> = first
        .lines
        .iter()
        .filter(|line| line.starts_with("migrations: applied "))
        .collect();
    assert_eq!(applied.len(), 2, "{applied:?}");
    assert!(
        first
            .lines
            .iter()
            .any(|line| line.starts_with("listening on http://127.0.0.1:"))
    );
    drop(first);
    assert!(
        setup
            .start()
            .lines
            .iter()
            .any(|line| line == "migrations: up to date")
    );
}

#[test]
fn it_refuses_to_run_without_a_commit() {
    if option_env!("TANDEM_COMMIT").is_some_and(|commit| !commit.is_empty()) {
        return eprintln!("skipped: this build carries its commit");
    }
    assert!(refusal(&Setup::new().without("RENDER_GIT_COMMIT")).contains("git rev-parse HEAD"));
    assert!(
        refusal(&Setup::new().with("RENDER_GIT_COMMIT", "unknown"))
            .contains("RENDER_GIT_COMMIT is \"unknown\"")
    );
}

#[test]
fn it_refuses_settings_it_cannot_work_with() {
    let short = refusal(&Setup::new().with("TANDEM_ADMIN_TOKEN", "short"));
    assert!(
        short.contains("TANDEM_ADMIN_TOKEN has 5 bytes and needs at least 32"),
        "{short}"
    );
    assert!(refusal(&Setup::new().with("PORT", "http")).contains("PORT is \"http\""));
    let unmounted = refusal(&Setup::new().with("DATABASE_PATH", "/no/such/disk/t.db"));
    assert!(
        unmounted.contains("/no/such/disk is not a directory; mount the disk"),
        "{unmounted}"
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(
        refusal(&Setup::new().with("PORT", &port)).contains(&format!("listen on 127.0.0.1:{port}"))
    );
}

#[test]
fn it_refuses_a_database_that_is_none() {
    let setup = Setup::new();
    fs_err::write(
        setup.database(),
        "not a database, but long enough to be looked at ".repeat(100),
    )
    .unwrap();
    assert!(refusal(&setup).contains("migrate the database"));
}

#[test]
fn a_newer_database_is_accepted_only_when_every_newer_migration_is_compatible() {
    let setup = Setup::new();
    drop(setup.start());
    let record = |name: &str, compatible: bool| {
        let sql = "INSERT INTO migrations (filename, checksum, raw_checksum, compatible, kind) VALUES (?1, ?2, ?2, ?3, 'apply')";
        setup
            .open_database()
            .execute(sql, (name, "0".repeat(64), compatible))
            .unwrap();
    };
    record("0003_later.sql", true);
    let service = setup.start();
    assert!(service.lines.iter().any(|line| line.contains("newer than this release") && line.contains("0003_later.sql")), "{:?}", service.lines);
    assert_eq!(
        service.get("/api/version").body["schema"],
        json!({"generation": 3, "latest": "0003_later.sql"})
    );
    drop(service);
    record("0004_breaking.sql", false);
    let message = refusal(&setup);
    assert!(
        message.contains("0004_breaking.sql") && message.contains("newer"),
        "{message}"
    );
    assert!(!message.contains("0003_later.sql"), "{message}");
}

#[test]
fn demonstration_data_is_never_mixed_with_bookings() {
    let setup = Setup::new();
    let (code, stdout, stderr) = setup.run(&["seed-demo"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("bookings written"), "{stdout}");
    let before = setup.strings("SELECT CAST(count(*) AS TEXT) FROM revenue");
    let (code, _, stderr) = setup.run(&["seed-demo"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("there are bookings already"), "{stderr}");
    assert_eq!(
        setup.strings("SELECT CAST(count(*) AS TEXT) FROM revenue"),
        before
    );
}

#[test]
fn unknown_arguments_are_a_usage_error_and_touch_nothing() {
    let setup = Setup::new();
    for arguments in [
        &["serve"][..],
        &["seed-demo", "now"],
        &["--commit-unknown-ok"],
    ] {
        assert_eq!(setup.run(arguments).0, Some(2), "{arguments:?}");
    }
    let (code, stdout, _) = setup.run(&["--help"]);
    assert!(code == Some(0) && stdout.contains("DATABASE_PATH"));
    assert!(!setup.database().exists());
}
