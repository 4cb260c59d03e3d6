//! The folder that is published, as it lies on disk after its build.

use crate::changes::LaneFilters;
use crate::changes::manifest::hex;
use crate::checkout;
use crate::config::Config;
use crate::inputs::BuiltSite;
use crate::live::Sent;
use crate::rule_files;
use crate::site_rules::{RuleFiles, TOML};
use anyhow::{Context as _, Result, bail};
use sha1::{Digest as _, Sha1};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::FileType;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// Netlify's limit for one folder.
const FILES_PER_FOLDER_MAX: usize = 54_000;

/// See the module's words.
pub struct PublishFolder<'a> {
    /// The project's root.
    pub root: &'a Path,
    /// deploy.toml.
    pub config: &'a Config,
    /// Its filters, of which one says what is not published.
    pub filters: &'a LaneFilters,
    /// What lay there when the release was planned, where nothing is built into it since: it must still be that.
    pub planned: Option<&'a Sent>,
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
        let top = fs_err::canonicalize(&dir)?;
        let mut walk = Walk {
            filters: self.filters,
            within: vec![top.clone()],
            top,
            paths: Vec::new(),
            left_out: Vec::new(),
        };
        walk.folder(&dir, "")?;
        let toml = rule_files::toml(self.root, &self.config.frontend.publish);
        if toml.is_some() && !walk.paths.iter().any(|path| path == TOML) {
            walk.paths.push(TOML.to_owned());
        }
        check_folders(&walk.paths)?;
        let missed = self
            .filters
            .exclude_that_misses(&walk.left_out, &walk.paths);
        if let Some((pattern, meant)) = missed {
            bail!(
                "frontend.exclude holds '{pattern}', which leaves no file out (hint: write '{meant}', or remove it)"
            );
        }
        if let Some(planned) = self.planned {
            let found: BTreeSet<&String> = walk.paths.iter().collect();
            if let Some(gone) = planned.keys().find(|path| !found.contains(path)) {
                bail!("{gone} is gone since the release was planned");
            }
        }
        Ok(walk.paths)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        // The one file that may lie elsewhere.
        let outside = (path == TOML)
            .then(|| rule_files::toml(self.root, &self.config.frontend.publish))
            .flatten();
        let bytes = fs_err::read(outside.unwrap_or_else(|| self.dir().join(path)))?;
        if checkout::is_pointer(&bytes) {
            bail!("{}", checkout::pointer(&self.config.frontend.publish, path));
        }
        if let Some(planned) = self.planned
            && planned.get(path) != Some(&hex(&Sha1::digest(&bytes)))
        {
            bail!(
                "{path} changed after the release was planned (hint: does a process still write to it?)"
            );
        }
        Ok(bytes)
    }

    fn rules(&self, is_built: bool) -> Result<RuleFiles> {
        rule_files::read(self.root, self.config, is_built)
    }
}

/// One way through the folder and what it links to. Nothing is opened, so nothing can block.
struct Walk<'a> {
    filters: &'a LaneFilters,
    /// The publish folder's real place.
    top: PathBuf,
    /// The real places of the folders above, by which a link that leads back to one is known.
    within: Vec<PathBuf>,
    paths: Vec<String>,
    /// What `frontend.exclude` leaves out.
    left_out: Vec<String>,
}

impl Walk<'_> {
    fn folder(&mut self, dir: &Path, prefix: &str) -> Result<()> {
        let mut entries = Vec::new();
        for entry in fs_err::read_dir(dir)? {
            let entry = entry?;
            entries.push((entry.file_name(), entry.file_type()?, entry.path()));
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, kind, found) in entries {
            let Some(name) = name.to_str() else {
                bail!(
                    "{} has a name that is not UTF-8: it cannot be published",
                    found.display()
                )
            };
            let path = format!("{prefix}{name}");
            if is_hidden(&path) {
                continue;
            }
            if !kind.is_dir() && self.filters.excludes(&path)? {
                self.left_out.push(path);
            } else {
                self.entry(&found, path, kind)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, found: &Path, path: String, mut kind: FileType) -> Result<()> {
        if kind.is_symlink() {
            let real = self.target(found, &path)?;
            kind = fs_err::metadata(real)?.file_type();
        }
        if kind.is_dir() {
            self.within.push(fs_err::canonicalize(found)?);
            self.folder(found, &format!("{path}/"))?;
            self.within.pop();
            return Ok(());
        }
        if let Some(odd) = path
            .chars()
            .find(|odd| matches!(odd, '#' | '?') || odd.is_control())
        {
            bail!(
                "{path:?} has {odd:?} in its name: the provider refuses such files (hint: rename it, or list it in frontend.exclude)"
            );
        }
        if !kind.is_file() {
            bail!(
                "{path} is {}: only files can be published (hint: remove it, or list it in frontend.exclude)",
                what(kind)
            );
        }
        self.paths.push(path);
        Ok(())
    }

    /// Where a symbolic link leads.
    fn target(&self, found: &Path, path: &str) -> Result<PathBuf> {
        let looped = || {
            format!(
                "{path} leads back to itself (a symbolic link) (hint: remove it, or list it in frontend.exclude)"
            )
        };
        let real = match found.canonicalize() {
            Ok(real) => real,
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                bail!("{}", looped())
            }
            Err(error) => {
                return Err(error).with_context(|| format!("{path} is a symbolic link to nothing"));
            }
        };
        if self.within.contains(&real) {
            bail!("{}", looped());
        }
        if !real.starts_with(&self.top) {
            bail!(
                "{path} is a symbolic link out of the publish folder, to {}",
                real.display()
            );
        }
        Ok(real)
    }
}

fn what(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// Dot files stay home, as with the provider's own tool, except those that the web has a place for.
pub(crate) fn is_hidden(path: &str) -> bool {
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
