//! What differs from what is live, whatever happened to the history: each test moves a repository with a real remote in a way that
//! misleads whoever compares commits.

use crate::env::TestEnv;
use crate::env::origin::{Origin, lane, write};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;

const NOTHING: (bool, Vec<String>) = (false, Vec::new());

/// A lane that runs for these files.
fn runs<const N: usize>(files: [&str; N]) -> (bool, Vec<String>) {
    (true, files.map(str::to_owned).into())
}

#[test]
fn a_shallow_clone_sees_exactly_what_differs() {
    let origin = Origin::released();
    origin.env.change_frontend("Second");
    origin.env.write("frontend/third.html", "third");
    origin.env.commit("Third");
    origin.push();
    let clone = origin.clone("shallow", &["--depth=1"]);
    let plan = clone.plan();
    assert_eq!(
        lane(&plan, "frontend"),
        runs(["+ frontend/third.html", "~ frontend/about.html"])
    );
    assert_eq!(lane(&plan, "backend"), NOTHING);
    assert_eq!(plan["lanes"][0]["rule"], "frontend/**");
    clone.xtask(&["deploy", "--prod"]).assert_exit(0);
    assert_eq!(lane(&clone.plan(), "frontend"), NOTHING);
    // The local environment works in it as well, with a cloud of its own.
    let alone = TestEnv::without_git();
    fs_err::remove_dir_all(alone.root()).unwrap();
    let url = format!("file://{}", origin.bare.display());
    let place = alone.root();
    alone.git_in(
        &alone.beside("home"),
        &[
            "clone",
            "--quiet",
            "--depth=1",
            &url,
            place.to_str().unwrap(),
        ],
    );
    alone.xtask(&["deploy"]).assert_exit(0);
}

#[test]
fn a_force_push_whose_old_commit_is_gone_changes_nothing_about_it() {
    let origin = Origin::released();
    let env = &origin.env;
    env.change_frontend("Second");
    origin.push();
    origin.deploy(&[]).assert_exit(0);
    // The released commit is replaced by another, and nobody has it any more.
    env.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    env.change_backend("ok ");
    origin.push();
    for repository in [&origin.bare, &env.root()] {
        env.git_in(repository, &["reflog", "expire", "--expire=now", "--all"]);
        env.git_in(repository, &["gc", "--quiet", "--prune=now"]);
    }
    for plan in [origin.plan(), origin.clone("fresh", &["--depth=1"]).plan()] {
        assert_eq!(lane(&plan, "frontend"), runs(["~ frontend/about.html"]));
        assert_eq!(lane(&plan, "backend"), runs(["~ backend/behaviour"]));
    }
    origin.deploy(&[]).assert_exit(0);
}

#[test]
fn a_squash_a_revert_and_a_merge_count_as_what_they_change() {
    let origin = Origin::released();
    let env = &origin.env;
    // Squashed: the branch's commits are not on main.
    env.git(&["checkout", "--quiet", "-b", "feature"]);
    env.change_frontend("One");
    env.write("frontend/two.html", "two");
    env.commit("Two");
    env.git(&["checkout", "--quiet", "main"]);
    env.git(&["merge", "--quiet", "--squash", "feature"]);
    env.commit("Feature");
    origin.push();
    assert_eq!(
        lane(&origin.plan(), "frontend"),
        runs(["+ frontend/two.html", "~ frontend/about.html"])
    );
    origin.deploy(&[]).assert_exit(0);
    assert_eq!(lane(&origin.plan(), "frontend"), NOTHING);
    // Changed and reverted before anybody released: nothing to do, although two commits are new.
    env.change_backend("ok ");
    env.git(&["revert", "--no-edit", "HEAD"]);
    origin.push();
    origin
        .deploy(&[])
        .assert_exit(0)
        .assert_says("Nothing to do");
    // Released, then reverted: the revert is a change of its own.
    env.git(&["revert", "--no-edit", "HEAD~2"]);
    origin.push();
    assert_eq!(
        lane(&origin.plan(), "frontend"),
        runs(["~ frontend/about.html", "- frontend/two.html"])
    );
    // A merge at the tip, whose own diff is empty: what it brought is what counts, also when somebody starts the run by hand.
    env.git(&["checkout", "--quiet", "-b", "other", "HEAD~1"]);
    env.change_backend("ok ");
    env.git(&["checkout", "--quiet", "main"]);
    env.git(&["merge", "--quiet", "--no-ff", "--no-edit", "other"]);
    origin.push();
    let dispatched = origin.clone("dispatched", &["--depth=1"]).plan();
    assert_eq!(lane(&dispatched, "backend"), runs(["~ backend/behaviour"]));
    assert_eq!(
        lane(&dispatched, "frontend"),
        runs(["~ frontend/about.html", "- frontend/two.html"])
    );
}

