//! The memory of all runs on this machine: an SQLite file that holds every run, its events, and its intents.
//!
//! An intent is written before its effect and completed after it, both synced to disk, so that whoever comes after a crash knows
//! what may have happened. Lines of output alone may be lost with the process. Simulation uses the same code on a database in memory.

mod lines;

use crate::event::Event;
use crate::exit::Exit;
use crate::ids::{Commit, EnvironmentName, RunId};
use crate::redact::Redactor;
use anyhow::{Context as _, Result, bail};
use lines::{Lines, Rows};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// Layout of the file; a newer file than this program knows is refused, never misread.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE run (
    id TEXT PRIMARY KEY, command TEXT NOT NULL, environment TEXT NOT NULL, commit_id TEXT NOT NULL,
    started_ms INTEGER NOT NULL, finished_ms INTEGER, exit_code INTEGER, reason TEXT,
    pid INTEGER NOT NULL, pid_start TEXT NOT NULL, host TEXT NOT NULL
) STRICT;
CREATE TABLE event (
    run TEXT NOT NULL REFERENCES run(id), seq INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE intent (
    run TEXT NOT NULL REFERENCES run(id), key TEXT NOT NULL, intent TEXT NOT NULL, started_ms INTEGER NOT NULL,
    outcome TEXT, finished_ms INTEGER, PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;
";

/// One run as the journal remembers it.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// `deploy` or `rollback`.
    pub command: String,
    /// Where to.
    pub environment: EnvironmentName,
    /// What.
    pub commit: Commit,
    /// Milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// Milliseconds since the Unix epoch; none while it runs, or after a crash.
    pub finished_ms: Option<i64>,
    /// None while it runs, or after a crash.
    pub exit_code: Option<u8>,
    /// Why it ended so.
    pub reason: Option<String>,
    /// The process that ran it.
    pub process: Process,
}

/// A process that can be told from a later one with the same number.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Process {
    /// Number.
    pub pid: u32,
    /// When it started, in the kernel's ticks since boot; empty where the system does not tell.
    pub start: String,
    /// Machine.
    pub host: String,
}

/// An intent and, when known, what became of it.
#[derive(Clone, Debug)]
pub struct IntentRow {
    /// What was about to be done, as JSON.
    pub intent: String,
    /// When, milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// What came of it, as JSON.
    pub outcome: Option<String>,
}

/// The open journal.
pub struct Journal {
    connection: Mutex<Connection>,
    lines: Mutex<Lines>,
    /// Takes registered credentials out of everything that is written.
    redactor: Mutex<Option<Arc<RwLock<Redactor>>>>,
}

impl Journal {
    /// Opens or creates the journal at `path`; its folder must exist.
    ///
    /// # Errors
    /// When it cannot be opened, is damaged, or was written by a newer program.
    pub fn open(path: &Path) -> Result<Self> {
        // Two first runs may come at once. SQLite's own lock does not help: it cannot wait for the change to write-ahead logging.
        let folder = fs_err::File::open(path.parent().unwrap_or(Path::new(".")))?;
        folder.lock().context("lock the journal's folder")?;
        let connection = Connection::open(path)
            .with_context(|| format!("open the journal {}", path.display()))?;
        Self::prepare(connection).with_context(|| {
            format!("use the journal {} (hint: move it away to begin a new one; what is live is known from the providers and the live record)", path.display())
        })
    }

