//! Runs a checked file's statements one by one, on the database or on a copy of it, and blames the one that fails.

use crate::check::Prepared;
use crate::clock::Stopwatch;
use crate::error::{Doing as _, Error};
use crate::event::{Event, Phase};
use crate::foreign_keys;
use crate::guard::{Denial, Guard, Seen};
use crate::history::quote;
use crate::lexer::Statement;
use crate::lint::{self, Finding, Risk};
use crate::locate;
use crate::loss::{Lost, Trail};
use crate::migrator::Migrator;
use crate::rebuild;
use crate::report::{FileReport, RowChange};
use crate::rows;
use crate::shape::Shape;
use rusqlite::{Connection, ErrorCode};
use std::collections::BTreeMap;

/// What a rehearsal keeps from file to file: the rows after the last file that could change their number.
pub(crate) type Measure = Option<rows::Counts>;

/// What a file may leave behind in the connection.
#[derive(Default)]
struct Left {
    settings: bool,
    temporary: bool,
}

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
        let before = self.shapes(&reading)?;
        let mut trail = measure.as_ref().map(|_| Trail::default());
        let watch = Stopwatch::start();
        let heartbeat = &self.migrator.heartbeat;
        heartbeat.begin(self.phase, file.name, file.spans.len());
        let left = self.statements(file, &mut trail);
        heartbeat.end();
        self.reset_connection(file, &left?)?;
        let duration_ms = watch.elapsed_ms();
        let findings = self.findings(&reading, &before, measure.as_ref())?;
        let rows = self.measure(file, &reading, &trail.unwrap_or_default(), measure)?;
        self.migrator.emit(Event::Ran {
            phase: self.phase,
            file: file.name.to_owned(),
            statements: file.spans.len(),
            duration_ms,
        });
        Ok(FileReport {
            name: file.name.to_owned(),
            statements: file.spans.len(),
            duration_ms,
            compatible: lint::compatible(&findings),
            findings,
            rows,
        })
    }

    fn statements(&self, file: &Prepared<'_>, trail: &mut Option<Trail>) -> Result<Left, Error> {
        let mut left = Left::default();
        for (index, statement) in file.statements().enumerate() {
            if self.migrator.heartbeat.statement(index + 1)
                && let Some(event) = self.migrator.heartbeat.beat()
            {
                self.migrator.emit(event);
            }
            let seen = self.statement(file, &statement)?;
            left.settings |= statement.word(0, "PRAGMA");
            left.temporary |= statement.has("TEMP") || statement.has("TEMPORARY");
            if let Some(trail) = trail {
                let structural = statement.word(0, "DROP") || statement.word(0, "ALTER");
                let deletes = if structural { Vec::new() } else { seen.deletes };
                trail.follow(&statement, deletes);
                trail.touch(&statement, seen.touches);
            }
        }
        Ok(left)
    }

    /// What lint says about the file, now that it has run.
    fn findings(
        &self,
        reading: &lint::Reading,
        before: &BTreeMap<String, Shape>,
        counts: Option<&rows::Counts>,
    ) -> Result<Vec<Finding>, Error> {
        let rows = |table: &str| {
            let mut found = counts?.iter();
            found
                .find(|(name, _)| name.eq_ignore_ascii_case(table))
                .map(|(_, rows)| *rows)
        };
        let mut findings = reading.findings_where(|table| before.contains_key(table), rows);
        for table in &reading.rebuilt {
            let (Some(before), Some(after)) =
                (before.get(table), Shape::read(self.connection, table)?)
            else {
                continue;
            };
            let slow = findings.iter_mut().find(|finding| {
                finding.risk == Risk::Slow && finding.table.as_ref() == Some(table)
            });
            let place = slow.map(|slow| {
                if reading.copied_plainly.contains(table) {
                    slow.instead = rebuild::in_place(table, before, &after);
                }
                (slow.line, slow.column)
            });
            let (line, column) = place.unwrap_or((1, 1));
            let compared = rebuild::compare(table, before, &after);
            findings.extend(compared.into_iter().map(|finding| Finding {
                line,
                column,
                ..finding
            }));
        }
        Ok(findings)
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

    /// The tables and views that the file is about to replace or remove, as they are.
    fn shapes(&self, reading: &lint::Reading) -> Result<BTreeMap<String, Shape>, Error> {
        let mut shapes = BTreeMap::new();
        for table in reading.rebuilt.iter().chain(&reading.gone) {
            if let Some(shape) = Shape::read(self.connection, table)? {
                shapes.insert(table.clone(), shape);
            }
        }
        Ok(shapes)
    }

    /// Runs one statement; answers what SQLite's parser saw in it.
    fn statement(&self, file: &Prepared<'_>, statement: &Statement<'_>) -> Result<Seen, Error> {
        if let Some(signal) = self.migrator.cancel.signal() {
            return Err(Error::Interrupted { signal });
        }
        // VACUUM copies every table, ours as well, through statements of its own; it has nothing that needs watching.
        self.guard
            .arm((!statement.word(0, "VACUUM")).then_some(file.directives));
        let outcome = self.execute(statement.text);
        let mut seen = self.guard.disarm();
        match outcome {
            // Some errors end the transaction by themselves, and RAISE(ROLLBACK) or OR ROLLBACK may do so.
            Ok(()) if file.directives.no_transaction || !self.connection.is_autocommit() => {
                Ok(seen)
            }
            Ok(()) => Err(self.failed(
                file,
                statement,
                statement.start,
                "it ended the runner's transaction".to_owned(),
                "no ROLLBACK in a migration, not in a trigger or conflict clause either".to_owned(),
            )),
            Err(error) => Err(self.classify(file, statement, error, seen.denied.take())),
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
    fn reset_connection(&self, file: &Prepared<'_>, left: &Left) -> Result<(), Error> {
        let doing = || format!("tidy up the connection after {}", file.name);
        if left.settings {
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
        if left.temporary {
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
        trail: &Trail,
        measure: &mut Measure,
    ) -> Result<Vec<RowChange>, Error> {
        let by_hand = file.directives.writable_schema;
        let Some(before) = measure.as_mut().filter(|_| by_hand || trail.touched_any()) else {
            return Ok(Vec::new());
        };
        // Only tables that the file may have changed are read again: a thousand small files would read a large one a
        // thousand times. Who edits the schema by hand may have changed any; names in other scripts are not looked up in lower case.
        let history_table = &self.migrator.history_table;
        let any = by_hand || !trail.touched_names().all(str::is_ascii);
        let after = if any {
            rows::count(self.connection, history_table)?
        } else {
            rows::count_named(self.connection, history_table, trail.touched_names())?
        };
        let is_meant = |table: &str| any || trail.touched(table);
        // From here on only these count; a file is about a few tables of many.
        let was = before.extract_if(.., |table, _| is_meant(table)).collect();
        before.extend(after.iter().map(|(table, rows)| (table.clone(), *rows)));
        let before: rows::Counts = was;
        // A WHERE in the copy says which rows are to stay; that is seen, too, but no mistake.
        let chosen = |lost: &Lost| {
            let copied = reading.selections.get(&lost.table.to_lowercase());
            file.directives.contract || copied.is_some_and(|(_, word)| *word == lint::WHERE)
        };
        let (chosen, unseen): (Vec<Lost>, Vec<Lost>) =
            trail.lost(&before, &after).into_iter().partition(chosen);
        if !unseen.is_empty() {
            return Err(loses(file, reading, &unseen));
        }
        for lost in &chosen {
            self.migrator
                .note(format!("{}: {}", file.name, fewer(file, reading, lost)));
        }
        Ok(changes(&before, &after)
            .into_iter()
            .filter(|change| change.before != change.after)
            .collect())
    }
}

/// A table that is smaller after a file than before, and no DELETE that says so.
fn loses(file: &Prepared<'_>, reading: &lint::Reading, lost: &[Lost]) -> Error {
    let lines: Vec<String> = lost.iter().map(|lost| fewer(file, reading, lost)).collect();
    Error::Integrity {
        file: file.name.to_owned(),
        message: format!(
            "{} would lose rows without deleting any: {}",
            file.name,
            lines.join("; ")
        ),
        hint: "copy all rows; if some are to go, DELETE them from that table in the same file, or say `-- migrate: allow contract` at its top".to_owned(),
    }
}

fn fewer(file: &Prepared<'_>, reading: &lint::Reading, lost: &Lost) -> String {
    let copied = reading.selections.get(&lost.table.to_lowercase());
    let copied = copied.map_or_else(String::new, |(start, word)| {
        let line = locate::location(file.name, file.text, *start).line;
        format!(" (line {line} copies some of them, with {word})")
    });
    let Lost {
        table,
        before,
        after,
    } = lost;
    format!("{table} has {before} rows before and {after} after{copied}")
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
