//! Each decision of a release by a case: what goes wrong, the exit code it must have, and a word of the reason.

use super::oracle::BY_HAND;
use super::project::{How, Outcome, Project, Version, well};
use cloud::inprocess::{Behaviour, Boot, Health};
use cloud::{Fault, FaultKind};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use tandem::config::OnFrontendFailure;
use tandem::ids::Lane;

/// The site's publishing call.
const RESTORE: &str = "/api/v1/sites/*/deploys/*/restore";
/// The service's deploys.
const TRIGGER: &str = "/v1/services/*/deploys";
const ROLLBACK: &str = "/v1/services/*/rollback";

pub(super) fn status(status: u16, processed: bool) -> FaultKind {
    FaultKind::Status {
        status,
        headers: BTreeMap::new(),
        body: r#"{"message":"simulated"}"#.to_owned(),
        processed,
    }
}

pub(super) fn retry_after(code: u16, value: &str) -> FaultKind {
    FaultKind::Status {
        status: code,
        headers: BTreeMap::from([("retry-after".to_owned(), value.to_owned())]),
        body: String::new(),
        processed: false,
    }
}

#[track_caller]
fn expect(outcome: &Outcome, code: u8, word: &str) {
    assert_eq!(
        outcome.code(),
        code,
        "{} {:#?}",
        outcome.reason(),
        outcome.state.warnings
    );
    assert!(
        outcome.reason().contains(word),
        "'{word}' is not in: {}",
        outcome.reason()
    );
}

/// A second release that behaves as told, on a project whose first is live.
fn second(behaviour: Behaviour) -> Outcome {
    Project::live(1).deploy(&Version::new(2).behaving(behaviour), How::seed(1))
}

/// A second release with one fault in the providers.
fn faulted(fault: Fault) -> Outcome {
    let mut project = Project::live(1);
    project.universe.cloud().add_fault(fault);
    project.deploy(&Version::new(2), How::seed(1))
}

#[test]
fn both_halves_go_live() {
    expect(
        &second(well()),
        0,
        "frontend and backend of 0000000 are live",
    );
}

#[test]
fn the_same_commit_again_does_nothing() {
    let mut project = Project::live(1);
    let again = project.deploy(&Version::new(1), How::seed(2));
    expect(&again, 0, "nothing to do");
}

#[test]
fn gate_1_holds_everything_back() {
    let mut project = Project::live(1);
    let outcome = project.deploy(
        &Version {
            check_fails: true,
            ..Version::new(2)
        },
        How::seed(1),
    );
    expect(&outcome, 4, "check 'tests' failed");
    let outcome = project.deploy(
        &Version {
            rehearsal_fails: true,
            ..Version::new(3).migrating(2, false)
        },
        How::seed(1),
    );
    expect(&outcome, 4, "rehearsal of the migrations failed");
    expect(&project.deploy(&Version::new(4), How::seed(1)), 0, "live");
}

#[test]
fn a_backend_that_does_not_come_up() {
    for (behaviour, code, word) in [
        (well().build_fails(), 4, "build"),
        // With a disk the provider stops the old process before the new one starts.
        (well().booting(Boot::Crash { code: 1 }), 5, "rolled back"),
        (well().booting(Boot::Hang), 5, "rolled back"),
        (well().saying(Health::Unhealthy503), 5, "rolled back"),
        (
            well().saying(Health::WrongVersion("f".repeat(40))),
            5,
            "rolled back",
        ),
        (well().saying(Health::NoVersion), 5, "rolled back"),
        (
            well().saying(Health::Flapping { period_ms: 1500 }),
            5,
            "rolled back",
        ),
        (
            well().saying(Health::DegradesAfter { ms: 9000 }),
            5,
            "failed while it was watched",
        ),
    ] {
        let name = format!("{behaviour:?}");
        let outcome = second(behaviour);
        assert_eq!(outcome.code(), code, "{name}: {}", outcome.reason());
        assert!(
            outcome.reason().contains(word),
            "{name}: {}",
            outcome.reason()
        );
    }
}

