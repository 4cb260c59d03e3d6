//! The cloud on loopback: three listeners, real time, real processes, and state that survives a restart.
#![expect(
    clippy::disallowed_methods,
    reason = "this shell owns the clock and the threads of the cloud"
)]

mod connection;
mod proxy;
mod state;
mod wire;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use http::Request;

use crate::blobs::Blobs;
use crate::core::{Cloud, Door, Endpoints, Secrets};
use crate::process::Runner;
use crate::reply::{Reply, RunnerEvent};
use crate::settings::Settings;

pub(crate) use state::{is_locked, note, read_if_there, write_private};

/// Connections served at once over all listeners; more are refused with 503.
const CONNECTIONS_MAX: usize = 512;
/// How long a change may wait before it is written to disk.
const SAVE_AFTER: Duration = Duration::from_millis(200);

/// Wall-clock milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as i64)
}

/// What all threads of a running cloud share.
struct Shared {
    cloud: Mutex<Cloud>,
    /// Notified whenever the core may have something to do or to save.
    wake: Condvar,
    runner: OnceLock<Runner>,
    stopping: AtomicBool,
    connections: AtomicUsize,
    state_dir: PathBuf,
    agent: ureq::Agent,
}

impl Shared {
    fn cloud(&self) -> MutexGuard<'_, Cloud> {
        // A panic elsewhere must not take the whole cloud with it.
        self.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn handle(&self, door: Door, mut request: Request<Vec<u8>>) -> Reply {
        request.extensions_mut().insert(door);
        let reply = self.cloud().handle(now_ms(), request);
        self.wake.notify_all();
        reply
    }

    fn report(&self, event: RunnerEvent) {
        self.cloud().report(now_ms(), event);
        self.wake.notify_all();
    }
}

/// A cloud that runs in this process. Dropping it without [`Shell::stop`] leaves its threads and processes running.
pub struct Shell {
    shared: Arc<Shared>,
    addresses: Vec<std::net::SocketAddr>,
    threads: Vec<JoinHandle<()>>,
    _lock: state::Taken,
}

impl Shell {
    /// Starts the cloud kept in `state_dir`, creating it if it is not there yet.
    ///
    /// # Errors
    /// When another cloud uses the folder, no port can be bound, or the saved state cannot be read.
    pub fn start(state_dir: &Path, settings: Settings) -> Result<Self> {
        let lock = state::lock(state_dir)?;
        let secrets = state::secrets(state_dir)?;
        let listeners = state::bind(state_dir, settings.port)?;
        let url = |at: usize| -> Result<String> {
            Ok(format!(
                "http://{}",
                listeners[at]
                    .local_addr()
                    .context("read a listener's address")?
            ))
        };
        let endpoints = Endpoints {
            api_url: url(0)?,
            site_url: url(1)?,
            service_url: url(2)?,
        };
        let blobs = Blobs::Folder(state_dir.join("blobs"));
        let cloud = match state::saved(state_dir)? {
            Some(bytes) => Cloud::restore(&bytes, settings, endpoints, secrets, blobs, now_ms()).with_context(|| {
                format!("read {}: it was written by another version; remove the folder to start afresh", state_dir.join(state::STATE).display())
            })?,
            None => Cloud::new(settings, endpoints, secrets, blobs, state::random_seed()?, now_ms()),
        };
        let shared = Arc::new(Shared {
            cloud: Mutex::new(cloud),
            wake: Condvar::new(),
            runner: OnceLock::new(),
            stopping: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            state_dir: state_dir.to_owned(),
            agent: proxy::agent(),
        });
        let reporter = Arc::downgrade(&shared);
        let runner = Runner::new(
            state_dir,
            Arc::new(move |event| {
                if let Some(shared) = reporter.upgrade() {
                    shared.report(event);
                }
            }),
        )?;
        ensure!(
            shared.runner.set(runner).is_ok(),
            "the runner was set twice"
        );
        let mut shell = Self {
            shared,
            addresses: Vec::new(),
            threads: Vec::new(),
            _lock: lock,
        };
        shell.spawn("ticker", tick)?;
        for (listener, door) in listeners
            .into_iter()
            .zip([Door::Api, Door::Site, Door::Service])
        {
            shell
                .addresses
                .push(listener.local_addr().context("read a listener's address")?);
            shell.spawn("acceptor", move |shared| accept(&listener, door, shared))?;
        }
        Ok(shell)
    }

