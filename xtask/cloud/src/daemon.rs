//! The cloud in the background: started detached, found by its state folder, stopped by a signal.
#![expect(
    clippy::disallowed_methods,
    reason = "starting, awaiting and stopping a process happens in real time"
)]

use std::ffi::OsString;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::core::Secrets;
use crate::process::{of_daemon, start_ticks};
use crate::settings::Settings;
use crate::tcp::{Shell, is_locked, read_if_there, write_private};

pub(crate) use crate::tcp::note;

const SETTINGS: &str = "settings.json";
const DAEMON: &str = "daemon.json";
/// The file in the state folder that the cloud and its processes write to.
pub const LOG: &str = "cloud.log";

/// From the start to the first answer.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// From SIGTERM to the end: the service's own grace of 10 s and some more.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A cloud that runs, and all a client needs to talk to it. `Debug` shows no secret.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
pub struct Running {
    /// The cloud's process.
    pub pid: i32,
    /// Its start time in clock ticks since boot: tells it from a later process of the same number.
    pub start_ticks: u64,
    /// Base of all APIs, without a trailing slash. Netlify's is below `/api/v1`, Render's below `/v1/`.
    pub api_url: String,
    /// The published site.
    pub site_url: String,
    /// The live service.
    pub service_url: String,
    /// `NETLIFY_AUTH_TOKEN`.
    pub netlify_token: String,
    /// `RENDER_API_KEY`.
    pub render_key: String,
    /// The service's own admin token.
    pub admin_token: String,
    /// Bearer of `/_cloud/…`.
    pub control_token: String,
    /// An incoming webhook of the fake Slack.
    pub slack_url: String,
    /// The site's id.
    pub site_id: String,
    /// The site's name.
    pub site_name: String,
    /// The service's id.
    pub service_id: String,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("pid", &self.pid)
            .field("api_url", &self.api_url)
            .finish_non_exhaustive()
    }
}

/// Starts a cloud in the background, or gives the one that runs already its new settings.
///
/// `exe_and_args` is the command whose process calls [`serve`] with the same folder.
///
/// # Errors
/// When the command cannot be run or the cloud is not ready in time; the error ends with the last lines of its log.
pub fn start(exe_and_args: &[OsString], state_dir: &Path, settings: &Settings) -> Result<Running> {
    let state_dir =
        std::path::absolute(state_dir).with_context(|| format!("find {}", state_dir.display()))?;
    if let Some(running) = find(&state_dir)? {
        update_settings(&running, settings)?;
        return Ok(running);
    }
    fs_err::create_dir_all(&state_dir)?;
    write_private(
        &state_dir.join(SETTINGS),
        &serde_json::to_vec_pretty(settings)?,
    )?;
    let log_path = state_dir.join(LOG);
    let log = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&log_path)?
        .into_parts()
        .0;
    let (exe, args) = exe_and_args
        .split_first()
        .context("no command to start the cloud with")?;
    let mut is_ours = true;
    let mut child = Command::new(exe)
        .args(args)
        .env_clear()
        .envs(of_daemon())
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("share the log file")?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("start {}", exe.to_string_lossy()))?;
    let until = Instant::now() + READY_WITHIN;
    loop {
        if let Some(running) = find(&state_dir)? {
            return Ok(running);
        }
        if is_ours
            && let Some(status) = child.try_wait().context("look after the cloud's process")?
        {
            // Someone else may have started one at the same moment; then that one is waited for.
            if !is_locked(&state_dir) {
                bail!(
                    "the local cloud ended while it started ({status}){}",
                    last_lines(&log_path)
                );
            }
            is_ours = false;
        }
        if Instant::now() >= until {
            // It may still come up later, unasked for; better it does not.
            child.kill().unwrap_or_default();
            child.wait().context("end the cloud's process")?;
            bail!(
                "the local cloud was not ready within {} s{}",
                READY_WITHIN.as_secs(),
                last_lines(&log_path)
            );
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("find {}", path.display()))
}

fn last_lines(log: &Path) -> String {
    let text = fs_err::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    let tail: Vec<&str> = lines.into_iter().rev().collect();
    format!("\n{}\nthe whole log: {}", tail.join("\n"), log.display())
}

