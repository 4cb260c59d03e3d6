//! Git through its command line: what would be released, and a private repository for everything that must not touch the user's.
//!
//! Objects that Tandem makes (snapshots of a dirty tree, live records, leases) go to `<state>/repo.git`, which borrows the user's
//! objects as alternates. The user's repository is only ever read. Without a repository the private one stands alone.

mod history;
mod index;

pub use history::GitHistory;
pub use index::{Unwatched, blob_id};

use crate::changes::tree::Files;
use crate::ids::Commit;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use xshell::{Cmd, Shell, cmd};

/// Whoever snapshots the same tree on the same parent gets the same commit.
const SNAPSHOT_IDENTITY: [(&str, &str); 6] = [
    ("GIT_AUTHOR_NAME", "Tandem"),
    ("GIT_AUTHOR_EMAIL", "tandem@localhost"),
    ("GIT_AUTHOR_DATE", "2000-01-01T00:00:00Z"),
    ("GIT_COMMITTER_NAME", "Tandem"),
    ("GIT_COMMITTER_EMAIL", "tandem@localhost"),
    ("GIT_COMMITTER_DATE", "2000-01-01T00:00:00Z"),
];

/// What tells git of another repository or index than the one on the command line (`git rev-parse --local-env-vars`, less the
/// configuration).
const REPOSITORY_VARIABLES: [&str; 14] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_CONFIG",
];

/// The file for credentials never becomes part of a snapshot, whatever the project's .gitignore says.
const NO_CREDENTIALS: &str = ":(top,exclude,glob)**/.env.deploy";

/// What would be released: a commit, or a snapshot of the working tree as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// HEAD, or the snapshot's commit.
    pub commit: Commit,
    /// First line of the message.
    pub subject: String,
    /// Paths that differ from HEAD; empty for a clean tree.
    pub dirty: Vec<String>,
    /// Whether the folder is a git repository at all.
    pub versioned: bool,
}

/// The user's repository, when there is one, and the private one.
pub struct Git {
    root: PathBuf,
    private: PathBuf,
    /// The user's object folder; `None` without a repository.
    objects: Option<PathBuf>,
    /// Variables that git must not see.
    withheld: Vec<String>,
    /// A setting for calls to remotes; it may hold a credential.
    remote_config: Option<(String, String)>,
}

impl std::fmt::Debug for Git {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Git")
            .field("root", &self.root)
            .field("private", &self.private)
            .finish_non_exhaustive()
    }
}

impl Git {
    /// Looks at `root` and makes the private repository below `state_dir` when it is missing. `withheld` are variables of this
    /// process that git and what it starts must not see.
    ///
    /// # Errors
    /// When git is missing, when it refuses the repository, or when the private one cannot be made.
    pub fn open(root: &Path, state_dir: &Path, withheld: &[String]) -> Result<Self> {
        let mut git = Self {
            root: root.to_owned(),
            private: state_dir.join("repo.git"),
            objects: None,
            withheld: withheld.to_vec(),
            remote_config: None,
        };
        match git.repository()? {
            Some((toplevel, objects))
                if fs_err::canonicalize(&toplevel)? == fs_err::canonicalize(root)? =>
            {
                git.objects = Some(objects);
            }
            // A repository further up that merely contains this folder (a home directory under git, say) is not ours.
            Some(_) | None => {}
        }
        git.ensure_private()?;
        Ok(git)
    }

