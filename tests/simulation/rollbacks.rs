//! `rollback` when things are not as they should be: what it says is what is out there.

use super::decisions::status;
use super::project::{How, Outcome, Project, Version};
use cloud::Fault;
use std::time::Duration;
use tandem::live::{Live, files, live_ref};
use tandem::rollback::Asked;

const RESTORE: &str = "/api/v1/sites/*/deploys/*/restore";
const ROLLBACK: &str = "/v1/services/*/rollback";

/// A project whose second release is live.
fn twice(second: &Version) -> Project {
    let mut project = Project::live(1);
    let outcome = project.deploy(second, How::seed(1));
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    project.pass(Duration::from_secs(60));
    project
}

fn back(project: &mut Project, how: How) -> Outcome {
    project.rollback(Asked::default(), how)
}

/// Which versions are live: frontend, backend.
fn live(project: &Project) -> (Option<String>, Option<String>) {
    let now_ms = project.now_ms();
    let truth = project.universe.cloud().truth(now_ms);
    (truth.site_commit, truth.serving_commit)
}

fn both(version: &Version) -> (Option<String>, Option<String>) {
    (Some(version.id.clone()), Some(version.id.clone()))
}

#[test]
fn unchanged_is_said_after_a_look() {
    let mut project = twice(&Version::new(2));
    let refuses = Fault::new("POST", RESTORE, status(422, false));
    project.universe.cloud().add_fault(refuses);
    let outcome = back(&mut project, How::seed(2));
    assert_eq!(outcome.code(), 4, "{}", outcome.reason());
    assert_eq!(live(&project), both(&Version::new(2)));
    let run = outcome.ended.unwrap().run.unwrap();
    assert!(run.as_str().contains("Z-0000000-"), "{run}");
}

#[test]
fn a_backend_that_cannot_go_back_is_a_persons_business() {
    let mut project = twice(&Version::new(2));
    let refuses = Fault::new("POST", ROLLBACK, status(404, false));
    project.universe.cloud().add_fault(refuses);
    let outcome = back(&mut project, How::seed(2));
    assert_eq!(outcome.code(), 8, "{}", outcome.reason());
}

#[test]
fn no_end_claims_more_than_was_seen() {
    let mut codes = std::collections::BTreeSet::new();
    for from_ms in (0..12_000).step_by(400) {
        let mut project = twice(&Version::new(2));
        let how = How {
            outages: std::iter::once(from_ms..u64::MAX).collect(),
            ..How::seed(from_ms)
        };
        let outcome = back(&mut project, how);
        let (code, found) = (outcome.code(), live(&project));
        match code {
            0 => assert_eq!(found, both(&Version::new(1)), "{from_ms} ms"),
            3 | 4 => assert_eq!(found, both(&Version::new(2)), "{from_ms} ms"),
            7 => {}
            // Nothing answered for minutes after something had moved.
            8 => assert_ne!(found, both(&Version::new(2)), "{from_ms} ms"),
            _ => panic!("{from_ms} ms: exit {code}, {}", outcome.reason()),
        }
        codes.insert(code);
    }
    assert!(codes.contains(&3) && codes.contains(&7), "{codes:?}");
}

#[test]
fn a_record_that_moved_meanwhile_is_not_rolled_back_over() {
    let mut project = twice(&Version::new(2));
    let name = live_ref(&project.target.name);
    let how = How {
        happenings: vec![(
            0,
            Box::new(move |universe, _| {
                use tandem::refs::Refs as _;
                let found = universe.refs.read(&name).unwrap().unwrap();
                let mut newer = Live::parse(found.clone()).unwrap();
                newer.record.by = "somebody else".to_owned();
                let files = files(&newer.record, &newer.manifests, newer.sent.as_ref()).unwrap();
                universe
                    .refs
                    .swap(&name, Some(&found.oid), &files, true, "moved")
                    .unwrap();
            }),
        )],
        ..How::seed(2)
    };
    let outcome = back(&mut project, how);
    assert_eq!(outcome.code(), 3, "{}", outcome.reason());
    assert!(
        outcome.reason().contains("another run has moved that"),
        "{}",
        outcome.reason()
    );
    assert_eq!(live(&project), both(&Version::new(2)));
}

#[test]
fn a_schema_that_cannot_be_read_is_judged_by_the_records_or_by_nobody() {
    let blind = || How {
        no_admin_token: true,
        ..How::seed(2)
    };
    // The same migrations in both: nothing to judge.
    let mut project = twice(&Version::new(2));
    let outcome = back(&mut project, blind());
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert!(
        outcome
            .state
            .warnings
            .iter()
            .any(|warning| warning.contains("TANDEM_ADMIN_TOKEN is not set")),
        "{:?}",
        outcome.state.warnings
    );

    // The checkout has not the newer file.
    let migrated = Version::new(2).migrating(2, false);
    let mut project = twice(&migrated);
    let outcome = back(&mut project, blind());
    assert_eq!(outcome.code(), 9, "{}", outcome.reason());
    assert!(
        outcome.reason().contains("0002_step.sql is not known"),
        "{}",
        outcome.reason()
    );
    assert_eq!(live(&project), both(&migrated));
    let glass = Asked {
        break_glass: Some("the service is down".to_owned()),
        ..Asked::default()
    };
    project.pass(Duration::from_secs(60));
    let outcome = project.rollback(glass, blind());
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());

    // A service that does not answer is no reason to skip the rule either.
    let mut project = twice(&Version::new(2).migrating(2, true));
    project.universe.cloud().add_fault(Fault {
        door: Some(cloud::Door::Service),
        ..Fault::new("GET", "/api/admin/state", status(500, false)).times(1000, 0)
    });
    assert_eq!(back(&mut project, How::seed(2)).code(), 9);
}
