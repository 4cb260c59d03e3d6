//! Smoke tests: what fails there is evidence against the lane, as any other proof that fails.

use super::project::{How, Project, Version};
use std::collections::BTreeMap;
use tandem::event::{LaneState, Step};
use tandem::ids::Lane;
use tandem::lane::smoke::CURL;

/// Commands, so that the two lanes can be told apart.
const COMMANDS: &str = "[[frontend.smoke]]\nname = \"site\"\nrun = \"look at the site\"\n[[backend.smoke]]\nname = \"service\"\nrun = \"look at the service\"\n";
/// What a bundle's release can do as well.
const PATHS: &str = "[[frontend.smoke]]\nname = \"site\"\npath = \"/\"\ntimeout_s = 20\n[[backend.smoke]]\nname = \"service\"\npath = \"/\"\ntimeout_s = 20\n";

fn failing(script: &str) -> How {
    How {
        scripts: BTreeMap::from([(script.to_owned(), 1)]),
        ..How::seed(1)
    }
}

fn live(config: &str) -> Project {
    Project::live(1).configured(config)
}

#[test]
fn the_backend_is_asked_before_and_the_frontend_after_publishing() {
    let outcome = live(COMMANDS).deploy(&Version::new(2), How::seed(1));
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert_eq!(
        outcome.ran,
        ["make check", "look at the service", "look at the site"]
    );
    let steps = &outcome.state.steps;
    assert!(
        steps[&Step::BackendSmoke].finished_ms <= Some(steps[&Step::FrontendPublish].started_ms)
    );
    assert!(
        steps[&Step::FrontendVerify].finished_ms <= Some(steps[&Step::FrontendSmoke].started_ms)
    );
    assert_eq!(outcome.state.planned.len(), outcome.state.steps.len() - 1);
}

#[test]
fn a_backend_that_fails_is_rolled_back_and_the_frontend_was_never_public() {
    let outcome = live(COMMANDS).deploy(&Version::new(2), failing("look at the service"));
    assert_eq!(outcome.code(), 5, "{}", outcome.reason());
    assert!(
        outcome
            .reason()
            .contains("smoke test 'service' failed with exit code 1")
    );
    assert!(!outcome.state.steps.contains_key(&Step::FrontendPublish));
}

#[test]
fn a_frontend_that_fails_is_taken_back_and_the_policy_decides_about_the_backend() {
    let outcome = live(COMMANDS).deploy(&Version::new(2), failing("look at the site"));
    assert_eq!(outcome.code(), 6, "{}", outcome.reason());
    assert!(
        outcome
            .reason()
            .contains("the frontend was published and failed: smoke test 'site'"),
        "{}",
        outcome.reason()
    );
    assert_eq!(
        outcome.state.lanes[&Lane::Frontend].state,
        LaneState::RolledBack
    );
    let alone = live(COMMANDS).deploy(
        &Version::new(2).only_frontend(1),
        failing("look at the site"),
    );
    assert_eq!(alone.code(), 5, "{}", alone.reason());
    assert_eq!(alone.ran, ["make check", "look at the site"]);
}

#[test]
fn curl_asks_until_its_time_is_up() {
    let outcome = live(PATHS).deploy(&Version::new(2), failing(CURL));
    assert_eq!(outcome.code(), 5, "{}", outcome.reason());
    assert!(
        outcome.reason().contains("within 20 s"),
        "{}",
        outcome.reason()
    );
    let asked = outcome.ran.iter().filter(|script| *script == CURL).count();
    assert!((5..=10).contains(&asked), "{asked}");
}

#[test]
fn without_curl_nothing_is_begun() {
    let mut project = live(PATHS);
    let outcome = project.deploy(&Version::new(2), failing("command -v curl >/dev/null"));
    assert_eq!(outcome.code(), 3, "{}", outcome.reason());
    assert!(outcome.reason().contains("no curl on the PATH"));
    assert!(outcome.ended.unwrap().run.is_none());
}

#[test]
fn a_bundle_has_curl_asked_and_runs_no_command() {
    let bundle = || How::bundle();
    let outcome = live(PATHS).deploy(&Version::new(2), bundle());
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert!(outcome.ran.iter().all(|script| script.contains("curl")));
    assert_eq!(
        outcome.ran.iter().filter(|script| *script == CURL).count(),
        2
    );

    let outcome = live(COMMANDS).deploy(&Version::new(2), bundle());
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert_eq!(outcome.ran, Vec::<String>::new());
    assert_eq!(
        outcome.state.warnings.len(),
        2,
        "{:?}",
        outcome.state.warnings
    );
    assert!(
        outcome.state.warnings[0].contains("'service' is a configured command and was not run")
    );
    assert_eq!(
        outcome.state.steps[&Step::FrontendSmoke].detail,
        "none could be run"
    );
}

#[test]
fn a_network_that_is_away_is_no_evidence() {
    let began_ms = live(PATHS)
        .deploy(&Version::new(2), How::seed(1))
        .state
        .steps[&Step::BackendSmoke]
        .started_ms;
    let away = How {
        // One long outage, from the first question on.
        outages: std::iter::once(began_ms + 1..began_ms + 60_000).collect(),
        ..failing(CURL)
    };
    let outcome = live(PATHS).deploy(&Version::new(2), away);
    assert_eq!(outcome.code(), 7, "{}", outcome.reason());
    assert!(
        outcome
            .reason()
            .contains("the provider cannot be reached either")
    );
}