#[test]
fn after_an_undo_the_next_release_starts_from_what_is_live() {
    let mut project = Project::live(1);
    expect(
        &project.deploy(
            &Version::new(2).behaving(well().booting(Boot::Crash { code: 1 })),
            How::seed(1),
        ),
        5,
        "rolled back",
    );
    // The rollback is a deploy with an id of its own; that is no drift.
    expect(
        &project.deploy(&Version::new(1), How::seed(2)),
        0,
        "nothing to do",
    );
    expect(&project.deploy(&Version::new(3), How::seed(3)), 0, "live");
}

#[test]
fn a_first_release_has_nothing_to_go_back_to() {
    for (behaviour, code) in [
        (well(), 0),
        (well().build_fails(), 5),
        (well().booting(Boot::Crash { code: 1 }), 5),
        (well().saying(Health::WrongVersion("f".repeat(40))), 8),
        (well().saying(Health::DegradesAfter { ms: 9000 }), 8),
    ] {
        let name = format!("{behaviour:?}");
        let outcome = Project::new(1).deploy(&Version::new(1).behaving(behaviour), How::seed(1));
        assert_eq!(outcome.code(), code, "{name}: {}", outcome.reason());
    }
    let mut project = Project::new(1);
    project
        .universe
        .cloud()
        .add_fault(Fault::new("POST", RESTORE, status(422, false)));
    expect(
        &project.deploy(&Version::new(1), How::seed(1)),
        6,
        "no frontend is public",
    );
}

#[test]
fn a_migration_that_the_old_version_cannot_run_on_is_not_rolled_back() {
    let mut project = Project::live(1);
    let version = Version::new(2)
        .migrating(2, true)
        .behaving(well().saying(Health::WrongVersion("f".repeat(40))));
    expect(&project.deploy(&version, How::seed(1)), 9, "0002_step.sql");
    let mut project = Project::live(1);
    let version = Version::new(2)
        .migrating(2, false)
        .behaving(well().saying(Health::WrongVersion("f".repeat(40))));
    expect(&project.deploy(&version, How::seed(1)), 5, "rolled back");
}

#[test]
fn a_frontend_that_cannot_be_published() {
    expect(
        &faulted(Fault::new("POST", RESTORE, status(422, false))),
        6,
        "the previous frontend is public",
    );
    let mut project = Project::live(1);
    project.target.policy.on_frontend_failure = OnFrontendFailure::Rollback;
    project
        .universe
        .cloud()
        .add_fault(Fault::new("POST", RESTORE, status(422, false)));
    expect(
        &project.deploy(&Version::new(2), How::seed(1)),
        5,
        "the backend was rolled back",
    );
    // The next attempt works: `--resume` publishes the same draft.
    let mut project = Project::live(1);
    project
        .universe
        .cloud()
        .add_fault(Fault::new("POST", RESTORE, status(422, false)));
    expect(
        &project.deploy(&Version::new(2), How::seed(1)),
        6,
        "published",
    );
    expect(&project.deploy(&Version::new(2), How::resume()), 0, "live");
    assert_eq!(project.universe.cloud().created_deploys(), (2, 2));
}

#[test]
fn a_frontend_alone() {
    let mut project = Project::live(1);
    expect(
        &project.deploy(&Version::new(2).only_frontend(1), How::seed(1)),
        0,
        "frontend of",
    );
    assert_eq!(project.universe.cloud().created_deploys(), (2, 1));
    project
        .universe
        .cloud()
        .add_fault(Fault::new("POST", RESTORE, status(422, false)));
    expect(
        &project.deploy(&Version::new(3).only_frontend(1), How::seed(1)),
        4,
        "previous frontend",
    );
    // It is published, and what is public is not what was sent.
    let wrong = Fault::new("GET", "/.well-known/tandem.json", status(200, false)).times(2, 0);
    project.universe.cloud().add_fault(Fault {
        door: Some(cloud::Door::Site),
        ..wrong
    });
    expect(
        &project.deploy(&Version::new(4).only_frontend(1), How::seed(1)),
        5,
        "previous frontend is public again",
    );
}

