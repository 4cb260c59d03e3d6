//! The inputs of a release as they lie on disk: the publish folder, and the migrations of the commit.

use crate::changes::manifest::hex;
use crate::config::{Config, Target};
use crate::ids::{Commit, RunId};
use crate::inputs::{Inputs, Rehearsal, SiteFile};
use crate::lane::verify::RELEASE_FILE;
use crate::service::AdminState;
use crate::world::World;
use anyhow::{Context as _, Result, bail};
use migrate::{MigrationFile, Migrator};
use sha1::{Digest as _, Sha1};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// In `_redirects`, this stands for the address of the environment's service.
pub const SERVICE_URL_MARK: &str = "__SERVICE_URL__";
/// The only file in which the mark is replaced.
const REDIRECTS: &str = "_redirects";
/// Netlify's limit for one folder.
const FILES_PER_FOLDER_MAX: usize = 54_000;

/// See the module's words.
pub struct WorkingTree<'a> {
    /// The project's root.
    pub root: &'a Path,
    /// deploy.toml.
    pub config: &'a Config,
    /// Where to.
    pub target: &'a Target,
    /// What is released.
    pub commit: &'a Commit,
    /// Its migrations.
    pub migrations: &'a [MigrationFile],
    /// Names the release in the file that the site carries; set once the run has a name.
    pub run: Mutex<Option<RunId>>,
}

impl WorkingTree<'_> {
    fn publish_dir(&self) -> PathBuf {
        self.root.join(&self.config.frontend.publish)
    }

    /// What the site says of itself. It depends on the run alone, so that a resumed run makes the same bytes.
    fn release_file(&self) -> Vec<u8> {
        let run = self
            .run
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let release = run.map_or_else(|| self.commit.to_string(), |run| run.0);
        let text = serde_json::json!({ "release": release, "commit": self.commit, "project": self.config.project });
        format!("{text:#}\n").into_bytes()
    }

    /// Paths below the publish folder that are published, checked for what no provider takes.
    fn paths(&self) -> Result<Vec<String>> {
        let dir = self.publish_dir();
        if !dir.is_dir() {
            bail!(
                "the publish folder {} does not exist (hint: `frontend.publish` in deploy.toml names it; is there a build that should have made it?)",
                dir.display()
            );
        }
        let real_dir = fs_err::canonicalize(&dir)?;
        let exclude: Vec<glob::Pattern> = self
            .config
            .frontend
            .exclude
            .iter()
            .map(|text| {
                glob::Pattern::new(text).with_context(|| format!("frontend.exclude holds '{text}'"))
            })
            .collect::<Result<_>>()?;
        let pattern = format!("{}/**/*", glob::Pattern::escape(&dir.to_string_lossy()));
        let mut paths = Vec::new();
        for found in glob::glob(&pattern)? {
            let found = found.context("list the publish folder")?;
            if found.is_dir() {
                continue;
            }
            let relative = found.strip_prefix(&dir)?;
            let Some(path) = relative.to_str() else {
                bail!(
                    "{} has a name that is not UTF-8: it cannot be published",
                    found.display()
                )
            };
            if is_hidden(path) || exclude.iter().any(|pattern| pattern.matches(path)) {
                continue;
            }
            if let Some(odd) = path
                .chars()
                .find(|odd| matches!(odd, '#' | '?') || odd.is_control())
            {
                bail!(
                    "{path:?} has {odd:?} in its name: the provider refuses such files (hint: rename it, or list it in frontend.exclude)"
                );
            }
            let real = fs_err::canonicalize(&found)
                .with_context(|| format!("{path} is a symbolic link to nothing"))?;
            if !real.starts_with(&real_dir) {
                bail!(
                    "{path} is a symbolic link out of the publish folder, to {}",
                    real.display()
                );
            }
            paths.push(path.to_owned());
        }
        check_folders(&paths)?;
        Ok(paths)
    }

    fn content(&self, path: &str) -> Result<Vec<u8>> {
        if path == RELEASE_FILE {
            return Ok(self.release_file());
        }
        let bytes = fs_err::read(self.publish_dir().join(path))?;
        if path != REDIRECTS {
            return Ok(bytes);
        }
        let text = String::from_utf8(bytes).with_context(|| format!("{path} is not UTF-8"))?;
        Ok(text
            .replace(SERVICE_URL_MARK, &self.target.service_url)
            .into_bytes())
    }
}

