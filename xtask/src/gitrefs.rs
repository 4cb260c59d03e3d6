//! Refs kept by git: on the origin for shared environments, in the private repository for the local one.

use crate::git::Git;
use crate::ids::{Commit, Oid};
use crate::refs::{Files, RefValue, Refs, Swap};
use anyhow::{Context as _, Result};

/// Where the refs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the private repository: the local environment never contacts the origin.
    Private,
    /// On this remote of the user's repository.
    Remote(String),
}

/// Refs in git.
#[derive(Debug)]
pub struct GitRefs<'a> {
    /// Both repositories.
    pub git: &'a Git,
    /// Which of them, or whose remote.
    pub place: Place,
}

impl GitRefs<'_> {
    /// The commit that the ref names now, asked from the place itself.
    fn resolve(&self, name: &str) -> Result<Option<Oid>> {
        let listing = match &self.place {
            Place::Private => self
                .git
                .private_git(&["for-each-ref", "--format=%(objectname)", name], b"")?,
            Place::Remote(remote) => self
                .git
                .remote_git(&["ls-remote", remote, name])
                .with_context(|| format!("read {name} from the remote '{remote}'"))?,
        };
        let listing = String::from_utf8_lossy(&listing);
        Ok(listing.split_whitespace().next().map(Oid::from))
    }

    /// Makes sure that the ref's commits are at hand.
    fn fetch(&self, name: &str) -> Result<()> {
        if let Place::Remote(remote) = &self.place {
            self.git
                .remote_git(&[
                    "fetch",
                    "--quiet",
                    "--no-tags",
                    "--no-write-fetch-head",
                    "--no-auto-gc",
                    remote,
                    name,
                ])
                .with_context(|| format!("fetch {name} from the remote '{remote}'"))?;
        }
        Ok(())
    }

    fn files_of(&self, oid: &Oid) -> Result<Files> {
        let listing = self
            .git
            .private_git(&["ls-tree", "-z", oid.as_str()], b"")?;
        let mut files = Files::new();
        for entry in listing
            .split(|byte| *byte == 0)
            .filter(|entry| !entry.is_empty())
        {
            let entry = String::from_utf8_lossy(entry);
            let (head, name) = entry
                .split_once('\t')
                .context("git ls-tree printed an entry without a path")?;
            let blob = head.rsplit(' ').next().unwrap_or_default();
            files.insert(
                name.to_owned(),
                self.git.private_git(&["cat-file", "blob", blob], b"")?,
            );
        }
        Ok(files)
    }

    fn commit(&self, files: &Files, parent: Option<&Oid>, message: &str) -> Result<Oid> {
        let mut tree = String::new();
        for (name, content) in files {
            let blob = self
                .git
                .private_git(&["hash-object", "-w", "--stdin"], content)?;
            let blob = String::from_utf8_lossy(&blob);
            tree.push_str("100644 blob ");
            tree.push_str(blob.trim());
            tree.push('\t');
            tree.push_str(name);
            tree.push('\0');
        }
        let tree = self.git.private_git(&["mktree", "-z"], tree.as_bytes())?;
        let tree = String::from_utf8_lossy(&tree).trim().to_owned();
        let mut args = vec!["commit-tree", "-m", message];
        if let Some(parent) = parent {
            args.extend(["-p", parent.as_str()]);
        }
        args.push(&tree);
        let commit = self.git.private_git(&args, b"")?;
        Ok(Oid::from(String::from_utf8_lossy(&commit).trim()))
    }

    /// Moves or deletes a ref, then reads it back: two pushes of the same object both report success, and an answer can get lost.
    fn move_ref(&self, name: &str, expected: Option<&Oid>, new: Option<&Oid>) -> Result<Swap> {
        const NONE: &str = "0000000000000000000000000000000000000000";
        let old = expected.map_or("", Oid::as_str);
        let told = match &self.place {
            Place::Private => {
                let old = if old.is_empty() { NONE } else { old };
                match new {
                    Some(new) => self
                        .git
                        .private_git(&["update-ref", name, new.as_str(), old], b""),
                    None => self.git.private_git(&["update-ref", "-d", name, old], b""),
                }
            }
            Place::Remote(remote) => {
                let lease = format!("--force-with-lease={name}:{old}");
                let refspec = format!("{}:{name}", new.map_or("", Oid::as_str));
                self.git
                    .remote_git(&["push", "--quiet", "--no-verify", &lease, remote, &refspec])
            }
        };
        let found = self.resolve(name);
        match (told, found) {
            // Also when the push reported a failure: its answer may have been lost after the ref moved.
            (_, Ok(found)) if found.as_ref() == new => Ok(Swap::Moved(new.cloned().unwrap_or_else(|| Oid::from(NONE)))),
            (Ok(_) | Err(_), Ok(found)) if found.as_ref() != expected => Ok(Swap::Lost(found)),
            (Err(error), _) => Err(error.context(format!(
                "move {name} (hint: whoever releases needs permission to push there, in GitHub Actions `permissions: contents: write`, and no rule may protect {name})"
            ))),
            (Ok(_), Ok(found)) => Ok(Swap::Lost(found)),
            (Ok(_), Err(error)) => Err(error.context(format!("read {name} back after moving it"))),
        }
    }
}

