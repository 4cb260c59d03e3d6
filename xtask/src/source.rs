//! What would be released, read once from git: commit, the lanes' manifests, the migrations.

use crate::changes::LaneFilters;
use crate::changes::manifest::Manifest;
use crate::config::Config;
use crate::credentials::ENV_FILE;
use crate::git::{Git, Source, TreeEntry};
use crate::ids::{Commit, Lane};
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
    if let Some(tracked) = tree.iter().find(|entry| {
        entry.path == ENV_FILE.as_bytes() || entry.path.ends_with(format!("/{ENV_FILE}").as_bytes())
    }) {
        bail!(
            "git tracks {}, which is for credentials (hint: `git rm --cached` it, add it to .gitignore, and replace every credential that it held)",
            String::from_utf8_lossy(&tracked.path)
        );
    }
    let manifests = Lane::ALL
        .into_iter()
        .map(|lane| {
            (
                lane,
                Manifest::select(&config.lane_digest(lane), &tree, |path| {
                    filters.selects(lane, path)
                }),
            )
        })
        .collect();
    let unselected = tree
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.path).into_owned())
        .filter(|path| !filters.is_claimed(path))
        .collect();
    let migrations = migrations(git, config, &source.commit, &tree)?;
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
    })
}

/// Whether a path below the migrations folder is one: only the folder's own files are, what lies deeper is the engine's source and tests.
pub fn is_migration(name: &str) -> bool {
    !name.contains('/') && name.ends_with(".sql") && !name.ends_with(".down.sql")
}

/// The `*.sql` files of the migrations folder, as the commit has them.
fn migrations(
    git: &Git,
    config: &Config,
    commit: &Commit,
    tree: &[TreeEntry],
) -> Result<Vec<MigrationFile>> {
    let Some(folder) = &config.backend.migrations else {
        return Ok(Vec::new());
    };
    let prefix = format!("{}/", folder.trim_end_matches('/'));
    let mut files = Vec::new();
    for entry in tree.iter().filter(|entry| entry.mode.starts_with("100")) {
        let path = String::from_utf8_lossy(&entry.path);
        let Some(name) = path.strip_prefix(&prefix).filter(|name| is_migration(name)) else {
            continue;
        };
        let text = git
            .file(commit, &path)?
            .with_context(|| format!("{path} is in the listing of {commit} and cannot be read"))?;
        files.push(MigrationFile::new(name, text));
    }
    Ok(files)
}
