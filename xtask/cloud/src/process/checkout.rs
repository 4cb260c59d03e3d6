//! The source folder: one working tree that moves from commit to commit, touching only files that differ, so that builds stay incremental.
#![expect(
    clippy::disallowed_methods,
    reason = "git is asked by short commands that must not inherit the caller's environment"
)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::environment;

/// A commit as the log shows it.
pub(super) struct CommitInfo {
    pub(super) id: String,
    pub(super) committed_ms: i64,
    pub(super) message: String,
}

/// A file of a commit.
pub(super) struct Entry {
    /// `mode type id`.
    pub(super) head: String,
    /// Any bytes but NUL, as git allows.
    pub(super) path: PathBuf,
}

impl Entry {
    /// Reads `mode type id\tpath`.
    pub(super) fn parse(entry: &[u8]) -> Option<Self> {
        let tab = entry.iter().position(|byte| *byte == b'\t')?;
        Some(Self {
            head: text(&entry[..tab]),
            path: PathBuf::from(OsStr::from_bytes(&entry[tab + 1..])),
        })
    }
}

/// Where the commits are.
pub(super) struct Repository {
    git_dir: PathBuf,
}

impl Repository {
    /// The repository of a working copy, or the given git directory.
    pub(super) fn find(repo_dir: &Path, git_dir: Option<&Path>) -> Result<Self, String> {
        if let Some(given) = git_dir {
            return Ok(Self {
                git_dir: given.to_owned(),
            });
        }
        let found = run(Command::new("git")
            .current_dir(repo_dir)
            .args(["rev-parse", "--absolute-git-dir"]))?;
        Ok(Self {
            git_dir: PathBuf::from(text(&found).trim()),
        })
    }

    fn git(&self) -> Command {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.git_dir);
        command
    }

    /// Finds a commit; the head without a name.
    pub(super) fn commit(&self, name: Option<&str>) -> Result<CommitInfo, String> {
        let wanted = format!("{}^{{commit}}", name.unwrap_or("HEAD"));
        let id = run(self.git().args(["rev-parse", "--verify", &wanted]))?;
        let id = text(&id).trim().to_owned();
        // The object alone: `git log` wants the parents too, which a shallow clone has not got.
        let object = run(self.git().args(["cat-file", "commit", &id]))?;
        let object = text(&object);
        let (head, message) = object.split_once("\n\n").unwrap_or((&object, ""));
        let seconds = head
            .lines()
            .find_map(|line| line.strip_prefix("committer "))
            .and_then(|committer| committer.rsplit(' ').nth(1))
            .and_then(|seconds| seconds.parse::<i64>().ok());
        let seconds = seconds.ok_or_else(|| format!("the commit {id} has no time: {head}"))?;
        Ok(CommitInfo {
            committed_ms: seconds * 1000,
            message: message.trim_end().to_owned(),
            id,
        })
    }

    /// The commit's entries.
    pub(super) fn entries(&self, commit: &str) -> Result<Vec<Entry>, String> {
        let listed = run(self.git().args(["ls-tree", "-r", "-z", commit]))?;
        let entries = listed.split(|byte| *byte == 0).filter_map(Entry::parse);
        Ok(entries.collect())
    }

    /// Makes `source` the commit's tree: files that are gone are removed, files that are the same keep their times.
    pub(super) fn check_out(
        &self,
        commit: &str,
        source: &Path,
        index: &Path,
    ) -> Result<(), String> {
        fs_err::create_dir_all(source).map_err(|e| e.to_string())?;
        let in_tree = |args: &[&str]| {
            let mut command = self.git();
            command.arg("--work-tree").arg(source).args(args);
            command.current_dir(source).env("GIT_INDEX_FILE", index);
            command
        };
        if index.exists() {
            // Notices what a build has changed; its own exit code only says that something has.
            run_with_index(&mut in_tree(&["update-index", "-q", "--refresh"]), index)
                .unwrap_or_default();
        }
        run_with_index(&mut in_tree(&["read-tree", "--reset", "-u", commit]), index).map(|_| ())
    }
}

/// Gives the source folder a first copy of the working copy's cache folders, so that its first build does not begin with nothing.
/// From then on they are its own: two trees that share one of cargo's target folders take each other's builds for fresh.
pub(super) fn seed_caches(repo_dir: &Path, source: &Path, caches: &[String]) -> Result<(), String> {
    for cache in caches {
        let (from, to) = (repo_dir.join(cache), source.join(cache));
        if to.exists() || !from.is_dir() {
            continue;
        }
        // Whole or not at all: a copy that broke off must not be taken for one.
        let unfinished = to.with_extension("seeding");
        let copied = (|| -> std::io::Result<()> {
            if unfinished.exists() {
                fs_err::remove_dir_all(&unfinished)?;
            }
            copy_folder(&from, &unfinished)?;
            fs_err::rename(&unfinished, &to)
        })();
        copied.map_err(|e| format!("copy the cache folder {cache}: {e}"))?;
    }
    Ok(())
}

/// Copies files with their times, by which build tools tell what is fresh. What goes away meanwhile is left out.
fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            match fs_err::copy(entry.path(), &target) {
                Ok(_) => {
                    let modified = entry.metadata()?.modified()?;
                    fs_err::OpenOptions::new()
                        .write(true)
                        .open(&target)?
                        .into_parts()
                        .0
                        .set_modified(modified)?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn run_with_index(command: &mut Command, index: &Path) -> Result<Vec<u8>, String> {
    run_with(command, Some(index))
}

fn run(command: &mut Command) -> Result<Vec<u8>, String> {
    run_with(command, None)
}

fn run_with(command: &mut Command, index: Option<&Path>) -> Result<Vec<u8>, String> {
    command.env_clear().envs(environment::of_git());
    if let Some(index) = index {
        command.env("GIT_INDEX_FILE", index);
    }
    let output = command.output().map_err(|e| format!("run git: {e}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let arguments: Vec<_> = command
        .get_args()
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    Err(format!(
        "git {}: {}",
        arguments.join(" "),
        text(&output.stderr).trim()
    ))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
