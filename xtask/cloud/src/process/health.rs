//! Health checks by the provider's rules: a GET within 5 s, passed by 2xx or 3xx; without a path an open port is enough.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::settings::Timings;

use super::child::Child;

fn duration(ms: i64) -> Duration {
    Duration::from_millis(ms.max(1).unsigned_abs())
}

/// Checks until the child ends. Every failure is told, and every change to good.
pub(super) fn watch(
    child: &Child,
    port: u16,
    path: &str,
    host: &str,
    timings: &Timings,
    tell: impl Fn(bool, String),
) {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .proxy(None)
        .user_agent("Render/1.0")
        .timeout_global(Some(duration(timings.health_timeout_ms)))
        .build()
        .into();
    let mut was_good = false;
    let mut pause_ms = timings.health_interval_ms;
    while child.outlives(duration(pause_ms)) {
        let failure = check(&agent, port, path, host, timings);
        if let Err(detail) = &failure {
            tell(false, detail.clone());
        } else if !was_good {
            tell(true, String::new());
        }
        was_good = failure.is_ok();
        pause_ms = if was_good {
            timings.live_health_interval_ms
        } else {
            timings.health_interval_ms
        };
    }
}

/// What was wrong; empty when nothing answered at all, which is no verdict on the process's health but on its start.
fn check(
    agent: &ureq::Agent,
    port: u16,
    path: &str,
    host: &str,
    timings: &Timings,
) -> Result<(), String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&address, duration(timings.health_timeout_ms))
        .map_err(|_| String::new())?;
    if path.is_empty() {
        return Ok(());
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    match agent
        .get(format!("http://127.0.0.1:{port}{slash}{path}"))
        .header("host", host)
        .call()
    {
        Ok(response) if response.status().is_success() || response.status().is_redirection() => {
            Ok(())
        }
        Ok(response) => Err(format!(
            "HTTP health check failed: {path} answered {}",
            response.status().as_u16()
        )),
        Err(error) => Err(format!("HTTP health check failed: {path}: {error}")),
    }
}
