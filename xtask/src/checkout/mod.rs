//! Whether the folder holds what its commit says: `git status` is clean also where a submodule, a large file or a part of the tree
//! was never fetched. What the site's lane reads is looked at before anything is contacted, so that the record of a release, which
//! is made of the commit's blobs, is true of what was sent.

mod fault;

use crate::changes::LaneFilters;
use crate::changes::manifest::hex;
use crate::changes::tree::{File, Files};
use crate::config::Config;
use crate::git::{Git, Unwatched, blob_id};
use crate::inputs::BuiltSite as _;
use crate::live::Sent;
use crate::publish_folder::{PublishFolder, is_hidden};
use crate::site_rules;
use anyhow::{Context as _, Result, bail};
use fault::{Fault, POINTER_MAX_BYTES};
use sha1::{Digest as _, Sha1};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Whether a content that would be published is a pointer of Git LFS.
pub fn is_pointer(content: &[u8]) -> bool {
    fault::is_pointer(content)
}

/// What is wrong with a pointer that would be published.
pub fn pointer(publish: &str, path: &str) -> String {
    Fault::Pointer.explain(&format!("{}{path}", below(publish)))
}

/// What is looked at.
pub struct Checkout<'a> {
    /// The project's root.
    pub root: &'a Path,
    /// Its git.
    pub git: &'a Git,
    /// deploy.toml.
    pub config: &'a Config,
    /// Its filters.
    pub filters: &'a LaneFilters,
    /// Every file of what would be released.
    pub tree: &'a Files,
    /// Those of the site's lane.
    pub lane: &'a Files,
}

