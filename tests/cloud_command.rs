//! `cloud up | down | status | logs | env`: the local cloud by hand, and what survives its end.

use crate::env::TestEnv;
use insta::assert_snapshot;

#[test]
fn what_was_released_outlives_the_cloud() {
    let env = TestEnv::released();
    let (site, before) = (env.cloud().site().to_owned(), env.status());
    assert_snapshot!(env.xtask(&["cloud", "down"]).assert_exit(0).normal_stdout(), @"the local cloud is stopped");
    assert!(env.find_cloud().is_none());
    assert_snapshot!(env.xtask(&["cloud", "down"]).assert_exit(0).normal_stdout(), @"the local cloud was not running");

    // Looking never starts it.
    let status = env.xtask(&["status"]);
    assert_snapshot!(status.assert_exit(3).normal_stdout(), @"local: the local cloud is not running (hint: `cargo xtask deploy` or `cargo xtask cloud up` starts it)");
    let document = env.xtask(&["status", "--json"]).assert_exit(3).json();
    assert_eq!(
        (&document["running"], &document["lanes"][0]["healthy"]),
        (&false.into(), &serde_json::Value::Null)
    );
    env.xtask(&["cloud", "status"]).assert_exit(3);
    env.xtask(&["migrate"])
        .assert_exit(3)
        .assert_says("the local cloud is not running");
    assert!(env.find_cloud().is_none());

    env.xtask(&["cloud", "up"]).assert_exit(0);
    let cloud = env.cloud();
    assert_eq!(cloud.site(), site, "it comes back where it was");
    let after = crate::env::poll("the service to be back", || {
        let status = env.status();
        (status["lanes"][1]["healthy"] == true).then_some(status)
    });
    assert_eq!(
        (&after["release"], &after["lanes"][0]),
        (&before["release"], &before["lanes"][0])
    );
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
}

#[test]
fn it_says_where_it_is() {
    let env = TestEnv::new();
    let up = env.xtask(&["cloud", "up"]);
    let cloud = env.cloud();
    up.assert_exit(0)
        .assert_says(cloud.site())
        .assert_says(cloud.service());
    let document = env
        .xtask(&["cloud", "status", "--json"])
        .assert_exit(0)
        .json();
    assert_eq!(
        (&document["site_url"], &document["running"]),
        (&cloud.site().into(), &true.into())
    );

    let exports = env.xtask(&["cloud", "env"]);
    let names: Vec<&str> = exports
        .assert_exit(0)
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .map(|(name, _)| name)
        .collect();
    let expected = [
        "NETLIFY_API_URL",
        "NETLIFY_AUTH_TOKEN",
        "NETLIFY_SITE_ID",
        "NETLIFY_SITE_NAME",
        "RENDER_HOST",
        "RENDER_API_KEY",
        "RENDER_SERVICE_ID",
        "TANDEM_ADMIN_TOKEN",
        "SITE_URL",
        "SERVICE_URL",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        env.xtask(&["cloud", "up"]).stdout,
        up.stdout,
        "a running one is not started twice"
    );
}

#[test]
fn the_log_holds_what_the_service_wrote() {
    let env = TestEnv::released();
    let logs = env.xtask(&["cloud", "logs"]);
    logs.assert_exit(0)
        .assert_says("listening on http://127.0.0.1:")
        .assert_says("migrations: applied 0001_create_revenue.sql");
    let last = env.xtask(&["cloud", "logs", "-n", "1"]);
    assert_eq!(last.assert_exit(0).stdout.lines().count(), 1, "{last}");
}
