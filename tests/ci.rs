//! The CI program in a project of its own: what it runs, when it stops, and that nothing of it stays behind.

use crate::env::{TestEnv, poll};
use insta::assert_snapshot;
use rustix::process::Signal;

/// A README whose test command is this script.
fn with_tests(script: &str) -> TestEnv {
    let env = TestEnv::without_git();
    env.write(
        "README.md",
        &format!("# Shop\n\n## Tests\n\nRun:\n\n```sh\n{script}\n```\n"),
    );
    env
}

/// The table without its times.
fn results(stdout: &str) -> Vec<(String, String)> {
    let rows = stdout.lines().skip(1);
    let named = rows.filter(|row| !row.starts_with("total"));
    let cells = named.map(|row| {
        let (name, rest) = row.split_once(' ').unwrap();
        let rest = rest.trim_start();
        let result = rest
            .strip_prefix('-')
            .or_else(|| Some(rest.split_once(" s ")?.1));
        (name.to_owned(), result.unwrap().trim().to_owned())
    });
    cells.collect()
}

fn row(name: &str, result: &str) -> (String, String) {
    (name.to_owned(), result.to_owned())
}

#[test]
fn the_sections_are_named_in_their_order() {
    let env = TestEnv::without_git();
    let list = env.xtask(&["ci", "--list"]);
    assert_snapshot!(list.assert_exit(0).stdout);
    assert!(!env.state_dir().exists(), "listing leaves no trace");
    let some = env.xtask(&["ci", "--list", "tests", "format"]);
    let names: Vec<&str> = some
        .stdout
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        names,
        ["format", "tests"],
        "chosen sections keep their order"
    );
}

#[test]
fn the_test_command_is_the_one_of_the_readme() {
    let env = with_tests("echo one; echo two >&2\ntest -f deploy.toml");
    let ci = env.xtask(&["ci", "format", "workflows", "tests"]);
    ci.assert_exit(0).assert_says("$ test -f deploy.toml");
    assert_eq!(
        results(&ci.stdout),
        [
            row("format", "skipped: this project has no Cargo.toml"),
            row(
                "workflows",
                "skipped: this project has no .github/workflows"
            ),
            row("tests", "passed"),
        ]
    );
    for line in ["== tests", "one", "two"] {
        assert!(ci.stderr.lines().any(|said| said == line), "{line}\n{ci}");
    }
    let folded = env.xtask_with(&["ci", "tests"], &[("GITHUB_ACTIONS", "true")]);
    for line in ["::group::tests", "::endgroup::"] {
        assert!(
            folded.stderr.lines().any(|said| said == line),
            "{line}\n{folded}"
        );
    }
}

#[test]
fn a_failure_stops_the_rest_unless_all_are_wanted() {
    let env = with_tests("echo because; exit 7");
    // Without a repository there is nothing to clone, so the last section never fails here.
    let chosen = ["tests", "fresh-clone"];
    let ci = env.xtask(&[&["ci"], &chosen[..]].concat());
    ci.assert_exit(3)
        .assert_says("error: tests: 'echo because; exit 7' ended with 7 (hint: `cargo xtask ci tests` runs that alone)");
    let failed = row("tests", "failed: 'echo because; exit 7' ended with 7");
    assert_eq!(
        results(&ci.stdout),
        [failed.clone(), row("fresh-clone", "not run")]
    );

    let all = env.xtask(&[&["ci", "--keep-going", "--quiet"], &chosen[..]].concat());
    all.assert_exit(3);
    assert_eq!(
        results(&all.stdout),
        [
            failed,
            row("fresh-clone", "skipped: this project has no .git")
        ]
    );
    assert!(
        all.stderr.starts_with("because\n"),
        "only what failed speaks\n{all}"
    );
}

#[test]
fn a_missing_tool_is_a_failure_where_it_must_be_there() {
    let env = TestEnv::without_git();
    fs_err::create_dir_all(env.root().join(".github/workflows")).unwrap();
    // Of all programs only git, which every command asks for.
    let bin = env.beside("bin");
    fs_err::create_dir(&bin).unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut folders = path.split(':').map(std::path::Path::new);
    let git = folders.find_map(|folder| Some(folder.join("git")).filter(|git| git.is_file()));
    fs_err::os::unix::fs::symlink(git.unwrap(), bin.join("git")).unwrap();
    let bare = [("PATH", bin.to_str().unwrap())];
    let why = "zizmor is not on the PATH (hint: pip install --requirement .ci/requirements.txt)";
    let lax = env.xtask_with(&["ci", "workflows"], &bare);
    lax.assert_exit(0);
    assert_eq!(
        results(&lax.stdout),
        [row("workflows", &format!("skipped: {why}"))]
    );
    let strict = env.xtask_with(&["ci", "--strict", "workflows"], &bare);
    strict
        .assert_exit(3)
        .assert_says(&format!("error: workflows: {why}"));
}

#[test]
fn a_signal_ends_what_runs_and_says_where_it_was() {
    let env = with_tests("sleep 300 & echo $! >child; mv child started; wait");
    let started = env.root().join("started");
    for (signal, exit, word) in [
        (Signal::TERM, 143, "terminated"),
        (Signal::INT, 130, "interrupted"),
    ] {
        let run = env.start_with(&["ci", "tests", "fresh-clone"], &[]);
        poll("the section to start", || started.exists().then_some(()));
        run.signal(signal);
        let ci = run.wait();
        ci.assert_exit(exit)
            .assert_says(&format!("error: {word} in section 'tests'"));
        assert_eq!(
            results(&ci.stdout),
            [row("tests", word), row("fresh-clone", "not run")]
        );
        let child = fs_err::read_to_string(&started).unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        let stat = stat.unwrap_or_default();
        assert!(
            stat.is_empty() || stat.contains(") Z"),
            "still runs: {stat}"
        );
        fs_err::remove_file(&started).unwrap();
    }
}
