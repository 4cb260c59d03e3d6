//! `doctor`: what would stop a release is found, named and explained before one is tried; nothing is changed and nothing started.

use crate::env::TestEnv;
use crate::env::output::Output;
use crate::production::production;
use insta::assert_snapshot;
use serde_json::Value;

/// The findings as `area name: level`. Left out is what differs from machine to machine: tools, and how full a disk is.
fn levels(document: &Value) -> String {
    let findings = document["findings"].as_array().unwrap().iter();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    findings
        .filter(|finding| finding["area"] != "tools")
        .map(|finding| {
            let [area, name, level] = ["area", "name", "level"].map(|key| text(finding, key));
            match name.as_str() {
                "disk" | "database" => format!("{area} {name}\n"),
                _ => format!("{area} {name}: {level}\n"),
            }
        })
        .collect()
}

/// The one finding of that name, which must be an error.
#[track_caller]
fn error<'d>(document: &'d Value, name: &str) -> &'d Value {
    let mut errors = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["name"] == name && finding["level"] == "error");
    errors
        .next()
        .unwrap_or_else(|| panic!("no error about {name}: {document:#}"))
}

fn doctor(env: &TestEnv, vars: &[(&str, &str)]) -> Output {
    env.xtask_with(&["doctor", "--prod", "--json"], vars)
}

#[test]
fn without_a_cloud_there_is_nothing_to_ask_and_none_is_started() {
    let env = TestEnv::new();
    env.xtask(&["doctor"])
        .assert_exit(0)
        .assert_says("the local cloud does not run, so there is nothing to ask")
        .assert_says("local: nothing here would stop a release (0 error(s)");
    let document = env.xtask(&["doctor", "--json"]).assert_exit(0).json();
    assert_eq!(
        (&document["ok"], &document["exit_code"]),
        (&true.into(), &0.into())
    );
    let tools: Vec<&str> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["area"] == "tools")
        .map(|finding| finding["name"].as_str().unwrap())
        .collect();
    assert_eq!(tools, ["sqlite", "git", "curl", "rust", "node"]);
    assert_eq!(document["findings"][0]["found"], rusqlite::version());
    assert!(env.find_cloud().is_none());
}

#[test]
fn a_released_project_is_well() {
    let env = TestEnv::released();
    let document = env.xtask(&["doctor", "--json"]).assert_exit(0).json();
    assert_snapshot!(levels(&document), @r"
    machine disk
    machine journal: ok
    machine clock: ok
    configuration deploy.toml: ok
    source commit: ok
    origin refs: ok
    origin lock: ok
    credentials NETLIFY_AUTH_TOKEN: ok
    credentials RENDER_API_KEY: ok
    credentials SLACK_WEBHOOK_URL: ok
    credentials GITHUB_TOKEN: note
    credentials TANDEM_ADMIN_TOKEN: ok
    credentials NETLIFY_AUTH_TOKEN: ok
    credentials RENDER_API_KEY: ok
    credentials TANDEM_ADMIN_TOKEN: ok
    frontend rules: ok
    frontend settings: ok
    backend settings: ok
    backend schema: ok
    backend database
    ");
}

#[test]
fn production_before_its_first_release_is_well() {
    let (env, origin) = production();
    let cloud = env.cloud();
    cloud.forget_requests();
    doctor(&env, &[]).assert_exit(0);
    assert_eq!(cloud.provider_writes(), Vec::<String>::new());
    let refs = env.git_in(&origin, &["for-each-ref", "refs/tandem"]);
    assert_eq!(refs, "", "nothing was pushed");
    env.xtask(&["deploy", "--prod"]).assert_exit(0);
}

#[test]
fn each_credential_that_is_not_accepted_or_sees_nothing_is_named() {
    let (env, _origin) = production();
    let key = format!("{}{}", "rnd_", "0".repeat(28));
    let output = doctor(
        &env,
        &[("RENDER_API_KEY", &key), ("NETLIFY_AUTH_TOKEN", "")],
    );
    let document = output.assert_exit(3).assert_silent_about(&key).json();
    assert_eq!(
        (&document["ok"], &document["exit_code"]),
        (&false.into(), &3.into())
    );
    let found = error(&document, "RENDER_API_KEY")["text"].as_str().unwrap();
    assert!(found.contains("RENDER_API_KEY was not accepted"), "{found}");
    output.assert_says("from the environment, rnd_***");
    assert_eq!(error(&document, "NETLIFY_AUTH_TOKEN")["text"], "is missing");

    let service = [("RENDER_SERVICE_ID", "srv-00000000000000000000")];
    let document = doctor(&env, &service).assert_exit(3).json();
    let found = error(&document, "RENDER_API_KEY")["text"].as_str().unwrap();
    assert!(
        found.contains("there is no 'srv-00000000000000000000'"),
        "{found}"
    );

    let file = env.root().join(".env.deploy");
    fs_err::write(&file, format!("RENDER_API_KEY={key}\n")).unwrap();
    fs_err::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let document = doctor(&env, &[]).assert_exit(3).json();
    let found = error(&document, "refused")["text"].as_str().unwrap();
    assert!(
        found.contains("others may read the credentials in it"),
        "{found}"
    );
}

#[test]
fn what_a_release_would_refuse_of_the_source_and_the_origin_is_found() {
    let (env, _origin) = production();
    env.xtask(&["lock", "--prod", "take", "--reason", "stock-taking"])
        .assert_exit(0);
    env.change_frontend("Second");
    env.write(
        "frontend/about.html",
        "<!doctype html>\n<title>Draft</title>\n",
    );
    let output = doctor(&env, &[]);
    output
        .assert_exit(3)
        .assert_says("1 uncommitted change(s): frontend/about.html")
        .assert_says("no branch of a remote holds commit")
        .assert_says("stock-taking");
    env.git(&["remote", "set-url", "origin", "../nowhere.git"]);
    let document = doctor(&env, &[]).assert_exit(3).json();
    let found = error(&document, "refs")["text"].as_str().unwrap();
    assert!(found.contains("nowhere.git"), "{found}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_a_finding() {
    let env = TestEnv::new();
    let document = doctor(&env, &[]).assert_exit(3).json();
    let found = error(&document, "deploy.toml")["text"].as_str().unwrap();
    assert!(found.contains("has no site_id"), "{found}");
    env.write("deploy.toml", "project = 7\n");
    let document = doctor(&env, &[]).assert_exit(3).json();
    let found = error(&document, "deploy.toml")["text"].as_str().unwrap();
    assert!(
        found.contains("'project' must be text in quotes"),
        "{found}"
    );
    assert!(env.find_cloud().is_none());
}

#[test]
fn versions_are_held_against_the_flakes_pins() {
    let env = TestEnv::new();
    let pins = env.beside("pins.json");
    fs_err::write(&pins, r#"{"curl":"0.0.1","sqlite":"3.0.0"}"#).unwrap();
    let vars = [("TANDEM_PINS", pins.to_str().unwrap())];
    let output = env.xtask_with(&["doctor"], &vars);
    let sqlite = format!("{} is in use, 3.0.0 is pinned", rusqlite::version());
    output
        .assert_exit(0)
        .assert_says(&sqlite)
        .assert_says("is in use, 0.0.1 is pinned");
}
