//! Puts a backup in the place of the database, and keeps what it replaces.
//!
//! A database that can still be opened is overwritten through SQLite, in one transaction: processes that have it open see
//! the old content or the new, and a log left beside the file cannot bring the old content back. Only a file that is no
//! database any more is moved away and replaced.

use crate::backup::{check, copy_into, sync_folder};
use crate::clock::stamp;
use crate::connection::roll_back;
use crate::error::{Doing as _, Error};
use crate::migrator::Migrator;
use crate::report::Restore;
use rusqlite::{Connection, OpenFlags};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

impl Migrator {
    pub(crate) fn restore_now(&self, backup: &Path) -> Result<Restore, Error> {
        let backup = self.find_backup(backup)?;
        check(&backup)?;
        let kept = match self.open_for_restore() {
            Ok(Some(connection)) => Some(self.overwrite(connection, &backup)?),
            Ok(None) => {
                self.replace(&backup)?;
                None
            }
            Err(Error::Corrupt { .. }) => {
                let kept = self.set_aside()?;
                self.replace(&backup)?;
                Some(kept)
            }
            Err(error) => return Err(error),
        };
        check(&self.database)?;
        self.prune(&[&backup, kept.as_deref().unwrap_or(&backup)])?;
        Ok(Restore { from: backup, kept })
    }

    /// The file as named, or of that name in the folder of backups.
    fn find_backup(&self, named: &Path) -> Result<PathBuf, Error> {
        let candidates = [named.to_owned(), self.backup_folder().join(named)];
        let found = candidates
            .iter()
            .find(|path| path.is_file())
            .ok_or_else(|| {
                let known = crate::backup::list(&self.backup_folder()).unwrap_or_default();
                let known: Vec<String> = known
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                let hint = if known.is_empty() {
                    "there are no backups beside this database".to_owned()
                } else {
                    format!("there are: {}", known.join(", "))
                };
                Error::Refused {
                    message: format!("there is no backup {}", named.display()),
                    hint,
                }
            })?;
        let same = |path: &Path| fs_err::canonicalize(path).ok();
        if self.database.exists() && same(found) == same(&self.database) {
            return Err(Error::Refused {
                message: format!("{} is the database itself", named.display()),
                hint: String::new(),
            });
        }
        Ok(found.clone())
    }

    fn open_for_restore(&self) -> Result<Option<Connection>, Error> {
        if !self.database.exists() {
            return Ok(None);
        }
        self.open().map(Some)
    }

    /// Keeps the present content, then overwrites it in one transaction. A service should be stopped for this: a write
    /// of its own between the two steps would be in neither.
    fn overwrite(&self, mut connection: Connection, backup: &Path) -> Result<PathBuf, Error> {
        self.begin(&mut connection)?;
        let kept = self.back_up(Some("before-restore"));
        roll_back(&connection);
        // A damaged database fails the check of its own copy: then the file itself is what is kept.
        if matches!(kept, Err(Error::Corrupt { .. })) {
            drop(connection);
            let kept = self.set_aside()?;
            self.replace(backup)?;
            return Ok(kept);
        }
        let kept = kept?;
        let doing = || {
            format!(
                "restore {} from {}",
                self.database.display(),
                backup.display()
            )
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let source = Connection::open_with_flags(backup, flags).doing(doing)?;
        copy_into(self, &source, &mut connection, doing)?;
        Ok(kept)
    }

    /// Moves the database and whatever stands beside it out of the way.
    fn set_aside(&self) -> Result<PathBuf, Error> {
        let mut name = self.database.clone().into_os_string();
        name.push(format!(".damaged-{}", stamp()));
        let kept = PathBuf::from(name);
        for suffix in ["-wal", "-shm", "-journal", ""] {
            let (from, to) = (
                with_suffix(&self.database, suffix),
                with_suffix(&kept, suffix),
            );
            if from.exists() {
                fs_err::rename(&from, &to).doing(|| self.doing("set aside"))?;
            }
        }
        Ok(kept)
    }

    /// Writes a copy beside the place, syncs it, removes logs of the old file, and gives it the name.
    fn replace(&self, backup: &Path) -> Result<(), Error> {
        let doing = || {
            format!(
                "restore {} from {}",
                self.database.display(),
                backup.display()
            )
        };
        let unfinished = with_suffix(&self.database, ".restore.tmp");
        fs_err::copy(backup, &unfinished).doing(doing)?;
        fs_err::File::open(&unfinished)
            .and_then(|file| file.sync_all())
            .doing(doing)?;
        for suffix in ["-wal", "-shm", "-journal"] {
            let stale = with_suffix(&self.database, suffix);
            if stale.exists() {
                fs_err::remove_file(&stale).doing(doing)?;
            }
        }
        fs_err::rename(&unfinished, &self.database).doing(doing)?;
        sync_folder(self.database.parent().unwrap_or(Path::new(".")))
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
