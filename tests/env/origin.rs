//! A project with a bare remote, released to production once; and clones of it, each with a state folder of its own.

use super::TestEnv;
use super::output::Output;
use super::running::Running;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// See the module's words.
pub(crate) struct Origin {
    pub(crate) env: TestEnv,
    /// The bare repository.
    pub(crate) bare: PathBuf,
}

/// Another checkout of the same project.
pub(crate) struct Clone<'o> {
    origin: &'o Origin,
    pub(crate) folder: PathBuf,
    state: PathBuf,
}

impl Origin {
    /// The project with an origin, and the cloud's addresses and credentials in the environment as a CI job would have them.
    /// Nothing is released.
    pub(crate) fn new() -> Self {
        let env = TestEnv::new();
        let bare = env.beside("origin.git");
        let path = bare.to_str().unwrap();
        env.git(&["init", "--quiet", "--bare", "--initial-branch=main", path]);
        // As the large hosts have it.
        env.git_in(&bare, &["config", "uploadpack.allowFilter", "true"]);
        env.git(&["remote", "add", "origin", path]);
        env.git(&["push", "--quiet", "origin", "main"]);
        let exports = env.xtask(&["cloud", "env"]);
        for line in exports.assert_exit(0).stdout.lines() {
            let (name, value) = line
                .strip_prefix("export ")
                .and_then(|line| line.split_once('='))
                .unwrap();
            env.set(name, value.trim_matches('\''));
        }
        Self { env, bare }
    }

    /// The same, released to production.
    pub(crate) fn released() -> Self {
        let origin = Self::new();
        origin.deploy(&[]).assert_exit(0);
        origin
    }

    /// `deploy --prod`.
    pub(crate) fn deploy(&self, more: &[&str]) -> Output {
        self.env.xtask(&[&["deploy", "--prod"], more].concat())
    }

    /// The document of `plan --prod --json`.
    pub(crate) fn plan(&self) -> Value {
        self.env
            .xtask(&["plan", "--prod", "--json"])
            .assert_exit(0)
            .json()
    }

    /// Pushes the branch that is checked out.
    pub(crate) fn push(&self) {
        self.env
            .git(&["push", "--quiet", "--force", "origin", "HEAD"]);
    }

    /// Clones the bare repository as `git clone` does over a network, with these options.
    pub(crate) fn clone(&self, name: &str, options: &[&str]) -> Clone<'_> {
        let folder = self.env.beside(name);
        let url = format!("file://{}", self.bare.display());
        let place = [url.as_str(), folder.to_str().unwrap()];
        self.env
            .git(&[&["clone", "--quiet"], options, &place[..]].concat());
        Clone {
            origin: self,
            folder,
            state: self.env.beside(&format!("{name}-state")),
        }
    }

    /// A hook of the bare repository, a shell script.
    pub(crate) fn hook(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.bare.join("hooks").join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What the bare repository has as the record of what is live in production.
    pub(crate) fn live(&self) -> String {
        self.env
            .git_in(&self.bare, &["rev-parse", "refs/tandem/production/live"])
    }
}

impl Clone<'_> {
    /// Starts the program in the clone.
    pub(crate) fn start(&self, args: &[&str]) -> Running<'_> {
        let vars = [("TANDEM_STATE_DIR", self.state.to_str().unwrap())];
        self.origin.env.start_in(&self.folder, args, &vars)
    }

    /// Runs the program in the clone.
    pub(crate) fn xtask(&self, args: &[&str]) -> Output {
        self.start(args).wait()
    }

    /// The document of `plan --prod --json`.
    pub(crate) fn plan(&self) -> Value {
        self.xtask(&["plan", "--prod", "--json"])
            .assert_exit(0)
            .json()
    }
}

/// What a plan says of one lane: whether it runs, and `+ path`, `~ path`, `- path`, `! path` for files added, modified, deleted,
/// and of another type.
pub(crate) fn lane(plan: &Value, name: &str) -> (bool, Vec<String>) {
    let lanes = plan["lanes"].as_array().unwrap();
    let lane = lanes.iter().find(|lane| lane["lane"] == name).unwrap();
    let paths = |key: &str, sign: char| {
        let paths = lane[key].as_array().unwrap();
        let signed = paths
            .iter()
            .map(move |path| format!("{sign} {}", path.as_str().unwrap()));
        signed.collect::<Vec<_>>()
    };
    let changed = paths("type_changed", '!');
    let modified = paths("modified", '!')
        .into_iter()
        .filter(|path| !changed.contains(path))
        .map(|path| path.replacen('!', "~", 1));
    let files = [
        paths("added", '+'),
        modified.collect(),
        paths("deleted", '-'),
        changed.clone(),
    ];
    (lane["run"].as_bool().unwrap(), files.concat())
}

/// The file of a project, whatever its name.
pub(crate) fn write(folder: &Path, name: &std::ffi::OsStr, text: &str) {
    fs_err::write(folder.join(name), text).unwrap();
}
