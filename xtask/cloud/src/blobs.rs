//! The content-addressed store behind the site: one blob per SHA-1, in memory for simulation, in files otherwise.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sha1::{Digest as _, Sha1};

/// Uploaded contents by their SHA-1 in hex.
#[derive(Debug)]
pub enum Blobs {
    /// Lost with the value.
    Memory(BTreeMap<String, Vec<u8>>),
    /// One file per blob in this folder, written atomically.
    Folder(PathBuf),
}

/// SHA-1 in lower-case hex.
pub(crate) fn sha1_hex(bytes: &[u8]) -> String {
    hex(&Sha1::digest(bytes))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            // Writing to a String cannot fail.
            write!(out, "{byte:02x}").unwrap_or_default();
            out
        })
}

/// Digests become file names, so nothing but a digest may pass.
fn is_digest(sha: &str) -> bool {
    sha.len() == 40
        && sha
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl Blobs {
    /// An empty store in memory.
    pub const fn memory() -> Self {
        Self::Memory(BTreeMap::new())
    }

    pub(crate) fn size(&self, sha: &str) -> Option<u64> {
        match self {
            Self::Memory(map) => map.get(sha).map(|b| b.len() as u64),
            Self::Folder(dir) => is_digest(sha)
                .then(|| fs_err::metadata(dir.join(sha)).ok().map(|m| m.len()))
                .flatten(),
        }
    }

    pub(crate) fn get(&self, sha: &str) -> Option<Vec<u8>> {
        match self {
            Self::Memory(map) => map.get(sha).cloned(),
            Self::Folder(dir) => is_digest(sha)
                .then(|| fs_err::read(dir.join(sha)).ok())
                .flatten(),
        }
    }

    /// Stores `bytes` under `sha`, which the caller has computed from them.
    pub(crate) fn put(&mut self, sha: &str, bytes: Vec<u8>) -> std::io::Result<()> {
        match self {
            Self::Memory(map) => {
                map.insert(sha.to_owned(), bytes);
                Ok(())
            }
            Self::Folder(dir) => {
                let part = dir.join(format!("{sha}.part"));
                fs_err::create_dir_all(&*dir)?;
                fs_err::write(&part, bytes)?;
                fs_err::rename(part, dir.join(sha))
            }
        }
    }

    /// Forgets every blob that is not in `keep`.
    pub(crate) fn retain(&mut self, keep: &std::collections::BTreeSet<&str>) {
        match self {
            Self::Memory(map) => map.retain(|sha, _| keep.contains(sha.as_str())),
            Self::Folder(dir) => {
                let Ok(entries) = fs_err::read_dir(&*dir) else {
                    return;
                };
                for entry in entries.flatten() {
                    let name = entry.file_name();
                    if !name.to_str().is_some_and(|n| keep.contains(n)) {
                        // A blob that cannot be removed costs only space.
                        fs_err::remove_file(entry.path()).unwrap_or_default();
                    }
                }
            }
        }
    }
}
