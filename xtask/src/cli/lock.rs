//! `cargo xtask lock`: the lease of an environment, by hand.

use super::Where;
use super::app::{App, Failure};
use super::status::observe;
use crate::config::LOCAL;
use crate::exit::Exit;
use crate::ids::RunId;
use crate::lease::{self, Holder, Lease};
use crate::live;
use crate::local_cloud;
use crate::process;
use crate::run::Session;
use clap::{Args, Subcommand};
use std::time::Duration;

/// Look at, take or release the lock of an environment.
#[derive(Args, Debug)]
pub struct LockArgs {
    #[command(flatten)]
    pub place: Where,
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with it.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show who holds it
    Status,
    /// Keep every run out until it is released by hand
    Take {
        /// Why; shown to everybody who is kept out
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Give it free, whoever holds it
    Release,
}

/// Runs the command.
///
/// # Errors
/// When the store cannot be asked, or somebody holds the lock already.
pub fn run(app: &App<'_>, args: &LockArgs) -> Result<u8, Failure> {
    let project = app.project()?;
    let name = app.environment(args.place)?;
    let cloud = if name.as_str() == LOCAL { Some(local_cloud::ensure(&project, None)?) } else { None };
    let connected = app.connect(&project, &name, cloud.as_ref())?;
    let mut text = String::new();
    observe(app, &project, &connected, |session| {
        text = match &args.action {
            Action::Status => status(session)?,
            Action::Take { reason } => take(session, reason)?,
            Action::Release => release(session)?,
        };
        Ok(())
    })?;
    app.console.out(&text);
    Ok(Exit::Done.code())
}

fn status(session: &Session<'_>) -> anyhow::Result<String> {
    let name = &session.target.name;
    Ok(match lease::holder(session.world, name)? {
        None => format!("{name} is not locked"),
        Some((_, holder)) => format!("{name} is locked: {}", lease::LeaseError::Held(Box::new(holder))),
    })
}

fn take(session: &Session<'_>, reason: &str) -> Result<String, Failure> {
    let now = session.world.now().wall_ms;
    let holder = Holder {
        run: RunId(format!("manual-{:08x}", session.world.random() & 0xffff_ffff)),
        by: session.by.clone(),
        process: process::current(),
        since_ms: now,
        renewed_ms: now,
        reason: Some(reason.to_owned()),
        nonce: String::new(),
    };
    Lease::acquire(session.world, &session.target.name, holder, Duration::ZERO, session.is_dead).map_err(|error| Failure::refused(error.to_string()))?;
    Ok(format!("{} is locked: {reason} (hint: `cargo xtask lock release` gives it free)", session.target.name))
}

fn release(session: &Session<'_>) -> anyhow::Result<String> {
    let name = &session.target.name;
    let reference = live::lease_ref(name);
    // Read without parsing: a damaged lease must be removable too.
    let Some(value) = session.world.refs().read(&reference)? else { return Ok(format!("{name} was not locked")) };
    session.world.refs().delete(&reference, &value.oid)?;
    Ok(format!("{name} is free"))
}