/// Dot files stay home, as with the provider's own tool, except those that the web has a place for.
fn is_hidden(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "__MACOSX" || (part.starts_with('.') && part != ".well-known"))
}

fn check_folders(paths: &[String]) -> Result<()> {
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    let mut folded: BTreeMap<String, &str> = BTreeMap::new();
    for path in paths {
        *folders
            .entry(path.rsplit_once('/').map_or("", |(folder, _)| folder))
            .or_default() += 1;
        if let Some(other) = folded.insert(path.to_lowercase(), path) {
            bail!(
                "{other} and {path} differ in case only: on the web one of them would hide the other"
            );
        }
    }
    match folders
        .into_iter()
        .find(|(_, count)| *count > FILES_PER_FOLDER_MAX)
    {
        Some((folder, count)) => bail!(
            "the folder '{folder}' holds {count} files, the provider takes {FILES_PER_FOLDER_MAX}"
        ),
        None => Ok(()),
    }
}

impl Inputs for WorkingTree<'_> {
    fn site(&self, world: &dyn World) -> Result<Vec<SiteFile>> {
        let mut paths = self.paths()?;
        paths.retain(|path| path != RELEASE_FILE);
        paths.push(RELEASE_FILE.to_owned());
        let slots: Vec<Mutex<Option<Result<SiteFile>>>> =
            paths.iter().map(|_| Mutex::new(None)).collect();
        world.each(paths.len(), &|index| {
            if let (Some(path), Some(slot)) = (paths.get(index), slots.get(index)) {
                let file = self.content(path).map(|bytes| SiteFile {
                    path: path.clone(),
                    sha1: hex(&Sha1::digest(&bytes)),
                    size: bytes.len() as u64,
                });
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
            }
        });
        slots
            .into_iter()
            .map(|slot| {
                slot.into_inner()
                    .unwrap_or_else(PoisonError::into_inner)
                    .context("a file of the site was not read")?
            })
            .collect()
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.content(path)
    }

    fn rehearse(&self, live: Option<&AdminState>) -> Result<Rehearsal> {
        rehearse(self.migrations, live)
    }

    fn begin(&self, run: &RunId) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(run.clone());
    }
}

/// The live history in the engine's terms.
fn history(state: &AdminState) -> Vec<migrate::HistoryRow> {
    let row = |(index, applied): (usize, &crate::service::Applied)| migrate::HistoryRow {
        id: i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1),
        filename: applied.filename.clone(),
        executed_at: applied.executed_at.clone(),
        checksum: applied.checksum.clone(),
        raw_checksum: None,
        compatible: applied.compatible.unwrap_or(false),
        duration_ms: None,
        statements: None,
        sqlite_version: None,
        tool_version: None,
        git_commit: None,
        kind: migrate::Kind::Apply,
    };
    state.history.iter().enumerate().map(row).collect()
}

/// Builds the live schema in an empty database and runs there what the live one lacks.
///
/// # Errors
/// When a file fails, with its place.
pub fn rehearse(files: &[MigrationFile], live: Option<&AdminState>) -> Result<Rehearsal> {
    let folder = tempfile::tempdir().context("make a folder for the rehearsal")?;
    let migrator = Migrator::new(folder.path().join("rehearsal.db"), files.to_vec());
    let report = match live {
        Some(state) => {
            let schema = migrate::Schema {
                definitions: state
                    .schema
                    .definitions
                    .iter()
                    .filter_map(|found| {
                        Some(migrate::Definition {
                            kind: found.kind.clone(),
                            name: found.name.clone(),
                            table: found.table.clone(),
                            sql: found.sql.clone()?,
                        })
                    })
                    .collect(),
            };
            migrator.rehearse_schema(&schema, &history(state))?
        }
        None => migrator.rehearse()?,
    };
    let applied: Vec<String> = report.files.iter().map(|file| file.name.clone()).collect();
    let base = if live.is_some() {
        "a copy of the live schema"
    } else {
        "an empty database"
    };
    let summary = match applied.len() {
        0 => format!("nothing is pending on {base}"),
        count => format!("{count} file(s) ran on {base} in {} ms", report.duration_ms),
    };
    Ok(Rehearsal { applied, summary })
}
