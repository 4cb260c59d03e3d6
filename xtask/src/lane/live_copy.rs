//! Real data to rehearse migrations on, where the project has a command that fetches some.

use super::checks::Workshop;
use crate::event::Step;
use crate::job::LaneError;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Tells the command where to put the database.
pub const DATABASE_VARIABLE: &str = "REHEARSAL_DATABASE";
/// What every SQLite database begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// A copy of the live database, in a folder that only this user can read and that goes with it.
pub struct LiveCopy {
    folder: TempDir,
}

impl LiveCopy {
    /// The file.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("live.db")
    }
}

impl Workshop<'_> {
    /// Has `backend.rehearse.source` write a copy of the live database; none when it is not configured.
    ///
    /// # Errors
    /// When the command fails, or leaves no database.
    pub fn live_copy(&self, step: Step) -> Result<Option<LiveCopy>, LaneError> {
        let rehearse = &self.config.backend.rehearse;
        let Some(script) = &rehearse.source else {
            return Ok(None);
        };
        let folder = tempfile::Builder::new()
            .prefix("tandem-rehearsal-")
            .tempdir()
            .map_err(|error| {
                LaneError::Failed(format!("make a folder for the live data: {error}"))
            })?;
        let copy = LiveCopy { folder };
        let database = copy.database();
        let mut command = self.command(script, rehearse.timeout_s);
        command
            .env
            .push((DATABASE_VARIABLE.to_owned(), database.display().to_string()));
        self.execute(step, "fetching the live data to rehearse on", &command)?;
        match is_database(&database) {
            true => Ok(Some(copy)),
            false => Err(LaneError::Failed(format!(
                "fetching the live data to rehearse on left no SQLite database at ${DATABASE_VARIABLE}: {script}"
            ))),
        }
    }
}

fn is_database(path: &Path) -> bool {
    use std::io::Read as _;
    let mut begin = [0; MAGIC.len()];
    let read = fs_err::File::open(path).and_then(|mut file| file.read_exact(&mut begin));
    read.is_ok() && begin == *MAGIC
}
