//! `cargo xtask cloud`: the embedded local cloud.

use super::app::{App, Failure};
use crate::exit::Exit;
use crate::local_cloud;
use ::cloud::daemon::{self, Running};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Manage the embedded local cloud: both providers' HTTP APIs, the public site, and the real backend process, on this machine.
#[derive(Args, Debug)]
pub struct CloudArgs {
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with it.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Start it, or hand a running one the project's settings
    Up {
        /// First of three consecutive ports: API, site, service [default: free ones]
        #[arg(long, value_name = "N")]
        port: Option<u16>,
    },
    /// Stop it and the backend; what was released stays and comes back with `up`
    Down,
    /// Show whether it runs, and where
    Status {
        /// One JSON document on standard output
        #[arg(long)]
        json: bool,
    },
    /// Print what the backend and the cloud itself wrote
    Logs {
        /// The last lines only
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
        lines: usize,
    },
    /// Print shell exports that point any client at it
    Env {
        /// First of three consecutive ports, should it have to be started
        #[arg(long, value_name = "N")]
        port: Option<u16>,
    },
    /// The cloud's own process
    #[command(hide = true)]
    Serve {
        /// Its state folder
        dir: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// When the cloud cannot be started or asked.
pub fn run(app: &App<'_>, args: &CloudArgs) -> Result<u8, Failure> {
    if let Action::Serve { dir } = &args.action {
        daemon::serve(dir)?;
        return Ok(Exit::Done.code());
    }
    let project = app.project()?;
    match &args.action {
        Action::Up { port } => app
            .console
            .out(&places(&app.ensure_cloud(&project, *port)?)),
        Action::Down => {
            let was_up = daemon::stop(&local_cloud::state_dir(&project))?;
            app.console.out(if was_up {
                "the local cloud is stopped"
            } else {
                "the local cloud was not running"
            });
        }
        Action::Status { json } => {
            return status(app, local_cloud::find(&project)?.as_ref(), *json);
        }
        Action::Logs { lines } => app.console.out(&local_cloud::logs(&project, *lines)?),
        Action::Env { port } => app
            .console
            .out(&exports(&app.ensure_cloud(&project, *port)?)),
        Action::Serve { .. } => {}
    }
    Ok(Exit::Done.code())
}

fn status(app: &App<'_>, running: Option<&Running>, json: bool) -> Result<u8, Failure> {
    let exit = if running.is_some() {
        Exit::Done
    } else {
        Exit::Refused
    };
    if json {
        let document = serde_json::json!({
            "running": running.is_some(),
            "pid": running.map(|found| found.pid),
            "api_url": running.map(|found| &found.api_url),
            "site_url": running.map(|found| &found.site_url),
            "service_url": running.map(|found| &found.service_url),
        });
        app.console.out(&format!("{document:#}"));
    } else {
        app.console.out(&running.map_or_else(
            || "the local cloud is not running (hint: `cargo xtask cloud up` starts it)".to_owned(),
            places,
        ));
    }
    Ok(exit.code())
}

fn places(running: &Running) -> String {
    format!(
        "the local cloud runs (pid {})\n  site     {}\n  service  {}\n  API      {}",
        running.pid, running.site_url, running.service_url, running.api_url
    )
}

/// These tokens open nothing but this cloud, and printing them is what the command is for: they are not registered as secrets here.
fn exports(running: &Running) -> String {
    let pairs = [
        ("NETLIFY_API_URL", format!("{}/api/v1", running.api_url)),
        ("NETLIFY_AUTH_TOKEN", running.netlify_token.clone()),
        ("NETLIFY_SITE_ID", running.site_id.clone()),
        ("NETLIFY_SITE_NAME", running.site_name.clone()),
        ("RENDER_HOST", format!("{}/v1/", running.api_url)),
        ("RENDER_API_KEY", running.render_key.clone()),
        ("RENDER_SERVICE_ID", running.service_id.clone()),
        ("TANDEM_ADMIN_TOKEN", running.admin_token.clone()),
        ("SITE_URL", running.site_url.clone()),
        ("SERVICE_URL", running.service_url.clone()),
    ];
    pairs
        .map(|(name, value)| format!("export {name}='{value}'\n"))
        .concat()
}
