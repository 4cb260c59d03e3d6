//! A failing check keeps everything as it is.

use crate::env::TestEnv;
use crate::env::normal;
use insta::assert_snapshot;

#[test]
fn a_failing_check_changes_nothing_and_takes_the_draft_away() {
    let env = TestEnv::released();
    let (cloud, live) = (env.cloud(), env.head());
    let published = cloud.status()["published_deploy"].clone();
    env.change_frontend("Everything is free");
    env.change_backend("ok ");
    cloud.forget_requests();

    let output = env.xtask_with(&["deploy"], &[("CHECK", "fail")]);
    output
        .assert_exit(4)
        .assert_says("test totals_add_up failed: 3 is not 4");
    assert_snapshot!(normal::summary(&output.normal_stdout()));
    output.assert_says("next: cargo xtask history");
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (live.clone(), live.clone())
    );
    assert_eq!(cloud.status()["published_deploy"], published);
    assert_eq!(cloud.render_writes(), Vec::<String>::new());
    let drafts: Vec<_> = cloud
        .site_deploys()
        .into_iter()
        .filter(|deploy| deploy["id"] != published)
        .collect();
    assert_eq!(drafts.len(), 1, "{drafts:?}");
    let cancelled = format!(
        "POST /api/v1/deploys/{}/cancel",
        drafts[0]["id"].as_str().unwrap()
    );
    assert!(
        cloud.netlify_writes().contains(&cancelled),
        "{cancelled} in {:?}",
        cloud.netlify_writes()
    );
    assert_eq!(env.status()["drift"], serde_json::json!([]));

    let told = cloud
        .slack()
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .to_string();
    for part in ["warning", "unit tests", "cargo xtask history"] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }

    let output = env.xtask_with(&["deploy", "--json"], &[("CHECK", "fail")]);
    let document = output.assert_exit(4).json();
    assert_eq!(
        (&document["outcome"], &document["exit_code"]),
        (&"failed_unchanged".into(), &4.into())
    );
    assert_eq!(document["failed_step"]["step"], "checks");

    // Nothing has to be cleaned up before the next attempt.
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );
}

#[test]
fn a_failing_check_before_the_first_release_leaves_nothing_public() {
    let env = TestEnv::new();
    env.xtask_with(&["deploy"], &[("CHECK", "fail")])
        .assert_exit(4);
    let cloud = env.cloud();
    assert_eq!(cloud.page("/").status, 404);
    assert_eq!(cloud.service_deploys().len(), 0);
    let status = env.xtask(&["status"]);
    assert_snapshot!(status.assert_exit(0).normal_stdout(), @r"
    local: nothing has been released yet
      frontend  not released -        -
      backend   not released -        -
    ");
}
