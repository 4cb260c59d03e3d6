//! The lease when the store or somebody else gets in the way.

use super::project::{How, Project, Version, well};
use cloud::inprocess::Behaviour;
use std::collections::BTreeMap;
use tandem::live::lease_ref;
use tandem::refs::{Files, Refs as _};
use tandem::sim::Universe;
use tandem::sim::refs::RefFault;

fn slow() -> Version {
    Version::new(2).behaving(Behaviour {
        build_ms: 200_000,
        ..well()
    })
}

#[test]
fn a_push_whose_answer_was_lost_is_still_ours() {
    for fault in [RefFault::Before, RefFault::After] {
        for number in 2..=7 {
            let mut project = Project::live(1);
            let how = How {
                ref_faults: BTreeMap::from([(number, fault)]),
                ..How::seed(1)
            };
            let outcome = project.deploy(&slow(), how);
            // The last push is the record: when its answer is lost, nobody knows until the run goes on.
            assert!(
                [0, 7].contains(&outcome.code()),
                "{fault:?} {number}: {} {}",
                outcome.code(),
                outcome.reason()
            );
            if outcome.code() == 7 {
                let outcome = project.deploy(&slow(), How::resume());
                assert_eq!(
                    outcome.code(),
                    0,
                    "{fault:?} {number}: {}",
                    outcome.reason()
                );
            }
        }
    }
}

#[test]
fn a_store_that_stays_away_stops_the_run_in_time() {
    let mut project = Project::live(1);
    let how = How {
        // From the trigger on.
        ref_faults: (5..1000).map(|number| (number, RefFault::Before)).collect(),
        ..How::seed(1)
    };
    let outcome = project.deploy(&slow(), how);
    assert_eq!(outcome.code(), 7, "{}", outcome.reason());
    assert_eq!(project.deploy(&slow(), How::resume()).code(), 0);
}

#[test]
fn a_lease_that_somebody_took_is_lost() {
    let mut project = Project::live(1);
    let name = lease_ref(&project.target.name);
    let steal = move |universe: &Universe, _now_ms: i64| {
        let found = universe
            .refs
            .read(&name)
            .unwrap()
            .expect("somebody holds it");
        let text = String::from_utf8(found.files["lease.json"].clone()).unwrap();
        let mut holder: serde_json::Value = serde_json::from_str(&text).unwrap();
        holder["run"] = "somebody-elses".into();
        let files = Files::from([("lease.json".to_owned(), holder.to_string().into_bytes())]);
        universe
            .refs
            .swap(&name, Some(&found.oid), &files, false, "steal")
            .unwrap();
    };
    let how = How {
        happenings: vec![(60_000, Box::new(steal))],
        ..How::seed(1)
    };
    let outcome = project.deploy(&slow(), how);
    assert_eq!(outcome.code(), 7, "{}", outcome.reason());
    assert!(
        outcome.reason().contains("lease was lost"),
        "{}",
        outcome.reason()
    );
}

/// Another run takes the lease while the checks run, and perhaps records a release with these commits of the halves.
fn overtaken(check_fails: bool, winner: Option<[&'static str; 2]>) -> super::project::Outcome {
    let mut project = Project::live(1);
    let (lease, live) = (
        lease_ref(&project.target.name),
        tandem::live::live_ref(&project.target.name),
    );
    let overtake = move |universe: &Universe, now_ms: i64| {
        let edit = |name: &str, file: &str, change: &dyn Fn(&mut serde_json::Value)| {
            let found = universe.refs.read(name).unwrap().unwrap();
            let mut value = serde_json::from_slice(&found.files[file]).unwrap();
            change(&mut value);
            let mut files = found.files.clone();
            files.insert(file.to_owned(), value.to_string().into_bytes());
            universe
                .refs
                .swap(name, Some(&found.oid), &files, false, "overtake")
                .unwrap();
        };
        edit(&lease, "lease.json", &|holder| {
            holder["run"] = "somebody-elses".into();
        });
        if let Some([frontend, backend]) = winner {
            edit(&live, "release.json", &|record| {
                record["release"] = "theirs".into();
                record["lanes"]["frontend"]["commit"] = format!("{frontend:0>40}").into();
                record["lanes"]["backend"]["commit"] = format!("{backend:0>40}").into();
            });
            // What is live is theirs, too.
            super::others::trigger_by_hand(universe, now_ms, super::oracle::BY_HAND);
        }
    };
    let version = Version {
        check_fails,
        ..Version::new(2)
    };
    let how = How {
        happenings: vec![(1_500, Box::new(overtake))],
        ..How::seed(1)
    };
    project.deploy(&version, how)
}

#[test]
fn whoever_lost_the_lease_looks_at_who_has_released() {
    for check_fails in [false, true] {
        for (winner, code, word) in [
            (None, 7, "no other release has been recorded"),
            (Some(["3", "3"]), 10, "contains 0000000"),
            (Some(["2", "2"]), 10, "contains 0000000"),
            (Some(["3", "1"]), 7, "not known to contain 0000000 in whole"),
            (Some(["1", "1"]), 7, "not known to contain 0000000 in whole"),
        ] {
            let outcome = overtaken(check_fails, winner);
            let told = format!("{check_fails} {winner:?}: {}", outcome.reason());
            assert_eq!(outcome.code(), code, "{told}");
            assert!(outcome.reason().contains("lease was lost"), "{told}");
            assert!(outcome.reason().contains(word), "{told}");
        }
    }
}

#[test]
fn a_dead_holder_is_waited_out_whatever_its_clock_said() {
    for clock_off_ms in [-7_200_000, 0, 7_200_000] {
        let mut project = Project::live(1);
        let holder = How {
            clock_off_ms,
            ..How::on("elsewhere")
        };
        let killed = project.deploy(
            &slow(),
            How {
                kill_at: Some(60),
                ..holder
            },
        );
        assert!(killed.ended.is_none());
        project.pass(std::time::Duration::from_secs(130));
        let outcome = project.deploy(&Version::new(3), How::seed(1));
        assert_eq!(outcome.code(), 0, "{clock_off_ms}: {}", outcome.reason());
    }
}
