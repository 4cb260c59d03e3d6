//! The database as the rest of the service sees it: one writer, a few readers, and one reader
//! that only health uses, so that slow reports cannot make the service look dead.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, Result, ensure};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::{sync::Mutex, task::spawn_blocking};

use self::connection::{open_reader, open_writer};

pub(crate) mod audit;
mod connection;
pub(crate) mod revenue;

/// SQLite reads in parallel, but the smallest instances have half a processor.
const READERS: usize = 4;

type Shared = Arc<Mutex<Connection>>;

/// The open database. Waiting for a connection is asynchronous; using it is not, and happens on
/// the runtime's blocking threads, of which there are thus never more in use than connections.
pub(crate) struct Store {
    path: PathBuf,
    file: FileId,
    readers: [Shared; READERS],
    next_reader: AtomicUsize,
    health: Shared,
    /// The last field, because fields are dropped in order: the connection closed last removes
    /// the write-ahead log, and one that only reads cannot.
    writer: Shared,
}

impl Store {
    /// Opens a database that the migrator has created.
    ///
    /// # Errors
    /// The file is missing, not a database, or not on a disk that supports write-ahead logs.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let writer = open_writer(path)?;
        let reader = || Ok::<_, anyhow::Error>(Arc::new(Mutex::new(open_reader(path)?)));
        Ok(Self {
            path: path.to_owned(),
            file: FileId::of(path)?,
            readers: [reader()?, reader()?, reader()?, reader()?],
            next_reader: AtomicUsize::new(0),
            health: reader()?,
            writer: Arc::new(Mutex::new(writer)),
        })
    }

    /// The database file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs queries that all see the same state of the database.
    ///
    /// # Errors
    /// Those of `work`, or the database cannot be read.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let index = self.next_reader.fetch_add(1, Ordering::Relaxed) % READERS;
        read_with(&self.readers[index], work).await
    }

    /// Proves that the database answers: the file is still the one that was opened, and `work`
    /// succeeds on a connection nothing else uses.
    ///
    /// # Errors
    /// Those of `work`, or the file was removed or replaced, or cannot be read.
    pub(crate) async fn check<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // SQLite keeps using a file that was unlinked: every booking would be lost at the next start.
        ensure!(
            FileId::of(&self.path)? == self.file,
            "{} was replaced while it was open; restart the service",
            self.path.display()
        );
        read_with(&self.health, work).await
    }

    /// Runs one transaction that writes. It takes the write lock at once: a transaction that
    /// reads first and then writes would fail without waiting when another one wrote between.
    ///
    /// # Errors
    /// Those of `work`, or the transaction could not be begun or committed; nothing is written then.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        blocking(move || {
            let transaction = writer
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .context("begin a transaction")?;
            let result = work(&transaction)?;
            transaction.commit().context("commit a transaction")?;
            Ok(result)
        })
        .await
    }

    /// Runs `work` while nothing in this process writes, for work that brings a connection of
    /// its own.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) async fn while_no_one_writes<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let writer = Arc::clone(&self.writer).lock_owned().await;
        blocking(move || {
            let result = work();
            drop(writer);
            result
        })
        .await
    }

    /// Moves the write-ahead log into the database, so that the file alone is complete when the
    /// process has ended.
    ///
    /// # Errors
    /// The database cannot be written; the log stays, and the next start reads it.
    pub(crate) async fn checkpoint(&self) -> Result<()> {
        let writer = Arc::clone(&self.writer).lock_owned().await;
        blocking(move || {
            writer
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                .context("move the write-ahead log into the database")
        })
        .await
    }
}

async fn read_with<T: Send + 'static>(
    connection: &Shared,
    work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
) -> Result<T> {
    let mut connection = Arc::clone(connection).lock_owned().await;
    blocking(move || {
        let snapshot = connection.transaction().context("begin reading")?;
        let result = work(&snapshot)?;
        snapshot.finish().context("end reading")?;
        Ok(result)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .context("run work on the database")?
}

/// What tells a file from another one under the same name.
#[derive(PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(path: &Path) -> Result<Self> {
        let stat = rustix::fs::stat(path).with_context(|| format!("look at {}", path.display()))?;
        Ok(Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        })
    }
}
