//! Folders as other tools lay them out: found, ordered and applied whole, and on a populated database every row is kept.
//! The files are made here, of the kinds of statements and with the habits of each tool's users.

use crate::env::Env;
use crate::sets::compare;
use migrate::{Migrator, Order, look_into};

/// Steps of a history that ends with rebuilt tables, renamed columns, triggers, views and a full-text index.
const STEPS: usize = 63;

/// The statements of one step. Steps come in groups of seven about a parent and a child table of their own.
fn step(number: usize) -> Vec<String> {
    let k = number / 7;
    let group = match number % 7 {
        0 => vec![
            format!(
                "CREATE TABLE \"p{k}\" (\"id\" INTEGER PRIMARY KEY, \"name\" TEXT NOT NULL DEFAULT '')"
            ),
            format!(
                "CREATE TABLE c{k} (id INTEGER PRIMARY KEY, p_id INTEGER NOT NULL, note TEXT, FOREIGN KEY (p_id) REFERENCES p{k} (id) ON DELETE CASCADE)"
            ),
        ],
        1 => vec![format!(
            "ALTER TABLE `p{k}` ADD COLUMN `size` INTEGER DEFAULT 0 NOT NULL"
        )],
        2 => vec![
            format!("CREATE INDEX IF NOT EXISTS c{k}_by_parent ON c{k} (p_id) /* ; */"),
            format!(
                "CREATE VIEW v{k} AS SELECT p.name, c.note FROM c{k} AS c JOIN p{k} AS p ON p.id = c.p_id"
            ),
        ],
        3 => vec![
            format!("INSERT INTO p{k} (id, name) VALUES (1000, 'größer; \"später\" -- 後')"),
            format!("UPDATE p{k} SET name = upper(name) WHERE size = 0"),
        ],
        4 => vec![
            format!("DROP VIEW v{k}"),
            format!(
                "CREATE TABLE __new_p{k} (id INTEGER PRIMARY KEY, size INTEGER DEFAULT 0 NOT NULL, name TEXT)"
            ),
            format!(
                "INSERT INTO __new_p{k} (\"id\", \"size\", \"name\") SELECT \"id\", \"size\", \"name\" FROM p{k}"
            ),
            format!("DROP TABLE p{k}"),
            format!("ALTER TABLE __new_p{k} RENAME TO p{k}"),
        ],
        5 => vec![
            format!(
                "CREATE TRIGGER t{k} AFTER UPDATE OF name ON p{k} BEGIN UPDATE c{k} SET note = 'x;y' WHERE p_id = NEW.id; SELECT CASE WHEN NEW.id THEN 1 END; END"
            ),
            format!("CREATE VIRTUAL TABLE f{k} USING fts4 (body, tokenize=unicode61)"),
            format!("INSERT INTO f{k} (body) VALUES ('some words')"),
        ],
        _ => vec![
            format!("ALTER TABLE c{k} RENAME TO old_c{k}"),
            format!(
                "CREATE TABLE c{k} (id INTEGER PRIMARY KEY, remark TEXT, p_id INTEGER NOT NULL REFERENCES p{k} (id) ON DELETE CASCADE)"
            ),
            format!("INSERT INTO c{k} (id, remark, p_id) SELECT id, note, p_id FROM old_c{k}"),
            format!("DROP TABLE old_c{k}"),
        ],
    };
    // The trigger names a column that the last step renames.
    if number % 7 == 6 {
        return std::iter::once(format!("DROP TRIGGER t{k}"))
            .chain(group)
            .collect();
    }
    group
}

