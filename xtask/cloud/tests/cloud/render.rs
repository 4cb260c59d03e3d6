//! Render's rules: the eleven states, queueing, failures with their reasons, rollback, and what happens to processes.

use cloud::inprocess::{Behaviour, Boot, Health};
use cloud::{QueuePolicy, RunnerEvent};
use serde_json::{Value, json};

use crate::sim::{Sim, commit, header};

fn statuses(sim: &mut Sim) -> Vec<String> {
    let (_, list) = sim.render("GET", "/services/{srv}/deploys", &Value::Null);
    list.as_array()
        .unwrap()
        .iter()
        .map(|d| d["deploy"]["status"].as_str().unwrap().to_owned())
        .collect()
}

fn last_deploy_ended(sim: &mut Sim) -> Value {
    sim.render(
        "GET",
        "/services/{srv}/events?type=deploy_ended&limit=1",
        &Value::Null,
    )
    .1[0]["event"]["details"]
        .clone()
}

#[test]
fn a_deploy_passes_through_its_states_and_replaces_the_old_one() {
    let mut sim = Sim::new();
    assert_eq!(
        sim.service("/api/health").0,
        503,
        "nothing was ever deployed"
    );
    assert_eq!(sim.deploy_service(&commit(1))["status"], json!("live"));
    let (status, deploy) = sim.render(
        "POST",
        "/services/{srv}/deploys",
        &json!({ "commitId": commit(2) }),
    );
    assert_eq!(
        (status, &deploy["status"], &deploy["trigger"]),
        (201, &json!("build_in_progress"), &json!("api"))
    );
    assert_eq!(
        (
            &deploy["finishedAt"],
            deploy.as_object().unwrap().contains_key("finishedAt")
        ),
        (&Value::Null, true)
    );
    let path = format!(
        "/services/{{srv}}/deploys/{}",
        deploy["id"].as_str().unwrap()
    );
    let mut seen = vec![deploy["status"].clone()];
    while let Some(at_ms) = sim.cloud.next_event_ms() {
        sim.now_ms = at_ms;
        let (_, deploy) = sim.render("GET", &path, &Value::Null);
        if seen.last() != Some(&deploy["status"]) {
            seen.push(deploy["status"].clone());
        }
        let now_ms = sim.now_ms;
        assert!(
            sim.cloud.truth(now_ms).running_processes <= 1,
            "only one may hold the disk"
        );
        if deploy["status"] == "update_in_progress" {
            let (status, _) = sim.service("/api/health");
            assert_ne!(
                status, 200,
                "with a disk the old process is gone before the new one starts"
            );
        } else {
            let serving = sim.service("/api/version").1["commit"].clone();
            assert_eq!(
                serving,
                json!(commit(if deploy["status"] == "live" { 2 } else { 1 }))
            );
        }
    }
    assert_eq!(
        seen,
        ["build_in_progress", "update_in_progress", "live"].map(|s| json!(s))
    );
    assert_eq!(statuses(&mut sim), ["live", "deactivated"]);
    let details = last_deploy_ended(&mut sim);
    assert_eq!(
        (&details["deployStatus"], &details["reason"]),
        (&json!("succeeded"), &json!({}))
    );
}

#[test]
fn without_a_disk_the_old_process_serves_until_the_new_one_is_healthy() {
    let mut sim = Sim::new();
    let mut settings = sim.cloud.cloud().settings().clone();
    settings.service.disk = None;
    sim.cloud.cloud_mut().set_settings(settings);
    sim.deploy_service(&commit(1));
    sim.render(
        "POST",
        "/services/{srv}/deploys",
        &json!({ "commitId": commit(2) }),
    );
    while let Some(at_ms) = sim.cloud.next_event_ms() {
        sim.now_ms = at_ms;
        assert_eq!(sim.service("/api/health").0, 200, "no gap");
    }
    assert_eq!(sim.service("/api/version").1["commit"], json!(commit(2)));
    sim.cloud.behave(
        &commit(3),
        Behaviour::well(1).booting(Boot::Crash { code: 1 }),
    );
    assert_eq!(
        sim.deploy_service(&commit(3))["status"],
        json!("update_failed")
    );
    assert_eq!(
        sim.service("/api/version").1["commit"],
        json!(commit(2)),
        "a failed start leaves the old process alone"
    );
}

