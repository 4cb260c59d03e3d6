//! Which settings are part of what a lane releases: changing one of them makes the lane run as changing a file does.

use super::{Config, Target};
use crate::changes::manifest::hex;
use crate::ids::Lane;
use crate::site_rules::{self, Around};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Files that pin the tools which build a lane; a change of one of them changes what is built, whatever `paths` says.
const TOOLCHAIN: [&str; 8] = [
    "rust-toolchain",
    "rust-toolchain.toml",
    ".nvmrc",
    ".node-version",
    ".python-version",
    ".ruby-version",
    ".tool-versions",
    "mise.toml",
];

impl Config {
    /// SHA-256, in hexadecimal, of the whole file's text.
    pub fn file_digest(&self) -> String {
        hex(&Sha256::digest(self.source.text()))
    }

    /// The settings that shape a lane's build and run, by name. Timeouts, limits and file patterns are not among them, and
    /// neither is `backend.local`: editing how the local cloud runs the service must not restart it in production.
    pub fn lane_settings(&self, lane: Lane) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        let mut put = |name: &str, value: &str| settings.insert(name.to_owned(), value.to_owned());
        match lane {
            Lane::Frontend => {
                put("publish", self.frontend.publish.trim_end_matches('/'));
                if let Some(build) = &self.frontend.build {
                    put("build", build);
                }
                if !self.frontend.exclude.is_empty() {
                    // No pattern holds a line end that matters: a list is a list of lines.
                    put("exclude", &self.frontend.exclude.join("\n"));
                }
            }
            Lane::Backend => {
                put("build", &self.backend.build);
                put("start", &self.backend.start);
                if let Some(folder) = &self.backend.migrations {
                    put("migrations", folder);
                }
                if let Some(disk) = &self.backend.disk {
                    put("disk.mount_path", &disk.mount_path);
                }
                for (name, value) in &self.backend.env {
                    put(&format!("env.{name}"), value);
                }
            }
        }
        settings
    }

    /// The names of the variables that a lane depends on beside those whose values stand in the file.
    pub fn lane_variables(&self, lane: Lane) -> BTreeSet<String> {
        let names = match lane {
            Lane::Frontend => &self.frontend.variables,
            Lane::Backend => &self.backend.variables,
        };
        names.iter().cloned().collect()
    }

    /// Patterns of the files that pin a lane's tools: as configured, or the usual ones for a lane that is built.
    pub fn lane_toolchain(&self, lane: Lane) -> Vec<String> {
        let (configured, is_built) = match lane {
            Lane::Frontend => (&self.frontend.toolchain, self.frontend.build.is_some()),
            Lane::Backend => (&self.backend.toolchain, true),
        };
        match configured {
            Some(patterns) => patterns.clone(),
            None if is_built => TOOLCHAIN.map(str::to_owned).into(),
            None => Vec::new(),
        }
    }

    /// Patterns of the files that may hold a site's rules and lie outside its own: each `netlify.toml` up to the root.
    pub fn lane_rules(&self, lane: Lane) -> Vec<String> {
        let literally = |path: String| {
            let special = |c: char| "\\*?[]{}()!+@|".contains(c);
            let marks = path
                .chars()
                .flat_map(|c| [special(c).then_some('\\'), Some(c)]);
            marks.flatten().collect()
        };
        match lane {
            Lane::Frontend => site_rules::candidates(&self.frontend.publish)
                .into_iter()
                .map(literally)
                .collect(),
            Lane::Backend => Vec::new(),
        }
    }

    /// What the site's rules are judged against, when they are to be released to `target`.
    pub fn around_rules<'c>(&'c self, target: Option<&'c Target>) -> Around<'c> {
        Around {
            service_url: target.map_or(site_rules::UNKNOWN_SERVICE, |target| &target.service_url),
            site_url: target.map_or("", |target| &target.site_url),
            build: self.frontend.build.as_deref(),
            publish: &self.frontend.publish,
        }
    }
}
