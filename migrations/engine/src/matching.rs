//! Finds the file after which a database's schema is what it is: the files are applied one by one to an empty database,
//! and after each one the two schemas are compared.

use crate::check::Prepared;
use crate::connection::roll_back;
use crate::error::{Doing as _, Error};
use crate::event::Phase;
use crate::guard::Guard;
use crate::lint;
use crate::locate::{excerpt, location};
use crate::migrator::Migrator;
use crate::run::Runner;
use crate::schema::Schema;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;

/// Tables in which other tools keep their history: in the database, but in no file.
const OTHER_HISTORIES: [&str; 26] = [
    "_prisma_migrations",
    "_sqlx_migrations",
    "__diesel_schema_migrations",
    "__drizzle_migrations",
    "__efmigrationshistory",
    "schema_migrations",
    "schema_migrations_lock",
    "schema_version",
    "refinery_schema_history",
    "goose_db_version",
    "gorp_migrations",
    "knex_migrations",
    "knex_migrations_lock",
    "kysely_migration",
    "kysely_migration_lock",
    "flyway_schema_history",
    "databasechangelog",
    "databasechangeloglock",
    "atlas_schema_revisions",
    "alembic_version",
    "ar_internal_metadata",
    "django_migrations",
    "d1_migrations",
    "mikro_orm_migrations",
    "sequelizemeta",
    "typeorm_metadata",
];
/// Lines of a difference that a message shows.
const LINES_MAX: usize = 12;
/// Characters of each of them.
const LINE_CHARS_MAX: usize = 200;

/// What the replay has found so far.
#[derive(Default)]
struct Search {
    matches: Vec<usize>,
    /// The file whose schema differs least, and the lines of the difference.
    nearest: Option<(usize, Vec<String>)>,
    /// Where the files stopped running on an empty database.
    stopped: Option<String>,
}

impl Migrator {
    /// The index of the file after which the database stands.
    pub(crate) fn matching_file(&self) -> Result<usize, Error> {
        let Some(existing) = self.open_existing()? else {
            return Err(refused("there is no database".to_owned(), ""));
        };
        let wanted = self.normal_schema(&existing)?;
        drop(existing);
        if wanted.is_empty() {
            return Err(refused(
                "the database has no tables".to_owned(),
                "an empty database needs no baseline: apply the files",
            ));
        }
        let indexes: Vec<usize> = (0..self.files.len()).collect();
        let prepared = self.prepare(&indexes)?;
        let search = self.replay(&prepared, &wanted)?;
        match search.matches.as_slice() {
            [only] => Ok(*only),
            [] => Err(self.no_match(&search)),
            matches => Err(self.ambiguous(matches, &prepared)),
        }
    }

    fn normal_schema(&self, connection: &Connection) -> Result<BTreeMap<String, String>, Error> {
        Ok(Schema::read(connection, &self.history_table)?.normal(&OTHER_HISTORIES))
    }

    fn replay(
        &self,
        files: &[Prepared<'_>],
        wanted: &BTreeMap<String, String>,
    ) -> Result<Search, Error> {
        let mut connection = self.open_scratch(Path::new(":memory:"))?;
        let guard = Guard::install(&mut connection, &self.history_table)?;
        let mut search = Search::default();
        for (index, file) in files.iter().enumerate() {
            search.stopped = self.step(&connection, &guard, file)?;
            if search.stopped.is_some() {
                break;
            }
            let lines = difference(wanted, &self.normal_schema(&connection)?, file.name);
            if lines.is_empty() {
                search.matches.push(index);
            } else if search
                .nearest
                .as_ref()
                .is_none_or(|(_, least)| lines.len() < least.len())
            {
                search.nearest = Some((index, lines));
            }
        }
        Ok(search)
    }

    /// Runs one file; answers why it does not run on what the ones before it made.
    fn step(
        &self,
        connection: &Connection,
        guard: &Guard,
        file: &Prepared<'_>,
    ) -> Result<Option<String>, Error> {
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
            Ok(_) => Ok(None),
            Err(Error::Interrupted { signal }) => Err(Error::Interrupted { signal }),
            Err(error) => Ok(Some(error.in_short())),
        }
    }

