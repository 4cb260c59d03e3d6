//! The commands that read standard input: the change filter and the redactor.

use crate::env::TestEnv;
use serde_json::{Value, json};

/// One document per line.
fn documents(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

#[test]
fn paths_are_filtered_by_patterns() {
    let env = TestEnv::without_git();
    let paths = "frontend/index.html\nbackend/start.sh\nfrontend/.hidden\n";
    let some = env.pipe(&["match", "frontend/**"], paths, &[]);
    assert_eq!(
        some.assert_exit(0).stdout,
        "frontend/index.html\nfrontend/.hidden\n"
    );
    assert_eq!(
        env.pipe(&["match", "docs/**"], paths, &[])
            .assert_exit(0)
            .stdout,
        "",
        "no match is no failure"
    );
    env.pipe(&["match"], paths, &[]).assert_exit(2);

    let questions = [
        json!({ "patterns": ["*.md"], "quantifier": "some", "path": "README.md" }).to_string(),
        "not a question".to_owned(),
        json!({ "rules": ["frontend/**", { "added": "docs/**" }], "quantifier": "some", "files": [["docs/a.md", "modified"], ["docs/b.md", "added"]] }).to_string(),
    ];
    let answers = documents(
        &env.pipe(&["match", "--ndjson"], &questions.join("\n"), &[])
            .assert_exit(0)
            .stdout,
    );
    assert_eq!(answers[0], json!({ "matched": true }));
    assert!(answers[1]["error"].is_string(), "{answers:?}");
    assert_eq!(
        (&answers[2]["matched"], &answers[2]["changed"]),
        (&json!(["docs/b.md"]), &json!(true))
    );
}

#[test]
fn credentials_are_taken_out_of_a_stream() {
    let env = TestEnv::without_git();
    let token = format!("nfp_{}", "a1B2".repeat(9));
    let said = format!("PUT with {token} went well\n");
    let clean = env.pipe(&["redact"], &said, &[("NETLIFY_AUTH_TOKEN", &token)]);
    clean
        .assert_exit(0)
        .assert_silent_about(&token)
        .assert_says("went well");

    let questions = [
        json!({ "text": said, "known": [token] }).to_string(),
        "{".to_owned(),
    ];
    let answers = documents(
        &env.pipe(&["redact", "--ndjson"], &questions.join("\n"), &[])
            .assert_exit(0)
            .stdout,
    );
    assert!(
        answers[0]["out"]
            .as_str()
            .is_some_and(|out| !out.contains(&token) && out.contains("went well")),
        "{answers:?}"
    );
    assert!(answers[1]["error"].is_string(), "{answers:?}");
}

#[test]
fn shells_complete_the_commands() {
    let env = TestEnv::without_git();
    for shell in ["bash", "fish", "zsh"] {
        env.xtask(&["completions", shell])
            .assert_exit(0)
            .assert_says("rollback");
    }
    env.xtask(&["completions", "abacus"]).assert_exit(2);
}
