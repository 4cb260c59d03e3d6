//! The binary that a server starts with: `migrate --database FILE --dir DIR`, or `migrate exec … -- COMMAND`.
#![expect(
    clippy::disallowed_methods,
    reason = "main reads the environment once and hands it on"
)]

use clap::{Parser as _, Subcommand};
use migrate::cli;
use std::process::ExitCode;

/// Applies SQL files to a SQLite database once and wholly, or not at all.
#[derive(clap::Parser, Debug)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    args: cli::Args,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Migrate, then become COMMAND
    Exec(cli::Exec),
}

fn main() -> ExitCode {
    let Cli { command, mut args } = Cli::parse();
    // Where the files came from, as the hosts that run this name it.
    let commit = ["RENDER_GIT_COMMIT", "GITHUB_SHA"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let code = match command {
        Some(Command::Exec(mut exec)) => {
            exec.args.git_commit = commit;
            cli::exec(&exec, std::env::var_os("PATH").as_ref(), &mut out, &mut err)
        }
        None => {
            args.git_commit = commit;
            cli::run(&args, &mut out, &mut err)
        }
    };
    ExitCode::from(code)
}
