//! Tests of the render client against scripted and recorded answers.

use super::*;
use crate::http::script::{Script, answer, answer_with};
use std::path::Path;

const BASE: &str = "https://api.render.example/v1";

fn render(world: &Script) -> Render<'_> {
    Render::new(
        Api::new(world, "Render", BASE, None),
        ServiceId::from("srv-1"),
    )
}

fn deploy(id: &str, trigger: &str, commit: Option<&str>) -> Deploy {
    let commit = commit.map(|id| json!({"id": id}));
    serde_json::from_value(json!({"id": id, "trigger": trigger, "commit": commit})).unwrap()
}

#[test]
fn a_trigger_names_the_commit() {
    let world = Script::new([answer(
        201,
        r#"{"id":"dep-1","commit":null,"status":"live","finishedAt":null}"#,
    )]);
    let Triggered::Created(deploy) = render(&world).trigger(&Commit::from("abc")).unwrap() else {
        panic!("a body names the deploy")
    };
    assert!(deploy.status.is_live() && deploy.commit.is_none());
    assert_eq!(
        (world.sent(), world.body(0)),
        (
            vec![format!("POST {BASE}/services/srv-1/deploys")],
            r#"{"commitId":"abc"}"#.to_owned()
        )
    );
}

#[test]
fn an_empty_202_is_queued_and_an_empty_201_a_doubt() {
    for body in ["", "\n"] {
        let world = Script::new([answer(202, body)]);
        assert_eq!(
            render(&world).trigger(&Commit::from("abc")).unwrap(),
            Triggered::Queued
        );
    }
    let world = Script::new([answer(202, r#"{"id":"dep-1"}"#)]);
    assert!(matches!(
        render(&world).trigger(&Commit::from("abc")),
        Ok(Triggered::Created(_))
    ));
    for body in ["", r#"{"id":null}"#, r#"{"id":"dep-"#] {
        let world = Script::new([answer(201, body)]);
        assert!(
            matches!(
                render(&world).trigger(&Commit::from("abc")),
                Err(ApiError::InDoubt(_))
            ),
            "{body:?}"
        );
    }
}

#[test]
fn statuses() {
    for (word, waiting, terminal, failed) in [
        ("created", true, false, false),
        ("queued", true, false, false),
        ("build_in_progress", false, false, false),
        ("warming", false, false, false),
        ("live", false, true, false),
        ("canceled", false, true, true),
        ("update_failed", false, true, true),
        ("deactivated", false, true, false),
    ] {
        let status = DeployStatus::from(word.to_owned());
        assert_eq!(
            (
                status.is_waiting(),
                status.is_terminal(),
                status.is_failed()
            ),
            (waiting, terminal, failed),
            "{word}"
        );
        assert_eq!(status.as_str(), word);
    }
}

#[test]
fn a_deploy_survives_the_journal() {
    let triggered = Triggered::Created(deploy("dep-1", "api", Some("abc")));
    let kept = serde_json::to_string(&triggered).unwrap();
    assert_eq!(serde_json::from_str::<Triggered>(&kept).unwrap(), triggered);
}

#[test]
fn ours_is_new_triggered_so_and_of_our_commit() {
    let ours = Commit::from("abc");
    let seen = BTreeSet::from([DeployId::from("dep-1")]);
    for (candidate, found) in [
        (deploy("dep-2", "api", Some("abc")), true),
        (deploy("dep-2", "api", None), true),
        (deploy("dep-1", "api", Some("abc")), false),
        (deploy("dep-2", "new_commit", Some("abc")), false),
        (deploy("dep-2", "api", Some("def")), false),
    ] {
        let list = [candidate.clone()];
        assert_eq!(
            find_ours(&list, &seen, "api", Some(&ours)).is_some(),
            found,
            "{candidate:?}"
        );
    }
    let nameless = [Deploy {
        trigger: None,
        ..deploy("dep-2", "api", Some("abc"))
    }];
    assert!(find_ours(&nameless, &seen, "api", Some(&ours)).is_some());
    let rollback = [deploy("dep-3", "rollback", Some("old"))];
    assert!(find_ours(&rollback, &seen, "rollback", None).is_some());
}

fn page(
    ids: std::ops::Range<usize>,
    cursor: &str,
) -> Result<crate::world::Response, crate::world::SendError> {
    let items: Vec<_> = ids
        .map(|n| json!({"deploy": {"id": format!("dep-{n}")}, "cursor": cursor}))
        .collect();
    answer_with(
        200,
        &[("date", "Wed, 14 May 2025 15:42:08 GMT")],
        &json!(items).to_string(),
    )
}

#[test]
fn lists_follow_cursors() {
    let world = Script::new([page(0..100, "c1"), page(100..130, "c2")]);
    let listing = render(&world)
        .list_deploys(Some(1_747_237_326_000), 1_000)
        .unwrap();
    assert_eq!(
        (listing.deploys.len(), listing.complete, listing.date_ms),
        (130, true, Some(1_747_237_328_000))
    );
    let first = format!(
        "GET {BASE}/services/srv-1/deploys?limit=100&createdAfter=2025-05-14T15%3A42%3A06Z"
    );
    assert_eq!(world.sent(), [first.clone(), format!("{first}&cursor=c1")]);
}

#[test]
fn lists_stop_at_what_is_wanted() {
    let world = Script::new([page(0..3, "c1")]);
    let listing = render(&world).list_deploys(None, 3).unwrap();
    assert_eq!((listing.deploys.len(), listing.complete), (3, true));
    assert_eq!(
        world.sent(),
        [format!("GET {BASE}/services/srv-1/deploys?limit=3")]
    );
}

#[test]
fn a_cursor_in_a_circle_ends_and_proves_nothing() {
    let world = Script::new([page(0..100, "c1"), page(0..100, "c1"), page(0..100, "c1")]);
    let listing = render(&world).list_deploys(None, 1_000).unwrap();
    assert_eq!(
        (listing.deploys.len(), listing.complete, world.left()),
        (100, false, 1)
    );
}

#[test]
fn failures_in_words() {
    for (failure, want) in [
        (
            json!({"nonZeroExit": 1}),
            Some("exited with code 1 during start"),
        ),
        (
            json!({"earlyExit": true}),
            Some("exited with code 0 during start; a service has to keep running"),
        ),
        (
            json!({"oomKilled": {"memoryLimit": "512 MB"}}),
            Some("out of memory (512 MB) during start"),
        ),
        (
            json!({"unhealthy": "HTTP 503 at /api/health"}),
            Some("unhealthy during start: HTTP 503 at /api/health"),
        ),
        (
            json!({"timedOutSeconds": 900, "timedOutReason": "no open port"}),
            Some("timed out during start after 900 s: no open port"),
        ),
        (
            json!({"timedOutSeconds": 900}),
            Some("timed out during start after 900 s"),
        ),
        (
            json!({"evicted": true}),
            Some("evicted during start: the provider does not say why"),
        ),
        (
            json!({"evicted": false, "nonZeroExit": 0, "oomKilled": null}),
            None,
        ),
        (json!(null), None),
    ] {
        assert_eq!(
            failure_text(&failure, "during start").as_deref(),
            want,
            "{failure}"
        );
    }
}

#[test]
fn a_reason_is_found_among_the_events() {
    let ended = |details: Value| {
        answer(200, &json!([
        {"event": {"id": "evt-2", "details": {"deployId": "dep-other", "reason": {"failure": {"nonZeroExit": 9}}}}, "cursor": "c"},
        {"event": {"id": "evt-1", "timestamp": "2025-05-14T15:42:08Z", "details": details}, "cursor": "c"},
    ]).to_string())
    };
    let id = DeployId::from("dep-1");
    let world = Script::new([ended(
        json!({"deployId": "dep-1", "deployStatus": "failed", "reason": {"failure": {"nonZeroExit": 1}}}),
    )]);
    assert_eq!(
        render(&world).failure_reason(&id).unwrap().as_deref(),
        Some("exited with code 1 during start")
    );
    assert_eq!(
        world.sent(),
        [format!(
            "GET {BASE}/services/srv-1/events?type=deploy_ended&limit=100"
        )]
    );

    let world = Script::new([ended(
        json!({"deployId": "dep-1", "deployStatus": "canceled", "reason": {"newDeploy": {"id": "dep-2"}}}),
    )]);
    assert_eq!(
        render(&world).failure_reason(&id).unwrap().as_deref(),
        Some("dep-2 took its place")
    );

    let build = json!([{"event": {"details": {"buildId": "bld-1", "reason": {"failure": {"nonZeroExit": 101}}}}, "cursor": "c"}]);
    let world = Script::new([
        ended(json!({"deployId": "dep-1", "reason": {"buildFailed": {"id": "bld-1"}}})),
        answer(200, &build.to_string()),
    ]);
    assert_eq!(
        render(&world).failure_reason(&id).unwrap().as_deref(),
        Some("exited with code 101 during the build")
    );

    let world = Script::new([answer(200, "[]")]);
    assert_eq!(render(&world).failure_reason(&id).unwrap(), None);
}

#[test]
fn a_log_is_oldest_first_and_that_of_one_deploy() {
    let line = |at: &str, instance: &str, text: &str| json!({"timestamp": at, "message": text, "labels": [{"name": "instance", "value": instance}]});
    let request = format!(
        "[GET]200 app.test/api/health userAgent=\"tandem/{}\"",
        env!("CARGO_PKG_VERSION")
    );
    let since = json!({"logs": [
        {"timestamp": "2025-05-14T15:42:09Z", "message": "c", "labels": null},
        line("2025-05-14T15:42:08.7Z", "srv-1-new", &request),
        line("2025-05-14T15:42:08.6Z", "srv-1-old", "stopping"),
        line("2025-05-14T15:42:08.5Z", "srv-1-new", "b"),
        {"timestamp": "2025-05-14T15:42:08.5Z", "message": "a"},
    ]});
    let before = json!({"logs": [line("2025-05-14T15:42:07Z", "srv-1-old", "listening")]});
    let world = Script::new([
        answer(200, r#"{"id":"srv-1","ownerId":"tea-1"}"#),
        answer(200, &since.to_string()),
        answer(200, &before.to_string()),
    ]);
    let since_ms = crate::http::rfc3339_ms("2025-05-14T15:42:08Z");
    let lines = render(&world).log_since(since_ms).unwrap();
    assert_eq!(lines, ["a", "b", "c"]);
    let asked =
        format!("GET {BASE}/logs?ownerId=tea-1&resource=srv-1&direction=backward&limit=100");
    let bound = |name: &str| format!("{asked}&{name}=2025-05-14T15%3A42%3A08Z");
    assert_eq!(world.sent()[1..], [bound("startTime"), bound("endTime")]);
}

#[test]
fn who_deploys_beside_us() {
    for (body, on_push) in [
        (r#"{"id":"s","autoDeploy":"yes"}"#, true),
        (
            r#"{"id":"s","autoDeploy":"yes","autoDeployTrigger":"off"}"#,
            false,
        ),
        (
            r#"{"id":"s","autoDeploy":"no","autoDeployTrigger":"checksPass"}"#,
            true,
        ),
        (r#"{"id":"s","serviceDetails":null}"#, false),
    ] {
        let service: ServiceInfo = serde_json::from_str(body).unwrap();
        assert_eq!(service.deploys_on_push(), on_push, "{body}");
    }
}

/// Bodies that Render's servers sent, nulls and all.
#[test]
fn recorded_answers_are_read() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/specs/render-wire-samples.json");
    let Ok(text) = fs_err::read_to_string(&path) else {
        println!("skipped: the recorded answers are not beside this checkout");
        return;
    };
    let samples: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut triggers = 0;
    for sample in &samples {
        let (label, response) = (&sample["label"], &sample["response"]);
        let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
        let body = response["body"].as_str().unwrap();
        let headers = response["headers"].as_object().unwrap().iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let world = Script::new([answer_with(status, &headers, body)]);
        let (method, at) = (
            &sample["request"]["method"],
            sample["request"]["path"].as_str().unwrap(),
        );
        if method == "POST" && at.ends_with("/deploys") {
            triggers += 1;
            match render(&world).trigger(&Commit::from("abc")).unwrap() {
                Triggered::Queued => assert_eq!(status, 202, "{label}"),
                Triggered::Created(deploy) => {
                    assert!(deploy.id.as_str().starts_with("dep-"), "{label}");
                    assert!(
                        !matches!(deploy.status, DeployStatus::Unknown(_)),
                        "{label}"
                    );
                    assert_eq!(deploy.trigger.as_deref(), Some("api"), "{label}");
                    assert!(deploy.created_ms().is_some(), "{label}");
                }
            }
        } else if label == "service-get-web-with-disk" {
            let service = render(&world).service().unwrap();
            assert_eq!(
                service.disk().and_then(|disk| disk.mount_path.as_deref()),
                Some("/data")
            );
            assert!(
                service.deploys_on_push() && !service.is_suspended() && service.owner_id.is_some()
            );
        } else if status == 404 {
            let error = render(&world).service().unwrap_err();
            assert!(matches!(error, ApiError::NotFound(_)));
            assert!(
                error.to_string().contains("not found: srv-")
                    && error.exchange().request_id.is_some(),
                "{error}"
            );
        }
    }
    assert_eq!(triggers, 6, "of {} samples", samples.len());
}
