//! `cargo xtask doctor`: what would stop a release. It changes nothing and never starts the local cloud.

use super::Where;
use super::app::{App, Failure, Project};
use super::deploy::{Look, read_source};
use crate::config::{Config, LOCAL, Target};
use crate::credentials::{CredentialName, Credentials};
use crate::dispatch::Dispatcher;
use crate::doctor::tools::{self, Need, PINS_VARIABLE, Pins, Tool};
use crate::doctor::{Area, Finding, Level, Report, credentials, machine, origin, providers};
use crate::http::Api;
use crate::ids::{EnvironmentName, Lane};
use crate::journal::Journal;
use crate::live;
use crate::local_cloud;
use crate::netlify::Netlify;
use crate::real::{CancelFlag, Real};
use crate::render::Render;
use crate::rule_files;
use crate::service::Service;
use crate::site_rules::SiteRules;
use crate::world::World;
use clap::Args;
use std::path::Path;

/// A provider that does not answer is given so long, in milliseconds.
const PATIENCE_MS: u64 = 15_000;

/// Look for what would stop a release: tools, configuration, credentials, origin, providers, this machine.
///
/// It changes nothing and never starts the local cloud. Exit code 3 when a release would be refused or fail.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub place: Where,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the two flags that name the environment contradict each other, or threads cannot be started.
pub fn run(app: &App<'_>, args: &DoctorArgs) -> Result<u8, Failure> {
    let name = app.environment(args.place)?;
    let report = Report::new(name.clone(), examine(app, &name)?);
    app.console.out(&if args.json {
        serde_json::to_string_pretty(&report).map_err(anyhow::Error::from)?
    } else {
        report.text()
    });
    Ok(report.exit_code)
}

fn examine(app: &App<'_>, name: &EnvironmentName) -> Result<Vec<Finding>, Failure> {
    let project = match app.project() {
        Ok(project) => project,
        Err(failure) => {
            return Ok(vec![Finding::new(
                Area::Configuration,
                "deploy.toml",
                Level::Error,
                failure.text,
            )]);
        }
    };
    let mut findings = vec![machine::disk(&project.state_dir)];
    let journal = match app.journal(&project) {
        Ok(journal) => {
            findings.push(machine::journal(&journal));
            journal
        }
        Err(failure) => {
            findings.push(Finding::new(
                Area::Machine,
                "journal",
                Level::Error,
                failure.text,
            ));
            Journal::in_memory()?
        }
    };
    let refs = app.refs(&project, name);
    let silent = Dispatcher::new(Vec::new(), app.console.redactor());
    let world = Real::new(&journal, &refs, &silent, CancelFlag::default())?;
    findings.extend(tools_in_use(app, &project, &world));
    let resolved = resolve(app, &project, name, &mut findings);
    let target = resolved.as_ref().map(|(target, _)| target);
    findings.extend(rules(&project, &world, name, target));
    let Some((target, credentials)) = resolved else {
        return Ok(findings);
    };
    match read_source(app, &project, name, Look::Whole) {
        Ok(source) => {
            findings.extend(origin::source(&target, &source));
            findings.extend(origin::refs(&world, &refs, &target, &source));
        }
        Err(failure) => {
            findings.push(Finding::new(
                Area::Source,
                "commit",
                Level::Error,
                failure.text,
            ));
        }
    }
    findings.extend(credentials::examine(&credentials, &target));
    findings.extend(ask(&world, &project.config, &target, &credentials));
    Ok(findings)
}

/// What of the site's rules is not in effect.
fn rules(
    project: &Project,
    world: &dyn World,
    name: &EnvironmentName,
    target: Option<&Target>,
) -> Vec<Finding> {
    let files = match rule_files::read(&project.root, &project.config, false) {
        Ok(files) => files,
        Err(error) => {
            let text = format!("{error:#}");
            return vec![Finding::new(Area::Frontend, "rules", Level::Error, text)];
        }
    };
    let rules = SiteRules::read(&files, project.config.around_rules(target));
    let recorded = world.refs().read(&live::live_ref(name));
    providers::rules(&rules, matches!(recorded, Ok(None)))
}

fn tools_in_use(app: &App<'_>, project: &Project, world: &dyn World) -> Vec<Finding> {
    let commands = app.commands(&project.root);
    let read = |path: &Path| fs_err::read_to_string(path).ok();
    let flake = app
        .environ
        .var(PINS_VARIABLE)
        .and_then(|path| read(Path::new(path)))
        .or_else(|| tools::ask_flake(world, &commands));
    let toolchain = read(&project.root.join("rust-toolchain.toml"));
    let pins = Pins::new(toolchain.as_deref(), flake.as_deref());
    let mut findings = tools::examine(world, &commands, &wanted(&project.config), &pins);
    if flake.is_none() && tools::has_flake(&commands) {
        findings.push(tools::pins_unknown());
    }
    findings
}

