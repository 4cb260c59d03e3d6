//! What a release is made of, besides the plan: the site's files, and the migrations to rehearse.

use crate::ids::RunId;
use crate::lane::verify::RELEASE_FILE;
use crate::live::Sent;
use crate::rehearsal::Base;
use crate::site_rules::RuleFiles;
use crate::world::World;
use anyhow::Result;

/// One file of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteFile {
    /// Path below the site's root, without a leading slash.
    pub path: String,
    /// SHA-1 of the content: what Netlify names content by.
    pub sha1: String,
    /// Bytes.
    pub size: u64,
}

/// What a site consists of, apart from the file that names the release and is made anew for each.
pub fn sent(files: &[SiteFile]) -> Sent {
    files
        .iter()
        .filter(|file| file.path != RELEASE_FILE)
        .map(|file| (file.path.clone(), file.sha1.clone()))
        .collect()
}

/// In words, how a site differs from what was sent; `None` when it does not. Where that was not recorded nobody knows.
pub fn unsent(site: &Sent, sent: Option<&Sent>) -> Option<String> {
    let Some(sent) = sent else {
        return Some("which files were sent with the live release is not recorded".to_owned());
    };
    let ours = site.iter().filter_map(|(path, sha1)| match sent.get(path) {
        None => Some((path, "was not sent with")),
        Some(found) if found != sha1 => Some((path, "differs from what was sent with")),
        Some(_) => None,
    });
    let gone = sent.keys().filter(|path| !site.contains_key(*path));
    let mut all = ours.chain(gone.map(|path| (path, "is not there any more, and was sent with")));
    let (path, how) = all.next()?;
    let more = match all.count() {
        0 => String::new(),
        more => format!(", and {more} more differ"),
    };
    Some(format!("{path} {how} the live release{more}"))
}

/// What a rehearsal showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// Files that ran, in order.
    pub applied: Vec<String>,
    /// One line for people.
    pub summary: String,
}

/// The site as its build left it, before a release adds what depends on the run and on the environment.
pub trait BuiltSite: Sync {
    /// The files that are published, by their path below the site's root.
    ///
    /// # Errors
    /// When they cannot be listed, or one must not be published: the message names it.
    fn paths(&self) -> Result<Vec<String>>;

    /// The content of one of those files.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, path: &str) -> Result<Vec<u8>>;

    /// The files that hold the site's rules; before the build only those that no build makes.
    ///
    /// # Errors
    /// When one cannot be read, or is no text.
    fn rules(&self, is_built: bool) -> Result<RuleFiles>;
}

/// Where the site's files and the migrations come from: files on disk, or a simulation.
pub trait Inputs: Sync {
    /// Tells the name of the run, which the site's release file carries.
    fn begin(&self, run: &RunId);

    /// Lists the site as it would be published, generated files included.
    ///
    /// # Errors
    /// When a file cannot be read, or must not be published: the message names it.
    fn site(&self, world: &dyn World) -> Result<Vec<SiteFile>>;

    /// The content of one of those files.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, path: &str) -> Result<Vec<u8>>;

    /// The files that hold the site's rules, as they are written; before the build only those that no build makes.
    ///
    /// # Errors
    /// When one cannot be read, or is no text.
    fn rules(&self, is_built: bool) -> Result<RuleFiles>;

    /// Runs the pending migrations on a copy of what is given.
    ///
    /// # Errors
    /// When they fail there.
    fn rehearse(&self, base: &Base<'_>) -> Result<Rehearsal>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_sent_is_named() {
        let site = |files: &[(&str, &str)]| -> Sent {
            let owned = |(path, sha1): &(&str, &str)| ((*path).to_owned(), (*sha1).to_owned());
            files.iter().map(owned).collect()
        };
        let sent = site(&[("a", "1"), ("b", "2")]);
        for (ours, expected) in [
            (site(&[("a", "1"), ("b", "2")]), None),
            (
                site(&[("a", "1"), ("b", "3")]),
                Some("b differs from what was sent with the live release"),
            ),
            (
                site(&[("a", "1"), ("b", "2"), ("c", "3")]),
                Some("c was not sent with the live release"),
            ),
            (
                site(&[("b", "3")]),
                Some("b differs from what was sent with the live release, and 1 more differ"),
            ),
            (
                site(&[("b", "2")]),
                Some("a is not there any more, and was sent with the live release"),
            ),
        ] {
            assert_eq!(unsent(&ours, Some(&sent)).as_deref(), expected);
        }
        let unknown = unsent(&sent, None).expect("nobody knows");
        assert!(unknown.contains("not recorded"), "{unknown}");
    }
}
