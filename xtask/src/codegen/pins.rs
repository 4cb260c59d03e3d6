//! Which commit of each action the workflows use. A pin that stands in a workflow already is kept, so that whoever keeps
//! dependencies current may write a newer one there; these are the beginning.

use anyhow::{Context as _, Result};
use std::collections::BTreeMap;

/// An action, the commit, and the version that this commit was tagged with.
const FIRST: [(&str, &str, &str); 9] = [
    (
        "Swatinem/rust-cache",
        "6323deb102c322ba6fcbdcafc7e3dddab59af2b6",
        "2.9.2",
    ),
    (
        "EmbarkStudios/cargo-deny-action",
        "3c6349835b2b7b196a839186cb8b78e02f7b5f25",
        "2.1.1",
    ),
    (
        "actions/attest-build-provenance",
        "0f67c3f4856b2e3261c31976d6725780e5e4c373",
        "4.1.1",
    ),
    (
        "actions/checkout",
        "3d3c42e5aac5ba805825da76410c181273ba90b1",
        "7.0.1",
    ),
    (
        "actions/download-artifact",
        "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c",
        "8.0.1",
    ),
    (
        "actions/upload-artifact",
        "043fb46d1a93c77aae656e7c1c64a875d1fc6a0a",
        "7.0.1",
    ),
    (
        "cachix/install-nix-action",
        "630ae543ea3a38a9a4166f03376c02c50f408342",
        "31.11.0",
    ),
    (
        "nix-community/cache-nix-action",
        "7df957e333c1e5da7721f60227dbba6d06080569",
        "7.0.2",
    ),
    (
        "taiki-e/install-action",
        "cb33e69fad06166ca28a42b2575e4dadabf62ee8",
        "2.85.8",
    ),
];

/// Digits of a commit.
const REV_DIGITS: usize = 40;

/// See the module's words.
pub(super) struct Pins(BTreeMap<String, String>);

impl Default for Pins {
    fn default() -> Self {
        let pin = |(action, rev, version): (&str, &str, &str)| {
            (action.to_owned(), format!("{action}@{rev} # v{version}"))
        };
        Self(FIRST.map(pin).into())
    }
}

impl Pins {
    /// The pins of these workflows, and where they have none, ours.
    pub(super) fn kept<'t>(workflows: impl Iterator<Item = &'t str>) -> Self {
        let mut pins = Self::default();
        let lines = workflows.flat_map(str::lines);
        for uses in lines.filter_map(|line| line.split_once("uses: ")) {
            if let Some(action) = pinned(uses.1) {
                pins.0.insert(action.to_owned(), uses.1.to_owned());
            }
        }
        pins
    }

    /// `action@commit # version`.
    pub(super) fn uses(&self, action: &str) -> Result<String> {
        let pin = self.0.get(action);
        pin.cloned()
            .with_context(|| format!("no commit is known for the action {action}"))
    }
}

/// The action, when it is pinned to a whole commit and says which version that is.
fn pinned(uses: &str) -> Option<&str> {
    let (action, rest) = uses.split_once('@')?;
    let (rev, _) = rest.split_once(" # v")?;
    let is_commit = rev.len() == REV_DIGITS && rev.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then_some(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_pin_in_a_workflow_stays() {
        let rev = "0123456789abcdef0123456789abcdef01234567";
        let newer = format!("      - uses: actions/checkout@{rev} # v9.0.0\n");
        let loose = "        uses: actions/upload-artifact@v7 # v7\n        uses: a/b@main\n";
        let pins = Pins::kept([newer.as_str(), loose].into_iter());
        assert_eq!(
            pins.uses("actions/checkout").unwrap(),
            format!("actions/checkout@{rev} # v9.0.0")
        );
        assert!(
            pins.uses("actions/upload-artifact")
                .unwrap()
                .ends_with(" # v7.0.1")
        );
        assert!(pins.uses("a/b").is_err());
    }
}
