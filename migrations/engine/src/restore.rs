//! Puts a backup in the place of the database, and keeps what it replaces.
//!
//! A database that can still be opened is overwritten through SQLite, in one transaction: a crash leaves the old content or
//! the new, and a log left beside the file cannot bring the old content back, because it is folded in first. Only a file
//! that is no database any more is replaced as a file.

use crate::backup::{Purpose, check, copy_into, sync_folder};
use crate::clock::{Stopwatch, pause, stamp};
use crate::connection::{keep_log_at_close, roll_back};
use crate::error::{Doing as _, Error};
use crate::holders::holders;
use crate::migrator::Migrator;
use crate::report::Restore;
use rusqlite::{Connection, OpenFlags};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What SQLite keeps beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Whoever is about to end, or has just been forked and is about to become another program, gets this much time.
const CLOSING: Duration = Duration::from_secs(2);
/// Between two looks at who has the file open.
const HOLDERS_PAUSE: Duration = Duration::from_millis(20);

impl Migrator {
    pub(crate) fn restore_now(&self, backup: &Path) -> Result<Restore, Error> {
        let backup = self.find_backup(backup)?;
        check(&backup).map_err(|error| {
            error.about(|| {
                format!(
                    "{} cannot be restored, and nothing was changed",
                    backup.display()
                )
            })
        })?;
        self.refuse_if_held()?;
        let kept = match self.open_for_restore() {
            Ok(Some(connection)) => Some(self.overwrite(connection, &backup)?),
            Ok(None) => {
                self.replace(&backup)?;
                None
            }
            Err(Error::Corrupt { .. }) => Some(self.exchange(&backup)?),
            Err(error) => return Err(error),
        };
        check(&self.database)?;
        self.prune(&[&backup, kept.as_deref().unwrap_or(&backup)])?;
        Ok(Restore { from: backup, kept })
    }

    /// A process that goes on with the old content would write it into the new.
    fn refuse_if_held(&self) -> Result<(), Error> {
        let watch = Stopwatch::start();
        let found = loop {
            let found = holders(&self.database);
            if found.is_empty() {
                return Ok(());
            }
            if let Some(signal) = self.cancel.signal() {
                return Err(Error::Interrupted { signal });
            }
            if watch.elapsed() >= self.timeout.min(CLOSING) {
                break found;
            }
            pause(HOLDERS_PAUSE);
        };
        Err(Error::Refused {
            message: format!(
                "{} is open elsewhere: {}",
                self.database.display(),
                found.join(", ")
            ),
            hint: "stop it first: what it writes from now on would be lost; nothing was changed"
                .to_owned(),
        })
    }

    /// The file as named, or of that name in the folder of backups.
    fn find_backup(&self, named: &Path) -> Result<PathBuf, Error> {
        let candidates = [named.to_owned(), self.backup_folder().join(named)];
        let found = candidates
            .iter()
            .find(|path| path.is_file())
            .ok_or_else(|| {
                let known = crate::retention::list(&self.backup_folder()).unwrap_or_default();
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

    /// Keeps the present content, then overwrites it in one transaction.
    fn overwrite(&self, mut connection: Connection, backup: &Path) -> Result<PathBuf, Error> {
        self.begin(&mut connection)?;
        let kept = self.back_up(Some("before-restore"), Purpose::Keep);
        roll_back(&connection);
        // A damaged database fails the check of its own copy: then the file itself is what is kept.
        if matches!(kept, Err(Error::Corrupt { .. })) {
            // What is kept is the evidence: its log is not folded into it on the way out.
            keep_log_at_close(&connection, true).doing(|| self.doing("set aside"))?;
            drop(connection);
            return self.exchange(backup);
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
        let mode: String = connection
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .doing(doing)?;
        // Folds the log in and removes it, and fails while any other connection is open, also one that no list of this
        // machine's processes shows. Besides, a database with a log cannot be given pages of another size.
        set_journal_mode(&connection, "delete").doing(doing)?;
        copy_into(self, &source, &mut connection, doing)?;
        set_journal_mode(&connection, &mode).doing(doing)?;
        Ok(kept)
    }

    /// Puts the backup in the place of a file that is no database, and keeps that. The name is never without a file: a
    /// service that starts in between must find a damaged database, not none, or it would begin with an empty one.
    fn exchange(&self, backup: &Path) -> Result<PathBuf, Error> {
        let kept = with_suffix(&self.database, &format!(".damaged-{}", stamp()));
        let doing = || self.doing("set aside");
        for suffix in COMPANIONS {
            let companion = with_suffix(&self.database, suffix);
            if companion.exists() {
                fs_err::rename(&companion, with_suffix(&kept, suffix)).doing(doing)?;
            }
        }
        // Not every file system has a second name for a file.
        fs_err::hard_link(&self.database, &kept)
            .or_else(|_| fs_err::copy(&self.database, &kept).map(drop))
            .doing(doing)?;
        self.replace(backup)?;
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
        for suffix in COMPANIONS {
            let stale = with_suffix(&self.database, suffix);
            if stale.exists() {
                fs_err::remove_file(&stale).doing(doing)?;
            }
        }
        // That they are gone has to be on the disk before the new file has the name: its content with their log is neither.
        let folder = self.database.parent().unwrap_or(Path::new("."));
        sync_folder(folder)?;
        fs_err::rename(&unfinished, &self.database).doing(doing)?;
        sync_folder(folder)
    }
}

/// Answers an error where SQLite keeps the old mode in silence.
fn set_journal_mode(connection: &Connection, mode: &str) -> rusqlite::Result<()> {
    let now: String =
        connection.pragma_update_and_check(None, "journal_mode", mode, |row| row.get(0))?;
    if now == mode {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
        Some(format!("the journal mode stays {now}")),
    ))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
