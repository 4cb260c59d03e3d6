//! `cargo xtask migrate`: the engine on a file, or through the running service of an environment.

use super::Where;
use super::app::{App, Failure};
use super::status::observe;
use crate::config::LOCAL;
use crate::exit::Exit;
use crate::local_cloud;
use crate::remote_migrate::{self, Action, Report};
use crate::source;
use clap::Args;
use std::path::Path;

/// The engine's default for both the history table and the folder.
const DEFAULT_NAME: &str = "migrations";
/// The engine's default for `--timeout`.
const DEFAULT_TIMEOUT_S: u64 = 30;

/// Apply, inspect or rehearse database migrations.
///
/// With --database on a file; otherwise through the running service of the environment, which applies what it carries.
#[derive(Args, Debug)]
pub struct MigrateArgs {
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub engine: migrate::cli::Args,
}

/// Runs the command.
///
/// # Errors
/// When it could not begin.
pub fn run(app: &App<'_>, args: &MigrateArgs) -> Result<u8, Failure> {
    let engine = &args.engine;
    let on_files_only = engine.new.is_some();
    if engine.database.is_some() || on_files_only {
        if args.place.prod {
            return Err(Failure::usage(
                "--prod and --database name two databases (hint: give one of them)",
            ));
        }
        return Ok(on_file(app, engine));
    }
    let report = through_service(app, args)?;
    app.console.out(&if engine.json {
        report.json()
    } else {
        report.text()
    });
    Ok(report.exit.code())
}

fn through_service(app: &App<'_>, args: &MigrateArgs) -> Result<Report, Failure> {
    let action = action(&args.engine)?;
    let project = app.project()?;
    let name = app.environment(args.place)?;
    let cloud = if name.as_str() == LOCAL {
        let hint = "the local cloud is not running, so there is no database yet (hint: `cargo xtask deploy` makes the first release; --database FILE works on a file)";
        Some(local_cloud::find(&project)?.ok_or_else(|| Failure::refused(hint))?)
    } else {
        None
    };
    let connected = app.connect(&project, &name, cloud.as_ref())?;
    let found = project.git.source()?;
    let source = source::read(&project.git, &project.config, &project.filters, found)?;
    let mut outcome = None;
    observe(app, &project, &connected, |session| {
        outcome = Some(remote_migrate::run(session, &source.migrations, action));
        Ok(())
    })?;
    outcome.ok_or_else(|| Failure {
        exit: Exit::Bug,
        text: "migrate ended without a report".to_owned(),
    })
}

/// What can be asked of a service that owns its disk alone.
fn action(engine: &migrate::cli::Args) -> Result<Action, Failure> {
    let local_only = [
        ("--baseline", engine.baseline.is_some()),
        ("--repair", engine.repair),
        ("--backup", engine.backup),
        ("--restore", engine.restore.is_some()),
        ("--verify", engine.verify.is_some()),
        ("--dump-schema", engine.dump_schema),
        ("--per-file", engine.per_file),
        ("--order", engine.order.is_some()),
        ("--own-transaction", engine.own_transaction),
        ("--history-table", engine.history_table != DEFAULT_NAME),
        ("--dir", engine.dir != Path::new(DEFAULT_NAME)),
        ("--timeout", engine.timeout != DEFAULT_TIMEOUT_S),
    ];
    if let Some((flag, _)) = local_only.iter().find(|(_, given)| *given) {
        return Err(Failure::usage(format!(
            "{flag} works on a database file: say --database FILE (hint: the service's disk cannot be reached from here, only by a process on it; \
             a pre-deploy command and a one-off job run without that disk)"
        )));
    }
    Ok(if engine.status {
        Action::Status
    } else if engine.rehearse || engine.dry_run {
        Action::Rehearse
    } else if engine.lint {
        Action::Lint
    } else {
        Action::Apply
    })
}

fn on_file(app: &App<'_>, engine: &migrate::cli::Args) -> u8 {
    let (mut out, mut err) = (Vec::new(), Stream(app));
    let mut engine = engine.clone();
    engine.git_commit = app
        .project()
        .ok()
        .and_then(|project| project.git.head())
        .map(|commit| commit.0);
    let code = migrate::cli::run(&engine, &mut out, &mut err);
    if !out.is_empty() {
        app.console.out(&String::from_utf8_lossy(&out));
    }
    code
}

/// Standard error through the console, line by line.
struct Stream<'a>(&'a App<'a>);

impl std::io::Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        if !text.trim().is_empty() {
            self.0.console.err(text.trim_end_matches('\n'));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        engine: migrate::cli::Args,
    }

    fn asked(flags: &[&str]) -> Result<Action, String> {
        let line = Line::try_parse_from(std::iter::once(&"migrate").chain(flags)).unwrap();
        action(&line.engine).map_err(|failure| failure.text)
    }

    #[test]
    fn flags_of_files_are_not_ignored_where_there_is_no_file() {
        assert_eq!(asked(&[]), Ok(Action::Apply));
        assert_eq!(asked(&["--dry-run"]), Ok(Action::Rehearse));
        let flags: [&[&str]; 5] = [
            &["--order", "natural"],
            &["--own-transaction"],
            &["--history-table", "applied"],
            &["--dir", "sql"],
            &["--timeout", "5"],
        ];
        for flag in flags {
            let refusal = asked(flag).unwrap_err();
            assert!(
                refusal.starts_with(flag[0])
                    && refusal.contains("--database FILE")
                    && refusal
                        .contains("a pre-deploy command and a one-off job run without that disk"),
                "{refusal}"
            );
        }
    }
}
