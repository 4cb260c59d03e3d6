//! `cargo xtask rollback`.

use super::Where;
use super::app::{App, Failure, Project};
use super::deploy::with_session;
use crate::ids::{Commit, Lane};
use crate::notify;
use crate::real::{CancelFlag, hear_signals};
use crate::rollback::{Asked, rollback};
use crate::sink;
use crate::source::{self, SourceTree};
use clap::Args;
use migrate::MigrationFile;
use std::collections::BTreeMap;
use std::time::Duration;

/// Bring an earlier release back: the frontend first, then the backend, both proven.
#[derive(Args, Debug)]
pub struct RollbackArgs {
    #[command(flatten)]
    pub place: Where,
    /// The release by the beginning of its id, or ~2 for the second one before the live one [default: ~1]
    #[arg(long, value_name = "RELEASE")]
    pub to: Option<String>,
    /// Only this lane; may be given twice
    #[arg(long, value_name = "LANE", value_parser = super::lane)]
    pub only: Vec<Lane>,
    /// Wait so long for another run to finish
    #[arg(long, value_name = "SECS")]
    pub wait_lock: Option<u64>,
    /// Override a held lock, or the rule that halves belong together; the reason is recorded
    #[arg(long, value_name = "REASON")]
    pub break_glass: Option<String>,
    /// One JSON document on standard output, also on failure
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// When it could not begin.
pub fn run(app: &App<'_>, args: &RollbackArgs) -> Result<u8, Failure> {
    let project = app.project()?;
    let cancel = CancelFlag::default();
    hear_signals(&cancel)?;
    let connected = app.reach(&project, args.place)?;
    let judges = SourceTree {
        migrations: migrations(&project),
        ..no_source()
    };
    with_session(
        app,
        &project,
        &connected,
        &judges,
        None,
        cancel,
        |session, dispatcher| {
            let asked = Asked {
                to: args.to.clone(),
                only: args.only.clone(),
                break_glass: args.break_glass.clone(),
                wait_lock: Duration::from_secs(args.wait_lock.unwrap_or(0)),
            };
            let ended = rollback(session, &asked);
            let state = dispatcher.state();
            if !ended.nothing_to_do {
                notify::all(app, session, &connected, &state);
            }
            app.console.out(&if args.json {
                sink::json::deploy(&ended, &state)
            } else {
                sink::text::deploy(&ended, &state, session.target)
            });
            Ok(ended.verdict.exit.code())
        },
    )
}

/// The checkout's migrations judge an older release when the live database cannot be asked; a checkout that cannot be read
/// must not keep anybody from going back.
fn migrations(project: &Project) -> Vec<MigrationFile> {
    let source = project
        .git
        .source()
        .and_then(|found| source::read(&project.git, &project.config, &project.filters, found));
    source.map(|source| source.migrations).unwrap_or_default()
}

/// For commands that release nothing of the working tree.
pub fn no_source() -> SourceTree {
    SourceTree {
        commit: Commit(String::new()),
        subject: String::new(),
        dirty: Vec::new(),
        versioned: true,
        manifests: BTreeMap::new(),
        migrations: Vec::new(),
        unselected: Vec::new(),
        remote_branches: None,
        folder: None,
    }
}
