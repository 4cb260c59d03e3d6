//! One environment, ready to be released to: the file's values, overridden by the process's variables, with defaults.

use super::address::{Complaint, check_service_id, check_site_id, check_url, host};
use super::at::At;
use super::problem::{ConfigError, Problem};
use super::suggest::nearest;
use super::{Config, Environment, LOCAL, OnFrontendFailure, PRODUCTION, Publish, UploadSource};
use crate::environ::Environ;
use crate::ids::{EnvironmentName, ServiceId, SiteId};
use std::time::Duration;

const NETLIFY_API: &str = "https://api.netlify.com/api/v1";
const RENDER_API: &str = "https://api.render.com/v1/";

/// Where a release goes, and how carefully.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The environment's name.
    pub name: EnvironmentName,
    /// Whether it is the local cloud.
    pub is_local: bool,
    /// Whether it is what `--prod` means.
    pub is_production: bool,
    /// Base of Netlify's API, without a slash at its end.
    pub netlify_api: String,
    /// Base of Render's API, with a slash at its end.
    pub render_api: String,
    /// The site.
    pub site_id: SiteId,
    /// The service.
    pub service_id: ServiceId,
    /// The site's public address, without a slash at its end.
    pub site_url: String,
    /// The service's own public address, without a slash at its end.
    pub service_url: String,
    /// How carefully.
    pub policy: Policy,
}

/// How carefully to release, with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The only branch that may be released; none allows any.
    pub branch: Option<String>,
    /// How long both lanes are watched after publishing.
    pub bake: Duration,
    /// How often in a row the service must answer as the released commit.
    pub identity_consecutive: u32,
    /// The pause between those questions.
    pub identity_interval: Duration,
    /// How long the backend's deploy may take.
    pub deploy_timeout: Duration,
    /// How a prepared deploy becomes the public one.
    pub publish: Publish,
    /// Where the site's files come from.
    pub source: UploadSource,
    /// What happens to the new backend when publishing the frontend failed.
    pub on_frontend_failure: OnFrontendFailure,
    /// Whether uncommitted changes stop a release.
    pub require_clean: bool,
    /// Whether Slack is told.
    pub notify_slack: bool,
}

/// What a running local cloud says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCloud {
    /// Base of its Netlify half.
    pub netlify_api: String,
    /// Base of its Render half.
    pub render_api: String,
    /// Its site.
    pub site_id: SiteId,
    /// Its service.
    pub service_id: ServiceId,
    /// Where its site answers.
    pub site_url: String,
    /// Where its service answers.
    pub service_url: String,
}

/// Which environment is meant: `--env` or `--prod`, else `TANDEM_ENV`, else `local`.
///
/// # Errors
/// When the two flags contradict each other.
pub fn environment_name(
    env_flag: Option<&str>,
    prod_flag: bool,
    environ: &Environ,
) -> Result<EnvironmentName, ConfigError> {
    match env_flag {
        Some(name) if prod_flag && name != PRODUCTION => Err(Problem::outside(
            format!("--prod and --env {name} name two environments"),
            "give one of them",
        )
        .into()),
        Some(name) => Ok(name.into()),
        None if prod_flag => Ok(PRODUCTION.into()),
        None => Ok(environ.var("TANDEM_ENV").map_or(LOCAL, str::trim).into()),
    }
}

impl Policy {
    fn of(environment: &Environment, is_local: bool) -> Self {
        // On this machine nothing needs time to spread, and a developer wants to release what is being edited.
        let (bake_s, interval_ms) = if is_local { (0, 50) } else { (60, 1000) };
        Self {
            branch: environment.branch.clone(),
            bake: Duration::from_secs(environment.bake_s.unwrap_or(bake_s)),
            identity_consecutive: environment.identity_consecutive,
            identity_interval: Duration::from_millis(
                environment.identity_interval_ms.unwrap_or(interval_ms),
            ),
            deploy_timeout: Duration::from_secs(environment.deploy_timeout_s),
            publish: environment.publish,
            source: environment.source,
            on_frontend_failure: environment.on_frontend_failure,
            require_clean: environment.require_clean.unwrap_or(!is_local),
            notify_slack: environment.notify.slack,
        }
    }
}