fn wanted(config: &Config) -> [Tool; 4] {
    let asks = Lane::ALL
        .into_iter()
        .any(|lane| config.smoke(lane).iter().any(|smoke| smoke.path.is_some()));
    let curl = if asks {
        Need::Always
    } else {
        Need::Something("no smoke test asks for it")
    };
    [
        ("git", "git --version", Need::Always),
        ("curl", "curl --version", curl),
        (
            "rust",
            "rustc --version",
            Need::Something("what is built here needs it"),
        ),
        (
            "node",
            "node --version",
            Need::Something("only tests of scripts for browsers need it"),
        ),
    ]
}

/// The environment and its credentials. For `local` both come from its cloud: one that does not run is no fault.
fn resolve(
    app: &App<'_>,
    project: &Project,
    name: &EnvironmentName,
    findings: &mut Vec<Finding>,
) -> Option<(Target, Credentials)> {
    let mut report = |area, name: &str, level, text: String| {
        findings.push(Finding::new(area, name, level, text));
    };
    let mut credentials = match Credentials::load(app.environ, &project.root) {
        Ok(credentials) => credentials,
        Err(error) => {
            for problem in error.problems() {
                report(Area::Credentials, "refused", Level::Error, problem.clone());
            }
            Credentials::default()
        }
    };
    let is_local = name.as_str() == LOCAL;
    let cloud = if is_local {
        local_cloud::find(project)
    } else {
        Ok(None)
    };
    let place = match cloud {
        Ok(Some(running)) => {
            local_cloud::use_credentials(&mut credentials, &running);
            Some(local_cloud::address(&running))
        }
        Ok(None) if is_local => {
            let text = "is valid; the local cloud does not run, so there is nothing to ask (hint: `cargo xtask cloud up` starts it, and so does a release)";
            report(
                Area::Configuration,
                "deploy.toml",
                Level::Ok,
                text.to_owned(),
            );
            return None;
        }
        Ok(None) => None,
        Err(error) => {
            report(
                Area::Configuration,
                "local cloud",
                Level::Error,
                format!("{error:#}"),
            );
            return None;
        }
    };
    for (name, secret) in credentials.secrets() {
        app.console.register(name.variable(), secret.expose());
    }
    match Target::resolve(&project.config, name, app.environ, place.as_ref()) {
        Ok(target) => {
            let text = format!("is valid; {} and {}", target.site_url, target.service_url);
            report(Area::Configuration, "deploy.toml", Level::Ok, text);
            Some((target, credentials))
        }
        Err(error) => {
            report(
                Area::Configuration,
                "deploy.toml",
                Level::Error,
                error.to_string(),
            );
            None
        }
    }
}

/// A cheap call or two to each provider, and one to the service.
fn ask(
    world: &dyn World,
    config: &Config,
    target: &Target,
    credentials: &Credentials,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let until_ms = world.now().mono_ms + PATIENCE_MS;
    if let Some(token) = credentials.get(CredentialName::NetlifyAuthToken) {
        let api = Api::new(world, "Netlify", &target.netlify_api, Some(token));
        let answer = Netlify::new(api, target.site_id.clone())
            .until(until_ms)
            .site_page();
        let theirs_ms = answer.as_ref().ok().and_then(|page| page.date_ms());
        findings.extend(theirs_ms.map(|theirs_ms| machine::clock(world.now().wall_ms, theirs_ms)));
        findings.extend(providers::site(target, &answer));
    }
    let mut is_live = false;
    if let Some(key) = credentials.get(CredentialName::RenderApiKey) {
        let api = Api::new(world, "Render", &target.render_api, Some(key));
        let render = Render::new(api, target.service_id.clone()).until(until_ms);
        let answer = render.service();
        is_live = answer.is_ok() && matches!(render.live(), Ok(Some(_)));
        findings.extend(providers::service(config, target, &answer));
    }
    // Before the first release nobody is there to be asked, and without migrations there is nothing to ask.
    let has_schema = is_live && config.backend.migrations.is_some();
    if let (Some(token), true) = (
        credentials.get(CredentialName::TandemAdminToken),
        has_schema,
    ) {
        let contract = config.backend.contract();
        let service = Service::new(world, &target.service_url, &contract).until(until_ms);
        findings.extend(providers::admin(&service.admin_state(token)));
    }
    findings
}