#[test]
fn a_backend_alone() {
    let mut project = Project::live(1);
    expect(
        &project.deploy(&Version::new(2).only_backend(1), How::seed(1)),
        0,
        "backend of",
    );
    assert_eq!(project.universe.cloud().created_deploys(), (1, 2));
    expect(
        &project.deploy(&Version::new(3), How::only(Lane::Backend)),
        0,
        "backend of",
    );
    let outcome = project.deploy(
        &Version::new(4)
            .only_backend(1)
            .behaving(well().saying(Health::Unhealthy503)),
        How::seed(1),
    );
    expect(&outcome, 5, "rolled back");
}

#[test]
fn a_rollback_that_fails_is_a_persons_business() {
    let mut project = Project::live(1);
    project
        .universe
        .cloud()
        .add_fault(Fault::new("POST", ROLLBACK, status(404, false)));
    let broken = Version::new(2).behaving(well().booting(Boot::Crash { code: 1 }));
    expect(
        &project.deploy(&broken, How::seed(1)),
        8,
        "rolling the backend back failed",
    );
    // The site cannot be restored when the bake finds the backend bad: the new frontend stays with the new backend.
    let mut project = Project::live(1);
    project
        .universe
        .cloud()
        .add_fault(Fault::new("POST", RESTORE, status(422, false)).times(2, 0));
    let degrades = Version::new(2).behaving(well().saying(Health::DegradesAfter { ms: 9000 }));
    expect(
        &project.deploy(&degrades, How::seed(1)),
        8,
        "could not be restored",
    );
}

#[test]
fn one_bad_answer_is_no_verdict() {
    let bad = Fault::new("GET", "/api/health", status(503, false)).times(2, 1);
    expect(
        &faulted(Fault {
            door: Some(cloud::Door::Service),
            ..bad
        }),
        0,
        "live",
    );
}

#[test]
fn a_login_before_the_service_is_a_fault_of_the_configuration() {
    let wall = Fault::new("GET", "/api/health", status(401, false)).times(1, 0);
    expect(
        &faulted(Fault {
            door: Some(cloud::Door::Service),
            ..wall
        }),
        6,
        "asks for a login",
    );
}

#[test]
fn refusals_of_the_trigger() {
    for (code, exit) in [(400, 4), (402, 4), (403, 4), (410, 4), (422, 4)] {
        let outcome = faulted(Fault::new("POST", TRIGGER, status(code, false)));
        assert_eq!(outcome.code(), exit, "{code}: {}", outcome.reason());
    }
    // A day is more than there is.
    let outcome = faulted(Fault::new("POST", TRIGGER, retry_after(429, "86400")));
    expect(&outcome, 4, "24 h");
    assert!(outcome.elapsed_ms < 120_000);
    // Half a minute is waited for.
    let outcome = faulted(Fault::new("POST", TRIGGER, retry_after(429, "30")));
    expect(&outcome, 0, "live");
    assert!(outcome.elapsed_ms > 30_000);
    // Longer than the lease lives, which is renewed meanwhile.
    expect(
        &faulted(Fault::new("POST", TRIGGER, retry_after(429, "200"))),
        0,
        "live",
    );
    expect(
        &faulted(Fault::new("POST", TRIGGER, retry_after(503, "7"))),
        0,
        "live",
    );
    expect(
        &faulted(Fault::new("POST", TRIGGER, status(409, false)).times(1, 3)),
        0,
        "live",
    );
}

#[test]
fn a_key_that_is_revoked_while_the_deploy_goes_on() {
    let outcome =
        faulted(Fault::new("GET", "/v1/services/*/deploys/*", status(401, false)).times(1, 0));
    expect(&outcome, 7, "does not accept RENDER_API_KEY");
}

