//! Adopts a database that others have made: records files as applied without running them.

use crate::check::Prepared;
use crate::connection::roll_back;
use crate::error::{Doing as _, Error};
use crate::event::Phase;
use crate::guard::Guard;
use crate::history::{self, Kind, NewRow, read_history};
use crate::lint;
use crate::migrator::Migrator;
use crate::report::Baseline;
use crate::run::Runner;
use crate::schema::Schema;
use rusqlite::Connection;
use std::path::Path;

/// Tables in which other tools keep their history: in the database, but in no file.
const OTHER_HISTORIES: [&str; 12] = [
    "_prisma_migrations",
    "_sqlx_migrations",
    "__diesel_schema_migrations",
    "__drizzle_migrations",
    "schema_migrations",
    "refinery_schema_history",
    "goose_db_version",
    "gorp_migrations",
    "knex_migrations",
    "knex_migrations_lock",
    "flyway_schema_history",
    "atlas_schema_revisions",
];

impl Migrator {
    pub(crate) fn baseline_now(&self, name: &str) -> Result<Baseline, Error> {
        if !self.database.exists() {
            return Err(refused(
                format!("there is no {}", self.database.display()),
                "a new database needs no baseline: apply the files",
            ));
        }
        let last = if name == "auto" {
            self.matching_file()?
        } else {
            self.index_of(name)?
        };
        let mut connection = self.open()?;
        self.begin(&mut connection)?;
        let outcome = self.baseline_under_lock(&connection, last);
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

    fn baseline_under_lock(&self, connection: &Connection, last: usize) -> Result<Baseline, Error> {
        history::ensure(connection, &self.history_table)?;
        let rows = read_history(connection, &self.history_table)?;
        let mut recorded = Vec::new();
        for file in self.files.iter().take(last + 1) {
            let row = rows.iter().find(|row| row.filename == file.name);
            let replaces = row.is_some();
            if row.is_some_and(|row| row.kind != Kind::Unfinished) {
                continue;
            }
            // Another release may only be asked about what it is known to run on; nobody has tried these here.
            let compatible = crate::check::prepare(file, self.own_transaction)
                .is_ok_and(|file| lint::compatible(&lint::read(&file).findings));
            let row = NewRow {
                filename: &file.name,
                checksum: &file.checksum(),
                raw_checksum: &file.raw_checksum(),
                compatible,
                duration_ms: 0,
                statements: 0,
                git_commit: self.git_commit.as_deref(),
                kind: Kind::Baseline,
                replaces,
            };
            history::record(connection, &self.history_table, &row)?;
            recorded.push(file.name.clone());
        }
        self.commit(connection, &[])?;
        Ok(Baseline { recorded })
    }

    /// Applies the files one by one in memory until the schema is the database's.
    fn matching_file(&self) -> Result<usize, Error> {
        let Some(existing) = self.open_existing()? else {
            return Err(refused("there is no database".to_owned(), ""));
        };
        let wanted = Schema::read(&existing, &self.history_table)?.normal(&OTHER_HISTORIES);
        drop(existing);
        if wanted.is_empty() {
            return Err(refused(
                "the database has no tables".to_owned(),
                "an empty database needs no baseline: apply the files",
            ));
        }
        let indexes: Vec<usize> = (0..self.files.len()).collect();
        let prepared = self.prepare(&indexes)?;
        let mut connection = self.open_scratch(Path::new(":memory:"))?;
        let guard = Guard::install(&mut connection, &self.history_table)?;
        let mut matches: Vec<usize> = Vec::new();
        let mut nearest: Option<(usize, usize)> = None;
        for (index, file) in prepared.iter().enumerate() {
            if !self.step(&connection, &guard, file)? {
                break;
            }
            let schema = Schema::read(&connection, &self.history_table)?.normal(&OTHER_HISTORIES);
            let differences = schema.iter().filter(|line| !wanted.contains(line)).count()
                + wanted.iter().filter(|line| !schema.contains(line)).count();
            if differences == 0 {
                matches.push(index);
            } else if nearest.is_none_or(|(least, _)| differences < least) {
                nearest = Some((differences, index));
            }
        }
        let name = |index: usize| self.files.get(index).map_or("", |file| file.name.as_str());
        match (matches.as_slice(), nearest) {
            ([only], _) => Ok(*only),
            ([first, .., last], _) => Err(refused(
                format!(
                    "the schema is the same after {} and after {}: files between change rows only",
                    name(*first),
                    name(*last)
                ),
                "look at the rows and name the last file that is applied: --baseline FILE",
            )),
            ([], Some((differences, index))) => Err(refused(
                format!(
                    "no file leaves this schema; nearest is {} with {differences} definition(s) that differ",
                    name(index)
                ),
                "compare `migrate --dump-schema` with it, then name the file: --baseline FILE",
            )),
            ([], None) => Err(refused(
                "no file leaves this schema".to_owned(),
                "do these files belong to this database? If so name the last applied one: --baseline FILE",
            )),
        }
    }

    /// False where a file does not run on what the ones before it made: they need a schema that is not in the folder.
    fn step(
        &self,
        connection: &Connection,
        guard: &Guard,
        file: &Prepared<'_>,
    ) -> Result<bool, Error> {
        let runner = Runner {
            migrator: self,
            connection,
            guard,
            phase: Phase::Rehearsal,
        };
        if !file.directives.no_transaction {
            connection
                .execute_batch("BEGIN")
                .doing(|| "begin".to_owned())?;
        }
        let outcome = runner.file(file, &mut None);
        if outcome.is_ok() && !connection.is_autocommit() {
            connection
                .execute_batch("COMMIT")
                .doing(|| "commit".to_owned())?;
        }
        roll_back(connection);
        match outcome {
            Ok(_) => Ok(true),
            Err(Error::Interrupted { signal }) => Err(Error::Interrupted { signal }),
            Err(_) => Ok(false),
        }
    }
}

fn refused(message: String, hint: &str) -> Error {
    Error::Refused {
        message,
        hint: hint.to_owned(),
    }
}
