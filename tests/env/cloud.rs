//! The running local cloud as a test sees it: its addresses, its record of requests, its faults, and the sites it serves.

use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Where a cloud answers. The file it comes from is the cloud's own, so it also holds its credentials.
pub(crate) struct Cloud {
    document: Value,
    agent: ureq::Agent,
}

/// An HTTP answer.
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// The body as text.
    pub(crate) body: String,
    /// `content-type`, empty when there is none.
    pub(crate) content_type: String,
}

impl Answer {
    /// The body as a JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| {
            panic!("no JSON document: {error}: {} {}", self.status, self.body)
        })
    }
}

impl Cloud {
    pub(super) fn find(state_dir: &Path) -> Option<Self> {
        let bytes = fs_err::read(state_dir.join("cloud/daemon.json")).ok()?;
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(30)));
        Some(Self {
            document: serde_json::from_slice(&bytes).unwrap(),
            agent: config.build().into(),
        })
    }

    /// A text of the cloud's description.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.document[name]
            .as_str()
            .unwrap_or_else(|| panic!("the cloud does not say its {name}"))
    }

    /// The public site's address.
    pub(crate) fn site(&self) -> &str {
        self.text("site_url")
    }

    /// The service's address.
    pub(crate) fn service(&self) -> &str {
        self.text("service_url")
    }

    /// Every credential that the cloud has made.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let slack = self.text("slack_url");
        let mut secrets: Vec<String> = [
            "netlify_token",
            "render_key",
            "admin_token",
            "control_token",
        ]
        .map(|name| self.text(name).to_owned())
        .into();
        secrets.extend(slack.rsplit('/').next().map(str::to_owned));
        secrets
    }

    /// GET without any credential.
    pub(crate) fn get(&self, url: &str) -> Answer {
        answer(self.agent.get(url).call().unwrap())
    }

    /// GET of the public site.
    pub(crate) fn page(&self, path: &str) -> Answer {
        self.get(&format!("{}{path}", self.site()))
    }

    /// A header of the public site's answer, empty when it has none; no redirect is followed.
    pub(crate) fn header(&self, path: &str, name: &str) -> String {
        let request = self.agent.get(format!("{}{path}", self.site()));
        let config = request
            .config()
            .max_redirects(0)
            .max_redirects_will_error(false);
        let response = config.build().call().unwrap();
        let value = response.headers().get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    }

    /// The commit that the public site says it is.
    pub(crate) fn site_commit(&self) -> String {
        self.page("/.well-known/tandem.json").json()["commit"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The commit that the service says it is.
    pub(crate) fn service_commit(&self) -> String {
        self.get(&format!("{}/api/version", self.service())).json()["commit"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A call of Netlify's API.
    pub(crate) fn netlify(&self, method: &str, path: &str) -> Answer {
        self.call(method, &format!("/api/v1{path}"), "netlify_token", None)
    }

    /// Every deploy that the site has, newest first.
    pub(crate) fn site_deploys(&self) -> Vec<Value> {
        list(&self.netlify(
            "GET",
            &format!("/sites/{}/deploys?per_page=100", self.text("site_id")),
        ))
    }

    /// Every deploy that the service has, newest first.
    pub(crate) fn service_deploys(&self) -> Vec<Value> {
        let answer = self.call(
            "GET",
            &format!("/v1/services/{}/deploys?limit=100", self.text("service_id")),
            "render_key",
            None,
        );
        list(&answer)
            .into_iter()
            .map(|entry| entry["deploy"].clone())
            .collect()
    }

    /// What the cloud says about itself.
    pub(crate) fn status(&self) -> Value {
        self.control("GET", "status", None)
    }

    /// Forgets the requests so far.
    pub(crate) fn forget_requests(&self) {
        self.control("DELETE", "requests", None);
    }

    /// The calls that changed something at either provider since the record was cleared, as `METHOD path`.
    pub(crate) fn provider_writes(&self) -> Vec<String> {
        [self.netlify_writes(), self.render_writes()].concat()
    }

    fn writes(&self, prefix: &str) -> Vec<String> {
        let requests = self.control("GET", "requests", None);
        let line = |request: &Value| {
            format!(
                "{} {}",
                request["method"].as_str().unwrap(),
                request["path"].as_str().unwrap()
            )
        };
        let changes = |request: &&Value| {
            request["door"] == "api" && !matches!(request["method"].as_str(), Some("GET" | "HEAD"))
        };
        requests
            .as_array()
            .unwrap()
            .iter()
            .filter(changes)
            .map(line)
            .filter(|line| line.contains(prefix))
            .collect()
    }

    /// The calls that changed something at Render.
    pub(crate) fn render_writes(&self) -> Vec<String> {
        self.writes(" /v1/")
    }

    /// The calls that changed something at Netlify.
    pub(crate) fn netlify_writes(&self) -> Vec<String> {
        self.writes(" /api/v1/")
    }

    /// Scripts a fault.
    pub(crate) fn add_fault(&self, fault: &Value) {
        self.control("POST", "faults", Some(fault));
    }

    /// Ends all faults.
    pub(crate) fn clear_faults(&self) {
        self.control("DELETE", "faults", None);
    }

    /// The messages that the fake Slack has received.
    pub(crate) fn slack(&self) -> Value {
        self.control("GET", "slack", None)
    }

    fn control(&self, method: &str, what: &str, body: Option<&Value>) -> Value {
        let answer = self.call(method, &format!("/_cloud/{what}"), "control_token", body);
        assert!(
            answer.status < 300,
            "{method} /_cloud/{what}: {} {}",
            answer.status,
            answer.body
        );
        serde_json::from_str(&answer.body).unwrap_or(json!(null))
    }

    fn call(&self, method: &str, path: &str, credential: &str, body: Option<&Value>) -> Answer {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.text("api_url")))
            .header("authorization", format!("Bearer {}", self.text(credential)))
            .header("content-type", "application/json")
            .body(body.map(Value::to_string).unwrap_or_default())
            .unwrap();
        answer(self.agent.run(request).unwrap())
    }

    /// Whether it answers.
    pub(super) fn is_running(&self) -> bool {
        self.agent
            .get(format!("{}/_cloud/ready", self.text("api_url")))
            .call()
            .is_ok()
    }

    /// Ends the cloud's process the hard way, should it not have ended when it was asked.
    pub(super) fn kill(&self) {
        let pid = self.document["pid"]
            .as_i64()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

fn answer(response: http::Response<ureq::Body>) -> Answer {
    let content_type = response
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let status = response.status().as_u16();
    Answer {
        status,
        body: response.into_body().read_to_string().unwrap(),
        content_type,
    }
}

#[track_caller]
fn list(answer: &Answer) -> Vec<Value> {
    let Value::Array(entries) = answer.json() else {
        panic!("no list: {}", answer.body)
    };
    entries
}
