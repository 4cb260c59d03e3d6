//! The record of what is live on a real remote: two runs that finish at the same moment, a connection that breaks at the push, and
//! an origin that cannot be written to.

use crate::env::origin::{Origin, lane};
use crate::env::poll;

const LIVE: &str = "refs/tandem/production/live";

#[test]
fn of_two_clones_that_finish_at_once_one_wins_and_the_other_says_so() {
    let origin = Origin::released();
    let env = &origin.env;
    env.change_frontend("Second");
    origin.push();
    let (a, b) = (origin.clone("a", &[]), origin.clone("b", &[]));
    // The first push of the record waits at the remote until the second has gone through.
    let (waits, go) = (env.beside("waits"), env.beside("go"));
    origin.hook(
        "update",
        &format!(
            "[ \"$1\" = {LIVE} ] || exit 0\n[ -e {waits} ] && exit 0\n: >{waits}\nuntil [ -e {go} ]; do sleep 0.05; done\n",
            waits = waits.display(),
            go = go.display()
        ),
    );
    let first = a.start(&["deploy", "--prod"]);
    poll("the first run to push its record", || {
        waits.exists().then_some(())
    });
    let before = origin.live();
    b.xtask(&["deploy", "--prod", "--break-glass", "a race is wanted"])
        .assert_exit(0);
    let winner = origin.live();
    assert_ne!(winner, before);
    fs_err::write(go, "").unwrap();
    first
        .wait()
        .assert_exit(10)
        .assert_says("another run recorded its release first");
    assert_eq!(
        origin.live(),
        winner,
        "the record of the one that won stands"
    );
    env.xtask(&["status", "--prod"]).assert_exit(0);
    assert_eq!(lane(&origin.plan(), "frontend"), (false, Vec::new()));
}

#[test]
fn an_answer_that_is_lost_after_the_record_moved_is_found_out() {
    let origin = Origin::released();
    let env = &origin.env;
    env.change_frontend("Second");
    origin.push();
    // The remote's process dies when the ref has moved and nobody has been told.
    origin.hook(
        "post-receive",
        &format!(
            "while read -r old new ref; do [ \"$ref\" = {LIVE} ] && kill -9 $PPID; done; exit 0\n"
        ),
    );
    let before = origin.live();
    origin.deploy(&[]).assert_exit(0);
    assert_ne!(origin.live(), before);
}

#[test]
fn a_connection_that_breaks_before_the_record_moved_leaves_a_run_to_resume() {
    let origin = Origin::released();
    let env = &origin.env;
    let second = env.change_frontend("Second");
    origin.push();
    let broken = env.beside("broken");
    fs_err::write(&broken, "").unwrap();
    origin.hook(
        "pre-receive",
        &format!(
            "while read -r old new ref; do [ -e {broken} ] && [ \"$ref\" = {LIVE} ] && kill -9 $PPID; done; exit 0\n",
            broken = broken.display()
        ),
    );
    let before = origin.live();
    origin
        .deploy(&[])
        .assert_exit(7)
        .assert_says("could not be recorded")
        .assert_says("deploy --resume");
    assert_eq!(origin.live(), before);
    assert_eq!(env.cloud().site_commit(), second, "it is live all the same");
    fs_err::remove_file(broken).unwrap();
    let cloud = env.cloud();
    cloud.forget_requests();
    origin.deploy(&["--resume"]).assert_exit(0);
    assert_ne!(origin.live(), before);
    assert_eq!(
        cloud.provider_writes(),
        Vec::<String>::new(),
        "only the record was missing"
    );
}

#[test]
fn production_is_refused_where_the_origin_takes_no_push_and_another_environment_says_where_its_record_is()
 {
    let origin = Origin::new();
    let env = &origin.env;
    // Whoever may only read.
    env.git(&["config", "remote.origin.pushurl", "/nonexistent/read-only"]);
    let cloud = env.cloud();
    cloud.forget_requests();
    origin
        .deploy(&[])
        .assert_exit(3)
        .assert_says("contents: write");
    assert_eq!(cloud.provider_writes(), Vec::<String>::new());

    let config = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    let staging = format!(
        "{config}\n[environments.staging]\nbake_s = 0\nidentity_interval_ms = 50\nrequire_clean = false\n"
    );
    env.write("deploy.toml", &staging);
    let deploy = || env.xtask(&["deploy", "--env", "staging"]);
    env.commit("Add staging");
    env.git(&["push", "--quiet", origin.bare.to_str().unwrap(), "main"]);
    env.git(&["fetch", "--quiet", "origin"]);
    deploy()
        .assert_exit(0)
        .assert_says("is recorded on this machine alone, because the origin cannot be written to");
    deploy().assert_exit(0).assert_says("Nothing to do");
    let refs = env.git_in(&origin.bare, &["for-each-ref", "refs/tandem"]);
    assert_eq!(refs, "");
}
