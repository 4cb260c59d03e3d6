//! `netlify.toml`, `_redirects` and `_headers`: what they say is in effect once a release says so, and what is not is named before.

use crate::env::TestEnv;
use crate::env::output::Output;
use serde_json::{Value, json};

/// Single-page routes, a proxy to the service, a redirect and security headers, as a site has them that the provider built before.
const TOML: &str = r#"[build]
publish = "frontend"
command = "npm run build"

[[redirects]]
from = "/old"
to = "/about.html"

[[redirects]]
from = "/api/*"
to = "__SERVICE_URL__/api/:splat"
status = 200
force = true

[[redirects]]
from = "/*"
to = "/index.html"
status = 200

[[headers]]
for = "/*"
[headers.values]
X-Frame-Options = "DENY"
"#;

/// The fixture with its rules in a `netlify.toml` of the root.
fn moved_over() -> TestEnv {
    let env = TestEnv::new();
    env.remove("frontend/_redirects");
    env.write("netlify.toml", TOML);
    env.commit("Rules as the provider's builds have them");
    env
}

/// The one line that the verification of the public site left.
#[track_caller]
fn verified(output: &Output) -> String {
    let finished = output
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|event| event["event"] == "step_finished" && event["step"] == "frontend_verify")
        .unwrap_or_else(|| panic!("no frontend_verify\n{output}"));
    finished["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_netlify_toml_of_the_root_is_in_effect() {
    let env = moved_over();
    let output = env.xtask(&["deploy", "--log", "ndjson"]);
    output
        .assert_exit(0)
        .assert_says("netlify.toml:3: of [build] this takes no part: command; deploy.toml says how the site is built");
    assert!(
        verified(&output).ends_with("; of 1 proxy rule(s) 1 answered as they should"),
        "{output}"
    );
    let cloud = env.cloud();
    assert_eq!(cloud.header("/about.html", "x-frame-options"), "DENY");
    assert_eq!(cloud.header("/old", "location"), "/about.html");
    assert!(cloud.page("/some/route").body.contains("<h1>Shop</h1>"));
    assert_eq!(cloud.page("/api/health").json()["status"], "healthy");
    assert!(
        !cloud.page("/netlify.toml").body.contains("[[redirects]]"),
        "rules are no page"
    );

    // It is the lane's, wherever it lies: alone it makes it run, and it is no stray file.
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("Nothing to do");
    env.write("netlify.toml", &TOML.replace("/old", "/older"));
    env.commit("Another redirect");
    env.xtask(&["plan", "--strict"])
        .assert_exit(0)
        .assert_says("frontend  runs: netlify.toml modified")
        .assert_says("by rule netlify.toml of the site's rules");
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(cloud.header("/older", "location"), "/about.html");
}

#[test]
fn a_rule_without_the_mark_is_asked_as_well() {
    let env = moved_over();
    // The service's public name, which the cloud knows as well, and its own address.
    let named = TOML.replace("__SERVICE_URL__", "https://shop-backend.onrender.com");
    env.write("netlify.toml", &named);
    env.commit("By its name");
    let output = env.xtask(&["deploy", "--log", "ndjson"]);
    output.assert_exit(0);
    assert!(
        verified(&output).ends_with("; of 1 proxy rule(s) 1 answered as they should"),
        "{output}"
    );
    let cloud = env.cloud();
    assert_eq!(cloud.page("/api/health").json()["status"], "healthy");
    env.write(
        "netlify.toml",
        &TOML.replace("__SERVICE_URL__", cloud.service()),
    );
    env.commit("By its address");
    forget_the_rule(&env, 1);
    env.xtask(&["deploy"])
        .assert_exit(4)
        .assert_says("netlify.toml:10: '/api/* → http")
        .assert_says("does not reach the service");
}

#[test]
fn what_a_build_makes_is_judged_before_it_is_uploaded() {
    let env = TestEnv::released();
    let cloud = env.cloud();
    let text = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    env.write(
        "deploy.toml",
        &text.replace(
            "publish = \"frontend\"\n",
            "publish = \"dist\"\nbuild = \"rm -rf dist && cp -r frontend dist\"\n",
        ),
    );
    env.write(".gitignore", "dist\n");
    env.write(
        "frontend/_redirects",
        "/x undefined 301\n/api/* __SERVICE_URL__/api/:splat 200!\n",
    );
    env.commit("Built");
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("dist/_redirects:1: '/x undefined 301' takes no part");
    env.write(
        "frontend/_redirects",
        "api/* __SERVICE_URL__/api/:splat 200!\n",
    );
    env.commit("Broken");
    cloud.forget_requests();
    env.xtask(&["deploy"])
        .assert_exit(3)
        .assert_says("dist/_redirects:1: 'api/* http");
    assert_eq!(cloud.provider_writes(), Vec::<String>::new());
}

