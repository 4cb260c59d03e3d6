//! Where the site's rule files lie on disk: `_redirects` and `_headers` in the published folder, `netlify.toml` in it or above it, up to
//! the project's root.

use crate::config::Config;
use crate::site_rules::{HEADERS, REDIRECTS, RuleFile, RuleFiles, candidates};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Where the provider's own builds look for functions.
const FUNCTIONS: [&str; 2] = ["netlify/functions", "netlify/edge-functions"];

/// The `netlify.toml` that counts for the folder `publish`: the nearest.
pub fn toml(root: &Path, publish: &str) -> Option<PathBuf> {
    let mut paths = candidates(publish).into_iter().map(|path| root.join(path));
    paths.find(|path| path.is_file())
}

/// Reads them; before the build those in the published folder are not asked, for the build is about to make them.
///
/// # Errors
/// When one cannot be read, or is no text.
pub fn read(root: &Path, config: &Config, is_built: bool) -> Result<RuleFiles> {
    let publish = config.frontend.publish.trim_end_matches('/');
    let inside = |name: &str| {
        let there = is_built || config.frontend.build.is_none();
        there.then(|| format!("{publish}/{name}"))
    };
    let file = |shown: Option<String>| {
        let shown = shown.filter(|shown| root.join(shown).is_file());
        shown
            .map(|shown| RuleFile::new(&shown, fs_err::read(root.join(&shown))?))
            .transpose()
    };
    let mut tomls = Vec::new();
    for shown in candidates(publish) {
        tomls.extend(file(Some(shown))?);
    }
    let mut tomls = tomls.into_iter();
    let toml = tomls.next();
    let is_other = |other: &RuleFile| toml.as_ref().is_some_and(|toml| toml.text != other.text);
    Ok(RuleFiles {
        passed_over: tomls.filter(is_other).map(|file| file.shown).collect(),
        toml,
        redirects: file(inside(REDIRECTS))?,
        headers: file(inside(HEADERS))?,
        functions: functions(root, publish),
    })
}

/// Folders of functions beside any place at which a `netlify.toml` may lie.
pub fn functions(root: &Path, publish: &str) -> Vec<String> {
    let mut found = Vec::new();
    for place in candidates(publish) {
        let folder = place.rsplit_once('/').map_or("", |(folder, _)| folder);
        for name in FUNCTIONS {
            let shown = format!("{folder}/{name}");
            let shown = shown.trim_start_matches('/');
            if holds_a_file(&root.join(shown)) {
                found.push(shown.to_owned());
            }
        }
    }
    found
}

fn holds_a_file(folder: &Path) -> bool {
    fs_err::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
