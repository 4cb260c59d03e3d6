//! What is released when the folder is not a clean commit.

use crate::env::TestEnv;

#[test]
fn a_dirty_tree_is_released_as_a_snapshot_that_is_always_the_same() {
    let env = TestEnv::released();
    env.write(
        "frontend/about.html",
        "<!doctype html>\n<title>Draft</title>\n",
    );
    env.write("frontend/new.html", "<!doctype html>\n<title>New</title>\n");
    let (head, index) = (
        env.head(),
        fs_err::read(env.root().join(".git/index")).unwrap(),
    );
    let output = env.xtask(&["deploy"]);
    output
        .assert_exit(0)
        .assert_says("note: 2 uncommitted change(s); the working tree is released as snapshot");
    let cloud = env.cloud();
    assert!(cloud.page("/new.html").body.contains("New"));
    let snapshot = cloud.site_commit();
    assert_ne!(snapshot, head);
    assert!(output.stderr.contains(&snapshot[..7]), "{output}");
    assert_eq!(
        (
            env.head(),
            fs_err::read(env.root().join(".git/index")).unwrap()
        ),
        (head, index),
        "git's own state is left alone"
    );
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
    let planned = env.xtask(&["plan", "--json"]).assert_exit(0).json();
    assert_eq!(
        planned["commit"], snapshot,
        "the same tree is the same snapshot"
    );

    // Committed, the content is what is live already.
    env.commit("Add a page");
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
}

#[test]
fn a_folder_without_git_is_released_as_it_is() {
    let env = TestEnv::without_git();
    let output = env.xtask(&["deploy"]);
    output
        .assert_exit(0)
        .assert_says("note: this folder is no git repository");
    let cloud = env.cloud();
    assert!(cloud.page("/").body.contains("<h1>Shop</h1>"));
    assert_eq!(cloud.page("/api/health").json()["status"], "healthy");
    env.xtask(&["status"]).assert_exit(0);
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
    env.write(
        "frontend/about.html",
        "<!doctype html>\n<title>Changed</title>\n",
    );
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("frontend/about.html modified");
    assert!(!env.root().join(".git").exists());
}

#[test]
fn any_folder_of_the_project_will_do() {
    let env = TestEnv::new();
    let folder = env.root().join("backend");
    let deploy = || env.start_in(&folder, &["deploy"], &[]).wait();
    deploy().assert_exit(0);
    assert_eq!(env.cloud().site_commit(), env.head());
    deploy().assert_exit(0).assert_says("Nothing to do");
}

#[test]
fn what_git_ignores_is_not_released() {
    let env = TestEnv::released();
    env.write(".gitignore", "secrets.txt\n");
    env.write("secrets.txt", "not for anybody\n");
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
    let tree = env.xtask(&["plan", "--json"]).assert_exit(0).json();
    let listed = env.git_in(
        &env.state_dir().join("repo.git"),
        &[
            "ls-tree",
            "-r",
            "--name-only",
            tree["commit"].as_str().unwrap(),
        ],
    );
    assert!(
        listed.contains(".gitignore") && !listed.contains("secrets.txt"),
        "{listed}"
    );
}
