//! Backups: made by SQLite's own backup call, checked, and on the disk before their name exists.
//!
//! The database file is never opened through the file system here. While a connection is open that would drop its
//! locks when the file is closed (POSIX locks belong to the process), and another process could write in the middle.

use crate::clock::{Stopwatch, stamp};
use crate::error::{Doing as _, Error};
use crate::event::Event;
use crate::history::read_history;
use crate::migrator::Migrator;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

/// Pages per step: all of them, so that a writer in between cannot make it start again.
const ALL_PAGES: i32 = -1;
/// Between two tries while another process keeps the file.
const BUSY_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// What a backup is made for, which decides how much room there has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// For its own sake, or before the content is replaced.
    Keep,
    /// Before files run, which is tried on another copy first.
    Migrate,
}

impl Purpose {
    /// Free bytes that it takes for a database of this size.
    fn needed_bytes(self, bytes: u64) -> u64 {
        let half = bytes.div_ceil(2);
        match self {
            // The backup, and a margin: whatever else writes to this disk must not meet its end.
            Self::Keep => bytes.saturating_add(half),
            // The backup, the copy, and the pages that the files themselves add.
            Self::Migrate => bytes.saturating_mul(2).saturating_add(half),
        }
    }

    fn contents(self) -> &'static str {
        match self {
            Self::Keep => "1.5 times its size: a backup and a margin",
            Self::Migrate => {
                "2.5 times its size: a backup, a copy to rehearse on, and room for the migration"
            }
        }
    }
}

impl Migrator {
    /// The folder beside the database that holds its backups.
    pub(crate) fn backup_folder(&self) -> PathBuf {
        let mut name = self.database.clone().into_os_string();
        name.push(".backups");
        PathBuf::from(name)
    }

    /// Does not look at the files: a backup must be possible also when they and the history disagree.
    pub(crate) fn back_up_now(&self) -> Result<PathBuf, Error> {
        let Some(mut connection) = self.open_existing()? else {
            return Err(self.nothing_to_back_up());
        };
        // The lock keeps two runners from tidying up behind each other.
        self.begin(&mut connection)?;
        let history = read_history(&connection, &self.history_table).unwrap_or_default();
        let last = history.last().map(|row| row.filename.as_str());
        let path = self.back_up(last, Purpose::Keep)?;
        self.prune(&[&path])?;
        Ok(path)
    }

    fn nothing_to_back_up(&self) -> Error {
        Error::Refused {
            message: format!("there is no {} to back up", self.database.display()),
            hint: String::new(),
        }
    }

    /// Makes a backup, named after the time and the last applied file. Call under the write lock.
    pub(crate) fn back_up(
        &self,
        last_applied: Option<&str>,
        purpose: Purpose,
    ) -> Result<PathBuf, Error> {
        let source = self
            .open_existing()?
            .ok_or_else(|| self.nothing_to_back_up())?;
        let watch = Stopwatch::start();
        let folder = self.backup_folder();
        prepare_folder(self, &folder)?;
        self.sweep(&folder)?;
        let bytes = self.require_space(&source, &folder, purpose)?;
        let path = folder.join(format!(
            "{}-{}.db",
            stamp(),
            slug(last_applied.unwrap_or("initial"))
        ));
        let unfinished = path.with_extension("db.tmp");
        let made = copy(self, &source, &unfinished)
            .and_then(|()| check(&unfinished))
            // What is wrong with the copy is wrong with what was copied.
            .map_err(|error| error.about(|| self.doing("back up")))
            .and_then(|()| publish(self, &unfinished, &path));
        if made.is_err() {
            // Half a backup is worse than none; that it is gone matters less than why.
            fs_err::remove_file(&unfinished).ok();
        }
        made?;
        self.emit(Event::BackedUp {
            path: path.clone(),
            bytes,
            duration_ms: watch.elapsed_ms(),
        });
        Ok(path)
    }

