//! The first commands of README.md as somebody runs them who has just installed git and cargo: in a clone of HEAD, with a home
//! that is empty and an environment in which nothing points here. What they get is looked at from outside, with curl.

use super::readme;
use super::runner::{Ci, Stop};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where the README's commands put the clone.
const CLONE: &str = "tandem";

pub(super) fn run(ci: &Ci<'_>) -> Result<(), Stop> {
    ci.needs_path("README.md")?;
    ci.needs_path(".git")?;
    ci.needs_tool("curl", "install curl, which looks at the released site")?;
    let readme = fs_err::read_to_string(ci.path("README.md")).context("read README.md")?;
    let commands = readme::shell_block(&readme, "Try it")?;
    let newcomer = Newcomer::arrive(ci)?;
    newcomer.sh(newcomer.dir.path(), &commands)?;

    let status = newcomer.json("cargo xtask cloud status --json")?;
    let site = text(&status, "site_url")?;
    newcomer.answers(&format!("{site}/"), "<title>")?;
    newcomer.answers(&format!("{site}/.well-known/tandem.json"), "\"commit\"")?;
    newcomer.answers(&format!("{site}/api/health"), "\"status\":\"healthy\"")?;

    let again = newcomer.json("cargo xtask deploy --json")?;
    if text(&again, "outcome")? != "nothing_to_do" {
        return Err(Stop::Failed(format!(
            "a second deploy was not a matter of nothing: {again}"
        )));
    }
    newcomer.sh(&newcomer.clone(), "cargo xtask cloud down")?;
    let gone = format!("! curl --silent --max-time 2 --output gone.html {site}/");
    newcomer
        .sh(newcomer.dir.path(), &gone)
        .map_err(|stop| match stop {
            Stop::Failed(_) => Stop::Failed("the site still answers after 'cloud down'".to_owned()),
            other => other,
        })
}

/// Somebody with a home and a clone of their own; leaving, the clone's cloud stops.
struct Newcomer<'c, 'a> {
    ci: &'c Ci<'a>,
    dir: TempDir,
    env: Vec<(String, String)>,
}

impl<'c, 'a> Newcomer<'c, 'a> {
    fn arrive(ci: &'c Ci<'a>) -> Result<Self> {
        let dir = tempfile::tempdir().context("make a folder")?;
        let home = dir.path().join("home");
        fs_err::create_dir(&home)?;
        let given = |name: &str| {
            let found = ci.env.iter().find(|(given, _)| given == name);
            found.map(|(_, value)| value.clone())
        };
        let own_home = given("HOME").unwrap_or_default();
        let installed = |name: &str, folder: &str| {
            given(name).unwrap_or_else(|| format!("{own_home}/{folder}"))
        };
        let env = [
            ("PATH", given("PATH").unwrap_or_default()),
            ("HOME", home.display().to_string()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TERM", "dumb".to_owned()),
            ("CARGO_HOME", installed("CARGO_HOME", ".cargo")),
            ("RUSTUP_HOME", installed("RUSTUP_HOME", ".rustup")),
            ("TANDEM_URL", ci.project.root.display().to_string()),
        ];
        Ok(Self {
            ci,
            dir,
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        })
    }

    fn clone(&self) -> PathBuf {
        self.dir.path().join(CLONE)
    }

    fn sh(&self, dir: &Path, script: &str) -> Result<(), Stop> {
        self.ci.sh_in(dir, &self.env, script)
    }

    /// What a command of the clone prints on standard output, which is one JSON document.
    fn json(&self, command: &str) -> Result<Value, Stop> {
        let path = self.dir.path().join("answer.json");
        self.sh(&self.clone(), &format!("{command} >../answer.json"))?;
        let answer = fs_err::read_to_string(path).context("read what a command printed")?;
        let parsed = serde_json::from_str(&answer)
            .with_context(|| format!("'{command}' printed no JSON document: {answer}"))?;
        Ok(parsed)
    }

    /// What the address serves contains the text. It is read whole before it is searched.
    fn answers(&self, url: &str, wanted: &str) -> Result<(), Stop> {
        let script = format!("curl --fail --silent --show-error --max-time 10 --output body {url}");
        self.sh(self.dir.path(), &script)?;
        let body = fs_err::read(self.dir.path().join("body")).context("read what was served")?;
        let body = String::from_utf8_lossy(&body);
        if body.contains(wanted) {
            return Ok(());
        }
        Err(Stop::Failed(format!(
            "{url} does not contain {wanted}: {body}"
        )))
    }
}

impl Drop for Newcomer<'_, '_> {
    fn drop(&mut self) {
        // Also after an interruption, which would stop a supervised command at once.
        let program = self.clone().join("target/debug/xtask");
        if program.exists() {
            let shell = xshell::Shell::new();
            let stopped = shell.and_then(|shell| {
                shell.change_dir(self.clone());
                let down = xshell::cmd!(shell, "{program} cloud down").env_clear();
                down.envs(self.env.iter().map(|(name, value)| (name, value)))
                    .quiet()
                    .ignore_stdout()
                    .ignore_stderr()
                    .run()
            });
            if let Err(error) = stopped {
                self.ci.say(&format!(
                    "warning: the clone's cloud may still run: {error}"
                ));
            }
        }
    }
}

fn text<'d>(document: &'d Value, key: &str) -> Result<&'d str, Stop> {
    let found = document.get(key).and_then(Value::as_str);
    found.ok_or_else(|| Stop::Failed(format!("there is no '{key}' in {document}")))
}
