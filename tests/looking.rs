//! The commands that look: plan, why, status, history, show, report. None of them changes anything.

use crate::env::TestEnv;
use insta::assert_snapshot;
use serde_json::json;

#[test]
fn a_plan_says_what_would_run_and_why() {
    let env = TestEnv::new();
    assert_snapshot!(env.xtask(&["plan"]).assert_exit(0).normal_stdout(), @r#"
    local: would release SHORT
      Open the shop
      live now: nothing is recorded

    frontend  runs: nothing is recorded as live in local yet
              proof: the published deploy, and the content that is served
              5 added
              + frontend/_redirects
              + frontend/about.html
              + frontend/app.js
              + frontend/index.html
              + frontend/style.css

    backend   runs: nothing is recorded as live in local yet
              proof: the provider's word that this deploy of this commit is live, and a healthy answer
              5 added
              + backend/behaviour
              + backend/build.sh
              + backend/start.sh
              + migrations/0001_create_revenue.sql
              + migrations/0002_create_admin_audit.sql

    reversible: yes, because first release of the backend: nothing is live that could be lost
    migrations:
      0001_create_revenue.sql
      0002_create_admin_audit.sql
    "#);
    env.xtask(&["plan", "--exit-code"]).assert_exit(20);
    env.xtask(&["deploy"]).assert_exit(0);
    let cloud = env.cloud();
    cloud.forget_requests();
    env.xtask(&["plan", "--exit-code"]).assert_exit(0);

    env.change_frontend("New");
    env.remove("frontend/style.css");
    env.write(
        "migrations/0003_drop_note.sql",
        "ALTER TABLE revenue DROP COLUMN note;\n",
    );
    env.commit("Change both");
    assert_snapshot!(env.xtask(&["plan"]).assert_exit(0).normal_stdout(), @r#"
    local: would release SHORT
      Change both
      live now: release RUN

    frontend  runs: frontend/about.html modified and 1 more
              proof: the published deploy, and the content that is served
              1 modified, 1 deleted; the first by rule frontend/**
              ~ frontend/about.html
              - frontend/style.css

    backend   runs: migrations/0003_drop_note.sql added
              proof: the commit in /api/version (field 'commit')
              1 added; the first by rule migrations/**
              + migrations/0003_drop_note.sql

    reversible: no, because 0003_drop_note.sql changes the schema in a way that the live version cannot run on
    migrations:
      0003_drop_note.sql  ! the live version cannot run after it
    "#);
    assert_eq!(
        env.xtask(&["deploy", "--dry-run"]).stdout,
        env.xtask(&["plan"]).stdout,
        "deploy carries out what plan shows"
    );
    let document = env.xtask(&["plan", "--json"]).assert_exit(0).json();
    assert_eq!(
        (
            &document["environment"],
            &document["commit"],
            &document["reversible"]
        ),
        (&"local".into(), &env.head().into(), &false.into())
    );
    let (frontend, backend) = (&document["lanes"][0], &document["lanes"][1]);
    assert_eq!(
        (&frontend["modified"], &frontend["deleted"]),
        (
            &json!(["frontend/about.html"]),
            &json!(["frontend/style.css"])
        )
    );
    assert_eq!(
        (&backend["run"], &backend["added"]),
        (&true.into(), &json!(["migrations/0003_drop_note.sql"]))
    );

    assert_snapshot!(env.xtask(&["why", "backend"]).assert_exit(0).normal_stdout(), @r"
    backend runs: migrations/0003_drop_note.sql added

    Its filter selects 6 files.
      added        migrations/0003_drop_note.sql   (rule migrations/**)
    ");
    assert_snapshot!(env.xtask(&["why", "frontend"]).assert_exit(0).normal_stdout(), @r"
    frontend runs: frontend/about.html modified and 1 more

    Its filter selects 4 files.
      modified     frontend/about.html   (rule frontend/**)
      deleted      frontend/style.css   (rule frontend/**)
    ");
    env.xtask(&["why", "database"])
        .assert_exit(2)
        .assert_says("'database' is no lane");
    assert_eq!(cloud.provider_writes(), Vec::<String>::new());
}

#[test]
fn runs_are_remembered() {
    let env = TestEnv::released();
    env.change_frontend("Second");
    env.xtask(&["deploy"]).assert_exit(0);
    env.change_backend("build-fails");
    env.xtask(&["deploy"]).assert_exit(4);

    assert_snapshot!(env.xtask(&["history"]).assert_exit(0).normal_stdout(), @r#"
    Releases to local:
    * RUN  frontend           Second
      RUN  frontend, backend  Open the shop

    Runs on this machine:
      RUN  deploy    exit 4     SERVICE_DEPLOY ended as build_failed: exited with code 101 during the build: error: cannot find function ledger in this scope; what was live before still answers and the frontend was never published
      RUN  deploy    exit 0     frontend of SHORT is live and verified
      RUN  deploy    exit 0     frontend and backend of SHORT are live and verified
    "#);
    let history = env.xtask(&["history", "--json"]).assert_exit(0).json();
    let exits: Vec<i64> = history["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["exit_code"].as_i64().unwrap())
        .collect();
    assert_eq!(exits, [4, 0, 0]);
    let releases = history["releases"].as_array().unwrap();
    assert_eq!(releases.len(), 2);
    assert_eq!(releases[1]["commit"], env.git(&["rev-parse", "HEAD~2"]));

    let run = history["runs"][0]["run"].as_str().unwrap();
    let newest = env.xtask(&["show"]);
    newest
        .assert_exit(0)
        .assert_says(run)
        .assert_says("error: cannot find function ledger in this scope");
    assert_eq!(env.xtask(&["show", run]).stdout, newest.stdout);
    let events = env.xtask(&["show", "--json"]);
    let last: serde_json::Value =
        serde_json::from_str(events.assert_exit(0).stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["exit"], "failed_unchanged", "{last}");
    env.xtask(&["show", "nonsense"])
        .assert_exit(2)
        .assert_says("no run in local begins with 'nonsense'");

    let page = env.xtask(&["report", run]);
    let html = &page.assert_exit(0).stdout;
    assert!(
        html.starts_with("<!doctype html>") && html.contains(run),
        "{html}"
    );
    assert!(
        !html.contains("http://cdn") && !html.contains("<script src"),
        "the page stands alone"
    );
}

#[test]
fn a_deploy_restored_by_hand_is_drift() {
    let env = TestEnv::released();
    let cloud = env.cloud();
    let first = cloud.status()["published_deploy"]
        .as_str()
        .unwrap()
        .to_owned();
    env.change_frontend("Second");
    env.xtask(&["deploy"]).assert_exit(0);
    let second = cloud.status()["published_deploy"]
        .as_str()
        .unwrap()
        .to_owned();

    let restored = cloud.netlify(
        "POST",
        &format!("/sites/{}/deploys/{first}/restore", cloud.text("site_id")),
    );
    assert!(restored.status < 300, "{}", restored.body);
    let status = env.xtask(&["status"]);
    status.assert_exit(6).assert_says(&format!(
        "drift: frontend: {first} is live, {second} is recorded"
    ));
    let document = env.xtask(&["status", "--json"]).assert_exit(6).json();
    assert_eq!(
        (&document["skew"], &document["lanes"][0]["deploy_id"]),
        (&true.into(), &first.into())
    );
    env.xtask(&["plan", "--exit-code"])
        .assert_exit(20)
        .assert_says("drift");
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(cloud.site_commit(), env.head());
    env.xtask(&["status"]).assert_exit(0);
}

#[test]
fn a_command_line_that_is_wrong_is_answered_with_the_way_out() {
    let env = TestEnv::new();
    for (args, hint) in [
        (&["depoly"][..], "deploy"),
        (&["deploy", "--only", "database"], "frontend or backend"),
        (&["deploy", "--resume", "--force"], "cannot be used with"),
        (&["deploy", "--env", "staging"], "staging"),
        (&["deploy", "--prod", "--env", "local"], "--prod"),
        (&["plan", "--config", "missing.toml"], "missing.toml"),
        (
            &["migrate", "--prod", "--database", "x.db"],
            "name two databases",
        ),
    ] {
        let output = env.xtask(args);
        output.assert_exit(2).assert_says(hint);
        assert_eq!(output.stdout, "", "{output}");
    }
    env.write(
        "deploy.toml",
        "project = \"shop\"\n[frontend]\npaths = [\"frontend/**\"]\npublishd = \"frontend\"\n",
    );
    let output = env.xtask(&["deploy", "--json"]);
    let document = output.assert_exit(2).json();
    assert_eq!(
        (&document["outcome"], &document["exit_code"]),
        (&"refused".into(), &2.into())
    );
    for command in ["plan", "status", "history", "rollback", "migrate"] {
        let document = env.xtask(&[command, "--json"]).assert_exit(2).json();
        let text = document.to_string();
        assert!(text.contains("unknown key 'publishd'"), "{command}: {text}");
    }
    assert_snapshot!(env.xtask(&["deploy"]).assert_exit(2).normal_stderr(), @r#"
    error: deploy.toml: 'paths' is missing in [backend]
    hint: write for example paths = ["backend/**"]

    deploy.toml: 'build' is missing in [backend]
    hint: write for example build = "cargo build --release --locked"

    deploy.toml: 'start' is missing in [backend]
    hint: write for example start = "./target/release/backend"

    deploy.toml:4:1: unknown key 'publishd' in [frontend]
      |
    4 | publishd = "frontend"
      | ^^^^^^^^
    hint: did you mean 'publish'?

    4 problems
    "#);
    assert!(env.find_cloud().is_none(), "nothing was contacted");
}
