//! `migrate exec`: migrates, then becomes the command, so that a server of any language starts on a migrated database.
#![expect(
    clippy::disallowed_methods,
    reason = "replaces this process by the command; there is nothing left to supervise it"
)]

use super::progress::Signals;
use super::{Args, run_until};
use crate::cancel::Cancel;
use crate::error::{Error, exit_code};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

/// Arguments of `migrate exec`.
#[derive(clap::Args, Clone, Debug)]
pub struct Exec {
    #[command(flatten)]
    pub args: Args,
    /// The command and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Migrates and replaces this process by the command, with its number, environment and open files; answers an exit code only
/// when it does not get there. `path` is the search path for a command without a slash.
pub fn exec(exec: &Exec, path: Option<&OsString>, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let mut args = exec.args.clone();
    args.allow_newer = true;
    let Some((command, arguments)) = exec.command.split_first() else {
        return exit_code::USAGE;
    };
    // A release whose command is missing must not migrate first and then leave the old one standing on the new schema.
    let Some(program) = find(command, path) else {
        writeln!(
            err,
            "error: there is no command {}; nothing was changed",
            command.display()
        )
        .ok();
        return exit_code::USAGE;
    };
    if args.other_action() || args.dry_run || args.baseline.is_some() {
        writeln!(
            err,
            "error: exec applies and then runs the command; it takes no other action"
        )
        .ok();
        return exit_code::USAGE;
    }
    let cancel = Cancel::new();
    let signals = Signals::listen(&cancel);
    // Standard output is the command's, unless a document was asked for.
    let mut said = Vec::new();
    let code = run_until(&cancel, &args, &mut said, err);
    let to: &mut dyn Write = if args.json { &mut *out } else { &mut *err };
    to.write_all(&said).and_then(|()| to.flush()).ok();
    if code != exit_code::DONE {
        return code;
    }
    signals.let_through();
    if let Some(signal) = cancel.signal() {
        writeln!(
            err,
            "error: interrupted after migrating; {} was not started",
            command.display()
        )
        .ok();
        return Error::Interrupted { signal }.exit_code();
    }
    let error = std::process::Command::new(&program)
        .arg0(command)
        .args(arguments)
        .exec();
    writeln!(
        err,
        "error: migrated, but cannot run {}: {error}",
        program.display()
    )
    .ok();
    exit_code::USAGE
}

fn find(command: &OsString, path: Option<&OsString>) -> Option<PathBuf> {
    let runs = |candidate: &PathBuf| {
        candidate
            .metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    if Path::new(command).components().count() > 1 {
        return Some(PathBuf::from(command)).filter(runs);
    }
    std::env::split_paths(path?)
        .map(|folder| folder.join(command))
        .find(runs)
}
