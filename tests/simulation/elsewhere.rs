//! A run whose machine or journal is lost: another machine goes on with it, and makes nothing a second time.

use super::project::{How, Outcome, Project, Version, well};
use cloud::inprocess::{Behaviour, Boot};
use std::time::Duration;
use tandem::journal::Journal;
use tandem::live::run_ref;
use tandem::refs::Refs as _;
use tandem::run::Options;
use tandem::shared_run::RunRecord;
use tandem::sim::refs::RefFault;

/// After so long nobody holds a dead process's lease any more.
const LEASE_OVER: Duration = Duration::from_secs(130);

fn made(project: &Project) -> usize {
    project.universe.cloud().created_deploys().1
}

fn record(project: &Project) -> RunRecord {
    let name = run_ref(&project.target.name);
    RunRecord::parse(&project.universe.refs.read(&name).unwrap().unwrap()).unwrap()
}

fn calls(version: &Version) -> u64 {
    Project::live(1).deploy(version, How::seed(1)).calls
}

#[track_caller]
fn expect(outcome: &Outcome, code: u8, told: &str) {
    assert_eq!(outcome.code(), code, "{told}: {}", outcome.reason());
}

/// Kills the release at every few calls and has `then` follow. It ends as the run would have, and makes at most one deploy, besides
/// the one by which a bad one is undone.
fn sweep(version: &Version, end: u8, then: impl Fn(&mut Project) -> How) {
    for at in (1..=calls(version)).step_by(3) {
        let mut project = Project::live(1);
        project.deploy(version, How::killed_at(at));
        project.pass(LEASE_OVER);
        // Killed after it had written its end down: what follows is a run of its own.
        let found = project.universe.refs.read(&run_ref(&project.target.name));
        let told = found
            .unwrap()
            .map(|value| RunRecord::parse(&value).unwrap());
        let had_ended = told.is_some_and(|run| run.commit.0 == version.id && run.end.is_some());
        let how = then(&mut project);
        let outcome = project.deploy(version, how);
        expect(&outcome, end, &format!("killed at {at}"));
        let most = match (end, had_ended) {
            (5, true) => 5,
            (5, false) => 3,
            _ => 2,
        };
        assert!(made(&project) <= most, "killed at {at}: {}", made(&project));
    }
}

#[test]
fn another_machine_goes_on_wherever_the_first_one_died() {
    sweep(&Version::new(2), 0, |_| How::on("elsewhere"));
}

#[test]
fn another_machine_undoes_what_the_first_one_could_not() {
    let broken = well().booting(Boot::Crash { code: 1 });
    sweep(&Version::new(2).behaving(broken), 5, |_| {
        How::on("elsewhere")
    });
}

#[test]
fn a_lost_journal_is_no_lost_run() {
    sweep(&Version::new(2), 0, |project| {
        project.lose_journal();
        How::seed(2)
    });
}

/// As when the write-ahead log is gone: the run is there, what it did is not.
#[test]
fn a_journal_that_forgot_its_newest_rows_is_no_lost_run() {
    sweep(&Version::new(2), 0, |project| {
        let runs = project.universe.journal.runs(&project.target.name, 9);
        let journal = Journal::in_memory().unwrap();
        for run in runs.unwrap().iter().rev() {
            journal.import(run, &[], false).unwrap();
        }
        project.universe.journal = journal;
        How::seed(2)
    });
}

/// A release that is killed right after its trigger.
fn triggered() -> Project {
    let slow = Behaviour {
        build_ms: 200_000,
        ..well()
    };
    let mut project = Project::live(1);
    let version = Version::new(2).behaving(slow);
    let how = How {
        kill_after_triggers: Some(1),
        ..How::seed(1)
    };
    let killed = project.deploy(&version, how);
    assert!(killed.ended.is_none());
    assert_eq!(made(&project), 2);
    project
}

#[test]
fn after_the_trigger_resume_and_abort_work_from_another_machine() {
    // The deploy is live by then, so that undoing it takes a rollback.
    for (ask, code, deploys) in [
        (How::resume(), 0, 2),
        (How::abort(), 5, 3),
        (How::seed(1), 0, 2),
    ] {
        let mut project = triggered();
        assert_eq!(record(&project).intents.len(), 4, "{:#?}", record(&project));
        project.pass(LEASE_OVER);
        let how = How {
            host: Some("elsewhere"),
            ..ask
        };
        let outcome = project.deploy(&Version::new(2), how);
        expect(&outcome, code, "elsewhere");
        assert_eq!(made(&project), deploys);
        let record = record(&project);
        assert_eq!(record.end.map(|end| end.exit_code), Some(code));
        // The machine that died comes back and knows nothing of all that.
        let outcome = project.deploy(&Version::new(2), How::seed(3));
        expect(&outcome, 0, "back");
        assert_eq!(made(&project), if code == 0 { 2 } else { 4 });
    }
}

