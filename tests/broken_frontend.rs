//! A frontend that cannot be published or proven: the old one is public, the new backend stays, and `--resume` goes on.

use crate::env::TestEnv;
use crate::env::cloud::Cloud;
use serde_json::json;

/// Both halves changed, nothing released yet.
fn changed() -> TestEnv {
    let env = TestEnv::released();
    env.change_backend("ok ");
    env.change_frontend("The new page");
    env
}

/// The provider answers every wish to publish with a definite no.
fn refuse_to_publish(cloud: &Cloud) {
    let body = json!({ "message": "publishing is off" }).to_string();
    cloud.add_fault(&json!({ "method": "POST", "path": "/api/v1/sites/*/deploys/*/restore", "count": 0, "kind": "status", "status": 422, "body": body }));
}

#[test]
fn a_publish_that_cannot_be_verified_is_taken_back_and_resumed() {
    let env = changed();
    let (cloud, old) = (env.cloud(), env.git(&["rev-parse", "HEAD~2"]));
    let published = cloud.status()["published_deploy"].clone();
    // The first look at the file is the draft's; the public one never answers well, which takes its whole time to find out.
    cloud.add_fault(&json!({ "door": "site", "path": "/app.js", "nth": 2, "count": 0, "kind": "status", "status": 404, "body": "not here" }));
    let output = env.xtask(&["deploy"]);
    output
        .assert_exit(6)
        .assert_says("does not serve app.js as it was sent")
        .assert_says("next: cargo xtask deploy --resume");
    assert_eq!(
        cloud.status()["published_deploy"],
        published,
        "the old deploy was restored"
    );
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (old, env.head())
    );

    cloud.clear_faults();
    cloud.forget_requests();
    env.xtask(&["deploy", "--resume"]).assert_exit(0);
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );
    assert_eq!(cloud.render_writes(), Vec::<String>::new());
}

#[test]
fn a_publish_that_is_refused_leaves_the_old_page_on_the_new_backend_and_resumes() {
    let env = changed();
    let (cloud, old) = (env.cloud(), env.git(&["rev-parse", "HEAD~2"]));
    refuse_to_publish(&cloud);
    let output = env.xtask(&["deploy"]);
    output
        .assert_exit(6)
        .assert_says("publishing is off")
        .assert_says("next: cargo xtask deploy --resume");
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (old, env.head())
    );
    let status = env.xtask(&["status"]);
    status.assert_exit(6).assert_says("drift: backend");

    cloud.clear_faults();
    cloud.forget_requests();
    let resumed = env.xtask(&["deploy", "--resume"]);
    resumed.assert_exit(0);
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );
    assert_eq!(
        cloud.render_writes(),
        Vec::<String>::new(),
        "the backend is live already"
    );
    env.xtask(&["status"]).assert_exit(0);
    env.xtask(&["deploy", "--resume"])
        .assert_exit(2)
        .assert_says("no run to resume");
}

#[test]
fn a_run_that_failed_half_way_can_be_undone_instead() {
    let env = changed();
    let (cloud, old) = (env.cloud(), env.git(&["rev-parse", "HEAD~2"]));
    refuse_to_publish(&cloud);
    env.xtask(&["deploy"]).assert_exit(6);
    cloud.clear_faults();
    env.xtask(&["deploy", "--abort"])
        .assert_exit(5)
        .assert_says("was aborted");
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (old.clone(), old)
    );
    env.xtask(&["status"]).assert_exit(0);
}

#[test]
fn a_project_may_want_both_halves_back() {
    let env = TestEnv::released();
    let cloud = env.cloud();
    let text = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    env.write(
        "deploy.toml",
        &format!("{text}\n[environments.local]\non_frontend_failure = \"rollback\"\n"),
    );
    let old = env.head();
    env.change_backend("ok ");
    env.change_frontend("The new page");
    refuse_to_publish(&cloud);
    env.xtask(&["deploy"])
        .assert_exit(5)
        .assert_says("publishing is off");
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (old.clone(), old)
    );
    env.xtask(&["status"]).assert_exit(0);
}