    /// Removes what a killed run has left: a service that is killed on every start must not fill the disk.
    fn sweep(&self, folder: &Path) -> Result<(), Error> {
        let doing = || format!("tidy up {}", folder.display());
        for entry in fs_err::read_dir(folder).doing(doing)? {
            let path = entry.doing(doing)?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.starts_with(&self.scratch_prefix()) {
                fs_err::remove_dir_all(&path).doing(doing)?;
            } else if name.contains(".db.tmp") {
                fs_err::remove_file(&path).doing(doing)?;
            }
        }
        Ok(())
    }

    pub(crate) fn scratch_prefix(&self) -> String {
        let name = self.database.file_name().unwrap_or_default();
        format!(".{}.rehearsal-", name.to_string_lossy())
    }

    fn require_space(
        &self,
        source: &Connection,
        folder: &Path,
        purpose: Purpose,
    ) -> Result<u64, Error> {
        let pragma = |name: &str| {
            source
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .doing(|| self.doing("measure"))
        };
        let bytes = u64::try_from(pragma("page_count")?.saturating_mul(pragma("page_size")?))
            .unwrap_or(u64::MAX);
        let (free, needed) = (disk_of(folder)?.free_bytes, purpose.needed_bytes(bytes));
        if free < needed {
            return Err(Error::Refused {
                message: format!(
                    "{} of free space are needed beside {}, and there are {}: {}",
                    megabytes(needed),
                    self.database.display(),
                    megabytes(free),
                    purpose.contents()
                ),
                hint: format!(
                    "free {} on this disk, for instance by moving old backups out of {}, and run it again; nothing was changed",
                    megabytes(needed - free),
                    folder.display()
                ),
            });
        }
        Ok(bytes)
    }
}

/// The file system that a folder is on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk {
    /// What an unprivileged process can still write.
    pub(crate) free_bytes: u64,
    pub(crate) total_bytes: u64,
}

pub(crate) fn disk_of(folder: &Path) -> Result<Disk, Error> {
    let space = rustix::fs::statvfs(folder)
        .map_err(std::io::Error::from)
        .doing(|| format!("measure the free space of {}", folder.display()))?;
    Ok(Disk {
        free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        total_bytes: space.f_blocks.saturating_mul(space.f_frsize),
    })
}

/// A size for a person, rounded up: what is said to be needed must suffice.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

/// Copies a database as one consistent state into a file that does not exist yet.
pub(crate) fn copy(migrator: &Migrator, source: &Connection, target: &Path) -> Result<(), Error> {
    let doing = || {
        format!(
            "copy {} to {}",
            migrator.database.display(),
            target.display()
        )
    };
    let mut connection = migrator.open_scratch(target)?;
    connection
        .pragma_update(None, "journal_mode", "OFF")
        .doing(doing)?;
    copy_into(migrator, source, &mut connection, doing)
}

/// Overwrites a database with another, in one transaction of the target.
pub(crate) fn copy_into(
    migrator: &Migrator,
    source: &Connection,
    target: &mut Connection,
    doing: impl Fn() -> String,
) -> Result<(), Error> {
    let watch = Stopwatch::start();
    let backup = Backup::new(source, target).doing(&doing)?;
    loop {
        if let Some(signal) = migrator.cancel.signal() {
            return Err(Error::Interrupted { signal });
        }
        match backup.step(ALL_PAGES).doing(&doing)? {
            StepResult::Done => return Ok(()),
            _ if watch.elapsed() >= migrator.timeout => {
                return Err(Error::Locked {
                    database: migrator.database.clone(),
                    waited_ms: watch.elapsed_ms(),
                });
            }
            _ => crate::clock::pause(BUSY_PAUSE),
        }
    }
}

/// Opens the copy for itself and lets SQLite look at every page of it.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    let doing = || format!("check {}", path.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).doing(doing)?;
    let damage = quick_check(&connection).map_err(|error| error.about(doing))?;
    if damage.is_empty() {
        return Ok(());
    }
    Err(Error::Corrupt {
        doing: doing(),
        message: format!("the database is damaged: {}", damage.join("; ")),
    })
}

