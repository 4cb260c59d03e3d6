//! Files that other runners cut short, skip, half apply or run outside the transaction: every one is refused, with its
//! place, before or without any effect.

use crate::env::Env;
use migrate::MigrationFile;

/// Tries a file behind a good one and shows the refusal; nothing of either may be left.
fn refusal(text: impl AsRef<[u8]>) -> String {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT);")
        .file("2.sql", text);
    let error = env.error();
    if env.database().exists() {
        assert_eq!(
            env.value("SELECT count(*) FROM sqlite_schema"),
            "0",
            "something is left after {error}"
        );
    }
    error
}

macro_rules! refused {
    ($($name:ident: $text:expr, @$snapshot:literal;)+) => {
        $(
            #[test]
            fn $name() {
                insta::assert_snapshot!(refusal($text), @$snapshot);
            }
        )+
    };
}

refused! {
    nul_byte: "CREATE TABLE b (x);\0DROP TABLE a;", @r"
    exit 3: 2.sql:1:20: a NUL byte, at which SQLite would stop reading
    1 | CREATE TABLE b (x);·DROP TABLE a;
      |                    ^
    hint: remove it; is the file UTF-16 or truncated?
    ";
    invalid_utf8: b"CREATE TABLE b (x DEFAULT '\xe9t\xe9');".as_slice(), @r"
    exit 3: 2.sql:1:28: a byte that is not UTF-8
    1 | CREATE TABLE b (x DEFAULT '
      |                            ^
    hint: save the file as UTF-8
    ";
    utf16: b"\xff\xfeC\0R\0".as_slice(), @r"
    exit 3: 2.sql:1:1: the file is UTF-16
    1 | 
      | ^
    hint: save it as UTF-8
    ";
    lone_carriage_return: "-- a comment\rCREATE TABLE b (x);\r", @r"
    exit 3: 2.sql:1:13: a carriage return without a line feed: a comment before it would not end here
    1 | -- a comment·CREATE TABLE b (x);
      |             ^
    hint: save the file with LF line ends
    ";
    unterminated_comment: "CREATE TABLE b (x);\n/* the rest\nCREATE TABLE c (x);", @r"
    exit 3: 2.sql:2:1: a comment without its */
    2 | /* the rest
      | ^
    hint: everything after it would be swallowed; close it
    ";
    unterminated_text: "INSERT INTO a (x) VALUES ('it);", @r"
    exit 3: 2.sql:1:27: a text without its closing '
    1 | INSERT INTO a (x) VALUES ('it);
      |                           ^
    hint: everything after it would be swallowed; close it
    ";
    unterminated_name: "SELECT 1;\nSELECT \"x FROM a;", @r#"
    exit 3: 2.sql:2:8: a name without its closing "
    2 | SELECT "x FROM a;
      |        ^
    hint: everything after it would be swallowed; close it
    "#;
    unterminated_trigger: "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM a;\n", @r"
    exit 3: 2.sql:1:1: a CREATE TRIGGER that does not end in `; END;`
    1 | CREATE TRIGGER t AFTER INSERT ON a BEGIN
      | ^
    hint: everything after it would be swallowed; close it
    ";
    only_comments: "-- to do\n/* later */\n;", @r"
    exit 3: 2.sql:1:1: the file has no statement
    1 | -- to do
      | ^
    hint: write one, or say on its own line: -- migrate: empty-ok
    ";
    empty: "", @r"
    exit 3: 2.sql:1:1: the file has no statement
    1 | 
      | ^
    hint: write one, or say on its own line: -- migrate: empty-ok
    ";
    dot_command: "CREATE TABLE b (x);\n.read other.sql\n", @r"
    exit 3: 2.sql:2:1: a command of the sqlite3 shell
    2 | .read other.sql
      | ^
    hint: write it in SQL; a dump is fine without its dot-commands
    ";
    batch_separator: "CREATE TABLE b (x)\nGO\nCREATE TABLE c (x)\nGO\n", @r#"
    exit 4: 2.sql:3:1: near "CREATE": syntax error (rolled back)
    3 | CREATE TABLE c (x)
      | ^
    hint: GO belongs to another database's shell: end statements with a semicolon
    "#;
    commit: "CREATE TABLE b (x);\nCOMMIT;\nCREATE TABLE c (x);", @r"
    exit 3: 2.sql:2:1: transaction control: the runner's transaction would end here, and the rest would run outside it
    2 | COMMIT;
      | ^
    hint: leave it out; a file that brings its own BEGIN … COMMIT may say -- migrate: own-transaction, a whole folder --own-transaction
    ";
    end: "CREATE TABLE b (x);\nEND;", @r"
    exit 3: 2.sql:2:1: transaction control: the runner's transaction would end here, and the rest would run outside it
    2 | END;
      | ^
    hint: leave it out; a file that brings its own BEGIN … COMMIT may say -- migrate: own-transaction, a whole folder --own-transaction
    ";
    rollback: "CREATE TABLE b (x);\n  rollback;", @r"
    exit 3: 2.sql:2:3: transaction control: the runner's transaction would end here, and the rest would run outside it
    2 |   rollback;
      |   ^
    hint: leave it out; a file that brings its own BEGIN … COMMIT may say -- migrate: own-transaction, a whole folder --own-transaction
    ";
    begin: "/* x */ BEGIN IMMEDIATE; CREATE TABLE b (x); COMMIT;", @r"
    exit 3: 2.sql:1:9: transaction control: the runner's transaction would end here, and the rest would run outside it
    1 | /* x */ BEGIN IMMEDIATE; CREATE TABLE b (x); COMMIT;
      |         ^
    hint: leave it out; a file that brings its own BEGIN … COMMIT may say -- migrate: own-transaction, a whole folder --own-transaction
    ";
    rollback_in_a_trigger: "CREATE TRIGGER t BEFORE INSERT ON a BEGIN SELECT RAISE(ROLLBACK, 'no'); END;\nINSERT INTO a VALUES (1, 'x');", @r"
    exit 4: 2.sql:2:1: no (rolled back)
    2 | INSERT INTO a VALUES (1, 'x');
      | ^
    ";
    rollback_on_conflict: "INSERT INTO a VALUES (1, 'x');\nINSERT OR ROLLBACK INTO a VALUES (1, 'y');", @r"
    exit 4: 2.sql:2:1: UNIQUE constraint failed: a.id (rolled back)
    2 | INSERT OR ROLLBACK INTO a VALUES (1, 'y');
      | ^
    hint: rows that are there already do not fit: fix them in a statement before this one
    ";
    open_savepoint: "SAVEPOINT one;\nCREATE TABLE b (x);\nSAVEPOINT two;\nRELEASE two;", @r"
    exit 3: 2.sql:1:1: SAVEPOINT one without its RELEASE
    1 | SAVEPOINT one;
      | ^
    hint: release it: a later file could roll back to it
    ";
    attach: "ATTACH 'other.db' AS other;", @r"
    exit 3: 2.sql:1:1: a migration changes one database only
    1 | ATTACH 'other.db' AS other;
      | ^
    hint: do this in the program, not in a migration
    ";
    vacuum: "VACUUM;", @r"
    exit 3: 2.sql:1:1: VACUUM does not run inside a transaction
    1 | VACUUM;
      | ^
    hint: put it in a file of its own that says -- migrate: no-transaction
    ";
    vacuum_into: "-- migrate: no-transaction\nVACUUM INTO 'copy.db';", @r"
    exit 3: 2.sql:2:1: VACUUM INTO writes another file
    2 | VACUUM INTO 'copy.db';
      | ^
    hint: use `migrate --backup`, or do it in the program
    ";
    journal_mode: "PRAGMA journal_mode = WAL;", @r"
    exit 3: 2.sql:1:1: PRAGMA journal_mode has no safe effect inside a transaction
    1 | PRAGMA journal_mode = WAL;
      | ^
    hint: put it in a file of its own that says -- migrate: no-transaction
    ";
    synchronous: "PRAGMA main.synchronous(0);", @r"
    exit 3: 2.sql:1:1: PRAGMA synchronous is not allowed in a migration
    1 | PRAGMA main.synchronous(0);
      | ^
    hint: set it where the program opens its connections
    ";
    writable_schema: "PRAGMA writable_schema = 1;", @r"
    exit 3: 2.sql:1:1: PRAGMA writable_schema can destroy the database
    1 | PRAGMA writable_schema = 1;
      | ^
    hint: if there is no other way, say at the top of the file: -- migrate: allow-writable-schema
    ";
    history_dropped: "DROP TABLE migrations;", @r"
    exit 3: 2.sql:1:12: migrations is the runner's history, which a migration may neither read nor change
    1 | DROP TABLE migrations;
      |            ^
    hint: leave it to the runner; if the application has a table of this name, give the runner's another with --history-table
    ";
    history_read: "CREATE TABLE b AS SELECT * FROM main.\"Migrations\";", @r#"
    exit 3: 2.sql:1:38: migrations is the runner's history, which a migration may neither read nor change
    1 | CREATE TABLE b AS SELECT * FROM main."Migrations";
      |                                      ^
    hint: leave it to the runner; if the application has a table of this name, give the runner's another with --history-table
    "#;
    history_in_a_trigger: "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM migrations; END;\nINSERT INTO a VALUES (1, 'x');", @r"
    exit 3: 2.sql:1:54: migrations is the runner's history, which a migration may neither read nor change
    1 | CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM migrations; END;
      |                                                      ^
    hint: leave it to the runner; if the application has a table of this name, give the runner's another with --history-table
    ";
    history_in_a_view: "CREATE TEMP VIEW v AS SELECT 1;\nCREATE VIEW w AS SELECT *\n  FROM a JOIN [MIGRATIONS];", @r"
    exit 3: 2.sql:3:15: migrations is the runner's history, which a migration may neither read nor change
    3 |   FROM a JOIN [MIGRATIONS];
      |               ^
    hint: leave it to the runner; if the application has a table of this name, give the runner's another with --history-table
    ";
    history_behind_a_trigger: "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  UPDATE \"migrations\" SET checksum = '';\nEND;", @r#"
    exit 3: 2.sql:2:10: migrations is the runner's history, which a migration may neither read nor change
    2 |   UPDATE "migrations" SET checksum = '';
      |          ^
    hint: leave it to the runner; if the application has a table of this name, give the runner's another with --history-table
    "#;
    index_on_the_history: "CREATE INDEX i ON migrations (filename);", @r"
    exit 3: 2.sql:1:19: migrations is the runner's history, which a migration may neither read nor change
    1 | CREATE INDEX i ON migrations (filename);
      |                   ^
    hint: leave it to the runner; if the application has a table of this name, give the runner's another with --history-table
    ";
    trigger_without_semicolon: "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM a END;", @r"
    exit 3: 2.sql:1:1: a CREATE TRIGGER that does not end in `; END;`
    1 | CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM a END;
      | ^
    hint: everything after it would be swallowed; close it
    ";
    commit_without_transaction: "-- migrate: no-transaction\n-- migrate: own-transaction\nBEGIN;\nCREATE TABLE b (x);\nCOMMIT;", @r"
    exit 3: 2.sql:3:1: transaction control in a file that says no-transaction, which runs statement by statement
    3 | BEGIN;
      | ^
    hint: leave one of the two out: without the directive the whole file is one transaction
    ";
    utf16_without_mark: b"C\0R\0E\0A\0T\0E\0".as_slice(), @r"
    exit 3: 2.sql:1:2: a NUL byte, at which SQLite would stop reading
    1 | C·R·E·A·T·E·
      |  ^
    hint: remove it; is the file UTF-16 or truncated?
    ";
    hard_space: "CREATE\u{a0}TABLE b (x);", @r#"
    exit 4: 2.sql:1:1: near "CREATE TABLE": syntax error (rolled back)
    1 | CREATE TABLE b (x);
      | ^
    hint: the statement has a space that is none to SQL (U+00A0), which SQLite takes for a letter; type it anew
    "#;
    typographic_quotes: "INSERT INTO a (x) VALUES (\u{2018}it\u{2019});", @r"
    exit 4: 2.sql:1:27: no such column: ‘it’ (rolled back)
    1 | INSERT INTO a (x) VALUES (‘it’);
      |                           ^
    hint: the statement has a typographic quote (U+2018), which SQLite takes for a letter; type it anew
    ";
    control_characters: "SELECT 1;\nSELECT '\u{1b}[2J' FROM;\n", @r#"
    exit 4: 2.sql:2:19: near ";": syntax error (rolled back)
    2 | SELECT '·[2J' FROM;
      |                   ^
    "#;
    long_line: format!("SELECT {}, nowhere, {};", "1, ".repeat(2000), "2, ".repeat(2000)), @r#"
    exit 4: 2.sql:1:6008: near ",": syntax error (rolled back)
    1 | …, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, , nowhere, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, …
      |                                                                                  ^
    "#;
    deeply_nested: format!("SELECT {}1{};", "(".repeat(5000), ")".repeat(5000)), @r"
    exit 4: 2.sql:1:1: Recursion limit (rolled back)
    1 | SELECT (((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((…
      | ^
    ";
    incomplete: "CREATE TABLE b (x", @r"
    exit 4: 2.sql:1:18: incomplete input (rolled back)
    1 | CREATE TABLE b (x
      |                  ^
    hint: something is missing before the end of the statement, for instance a closing parenthesis
    ";
    detach: "DETACH DATABASE main;", @r"
    exit 3: 2.sql:1:1: a migration changes one database only
    1 | DETACH DATABASE main;
      | ^
    hint: do this in the program, not in a migration
    ";
    schema_by_hand: "DELETE FROM sqlite_schema;", @r"
    exit 4: 2.sql:1:1: table sqlite_master may not be modified (rolled back)
    1 | DELETE FROM sqlite_schema;
      | ^
    ";
    alter_type: "ALTER TABLE a ALTER COLUMN x TYPE INTEGER;", @r#"
    exit 4: 2.sql:1:30: near "TYPE": syntax error (rolled back)
    1 | ALTER TABLE a ALTER COLUMN x TYPE INTEGER;
      |                              ^
    hint: what ALTER TABLE cannot do is done by a new table: create it, copy with INSERT … SELECT, drop the old, rename the new
    "#;
    second_file_cut: "INSERT INTO a VALUES (1, 'x')\nINSERT INTO a VALUES (2, 'y');", @r#"
    exit 4: 2.sql:2:1: near "INSERT": syntax error (rolled back)
    2 | INSERT INTO a VALUES (2, 'y');
      | ^
    "#;
    parameter: "UPDATE a SET x = :name;", @r"
    exit 3: 2.sql:1:18: the parameter :name has no value here and would be NULL
    1 | UPDATE a SET x = :name;
      |                  ^
    hint: write the value
    ";
    merge_conflict: "CREATE TABLE b (x\n<<<<<<< HEAD\n);\n", @r"
    exit 3: 2.sql:2:1: a merge conflict that was not resolved
    2 | <<<<<<< HEAD
      | ^
    hint: resolve it
    ";
    undo_half: "-- migrate:up\nCREATE TABLE b (x);\n-- migrate:down\nDROP TABLE b;", @r"
    exit 3: 2.sql:3:1: this file also holds the statements that undo it
    3 | -- migrate:down
      | ^
    hint: keep the part that applies; undoing is a new file or a restored backup
    ";
    unknown_directive: "-- migrate: no-transactions\nCREATE TABLE b (x);", @r"
    exit 3: 2.sql:1:1: unknown directive no-transactions
    1 | -- migrate: no-transactions
      | ^
    hint: known are: no-transaction, own-transaction, allow contract, allow-writable-schema, empty-ok
    ";
    late_directive: "CREATE TABLE b (x);\n-- migrate: no-transaction\nVACUUM;", @r"
    exit 3: 2.sql:2:1: the directive no-transaction must stand before the first statement
    2 | -- migrate: no-transaction
      | ^
    hint: move the line to the top of the file
    ";
    other_dialect: "CREATE TABLE b (x DEFAULT (now()));\nINSERT INTO b DEFAULT VALUES;", @r"
    exit 4: 2.sql:2:1: unknown function: now() (rolled back)
    2 | INSERT INTO b DEFAULT VALUES;
      | ^
    hint: SQLite writes now() as CURRENT_TIMESTAMP or datetime('now')
    ";
    load_extension: "SELECT load_extension('x');", @r"
    exit 3: 2.sql:1:8: loading extensions is not allowed in a migration
    1 | SELECT load_extension('x');
      |        ^
    hint: load it in the program
    ";
}

#[test]
fn what_only_looks_hostile_applies() {
    let env = Env::new();
    env.file(
        "1.sql",
        "\u{feff}CREATE TABLE a (\r\n  x DEFAULT 'COMMIT; -- not'\r\n);\r\n",
    );
    env.file("2.sql", "SAVEPOINT s; INSERT INTO a DEFAULT VALUES; ROLLBACK TO s; RELEASE s; SELECT 'a' || char(13)");
    env.file("3.sql", "-- migrate: empty-ok\n");
    env.file("4.sql", "PRAGMA foreign_keys = ON; PRAGMA user_version = 4; PRAGMA foreign_key_check; INSERT INTO a VALUES ('-- migrate: nonsense\n.read x\n')");
    env.file("5.sql", "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT CASE WHEN 1 THEN 2 END; END; CREATE VIRTUAL TABLE f USING fts4(x);");
    env.file(
        "6.sql",
        "INSERT INTO f VALUES ('naïve'); ALTER TABLE a RENAME TO b; ANALYZE; REINDEX",
    );
    env.apply().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(env.value("SELECT count(*) FROM b"), "1");
    assert_eq!(env.value("PRAGMA user_version"), "4");
}

#[test]
fn sets_of_files_that_would_be_skipped_or_doubled_are_refused() {
    let found = |make: &dyn Fn(&Env)| {
        let env = Env::new();
        make(&env);
        migrate::discover(&env.dir(), None)
            .map(|files| files.into_iter().map(|file| file.name).collect::<Vec<_>>())
            .map_err(|error| error.message())
    };
    assert_eq!(
        found(&|env| {
            env.file("a.sql~", "x")
                .file(".#a.sql", "x")
                .file("README.md", "x")
                .file("1.sql", "x");
        }),
        Ok(vec!["1.sql".to_owned()])
    );
    assert_eq!(
        found(&|env| {
            env.file("A.sql", "x").file("a.sql", "x");
        }),
        Err("a.sql differs only in case (A.sql)".to_owned())
    );
    assert_eq!(
        found(&|env| {
            env.file("1.SQL", "x");
        }),
        Err("1.SQL does not end in lower-case .sql".to_owned())
    );
    assert_eq!(
        found(&|env| {
            env.file("1.sql/x.txt", "x");
        }),
        Err("1.sql is a folder with the name of a file".to_owned())
    );
    let outside = found(&|env| {
        let target = env.folder.path().join("elsewhere.sql");
        fs_err::write(&target, "x").expect("a file");
        std::os::unix::fs::symlink(target, env.dir().join("1.sql")).expect("a link");
    });
    assert!(outside.is_err_and(|message| message.contains("outside the folder")));
    let doubled = migrate::Migrator::new(
        "x.db",
        vec![
            MigrationFile::new("1.sql", "x"),
            MigrationFile::new("1.sql", "y"),
        ],
    )
    .status();
    assert_eq!(
        doubled.map(|_| ()).map_err(|error| error.message()),
        Err("1.sql appears twice (1.sql)".to_owned())
    );
}
