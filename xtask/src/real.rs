//! The world of a laptop or a CI machine: ureq, real clocks, thread pools, git refs and child processes.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the owner of the clock, the sleeping and the lane threads"
)]

use crate::dispatch::Dispatcher;
use crate::event::{Event, EventKind};
use crate::ids::RunId;
use crate::journal::Journal;
use crate::refs::Refs;
use crate::supervisor::supervise;
use crate::world::{
    Cancelled, Command, Limits, Now, Request, Response, RunEnd, RunEvent, SendError, SendErrorKind,
    Signal, World,
};
use anyhow::Result;
use rayon::prelude::*;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Threads for small work; Netlify's own clients send 5 to 10 uploads at once.
const SMALL_WORK_THREADS: usize = 8;
/// A long answer is read in pieces of this size.
const PIECE_BYTES: usize = 64 << 10;

/// Whether somebody asked the run to stop; shared with the thread that hears signals.
#[derive(Clone, Default)]
pub struct CancelFlag(Arc<(Mutex<Asked>, Condvar)>);

#[derive(Clone, Copy, Default)]
struct Asked {
    /// By somebody, for good.
    run: Option<Cancelled>,
    /// By a lane, for as long as lanes run.
    lanes: bool,
}

impl Asked {
    fn cancelled(self) -> Option<Cancelled> {
        self.run
            .or_else(|| self.lanes.then_some(Cancelled(Signal::Beside)))
    }
}

impl CancelFlag {
    /// Asks the run to stop and wakes every sleeper.
    pub fn set(&self, cancelled: Cancelled) {
        self.ask(|asked| asked.run = asked.run.or(Some(cancelled)));
    }

    /// Whether it was asked.
    pub fn get(&self) -> Option<Cancelled> {
        self.asked().run
    }

    fn end_lanes(&self, end: bool) {
        self.ask(|asked| asked.lanes = end);
    }

    fn ask(&self, change: impl FnOnce(&mut Asked)) {
        let (flag, condition) = &*self.0;
        change(&mut flag.lock().unwrap_or_else(PoisonError::into_inner));
        condition.notify_all();
    }

    fn asked(&self) -> Asked {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep(&self, duration: Duration) -> Result<(), Cancelled> {
        let (flag, condition) = &*self.0;
        let guard = flag.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _) = condition
            .wait_timeout_while(guard, duration, |asked| asked.cancelled().is_none())
            .unwrap_or_else(PoisonError::into_inner);
        guard.cancelled().map_or(Ok(()), Err)
    }
}

/// Turns SIGINT, SIGTERM and SIGHUP into a request to stop. A second signal leaves at once: the journal already holds every intent.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn hear_signals(flag: &CancelFlag) -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let flag = flag.clone();
    let _for_ever = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for number in signals.forever() {
                let signal = if number == SIGINT {
                    Signal::Interrupt
                } else {
                    Signal::Terminate
                };
                if flag.get().is_some() {
                    #[expect(clippy::exit, reason = "the second signal means: now")]
                    std::process::exit(if number == SIGINT { 130 } else { 143 });
                }
                flag.set(Cancelled(signal));
            }
        })?;
    Ok(())
}

/// See the module's words.
pub struct Real<'a> {
    started: Instant,
    /// For reads and uploads: keeps connections.
    reader: ureq::Agent,
    /// For calls that change something: a connection that the other side closed while idle would leave their outcome in doubt.
    writer: ureq::Agent,
    small_work: rayon::ThreadPool,
    cancel: CancelFlag,
    journal: &'a Journal,
    refs: &'a dyn Refs,
    dispatcher: &'a Dispatcher,
    random: RandomState,
    draws: std::sync::atomic::AtomicU64,
}

impl<'a> Real<'a> {
    /// Builds the world around its parts.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn new(
        journal: &'a Journal,
        refs: &'a dyn Refs,
        dispatcher: &'a Dispatcher,
        cancel: CancelFlag,
    ) -> Result<Self> {
        let config = || {
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")))
                .timeout_connect(Some(Duration::from_secs(10)))
        };
        Ok(Self {
            started: Instant::now(),
            reader: config()
                .max_idle_connections_per_host(SMALL_WORK_THREADS)
                .build()
                .into(),
            writer: config()
                .max_idle_connections(0)
                .max_idle_connections_per_host(0)
                .build()
                .into(),
            small_work: rayon::ThreadPoolBuilder::new()
                .num_threads(SMALL_WORK_THREADS)
                .build()?,
            cancel,
            journal,
            refs,
            dispatcher,
            random: RandomState::new(),
            draws: std::sync::atomic::AtomicU64::new(0),
        })
    }
}

