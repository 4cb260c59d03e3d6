//! Applies what is pending: lock, look again, back up, rehearse, run, compare, commit, check.

use crate::backup::{self, Purpose};
use crate::check::Prepared;
use crate::clock::Stopwatch;
use crate::connection::roll_back;
use crate::error::{Doing as _, Error, exit_code};
use crate::event::{Event, Phase};
use crate::foreign_keys;
use crate::guard::Guard;
use crate::history::{self, Kind, NewRow, read_history};
use crate::migrator::Migrator;
use crate::plan::{self, Comparison};
use crate::rehearse::{batches, on_copy};
use crate::report::{FileReport, Report};
use crate::rows;
use crate::run::Runner;
use rusqlite::Connection;

/// How far an attempt came.
enum Progress {
    /// Nothing is pending any more.
    Done,
    /// Between two transactions another runner took the next file.
    Overtaken,
}

impl Migrator {
    pub(crate) fn apply_now(&self) -> Result<Report, Error> {
        let watch = Stopwatch::start();
        let mut report = Report::default();
        loop {
            match self.attempt(&mut report) {
                Ok(Progress::Done) => break,
                Ok(Progress::Overtaken) => {}
                // Another process is in the middle of a file outside a transaction: afterwards look again.
                Err(Error::Unfinished { .. }) if self.went_on_outside()? => {}
                Err(error) => {
                    if report.applied.is_empty() && error.exit_code() != exit_code::NEEDS_A_PERSON {
                        self.emit(Event::AsItWas);
                    }
                    return Err(error);
                }
            }
        }
        report.duration_ms = watch.elapsed_ms();
        Ok(report)
    }

    fn attempt(&self, report: &mut Report) -> Result<Progress, Error> {
        let (early, _) = self.look()?;
        report.notes = early.notes;
        if early.pending.is_empty() && early.unhashed.is_empty() {
            return Ok(Progress::Done);
        }
        // Files that break a rule are refused before the lock is even asked for.
        let prepared = self.prepare(&early.pending)?;
        let mut connection = self.open()?;
        let guard = Guard::install(&mut connection, &self.history_table)?;
        self.begin(&mut connection)?;
        let outcome = self.under_lock(&mut connection, &guard, report, (&early.pending, prepared));
        roll_back(&connection);
        if let Err(error) = &outcome {
            self.forget_backup(report, error);
        } else if !report.applied.is_empty() {
            self.afterwards(&connection, report)?;
        }
        outcome
    }

    /// A backup of a state that has not changed is of no use, and would push out one that is.
    fn forget_backup(&self, report: &Report, error: &Error) {
        if let Some(backup) = &report.backup
            && report.applied.is_empty()
            && error.exit_code() != exit_code::NEEDS_A_PERSON
        {
            // That it stays would be harmless; the error is what matters.
            fs_err::remove_file(backup).ok();
        }
    }

    /// The history as it is now that nobody else can change it.
    fn look_again(&self, connection: &Connection) -> Result<(Comparison, Option<String>), Error> {
        let history = read_history(connection, &self.history_table)?;
        let last = history.last().map(|row| row.filename.clone());
        Ok((
            plan::compare(&self.files, &history, self.allow_newer)?,
            last,
        ))
    }

