//! Opens the one connection that migrates, with the settings the promise stands on.

use crate::clock::{Stopwatch, pause};
use crate::error::{Doing as _, Error};
use crate::event::Event;
use crate::migrator::Migrator;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Virtual-machine instructions between two looks at a cancel request: about a millisecond of work.
const INSTRUCTIONS_PER_LOOK: i32 = 20_000;
/// Between two tries for a lock: short enough to be unnoticed, long enough to leave the processor alone.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

impl Migrator {
    /// Opens the database, created if absent, for migrating.
    pub(crate) fn open(&self) -> Result<Connection, Error> {
        let connection = self.connect(
            &self.database,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )?;
        // EXTRA: also the folder is synced when the journal is removed, or a power cut could undo the last commit.
        connection
            .pragma_update(None, "synchronous", "EXTRA")
            .doing(|| self.doing("prepare"))?;
        Ok(connection)
    }

    /// Opens the database as it is; none where there is no file. Not read-only, because after a crash the first reader
    /// has to roll the journal back.
    pub(crate) fn open_existing(&self) -> Result<Option<Connection>, Error> {
        if !self.database.exists() {
            return Ok(None);
        }
        self.connect(&self.database, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .map(Some)
    }

    /// Opens a file that is thrown away afterwards: nothing about it needs to survive.
    pub(crate) fn open_scratch(&self, path: &Path) -> Result<Connection, Error> {
        let connection = self.connect(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )?;
        let doing = || format!("prepare the copy {}", path.display());
        connection
            .pragma_update(None, "locking_mode", "EXCLUSIVE")
            .doing(doing)?;
        connection
            .pragma_update(None, "synchronous", "OFF")
            .doing(doing)?;
        Ok(connection)
    }

    fn connect(&self, path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
        if path.exists() && !path.is_file() {
            return Err(Error::Refused {
                message: format!("{} is no file", path.display()),
                hint: "name the database file, which is made if there is none: --database FILE"
                    .to_owned(),
            });
        }
        let doing = || format!("open {}", path.display());
        let mut connection =
            Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                .doing(doing)?;
        self.wait_for_locks(&mut connection, self.timeout)?;
        let (cancel, heartbeat) = (self.cancel.clone(), self.heartbeat.clone());
        let listener = self.on_event.clone();
        let look = move || {
            if let Some(listener) = &listener
                && let Some(event) = heartbeat.beat()
            {
                listener(event);
            }
            cancel.signal().is_some()
        };
        connection
            .progress_handler(INSTRUCTIONS_PER_LOOK, Some(look))
            .doing(doing)?;
        // Off, and before any BEGIN, inside which it would be ignored: DROP TABLE would otherwise delete row by row and
        // cascade. SQLite as it is linked here has it on.
        connection
            .pragma_update(None, "foreign_keys", false)
            .doing(doing)?;
        // The first read of the file: a file that is no database says so here, and then it is left as it is. To close it
        // would otherwise fold a log into it.
        keep_log_at_close(&connection, true).doing(doing)?;
        connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .doing(doing)?;
        keep_log_at_close(&connection, false).doing(doing)?;
        Ok(connection)
    }

    fn wait_for_locks(&self, connection: &mut Connection, timeout: Duration) -> Result<(), Error> {
        let cancel = self.cancel.clone();
        let mut since = Stopwatch::start();
        let wait = move |tries: i32| {
            if tries == 0 {
                since = Stopwatch::start();
            }
            if since.elapsed() >= timeout || cancel.signal().is_some() {
                return false;
            }
            pause(LOCK_PAUSE);
            true
        };
        connection
            .busy_handler(Some(wait))
            .doing(|| self.doing("prepare"))
    }

    /// Takes the write lock before anything is read inside the transaction; says so once when it has to wait.
    pub(crate) fn begin(&self, connection: &mut Connection) -> Result<(), Error> {
        let doing = || self.doing("lock");
        self.wait_for_locks(connection, Duration::ZERO)?;
        let first = connection.execute_batch("BEGIN IMMEDIATE");
        self.wait_for_locks(connection, self.timeout)?;
        match first {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                self.emit(Event::WaitingForLock {
                    timeout_ms: u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX),
                });
                connection.execute_batch("BEGIN IMMEDIATE").doing(doing)
            }
            other => other.doing(doing),
        }
    }

    /// What is being done to which file, for messages.
    pub(crate) fn doing(&self, verb: &str) -> String {
        format!("{verb} {}", self.database.display())
    }

    /// Gives an error its final meaning: a busy database is a lock, an interrupt has a signal.
    pub(crate) fn settle<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| match (error, self.cancel.signal()) {
            (Error::Interrupted { signal }, asked) => Error::Interrupted {
                signal: asked.unwrap_or(signal),
            },
            (Error::Database { source, .. }, asked)
                if matches!(
                    source.sqlite_error_code(),
                    Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
                ) =>
            {
                match asked {
                    Some(signal) => Error::Interrupted { signal },
                    None => Error::Locked {
                        database: self.database.clone(),
                        waited_ms: u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX),
                    },
                }
            }
            (Error::Database { doing, source }, _)
                if source.sqlite_error_code() == Some(ErrorCode::CannotOpen) =>
            {
                Error::Refused {
                    message: format!("{doing}: {}", crate::locate::message(&source)),
                    hint: "its folder has to be there and writable; it is not made, because a disk that is not mounted looks like that".to_owned(),
                }
            }
            (Error::Corrupt { doing, message }, _)
                if !doing.contains(&*self.database.to_string_lossy()) =>
            {
                Error::Corrupt {
                    doing: format!("{doing} in {}", self.database.display()),
                    message,
                }
            }
            (error, _) => error,
        })
    }
}

/// Whether closing the last connection leaves the write-ahead log beside the file.
pub(crate) fn keep_log_at_close(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)
        .map(drop)
}

/// Ends a transaction without effect, if one is open; the error that led here matters more than one from this.
pub(crate) fn roll_back(connection: &Connection) {
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK").ok();
    }
}
