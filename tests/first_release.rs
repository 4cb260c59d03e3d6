//! The first deploy on a machine without accounts, and the second one, which has nothing to do.

use crate::env::TestEnv;
use crate::env::normal;
use insta::assert_snapshot;

#[test]
fn the_first_deploy_releases_both_lanes_and_the_second_has_nothing_to_do() {
    let env = TestEnv::new();
    let first = env.xtask(&["deploy"]);
    first.assert_exit(0);
    assert_snapshot!(normal::summary(&first.normal_stdout()));
    first
        .assert_says("the longest chain of steps")
        .assert_says("next: cargo xtask status");

    let (cloud, head) = (env.cloud(), env.head());
    let page = cloud.page("/");
    assert_eq!(
        (page.status, page.content_type.as_str()),
        (200, "text/html; charset=UTF-8")
    );
    assert!(page.body.contains("<h1>Shop</h1>"), "{}", page.body);
    let health = cloud.page("/api/health");
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &"healthy".into())
    );
    let direct = cloud.get(&format!("{}/api/health", cloud.service()));
    assert_eq!(direct.json()["version"], head);
    assert_eq!(
        health.json()["version"],
        head,
        "the proxy leads to the same service"
    );
    assert_eq!(
        cloud.page("/api/admin/state").status,
        404,
        "administration is not reachable through the site"
    );
    let own = cloud.page("/.well-known/tandem.json").json();
    assert_eq!(
        (&own["commit"], &own["project"]),
        (&head.clone().into(), &"shop".into())
    );
    assert!(
        own["release"].as_str().unwrap().contains(&head[..7]),
        "{own}"
    );
    let database = env.state_dir().join("cloud/disk/data/shop.db");
    assert!(
        database.metadata().unwrap().len() > 0,
        "the service has a database on its disk"
    );

    let status = env.xtask(&["status"]);
    assert_snapshot!(status.assert_exit(0).normal_stdout(), @r"
    local: release RUN
      frontend  healthy      SHORT  http://127.0.0.1:PORT
      backend   healthy      SHORT  http://127.0.0.1:PORT
      schema    generation 2 (0002_create_admin_audit.sql)
    ");
    nothing_to_do(&env);
}

fn nothing_to_do(env: &TestEnv) {
    let cloud = env.cloud();
    cloud.forget_requests();
    let second = env.xtask(&["deploy"]);
    assert_snapshot!(second.assert_exit(0).normal_stdout(), @r"
    ✓ Nothing to do: local already has this content (SHORT), and both halves answer
      frontend  its 5 files are those of the live release RUN
      backend   its 5 files are those of the live release RUN
    ");
    let json = env.xtask(&["deploy", "--json"]);
    let document = json.assert_exit(0).json();
    assert_eq!(
        (&document["outcome"], &document["exit_code"]),
        (&"nothing_to_do".into(), &0.into())
    );
    let lanes = document["lanes"].as_array().unwrap();
    assert_eq!(
        lanes
            .iter()
            .map(|lane| lane["lane"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["frontend", "backend"]
    );
    for lane in lanes {
        assert_eq!(lane["run"], false);
        assert!(
            lane["reason"]
                .as_str()
                .unwrap()
                .contains("those of the live release"),
            "{lane}"
        );
    }
    assert_eq!(
        cloud.provider_writes(),
        Vec::<String>::new(),
        "looking changes nothing"
    );
    assert_eq!(env.xtask(&["deploy", "--quiet"]).assert_exit(0).stderr, "");
}

#[test]
fn the_document_of_a_release_names_what_it_did() {
    let env = TestEnv::new();
    let output = env.xtask(&["deploy", "--json"]);
    let document = output.assert_exit(0).json();
    assert_eq!(
        (&document["outcome"], &document["commit"]),
        (&"released".into(), &env.head().into())
    );
    assert_eq!(document["run"], document["release"]);
    assert!(
        document["duration_ms"].as_u64() >= document["critical_path_ms"].as_u64(),
        "{document}"
    );
    let (cloud, status) = (env.cloud(), env.status());
    for (lane, url) in [(0, cloud.site()), (1, cloud.service())] {
        let (told, found) = (&document["lanes"][lane], &status["lanes"][lane]);
        assert_eq!((&told["run"], &told["url"]), (&true.into(), &url.into()));
        assert_eq!(
            (&told["deploy_id"], &told["lane"]),
            (&found["deploy_id"], &found["lane"])
        );
        assert_eq!(
            (&found["healthy"], &found["commit"]),
            (&true.into(), &env.head().into())
        );
    }
    assert_eq!(document["next"][0], "cargo xtask status");
    assert_eq!(
        cloud.slack().as_array().map(Vec::len),
        Some(1),
        "the release was told"
    );
}

#[test]
fn the_log_for_programs_is_one_document_per_line() {
    let env = TestEnv::new();
    let output = env.xtask(&["deploy", "--log", "ndjson"]);
    output.assert_exit(0);
    let events: Vec<serde_json::Value> = output
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    let last = events.last().unwrap().to_string();
    assert!(last.contains("\"exit\":\"done\""), "{last}");
    let finished: Vec<&str> = events
        .iter()
        .filter(|event| event.to_string().contains("step_finished"))
        .filter_map(|event| event["step"].as_str())
        .collect();
    for step in ["checks", "frontend_publish", "backend_identity", "finalise"] {
        assert!(
            finished.contains(&step),
            "{step} is missing in {finished:?}"
        );
    }
}
