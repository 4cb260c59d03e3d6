//! A bundle as a folder: `manifest.json`, and below `frontend/` the files that it names and no others; or a folder of such folders,
//! when several machines have prepared a part each.

use super::manifest::{FileDigest, Manifest};
use crate::config::Config;
use crate::ids::Lane;
use crate::inputs::BuiltSite;
use crate::site_rules::{HEADERS, REDIRECTS, RuleFile, RuleFiles, TOML};
use crate::source::SourceTree;
use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest.json";
const SITE: &str = "frontend";
/// Keeps git from taking a bundle inside the repository for part of the project. It may be missing: archives often leave files
/// with such names out.
const GITIGNORE: &str = ".gitignore";
const IGNORE_ALL: &str = "*\n";
/// Some 400,000 files; a longer manifest is no manifest.
const MANIFEST_MAX_BYTES: u64 = 64 << 20;
/// Problems that are spelled out; more of them only say the same.
const PROBLEMS_MAX: usize = 10;

/// A bundle that has been verified, in one part or in several that were prepared on machines of their own.
#[derive(Clone, Debug)]
pub struct Bundle {
    shown: PathBuf,
    manifest: Manifest,
    parts: Vec<Part>,
}

/// One folder with a manifest.
#[derive(Clone, Debug)]
struct Part {
    dir: PathBuf,
    shown: PathBuf,
    manifest: Manifest,
}

/// Why a bundle is not released. Nothing has been contacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// There is no bundle at that place.
    Absent(String),
    /// There is one, and it is not what it should be.
    Refused(Vec<String>),
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(text) => f.write_str(text),
            Self::Refused(problems) => {
                let shown = problems.get(..PROBLEMS_MAX).unwrap_or(problems);
                f.write_str(&shown.join("\n"))?;
                match problems.len() - shown.len() {
                    0 => Ok(()),
                    more => write!(f, "\nand {more} more of this kind"),
                }
            }
        }
    }
}

impl std::error::Error for BundleError {}

impl Bundle {
    /// Verifies the bundle in `dir` (which messages call `shown`) against itself, the commit and the configuration.
    ///
    /// # Errors
    /// When there is none, or with everything that is wrong with it.
    pub fn open(
        dir: &Path,
        shown: &Path,
        config: &Config,
        source: &SourceTree,
    ) -> Result<Self, BundleError> {
        let refused = |problem: String| BundleError::Refused(vec![problem]);
        let unread = |error: anyhow::Error| refused(format!("{error:#}"));
        let mut parts = Vec::new();
        for (dir, shown) in folders(dir, shown).map_err(unread)? {
            let manifest = read_limited(&dir.join(MANIFEST), MANIFEST_MAX_BYTES)
                .and_then(|text| Manifest::parse(&text))
                .map_err(|error| {
                    let name = shown.display();
                    refused(format!("{name}/{MANIFEST} cannot be used: {error:#}"))
                })?;
            parts.push(Part {
                dir,
                shown,
                manifest,
            });
        }
        let name = shown.display();
        let mut manifests = parts.iter().map(|part| part.manifest.clone());
        let Some(first) = manifests.next() else {
            return Err(BundleError::Absent(format!(
                "{name} is no bundle: it has no {MANIFEST} (hint: `cargo xtask deploy --prepare --out {name}` makes one)"
            )));
        };
        let manifest = manifests.try_fold(first, Manifest::join).map_err(|error| {
            refused(format!("the parts of {name} are of two bundles: {error:#}"))
        })?;
        let mut problems: Vec<String> = manifest
            .disagreements(config, source)
            .into_iter()
            .map(|problem| format!("the bundle {name} does not fit: {problem}"))
            .collect();
        for part in &parts {
            problems.extend(part.damage().map_err(unread)?);
        }
        if problems.is_empty() {
            Ok(Self {
                shown: shown.to_owned(),
                manifest,
                parts,
            })
        } else {
            Err(BundleError::Refused(problems))
        }
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The folder, as the caller named it.
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    /// The part that has the built site.
    fn site(&self) -> Option<&Part> {
        let mut parts = self.parts.iter();
        parts.find(|part| part.manifest.lanes.contains_key(&Lane::Frontend))
    }
}

/// The folders of a bundle, as they are found and as the caller would name them: itself, or those in it that have a manifest.
fn folders(dir: &Path, shown: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    if dir.join(MANIFEST).is_file() {
        return Ok(vec![(dir.to_owned(), shown.to_owned())]);
    }
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let parts = entries(dir)?.into_iter();
    let parts = parts.filter(|(_, path)| path.join(MANIFEST).is_file());
    Ok(parts.map(|(name, path)| (path, shown.join(name))).collect())
}

impl Part {
    fn wanted(&self) -> &BTreeMap<String, FileDigest> {
        static NONE: BTreeMap<String, FileDigest> = BTreeMap::new();
        self.manifest
            .lanes
            .get(&Lane::Frontend)
            .map_or(&NONE, |lane| &lane.files)
    }

