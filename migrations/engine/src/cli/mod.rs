//! The command line over the library: the same for `cargo xtask migrate` and for the small binary that a server starts
//! with.

mod answer;
mod exec;
mod new_file;
mod progress;

pub use exec::{Exec, exec};

use crate::cancel::Cancel;
use crate::error::{Error, exit_code};
use crate::event::Event;
use crate::{Discovery, MigrationFile, Migrator, Order, look_into};
use answer::Answer;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What to do, to which database, with which files.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("action").multiple(false)))]
pub struct Args {
    /// The database file; created if absent, its folder is not
    #[arg(long, value_name = "FILE")]
    pub database: Option<PathBuf>,
    /// The folder with the migrations
    #[arg(long, value_name = "DIR", default_value = "migrations")]
    pub dir: PathBuf,
    /// Show what is applied and what is pending
    #[arg(long, group = "action")]
    pub status: bool,
    /// Show the statements that would run, after running them on a copy; with --baseline, what it would record
    #[arg(long)]
    pub dry_run: bool,
    /// Apply the pending files to a copy: time, rows, foreign keys, size and locks
    #[arg(long, group = "action")]
    pub rehearse: bool,
    /// Say of each pending file whether the previous release can run on what it leaves
    #[arg(long, group = "action")]
    pub lint: bool,
    /// Make the next file of the folder
    #[arg(long, group = "action", value_name = "NAME")]
    pub new: Option<String>,
    /// Record the files up to FILE as applied without running them; `auto` finds the file
    #[arg(long, group = "action", value_name = "FILE")]
    pub baseline: Option<String>,
    /// Compare files and history, and check the database: `full` also compares every index with its table
    #[arg(long, group = "action", value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "full")]
    pub verify: Option<VerifyArg>,
    /// Make the history agree with the files as they are now
    #[arg(long, group = "action")]
    pub repair: bool,
    /// Print the definitions in the database
    #[arg(long, group = "action")]
    pub dump_schema: bool,
    /// Make a checked backup beside the database
    #[arg(long, group = "action")]
    pub backup: bool,
    /// Put a backup in the place of the database
    #[arg(long, group = "action", value_name = "BACKUP")]
    pub restore: Option<PathBuf>,
    /// One transaction per file instead of one for all
    #[arg(long)]
    pub per_file: bool,
    /// How file names are ordered, where bytes and numbers disagree
    #[arg(long, value_name = "ORDER")]
    pub order: Option<OrderArg>,
    /// Files bring their own BEGIN and COMMIT; leave them out
    #[arg(long)]
    pub own_transaction: bool,
    /// The table that remembers what was applied
    #[arg(long, value_name = "NAME", default_value = "migrations")]
    pub history_table: String,
    /// How long to wait for another writer
    #[arg(long, value_name = "SECS", default_value_t = 30)]
    pub timeout: u64,
    /// Print one JSON document, also on failure
    #[arg(long)]
    pub json: bool,
    /// The commit to record beside each file; the caller reads it from its environment
    #[arg(skip)]
    pub git_commit: Option<String>,
    /// Accept a database that a newer, compatible release has migrated: for a service that starts
    #[arg(skip)]
    pub allow_newer: bool,
}

/// `--verify` as it is spelled.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyArg {
    /// Every page and foreign key
    Quick,
    /// Every page, index and foreign key
    Full,
}

/// `--order` as it is spelled.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderArg {
    /// 10.sql before 2.sql
    Bytes,
    /// 2.sql before 10.sql
    Natural,
}

impl Args {
    /// The database, or the usage error that it is missing.
    fn database(&self) -> Result<PathBuf, Usage> {
        self.database
            .clone()
            .ok_or(Usage("name the database: --database FILE"))
    }

    /// Is there an action that a dry run cannot go with?
    fn other_action(&self) -> bool {
        let flags = [
            self.status,
            self.rehearse,
            self.lint,
            self.repair,
            self.dump_schema,
            self.backup,
        ];
        flags.contains(&true)
            || self.new.is_some()
            || self.verify.is_some()
            || self.restore.is_some()
    }

    fn order(&self) -> Option<Order> {
        self.order.map(|order| match order {
            OrderArg::Bytes => Order::Bytes,
            OrderArg::Natural => Order::Natural,
        })
    }

    /// A migrator for these arguments and files.
    ///
    /// # Errors
    /// None but a missing `--database`, as text.
    pub fn migrator(&self, files: Vec<MigrationFile>) -> Result<Migrator, String> {
        let database = self.database().map_err(|usage| usage.0.to_owned())?;
        Ok(Migrator::new(database, files)
            .timeout(Duration::from_secs(self.timeout))
            .history_table(&self.history_table)
            .per_file(self.per_file)
            .own_transaction(self.own_transaction)
            .allow_newer(self.allow_newer)
            .git_commit(self.git_commit.clone()))
    }
}