/// SQLite's quick check; empty when all is well. Rows that break a constraint are no damage: an application may have
/// written them before the constraint was there, and a backup that holds them is as good as the database.
pub(crate) fn quick_check(connection: &Connection) -> Result<Vec<String>, Error> {
    let checks =
        |ignored: bool| connection.pragma_update(None, "ignore_check_constraints", ignored);
    // It gives up after a hundred lines, which must not all be of this kind.
    checks(true).doing(|| "run the quick check".to_owned())?;
    let lines = pragma_check(connection, "quick_check");
    checks(false).doing(|| "run the quick check".to_owned())?;
    Ok(lines?
        .into_iter()
        .filter(|line| !breaks_constraint(line))
        .collect())
}

/// The lines of `quick_check` or `integrity_check`, without "ok".
pub(crate) fn pragma_check(connection: &Connection, check: &str) -> Result<Vec<String>, Error> {
    let doing = || format!("run the {}", check.replace('_', " "));
    let mut statement = connection
        .prepare(&format!("PRAGMA {check}"))
        .doing(doing)?;
    let lines = statement
        .query_map([], |row| row.get::<_, String>(0))
        .doing(doing)?;
    let lines: Vec<String> = lines.collect::<rusqlite::Result<_>>().doing(doing)?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// Does a line of such a check speak of a row that breaks CHECK, NOT NULL or the types of a STRICT table?
pub(crate) fn breaks_constraint(line: &str) -> bool {
    line.starts_with("CHECK constraint failed in ")
        || line
            .split_once(" value in ")
            .is_some_and(|(kind, _)| !kind.contains(' '))
}

/// First the content to the disk, then the name, then the folder that holds the name; readable for whom the database is.
fn publish(migrator: &Migrator, unfinished: &Path, path: &Path) -> Result<(), Error> {
    let doing = || format!("store the backup {}", path.display());
    let permissions = fs_err::metadata(&migrator.database)
        .doing(doing)?
        .permissions();
    fs_err::set_permissions(unfinished, permissions).doing(doing)?;
    fs_err::File::open(unfinished)
        .and_then(|file| file.sync_all())
        .doing(doing)?;
    fs_err::rename(unfinished, path).doing(doing)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Makes names in a folder survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    fs_err::File::open(folder)
        .and_then(|file| file.sync_all())
        .doing(|| format!("sync the folder {}", folder.display()))
}

pub(crate) fn prepare_folder(migrator: &Migrator, folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    if !folder.exists() {
        let made = std::fs::DirBuilder::new().mode(0o700).create(folder);
        // Two runners may make it at once.
        if !folder.is_dir() {
            made.doing(|| format!("make the folder {}", folder.display()))?;
        }
        sync_folder(migrator.database.parent().unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// A folder for a copy that is thrown away, removed when dropped.
pub(crate) fn scratch_folder(
    migrator: &Migrator,
    beside: &Path,
) -> Result<tempfile::TempDir, Error> {
    let beside = if beside.as_os_str().is_empty() {
        Path::new(".")
    } else {
        beside
    };
    tempfile::Builder::new()
        .prefix(&migrator.scratch_prefix())
        .tempdir_in(beside)
        .doing(|| format!("make a folder for the rehearsal in {}", beside.display()))
}

/// A key as part of a file name.
fn slug(name: &str) -> String {
    let stem = name.strip_suffix(".sql").unwrap_or(name);
    stem.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' || c == '.' {
                c
            } else {
                '-'
            }
        })
        .take(80)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_said_in_full() {
        assert_eq!(Purpose::Migrate.needed_bytes(4_000_001), 10_000_003);
        assert_eq!(Purpose::Keep.needed_bytes(4_000_000), 6_000_000);
        assert_eq!(Purpose::Migrate.needed_bytes(u64::MAX), u64::MAX);
        assert_eq!(megabytes(10_000_003), "10.1 MB");
    }

    #[test]
    fn a_key_becomes_one_part_of_a_file_name() {
        assert_eq!(slug("0.2/00__user role.sql"), "0.2-00__user-role");
        assert_eq!(slug(&"x".repeat(300)).len(), 80);
    }
}
