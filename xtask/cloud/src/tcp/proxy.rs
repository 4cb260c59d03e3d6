//! The edge: passes a request on to the service's process and its answer back, as it comes.

use std::time::Duration;

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Response, Uri};

use crate::answer;
use crate::reply::Upstream;

use super::connection::Body;

/// How long the service may take to begin its answer: the provider's edge gives up after 100 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(100);
/// Loopback answers at once or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// A client that changes nothing: no redirects followed, no status an error, no connection used twice.
pub(super) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .proxy(None)
        .user_agent("")
        .accept("")
        .accept_encoding("")
        .allow_non_standard_methods(true)
        .timeout_connect(Some(CONNECT_WITHIN))
        .timeout_recv_response(Some(ANSWER_WITHIN))
        .build()
        .into()
}

/// The service's answer, or 502 when it cannot be reached.
pub(super) fn forward(agent: &ureq::Agent, upstream: Upstream) -> (Response<()>, Body) {
    let Upstream {
        port,
        mut request,
        response_headers,
        ..
    } = upstream;
    let target = format!(
        "http://127.0.0.1:{port}{}",
        request.uri().path_and_query().map_or("/", |p| p.as_str())
    );
    let Ok(uri) = target.parse::<Uri>() else {
        return bad_gateway("the request target is not valid");
    };
    *request.uri_mut() = uri;
    remove_hop_by_hop(request.headers_mut());
    let has_body = !request.body().is_empty();
    let sent = if has_body {
        agent.run(request)
    } else {
        agent.run(request.map(|_| ()))
    };
    match sent {
        Ok(response) => {
            let (mut parts, body) = response.into_parts();
            remove_hop_by_hop_of_answer(&mut parts.headers);
            let mut head = Response::from_parts(parts, Vec::new());
            *head.version_mut() = http::Version::HTTP_11;
            for (name, value) in &response_headers {
                answer::set_header(&mut head, name, value);
            }
            (head.map(|_| ()), Body::Stream(Box::new(body.into_reader())))
        }
        Err(error) => bad_gateway(&error.to_string()),
    }
}

fn bad_gateway(why: &str) -> (Response<()>, Body) {
    let response = answer::bytes(
        502,
        "text/plain; charset=utf-8",
        format!("Bad Gateway: {why}\n").into_bytes(),
    );
    let (parts, body) = response.into_parts();
    (Response::from_parts(parts, ()), Body::Bytes(body))
}

/// Headers that concern one connection only, and those the client here writes itself.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    remove_hop_by_hop_of_answer(headers);
    headers.remove(CONTENT_LENGTH);
    headers.remove(EXPECT);
}

fn remove_hop_by_hop_of_answer(headers: &mut HeaderMap) {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    for name in [
        CONNECTION,
        KEEP_ALIVE,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
}
