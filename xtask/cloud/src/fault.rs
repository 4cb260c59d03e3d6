//! Scripted faults: which calls they hit, and what they do to the answer. They sit in front of the real behaviour and never replace it silently.

use std::collections::BTreeMap;

use http::Request;
use serde::{Deserialize, Serialize};

use crate::answer;
use crate::core::Door;
use crate::reply::{Content, Effect, Replacement, Reply};

/// A fault and the calls it applies to.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Fault {
    /// Only this listener; any when absent.
    #[serde(default)]
    pub door: Option<Door>,
    /// Only this method; any when absent.
    #[serde(default)]
    pub method: Option<String>,
    /// Glob over the whole path: `*` stays within a segment, `**` does not.
    pub path: String,
    /// The first matching call that is hit, counted from 1.
    #[serde(default = "one")]
    pub nth: u32,
    /// How many calls are hit from there on; 0 means all.
    #[serde(default = "one")]
    pub count: u32,
    /// What happens to them.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// Matching calls so far. Kept by the cloud.
    #[serde(default)]
    pub seen: u32,
}

/// What a fault does.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// This answer instead of the real one; `processed` says whether the request takes effect all the same.
    Status {
        /// HTTP status.
        status: u16,
        /// Headers to set.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body.
        #[serde(default)]
        body: String,
        /// Does the request take effect?
        #[serde(default)]
        processed: bool,
    },
    /// The request takes effect at once, the answer comes late.
    Delay {
        /// How late.
        delay_ms: i64,
    },
    /// Connection reset, nothing happened.
    ResetBefore,
    /// Connection reset, the request took effect.
    ResetAfter,
    /// Reset after this many bytes of the body.
    TruncateAt {
        /// Bytes that arrive.
        at: usize,
    },
    /// The body arrives slowly.
    Drip {
        /// Bytes per piece.
        #[serde(default = "one_byte")]
        bytes: usize,
        /// Pause before each piece.
        pause_ms: u64,
    },
    /// The body is followed by spaces up to this length: an answer that is far too long.
    Pad {
        /// Bytes in all.
        bytes: u64,
    },
    /// The right body under a wrong content type.
    ContentType {
        /// The type that is claimed.
        content_type: String,
    },
}

const fn one() -> u32 {
    1
}

const fn one_byte() -> usize {
    1
}

impl Fault {
    /// A fault that hits the first matching call.
    pub fn new(method: &str, path: &str, kind: FaultKind) -> Self {
        Self {
            door: None,
            method: Some(method.to_owned()),
            path: path.to_owned(),
            nth: 1,
            count: 1,
            kind,
            seen: 0,
        }
    }

    /// The same for all matching calls from the `nth` on; `count` 0 means without end.
    #[must_use]
    pub fn times(mut self, nth: u32, count: u32) -> Self {
        (self.nth, self.count) = (nth, count);
        self
    }

    /// Is the path a glob at all?
    pub(crate) fn has_valid_path(&self) -> bool {
        glob::Pattern::new(&self.path).is_ok()
    }

    fn matches(&self, door: Door, request: &Request<Vec<u8>>) -> bool {
        let options = glob::MatchOptions {
            require_literal_separator: true,
            ..glob::MatchOptions::new()
        };
        self.door.is_none_or(|d| d == door)
            && self
                .method
                .as_ref()
                .is_none_or(|m| m.eq_ignore_ascii_case(request.method().as_str()))
            && glob::Pattern::new(&self.path)
                .is_ok_and(|p| p.matches_with(request.uri().path(), options))
    }
}

/// Counts the call against every fault and gives the first that hits it.
pub(crate) fn hit(
    faults: &mut [Fault],
    door: Door,
    request: &Request<Vec<u8>>,
) -> Option<FaultKind> {
    let mut chosen = None;
    for fault in faults.iter_mut().filter(|f| f.matches(door, request)) {
        fault.seen += 1;
        let due =
            fault.seen >= fault.nth && (fault.count == 0 || fault.seen < fault.nth + fault.count);
        if due && chosen.is_none() {
            chosen = Some(fault.kind.clone());
        }
    }
    chosen
}

