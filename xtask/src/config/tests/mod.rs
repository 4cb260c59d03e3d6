//! What a person sees when the configuration is wrong, and what comes out when it is right.

mod messages;
mod resolving;

use super::rule::parse_words;
use super::*;
use crate::changes::filter::Status;
use std::time::Duration;

const REPOSITORY: &str = include_str!("../../../../deploy.toml");

/// The least that is a configuration.
const MINIMAL: &str = r#"project = "shop"

[frontend]
paths = ["web/**"]
publish = "web"

[backend]
paths = ["api/**"]
build = "make"
start = "./api"
"#;

fn load(text: &str) -> Result<Config, ConfigError> {
    Config::load(Path::new("deploy.toml"), text)
}

#[test]
fn the_repository_s_own_file_is_valid() {
    let config = load(REPOSITORY).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.project, "tandem");
    assert_eq!(
        config.checks[0].run,
        "cargo test -p backend -p migrate --locked -- --skip crash::"
    );
    assert_eq!(config.frontend.publish, "frontend");
    assert_eq!(
        config
            .backend
            .disk
            .as_ref()
            .map(|disk| disk.mount_path.as_str()),
        Some("/var/data")
    );
    assert_eq!(config.backend.local_start(), "./target/debug/backend");
    let env = config.backend.local_env();
    assert_eq!(env.get("TANDEM_DEMO_DATA").map(String::as_str), Some("1"));
    assert_eq!(
        env.get("DATABASE_PATH").map(String::as_str),
        Some("/var/data/tandem.db")
    );
    assert!(config.environments.contains_key(&PRODUCTION.into()));
}

#[test]
fn the_values_of_the_repository_s_production_are_the_defaults() {
    let config = load(REPOSITORY).unwrap();
    let production = &config.environments[&PRODUCTION.into()];
    let written = Environment {
        bake_s: None,
        identity_interval_ms: None,
        require_clean: None,
        ..production.clone()
    };
    assert_eq!(
        written,
        Environment {
            branch: Some("main".to_owned()),
            ..Environment::default()
        }
    );
    let frontend = &config.frontend;
    let defaults = Frontend::default();
    assert_eq!(frontend.entry, defaults.entry);
    assert_eq!(frontend.shrink_max_percent, defaults.shrink_max_percent);
    assert_eq!(config.checks[0].timeout_s, Check::default().timeout_s);
}

#[test]
fn the_least_that_is_valid_has_every_default() {
    let config = load(MINIMAL).unwrap();
    assert_eq!(config.checks, []);
    assert_eq!(config.frontend.paths, [Rule::Pattern("web/**".to_owned())]);
    assert_eq!(config.frontend.quantifier, Quantifier::Some);
    assert_eq!(config.frontend.entry, "index.html");
    assert_eq!(config.frontend.build_timeout_s, 900);
    assert_eq!(config.backend.health, "/api/health");
    assert_eq!(config.backend.local_build(), "make");
    assert_eq!(config.backend.max_shutdown_delay_s, 30);
    let names: Vec<&str> = config
        .environments
        .keys()
        .map(EnvironmentName::as_str)
        .collect();
    assert_eq!(names, [LOCAL]);
}

#[test]
fn rules_are_patterns_or_tables_of_statuses() {
    let text = MINIMAL.replace(
        r#"["web/**"]"#,
        r#"["web/**", "!web/*.md", { "added|Modified" = ["lib/**"], deleted = ["x", "y"] }]"#,
    );
    let config = load(&text.replace(
        "[backend]",
        "quantifier = \"some-with-excludes\"\n\n[backend]",
    ))
    .unwrap();
    let statuses = [
        ("added|Modified", vec!["lib/**"]),
        ("deleted", vec!["x", "y"]),
    ]
    .map(|(words, patterns)| {
        (
            words.to_owned(),
            patterns.into_iter().map(str::to_owned).collect(),
        )
    });
    assert_eq!(
        config.frontend.paths,
        [
            Rule::Pattern("web/**".to_owned()),
            Rule::Pattern("!web/*.md".to_owned()),
            Rule::Status(statuses.into()),
        ]
    );
    assert_eq!(config.frontend.quantifier, Quantifier::SomeWithExcludes);
    assert_eq!(
        parse_words("added| Modified"),
        Ok(vec![Status::Added, Status::Modified])
    );
    assert!(parse_words(" | ").is_err());
}

