//! Releases of bundles: no configured command runs, and a run that released a bundle never turns into one that runs commands.

use super::project::{How, Project, Version};
use tandem::event::Step;
use tandem::ids::Lane;

#[test]
fn a_bundle_is_released_without_a_configured_command() {
    let mut project = Project::live(1);
    let usual = project.deploy(&Version::new(2), How::seed(1));
    assert_eq!(
        (usual.code(), usual.ran),
        (0, vec!["make check".to_owned()])
    );
    let outcome = project.deploy(&Version::new(3), How::bundle());
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert_eq!(outcome.ran, Vec::<String>::new());
    // Gate 1 has looked at the checks all the same.
    assert_eq!(
        outcome.state.steps[&Step::Checks].detail,
        "passed before, for the bundle: tests"
    );
}

#[test]
fn a_lane_that_the_bundle_lacks_is_not_released() {
    let mut project = Project::live(1);
    let half = || How {
        bundle: Some(vec![Lane::Backend]),
        ..How::default()
    };
    let outcome = project.deploy(&Version::new(2), half());
    assert_eq!(outcome.code(), 3);
    assert_eq!(
        outcome.reason(),
        "the plan wants to release the frontend, and the bundle was prepared for backend only (hint: prepare it without --only, or release with --only backend)"
    );
    let outcome = project.deploy(&Version::new(2).only_backend(1), half());
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
}

#[test]
fn an_interrupted_bundle_goes_on_with_a_bundle_only() {
    let elapsed_ms = Project::live(1)
        .deploy(&Version::new(2), How::bundle())
        .elapsed_ms;
    for at_ms in (1_000..elapsed_ms.min(30_000)).step_by(1_500) {
        let mut project = Project::live(1);
        let interrupted = How {
            cancel_at_ms: Some(at_ms),
            ..How::bundle()
        };
        let first = project.deploy(&Version::new(2), interrupted);
        if first.code() != 130 {
            assert_eq!(first.code(), 0, "cancelled at {at_ms}: {}", first.reason());
            continue;
        }
        let refused = project.deploy(&Version::new(2), How::resume());
        assert_eq!(
            refused.code(),
            2,
            "cancelled at {at_ms}: {}",
            refused.reason()
        );
        assert_eq!(refused.ran, Vec::<String>::new());
        let resumed = How {
            bundle: Some(Lane::ALL.to_vec()),
            ..How::resume()
        };
        let outcome = project.deploy(&Version::new(2), resumed);
        assert_eq!(
            outcome.code(),
            0,
            "cancelled at {at_ms}: {}",
            outcome.reason()
        );
        assert_eq!(outcome.ran, Vec::<String>::new());
        assert_eq!(
            outcome.ended.unwrap().run,
            first.ended.unwrap().run,
            "it is the same run"
        );
    }
}

#[test]
fn an_interrupted_bundle_is_undone_without_one() {
    let mut project = Project::live(1);
    let interrupted = How {
        cancel_at_ms: Some(9_000),
        ..How::bundle()
    };
    assert_eq!(project.deploy(&Version::new(2), interrupted).code(), 130);
    let outcome = project.deploy(&Version::new(2), How::abort());
    assert_eq!(outcome.code(), 5, "{}", outcome.reason());
    assert_eq!(outcome.ran, Vec::<String>::new());
}

#[test]
fn a_plain_deploy_after_an_interrupted_bundle_is_a_run_of_its_own() {
    let mut project = Project::live(1);
    let interrupted = How {
        cancel_at_ms: Some(9_000),
        ..How::bundle()
    };
    let first = project.deploy(&Version::new(2), interrupted);
    let outcome = project.deploy(&Version::new(2), How::seed(1));
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert_eq!(outcome.ran, ["make check"]);
    assert_ne!(outcome.ended.unwrap().run, first.ended.unwrap().run);
}

#[test]
fn a_bundle_goes_on_after_a_kill_at_every_call() {
    let calls = Project::live(1)
        .deploy(&Version::new(2), How::bundle())
        .calls;
    assert!(calls > 50, "only {calls} calls: what is swept here?");
    for at in (1..=calls).step_by(3) {
        let mut project = Project::live(1);
        let killed = How {
            kill_at: Some(at),
            ..How::bundle()
        };
        project.deploy(&Version::new(2), killed);
        let outcome = project.deploy(&Version::new(2), How::bundle());
        assert_eq!(
            outcome.code(),
            0,
            "killed at {at} of {calls}: {}",
            outcome.reason()
        );
        assert_eq!(outcome.ran, Vec::<String>::new(), "killed at {at}");
    }
}
