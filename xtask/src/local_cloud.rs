//! The local cloud seen from the command line: what it is told about the project, and what it says about itself.

use crate::cli::app::Project;
use crate::config::{Config, LocalCloud, Rule};
use crate::credentials::{CredentialName, Credentials};
use crate::ids::{ServiceId, SiteId};
use anyhow::{Context as _, Result};
use cloud::daemon::{self, Running};
use cloud::{Disk, ServiceSettings, Settings, SiteSettings};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The hidden command that is the cloud's own process.
pub const SERVE_COMMAND: [&str; 2] = ["cloud", "serve"];

/// Where the cloud keeps its state.
pub fn state_dir(project: &Project) -> PathBuf {
    project.state_dir.join("cloud")
}

/// The running cloud, when there is one.
///
/// # Errors
/// When its state cannot be read.
pub fn find(project: &Project) -> Result<Option<Running>> {
    daemon::find(&state_dir(project))
}

/// The running cloud, told what the project looks like now; started when there is none.
///
/// # Errors
/// When it cannot be started or does not take its settings.
pub fn ensure(project: &Project, port: Option<u16>) -> Result<Running> {
    let settings = settings(project, port);
    let dir = state_dir(project);
    let exe = std::env::current_exe().context("find this program")?;
    let mut command = vec![exe.into_os_string()];
    command.extend(SERVE_COMMAND.map(Into::into));
    command.push(dir.clone().into_os_string());
    daemon::start(&command, &dir, &settings)
}

fn settings(project: &Project, port: Option<u16>) -> Settings {
    let Config {
        project: name,
        backend,
        ..
    } = &project.config;
    Settings {
        project: name.clone(),
        repo_dir: absolute(&project.root),
        git_dir: Some(absolute(project.git.private_dir())),
        site: SiteSettings { name: name.clone() },
        service: ServiceSettings {
            name: format!("{name}-backend"),
            build_command: backend.local_build().to_owned(),
            start_command: backend.local_start().to_owned(),
            artifacts: backend.local.artifacts.clone(),
            cache: backend.local.cache.clone(),
            build_filter: plain_paths(&project.config),
            health_check_path: backend.health.clone(),
            plan: backend.plan.clone(),
            disk: backend.disk.as_ref().map(|disk| Disk {
                name: disk.name.clone(),
                mount_path: disk.mount_path.clone(),
            }),
            env: backend.local_env(),
            admin_token_env: CredentialName::TandemAdminToken.variable().to_owned(),
            max_shutdown_delay_s: u32::try_from(backend.max_shutdown_delay_s).unwrap_or(30),
            ..ServiceSettings::default()
        },
        port,
        ..Settings::new(name, absolute(&project.root))
    }
}

fn absolute(path: &Path) -> PathBuf {
    fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// The lane's patterns where they are folders or plain files, so that an earlier build can be found again. A filter that is more
/// than that means: the whole tree decides.
fn plain_paths(config: &Config) -> Vec<String> {
    let mut paths = Vec::new();
    for rule in &config.backend.paths {
        let Rule::Pattern(text) = rule else {
            return Vec::new();
        };
        let path = text.strip_suffix("/**").unwrap_or(text);
        if path.contains(['*', '?', '[', '{', '(', '!']) {
            return Vec::new();
        }
        paths.push(path.to_owned());
    }
    paths
}

/// What the cloud says about itself, in the configuration's terms.
pub fn address(running: &Running) -> LocalCloud {
    LocalCloud {
        netlify_api: format!("{}/api/v1", running.api_url),
        render_api: format!("{}/v1/", running.api_url),
        site_id: SiteId(running.site_id.clone()),
        service_id: ServiceId(running.service_id.clone()),
        site_url: running.site_url.clone(),
        service_url: running.service_url.clone(),
    }
}

/// The cloud makes its own credentials; the user's never go there.
pub fn use_credentials(credentials: &mut Credentials, running: &Running) {
    credentials.use_local(
        CredentialName::NetlifyAuthToken,
        running.netlify_token.clone(),
    );
    credentials.use_local(CredentialName::RenderApiKey, running.render_key.clone());
    credentials.use_local(
        CredentialName::TandemAdminToken,
        running.admin_token.clone(),
    );
    credentials.use_local(CredentialName::SlackWebhookUrl, running.slack_url.clone());
    credentials.forget(CredentialName::GithubToken);
}

/// The last lines that the cloud wrote and, while it runs, those of the service's builds and processes after them.
///
/// # Errors
/// When there are none yet, or the cloud does not tell them.
pub fn logs(project: &Project, lines: usize) -> Result<String> {
    let path = state_dir(project).join(daemon::LOG);
    let mut text = fs_err::read_to_string(&path).context(
        "the local cloud has written nothing yet (hint: `cargo xtask cloud up` starts it)",
    )?;
    if let Some(running) = find(project)? {
        for line in service_log(&running)? {
            text.push_str(&line.text);
            text.push('\n');
        }
    }
    let skip = text.lines().count().saturating_sub(lines);
    Ok(text
        .lines()
        .skip(skip)
        .flat_map(|line| [line, "\n"])
        .collect())
}

/// One line of a build's or a process's output, as the cloud keeps it.
#[derive(Deserialize)]
struct LogLine {
    text: String,
}

fn service_log(running: &Running) -> Result<Vec<LogLine>> {
    /// The cloud keeps 4000 lines of at most 4096 bytes; as JSON they may double.
    const BODY_MAX_BYTES: u64 = 64 << 20;
    let url = format!("{}/_cloud/logs", running.api_url);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .into();
    let answer = agent
        .get(&url)
        .header("authorization", format!("Bearer {}", running.control_token))
        .call();
    let text = answer
        .and_then(|mut answer| {
            answer
                .body_mut()
                .with_config()
                .limit(BODY_MAX_BYTES)
                .read_to_string()
        })
        .with_context(|| format!("read the service's log from {url}"))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{url} answered with something else than a log"))
}
