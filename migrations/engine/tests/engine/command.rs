//! The command line as scripts see it: exit codes, one JSON document, results and progress apart.

use crate::env::Env;
use serde_json::Value;
use std::process::{Command, Output};

#[expect(clippy::disallowed_methods, reason = "a test of the real binary")]
fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    command.env_clear();
    command
}

pub(crate) fn run(env: &Env, arguments: &[&str]) -> Output {
    binary()
        .args(["--database", "app.db"])
        .args(arguments)
        .current_dir(env.folder.path())
        .output()
        .expect("the binary runs")
}

fn json(env: &Env, arguments: &[&str]) -> (i32, Value) {
    let output = run(env, &[arguments, &["--json"]].concat());
    let code = output.status.code().expect("a code");
    (
        code,
        serde_json::from_slice(&output.stdout).expect("one JSON document"),
    )
}

/// The parts of the answer that are a contract.
fn contract((code, answer): (i32, Value)) -> String {
    let part = |key: &str| answer[key].to_string();
    format!(
        "{code} {} applied {} pending {} error {}",
        part("outcome"),
        part("applied"),
        part("pending"),
        answer["error"]["message"]
    )
}

#[test]
fn answers_have_the_promised_keys_also_on_failure() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);");
    assert_eq!(
        contract(json(&env, &["--status"])),
        r#"0 "pending" applied [] pending ["1.sql"] error null"#
    );
    assert!(!env.database().exists(), "looking creates nothing");
    assert_eq!(
        contract(json(&env, &[])),
        r#"0 "applied" applied ["1.sql"] pending [] error null"#
    );
    assert_eq!(
        contract(json(&env, &[])),
        r#"0 "up_to_date" applied [] pending [] error null"#
    );
    env.file("2.sql", "CREATE TABLE b (x);\nCREATE TABLE\n  a (x);");
    let (code, answer) = json(&env, &[]);
    let error = &answer["error"];
    assert_eq!(
        (
            error["file"].as_str(),
            error["line"].as_u64(),
            error["column"].as_u64()
        ),
        (Some("2.sql"), Some(3), Some(3))
    );
    assert_eq!(error["statement"], "CREATE TABLE\n  a (x);");
    assert_eq!(
        contract((code, answer)),
        r#"4 "failed" applied [] pending ["2.sql"] error "table a already exists (rolled back)""#
    );
    env.file("2.sql", "VACUUM;");
    assert_eq!(
        contract(json(&env, &[])),
        r#"3 "refused" applied [] pending ["2.sql"] error "VACUUM does not run inside a transaction""#
    );
    env.file("2.sql", "CREATE TABLE b (x);")
        .file("3.sql", "nonsense");
    assert_eq!(
        contract(json(&env, &["--per-file"])),
        r#"4 "failed" applied ["2.sql"] pending ["3.sql"] error "near \"nonsense\": syntax error (rolled back)""#
    );
}

#[test]
fn a_missing_folder_file_or_flag_is_named() {
    let env = Env::new();
    assert_eq!(
        contract(json(&env, &["--dir", "nowhere"]))
            .split(" applied")
            .next(),
        Some(r#"3 "refused""#)
    );
    let output = binary()
        .args(["--status"])
        .current_dir(env.folder.path())
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: name the database: --database FILE\n"
    );
    assert_eq!(
        run(&env, &["--status", "--verify"]).status.code(),
        Some(2),
        "one action at a time"
    );
    env.file("2.sql", "SELECT 1;").file("10.sql", "SELECT 1;");
    assert_eq!(run(&env, &["--dry-run"]).status.code(), Some(3));
    assert_eq!(
        run(&env, &["--dry-run", "--order", "natural"])
            .status
            .code(),
        Some(0)
    );
}

/// Replaces the milliseconds, which differ from run to run.
fn without_times(text: &str) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    for at in 1..words.len() {
        if words[at].starts_with("ms") {
            words[at - 1] = "<ms>";
        }
    }
    words.join(" ")
}

