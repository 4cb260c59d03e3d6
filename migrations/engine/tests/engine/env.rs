//! A folder, a database and the few moves every test makes with them.

use migrate::{Error, MigrationFile, Migrator, Order, discover};
use rusqlite::Connection;
use std::path::PathBuf;

/// Removed with everything in it at the end of the test.
pub(crate) struct Env {
    pub(crate) folder: tempfile::TempDir,
}

impl Env {
    pub(crate) fn new() -> Self {
        let env = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        fs_err::create_dir(env.dir()).expect("the migrations folder");
        env
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("migrations")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    /// Writes a migration into the folder.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.dir().join(name);
        fs_err::create_dir_all(path.parent().expect("a parent")).expect("its folder");
        fs_err::write(path, text).expect("the migration");
        self
    }

    pub(crate) fn discover(&self) -> Vec<MigrationFile> {
        discover(&self.dir(), Some(Order::Natural)).expect("a readable folder")
    }

    pub(crate) fn migrator(&self) -> Migrator {
        Migrator::new(self.database(), self.discover())
    }

    pub(crate) fn apply(&self) -> Result<Vec<String>, Error> {
        let report = self.migrator().apply()?;
        Ok(report.applied.into_iter().map(|file| file.name).collect())
    }

    /// The error of an apply, as a person would read it.
    pub(crate) fn error(&self) -> String {
        match self.apply() {
            Ok(applied) => format!("applied {applied:?}"),
            Err(error) => format!("exit {}: {error}", error.exit_code()),
        }
    }

    /// A plain connection, as another program would open it.
    pub(crate) fn open(&self) -> Connection {
        let connection = Connection::open(self.database()).expect("the database");
        connection
            .pragma_update(None, "foreign_keys", false)
            .expect("no enforcement");
        connection
    }

    pub(crate) fn sql(&self, sql: &str) -> &Self {
        self.open().execute_batch(sql).expect(sql);
        self
    }

    /// One value as text.
    pub(crate) fn value(&self, sql: &str) -> String {
        let value: rusqlite::types::Value =
            self.open().query_row(sql, [], |row| row.get(0)).expect(sql);
        show(&value)
    }

    /// File names in the backup folder, sorted.
    pub(crate) fn backups(&self) -> Vec<PathBuf> {
        let folder = self.folder.path().join("app.db.backups");
        if !folder.exists() {
            return Vec::new();
        }
        let mut found: Vec<PathBuf> = fs_err::read_dir(folder)
            .expect("the backups")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "db"))
            .collect();
        found.sort();
        found
    }
}

pub(crate) fn show(value: &rusqlite::types::Value) -> String {
    use rusqlite::types::Value;
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => format!("{bytes:?}"),
    }
}

/// Every row of every table but the history, as sorted text: two databases with the same dump hold the same data.
pub(crate) fn dump(connection: &Connection) -> Vec<String> {
    let mut lines = Vec::new();
    for table in tables(connection) {
        let mut statement = connection
            .prepare(&format!("SELECT * FROM \"{table}\""))
            .expect("a table");
        let columns = statement.column_count();
        let mut rows = statement.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            let values: Vec<String> = (0..columns)
                .map(|index| show(&row.get(index).expect("a value")))
                .collect();
            lines.push(format!("{table}: {}", values.join(" | ")));
        }
    }
    lines.sort();
    lines
}

pub(crate) fn tables(connection: &Connection) -> Vec<String> {
    // Neither virtual tables nor what they keep their rows in: nobody but their module may write there.
    let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'migrations' ORDER BY name";
    let mut statement = connection.prepare(sql).expect("the schema");
    let names = statement.query_map([], |row| row.get(0)).expect("names");
    names.map(|name| name.expect("a name")).collect()
}