#[test]
fn failures_say_why_in_events() {
    let mut sim = Sim::new();
    sim.deploy_service(&commit(1));
    let cases = [
        (
            Behaviour::well(1).build_fails(),
            "build_failed",
            "/reason/buildFailed",
        ),
        (
            Behaviour::well(1).booting(Boot::Crash { code: 3 }),
            "update_failed",
            "/reason/failure/nonZeroExit",
        ),
        (
            Behaviour::well(1).booting(Boot::Crash { code: 0 }),
            "update_failed",
            "/reason/failure/earlyExit",
        ),
        (
            Behaviour::well(1).booting(Boot::Hang),
            "update_failed",
            "/reason/failure/timedOutSeconds",
        ),
        (
            Behaviour::well(1).saying(Health::Unhealthy503),
            "update_failed",
            "/reason/failure/unhealthy",
        ),
    ];
    for (digit, (behaviour, status, pointer)) in (2..).zip(cases) {
        sim.cloud.behave(&commit(digit), behaviour);
        let deploy = sim.deploy_service(&commit(digit));
        assert_eq!(deploy["status"], json!(status));
        assert!(deploy["finishedAt"].is_string());
        let details = last_deploy_ended(&mut sim);
        assert_eq!(
            (&details["deployId"], &details["deployStatus"]),
            (&deploy["id"], &json!("failed"))
        );
        assert!(details.pointer(pointer).is_some(), "{pointer} in {details}");
    }
    let (_, built) = sim.render(
        "GET",
        "/services/{srv}/events?type=build_ended",
        &Value::Null,
    );
    assert_eq!(
        built
            .as_array()
            .unwrap()
            .iter()
            .filter(|e| e["event"]["details"]["buildStatus"] == "failed")
            .count(),
        1
    );
    let owner = sim.render("GET", "/owners", &Value::Null).1[0]["owner"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let srv = sim.cloud.cloud().service_id().to_owned();
    let (status, logs) = sim.render(
        "GET",
        &format!("/logs?ownerId={owner}&resource={srv}&type=build&direction=forward"),
        &Value::Null,
    );
    assert_eq!(status, 200);
    assert!(
        logs["logs"]
            .as_array()
            .unwrap()
            .iter()
            .any(|l| l["message"] == "error: could not compile"),
        "{logs}"
    );
    assert_eq!(
        sim.render("GET", &format!("/logs?resource={srv}"), &Value::Null)
            .0,
        400
    );
}

#[test]
fn after_a_failed_start_with_a_disk_nothing_serves_until_a_rollback() {
    let mut sim = Sim::new();
    let old = sim.deploy_service(&commit(1));
    sim.cloud.behave(
        &commit(2),
        Behaviour::well(1).booting(Boot::Crash { code: 1 }),
    );
    let failed = sim.deploy_service(&commit(2));
    assert_eq!(sim.service("/api/health").0, 503);
    let (status, error) = sim.render("POST", "/services/{srv}/rollback", &Value::Null);
    assert_eq!(
        (status, error),
        (400, json!({ "message": "deployId is required" }))
    );
    assert_eq!(
        sim.render(
            "POST",
            "/services/{srv}/rollback",
            &json!({ "deployId": failed["id"] })
        )
        .0,
        400,
        "it was never live"
    );
    assert_eq!(
        sim.render(
            "POST",
            "/services/{srv}/rollback",
            &json!({ "deployId": "dep-none" })
        )
        .0,
        404
    );
    let (status, back) = sim.render(
        "POST",
        "/services/{srv}/rollback",
        &json!({ "deployId": old["id"] }),
    );
    assert_eq!(
        (status, &back["trigger"], &back["status"]),
        (201, &json!("rollback"), &json!("update_in_progress"))
    );
    assert_ne!(back["id"], old["id"]);
    sim.settle();
    assert_eq!(sim.service("/api/version").1["commit"], json!(commit(1)));
    assert_eq!(statuses(&mut sim), ["live", "update_failed", "deactivated"]);
}

#[test]
fn a_second_deploy_waits_and_a_third_makes_it_be_skipped() {
    let mut sim = Sim::new();
    sim.render(
        "POST",
        "/services/{srv}/deploys",
        &json!({ "commitId": commit(1) }),
    );
    for digit in [2, 3] {
        let answer = sim
            .render_raw(
                "POST",
                "/services/{srv}/deploys",
                format!("{{\"commitId\":\"{}\"}}", commit(digit)).as_bytes(),
            )
            .unwrap();
        assert_eq!(
            (
                answer.status().as_u16(),
                answer.body().len(),
                header(&answer, "content-type")
            ),
            (202, 0, String::new())
        );
    }
    assert_eq!(
        statuses(&mut sim),
        ["queued", "canceled", "build_in_progress"]
    );
    let (_, list) = sim.render("GET", "/services/{srv}/deploys?limit=1", &Value::Null);
    assert_eq!(
        last_deploy_ended(&mut sim)["reason"]["newDeploy"]["id"],
        list[0]["deploy"]["id"]
    );
    sim.settle();
    assert_eq!(statuses(&mut sim), ["live", "canceled", "deactivated"]);
    assert_eq!(sim.service("/api/version").1["commit"], json!(commit(3)));
}

#[test]
fn with_the_override_policy_the_running_deploy_is_cancelled() {
    let mut sim = Sim::new();
    let mut settings = sim.cloud.cloud().settings().clone();
    settings.service.queue_policy = QueuePolicy::Override;
    sim.cloud.cloud_mut().set_settings(settings);
    sim.render(
        "POST",
        "/services/{srv}/deploys",
        &json!({ "commitId": commit(1) }),
    );
    assert_eq!(sim.deploy_service(&commit(2))["status"], json!("live"));
    assert_eq!(statuses(&mut sim), ["live", "canceled"]);
}

#[test]
fn cancel_ends_what_is_under_way_and_nothing_else() {
    let mut sim = Sim::new();
    sim.deploy_service(&commit(1));
    let (_, deploy) = sim.render(
        "POST",
        "/services/{srv}/deploys",
        &json!({ "commitId": commit(2) }),
    );
    let path = format!(
        "/services/{{srv}}/deploys/{}/cancel",
        deploy["id"].as_str().unwrap()
    );
    let (status, ended) = sim.render("POST", &path, &Value::Null);
    assert_eq!((status, &ended["status"]), (200, &json!("canceled")));
    sim.settle();
    assert_eq!(sim.service("/api/version").1["commit"], json!(commit(1)));
    assert_eq!(sim.render("POST", &path, &Value::Null).0, 400);
    assert_eq!(
        last_deploy_ended(&mut sim)["deployStatus"],
        json!("canceled")
    );
}

#[test]
fn a_process_that_dies_is_brought_back() {
    let mut sim = Sim::new();
    sim.deploy_service(&commit(1));
    let now_ms = sim.now_ms;
    sim.cloud.kill_serving(now_ms);
    assert_eq!(sim.service("/api/health").0, 503);
    sim.settle();
    assert_eq!(sim.service("/api/health").0, 200);
    let (_, events) = sim.render(
        "GET",
        "/services/{srv}/events?type=server_failed",
        &Value::Null,
    );
    assert_eq!(
        events[0]["event"]["details"]["reason"]["earlyExit"],
        json!(true)
    );
}

#[test]
fn the_database_outlives_releases_and_can_refuse_an_old_one() {
    let mut sim = Sim::new();
    sim.cloud.behave(&commit(2), Behaviour::well(2));
    sim.cloud
        .behave(&commit(3), Behaviour::well(3).incompatible());
    let first = sim.deploy_service(&commit(1));
    let second = sim.deploy_service(&commit(2));
    sim.render(
        "POST",
        "/services/{srv}/rollback",
        &json!({ "deployId": first["id"] }),
    );
    sim.settle();
    assert_eq!(
        sim.service("/api/version").1,
        json!({ "commit": commit(1), "schema": { "generation": 2, "latest": "0002_step.sql" } })
    );
    sim.deploy_service(&commit(3));
    sim.render(
        "POST",
        "/services/{srv}/rollback",
        &json!({ "deployId": second["id"] }),
    );
    sim.settle();
    assert_eq!(
        statuses(&mut sim)[0],
        "update_failed",
        "its binary cannot run on the third migration"
    );
    let now_ms = sim.now_ms;
    assert_eq!(sim.cloud.truth(now_ms).schema_generation, 3);
}

#[test]
fn lists_have_filters_cursors_and_bounds() {
    let mut sim = Sim::new();
    for digit in 1..=4 {
        sim.deploy_service(&commit(digit));
        sim.pass(10_000);
    }
    let (_, page) = sim.render("GET", "/services/{srv}/deploys?limit=3", &Value::Null);
    let cursor = page[2]["cursor"].as_str().unwrap();
    let (_, rest) = sim.render(
        "GET",
        &format!("/services/{{srv}}/deploys?limit=3&cursor={cursor}"),
        &Value::Null,
    );
    assert_eq!(rest.as_array().unwrap().len(), 1);
    assert_eq!(rest[0]["deploy"]["commit"]["id"], json!(commit(1)));
    let after = page[1]["deploy"]["createdAt"].as_str().unwrap();
    let (_, newer) = sim.render(
        "GET",
        &format!("/services/{{srv}}/deploys?createdAfter={after}"),
        &Value::Null,
    );
    assert_eq!(newer.as_array().unwrap().len(), 1, "after is exclusive");
    let (_, live) = sim.render(
        "GET",
        "/services/{srv}/deploys?status=live&status=build_failed",
        &Value::Null,
    );
    assert_eq!(live.as_array().unwrap().len(), 1);
    for bad in [
        "limit=0",
        "limit=101",
        "limit=x",
        "cursor=nonsense",
        "createdAfter=yesterday",
    ] {
        assert_eq!(
            sim.render(
                "GET",
                &format!("/services/{{srv}}/deploys?{bad}"),
                &Value::Null
            )
            .0,
            400,
            "{bad}"
        );
    }
}

#[test]
fn bodies_are_checked() {
    let mut sim = Sim::new();
    for (body, status) in [
        ("", 400),
        ("[]", 400),
        ("{\"commitId\":\"nope\"}", 400),
        ("{\"imageUrl\":\"x\"}", 400),
        (
            "{\"deployMode\":\"deploy_only\",\"commitId\":\"0000000\"}",
            400,
        ),
        ("{\"deployMode\":\"deploy_only\"}", 400),
        ("{}", 201),
    ] {
        let answer = sim
            .render_raw("POST", "/services/{srv}/deploys", body.as_bytes())
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "{body}");
    }
    sim.settle();
    assert_eq!(
        sim.service("/api/version").1["commit"],
        json!("0".repeat(40)),
        "without commitId it is the head"
    );
}

