//! What the local cloud is told about the project: one site, one service, and how fast its clocks run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything a cloud needs to know. Sent as JSON to a running cloud it replaces the earlier value as a whole.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The project's name; shown as team and account name.
    pub project: String,
    /// The working copy whose commits are built. The first build begins with a copy of its `cache` folders.
    pub repo_dir: PathBuf,
    /// The git directory that holds the commits, when it is not `repo_dir`'s own.
    #[serde(default)]
    pub git_dir: Option<PathBuf>,
    /// The Netlify half.
    pub site: SiteSettings,
    /// The Render half.
    pub service: ServiceSettings,
    /// First of three consecutive ports (API, site, service). `None`: any free ones, kept across restarts.
    #[serde(default)]
    pub port: Option<u16>,
    /// Durations of what takes minutes at the providers.
    #[serde(default)]
    pub timings: Timings,
    /// Requests per window before 429.
    #[serde(default)]
    pub rate_limits: RateLimits,
}

/// The one site.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSettings {
    /// Its name, the part before `.netlify.app`.
    pub name: String,
}

/// The one web service, as its `render.yaml` would say it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceSettings {
    /// Its name, the part before `.onrender.com`.
    pub name: String,
    /// Run by `sh -c` in the commit's checked-out tree. Empty: nothing to build.
    pub build_command: String,
    /// Run by `sh -c` without the disk, between build and start. Empty: none.
    pub pre_deploy_command: String,
    /// Run by `sh -c` in the folder that holds the artifacts.
    pub start_command: String,
    /// What the build leaves behind for the start: files, whole folders, or patterns in the language of the release tool's filters,
    /// relative to the tree. Empty: every tracked file.
    pub artifacts: Vec<String>,
    /// Folders of the working copy that the first build begins with, so that dependencies compile once. Copied, never shared.
    pub cache: Vec<String>,
    /// Paths (a prefix, or a glob with `*`) whose content decides whether an earlier build can be reused. Empty: the whole tree.
    pub build_filter: Vec<String>,
    /// Answers 2xx or 3xx when the service is well. Empty: an open port is enough.
    pub health_check_path: String,
    /// The provider's plan.
    pub plan: String,
    /// A persistent disk. With one, the old process stops before the new one starts.
    pub disk: Option<Disk>,
    /// Environment of the running service. Values that lie below the disk's mount path are rewritten to the local folder.
    pub env: BTreeMap<String, String>,
    /// The variable that hands the cloud's admin token to the service. Empty: not handed over.
    pub admin_token_env: String,
    /// Environment of the build.
    pub build_env: BTreeMap<String, String>,
    /// Seconds between SIGTERM and SIGKILL, 1 to 300.
    pub max_shutdown_delay_s: u32,
    /// What a second deploy does to one that runs.
    pub queue_policy: QueuePolicy,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self {
            name: "service".to_owned(),
            build_command: String::new(),
            pre_deploy_command: String::new(),
            start_command: String::new(),
            artifacts: Vec::new(),
            cache: Vec::new(),
            build_filter: Vec::new(),
            health_check_path: String::new(),
            plan: "starter".to_owned(),
            disk: None,
            env: BTreeMap::new(),
            admin_token_env: String::new(),
            build_env: BTreeMap::new(),
            max_shutdown_delay_s: 30,
            queue_policy: QueuePolicy::Wait,
        }
    }
}

/// A persistent disk of the service.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Its name; also the name of the local folder.
    pub name: String,
    /// Where it would be mounted at the provider, for instance `/var/data`.
    pub mount_path: String,
}

/// Render's two workspace policies for overlapping deploys.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QueuePolicy {
    /// The new one is queued (202 with an empty body); a queued one in between is skipped.
    #[default]
    Wait,
    /// The running one is cancelled.
    Override,
}

/// How long things take here, in milliseconds. The providers' own figures stand in brackets where they are known.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timings {
    /// From an async file list to a valid `required`.
    pub netlify_preparing_ms: i64,
    /// From the last upload to `ready`.
    pub netlify_processing_ms: i64,
    /// In `created`, before the build.
    pub render_created_ms: i64,
    /// The least time a build is shown as running.
    pub render_build_min_ms: i64,
    /// The least time a start is shown as running.
    pub render_update_min_ms: i64,
    /// A deploy appears in lists only after this long: eventual consistency, normally off.
    pub render_list_lag_ms: i64,
    /// How long a new process has to become healthy [15 min].
    pub start_window_ms: i64,
    /// Between two health checks of a process that starts, and of one that has just failed a check [a few seconds].
    pub health_interval_ms: i64,
    /// Between two health checks of a live process that is well.
    pub live_health_interval_ms: i64,
    /// One health check's limit [5 s].
    pub health_timeout_ms: i64,
    /// A live process that fails for this long gets no traffic [15 s].
    pub unhealthy_unrouted_ms: i64,
    /// A live process that fails for this long is restarted [60 s].
    pub unhealthy_restart_ms: i64,
    /// From the switch to SIGTERM for the old process, without a disk [60 s].
    pub drain_ms: i64,
    /// First wait before a process that died is started again; doubled each time up to 64 times this.
    pub restart_backoff_ms: i64,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            netlify_preparing_ms: 60,
            netlify_processing_ms: 60,
            render_created_ms: 0,
            render_build_min_ms: 50,
            render_update_min_ms: 50,
            render_list_lag_ms: 0,
            start_window_ms: 60_000,
            health_interval_ms: 100,
            live_health_interval_ms: 2_000,
            health_timeout_ms: 5_000,
            unhealthy_unrouted_ms: 15_000,
            unhealthy_restart_ms: 60_000,
            drain_ms: 1_000,
            restart_backoff_ms: 500,
        }
    }
}

/// Requests allowed per clock minute. Generous by default; the providers' figures stand in brackets.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimits {
    /// All of Netlify's API [500].
    pub netlify_per_min: u32,
    /// Creating deploys on Netlify [3].
    pub netlify_deploys_per_min: u32,
    /// GET on Render [400].
    pub render_reads_per_min: u32,
    /// Other methods on Render [100].
    pub render_writes_per_min: u32,
    /// Deploys, rollbacks and service changes on Render, one bucket [10].
    pub render_deploys_per_min: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            netlify_per_min: 100_000,
            netlify_deploys_per_min: 1_000,
            render_reads_per_min: 100_000,
            render_writes_per_min: 10_000,
            render_deploys_per_min: 1_000,
        }
    }
}

impl Settings {
    /// Settings of a project with a site and a service of the same name and nothing to build.
    pub fn new(project: &str, repo_dir: impl Into<PathBuf>) -> Self {
        Self {
            project: project.to_owned(),
            repo_dir: repo_dir.into(),
            git_dir: None,
            site: SiteSettings {
                name: project.to_owned(),
            },
            service: ServiceSettings {
                name: format!("{project}-api"),
                ..ServiceSettings::default()
            },
            port: None,
            timings: Timings::default(),
            rate_limits: RateLimits::default(),
        }
    }
}