    fn name(&self, index: usize) -> &str {
        self.files.get(index).map_or("", |file| file.name.as_str())
    }

    fn no_match(&self, search: &Search) -> Error {
        let mut lines = vec!["no file leaves this schema".to_owned()];
        let hint = match &search.nearest {
            Some((index, differences)) => {
                let name = self.name(*index);
                lines = vec![format!(
                    "no file leaves this schema; nearest is {name}, which differs in:"
                )];
                lines.extend(differences.iter().take(LINES_MAX).cloned());
                if differences.len() > LINES_MAX {
                    lines.push(format!("… and {} more", differences.len() - LINES_MAX));
                }
                format!("make the database agree, or, if the difference does not matter, name the last applied file: --baseline {name}")
            }
            None => {
                "do these files belong to this database? If so name the last applied one: --baseline FILE".to_owned()
            }
        };
        if let Some(stopped) = &search.stopped {
            lines.push(format!("on an empty database the files stop at {stopped}"));
        }
        refused(lines.join("\n  "), &hint)
    }

    fn ambiguous(&self, matches: &[usize], files: &[Prepared<'_>]) -> Error {
        let names: Vec<&str> = matches.iter().map(|index| self.name(*index)).collect();
        let (first, last) = (
            matches.first().copied().unwrap_or(0),
            matches.last().copied().unwrap_or(0),
        );
        let mut lines = vec![format!(
            "the schema is the same after {}",
            names.join(" and after ")
        )];
        let between = files.get(first + 1..=last).unwrap_or_default();
        for file in between.iter().take(LINES_MAX) {
            let changes = |word: &&str| {
                let mut statements = file.statements();
                statements.find(|statement| statement.word(0, word))
            };
            if let Some(statement) = ["INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"]
                .iter()
                .find_map(changes)
            {
                let at = location(file.name, file.text, statement.start);
                let text: Vec<&str> = statement.text.split_whitespace().collect();
                lines.push(format!(
                    "{}:{}: {}",
                    file.name,
                    at.line,
                    excerpt(&text.join(" "))
                ));
            }
        }
        refused(
            lines.join("\n  "),
            "what differs is in the rows: look whether the statements above have run, and name the last file that is applied: --baseline FILE",
        )
    }

    /// May the release before this file run on it? Only the text can say, because it does not run here.
    pub(crate) fn compatible_by_text(&self, index: usize) -> bool {
        let file = self.prepare(&[index]);
        file.is_ok_and(|files| {
            files
                .iter()
                .all(|file| lint::compatible(&lint::read(file).findings))
        })
    }
}

/// One line per definition that only one of them has.
fn difference(
    database: &BTreeMap<String, String>,
    files: &BTreeMap<String, String>,
    name: &str,
) -> Vec<String> {
    let line = |place: &str, text: &str| {
        let cut: String = text.chars().take(LINE_CHARS_MAX).collect();
        format!("{place}: {cut}")
    };
    let only = |one: &BTreeMap<String, String>, other: &BTreeMap<String, String>, place: &str| {
        let missing = one.iter().filter(|(key, _)| !other.contains_key(*key));
        missing
            .map(|(key, text)| (key.clone(), line(place, text)))
            .collect::<Vec<_>>()
    };
    let mut lines = only(database, files, "in the database");
    lines.extend(only(files, database, &format!("after {name}")));
    // By kind and name, so that two versions of one table stand together.
    lines.sort_by(|(a, _), (b, _)| subject(a).cmp(subject(b)));
    lines.into_iter().map(|(_, line)| line).collect()
}

fn subject(key: &str) -> &str {
    key.split(": ").next().unwrap_or(key)
}

pub(crate) fn refused(message: String, hint: &str) -> Error {
    Error::Refused {
        message,
        hint: hint.to_owned(),
    }
}