    /// The repository that the root is in: its top folder and its objects.
    fn repository(&self) -> Result<Option<(PathBuf, PathBuf)>> {
        let root = &self.root;
        let shell = Shell::new()?;
        let output = self
            .clean(cmd!(
                shell,
                "git -C {root} rev-parse --path-format=absolute --show-toplevel --git-path objects"
            ))
            .env("LC_ALL", "C")
            .ignore_status()
            .quiet()
            .output()
            .context("run git (hint: git must be installed and on the PATH)")?;
        if output.status.success() {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let mut lines = said.lines().map(PathBuf::from);
            return Ok(lines.next().zip(lines.next()));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("not a git repository") {
            return Ok(None);
        }
        // Anything else is the user's to settle: a folder that belongs to somebody else must not be taken for one without git.
        bail!("git refuses {}: {}", root.display(), said.trim())
    }

    /// A git command that hears only of the repository it is told of, and sees no credential. Hooks run with variables that name
    /// another index or repository; `GIT_CONFIG_*` stays, because CI hands its authentication over in it.
    fn clean<'c>(&self, command: Cmd<'c>) -> Cmd<'c> {
        let named = REPOSITORY_VARIABLES
            .into_iter()
            .map(str::to_owned)
            .chain(self.withheld.iter().cloned());
        named.fold(command, |command, name| command.env_remove(name))
    }

    /// From now on calls to a remote carry this git setting (name and value), handed over in the environment only.
    pub fn authenticate(&mut self, name: String, value: String) {
        self.remote_config = Some((name, value));
    }

    /// The address of a remote.
    ///
    /// # Errors
    /// When there is no such remote.
    pub fn remote_url(&self, remote: &str) -> Result<String> {
        Ok(text(&self.user_git(&["remote", "get-url", remote], b"")?))
    }

    /// Runs git in the user's repository on a remote, authenticated.
    ///
    /// # Errors
    /// When git fails; its own words are part of the error.
    pub fn remote_git(&self, args: &[&str]) -> Result<Vec<u8>> {
        let shell = Shell::new()?;
        run(self.authenticated(self.user_command(&shell, args)?), b"")
    }

    /// Whether a ref may be pushed to a remote, as far as it tells before anything is sent.
    ///
    /// # Errors
    /// When it may not, or there is no such remote: git's own words.
    pub fn may_push(&self, remote: &str, name: &str) -> Result<()> {
        let refspec = format!("HEAD:{name}");
        self.remote_git(&[
            "push",
            "--quiet",
            "--dry-run",
            "--force",
            "--no-verify",
            remote,
            &refspec,
        ])?;
        Ok(())
    }

    /// Whether there is any remote.
    ///
    /// # Errors
    /// When git fails.
    pub fn has_remote(&self) -> Result<bool> {
        Ok(!self.user_git(&["remote"], b"")?.is_empty())
    }

    /// A command that may talk to a remote.
    fn authenticated<'c>(&self, command: Cmd<'c>) -> Cmd<'c> {
        match &self.remote_config {
            Some((name, value)) => command
                .env("GIT_CONFIG_COUNT", "1")
                .env("GIT_CONFIG_KEY_0", name)
                .env("GIT_CONFIG_VALUE_0", value),
            None => command,
        }
    }

    /// The bare repository in which every released commit can be found.
    pub fn private_dir(&self) -> &Path {
        &self.private
    }

    /// Whether the folder is a git repository.
    pub fn is_versioned(&self) -> bool {
        self.objects.is_some()
    }

    /// Makes the private repository, or points it at the user's objects anew. Two commands may do this at the same moment, so it is
    /// made beside its place and moved there whole.
    fn ensure_private(&self) -> Result<()> {
        let wanted = self
            .objects
            .as_ref()
            .map(|path| format!("{}\n", path.display()))
            .unwrap_or_default();
        let alternates = Path::new("objects/info/alternates");
        match fs_err::read_to_string(self.private.join(alternates)) {
            Ok(found) if found == wanted => return Ok(()),
            Ok(_) => return write_whole(&self.private.join(alternates), &wanted),
            Err(_) => {}
        }
        let parent = self
            .private
            .parent()
            .context("the private repository has no folder")?;
        let made = tempfile::Builder::new()
            .prefix("repo.")
            .tempdir_in(parent)
            .context("make the private repository")?;
        let folder = made.path();
        let shell = Shell::new()?;
        self.clean(cmd!(shell, "git init --quiet --bare {folder}"))
            .quiet()
            .run()
            .context("make the private repository")?;
        fs_err::create_dir_all(folder.join("objects/info"))?;
        fs_err::write(folder.join(alternates), &wanted)?;
        match fs_err::rename(folder, &self.private) {
            Ok(()) => {
                let _moved_away = made.keep();
                Ok(())
            }
            // Somebody was faster; theirs is as good.
            Err(_) if self.private.join(alternates).is_file() => Ok(()),
            Err(error) => Err(error).context("make the private repository"),
        }
    }

    /// Runs git on the private repository and returns what it prints.
    ///
    /// # Errors
    /// When git fails; its own words are part of the error.
    pub fn private_git(&self, args: &[&str], stdin: &[u8]) -> Result<Vec<u8>> {
        let dir = &self.private;
        let shell = Shell::new()?;
        run(
            self.clean(cmd!(shell, "git --git-dir={dir} {args...}"))
                .envs(SNAPSHOT_IDENTITY),
            stdin,
        )
    }

    /// Runs git in the user's repository; new objects it makes or fetches land in the private one.
    ///
    /// # Errors
    /// When git fails; its own words are part of the error.
    pub fn user_git(&self, args: &[&str], stdin: &[u8]) -> Result<Vec<u8>> {
        let shell = Shell::new()?;
        run(self.user_command(&shell, args)?, stdin)
    }

    fn user_command<'s>(&self, shell: &'s Shell, args: &[&str]) -> Result<Cmd<'s>> {
        let Some(objects) = &self.objects else {
            bail!("{} is not a git repository", self.root.display())
        };
        let root = &self.root;
        let command = self
            .clean(cmd!(shell, "git -C {root} {args...}"))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OBJECT_DIRECTORY", self.private.join("objects"))
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", objects)
            .envs(SNAPSHOT_IDENTITY);
        Ok(command)
    }

    /// HEAD, or `None` before the first commit and without a repository.
    pub fn head(&self) -> Option<Commit> {
        let text = self
            .user_git(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], b"")
            .ok()?;
        Some(Commit(String::from_utf8(text).ok()?.trim().to_owned()))
    }

    /// What would be released now. A dirty tree becomes a commit by way of a temporary index.
    ///
    /// # Errors
    /// When git fails.
    pub fn source(&self) -> Result<Source> {
        let Some(head) = self.head() else {
            return self.snapshot(None, Vec::new());
        };
        let status = self.user_git(
            &[
                "--no-optional-locks",
                "status",
                "--porcelain",
                "-z",
                "--no-renames",
                "--untracked-files=all",
                "--",
                ":/",
                NO_CREDENTIALS,
            ],
            b"",
        )?;
        let dirty: Vec<String> = status
            .split(|byte| *byte == 0)
            .filter_map(|line| line.get(3..))
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect();
        if dirty.is_empty() {
            // The user's repository knows where a shallow clone ends.
            let subject = self.user_git(&["log", "-1", "--format=%s", head.as_str()], b"")?;
            return Ok(Source {
                commit: head,
                subject: text(&subject),
                dirty,
                versioned: true,
            });
        }
        self.snapshot(Some(&head), dirty)
    }

    fn snapshot(&self, head: Option<&Commit>, dirty: Vec<String>) -> Result<Source> {
        let index = self.private.join(format!(
            "snapshot-{}.index",
            rustix::process::getpid().as_raw_nonzero()
        ));
        let made = self.snapshot_with(&index, head);
        let _absent_is_fine = fs_err::remove_file(&index);
        let commit = made.context("snapshot the working tree")?;
        let subject = if self.is_versioned() {
            "snapshot of the working tree"
        } else {
            "snapshot of a folder without git"
        };
        Ok(Source {
            commit,
            subject: subject.to_owned(),
            dirty,
            versioned: self.is_versioned(),
        })
    }

    fn snapshot_with(&self, index: &Path, head: Option<&Commit>) -> Result<Commit> {
        let root = &self.root;
        let shell = Shell::new()?;
        shell.change_dir(root);
        let git_dir = match &self.objects {
            Some(_) => PathBuf::from(text(
                &self.user_git(&["rev-parse", "--absolute-git-dir"], b"")?,
            )),
            None => self.private.clone(),
        };
        // The user's index knows which files are unchanged: with a copy of it only changed files are read.
        if self.objects.is_some() && git_dir.join("index").exists() {
            fs_err::copy(git_dir.join("index"), index)?;
        }
        let add = self
            .clean(cmd!(
                shell,
                "git --git-dir={git_dir} --work-tree={root} add --all -- :/ {NO_CREDENTIALS}"
            ))
            .env("GIT_INDEX_FILE", index)
            .env("GIT_OBJECT_DIRECTORY", self.private.join("objects"));
        let add = match &self.objects {
            Some(objects) => add.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", objects),
            None => add,
        };
        run(add, b"")?;
        let write = self
            .clean(cmd!(shell, "git write-tree"))
            .env("GIT_DIR", &self.private)
            .env("GIT_INDEX_FILE", index);
        let tree = text(&run(write, b"")?);
        let mut args = vec!["commit-tree", "-m", "snapshot of the working tree"];
        if let Some(head) = head {
            args.extend(["-p", head.as_str()]);
        }
        args.push(&tree);
        Ok(Commit(text(&self.private_git(&args, b"")?)))
    }

    /// Every file of a commit's tree, in git's order.
    ///
    /// # Errors
    /// When git fails or prints what it never should.
    pub fn tree(&self, commit: &Commit) -> Result<Files> {
        let listing = self
            .private_git(
                &["ls-tree", "-r", "-z", "--full-tree", commit.as_str()],
                b"",
            )
            .with_context(|| format!("list the files of commit {commit}"))?;
        Files::parse(listing).context("read what git ls-tree printed")
    }

    /// The contents of these blobs, read by one process.
    ///
    /// # Errors
    /// When git fails or has not got one of them.
    pub fn blobs(&self, oids: &[&str]) -> Result<Vec<Vec<u8>>> {
        if oids.is_empty() {
            return Ok(Vec::new());
        }
        let asked = oids.join("\n") + "\n";
        let answer = self.private_git(&["cat-file", "--batch"], asked.as_bytes())?;
        let mut rest = answer.as_slice();
        let mut contents = Vec::new();
        for oid in oids {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (head, after) = rest.split_at(end.context("git cat-file stopped early")?);
            let size = String::from_utf8_lossy(head)
                .strip_prefix(&format!("{oid} blob "))
                .and_then(|size| size.parse::<usize>().ok());
            let size = size.with_context(|| {
                format!("git cat-file answered '{}'", String::from_utf8_lossy(head))
            })?;
            let content = after.get(1..=size).context("git cat-file stopped early")?;
            contents.push(content.to_vec());
            rest = after.get(size + 2..).unwrap_or_default();
        }
        Ok(contents)
    }

    /// The content of one file of a commit, `None` when it has no such file.
    ///
    /// # Errors
    /// When git fails for another reason.
    pub fn file(&self, commit: &Commit, path: &str) -> Result<Option<Vec<u8>>> {
        let spec = format!("{commit}:{path}");
        let listed = self.private_git(
            &["ls-tree", "--full-tree", "-z", commit.as_str(), "--", path],
            b"",
        )?;
        if listed.is_empty() {
            Ok(None)
        } else {
            self.private_git(&["cat-file", "blob", &spec], b"")
                .map(Some)
        }
    }

    /// The branches of remotes that hold the commit, as far as the last fetch tells: `origin/main`, …
    ///
    /// # Errors
    /// When git fails.
    pub fn remote_branches(&self, commit: &Commit) -> Result<Vec<String>> {
        let listing = self.user_git(
            &[
                "for-each-ref",
                "--contains",
                commit.as_str(),
                "--format=%(refname:lstrip=2)",
                "refs/remotes",
            ],
            b"",
        )?;
        Ok(String::from_utf8_lossy(&listing)
            .lines()
            .filter(|name| !name.ends_with("/HEAD"))
            .map(str::to_owned)
            .collect())
    }
}

/// Replaces a file in one step.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let folder = path.parent().context("a file without a folder")?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)
        .with_context(|| format!("write {}", path.display()))?;
    Ok(())
}

fn run(command: xshell::Cmd<'_>, stdin: &[u8]) -> Result<Vec<u8>> {
    let shown = command.to_string();
    let output = command
        .stdin(stdin)
        .ignore_status()
        .quiet()
        .output()
        .with_context(|| format!("run {shown}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("{shown} failed ({}): {}", output.status, said.trim())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}