    fn spawn(
        &mut self,
        name: &str,
        body: impl FnOnce(&Arc<Shared>) + Send + 'static,
    ) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || body(&shared));
        self.threads
            .push(thread.with_context(|| format!("start the {name} thread"))?);
        Ok(())
    }

    /// Base URLs.
    pub fn endpoints(&self) -> Endpoints {
        self.shared.cloud().endpoints().clone()
    }

    /// Tokens.
    pub fn secrets(&self) -> Secrets {
        self.shared.cloud().secrets.clone()
    }

    /// The site's id.
    pub fn site_id(&self) -> String {
        self.shared.cloud().site_id().to_owned()
    }

    /// The service's id.
    pub fn service_id(&self) -> String {
        self.shared.cloud().service_id().to_owned()
    }

    /// Stops all processes of the service with their grace, closes the listeners and saves the state.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn stop(self) -> Result<()> {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.wake.notify_all();
        for address in self.addresses {
            // Wakes the acceptor; if nobody listens any more, that is what was wanted.
            drop(TcpStream::connect_timeout(&address, Duration::from_secs(1)));
        }
        for thread in self.threads {
            // A thread that panicked has ended too.
            drop(thread.join());
        }
        // Saved before the processes end, so that their end is not taken for a crash.
        let bytes = self
            .shared
            .cloud()
            .save()
            .context("write the state as JSON")?;
        if let Some(runner) = self.shared.runner.get() {
            runner.stop_all();
        }
        state::write_private(&self.shared.state_dir.join(state::STATE), &bytes)
    }
}

/// Drives the core by the clock, hands its orders to the runner, and saves its state.
fn tick(shared: &Arc<Shared>) {
    let mut save_at_ms = 0;
    let mut cloud = shared.cloud();
    while !shared.is_stopping() {
        let now = now_ms();
        cloud.advance(now);
        let actions = cloud.take_actions();
        if !actions.is_empty() {
            let settings = cloud.settings().clone();
            drop(cloud);
            for action in actions {
                if let Some(runner) = shared.runner.get() {
                    runner.dispatch(action, &settings);
                }
            }
            cloud = shared.cloud();
            continue;
        }
        if cloud.is_dirty() && now >= save_at_ms {
            if let Ok(bytes) = cloud.save() {
                drop(cloud);
                // Tried again with the next change; a full disk must not stop the cloud.
                state::write_private(&shared.state_dir.join(state::STATE), &bytes)
                    .unwrap_or_else(|e| state::note(&format!("{e:#}")));
                cloud = shared.cloud();
            }
            // A large state takes long to write: most of the time is left for the work itself.
            let after = now_ms();
            save_at_ms = after + (SAVE_AFTER.as_millis() as i64).max(10 * (after - now));
            continue;
        }
        let until_event = cloud
            .next_event_ms()
            .map_or(1_000, |at| (at - now).clamp(1, 1_000));
        let wait_ms = if cloud.is_dirty() {
            until_event.min((save_at_ms - now).max(1))
        } else {
            until_event
        };
        let wait = Duration::from_millis(wait_ms.unsigned_abs());
        cloud = shared
            .wake
            .wait_timeout(cloud, wait)
            .map_or_else(|e| e.into_inner().0, |(guard, _)| guard);
    }
}

/// One thread per connection, up to a limit.
fn accept(listener: &TcpListener, door: Door, shared: &Arc<Shared>) {
    while !shared.is_stopping() {
        let Ok((stream, _)) = listener.accept() else {
            // Out of file descriptors, most likely: let some connections end.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        if shared.is_stopping() {
            return;
        }
        if shared.connections.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
            shared.connections.fetch_sub(1, Ordering::AcqRel);
            connection::refuse(stream);
            continue;
        }
        let owned = Arc::clone(shared);
        let spawned = std::thread::Builder::new()
            .name("connection".to_owned())
            .spawn(move || {
                connection::serve(stream, &owned, door);
                owned.connections.fetch_sub(1, Ordering::AcqRel);
            });
        if spawned.is_err() {
            shared.connections.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