#[test]
fn a_function_that_a_built_rule_leads_to_stops_the_first_release_too() {
    let env = TestEnv::new();
    let text = fs_err::read_to_string(env.root().join("deploy.toml")).unwrap();
    env.write(
        "deploy.toml",
        &text.replace(
            "publish = \"frontend\"\n",
            "publish = \"dist\"\nbuild = \"rm -rf dist && cp -r frontend dist\"\n",
        ),
    );
    env.write(".gitignore", "dist\n");
    env.write(
        "frontend/_redirects",
        "/hook /.netlify/functions/hook 200\n",
    );
    env.commit("Leads to a function");
    let says = "dist/_redirects:1: '/hook → /.netlify/functions/hook' leads to a function";
    env.xtask(&["deploy"]).assert_exit(3).assert_says(says);
    env.xtask(&["deploy", "--anyway", "the hook is retired"])
        .assert_exit(0)
        .assert_says(says);
}

#[test]
fn the_netlify_toml_that_is_nearest_counts_and_a_bundle_carries_it() {
    let env = moved_over();
    env.write("frontend/netlify.toml", &TOML.replace("DENY", "SAMEORIGIN"));
    env.commit("One for the folder");
    env.xtask(&["deploy", "--prepare", "--out", "../bundle"])
        .assert_exit(0);
    env.xtask(&["deploy", "--bundle", "../bundle"])
        .assert_exit(0);
    let cloud = env.cloud();
    assert_eq!(cloud.header("/", "x-frame-options"), "SAMEORIGIN");
    assert_eq!(cloud.page("/api/health").json()["status"], "healthy");

    env.xtask(&["plan", "--force"]).assert_exit(0).assert_says(
        "warning: netlify.toml: takes no part: frontend/netlify.toml is nearer to the published folder and counts",
    );
    env.remove("frontend/netlify.toml");
    env.commit("And without");
    env.xtask(&["deploy"]).assert_exit(0);
    assert_eq!(cloud.header("/", "x-frame-options"), "DENY");
}

#[test]
fn a_byte_order_mark_does_not_switch_the_proxy_off() {
    let env = TestEnv::new();
    env.write(
        "frontend/_redirects",
        "\u{feff}/api/* __SERVICE_URL__/api/:splat 200!\n",
    );
    env.commit("Saved by an editor that marks its files");
    env.xtask(&["deploy"])
        .assert_exit(0)
        .assert_says("frontend/_redirects:1: begins with a byte order mark");
    assert_eq!(env.cloud().page("/api/version").status, 200);
}

#[test]
fn lines_without_effect_are_named_before_anything_is_uploaded() {
    let env = TestEnv::released();
    env.write(
        "frontend/_redirects",
        "/api/* __SERVICE_URL__/api/:splat 200!\nundefined/* https://a.example/:splat\n/whatever undefined 301\n/blog post=:id /news post=:id 302\n/x /y 999\n/alone\n",
    );
    env.write(
        "frontend/_headers",
        "[[headers]]\nfor = \"/*\"\n[headers.values]\nX-Frame-Options = \"DENY\"\n",
    );
    env.commit("Rules that do nothing");
    for command in ["plan", "doctor", "deploy"] {
        let output = env.xtask(&[command]);
        output.assert_exit(0);
        for says in [
            "frontend/_redirects:2: 'undefined/* https://a.example/:splat' takes no part",
            "frontend/_redirects:3: '/whatever undefined 301' takes no part",
            "frontend/_redirects:4: '/blog post=:id /news post=:id 302' takes no part",
            "frontend/_redirects:5: '/x /y 999' takes no part",
            "frontend/_redirects:6: '/alone' takes no part",
            "frontend/_headers:1: this line is TOML, and so are the lines 2, 3, 4",
        ] {
            output.assert_says(says);
        }
    }
}