impl Real<'_> {
    /// Sends a request and waits for the head of its answer.
    fn call(
        &self,
        request: &Request,
        limits: Limits,
    ) -> Result<http::Response<ureq::Body>, SendError> {
        let idempotent = matches!(request.method().as_str(), "GET" | "HEAD" | "PUT");
        let agent = if idempotent {
            &self.reader
        } else {
            &self.writer
        };
        let mut outgoing = http::Request::builder()
            .method(request.method())
            .uri(request.uri());
        for (name, value) in request.headers() {
            outgoing = outgoing.header(name, value);
        }
        let refused = |error: &dyn std::fmt::Display| SendError {
            kind: SendErrorKind::NotSent,
            text: error.to_string(),
        };
        let outgoing = outgoing
            .body(request.body().as_slice())
            .map_err(|error| refused(&error))?;
        let outgoing = agent
            .configure_request(outgoing)
            .timeout_global(Some(limits.timeout))
            .allow_non_standard_methods(true)
            .build();
        agent.run(outgoing).map_err(|error| classify(&error))
    }
}

fn broken_off(error: &dyn std::fmt::Display) -> SendError {
    SendError {
        kind: SendErrorKind::Unknown,
        text: format!("the answer broke off: {error}"),
    }
}

impl World for Real<'_> {
    fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
            mono_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn sleep(&self, duration: Duration) -> Result<(), Cancelled> {
        self.cancel.sleep(duration)
    }

    fn cancelled(&self) -> Option<Cancelled> {
        self.cancel.asked().cancelled()
    }

    fn send(&self, request: &Request, limits: Limits) -> Result<Response, SendError> {
        let (parts, mut body) = self.call(request, limits)?.into_parts();
        let body = body
            .with_config()
            .limit(limits.body_bytes)
            .read_to_vec()
            .map_err(|error| match error {
                ureq::Error::BodyExceedsLimit(limit) => SendError {
                    kind: SendErrorKind::TooLarge,
                    text: format!("the answer is longer than {limit} bytes"),
                },
                other => broken_off(&other),
            })?;
        Ok(Response::from_parts(parts, body))
    }

    fn receive(
        &self,
        request: &Request,
        limits: Limits,
        on: &mut dyn FnMut(&[u8]),
    ) -> Result<Response, SendError> {
        let (parts, mut body) = self.call(request, limits)?.into_parts();
        let mut reader = body.as_reader();
        let mut piece = vec![0; PIECE_BYTES];
        let mut beginning = Vec::new();
        loop {
            if let Some(cancelled) = self.cancelled() {
                return Err(SendError {
                    kind: SendErrorKind::Cancelled,
                    text: cancelled.to_string(),
                });
            }
            let read = reader
                .read(&mut piece)
                .map_err(|error| broken_off(&error))?;
            let Some(read) = piece.get(..read).filter(|read| !read.is_empty()) else {
                return Ok(Response::from_parts(parts, beginning));
            };
            on(read);
            let room = PIECE_BYTES.saturating_sub(beginning.len());
            beginning.extend_from_slice(read.get(..room).unwrap_or(read));
        }
    }

    fn run(&self, command: &Command, on: &mut dyn FnMut(RunEvent<'_>)) -> Result<RunEnd> {
        supervise(command, &|| self.cancelled(), on)
    }

    fn each(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        self.small_work
            .install(|| (0..count).into_par_iter().with_max_len(1).for_each(task));
    }

    fn lanes(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        run_lanes(count, task);
        self.cancel.end_lanes(false);
    }

    fn end_lanes(&self) {
        self.cancel.end_lanes(true);
    }

    fn refs(&self) -> &dyn Refs {
        self.refs
    }

    fn journal(&self) -> &Journal {
        self.journal
    }

    fn attach(&self, run: &RunId, earlier: &[Event]) {
        self.dispatcher.attach(run, earlier);
    }

    fn emit(&self, event: EventKind) {
        let now = self.now();
        self.dispatcher
            .emit(self.journal, now.wall_ms, now.mono_ms, event);
    }

    fn random(&self) -> u64 {
        let draw = self
            .draws
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.random
            .hash_one((draw, self.started.elapsed().as_nanos()))
    }
}