fn update_settings(running: &Running, settings: &Settings) -> Result<()> {
    let url = format!("{}/_cloud/settings", running.api_url);
    let answer = agent()
        .post(&url)
        .header("authorization", format!("Bearer {}", running.control_token))
        .send_json(settings)
        .with_context(|| format!("send the settings to {url}"))?;
    if answer.status().is_success() {
        Ok(())
    } else {
        bail!(
            "{url} answered {}: restart the cloud (down, then up)",
            answer.status()
        )
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(5)));
    config.build().into()
}

/// The cloud that runs in this folder: the recorded process is the same one, and answers.
///
/// # Errors
/// When the folder cannot be read.
pub fn find(state_dir: &Path) -> Result<Option<Running>> {
    let Some(running) = recorded(state_dir)? else {
        return Ok(None);
    };
    if start_ticks(running.pid) != Some(running.start_ticks) {
        return Ok(None);
    }
    let ready = agent()
        .get(format!("{}/_cloud/ready", running.api_url))
        .call();
    Ok(ready
        .is_ok_and(|answer| answer.status().is_success())
        .then_some(running))
}

fn recorded(state_dir: &Path) -> Result<Option<Running>> {
    let bytes = read_if_there(&state_dir.join(DAEMON))?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Stops the cloud of this folder and waits for its end; says whether one ran.
///
/// # Errors
/// When it does not end in time even by SIGKILL.
pub fn stop(state_dir: &Path) -> Result<bool> {
    let Some(running) = recorded(state_dir)?.filter(|r| start_ticks(r.pid) == Some(r.start_ticks))
    else {
        return Ok(false);
    };
    let pid = Pid::from_raw(running.pid).context("the recorded process number is not one")?;
    for (signal, within) in [
        (Signal::TERM, STOPPED_WITHIN),
        (Signal::KILL, Duration::from_secs(5)),
    ] {
        // It may have ended in between.
        rustix::process::kill_process(pid, signal).unwrap_or_default();
        let until = Instant::now() + within;
        while Instant::now() < until {
            if start_ticks(running.pid) != Some(running.start_ticks) {
                return Ok(true);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
    bail!("the local cloud (process {}) does not end", running.pid)
}

/// The background process itself: serves until SIGTERM or SIGINT, then ends its processes and saves its state.
///
/// # Errors
/// When the folder holds no settings, is in use, or no port is free.
pub fn serve(state_dir: &Path) -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGINT,
    ])
    .context("listen for signals")?;
    // Away from the terminal that started it, whose end would otherwise be the cloud's too.
    if let Err(error) = rustix::process::setsid() {
        note(&format!("stays in the session it was started in: {error}"));
    }
    let state_dir = &absolute(state_dir)?;
    // The folder it was started in may go away or be unmounted.
    std::env::set_current_dir(state_dir)
        .with_context(|| format!("enter {}", state_dir.display()))?;
    let path = state_dir.join(SETTINGS);
    let bytes = read_if_there(&path)?.with_context(|| {
        format!(
            "{} is missing: start the cloud through its command",
            path.display()
        )
    })?;
    let settings: Settings =
        serde_json::from_slice(&bytes).with_context(|| format!("read {}", path.display()))?;
    let site_name = settings.site.name.clone();
    let shell = Shell::start(state_dir, settings)?;
    let running = describe(&shell, site_name)?;
    write_private(&state_dir.join(DAEMON), &serde_json::to_vec(&running)?)?;
    note(&format!(
        "ready at {}, site {}, service {}",
        running.api_url, running.site_url, running.service_url
    ));
    // Blocks until the first signal.
    let signal = signals.forever().next();
    note(&format!(
        "stopping on signal {}",
        signal.unwrap_or_default()
    ));
    shell.stop()?;
    fs_err::remove_file(state_dir.join(DAEMON))?;
    Ok(())
}

fn describe(shell: &Shell, site_name: String) -> Result<Running> {
    let pid = i32::try_from(std::process::id()).context("read the own process number")?;
    let endpoints = shell.endpoints();
    let Secrets {
        netlify_token,
        render_key,
        admin_token,
        control_token,
        slack_path,
    } = shell.secrets();
    Ok(Running {
        pid,
        start_ticks: start_ticks(pid).context("read the own start time from /proc")?,
        slack_url: format!("{}{slack_path}", endpoints.api_url),
        api_url: endpoints.api_url,
        site_url: endpoints.site_url,
        service_url: endpoints.service_url,
        netlify_token,
        render_key,
        admin_token,
        control_token,
        site_id: shell.site_id(),
        site_name,
        service_id: shell.service_id(),
    })
}
