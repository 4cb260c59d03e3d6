//! Adopts a database that others have made: records files as applied without running them.

use crate::backup::Purpose;
use crate::connection::roll_back;
use crate::error::Error;
use crate::history::{self, HistoryRow, Kind, NewRow, read_history};
use crate::matching::refused;
use crate::migrator::Migrator;
use crate::report::Baseline;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// The name that stands for "find the file".
const AUTO: &str = "auto";

/// What is to be done so that the history says what the database is.
#[derive(Default)]
struct Adoption<'a> {
    /// Indexes of files to record, and whether a row of theirs that was begun is replaced.
    record: Vec<(usize, bool)>,
    correct: Vec<Correction<'a>>,
}

/// A row of a history that disagrees with the schema.
enum Correction<'a> {
    Forget(&'a HistoryRow, &'static str),
    Retire(&'a HistoryRow),
    Text(&'a HistoryRow, usize),
}

impl Migrator {
    /// With `write` false only says what it would do.
    pub(crate) fn baseline_now(&self, name: &str, write: bool) -> Result<Baseline, Error> {
        if !self.database.exists() {
            return Err(refused(
                format!("there is no {}", self.database.display()),
                "a new database needs no baseline: apply the files",
            ));
        }
        let auto = name == AUTO;
        let last = if auto {
            self.matching_file()?
        } else {
            self.index_of(name)?
        };
        if !write {
            let rows = match self.open_existing()? {
                Some(connection) => read_history(&connection, &self.history_table)?,
                None => Vec::new(),
            };
            return Ok(self.described(last, &self.adoption(&rows, last, auto)));
        }
        let mut connection = self.open()?;
        self.begin(&mut connection)?;
        let outcome = self.baseline_under_lock(&connection, last, auto);
        roll_back(&connection);
        outcome
    }

    fn index_of(&self, name: &str) -> Result<usize, Error> {
        // A path from the shell's completion is as good as the key.
        let found = self
            .files
            .iter()
            .position(|file| file.name == name)
            .or_else(|| {
                self.files
                    .iter()
                    .position(|file| name.ends_with(&format!("/{}", file.name)))
            });
        found.ok_or_else(|| {
            refused(
                format!("there is no migration {name}"),
                "name a file of the folder, or `auto`",
            )
        })
    }

    /// Where the schema itself has said which files it comes from, the history is made to agree; a person who names a file
    /// speaks of that file and those before it only.
    fn adoption<'a>(&self, rows: &'a [HistoryRow], last: usize, auto: bool) -> Adoption<'a> {
        let mut adoption = Adoption::default();
        for (index, file) in self.files.iter().enumerate().take(last + 1) {
            match rows.iter().find(|row| row.filename == file.name) {
                None => adoption.record.push((index, false)),
                Some(row) if row.kind == Kind::Unfinished => adoption.record.push((index, true)),
                Some(_) => {}
            }
        }
        if !auto {
            return adoption;
        }
        let mut seen = BTreeSet::new();
        for row in rows {
            let index = self.files.iter().position(|file| file.name == row.filename);
            adoption.correct.extend(if !seen.insert(&row.filename) {
                Some(Correction::Forget(row, "the same file is recorded before"))
            } else {
                match index {
                    Some(index) if index > last => Some(Correction::Forget(
                        row,
                        "the schema does not have it; it is pending again",
                    )),
                    Some(index) => self.other_text(row, index),
                    None if row.kind != Kind::Retired => Some(Correction::Retire(row)),
                    None => None,
                }
            });
        }
        adoption
    }

    fn other_text<'a>(&self, row: &'a HistoryRow, index: usize) -> Option<Correction<'a>> {
        let file = self.files.get(index)?;
        let other = row.checksum.as_ref()? != &file.checksum();
        (other && row.kind != Kind::Unfinished).then_some(Correction::Text(row, index))
    }

    fn described(&self, last: usize, adoption: &Adoption<'_>) -> Baseline {
        let name = |index: usize| {
            let file = self.files.get(index);
            file.map(|file| file.name.clone()).unwrap_or_default()
        };
        let correct = adoption.correct.iter();
        Baseline {
            last: name(last),
            recorded: adoption
                .record
                .iter()
                .map(|(index, _)| name(*index))
                .collect(),
            corrected: correct
                .map(|correction| match correction {
                    Correction::Forget(row, why) => {
                        format!("removed row {} of {}: {why}", row.id, row.filename)
                    }
                    Correction::Retire(row) => {
                        format!("retired {}: its file is gone", row.filename)
                    }
                    Correction::Text(row, _) => {
                        format!("recorded the present text of {}", row.filename)
                    }
                })
                .collect(),
            backup: None,
        }
    }

    fn baseline_under_lock(
        &self,
        connection: &Connection,
        last: usize,
        auto: bool,
    ) -> Result<Baseline, Error> {
        let rows = read_history(connection, &self.history_table)?;
        let adoption = self.adoption(&rows, last, auto);
        let mut baseline = self.described(last, &adoption);
        if !adoption.correct.is_empty() {
            baseline.backup =
                Some(self.back_up(rows.last().map(|row| row.filename.as_str()), Purpose::Keep)?);
        }
        history::ensure(connection, &self.history_table)?;
        let table = &self.history_table;
        for correction in &adoption.correct {
            match correction {
                Correction::Forget(row, _) => history::forget(connection, table, row.id)?,
                Correction::Retire(row) => {
                    history::amend(connection, table, row.id, None, Kind::Retired)?;
                }
                Correction::Text(row, index) => {
                    if let Some(file) = self.files.get(*index) {
                        let hashes = (file.checksum(), file.raw_checksum());
                        let hashes = Some((hashes.0.as_str(), hashes.1.as_str()));
                        history::amend(connection, table, row.id, hashes, row.kind)?;
                    }
                }
            }
        }
        for (index, replaces) in &adoption.record {
            self.record_baseline(connection, *index, *replaces)?;
        }
        self.commit(connection, &[])?;
        Ok(baseline)
    }

    fn record_baseline(
        &self,
        connection: &Connection,
        index: usize,
        replaces: bool,
    ) -> Result<(), Error> {
        let Some(file) = self.files.get(index) else {
            return Ok(());
        };
        let row = NewRow {
            filename: &file.name,
            checksum: &file.checksum(),
            raw_checksum: &file.raw_checksum(),
            compatible: self.compatible_by_text(index),
            duration_ms: 0,
            statements: 0,
            git_commit: self.git_commit.as_deref(),
            kind: Kind::Baseline,
            replaces,
        };
        history::record(connection, &self.history_table, &row)
    }
}
