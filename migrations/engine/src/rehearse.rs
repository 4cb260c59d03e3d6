//! Runs the pending files on a copy first: time per file, rows per table, foreign keys, and every error that only real
//! data brings out.

use crate::backup;
use crate::check::{self, Prepared};
use crate::clock::Stopwatch;
use crate::connection::roll_back;
use crate::error::{Doing as _, Error};
use crate::event::Phase;
use crate::foreign_keys;
use crate::guard::Guard;
use crate::history::{self, HistoryRow, read_history};
use crate::lexer::Statement;
use crate::lint;
use crate::locate::location;
use crate::migrator::Migrator;
use crate::plan;
use crate::report::{DryRun, Lint, LintedFile, Lock, PlannedFile, PlannedStatement, Rehearsal};
use crate::rows;
use crate::run::{Measure, Runner, changes};
use crate::schema::Schema;
use crate::scratch::Scratch;
use rusqlite::Connection;
use std::path::Path;

/// Runs the files on the copy at `path`, which is changed.
pub(crate) fn on_copy(
    migrator: &Migrator,
    path: &Path,
    files: &[&Prepared<'_>],
) -> Result<Rehearsal, Error> {
    on_connection(migrator, migrator.open_scratch(path)?, files)
}

fn on_connection(
    migrator: &Migrator,
    mut connection: Connection,
    files: &[&Prepared<'_>],
) -> Result<Rehearsal, Error> {
    let watch = Stopwatch::start();
    let guard = Guard::install(&mut connection, &migrator.history_table)?;
    let runner = Runner {
        migrator,
        connection: &connection,
        guard: &guard,
        phase: Phase::Rehearsal,
    };
    let before = State::read(migrator, &connection)?;
    let mut measure: Measure = Some(before.rows.clone());
    let mut reports = Vec::with_capacity(files.len());
    let mut locks = Vec::new();
    for batch in batches(files, migrator.per_file) {
        let inside = !batch.iter().any(|file| file.directives.no_transaction);
        if inside {
            connection
                .execute_batch("BEGIN IMMEDIATE")
                .doing(|| "begin the rehearsal".to_owned())?;
        }
        let outcome = runner.batch(&batch, &mut measure, |_, _| Ok(()));
        if outcome.is_err() {
            roll_back(&connection);
        }
        let outcome = outcome?;
        locks.push(Lock {
            files: batch.iter().map(|file| file.name.to_owned()).collect(),
            held_ms: outcome.iter().map(|file| file.duration_ms).sum(),
            transaction: inside,
            readers_wait: before.journal_mode != "wal",
        });
        reports.extend(outcome);
        if inside {
            connection
                .execute_batch("COMMIT")
                .doing(|| "end the rehearsal".to_owned())?;
        }
    }
    let after = State::read(migrator, &connection)?;
    Ok(Rehearsal {
        files: reports,
        rows: changes(&before.rows, &after.rows),
        violations: (
            foreign_keys::total(&before.violations),
            foreign_keys::total(&after.violations),
        ),
        foreign_keys: foreign_keys::differences(&before.violations, &after.violations),
        size_bytes: (before.bytes, after.bytes),
        locks,
        duration_ms: watch.elapsed_ms(),
    })
}

/// What a rehearsal compares.
struct State {
    rows: rows::Counts,
    violations: foreign_keys::Violations,
    bytes: u64,
    journal_mode: String,
}

impl State {
    fn read(migrator: &Migrator, connection: &Connection) -> Result<Self, Error> {
        let doing = || "measure the copy".to_owned();
        let bytes: i64 = connection
            .query_row(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                [],
                |row| row.get(0),
            )
            .doing(doing)?;
        Ok(Self {
            rows: rows::count(connection, &migrator.history_table)?,
            violations: foreign_keys::violations(connection)?,
            bytes: u64::try_from(bytes).unwrap_or(0),
            journal_mode: connection
                .pragma_query_value(None, "journal_mode", |row| row.get(0))
                .doing(doing)?,
        })
    }
}

/// Neighbours that share a transaction. A file outside a transaction stands alone and ends the batch before it.
pub(crate) fn batches<'a, 'f>(
    files: &[&'a Prepared<'f>],
    per_file: bool,
) -> Vec<Vec<&'a Prepared<'f>>> {
    let mut batches: Vec<Vec<&Prepared<'_>>> = Vec::new();
    for &file in files {
        match batches.last_mut() {
            Some(batch)
                if !per_file
                    && !file.directives.no_transaction
                    && batch.iter().all(|other| !other.directives.no_transaction) =>
            {
                batch.push(file);
            }
            _ => batches.push(vec![file]),
        }
    }
    batches
}

impl Migrator {
    /// The pending files, checked, and the copy's place: the shared beginning of rehearsals and lint.
    fn on_own_copy<T>(
        &self,
        work: impl FnOnce(Connection, &[&Prepared<'_>]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (comparison, _) = self.look()?;
        let pending = self.prepare(&comparison.pending)?;
        let pending: Vec<&Prepared<'_>> = pending.iter().collect();
        match self.open_existing()? {
            None => work(self.open_scratch(Path::new(":memory:"))?, &pending),
            Some(source) => {
                let parent = self.database.parent().unwrap_or(Path::new("."));
                let scratch = Scratch::new(self, parent)?;
                let copy = scratch.copy();
                backup::copy(self, &source, &copy)?;
                drop(source);
                work(self.open_scratch(&copy)?, &pending)
            }
        }
    }

    pub(crate) fn rehearse_now(&self) -> Result<Rehearsal, Error> {
        self.on_own_copy(|connection, pending| on_connection(self, connection, pending))
    }

    pub(crate) fn rehearse_schema_now(
        &self,
        schema: &Schema,
        history: &[HistoryRow],
    ) -> Result<Rehearsal, Error> {
        let connection = self.open_scratch(Path::new(":memory:"))?;
        schema.build(&connection)?;
        let comparison = plan::compare(&self.files, history, self.allow_newer)?;
        let pending = self.prepare(&comparison.pending)?;
        on_connection(self, connection, &pending.iter().collect::<Vec<_>>())
    }

    /// Lint prefers what really happened on a copy; where the files do not run, their text alone is judged.
    pub(crate) fn lint_now(&self) -> Result<Lint, Error> {
        self.on_own_copy(|connection, pending| {
            let rehearsal = match on_connection(self, connection, pending) {
                Err(Error::Interrupted { signal }) => return Err(Error::Interrupted { signal }),
                other => other.unwrap_or_default(),
            };
            let files = pending.iter().map(|file| {
                let findings = rehearsal
                    .files
                    .iter()
                    .find(|report| report.name == file.name)
                    .map_or_else(
                        || lint::read(file).findings,
                        |report| report.findings.clone(),
                    );
                LintedFile {
                    name: file.name.to_owned(),
                    verdict: lint::verdict(&findings),
                    compatible: lint::compatible(&findings),
                    contract: file.directives.contract,
                    findings,
                }
            });
            Ok(Lint {
                files: files.collect(),
            })
        })
    }

    pub(crate) fn dry_run_now(&self) -> Result<DryRun, Error> {
        let (comparison, _) = self.look()?;
        self.on_own_copy(|connection, pending| {
            let rehearsal = on_connection(self, connection, pending)?;
            let files = pending.iter().zip(&rehearsal.files).map(|(file, report)| {
                let planned = |statement: Statement<'_>| PlannedStatement {
                    line: location(file.name, file.text, statement.start).line,
                    text: statement.text.to_owned(),
                };
                PlannedFile {
                    name: file.name.to_owned(),
                    transaction: !file.directives.no_transaction,
                    statements: file.statements().map(planned).collect(),
                    findings: report.findings.clone(),
                }
            });
            Ok(DryRun {
                files: files.collect(),
                rehearsal,
                notes: comparison.notes,
            })
        })
    }

    /// Files and history compared outside any lock, and whether the history table lacks columns.
    pub(crate) fn look(&self) -> Result<(plan::Comparison, Vec<HistoryRow>), Error> {
        crate::discover::refuse_clashes(self.files.iter().map(|file| file.name.as_str()))?;
        let history = match self.open_existing()? {
            Some(connection) => read_history(&connection, &self.history_table)?,
            None => Vec::new(),
        };
        Ok((
            plan::compare(&self.files, &history, self.allow_newer)?,
            history,
        ))
    }

    /// Files without a row in the history, whatever else is wrong: what is left to do after a failure.
    pub(crate) fn unrecorded(&self) -> Vec<String> {
        let connection = self.open_existing().ok().flatten();
        let history = connection
            .and_then(|connection| read_history(&connection, &self.history_table).ok())
            .unwrap_or_default();
        let names = self.files.iter().map(|file| &file.name);
        names
            .filter(|name| history.iter().all(|row| row.filename != **name))
            .cloned()
            .collect()
    }

    /// Checks the files with these indexes.
    pub(crate) fn prepare(&self, indexes: &[usize]) -> Result<Vec<Prepared<'_>>, Error> {
        indexes
            .iter()
            .filter_map(|index| self.files.get(*index))
            .map(|file| {
                let prepared = check::prepare(file, self.own_transaction)?;
                check::refuse_stored_use(&prepared, &self.history_table)?;
                Ok(prepared)
            })
            .collect()
    }

    /// Gives rows of an earlier runner their checksum, trusting the files as they are now. Answers what to say about it.
    pub(crate) fn adopt(
        &self,
        connection: &Connection,
        comparison: &plan::Comparison,
    ) -> Result<Option<String>, Error> {
        for (id, index) in &comparison.unhashed {
            if let Some(file) = self.files.get(*index) {
                history::amend(
                    connection,
                    &self.history_table,
                    *id,
                    Some((&file.checksum(), &file.raw_checksum())),
                    history::Kind::Apply,
                )?;
            }
        }
        let count = comparison.unhashed.len();
        Ok((count > 0).then(|| {
            format!(
                "{count} file(s) of an earlier runner had no checksum: their present text is recorded, and a change to it is noticed from now on"
            )
        }))
    }
}
