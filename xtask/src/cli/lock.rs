//! `cargo xtask lock`: the lease of an environment, by hand.

use super::Where;
use super::app::{App, Failure};
use crate::exit::Exit;
use crate::ids::{EnvironmentName, RunId};
use crate::lease::{self, Holder, Lease, LeaseError, Terms};
use crate::live;
use crate::process;
use crate::real::{CancelFlag, Real};
use crate::refs::Swap;
use crate::world::World as _;
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

/// Runs the command. It needs the refs only: no credential of a provider, and no running cloud.
///
/// # Errors
/// When the store cannot be asked, or somebody holds the lock already.
pub fn run(app: &App<'_>, args: &LockArgs) -> Result<u8, Failure> {
    let project = app.project()?;
    let name = app.environment(args.place)?;
    let journal = app.journal(&project)?;
    let refs = app.refs(&project, &name);
    let dispatcher = app.dispatcher();
    let world = Real::new(&journal, &refs, &dispatcher, CancelFlag::default())?;
    let text = match &args.action {
        Action::Status => status(&world, &name)?,
        Action::Take { reason } => take(app, &world, &name, reason)?,
        Action::Release => release(&world, &name)?,
    };
    app.console.out(&text);
    Ok(Exit::Done.code())
}

fn status(world: &Real<'_>, name: &EnvironmentName) -> anyhow::Result<String> {
    Ok(match lease::holder(world, name)? {
        None => format!("{name} is not locked"),
        Some((_, holder)) => format!("{name} is locked: {}", LeaseError::Held(Box::new(holder))),
    })
}

fn take(
    app: &App<'_>,
    world: &Real<'_>,
    name: &EnvironmentName,
    reason: &str,
) -> Result<String, Failure> {
    let now = world.now().wall_ms;
    let holder = Holder {
        run: RunId(format!("manual-{:08x}", world.random() & 0xffff_ffff)),
        by: app.by(),
        process: process::current(),
        since_ms: now,
        renewed_ms: now,
        reason: Some(reason.to_owned()),
        nonce: String::new(),
    };
    let terms = Terms {
        wait: Duration::ZERO,
        is_dead: &process::is_dead,
        break_glass: false,
    };
    Lease::acquire(world, name, holder, terms)
        .map_err(|error| Failure::refused(error.to_string()))?;
    Ok(format!(
        "{name} is locked: {reason} (hint: `cargo xtask lock release` for the same environment gives it free)"
    ))
}

fn release(world: &Real<'_>, name: &EnvironmentName) -> Result<String, Failure> {
    let reference = live::lease_ref(name);
    // Read without parsing: a damaged lease must be removable too.
    let Some(value) = world.refs().read(&reference)? else {
        return Ok(format!("{name} was not locked"));
    };
    match world.refs().delete(&reference, &value.oid)? {
        Swap::Moved(_) => {}
        Swap::Lost(_) => {
            return Err(Failure::refused(format!(
                "the lock of {name} was renewed or taken at the same moment: a run is at work (hint: `lock status` names it)"
            )));
        }
    }
    Ok(match lease::parse(&value) {
        Ok(holder) => format!(
            "{name} is free; it was held by run {} of {} on {}",
            holder.run, holder.by, holder.process.host
        ),
        Err(_) => format!("{name} is free; what held it could not be read"),
    })
}
