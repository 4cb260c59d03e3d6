//! The one seam between the release engine and everything outside it.
//!
//! The engine reads the clock, sleeps, sends requests, runs commands and starts threads through this trait only.
//! [`crate::real::Real`] is the world of a laptop or a CI machine; [`crate::sim::Sim`] is the local cloud in process under virtual
//! time. Everything above the trait, retries and parsing included, is the same code in both.

use crate::event::{Event, EventKind};
use crate::ids::RunId;
use crate::journal::Journal;
use crate::refs::Refs;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A request as every HTTP library understands it.
pub type Request = http::Request<Vec<u8>>;
/// An answer with its whole body.
pub type Response = http::Response<Vec<u8>>;

/// Two clocks read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the Unix epoch; may jump.
    pub wall_ms: i64,
    /// Milliseconds since this world began; never jumps back.
    pub mono_ms: u64,
}

/// Bounds of one HTTP call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The whole call: connect, send, and read to the last byte.
    pub timeout: Duration,
    /// A longer body is an error.
    pub body_bytes: u64,
}

impl Limits {
    /// For calls to a provider's API: 30 s in all (a slow drip must not hold a lane) and 8 MiB.
    pub const API: Self = Self {
        timeout: Duration::from_secs(30),
        body_bytes: 8 << 20,
    };
    /// For one health probe: 5 s, as Render judges its own.
    pub const PROBE: Self = Self {
        timeout: Duration::from_secs(5),
        body_bytes: 1 << 20,
    };
    /// For one file upload.
    pub const UPLOAD: Self = Self {
        timeout: Duration::from_secs(300),
        body_bytes: 1 << 20,
    };
}

/// Why no answer came, and what that means for the request.
#[derive(Clone, Debug)]
pub struct SendError {
    /// Whether the other side may have acted.
    pub kind: SendErrorKind,
    /// What happened, for people.
    pub text: String,
}

/// Whether a request without an answer may have been processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendErrorKind {
    /// Nothing was sent: no connection came about. Safe to send again.
    NotSent,
    /// Nothing was sent: the host's name does not resolve.
    NoSuchHost,
    /// Nothing was sent: the other side could not prove who it is, or speaks no TLS. It will not prove it the next time either.
    Untrusted,
    /// It may have been processed: time-out, reset or a broken answer after sending.
    Unknown,
    /// The answer was larger than [`Limits::body_bytes`].
    TooLarge,
    /// The run was cancelled while waiting.
    Cancelled,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for SendError {}

/// Somebody asked the run to stop, or what ran beside a lane made it pointless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled(pub Signal);

/// Which signal asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM or SIGHUP.
    Terminate,
    /// None: what ran beside it failed, see [`World::end_lanes`].
    Beside,
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Signal::Interrupt => "interrupted",
            Signal::Terminate => "terminated",
            Signal::Beside => "ended, because what ran beside it failed",
        })
    }
}

impl std::error::Error for Cancelled {}

/// A configured command: a check or a build step.
#[derive(Clone, Debug)]
pub struct Command {
    /// Run by `sh -c`.
    pub script: String,
    /// Working directory.
    pub dir: PathBuf,
    /// The whole environment of the child, credentials never among it.
    pub env: Vec<(String, String)>,
    /// After this the process group gets SIGTERM, and SIGKILL a few seconds later.
    pub timeout: Duration,
}

/// What a running command does.
#[derive(Clone, Copy, Debug)]
pub enum RunEvent<'a> {
    /// One line of standard output or standard error.
    Line(&'a str),
    /// About once a second: time passes.
    Tick,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// It exited by itself.
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
    /// It ran longer than it may.
    TimedOut,
    /// The run was cancelled.
    Cancelled,
}

/// Everything the engine needs from outside.
pub trait World: Sync {
    /// Reads both clocks.
    fn now(&self) -> Now;

    /// Sleeps, unless the run is cancelled first.
    ///
    /// # Errors
    /// When the run was cancelled before or during the sleep.
    fn sleep(&self, duration: Duration) -> Result<(), Cancelled>;

    /// Whether somebody asked the run to stop, or the lanes that run now are to end.
    fn cancelled(&self) -> Option<Cancelled>;

    /// Sends one request, once: no retry, no redirect.
    ///
    /// # Errors
    /// When no whole answer came; the kind says whether the other side may have acted.
    fn send(&self, request: &Request, limits: Limits) -> Result<Response, SendError>;

    /// As [`World::send`], for a body of any length: it is handed over piece by piece and not kept. What the answer holds of it is
    /// its beginning.
    ///
    /// # Errors
    /// As for [`World::send`]; pieces may have come before.
    fn receive(
        &self,
        request: &Request,
        limits: Limits,
        on: &mut dyn FnMut(&[u8]),
    ) -> Result<Response, SendError> {
        let response = self.send(request, limits)?;
        on(response.body());
        Ok(response)
    }

    /// Runs a configured command to its end.
    ///
    /// # Errors
    /// When it could not be started.
    fn run(&self, command: &Command, on: &mut dyn FnMut(RunEvent<'_>)) -> anyhow::Result<RunEnd>;

    /// Runs `task(0..count)` on the pool for small work (uploads, hashing) and waits.
    fn each(&self, count: usize, task: &(dyn Fn(usize) + Sync));

    /// Runs `task(0..count)`, each on a thread of its own from the first moment, and waits.
    fn lanes(&self, count: usize, task: &(dyn Fn(usize) + Sync));

    /// Ends the lanes that run now: until the last of them has returned they find themselves cancelled, and nobody afterwards.
    fn end_lanes(&self);

    /// The shared memory of all runs: what is live, who holds the lease.
    fn refs(&self) -> &dyn Refs;

    /// The run's own memory.
    fn journal(&self) -> &Journal;

    /// From now on events belong to `run`, which already has the `earlier` ones.
    fn attach(&self, run: &RunId, earlier: &[Event]);

    /// Hands an event to the dispatcher.
    fn emit(&self, event: EventKind);

    /// A random number, for jitter and nonces.
    fn random(&self) -> u64;
}
