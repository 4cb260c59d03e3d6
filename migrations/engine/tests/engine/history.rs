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
    exit 3: changed after being applied: 1.sql (applied with sha256 5d4dfde3b9ddf0a46b24120bb95e8ec12aaf6782f4c94912c492152df44fac27, is now 7e5a2ce4c9984645bc6f877304398a6767bd82a507291e24f807ecb47aec944c)
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
    exit 3: applied to this database, but missing from the folder: 1.sql (applied with sha256 5d4dfde3b9ddf0a46b24120bb95e8ec12aaf6782f4c94912c492152df44fac27)
    hint: put the file back (`git log --diff-filter=D -- <file>` finds it); if it is gone for good, `migrate --repair` retires its row
    ");
    env.file("3_renamed.sql", "CREATE TABLE a (x);");
    insta::assert_snapshot!(env.error(), @r"
    exit 3: applied to this database, but missing from the folder: 1.sql (applied with sha256 5d4dfde3b9ddf0a46b24120bb95e8ec12aaf6782f4c94912c492152df44fac27)
    hint: the name is the key, and the same text is there under another one: rename 3_renamed.sql back to 1.sql
    ");
    fs_err::remove_file(env.dir().join("3_renamed.sql")).expect("removed");
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
        .file("2.sql", "-- rows\nINSERT INTO a VALUES (1);")
        .file("3.sql", "CREATE TABLE c (x);");
    env.sql("CREATE TABLE a (x)");
    let refusal = |env: &Env| match env.migrator().baseline("auto") {
        Ok(baseline) => format!("recorded {:?}", baseline.recorded),
        Err(error) => format!("exit {}: {error}", error.exit_code()),
    };
    insta::assert_snapshot!(refusal(&env), @r"
    exit 3: the schema is the same after 1.sql and after 2.sql
      2.sql:2: INSERT INTO a VALUES (1);
    hint: what differs is in the rows: look whether the statements above have run, and name the last file that is applied: --baseline FILE
    ");
    env.sql("DROP TABLE a; CREATE TABLE a (x, own); CREATE INDEX extra ON a (x)");
    insta::assert_snapshot!(refusal(&env), @r"
    exit 3: no file leaves this schema; nearest is 1.sql, which differs in:
      in the database: CREATE INDEX extra ON a (x)
      in the database: CREATE TABLE a (x, own)
      after 1.sql: CREATE TABLE a (x)
    hint: make the database agree, or, if the difference does not matter, name the last applied file: --baseline 1.sql
    ");
    env.file("2.sql", "SELECT x FROM missing;");
    env.sql("DROP TABLE a");
    insta::assert_snapshot!(refusal(&env), @r"
    exit 3: the database has no tables
    hint: an empty database needs no baseline: apply the files
    ");
    env.sql("CREATE TABLE b (x)");
    env.file("1.sql", "ALTER TABLE b ADD COLUMN y;");
    insta::assert_snapshot!(refusal(&env), @r"
    exit 3: no file leaves this schema
      on an empty database the files stop at 1.sql:1:13: no such table: b
    hint: do these files belong to this database? If so name the last applied one: --baseline FILE
    ");
    assert_eq!(
        env.value("SELECT count(*) FROM sqlite_schema WHERE name = 'migrations'"),
        "0"
    );
}

#[test]
fn an_automatic_baseline_corrects_a_history_that_is_wrong() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);")
        .file("2.sql", "CREATE TABLE b (x);")
        .file("3.sql", "CREATE TABLE c (x);")
        .file("4.sql", "CREATE TABLE d (x);");
    // As a runner leaves it that records outside the transaction: one file too few, one too many, one twice.
    env.sql(OLD_TABLE)
        .sql("CREATE TABLE a (x); CREATE TABLE b (x); INSERT INTO a VALUES (7)")
        .sql("INSERT INTO migrations (filename) VALUES ('1.sql'), ('1.sql'), ('3.sql'), ('gone.sql')");
    assert_eq!(env.apply().map_err(|error| error.exit_code()), Err(3));
    let proposal = env.migrator().propose_baseline("auto").expect("found");
    assert_eq!(env.value("SELECT count(*) FROM migrations"), "4");
    let baseline = env.migrator().baseline("auto").expect("found");
    assert_eq!(
        (&proposal.recorded, &proposal.corrected),
        (&baseline.recorded, &baseline.corrected)
    );
    assert!(baseline.backup.is_some_and(|backup| backup.is_file()));
    insta::assert_snapshot!(format!("after {}\nrecorded {}\n{}", baseline.last, baseline.recorded.join(", "), baseline.corrected.join("\n")), @r"
    after 2.sql
    recorded 2.sql
    removed row 2 of 1.sql: the same file is recorded before
    removed row 3 of 3.sql: the schema does not have it; it is pending again
    retired gone.sql: its file is gone
    ");
    assert_eq!(env.apply().expect("the rest"), ["3.sql", "4.sql"]);
    assert_eq!(env.value("SELECT x FROM a"), "7");
}

#[test]
fn verify_looks_at_every_page_and_key() {
    let env = two_applied();
    env.sql("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id)); INSERT INTO c VALUES (1)");
    for full in [true, false] {
        let verification = if full {
            env.migrator().verify()
        } else {
            env.migrator().verify_quickly()
        };
        let verification = verification.expect("verified");
        assert_eq!(
            (
                verification.files,
                verification.damage.len(),
                verification.full
            ),
            (2, 0, full)
        );
        assert_eq!(
            verification.violations,
            ["c -> p: 1 row(s) without a parent"]
        );
    }
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

#[test]
fn a_row_that_an_index_lost_is_found_by_the_full_check_only() {
    let env = two_applied();
    env.sql("CREATE INDEX i ON a (x); INSERT INTO a VALUES (1), (2)");
    // The index points to the pages of another one that is empty: what a torn write may leave.
    env.sql("CREATE INDEX j ON b (x)");
    env.sql("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'j') WHERE name = 'i'; DELETE FROM sqlite_schema WHERE name = 'j'");
    let damage = env.migrator().verify().expect("checked").damage.join("; ");
    assert!(damage.contains("missing from index i"), "{damage}");
}

#[test]
fn rows_that_break_a_constraint_are_no_damage() {
    let env = two_applied();
    env.sql("CREATE TABLE strict_one (n INT NOT NULL CHECK (n > 0)); PRAGMA ignore_check_constraints = ON; INSERT INTO strict_one VALUES (-1)");
    env.file("3.sql", "ALTER TABLE strict_one ADD COLUMN m;");
    assert_eq!(env.apply().expect("as it was before"), ["3.sql"]);
    let verification = env.migrator().verify().expect("checked");
    assert_eq!(
        (verification.damage, verification.constraints),
        (
            Vec::new(),
            vec!["CHECK constraint failed in strict_one".to_owned()]
        )
    );
}

#[test]
fn a_history_table_needs_a_name_of_its_own() {
    let env = two_applied();
    for name in ["", "sqlite_history"] {
        let error = env
            .migrator()
            .history_table(name)
            .apply()
            .expect_err("refused");
        assert_eq!(error.exit_code(), 3, "{name:?}");
    }
    let odd = "a \"b\" ; DROP TABLE a; --";
    let migrator = |files| migrate::Migrator::new(env.database(), files).history_table(odd);
    let file = migrate::MigrationFile::new("1.sql", "CREATE TABLE odd (x);");
    migrator(vec![file.clone()]).apply().expect("quoted");
    assert_eq!(
        migrator(vec![file]).status().expect("read").pending,
        [""; 0]
    );
    assert_eq!(
        env.value("SELECT count(*) FROM sqlite_schema WHERE name IN ('a', 'odd')"),
        "2"
    );
}
