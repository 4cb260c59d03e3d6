//! Who answers decides: nothing is "nothing to do", and nothing is released beside it, when what is live does not answer as recorded.

use super::decisions::{expect, status};
use super::project::{How, Outcome, Project, Version, well};
use cloud::inprocess::{Behaviour, Health};
use cloud::{Door, Fault, FaultKind};
use tandem::event::Step;
use tandem::ids::Lane;
use tandem::rollback::Asked;
use tandem::run::Options;

/// So many looks at an ill service are believed.
const LOOKS: u32 = 3;

/// The service answers its first `count` questions at `path` so.
fn service_answers(project: &Project, path: &str, kind: FaultKind, count: u32) {
    let fault = Fault {
        door: Some(Door::Service),
        ..Fault::new("GET", path, kind).times(1, count)
    };
    project.universe.cloud().add_fault(fault);
}

fn anyway() -> Options {
    Options {
        anyway: Some("it must go out".to_owned()),
        ..Options::default()
    }
}

fn live() -> Asked {
    Asked {
        to: Some("live".to_owned()),
        ..Asked::default()
    }
}

fn only_frontend() -> How {
    How::only(Lane::Frontend)
}

#[test]
fn a_dead_service_makes_its_lane_run() {
    for kind in [
        status(503, false),
        FaultKind::ResetBefore,
        FaultKind::ResetAfter,
    ] {
        let mut project = Project::live(1);
        service_answers(&project, "/api/health", kind.clone(), LOOKS);
        let outcome = project.deploy(&Version::new(1), How::seed(2));
        expect(&outcome, 0, "backend of");
        let reason = &outcome.state.lanes[&Lane::Backend].decision.reason;
        assert!(reason.contains("not as recorded"), "{kind:?}: {reason}");
        assert_eq!(project.universe.cloud().created_deploys(), (1, 2));
    }
    // One lost answer is the network's.
    let mut project = Project::live(1);
    service_answers(&project, "/api/health", status(503, false), LOOKS - 1);
    let outcome = project.deploy(&Version::new(1), How::seed(2));
    expect(&outcome, 0, "nothing to do");
}