impl Target {
    /// Picks an environment. For each value, a variable of the process wins over the file, and for `local` the running
    /// local cloud stands in for the file.
    ///
    /// # Errors
    /// When the environment is not in the file, when a value is nowhere to be found, or when a variable holds what
    /// cannot be right: everything of that at once.
    pub fn resolve(
        config: &Config,
        name: &EnvironmentName,
        environ: &Environ,
        local_cloud: Option<&LocalCloud>,
    ) -> Result<Self, ConfigError> {
        let Some(environment) = config.environments.get(name) else {
            return Err(unknown_environment(config, name).into());
        };
        let is_local = name.as_str() == LOCAL;
        let cloud = local_cloud.filter(|_| is_local);
        let mut resolver = Resolver {
            config,
            name,
            environ,
            is_local,
            missing: Vec::new(),
            problems: Vec::new(),
        };
        let netlify_api = resolver.api(
            "NETLIFY_API_URL",
            cloud.map(|cloud| &cloud.netlify_api),
            NETLIFY_API,
            "api/v1",
        );
        let render_api = resolver.api(
            "RENDER_HOST",
            cloud.map(|cloud| &cloud.render_api),
            RENDER_API,
            "v1",
        );
        let site_id = resolver.value(
            "NETLIFY_SITE_ID",
            "site_id",
            cloud.map_or(environment.site_id.as_deref(), |cloud| {
                Some(cloud.site_id.as_str())
            }),
            check_site_id,
        );
        let service_id = resolver.value(
            "RENDER_SERVICE_ID",
            "service_id",
            cloud.map_or(environment.service_id.as_deref(), |cloud| {
                Some(cloud.service_id.as_str())
            }),
            check_service_id,
        );
        let site_url = resolver.value(
            "SITE_URL",
            "site_url",
            cloud.map_or(environment.site_url.as_deref(), |cloud| {
                Some(&cloud.site_url)
            }),
            check_url,
        );
        let service_url = resolver.value(
            "SERVICE_URL",
            "service_url",
            cloud.map_or(environment.service_url.as_deref(), |cloud| {
                Some(&cloud.service_url)
            }),
            check_url,
        );
        resolver.finish()?;
        Ok(Self {
            name: name.clone(),
            is_local,
            is_production: name.as_str() == PRODUCTION,
            netlify_api,
            render_api: format!("{render_api}/"),
            site_id: site_id.into(),
            service_id: service_id.into(),
            site_url: site_url.trim_end_matches('/').to_owned(),
            service_url: service_url.trim_end_matches('/').to_owned(),
            policy: Policy::of(environment, is_local),
        })
    }
}

fn unknown_environment(config: &Config, name: &EnvironmentName) -> Problem {
    let names: Vec<&str> = config
        .environments
        .keys()
        .map(EnvironmentName::as_str)
        .collect();
    let hint = match nearest(name.as_str(), names.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!(
            "it has: {}; add a table [environments.{name}] for another",
            names.join(", ")
        ),
    };
    Problem {
        file: Some(config.file().to_owned()),
        location: None,
        message: format!("there is no environment '{name}'"),
        hint,
    }
}

/// Looks values up, collecting what is wrong; what could not be found is an empty text until the end.
struct Resolver<'a> {
    config: &'a Config,
    name: &'a EnvironmentName,
    environ: &'a Environ,
    is_local: bool,
    /// The keys that were found nowhere, with the variables that could have set them.
    missing: Vec<(&'static str, &'static str)>,
    problems: Vec<Problem>,
}

impl Resolver<'_> {
    fn value(
        &mut self,
        variable: &'static str,
        key: &'static str,
        configured: Option<&str>,
        shape: fn(&str, &str) -> Result<(), Complaint>,
    ) -> String {
        if let Some(value) = self.variable(variable) {
            self.accept(shape(variable, &value));
            return value;
        }
        // What the file says was checked when it was read, and the local cloud knows itself.
        if let Some(value) = configured {
            return value.to_owned();
        }
        if self.is_local {
            self.cloud_is_down();
        } else {
            self.missing.push((key, variable));
        }
        String::new()
    }

    /// The base of an API, without a slash at its end.
    fn api(&mut self, variable: &str, cloud: Option<&String>, default: &str, path: &str) -> String {
        let Some(value) = self.variable(variable) else {
            // Without its cloud, `local` must not fall back to a real provider.
            if self.is_local && cloud.is_none() {
                self.cloud_is_down();
            }
            return cloud
                .map_or(default, String::as_str)
                .trim_end_matches('/')
                .to_owned();
        };
        self.accept(check_url(variable, &value));
        if self.is_local
            && ["netlify.com", "render.com"]
                .iter()
                .any(|domain| is_below(host(&value), domain))
        {
            self.problems.push(Problem::outside(
                format!("{variable} is the real provider, and the environment is '{LOCAL}'"),
                format!("unset {variable}, or release with --prod"),
            ));
        }
        let base = value.trim_end_matches('/');
        // Netlify's own tool adds the path when only a host is given; a host alone can mean nothing else.
        match base.split_once("://") {
            Some((_, rest)) if !rest.contains('/') => format!("{base}/{path}"),
            _ => base.to_owned(),
        }
    }

    fn finish(mut self) -> Result<(), ConfigError> {
        if !self.missing.is_empty() {
            let (keys, variables): (Vec<&str>, Vec<&str>) = self.missing.iter().copied().unzip();
            self.problems.push(self.config.problem_at(
                &At::root().key("environments").key(self.name.as_str()),
                &format!("environment '{}' has no {}", self.name, keys.join(", no ")),
                &format!(
                    "write what is missing into this table, or set {}",
                    variables.join(", ")
                ),
            ));
        }
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::new(self.problems))
        }
    }

    fn cloud_is_down(&mut self) {
        let problem = Problem::outside(
            "the local cloud is not running",
            "start it: cargo xtask cloud up",
        );
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        let value = self.environ.var(name)?.trim();
        let value = value.trim_matches(['"', '\'']).trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn accept(&mut self, checked: Result<(), Complaint>) {
        if let Err(complaint) = checked {
            self.problems
                .push(Problem::outside(complaint.message, complaint.hint));
        }
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    host == domain
        || host
            .strip_suffix(domain)
            .is_some_and(|rest| rest.ends_with('.'))
}
