//! `rollback`: an earlier release is live again, and is recorded as such.

use crate::env::TestEnv;
use crate::env::normal;
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
