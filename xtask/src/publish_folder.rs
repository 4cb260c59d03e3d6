//! The folder that is published, as it lies on disk after its build.

use crate::config::Config;
use crate::inputs::BuiltSite;
use crate::rule_files;
use crate::site_rules::{RuleFiles, TOML};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Netlify's limit for one folder.
const FILES_PER_FOLDER_MAX: usize = 54_000;

/// See the module's words.
pub struct PublishFolder<'a> {
    /// The project's root.
    pub root: &'a Path,
    /// deploy.toml.
    pub config: &'a Config,
}

impl PublishFolder<'_> {
    /// The folder.
    pub fn dir(&self) -> PathBuf {
        self.root.join(&self.config.frontend.publish)
    }
}

impl BuiltSite for PublishFolder<'_> {
    /// Checked for what no provider takes.
    fn paths(&self) -> Result<Vec<String>> {
        let dir = self.dir();
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
        let toml = rule_files::toml(self.root, &self.config.frontend.publish);
        if toml.is_some() && !paths.iter().any(|path| path == TOML) {
            paths.push(TOML.to_owned());
        }
        check_folders(&paths)?;
        Ok(paths)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        let outside = (path == TOML)
            .then(|| rule_files::toml(self.root, &self.config.frontend.publish))
            .flatten();
        let path = outside.unwrap_or_else(|| self.dir().join(path));
        Ok(fs_err::read(path)?)
    }

    fn rules(&self, is_built: bool) -> Result<RuleFiles> {
        rule_files::read(self.root, self.config, is_built)
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
