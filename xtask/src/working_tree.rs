//! The inputs of a release as they lie on disk: the built site, and the migrations of the commit.

use crate::changes::manifest::hex;
use crate::config::{Config, Target};
use crate::ids::{Commit, RunId};
use crate::inputs::{BuiltSite, Inputs, Rehearsal, SiteFile};
use crate::lane::verify::RELEASE_FILE;
use crate::rehearsal::{Base, rehearse};
use crate::rule_files;
use crate::site_rules::{self, RuleFiles};
use crate::world::World;
use anyhow::{Context as _, Result};
use migrate::MigrationFile;
use sha1::{Digest as _, Sha1};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// See the module's words.
pub struct WorkingTree<'a> {
    /// The site: the publish folder's or a bundle's.
    pub site: &'a dyn BuiltSite,
    /// The project's root, where functions may lie beside the site, whoever prepared it.
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

    fn content(&self, path: &str) -> Result<Vec<u8>> {
        if path == RELEASE_FILE {
            return Ok(self.release_file());
        }
        site_rules::as_sent(path, self.site.read(path)?, &self.target.service_url)
    }
}

impl Inputs for WorkingTree<'_> {
    fn site(&self, world: &dyn World) -> Result<Vec<SiteFile>> {
        let mut paths = self.site.paths()?;
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

    fn rules(&self, is_built: bool) -> Result<RuleFiles> {
        let functions = rule_files::functions(self.root, &self.config.frontend.publish);
        Ok(RuleFiles {
            functions,
            ..self.site.rules(is_built)?
        })
    }

    fn rehearse(&self, base: &Base<'_>) -> Result<Rehearsal> {
        rehearse(self.migrations, base)
    }

    fn begin(&self, run: &RunId) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(run.clone());
    }
}