    /// Everything in which the folder differs from the manifest.
    fn damage(&self) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, path) in entries(&self.dir)? {
            let kind = fs_err::symlink_metadata(&path)?.file_type();
            match name.as_str() {
                MANIFEST if kind.is_file() => {}
                GITIGNORE if kind.is_file() && fs_err::read(&path)? == IGNORE_ALL.as_bytes() => {}
                SITE if kind.is_dir() => self.walk(&path, "", &mut seen, &mut problems)?,
                _ => problems.push(self.stranger(&name, kind.is_symlink())),
            }
        }
        let missing = self.wanted().keys().filter(|path| !seen.contains(*path));
        problems.extend(missing.map(|path| {
            format!(
                "{}/{SITE}/{path} is missing (hint: prepare the bundle anew; was it carried here without its hidden files?)",
                self.shown.display()
            )
        }));
        Ok(problems)
    }

    fn walk(
        &self,
        folder: &Path,
        prefix: &str,
        seen: &mut BTreeSet<String>,
        problems: &mut Vec<String>,
    ) -> Result<()> {
        for (name, path) in entries(folder)? {
            let below = format!("{prefix}{name}");
            let kind = fs_err::symlink_metadata(&path)?.file_type();
            if kind.is_dir() {
                self.walk(&path, &format!("{below}/"), seen, problems)?;
                continue;
            }
            match self.wanted().get(&below) {
                Some(wanted) if kind.is_file() => {
                    if let Err(error) = self.content(&below, wanted) {
                        problems.push(format!("{error:#}"));
                    }
                    seen.insert(below);
                }
                wanted => {
                    problems.push(self.stranger(&format!("{SITE}/{below}"), kind.is_symlink()));
                    seen.extend(wanted.map(|_| below));
                }
            }
        }
        Ok(())
    }

    fn stranger(&self, path: &str, is_link: bool) -> String {
        let what = if is_link {
            "is a symbolic link, and a bundle consists of plain files"
        } else {
            "is not part of the bundle"
        };
        format!(
            "{}/{path} {what} (hint: somebody put it there; prepare the bundle anew)",
            self.shown.display()
        )
    }

    /// A file's content, which is what the manifest says or an error.
    fn content(&self, path: &str, wanted: &FileDigest) -> Result<Vec<u8>> {
        let content = read_limited(&self.dir.join(SITE).join(path), wanted.size_bytes)?;
        let found = FileDigest::of(&content);
        if found != *wanted {
            bail!(
                "{}/{SITE}/{path} is not what was prepared: its SHA-256 is {}, the manifest says {} (hint: prepare the bundle anew)",
                self.shown.display(),
                found.sha256,
                wanted.sha256
            );
        }
        Ok(content)
    }
}

impl BuiltSite for Bundle {
    fn paths(&self) -> Result<Vec<String>> {
        let wanted = self.site().map(Part::wanted);
        Ok(wanted
            .into_iter()
            .flat_map(BTreeMap::keys)
            .cloned()
            .collect())
    }

    /// Verified once more: between the look at the whole and the upload somebody may have changed it.
    fn read(&self, path: &str) -> Result<Vec<u8>> {
        let found = self
            .site()
            .and_then(|part| Some((part, part.wanted().get(path)?)));
        let (part, wanted) = found.with_context(|| format!("{path} is not part of the bundle"))?;
        part.content(path, wanted)
    }

    /// Those that were prepared.
    fn rules(&self, _is_built: bool) -> Result<RuleFiles> {
        let paths = self.paths()?;
        let file = |name: &str| {
            if paths.iter().any(|path| path == name) {
                RuleFile::new(name, self.read(name)?).map(Some)
            } else {
                Ok(None)
            }
        };
        Ok(RuleFiles {
            toml: file(TOML)?,
            redirects: file(REDIRECTS)?,
            headers: file(HEADERS)?,
            ..RuleFiles::default()
        })
    }
}

/// A folder's entries by name, in order.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        found.push((name.to_string_lossy().into_owned(), path));
    }
    found.sort();
    Ok(found)
}

/// A file that is as long as it should be, or one byte longer: enough to tell that it is another.
fn read_limited(path: &Path, size_bytes: u64) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    fs_err::File::open(path)?
        .take(size_bytes.saturating_add(1))
        .read_to_end(&mut content)
        .with_context(|| format!("read {}", path.display()))?;
    Ok(content)
}

/// Makes sure that a bundle may be written to `out`, before anything is done for it: the place is free, or holds an older bundle.
///
/// # Errors
/// When something else is there.
pub fn may_write(out: &Path) -> Result<()> {
    if !out.exists() && !out.is_symlink() {
        return Ok(());
    }
    if out.is_dir() {
        let found = entries(out)?;
        let is_ours =
            |(name, _): &(String, PathBuf)| [MANIFEST, SITE, GITIGNORE].contains(&name.as_str());
        let is_bundle = found.iter().all(is_ours) && out.join(MANIFEST).is_file();
        if found.is_empty() || is_bundle {
            return Ok(());
        }
    }
    bail!(
        "{} exists and is no bundle, so it is not replaced (hint: name another folder, or remove it)",
        out.display()
    )
}

/// Writes a bundle whole or not at all, in the place of an older one.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(out: &Path, manifest: &Manifest, site: &dyn BuiltSite) -> Result<()> {
    let parent = out
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs_err::create_dir_all(parent)?;
    let made = tempfile::Builder::new()
        .prefix(".tandem-bundle-")
        .tempdir_in(parent)
        .context("make a folder for the bundle")?;
    let dir = made.path().join("new");
    fs_err::create_dir(&dir)?;
    fs_err::write(dir.join(GITIGNORE), IGNORE_ALL)?;
    for (path, wanted) in manifest.lanes.values().flat_map(|lane| &lane.files) {
        let to = dir.join(SITE).join(path);
        if let Some(folder) = to.parent() {
            fs_err::create_dir_all(folder)?;
        }
        let content = site.read(path)?;
        if FileDigest::of(&content) != *wanted {
            bail!("{path} changed while the bundle was being written");
        }
        fs_err::write(&to, content)?;
    }
    fs_err::write(dir.join(MANIFEST), manifest.text())?;
    may_write(out)?;
    if out.exists() {
        fs_err::rename(out, made.path().join("old"))?;
    }
    fs_err::rename(&dir, out)?;
    made.close().context("remove the older bundle")
}

#[cfg(test)]
mod tests;