/// Runs each lane on a thread of its own from the first moment: on a shared pool a waiting worker steals the next lane and runs
/// it to its end on its own stack.
pub fn run_lanes(count: usize, task: &(dyn Fn(usize) + Sync)) {
    match rayon::ThreadPoolBuilder::new()
        .num_threads(count.max(1))
        .thread_name(|index| format!("lane-{index}"))
        .build()
    {
        Ok(pool) if count > 0 => {
            pool.broadcast(|context| task(context.index()));
        }
        // Without threads (a process limit) the lanes still run, one after the other.
        _ => (0..count).for_each(task),
    }
}

/// What a call without an answer means for the request.
fn classify(error: &ureq::Error) -> SendError {
    use ureq::{Error, Timeout};
    let kind = match error {
        Error::HostNotFound | Error::Timeout(Timeout::Resolve) => SendErrorKind::NoSuchHost,
        Error::Tls(_) | Error::Rustls(_) | Error::TlsRequired => SendErrorKind::Untrusted,
        Error::ConnectionFailed
        | Error::BadUri(_)
        | Error::Http(_)
        | Error::InvalidProxyUrl
        | Error::ConnectProxyFailed(_)
        | Error::Timeout(Timeout::Connect) => SendErrorKind::NotSent,
        Error::Io(io) => classify_io(io),
        _ => SendErrorKind::Unknown,
    };
    SendError {
        kind,
        text: error.to_string(),
    }
}

/// Name resolution and the handshake report through [`std::io::Error`] as well, told from others by their words alone.
fn classify_io(error: &std::io::Error) -> SendErrorKind {
    use std::io::ErrorKind;
    /// How the standard library begins what the resolver says.
    const UNRESOLVED: &str = "failed to lookup address information";
    /// How rustls begins what ends a handshake. Every change has a connection, and so a handshake, of its own.
    const HANDSHAKE: [&str; 4] = [
        "invalid peer certificate",
        "peer is incompatible",
        "received corrupt message of type InvalidContentType",
        "received fatal alert: HandshakeFailure",
    ];
    let text = error.to_string();
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::AddrNotAvailable => SendErrorKind::NotSent,
        ErrorKind::InvalidData if HANDSHAKE.iter().any(|words| text.starts_with(words)) => {
            SendErrorKind::Untrusted
        }
        _ if text.starts_with(UNRESOLVED) => SendErrorKind::NoSuchHost,
        _ => SendErrorKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::TcpListener;

    fn failure(address: &str) -> SendError {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .into();
        classify(&agent.get(address).call().unwrap_err())
    }

    #[test]
    fn a_name_that_does_not_resolve_is_told_from_an_outage() {
        let error = failure("http://nobody.invalid/");
        assert_eq!(error.kind, SendErrorKind::NoSuchHost, "{error}");
    }

    #[test]
    fn a_server_that_cannot_prove_who_it_is_is_told_from_an_outage() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut hello = [0; 16];
                stream.read_exact(&mut hello).unwrap();
                stream
                    .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    .unwrap();
            });
            let error = failure(&format!("https://127.0.0.1:{port}/"));
            assert_eq!(error.kind, SendErrorKind::Untrusted, "{error}");
        });
        let untrusted = std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "invalid peer certificate: Expired",
        );
        assert_eq!(classify_io(&untrusted), SendErrorKind::Untrusted);
    }

    #[test]
    fn what_may_have_been_processed_stays_in_doubt() {
        for (kind, text) in [
            (std::io::ErrorKind::ConnectionReset, "reset by peer"),
            (
                std::io::ErrorKind::InvalidData,
                "cannot decrypt peer's message",
            ),
        ] {
            let error = std::io::Error::new(kind, text);
            assert_eq!(classify_io(&error), SendErrorKind::Unknown, "{text}");
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = failure(&format!("http://127.0.0.1:{port}/"));
        assert_eq!(error.kind, SendErrorKind::NotSent, "{error}");
    }
}
