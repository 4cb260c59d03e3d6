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
//! # Files
//!
//! From a folder, read at run time, with the rules of [`discover`]:
//!
//! ```
//! # fn main() -> Result<(), migrate::Error> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let dir = folder.path().join("migrations");
//! # fs_err::create_dir(&dir).expect("a folder");
//! # fs_err::write(dir.join("0001_sale.sql"), "CREATE TABLE sale (cents INTEGER);").expect("a file");
//! let migrator = migrate::Migrator::from_folder(folder.path().join("app.db"), &dir)?;
//! let report = migrator.apply()?;
//! assert_eq!(report.applied.len(), 1);
//! assert!(migrator.status()?.pending.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! Or carried by the program, as a service does that has its disk to itself; the order is that of the list:
//!
//! ```
//! # fn main() -> Result<(), migrate::Error> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! use migrate::{MigrationFile, Migrator};
//!
//! let files = vec![
//!     // As a rule `include_str!("../migrations/0001_sale.sql")`.
//!     MigrationFile::new("0001_sale.sql", "CREATE TABLE sale (cents INTEGER NOT NULL);"),
//!     MigrationFile::new("0002_day.sql", "ALTER TABLE sale ADD COLUMN day TEXT;"),
//! ];
//! Migrator::new(folder.path().join("app.db"), files).apply()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Looking first
//!
//! Nothing of this changes the database, and it does not even create it:
//!
//! ```
//! # fn main() -> Result<(), migrate::Error> {
//! # use migrate::{MigrationFile, Migrator};
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let database = folder.path().join("app.db");
//! let one = MigrationFile::new("1.sql", "CREATE TABLE sale (cents INTEGER, note TEXT);");
//! Migrator::new(&database, vec![one.clone()]).apply()?;
//!
//! let two = MigrationFile::new("2.sql", "ALTER TABLE sale DROP COLUMN note;");
//! let migrator = Migrator::new(&database, vec![one, two]);
//! assert_eq!(migrator.status()?.pending, ["2.sql"]);
//! assert_eq!(migrator.rehearse()?.files[0].statements, 1);
//! // May the release that runs now go on running afterwards?
//! let verdict = &migrator.lint()?.files[0];
//! assert!(!verdict.compatible);
//! assert_eq!(verdict.verdict, ["breaking", "destructive"]);
//! # Ok(())
//! # }
//! ```
//!
//! # Progress, and stopping
//!
//! ```
//! # fn main() -> Result<(), migrate::Error> {
//! # use migrate::{Cancel, Event, MigrationFile, Migrator};
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let files = vec![MigrationFile::new("1.sql", "CREATE TABLE sale (cents INTEGER);")];
//! let cancel = Cancel::new(); // A signal handler or another thread calls `cancel.request(signal)`.
//! let (sender, events) = std::sync::mpsc::channel();
//! Migrator::new(folder.path().join("app.db"), files)
//!     .cancel(&cancel)
//!     .on_event(move |event| { sender.send(event).ok(); })
//!     .apply()?;
//! assert!(events.iter().any(|event| matches!(event, Event::Committed { files } if files == ["1.sql"])));
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! An [`Error`] says what it means for the database, and where in which file it is:
//!
//! ```
//! # use migrate::{MigrationFile, Migrator};
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! let files = vec![MigrationFile::new("1.sql", "CREATE TABLE sale (cents INTEGER);\nSELEC 1;")];
//! let error = Migrator::new(folder.path().join("app.db"), files).apply().expect_err("a typo");
//! let at = error.location().expect("a place");
//! assert_eq!((at.file.as_str(), at.line, at.column), ("1.sql", 2, 1));
//! assert_eq!(error.exit_code(), 4); // Everything was rolled back.
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
mod scratch;
mod shape;
mod source;
mod verify;

pub use cancel::Cancel;
pub use discover::{Discovery, Order, discover, look_into};
pub use error::{Changed, Error, Gone, Location};
pub use event::{Event, Fate, Phase};
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
