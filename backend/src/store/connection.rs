//! How each connection to the database is opened. Every setting here is per connection, so
//! that a connection opened anywhere else would lack it.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rusqlite::{Connection, OpenFlags};

/// How long a statement waits for another process's lock, such as a backup or the migrator.
/// Below the handler timeout, so that the client hears "busy" rather than nothing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the one connection that writes.
///
/// # Errors
/// The file cannot be opened, or the file system does not support a write-ahead log.
pub(super) fn open_writer(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .context("switch the database to a write-ahead log")?;
    ensure!(
        mode == "wal",
        "{} cannot use a write-ahead log (it answers {mode:?}); put it on a local disk",
        path.display()
    );
    // An acknowledged booking must survive a power failure; writes are rare enough to pay for it.
    connection
        .pragma_update(None, "synchronous", "full")
        .context("set synchronous")?;
    Ok(connection)
}

/// Opens a connection that cannot write. The writer has to be open: a reader alone could not
/// create the files of the write-ahead log.
///
/// # Errors
/// The file cannot be opened.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    open(path, flags)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)
        .with_context(|| format!("open the database {}", path.display()))?;
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .context("set the busy timeout")?;
    // Said in both builds of SQLite, bundled and system, whose defaults differ.
    connection
        .pragma_update(None, "foreign_keys", true)
        .context("switch foreign keys on")?;
    connection
        .pragma_update(None, "trusted_schema", false)
        .context("distrust the schema")?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_has_its_settings() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.db");
        drop(Connection::open(&path).unwrap());
        let writer = open_writer(&path).unwrap();
        let reader = open_reader(&path).unwrap();
        let pragma = |connection: &Connection, name: &str| -> i64 {
            connection
                .pragma_query_value(None, name, |row| row.get(0))
                .unwrap()
        };
        for connection in [&writer, &reader] {
            assert_eq!(pragma(connection, "foreign_keys"), 1);
            assert_eq!(pragma(connection, "busy_timeout"), 5000);
            assert_eq!(pragma(connection, "trusted_schema"), 0);
        }
        assert_eq!(pragma(&writer, "synchronous"), 2);
        writer.execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(reader.execute_batch("DROP TABLE t").is_err());
    }

    #[test]
    fn a_missing_file_is_not_created() {
        let directory = tempfile::tempdir().unwrap();
        assert!(open_writer(&directory.path().join("none.db")).is_err());
    }
}
