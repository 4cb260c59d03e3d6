//! A project of its own for each test: a folder, a git repository, a state folder, a local cloud, and the real program.
//!
//! Nothing of the caller's environment reaches the program but the search path, and nothing stays behind: the cloud is stopped
//! and the folder removed when the value is dropped. On that occasion everything that was written or said is searched for the
//! cloud's credentials, so that every test of this folder is also a test of their secrecy.

pub(crate) mod cloud;
pub(crate) mod fixture;
pub(crate) mod normal;
pub(crate) mod origin;
pub(crate) mod output;
pub(crate) mod running;
mod secrecy;

use cloud::Cloud;
use output::Output;
use running::Running;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The program under test.
pub(crate) const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// Longer than any step takes on a busy machine: whoever waits so long has found a fault.
const PATIENCE: Duration = Duration::from_secs(150);

/// See the module's words.
pub(crate) struct TestEnv {
    dir: TempDir,
    /// Variables for the program beside those that every run gets.
    vars: Mutex<Vec<(String, String)>>,
    /// Everything that the program has said, to be searched at the end.
    said: Mutex<Vec<Output>>,
}

impl TestEnv {
    /// The fixture project as a git repository with one commit, nothing released.
    pub(crate) fn new() -> Self {
        let env = Self::without_git();
        env.git(&["init", "--quiet", "--initial-branch=main"]);
        env.commit("Open the shop");
        env
    }

    /// The fixture project as plain files.
    pub(crate) fn without_git() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("tandem-test-")
            .tempdir()
            .unwrap();
        for folder in ["home", "tmp", "project"] {
            fs_err::create_dir(dir.path().join(folder)).unwrap();
        }
        let env = Self {
            dir,
            vars: Mutex::default(),
            said: Mutex::default(),
        };
        fixture::copy(&env.root(), &env.broken_database(), &env.service_gate());
        env
    }

    /// The project and its first release.
    pub(crate) fn released() -> Self {
        let env = Self::new();
        env.xtask(&["deploy"]).assert_exit(0);
        env
    }

    /// The project's folder.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// A path beside the project.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the program keeps its state.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.root().join(".tandem")
    }

    /// Where a database goes that makes the service unhealthy.
    pub(crate) fn broken_database(&self) -> PathBuf {
        self.beside("broken.db")
    }

    /// The file that a service waits for whose behaviour is `waits`.
    pub(crate) fn service_gate(&self) -> PathBuf {
        self.beside("service.go")
    }

    /// Sets a variable for all later runs.
    pub(crate) fn set(&self, name: &str, value: impl Into<String>) {
        self.vars
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((name.to_owned(), value.into()));
    }

    /// Runs the program to its end.
    pub(crate) fn xtask(&self, args: &[&str]) -> Output {
        self.xtask_with(args, &[])
    }

    /// Runs the program to its end, with more variables.
    pub(crate) fn xtask_with(&self, args: &[&str], vars: &[(&str, &str)]) -> Output {
        self.start_with(args, vars).wait()
    }

    /// Runs a filter of the program on a text.
    pub(crate) fn pipe(&self, args: &[&str], input: &str, vars: &[(&str, &str)]) -> Output {
        let path = self.beside("tmp/input");
        fs_err::write(&path, input).unwrap();
        let mut command = self.command(XTASK, &self.root());
        command
            .args(args)
            .envs(vars.iter().copied())
            .stdin(fs_err::File::open(path).unwrap().into_parts().0);
        Running::start(self, command, args).wait()
    }

    /// Starts the program.
    pub(crate) fn start_with(&self, args: &[&str], vars: &[(&str, &str)]) -> Running<'_> {
        self.start_in(&self.root(), args, vars)
    }

    /// Starts the program in a folder.
    pub(crate) fn start_in(
        &self,
        folder: &Path,
        args: &[&str],
        vars: &[(&str, &str)],
    ) -> Running<'_> {
        let mut command = self.command(XTASK, folder);
        command.args(args).envs(vars.iter().copied());
        Running::start(self, command, args)
    }

    /// Any program in the test's surroundings.
    pub(crate) fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.beside("home"))
            .env("TMPDIR", self.beside("tmp"))
            .env("TANDEM_STATE_DIR", self.state_dir())
            .env("COLUMNS", "100")
            .env("NO_COLOR", "1")
            .env("USER", "tester")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([
                ("GIT_AUTHOR_NAME", "tester"),
                ("GIT_AUTHOR_EMAIL", "tester@localhost"),
            ])
            .envs([
                ("GIT_COMMITTER_NAME", "tester"),
                ("GIT_COMMITTER_EMAIL", "tester@localhost"),
            ])
            .envs(
                self.vars
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .iter()
                    .cloned(),
            )
            .stdin(Stdio::null());
        command
    }

    /// Runs git in the project and gives what it prints.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.git_in(&self.root(), args)
    }

    /// Runs git anywhere and gives what it prints.
    pub(crate) fn git_in(&self, folder: &Path, args: &[&str]) -> String {
        let output = self.command("git", folder).args(args).output().unwrap();
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, path: &str, text: &str) {
        fs_err::write(self.root().join(path), text).unwrap();
    }

    /// Removes a file of the project.
    pub(crate) fn remove(&self, path: &str) {
        fs_err::remove_file(self.root().join(path)).unwrap();
    }

    /// Commits everything and gives the commit.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// The project's commit.
    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Commits a change of the frontend; the text appears on the page about the shop.
    pub(crate) fn change_frontend(&self, text: &str) -> String {
        self.write(
            "frontend/about.html",
            &format!("<!doctype html>\n<title>About</title>\n<p>{text}</p>\n"),
        );
        self.commit(text)
    }

    /// Commits another behaviour of the backend; `fixtures/shop/backend/start.sh` lists them.
    pub(crate) fn change_backend(&self, behaviour: &str) -> String {
        self.write("backend/behaviour", &format!("{behaviour}\n"));
        self.commit(&format!("Backend: {behaviour}"))
    }

    /// The cloud that runs now.
    pub(crate) fn cloud(&self) -> Cloud {
        self.find_cloud().expect("the local cloud is not running")
    }

    /// The cloud of this project, should it run.
    pub(crate) fn find_cloud(&self) -> Option<Cloud> {
        Cloud::find(&self.state_dir())
    }

    /// The document of `status --json`.
    pub(crate) fn status(&self) -> serde_json::Value {
        self.xtask(&["status", "--json"]).json()
    }

    fn remember(&self, output: &Output) {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(output.clone());
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        let found = self.find_cloud();
        if !std::thread::panicking() {
            secrecy::check(self, found.as_ref());
        }
        let Some(cloud) = found else { return };
        let down = self
            .command(XTASK, &self.root())
            .args(["cloud", "down"])
            .output();
        if !down.is_ok_and(|output| output.status.success()) {
            cloud.kill();
        }
    }
}

/// Asks again and again until there is an answer. The only waiting in these tests; it ends in a failure that says for what.
pub(crate) fn poll<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            Instant::now() < until,
            "waited {} s for: {what}",
            PATIENCE.as_secs()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
