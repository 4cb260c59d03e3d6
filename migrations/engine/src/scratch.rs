//! A folder for a copy that is thrown away: removed when dropped, and by the next run when the one that made it was killed,
//! because a database's copies would otherwise fill its disk.

use crate::backup::scratch_folder;
use crate::error::{Doing as _, Error};
use crate::migrator::Migrator;
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Locked by whoever uses the folder; the system unlocks it when the process ends, however it ends.
const ALIVE: &str = ".alive";

/// See the module's words.
pub(crate) struct Scratch {
    folder: TempDir,
    _alive: File,
}

impl Scratch {
    /// Makes one in the folder `beside` and removes those there that nobody uses any more.
    pub(crate) fn new(migrator: &Migrator, beside: &Path) -> Result<Self, Error> {
        let folder = scratch_folder(migrator, beside)?;
        sweep(migrator, beside);
        let path = folder.path().join(ALIVE);
        let alive = fs_err::File::create(&path)
            .doing(|| "make a folder for a copy".to_owned())?
            .into_parts()
            .0;
        alive
            .try_lock()
            .map_err(std::io::Error::from)
            .doing(|| format!("lock {}", path.display()))?;
        Ok(Self {
            folder,
            _alive: alive,
        })
    }

    /// The place for the copy.
    pub(crate) fn copy(&self) -> PathBuf {
        self.folder.path().join("copy.db")
    }
}

/// What cannot be removed stays: it is in nobody's way but the disk's, and what was asked for matters more.
fn sweep(migrator: &Migrator, beside: &Path) {
    let beside = if beside.as_os_str().is_empty() {
        Path::new(".")
    } else {
        beside
    };
    for entry in fs_err::read_dir(beside).into_iter().flatten().flatten() {
        let is_ours = entry
            .file_name()
            .to_string_lossy()
            .starts_with(&migrator.scratch_prefix());
        // A folder without the file was made this very moment.
        let Ok(alive) = fs_err::File::open(entry.path().join(ALIVE)) else {
            continue;
        };
        if is_ours && alive.into_parts().0.try_lock().is_ok() {
            fs_err::remove_dir_all(entry.path()).ok();
        }
    }
}
