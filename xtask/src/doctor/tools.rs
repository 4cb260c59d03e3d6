//! The programs and the library that a release stands on: which versions are in use, and which are pinned.

use super::{Area, Finding, Level};
use crate::job::Commands;
use crate::world::{Command, RunEnd, RunEvent, World};
use std::collections::BTreeMap;
use std::time::Duration;

/// Older ones can corrupt a database in WAL mode when its log is reset.
const SQLITE_MIN: &str = "3.51.3";

/// What the flake says of the versions that it pins, as JSON. `nix develop` sets the variable that names such a file.
pub const PINS_VARIABLE: &str = "TANDEM_PINS";
/// Asks the flake, where there is Nix and what it needs has been fetched.
const ASK_NIX: &str = "command -v nix >/dev/null && exec nix --extra-experimental-features 'nix-command flakes' eval --offline --no-update-lock-file --raw \".#packages.$(uname -m | sed s/arm64/aarch64/)-$(uname -s | tr '[:upper:]' '[:lower:]').pins.text\"";
/// Nix is given so long; the answer only says more.
const NIX_TIMEOUT: Duration = Duration::from_secs(20);

/// Versions that are pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins(BTreeMap<String, String>);

impl Pins {
    /// `rust-toolchain.toml` names the compiler; the rest is known where the flake can be asked.
    pub fn new(toolchain: Option<&str>, flake: Option<&str>) -> Self {
        let mut pins: BTreeMap<String, String> = flake
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let channel = toolchain.and_then(|text| {
            let table: toml::Table = text.parse().ok()?;
            Some(table.get("toolchain")?.get("channel")?.as_str()?.to_owned())
        });
        if let Some(channel) = channel {
            pins.insert("rust".to_owned(), channel);
        }
        Self(pins)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Said when the flake's pins are not known, so that nobody takes silence for agreement.
pub fn pins_unknown() -> Finding {
    let text = "the flake's versions are not known here, so only rust was compared (hint: `nix develop` knows them)";
    Finding::new(Area::Tools, "pins", Level::Note, text)
}

/// Whether the project has a flake that pins anything.
pub fn has_flake(commands: &Commands) -> bool {
    commands.root.join("flake.nix").is_file()
}

/// What the flake answers, when it can be asked without a network.
pub fn ask_flake(world: &dyn World, commands: &Commands) -> Option<String> {
    has_flake(commands).then(|| output(world, commands, ASK_NIX, NIX_TIMEOUT))?
}

/// Whether a tool must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Without it a release fails.
    Always,
    /// Something is left out without it.
    Something(&'static str),
}

/// A tool, the command that tells its version, and who needs it.
pub type Tool = (&'static str, &'static str, Need);

/// Looks at tools and at the linked SQLite.
pub fn examine(
    world: &dyn World,
    commands: &Commands,
    tools: &[Tool],
    pins: &Pins,
) -> Vec<Finding> {
    let mut findings = vec![sqlite(rusqlite::version(), pins)];
    for (name, script, need) in tools {
        let said = output(world, commands, script, Duration::from_secs(20));
        findings.push(judge(name, said.as_deref().and_then(version), *need, pins));
    }
    findings
}

fn sqlite(found: &str, pins: &Pins) -> Finding {
    if numbers(found) < numbers(SQLITE_MIN) {
        let text = format!(
            "{found} is linked; before {SQLITE_MIN} a database can be corrupted when its log is reset (hint: build without LIBSQLITE3_SYS_USE_PKG_CONFIG to have the bundled one, or in `nix develop`)"
        );
        return Finding {
            found: Some(found.to_owned()),
            pinned: pins.get("sqlite").map(str::to_owned),
            ..Finding::new(Area::Tools, "sqlite", Level::Error, text)
        };
    }
    judge("sqlite", Some(found.to_owned()), Need::Always, pins)
}

/// The versions in use against those that are pinned.
fn judge(name: &str, found: Option<String>, need: Need, pins: &Pins) -> Finding {
    let pinned = pins.get(name);
    let (level, text) = match (&found, pinned) {
        (Some(found), Some(pinned)) if found == pinned => {
            (Level::Ok, format!("{found}, as pinned"))
        }
        (Some(found), Some(pinned)) => (
            Level::Warning,
            format!(
                "{found} is in use, {pinned} is pinned (hint: `nix develop` has the pinned one; rustup installs what rust-toolchain.toml names)"
            ),
        ),
        (Some(found), None) => (Level::Ok, found.clone()),
        (None, _) => match need {
            Need::Always => (
                Level::Error,
                "is not on the PATH (hint: install it)".to_owned(),
            ),
            Need::Something(what) => (Level::Note, format!("is not on the PATH: {what}")),
        },
    };
    Finding {
        found,
        pinned: pinned.map(str::to_owned),
        ..Finding::new(Area::Tools, name, level, text)
    }
}

/// The version in a line such as `git version 2.39.5`, `v22.4.0` or `rustc 1.95.0 (abc 2026-01-01)`.
fn version(said: &str) -> Option<String> {
    let mut words = said.split_whitespace();
    let is_version =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    words
        .by_ref()
        .map(|word| word.strip_prefix('v').unwrap_or(word))
        .find(is_version)
        .map(str::to_owned)
}

fn numbers(version: &str) -> Vec<u64> {
    version
        .split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}

/// What a command prints, when it succeeds.
fn output(
    world: &dyn World,
    commands: &Commands,
    script: &str,
    timeout: Duration,
) -> Option<String> {
    let command = Command {
        script: script.to_owned(),
        dir: commands.root.clone(),
        env: commands.env.clone(),
        timeout,
    };
    let mut said = String::new();
    let end = world.run(&command, &mut |event| {
        if let RunEvent::Line(line) = event {
            said.push_str(line);
            said.push('\n');
        }
    });
    matches!(end, Ok(RunEnd::Exited(0))).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_say() {
        for (said, expected) in [
            ("git version 2.39.5\n", Some("2.39.5")),
            ("v22.4.0\n", Some("22.4.0")),
            ("rustc 1.95.0 (59807616e 2026-04-14)\n", Some("1.95.0")),
            (
                "curl 8.21.0 (x86_64-pc-linux-gnu) libcurl/8.21.0\nRelease-Date: 2026",
                Some("8.21.0"),
            ),
            ("no such thing\n", None),
            ("", None),
        ] {
            assert_eq!(version(said).as_deref(), expected, "{said}");
        }
    }

    #[test]
    fn pins_come_from_the_toolchain_file_and_the_flake() {
        let flake = r#"{"curl":"8.21.0","rust":"1.0.0","sqlite":"3.53.3"}"#;
        let pins = Pins::new(Some("[toolchain]\nchannel = \"1.95.0\"\n"), Some(flake));
        assert_eq!(pins.get("rust"), Some("1.95.0"), "one file names it");
        assert_eq!(pins.get("sqlite"), Some("3.53.3"));
        assert_eq!(Pins::new(None, Some("error: no network")), Pins::default());
    }

    #[test]
    fn a_version_is_as_pinned_or_differs_or_is_missing() {
        let pins = Pins::new(None, Some(r#"{"curl":"8.21.0"}"#));
        let level = |name, found: Option<&str>, need| {
            judge(name, found.map(str::to_owned), need, &pins).level
        };
        assert_eq!(level("curl", Some("8.21.0"), Need::Always), Level::Ok);
        assert_eq!(level("curl", Some("7.88.1"), Need::Always), Level::Warning);
        assert_eq!(level("curl", None, Need::Always), Level::Error);
        assert_eq!(level("node", Some("22.4.0"), Need::Always), Level::Ok);
        assert_eq!(
            level("node", None, Need::Something("no tests")),
            Level::Note
        );
    }

    #[test]
    fn an_sqlite_that_can_corrupt_is_an_error_whatever_is_pinned() {
        let pins = Pins::new(None, Some(r#"{"sqlite":"3.51.2"}"#));
        assert_eq!(sqlite("3.51.2", &pins).level, Level::Error);
        assert_eq!(sqlite("3.40.1", &Pins::default()).level, Level::Error);
        assert_eq!(sqlite("3.51.3", &Pins::default()).level, Level::Ok);
        assert_eq!(sqlite("3.60.0", &Pins::default()).level, Level::Ok);
    }
}
