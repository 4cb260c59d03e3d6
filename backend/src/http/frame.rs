//! What every request passes on its way in and every answer on its way out: refusals that need
//! no handler, an id to find the request by, headers, and errors that are always JSON.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    response::Response,
};
use serde_json::json;

use super::{App, auth, error::plain};

/// Longer request targets are refused: ours have at most a hundred bytes.
const MAX_TARGET_BYTES: usize = 8 * 1024;
const REQUEST_ID: &str = "x-request-id";
const MAX_REQUEST_ID_BYTES: usize = 64;

/// Names one request in logs, audit rows and the `x-request-id` header.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// Makes request ids: random for the process, counted within it.
pub(crate) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl Default for RequestIds {
    fn default() -> Self {
        // Each `RandomState` has its own random keys; hashing a constant shows them.
        let process = RandomState::new().hash_one("process");
        Self {
            process,
            next: AtomicU64::new(1),
        }
    }
}

impl RequestIds {
    /// Keeps the caller's id, so that its own records can be matched, when it is harmless.
    fn take(&self, headers: &HeaderMap) -> RequestId {
        let given = headers
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok());
        let given = given.filter(|id| !id.is_empty() && id.len() <= MAX_REQUEST_ID_BYTES);
        let harmless = |id: &&str| {
            id.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
        };
        RequestId(
            given
                .filter(harmless)
                .map_or_else(|| self.make(), str::to_owned),
        )
    }

    fn make(&self) -> String {
        format!(
            "{:016x}-{}",
            self.process,
            self.next.fetch_add(1, Ordering::Relaxed)
        )
    }
}

/// Surrounds every request; see the module.
pub(crate) async fn frame(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = app.request_ids.take(request.headers());
    request.extensions_mut().insert(id.clone());
    let response = match refusal(&request) {
        Some(response) => response,
        None => next.run(request).await,
    };
    let mut response = with_json_error(response);
    let headers = response.headers_mut();
    forbid_storing_and_sniffing(headers);
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

/// Sets the headers that every answer carries.
pub(crate) fn forbid_storing_and_sniffing(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn refusal(request: &Request) -> Option<Response> {
    let headers = request.headers();
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > MAX_TARGET_BYTES {
        return Some(plain(
            StatusCode::URI_TOO_LONG,
            "the request target is longer than 8 KiB",
        ));
    }
    if request.uri().path().starts_with("/api/admin") && auth::came_through_the_site(headers) {
        return Some(plain(StatusCode::NOT_FOUND, "no such route"));
    }
    None
}

/// Gives the errors of the router and its layers, which are empty or plain text, the same form
/// as our own. Headers such as `Allow` stay.
fn with_json_error(response: Response) -> Response {
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE);
    let is_json =
        content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = json!({"error": {"message": message_for(status)}});
    Response::from_parts(parts, Body::from(body.to_string()))
}

fn message_for(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "no such route",
        StatusCode::METHOD_NOT_ALLOWED => {
            "this route does not take that method; the Allow header lists those it takes"
        }
        StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than 1 MiB",
        StatusCode::SERVICE_UNAVAILABLE => "the answer was not ready in time; try again",
        other => other.canonical_reason().unwrap_or("the request failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_id_is_kept_only_when_it_is_harmless() {
        let ids = RequestIds::default();
        let take = |given: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(given).unwrap());
            ids.take(&headers).0
        };
        assert_eq!(take(b"run-7.a:1_b"), "run-7.a:1_b");
        for bad in [&b""[..], b"a b", b"a\"b", &[0xe9], &[b'a'; 65]] {
            assert!(
                take(bad).starts_with(&format!("{:016x}-", ids.process)),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn ids_differ_within_a_process_and_between_processes() {
        let (a, b) = (RequestIds::default(), RequestIds::default());
        let none = HeaderMap::new();
        assert_ne!(a.take(&none).0, a.take(&none).0);
        assert_ne!(a.process, b.process);
    }
}