    /// A journal in memory.
    ///
    /// # Errors
    /// When SQLite refuses, which would be a fault of this program.
    pub fn in_memory() -> Result<Self> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(connection: Connection) -> Result<Self> {
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
        )?;
        let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match found {
            SCHEMA_VERSION => {}
            0 => connection.execute_batch(&format!(
                "BEGIN IMMEDIATE;{SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;"
            ))?,
            newer => bail!("its layout is version {newer}, this program knows {SCHEMA_VERSION}"),
        }
        let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if sound != "ok" {
            bail!("it is damaged: {sound}");
        }
        Ok(Self {
            connection: Mutex::new(connection),
            lines: Mutex::default(),
            redactor: Mutex::new(None),
        })
    }

    /// Makes sure that an entry could be written, by writing what is there already.
    ///
    /// # Errors
    /// When the file or its disk does not take it.
    pub fn check_writable(&self) -> Result<()> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connection
            .execute_batch(&format!(
                "BEGIN IMMEDIATE;PRAGMA user_version={SCHEMA_VERSION};COMMIT;"
            ))
            .context("write to the journal")
    }

    /// From now on nothing is written that `redactor` would change.
    pub fn redact_with(&self, redactor: Arc<RwLock<Redactor>>) {
        *self.redactor.lock().unwrap_or_else(PoisonError::into_inner) = Some(redactor);
    }

    /// `text` without any registered credential: for everything else that outlives the run.
    pub fn clean(&self, text: &str) -> String {
        match &*self.redactor.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(redactor) => redactor
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .redact(text),
            None => text.to_owned(),
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the first row of a run.
    ///
    /// # Errors
    /// When it cannot be written: then nothing may be released.
    pub fn begin_run(&self, run: &RunRow) -> Result<()> {
        self.connection()
            .execute(
                "INSERT INTO run (id, command, environment, commit_id, started_ms, pid, pid_start, host) VALUES (?,?,?,?,?,?,?,?)",
                params![run.id.0, run.command, run.environment.0, run.commit.0, run.started_ms, run.process.pid, run.process.start, run.process.host],
            )
            .context("write the run to the journal")?;
        Ok(())
    }

    /// Takes over an unfinished run: it belongs to this process now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn adopt_run(&self, run: &RunId, process: &Process) -> Result<()> {
        self.connection().execute(
            "UPDATE run SET pid=?, pid_start=?, host=?, finished_ms=NULL, exit_code=NULL, reason=NULL WHERE id=?",
            params![process.pid, process.start, process.host, run.0],
        )?;
        Ok(())
    }

    /// Writes how a run ended.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish_run(&self, run: &RunId, at_ms: i64, exit: Exit, reason: &str) -> Result<()> {
        self.connection()
            .execute(
                "UPDATE run SET finished_ms=?, exit_code=?, reason=? WHERE id=?",
                params![at_ms, exit.code(), self.clean(reason), run.0],
            )
            .context("write the run's end to the journal")?;
        Ok(())
    }

    /// Appends an event. It is on disk when this returns, unless it is a line of output: those wait for others.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&self, run: &RunId, event: &Event) -> Result<()> {
        let mut lines = self.lines();
        let rows = lines.take(run, event);
        self.write(&rows).context("write an event to the journal")
    }

    fn write(&self, rows: &Rows) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (run, event) in rows {
            let json = self.clean(&serde_json::to_string(event)?);
            transaction
                .prepare_cached("INSERT INTO event (run, seq, json) VALUES (?,?,?)")?
                .execute(params![run.0, i64::try_from(event.seq)?, json])?;
        }
        Ok(transaction.commit()?)
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All events of a run, in order.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn events(&self, run: &RunId) -> Result<Vec<Event>> {
        let unwritten = self.lines().all();
        self.write(&unwritten)?;
        let connection = self.connection();
        let mut statement =
            connection.prepare("SELECT json FROM event WHERE run=? ORDER BY seq")?;
        let rows = statement.query_map([&run.0], |row| row.get::<_, String>(0))?;
        let mut events = Vec::new();
        for json in rows {
            events.push(serde_json::from_str(&json?).context("read an event from the journal")?);
        }
        Ok(events)
    }

    /// The newest runs, newest first: in the order in which they were written here, because a wall clock may jump.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn runs(&self, environment: &EnvironmentName, limit: usize) -> Result<Vec<RunRow>> {
        let connection = self.connection();
        let mut statement = connection.prepare(
            "SELECT id, command, environment, commit_id, started_ms, finished_ms, exit_code, reason, pid, pid_start, host
             FROM run WHERE environment=? ORDER BY rowid DESC LIMIT ?",
        )?;
        let rows = statement.query_map(
            params![environment.0, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                Ok(RunRow {
                    id: RunId(row.get(0)?),
                    command: row.get(1)?,
                    environment: EnvironmentName(row.get(2)?),
                    commit: Commit(row.get(3)?),
                    started_ms: row.get(4)?,
                    finished_ms: row.get(5)?,
                    exit_code: row.get(6)?,
                    reason: row.get(7)?,
                    process: Process {
                        pid: row.get(8)?,
                        start: row.get(9)?,
                        host: row.get(10)?,
                    },
                })
            },
        )?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Takes in what another machine, or this one before its journal was lost, wrote down of a run. With `theirs` that machine has
    /// carried the run last, and what is known here of its intents is older.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn import(
        &self,
        run: &RunRow,
        intents: &[(String, IntentRow)],
        theirs: bool,
    ) -> Result<()> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        transaction.execute(
            "INSERT OR IGNORE INTO run (id, command, environment, commit_id, started_ms, finished_ms, exit_code, reason, pid, pid_start, host)
             VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            params![
                run.id.0, run.command, run.environment.0, run.commit.0, run.started_ms, run.finished_ms, run.exit_code,
                run.reason, run.process.pid, run.process.start, run.process.host
            ],
        )?;
        if theirs {
            transaction.execute("DELETE FROM intent WHERE run=?", params![run.id.0])?;
        }
        for (key, row) in intents {
            transaction.execute(
                "INSERT INTO intent (run, key, intent, started_ms, outcome) VALUES (?,?,?,?,?)
                 ON CONFLICT (run, key) DO UPDATE SET outcome=coalesce(outcome, excluded.outcome)",
                params![run.id.0, key, row.intent, row.started_ms, row.outcome],
            )?;
        }
        transaction
            .commit()
            .context("write what is known of the run to the journal")
    }

    /// All intents of a run, by key.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn intents(&self, run: &RunId) -> Result<Vec<(String, IntentRow)>> {
        let connection = self.connection();
        let mut statement = connection.prepare(
            "SELECT key, intent, started_ms, outcome FROM intent WHERE run=? ORDER BY key",
        )?;
        let rows = statement.query_map([&run.0], |row| {
            Ok((
                row.get(0)?,
                IntentRow {
                    intent: row.get(1)?,
                    started_ms: row.get(2)?,
                    outcome: row.get(3)?,
                },
            ))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Records that something is about to be done. The row is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written: then it must not be done.
    pub fn intend(&self, run: &RunId, key: &str, intent: &str, at_ms: i64) -> Result<()> {
        self.connection()
            .execute(
                "INSERT INTO intent (run, key, intent, started_ms) VALUES (?,?,?,?)",
                params![run.0, key, self.clean(intent), at_ms],
            )
            .with_context(|| format!("write the intent '{key}' to the journal"))?;
        Ok(())
    }

    /// Records what became of an intent.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn complete(&self, run: &RunId, key: &str, outcome: &str, at_ms: i64) -> Result<()> {
        self.connection()
            .execute(
                "UPDATE intent SET outcome=?, finished_ms=? WHERE run=? AND key=?",
                params![self.clean(outcome), at_ms, run.0, key],
            )
            .with_context(|| format!("write the outcome of '{key}' to the journal"))?;
        Ok(())
    }

    /// Forgets an intent that is known to have had no effect, so that it may be tried anew.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn withdraw(&self, run: &RunId, key: &str) -> Result<()> {
        self.connection().execute(
            "DELETE FROM intent WHERE run=? AND key=?",
            params![run.0, key],
        )?;
        Ok(())
    }

    /// Looks an intent up.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn intent(&self, run: &RunId, key: &str) -> Result<Option<IntentRow>> {
        let row = self
            .connection()
            .query_row(
                "SELECT intent, started_ms, outcome FROM intent WHERE run=? AND key=?",
                params![run.0, key],
                |row| {
                    Ok(IntentRow {
                        intent: row.get(0)?,
                        started_ms: row.get(1)?,
                        outcome: row.get(2)?,
                    })
                },
            )
            .optional()?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests;
