//! The history: adopted from an earlier runner, guarded against a changed past, repaired only on request.

use crate::env::Env;
use migrate::{Kind, read_history};

/// The table that hand-written runners keep.
const OLD_TABLE: &str = "CREATE TABLE migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, filename TEXT NOT NULL, executed_at DATETIME DEFAULT CURRENT_TIMESTAMP);";

fn two_applied() -> Env {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);")
        .file("2.sql", "CREATE TABLE b (x);");
    env.apply().expect("applied");
    env
}

#[test]
fn rows_say_what_when_and_with_what() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);\r\nCREATE TABLE b (x);\r\n")
        .file("2.sql", "DROP TABLE b;");
    env.migrator()
        .git_commit(Some("0123abc".to_owned()))
        .apply()
        .expect("applied");
    let rows = read_history(&env.open(), "migrations").expect("rows");
    assert_eq!(rows.len(), 2);
    let [first, second] = rows.as_slice() else {
        return;
    };
    assert_eq!(
        (
            first.filename.as_str(),
            first.statements,
            first.compatible,
            first.kind
        ),
        ("1.sql", Some(2), true, Kind::Apply)
    );
    assert_eq!(first.git_commit.as_deref(), Some("0123abc"));
    assert_eq!(
        first.sqlite_version.as_deref(),
        Some(migrate::sqlite_version())
    );
    assert_ne!(
        first.checksum, first.raw_checksum,
        "one of them is over LF line ends"
    );
    assert_eq!(first.checksum.as_ref().map(String::len), Some(64));
    assert!(!second.compatible);
    assert!(
        first.executed_at.as_ref().is_some_and(|at| at.len() == 19),
        "{first:?}"
    );
}

#[test]
fn the_three_column_table_is_adopted_where_it_stands() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);")
        .file("2.sql", "CREATE TABLE b (x);");
    env.sql(OLD_TABLE).sql("CREATE TABLE a (x); INSERT INTO a VALUES (1); INSERT INTO migrations (filename) VALUES ('1.sql')");
    assert_eq!(env.apply().expect("adopted"), ["2.sql"]);
    assert_eq!(
        env.value(
            "SELECT group_concat(filename || ':' || (checksum IS NOT NULL), ' ') FROM migrations"
        ),
        "1.sql:1 2.sql:1"
    );
    env.file("1.sql", "CREATE TABLE a (x, y);");
    insta::assert_snapshot!(env.error(), @r"
    exit 3: changed after being applied: 1.sql
    hint: put the old text back and write the change as a new file; if only a comment changed, `migrate --repair` records the new text
    ");
}

#[test]
fn adoption_alone_also_fixes_the_text() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);");
    env.sql(OLD_TABLE)
        .sql("CREATE TABLE a (x); INSERT INTO migrations (filename) VALUES ('1.sql')");
    assert_eq!(env.apply().expect("adopted"), [""; 0]);
    env.file("1.sql", "CREATE TABLE a (x, y);");
    assert_eq!(env.apply().map_err(|error| error.exit_code()), Err(3));
}

