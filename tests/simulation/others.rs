//! Other people who deploy the same service: whenever they come, the end of a run is true when it is said and stays true.

use super::decisions::{expect, status};
use super::oracle::{BY_HAND, OLDER_BY_HAND};
use super::project::{How, Outcome, Project, Version, well};
use cloud::Fault;
use cloud::inprocess::{Behaviour, Boot, Health};
use std::time::Duration;
use tandem::sim::{Happening, Universe};

/// As somebody with the provider's key and a terminal would.
pub(super) fn trigger_by_hand(universe: &Universe, now_ms: i64, commit: &str) {
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

/// Somebody deploys `commit`, which behaves as told, `at_ms` after the run began.
fn meanwhile(project: &Project, at_ms: u64, commit: &'static str, behaviour: Behaviour) -> How {
    let migrations = Vec::new();
    let behaviour = Behaviour {
        migrations,
        ..behaviour
    };
    project.universe.cloud().behave(commit, behaviour);
    let happening: Happening =
        Box::new(move |universe, now_ms| trigger_by_hand(universe, now_ms, commit));
    How {
        happenings: vec![(at_ms, happening)],
        ..How::seed(1)
    }
}

fn slow() -> Behaviour {
    Behaviour {
        build_ms: 40_000,
        ..well()
    }
}

/// A release of version 2 during which somebody deploys `commit` at every moment.
fn sweep(
    version: &Version,
    commit: &'static str,
    theirs: &Behaviour,
    judge: impl Fn(u64, &Outcome),
) {
    let until_ms = Project::live(1).deploy(version, How::seed(1)).elapsed_ms;
    for at_ms in (1_000..until_ms).step_by(1_000) {
        let mut project = Project::live(1);
        let how = meanwhile(&project, at_ms, commit, theirs.clone());
        judge(at_ms, &project.deploy(version, how));
    }
}

fn says(at_ms: u64, outcome: &Outcome, codes: &[u8]) {
    assert!(
        codes.contains(&outcome.code()),
        "at {at_ms} ms: exit {} ({})",
        outcome.code(),
        outcome.reason()
    );
}

#[test]
fn a_newer_one_supersedes_a_release_whenever_it_comes() {
    for theirs in [well(), slow()] {
        // One that comes before ours is asked for is replaced by ours.
        sweep(&Version::new(2), BY_HAND, &theirs, |at_ms, outcome| {
            says(at_ms, outcome, &[0, 10]);
        });
    }
}

#[test]
fn an_older_one_takes_the_new_frontend_back() {
    for theirs in [well(), slow()] {
        sweep(
            &Version::new(2),
            OLDER_BY_HAND,
            &theirs,
            |at_ms, outcome| {
                says(at_ms, outcome, &[0, 6]);
                if outcome.code() == 6 {
                    assert!(
                        outcome.reason().contains("is not known to contain"),
                        "{}",
                        outcome.reason()
                    );
                    assert!(
                        outcome.reason().contains("the previous frontend is public"),
                        "{}",
                        outcome.reason()
                    );
                }
            },
        );
    }
}

#[test]
fn an_older_one_in_the_bake() {
    let mut project = Project::live(1);
    let how = meanwhile(&project, 14_000, OLDER_BY_HAND, well());
    let outcome = project.deploy(&Version::new(2), how);
    expect(&outcome, 6, "the backend that answers is 0000000");
}

#[test]
fn one_that_fails_leaves_nothing_that_is_called_live() {
    let crash = well().booting(Boot::Crash { code: 1 });
    sweep(&Version::new(2), BY_HAND, &crash, |at_ms, outcome| {
        says(at_ms, outcome, &[0, 5]);
    });
}

#[test]
fn one_that_comes_while_a_release_is_undone() {
    for broken in [
        well().booting(Boot::Crash { code: 1 }),
        well().saying(Health::Unhealthy503),
    ] {
        let version = Version::new(2).behaving(broken);
        for theirs in [well(), slow()] {
            sweep(&version, BY_HAND, &theirs, |at_ms, outcome| {
                says(at_ms, outcome, &[5, 10]);
            });
            sweep(&version, OLDER_BY_HAND, &theirs, |at_ms, outcome| {
                says(at_ms, outcome, &[5, 6]);
            });
        }
    }
}

#[test]
fn without_a_bake_the_last_words_wait_all_the_same() {
    let mut project = Project::live(1);
    project.target.policy.bake = Duration::ZERO;
    let how = meanwhile(&project, 4_500, BY_HAND, slow());
    let outcome = project.deploy(&Version::new(2), how);
    expect(&outcome, 10, "contains 0000000");
}

#[test]
fn one_that_never_ends_leaves_the_end_open() {
    let mut project = Project::live(1);
    let endless = Behaviour {
        build_ms: 3_600_000,
        ..well()
    };
    let how = meanwhile(&project, 12_000, BY_HAND, endless);
    let outcome = project.deploy(&Version::new(2), how);
    expect(&outcome, 7, "it may become live at any time");
    let cancelled = project.universe.cloud().calls();
    assert!(cancelled.iter().all(|call| !call.path.ends_with("/cancel")));
}

#[test]
fn a_trigger_that_is_accepted_and_never_started_has_an_end() {
    let mut project = Project::live(1);
    let mut accepted = status(202, false);
    if let cloud::FaultKind::Status { body, .. } = &mut accepted {
        body.clear();
    }
    project
        .universe
        .cloud()
        .add_fault(Fault::new("POST", "/v1/services/*/deploys", accepted.clone()).times(1, 1));
    let outcome = project.deploy(&Version::new(2), How::seed(1));
    expect(&outcome, 4, "accepted the deploy");
    assert_eq!(project.universe.cloud().created_deploys().1, 1);
    // The next one begins anew.
    expect(&project.deploy(&Version::new(2), How::seed(2)), 0, "live");
    // Somebody else's newer one took its place.
    project
        .universe
        .cloud()
        .add_fault(Fault::new("POST", "/v1/services/*/deploys", accepted).times(1, 1));
    let how = meanwhile(&project, 30_000, BY_HAND, well());
    expect(
        &project.deploy(&Version::new(3), how),
        10,
        "contains 0000000",
    );
}

#[test]
fn one_that_comes_while_an_earlier_release_is_brought_back() {
    for (commit, theirs, code) in [
        (BY_HAND, well(), 10),
        (BY_HAND, slow(), 10),
        (OLDER_BY_HAND, slow(), 6),
    ] {
        let mut project = Project::live(1);
        expect(&project.deploy(&Version::new(2), How::seed(1)), 0, "live");
        let how = meanwhile(&project, 2_500, commit, theirs);
        let outcome = project.rollback(tandem::rollback::Asked::default(), how);
        says(2_500, &outcome, &[code]);
    }
}
