//! Which backups stay: the newest ones, as many as are worth their room.

use crate::backup::disk_of;
use crate::error::{Doing as _, Error};
use crate::migrator::Migrator;
use std::path::{Path, PathBuf};

/// Older ones go, so that a disk does not fill up release by release.
const KEPT_MAX: usize = 5;
/// Together they may take this part of the disk: a quarter.
const DISK_PARTS: u64 = 4;

/// All finished backups, oldest first. A file that somebody else has put there is none of ours.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let doing = || format!("list the backups in {}", folder.display());
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).doing(doing)? {
        let entry = entry.doing(doing)?;
        if is_ours(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Does the name begin with a moment, as [`crate::clock::stamp`] writes it, and end in `.db`?
fn is_ours(name: &str) -> bool {
    let shape = name.get(..20).map(|stamp| {
        let digit_or_mark = |c: char| if c.is_ascii_digit() { '0' } else { c };
        stamp.chars().map(digit_or_mark).collect::<String>()
    });
    shape.as_deref() == Some("00000000T000000000Z-") && name.ends_with(".db")
}

impl Migrator {
    /// Removes the oldest backups beyond what is kept, never one of `spared`. Only after success: a release that fails on
    /// every start must not push out the backups of those that did not.
    pub(crate) fn prune(&self, spared: &[&Path]) -> Result<(), Error> {
        let folder = self.backup_folder();
        let backups = list(&folder)?;
        if backups.len() < 2 {
            return Ok(());
        }
        let doing = || "remove an old backup".to_owned();
        let mut sizes = Vec::with_capacity(backups.len());
        for path in &backups {
            sizes.push(fs_err::metadata(path).doing(doing)?.len());
        }
        let surplus = surplus(&sizes, disk_of(&folder)?.total_bytes);
        let is_spared = |path: &Path| {
            spared
                .iter()
                .any(|spared| spared.file_name() == path.file_name())
        };
        for path in backups.iter().take(surplus).filter(|path| !is_spared(path)) {
            fs_err::remove_file(path).doing(doing)?;
        }
        Ok(())
    }
}

/// How many of the oldest have to go, given the sizes from the oldest to the newest. The newest always stays.
fn surplus(sizes: &[u64], disk_bytes: u64) -> usize {
    let room = disk_bytes / DISK_PARTS;
    let mut total: u64 = sizes.iter().sum();
    let mut gone = 0;
    for size in sizes.split_last().map_or(&[][..], |(_, older)| older) {
        if sizes.len() - gone <= KEPT_MAX && total <= room {
            break;
        }
        total -= size;
        gone += 1;
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_by_number_and_by_room_and_the_newest_stays() {
        let gone = |sizes: &[u64], disk| surplus(sizes, disk);
        assert_eq!(gone(&[1; 5], 1000), 0);
        assert_eq!(gone(&[1; 8], 1000), 3);
        assert_eq!(gone(&[50, 100, 100], 1000), 0);
        assert_eq!(gone(&[51, 100, 100], 1000), 1);
        assert_eq!(gone(&[100, 100, 300], 1000), 2);
        assert_eq!(gone(&[1, 1, 1, 1, 1, 1, 250], 1000), 6);
        assert_eq!(gone(&[999], 1000), 0);
        assert_eq!(gone(&[], 1000), 0);
    }

    #[test]
    fn a_file_of_somebody_else_is_no_backup_of_ours() {
        assert!(is_ours(&format!("{}-0002_a.db", crate::clock::stamp())));
        for name in [
            "before-the-big-change.db",
            "20260102T030405678Z-a.db.tmp",
            "20260102T030405678Z-a.db-wal",
            "2026010éT030405678Z-a.db",
            ".lock",
        ] {
            assert!(!is_ours(name), "{name}");
        }
    }
}
