//! The inputs of a simulated release: a handful of files in memory.

use crate::changes::manifest::hex;
use crate::ids::RunId;
use crate::inputs::{Inputs, Rehearsal, SiteFile};
use crate::lane::verify::RELEASE_FILE;
use crate::rehearsal::Base;
use crate::site_rules::{HEADERS, REDIRECTS, RuleFile, RuleFiles, TOML};
use crate::world::World;
use anyhow::{Context as _, Result, bail};
use sha1::{Digest as _, Sha1};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// See the module's words.
#[derive(Default)]
pub struct MemoryInputs {
    /// The site, without its release file.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Why the rehearsal fails, if it does.
    pub rehearsal_fails: Option<String>,
    /// A file that somebody writes to after it was listed.
    pub changing: Option<String>,
    /// The run that the release file names.
    pub run: Mutex<Option<RunId>>,
}

impl MemoryInputs {
    fn all(&self) -> BTreeMap<String, Vec<u8>> {
        let run = self
            .run
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut files = self.files.clone();
        let name = run.map(|run| run.0).unwrap_or_default();
        files.insert(
            RELEASE_FILE.to_owned(),
            format!("{{\"release\":\"{name}\"}}").into_bytes(),
        );
        files
    }
}

impl Inputs for MemoryInputs {
    fn begin(&self, run: &RunId) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(run.clone());
    }

    fn site(&self, _world: &dyn World) -> Result<Vec<SiteFile>> {
        let file = |(path, bytes): (String, Vec<u8>)| SiteFile {
            path,
            sha1: hex(&Sha1::digest(&bytes)),
            size: bytes.len() as u64,
        };
        Ok(self.all().into_iter().map(file).collect())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        let mut content = self
            .all()
            .remove(path)
            .with_context(|| format!("there is no {path}"))?;
        if self.changing.as_deref() == Some(path) {
            content.push(b'!');
        }
        Ok(content)
    }

    fn rules(&self, _is_built: bool) -> Result<RuleFiles> {
        let file = |name: &str| {
            let bytes = self.files.get(name).cloned();
            bytes.map(|bytes| RuleFile::new(name, bytes)).transpose()
        };
        Ok(RuleFiles {
            toml: file(TOML)?,
            redirects: file(REDIRECTS)?,
            headers: file(HEADERS)?,
            ..RuleFiles::default()
        })
    }

    fn rehearse(&self, _base: &Base<'_>) -> Result<Rehearsal> {
        match &self.rehearsal_fails {
            Some(why) => bail!("{why}"),
            None => Ok(Rehearsal {
                applied: Vec::new(),
                summary: "simulated".to_owned(),
            }),
        }
    }
}
