//! From a commit to artifacts: check out, build, copy what the start needs, and remember it by its digest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ids::DeployId;
use crate::reply::RunnerEvent;
use crate::settings::{ServiceSettings, Settings};

use super::checkout::{Repository, seed_caches};
use super::{Shared, artifacts, digest, environment, locked, spawn_logged};

/// Builds kept for rollbacks and reuse.
const BUILDS_KEPT: usize = 30;

/// Why there are no artifacts.
pub(super) struct Failed {
    pub(super) log: String,
    /// The build command's, if that was it.
    pub(super) code: Option<i32>,
}

impl From<String> for Failed {
    fn from(log: String) -> Self {
        Self {
            log: format!("==> {log}"),
            code: None,
        }
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        error.to_string().into()
    }
}

/// Where a build's artifacts are.
pub(super) fn folder(state_dir: &Path, build: &str) -> PathBuf {
    state_dir.join("builds").join(build)
}

/// Builds, or finds an earlier build of the same input, and gives its name.
pub(super) fn run(
    shared: &Arc<Shared>,
    settings: &Settings,
    deploy: &DeployId,
    commit: Option<&str>,
    service: &ServiceSettings,
) -> Result<String, Failed> {
    let _turn = locked(&shared.build_turn);
    if locked(&shared.cancelled).remove(deploy) {
        return Err("the build was cancelled before it began".to_owned().into());
    }
    let log = |text: String| {
        (shared.report)(RunnerEvent::Log {
            deploy: Some(deploy.clone()),
            instance: None,
            text,
        });
    };
    let repository = Repository::find(&settings.repo_dir, settings.git_dir.as_deref())?;
    let commit = repository.commit(commit)?;
    (shared.report)(RunnerEvent::Resolved {
        deploy: deploy.clone(),
        commit: commit.id.clone(),
        message: commit.message.clone(),
        committed_ms: commit.committed_ms,
    });
    let entries = repository.entries(&commit.id)?;
    let build = digest::of_build(service, &entries);
    let done = folder(&shared.state_dir, &build);
    if done.is_dir() {
        log(format!(
            "==> reusing build {build}: its input has not changed"
        ));
        return Ok(build);
    }
    let source = shared.state_dir.join("source");
    log(format!("==> checking out commit {}", commit.id));
    repository.check_out(&commit.id, &source, &shared.state_dir.join("source.index"))?;
    seed_caches(&settings.repo_dir, &source, &service.cache)?;
    if !service.build_command.is_empty() {
        log(format!(
            "==> running build command '{}'",
            service.build_command
        ));
        run_command(shared, deploy, service, &commit.id, &source)?;
    }
    let part = shared
        .state_dir
        .join("builds")
        .join(format!("{build}.part"));
    if part.exists() {
        fs_err::remove_dir_all(&part)?;
    }
    fs_err::create_dir_all(&part)?;
    if service.artifacts.is_empty() {
        for entry in &entries {
            artifacts::copy(&source.join(&entry.path), &part.join(&entry.path))?;
        }
    } else {
        artifacts::copy_selected(&source, &part, &service.artifacts)?;
    }
    fs_err::rename(&part, &done)?;
    prune(&shared.state_dir, &build);
    log(format!("==> build {build} successful"));
    Ok(build)
}

fn run_command(
    shared: &Arc<Shared>,
    deploy: &DeployId,
    service: &ServiceSettings,
    commit: &str,
    source: &Path,
) -> Result<(), Failed> {
    let env = environment::of_build(service, commit);
    let child = spawn_logged(shared, &service.build_command, source, &env, deploy, None)
        .map_err(|e| format!("{e:#}"))?;
    locked(&shared.builds).insert(deploy.clone(), Arc::clone(&child));
    if locked(&shared.cancelled).remove(deploy) {
        child.stop(std::time::Duration::from_secs(5));
    }
    match child.wait() {
        Some(0) => Ok(()),
        code => Err(Failed {
            log: code.map_or(
                "==> the build command was ended by a signal".to_owned(),
                |c| format!("==> build failed: the build command exited with status {c}"),
            ),
            code,
        }),
    }
}

/// Removes the oldest builds beyond the number kept. One that cannot be removed costs only space.
fn prune(state_dir: &Path, newest: &str) {
    let Ok(entries) = fs_err::read_dir(state_dir.join("builds")) else {
        return;
    };
    let mut builds: Vec<_> = entries
        .flatten()
        .filter(|e| e.file_name() != newest)
        .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
        .collect();
    builds.sort();
    let surplus = (builds.len() + 1).saturating_sub(BUILDS_KEPT);
    for (_, path) in builds.into_iter().take(surplus) {
        fs_err::remove_dir_all(path).unwrap_or_default();
    }
}
