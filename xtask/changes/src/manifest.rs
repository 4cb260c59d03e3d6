//! What a lane consists of: every file that its filters select, with mode and blob, and the lane's own configuration.
//!
//! Two manifests are compared instead of two commits, so that shallow clones, force-pushes, squashes and reverts cannot mislead.

use crate::tree::{BrokenList, File, Files};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// First line of the encoded form.
const MAGIC: &str = "tandem manifest 2";

/// Everything that a lane consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The lane's own settings by name, as digests: a record says that one changed and not what it is.
    pub settings: BTreeMap<String, String>,
    /// The names of the variables that it depends on. Values are no part of it: they may be secret.
    pub variables: BTreeSet<String>,
    /// Its files.
    pub files: Files,
}

/// How a file differs from the live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Only ours has it.
    Added,
    /// Content or executable bit differs.
    Modified,
    /// Only the live one has it.
    Deleted,
    /// A file became a link, or the like.
    TypeChanged,
}

impl Status {
    /// The word that status rules use; a type change has none there.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
            Self::TypeChanged => "type-changed",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path, with what is not UTF-8 replaced.
    pub path: String,
    /// How it differs.
    pub status: Status,
}

/// The text is no manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokenManifest {
    /// It begins with this line.
    Begins(String),
    /// This line of its head is not understood.
    Head(String),
    /// Its files are no list.
    Files(BrokenList),
}

impl fmt::Display for BrokenManifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begins(line) => write!(f, "the manifest begins with '{line}', not '{MAGIC}'"),
            Self::Head(line) => write!(f, "the manifest's line '{line}' is not understood"),
            Self::Files(broken) => write!(f, "the manifest is damaged: {broken}"),
        }
    }
}

impl std::error::Error for BrokenManifest {}

impl Manifest {
    /// Adds a setting of the lane; of its value only a digest is kept.
    pub fn set(&mut self, name: &str, value: &str) {
        let digest = hex(&Sha256::digest(value));
        self.settings.insert(name.to_owned(), digest);
    }

