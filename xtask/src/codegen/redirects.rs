//! The rules of the site that name the backend: its public paths are proxied, its administration is not offered there.
//!
//! They stand in a block of `_redirects` between two marks; what else is in the file belongs to whoever wrote it. The backend's
//! address is the mark `__SERVICE_URL__`, which an upload replaces by that of its environment, so the file is the same in all of them.
//! `_headers` depends on no environment: what a page may connect to is its own site, whose rules these are.

use super::{Generated, Project};
use crate::config::Config;

const BEGIN: &str = "# Written by `cargo xtask codegen` from [backend] of deploy.toml: the rules down to the next mark.";
const END: &str = "# The end of what `cargo xtask codegen` writes.";

/// Where the rules are; nowhere when a build makes the published folder, because it would write over them.
pub(super) fn path(config: &Config) -> Option<String> {
    let folder = config.frontend.publish.trim_end_matches('/');
    config
        .frontend
        .build
        .is_none()
        .then(|| format!("{folder}/_redirects"))
}

pub(super) fn generate(project: &Project<'_>) -> Option<Generated> {
    let path = path(project.config)?;
    let rules = rules(project.config)?;
    let block = format!("{BEGIN}\n{rules}{END}\n");
    let Some(text) = project.text(&path) else {
        return Some(Generated {
            path,
            text: block,
            is_foreign: false,
        });
    };
    let parts = text
        .split_once(&format!("{BEGIN}\n"))
        .and_then(|(before, rest)| {
            let (_, after) = rest.split_once(&format!("{END}\n"))?;
            Some(format!("{before}{block}{after}"))
        });
    Some(Generated {
        path,
        is_foreign: parts.is_none(),
        text: parts.unwrap_or(block),
    })
}

/// None when the backend's addresses have no folder in common that could be proxied.
fn rules(config: &Config) -> Option<String> {
    let backend = &config.backend;
    let top = |path: &str| {
        let (first, _) = path.strip_prefix('/')?.split_once('/')?;
        Some(format!("/{first}"))
    };
    let prefix = top(&backend.health)?;
    if top(backend.version_path()).as_ref() != Some(&prefix) {
        return None;
    }
    let admin = backend.admin.trim_end_matches('/');
    let hidden = if admin.starts_with(&format!("{prefix}/")) {
        format!("{admin}/*  /404.html  404!\n")
    } else {
        String::new()
    };
    Some(format!(
        "{hidden}{prefix}/*  __SERVICE_URL__{prefix}/:splat  200!\n"
    ))
}
