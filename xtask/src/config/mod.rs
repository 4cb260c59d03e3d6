//! What `deploy.toml` says, typed: the project, its checks, its two lanes and its environments.
//!
//! `Config::load` reports every problem it can find in one go, each with its place in the file. `Target::resolve` then
//! picks one environment and lets the process's variables override what the file says.

mod address;
mod at;
mod check;
mod lanes;
mod parse;
mod problem;
mod rule;
mod settings;
mod smoke;
mod source;
mod suggest;
mod target;

#[cfg(test)]
mod tests;

pub use crate::changes::filter::Quantifier;
pub use at::At;
pub use lanes::{Backend, Disk, Frontend, IdentityProof, LocalService, Rehearse};
pub use problem::{ConfigError, Location, Problem};
pub use rule::Rule;
pub use smoke::Smoke;
pub use target::{LocalCloud, Policy, Target, environment_name};

use crate::ids::{EnvironmentName, Lane};
use serde::Deserialize;
use source::Source;
use std::collections::BTreeMap;
use std::path::Path;

/// The environment that needs no accounts; it exists whether or not the file mentions it.
pub const LOCAL: &str = "local";

/// The environment that `--prod` means.
pub const PRODUCTION: &str = "production";

/// Where the file has tables that are no lists.
const TABLES: [&[&str]; 7] = [
    &["frontend"],
    &["backend", "disk"],
    &["backend", "local", "env"],
    &["backend", "rehearse"],
    &["backend", "env"],
    &["environments", "*", "notify"],
    &["workflows"],
];

/// All of `deploy.toml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Required. The project's name: lower-case letters, digits and hyphens.
    pub project: String,
    /// Commands that must succeed before anything goes live. Default: none.
    pub checks: Vec<Check>,
    /// Patterns of tracked files that belong to no lane, such as documentation. Default: none.
    pub ignore: Vec<String>,
    /// Required. The static site.
    pub frontend: Frontend,
    /// Required. The service and its database.
    pub backend: Backend,
    /// Where releases go. `local` is always among them.
    pub environments: BTreeMap<EnvironmentName, Environment>,
    /// How the workflow files are written.
    pub workflows: Workflows,
    /// The text this was read from, so that a later complaint can still point into it.
    #[serde(skip)]
    source: Source,
}

/// One test command.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Check {
    /// Required. What the check is called in output; no two share a name.
    pub name: String,
    /// Required. The command, run by `sh -c` in the repository's root.
    pub run: String,
    /// Seconds before it is stopped and counts as failed. Default: 900.
    pub timeout_s: u64,
}

impl Default for Check {
    fn default() -> Self {
        Self {
            name: String::new(),
            run: String::new(),
            timeout_s: 900,
        }
    }
}

/// How the workflow files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Workflows {
    /// How the work before a release is spread over the CI service's machines.
    pub prepare: PrepareJobs,
}

/// How the work before a release is spread over the CI service's machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrepareJobs {
    /// One job does all of it. The default.
    #[default]
    One,
    /// One job for each entry of `plan --github-matrix`.
    Matrix,
}

/// One place to release to, and how carefully.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Environment {
    /// The only branch that may be released here. Default: any.
    pub branch: Option<String>,
    /// The Netlify site's id. `NETLIFY_SITE_ID` overrides it.
    pub site_id: Option<String>,
    /// The Render service's id, `srv-…`. `RENDER_SERVICE_ID` overrides it.
    pub service_id: Option<String>,
    /// The site's public address. `SITE_URL` overrides it.
    pub site_url: Option<String>,
    /// The service's own public address. `SERVICE_URL` overrides it.
    pub service_url: Option<String>,
    /// Seconds to watch both lanes after publishing; 0 does not watch. Default: 60, local 0.
    pub bake_s: Option<u64>,
    /// How often in a row the service must answer as the released commit. Default: 3.
    pub identity_consecutive: u32,
    /// Milliseconds between those questions. Default: 1000, local 50.
    pub identity_interval_ms: Option<u64>,
    /// Seconds that the backend's deploy may take, build included. Default: 1800.
    pub deploy_timeout_s: u64,
    /// How a prepared deploy becomes the public one.
    pub publish: Publish,
    /// Where the site's files come from.
    pub source: UploadSource,
    /// What happens to the new backend when publishing the frontend failed.
    pub on_frontend_failure: OnFrontendFailure,
    /// Whether uncommitted changes stop a release. Default: true, local false.
    pub require_clean: Option<bool>,
    /// Who is told.
    pub notify: Notify,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            branch: None,
            site_id: None,
            service_id: None,
            site_url: None,
            service_url: None,
            bake_s: None,
            identity_consecutive: 3,
            identity_interval_ms: None,
            deploy_timeout_s: 1800,
            publish: Publish::default(),
            source: UploadSource::default(),
            on_frontend_failure: OnFrontendFailure::default(),
            require_clean: None,
            notify: Notify::default(),
        }
    }
}

/// How a prepared deploy becomes the public one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Publish {
    /// Upload as a draft, then restore the draft. The default.
    #[default]
    DraftRestore,
    /// Lock publishing, make a full deploy, then restore it.
    Locked,
}

/// Where the site's files come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UploadSource {
    /// The files of the publish directory are uploaded. The default.
    #[default]
    Upload,
    /// Netlify builds on push; the deploy is found by its commit.
    Git,
}

/// What happens to the new backend when publishing the frontend failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFrontendFailure {
    /// It stays: it works with the old frontend too. The default.
    #[default]
    Keep,
    /// It is rolled back as well.
    Rollback,
}

/// Who is told about a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    /// Whether Slack is told, when `SLACK_WEBHOOK_URL` is set. Default: true.
    pub slack: bool,
}

impl Default for Notify {
    fn default() -> Self {
        Self { slack: true }
    }
}

impl Config {
    /// Reads the text of a configuration file; `path` is only what messages call it.
    ///
    /// # Errors
    /// Every problem found: syntax, unknown or mistyped keys, and values that cannot work.
    pub fn load(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let source = Source::new(path, text);
        let parsed = parse::parse::<Self>(&source, &TABLES);
        let mut problems = parsed.problems;
        let Some(mut config) = parsed.value else {
            return Err(ConfigError::new(problems));
        };
        problems.extend(check::check(&config, &source, &parsed.removed));
        if !problems.is_empty() {
            return Err(ConfigError::new(problems));
        }
        config.environments.entry(LOCAL.into()).or_default();
        config.source = source;
        Ok(config)
    }

    /// A lane's smoke tests.
    pub fn smoke(&self, lane: Lane) -> &[Smoke] {
        match lane {
            Lane::Frontend => &self.frontend.smoke,
            Lane::Backend => &self.backend.smoke,
        }
    }

    /// A complaint about one value that only shows later, say a pattern that does not compile. It points at the value
    /// when the file has it, else at the table it would stand in.
    pub fn problem_at(&self, at: &At, message: &str, hint: &str) -> Problem {
        self.source.problem_at(at, message, hint)
    }

    /// What the configuration file is called in messages.
    pub fn file(&self) -> &str {
        self.source.file()
    }
}
