//! The slow, whole check that nobody runs on every start: every page, every index, every foreign key, every file.

use crate::error::{Doing as _, Error};
use crate::foreign_keys;
use crate::migrator::Migrator;
use crate::report::Verification;

impl Migrator {
    pub(crate) fn verify_now(&self) -> Result<Verification, Error> {
        let (comparison, _) = self.look()?;
        let mut verification = Verification {
            files: self.files.len() - comparison.pending.len(),
            ..Verification::default()
        };
        let Some(connection) = self.open_existing()? else {
            return Ok(verification);
        };
        let doing = || self.doing("check");
        let mut statement = connection.prepare("PRAGMA integrity_check").doing(doing)?;
        let lines = statement
            .query_map([], |row| row.get::<_, String>(0))
            .doing(doing)?;
        for line in lines {
            let line = line.doing(doing)?;
            if line != "ok" {
                verification.damage.push(line);
            }
        }
        let violations = foreign_keys::violations(&connection)?;
        verification.violations = violations
            .iter()
            .map(|(pair, rows)| foreign_keys::describe(pair, *rows))
            .collect();
        Ok(verification)
    }
}
