//! The check that nobody runs on every start: every page, every foreign key, every file, and, when it is to be full,
//! every index against its table.

use crate::backup::quick_check;
use crate::error::{Doing as _, Error};
use crate::foreign_keys;
use crate::migrator::Migrator;
use crate::report::Verification;
use rusqlite::Connection;

impl Migrator {
    pub(crate) fn verify_now(&self, full: bool) -> Result<Verification, Error> {
        let (comparison, _) = self.look()?;
        let mut verification = Verification {
            files: self.files.len() - comparison.pending.len(),
            full,
            ..Verification::default()
        };
        let Some(connection) = self.open_existing()? else {
            return Ok(verification);
        };
        verification.damage = if full {
            self.integrity_check(&connection)?
        } else {
            quick_check(&connection)?
        };
        let violations = foreign_keys::violations(&connection)?;
        verification.violations = violations
            .iter()
            .map(|(pair, rows)| foreign_keys::describe(pair, *rows))
            .collect();
        Ok(verification)
    }

    fn integrity_check(&self, connection: &Connection) -> Result<Vec<String>, Error> {
        let doing = || self.doing("check");
        let mut statement = connection.prepare("PRAGMA integrity_check").doing(doing)?;
        let lines = statement
            .query_map([], |row| row.get::<_, String>(0))
            .doing(doing)?;
        let lines: Vec<String> = lines.collect::<rusqlite::Result<_>>().doing(doing)?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }
}