#[test]
fn another_commit_makes_its_lane_run() {
    let mut project = Project::live(1);
    let other = FaultKind::Status {
        status: 200,
        headers: std::collections::BTreeMap::new(),
        body: format!(r#"{{"commit":"{}"}}"#, "f".repeat(40)),
        processed: false,
    };
    service_answers(&project, "/api/version", other, LOOKS);
    let outcome = project.deploy(&Version::new(1), How::seed(2));
    expect(&outcome, 0, "backend of");
    let reason = &outcome.state.lanes[&Lane::Backend].decision.reason;
    assert!(reason.contains("fffffff answers"), "{reason}");
}

#[test]
fn a_site_that_is_not_as_recorded_makes_its_lane_run() {
    let mut project = Project::live(1);
    project.universe.cloud().add_fault(Fault {
        door: Some(Door::Site),
        ..Fault::new("GET", "/.well-known/tandem.json", status(404, false)).times(1, LOOKS)
    });
    expect(
        &project.deploy(&Version::new(1), How::seed(2)),
        0,
        "frontend of",
    );
}

#[test]
fn no_frontend_is_published_over_a_dead_backend() {
    let mut project = Project::live(1);
    service_answers(&project, "/api/health", status(503, false), LOOKS);
    let next = Version::new(2).only_frontend(1);
    let outcome = project.deploy(&next, only_frontend());
    expect(
        &outcome,
        8,
        "the backend does not answer as recorded, and this release would leave it so",
    );
    assert_eq!(project.universe.cloud().created_deploys(), (1, 1));
    // Nothing to do for the lane that was asked for, and the other is dead.
    service_answers(&project, "/api/health", status(503, false), LOOKS);
    let outcome = project.deploy(&Version::new(1), only_frontend());
    expect(&outcome, 8, "would leave it so");
    // Somebody wants it all the same: it is done, and the end says what state production is in.
    service_answers(&project, "/api/health", status(503, false), LOOKS);
    let how = How {
        options: Options {
            asked: only_frontend().options.asked,
            ..anyway()
        },
        ..How::seed(3)
    };
    let outcome = project.deploy(&next, how);
    expect(
        &outcome,
        8,
        "frontend of 0000000 is live and verified; the backend does not answer as recorded",
    );
    assert_eq!(project.universe.cloud().created_deploys(), (2, 1));
}

#[test]
fn a_half_that_drifted_and_is_left_alone_is_not_verified() {
    let mut project = Project::live(1);
    let now_ms = project.now_ms();
    super::others::trigger_by_hand(&project.universe, now_ms, super::oracle::BY_HAND);
    project.pass(std::time::Duration::from_secs(60));
    let next = Version::new(2).only_frontend(1);
    expect(&project.deploy(&next, only_frontend()), 8, "drift");
    let how = How {
        options: Options {
            asked: only_frontend().options.asked,
            ..anyway()
        },
        ..How::seed(3)
    };
    let outcome = project.deploy(&next, how);
    expect(
        &outcome,
        8,
        "the backend does not answer as recorded: drift",
    );
}

#[test]
fn what_cannot_be_told_is_refused() {
    let page = FaultKind::Status {
        status: 200,
        headers: std::collections::BTreeMap::new(),
        body: "<!doctype html><title>Another page</title>".to_owned(),
        processed: false,
    };
    for (path, kind, word) in [
        // Another page, or an address that knows no such path: the service's address is wrong.
        ("/**", page, "a page for people answers at"),
        ("/**", status(404, false), "answers 404"),
        ("/api/health", status(401, false), "asks for a login"),
        // It was released as one that tells its commit.
        (
            "/api/version",
            status(404, false),
            "/api/version answers 404",
        ),
    ] {
        let mut project = Project::live(1);
        service_answers(&project, path, kind.clone(), 0);
        let outcome = project.deploy(&Version::new(2), How::seed(2));
        expect(&outcome, 3, word);
        assert!(outcome.reason().contains("SERVICE_URL"));
        assert_eq!(project.universe.cloud().created_deploys(), (1, 1));
        // Nothing is "nothing to do" either.
        expect(&project.deploy(&Version::new(1), How::seed(3)), 3, word);
    }
}

#[test]
fn at_the_address_of_a_service_that_was_never_released_nothing_may_answer() {
    let stranger = FaultKind::Status {
        status: 200,
        headers: std::collections::BTreeMap::new(),
        body: r#"{"status":"ok"}"#.to_owned(),
        processed: false,
    };
    let mut project = Project::new(1);
    service_answers(&project, "/**", stranger, 0);
    let outcome = project.deploy(&Version::new(1), How::seed(1));
    expect(&outcome, 3, "nothing of the service is live");
    assert_eq!(project.universe.cloud().created_deploys(), (0, 0));
}

#[test]
fn nothing_is_rolled_back_to_what_was_ill_itself() {
    let mut project = Project::live(1);
    service_answers(&project, "/api/health", status(503, false), LOOKS);
    let bad = Version::new(2).behaving(well().saying(Health::Unhealthy503));
    let outcome = project.deploy(&bad, How::seed(2));
    expect(
        &outcome,
        8,
        "was not rolled back, because what was live before did not answer",
    );
    let calls = project.universe.cloud().calls();
    assert!(!calls.iter().any(|call| call.path.ends_with("/rollback")));
}

#[test]
fn a_rollback_brings_back_what_is_recorded_and_does_not_answer() {
    let mut project = Project::live(1);
    expect(&project.rollback(live(), How::seed(2)), 0, "nothing to do");
    service_answers(&project, "/api/health", status(503, false), LOOKS);
    let outcome = project.rollback(live(), How::seed(3));
    expect(&outcome, 0, "is live again");
    let calls = project.universe.cloud().calls();
    let rollbacks = calls.iter().filter(|call| call.path.ends_with("/rollback"));
    assert_eq!(rollbacks.count(), 1);
    expect(
        &project.deploy(&Version::new(1), How::seed(4)),
        0,
        "nothing to do",
    );
    // Only the other half is asked for, and there is nothing to do for it: that is not well.
    service_answers(&project, "/api/health", status(503, false), LOOKS);
    let asked = Asked {
        only: vec![Lane::Frontend],
        ..live()
    };
    expect(
        &project.rollback(asked, How::seed(5)),
        8,
        "the backend is not as recorded",
    );
}

#[test]
fn an_idle_service_of_the_free_plan_is_woken_and_not_dead() {
    let mut project = Project::with(free_cloud());
    expect(&project.deploy(&Version::new(1), How::seed(1)), 0, "live");
    // Nothing answers within the time of a health check, and one question that waits is answered.
    let asleep = FaultKind::Delay { delay_ms: 42_000 };
    service_answers(&project, "/api/health", asleep, 1);
    let outcome = project.deploy(&Version::new(1), How::seed(2));
    expect(&outcome, 0, "nothing to do");
    assert!(outcome.elapsed_ms >= 42_000);
    assert_eq!(project.universe.cloud().created_deploys(), (1, 1));
}

fn free_cloud() -> cloud::inprocess::InProcess {
    let mut settings = cloud::Settings::new("sim", "/nowhere");
    settings.service.plan = "free".to_owned();
    settings.service.health_check_path = "/api/health".to_owned();
    cloud::inprocess::InProcess::with_settings(settings, 1, tandem::sim::EPOCH_MS)
}

/// A service whose answers name no commit, and deploy.toml saying so with `more`.
fn nameless(more: &str, behaviour: Behaviour) -> (Project, Outcome) {
    let mut project = Project::new(1).configured(more);
    let version = Version::new(1).behaving(behaviour.saying(Health::NoVersion));
    let outcome = project.deploy(&version, How::seed(1));
    (project, outcome)
}

#[test]
fn each_rung_proves_what_it_can_and_says_what_it_cannot() {
    // The file leaves it open: the provider's word.
    let (mut project, outcome) = nameless("", well());
    expect(&outcome, 0, "is the provider's word");
    let again = Version::new(1).behaving(well().saying(Health::NoVersion));
    expect(&project.deploy(&again, How::seed(2)), 0, "nothing to do");
    // The next release does tell, and from then on must.
    expect(&project.deploy(&Version::new(2), How::seed(3)), 0, "live");
    let silent = Version::new(3).behaving(well().saying(Health::NoVersion));
    expect(&project.deploy(&silent, How::seed(4)), 5, "rolled back");

    let (_, outcome) = nameless("identity = \"answers\"\n", well());
    expect(&outcome, 0, "which commit answers was not proven");
    assert!(!outcome.state.warnings.is_empty());
    // Below the planned rung, with nothing to go back to.
    let (_, outcome) = nameless("identity = \"commit\"\n", well());
    expect(&outcome, 6, "who answers cannot be told");
}

#[test]
fn the_commit_is_read_where_deploy_toml_says() {
    for (more, code) in [
        ("version = \"/api/health\"\ncommit_field = \"version\"\n", 0),
        ("version = \"/api/version\"\n", 0),
        ("commit_field = \"schema.commit\"\n", 6),
        ("commit_header = \"x-commit\"\n", 6),
    ] {
        let outcome = Project::new(1)
            .configured(more)
            .deploy(&Version::new(1), How::seed(1));
        assert_eq!(outcome.code(), code, "{more}: {}", outcome.reason());
    }
}

#[test]
fn an_old_release_is_judged_by_what_it_was_released_with() {
    let mut project = Project::live(1);
    // The next release tells its commit elsewhere, and does not start: the old one knows nothing of the new place.
    let moved = "version = \"/about\"\n";
    project = project.configured(moved);
    let broken =
        Version::new(2).behaving(well().booting(cloud::inprocess::Boot::Crash { code: 1 }));
    expect(&project.deploy(&broken, How::seed(2)), 5, "rolled back");
}

#[test]
fn a_service_needs_no_administration_endpoint() {
    let mut project = Project::new(1);
    service_answers(&project, "/api/admin/state", status(404, false), 0);
    let outcome = project.deploy(&Version::new(1), How::seed(1));
    expect(&outcome, 0, "live");
    let told = outcome.state.warnings.concat();
    assert!(told.contains("was not read back"), "{told}");
    // It is known by now that there is none, so that step is not planned and does not run.
    let outcome = project.deploy(&Version::new(2).migrating(2, false), How::seed(2));
    expect(&outcome, 0, "live");
    assert!(!outcome.state.planned.contains(&Step::BackendSchema));
    assert!(!outcome.state.steps.contains_key(&Step::BackendSchema));
}
