//! How much room the database's disk has left. SQLite fails only when a write meets the end of
//! it, so health says earlier that it is near.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// Below this the disk counts as low whatever the size of the database: room for the
/// write-ahead log (4 MiB at rest, more under long reads) with a margin.
const MIN_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// A migration that rebuilds the largest table needs its backup and the rebuilt pages besides
/// the database itself.
const FREE_PER_DATABASE_BYTE: u64 = 3;

/// The file system that holds the database.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Disk {
    /// The directory that was asked about.
    pub(crate) path: PathBuf,
    /// What an unprivileged process can still write.
    pub(crate) free_bytes: u64,
    pub(crate) total_bytes: u64,
}

impl Disk {
    /// Asks the file system of the database's directory.
    ///
    /// # Errors
    /// The directory cannot be asked, for instance because the disk is not mounted.
    pub(crate) fn of(database: &Path) -> Result<Self> {
        let path = database
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let stat = rustix::fs::statvfs(path)
            .with_context(|| format!("ask for the free space of {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }

    /// Whether the disk is too full to migrate a database of this size safely.
    pub(crate) fn is_low(&self, database_bytes: u64) -> bool {
        self.free_bytes < MIN_FREE_BYTES.max(database_bytes.saturating_mul(FREE_PER_DATABASE_BYTE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_low_by_its_own_size_or_by_the_databases() {
        let with_free = |free_bytes| Disk {
            path: PathBuf::new(),
            free_bytes,
            total_bytes: u64::MAX,
        };
        assert!(with_free(MIN_FREE_BYTES - 1).is_low(0));
        assert!(!with_free(MIN_FREE_BYTES).is_low(1));
        assert!(with_free(MIN_FREE_BYTES).is_low(MIN_FREE_BYTES));
        assert!(!with_free(3 * MIN_FREE_BYTES).is_low(MIN_FREE_BYTES));
    }

    #[test]
    fn a_bare_file_name_is_on_the_disk_of_the_current_directory() {
        assert_eq!(Disk::of(Path::new("x.db")).unwrap().path, Path::new("."));
        assert!(Disk::of(Path::new("/no/such/place/x.db")).is_err());
    }
}
