//! A release must not lead back by accident: an older commit is refused, whatever the checkout knows of the history.

use crate::env::origin::Origin;

/// Two commits of the origin, the second one live. Gives the first one.
fn two_released() -> (Origin, String) {
    let origin = Origin::released();
    let first = origin.env.head();
    origin.env.change_frontend("Second");
    origin.push();
    origin.deploy(&[]).assert_exit(0);
    (origin, first)
}

#[test]
fn a_clone_that_is_behind_does_not_release_the_older_commit() {
    let (origin, first) = two_released();
    let env = &origin.env;
    let behind = origin.clone("behind", &[]);
    env.git_in(&behind.folder, &["reset", "--quiet", "--hard", &first]);
    // It has not even got the newer commit, in one case with its own history cut off as well.
    env.git_in(&origin.bare, &["branch", "old", &first]);
    let shallow = origin.clone("shallow", &["--depth=1", "--single-branch", "--branch=old"]);
    let cloud = env.cloud();
    cloud.forget_requests();
    let live = origin.live();
    for clone in [&behind, &shallow] {
        for args in [
            &["deploy", "--prod"][..],
            &["deploy", "--prod", "--force"],
            &["deploy", "--prod", "--wait-lock", "5"],
        ] {
            clone
                .xtask(args)
                .assert_exit(10)
                .assert_says("is live and contains")
                .assert_says("--anyway REASON");
        }
    }
    assert_eq!(cloud.provider_writes(), Vec::<String>::new());
    assert_eq!(origin.live(), live);
    shallow
        .xtask(&["deploy", "--prod", "--anyway", "the second one is wrong"])
        .assert_exit(0);
    assert_eq!(cloud.site_commit(), first);
}

#[test]
fn a_newer_commit_in_a_shallow_clone_is_released() {
    let (origin, _) = two_released();
    origin.env.change_frontend("Third");
    origin.push();
    let shallow = origin.clone("shallow", &["--depth=1"]);
    shallow.xtask(&["deploy", "--prod"]).assert_exit(0);
    assert_eq!(origin.env.cloud().site_commit(), origin.env.head());
}

#[test]
fn what_became_live_while_the_lock_was_waited_for_counts() {
    let (origin, first) = two_released();
    let env = &origin.env;
    env.git_in(&origin.bare, &["branch", "old", &first]);
    let old = origin.clone("old", &["--depth=1", "--branch=old"]);
    let gate = crate::env::running::Gate::new(env, "check");
    env.change_backend("ok ");
    origin.push();
    let third = env.start_with(&["deploy", "--prod"], &gate.vars());
    gate.wait_until_started();
    let waiting = old.start(&[
        "deploy",
        "--prod",
        "--wait-lock",
        "120",
        "--only",
        "backend",
        "--force",
    ]);
    crate::env::poll("the second run to wait", || {
        waiting.stderr_so_far().contains("preflight").then_some(())
    });
    gate.open();
    third.wait().assert_exit(0);
    waiting.wait().assert_exit(10);
    assert_eq!(env.cloud().service_commit(), env.head());
}

#[test]
fn a_commit_that_a_force_push_removed_is_no_obstacle_for_ever() {
    let (origin, first) = two_released();
    let env = &origin.env;
    // The second commit is gone everywhere but in the clone that released it.
    env.git_in(&origin.bare, &["update-ref", "refs/heads/main", &first]);
    env.git_in(&origin.bare, &["reflog", "expire", "--expire=now", "--all"]);
    env.git_in(&origin.bare, &["gc", "--quiet", "--prune=now"]);
    let fresh = origin.clone("fresh", &[]);
    fresh
        .xtask(&["deploy", "--prod"])
        .assert_exit(0)
        .assert_says("the remote has that commit no more");
    assert_eq!(env.cloud().site_commit(), first);
}