#[test]
fn a_changed_past_is_refused_with_the_way_out() {
    let env = two_applied();
    env.file("1b.sql", "CREATE TABLE c (x);");
    insta::assert_snapshot!(env.error(), @r"
    exit 3: 1b.sql is not applied, but 2.sql, which comes after it, is
    hint: rename the file so that it sorts last; if its change is already in the database, record it with `migrate --baseline <file>`
    ");
    fs_err::remove_file(env.dir().join("1b.sql")).expect("removed");
    fs_err::remove_file(env.dir().join("1.sql")).expect("removed");
    insta::assert_snapshot!(env.error(), @r"
    exit 3: applied to this database, but missing from the folder: 1.sql
    hint: put the file back (`git log --diff-filter=D -- <file>` finds it); if it is gone for good, `migrate --repair` retires its row
    ");
    let repair = env.migrator().repair().expect("repaired");
    assert_eq!(repair.actions, ["retired 1.sql: its file is gone"]);
    env.file("2.sql", "CREATE TABLE b (x); -- remark");
    assert_eq!(env.apply().map_err(|error| error.exit_code()), Err(3));
    assert_eq!(
        env.migrator().repair().expect("repaired").actions,
        ["recorded the present text of 2.sql"]
    );
    assert_eq!(env.apply().expect("agreed"), [""; 0]);
    assert_eq!(
        env.migrator().repair().expect("nothing to do").actions,
        [""; 0]
    );
}

#[test]
fn doubled_rows_of_a_race_are_refused_and_repaired() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);");
    env.sql(OLD_TABLE)
        .sql("CREATE TABLE a (x); INSERT INTO migrations (filename) VALUES ('1.sql'), ('1.sql')");
    insta::assert_snapshot!(env.error(), @r"
    exit 3: recorded more than once in the history: 1.sql
    hint: two runners without a lock raced here once; `migrate --repair` keeps the first row of each
    ");
    let actions = env.migrator().repair().expect("repaired").actions;
    assert_eq!(
        actions,
        [
            "recorded the present text of 1.sql",
            "removed row 2 of 1.sql: the same file is recorded before"
        ]
    );
    assert_eq!(env.apply().expect("fine"), [""; 0]);
}

#[test]
fn a_table_of_that_name_that_is_no_history_is_left_alone() {
    let env = Env::new();
    env.file("1.sql", "ALTER TABLE migrations ADD COLUMN z;");
    env.sql("CREATE TABLE migrations (bird TEXT)");
    insta::assert_snapshot!(env.error(), @r"
    exit 3: the table migrations has the columns bird, so it is not a history of migrations
    hint: name another table with --history-table
    ");
    let report = env
        .migrator()
        .history_table("schema_history")
        .apply()
        .expect("another name");
    assert_eq!(report.applied.len(), 1);
    assert_eq!(env.value("SELECT filename FROM schema_history"), "1.sql");
}

#[test]
fn a_baseline_records_without_running() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);")
        .file("2.sql", "CREATE TABLE b (x);")
        .file("3.sql", "CREATE TABLE c (x);");
    env.sql("CREATE TABLE a (x); CREATE TABLE b(  x  ) /* by hand */; CREATE TABLE _prisma_migrations (id)");
    let baseline = env.migrator().baseline("2.sql").expect("recorded");
    assert_eq!(baseline.recorded, ["1.sql", "2.sql"]);
    assert_eq!(env.apply().expect("the rest"), ["3.sql"]);
    assert!(env.migrator().baseline("9.sql").is_err());
}

#[test]
fn an_automatic_baseline_finds_the_file_by_its_schema() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);")
        .file("2.sql", "ALTER TABLE a ADD COLUMN y;")
        .file("3.sql", "CREATE TABLE c (x);");
    env.sql(
        "create table A (X, y); CREATE TABLE _prisma_migrations (id); INSERT INTO a VALUES (1, 2)",
    );
    assert_eq!(
        env.migrator().baseline("auto").expect("found").recorded,
        ["1.sql", "2.sql"]
    );
    assert_eq!(env.apply().expect("the rest"), ["3.sql"]);
}

#[test]
fn an_automatic_baseline_does_not_guess() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);")
        .file("2.sql", "INSERT INTO a VALUES (1);")
        .file("3.sql", "CREATE TABLE c (x);");
    env.sql("CREATE TABLE a (x)");
    let ambiguous = env
        .migrator()
        .baseline("auto")
        .map(|baseline| baseline.recorded)
        .map_err(|error| error.message());
    assert_eq!(
        ambiguous,
        Err(
            "the schema is the same after 1.sql and after 2.sql: files between change rows only"
                .to_owned()
        )
    );
    env.sql("DROP TABLE a; CREATE TABLE a (x, own)");
    let unknown = env
        .migrator()
        .baseline("auto")
        .map(|baseline| baseline.recorded)
        .map_err(|error| error.message());
    assert_eq!(
        unknown,
        Err(
            "no file leaves this schema; nearest is 1.sql with 2 definition(s) that differ"
                .to_owned()
        )
    );
    assert_eq!(
        env.value("SELECT count(*) FROM sqlite_schema WHERE name = 'migrations'"),
        "0"
    );
}

#[test]
fn verify_looks_at_every_page_and_key() {
    let env = two_applied();
    env.sql("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id)); INSERT INTO c VALUES (1)");
    let verification = env.migrator().verify().expect("verified");
    assert_eq!((verification.files, verification.damage.len()), (2, 0));
    assert_eq!(
        verification.violations,
        ["c -> p: 1 row(s) without a parent"]
    );
}

#[test]
fn an_older_release_starts_on_a_newer_compatible_schema_only() {
    let env = two_applied();
    let old = |env: &Env| {
        migrate::Migrator::new(env.database(), env.discover()[..1].to_vec())
            .allow_newer(true)
            .apply()
            .map(|report| report.applied.len())
    };
    assert_eq!(old(&env).expect("compatible"), 0);
    env.file("3.sql", "DROP TABLE a;");
    env.apply().expect("applied");
    let error = old(&env).expect_err("not compatible");
    insta::assert_snapshot!(format!("{error}"), @r"
    the database is newer than this release, and not compatible with it: 3.sql
    hint: deploy the release that has these files, or restore the backup that was made before them
    ");
}