#[test]
fn a_rename_a_mode_a_link_and_a_submodule_are_told_apart() {
    let origin = Origin::released();
    let env = &origin.env;
    let submodule = |digit: &str| {
        let entry = format!("160000,{},backend/vendored", digit.repeat(40));
        env.git(&["update-index", "--add", "--cacheinfo", &entry]);
        env.git(&["commit", "--quiet", "--message=Submodule"]);
    };
    fs_err::create_dir(env.root().join("backend/vendored")).unwrap();
    submodule("1");
    origin.push();
    let plan = origin.plan();
    assert_eq!(lane(&plan, "backend"), runs(["+ backend/vendored"]));
    env.git(&["tag", "before"]);

    // From one lane to the other: gone from the first, new in the second.
    env.git(&["mv", "frontend/about.html", "backend/about.html"]);
    env.git(&["update-index", "--chmod=+x", "frontend/app.js"]);
    env.git(&["commit", "--quiet", "--message=Move"]);
    env.git(&["reset", "--quiet", "--hard"]);
    env.remove("frontend/style.css");
    fs_err::os::unix::fs::symlink("app.js", env.root().join("frontend/style.css")).unwrap();
    env.git(&["add", "frontend/style.css"]);
    env.git(&["commit", "--quiet", "--message=Link"]);
    submodule("2");
    origin.push();
    let plan = origin.plan();
    assert_eq!(
        lane(&plan, "frontend"),
        runs([
            "~ frontend/app.js",
            "- frontend/about.html",
            "! frontend/style.css"
        ])
    );
    assert_eq!(
        lane(&plan, "backend"),
        runs(["+ backend/about.html", "+ backend/vendored"])
    );
    let text = env.xtask(&["plan", "--prod"]);
    text.assert_exit(0)
        .assert_says("1 modified, 1 deleted, 1 type-changed; the first by rule frontend/**");
    env.xtask(&["why", "frontend", "--prod"])
        .assert_exit(0)
        .assert_says("type-changed frontend/style.css   (rule frontend/**)");
}

#[test]
fn no_name_is_too_odd() {
    let origin = Origin::released();
    let env = &origin.env;
    let names: [&[u8]; 6] = [
        b"two\nlines",
        b"a \"quote\"",
        b"-leading dash",
        b" spaces ",
        b"not \xff UTF-8",
        "\u{65e5}\u{672c}\u{1f600}".as_bytes(),
    ];
    for name in names {
        write(&env.root().join("backend"), OsStr::from_bytes(name), "x");
    }
    env.commit("Odd names");
    origin.push();
    // As in the dialect that the filters are written in, `**` does not cross a line end in a name; such a file is not lost silently.
    let plan = origin.plan();
    assert_eq!(
        plan["unselected"],
        serde_json::json!(["backend/two\nlines"])
    );
    let config = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    env.write(
        "deploy.toml",
        &config.replace("\"backend/**\"", "\"backend/**\", \"backend/*\""),
    );
    env.commit("Select it");
    origin.push();
    let (_, files) = lane(&origin.plan(), "backend");
    let mut expected: Vec<String> = names
        .iter()
        .map(|name| format!("+ backend/{}", String::from_utf8_lossy(name)))
        .collect();
    expected.sort();
    let mut files = files;
    files.sort();
    assert_eq!(files, expected);
    // The backend is built from the commit, so that such names can be released; and then they are what is live.
    origin.deploy(&[]).assert_exit(0);
    assert_eq!(lane(&origin.plan(), "backend"), NOTHING);
    write(
        &env.root().join("backend"),
        OsStr::from_bytes(b"not \xfe UTF-8"),
        "x",
    );
    env.commit("Another that looks the same");
    origin.push();
    assert_eq!(
        lane(&origin.plan(), "backend").1,
        ["+ backend/not \u{fffd} UTF-8"]
    );
}

