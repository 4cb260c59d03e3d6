//! `rollback` when things are not as they should be: what it says is what is out there.

use super::decisions::status;
use super::project::{How, Outcome, Project, Version, well};
use cloud::Fault;
use cloud::inprocess::Boot;
use std::time::Duration;
use tandem::event::Step;
use tandem::ids::Lane;
use tandem::live::{Live, LiveRecord, files, live_ref};
use tandem::rollback::Asked;
use tandem::state::StepStatus;

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

fn recorded(project: &Project) -> LiveRecord {
    use tandem::refs::Refs as _;
    let name = live_ref(&project.target.name);
    let found = project.universe.refs.read(&name).unwrap().unwrap();
    LiveRecord::parse(&found).unwrap()
}

fn mixed(frontend: &Version, backend: &Version) -> (Option<String>, Option<String>) {
    (Some(frontend.id.clone()), Some(backend.id.clone()))
}

/// Releases a version and gives the release's name.
fn release(project: &mut Project, version: &Version) -> String {
    project.pass(Duration::from_secs(60));
    let outcome = project.deploy(version, How::seed(1));
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    outcome.ended.unwrap().verdict.release.unwrap().to_string()
}

fn roll(project: &mut Project, only: &[Lane], to: Option<&str>) -> Outcome {
    project.pass(Duration::from_secs(60));
    let asked = Asked {
        only: only.to_vec(),
        to: to.map(str::to_owned),
        ..Asked::default()
    };
    project.rollback(asked, How::seed(2))
}

#[test]
fn one_lane_brought_back_is_recorded_as_that_and_the_next_rollback_goes_on_from_there() {
    let [a, b, c] = [1, 2, 3].map(Version::new);
    let mut project = Project::live(1);
    let second = release(&mut project, &b);
    let third = release(&mut project, &c);

    let outcome = roll(&mut project, &[Lane::Frontend], None);
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert_eq!(live(&project), mixed(&b, &c));
    let record = recorded(&project);
    assert_eq!(
        (record.release.as_str(), record.commit.as_str()),
        (third.as_str(), c.id.as_str())
    );
    let with = format!(", with the frontend of {second}");
    assert_eq!(record.with_others(), with);
    assert_eq!(record.title(), format!("version 3/3 (rollback{with})"));
    assert_eq!(outcome.reason(), format!("live is release {third}{with}"));

    // The frontend before the one that is live.
    let outcome = roll(&mut project, &[Lane::Frontend], None);
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert_eq!(live(&project), mixed(&a, &c));
    let outcome = roll(&mut project, &[Lane::Frontend], Some(&second));
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());

    // The release before the newest of what is live.
    let outcome = roll(&mut project, &[], None);
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert_eq!(live(&project), both(&b));
    let record = recorded(&project);
    assert_eq!(
        (record.release.as_str(), record.title()),
        (second.as_str(), "version 2/2 (rollback)".to_owned())
    );
    let outcome = roll(&mut project, &[], None);
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert_eq!(live(&project), both(&a));
}

#[test]
fn after_one_lane_was_brought_back_a_deploy_releases_that_lane() {
    let [b, c] = [2, 3].map(Version::new);
    let mut project = Project::live(1);
    release(&mut project, &b);
    let third = release(&mut project, &c);
    assert_eq!(roll(&mut project, &[Lane::Frontend], None).code(), 0);
    let outcome = project.deploy(&c, How::seed(3));
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert_eq!(live(&project), both(&c));
    let record = recorded(&project);
    assert_eq!(record.lanes[&Lane::Backend].release.as_str(), third);
    assert!(record.others.is_empty());
    // What was live before that deploy comes back as it was, in two parts.
    let outcome = roll(&mut project, &[], None);
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert_eq!(live(&project), mixed(&b, &c));
    assert_eq!(recorded(&project).others, [Lane::Frontend].into());
    let outcome = roll(&mut project, &[], Some(&third));
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert_eq!(live(&project), both(&c));
    assert!(recorded(&project).others.is_empty());
}

#[test]
fn an_undo_is_recorded_as_one_and_its_steps_end() {
    let mut project = twice(&Version::new(2));
    let crashes = Version::new(3).behaving(well().booting(Boot::Crash { code: 1 }));
    let outcome = project.deploy(&crashes, How::seed(4));
    assert_eq!(outcome.code(), 5, "{}", outcome.reason());
    let run = outcome.ended.unwrap().run.unwrap();
    let record = recorded(&project);
    assert_eq!(record.title(), format!("undo of {run}"));
    // Older programs know of no undo.
    assert_eq!(record.command, "rollback");
    assert_eq!(record.commit.as_str(), Version::new(2).id);
    let outcome = back(&mut project, How::seed(5));
    assert_eq!(outcome.code(), 0, "{}", outcome.reason());
    assert_eq!(live(&project), both(&Version::new(1)));
    let unfinished = |(_, status): &(&Step, &StepStatus)| status.began && status.end.is_none();
    assert_eq!(outcome.state.steps.iter().find(unfinished), None);
    assert!(!outcome.state.steps.contains_key(&Step::BackendDeploy));
    let (path, _) = outcome.state.critical_path();
    assert!(
        path.starts_with(&[Step::Preflight, Step::UndoFrontend, Step::UndoBackend]),
        "{path:?}"
    );
}