#[test]
fn a_cloud_restored_in_the_middle_of_a_deploy_orders_the_rest_again() {
    let mut sim = Sim::new();
    sim.deploy_service(&commit(1));
    for (digit, during) in [(2, "build_in_progress"), (3, "update_in_progress")] {
        let (_, deploy) = sim.render(
            "POST",
            "/services/{srv}/deploys",
            &json!({ "commitId": commit(digit) }),
        );
        let path = format!(
            "/services/{{srv}}/deploys/{}",
            deploy["id"].as_str().unwrap()
        );
        while sim.render("GET", &path, &Value::Null).1["status"] != during {
            sim.now_ms = sim.cloud.next_event_ms().unwrap();
        }
        let now_ms = sim.now_ms;
        sim.cloud.restart(now_ms).unwrap();
        sim.settle();
        assert_eq!(
            sim.render("GET", &path, &Value::Null).1["status"],
            json!("live"),
            "{during}"
        );
        assert_eq!(
            sim.service("/api/version").1["commit"],
            json!(commit(digit))
        );
    }
    assert_eq!(sim.cloud.created_deploys(), (0, 3), "nothing is made twice");
}

#[test]
fn a_live_process_that_fails_its_checks_loses_the_traffic_and_is_restarted() {
    let mut sim = Sim::new();
    sim.deploy_service(&commit(1));
    let before = sim.cloud.cloud().routed().unwrap().0;
    let failing = RunnerEvent::Probe {
        instance: before.clone(),
        healthy: false,
        detail: "answered 500".to_owned(),
    };
    let now_ms = sim.now_ms;
    sim.cloud.cloud_mut().report(now_ms, failing);
    sim.pass(14_999);
    assert_eq!(
        sim.service("/api/version").0,
        200,
        "15 s of failures take the traffic away"
    );
    sim.pass(1);
    assert_eq!(sim.service("/api/version").0, 503);
    sim.pass(45_000);
    sim.settle();
    assert_eq!(
        sim.service("/api/version").0,
        200,
        "60 s of failures restart it"
    );
    assert_ne!(sim.cloud.cloud().routed().unwrap().0, before);
    let (_, events) = sim.render(
        "GET",
        "/services/{srv}/events?type=server_failed",
        &Value::Null,
    );
    assert_eq!(
        events[0]["event"]["details"]["reason"]["unhealthy"],
        json!("answered 500")
    );
}
