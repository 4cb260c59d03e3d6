//! A failing check keeps everything as it is.

use crate::env::TestEnv;
use crate::env::normal;
use crate::env::poll;
use crate::env::running::Gate;
use insta::assert_snapshot;

#[test]
fn a_failing_check_changes_nothing_and_takes_the_draft_away() {
    let env = TestEnv::released();
    let (cloud, live) = (env.cloud(), env.head());
    let published = cloud.status()["published_deploy"].clone();
    env.change_frontend("Everything is free");
    env.change_backend("ok ");
    cloud.forget_requests();

    // A check that fails sooner leaves no draft to take away.
    let gate = Gate::new(&env, "check");
    let mut vars = gate.vars().to_vec();
    vars.push(("CHECK_FAILS", "yes"));
    let run = env.start_with(&["deploy"], &vars);
    poll("the draft to be verified", || {
        let said = run.stderr_so_far();
        said.contains("✓ frontend  verify the draft").then_some(())
    });
    gate.open();
    let output = run.wait();
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

/// Five minutes of anything but the failing check would be longer than a test waits.
#[test]
fn a_red_check_ends_the_build_beside_it() {
    let env = TestEnv::released();
    let config = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    let (build, check) = (
        "build = \"touch ../building; sleep 300; touch ../built\"",
        "run = \"until [ -e ../building ]; do sleep 0.05; done; sh check.sh\"",
    );
    env.write(
        "deploy.toml",
        &config
            .replace("run = \"sh check.sh\"", check)
            .replace("[frontend]\n", &format!("[frontend]\n{build}\n")),
    );
    env.change_frontend("Everything is free");
    let live = env.status()["commit"].clone();
    for args in [
        &["deploy", "--log", "ndjson"][..],
        &[
            "deploy",
            "--prepare",
            "--out",
            "../bundle",
            "--log",
            "ndjson",
        ],
    ] {
        let output = env.xtask_with(args, &[("CHECK", "fail")]);
        output
            .assert_exit(4)
            .assert_says("check 'unit tests' failed");
        let ends: Vec<serde_json::Value> = output
            .stderr
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|event| event["event"] == "step_finished" && event["step"] != "preflight")
            .map(|event| serde_json::json!([event["step"], event["end"]]))
            .take(2)
            .collect();
        assert_eq!(
            ends,
            [
                serde_json::json!(["checks", "failed"]),
                serde_json::json!(["frontend_build", "cancelled"])
            ]
        );
        assert!(!env.beside("built").exists());
        fs_err::remove_file(env.beside("building")).unwrap();
    }
    assert_eq!(env.status()["commit"], live);
}
