//! HTTP/1.1 on a stream: reading one request within limits and deadlines, and writing one response, on `ureq_proto`'s state machines.
#![expect(
    clippy::disallowed_methods,
    reason = "deadlines of connections are part of the shell's clock"
)]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use http::{Method, Request, Response};
use ureq_proto::server::state::{ProvideResponse, RecvBody, RecvRequest, SendBody};
use ureq_proto::server::{RecvRequestResult, Reply, SendResponseResult};

/// Bytes of request line and headers.
const HEAD_MAX: usize = 64 * 1024;
/// Bytes of a request's body; a site's largest file has to fit.
const BODY_MAX: usize = 512 * 1024 * 1024;
/// Time from the first byte of a request to the end of its head.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Time a connection may be kept without a request.
const IDLE_WITHIN: Duration = Duration::from_secs(60);
/// Time for the whole body.
const BODY_WITHIN: Duration = Duration::from_secs(300);
/// Time one write may block.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// How often a waiting read looks whether it should give up.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Why no request could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadError {
    /// Closed or idle for too long between two requests: nothing to say.
    Ended,
    /// This status, then close.
    Refuse(u16, &'static str),
}

/// A connection and the bytes read from it that belong to what comes next.
pub(super) struct Wire<'a> {
    stream: TcpStream,
    buffer: Vec<u8>,
    give_up: &'a dyn Fn() -> bool,
}

/// The state a response continues from.
pub(super) type Pending = Reply<ProvideResponse>;

impl<'a> Wire<'a> {
    pub(super) fn new(stream: TcpStream, give_up: &'a dyn Fn() -> bool) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK_EVERY))?;
        stream.set_write_timeout(Some(WRITE_WITHIN))?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
            give_up,
        })
    }

    pub(super) const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads more bytes into the buffer; false at the end of the stream.
    fn fill(&mut self, deadline: Instant, late: &ReadError) -> Result<bool, ReadError> {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.buffer.extend_from_slice(&chunk[..n]);
                    return Ok(true);
                }
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) =>
                {
                    if (self.give_up)() {
                        return Err(ReadError::Ended);
                    }
                    if Instant::now() >= deadline {
                        return Err(match late {
                            ReadError::Ended => ReadError::Ended,
                            ReadError::Refuse(status, text) => ReadError::Refuse(*status, text),
                        });
                    }
                }
                Err(_) => return Err(ReadError::Ended),
            }
        }
    }

    /// The next request with its whole body.
    pub(super) fn read_request(&mut self) -> Result<(Request<Vec<u8>>, Pending), ReadError> {
        while self.buffer.is_empty() {
            if !self.fill(Instant::now() + IDLE_WITHIN, &ReadError::Ended)? {
                return Err(ReadError::Ended);
            }
        }
        let (state, head) = self.read_head()?;
        let (body, pending) = match state.proceed() {
            Some(RecvRequestResult::ProvideResponse(pending)) => (Vec::new(), pending),
            Some(RecvRequestResult::RecvBody(state)) => self.read_body(state)?,
            Some(RecvRequestResult::Send100(state)) => {
                let mut out = [0; 64];
                let (used, state) = state.accept(&mut out).map_err(|_| ReadError::Ended)?;
                self.stream
                    .write_all(&out[..used])
                    .map_err(|_| ReadError::Ended)?;
                self.read_body(state)?
            }
            None => return Err(ReadError::Refuse(400, "the request's head is not valid")),
        };
        Ok((head.map(|()| body), pending))
    }

    fn read_head(&mut self) -> Result<(Reply<RecvRequest>, Request<()>), ReadError> {
        let deadline = Instant::now() + HEAD_WITHIN;
        let bad = |_| ReadError::Refuse(400, "the request's head is not valid HTTP/1.1");
        loop {
            let mut state = Reply::<RecvRequest>::new().map_err(bad)?;
            let (used, head) = state.try_request(&self.buffer).map_err(bad)?;
            if let Some(head) = head {
                let found = check_head(&head)?;
                let state = if found {
                    state
                } else {
                    without_body(&self.buffer[..used])?
                };
                self.buffer.drain(..used);
                return Ok((state, head));
            }
            if self.buffer.len() > HEAD_MAX {
                return Err(ReadError::Refuse(431, "the request's head is too long"));
            }
            if !self.fill(
                deadline,
                &ReadError::Refuse(408, "the request's head came too slowly"),
            )? {
                return Err(ReadError::Ended);
            }
        }
    }

    fn read_body(&mut self, mut state: Reply<RecvBody>) -> Result<(Vec<u8>, Pending), ReadError> {
        let deadline = Instant::now() + BODY_WITHIN;
        let bad = |_| ReadError::Refuse(400, "the request's body is not valid");
        let mut body = Vec::new();
        let mut out = vec![0; 64 * 1024];
        while !state.is_ended() {
            let (used, written) = state.read(&self.buffer, &mut out).map_err(bad)?;
            self.buffer.drain(..used);
            body.extend_from_slice(&out[..written]);
            if body.len() > BODY_MAX {
                return Err(ReadError::Refuse(413, "the request's body is too long"));
            }
            let is_stuck = used == 0 && written == 0 && !state.is_ended();
            if is_stuck
                && !self.fill(
                    deadline,
                    &ReadError::Refuse(408, "the request's body came too slowly"),
                )?
            {
                return Err(ReadError::Ended);
            }
        }
        Ok((body, state.proceed().map_err(bad)?))
    }

    /// Writes head and body; `body` gives the pieces as they are to be sent. Says whether the connection can be used again.
    pub(super) fn write_response(
        &mut self,
        pending: Pending,
        head: Response<()>,
        body: &mut dyn Iterator<Item = std::io::Result<Vec<u8>>>,
    ) -> std::io::Result<bool> {
        let bad = |e: ureq_proto::Error| std::io::Error::other(e.to_string());
        let must_close = head
            .headers()
            .get(http::header::CONNECTION)
            .is_some_and(|v| v == "close");
        let mut state = pending.provide(head).map_err(bad)?;
        let mut out = vec![0; 64 * 1024];
        while !state.is_finished() {
            let used = state.write(&mut out).map_err(bad)?;
            self.stream.write_all(&out[..used])?;
        }
        let cleanup = match state.proceed() {
            SendResponseResult::Cleanup(cleanup) => cleanup,
            SendResponseResult::SendBody(state) => {
                self.write_body(state, body, &mut out)?.proceed()
            }
        };
        Ok(!must_close && !cleanup.must_close_connection())
    }

    fn write_body(
        &mut self,
        mut state: Reply<SendBody>,
        body: &mut dyn Iterator<Item = std::io::Result<Vec<u8>>>,
        out: &mut [u8],
    ) -> std::io::Result<Reply<SendBody>> {
        let bad = |e: ureq_proto::Error| std::io::Error::other(e.to_string());
        for piece in body {
            let piece = piece?;
            let mut rest = &piece[..];
            while !rest.is_empty() {
                let (taken, used) = state.write(rest, out).map_err(bad)?;
                self.stream.write_all(&out[..used])?;
                rest = &rest[taken..];
            }
        }
        if state.is_chunked() {
            let (_, used) = state.write(&[], out).map_err(bad)?;
            self.stream.write_all(&out[..used])?;
        }
        if state.is_finished() {
            Ok(state)
        } else {
            Err(std::io::Error::other("the body ended early"))
        }
    }
}

