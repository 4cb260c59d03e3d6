//! Makes the history agree with the files, after a person has looked and decided: it never runs a migration.

use crate::backup::Purpose;
use crate::connection::roll_back;
use crate::error::Error;
use crate::history::{self, HistoryRow, Kind, read_history};
use crate::migrator::Migrator;
use crate::report::Repair;
use rusqlite::Connection;
use std::collections::BTreeSet;

impl Migrator {
    pub(crate) fn repair_now(&self) -> Result<Repair, Error> {
        if !self.database.exists() {
            return Ok(Repair::default());
        }
        let mut connection = self.open()?;
        self.begin(&mut connection)?;
        let outcome = self.repair_under_lock(&connection);
        roll_back(&connection);
        outcome
    }

    fn repair_under_lock(&self, connection: &Connection) -> Result<Repair, Error> {
        let rows = read_history(connection, &self.history_table)?;
        let todo: Vec<(&HistoryRow, Action<'_>)> = self.actions(&rows);
        if todo.is_empty() {
            return Ok(Repair::default());
        }
        let backup = self.back_up(rows.last().map(|row| row.filename.as_str()), Purpose::Keep)?;
        history::ensure(connection, &self.history_table)?;
        let mut actions = Vec::with_capacity(todo.len());
        for (row, action) in todo {
            let table = &self.history_table;
            actions.push(match action {
                Action::Forget(why) => {
                    history::forget(connection, table, row.id)?;
                    format!("removed row {} of {}: {why}", row.id, row.filename)
                }
                Action::Retire => {
                    history::amend(connection, table, row.id, None, Kind::Retired)?;
                    format!("retired {}: its file is gone", row.filename)
                }
                Action::Hash(checksum, raw) => {
                    history::amend(connection, table, row.id, Some((&checksum, &raw)), row.kind)?;
                    format!("recorded the present text of {}", row.filename)
                }
            });
        }
        self.commit(connection, &[])?;
        Ok(Repair {
            actions,
            backup: Some(backup),
        })
    }

    fn actions<'a>(&self, rows: &'a [HistoryRow]) -> Vec<(&'a HistoryRow, Action<'a>)> {
        let mut seen = BTreeSet::new();
        let mut actions = Vec::new();
        for row in rows {
            let file = self.files.iter().find(|file| file.name == row.filename);
            if !seen.insert(row.filename.as_str()) {
                actions.push((row, Action::Forget("the same file is recorded before")));
            } else if row.kind == Kind::Unfinished {
                actions.push((row, Action::Forget("it never ended; it is pending again")));
            } else if let Some(file) = file {
                let (checksum, raw) = (file.checksum(), file.raw_checksum());
                if row.checksum.as_ref() != Some(&checksum)
                    || row.raw_checksum.as_ref() != Some(&raw)
                {
                    actions.push((row, Action::Hash(checksum, raw)));
                }
            } else if row.kind != Kind::Retired {
                actions.push((row, Action::Retire));
            }
        }
        actions
    }
}

enum Action<'a> {
    Forget(&'a str),
    Retire,
    Hash(String, String),
}