#[test]
fn every_action_works_on_a_populated_database() {
    let env = Env::new();
    env.file("0001_a.sql", "CREATE TABLE a (x);");
    let text = |arguments: &[&str]| {
        let output = run(&env, arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        without_times(&String::from_utf8(output.stdout).expect("UTF-8"))
    };
    text(&[]);
    env.sql("INSERT INTO a VALUES (1)");
    assert_eq!(
        text(&["--new", "Add a Thing"]),
        "migrations/0002_add_a_thing.sql\n"
    );
    env.file("0002_add_a_thing.sql", "ALTER TABLE a ADD COLUMN thing;");
    assert_eq!(
        text(&["--dry-run"]),
        "-- 0002_add_a_thing.sql\nALTER TABLE a ADD COLUMN thing;\n-- 1 file(s) would be applied: they ran on a copy in <ms> ms; the database was not touched\n"
    );
    insta::assert_snapshot!(text(&["--rehearse"]), @r"
    0002_add_a_thing.sql  1 statement(s), <ms> ms
    rows  a  1 -> 1
    foreign keys without a parent  0 -> 0
    size  16384 -> 16384 bytes
    write lock  <ms> ms for 1 file(s) in one transaction; readers wait during the commit
    rehearsed 1 file(s) on a copy in <ms> ms; the database was not touched
    ");
    assert_eq!(
        text(&["--lint"]),
        "0002_add_a_thing.sql: safe: the previous release can run on it\n"
    );
    text(&[]);
    assert_eq!(text(&["--dump-schema"]), "CREATE TABLE a (x, thing);\n");
    assert_eq!(
        text(&["--verify"]),
        "2 applied file(s) match, every page, every index and every foreign key is sound\n"
    );
    assert_eq!(
        text(&["--verify=quick"]),
        "2 applied file(s) match, every page and every foreign key is sound\n"
    );
    let backup = text(&["--backup"]);
    env.sql("DELETE FROM a");
    assert!(text(&["--restore", backup.trim()]).starts_with("restored app.db.backups/"));
    assert_eq!(env.value("SELECT count(*) FROM a"), "1");
    assert_eq!(text(&["--repair"]), "0 change(s) to the history\n");
    assert!(text(&["--baseline", "0002_add_a_thing.sql"]).contains("recorded 0 file(s)"));
}

#[test]
fn lint_refuses_what_breaks_the_previous_release_in_silence() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x, y);");
    env.apply().expect("applied");
    env.file(
        "2.sql",
        "DROP TABLE IF EXISTS never;\nALTER TABLE a DROP COLUMN y;",
    );
    let output = run(&env, &["--lint"]);
    assert_eq!(output.status.code(), Some(3));
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stdout), @r"
    2.sql: breaking, destructive: the previous release cannot run on it
      2.sql:2:1: breaking: drops a column of a, which the previous release may still use (0 rows)
      2.sql:2:1: destructive: throws away what is in a column of a (0 rows)
    ");
    env.file(
        "2.sql",
        "-- migrate: allow contract\nALTER TABLE a DROP COLUMN y;",
    );
    assert_eq!(run(&env, &["--lint"]).status.code(), Some(0));
    env.file("2.sql", "CREATE TABLE n (x, y, z); INSERT INTO n SELECT x, y, 1 FROM a; DROP TABLE a; ALTER TABLE n RENAME TO a;");
    assert_eq!(
        run(&env, &["--lint"]).status.code(),
        Some(0),
        "a rebuild that keeps all columns"
    );
}

#[test]
fn exec_migrates_and_becomes_the_command() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);");
    let exec = |command: &[&str]| {
        binary()
            .env("PATH", "/usr/bin:/bin")
            .args(["exec", "--database", "app.db", "--"])
            .args(command)
            .current_dir(env.folder.path())
            .output()
            .expect("the binary runs")
    };
    assert_eq!(exec(&["no-such-command"]).status.code(), Some(2));
    assert!(
        !env.database().exists(),
        "a release that cannot start does not migrate"
    );
    let output = exec(&["sh", "-c", "echo started; exit 7"]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "started\n",
        "standard output is the command's"
    );
    assert_eq!(env.value("SELECT count(*) FROM migrations"), "1");
    env.file("2.sql", "nonsense");
    let output = exec(&["sh", "-c", "echo started"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("started"));
}

#[test]
fn a_signal_rolls_back_and_says_so() {
    let env = Env::new();
    // Never ends by itself.
    env.file("1.sql", "CREATE TABLE a (x);\nWITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) INSERT INTO a SELECT 0 FROM n WHERE x < 0;");
    let mut child = binary()
        .args(["--database", "app.db", "--json"])
        .current_dir(env.folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // The line comes once the lock is held and the statements are about to run.
    let mut progress = std::io::BufReader::new(child.stderr.take().expect("its progress"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut progress, &mut line).expect("a line");
    assert_eq!(line, "no rows yet: no backup, no rehearsal\n");
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).expect("a signal");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(
        answer["error"]["message"],
        "interrupted; everything that was not committed is rolled back"
    );
    assert_eq!(env.value("SELECT count(*) FROM sqlite_schema"), "0");
}
