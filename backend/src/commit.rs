//! Which commit this process is. A release is verified by asking for it, so a wrong or missing
//! answer must stop the process rather than be served.

use std::fmt;

use anyhow::{Result, bail};

/// A full Git commit id: 40 hexadecimal digits (SHA-1) or 64 (SHA-256), lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit(String);

impl Commit {
    /// Takes the commit baked in at build time, else the one the platform states at run time.
    ///
    /// The baked one wins: it cannot be separated from the code, whereas the environment may
    /// describe another build, as it does for services that run a ready-made image.
    ///
    /// # Errors
    /// Neither is there, or the one there is not a full commit id.
    pub(crate) fn decide(baked: Option<&str>, platform: Option<&str>) -> Result<Self> {
        let sources = [
            ("TANDEM_COMMIT at build time", baked),
            ("RENDER_GIT_COMMIT", platform),
        ];
        for (source, value) in sources {
            let value = value.map(str::trim).unwrap_or_default();
            if !value.is_empty() {
                return Self::parse(source, value);
            }
        }
        bail!(
            "cannot tell which commit this is, and a release is verified by it; build with \
             TANDEM_COMMIT=$(git rev-parse HEAD), or start with RENDER_GIT_COMMIT set to the full commit id"
        )
    }

    fn parse(source: &str, value: &str) -> Result<Self> {
        let hexadecimal = value.bytes().all(|b| b.is_ascii_hexdigit());
        if !hexadecimal || !matches!(value.len(), 40 | 64) {
            bail!(
                "{source} is {value:?}, which is not a full commit id (40 or 64 hexadecimal digits); \
                 `git rev-parse HEAD` prints one"
            );
        }
        Ok(Self(value.to_ascii_lowercase()))
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baked_commit_wins_and_an_empty_one_counts_as_absent() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let decide = |baked, platform| Commit::decide(baked, platform).unwrap().to_string();
        assert_eq!(decide(Some(&a), Some(&b)), a);
        assert_eq!(decide(Some(""), Some(&b)), b);
        assert_eq!(decide(None, Some(&"AB".repeat(32))), "ab".repeat(32));
    }

    #[test]
    fn what_is_not_a_full_commit_is_refused_and_says_how_to_set_it() {
        for value in [
            None,
            Some(""),
            Some("unknown"),
            Some("abc1234"),
            Some("main"),
        ] {
            let error = Commit::decide(None, value).unwrap_err().to_string();
            assert!(error.contains("git rev-parse HEAD"), "{value:?}: {error}");
        }
    }
}
