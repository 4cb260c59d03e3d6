//! What has to hold after a migration was struck, whichever program runs the engine; and a folder to try it on.

use rusqlite::Connection;
use rusqlite::types::Value;
use std::cell::RefCell;
use std::path::Path;
use std::process::ExitStatus;

/// The file that is applied before.
pub(crate) const BASE: &str = "CREATE TABLE a (x); CREATE TABLE c (x);";

/// The file that is applied and three pending ones, one of them a rebuild.
pub(crate) fn write_files(folder: &Path, base: &str) {
    let files = [
        ("1.sql", base),
        (
            "2.sql",
            "CREATE TABLE t2 (x); INSERT INTO t2 SELECT x FROM a;",
        ),
        (
            "3.sql",
            "CREATE TABLE n (x, y); INSERT INTO n SELECT x, 3 FROM a; DROP TABLE a; ALTER TABLE n RENAME TO a; CREATE TABLE t3 (x);",
        ),
        (
            "4.sql",
            "CREATE TABLE t4 (x); UPDATE c SET x = zeroblob(5000);",
        ),
    ];
    fs_err::create_dir_all(folder.join("migrations")).expect("the folder");
    for (name, text) in files {
        fs_err::write(folder.join("migrations").join(name), text).expect("a migration");
    }
}

/// A database with the first file applied and rows of its own, and the pending files.
pub(crate) fn populate(folder: &Path, mode: &str) {
    write_files(folder, BASE);
    let database = folder.join("app.db");
    open(&database)
        .pragma_update(None, "journal_mode", mode)
        .expect("a mode");
    let first = migrate::MigrationFile::new("1.sql", BASE);
    migrate::Migrator::new(&database, vec![first])
        .apply()
        .expect("the base");
    open(&database)
        .execute_batch("INSERT INTO a VALUES (1), (2); INSERT INTO c SELECT zeroblob(3000) FROM a")
        .expect("rows");
}

pub(crate) fn open(path: &Path) -> Connection {
    Connection::open(path).expect("the database")
}

pub(crate) fn text(connection: &Connection, sql: &str) -> String {
    connection
        .query_row(sql, [], |row| row.get(0))
        .expect("a text")
}

/// The names of the files whose table is there, and of those that are recorded, beyond the first.
fn applied_and_recorded(connection: &Connection) -> (String, String) {
    let tables = "SELECT coalesce(group_concat(substr(name, 2), ' '), '') FROM (SELECT name FROM sqlite_schema WHERE name IN ('t2', 't3', 't4') ORDER BY name)";
    let known = "SELECT count(*) FROM sqlite_schema WHERE name = 'migrations'";
    let has_history: i64 = connection
        .query_row(known, [], |row| row.get(0))
        .expect("a count");
    let recorded = if has_history == 0 {
        String::new()
    } else {
        text(
            connection,
            "SELECT coalesce(group_concat(substr(filename, 1, 1), ' '), '') FROM (SELECT filename FROM migrations WHERE filename > '2' ORDER BY filename)",
        )
    };
    (text(connection, tables), recorded)
}

/// Every backup that has a name is a whole database.
pub(crate) fn backups_are_sound(folder: &Path, place: &str) -> usize {
    let Ok(entries) = fs_err::read_dir(folder.join("app.db.backups")) else {
        return 0;
    };
    let mut sound = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "db") {
            let problems = text(&open(&path), "PRAGMA integrity_check");
            assert_eq!(problems, "ok", "{place}: {}", path.display());
            sound += 1;
        }
    }
    sound
}

/// Five promises about a run that applies, and the run that follows it.
pub(crate) struct Applying {
    /// All files in one transaction?
    whole: bool,
    /// Has the database rows of its own, so that a backup comes first?
    populated: bool,
    /// What the database holds in the end; filled by the undisturbed run.
    golden: RefCell<Vec<String>>,
}

impl Applying {
    pub(crate) fn new(whole: bool, populated: bool) -> Self {
        Self {
            whole,
            populated,
            golden: RefCell::default(),
        }
    }

    pub(crate) fn check(&self, folder: &Path, status: Option<ExitStatus>, place: &str) {
        let connection = open(&folder.join("app.db"));
        assert_eq!(text(&connection, "PRAGMA integrity_check"), "ok", "{place}");
        let (applied, recorded) = applied_and_recorded(&connection);
        assert_eq!(
            applied, recorded,
            "{place}: half a file, or an unrecorded one"
        );
        drop(connection);
        let is_success = status.is_some_and(|status| status.success());
        assert!(
            !is_success || recorded == "2 3 4",
            "{place}: exit 0 with {recorded:?}"
        );
        if self.whole {
            assert!(
                ["", "2 3 4"].contains(&recorded.as_str()),
                "{place}: {recorded:?}"
            );
            let code = status.and_then(|status| status.code());
            assert!(
                !matches!(code, Some(3 | 4)) || recorded.is_empty(),
                "{place}: exit {code:?} with {recorded:?}"
            );
        }
        let backups = backups_are_sound(folder, place);
        assert!(
            recorded.is_empty() || backups > 0 || !self.populated,
            "{place}: changed without a backup"
        );
        apply(folder).unwrap_or_else(|error| panic!("{place}: the second run: {error}"));
        let end = rows(&open(&folder.join("app.db")));
        let mut golden = self.golden.borrow_mut();
        if golden.is_empty() {
            *golden = end;
        } else {
            assert_eq!(end, *golden, "{place}: the second run ends elsewhere");
        }
    }
}

/// A plain run, in this process.
pub(crate) fn apply(folder: &Path) -> Result<migrate::Report, migrate::Error> {
    let files = migrate::discover(&folder.join("migrations"), None)?;
    migrate::Migrator::new(folder.join("app.db"), files).apply()
}

/// Every row of every table but the history.
fn rows(connection: &Connection) -> Vec<String> {
    let tables = text(
        connection,
        "SELECT coalesce(group_concat(name), '') FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'migrations'",
    );
    let mut found = Vec::new();
    for table in tables.split(',').filter(|table| !table.is_empty()) {
        let mut statement = connection
            .prepare(&format!("SELECT * FROM {table}"))
            .expect("a table");
        let columns = statement.column_count();
        let mut rows = statement.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            let values = (0..columns).map(|column| row.get(column).expect("a value"));
            found.push(format!("{table}: {:?}", values.collect::<Vec<Value>>()));
        }
    }
    found.sort();
    found
}
