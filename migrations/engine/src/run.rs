//! Runs a checked file's statements one by one, on the database or on a copy of it, and blames the one that fails.

use crate::check::Prepared;
use crate::clock::Stopwatch;
use crate::error::{Doing as _, Error};
use crate::event::{Event, Phase};
use crate::foreign_keys;
use crate::guard::{Denial, Guard};
use crate::history::quote;
use crate::lexer::Statement;
use crate::lint;
use crate::locate;
use crate::migrator::Migrator;
use crate::rebuild;
use crate::report::{FileReport, RowChange};
use crate::rows;
use rusqlite::{Connection, ErrorCode};
use std::collections::BTreeMap;

/// What a rehearsal keeps from file to file: the rows after the last file that could change their number.
pub(crate) type Measure = Option<rows::Counts>;

/// A connection with its guard, and what it is for.
pub(crate) struct Runner<'a> {
    pub(crate) migrator: &'a Migrator,
    pub(crate) connection: &'a Connection,
    pub(crate) guard: &'a Guard,
    pub(crate) phase: Phase,
}

impl Runner<'_> {
    /// Runs one file. With a measure, compares rows and refuses a file that loses some without saying so.
    pub(crate) fn file(
        &self,
        file: &Prepared<'_>,
        measure: &mut Measure,
    ) -> Result<FileReport, Error> {
        self.migrator.emit(Event::Started {
            phase: self.phase,
            file: file.name.to_owned(),
        });
        if self.phase == Phase::Apply {
            file.notes
                .iter()
                .for_each(|note| self.migrator.note(note.clone()));
        }
        let reading = lint::read(file);
        let before = self.columns(&reading)?;
        let watch = Stopwatch::start();
        for statement in &file.statements {
            self.statement(file, statement)?;
        }
        self.reset_connection(file)?;
        let duration_ms = watch.elapsed_ms();
        let mut findings = reading
            .findings_where(|table| before.get(table).is_some_and(|columns| !columns.is_empty()));
        for (table, after) in self
            .columns(&reading)?
            .into_iter()
            .filter(|(table, _)| reading.rebuilt.contains(table))
        {
            findings.extend(
                before
                    .get(&table)
                    .and_then(|before| rebuild::compare(&table, before, &after)),
            );
        }
        let rows = self.measure(file, &reading, measure)?;
        self.migrator.emit(Event::Ran {
            phase: self.phase,
            file: file.name.to_owned(),
            statements: file.statements.len(),
            duration_ms,
        });
        Ok(FileReport {
            name: file.name.to_owned(),
            statements: file.statements.len(),
            duration_ms,
            compatible: lint::compatible(&findings),
            findings,
            rows,
        })
    }

    /// Runs files one after the other inside the open transaction, and refuses new violations of foreign keys.
    pub(crate) fn batch(
        &self,
        files: &[&Prepared<'_>],
        measure: &mut Measure,
        mut done: impl FnMut(&Prepared<'_>, &FileReport) -> Result<(), Error>,
    ) -> Result<Vec<FileReport>, Error> {
        let before = foreign_keys::violations(self.connection)?;
        let mut reports = Vec::with_capacity(files.len());
        for file in files {
            let report = self.file(file, measure)?;
            done(file, &report)?;
            reports.push(report);
        }
        let worse = foreign_keys::worse(&before, &foreign_keys::violations(self.connection)?);
        if worse.is_empty() {
            return Ok(reports);
        }
        Err(Error::Integrity {
            file: files.last().map(|file| file.name.to_owned()).unwrap_or_default(),
            message: format!("foreign keys that hold now would be broken: {}", worse.join("; ")),
            hint: "delete or repair those rows in the migration; parents may have been dropped or rebuilt without their keys".to_owned(),
        })
    }

    fn columns(
        &self,
        reading: &lint::Reading,
    ) -> Result<BTreeMap<String, BTreeMap<String, rebuild::Column>>, Error> {
        reading
            .rebuilt
            .iter()
            .chain(reading.gone.keys())
            .map(|table| Ok((table.clone(), rebuild::columns(self.connection, table)?)))
            .collect()
    }

    fn statement(&self, file: &Prepared<'_>, statement: &Statement<'_>) -> Result<(), Error> {
        if let Some(signal) = self.migrator.cancel.signal() {
            return Err(Error::Interrupted { signal });
        }
        // VACUUM copies every table, ours as well, through statements of its own; it has nothing that needs watching.
        self.guard
            .arm((!statement.word(0, "VACUUM")).then_some(file.directives));
        let outcome = self.execute(statement.text);
        let denied = self.guard.denied();
        self.guard.arm(None);
        match outcome {
            // Some errors end the transaction by themselves, and RAISE(ROLLBACK) or OR ROLLBACK may do so.
            Ok(()) if file.directives.no_transaction || !self.connection.is_autocommit() => Ok(()),
            Ok(()) => Err(self.failed(
                file,
                statement,
                statement.start,
                "it ended the runner's transaction".to_owned(),
                "no ROLLBACK in a migration, not in a trigger or conflict clause either".to_owned(),
            )),
            Err(error) => Err(self.classify(file, statement, error, denied)),
        }
    }

    /// All rows are fetched: a statement that is only stepped once may have done half its work.
    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        Ok(())
    }

    fn classify(
        &self,
        file: &Prepared<'_>,
        statement: &Statement<'_>,
        error: rusqlite::Error,
        denied: Option<Denial>,
    ) -> Error {
        if let Some(denial) = denied {
            let offset = locate::find_name(statement, &denial.culprit);
            return Error::Rejected {
                at: locate::location(file.name, file.text, offset),
                statement: locate::excerpt(statement.text),
                message: denial.message,
                hint: denial.hint.to_owned(),
            };
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Error::Interrupted {
                signal: self.migrator.cancel.signal().unwrap_or(2),
            },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Corrupt {
                doing: self.migrator.doing("change"),
                message: error.to_string(),
            },
            Some(ErrorCode::DatabaseBusy) => Error::Database {
                doing: format!("run {}", file.name),
                source: error,
            },
            _ => {
                let message = locate::message(&error);
                let hint = locate::hint(statement, &message);
                self.failed(
                    file,
                    statement,
                    locate::blame(statement, &error, &message),
                    message,
                    hint,
                )
            }
        }
    }

    fn failed(
        &self,
        file: &Prepared<'_>,
        statement: &Statement<'_>,
        offset: usize,
        message: String,
        hint: String,
    ) -> Error {
        let at = locate::location(file.name, file.text, offset);
        Error::Statement {
            at,
            statement: locate::excerpt(statement.text),
            message,
            hint,
            rehearsal: self.phase == Phase::Rehearsal,
        }
    }

    /// Settings and temporary tables belong to the connection: what one file leaves there must not reach the next, which
    /// may run in another process next time.
    fn reset_connection(&self, file: &Prepared<'_>) -> Result<(), Error> {
        let doing = || format!("tidy up the connection after {}", file.name);
        let any = |of: &dyn Fn(&Statement<'_>) -> bool| file.statements.iter().any(of);
        if any(&|statement| statement.word(0, "PRAGMA")) {
            let schema = if file.directives.writable_schema {
                "PRAGMA writable_schema = RESET;"
            } else {
                ""
            };
            let defaults = "PRAGMA legacy_alter_table = OFF; PRAGMA recursive_triggers = OFF;
                PRAGMA ignore_check_constraints = OFF; PRAGMA case_sensitive_like = OFF; PRAGMA defer_foreign_keys = OFF;";
            let settings = format!("{schema}{defaults}");
            self.connection.execute_batch(&settings).doing(doing)?;
        }
        let temporary = |statement: &Statement<'_>| {
            statement
                .tokens
                .iter()
                .any(|token| token.is("TEMP") || token.is("TEMPORARY"))
        };
        if any(&temporary) {
            for (kind, name) in self.temporary().doing(doing)? {
                let sql = format!("DROP {kind} IF EXISTS temp.{}", quote(&name));
                self.connection.execute_batch(&sql).doing(doing)?;
            }
        }
        Ok(())
    }

    /// Tables first: what hangs on them goes with them.
    fn temporary(&self) -> rusqlite::Result<Vec<(String, String)>> {
        let sql = "SELECT type, name FROM temp.sqlite_schema WHERE name NOT LIKE 'sqlite%' ORDER BY type <> 'table'";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }

    fn measure(
        &self,
        file: &Prepared<'_>,
        reading: &lint::Reading,
        measure: &mut Measure,
    ) -> Result<Vec<RowChange>, Error> {
        let Some(before) = measure.as_mut().filter(|_| reading.changes_rows) else {
            return Ok(Vec::new());
        };
        let after = rows::count(self.connection, &self.migrator.history_table)?;
        let before = std::mem::replace(before, after.clone());
        // A DELETE, or a copy with a WHERE or a JOIN, says that rows go; a copy that drops some in silence does not.
        let said = |table: &str| {
            reading.deletes
                || file.directives.contract
                || reading.selected_from.contains(&table.to_lowercase())
        };
        let lines: Vec<String> = rows::lost(&before, &after)
            .iter()
            .filter(|(table, ..)| !said(table))
            .map(|(table, old, new)| format!("{table} has {old} rows before and {new} after"))
            .collect();
        if !lines.is_empty() {
            return Err(Error::Integrity {
                file: file.name.to_owned(),
                message: format!("{} would lose rows without deleting any: {}", file.name, lines.join("; ")),
                hint: "copy all rows; if they are to go, say so with DELETE, or with `-- migrate: allow contract` at the top".to_owned(),
            });
        }
        Ok(changes(&before, &after)
            .into_iter()
            .filter(|change| change.before != change.after)
            .collect())
    }
}

/// Rows per table, side by side.
pub(crate) fn changes(before: &rows::Counts, after: &rows::Counts) -> Vec<RowChange> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .map(|name| RowChange {
            table: name.clone(),
            before: before.get(name).copied(),
            after: after.get(name).copied(),
        })
        .collect()
}
