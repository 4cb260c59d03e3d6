//! A fake Slack: accepts incoming-webhook posts and keeps them for whoever wants to look.

use http::{Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answer;

/// Messages kept; older ones are forgotten.
const KEPT: usize = 500;

/// One message as it was received.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SlackMessage {
    /// When, ms since the epoch.
    pub at_ms: i64,
    /// The JSON body.
    pub payload: Value,
}

/// Slack's answers: `ok` as text, or a word that says what was wrong.
pub(crate) fn handle(
    messages: &mut Vec<SlackMessage>,
    secret_path: &str,
    now_ms: i64,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    let text = |status, word: &str| answer::bytes(status, "text/html", word.as_bytes().to_vec());
    if request.uri().path() != secret_path {
        return text(404, "no_service");
    }
    if request.method() != http::Method::POST {
        return text(405, "method_not_allowed");
    }
    let Ok(payload) = serde_json::from_slice::<Value>(request.body()) else {
        return text(400, "invalid_payload");
    };
    let has_content = ["text", "blocks", "attachments"]
        .iter()
        .any(|key| payload.get(key).is_some_and(|v| !v.is_null()));
    if !has_content {
        return text(400, "no_text");
    }
    messages.push(SlackMessage {
        at_ms: now_ms,
        payload,
    });
    if messages.len() > KEPT {
        messages.remove(0);
    }
    text(200, "ok")
}
