//! Named values shared by all runs, moved by compare-and-swap: what is live, and who holds the lease.

use crate::ids::Oid;
use std::collections::BTreeMap;

/// The small files that a ref's commit holds, by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What a ref points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefValue {
    /// The commit.
    pub oid: Oid,
    /// Its files.
    pub files: Files,
}

/// What became of a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The ref now points to our commit; read back to be sure.
    Moved(Oid),
    /// Somebody else moved it; `None` when it is gone.
    Lost(Option<Oid>),
}

/// Where refs live: a git remote, the private repository of the local environment, or memory in simulation.
pub trait Refs: Sync {
    /// Reads a ref, `None` when there is none.
    ///
    /// # Errors
    /// When the store cannot be reached; that is never the same as "none".
    fn read(&self, name: &str) -> anyhow::Result<Option<RefValue>>;

    /// Moves `name` from `expected` to a new commit with `files`. With `parent` the new commit follows the old one, so that the log is a history.
    ///
    /// # Errors
    /// When the outcome could not be learnt or the store refuses.
    fn swap(
        &self,
        name: &str,
        expected: Option<&Oid>,
        files: &Files,
        parent: bool,
        message: &str,
    ) -> anyhow::Result<Swap>;

    /// Removes `name` when it still points to `expected`.
    ///
    /// # Errors
    /// As for [`Refs::swap`].
    fn delete(&self, name: &str, expected: &Oid) -> anyhow::Result<Swap>;

    /// The ref's commits, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be reached.
    fn log(&self, name: &str, limit: usize) -> anyhow::Result<Vec<RefValue>>;
}
