//! What would be released, read once from git: commit, the lanes' manifests, the migrations.

use crate::changes::LaneFilters;
use crate::changes::manifest::Manifest;
use crate::changes::tree::Files;
use crate::config::Config;
use crate::credentials::ENV_FILE;
use crate::git::{Git, Source};
use crate::ids::{Commit, Lane};
use crate::live::Sent;
use crate::site_rules;
use anyhow::{Context as _, Result, bail};
use migrate::MigrationFile;
use std::collections::BTreeMap;

/// Everything that the commit brings.
#[derive(Clone, Debug)]
pub struct SourceTree {
    /// HEAD, or a snapshot of the working tree.
    pub commit: Commit,
    /// First line of its message.
    pub subject: String,
    /// Paths that the snapshot has and HEAD has not, or differently.
    pub dirty: Vec<String>,
    /// Whether the folder is a git repository.
    pub versioned: bool,
    /// What each lane consists of.
    pub manifests: BTreeMap<Lane, Manifest>,
    /// The migrations, in no particular order.
    pub migrations: Vec<MigrationFile>,
    /// Files that no lane selects and no `ignore` names.
    pub unselected: Vec<String>,
    /// The remote branches that hold the commit; `None` where nobody asked, because the environment does not build from a remote.
    pub remote_branches: Option<Vec<String>>,
    /// What lies in the publish folder, where nothing is built into it and it was looked at.
    pub folder: Option<Sent>,
}

/// Reads the commit's tree once and gives every lane its files.
///
/// # Errors
/// When git fails.
pub fn read(
    git: &Git,
    config: &Config,
    filters: &LaneFilters,
    source: Source,
) -> Result<SourceTree> {
    let tree = git.tree(&source.commit)?;
    of(git, config, filters, source, &tree)
}

/// The same of a tree that was read already.
///
/// # Errors
/// When git fails.
pub fn of(
    git: &Git,
    config: &Config,
    filters: &LaneFilters,
    source: Source,
    tree: &Files,
) -> Result<SourceTree> {
    if let Some(tracked) = tree.iter().find(|entry| {
        let name = entry.path.rsplit(|byte| *byte == b'/').next();
        name == Some(ENV_FILE.as_bytes())
    }) {
        bail!(
            "git tracks {}, which is for credentials (hint: `git rm --cached` it, add it to .gitignore, and replace every credential that it held)",
            String::from_utf8_lossy(tracked.path)
        );
    }
    let assigned = filters.assign(tree);
    let mut manifests: BTreeMap<Lane, Manifest> = Lane::ALL
        .into_iter()
        .zip(assigned.parts)
        .map(|(lane, files)| (lane, manifest(config, lane, files)))
        .collect();
    let toml = site_rules::candidates(&config.frontend.publish)
        .into_iter()
        .find(|path| tree.iter().any(|file| file.path == path.as_bytes()));
    // A release that did not send it is another one, although no file differs.
    if let (Some(toml), Some(manifest)) = (toml, manifests.get_mut(&Lane::Frontend)) {
        manifest.set(site_rules::TOML, &toml);
    }
    let unselected = assigned.unclaimed;
    let migrations = migrations(git, config, tree)?;
    let Source {
        commit,
        subject,
        dirty,
        versioned,
    } = source;
    Ok(SourceTree {
        commit,
        subject,
        dirty,
        versioned,
        manifests,
        migrations,
        unselected,
        remote_branches: None,
        folder: None,
    })
}

/// What a lane consists of.
pub fn manifest(config: &Config, lane: Lane, files: Files) -> Manifest {
    let mut manifest = Manifest {
        variables: config.lane_variables(lane),
        files,
        ..Manifest::default()
    };
    for (name, value) in config.lane_settings(lane) {
        manifest.set(&name, &value);
    }
    manifest
}

/// Whether a path below the migrations folder is one: only the folder's own files are, what lies deeper is the engine's source and tests.
pub fn is_migration(name: &str) -> bool {
    !name.contains('/') && name.ends_with(".sql") && !name.ends_with(".down.sql")
}

/// The `*.sql` files of the migrations folder, as the commit has them.
fn migrations(git: &Git, config: &Config, tree: &Files) -> Result<Vec<MigrationFile>> {
    let Some(folder) = &config.backend.migrations else {
        return Ok(Vec::new());
    };
    let prefix = format!("{}/", folder.trim_end_matches('/'));
    let mut found = Vec::new();
    for file in tree
        .iter()
        .filter(|file| file.path.starts_with(prefix.as_bytes()))
    {
        let path = String::from_utf8_lossy(file.path);
        let name = path.strip_prefix(&prefix).filter(|name| is_migration(name));
        if let Some(name) = name.filter(|_| file.mode.starts_with("100")) {
            found.push((name.to_owned(), file.oid));
        }
    }
    let oids: Vec<&str> = found.iter().map(|(_, oid)| *oid).collect();
    let texts = git.blobs(&oids).context("read the migrations")?;
    let files = found.into_iter().zip(texts);
    Ok(files
        .map(|((name, _), text)| MigrationFile::new(name, text))
        .collect())
}
