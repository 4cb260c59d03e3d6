//! Applies SQL files to a SQLite database once and wholly, or not at all.
//!
//! The promise, and where it is kept:
//! - one transaction for everything that is pending, begun before the history is read ([`Migrator::apply`]);
//! - a verified backup under that transaction's lock, and a rehearsal on a copy of it, before the first change;
//! - foreign keys off outside the transaction and compared before and after, because `DROP TABLE` deletes
//!   row by row and would cascade;
//! - files that would be cut short, half applied or applied outside the transaction are rejected before they run,
//!   with file, line and column.
//!
//! The library prints nothing and reads no environment: progress leaves through [`Migrator::on_event`], and
//! the command layer in [`cli`] turns results into text, JSON and exit codes.
//!
//! ```
//! # fn main() -> Result<(), migrate::Error> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! let files = vec![migrate::MigrationFile::new("0001_sale.sql", "CREATE TABLE sale (cents INTEGER);")];
//! let migrator = migrate::Migrator::new(folder.path().join("app.db"), files);
//! assert_eq!(migrator.apply()?.applied.len(), 1);
//! assert_eq!(migrator.status()?.pending.len(), 0);
//! # Ok(())
//! # }
//! ```

pub mod cli;

mod apply;
mod backup;
mod baseline;
mod cancel;
mod check;
mod clock;
mod connection;
mod directive;
mod discover;
mod error;
mod event;
mod foreign_keys;
mod guard;
mod heartbeat;
mod history;
mod holders;
mod lexer;
mod lint;
mod locate;
mod loss;
mod matching;
mod migrator;
mod outside;
mod plan;
mod rebuild;
mod rehearse;
mod repair;
mod report;
mod restore;
mod retention;
mod rows;
mod run;
mod schema;
mod shape;
mod source;
mod verify;

pub use cancel::Cancel;
pub use discover::{Discovery, Order, discover, look_into};
pub use error::{Changed, Error, Gone, Location};
pub use event::{Event, Phase};
pub use history::{HistoryRow, Kind, read_history};
pub use lint::{Finding, Risk};
pub use migrator::Migrator;
pub use report::{
    Baseline, DryRun, FileReport, Lint, LintedFile, Lock, PlannedFile, PlannedStatement, Rehearsal,
    Repair, Report, Restore, RowChange, Status, Verification,
};
pub use schema::{Definition, Schema};
pub use source::MigrationFile;

/// The version of the SQLite library that is linked in, for instance `3.54.1`.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}
