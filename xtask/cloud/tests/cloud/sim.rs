//! A client of the cloud in virtual time: sends a call, lets time pass, reads JSON.

use cloud::inprocess::{InProcess, TransportFault};
use http::{Request, Response};
use serde_json::Value;

pub(crate) const START_MS: i64 = 1_767_323_045_000;

pub(crate) struct Sim {
    pub(crate) cloud: InProcess,
    pub(crate) now_ms: i64,
}

impl Sim {
    pub(crate) fn new() -> Self {
        Self {
            cloud: InProcess::new(42, START_MS),
            now_ms: START_MS,
        }
    }

    pub(crate) fn request(
        &mut self,
        method: &str,
        url: &str,
        token: &str,
        body: &[u8],
    ) -> Result<Response<Vec<u8>>, TransportFault> {
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", format!("Bearer {token}"))
            .body(body.to_vec())
            .unwrap();
        self.cloud.send(self.now_ms, request)
    }

    pub(crate) fn netlify(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/api/v1{path}", self.cloud.endpoints().api_url);
        let token = self.cloud.secrets().netlify_token.clone();
        let text = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        read(self.request(method, &url, &token, &text).unwrap())
    }

    pub(crate) fn upload(&mut self, deploy: &str, path: &str, content: &[u8]) -> (u16, Value) {
        let path: String = path
            .bytes()
            .map(|b| {
                if b.is_ascii_graphic() {
                    char::from(b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect();
        let url = format!(
            "{}/api/v1/deploys/{deploy}/files{path}",
            self.cloud.endpoints().api_url
        );
        let token = self.cloud.secrets().netlify_token.clone();
        read(self.request("PUT", &url, &token, content).unwrap())
    }

    pub(crate) fn render(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let text = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        read(self.render_raw(method, path, &text).unwrap())
    }

    pub(crate) fn render_raw(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<Response<Vec<u8>>, TransportFault> {
        let path = path.replace("{srv}", self.cloud.cloud().service_id());
        let url = format!("{}/v1{path}", self.cloud.endpoints().api_url);
        let token = self.cloud.secrets().render_key.clone();
        self.request(method, &url, &token, body)
    }

    /// A GET at the site's door with this `Host`, or the plain one.
    pub(crate) fn site(&mut self, host: &str, path: &str) -> Response<Vec<u8>> {
        let url = format!("{}{path}", self.cloud.endpoints().site_url);
        let mut request = Request::get(url);
        if !host.is_empty() {
            request = request.header("host", host);
        }
        self.cloud
            .send(self.now_ms, request.body(Vec::new()).unwrap())
            .unwrap()
    }

    pub(crate) fn service(&mut self, path: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.cloud.endpoints().service_url);
        read(self.request("GET", &url, "", b"").unwrap())
    }

    pub(crate) fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        self.cloud.advance(self.now_ms);
    }

    /// Lets time pass, event by event, until nothing is planned any more.
    pub(crate) fn settle(&mut self) {
        while let Some(at_ms) = self.cloud.next_event_ms() {
            assert!(
                at_ms - self.now_ms < 3_600_000,
                "something is planned more than an hour ahead"
            );
            self.now_ms = self.now_ms.max(at_ms);
            self.cloud.advance(self.now_ms);
        }
    }

    /// A deploy with these files, published unless a draft; gives its id.
    pub(crate) fn deploy_site(&mut self, create: &Value, files: &[(&str, &str)]) -> String {
        let site = self.cloud.cloud().site_id().to_owned();
        let (status, deploy) = self.netlify("POST", &format!("/sites/{site}/deploys"), create);
        assert_eq!(status, 200);
        let id = deploy["id"].as_str().unwrap().to_owned();
        let digests: serde_json::Map<String, Value> = files
            .iter()
            .map(|(p, c)| ((*p).to_owned(), sha1(c).into()))
            .collect();
        let (status, _) = self.netlify(
            "PUT",
            &format!("/sites/{site}/deploys/{id}"),
            &serde_json::json!({ "files": digests }),
        );
        assert_eq!(status, 200);
        for (path, content) in files {
            assert_eq!(self.upload(&id, path, content.as_bytes()).0, 200);
        }
        self.settle();
        id
    }

    /// Triggers a commit and lets it come to its end; gives the deploy.
    pub(crate) fn deploy_service(&mut self, commit: &str) -> Value {
        let (status, deploy) = self.render(
            "POST",
            "/services/{srv}/deploys",
            &serde_json::json!({ "commitId": commit }),
        );
        assert_eq!(status, 201);
        self.settle();
        self.render(
            "GET",
            &format!(
                "/services/{{srv}}/deploys/{}",
                deploy["id"].as_str().unwrap()
            ),
            &Value::Null,
        )
        .1
    }
}

pub(crate) fn read(response: Response<Vec<u8>>) -> (u16, Value) {
    let (parts, body) = response.into_parts();
    (
        parts.status.as_u16(),
        serde_json::from_slice(&body).unwrap_or(Value::Null),
    )
}

pub(crate) fn text(response: &Response<Vec<u8>>) -> String {
    String::from_utf8_lossy(response.body()).into_owned()
}

pub(crate) fn header(response: &Response<Vec<u8>>, name: &str) -> String {
    response
        .headers()
        .get(name)
        .map(|v| v.to_str().unwrap().to_owned())
        .unwrap_or_default()
}

pub(crate) fn sha1(text: &str) -> String {
    use sha1::Digest as _;
    sha1::Sha1::digest(text)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// A commit id made of one digit.
pub(crate) fn commit(digit: u8) -> String {
    format!("{digit:x}").repeat(40)
}
