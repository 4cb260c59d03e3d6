//! A release in two jobs: one runs the project's commands and has no credentials, the other has them and runs no command.

use crate::env::TestEnv;
use crate::env::fixture::repository;
use crate::env::output::Output;
use crate::env::poll;
use crate::env::running::Running;
use crate::production::production;
use insta::assert_snapshot;
use rustix::process::Signal;
use std::path::PathBuf;

fn prepare(env: &TestEnv) -> PathBuf {
    let bundle = env.beside("bundle");
    env.xtask(&["deploy", "--prepare", "--out", "../bundle"])
        .assert_exit(0);
    bundle
}

#[test]
fn a_release_can_be_made_in_two_steps() {
    let env = TestEnv::new();
    let prepared = env.xtask(&["deploy", "--prepare", "--out", "../bundle"]);
    assert_snapshot!(prepared.assert_exit(0).normal_stdout(), @r"
    ✓ Prepared SHORT in ../bundle
      checks    unit tests
      frontend  5 file(s)
      backend   built by its provider from the commit
    next: cargo xtask deploy --bundle ../bundle
    ");
    assert!(env.find_cloud().is_none(), "preparing contacts no provider");
    // A check that would fail is not run again.
    env.xtask_with(&["deploy", "--bundle", "../bundle"], &[("CHECK", "fail")])
        .assert_exit(0)
        .assert_says("passed before, for the bundle: unit tests");
    let cloud = env.cloud();
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );
    // What depends on the environment was filled in when it was released.
    assert_eq!(cloud.page("/api/health").status, 200);
    env.xtask(&["status"]).assert_exit(0);
    env.xtask(&["deploy", "--bundle", "../bundle"])
        .assert_exit(0)
        .assert_says("Nothing to do");
    // In two steps or in one, it is the same content.
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
}

