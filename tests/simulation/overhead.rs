//! The engine's own share of a release's time, in virtual time: next to nothing.

use super::project::{How, Project, Version, well};
use cloud::inprocess::Behaviour;
use std::sync::Barrier;
use std::time::Duration;
use tandem::real::run_lanes;

#[test]
fn a_release_takes_as_long_as_its_longest_chain() {
    let mut project = Project::live(1);
    project.target.policy.bake = Duration::ZERO;
    let mut settings = project.universe.cloud().cloud().settings().clone();
    settings.timings.netlify_processing_ms = 20_000;
    project.universe.cloud().cloud_mut().set_settings(settings);
    let behaviour = Behaviour {
        build_ms: 30_000,
        boot_ms: 5_000,
        ..well()
    };
    let outcome = project.deploy(&Version::new(2).behaving(behaviour), How::seed(1));
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    let (path, ideal_ms) = outcome.state.critical_path();
    assert!(ideal_ms >= 55_000, "{path:?} takes {ideal_ms} ms");
    let makespan_ms = outcome.state.elapsed_ms;
    assert!(
        makespan_ms * 100 <= ideal_ms * 101,
        "{makespan_ms} ms for a critical path of {ideal_ms} ms: {path:?}"
    );
}

#[test]
fn lanes_all_run_at_once() {
    // Each lane waits for all others: lanes that ran one after the other would never get past this.
    for count in [1, 2, 16] {
        let barrier = Barrier::new(count);
        run_lanes(count, &|_| {
            barrier.wait();
        });
    }
}