/// The answer of a fault that keeps the request from taking effect.
pub(crate) fn instead(kind: &FaultKind) -> Option<Reply> {
    match kind {
        FaultKind::Status {
            processed: false, ..
        } => {
            let mut response = answer::empty(500);
            replacement(kind).apply(&mut response);
            Some(Reply::respond(response))
        }
        FaultKind::ResetBefore => Some(Reply {
            effect: Effect::ResetBefore,
            ..Reply::respond(answer::empty(502))
        }),
        _ => None,
    }
}

/// What a fault does to the answer of a request that took effect.
pub(crate) fn afterwards(kind: &FaultKind, mut reply: Reply) -> Reply {
    match kind {
        FaultKind::Delay { delay_ms } => reply.delay_ms = *delay_ms,
        FaultKind::Pad { bytes } => reply.effect = Effect::Pad(*bytes),
        FaultKind::ResetAfter => reply.effect = Effect::ResetAfter,
        FaultKind::TruncateAt { at } => reply.effect = Effect::TruncateAt(*at),
        FaultKind::Drip { bytes, pause_ms } => {
            reply.effect = Effect::Drip {
                bytes: (*bytes).max(1),
                pause_ms: *pause_ms,
            };
        }
        FaultKind::Status { .. } | FaultKind::ContentType { .. } => match &mut reply.content {
            Content::Response(response) => replacement(kind).apply(response),
            Content::Proxy(_) => reply.effect = Effect::Replace(Box::new(replacement(kind))),
        },
        FaultKind::ResetBefore => reply.effect = Effect::ResetBefore,
    }
    reply
}

fn replacement(kind: &FaultKind) -> Replacement {
    match kind {
        FaultKind::Status {
            status,
            headers,
            body,
            ..
        } => Replacement {
            status: Some(*status),
            headers: headers.clone(),
            body: Some(body.clone().into_bytes()),
        },
        FaultKind::ContentType { content_type } => Replacement {
            headers: BTreeMap::from([("content-type".to_owned(), content_type.clone())]),
            ..Replacement::default()
        },
        _ => Replacement::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(path: &str) -> Request<Vec<u8>> {
        Request::post(path).body(Vec::new()).unwrap()
    }

    #[test]
    fn a_fault_hits_the_nth_call_and_no_other() {
        let mut faults =
            [Fault::new("POST", "/v1/services/*/deploys", FaultKind::ResetAfter).times(2, 2)];
        let hits: Vec<_> = (0..5)
            .map(|_| hit(&mut faults, Door::Api, &call("/v1/services/srv-1/deploys")).is_some())
            .collect();
        assert_eq!(hits, [false, true, true, false, false]);
    }

    #[test]
    fn a_star_stays_within_a_segment() {
        let fault = Fault::new("POST", "/v1/*/deploys", FaultKind::ResetBefore);
        assert!(!fault.matches(Door::Api, &call("/v1/services/srv-1/deploys")));
        assert!(
            Fault::new("POST", "/v1/**", FaultKind::ResetBefore)
                .matches(Door::Api, &call("/v1/services/srv-1/deploys"))
        );
    }

    #[test]
    fn the_wire_form_is_flat() {
        let fault: Fault = serde_json::from_str(
            r#"{"path":"/x","kind":"status","status":503,"headers":{"retry-after":"7"}}"#,
        )
        .unwrap();
        assert_eq!((fault.nth, fault.count), (1, 1));
        let Some(Reply {
            content: Content::Response(response),
            ..
        }) = instead(&fault.kind)
        else {
            panic!("no reply")
        };
        assert_eq!(
            (
                response.status().as_u16(),
                response.headers()["retry-after"].as_bytes()
            ),
            (503, &b"7"[..])
        );
    }
}
