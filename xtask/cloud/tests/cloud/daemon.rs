//! The background cloud: started, found, started again, stopped.
#![expect(
    clippy::disallowed_methods,
    reason = "a test looks at files as anyone else would"
)]

use std::ffi::OsString;
use std::path::Path;

use cloud::daemon;

use crate::live::{Client, Repo, runs, until};
use crate::roles;

fn command(state: &Path) -> Vec<OsString> {
    let role = format!(
        "CLOUD_TEST_DIR='{}'; export CLOUD_TEST_DIR; {}",
        state.display(),
        roles::command("background")
    );
    ["sh".into(), "-c".into(), role.into()].into()
}

/// Stops the cloud of a folder also when the test fails.
struct Stopped(tempfile::TempDir);

impl Drop for Stopped {
    fn drop(&mut self) {
        // What does not end here was reported by the test itself.
        daemon::stop(self.0.path()).unwrap_or_default();
    }
}

impl Stopped {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

#[test]
fn it_is_started_once_found_and_stopped() {
    let repo = Repo::new();
    let state = Stopped(tempfile::tempdir().unwrap());
    let commit = repo.commit(&[("app.sh", &roles::command("service"))]);
    assert_eq!(daemon::find(state.path()).unwrap(), None);
    let running = daemon::start(&command(state.path()), state.path(), &repo.settings()).unwrap();
    assert_eq!(daemon::find(state.path()).unwrap().as_ref(), Some(&running));
    let mode = |name: &str| {
        std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(state.path().join(name))
                .unwrap()
                .permissions(),
        ) & 0o777
    };
    assert_eq!(
        ["secrets.json", "daemon.json", "cloud.log"].map(mode),
        [0o600; 3]
    );
    let client = Client::new(
        &running.api_url,
        &running.netlify_token,
        &running.render_key,
    );
    assert_eq!(
        client.deploy(&running.service_id, &commit)["status"],
        "live"
    );
    // Starting again only brings the new settings.
    let mut settings = repo.settings();
    settings.service.name = "renamed".to_owned();
    let same = daemon::start(&command(state.path()), state.path(), &settings).unwrap();
    assert_eq!(same.pid, running.pid);
    let (_, service) = client.render(
        "GET",
        &format!("/services/{}", running.service_id),
        &serde_json::Value::Null,
    );
    assert_eq!(service["name"], "renamed");
    assert!(daemon::stop(state.path()).unwrap());
    assert_eq!(daemon::find(state.path()).unwrap(), None);
    assert!(
        !daemon::stop(state.path()).unwrap(),
        "there is none any more"
    );
    assert_eq!(
        std::fs::read_to_string(state.path().join("processes.json")).unwrap(),
        "[]"
    );
    let log = std::fs::read_to_string(state.path().join("cloud.log")).unwrap();
    let secrets = [
        &running.netlify_token,
        &running.render_key,
        &running.admin_token,
        &running.control_token,
    ];
    assert!(
        secrets.iter().all(|secret| !log.contains(secret.as_str())),
        "the log holds no token"
    );
}

#[test]
fn a_cloud_that_cannot_start_says_why() {
    let repo = Repo::new();
    let state = Stopped(tempfile::tempdir().unwrap());
    let broken = [
        "sh".into(),
        "-c".into(),
        "echo the reason >&2; exit 4".into(),
    ];
    let error = daemon::start(&broken, state.path(), &repo.settings())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the reason") && error.contains("exit status: 4"),
        "{error}"
    );
}

#[test]
fn after_a_crash_its_processes_are_ended_before_new_ones_start() {
    let repo = Repo::new();
    let state = Stopped(tempfile::tempdir().unwrap());
    let commit = repo.commit(&[("app.sh", &roles::command("service"))]);
    let running = daemon::start(&command(state.path()), state.path(), &repo.settings()).unwrap();
    let client = Client::new(
        &running.api_url,
        &running.netlify_token,
        &running.render_key,
    );
    client.deploy(&running.service_id, &commit);
    let ask = |client: &Client| client.call("GET", &running.service_url, "", b"");
    let orphan = ask(&client).1["pid"].as_i64().unwrap();
    // What has just been answered is on disk a moment later.
    until(|| {
        let saved = std::fs::read_to_string(state.path().join("state.json")).unwrap_or_default();
        saved.contains("\"status\":\"live\"").then_some(())
    });
    let pid = rustix::process::Pid::from_raw(running.pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    until(|| daemon::find(state.path()).unwrap().is_none().then_some(()));
    assert!(runs(&orphan.to_string()), "it outlives the cloud's crash");
    let again = daemon::start(&command(state.path()), state.path(), &repo.settings()).unwrap();
    assert_eq!(
        (
            again.api_url == running.api_url,
            again.render_key == running.render_key
        ),
        (true, true)
    );
    assert!(!runs(&orphan.to_string()), "but not the next one's start");
    let app = until(|| Some(ask(&client)).filter(|(status, _)| *status == 200)).1;
    assert_eq!(
        (&app["version"], app["starts"].as_i64()),
        (&serde_json::json!(commit), Some(2))
    );
    assert!(daemon::stop(state.path()).unwrap());
}
