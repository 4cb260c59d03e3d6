//! What git says is in the commit and what lies in the folder are two things. What is recorded as live is what was sent.

use crate::env::TestEnv;

/// Refused by everything that looks at the site, before anything was contacted.
#[track_caller]
fn assert_refused(env: &TestEnv, says: &[&str]) {
    assert_eq!(env.git(&["status", "--porcelain"]), "", "git sees nothing");
    let bundle = env.beside("bundle");
    let commands: [&[&str]; 3] = [
        &["deploy"],
        &["plan", "--exit-code"],
        &["deploy", "--prepare", "--out", bundle.to_str().unwrap()],
    ];
    for command in commands {
        let output = env.xtask(command);
        output.assert_exit(3);
        for text in says {
            output.assert_says(text);
        }
    }
    assert!(!bundle.exists());
    assert!(env.find_cloud().is_none(), "nothing was contacted");
}

/// The document on the ref of what is live that says what was sent.
fn sent(env: &TestEnv) -> serde_json::Value {
    let show = ["show", "refs/tandem/local/live:frontend.sent"];
    let text = env.git_in(&env.state_dir().join("repo.git"), &show);
    serde_json::from_str(&text).unwrap()
}

fn configure(env: &TestEnv, from: &str, to: &str) {
    let path = env.root().join("deploy.toml");
    let text = fs_err::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    fs_err::write(path, text.replace(from, to)).unwrap();
}

/// A build that copies the frontend to a folder that git ignores.
fn with_build(env: &TestEnv) {
    configure(
        env,
        "publish = \"frontend\"",
        "publish = \"dist\"\nbuild = \"rm -rf dist && cp -R frontend dist\"",
    );
    env.write(".gitignore", "dist/\n");
    env.commit("Build the site");
}

fn add_submodule(env: &TestEnv) {
    let docs = env.beside("docs");
    fs_err::create_dir(&docs).unwrap();
    fs_err::write(docs.join("page.html"), "<!doctype html>\n<p>Docs</p>\n").unwrap();
    env.git_in(&docs, &["init", "--quiet"]);
    env.git_in(&docs, &["add", "--all"]);
    env.git_in(&docs, &["commit", "--quiet", "--message", "Docs"]);
    submodule(
        env,
        &["add", "--quiet", docs.to_str().unwrap(), "frontend/docs"],
    );
    env.commit("Add the docs");
}

fn submodule(env: &TestEnv, args: &[&str]) {
    let allowed = ["-c", "protocol.file.allow=always", "submodule"];
    env.git(&[&allowed, args].concat());
}

