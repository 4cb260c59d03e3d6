//! Only the lane whose files differ from what is live runs; the other one's provider is not touched.

use crate::env::TestEnv;

#[test]
fn each_lane_runs_for_its_own_files_alone() {
    let env = TestEnv::released();
    let (cloud, first) = (env.cloud(), env.head());

    let second = env.change_frontend("We open at nine");
    cloud.forget_requests();
    let output = env.xtask(&["deploy"]);
    output
        .assert_exit(0)
        .assert_says("frontend/about.html modified");
    assert_eq!(cloud.render_writes(), Vec::<String>::new());
    assert!(cloud.page("/about.html").body.contains("We open at nine"));
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (second.clone(), first)
    );
    let status = env.status();
    assert_eq!(
        (&status["skew"], &status["commit"]),
        (&false.into(), &second.clone().into()),
        "two lanes at two commits are no skew"
    );

    env.write(
        "migrations/0003_create_opening_hours.sql",
        "CREATE TABLE opening_hours (day TEXT PRIMARY KEY, opens TEXT NOT NULL) STRICT;\n",
    );
    let third = env.change_backend("migrates");
    cloud.forget_requests();
    let output = env.xtask(&["deploy"]);
    output
        .assert_exit(0)
        .assert_says("0003_create_opening_hours.sql");
    assert_eq!(cloud.netlify_writes(), Vec::<String>::new());
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (second, third)
    );
    assert_eq!(
        env.status()["schema"]["latest"],
        "0003_create_opening_hours.sql"
    );

    env.write("README.md", "Belongs to no lane.\n");
    env.commit("Say what this is");
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
}

#[test]
fn a_lane_that_was_not_asked_for_waits_for_the_next_deploy() {
    let env = TestEnv::released();
    let cloud = env.cloud();
    env.change_frontend("Sale");
    env.change_backend("ok ");
    cloud.forget_requests();
    env.xtask(&["deploy", "--only", "frontend"])
        .assert_exit(0)
        .assert_says("not asked for (--only)");
    assert_eq!(cloud.render_writes(), Vec::<String>::new());
    cloud.forget_requests();
    let output = env.xtask(&["deploy"]);
    output
        .assert_exit(0)
        .assert_says("backend/behaviour modified");
    assert_eq!(cloud.netlify_writes(), Vec::<String>::new());

    let output = env.xtask(&["deploy", "--force", "--json"]);
    let document = output.assert_exit(0).json();
    assert_eq!(document["outcome"], "released");
    assert!(
        document["lanes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|lane| lane["run"] == true),
        "{document}"
    );
}
