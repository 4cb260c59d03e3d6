//! The command line: what can be asked, and who answers it.

pub mod app;
pub mod bench;
pub mod ci;
pub mod cloud;
pub mod codegen;
pub mod deploy;
pub mod doctor;
pub mod history;
pub mod lock;
pub mod migrate;
pub mod pipes;
pub mod plan;
pub mod prepare;
pub mod rollback;
pub mod status;

use crate::console::Console;
use crate::environ::Environ;
use crate::exit::Exit;
use crate::ids::Lane;
use crate::remote_migrate;
use crate::sink;
use app::Failure;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

/// Releases a web frontend and its backend as one release.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    about,
    max_term_width = 100,
    propagate_version = true
)]
#[command(
    after_help = "Without --prod everything happens in the `local` environment, on this machine, with no accounts.\nExit codes say what state production is in; README.md lists them."
)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub struct Globals {
    /// Configuration file [default: deploy.toml here or in a folder above]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub config: Option<PathBuf>,
    /// The environment, by its name in the configuration [default: local]
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help_heading = "Global options"
    )]
    pub env: Option<String>,
    /// How progress is shown on standard error
    #[arg(long, global = true, value_enum, default_value_t = Log::Auto, help_heading = "Global options")]
    pub log: Log,
    /// Results only
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// Also what commands print
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub verbose: bool,
    /// Colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, help_heading = "Global options")]
    pub color: Color,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Log {
    /// A live display on terminals, a CI log elsewhere.
    Auto,
    /// A live display.
    Terminal,
    /// One line per event.
    Ci,
    /// One JSON document per event.
    Ndjson,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On terminals, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `--prod`, for the commands that act on an environment.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Where {
    /// The production environment; the same as --env production
    #[arg(long)]
    pub prod: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Release what differs from what is live, both lanes in parallel, as one release
    Deploy(deploy::DeployArgs),
    /// Show what a deploy would do, and why
    Plan(plan::PlanArgs),
    /// Explain why a lane would run or not, file by file
    Why(plan::WhyArgs),
    /// Apply, inspect or rehearse database migrations
    Migrate(migrate::MigrateArgs),
    /// Bring an earlier release back
    Rollback(rollback::RollbackArgs),
    /// Show what is live, whether it is healthy, and any skew or drift
    Status(status::StatusArgs),
    /// Look for what would stop a release
    Doctor(doctor::DoctorArgs),
    /// List releases and runs, newest first
    History(history::HistoryArgs),
    /// Show one run: its plan, its steps, how it ended
    Show(history::ShowArgs),
    /// Write one run as a self-contained HTML page
    Report(history::ReportArgs),
    /// Look at, take or release the lock of an environment
    Lock(lock::LockArgs),
    /// Manage the embedded local cloud
    Cloud(cloud::CloudArgs),
    /// Filter paths on standard input by a lane's pattern dialect
    Match(pipes::MatchArgs),
    /// Remove registered credentials from standard input
    Redact(pipes::RedactArgs),
    /// Run what a change must pass, section by section, with a table of times at the end
    Ci(ci::CiArgs),
    /// Write the workflows, render.yaml and the site's rules for the backend from deploy.toml
    Codegen(codegen::CodegenArgs),
    /// Measure what orchestration costs, as ratios against an ideal or a peer
    Bench(bench::BenchArgs),
    /// Print a completion script for a shell
    Completions(pipes::CompletionsArgs),
}

impl Command {
    /// The document of a command that was asked for one and could not do its work.
    fn failure_json(&self, failure: &Failure) -> Option<String> {
        match self {
            Self::Deploy(deploy::DeployArgs { json: true, .. })
            | Self::Rollback(rollback::RollbackArgs { json: true, .. })
            | Self::Status(status::StatusArgs { json: true, .. })
            | Self::Plan(plan::PlanArgs { json: true, .. }) => {
                Some(sink::json::failure(failure.exit, &failure.text))
            }
            Self::Migrate(args) if args.engine.json => {
                Some(remote_migrate::Report::failure(failure.exit, &failure.text).json())
            }
            Self::History(history::HistoryArgs { json: true, .. })
            | Self::Show(history::ShowArgs { json: true, .. })
            | Self::Doctor(doctor::DoctorArgs { json: true, .. })
            | Self::Cloud(cloud::CloudArgs {
                action: cloud::Action::Status { json: true },
            }) => Some(format!(
                "{:#}",
                serde_json::json!({ "exit_code": failure.exit.code(), "error": failure.text })
            )),
            _ => None,
        }
    }
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let environ = match Environ::from_process() {
        Ok(environ) => environ,
        Err(error) => {
            Console::new(false, 80).err(&format!("error: {error:#}"));
            return ExitCode::from(Exit::Usage.code());
        }
    };
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            return usage(
                &error,
                std::env::args().any(|argument| argument == "--json"),
            );
        }
    };
    let color = match cli.globals.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            environ.stderr_is_terminal
                && environ.var("NO_COLOR").is_none_or(str::is_empty)
                && environ.var("TERM") != Some("dumb")
        }
    };
    // Standard output decides for itself when nothing was said: it may be a pipe while standard error is a terminal.
    match cli.globals.color {
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
        Color::Auto => {}
    }
    let console = Console::new(color, environ.columns.map_or(80, usize::from));
    hide_secrets_in_panics(&console);
    // The hook above has told of the panic; what is left is the exit code that the interface promises.
    let ended =
        catch_unwind(AssertUnwindSafe(|| run(&cli, &environ, &console))).unwrap_or_else(|_| {
            Err(Failure {
                exit: Exit::Bug,
                text: "the program panicked; the lines above say where".to_owned(),
            })
        });
    match ended {
        Ok(exit) => ExitCode::from(exit),
        Err(failure) => {
            console.err(&failure.render(console.color));
            if let Some(document) = cli.command.failure_json(&failure) {
                console.out(&document);
            }
            ExitCode::from(failure.exit.code())
        }
    }
}

