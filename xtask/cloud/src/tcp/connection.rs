//! One connection from its first request to its last: reads, asks the core, and sends the answer with the faults it was given.
#![expect(
    clippy::disallowed_methods,
    reason = "scripted delays sleep in the connection's own thread"
)]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderValue};
use http::{Method, Request, Response, Uri};

use crate::core::Door;
use crate::reply::{Content, Effect};
use crate::{answer, time};

use super::wire::{Pending, ReadError, Wire};
use super::{Shared, now_ms, proxy};

/// An answer's body: in memory, or still coming from the service.
pub(super) enum Body {
    Bytes(Vec<u8>),
    Stream(Box<dyn std::io::Read>),
}

type Pieces = Box<dyn Iterator<Item = std::io::Result<Vec<u8>>>>;

/// Says no without reading anything.
pub(super) fn refuse(mut stream: TcpStream) {
    let text: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\nretry-after: 1\r\n\r\n";
    // The client may be gone already.
    stream.write_all(text).unwrap_or_default();
}

/// Serves requests until either side has enough.
pub(super) fn serve(stream: TcpStream, shared: &Arc<Shared>, door: Door) {
    let give_up = || shared.is_stopping();
    let Ok(mut wire) = Wire::new(stream, &give_up) else {
        return;
    };
    loop {
        match wire.read_request() {
            Ok((request, pending)) => match respond(&mut wire, shared, door, request, pending) {
                Ok(true) => {}
                Ok(false) => break,
                // Broken, perhaps on purpose: an orderly end now would hide that from the other side.
                Err(_) => return,
            },
            Err(ReadError::Refuse(status, text)) => {
                write_refusal(wire.stream(), status, text);
                break;
            }
            Err(ReadError::Ended) => break,
        }
    }
    // Closed by the other side already, perhaps.
    wire.stream().shutdown(Shutdown::Write).unwrap_or_default();
}

/// A plain error for a request that could not be understood, then the end.
fn write_refusal(mut stream: &TcpStream, status: u16, text: &str) {
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|s| s.canonical_reason())
        .unwrap_or("Error");
    let body = format!("{{\"code\":{status},\"message\":\"{text}\"}}");
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream
        .write_all((head + &body).as_bytes())
        .unwrap_or_default();
    // Closing with unread bytes would reset the connection and take the answer with it.
    stream.shutdown(Shutdown::Write).unwrap_or_default();
    let mut sink = [0; 16 * 1024];
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until && matches!(stream.read(&mut sink), Ok(n) if n > 0) {}
}

