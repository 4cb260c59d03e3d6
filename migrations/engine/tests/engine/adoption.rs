//! A database that a hand-written runner has migrated half-way: ours adopts its table and goes on, or says what is in the way.
//!
//! The runner is the usual one: read the folder, run every file that the table does not name, write its name down. It is run by
//! node where there is one. Without a SQLite module for node it prints its statements, which are then executed one by one, as
//! it would; without node the test executes what it would print.
#![expect(clippy::disallowed_methods, reason = "runs node")]

use crate::env::{Env, dump};
use crate::servers::has_node;
use migrate::Kind;
use std::process::Command;

const RUNNER: &str = r#"
const fs = require('fs'), path = require('path');
const [database, folder, files, recorded] = process.argv.slice(1);
function open() {
    for (const [name, type] of [['node:sqlite', 'DatabaseSync'], ['better-sqlite3', null]]) {
        try {
            const module = require(name);
            const db = new (type ? module[type] : module)(database);
            return { exec: sql => db.exec(sql), all: sql => db.prepare(sql).all(), run: (sql, value) => db.prepare(sql).run(value) };
        } catch (error) { if (!/MODULE|BUILTIN/.test(error.code || '')) throw error; }
    }
    const print = (sql, value) => console.log(JSON.stringify([sql, value]));
    return { exec: sql => print(sql), all: () => [], run: print };
}
const db = open();
db.exec('CREATE TABLE IF NOT EXISTS migrations (id INTEGER PRIMARY KEY, filename TEXT NOT NULL UNIQUE, executed_at DATETIME DEFAULT CURRENT_TIMESTAMP)');
const done = new Set(db.all('SELECT filename FROM migrations').map(row => row.filename));
let count = 0;
for (const name of fs.readdirSync(folder)) {
    if (done.has(name) || count === Number(files)) continue;
    db.exec(fs.readFileSync(path.join(folder, name), 'utf8'));
    count += 1;
    // Here it dies, when it dies: the file is applied, and nobody knows.
    if (count > Number(recorded)) process.exit(0);
    db.run('INSERT INTO migrations (filename) VALUES (?)', name);
}
"#;

fn four_files() -> Env {
    let env = Env::new();
    env.file("0001_shop.sql", "CREATE TABLE shop (id INTEGER PRIMARY KEY, name TEXT NOT NULL);\nINSERT INTO shop VALUES (1, 'first'), (2, 'second');")
        .file("0002_sale.sql", "CREATE TABLE sale (id INTEGER PRIMARY KEY, shop INTEGER NOT NULL REFERENCES shop (id) ON DELETE CASCADE, cents INTEGER);\nINSERT INTO sale VALUES (1, 1, 100), (2, 2, 200);")
        // A rebuild of the parent, which takes the children along wherever foreign keys are on.
        .file("0003_town.sql", "CREATE TABLE new_shop (id INTEGER PRIMARY KEY, name TEXT NOT NULL, town TEXT);\nINSERT INTO new_shop SELECT id, name, NULL FROM shop;\nDROP TABLE shop;\nALTER TABLE new_shop RENAME TO shop;")
        .file("0004_index.sql", "CREATE INDEX sale_by_shop ON sale (shop);");
    env
}

/// Runs the hand-written runner over the first `files` files, of which it writes down `recorded`.
fn run_by_hand(env: &Env, files: usize, recorded: usize) {
    let statements = if has_node() {
        let output = Command::new("node")
            .args(["-e", RUNNER, "--"])
            .args(["app.db", "migrations"])
            .args([files.to_string(), recorded.to_string()])
            .current_dir(env.folder.path())
            .output()
            .expect("node runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        let line = |line: &str| {
            serde_json::from_str::<(String, Option<String>)>(line).expect("a statement")
        };
        printed.lines().map(line).collect()
    } else {
        what_it_runs(env, files, recorded)
    };
    // Node's modules leave foreign keys on, too.
    let connection = env.open();
    connection
        .pragma_update(None, "foreign_keys", true)
        .expect("enforcement");
    for (sql, value) in statements {
        match value {
            None => connection.execute_batch(&sql).expect(&sql),
            Some(value) => {
                connection.execute(&sql, [value]).expect(&sql);
            }
        }
    }
}

fn what_it_runs(env: &Env, files: usize, recorded: usize) -> Vec<(String, Option<String>)> {
    let table = RUNNER
        .split('\'')
        .find(|text| text.starts_with("CREATE TABLE"));
    let mut statements = vec![(table.expect("its table").to_owned(), None)];
    for (index, file) in env.discover().into_iter().take(files).enumerate() {
        let text = String::from_utf8(file.text).expect("UTF-8");
        statements.push((text, None));
        if index < recorded {
            let insert = "INSERT INTO migrations (filename) VALUES (?)".to_owned();
            statements.push((insert, Some(file.name)));
        }
    }
    statements
}

#[test]
fn what_a_hand_written_runner_began_is_finished() {
    let env = four_files();
    run_by_hand(&env, 2, 2);
    assert_eq!(env.value("SELECT count(*) FROM migrations"), "2");
    let report = env.migrator().apply().expect("adopted");
    let applied: Vec<&str> = report
        .applied
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(applied, ["0003_town.sql", "0004_index.sql"]);
    assert_eq!(
        report.notes,
        [
            "2 file(s) of an earlier runner had no checksum: their present text is recorded, and a change to it is noticed from now on"
        ]
    );
    assert!(report.backup.is_some());
    assert_eq!(
        dump(&env.open()),
        [
            "sale: 1 | 1 | 100",
            "sale: 2 | 2 | 200",
            "shop: 1 | first | NULL",
            "shop: 2 | second | NULL"
        ]
    );
    let rows = migrate::read_history(&env.open(), "migrations").expect("rows");
    let kinds: Vec<Kind> = rows.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [Kind::Apply; 4]);
    assert!(
        rows.iter()
            .all(|row| row.checksum.is_some() && row.executed_at.is_some())
    );
    // Nobody has looked at what the first two do to a release before them.
    let compatible: Vec<bool> = rows.iter().map(|row| row.compatible).collect();
    assert_eq!(compatible, [false, false, true, true]);
    // The earlier runner can still read it, and finds nothing to do.
    assert_eq!(
        env.value("SELECT group_concat(filename, ' ') FROM migrations"),
        "0001_shop.sql 0002_sale.sql 0003_town.sql 0004_index.sql"
    );
}

#[test]
fn what_it_applied_without_writing_it_down_is_named_and_recorded_by_hand() {
    let env = four_files();
    run_by_hand(&env, 2, 1);
    let before = dump(&env.open());
    insta::assert_snapshot!(env.error(), @r"
    exit 4: 0002_sale.sql:1:14: table sale already exists (in the rehearsal on a copy; the database was not touched)
    1 | CREATE TABLE sale (id INTEGER PRIMARY KEY, shop INTEGER NOT NULL REFERENCES shop (id) ON DELETE CASCADE, cents INTEGER);
      |              ^
    hint: if the database already has this change, record it with `migrate --baseline <file>` (or `--baseline auto`)
    ");
    assert_eq!(dump(&env.open()), before);
    let recorded = env.migrator().baseline("0002_sale.sql").expect("recorded");
    assert_eq!(recorded.recorded, ["0002_sale.sql"]);
    assert_eq!(
        env.apply().expect("finished"),
        ["0003_town.sql", "0004_index.sql"]
    );
    assert_eq!(env.value("SELECT count(*) FROM sale"), "2");
}