/// A tool's habits: where the n-th file lies, and how its statements are written down.
struct Layout {
    name: fn(usize) -> String,
    text: fn(usize) -> String,
    /// Files beside it that must not be applied.
    beside: fn(usize) -> Vec<(String, &'static str)>,
    order: Option<Order>,
    own_transaction: bool,
}

const NO_OTHERS: fn(usize) -> Vec<(String, &'static str)> = |_| Vec::new();

fn check(layout: &Layout) {
    let env = Env::new();
    let names: Vec<String> = (0..STEPS).map(layout.name).collect();
    // Written in another order than they are applied in.
    for number in (0..STEPS).rev() {
        env.file(&names[number], (layout.text)(number));
        for (name, text) in (layout.beside)(number) {
            env.file(&name, text);
        }
    }
    let found = look_into(&env.dir(), layout.order).expect("a readable folder");
    let keys: Vec<&String> = found.files.iter().map(|file| &file.name).collect();
    assert_eq!(keys, names.iter().collect::<Vec<_>>());
    let tune = |migrator: Migrator| migrator.own_transaction(layout.own_transaction);
    for split in [0, 11, STEPS / 2, STEPS - 2] {
        compare(None, &found.files, split, tune);
    }
}

#[test]
fn numbered_files_with_breakpoints_and_switched_off_keys() {
    check(&Layout {
        name: |n| format!("{n:04}_quick_{}.sql", ["hawk", "2nd_owl", "wren"][n % 3]),
        text: |n| {
            let statements = step(n).join(";--> statement-breakpoint\n");
            format!(
                "PRAGMA foreign_keys=OFF;--> statement-breakpoint\n{statements};--> statement-breakpoint\nPRAGMA foreign_keys=ON;"
            )
        },
        beside: |n| {
            vec![
                (format!("meta/{n:04}_snapshot.json"), "{}"),
                ("meta/_journal.json".to_owned(), "{}"),
            ]
        },
        order: None,
        own_transaction: false,
    });
}

#[test]
fn a_folder_for_each_migration_with_both_halves() {
    check(&Layout {
        name: |n| {
            format!(
                "20{:02}-01-{:02}-120000_step/up.sql",
                18 + n / 28,
                1 + n % 28
            )
        },
        // The last statement ends with the file.
        text: |n| format!("-- Your SQL goes here\n{}", step(n).join(";\n")),
        beside: |n| {
            let folder = format!("20{:02}-01-{:02}-120000_step", 18 + n / 28, 1 + n % 28);
            vec![
                (format!("{folder}/down.sql"), "DROP TABLE everything;"),
                (
                    format!("{folder}/metadata.toml"),
                    "run_in_transaction = true",
                ),
            ]
        },
        order: None,
        own_transaction: false,
    });
}

#[test]
fn a_folder_for_each_migration_with_one_file() {
    check(&Layout {
        name: |n| format!("{}_step/migration.sql", 20_240_101_000_000_u64 + n as u64),
        text: |n| format!("-- CreateTable\n{};\n", step(n).join(";\n\n-- Custom\n")),
        beside: |_| vec![("migration_lock.toml".to_owned(), "provider = \"sqlite\"")],
        order: None,
        own_transaction: false,
    });
}

#[test]
fn numbers_without_padding_up_and_down() {
    check(&Layout {
        name: |n| format!("{}_step.up.sql", n + 1),
        text: |n| {
            format!(
                "BEGIN TRANSACTION;\r\n{};\r\nCOMMIT;\r\n",
                step(n).join(";\r\n")
            )
        },
        beside: |n| vec![(format!("{}_step.down.sql", n + 1), "DROP TABLE everything;")],
        order: Some(Order::Natural),
        own_transaction: true,
    });
}

#[test]
fn timestamps_with_comments_in_other_scripts() {
    check(&Layout {
        name: |n| format!("{}_überarbeitet.sql", 20_240_101_000_000_u64 + 7 * n as u64),
        text: |n| {
            format!(
                "\u{feff}-- Änderung № {n}: 変更; don't split here\n\n/* «комментарий»; */\n{} ;\n-- Ende",
                step(n).join("\n; ")
            )
        },
        beside: NO_OTHERS,
        order: None,
        own_transaction: false,
    });
}

#[test]
fn version_folders_with_shared_numbers_and_letters() {
    check(&Layout {
        // Four files a version: 01, 02, 02a and 02b.
        name: |n| {
            format!(
                "delta/{}/{}_step.sql{}",
                7 + n / 4,
                ["01", "02", "02a", "02b"][n % 4],
                if n % 5 == 0 { ".sqlite" } else { "" }
            )
        },
        text: |n| {
            format!(
                "/* Copyright; nobody */\n\n{}",
                step(n).join(";\n-- and then\n")
            )
        },
        beside: |n| {
            vec![
                (
                    format!("delta/{}/01_step.sql.postgres", 7 + n / 4),
                    "CREATE EXTENSION x;",
                ),
                (format!("delta/{}/03_step.py", 7 + n / 4), "def run(): pass"),
            ]
        },
        order: Some(Order::Natural),
        own_transaction: false,
    });
}

#[test]
fn versions_that_close_the_runners_transaction_for_a_moment() {
    check(&Layout {
        name: |n| format!("{n:04}_step.sql"),
        text: |n| {
            format!(
                "COMMIT TRANSACTION;\nPRAGMA foreign_keys = OFF;\nBEGIN TRANSACTION;\n{};\nCOMMIT TRANSACTION;\nPRAGMA foreign_keys = ON;\nBEGIN TRANSACTION;",
                step(n).join(";\n")
            )
        },
        beside: NO_OTHERS,
        order: Some(Order::Bytes),
        own_transaction: true,
    });
}
