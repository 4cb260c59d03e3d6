//! What the project's history says about two commits, in whole and in shallow clones.

use super::{Git, run, text};
use crate::forwards::{Ancestry, History, Lost};
use crate::ids::Commit;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use xshell::{Shell, cmd};

/// The history of the user's repository; what a shallow clone lacks is fetched from a remote, into a folder that is thrown away.
#[derive(Debug)]
pub struct GitHistory<'a> {
    /// The repository.
    pub git: &'a Git,
    /// Who has all of the history; none may be asked for the local environment.
    pub remote: Option<&'a str>,
}

impl History for GitHistory<'_> {
    fn ancestry(&self, older: &Commit, newer: &Commit) -> Ancestry {
        let at_hand = Repository::at_hand(self.git);
        match at_hand.is_ancestor(older, newer) {
            Ok(Some(true)) => Ancestry::Part,
            Ok(Some(false)) => Ancestry::NotPart,
            _ => self
                .fetched_ancestry(older, newer)
                .unwrap_or_else(|error| Ancestry::Unknown(format!("{error:#}"))),
        }
    }

    fn lost(&self, live: &Commit, ours: &Commit) -> Lost {
        let at_hand = Repository::at_hand(self.git);
        let told = match at_hand.is_ancestor(live, ours) {
            Ok(Some(true)) => return Lost::Nothing,
            Ok(Some(false)) => at_hand.missing(live, ours),
            _ => self.fetched(live, ours),
        };
        told.unwrap_or_else(|error| Lost::Unknown(format!("{error:#}")))
    }
}

impl GitHistory<'_> {
    /// Asks the whole history of the two commits.
    fn fetched(&self, live: &Commit, ours: &Commit) -> Result<Lost> {
        let (_folder, whole, remote) = self.beside()?;
        whole
            .fetch(&[live.as_str(), ours.as_str()])
            .with_context(|| {
                format!(
                    "fetch the history of {} from the remote '{remote}'",
                    live.short(),
                )
            })?;
        match whole.is_ancestor(live, ours)? {
            Some(true) => Ok(Lost::Nothing),
            Some(false) => whole.missing(live, ours),
            None => bail!("the remote '{remote}' has not got all of the history either"),
        }
    }

    /// Asks the whole history of the newer commit: it either holds the older one, or does not.
    fn fetched_ancestry(&self, older: &Commit, newer: &Commit) -> Result<Ancestry> {
        let (_folder, whole, remote) = self.beside()?;
        // A commit that is gone cannot be fetched, and some servers give none by its id: all branches tell which it is.
        if whole.fetch(&[newer.as_str()]).is_err() {
            whole
                .fetch(&["+refs/heads/*:refs/heads/*"])
                .with_context(|| {
                    format!(
                        "fetch the history of {} from the remote '{remote}'",
                        newer.short()
                    )
                })?;
        }
        if !whole.holds(newer)? {
            return Ok(Ancestry::Gone);
        }
        if text(&whole.run(&["rev-parse", "--is-shallow-repository"])?) != "false" {
            bail!("the remote '{remote}' has not got all of the history either");
        }
        if !whole.holds(older)? {
            return Ok(Ancestry::NotPart);
        }
        match whole.is_ancestor(older, newer)? {
            Some(true) => Ok(Ancestry::Part),
            Some(false) => Ok(Ancestry::NotPart),
            None => bail!("git cannot compare {} and {}", older.short(), newer.short()),
        }
    }

    /// The branches of the remote that hold a commit, asked from the remote itself: the clone of a tag has none.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub fn branches_holding(&self, commit: &Commit) -> Result<Vec<String>> {
        let (_folder, whole, remote) = self.beside()?;
        whole.fetch(&[&format!("+refs/heads/*:refs/remotes/{remote}/*")])?;
        if !whole.holds(commit)? {
            return Ok(Vec::new());
        }
        let listing = whole.run(&[
            "for-each-ref",
            "--contains",
            commit.as_str(),
            "--format=%(refname:lstrip=2)",
            "refs/remotes",
        ])?;
        let names = text(&listing);
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// An empty repository beside the private one that knows the remote, and the remote's name.
    fn beside(&self) -> Result<(TempDir, Repository<'_>, &str)> {
        let remote = self
            .remote
            .context("the commits are not at hand, and this environment asks no remote")?;
        let folder = tempfile::Builder::new()
            .prefix("history.")
            .tempdir_in(self.git.state_dir()?)
            .context("make a folder for the history")?;
        let whole = Repository {
            git: self.git,
            dir: folder.path().to_owned(),
        };
        let url = self.git.remote_url(remote)?;
        whole.run(&["init", "--quiet", "--bare"])?;
        whole.run(&["remote", "add", "origin", &url])?;
        Ok((folder, whole, remote))
    }
}