impl Checkout<'_> {
    /// Looks at everything that the site's lane reads. Where nothing is built, that is the publish folder, and what lies in it is
    /// returned: path and SHA-1 of each file.
    ///
    /// # Errors
    /// When something is not there as the commit has it, with the remedy.
    pub fn verify(&self) -> Result<Option<Sent>> {
        let mut faults = Vec::new();
        if self.git.is_versioned() {
            faults.extend(self.submodules()?);
            faults.extend(self.unwatched()?);
        }
        if self.config.frontend.build.is_some() {
            faults.extend(self.pointers()?);
            refuse(&faults)?;
            return Ok(None);
        }
        refuse(&faults)?;
        let (folder, faults) = self.published()?;
        refuse(&faults)?;
        Ok(Some(folder))
    }

    /// Whether the lane reads a tracked file or a submodule: its build reads the lane's, without a build the published ones are read.
    fn reads(&self, path: &str) -> Result<bool> {
        if self.config.frontend.build.is_some() && self.lane.get(path.as_bytes()).is_some() {
            return Ok(true);
        }
        // The site's rules may lie above its folder.
        let mut rules = site_rules::candidates(&self.config.frontend.publish).into_iter();
        Ok(rules.any(|rules| rules == path) || self.is_published(path)?)
    }

    fn is_published(&self, path: &str) -> Result<bool> {
        let publish = below(&self.config.frontend.publish);
        match path.strip_prefix(&publish) {
            Some(path) => Ok(!is_hidden(path) && !self.filters.excludes(path)?),
            // A submodule that the publish folder lies in.
            None => Ok(publish.starts_with(&format!("{path}/"))),
        }
    }

    fn submodules(&self) -> Result<Vec<(String, Fault)>> {
        let mut faults = Vec::new();
        for entry in self.tree.iter().filter(is_submodule) {
            let path = String::from_utf8_lossy(entry.path);
            if self.reads(&path)? {
                self.submodule(&path, entry.oid, &mut faults)?;
            }
        }
        Ok(faults)
    }

    /// A submodule and those in it.
    fn submodule(&self, path: &str, oid: &str, faults: &mut Vec<(String, Fault)>) -> Result<()> {
        let folder = self.root.join(path);
        let found = if !folder.join(".git").exists() {
            Some(Fault::SubmoduleAbsent)
        } else {
            let head = self
                .git
                .elsewhere(&folder, &["rev-parse", "--verify", "HEAD"])
                .with_context(|| format!("look at the submodule {path}"))?;
            let status = [
                "--no-optional-locks",
                "status",
                "--porcelain",
                "--untracked-files=no",
                "--ignore-submodules=all",
            ];
            if String::from_utf8_lossy(&head).trim() != oid {
                Some(Fault::SubmoduleElsewhere)
            } else if !self.git.elsewhere(&folder, &status)?.is_empty() {
                Some(Fault::SubmoduleDirty)
            } else {
                None
            }
        };
        if let Some(fault) = found {
            faults.push((path.to_owned(), fault));
            return Ok(());
        }
        let listing = ["ls-tree", "-r", "-z", "--full-tree", oid];
        let inner = Files::parse(self.git.elsewhere(&folder, &listing)?)
            .with_context(|| format!("list the submodule {path}"))?;
        for entry in inner.iter().filter(is_submodule) {
            let name = String::from_utf8_lossy(entry.path);
            self.submodule(&format!("{path}/{name}"), entry.oid, faults)?;
        }
        Ok(())
    }

    /// Files that git was told not to look at.
    fn unwatched(&self) -> Result<Vec<(String, Fault)>> {
        let mut faults = Vec::new();
        let mut present = Vec::new();
        for Unwatched { path, is_sparse } in self.git.unwatched()? {
            let Some(file) = self.tree.get(path.as_bytes()) else {
                continue;
            };
            if !self.reads(&path)? {
                continue;
            }
            if self.root.join(&path).symlink_metadata().is_ok() {
                present.push(file);
            } else if is_sparse {
                faults.push((path, Fault::Sparse));
            } else {
                faults.push((path, Fault::Unwatched));
            }
        }
        let differing = self.differing(present.into_iter())?;
        faults.extend(
            differing
                .into_iter()
                .map(|(path, _)| (path, Fault::Unwatched)),
        );
        Ok(faults)
    }

    /// Pointers of Git LFS among the files that a build reads.
    fn pointers(&self) -> Result<Vec<(String, Fault)>> {
        let mut faults = Vec::new();
        for file in self.lane.iter().filter(|file| file.kind() == "100") {
            let path = String::from_utf8_lossy(file.path);
            let found = self.root.join(&*path);
            let is_small = found
                .symlink_metadata()
                .is_ok_and(|about| about.is_file() && about.len() < POINTER_MAX_BYTES as u64);
            if is_small && is_pointer(&fs_err::read(&found)?) {
                faults.push((path.into_owned(), Fault::Pointer));
            }
        }
        Ok(faults)
    }

    /// What lies in the publish folder, and in what its tracked files are not the commit's.
    fn published(&self) -> Result<(Sent, Vec<(String, Fault)>)> {
        let publish = below(&self.config.frontend.publish);
        let site = PublishFolder {
            root: self.root,
            config: self.config,
            filters: self.filters,
            planned: None,
        };
        let mut folder = Sent::new();
        let mut tracked = Vec::new();
        for path in site.paths()? {
            let content = site.read(&path)?;
            folder.insert(path.clone(), hex(&Sha1::digest(&content)));
            let Some(file) = self.tree.get(format!("{publish}{path}").as_bytes()) else {
                continue;
            };
            if file.kind() != "100" || blob_id(file.oid, &content) != file.oid {
                tracked.push(file);
            }
        }
        let mut faults = self.differing(tracked.into_iter())?;
        for file in self.tree.iter().filter(|file| !is_submodule(file)) {
            let path = String::from_utf8_lossy(file.path);
            let Some(inner) = path.strip_prefix(&publish) else {
                continue;
            };
            let is_there =
                folder.contains_key(inner) || self.root.join(&*path).symlink_metadata().is_ok();
            if !is_there && self.is_published(&path)? {
                faults.push((path.into_owned(), Fault::Gone));
            }
        }
        Ok((folder, faults))
    }

    /// Those of the files whose bytes are neither the commit's nor what git makes of them when it checks them out.
    fn differing<'f>(&self, files: impl Iterator<Item = File<'f>>) -> Result<Vec<(String, Fault)>> {
        let mut faults = Vec::new();
        let mut suspects = Vec::new();
        // Without a repository the commit was made of this folder just now.
        for file in files.filter(|_| self.git.is_versioned()) {
            let path = String::from_utf8_lossy(file.path).into_owned();
            let found = self.root.join(&path);
            let is_link = fs_err::symlink_metadata(&found)?.is_symlink();
            let content = match (file.kind(), is_link) {
                ("120", true) => fs_err::read_link(&found)?.as_os_str().as_bytes().to_vec(),
                ("120", false) => {
                    faults.push((path, Fault::NoLink));
                    continue;
                }
                _ => fs_err::read(&found)?,
            };
            if blob_id(file.oid, &content) != file.oid {
                suspects.push((path, file.oid, content));
            }
        }
        let oids: Vec<&str> = suspects.iter().map(|(_, oid, _)| *oid).collect();
        let mut converted = Vec::new();
        for (suspect, blob) in suspects.iter().zip(self.git.blobs(&oids)?) {
            // A pointer's content is known by its digest; having git fetch it would ask a server.
            if !is_pointer(&blob) {
                converted.push(suspect);
            } else if !fault::points_to(&blob, &suspect.2) {
                faults.push((suspect.0.clone(), Fault::Differs));
            }
        }
        let asked: Vec<(&str, &str)> = converted
            .iter()
            .map(|(path, oid, _)| (path.as_str(), *oid))
            .collect();
        for ((path, _, content), made) in converted.iter().zip(self.git.checked_out(&asked)?) {
            if *content != made {
                faults.push((path.clone(), Fault::Differs));
            }
        }
        Ok(faults)
    }
}

fn is_submodule(file: &File<'_>) -> bool {
    file.kind() == "160"
}

/// The folder with one slash at its end.
fn below(folder: &str) -> String {
    let parts: Vec<&str> = folder
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    format!("{}/", parts.join("/"))
}

fn refuse(faults: &[(String, Fault)]) -> Result<()> {
    match fault::explain(faults) {
        None => Ok(()),
        Some(text) => bail!("{text}"),
    }
}
