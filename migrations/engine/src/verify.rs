//! The check that nobody runs on every start: every page, every foreign key, every file, and, when it is to be full,
//! every index against its table.

use crate::backup::{breaks_constraint, pragma_check};
use crate::error::Error;
use crate::foreign_keys;
use crate::migrator::Migrator;
use crate::report::Verification;

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
        let check = if full {
            "integrity_check"
        } else {
            "quick_check"
        };
        (verification.constraints, verification.damage) = pragma_check(&connection, check)?
            .into_iter()
            .partition(|line| breaks_constraint(line));
        let violations = foreign_keys::violations(&connection)?;
        verification.violations = violations
            .iter()
            .map(|(pair, rows)| foreign_keys::describe(pair, *rows))
            .collect();
        Ok(verification)
    }
}
