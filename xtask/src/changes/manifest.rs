//! What a lane consists of: every file that its filter selects, with mode and blob, and the lane's own configuration.
//!
//! Two manifests are compared instead of two commits, so that shallow clones, force-pushes, squashes and reverts cannot mislead.

use crate::git::TreeEntry;
use crate::ids::Oid;
use anyhow::{Result, bail};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// First line of the encoded form.
const MAGIC: &str = "tandem manifest 1";

/// The mode and blob of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As git writes it: `100644`, `100755`, `120000`, `160000`.
    pub mode: String,
    /// The blob, or a submodule's commit.
    pub oid: Oid,
}

/// Everything that a lane consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// SHA-256 of the lane's own configuration.
    pub config: String,
    /// Files by path, as bytes.
    pub files: BTreeMap<Vec<u8>, Entry>,
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

impl Manifest {
    /// Takes the entries of a tree for which `select` says yes.
    pub fn select(config: &str, tree: &[TreeEntry], mut select: impl FnMut(&str) -> bool) -> Self {
        let files = tree
            .iter()
            .filter(|entry| select(&String::from_utf8_lossy(&entry.path)))
            .map(|entry| {
                (
                    entry.path.clone(),
                    Entry {
                        mode: entry.mode.clone(),
                        oid: entry.oid.clone(),
                    },
                )
            })
            .collect();
        Self {
            config: config.to_owned(),
            files,
        }
    }

    /// The form that is kept in the live record: a header line, then `mode oid<TAB>path<NUL>` for each file.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = format!("{MAGIC}\nconfig {}\n", self.config).into_bytes();
        for (path, entry) in &self.files {
            bytes.extend_from_slice(entry.mode.as_bytes());
            bytes.push(b' ');
            bytes.extend_from_slice(entry.oid.as_str().as_bytes());
            bytes.push(b'\t');
            bytes.extend_from_slice(path);
            bytes.push(0);
        }
        bytes
    }

    /// Reads [`Manifest::encode`]'s form.
    ///
    /// # Errors
    /// When it is not that form: then nothing is known, and the lane runs.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
        let (magic, config, rest) = (parts.next(), parts.next(), parts.next());
        let (Some(magic), Some(config), Some(rest)) = (magic, config, rest) else {
            bail!("the manifest is cut off")
        };
        if magic != MAGIC.as_bytes() {
            bail!(
                "the manifest begins with '{}', not '{MAGIC}'",
                String::from_utf8_lossy(magic)
            );
        }
        let config = String::from_utf8_lossy(config)
            .trim_start_matches("config ")
            .to_owned();
        let mut files = BTreeMap::new();
        for record in rest
            .split(|byte| *byte == 0)
            .filter(|record| !record.is_empty())
        {
            let mut fields = record.splitn(2, |byte| *byte == b'\t');
            let (head, path) = (fields.next().unwrap_or_default(), fields.next());
            let head = String::from_utf8_lossy(head);
            let (Some((mode, oid)), Some(path)) = (head.split_once(' '), path) else {
                bail!("the manifest holds a broken entry")
            };
            files.insert(
                path.to_vec(),
                Entry {
                    mode: mode.to_owned(),
                    oid: Oid::from(oid),
                },
            );
        }
        Ok(Self { config, files })
    }

    /// SHA-256 over everything.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.encode()))
    }

    /// What would change if `self` replaced `live`, by path.
    pub fn changes_from(&self, live: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (path, entry) in &self.files {
            let status = match live.files.get(path) {
                None => Status::Added,
                Some(old) if old == entry => continue,
                Some(old) if kind(&old.mode) != kind(&entry.mode) => Status::TypeChanged,
                Some(_) => Status::Modified,
            };
            changes.push(Change {
                path: String::from_utf8_lossy(path).into_owned(),
                status,
            });
        }
        for path in live
            .files
            .keys()
            .filter(|path| !self.files.contains_key(*path))
        {
            changes.push(Change {
                path: String::from_utf8_lossy(path).into_owned(),
                status: Status::Deleted,
            });
        }
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        changes
    }
}

/// File, link or submodule: the first three digits of a mode.
fn kind(mode: &str) -> &str {
    mode.get(..3).unwrap_or(mode)
}

/// Lower-case hexadecimal.
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
        let tree: Vec<TreeEntry> = files
            .iter()
            .map(|(path, mode, oid)| TreeEntry {
                mode: (*mode).to_owned(),
                oid: Oid::from(*oid),
                path: path.as_bytes().to_vec(),
            })
            .collect();
        Manifest::select("c0ffee", &tree, |_| true)
    }

    #[test]
    fn the_encoded_form_reads_back_with_odd_names() {
        let mut odd = manifest(&[("a b", "100644", "1"), ("new\nline\ttab", "100755", "2")]);
        odd.files.insert(
            b"\xff\xfe".to_vec(),
            Entry {
                mode: "120000".to_owned(),
                oid: Oid::from("3"),
            },
        );
        assert_eq!(Manifest::decode(&odd.encode()).unwrap(), odd);
        assert!(Manifest::decode(b"something else").is_err());
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        let live = manifest(&[
            ("same", "100644", "1"),
            ("edited", "100644", "2"),
            ("gone", "100644", "3"),
            ("link", "100644", "4"),
            ("exec", "100644", "5"),
        ]);
        let ours = manifest(&[
            ("same", "100644", "1"),
            ("edited", "100644", "9"),
            ("new", "100644", "3"),
            ("link", "120000", "4"),
            ("exec", "100755", "5"),
        ]);
        let told: Vec<_> = ours
            .changes_from(&live)
            .into_iter()
            .map(|change| (change.path, change.status.word()))
            .collect();
        let told: Vec<(&str, &str)> = told
            .iter()
            .map(|(path, word)| (path.as_str(), *word))
            .collect();
        assert_eq!(
            told,
            [
                ("edited", "modified"),
                ("exec", "modified"),
                ("gone", "deleted"),
                ("link", "type-changed"),
                ("new", "added")
            ]
        );
        assert!(ours.changes_from(&ours).is_empty());
    }
}