#[test]
fn a_tree_of_a_hundred_thousand_files() {
    const FILES: usize = 100_000;
    let origin = Origin::released();
    let env = &origin.env;
    let blob = env.git(&["hash-object", "-w", "backend/behaviour"]);
    let mut index = String::new();
    let mut skipped = String::new();
    for number in 0..FILES {
        let path = format!("backend/data/{}/{number}.txt", number % 100);
        writeln!(index, "100644 {blob}\t{path}").unwrap();
        writeln!(skipped, "{path}").unwrap();
    }
    let feed = |args: &[&str], text: &str| {
        let path = env.beside("tmp/index");
        fs_err::write(&path, text).unwrap();
        let mut command = env.command("git", &env.root());
        command
            .args(args)
            .stdin(fs_err::File::open(path).unwrap().into_parts().0);
        assert!(command.status().unwrap().success(), "{args:?}");
    };
    feed(&["update-index", "--index-info"], &index);
    // Nobody needs them in the folder.
    feed(&["update-index", "--skip-worktree", "--stdin"], &skipped);
    env.git(&["commit", "--quiet", "--message=Data"]);
    origin.push();
    let plan = origin.plan();
    let (run, files) = lane(&plan, "backend");
    assert_eq!((run, files.len()), (true, FILES));
    assert_eq!(lane(&plan, "frontend"), NOTHING);
    env.xtask(&["plan", "--prod"])
        .assert_exit(0)
        .assert_says("100000 added; the first by rule backend/**")
        .assert_says("99995 more");
}

#[test]
fn a_backend_that_failed_is_still_due_after_a_push_of_the_frontend_alone() {
    let origin = Origin::released();
    let env = &origin.env;
    env.change_backend("ok ");
    origin.push();
    let failed = env.xtask_with(&["deploy", "--prod"], &[("CHECK", "fail")]);
    failed.assert_exit(4);
    env.change_frontend("Second");
    origin.push();
    let plan = origin.plan();
    assert_eq!(lane(&plan, "backend"), runs(["~ backend/behaviour"]));
    assert_eq!(lane(&plan, "frontend"), runs(["~ frontend/about.html"]));
    origin.deploy(&[]).assert_exit(0);
    let cloud = env.cloud();
    assert_eq!(
        (cloud.site_commit(), cloud.service_commit()),
        (env.head(), env.head())
    );
}

#[test]
fn settings_tools_and_variables_are_part_of_a_lane() {
    let origin = Origin::released();
    let env = &origin.env;
    let config = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    env.write(
        "deploy.toml",
        &config.replace(
            "migrations = \"migrations\"",
            "migrations = \"migrations\"\nvariables = [\"MAIL_KEY\"]",
        ),
    );
    env.commit("Needs a key");
    origin.push();
    let plan = origin.plan();
    assert_eq!(lane(&plan, "frontend"), NOTHING);
    assert_eq!(
        plan["lanes"][1]["reason"],
        "its configuration differs from the live release: variable MAIL_KEY"
    );
    env.write("deploy.toml", &config);
    env.write("rust-toolchain.toml", "[toolchain]\nchannel = \"1.95.0\"\n");
    env.commit("Pin the compiler");
    origin.push();
    let plan = origin.plan();
    assert_eq!(lane(&plan, "backend"), runs(["+ rust-toolchain.toml"]));
    assert_eq!(
        plan["lanes"][1]["rule"],
        "rust-toolchain.toml of the toolchain"
    );
    assert_eq!(plan["unselected"], serde_json::json!([]));
}