/// Refuses what cannot be served safely; says whether the head tells where the body ends.
fn check_head(head: &Request<()>) -> Result<bool, ReadError> {
    let headers = head.headers();
    if head.uri().path().is_empty() || head.method() == Method::CONNECT {
        return Err(ReadError::Refuse(400, "the request target is not a path"));
    }
    let encodings: Vec<_> = headers.get_all("transfer-encoding").iter().collect();
    if encodings.len() > 1
        || encodings
            .iter()
            .any(|v| !v.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(ReadError::Refuse(
            501,
            "only the transfer encoding chunked is known",
        ));
    }
    let has_length = headers.contains_key("content-length");
    if has_length && !encodings.is_empty() {
        return Err(ReadError::Refuse(
            400,
            "content-length and transfer-encoding exclude each other",
        ));
    }
    let length = headers
        .get("content-length")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<u64>().ok());
    if length.is_some_and(|l| l > BODY_MAX as u64) {
        return Err(ReadError::Refuse(413, "the request's body is too long"));
    }
    Ok(has_length || !encodings.is_empty())
}

/// A POST without a length has no body (RFC 9112, section 6.3), but the state machine would wait for chunks: so it is told a length of 0.
fn without_body(head: &[u8]) -> Result<Reply<RecvRequest>, ReadError> {
    let bad = |_| ReadError::Refuse(400, "the request's head is not valid HTTP/1.1");
    let end = head
        .strip_suffix(b"\r\n")
        .or_else(|| head.strip_suffix(b"\n"))
        .unwrap_or(head);
    let amended = [end, b"content-length: 0\r\n\r\n"].concat();
    let mut state = Reply::<RecvRequest>::new().map_err(bad)?;
    match state.try_request(&amended).map_err(bad)? {
        (_, Some(_)) => Ok(state),
        _ => Err(ReadError::Refuse(
            400,
            "the request's head is not valid HTTP/1.1",
        )),
    }
}