/// `--help` and `--version` are results, everything else is a usage error.
fn usage(error: &clap::Error, json: bool) -> ExitCode {
    let help = !error.use_stderr();
    let _closed = error.print();
    if json && !help {
        Console::new(false, 80).out(&sink::json::failure(Exit::Usage, error.to_string().trim()));
    }
    ExitCode::from(if help {
        Exit::Done.code()
    } else {
        Exit::Usage.code()
    })
}

/// A panic message may quote what it choked on.
fn hide_secrets_in_panics(console: &Console) {
    let console = console.clone();
    std::panic::set_hook(Box::new(move |info| {
        console.err(&format!("bug: {info}\nhint: please report this; `cargo xtask deploy --resume` goes on with an unfinished run"));
    }));
}

fn run(cli: &Cli, environ: &Environ, console: &Console) -> Result<u8, Failure> {
    let app = app::App {
        environ,
        console,
        globals: &cli.globals,
    };
    match &cli.command {
        Command::Deploy(args) => deploy::run(&app, args),
        Command::Plan(args) => plan::run(&app, args),
        Command::Why(args) => plan::why(&app, args),
        Command::Migrate(args) => migrate::run(&app, args),
        Command::Rollback(args) => rollback::run(&app, args),
        Command::Status(args) => status::run(&app, args),
        Command::Doctor(args) => doctor::run(&app, args),
        Command::History(args) => history::run(&app, args),
        Command::Show(args) => history::show(&app, args),
        Command::Report(args) => history::report(&app, args),
        Command::Lock(args) => lock::run(&app, args),
        Command::Cloud(args) => cloud::run(&app, args),
        Command::Match(args) => pipes::run_match(&app, args),
        Command::Redact(args) => pipes::run_redact(&app, args),
        Command::Ci(args) => ci::run(&app, args),
        Command::Codegen(args) => codegen::run(&app, args),
        Command::Bench(args) => bench::run(&app, args),
        Command::Completions(args) => pipes::run_completions(&app, args),
    }
}

/// The command line as clap knows it: for completions and documentation.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses a lane's name.
fn lane(text: &str) -> Result<Lane, String> {
    Lane::ALL
        .into_iter()
        .find(|lane| lane.name() == text)
        .ok_or_else(|| format!("'{text}' is no lane (hint: frontend or backend)"))
}
