//! What a release is made of, besides the plan: the site's files, and the migrations to rehearse.

use crate::ids::RunId;
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