/// A request that cannot even be tried.
struct Usage(&'static str);

/// Carries out the request; results go to `out`, progress and errors to `err`. Answers the exit code: 0 done, 2 usage,
/// 3 refused, 4 failed and rolled back, 9 the database needs a person, 130 and 143 interrupted.
pub fn run(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let cancel = Cancel::new();
    let _signals = progress::Signals::listen(&cancel);
    run_until(&cancel, args, out, err)
}

fn run_until(cancel: &Cancel, args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    if args.dry_run && args.other_action() {
        let message = "--dry-run goes with --baseline or stands alone";
        return finish(args, Ok(Answer::usage(message)), out, err);
    }
    if let Some(name) = &args.new {
        return finish(args, new_file::create(&args.dir, name), out, err);
    }
    if args.database.is_none() {
        return finish(
            args,
            Ok(Answer::usage("name the database: --database FILE")),
            out,
            err,
        );
    }
    finish(args, work(args, cancel, err), out, err)
}

fn finish(
    args: &Args,
    answer: Result<Answer, Error>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let answer = answer.unwrap_or_else(|error| Answer::failed(&error, &[], &[]));
    let written = answer.write(args.json, out, err);
    // A reader that has gone away, as in `| head`, does not undo what was done.
    if written.is_err_and(|error| error.kind() != std::io::ErrorKind::BrokenPipe)
        && answer.code == exit_code::DONE
    {
        return 1;
    }
    answer.code
}

/// Runs the migrator on its own thread, so that events are written while it works.
fn work(args: &Args, cancel: &Cancel, err: &mut dyn Write) -> Result<Answer, Error> {
    // A restore, a backup and a dump are possible without the folder.
    let folder_needed = args.restore.is_none() && !args.backup && !args.dump_schema;
    let found = match look_into(&args.dir, args.order()) {
        Ok(found) => found,
        Err(error) if folder_needed => return Err(error),
        Err(_) => Discovery::default(),
    };
    if folder_needed {
        progress::say_ignored(&args.dir, &found, err);
    }
    let (relay, receiver) = progress::Relay::new();
    let committed = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&committed);
    let migrator = match args.migrator(found.files) {
        Ok(migrator) => migrator.cancel(cancel),
        Err(message) => return Ok(Answer::usage(&message)),
    };
    let migrator = migrator.on_event(move |event| {
        if let Event::Committed { files } = &event {
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(files.iter().cloned());
        }
        relay.pass(event);
    });
    let outcome = std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let outcome = act(args, &migrator);
            // Read here, while the migrator lives: what is still to do after a failure.
            let pending = outcome.as_ref().err().map(|_| migrator.unrecorded());
            (outcome, pending.unwrap_or_default())
        });
        for events in receiver {
            progress::write(&events, err);
        }
        worker.join()
    });
    match outcome {
        Ok((Ok(answer), _)) => Ok(answer),
        Ok((Err(error), pending)) => {
            let applied = committed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            Ok(Answer::failed(&error, &applied, &pending))
        }
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn act(args: &Args, migrator: &Migrator) -> Result<Answer, Error> {
    if args.status {
        migrator.status().map(|status| Answer::status(&status))
    } else if args.rehearse {
        migrator
            .rehearse()
            .map(|rehearsal| Answer::rehearsal(&rehearsal))
    } else if args.lint {
        migrator.lint().map(|lint| Answer::lint(&lint))
    } else if let Some(file) = &args.baseline {
        baseline(args, migrator, file)
    } else if args.dry_run {
        migrator.dry_run().map(|plan| Answer::dry_run(&plan))
    } else if let Some(how) = args.verify {
        let verification = match how {
            VerifyArg::Full => migrator.verify(),
            VerifyArg::Quick => migrator.verify_quickly(),
        }?;
        Ok(Answer::verification(&verification, &migrator.status()?))
    } else if args.repair {
        let repair = migrator.repair()?;
        Ok(Answer::repair(&repair, &migrator.status()?))
    } else if args.dump_schema {
        migrator.schema().map(|schema| Answer::schema(&schema))
    } else if args.backup {
        migrator.backup().map(|path| Answer::backup(&path))
    } else if let Some(backup) = &args.restore {
        migrator
            .restore(backup)
            .map(|restore| Answer::restore(&restore))
    } else {
        migrator.apply().map(|report| Answer::applied(&report))
    }
}

fn baseline(args: &Args, migrator: &Migrator, file: &str) -> Result<Answer, Error> {
    if !args.dry_run {
        let baseline = migrator.baseline(file)?;
        return Ok(Answer::baseline(&baseline, &migrator.status()?));
    }
    let proposal = migrator.propose_baseline(file)?;
    let names = migrator.files.iter().map(|file| file.name.clone());
    let pending = names.skip_while(|name| *name != proposal.last).skip(1);
    Ok(Answer::proposal(&proposal, &pending.collect::<Vec<_>>()))
}
