//! Runs that are stopped or killed: the next command knows, and nothing is done twice.

use crate::env::TestEnv;
use crate::env::poll;
use crate::env::running::Gate;
use rustix::process::Signal;
use serde_json::json;

#[test]
fn an_interrupted_run_says_where_it_stopped_and_goes_on() {
    let env = TestEnv::released();
    let (cloud, old) = (env.cloud(), env.head());
    env.change_backend("ok ");
    env.change_frontend("Second");
    let gate = Gate::new(&env, "check");
    let run = env.start_with(&["deploy"], &gate.vars());
    gate.wait_until_started();
    run.signal(Signal::INT);
    let output = run.wait();
    output
        .assert_exit(130)
        .assert_says("nothing that is live was changed")
        .assert_says("next: cargo xtask deploy --resume");
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (old.clone(), old)
    );
    env.xtask(&["status"]).assert_exit(0);
    env.xtask(&["lock", "status"])
        .assert_exit(0)
        .assert_says("local is not locked");

    let resumed = env.xtask(&["deploy", "--resume", "--json"]);
    let document = resumed.assert_exit(0).json();
    let history = env.xtask(&["history", "--json"]).assert_exit(0).json();
    assert_eq!(document["run"], history["runs"][0]["run"]);
    assert_eq!(
        history["runs"].as_array().map(Vec::len),
        Some(2),
        "it is the same run"
    );
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );
}

#[test]
fn a_run_that_is_interrupted_while_the_backend_starts_can_go_on_or_be_undone() {
    for (go_on, exit) in [("--resume", 0), ("--abort", 5)] {
        let env = TestEnv::released();
        let (cloud, old) = (env.cloud(), env.head());
        env.change_frontend("Second");
        env.change_backend("waits");
        cloud.forget_requests();
        let run = env.start_with(&["deploy"], &[]);
        poll("the new process to start", || {
            (cloud.service_deploys()[0]["status"] == "update_in_progress").then_some(())
        });
        run.signal(Signal::INT);
        run.wait()
            .assert_exit(130)
            .assert_says("deploy --resume")
            .assert_says("deploy --abort");
        assert_eq!(cloud.site_commit(), old);

        fs_err::write(env.service_gate(), "").unwrap();
        let ended = env.xtask(&["deploy", go_on]);
        ended.assert_exit(exit);
        if go_on == "--abort" {
            ended.assert_says("✓ Undone as asked: ");
            let headline = ended.stdout.lines().next().unwrap_or_default();
            assert!(!ended.stdout.contains('✗'), "{headline}");
        }
        let live = if exit == 0 { env.head() } else { old };
        assert_eq!(
            (cloud.site_commit(), cloud.service_commit()),
            (live.clone(), live)
        );
        let triggered = cloud
            .render_writes()
            .into_iter()
            .filter(|line| line.ends_with("/deploys"))
            .count();
        assert_eq!(triggered, 1, "{:?}", cloud.render_writes());
        env.xtask(&["status"]).assert_exit(0);
    }
}

#[test]
fn a_terminated_run_has_an_exit_code_of_its_own() {
    let env = TestEnv::new();
    let gate = Gate::new(&env, "check");
    let run = env.start_with(&["deploy"], &gate.vars());
    gate.wait_until_started();
    run.signal(Signal::TERM);
    run.wait().assert_exit(143);
    assert_eq!(env.cloud().page("/").status, 404);
    env.xtask(&["deploy"]).assert_exit(0);
}

#[test]
fn after_a_kill_a_plain_deploy_goes_on_and_sends_nothing_twice() {
    let env = TestEnv::released();
    let cloud = env.cloud();
    env.change_backend("ok ");
    env.change_frontend("Second");
    cloud.forget_requests();
    // The provider starts the deploy and its answer is late: the run dies in between.
    cloud.add_fault(&json!({ "method": "POST", "path": "/v1/services/*/deploys", "kind": "delay", "delay_ms": 20_000 }));
    let run = env.start_with(&["deploy"], &[]);
    poll("the deploy to be triggered", || {
        (!cloud.render_writes().is_empty()).then_some(())
    });
    run.signal(Signal::KILL);
    assert_eq!(run.wait().code, None);
    cloud.clear_faults();

    let output = env.xtask(&["deploy"]);
    output
        .assert_exit(0)
        .assert_says("it goes on where it stopped");
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );
    assert_eq!(
        cloud.render_writes().len(),
        1,
        "{:?}",
        cloud.render_writes()
    );
    let created = cloud
        .netlify_writes()
        .into_iter()
        .filter(|line| line.starts_with("POST") && line.ends_with("/deploys"))
        .count();
    assert_eq!(created, 1, "{:?}", cloud.netlify_writes());
    env.xtask(&["status"]).assert_exit(0);
}

#[test]
fn a_second_signal_ends_the_run_at_once() {
    let env = TestEnv::new();
    // The provider's answer is late, and no check can be stopped: only leaving helps.
    env.xtask(&["cloud", "up"]).assert_exit(0);
    let cloud = env.cloud();
    cloud.add_fault(&json!({ "method": "POST", "path": "/v1/services/*/deploys", "kind": "delay", "delay_ms": 100_000 }));
    let mut run = env.start_with(&["deploy"], &[]);
    poll("the deploy to be triggered", || {
        (!cloud.render_writes().is_empty()).then_some(())
    });
    poll("the second signal to be heard", || {
        run.signal(Signal::INT);
        run.has_ended().then_some(())
    });
    run.wait().assert_exit(130);
    cloud.clear_faults();
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(cloud.service_deploys().len(), 1, "nothing was sent twice");
}

#[test]
fn a_killed_run_gets_its_end_written_down_by_the_next_one() {
    let env = TestEnv::released();
    env.change_frontend("Second");
    let gate = Gate::new(&env, "check");
    let run = env.start_with(&["deploy"], &gate.vars());
    gate.wait_until_started();
    run.signal(Signal::KILL);
    assert_eq!(run.wait().code, None);
    gate.open();

    env.change_frontend("Third");
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("its process ended without an outcome");
    assert_eq!(env.cloud().site_commit(), env.head());
    let history = env.xtask(&["history", "--json"]).assert_exit(0).json();
    let exits: Vec<i64> = history["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["exit_code"].as_i64().unwrap())
        .collect();
    assert_eq!(exits, [0, 7, 0]);
}

#[test]
fn an_interrupt_is_obeyed_while_output_flows() {
    let env = TestEnv::released();
    let config = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    // Nothing but the interrupt ends it.
    let endless = "run = \"yes 'test total ... ok'\"";
    env.write(
        "deploy.toml",
        &config.replace("run = \"sh check.sh\"", endless),
    );
    env.change_frontend("Second");
    let run = env.start_with(&["deploy", "-v"], &[]);
    poll("output to flow", || {
        run.stderr_so_far()
            .contains("test total ... ok")
            .then_some(())
    });
    run.signal(Signal::INT);
    run.wait()
        .assert_exit(130)
        .assert_says("nothing that is live was changed");
    env.xtask(&["lock", "status"])
        .assert_exit(0)
        .assert_says("local is not locked");
    let story = env.xtask(&["show", "--json"]);
    let lines = story.assert_exit(0).stdout.lines().count();
    assert!(lines < 11_000, "{lines}");
}
