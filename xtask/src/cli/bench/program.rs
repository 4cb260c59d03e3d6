//! This very program, run again in a project of its own that is live already: what a deploy costs when there is nothing to do,
//! and what it costs to be started at all.

use super::super::app::{App, Failure, Project};
use super::Row;
use super::measure::{cost, median};
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ROUNDS: usize = 7;
/// As many small files as this repository's own lanes have.
const FILES: usize = 100;

pub(super) fn rows(app: &App<'_>, project: &Project) -> Result<Vec<Row>, Failure> {
    let exe = std::env::current_exe().context("find this program")?;
    let exe = exe
        .to_str()
        .context("the path of this program is not Unicode")?;
    let scratch = Scratch::live(app, project, exe)?;
    let start = median(ROUNDS, &[exe, "--help"], scratch.root(), &scratch.env)?;
    let git = median(
        ROUNDS,
        &["git", "status", "--porcelain"],
        scratch.root(),
        &scratch.env,
    )?;
    let nothing = median(ROUNDS, &[exe, "deploy"], scratch.root(), &scratch.env)?;
    let mut rows = vec![
        Row::new(
            "deploy with nothing to do",
            nothing.wall_s,
            "s",
            "git status",
            git.wall_s,
            "≤ 1 s",
        ),
        Row::new(
            "its peak memory",
            nothing.peak_mb,
            "MB",
            "git status",
            git.peak_mb,
            "≤ 30 MB",
        ),
        Row::new(
            "xtask --help",
            start.wall_s,
            "s",
            "git status",
            git.wall_s,
            "",
        ),
    ];
    if project.root.join("xtask/Cargo.toml").is_file() {
        let env = environment(app);
        let warm = median(ROUNDS, &["cargo", "xtask", "--help"], &project.root, &env)?;
        let cargo = median(ROUNDS, &["cargo", "--version"], &project.root, &env)?;
        rows.push(Row::new(
            "cargo xtask --help, built",
            warm.wall_s,
            "s",
            "cargo --version",
            cargo.wall_s,
            "≤ 0.2 s",
        ));
    }
    Ok(rows)
}

/// The caller's environment without credentials.
pub(super) fn environment(app: &App<'_>) -> Vec<(String, String)> {
    crate::credentials::child_vars(app.environ)
}

/// A project with a live release; its cloud stops with it.
pub(super) struct Scratch {
    dir: TempDir,
    pub(super) env: Vec<(String, String)>,
    exe: String,
}

impl Scratch {
    pub(super) fn live(app: &App<'_>, project: &Project, exe: &str) -> Result<Self> {
        let env = environment(app)
            .into_iter()
            .filter(|(name, _)| name != "TANDEM_STATE_DIR" && name != "TANDEM_ENV")
            .collect();
        let scratch = Self {
            dir: tempfile::tempdir()?,
            env,
            exe: exe.to_owned(),
        };
        let backend = scratch.backend(project)?;
        scratch.fill(&backend)?;
        scratch.copy_migrations(project)?;
        let _made = cost(&["git", "init", "--quiet"], scratch.root(), &scratch.env)?;
        scratch.commit()?;
        let _first = cost(&[exe, "deploy"], scratch.root(), &scratch.env)?;
        Ok(scratch)
    }

    /// Commits everything.
    pub(super) fn commit(&self) -> Result<()> {
        for git in [
            &["git", "add", "."][..],
            &[
                "git",
                "-c",
                "user.name=bench",
                "-c",
                "user.email=bench@localhost",
                "commit",
                "--quiet",
                "--message=bench",
            ],
        ] {
            let _cost = cost(git, self.root(), &self.env)?;
        }
        Ok(())
    }

    pub(super) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The backend that was built beside this program, or is built now.
    fn backend(&self, project: &Project) -> Result<PathBuf> {
        let path = Path::new(&self.exe).with_file_name("backend");
        if !path.is_file() {
            let target = path
                .parent()
                .and_then(Path::parent)
                .context("this program lies in no target folder")?;
            let target = target
                .to_str()
                .context("the target folder is not Unicode")?;
            let _build = cost(
                &[
                    "cargo",
                    "build",
                    "--quiet",
                    "--locked",
                    "--package",
                    "backend",
                    "--target-dir",
                    target,
                ],
                &project.root,
                &self.env,
            )?;
        }
        ensure!(
            path.is_file(),
            "there is no backend at {} (hint: `cargo build -p backend`)",
            path.display()
        );
        Ok(path)
    }

    fn fill(&self, backend: &Path) -> Result<()> {
        let site = self.root().join("frontend");
        fs_err::create_dir_all(&site)?;
        fs_err::write(
            site.join("index.html"),
            "<!doctype html><title>bench</title>",
        )?;
        for number in 1..FILES {
            fs_err::write(site.join(format!("{number}.txt")), number.to_string())?;
        }
        fs_err::create_dir_all(self.root().join("backend"))?;
        fs_err::write(self.root().join("backend/version"), "1")?;
        let config = format!(
            "project = \"bench\"\n[frontend]\npaths = [\"frontend/**\"]\npublish = \"frontend\"\n\
             [backend]\npaths = [\"backend/**\"]\nbuild = \"true\"\nstart = \"exec '{}'\"\n\
             migrations = \"migrations\"\n[backend.disk]\nname = \"data\"\nmount_path = \"/var/data\"\nsize_gb = 1\n\
             [backend.env]\nDATABASE_PATH = \"/var/data/bench.db\"\n",
            backend.display()
        );
        fs_err::write(self.root().join("deploy.toml"), config)?;
        Ok(())
    }

    /// The backend carries the project's migrations, so the live database has them and a deploy compares.
    fn copy_migrations(&self, project: &Project) -> Result<()> {
        let folder = self.root().join("migrations");
        fs_err::create_dir_all(&folder)?;
        let from = project.root.join(
            project
                .config
                .backend
                .migrations
                .as_deref()
                .unwrap_or("migrations"),
        );
        for entry in fs_err::read_dir(from)? {
            let path = entry?.path();
            if let Some(name) = path
                .file_name()
                .filter(|_| path.extension().is_some_and(|end| end == "sql"))
            {
                fs_err::copy(&path, folder.join(name))?;
            }
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A cloud that does not stop is found by `ps`; a measurement is no reason to fail here.
        let _stopped = cost(&[&self.exe, "cloud", "down"], self.root(), &self.env);
    }
}
