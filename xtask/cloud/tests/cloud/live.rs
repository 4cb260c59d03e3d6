//! Over loopback: a repository, real builds, real processes, a restart of the cloud.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests wait for real processes"
)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cloud::tcp::Shell;
use cloud::{Disk, Settings};
use serde_json::{Value, json};

use crate::roles;
use crate::sim::sha1;

/// A repository whose backend is `app.sh`.
pub(crate) struct Repo(pub(crate) tempfile::TempDir);

impl Repo {
    pub(crate) fn new() -> Self {
        let repo = Self(tempfile::tempdir().unwrap());
        repo.git(&["init", "-q", "-b", "main"]);
        std::fs::write(repo.0.path().join(".gitignore"), "cache\n").unwrap();
        std::fs::create_dir(repo.0.path().join("cache")).unwrap();
        std::fs::write(repo.0.path().join("cache/log"), "seed\n").unwrap();
        repo
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@localhost",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(args)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, content) in files {
            std::fs::write(self.0.path().join(path), content).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "a change\n\nand why"]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::new("live", self.0.path());
        let service = &mut settings.service;
        service.build_command = "mkdir -p cache && echo built >> cache/log && cp app.sh out.sh && echo build of $RENDER_GIT_COMMIT".to_owned();
        service.start_command = "sh out.sh".to_owned();
        service.artifacts = vec!["out.sh".to_owned()];
        service.cache = vec!["cache".to_owned()];
        service.build_filter = vec!["app.sh".to_owned()];
        service.health_check_path = "/api/health".to_owned();
        service.disk = Some(Disk {
            name: "data".to_owned(),
            mount_path: "/var/data".to_owned(),
        });
        service.env = [("DATA_FILE".to_owned(), "/var/data/starts".to_owned())].into();
        service.admin_token_env = "ADMIN".to_owned();
        service.max_shutdown_delay_s = 2;
        settings.timings.restart_backoff_ms = 10;
        settings
    }
}

pub(crate) struct Client {
    agent: ureq::Agent,
    pub(crate) api: String,
    pub(crate) netlify: String,
    pub(crate) render: String,
}