#[test]
fn the_parts_of_a_bundle_can_be_prepared_on_several_machines() {
    let env = TestEnv::new();
    let config = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    env.write(
        "deploy.toml",
        &format!("{config}\n[[checks]]\nname = \"links\"\nrun = \"echo none is broken\"\n"),
    );
    let head = env.commit("Check the links");
    let part = |args: &[&str], out: &str| {
        let whole = [&["deploy", "--prepare", "--out", out], args].concat();
        env.xtask(&whole)
    };
    // Of the two checks each runs on its own, and neither for the lanes.
    let links = part(&["--check", "links"], "../parts/links");
    assert_snapshot!(links.assert_exit(0).normal_stdout(), @r"
    ✓ Prepared SHORT in ../parts/links
      checks    links
    next: cargo xtask deploy --bundle ../parts
    ");
    let lanes = part(&["--no-checks"], "../parts/lanes");
    lanes.assert_exit(0).assert_silent_about("links");
    part(&["--check", "typo"], "../parts/typo")
        .assert_exit(2)
        .assert_says("no check is called 'typo' (hint: deploy.toml has: unit tests, links)");

    // What is not there has not passed.
    let refused = env.xtask(&["deploy", "--bundle", "../parts"]);
    refused.assert_exit(3).assert_says(
        "check 'unit tests' is configured and is not among those that passed for the bundle",
    );
    part(&["--check", "unit tests"], "../parts/tests").assert_exit(0);
    env.xtask(&["deploy", "--bundle", "../parts"])
        .assert_exit(0)
        .assert_says("passed before, for the bundle: ");
    assert_eq!(env.cloud().site_commit(), head);

    // A part is verified as a whole is, and no two may bring the same lane or another commit.
    let page = env.beside("parts/lanes/frontend/index.html");
    let text = fs_err::read_to_string(&page).unwrap();
    fs_err::write(&page, "changed").unwrap();
    env.xtask(&["deploy", "--bundle", "../parts"])
        .assert_exit(3)
        .assert_says("../parts/lanes/frontend/index.html is not what was prepared");
    fs_err::write(&page, text).unwrap();
    part(&[], "../parts/whole").assert_exit(0);
    env.xtask(&["deploy", "--bundle", "../parts"])
        .assert_exit(3)
        .assert_says("the parts of ../parts are of two bundles: two of them have the ");
    env.change_frontend("Later");
    part(&["--check", "links"], "../parts/whole").assert_exit(0);
    env.xtask(&["deploy", "--bundle", "../parts"])
        .assert_exit(3)
        .assert_says("the parts of ../parts are of two bundles: one is of commit ");
}

#[test]
fn a_bundle_inside_the_project_is_no_part_of_it() {
    let env = TestEnv::without_git();
    for _ in 0..2 {
        let document = env
            .xtask(&["deploy", "--prepare", "--out", "out", "--json"])
            .assert_exit(0)
            .json();
        assert_eq!(document["outcome"], "prepared");
        assert_eq!(document["checks"][0]["name"], "unit tests");
        assert_eq!(document["lanes"][0]["files"], 5);
    }
    env.xtask(&["deploy", "--bundle", "out", "--json"])
        .assert_exit(0);
    for (out, says) in [
        (
            "frontend/out",
            "it would become part of what it is made from",
        ),
        (".", "it would become part of what it is made from"),
        ("backend", "exists and is no bundle"),
    ] {
        env.xtask(&["deploy", "--prepare", "--out", out])
            .assert_exit(2)
            .assert_says(says);
    }
}

#[test]
fn a_failing_check_leaves_no_bundle() {
    let env = TestEnv::new();
    let output = env.xtask_with(
        &["deploy", "--prepare", "--out", "../bundle", "--json"],
        &[("CHECK", "fail")],
    );
    let document = output
        .assert_exit(4)
        .assert_says(
            "check 'unit tests' failed with exit code 1: sh check.sh; no bundle was written",
        )
        .json();
    assert_eq!(document["outcome"], "failed_unchanged");
    assert!(!env.beside("bundle").exists());
    env.xtask(&["deploy", "--bundle", "../bundle"])
        .assert_exit(2)
        .assert_says("../bundle is no bundle");
    assert!(env.find_cloud().is_none());
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_contacted() {
    let env = TestEnv::new();
    let bundle = prepare(&env);
    let refused = |says: &[&str]| {
        let output = env.xtask(&["deploy", "--bundle", "../bundle"]);
        output.assert_exit(3);
        for text in says {
            output.assert_says(text);
        }
        assert!(env.find_cloud().is_none());
    };
    fs_err::write(bundle.join("frontend/app.js"), "steal()").unwrap();
    refused(&["../bundle/frontend/app.js is not what was prepared"]);
    prepare(&env);
    fs_err::write(bundle.join("frontend/more.js"), "steal()").unwrap();
    refused(&["../bundle/frontend/more.js is not part of the bundle"]);
    prepare(&env);

    // A check that was added is not passed over, whatever else is wrong.
    let text = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    let more = text.replacen(
        "[frontend]",
        "[[checks]]\nname = \"linters\"\nrun = \"true\"\n\n[frontend]",
        1,
    );
    env.write("deploy.toml", &more);
    refused(&[
        "check 'linters' is configured and is not among those that passed",
        "deploy.toml is not what it was",
        "it was prepared of commit",
    ]);
    env.write("deploy.toml", &text);
    env.xtask(&["deploy", "--bundle", "../bundle"])
        .assert_exit(0);

    env.change_frontend("Second");
    env.xtask(&["deploy", "--bundle", "../bundle"])
        .assert_exit(3)
        .assert_says("it was prepared of commit");
    env.xtask(&[
        "deploy",
        "--prepare",
        "--only",
        "backend",
        "--out",
        "../bundle",
    ])
    .assert_exit(0);
    let cloud = env.cloud();
    cloud.forget_requests();
    env.xtask(&["deploy", "--bundle", "../bundle"])
        .assert_exit(3)
        .assert_says(
            "the plan wants to release the frontend, and the bundle was prepared for backend only",
        );
    assert_eq!(cloud.provider_writes(), Vec::<String>::new());
}

#[test]
fn an_interrupted_bundle_goes_on_with_the_bundle_or_is_undone_without() {
    for (go_on, exit) in [
        (&["--bundle", "../bundle", "--resume"][..], 0),
        (&["--abort"], 5),
    ] {
        let env = TestEnv::released();
        let (cloud, old) = (env.cloud(), env.head());
        env.change_frontend("Second");
        env.change_backend("waits");
        prepare(&env);
        let run = env.start_with(&["deploy", "--bundle", "../bundle"], &[]);
        poll("the new process to start", || {
            (cloud.service_deploys()[0]["status"] == "update_in_progress").then_some(())
        });
        run.signal(Signal::INT);
        run.wait()
            .assert_exit(130)
            .assert_says("next: cargo xtask deploy --bundle ../bundle --resume")
            .assert_says("cargo xtask deploy --abort");
        env.xtask_with(&["deploy", "--resume"], &[("CHECK", "fail")])
            .assert_exit(2)
            .assert_says("going on without one would run configured commands");
        fs_err::write(env.service_gate(), "").unwrap();
        let args = [&["deploy"], go_on].concat();
        env.xtask_with(&args, &[("CHECK", "fail")])
            .assert_exit(exit);
        let live = if exit == 0 { env.head() } else { old };
        assert_eq!(
            (cloud.site_commit(), cloud.service_commit()),
            (live.clone(), live)
        );
    }
}

/// The job without credentials: a machine of its own, with a clone, a home and nothing else.
struct PrepareJob<'e> {
    env: &'e TestEnv,
    folder: PathBuf,
}

impl<'e> PrepareJob<'e> {
    fn new(env: &'e TestEnv, origin: &std::path::Path) -> Self {
        let folder = env.beside("prepare-job");
        for name in ["home", "tmp"] {
            fs_err::create_dir_all(folder.join(name)).unwrap();
        }
        let checkout = folder.join("checkout");
        env.git_in(
            &env.root(),
            &[
                "clone",
                "--quiet",
                origin.to_str().unwrap(),
                checkout.to_str().unwrap(),
            ],
        );
        Self { env, folder }
    }

    /// Prepares with exactly these variables.
    fn prepare(&self, vars: &[(&str, &str)]) -> Output {
        let args = ["deploy", "--prepare", "--out", "../bundle"];
        let mut command = std::process::Command::new(crate::env::XTASK);
        command
            .args(args)
            .current_dir(self.folder.join("checkout"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.join("home"))
            .env("TMPDIR", self.folder.join("tmp"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(vars.iter().copied())
            .stdin(std::process::Stdio::null());
        Running::start(self.env, command, &args).wait()
    }
}

#[test]
fn a_check_finds_no_credential_where_it_runs_and_does_not_run_where_they_are() {
    let (env, origin) = production();
    env.write(
        "check.sh",
        &fs_err::read_to_string(repository().join("tests/fixtures/search.sh")).unwrap(),
    );
    env.commit("Look for credentials");
    env.git(&["push", "--quiet", "origin", "main"]);
    let job = PrepareJob::new(&env, &origin);
    let marker = |home: PathBuf| home.join("check-ran");

    // The search can find: in a parent's environment, though the check's own is clean, and on the disk.
    let planted = format!("rnd_{}", "p".repeat(28));
    job.prepare(&[("RENDER_API_KEY", &planted)])
        .assert_exit(4)
        .assert_says("in the environment of a parent")
        .assert_says("warning: RENDER_API_KEY can be read by the commands that run here")
        .assert_silent_about(&planted);
    let file = job.folder.join("home/credentials");
    fs_err::write(&file, format!("RENDER_API_KEY={planted}\n")).unwrap();
    job.prepare(&[])
        .assert_exit(4)
        .assert_says("a credential lies in a file of");
    fs_err::remove_file(file).unwrap();
    assert!(!job.folder.join("bundle").exists());

    job.prepare(&[])
        .assert_exit(0)
        .assert_silent_about("warning");
    assert!(marker(job.folder.join("home")).exists(), "the check ran");

    // The other machine has the credentials, and gets the bundle alone.
    let received = env.beside("received");
    fs_err::rename(job.folder.join("bundle"), &received).unwrap();
    env.xtask(&["deploy", "--prod", "--bundle", received.to_str().unwrap()])
        .assert_exit(0);
    assert!(
        !marker(env.beside("home")).exists(),
        "the check ran with credentials at hand"
    );
    let cloud = env.cloud();
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );
    // Without a bundle it is the release that runs it.
    env.xtask(&["deploy", "--prod", "--force"]).assert_exit(4);
    assert!(marker(env.beside("home")).exists());
}