impl GitRefs<'_> {
    /// Asks whether a ref called `name` could be made to point to `commit`; nothing is moved.
    ///
    /// # Errors
    /// When the place cannot be reached, or lets us only read.
    pub fn try_push(&self, name: &str, commit: &Commit) -> Result<()> {
        let Place::Remote(remote) = &self.place else {
            return Ok(());
        };
        let refspec = format!("{commit}:{name}");
        self.git.remote_git(&[
            "push",
            "--dry-run",
            "--quiet",
            "--no-verify",
            remote,
            &refspec,
        ])?;
        Ok(())
    }
}

impl Refs for GitRefs<'_> {
    fn read(&self, name: &str) -> Result<Option<RefValue>> {
        self.settled(name, |oid| {
            let files = self
                .files_of(oid)
                .with_context(|| format!("read what {name} holds"))?;
            Ok(RefValue {
                oid: oid.clone(),
                files,
            })
        })
    }

    fn swap(
        &self,
        name: &str,
        expected: Option<&Oid>,
        files: &Files,
        parent: bool,
        message: &str,
    ) -> Result<Swap> {
        let new = self.commit(files, expected.filter(|_| parent), message)?;
        self.move_ref(name, expected, Some(&new))
    }

    fn delete(&self, name: &str, expected: &Oid) -> Result<Swap> {
        self.move_ref(name, Some(expected), None)
    }

    fn log(&self, name: &str, limit: usize) -> Result<Vec<RefValue>> {
        let listed = self.settled(name, |tip| self.log_from(tip, limit))?;
        Ok(listed.unwrap_or_default())
    }
}

impl GitRefs<'_> {
    /// Reads what a ref points to. Between asking where it points and fetching it another run may move or remove it: then it is asked anew.
    fn settled<T>(&self, name: &str, read: impl Fn(&Oid) -> Result<T>) -> Result<Option<T>> {
        const TRIES: u32 = 4;
        let mut tried = 1;
        loop {
            let Some(oid) = self.resolve(name)? else {
                return Ok(None);
            };
            match self.fetch(name).and_then(|()| read(&oid)) {
                Ok(value) => return Ok(Some(value)),
                Err(error) if tried == TRIES => return Err(error),
                Err(_) => tried += 1,
            }
        }
    }

    fn log_from(&self, tip: &Oid, limit: usize) -> Result<Vec<RefValue>> {
        let count = format!("--max-count={limit}");
        let listing = self
            .git
            .private_git(&["rev-list", "--first-parent", &count, tip.as_str()], b"")?;
        String::from_utf8_lossy(&listing)
            .lines()
            .map(|line| {
                let oid = Oid::from(line);
                let files = self.files_of(&oid)?;
                Ok(RefValue { oid, files })
            })
            .collect()
    }
}
