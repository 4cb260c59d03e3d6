//! What is live is asked who it is, by the real program: a dead service is never "nothing to do", and a stranger is never taken for
//! ours.

use crate::env::TestEnv;
use crate::env::origin::Origin;
use insta::assert_snapshot;
use serde_json::json;

/// So many looks at an ill service are believed.
const LOOKS: u32 = 3;

fn service_is_ill(env: &TestEnv, count: u32) {
    env.cloud().add_fault(&json!({
        "door": "service", "path": "/api/health", "count": count, "kind": "status", "status": 503, "body": "down",
    }));
}

#[test]
fn a_dead_service_is_something_to_do() {
    let env = TestEnv::released();
    service_is_ill(&env, LOOKS);
    let plan = env.xtask(&["plan", "--exit-code"]);
    plan.assert_exit(20)
        .assert_says("backend   runs: not as recorded: the health check answers 503: down");
    service_is_ill(&env, LOOKS);
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Released");
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
    service_is_ill(&env, LOOKS);
    env.xtask(&["rollback", "--to", "live"])
        .assert_exit(0)
        .assert_says("is live again");
    env.xtask(&["rollback", "--to", "live"])
        .assert_exit(0)
        .assert_says("both halves answer as recorded");
    env.change_frontend("Second");
    service_is_ill(&env, LOOKS);
    let alone = env.xtask(&["deploy", "--only", "frontend"]);
    assert_snapshot!(alone.assert_exit(8).normal_stdout(), @r#"
    ✗ Unhealthy: local needs a person now
      the backend does not answer as recorded, and this release would leave it so: the health check answers 503: down (hint: release it too, without --only; --anyway REASON releases all the same, and is recorded)

    failed step: preflight (after TIME)

    next: cargo xtask deploy
          cargo xtask rollback --to live
          cargo xtask status
    "#);
}

#[test]
fn another_page_at_the_services_address_is_found_before_anything_is_created() {
    let env = TestEnv::released();
    env.change_backend("ok ");
    let cloud = env.cloud();
    cloud.forget_requests();
    // The site answers there, with a page of its own or with none.
    let wrong = [("SERVICE_URL", cloud.site())];
    cloud.add_fault(&json!({
        "door": "site", "path": "/api/**", "count": 0, "kind": "status", "status": 200, "body": "<!doctype html><title>Another page</title>",
    }));
    let output = env.xtask_with(&["deploy"], &wrong);
    output
        .assert_exit(3)
        .assert_says("a page for people answers at")
        .assert_says("SERVICE_URL");
    cloud.clear_faults();
    cloud.add_fault(&json!({
        "door": "site", "path": "/api/**", "count": 0, "kind": "status", "status": 404, "body": "no",
    }));
    env.xtask_with(&["deploy"], &wrong)
        .assert_exit(3)
        .assert_says("answers 404");
    assert_eq!(cloud.provider_writes(), Vec::<String>::new());
}

#[test]
fn a_service_that_names_no_commit_is_released_at_the_providers_word() {
    let env = TestEnv::new();
    let config = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    // The whole health answer of many services: the version of a package, and nothing else.
    env.write("service.py", SERVICE);
    let config = config
        .replace("build = \"sh backend/build.sh\"", "build = \"true\"")
        .replace(
            "start = \"sh backend/start.sh\"",
            "start = \"exec python3 service.py\"",
        )
        .replace("migrations = \"migrations\"\n", "health = \"/healthz\"\n")
        .replace("\"migrations/**\"", "\"service.py\"");
    env.write("deploy.toml", &config);
    env.commit("Another service");
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("answers name no commit");
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
    let plan = env.xtask(&["plan", "--force"]);
    plan.assert_exit(0)
        .assert_says("proof: the provider's word that this deploy of this commit is live");
    // It tells its commit from now on, in a place that deploy.toml names; the release before is still judged by its own.
    env.write(
        "service.py",
        &SERVICE.replace("\"x\": 1", "\"commit\": os.environ[\"RENDER_GIT_COMMIT\"]"),
    );
    let config = config.replace(
        "health = \"/healthz\"\n",
        "health = \"/healthz\"\nidentity = \"commit\"\nversion = \"/healthz\"\ncommit_field = \"build.commit\"\n",
    );
    env.write("deploy.toml", &config);
    env.commit("It tells its commit");
    env.xtask(&["deploy"]).assert_exit(0);
    env.xtask(&["plan", "--force"])
        .assert_exit(0)
        .assert_says("proof: the commit in /healthz (field 'build.commit')");
    env.xtask(&["rollback"]).assert_exit(0);
    env.xtask(&["status"]).assert_exit(0);
    // The next one moves its health; the one before knows nothing of the new path.
    let moved = SERVICE.replace("/healthz", "/up");
    env.write("service.py", &moved);
    let config = config
        .replace(
            "identity = \"commit\"\nversion = \"/healthz\"\ncommit_field = \"build.commit\"\n",
            "",
        )
        .replace("/healthz", "/up");
    env.write("deploy.toml", &config);
    env.commit("The health path moves");
    env.xtask(&["deploy"]).assert_exit(0);
    env.xtask(&["rollback"]).assert_exit(0);
    env.xtask(&["status"]).assert_exit(0);
}

const SERVICE: &str = r#"import http.server, json, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ok = self.path.split("?")[0] == "/healthz"
        body = json.dumps({"status": "ok", "version": "1.0.0", "build": {"x": 1}}) if ok else "<!doctype html><title>Shop</title>"
        self.send_response(200)
        self.send_header("content-type", "application/json" if ok else "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
"#;

#[test]
fn a_clone_of_one_commit_asks_the_remote_for_its_branches() {
    let origin = Origin::released();
    origin.env.change_frontend("Tagged");
    origin.env.git(&["tag", "v2"]);
    origin.env.git(&["push", "--quiet", "origin", "main", "v2"]);
    // As a CI job has it that was started by a tag: one commit, no branch.
    let job = origin.clone("job", &["--depth", "1", "--branch", "v2"]);
    job.xtask(&["plan", "--prod", "--exit-code"])
        .assert_exit(20);
    job.xtask(&["deploy", "--prod"]).assert_exit(0);
}

#[test]
fn plan_shows_what_deploy_would_refuse() {
    let origin = Origin::released();
    let env = &origin.env;
    env.change_frontend("Not pushed");
    let plan = env.xtask(&["plan", "--prod", "--exit-code"]);
    plan.assert_exit(3)
        .assert_says("a deploy would be refused of")
        .assert_says("no branch of a remote holds commit");
    let document = env
        .xtask(&["plan", "--prod", "--json"])
        .assert_exit(0)
        .json();
    let refusals = document["refusals"].as_array().unwrap();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    env.xtask(&["deploy", "--prod"]).assert_exit(3).assert_says(
        refusals[0]
            .as_str()
            .unwrap()
            .split(" (hint")
            .next()
            .unwrap(),
    );
    env.write("frontend/about.html", "not committed");
    let plan = env.xtask(&["plan", "--prod"]);
    plan.assert_exit(0)
        .assert_says("1 uncommitted change(s): frontend/about.html");
    env.git(&["checkout", "--quiet", "frontend"]);
    origin.push();
    env.xtask(&["lock", "--prod", "take", "--reason", "a look"])
        .assert_exit(0);
    env.xtask(&["plan", "--prod", "--exit-code"])
        .assert_exit(3)
        .assert_says("a look");
    env.xtask(&["lock", "--prod", "release"]).assert_exit(0);
    env.xtask(&["plan", "--prod", "--exit-code"])
        .assert_exit(20);
}
