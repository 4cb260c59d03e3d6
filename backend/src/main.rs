//! The revenue service: reads the environment once, migrates the database, then listens.
//!
//! `backend` serves; `backend seed-demo` fills an empty database with demonstration data.

use std::{env, path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use tokio::{
    net::TcpListener,
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::timeout,
};

use crate::{http::App, settings::Settings, store::Store};

mod backups;
mod clock;
mod commit;
mod currency;
mod date;
mod demo;
mod disk;
mod entry;
mod fields;
mod head;
mod http;
mod log;
mod migrations;
mod server;
mod settings;
mod slots;
mod store;
mod token;

const USAGE: &str = "\
usage: backend             migrate the database and serve
       backend seed-demo   fill an empty database with demonstration data

environment:
  HOST                 address to listen on (0.0.0.0)
  PORT                 port to listen on (10000; 0 for any free one)
  DATABASE_PATH        the SQLite file (/var/data/tandem.db); its directory must exist
  RENDER_GIT_COMMIT    the full commit id, unless TANDEM_COMMIT was set when this was built
  TANDEM_ADMIN_TOKEN   at least 32 bytes; without it there are no administration routes
  TANDEM_DEMO_DATA     1 fills an empty database with demonstration data at start";

/// How long to wait for the database when stopping.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long work that was cut off may take to notice before the process ends without it.
const RUNTIME_GRACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.to_str()).collect();
    let result = match arguments.as_slice() {
        [] => run(Command::Serve),
        [Some("seed-demo")] => run(Command::SeedDemo),
        [Some("help" | "--help" | "-h")] => {
            log::text(USAGE);
            Ok(())
        }
        _ => {
            log::warn("unknown arguments; see `backend --help`");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::warn(format_args!("backend: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[derive(Clone, Copy)]
enum Command {
    Serve,
    SeedDemo,
}

fn run(command: Command) -> Result<()> {
    let settings = Settings::read(option_env!("TANDEM_COMMIT"), variable)?;
    log::info(format_args!(
        "starting: commit {}, database {}",
        settings.commit,
        settings.database.display()
    ));
    require_directory(&settings.database)?;
    migrations::apply_at_start(&settings.database, &settings.commit)?;
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let result = match command {
        Command::Serve => runtime.block_on(serve(settings)),
        Command::SeedDemo => runtime.block_on(seed_demo(&settings)),
    };
    runtime.shutdown_timeout(RUNTIME_GRACE);
    result
}

async fn serve(settings: Settings) -> Result<()> {
    // Before listening, so that no signal finds the default handler, which would drop requests.
    let signals = watch_signals().context("watch for signals")?;
    let store = Arc::new(Store::open(&settings.database)?);
    if settings.demo_data {
        fill_if_empty(&store).await?;
    }
    if settings.admin.is_none() {
        log::info("administration routes are off, because TANDEM_ADMIN_TOKEN is not set");
    }
    let (host, port) = (settings.host.as_str(), settings.port);
    let listener = TcpListener::bind((host, port))
        .await
        .with_context(|| format!("listen on {host}:{port} (HOST and PORT)"))?;
    log::info(format_args!(
        "listening on http://{}",
        listener.local_addr()?
    ));
    let app = Arc::new(App::new(
        Arc::clone(&store),
        settings.commit,
        settings.admin,
    ));
    server::serve(
        listener,
        app,
        received(signals.clone(), 1),
        received(signals, 2),
    )
    .await;
    close(&store).await;
    log::info("stopped");
    Ok(())
}

async fn fill_if_empty(store: &Store) -> Result<()> {
    let count = demo::seed_if_empty(store)
        .await
        .context("write demonstration data")?;
    if count == 0 {
        log::info("demonstration data: not written, because there are bookings");
    } else {
        log::info(format_args!(
            "demonstration data: {count} bookings written, because TANDEM_DEMO_DATA is 1"
        ));
    }
    Ok(())
}

/// Empties the write-ahead log, unless a request that was cut off still holds the database: the
/// platform kills the process 5 s after the drain cap, and the next start reads the log as well.
async fn close(store: &Store) {
    match timeout(CLOSE_TIMEOUT, store.checkpoint()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::warn(format_args!(
            "stopping: {error:#}; the next start reads the log"
        )),
        Err(_) => log::warn("stopping: the database is still in use; the next start reads the log"),
    }
}

async fn seed_demo(settings: &Settings) -> Result<()> {
    let store = Store::open(&settings.database)?;
    let count = demo::seed(&store).await?;
    log::info(format_args!("demonstration data: {count} bookings written"));
    store.checkpoint().await
}

/// Counts the signals that ask the process to end.
fn watch_signals() -> Result<watch::Receiver<u32>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (count, receiver) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(receiver)
}

async fn received(mut signals: watch::Receiver<u32>, at_least: u32) {
    // The sender lives as long as the runtime, so this cannot fail while it is awaited.
    signals.wait_for(|count| *count >= at_least).await.ok();
}

/// A missing directory means that the disk is not mounted there. Creating it would seem to work
/// and lose every booking with the next release.
fn require_directory(database: &Path) -> Result<()> {
    let directory = database
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty());
    match directory {
        Some(directory) if !directory.is_dir() => bail!(
            "{} is not a directory; mount the disk there, or set DATABASE_PATH to a file on one",
            directory.display()
        ),
        _ => Ok(()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn variable(name: &str) -> Result<Option<String>> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => bail!("{name} is not UTF-8"),
    }
}
