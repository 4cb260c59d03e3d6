//! A process that dies at any of its calls to the outside: the next plain `deploy` brings the release to the same end.

use super::project::{How, Project, Version, well};
use cloud::inprocess::{Boot, Health};

/// Kills the release of `version` at every call, deploys again, and expects `end`.
fn sweep(version: &Version, end: &[u8], step: u64) {
    let calls = Project::live(1).deploy(version, How::seed(1)).calls;
    assert!(calls > 60, "only {calls} calls: what is swept here?");
    for at in (1..=calls).step_by(usize::try_from(step).unwrap()) {
        let mut project = Project::live(1);
        let killed = project.deploy(version, How::killed_at(at));
        assert!(
            killed.ended.is_none() || at == calls,
            "call {at} of {calls} was not reached: {} {}",
            killed.calls,
            killed.reason()
        );
        let outcome = project.deploy(version, How::seed(2));
        assert!(
            end.contains(&outcome.code()),
            "killed at {at} of {calls}: exit {} ({})",
            outcome.code(),
            outcome.reason()
        );
    }
}

#[test]
fn the_same_seed_makes_the_same_calls() {
    let degrades = Version::new(2).behaving(well().saying(Health::DegradesAfter { ms: 9_000 }));
    let calls = || Project::live(1).deploy(&degrades, How::seed(1)).calls;
    let first = calls();
    for _ in 0..20 {
        assert_eq!(calls(), first);
    }
}

#[test]
fn a_good_release_at_every_call() {
    sweep(&Version::new(2), &[0], 1);
}

#[test]
fn a_release_that_is_rolled_back_at_every_call() {
    let broken = well().booting(Boot::Crash { code: 1 });
    sweep(&Version::new(2).behaving(broken), &[5], 1);
}

#[test]
fn a_release_that_fails_in_the_bake_at_every_call() {
    let degrades = well().saying(Health::DegradesAfter { ms: 9_000 });
    sweep(&Version::new(2).behaving(degrades), &[5], 1);
}

#[test]
fn an_irreversible_release_stays_irreversible() {
    let wrong = well().saying(Health::WrongVersion("f".repeat(40)));
    sweep(&Version::new(2).migrating(2, true).behaving(wrong), &[9], 5);
}

#[test]
fn killed_again_while_it_goes_on() {
    let calls = Project::live(1)
        .deploy(&Version::new(2), How::seed(1))
        .calls;
    for first in (20..calls).step_by(13) {
        for second in (15..80).step_by(21) {
            let mut project = Project::live(1);
            project.deploy(&Version::new(2), How::killed_at(first));
            project.deploy(
                &Version::new(2),
                How {
                    kill_at: Some(second),
                    ..How::seed(3)
                },
            );
            let outcome = project.deploy(&Version::new(2), How::seed(4));
            assert_eq!(
                outcome.code(),
                0,
                "killed at {first}, then at {second}: {}",
                outcome.reason()
            );
        }
    }
}

#[test]
fn killed_and_then_aborted() {
    let calls = Project::live(1)
        .deploy(&Version::new(2), How::seed(1))
        .calls;
    for at in (3..calls).step_by(7) {
        let mut project = Project::live(1);
        project.deploy(&Version::new(2), How::killed_at(at));
        let outcome = project.deploy(&Version::new(2), How::abort());
        // Before the run was written down there is nothing to abort; after its record moved it is undone like any other.
        assert!(
            [2, 5].contains(&outcome.code()),
            "killed at {at}: exit {} ({})",
            outcome.code(),
            outcome.reason()
        );
        let outcome = project.deploy(&Version::new(2), How::seed(2));
        assert_eq!(
            outcome.code(),
            0,
            "killed at {at}, aborted: {}",
            outcome.reason()
        );
    }
}
