//! What `plan` prints beside the plan: a job matrix, an import of an existing workflow's filters, a refusal of stray files.

use crate::env::TestEnv;
use serde_json::{Value, json};

#[test]
fn checks_and_builds_become_a_job_matrix() {
    let env = TestEnv::new();
    let config = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    env.write(
        "deploy.toml",
        &config.replace(
            "publish = \"frontend\"\n",
            "publish = \"frontend\"\nbuild = \"true\"\nbuild_timeout_s = 61\n",
        ),
    );
    let matrix = |args: &[&str]| {
        let output = env.xtask(&[&["plan", "--github-matrix"], args].concat());
        let text = output.assert_exit(0).stdout.clone();
        assert_eq!(text.lines().count(), 1, "a line for $GITHUB_OUTPUT: {text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let check = json!({ "kind": "check", "name": "unit tests", "run": "sh check.sh", "timeout_minutes": 10 });
    let build = json!({ "kind": "prepare", "name": "frontend", "run": "true", "timeout_minutes": 2, "artifact": "frontend" });
    assert_eq!(matrix(&[]), json!({ "include": [check, build] }));
    assert_eq!(
        matrix(&["--only", "backend"]),
        json!({ "include": [check] })
    );
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(matrix(&[]), json!({ "include": [] }));
}

#[test]
fn the_filters_of_a_workflow_move_over() {
    let env = TestEnv::without_git();
    fs_err::create_dir_all(env.root().join(".github/workflows")).unwrap();
    env.write(
        ".github/workflows/deploy.yml",
        "jobs:\n  changes:\n    steps:\n      - uses: dorny/paths-filter@v3\n        with:\n          filters: .github/filters.yml\n",
    );
    env.write(
        ".github/filters.yml",
        "frontend:\n  - 'src/**'\n  - public/**\nbackend:\n  - added|modified: 'api/**'\n",
    );
    let import = || env.xtask(&["plan", "--import-workflow", ".github/workflows/deploy.yml"]);
    insta::assert_snapshot!(import().assert_exit(0).stdout, @r#"
    # from .github/workflows/deploy.yml

    [frontend]
    paths = [
        "src/**",
        "public/**",
    ]

    [backend]
    paths = [
        { "added|modified" = ["api/**"] },
    ]
    "#);
    env.write(".github/filters.yml", "frontend:\n  - **/*.js\n");
    import()
        .assert_exit(2)
        .assert_says(".github/filters.yml:2: YAML takes '**/*.js' for an alias");
    env.remove(".github/filters.yml");
    import()
        .assert_exit(2)
        .assert_says("takes its filters from .github/filters.yml, which is in no folder above it");
    env.xtask(&["plan", "--import-workflow", "nothing.yml"])
        .assert_exit(2)
        .assert_says("nothing.yml");
}

#[test]
fn a_file_that_belongs_to_no_lane_is_listed_and_strictly_refused() {
    let env = TestEnv::new();
    env.xtask(&["plan", "--strict"]).assert_exit(0);
    env.write("index.html", "stray");
    env.commit("Stray");
    env.xtask(&["plan"])
        .assert_exit(0)
        .assert_says("1 file belongs to no lane: index.html");
    let document = env.xtask(&["plan", "--json"]).assert_exit(0).json();
    assert_eq!(document["unselected"], json!(["index.html"]));
    env.xtask(&["plan", "--strict"])
        .assert_exit(2)
        .assert_says("the first is index.html");
}

#[test]
fn a_lane_that_selects_no_file_is_a_mistake_in_the_configuration() {
    let env = TestEnv::new();
    let config = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    let written = |paths: &str| {
        let text = config.replace("paths = [\"frontend/**\"]", &format!("paths = [{paths}]"));
        env.write("deploy.toml", &text);
    };
    for wrong in [
        "\"frontend/\"",
        "\"frontend/** \"",
        "\"Frontend/**\"",
        "\"frontend\\\\**\"",
    ] {
        written(wrong);
        for command in ["deploy", "plan"] {
            env.xtask(&[command])
                .assert_exit(2)
                .assert_says("matches no file, so the lane never runs")
                .assert_says("hint: write 'frontend/**'")
                .assert_says("deploy.toml:11:10:");
        }
    }
    assert!(env.find_cloud().is_none(), "nothing was contacted");
    written("\"frontend/**\", \"assets/**\"");
    for command in ["deploy", "plan"] {
        let output = env.xtask(&[command]);
        output.assert_exit(0);
        let warned = output.stderr.matches("warning: ").count();
        assert_eq!(warned, 1, "{output}");
        output.assert_says("the pattern 'assets/**' matches no file");
    }
}
