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
        ref_faults: (2..1000).map(|number| (number, RefFault::Before)).collect(),
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