    fn under_lock(
        &self,
        connection: &mut Connection,
        guard: &Guard,
        report: &mut Report,
        (early, prepared): (&[usize], Vec<Prepared<'_>>),
    ) -> Result<Progress, Error> {
        let (now, last_applied) = self.look_again(connection)?;
        // As a rule nobody was faster, and the files need not be read again.
        let prepared = if now.pending == early {
            prepared
        } else {
            self.prepare(&now.pending)?
        };
        let pending: Vec<&Prepared<'_>> = prepared.iter().collect();
        if pending.is_empty() && now.unhashed.is_empty() {
            return Ok(Progress::Done);
        }
        if rows::any(connection, &self.history_table)? {
            // Under our lock: the backup is exactly the state that the files will find.
            let path = self.back_up(last_applied.as_deref(), Purpose::Migrate)?;
            report.backup = Some(path.clone());
            if !pending.is_empty() {
                let folder = backup::scratch_folder(self, &self.backup_folder())?;
                let copy = folder.path().join("copy.db");
                fs_err::copy(&path, &copy)
                    .doing(|| "copy the backup for the rehearsal".to_owned())?;
                report.rehearsal = Some(on_copy(self, &copy, &pending)?);
            }
        } else {
            self.emit(Event::NothingToBackUp);
        }
        history::ensure(connection, &self.history_table)?;
        report.notes.extend(self.adopt(connection, &now)?);
        if pending.is_empty() {
            return self.commit(connection, &[]).map(|()| Progress::Done);
        }
        for batch in batches(&pending, self.per_file) {
            if connection.is_autocommit() {
                self.begin(connection)?;
                if !self.still_pending(connection, &batch)? {
                    return Ok(Progress::Overtaken);
                }
            }
            let runner = Runner {
                migrator: self,
                connection,
                guard,
                phase: Phase::Apply,
            };
            let done = match batch.as_slice() {
                [file] if file.directives.no_transaction => {
                    self.outside(connection, &runner, file, report)?
                }
                files => {
                    let done = runner.batch(files, &mut None, |file, result| {
                        self.record(connection, file, Some(result))
                    })?;
                    self.commit(connection, files)?;
                    done
                }
            };
            report.applied.extend(done);
        }
        Ok(Progress::Done)
    }

    /// Between two transactions another runner may have gone on with our work; then it is time to look again.
    fn still_pending(
        &self,
        connection: &Connection,
        batch: &[&Prepared<'_>],
    ) -> Result<bool, Error> {
        let names: Vec<&str> = batch.iter().map(|file| file.name).collect();
        Ok(!history::contains_any(
            connection,
            &self.history_table,
            &names,
        )?)
    }

    /// A file that asks to run outside a transaction. Its row says "unfinished" while it runs, so that a crash is seen.
    fn outside(
        &self,
        connection: &Connection,
        runner: &Runner<'_>,
        file: &Prepared<'_>,
        report: &Report,
    ) -> Result<Vec<FileReport>, Error> {
        let _held = self.lock_outside()?;
        let before = foreign_keys::violations(connection)?;
        self.record(connection, file, None)?;
        self.commit(connection, &[])?;
        let unfinished = |message: String| Error::Unfinished {
            file: file.name.to_owned(),
            message,
            backup: report.backup.clone(),
        };
        let result = runner.file(file, &mut None);
        connection
            .pragma_update(None, "foreign_keys", false)
            .doing(|| self.doing("prepare"))?;
        let result = result.map_err(|error| unfinished(error.in_short()))?;
        let worse = foreign_keys::worse(&before, &foreign_keys::violations(connection)?);
        if !worse.is_empty() {
            return Err(unfinished(format!("it left {}", worse.join("; "))));
        }
        self.record(connection, file, Some(&result))?;
        self.emit(Event::Committed {
            files: vec![file.name.to_owned()],
        });
        Ok(vec![result])
    }

    /// Writes the row of a file: with its result, or as begun.
    fn record(
        &self,
        connection: &Connection,
        file: &Prepared<'_>,
        result: Option<&FileReport>,
    ) -> Result<(), Error> {
        let row = NewRow {
            filename: file.name,
            checksum: &file.checksum,
            raw_checksum: &file.raw_checksum,
            compatible: result.is_some_and(|result| result.compatible),
            duration_ms: result.map_or(0, |result| result.duration_ms),
            statements: result.map_or(0, |result| result.statements),
            git_commit: self.git_commit.as_deref(),
            kind: if result.is_some() {
                Kind::Apply
            } else {
                Kind::Unfinished
            },
            replaces: file.directives.no_transaction && result.is_some(),
        };
        history::record(connection, &self.history_table, &row)
    }

    pub(crate) fn commit(
        &self,
        connection: &Connection,
        files: &[&Prepared<'_>],
    ) -> Result<(), Error> {
        if let Err(source) = connection.execute_batch("COMMIT") {
            let busy = source.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy);
            roll_back(connection);
            if !busy && self.arrived(connection, files) {
                let doing = self.doing("commit");
                return Err(Error::Unsure { doing, source });
            }
            return Err(source).doing(|| self.doing("commit"));
        }
        if !files.is_empty() {
            self.emit(Event::Committed {
                files: files.iter().map(|file| file.name.to_owned()).collect(),
            });
        }
        Ok(())
    }

    /// Is a transaction whose commit failed in the file all the same? Also when that cannot be found out. The journal may
    /// have been removed before what failed, for instance the sync of the folder.
    fn arrived(&self, connection: &Connection, files: &[&Prepared<'_>]) -> bool {
        let Ok(history) = read_history(connection, &self.history_table) else {
            return true;
        };
        let recorded = |file: &&&Prepared<'_>| history.iter().any(|row| row.filename == file.name);
        files.iter().any(|file| recorded(&file))
    }

    /// After the commit nothing may claim that nothing was changed: damage needs a person, all else is a note.
    fn afterwards(&self, connection: &Connection, report: &mut Report) -> Result<(), Error> {
        let damage = match backup::quick_check(connection) {
            Err(Error::Interrupted { .. }) => {
                let note = "interrupted after the commit, before the check: `migrate --verify` makes up for it";
                report.notes.push(note.to_owned());
                return Ok(());
            }
            Err(error) => vec![error.message()],
            Ok(damage) => damage,
        };
        if !damage.is_empty() {
            let backup = report.backup.as_ref().map_or_else(String::new, |path| {
                format!("; the state before is in {}", path.display())
            });
            return Err(Error::Corrupt {
                doing: self.doing("check"),
                message: format!("{}{backup}", damage.join("; ")),
            });
        }
        // Without statistics queries are slower, not wrong. A database without rows has nothing to learn from.
        if report.backup.is_some() {
            gather_statistics(connection).ok();
        }
        let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get(0));
        if mode.is_ok_and(|mode: String| mode == "wal") {
            let busy: rusqlite::Result<bool> =
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
            if !matches!(busy, Ok(false)) {
                report.notes.push(
                    "the write-ahead log could not be folded in now; SQLite will do it later"
                        .to_owned(),
                );
            }
        }
        if let Some(backup) = &report.backup
            && let Err(error) = self.prune(&[backup])
        {
            report.notes.push(error.message());
        }
        Ok(())
    }
}

/// Fresh statistics for the query planner, of the tables that `PRAGMA optimize` chooses (0x10000: also of those that this connection
/// has not queried). It reads all statistics again after each table, the square of their number; where many are due one ANALYZE of
/// everything is quicker, with the limit of rows per index that `optimize` sets for itself.
fn gather_statistics(connection: &Connection) -> rusqlite::Result<()> {
    const MANY: usize = 20;
    // The lowest bit asks for the statements instead of running them.
    let due = connection
        .prepare("PRAGMA optimize = 0x10003")?
        .query_map([], |_| Ok(()))?
        .count();
    connection.execute_batch(if due > MANY {
        "PRAGMA analysis_limit = 2000; ANALYZE"
    } else {
        "PRAGMA optimize = 0x10002"
    })
}
