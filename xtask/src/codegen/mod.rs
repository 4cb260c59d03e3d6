//! Files that are written from deploy.toml, so that the two can't disagree: the workflows, Render's Blueprint, and those of the
//! site's rules that name the backend.
//!
//! [`generate`] is a pure function from what is there to what should be there. Everything it writes can be read and edited as
//! text: the templates are the files themselves, with marks where values go. A file that somebody else wrote is left alone.

mod blueprint;
mod difference;
mod pins;
mod redirects;
mod template;
mod workflows;

pub use difference::difference;

use crate::config::Config;
use anyhow::Result;
use std::collections::BTreeMap;

/// How a file that this module writes begins; nothing else is ever overwritten.
const FIRST_LINE: &str =
    "# Written by `cargo xtask codegen` from deploy.toml; `cargo xtask codegen --check` compares.";

/// The files that may be written, and those that say how: whoever calls [`generate`] reads them, if they are there.
pub const READ: [&str; 11] = [
    workflows::CI,
    workflows::DEPLOY,
    workflows::ROLLBACK,
    blueprint::PATH,
    ".cargo/config.toml",
    ".cargo/deny.toml",
    ".ci/requirements.txt",
    workflows::RELEASE_BUILD,
    "flake.nix",
    workflows::SUBMODULES,
    workflows::ATTRIBUTES,
];

/// What is there: deploy.toml, and the text of every file of [`READ`] and of [`site_rules`] that exists.
pub struct Project<'c> {
    /// deploy.toml.
    pub config: &'c Config,
    /// Texts by path from the project's root.
    pub files: BTreeMap<String, String>,
}

impl Project<'_> {
    fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }
}

/// One file and what should be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// From the project's root.
    pub path: String,
    /// All of it.
    pub text: String,
    /// Whether the file is there and somebody else's, so that it is not touched.
    pub is_foreign: bool,
}

/// Where the site's own rules for addresses are, unless a build makes them.
pub fn site_rules(config: &Config) -> Option<String> {
    redirects::path(config)
}

/// Everything that deploy.toml decides about files.
///
/// # Errors
/// When a template has a mark that nothing fills, which is a fault of this program.
pub fn generate(project: &Project<'_>) -> Result<Vec<Generated>> {
    let mut files: Vec<Generated> = workflows::generate(project)?
        .into_iter()
        .chain([(blueprint::PATH, blueprint::generate(project.config))])
        .map(|(path, text)| Generated {
            is_foreign: project
                .text(path)
                .is_some_and(|found| !found.starts_with(FIRST_LINE)),
            text: format!("{FIRST_LINE}\n{text}"),
            path: path.to_owned(),
        })
        .collect();
    files.extend(redirects::generate(project));
    Ok(files)
}
