//! The backups the migrator has left beside the database.

use std::path::{Path, PathBuf};

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use crate::clock;

/// One backup file.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Backup {
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    /// RFC 3339.
    pub(crate) created_at: String,
    /// How old it is, in whole seconds.
    pub(crate) age_s: i64,
}

/// Lists the finished backups of a database, oldest first; none when none was ever made.
///
/// # Errors
/// The directory exists and cannot be read.
pub(crate) fn list(database: &Path, now: Timestamp) -> Result<Vec<Backup>> {
    let directory = directory_of(database);
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let mut backups = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let (name, metadata) = (
            entry.file_name().to_string_lossy().into_owned(),
            entry.metadata()?,
        );
        // Unfinished ones end in `.tmp`.
        if !metadata.is_file() || !name.ends_with(".db") {
            continue;
        }
        let created_at = Timestamp::try_from(metadata.modified()?)?;
        backups.push(Backup {
            name,
            size_bytes: metadata.len(),
            created_at: clock::rfc3339(created_at),
            age_s: now
                .as_second()
                .saturating_sub(created_at.as_second())
                .max(0),
        });
    }
    backups.sort_by(|a, b| (&a.created_at, &a.name).cmp(&(&b.created_at, &b.name)));
    Ok(backups)
}

fn directory_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".backups");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finished_backups_are_listed() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("t.db");
        assert_eq!(list(&database, Timestamp::now()).unwrap(), []);
        let backups = directory_of(&database);
        fs_err::create_dir(&backups).unwrap();
        fs_err::write(backups.join("a.db"), "12345").unwrap();
        fs_err::write(backups.join("b.db.tmp"), "").unwrap();
        let listed = list(&database, Timestamp::now()).unwrap();
        assert_eq!(
            listed
                .iter()
                .map(|b| (b.name.as_str(), b.size_bytes))
                .collect::<Vec<_>>(),
            [("a.db", 5)]
        );
    }
}
