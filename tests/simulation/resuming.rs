//! Interrupted runs: what `--resume` and `--abort` make of them, at every moment.

use super::project::{How, Project, Version, well};
use cloud::inprocess::Boot;
use cloud::{Fault, FaultKind};

const HOUR_MS: i64 = 3_600_000;

fn until_ms(version: &Version) -> u64 {
    Project::live(1)
        .deploy(version, How::seed(1))
        .elapsed_ms
        .min(60_000)
}

/// Interrupts the release at every moment; a plain `deploy` afterwards must come to the end that it would have had.
fn goes_on_to(version: &Version, end: u8) {
    for at_ms in (0..until_ms(version)).step_by(700) {
        let mut project = Project::live(1);
        let outcome = project.deploy(version, How::cancelled_at(at_ms));
        assert!(
            [130, end].contains(&outcome.code()),
            "cancelled at {at_ms}: {} {}",
            outcome.code(),
            outcome.reason()
        );
        let outcome = project.deploy(version, How::seed(2));
        assert_eq!(
            outcome.code(),
            end,
            "cancelled at {at_ms}, then: {}",
            outcome.reason()
        );
    }
}

#[test]
fn an_interrupted_release_goes_on() {
    goes_on_to(&Version::new(2), 0);
}

#[test]
fn an_interrupted_undo_goes_on() {
    let version = Version::new(2).behaving(well().booting(Boot::Crash { code: 1 }));
    goes_on_to(&version, 5);
}

#[test]
fn an_interrupted_release_is_undone_on_request() {
    let version = Version::new(2);
    for at_ms in (0..until_ms(&version)).step_by(900) {
        let mut project = Project::live(1);
        let run = project
            .deploy(&version, How::cancelled_at(at_ms))
            .ended
            .unwrap()
            .run;
        let outcome = project.deploy(&version, How::abort());
        let code = if run.is_none() { 2 } else { 5 };
        assert!(
            [code, 2].contains(&outcome.code()),
            "cancelled at {at_ms}, then: {} {}",
            outcome.code(),
            outcome.reason()
        );
        let outcome = project.deploy(&version, How::seed(3));
        assert_eq!(
            outcome.code(),
            0,
            "cancelled at {at_ms}, aborted, then: {}",
            outcome.reason()
        );
    }
}

#[test]
fn a_breaking_migration_cannot_be_aborted() {
    let mut project = Project::live(1);
    let version = Version::new(2).migrating(2, true);
    assert_eq!(
        project.deploy(&version, How::cancelled_at(12_000)).code(),
        130
    );
    let outcome = project.deploy(&version, How::abort());
    assert_eq!(outcome.code(), 9, "{}", outcome.reason());
}

#[test]
fn nothing_to_resume_is_a_usage_error() {
    let mut project = Project::live(1);
    assert_eq!(project.deploy(&Version::new(2), How::resume()).code(), 2);
    assert_eq!(project.deploy(&Version::new(2), How::abort()).code(), 2);
}

#[test]
fn a_refused_attempt_leaves_the_run_resumable() {
    let mut project = Project::live(1);
    project.universe.cloud().add_fault(Fault::new(
        "POST",
        "/api/v1/sites/*/deploys/*/restore",
        super::decisions::status(422, false),
    ));
    assert_eq!(project.deploy(&Version::new(2), How::seed(1)).code(), 6);
    project
        .universe
        .cloud()
        .add_fault(Fault::new("GET", "/v1/services/*", FaultKind::ResetBefore).times(1, 8));
    assert_eq!(project.deploy(&Version::new(2), How::resume()).code(), 3);
    project.universe.cloud().cloud_mut().clear_faults();
    assert_eq!(project.deploy(&Version::new(2), How::resume()).code(), 0);
}

#[test]
fn a_run_that_others_overtook_does_not_go_on() {
    let mut project = Project::live(1);
    project.deploy(&Version::new(2), How::cancelled_at(9_000));
    assert_eq!(project.deploy(&Version::new(3), How::seed(1)).code(), 0);
    let outcome = project.deploy(&Version::new(2), How::resume());
    assert_eq!(outcome.code(), 2, "{}", outcome.reason());
    let outcome = project.deploy(&Version::new(2), How::seed(2));
    assert_eq!(
        outcome.code(),
        10,
        "as a release of its own it would lead back: {}",
        outcome.reason()
    );
}

/// The first of two runs has the wrong time. What counts is the order in which they began here.
#[test]
fn the_newest_run_is_the_one_that_began_last_whatever_the_clock_says() {
    let calls = Project::live(1)
        .deploy(&Version::new(3), How::seed(1))
        .calls;
    for clock_off_ms in [-2 * HOUR_MS, 2 * HOUR_MS] {
        for go_on in [How::resume(), How::seed(3)] {
            let mut project = Project::live(1);
            let ahead = How {
                clock_off_ms,
                ..How::seed(1)
            };
            assert_eq!(project.deploy(&Version::new(2), ahead).code(), 0);
            let killed = project.deploy(&Version::new(3), How::killed_at(calls * 3 / 4));
            assert!(killed.ended.is_none());
            let made = project.universe.cloud().created_deploys().1;
            assert_eq!(made, 3, "killed after the trigger");
            let outcome = project.deploy(&Version::new(3), go_on);
            assert_eq!(outcome.code(), 0, "{}", outcome.reason());
            assert_eq!(project.universe.cloud().created_deploys().1, made);
        }
    }
}

#[test]
fn the_time_of_a_run_goes_on_where_its_earlier_attempt_stopped() {
    for (how, aborted) in [(How::resume(), false), (How::abort(), true)] {
        let mut project = Project::live(1);
        let version = Version::new(2);
        let first = project.deploy(&version, How::cancelled_at(6_000));
        assert_eq!(first.code(), 130, "{}", first.reason());
        let outcome = project.deploy(&version, how);
        let run = outcome.ended.as_ref().unwrap().run.clone().unwrap();
        let times: Vec<u64> = project
            .universe
            .journal
            .events(&run)
            .unwrap()
            .iter()
            .map(|event| event.elapsed_ms)
            .collect();
        assert!(times.is_sorted(), "{times:?}");
        let (state, took_ms) = (&outcome.state, first.elapsed_ms + outcome.elapsed_ms);
        assert_eq!(state.elapsed_ms, took_ms);
        assert_eq!(state.aborted, aborted);
        let (path, length_ms) = state.critical_path();
        // Asking again and again what became of a deploy is no step of an undo.
        let least_ms = if aborted {
            took_ms / 2
        } else {
            took_ms * 9 / 10
        };
        assert!(
            (least_ms..=took_ms).contains(&length_ms),
            "{length_ms} of {took_ms} ms: {path:?}"
        );
    }
}
