//! `cargo xtask deploy --prepare`: checks and build where no credential is, for a release where no command runs.

use super::app::{App, Failure, Project};
use super::deploy::{DeployArgs, Look, read_source};
use crate::bundle::{self, Manifest};
use crate::config::{Config, LOCAL};
use crate::credentials::{CredentialName, ENV_FILE};
use crate::executor::cancelled_exit;
use crate::exit::Exit;
use crate::ids::{Commit, Lane};
use crate::job::LaneError;
use crate::journal::Journal;
use crate::prepare::Preparing;
use crate::publish_folder::PublishFolder;
use crate::real::{CancelFlag, Real, hear_signals};
use crate::world::World as _;
use serde::Serialize;
use std::path::Path;

/// What `deploy --prepare --json` answers. The field names are a stable interface.
#[derive(Serialize)]
struct Document<'a> {
    outcome: &'a str,
    exit_code: u8,
    commit: &'a Commit,
    bundle: &'a Path,
    checks: Vec<serde_json::Value>,
    lanes: Vec<serde_json::Value>,
    duration_ms: u64,
    next: [String; 1],
}

/// Runs the command.
///
/// # Errors
/// When a check or the build fails, or the bundle cannot be written: nothing was contacted and there is no bundle.
pub fn run(app: &App<'_>, args: &DeployArgs, shown: &Path) -> Result<u8, Failure> {
    let project = app.project_without_credentials()?;
    let out = app.environ.cwd.join(shown);
    may_write(&project, &out)?;
    warn_of_credentials(app, &project);
    let lanes = if !args.check.is_empty() {
        Vec::new()
    } else if args.only.is_empty() {
        Lane::ALL.to_vec()
    } else {
        args.only.clone()
    };
    let look = if lanes.contains(&Lane::Frontend) {
        Look::Whole
    } else {
        Look::WithoutSite
    };
    let source = read_source(app, &project, &LOCAL.into(), look)?;
    let config = part(&project.config, args)?;
    // Nothing is released, so nothing is to be remembered: of a bundle that was never released there is no run.
    let journal = Journal::in_memory()?;
    let refs = app.refs(&project, &LOCAL.into());
    let dispatcher = app.dispatcher();
    let cancel = CancelFlag::default();
    let world = Real::new(&journal, &refs, &dispatcher, cancel.clone())?;
    hear_signals(&cancel)?;
    let commands = app.commands(&project.root);
    let site = PublishFolder {
        root: &project.root,
        config: &project.config,
        filters: &project.filters,
        planned: source.folder.as_ref(),
    };
    let preparing = Preparing {
        world: &world,
        config: &config,
        commands: &commands,
        source: &source,
        lanes: &lanes,
        site: &site,
    };
    let manifest = preparing.bundle(&out).map_err(|error| failed(&error))?;
    let is_part = args.no_checks || !args.check.is_empty();
    // A part alone releases nothing; all of them do, from the folder that they are put in.
    let whole = shown.parent().filter(|_| is_part).unwrap_or(shown);
    let next = format!("cargo xtask deploy --bundle {}", whole.display());
    app.console.out(&if args.json {
        json(&manifest, shown, world.now().mono_ms, next)?
    } else {
        text(&manifest, shown, &next)
    });
    Ok(Exit::Done.code())
}

/// The configuration with the checks that are wanted here. It still is that of the whole file: its digest is the file's.
fn part(config: &Config, args: &DeployArgs) -> Result<Config, Failure> {
    let mut config = config.clone();
    let names: Vec<&str> = config
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    if let Some(unknown) = args
        .check
        .iter()
        .find(|name| !names.contains(&name.as_str()))
    {
        return Err(Failure::usage(format!(
            "no check is called '{unknown}' (hint: {} has: {})",
            config.file(),
            names.join(", ")
        )));
    }
    if args.no_checks {
        config.checks.clear();
    } else if !args.check.is_empty() {
        config
            .checks
            .retain(|check| args.check.contains(&check.name));
    }
    Ok(config)
}

fn may_write(project: &Project, out: &Path) -> Result<(), Failure> {
    let publish = project.root.join(&project.config.frontend.publish);
    if out.starts_with(&publish) || project.root.starts_with(out) {
        return Err(Failure::usage(format!(
            "{} is no place for a bundle: it would become part of what it is made from (hint: a folder outside of {})",
            out.display(),
            project.config.frontend.publish
        )));
    }
    bundle::may_write(out).map_err(|error| Failure::usage(format!("{error:#}")))
}

/// A command's environment is cleaned of credentials, but the command can still read that of its parents, and the disk.
fn warn_of_credentials(app: &App<'_>, project: &Project) {
    let is_credential = |variable: &&String| {
        let base = variable.strip_suffix("_FILE").unwrap_or(variable);
        CredentialName::from_variable(base).is_some()
    };
    let mut found: Vec<&str> = app
        .environ
        .vars
        .keys()
        .filter(is_credential)
        .map(String::as_str)
        .collect();
    if project.root.join(ENV_FILE).exists() {
        found.push(ENV_FILE);
    }
    if !found.is_empty() {
        app.console.err(&format!(
            "warning: {} can be read by the commands that run here; preparing needs no credential (hint: prepare where there is none)",
            found.join(", ")
        ));
    }
}

/// Nothing was contacted and nothing changed, whatever it was.
fn failed(error: &LaneError) -> Failure {
    match error {
        LaneError::Cancelled(cancelled) => Failure {
            exit: cancelled_exit(*cancelled),
            text: format!("{cancelled}; no bundle was written"),
        },
        LaneError::Bug(text) => Failure {
            exit: Exit::Bug,
            text: format!("{text}; no bundle was written"),
        },
        // The same code as when the check fails in a whole `deploy`.
        LaneError::Failed(text) => Failure {
            exit: Exit::FailedUnchanged,
            text: format!("{text}; no bundle was written"),
        },
        error => Failure::refused(format!("{error}; no bundle was written")),
    }
}

fn text(manifest: &Manifest, shown: &Path, next: &str) -> String {
    let checks: Vec<&str> = manifest
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    let checks = if checks.is_empty() {
        "none".to_owned()
    } else {
        checks.join(", ")
    };
    let lanes = manifest.lanes.iter().map(|(lane, content)| match lane {
        Lane::Frontend => format!("  frontend  {} file(s)\n", content.files.len()),
        Lane::Backend => "  backend   built by its provider from the commit\n".to_owned(),
    });
    format!(
        "✓ Prepared {} in {}\n  checks    {checks}\n{}next: {next}\n",
        manifest.commit.short(),
        shown.display(),
        lanes.collect::<String>()
    )
}

fn json(
    manifest: &Manifest,
    shown: &Path,
    duration_ms: u64,
    next: String,
) -> Result<String, Failure> {
    let checks = manifest
        .checks
        .iter()
        .map(|check| serde_json::json!({ "name": check.name, "duration_ms": check.duration_ms }));
    let lanes = manifest
        .lanes
        .iter()
        .map(|(lane, content)| serde_json::json!({ "lane": lane, "files": content.files.len() }));
    let document = Document {
        outcome: "prepared",
        exit_code: Exit::Done.code(),
        commit: &manifest.commit,
        bundle: shown,
        checks: checks.collect(),
        lanes: lanes.collect(),
        duration_ms,
        next: [next],
    };
    Ok(serde_json::to_string_pretty(&document).map_err(anyhow::Error::from)?)
}