#[test]
fn a_run_that_may_live_elsewhere_is_left_alone() {
    let mut project = triggered();
    let outcome = project.deploy(&Version::new(2), How::on("elsewhere"));
    expect(&outcome, 3, "its lease is young");
    assert!(outcome.reason().contains("holds the lease"));
    let other = How {
        host: Some("elsewhere"),
        ..How::resume()
    };
    expect(&project.deploy(&Version::new(2), other), 3, "resume");
    assert_eq!(record(&project).end, None);
    expect(&project.deploy(&Version::new(2), How::seed(2)), 0, "here");
    assert_eq!(made(&project), 2);
}

#[test]
fn whoever_waited_while_the_run_ended_finds_nothing_to_do() {
    let mut project = Project::live(1);
    let version = Version::new(2);
    // Elsewhere it is interrupted, and taken up again while this machine waits for the lease.
    let how = How {
        cancel_at_ms: Some(9_000),
        ..How::on("elsewhere")
    };
    expect(&project.deploy(&version, how), 130, "elsewhere");
    let outcome = project.deploy(&version, How::on("elsewhere"));
    expect(&outcome, 0, "elsewhere again");
    let outcome = project.deploy(&version, How::seed(1));
    expect(&outcome, 0, "here");
    assert!(outcome.ended.unwrap().nothing_to_do);
    assert_eq!(made(&project), 2);
}

#[test]
fn without_the_refs_the_provider_is_asked() {
    let mut project = triggered();
    project.lose_journal();
    let name = run_ref(&project.target.name);
    let found = project.universe.refs.read(&name).unwrap().unwrap();
    project.universe.refs.delete(&name, &found.oid).unwrap();
    let outcome = project.deploy(&Version::new(2), How::seed(2));
    expect(&outcome, 0, "adopted");
    assert_eq!(made(&project), 2);
    let warnings = outcome.state.warnings.join("\n");
    assert!(warnings.contains("adopted dep-"), "{warnings}");
}

#[test]
fn what_cannot_be_written_down_is_not_triggered() {
    // The first push takes the lease, the second begins the run, the third belongs to gate 1, the fourth precedes the trigger. Each is
    // tried twice.
    for (first, code) in [(2, 3), (4, 4)] {
        let mut project = Project::live(1);
        let how = How {
            ref_faults: (first..first + 2)
                .map(|number| (number, RefFault::Before))
                .collect(),
            ..How::seed(1)
        };
        let outcome = project.deploy(&Version::new(2), how);
        expect(&outcome, code, &format!("push {first}"));
        assert_eq!(made(&project), 1);
        expect(&project.deploy(&Version::new(2), How::seed(2)), 0, "again");
    }
}

#[test]
fn what_is_broken_is_rolled_back_although_it_cannot_be_written_down() {
    let mut project = Project::live(1);
    let version = Version::new(2).behaving(well().booting(Boot::Crash { code: 1 }));
    let how = How {
        // After the lease, the beginning, gate 1 and the trigger the next push belongs to the rollback.
        ref_faults: [5, 6].map(|number| (number, RefFault::Before)).into(),
        ..How::seed(1)
    };
    let outcome = project.deploy(&version, how);
    expect(&outcome, 5, "rolled back");
    let warnings = outcome.state.warnings.join("\n");
    assert!(warnings.contains("could not be written down"), "{warnings}");
}

#[test]
fn nothing_to_do_writes_nothing() {
    let mut project = Project::live(1);
    let name = run_ref(&project.target.name);
    let before = project.universe.refs.read(&name).unwrap();
    let outcome = project.deploy(&Version::new(1), How::on("elsewhere"));
    expect(&outcome, 0, "nothing");
    assert_eq!(project.universe.refs.read(&name).unwrap(), before);
    let runs = project.universe.journal.runs(&project.target.name, 9);
    assert_eq!(runs.unwrap().len(), 0);
}

#[test]
fn another_commit_goes_over_a_run_that_died_elsewhere() {
    let mut project = triggered();
    project.pass(LEASE_OVER);
    let how = How {
        options: Options::default(),
        ..How::on("elsewhere")
    };
    let outcome = project.deploy(&Version::new(3), how);
    expect(&outcome, 0, "newer");
    assert!(
        outcome
            .state
            .warnings
            .iter()
            .any(|text| text.contains("has not come to its end")),
        "{:?}",
        outcome.state.warnings
    );
}
