//! Tells a file that runs outside a transaction right now, in another process, from one that died there.
//!
//! Inside a transaction SQLite's own lock does this. Outside there is none between two statements, so the runner holds a
//! lock on a file beside the backups; the system releases it when the process ends, however it ends.

use crate::backup::prepare_folder;
use crate::clock::{Stopwatch, pause};
use crate::error::{Doing as _, Error};
use crate::migrator::Migrator;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);

impl Migrator {
    fn outside_lock_path(&self) -> PathBuf {
        self.backup_folder().join(".lock")
    }

    /// Held while a file runs outside a transaction; given back when dropped.
    pub(crate) fn lock_outside(&self) -> Result<File, Error> {
        prepare_folder(self, &self.backup_folder())?;
        let path = self.outside_lock_path();
        let file = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .doing(|| "open the lock file".to_owned())?
            .into_parts()
            .0;
        let watch = Stopwatch::start();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => {
                    return Err(error).doing(|| format!("lock {}", path.display()));
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if let Some(signal) = self.cancel.signal() {
                return Err(Error::Interrupted { signal });
            }
            if watch.elapsed() >= self.timeout {
                return Err(Error::Locked {
                    database: self.database.clone(),
                    waited_ms: watch.elapsed_ms(),
                });
            }
            pause(PAUSE);
        }
    }

    /// Waits for whoever runs such a file, then looks again: false when the row still says "unfinished" although nobody is
    /// at it, so that it is what a crash left.
    pub(crate) fn went_on_outside(&self) -> Result<bool, Error> {
        let _held = self.lock_outside()?;
        Ok(!matches!(self.look(), Err(Error::Unfinished { .. })))
    }
}