#[test]
fn a_rule_to_the_service_that_cannot_apply_is_refused() {
    let env = TestEnv::released();
    let cloud = env.cloud();
    for (rules, says) in [
        (
            "api/* __SERVICE_URL__/api/:splat 200!\n",
            "frontend/_redirects:1: 'api/* http",
        ),
        (
            "/* /index.html 200\n/api/* __SERVICE_URL__/api/:splat 200!\n",
            "can never apply: frontend/_redirects:1 comes first",
        ),
    ] {
        env.write("frontend/_redirects", rules);
        env.commit("Broken");
        cloud.forget_requests();
        env.xtask(&["deploy"]).assert_exit(3).assert_says(says);
        assert_eq!(cloud.provider_writes(), Vec::<String>::new());
        env.xtask(&["plan", "--exit-code"])
            .assert_exit(3)
            .assert_says("refused, because\n  frontend/_redirects:");
        env.xtask(&["doctor"]).assert_exit(3).assert_says(says);
    }
}

#[test]
fn functions_stop_the_first_release_and_are_said_later() {
    let env = moved_over();
    fs_err::create_dir_all(env.root().join("netlify/functions")).unwrap();
    env.write("netlify/functions/hook.js", "exports.handler = 1\n");
    env.commit("A function");
    let says = "netlify/functions: functions are not released from here";
    env.xtask(&["deploy"])
        .assert_exit(3)
        .assert_says(says)
        .assert_says("--anyway REASON");
    env.xtask(&["doctor"]).assert_exit(3).assert_says(says);
    env.xtask(&["deploy", "--prepare", "--out", "../bundle"])
        .assert_exit(0);
    env.xtask(&["deploy", "--bundle", "../bundle"])
        .assert_exit(3)
        .assert_says(says);
    env.xtask(&["deploy", "--anyway", "the hook is retired"])
        .assert_exit(0)
        .assert_says(says);
    env.change_frontend("Second");
    env.xtask(&["deploy"]).assert_exit(0).assert_says(says);
}

/// From its `nth` answer on the site has no rule for the service: what comes is the provider's own page.
fn forget_the_rule(env: &TestEnv, nth: u32) {
    env.cloud().add_fault(&json!({
        "door": "site", "path": "/api/health", "nth": nth, "count": 0, "kind": "status", "status": 404, "body": "Not Found"
    }));
}

#[test]
fn a_rule_that_does_not_reach_the_service_is_found_before_it_is_public() {
    let env = TestEnv::released();
    let (cloud, old) = (env.cloud(), env.head());
    env.change_frontend("Second");
    forget_the_rule(&env, 1);
    env.xtask(&["deploy"])
        .assert_exit(4)
        .assert_says("frontend/_redirects:2: '/api/* → http")
        .assert_says("does not reach the service: /api/health at ")
        .assert_says("gives status 404, the service itself status 200");
    assert_eq!(cloud.site_commit(), old);
}

#[test]
fn a_rule_that_stops_reaching_it_once_public_is_taken_back() {
    let env = TestEnv::released();
    let (cloud, old) = (env.cloud(), env.head());
    env.change_frontend("Second");
    forget_the_rule(&env, 2);
    let output = env.xtask(&["deploy"]);
    output
        .assert_exit(5)
        .assert_says("does not reach the service: /api/health at ")
        .assert_silent_about("live and verified");
    cloud.clear_faults();
    assert_eq!(cloud.site_commit(), old);

    env.change_backend("ok ");
    forget_the_rule(&env, 2);
    env.xtask(&["deploy"])
        .assert_exit(6)
        .assert_says("does not reach the service");
    assert_eq!(cloud.site_commit(), old);
}

#[test]
fn what_other_addresses_answer_is_said_and_nothing_more() {
    let env = TestEnv::new();
    env.write(
        "frontend/_redirects",
        "/api/* __SERVICE_URL__/api/:splat 200!\n/maps/* https://maps.example/:splat 200\n/user/:id https://users.example/:id 200\n/api2/* __SERVICE_URL__/nothing/:splat 200\n",
    );
    env.commit("Other addresses");
    let output = env.xtask(&["deploy", "--log", "ndjson"]);
    output
        .assert_exit(0)
        .assert_says("frontend/_redirects:2: '/maps/* → https://maps.example/:splat' brings status 502 at /maps/")
        .assert_says("frontend/_redirects:3: '/user/:id → https://users.example/:id' was not asked: it has placeholders, for which no value is known")
        .assert_says("frontend/_redirects:4: whether '/api2/* → ");
    assert!(
        verified(&output)
            .ends_with("; of 4 proxy rule(s) 1 answered as they should, 2 not, 1 not asked"),
        "{output}"
    );
}
