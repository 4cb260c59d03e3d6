//! `codegen`: what it writes from a deploy.toml, what it leaves alone, and how it tells that something differs.

use crate::env::TestEnv;
use crate::env::fixture::repository;
use insta::assert_snapshot;

const FILES: [&str; 4] = [
    ".github/workflows/ci.yml",
    ".github/workflows/deploy.yml",
    ".github/workflows/rollback.yml",
    "render.yaml",
];

fn read(env: &TestEnv, path: &str) -> String {
    fs_err::read_to_string(env.root().join(path)).unwrap()
}

#[test]
fn the_files_of_this_repository_are_what_its_deploy_toml_says() {
    let env = TestEnv::without_git();
    let check = env
        .start_in(&repository(), &["codegen", "--check"], &[])
        .wait();
    check.assert_exit(0);
    for path in FILES.iter().chain(&["frontend/_redirects"]) {
        check.assert_says(&format!("{path}: up to date"));
    }
}

/// Another project: its names, its environments, one job for each part, and none of this repository's tools.
#[test]
fn another_project_gets_files_of_its_own() {
    let env = TestEnv::without_git();
    let config = read(&env, "deploy.toml")
        .replace("[backend]\n", "[backend]\nruntime = \"node\"\nplan = \"pro_plus\"\nhealth = \"/health\"\nversion = \"/version\"\n")
        .replace("bake_s = 0\n", "bake_s = 0\nbranch = \"trunk\"\ndeploy_timeout_s = 600\n");
    env.write(
        "deploy.toml",
        &format!("{config}\n[environments.staging]\n\n[workflows]\nprepare = \"matrix\"\n"),
    );
    fs_err::create_dir(env.root().join(".cargo")).unwrap();
    env.write(
        ".cargo/config.toml",
        "[alias]\nxtask = \"run --package shop-tasks --bin xtask --\"\n",
    );
    let codegen = env.xtask(&["codegen"]);
    codegen.assert_exit(0);
    assert_snapshot!(codegen.stdout, @r"
    .github/workflows/ci.yml: written
    .github/workflows/deploy.yml: written
    .github/workflows/rollback.yml: written
    render.yaml: written
    ");
    for path in FILES {
        let name = path.rsplit('/').next().unwrap();
        assert_snapshot!(format!("another-{name}"), read(&env, path));
    }
    env.xtask(&["codegen", "--check"]).assert_exit(0);
}

#[test]
fn jobs_that_build_check_out_what_a_build_reads() {
    let env = TestEnv::without_git();
    let deploy = || {
        env.xtask(&["codegen"]).assert_exit(0);
        read(&env, ".github/workflows/deploy.yml")
    };
    let plain = deploy();
    assert!(!plain.contains("submodule") && !plain.contains("lfs"));
    env.write(".gitmodules", "[submodule \"docs\"]\n");
    env.write(
        ".gitattributes",
        "*.png filter=lfs diff=lfs merge=lfs -text\n",
    );
    let whole = deploy();
    let prepare = whole.split("\n  prepare:\n").nth(1).unwrap();
    let (prepare, release) = prepare.split_once("\n  release:\n").unwrap();
    let checkout =
        "persist-credentials: false\n          submodules: recursive\n          lfs: true\n";
    assert!(prepare.contains(checkout), "{prepare}");
    assert!(prepare.contains("          git submodule update --init --recursive\n"));
    assert!(
        !release.contains("submodule"),
        "a bundle has it all: {release}"
    );
}

#[test]
fn what_somebody_else_wrote_is_left_alone() {
    let env = TestEnv::without_git();
    fs_err::create_dir_all(env.root().join(".github/workflows")).unwrap();
    let theirs = "name: Ours\n";
    env.write(".github/workflows/ci.yml", theirs);
    let rules = read(&env, "frontend/_redirects");
    let codegen = env.xtask(&["codegen"]);
    codegen
        .assert_exit(0)
        .assert_says(".github/workflows/ci.yml: left alone")
        .assert_says("frontend/_redirects: left alone");
    assert_eq!(read(&env, ".github/workflows/ci.yml"), theirs);
    assert_eq!(read(&env, "frontend/_redirects"), rules);
    env.xtask(&["codegen", "--check"]).assert_exit(0);
}

#[test]
fn what_differs_is_named_shown_and_mended() {
    let env = TestEnv::without_git();
    env.remove("frontend/_redirects");
    env.xtask(&["codegen"]).assert_exit(0);
    assert_snapshot!(read(&env, "frontend/_redirects"), @r"
    # Written by `cargo xtask codegen` from [backend] of deploy.toml: the rules down to the next mark.
    /api/admin/*  /404.html  404!
    /api/*  __SERVICE_URL__/api/:splat  200!
    # The end of what `cargo xtask codegen` writes.
    ");
    let around = |block: &str| format!("/old  /new\n{block}/*  /index.html  200\n");
    let block = read(&env, "frontend/_redirects");
    env.write("frontend/_redirects", &around(&block));
    env.xtask(&["codegen", "--check"]).assert_exit(0);

    env.write(
        "frontend/_redirects",
        &around(&block.replace("404!", "404")),
    );
    let config = read(&env, "deploy.toml").replace("size_gb = 1", "size_gb = 2");
    env.write("deploy.toml", &config);
    env.remove(".github/workflows/rollback.yml");
    let check = env.xtask(&["codegen", "--check"]);
    check.assert_exit(3);
    assert_snapshot!(check.stderr, @r#"
    error: .github/workflows/rollback.yml is not there
    render.yaml is not what deploy.toml says, line 24:
              name: "data"
              mountPath: "/var/data"
      -       sizeGB: 1
      +       sizeGB: 2
            envVars:
              - key: DATABASE_PATH
    frontend/_redirects is not what deploy.toml says, line 3:
        /old  /new
        # Written by `cargo xtask codegen` from [backend] of deploy.toml: the rules down to the next mark.
      - /api/admin/*  /404.html  404
      + /api/admin/*  /404.html  404!
        /api/*  __SERVICE_URL__/api/:splat  200!
        # The end of what `cargo xtask codegen` writes.
    hint: `cargo xtask codegen` writes them anew
    "#);
    let ci = env.xtask(&["ci", "generated"]);
    ci.assert_exit(3)
        .assert_says(".github/workflows/rollback.yml is not there");

    env.xtask(&["codegen"])
        .assert_exit(0)
        .assert_says("render.yaml: written");
    assert_eq!(read(&env, "frontend/_redirects"), around(&block));
    env.xtask(&["codegen", "--check"]).assert_exit(0);
}