impl Client {
    pub(crate) fn new(api: &str, netlify: &str, render: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)));
        Self {
            agent: config.build().into(),
            api: api.to_owned(),
            netlify: netlify.to_owned(),
            render: render.to_owned(),
        }
    }

    fn of(shell: &Shell) -> Self {
        Self::new(
            &shell.endpoints().api_url,
            &shell.secrets().netlify_token,
            &shell.secrets().render_key,
        )
    }

    pub(crate) fn call(&self, method: &str, url: &str, token: &str, body: &[u8]) -> (u16, Value) {
        let request = http::Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", format!("Bearer {token}"));
        let mut answer = self.agent.run(request.body(body).unwrap()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (
            answer.status().as_u16(),
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    pub(crate) fn render(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.call(
            method,
            &format!("{}/v1{path}", self.api),
            &self.render,
            body.as_bytes(),
        )
    }

    fn netlify(&self, method: &str, path: &str, body: &[u8]) -> Value {
        let (status, answer) = self.call(
            method,
            &format!("{}/api/v1{path}", self.api),
            &self.netlify,
            body,
        );
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// Waits for a deploy's end.
    fn end_of(&self, service: &str, deploy: &Value) -> Value {
        let path = format!(
            "/services/{service}/deploys/{}",
            deploy["id"].as_str().unwrap()
        );
        until(|| {
            let (_, deploy) = self.render("GET", &path, &Value::Null);
            (!deploy["finishedAt"].is_null()).then_some(deploy)
        })
    }

    pub(crate) fn deploy(&self, service: &str, commit: &str) -> Value {
        let (status, deploy) = self.render(
            "POST",
            &format!("/services/{service}/deploys"),
            &json!({ "commitId": commit }),
        );
        assert_eq!(status, 201, "{deploy}");
        self.end_of(service, &deploy)
    }
}

/// Asks again until there is an answer; the limit only keeps a broken test from hanging.
pub(crate) fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "nothing happened for a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn log_text(client: &Client, shell: &Shell) -> String {
    let (_, lines) = client.call(
        "GET",
        &format!("{}/_cloud/logs", client.api),
        &shell.secrets().control_token,
        b"",
    );
    lines
        .as_array()
        .unwrap()
        .iter()
        .map(|l| format!("{}\n", l["text"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_service_is_built_started_replaced_rolled_back_and_survives_restarts() {
    let repo = Repo::new();
    let state = tempfile::tempdir().unwrap();
    let good = roles::command("service");
    let first = repo.commit(&[("app.sh", &good), ("gone.txt", "x")]);
    let shell = Shell::start(state.path(), repo.settings()).unwrap();
    let (client, service) = (Client::of(&shell), shell.service_id());
    let url = format!("{}/api/health", shell.endpoints().service_url);
    let ask = |client: &Client| client.call("GET", &url, "", b"");

    let live = client.deploy(&service, &first);
    assert_eq!(
        (&live["status"], &live["commit"]["message"]),
        (&json!("live"), &json!("a change\n\nand why")),
        "{}",
        log_text(&client, &shell)
    );
    let (_, app) = ask(&client);
    let data = state.path().join("disk/data/starts");
    assert_eq!(
        (&app["version"], &app["starts"], &app["data"]),
        (&json!(first), &json!(1), &json!(data))
    );
    assert_eq!(
        (&app["admin"], &app["leaked"]),
        (&json!(64), &json!("")),
        "its environment is its own"
    );

    // A commit that only crashes: with a disk nothing serves any more, and the reason is in the events.
    std::fs::remove_file(repo.0.path().join("gone.txt")).unwrap();
    let second = repo.commit(&[("app.sh", "echo boom >&2\nexit 3\n")]);
    let failed = client.deploy(&service, &second);
    assert_eq!(failed["status"], json!("update_failed"));
    let (_, events) = client.render(
        "GET",
        &format!("/services/{service}/events?type=deploy_ended&limit=1"),
        &Value::Null,
    );
    assert_eq!(
        events[0]["event"]["details"]["reason"]["failure"]["nonZeroExit"],
        json!(3)
    );
    assert!(log_text(&client, &shell).contains("boom\n"));
    assert_eq!(ask(&client).0, 503);
    assert!(
        !state.path().join("source/gone.txt").exists(),
        "a file that is gone from the tree is gone from the source folder"
    );

    let (status, back) = client.render(
        "POST",
        &format!("/services/{service}/rollback"),
        &json!({ "deployId": live["id"] }),
    );
    assert_eq!(
        (status, &client.end_of(&service, &back)["status"]),
        (201, &json!("live"))
    );
    assert_eq!(ask(&client).1["version"], json!(first));

    // Only a file outside the build filter differs: the earlier build is used again.
    let third = repo.commit(&[("app.sh", &good), ("README", "more")]);
    assert_eq!(client.deploy(&service, &third)["status"], json!("live"));
    assert!(log_text(&client, &shell).contains("reusing build"));
    let builds = std::fs::read_to_string(state.path().join("source/cache/log")).unwrap();
    assert_eq!(
        builds.lines().collect::<Vec<_>>(),
        ["seed", "built", "built"],
        "the cache folder begins as a copy of the working copy's, and two of three commits were built"
    );
    let own = std::fs::read_to_string(repo.0.path().join("cache/log")).unwrap();
    assert_eq!(
        own, "seed\n",
        "builds leave the working copy's folder alone"
    );
    assert_eq!(ask(&client).1["version"], json!(third));

    // Killed from outside it comes back by itself.
    let victim = ask(&client).1;
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(victim["pid"].as_i64().unwrap() as i32).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    let next =
        until(|| Some(ask(&client).1).filter(|app| app.is_object() && app["pid"] != victim["pid"]));
    assert_ne!(next["instance"], victim["instance"]);

    // A new cloud in the same folder has the same addresses and tokens, and serves the same commit from the same build.
    let (endpoints, secrets) = (shell.endpoints(), shell.secrets());
    shell.stop().unwrap();
    assert_eq!(
        std::fs::read_to_string(state.path().join("processes.json")).unwrap(),
        "[]",
        "nothing is left running"
    );
    let shell = Shell::start(state.path(), repo.settings()).unwrap();
    assert_eq!(
        (shell.endpoints(), shell.service_id()),
        (endpoints, service)
    );
    assert!(shell.secrets() == secrets);
    let again = until(|| Some(ask(&client)).filter(|(status, _)| *status == 200)).1;
    assert_eq!(again["version"], json!(third));
    assert_eq!(
        again["starts"].as_i64(),
        next["starts"].as_i64().map(|n| n + 1),
        "the disk is the same"
    );
    shell.stop().unwrap();
}

#[test]
fn a_site_is_uploaded_published_and_proxies_to_the_service() {
    let repo = Repo::new();
    let state = tempfile::tempdir().unwrap();
    let commit = repo.commit(&[("app.sh", &roles::command("service"))]);
    let shell = Shell::start(state.path(), repo.settings()).unwrap();
    let client = Client::of(&shell);
    let site = shell.site_id();
    let rules = format!("/api/* {}/api/:splat 200!\n", shell.endpoints().service_url);
    let files = [
        ("index.html", "<h1>hi</h1>"),
        ("_redirects", rules.as_str()),
    ];
    let id = client.netlify("POST", &format!("/sites/{site}/deploys"), b"")["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let digests: serde_json::Map<String, Value> = files
        .iter()
        .map(|(p, c)| ((*p).to_owned(), sha1(c).into()))
        .collect();
    let list = json!({ "files": digests }).to_string();
    let required = client.netlify(
        "PUT",
        &format!("/sites/{site}/deploys/{id}"),
        list.as_bytes(),
    )["required"]
        .clone();
    assert_eq!(required.as_array().unwrap().len(), 2);
    for (path, content) in files {
        client.netlify(
            "PUT",
            &format!("/deploys/{id}/files/{path}"),
            content.as_bytes(),
        );
    }
    until(|| {
        (client.netlify("GET", &format!("/deploys/{id}"), b"")["state"] == "ready").then_some(())
    });
    let home = client.call("GET", &shell.endpoints().site_url, "", b"");
    assert_eq!(home, (200, json!("<h1>hi</h1>")));
    client.deploy(&shell.service_id(), &commit);
    let (status, app) = client.call(
        "GET",
        &format!("{}/api/x?y=1", shell.endpoints().site_url),
        "",
        b"",
    );
    assert_eq!((status, &app["version"]), (200, &json!(commit)));
    let api = format!("{}/api/x", shell.endpoints().site_url);
    for (method, body) in [
        ("POST", ""),
        ("POST", "{}"),
        ("PUT", "x"),
        ("DELETE", ""),
        ("PATCH", "{}"),
        ("OPTIONS", ""),
    ] {
        assert_eq!(
            client.call(method, &api, "", body.as_bytes()).0,
            200,
            "{method} {body:?}"
        );
    }
    shell.stop().unwrap();
}

#[test]
fn a_failing_build_and_a_missing_commit_are_reported_with_their_output() {
    let repo = Repo::new();
    let state = tempfile::tempdir().unwrap();
    let commit = repo.commit(&[("app.sh", "true")]);
    let mut settings = repo.settings();
    settings.service.build_command =
        "echo looking at it; echo 'no such thing' >&2; exit 101".to_owned();
    let shell = Shell::start(state.path(), settings).unwrap();
    let (client, service) = (Client::of(&shell), shell.service_id());
    assert_eq!(
        client.deploy(&service, &commit)["status"],
        json!("build_failed")
    );
    let (_, events) = client.render(
        "GET",
        &format!("/services/{service}/events?type=build_ended"),
        &Value::Null,
    );
    assert_eq!(
        events[0]["event"]["details"]["reason"]["failure"]["nonZeroExit"],
        json!(101)
    );
    assert_eq!(
        client.deploy(&service, &"ab".repeat(20))["status"],
        json!("build_failed")
    );
    let text = log_text(&client, &shell);
    assert!(
        text.contains("looking at it\n") && text.contains("no such thing\n"),
        "{text}"
    );
    assert!(text.contains(&"ab".repeat(20)), "{text}");
    shell.stop().unwrap();
}

#[test]
fn a_cancelled_build_ends_with_everything_it_started() {
    let repo = Repo::new();
    let state = tempfile::tempdir().unwrap();
    let commit = repo.commit(&[("app.sh", "true")]);
    let mut settings = repo.settings();
    let marker = state.path().join("began");
    settings.service.build_command = format!(
        "sleep 600 & echo $! > '{}.part'; mv '{0}.part' '{0}'; sleep 600",
        marker.display()
    );
    let shell = Shell::start(state.path(), settings).unwrap();
    let (client, service) = (Client::of(&shell), shell.service_id());
    let (_, deploy) = client.render(
        "POST",
        &format!("/services/{service}/deploys"),
        &json!({ "commitId": commit }),
    );
    let grandchild = until(|| std::fs::read_to_string(&marker).ok());
    let path = format!(
        "/services/{service}/deploys/{}/cancel",
        deploy["id"].as_str().unwrap()
    );
    assert_eq!(
        client.render("POST", &path, &Value::Null).1["status"],
        json!("canceled")
    );
    until(|| (!runs(grandchild.trim())).then_some(()));
    shell.stop().unwrap();
}

/// Is there such a process, other than one that waits to be reaped?
pub(crate) fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|text| {
        !text
            .rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
    })
}

#[test]
fn scripted_transport_faults_reach_a_real_client() {
    let repo = Repo::new();
    let state = tempfile::tempdir().unwrap();
    let shell = Shell::start(state.path(), repo.settings()).unwrap();
    let client = Client::of(&shell);
    let control = shell.secrets().control_token;
    let faults = json!([
        { "method": "GET", "path": "/v1/users", "kind": "reset_before" },
        { "method": "GET", "path": "/v1/users", "nth": 2, "kind": "truncate_at", "at": 5 },
        { "method": "GET", "path": "/v1/users", "nth": 3, "kind": "status", "status": 503, "headers": { "retry-after": "7" }, "body": "{}" },
        { "method": "GET", "path": "/v1/users", "nth": 4, "kind": "reset_after" },
        { "method": "GET", "path": "/v1/users", "nth": 5, "kind": "pad", "bytes": 300_000 },
    ]);
    let url = format!("{}/_cloud/faults", client.api);
    assert_eq!(
        client
            .call("POST", &url, "wrong", faults.to_string().as_bytes())
            .0,
        401
    );
    assert_eq!(
        client
            .call("POST", &url, &control, faults.to_string().as_bytes())
            .0,
        201
    );
    let get = || {
        client
            .agent
            .get(format!("{}/v1/users", client.api))
            .header("authorization", format!("Bearer {}", client.render))
            .call()
    };
    let reset = get().unwrap_err();
    assert!(
        matches!(&reset, ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionReset),
        "{reset:?}"
    );
    assert!(
        get().unwrap().body_mut().read_to_string().is_err(),
        "the body breaks off"
    );
    assert_eq!(get().unwrap().headers()["retry-after"], "7");
    assert!(get().is_err());
    let long = get().unwrap().body_mut().read_to_string().unwrap();
    assert_eq!(
        (long.len(), long.trim_end().ends_with('}')),
        (300_000, true)
    );
    assert_eq!(get().unwrap().status().as_u16(), 200);
    let (_, requests) = client.call(
        "GET",
        &format!("{}/_cloud/requests", client.api),
        &control,
        b"",
    );
    assert_eq!(
        requests
            .as_array()
            .unwrap()
            .iter()
            .filter(|r| r["faulted"] == true)
            .count(),
        5
    );
    let slack = format!("{}{}", client.api, shell.secrets().slack_path);
    assert_eq!(
        client.call("POST", &slack, "", b"{\"text\":\"hi\"}"),
        (200, json!("ok"))
    );
    assert_eq!(
        client
            .call(
                "POST",
                &format!("{}/slack/services/T/B/x", client.api),
                "",
                b"{\"text\":\"hi\"}"
            )
            .0,
        404
    );
    let (_, messages) = client.call(
        "GET",
        &format!("{}/_cloud/slack", client.api),
        &control,
        b"",
    );
    assert_eq!(messages[0]["payload"]["text"], json!("hi"));
    shell.stop().unwrap();
}

#[test]
fn without_a_disk_no_request_is_lost_while_processes_change() {
    let repo = Repo::new();
    let state = tempfile::tempdir().unwrap();
    let good = roles::command("service");
    let mut settings = repo.settings();
    settings.service.disk = None;
    let starts = state.path().join("starts").display().to_string();
    settings.service.env.insert("DATA_FILE".to_owned(), starts);
    let shell = Shell::start(state.path(), settings).unwrap();
    let (client, service) = (Client::of(&shell), shell.service_id());
    let url = shell.endpoints().service_url;
    client.deploy(&service, &repo.commit(&[("app.sh", &good)]));
    let next = repo.commit(&[("app.sh", &format!("# next\n{good}"))]);
    let (_, deploy) = client.render(
        "POST",
        &format!("/services/{service}/deploys"),
        &json!({ "commitId": next }),
    );
    let mut versions = Vec::new();
    until(|| {
        let (status, app) = client.call("GET", &url, "", b"");
        assert_eq!(status, 200, "after {} good answers: {app}", versions.len());
        versions.push(app["version"].clone());
        (versions.last() == Some(&json!(next))).then_some(())
    });
    assert_eq!(client.end_of(&service, &deploy)["status"], json!("live"));
    assert_ne!(
        versions[0],
        json!(next),
        "the old one answered while the new one was built"
    );
    shell.stop().unwrap();
}

#[test]
fn a_failing_pre_deploy_command_leaves_the_old_process_alone() {
    let repo = Repo::new();
    let state = tempfile::tempdir().unwrap();
    let commit = repo.commit(&[("app.sh", &roles::command("service"))]);
    let mut settings = repo.settings();
    let shell = Shell::start(state.path(), settings.clone()).unwrap();
    let (client, service) = (Client::of(&shell), shell.service_id());
    assert_eq!(client.deploy(&service, &commit)["status"], json!("live"));
    settings.service.pre_deploy_command = "echo \"data is at $DATA_FILE\"; exit 9".to_owned();
    let control = shell.secrets().control_token;
    let body = serde_json::to_vec(&settings).unwrap();
    let url = format!("{}/_cloud/settings", client.api);
    assert_eq!(client.call("POST", &url, &control, &body).0, 200);
    assert_eq!(
        client.deploy(&service, &commit)["status"],
        json!("pre_deploy_failed")
    );
    assert!(
        log_text(&client, &shell).contains("data is at /var/data/starts\n"),
        "the disk is not there"
    );
    assert_eq!(
        client
            .call("GET", &shell.endpoints().service_url, "", b"")
            .0,
        200
    );
    shell.stop().unwrap();
}
