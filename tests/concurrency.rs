//! Two runs at the same time: one of them waits, or is refused.

use crate::env::TestEnv;
use crate::env::running::Gate;

#[test]
fn a_second_deploy_is_refused_or_waits_for_the_first() {
    let env = TestEnv::new();
    let gate = Gate::new(&env, "check");
    let first = env.start_with(&["deploy"], &gate.vars());
    gate.wait_until_started();

    let refused = env.xtask(&["deploy"]);
    refused
        .assert_exit(3)
        .assert_says("holds the lease since")
        .assert_says("--wait-lock SECS");
    let document = env.xtask(&["deploy", "--json"]).assert_exit(3).json();
    assert_eq!(
        (&document["outcome"], &document["exit_code"]),
        (&"refused".into(), &3.into())
    );
    env.xtask(&["lock", "status"])
        .assert_exit(0)
        .assert_says("local is locked");

    let waiting = env.start_with(&["deploy", "--wait-lock", "120"], &[]);
    // It is not refused: the run that it waits for is let go only now.
    crate::env::poll("the second run to begin", || {
        waiting.stderr_so_far().contains("preflight").then_some(())
    });
    gate.open();
    first.wait().assert_exit(0);
    waiting.wait().assert_exit(0);
    let cloud = env.cloud();
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );
    assert_eq!(
        cloud.service_deploys().len(),
        1,
        "the second run found everything done"
    );
    env.xtask(&["lock", "status"])
        .assert_exit(0)
        .assert_says("local is not locked");
}

#[test]
fn a_lock_taken_by_hand_keeps_everybody_out() {
    let env = TestEnv::released();
    env.change_frontend("Later");
    env.xtask(&["lock", "take", "--reason", "stock-taking"])
        .assert_exit(0);
    env.xtask(&["deploy"])
        .assert_exit(3)
        .assert_says("locked by hand: stock-taking");
    env.xtask(&["rollback"]).assert_exit(3);
    env.xtask(&["lock", "take", "--reason", "again"])
        .assert_exit(3);
    insta::assert_snapshot!(env.xtask(&["lock", "status"]).assert_exit(0).normal_stdout().split(" on ").next().unwrap_or_default(), @"local is locked: run RUN holds the lease since INSTANT: tester");
    env.xtask(&["lock", "release"]).assert_exit(0);
    env.xtask(&["deploy"]).assert_exit(0);
    env.xtask(&["lock", "release"])
        .assert_exit(0)
        .assert_says("was not locked");
}

#[test]
fn a_run_whose_lock_was_broken_changes_nothing_more() {
    let env = TestEnv::released();
    let (cloud, old) = (env.cloud(), env.head());
    env.change_frontend("Second");
    env.change_backend("ok ");
    let gate = Gate::new(&env, "check");
    let first = env.start_with(&["deploy"], &gate.vars());
    gate.wait_until_started();

    let second = env.xtask(&[
        "deploy",
        "--only",
        "frontend",
        "--break-glass",
        "the first one hangs",
    ]);
    second.assert_exit(0);
    env.xtask(&["show"])
        .assert_exit(0)
        .assert_says("lease overridden: the first one hangs");
    cloud.forget_requests();
    gate.open();
    first
        .wait()
        .assert_exit(7)
        .assert_says("the lease was lost");
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), old)
    );
    assert_eq!(cloud.render_writes(), Vec::<String>::new());
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(cloud.service_commit(), env.head());
}

#[test]
fn two_first_deploys_share_one_cloud() {
    let env = TestEnv::new();
    let start = || env.start_with(&["deploy", "--wait-lock", "120"], &[]);
    let runs = [start(), start()];
    for run in runs {
        run.wait().assert_exit(0);
    }
    let cloud = env.cloud();
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );
    assert_eq!(cloud.service_deploys().len(), 1);
}