/// A repository that holds the commits.
struct Repository<'a> {
    git: &'a Git,
    dir: PathBuf,
}

impl<'a> Repository<'a> {
    fn at_hand(git: &'a Git) -> Self {
        Self {
            git,
            dir: git.private.clone(),
        }
    }

    fn run(&self, args: &[&str]) -> Result<Vec<u8>> {
        let dir = &self.dir;
        let shell = Shell::new()?;
        let command = self
            .git
            .clean(cmd!(shell, "git --git-dir={dir} {args...}"))
            .env("GIT_TERMINAL_PROMPT", "0");
        run(self.git.authenticated(command), b"")
    }

    /// Fetches commits alone; git gets the few trees and files that are asked for later. A server that cannot do this sends everything.
    fn fetch(&self, what: &[&str]) -> Result<()> {
        let how = ["fetch", "--quiet", "--no-tags", "--filter=tree:0", "origin"];
        self.run(&[&how, what].concat()).map(drop)
    }

    /// Whether the commit is here already.
    fn holds(&self, commit: &Commit) -> Result<bool> {
        let dir = &self.dir;
        let shell = Shell::new()?;
        let object = format!("{commit}^{{commit}}");
        let command = cmd!(shell, "git --git-dir={dir} cat-file -e {object}");
        let output = self
            .git
            .clean(command)
            // What is missing must not be fetched just because it was asked for.
            .env("GIT_NO_LAZY_FETCH", "1")
            .ignore_status()
            .quiet()
            .output()
            .context("run git")?;
        Ok(output.status.success())
    }

    /// Whether `old` is reachable from `new`; `None` when the history at hand does not tell (a shallow clone).
    fn is_ancestor(&self, old: &Commit, new: &Commit) -> Result<Option<bool>> {
        let (dir, old, new) = (&self.dir, old.as_str(), new.as_str());
        let shell = Shell::new()?;
        let command = cmd!(
            shell,
            "git --git-dir={dir} merge-base --is-ancestor {old} {new}"
        );
        let output = self
            .git
            .clean(command)
            .ignore_status()
            .quiet()
            .output()
            .context("run git")?;
        Ok(match output.status.code() {
            Some(0) => Some(true),
            Some(1) => Some(false),
            _ => None,
        })
    }

    /// What of `live` is not in `ours`, which does not contain it as a commit. It may contain its changes all the same: squashed,
    /// picked, rebased.
    fn missing(&self, live: &Commit, ours: &Commit) -> Result<Lost> {
        let merged = self.run(&["merge-tree", "--write-tree", ours.as_str(), live.as_str()]);
        let tree = self.run(&["rev-parse", &format!("{ours}^{{tree}}")])?;
        // Merging it would change nothing. With a conflict git fails, and the commits tell.
        if merged.is_ok_and(|merged| text(&merged) == text(&tree)) {
            return Ok(Lost::Nothing);
        }
        let range = format!("{ours}...{live}");
        let listing = self.run(&[
            "log",
            "--no-merges",
            "--cherry-pick",
            "--right-only",
            "--format=%h %s",
            &range,
        ])?;
        let commits: Vec<String> = String::from_utf8_lossy(&listing)
            .lines()
            .map(str::to_owned)
            .collect();
        Ok(if commits.is_empty() {
            Lost::Nothing
        } else {
            Lost::Commits(commits)
        })
    }
}

impl Git {
    /// The folder that the private repository is in.
    fn state_dir(&self) -> Result<&Path> {
        self.private
            .parent()
            .context("the private repository has no folder")
    }
}