#[test]
fn a_list_that_lags_behind() {
    let mut project = Project::live(1);
    let mut settings = project.universe.cloud().cloud().settings().clone();
    settings.timings.render_list_lag_ms = 5_000;
    project.universe.cloud().cloud_mut().set_settings(settings);
    project
        .universe
        .cloud()
        .add_fault(Fault::new("POST", TRIGGER, FaultKind::ResetAfter));
    expect(&project.deploy(&Version::new(2), How::seed(1)), 0, "live");
    assert_eq!(project.universe.cloud().created_deploys().1, 2);
}

#[test]
fn a_queue_answers_202() {
    let mut project = Project::live(1);
    // Somebody else's deploy is under way when ours is asked for.
    let happen =
        |universe: &tandem::sim::Universe, now_ms: i64| trigger_by_hand(universe, now_ms, BY_HAND);
    let how = How {
        happenings: vec![(3_900, Box::new(happen))],
        ..How::seed(1)
    };
    let outcome = project.deploy(&Version::new(2), how);
    expect(&outcome, 0, "live");
}

/// As somebody with the provider's key and a terminal would.
pub(super) fn trigger_by_hand(universe: &tandem::sim::Universe, now_ms: i64, commit: &str) {
    let mut cloud = universe.cloud();
    let url = format!(
        "{}/v1/services/{}/deploys",
        cloud.endpoints().api_url,
        cloud.cloud().service_id()
    );
    let key = format!("Bearer {}", cloud.secrets().render_key);
    let body = format!(r#"{{"commitId":"{commit}"}}"#).into_bytes();
    let request = http::Request::post(url)
        .header("authorization", key)
        .body(body)
        .unwrap();
    let answer = cloud.send(now_ms, request).unwrap();
    assert!(answer.status().is_success());
}

#[test]
fn a_deploy_that_never_ends_is_cancelled() {
    let mut project = Project::live(1);
    let slow = Behaviour {
        build_ms: 3_600_000,
        ..well()
    };
    expect(
        &project.deploy(&Version::new(2).behaving(slow), How::seed(1)),
        4,
        "it was cancelled",
    );
    // And when cancelling does not work, nobody knows.
    let mut project = Project::live(1);
    project.universe.cloud().add_fault(
        Fault::new(
            "POST",
            "/v1/services/*/deploys/*/cancel",
            status(500, false),
        )
        .times(1, 0),
    );
    let slow = Behaviour {
        build_ms: 3_600_000,
        ..well()
    };
    expect(
        &project.deploy(&Version::new(2).behaving(slow), How::seed(1)),
        7,
        "cancelling it did not work",
    );
}

#[test]
fn someone_cancels_it() {
    let mut project = Project::live(1);
    let cancel = |universe: &tandem::sim::Universe, now_ms: i64| {
        let mut cloud = universe.cloud();
        let saved: serde_json::Value =
            serde_json::from_slice(&cloud.cloud_mut().save().unwrap()).unwrap();
        let id = saved["render"]["active"]
            .as_str()
            .expect("a deploy is under way")
            .to_owned();
        let url = format!(
            "{}/v1/services/{}/deploys/{id}/cancel",
            cloud.endpoints().api_url,
            cloud.cloud().service_id()
        );
        let key = format!("Bearer {}", cloud.secrets().render_key);
        assert!(
            cloud
                .send(
                    now_ms,
                    http::Request::post(url)
                        .header("authorization", key)
                        .body(Vec::new())
                        .unwrap()
                )
                .unwrap()
                .status()
                .is_success()
        );
    };
    let slow = Behaviour {
        build_ms: 30_000,
        ..well()
    };
    let how = How {
        happenings: vec![(10_000, Box::new(cancel))],
        ..How::seed(1)
    };
    expect(
        &project.deploy(&Version::new(2).behaving(slow), how),
        4,
        "cancelled by someone else",
    );
}

#[test]
fn a_newer_deploy_is_not_fought_over() {
    let mut project = Project::live(1);
    project.universe.cloud().behave(
        BY_HAND,
        Behaviour {
            migrations: Vec::new(),
            build_ms: 100,
            ..well()
        },
    );
    // Ours is live and being proven when somebody else's comes.
    let happen =
        |universe: &tandem::sim::Universe, now_ms: i64| trigger_by_hand(universe, now_ms, BY_HAND);
    let how = How {
        happenings: vec![(6_000, Box::new(happen))],
        ..How::seed(1)
    };
    let outcome = project.deploy(&Version::new(2), how);
    expect(&outcome, 10, "replaced");
}

#[test]
fn a_network_that_is_away_for_a_while_decides_nothing() {
    for from_ms in (500..30_000).step_by(1_500) {
        let mut project = Project::live(1);
        let slow = Behaviour {
            build_ms: 10_000,
            ..well()
        };
        let how = How {
            outages: vec![Range {
                start: from_ms,
                end: from_ms + 90_000,
            }],
            ..How::seed(1)
        };
        let outcome = project.deploy(&Version::new(2).behaving(slow), how);
        // Before anything is sent it is a refusal.
        let code = if from_ms < 600 { 3 } else { 0 };
        assert!(
            [code, 0].contains(&outcome.code()),
            "from {from_ms}: {} {}",
            outcome.code(),
            outcome.reason()
        );
    }
}

#[test]
fn a_rollback_brings_the_release_before_back() {
    let mut project = Project::live(1);
    expect(&project.deploy(&Version::new(2), How::seed(1)), 0, "live");
    project.pass(Duration::from_secs(60));
    let outcome = project.rollback(tandem::rollback::Asked::default(), How::seed(2));
    expect(&outcome, 0, "is live again");
    let now_ms = project.now_ms();
    let truth = project.universe.cloud().truth(now_ms);
    assert_eq!(truth.serving_commit, Some(Version::new(1).id));
    assert_eq!(truth.site_commit, Some(Version::new(1).id));
    expect(
        &project.deploy(&Version::new(1), How::seed(3)),
        0,
        "nothing to do",
    );
}

/// Locks publishing on the site, as a person does in the dashboard.
fn lock_site(project: &Project) {
    let elapsed_ms = *project.universe.elapsed_ms.lock().unwrap();
    let now_ms = tandem::sim::EPOCH_MS + i64::try_from(elapsed_ms).unwrap();
    let mut cloud = project.universe.cloud();
    let published = cloud.truth(now_ms).site_deploy.unwrap();
    let url = format!(
        "{}/api/v1/deploys/{published}/lock",
        cloud.endpoints().api_url
    );
    let token = format!("Bearer {}", cloud.secrets().netlify_token);
    let request = http::Request::post(url)
        .header("authorization", token)
        .body(Vec::new())
        .unwrap();
    assert!(cloud.send(now_ms, request).unwrap().status().is_success());
}

#[test]
fn a_site_whose_publishing_is_locked() {
    let mut project = Project::live(1);
    project.target.policy.publish = tandem::config::Publish::Locked;
    // Without the lock an ordinary upload would be public at once.
    expect(
        &project.deploy(&Version::new(2), How::seed(1)),
        3,
        "publishing is not locked on the site",
    );
    lock_site(&project);
    // A backend that fails must find the frontend unpublished, and one that works must see it published; the oracle looks after each call.
    let bad = Version::new(2).behaving(well().booting(Boot::Crash { code: 1 }));
    expect(
        &project.deploy(&bad, How::seed(1)),
        5,
        "the previous frontend is public",
    );
    expect(
        &project.deploy(&Version::new(3), How::seed(1)),
        0,
        "live and verified",
    );
}

#[test]
fn a_disk_that_is_not_where_the_database_will_be() {
    let mut project = Project::live(1);
    // The simulated service has its disk at /var/data.
    let disk = |mount_path: &str| tandem::config::Disk {
        name: "data".to_owned(),
        mount_path: mount_path.to_owned(),
        size_gb: 1,
    };
    project.config.backend.disk = Some(disk("/data"));
    expect(
        &project.deploy(&Version::new(2), How::seed(1)),
        3,
        "has its disk at '/var/data', deploy.toml says that one is mounted at /data",
    );
    project.config.backend.disk = Some(disk("/var/data"));
    expect(
        &project.deploy(&Version::new(2), How::seed(1)),
        0,
        "live and verified",
    );
}