#[test]
fn a_submodule_that_is_not_checked_out_is_named() {
    let env = TestEnv::new();
    add_submodule(&env);
    submodule(&env, &["deinit", "--quiet", "--force", "frontend/docs"]);
    let says = [
        "frontend/docs is a submodule that is not checked out",
        "git submodule update --init",
    ];
    assert_refused(&env, &says);
    submodule(&env, &["update", "--quiet", "--init"]);
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(env.cloud().page("/docs/page.html").status, 200);

    // Hidden from the status by its settings, another commit is another site.
    env.git_in(
        &env.root().join("frontend/docs"),
        &["commit", "--quiet", "--allow-empty", "--message", "Later"],
    );
    env.git(&["config", "submodule.frontend/docs.ignore", "all"]);
    env.xtask(&["deploy"])
        .assert_exit(3)
        .assert_says("frontend/docs is a submodule with another commit checked out");
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_named() {
    let env = TestEnv::new();
    let sparse = [
        "sparse-checkout",
        "set",
        "--no-cone",
        "/*",
        "!/frontend/about.html",
    ];
    env.git(&sparse);
    assert!(!env.root().join("frontend/about.html").exists());
    let says = [
        "frontend/about.html is left out of this sparse checkout",
        "git sparse-checkout disable",
    ];
    assert_refused(&env, &says);
    // The other lane does not read it.
    env.xtask(&["deploy", "--only", "backend"]).assert_exit(0);
    env.git(&["sparse-checkout", "disable"]);
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(env.cloud().page("/about.html").status, 200);
}

#[test]
fn a_build_needs_the_whole_lane() {
    let env = TestEnv::new();
    with_build(&env);
    env.git(&[
        "sparse-checkout",
        "set",
        "--no-cone",
        "/*",
        "!/frontend/about.html",
    ]);
    assert_refused(
        &env,
        &["frontend/about.html is left out of this sparse checkout"],
    );
}

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\n\
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

#[test]
fn the_pointer_of_a_large_file_is_not_the_file() {
    let says = [
        "frontend/logo.svg is the pointer of Git LFS and not the file itself",
        "git lfs pull",
    ];
    for builds in [false, true] {
        let env = TestEnv::new();
        if builds {
            with_build(&env);
        }
        env.write("frontend/logo.svg", POINTER);
        env.commit("Add a logo");
        assert_refused(&env, &says);
    }
}

#[test]
fn a_file_that_git_was_told_not_to_look_at_is_looked_at() {
    for flag in ["--assume-unchanged", "--skip-worktree"] {
        let env = TestEnv::new();
        env.git(&["update-index", flag, "frontend/about.html"]);
        env.xtask(&["plan"]).assert_exit(0);
        env.xtask(&["cloud", "down"]).assert_exit(0);
        env.write("frontend/about.html", "private notes\n");
        let says = [
            "frontend/about.html is not as the commit has it",
            "git update-index",
        ];
        assert_refused(&env, &says);
    }
}

#[test]
fn a_change_that_git_overlooks_is_named() {
    let env = TestEnv::new();
    let path = env.root().join("frontend/app.js");
    // Same length, same time: that is what git goes by, once the time is older than its index.
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let date_back = || {
        let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
        file.file().set_modified(long_ago).unwrap();
    };
    env.git(&["config", "core.checkStat", "minimal"]);
    env.git(&["config", "core.trustctime", "false"]);
    date_back();
    env.git(&["update-index", "--refresh"]);
    let text = fs_err::read_to_string(&path).unwrap();
    let other = text.replace('a', "b");
    assert_ne!(other, text);
    fs_err::write(&path, other).unwrap();
    date_back();
    assert_refused(&env, &["frontend/app.js differs from the commit"]);
}

#[test]
fn what_git_converts_on_the_way_to_disk_is_the_commits() {
    let env = TestEnv::new();
    env.write(".gitattributes", "*.css text eol=crlf\n");
    env.commit("Line ends");
    env.remove("frontend/style.css");
    env.git(&["checkout", "--", "frontend/style.css"]);
    let here = fs_err::read_to_string(env.root().join("frontend/style.css")).unwrap();
    assert!(here.contains("\r\n"));
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(env.cloud().page("/style.css").body, here);
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
}

#[test]
fn a_published_folder_that_git_ignores_is_compared_with_what_was_sent() {
    let env = TestEnv::new();
    configure(&env, "publish = \"frontend\"", "publish = \"site\"");
    env.write(".gitignore", "site/\n");
    env.commit("Publish another folder");
    fs_err::create_dir(env.root().join("site")).unwrap();
    env.write("site/index.html", "<h1>First</h1>\n");
    env.xtask(&["deploy"]).assert_exit(0);
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
    let first = sent(&env);
    assert_eq!(first.as_object().unwrap().len(), 1, "{first}");

    env.write("site/index.html", "<h1>Second</h1>\n");
    env.write("site/more.html", "<h1>More</h1>\n");
    env.xtask(&["plan", "--exit-code"])
        .assert_exit(20)
        .assert_says("index.html differs from what was sent with the live release, and 1 more");
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(env.cloud().page("/more.html").status, 200);
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");

    // A rollback brings the older list back with the older site.
    env.xtask(&["rollback"]).assert_exit(0);
    assert_eq!(sent(&env), first);
    env.xtask(&["plan", "--exit-code"])
        .assert_exit(20)
        .assert_says("was sent with the live release");
}

#[test]
fn what_was_recorded_and_not_sent_does_not_hide() {
    let env = TestEnv::released();
    let live = "refs/tandem/local/live";
    let git = |args: &[&str], stdin: &str| {
        let input = env.beside("tmp/input");
        fs_err::write(&input, stdin).unwrap();
        let mut command = env.command("git", &env.state_dir().join("repo.git"));
        let input = fs_err::File::open(input).unwrap().into_parts().0;
        let output = command.args(args).stdin(input).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    // Puts another list of what was sent into the record, or none.
    let record = |list: Option<&str>| {
        let files = git(&["ls-tree", live], "");
        let others = files
            .lines()
            .filter(|line| !line.ends_with("frontend.sent"));
        let mut tree: String = others.map(|line| format!("{line}\n")).collect();
        if let Some(list) = list {
            let blob = git(&["hash-object", "-w", "--stdin"], list);
            tree.extend(["100644 blob ", &blob, "\tfrontend.sent\n"]);
        }
        let tree = git(&["mktree"], &tree);
        let commit = git(&["commit-tree", "-m", "edited", "-p", live, &tree], "");
        git(&["update-ref", live, &commit], "");
    };
    // As from an incomplete folder: the file is in the manifest and was never sent.
    let mut list = sent(&env);
    assert!(list.as_object_mut().unwrap().remove("about.html").is_some());
    record(Some(&list.to_string()));
    env.xtask(&["plan", "--exit-code"])
        .assert_exit(20)
        .assert_says("about.html was not sent with the live release");
    // As an older version left it: then nobody knows.
    record(None);
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("which files were sent with the live release is not recorded");
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
}
