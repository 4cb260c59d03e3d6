//! `rollback`: an earlier release is live again, and is recorded as such.

use crate::env::TestEnv;
use crate::env::normal;
use crate::env::poll;
use insta::assert_snapshot;

#[test]
fn the_release_before_comes_back_and_so_does_the_newer_one() {
    let env = TestEnv::released();
    let (cloud, first) = (env.cloud(), env.head());
    let first_release = env.status()["release"].as_str().unwrap().to_owned();
    env.change_backend("ok ");
    env.change_frontend("Second");
    env.xtask(&["deploy"]).assert_exit(0);

    let alone = env.xtask(&["rollback", "--only", "backend"]);
    alone
        .assert_exit(3)
        .assert_says("would leave a newer frontend on an older backend");
    let output = env.xtask(&["rollback"]);
    output.assert_exit(0);
    assert_snapshot!(normal::summary(&output.normal_stdout()));
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (first.clone(), first.clone())
    );
    let status = env.xtask(&["status", "--json"]);
    assert_eq!(status.assert_exit(0).json()["release"], first_release);
    env.xtask(&["rollback"])
        .assert_exit(3)
        .assert_says("there is no earlier release to go back to");

    // The newer commit is still checked out: deploying brings it back.
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );

    let document = env
        .xtask(&["rollback", "--to", &first_release, "--json"])
        .assert_exit(0)
        .json();
    assert_eq!(
        (&document["outcome"], &document["release"]),
        (&"released".into(), &first_release.clone().into())
    );
    env.xtask(&["rollback", "--to", &first_release])
        .assert_exit(0)
        .assert_says("nothing to do");
    env.xtask(&["rollback", "--to", "1999"])
        .assert_exit(3)
        .assert_says("no release begins with '1999'");
    env.xtask(&["status"]).assert_exit(0);
}

#[test]
fn the_frontend_alone_may_go_back() {
    let env = TestEnv::released();
    let (cloud, first) = (env.cloud(), env.head());
    env.change_backend("ok ");
    env.change_frontend("Second");
    env.xtask(&["deploy"]).assert_exit(0);
    cloud.forget_requests();
    env.xtask(&["rollback", "--only", "frontend"])
        .assert_exit(0);
    assert_eq!(cloud.render_writes(), Vec::<String>::new());
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (first, env.head())
    );
    env.xtask(&["status"]).assert_exit(0);
}

#[test]
fn releases_can_be_counted_back_from_the_live_one() {
    let env = TestEnv::released();
    let first = env.head();
    for text in ["Second", "Third"] {
        env.change_frontend(text);
        env.xtask(&["deploy"]).assert_exit(0);
    }
    let cloud = env.cloud();
    for (wrong, why) in [
        (
            "~3",
            "there is no release ~3 to go back to: 2 came before the live one",
        ),
        (
            "~0",
            "'~0' names no release (hint: ~1 is the one before the live one",
        ),
        ("~x", "'~x' names no release"),
    ] {
        env.xtask(&["rollback", "--to", wrong])
            .assert_exit(3)
            .assert_says(why);
    }
    env.xtask(&["rollback", "--to", "~2"]).assert_exit(0);
    assert_eq!(cloud.site_commit(), first);
}

#[test]
fn a_rollback_waits_for_the_lock_as_long_as_it_is_told() {
    let env = TestEnv::released();
    let (cloud, first) = (env.cloud(), env.head());
    env.change_frontend("Second");
    env.xtask(&["deploy"]).assert_exit(0);
    env.xtask(&["lock", "take", "--reason", "a look at something"])
        .assert_exit(0);
    env.xtask(&["rollback"])
        .assert_exit(3)
        .assert_says("a look at something");
    let waiting = env.start_with(&["rollback", "--wait-lock", "120", "--log", "ndjson"], &[]);
    poll("the rollback to wait", || {
        waiting
            .stderr_so_far()
            .contains("waits for run")
            .then_some(())
    });
    env.xtask(&["lock", "release"]).assert_exit(0);
    waiting.wait().assert_exit(0);
    assert_eq!(cloud.site_commit(), first);
}