#[test]
fn a_written_local_environment_keeps_its_own_values() {
    let config = load(&format!(
        "{MINIMAL}\n[environments.local]\nbake_s = 5\nnotify.slack = false\n"
    ))
    .unwrap();
    let local = &config.environments[&LOCAL.into()];
    assert_eq!(local.bake_s, Some(5));
    assert!(!local.notify.slack);
}

#[test]
fn every_key_removed_or_mistyped_gives_an_answer_and_no_panic() {
    for (number, line) in REPOSITORY.lines().enumerate() {
        let rest = |replacement: &str| -> String {
            let lines = REPOSITORY.lines().enumerate();
            lines
                .map(|(i, other)| format!("{}\n", if i == number { replacement } else { other }))
                .collect()
        };
        let _without = load(&rest("")).map_err(|error| error.to_string());
        if let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.contains('#')) {
            for value in [
                "3",
                "\"\"",
                "-1",
                "[]",
                "{}",
                "true",
                "[[1]]",
                "1979-05-27",
                "nan",
                "\"é\u{1f980}\"",
                "\"\\u0000\"",
            ] {
                let _mistyped =
                    load(&rest(&format!("{key} = {value}"))).map_err(|error| error.to_string());
            }
            let error = load(&rest(&format!("{key}q = 3")))
                .err()
                .map(|error| error.to_string());
            if !["DATABASE_PATH", "TANDEM_DEMO_DATA"].contains(&key) && !line.ends_with('[') {
                assert!(
                    error
                        .as_ref()
                        .is_some_and(|error| error.contains("unknown key")),
                    "{key}: {error:?}"
                );
            }
        }
        for cut in line.char_indices().map(|(i, _)| i).step_by(7) {
            let _cut = load(&rest(&line[..cut])).map_err(|error| error.to_string());
        }
    }
}

#[test]
fn a_lane_s_settings_are_what_shapes_its_release_and_nothing_else() {
    let before = load(REPOSITORY).unwrap();
    for (old, new, frontend_changes, backend_changes) in [
        (
            "publish = \"frontend\"",
            "publish = \"frontend/\"",
            false,
            false,
        ),
        ("publish = \"frontend\"", "publish = \"site\"", true, false),
        (
            "publish = \"frontend\"",
            "publish = \"frontend\"\nbuild = \"make\"",
            true,
            false,
        ),
        (
            "exclude = [\"tests/**\"]",
            "exclude = [\"test/**\"]",
            true,
            false,
        ),
        (
            "start = \"./target/release/backend\"",
            "start = \"./other\"",
            false,
            true,
        ),
        (
            "mount_path = \"/var/data\"",
            "mount_path = \"/var\"",
            false,
            true,
        ),
        (
            "DATABASE_PATH = ",
            "OTHER = \"1\"\nDATABASE_PATH = ",
            false,
            true,
        ),
        (
            "TANDEM_DEMO_DATA = \"1\"",
            "TANDEM_DEMO_DATA = \"0\"",
            false,
            false,
        ),
        ("timeout_s = 900", "timeout_s = 901", false, false),
        ("bake_s = 60", "bake_s = 61", false, false),
    ] {
        assert!(REPOSITORY.contains(old), "{old}");
        let after = load(&REPOSITORY.replacen(old, new, 1)).unwrap();
        for (lane, changes) in [
            (Lane::Frontend, frontend_changes),
            (Lane::Backend, backend_changes),
        ] {
            assert_eq!(
                before.lane_settings(lane) != after.lane_settings(lane),
                changes,
                "{lane}: {new}"
            );
        }
    }
}

#[test]
fn a_lane_that_is_built_depends_on_what_pins_its_tools() {
    let usual = load(REPOSITORY).unwrap();
    assert!(
        usual.lane_toolchain(Lane::Frontend).is_empty(),
        "nothing builds it"
    );
    assert!(
        usual
            .lane_toolchain(Lane::Backend)
            .contains(&"rust-toolchain.toml".to_owned())
    );
    let own = load(&REPOSITORY.replacen(
        "start = ",
        "toolchain = [\"flake.lock\"]\nvariables = [\"MAIL_KEY\"]\nstart = ",
        1,
    ))
    .unwrap();
    assert_eq!(own.lane_toolchain(Lane::Backend), ["flake.lock"]);
    assert_eq!(
        own.lane_variables(Lane::Backend),
        ["MAIL_KEY".to_owned()].into()
    );
}