fn respond(
    wire: &mut Wire<'_>,
    shared: &Arc<Shared>,
    door: Door,
    mut request: Request<Vec<u8>>,
    pending: Pending,
) -> std::io::Result<bool> {
    origin_form(&mut request);
    let is_head = request.method() == Method::HEAD;
    let reply = shared.handle(door, request);
    if reply.effect == Effect::ResetBefore {
        return reset(wire.stream());
    }
    pause(shared, reply.delay_ms);
    let (mut head, mut body) = match reply.content {
        Content::Response(response) => {
            let (parts, body) = response.into_parts();
            (Response::from_parts(parts, ()), Body::Bytes(body))
        }
        Content::Proxy(upstream) => proxy::forward(&shared.agent, upstream),
    };
    if let Effect::Replace(replacement) = &reply.effect {
        let mut whole = head.map(|()| read_all(body));
        replacement.apply(&mut whole);
        let (parts, bytes) = whole.into_parts();
        (head, body) = (Response::from_parts(parts, ()), Body::Bytes(bytes));
    }
    if reply.effect == Effect::ResetAfter {
        // The service has to see the request to its end.
        drop(read_all(body));
        return reset(wire.stream());
    }
    if !head.headers().contains_key(DATE)
        && let Ok(date) = HeaderValue::from_str(&time::http_date(now_ms()))
    {
        head.headers_mut().insert(DATE, date);
    }
    if shared.is_stopping() {
        head.headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let is_bodiless =
        head.status() == 204 || head.status() == 304 || head.status().is_informational();
    if is_bodiless && head.status() != 304 {
        // A length would promise what may not come.
        head.headers_mut().remove(CONTENT_LENGTH);
    } else if let (Body::Bytes(bytes), false) = (&body, is_bodiless) {
        head.headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    }
    if is_bodiless || is_head {
        return wire.write_response(pending, head, &mut std::iter::empty());
    }
    match reply.effect {
        Effect::Pad(bytes) => {
            head.headers_mut().remove(CONTENT_LENGTH);
            wire.write_response(pending, head, &mut padded(read_all(body), bytes))
        }
        Effect::TruncateAt(at) => truncate(wire, pending, head, body, at),
        Effect::Drip { bytes, pause_ms } => {
            wire.write_response(pending, head, &mut drip(&read_all(body), bytes, pause_ms))
        }
        _ => wire.write_response(pending, head, &mut pieces(body)),
    }
}

/// A proxy's form of the target (`GET http://host/path`) becomes a path; the host goes where the core looks for it.
fn origin_form(request: &mut Request<Vec<u8>>) {
    if let Some(authority) = request.uri().authority().map(ToString::to_string) {
        answer::set_request_header(request, "host", &authority);
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    }
}

fn pause(shared: &Arc<Shared>, delay_ms: i64) {
    let until = Instant::now() + Duration::from_millis(u64::try_from(delay_ms).unwrap_or(0));
    while Instant::now() < until && !shared.is_stopping() {
        std::thread::sleep((until - Instant::now()).min(Duration::from_millis(100)));
    }
}

/// The other side sees "connection reset by peer".
fn reset(stream: &TcpStream) -> std::io::Result<bool> {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
    // Both halves stay open until the stream is dropped: only then does lingering for no time mean a reset.
    Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
}

/// The head promises the whole body, the connection ends within it.
fn truncate(
    wire: &mut Wire<'_>,
    pending: Pending,
    head: Response<()>,
    body: Body,
    at: usize,
) -> std::io::Result<bool> {
    let bytes = read_all(body);
    let mut head = head;
    head.headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let part = bytes[..at.min(bytes.len())].to_vec();
    wire.write_response(pending, head, &mut std::iter::once(Ok(part)))
}

fn drip(bytes: &[u8], size: usize, pause_ms: u64) -> Pieces {
    let parts: Vec<Vec<u8>> = bytes.chunks(size.max(1)).map(<[u8]>::to_vec).collect();
    Box::new(parts.into_iter().map(move |part| {
        std::thread::sleep(Duration::from_millis(pause_ms));
        Ok(part)
    }))
}

/// Spaces after the body, made as they are sent.
fn padded(body: Vec<u8>, bytes: u64) -> Pieces {
    const PIECE: u64 = 64 * 1024;
    let mut left = bytes.saturating_sub(body.len() as u64);
    let padding = std::iter::from_fn(move || {
        let size = left.min(PIECE);
        left -= size;
        (size > 0).then(|| Ok(vec![b' '; usize::try_from(size).unwrap_or(0)]))
    });
    Box::new(std::iter::once(Ok(body)).chain(padding))
}

fn pieces(body: Body) -> Pieces {
    match body {
        Body::Bytes(bytes) => Box::new(std::iter::once(Ok(bytes))),
        Body::Stream(mut reader) => Box::new(std::iter::from_fn(move || {
            let mut chunk = vec![0; 32 * 1024];
            match reader.read(&mut chunk) {
                Ok(0) => None,
                Ok(n) => {
                    chunk.truncate(n);
                    Some(Ok(chunk))
                }
                Err(error) => Some(Err(error)),
            }
        })),
    }
}

/// A body that breaks off counts as what arrived of it.
fn read_all(body: Body) -> Vec<u8> {
    match body {
        Body::Bytes(bytes) => bytes,
        Body::Stream(mut reader) => {
            let mut bytes = Vec::new();
            reader
                .read_to_end(&mut bytes)
                .map_or_else(|_| Vec::new(), |_| bytes)
        }
    }
}
