//! Another machine, or this one without its journal: a run that died is known to all, and nothing is made a second time.

use crate::env::TestEnv;
use crate::env::cloud::Cloud;
use crate::env::origin::Origin;
use crate::env::poll;
use crate::env::running::Gate;
use rustix::process::Signal;
use serde_json::json;

/// Starts a release whose answer to the trigger is late, and kills it in between.
fn kill_after_trigger(env: &TestEnv, args: &[&str]) {
    let cloud = env.cloud();
    cloud.forget_requests();
    cloud.add_fault(&json!({ "method": "POST", "path": "/v1/services/*/deploys", "kind": "delay", "delay_ms": 20_000 }));
    let run = env.start_with(args, &[]);
    poll("the deploy to be triggered", || {
        (!cloud.render_writes().is_empty()).then_some(())
    });
    run.signal(Signal::KILL);
    assert_eq!(run.wait().code, None);
    cloud.clear_faults();
}

fn lose_journal(env: &TestEnv) {
    for suffix in ["", "-wal", "-shm"] {
        // Not all of them are there.
        let _absent = fs_err::remove_file(env.state_dir().join(format!("journal.db{suffix}")));
    }
}

#[track_caller]
fn made_once(cloud: &Cloud) {
    let writes = cloud.render_writes();
    assert_eq!(writes.len(), 1, "{writes:?}");
}

#[test]
fn without_its_journal_a_killed_run_goes_on_and_sends_nothing_twice() {
    let env = TestEnv::released();
    env.change_backend("ok ");
    env.change_frontend("Second");
    kill_after_trigger(&env, &["deploy"]);
    lose_journal(&env);
    env.xtask(&["status"]).assert_says("unfinished: ");
    assert_eq!(env.status()["unfinished"]["commit"], env.head());
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("it goes on where it stopped");
    let cloud = env.cloud();
    made_once(&cloud);
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );
    assert_eq!(env.status()["unfinished"], json!(null));
    env.xtask(&["show"])
        .assert_exit(0)
        .assert_says("it goes on where it stopped");
}

/// Another checkout on the same machine sees that the process is gone; so it need not wait for the lease.
#[test]
fn another_checkout_goes_on_with_a_killed_run_or_undoes_it() {
    for (args, exit) in [
        (&["deploy", "--prod"][..], 0),
        (&["deploy", "--prod", "--resume"], 0),
        (&["deploy", "--prod", "--abort"], 5),
    ] {
        let origin = Origin::released();
        let env = &origin.env;
        let old = env.head();
        env.change_backend("ok ");
        env.change_frontend("Second");
        origin.push();
        kill_after_trigger(env, &["deploy", "--prod"]);
        let clone = origin.clone("elsewhere", &["--depth=1"]);
        clone
            .xtask(&["status", "--prod"])
            .assert_says("unfinished: ");
        clone.xtask(args).assert_exit(exit);
        let cloud = env.cloud();
        let triggers = cloud.render_writes();
        let triggers = triggers.iter().filter(|line| line.ends_with("/deploys"));
        assert_eq!(triggers.count(), 1, "{args:?}");
        let live = if exit == 0 { env.head() } else { old };
        assert_eq!(
            (cloud.site_commit(), cloud.service_commit()),
            (live.clone(), live)
        );
    }
}

#[test]
fn a_run_that_cannot_be_written_down_on_the_origin_triggers_nothing() {
    let origin = Origin::released();
    let env = &origin.env;
    env.change_backend("ok ");
    origin.push();
    origin.hook(
        "update",
        "case $1 in refs/tandem/*/run) echo 'the disk is full'; exit 1;; esac\n",
    );
    let cloud = env.cloud();
    cloud.forget_requests();
    origin
        .deploy(&[])
        .assert_exit(3)
        .assert_says("where other machines find it")
        .assert_says("the disk is full");
    assert_eq!(cloud.provider_writes(), Vec::<String>::new());
}

#[test]
fn a_release_to_do_nothing_leaves_the_record_alone() {
    let origin = Origin::released();
    let record = || {
        origin
            .env
            .git_in(&origin.bare, &["rev-parse", "refs/tandem/production/run"])
    };
    let before = record();
    let shown = origin.env.git_in(
        &origin.bare,
        &["show", "refs/tandem/production/run:run.json"],
    );
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["end"]["exit_code"], 0, "{shown:#}");
    assert!(!shown.to_string().contains("about.html"), "{shown:#}");
    origin
        .deploy(&[])
        .assert_exit(0)
        .assert_says("Nothing to do");
    assert_eq!(record(), before);
}

#[test]
fn a_run_that_lost_the_lock_to_a_release_of_its_commit_is_superseded() {
    let env = TestEnv::released();
    env.change_frontend("Second");
    env.change_backend("ok ");
    let gate = Gate::new(&env, "check");
    let first = env.start_with(&["deploy"], &gate.vars());
    gate.wait_until_started();
    env.xtask(&["deploy", "--force", "--break-glass", "the first one hangs"])
        .assert_exit(0);
    gate.open();
    first
        .wait()
        .assert_exit(10)
        .assert_says("the lease was lost")
        .assert_says("was made meanwhile and contains");
}
