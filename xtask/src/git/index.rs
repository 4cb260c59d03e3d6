//! What git does not say by itself: the files that it was told not to look at, and what it would write to disk.

use super::{Git, run};
use crate::changes::manifest::hex;
use anyhow::{Context as _, Result, bail};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use std::path::Path;
use xshell::{Shell, cmd};

/// A file whose changes `git status` does not show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwatched {
    /// Its path.
    pub path: String,
    /// Whether it is not meant to be on disk; otherwise git assumes that it never changes.
    pub is_sparse: bool,
}

impl Git {
    /// The files of the index that git was told not to look at.
    ///
    /// # Errors
    /// When git fails.
    pub fn unwatched(&self) -> Result<Vec<Unwatched>> {
        let listing = self.user_git(&["ls-files", "-v", "-z", "--full-name"], b"")?;
        Ok(parse(&listing))
    }

    /// Runs git in another repository, say that of a submodule.
    ///
    /// # Errors
    /// When git fails; its own words are part of the error.
    pub fn elsewhere(&self, folder: &Path, args: &[&str]) -> Result<Vec<u8>> {
        let shell = Shell::new()?;
        run(self.clean(cmd!(shell, "git -C {folder} {args...}")), b"")
    }

    /// The bytes that git would write to disk for these files (path and blob), with line ends converted and filters applied.
    ///
    /// # Errors
    /// When git or one of its filters fails.
    pub fn checked_out(&self, files: &[(&str, &str)]) -> Result<Vec<Vec<u8>>> {
        /// Begins each answer: the size that git prints is that of the blob, whatever the filters make of it.
        const MARK: &str = "tandem-reads-what-git-would-write";
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let mut asked = String::new();
        for (path, oid) in files {
            if path.contains('\n') {
                bail!("{path:?} has a line end in its name: git cannot be asked about it");
            }
            asked.extend([oid, " ", path, "\n"]);
        }
        let format = format!("--batch={MARK} %(objectname)");
        let answer = self.user_git(&["cat-file", "--filters", &format], asked.as_bytes())?;
        let mut rest = answer.as_slice();
        let mut contents = Vec::new();
        for (number, (_, oid)) in files.iter().enumerate() {
            let head = format!("{MARK} {oid}\n");
            let after = rest
                .strip_prefix(head.as_bytes())
                .context("git cat-file answered in another form")?;
            let next = files.get(number + 1);
            let end = match next {
                Some((_, oid)) => find(after, format!("\n{MARK} {oid}\n").as_bytes()),
                None => after.len().checked_sub(1),
            };
            let (content, after) = after.split_at(end.context("git cat-file stopped early")?);
            contents.push(content.to_vec());
            rest = after.get(1..).unwrap_or_default();
        }
        Ok(contents)
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    let mut ends = text
        .iter()
        .enumerate()
        .filter(|(_, byte)| Some(*byte) == part.first());
    ends.find_map(|(at, _)| text[at..].starts_with(part).then_some(at))
}

/// The name that git gives a content, by the kind of names that `like` is one of.
pub fn blob_id(like: &str, content: &[u8]) -> String {
    let head = format!("blob {}\0", content.len());
    if like.len() == 64 {
        hex(&Sha256::new_with_prefix(head)
            .chain_update(content)
            .finalize())
    } else {
        hex(&Sha1::new_with_prefix(head).chain_update(content).finalize())
    }
}

/// Reads `git ls-files -v -z`: a letter, a blank and a path. Small letters are assumed unchanged, S and s are skipped.
fn parse(listing: &[u8]) -> Vec<Unwatched> {
    let entries = listing.split(|byte| *byte == 0);
    let unwatched = entries.filter_map(|entry| {
        let (tag, path) = (*entry.first()?, entry.get(2..)?);
        let is_sparse = tag.eq_ignore_ascii_case(&b'S');
        (is_sparse || tag.is_ascii_lowercase()).then(|| Unwatched {
            path: String::from_utf8_lossy(path).into_owned(),
            is_sparse,
        })
    });
    unwatched.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_index_are_read() {
        let unwatched = |path: &str, is_sparse| Unwatched {
            path: path.to_owned(),
            is_sparse,
        };
        assert_eq!(
            parse(b"H a\0h b c\0S d\0s e\0M f\0"),
            [
                unwatched("b c", false),
                unwatched("d", true),
                unwatched("e", true)
            ]
        );
    }

    #[test]
    fn contents_are_named_as_git_names_them() {
        let empty = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
        assert_eq!(blob_id(empty, b""), empty);
        assert_eq!(blob_id(&"0".repeat(64), b"").len(), 64);
    }
}
