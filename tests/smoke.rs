//! Smoke tests with the real curl against the local cloud.

use crate::env::TestEnv;
use std::path::Path;

/// A released project, its configuration longer by `smoke`.
fn with_smoke(smoke: &str) -> TestEnv {
    let env = TestEnv::released();
    let text = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    env.write("deploy.toml", &format!("{text}\n{smoke}"));
    env.commit("Look from outside");
    env
}

#[test]
fn curl_finds_the_new_commit_on_both_halves() {
    let env = with_smoke(
        "[[frontend.smoke]]\nname = \"site\"\npath = \"/.well-known/tandem.json\"\n[[backend.smoke]]\nname = \"service\"\npath = \"/api/version\"\n",
    );
    env.change_frontend("Second");
    env.change_backend("ok ");
    let output = env.xtask(&["deploy", "--log", "ndjson"]);
    output.assert_exit(0);
    for (step, name) in [("backend_smoke", "service"), ("frontend_smoke", "site")] {
        let finished = output
            .stderr
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find(|event| event["event"] == "step_finished" && event["step"] == step)
            .unwrap_or_else(|| panic!("no {step}\n{output}"));
        assert_eq!(finished["detail"], format!("passed: {name}"));
    }
}

#[test]
fn a_site_that_does_not_say_it_is_taken_back() {
    let env = with_smoke(
        "[[frontend.smoke]]\nname = \"slogan\"\npath = \"/about.html\"\ncontains = \"Third; $(touch evil)\"\ntimeout_s = 1\n",
    );
    let (cloud, old) = (env.cloud(), env.status()["release"].clone());
    env.change_frontend("Second");
    env.xtask(&["deploy"])
        .assert_exit(5)
        .assert_says("smoke test 'slogan' failed: curl did not get an answer from")
        .assert_says(
            "that contains 'Third; $(touch evil)' within 1 s; last: the answer is: <!doctype html>",
        );
    assert!(!cloud.page("/about.html").body.contains("Second"));
    assert_eq!(env.status()["release"], old);
    assert!(!env.root().join("evil").exists(), "no shell looked at it");
}

#[test]
fn a_service_without_that_address_is_rolled_back() {
    let env =
        with_smoke("[[backend.smoke]]\nname = \"ledger\"\npath = \"/api/ledger\"\ntimeout_s = 1\n");
    let (cloud, old) = (env.cloud(), env.status()["commit"].clone());
    env.change_backend("ok ");
    env.xtask(&["deploy"])
        .assert_exit(5)
        .assert_says("smoke test 'ledger' failed")
        .assert_says("404");
    assert_eq!(cloud.service_commit(), old);
}

#[test]
fn a_command_sees_addresses_and_no_credential() {
    let env = with_smoke("[[frontend.smoke]]\nname = \"look\"\nrun = \"env >../seen\"\n");
    env.change_frontend("Second");
    let planted = format!("rnd_{}", "p".repeat(28));
    env.xtask_with(&["deploy"], &[("RENDER_API_KEY", &planted)])
        .assert_exit(0);
    let seen = fs_err::read_to_string(env.beside("seen")).unwrap();
    let cloud = env.cloud();
    let has = |line: String| assert!(seen.lines().any(|seen| seen == line), "{line}\n{seen}");
    has(format!("SITE_URL={}", cloud.site()));
    has(format!("TANDEM_COMMIT={}", env.head()));
    assert!(seen.contains("\nSERVICE_URL=http") && seen.contains("TANDEM_RELEASE="));
    for secret in cloud.secrets().iter().chain([&planted]) {
        assert!(!seen.contains(secret));
    }
}

/// Whoever tries Tandem out may not have curl.
#[test]
fn without_curl_a_local_release_says_so_and_goes_on() {
    let env = with_smoke("[[frontend.smoke]]\nname = \"site\"\npath = \"/\"\n");
    env.change_frontend("Second");
    let bin = env.beside("bin");
    fs_err::create_dir(&bin).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for name in ["sh", "git", "cat", "sleep"] {
        let found = std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|path| path.exists());
        link(&found.unwrap(), &bin.join(name));
    }
    env.xtask_with(&["deploy"], &[("PATH", bin.to_str().unwrap())])
        .assert_exit(0)
        .assert_says("smoke test 'site' was not run: there is no curl on the PATH");
}

fn link(to: &Path, at: &Path) {
    fs_err::os::unix::fs::symlink(to, at).unwrap();
}