    /// The form that is kept in the live record: a head of lines, an empty line, then `mode oid<TAB>path<NUL>` for each file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = format!("{MAGIC}\n").into_bytes();
        for (name, digest) in &self.settings {
            bytes.extend_from_slice(format!("setting {name} {digest}\n").as_bytes());
        }
        for name in &self.variables {
            bytes.extend_from_slice(format!("variable {name}\n").as_bytes());
        }
        bytes.push(b'\n');
        for file in self.files.iter() {
            file.write(&mut bytes);
        }
        bytes
    }

    /// Reads [`Manifest::encode`]'s form.
    ///
    /// # Errors
    /// When it is not that form: then nothing is known, and the lane runs.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, BrokenManifest> {
        let mut manifest = Self::default();
        let mut at = 0;
        let mut line = || {
            let rest = bytes.get(at..).unwrap_or_default();
            let length = rest.iter().position(|byte| *byte == b'\n');
            let line = &rest[..length.unwrap_or(rest.len())];
            at += line.len() + 1;
            String::from_utf8_lossy(line).chars().take(500).collect()
        };
        let first: String = line();
        if first != MAGIC {
            return Err(BrokenManifest::Begins(first));
        }
        loop {
            let line: String = line();
            if line.is_empty() {
                break;
            }
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["setting", name, digest] => {
                    manifest
                        .settings
                        .insert((*name).to_owned(), (*digest).to_owned());
                }
                ["variable", name] => {
                    manifest.variables.insert((*name).to_owned());
                }
                _ => return Err(BrokenManifest::Head(line)),
            }
        }
        manifest.files = Files::parse_from(bytes, at).map_err(BrokenManifest::Files)?;
        Ok(manifest)
    }

    /// SHA-256 over everything.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.encode()))
    }

    /// The files that would change if `self` replaced `live`, by path.
    #[must_use]
    pub fn changes_from(&self, live: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        self.files.differences(&live.files, |ours, theirs| {
            let status = match (ours, theirs) {
                (Some(_), None) => Status::Added,
                (None, _) => Status::Deleted,
                (Some(new), Some(old)) if new.kind() != old.kind() => Status::TypeChanged,
                (Some(_), Some(_)) => Status::Modified,
            };
            if let Some(file) = ours.or(theirs) {
                changes.push(Change {
                    path: String::from_utf8_lossy(file.path).into_owned(),
                    status,
                });
            }
        });
        changes
    }

    /// The settings and variables in which it differs from `live`, in words: `build`, `variable API_URL`.
    #[must_use]
    pub fn settings_changed_from(&self, live: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.settings.keys().chain(live.settings.keys()).collect();
        let settings = names
            .into_iter()
            .filter(|name| self.settings.get(*name) != live.settings.get(*name))
            .cloned();
        let variables = self
            .variables
            .symmetric_difference(&live.variables)
            .map(|name| format!("variable {name}"));
        settings.chain(variables).collect()
    }

    /// Every path that it has, with what is not UTF-8 replaced.
    pub fn paths(&self) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
        self.files
            .iter()
            .map(|File { path, .. }| String::from_utf8_lossy(path))
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(files: &[(&str, &str, &str)]) -> Manifest {
        let files = files.iter().map(|(path, mode, oid)| File {
            mode,
            oid,
            path: path.as_bytes(),
        });
        let mut manifest = Manifest {
            files: Files::of(files).expect("files"),
            ..Manifest::default()
        };
        manifest.set("build", "make");
        manifest.variables.insert("API_URL".to_owned());
        manifest
    }

    #[test]
    fn the_encoded_form_reads_back_with_odd_names() {
        let odd = [
            File {
                mode: "100644",
                oid: "1",
                path: b"a b",
            },
            File {
                mode: "100755",
                oid: "2",
                path: b"new\nline\ttab",
            },
            File {
                mode: "120000",
                oid: "3",
                path: b"\xff\xfe",
            },
        ];
        let manifest = Manifest {
            files: Files::of(odd).expect("files"),
            ..manifest(&[])
        };
        assert_eq!(Manifest::decode(manifest.encode()), Ok(manifest.clone()));
        let nothing = Manifest::default();
        assert_eq!(Manifest::decode(nothing.encode()), Ok(nothing));
        for broken in [
            "something else",
            "tandem manifest 1\nconfig 1\n",
            "tandem manifest 2\nsetting\n\n",
            "tandem manifest 2\n\nx",
        ] {
            assert!(Manifest::decode(broken.into()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        let live = manifest(&[
            ("same", "100644", "1"),
            ("edited", "100644", "2"),
            ("gone", "100644", "3"),
            ("link", "100644", "4"),
            ("exec", "100644", "5"),
            ("sub", "160000", "6"),
        ]);
        let ours = manifest(&[
            ("same", "100644", "1"),
            ("edited", "100644", "9"),
            ("new", "100644", "3"),
            ("link", "120000", "4"),
            ("exec", "100755", "5"),
            ("sub", "160000", "7"),
        ]);
        let told = ours.changes_from(&live);
        let told: Vec<(&str, &str)> = told
            .iter()
            .map(|change| (change.path.as_str(), change.status.word()))
            .collect();
        assert_eq!(
            told,
            [
                ("edited", "modified"),
                ("exec", "modified"),
                ("gone", "deleted"),
                ("link", "type-changed"),
                ("new", "added"),
                ("sub", "modified"),
            ]
        );
        assert!(ours.changes_from(&ours).is_empty());
    }

    #[test]
    fn settings_that_differ_are_named() {
        let live = manifest(&[]);
        let mut ours = live.clone();
        assert!(ours.settings_changed_from(&live).is_empty());
        ours.set("build", "make all");
        ours.set("env.PORT", "1");
        ours.variables = BTreeSet::from(["TOKEN".to_owned()]);
        assert_eq!(
            ours.settings_changed_from(&live),
            ["build", "env.PORT", "variable API_URL", "variable TOKEN"]
        );
        assert!(!String::from_utf8_lossy(&ours.encode()).contains("make"));
        assert_ne!(ours.digest(), live.digest());
    }
}
