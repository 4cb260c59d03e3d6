//! Three real projects' migrations, on an empty and on a populated database: the same schema and the same rows as
//! when SQLite runs the files one after the other with foreign keys off.

use crate::command::run;
use crate::env::{Env, dump, tables};
use crate::sets::{compare, populate};
use migrate::{MigrationFile, Migrator};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the sets are, next to a checkout that has them; data that is not part of this project.
#[expect(clippy::print_stdout, reason = "a skipped test says why")]
fn set(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/samples/migrations")
        .join(name);
    if !path.is_dir() {
        println!("skipped: the sample set {name} is not on this machine");
        return None;
    }
    Some(path)
}

/// The files in their numbered order, under the names their project gave them.
fn files(set: &Path, keep_numbers: bool) -> Vec<MigrationFile> {
    let names = fs_err::read_to_string(set.join("NAMES.tsv")).expect("the names");
    let mut numbered: Vec<PathBuf> = fs_err::read_dir(set)
        .expect("the set")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    numbered.sort();
    let name = |path: &Path| {
        let number = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let named = names.lines().find_map(|line| {
            line.strip_prefix(&number)?
                .trim()
                .split('\t')
                .next()
                .map(str::to_owned)
        });
        named.filter(|_| !keep_numbers).unwrap_or(number)
    };
    numbered
        .iter()
        .map(|path| MigrationFile::new(name(path), fs_err::read(path).expect("a file")))
        .collect()
}

/// Puts a directive at the top of the file whose name contains `part`.
fn say(files: &mut [MigrationFile], part: &str, directive: &str) {
    let file = files
        .iter_mut()
        .find(|file| file.name.contains(part))
        .expect("the file");
    file.text = [format!("-- migrate: {directive}\n").as_bytes(), &file.text].concat();
}

/// Without that, a populated database is left as it is.
fn refuses_to_lose(files: &[MigrationFile], split: usize, what: &str) {
    let env = Env::new();
    let migrator = |files: &[MigrationFile]| Migrator::new(env.database(), files.to_vec());
    migrator(&files[..split]).apply().expect("the first part");
    populate(&env.open());
    let before = dump(&env.open());
    let error = migrator(files).apply().expect_err("rows would be lost");
    assert!(error.to_string().contains(what), "{error}");
    assert_eq!(dump(&env.open()), before);
}

#[test]
fn a_set_full_of_table_rebuilds_keeps_every_child_row() {
    let Some(set) = set("pingvin-share") else {
        return;
    };
    let mut files = files(&set, false);
    compare(None, &files, 0, |migrator| migrator);
    refuses_to_lose(&files, 1, "RefreshToken has 3 rows before and 0 after");
    // One file of its past makes a table anew without its rows, and has to say so.
    say(&mut files, "v0_5_1", "allow contract");
    for split in [1, 13, 20] {
        compare(None, &files, split, |migrator| migrator);
    }
}

#[test]
fn a_set_that_renames_the_old_tables_away_applies() {
    let Some(set) = set("memos") else { return };
    let mut files = files(&set, false);
    compare(None, &files, 0, |migrator| migrator);
    refuses_to_lose(&files, 45, "copies some of them, with JOIN");
    // Its last rebuild leaves out rows that have no partner, and has to say so.
    say(&mut files, "reaction_memo_id", "allow contract");
    for split in [5, 25, 45] {
        compare(None, &files, split, |migrator| migrator);
    }
}

#[test]
fn the_order_of_a_versioned_set_has_to_be_chosen() {
    let Some(set) = set("memos") else { return };
    let env = Env::new();
    let files = files(&set, false);
    for file in &files {
        env.file(&file.name, &file.text);
    }
    let refused = migrate::discover(&env.dir(), None)
        .map(|files| files.len())
        .map_err(|error| error.to_string());
    insta::assert_snapshot!(refused.expect_err("ambiguous"), @r"
    the order is ambiguous: by bytes store/migration/sqlite/0.19/00__add_resource_name.sql comes before store/migration/sqlite/0.2/00__user_role.sql, by number after it
    hint: say --order natural or --order bytes, or pad the numbers to one width
    ");
    let found: Vec<String> = env.discover().into_iter().map(|file| file.name).collect();
    let wanted: Vec<String> = files.into_iter().map(|file| file.name).collect();
    // The base schema has no name in the list and sorts by its number.
    assert_eq!(found[1..], wanted[1..]);
}

#[test]
fn a_set_with_its_own_transactions_applies_to_the_database_it_began_with() {
    let Some(set) = set("uptime-kuma") else {
        return;
    };
    let mut files = files(&set, true);
    let refused = Migrator::new("never-opened.db", files.clone())
        .dry_run()
        .map(|plan| plan.files.len());
    assert_eq!(refused.map_err(|error| error.exit_code()), Err(3));
    // The one file that edits the schema by hand has to say so.
    say(&mut files, "054", "allow-writable-schema");
    for split in [0, 20, 53] {
        compare(Some(&set.join("base.db")), &files, split, |migrator| {
            migrator.own_transaction(true)
        });
    }
}

/// Half of the files, rows in every table, the rest: all by the program, each set from the state its project began with.
#[test]
fn the_sets_apply_through_the_command_line() {
    let sets: [(&str, &str, &[&str]); 3] = [
        ("pingvin-share", "v0_5_1", &[]),
        ("memos", "reaction_memo_id", &["--order", "natural"]),
        ("uptime-kuma", "054", &["--own-transaction"]),
    ];
    for (name, part, flags) in sets {
        let Some(set) = set(name) else { return };
        let own_names = name != "uptime-kuma";
        let mut files = files(&set, !own_names);
        let env = Env::new();
        match name {
            "uptime-kuma" => {
                say(&mut files, part, "allow-writable-schema");
                fs_err::write(
                    env.database(),
                    fs_err::read(set.join("base.db")).expect("the base"),
                )
                .expect("a copy");
            }
            "memos" => {
                let base = files.remove(0);
                env.sql(&String::from_utf8(base.text).expect("UTF-8"));
            }
            _ => {}
        }
        let half = files.len() / 2;
        let apply = |files: &[MigrationFile]| {
            for file in files {
                env.file(&file.name, &file.text);
            }
            let output = run(&env, flags);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{name}: {said}");
        };
        apply(&files[..half]);
        populate(&env.open());
        let rows = || {
            let mut rows: BTreeMap<String, usize> = BTreeMap::new();
            for line in dump(&env.open()) {
                let table = line.split(": ").next().unwrap_or_default();
                *rows.entry(table.to_owned()).or_default() += 1;
            }
            rows
        };
        let before = rows();
        apply(&files[half..]);
        let (after, there) = (rows(), tables(&env.open()));
        for (table, rows) in &before {
            // One file copies settings by name, each with a WHERE, so those that this test has invented are left behind.
            if there.contains(table) && table != "Config" {
                assert!(
                    after.get(table) >= Some(rows),
                    "{name}: {table} had {rows} rows"
                );
            }
        }
        let answer = run(&env, &[&["--verify", "--json"], flags].concat());
        assert!(
            String::from_utf8_lossy(&answer.stdout).contains("\"outcome\":\"up_to_date\""),
            "{name}: {}",
            String::from_utf8_lossy(&answer.stdout)
        );
    }
}
