//! Reads a folder of migration files, and refuses whatever would be skipped, doubled or ordered by accident.

use crate::error::{Doing as _, Error};
use crate::source::MigrationFile;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;

/// How keys are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Byte by byte: `10.sql` before `2.sql`.
    Bytes,
    /// Runs of digits as numbers: `2.sql` before `10.sql`, and `0.2/` before `0.10/`.
    Natural,
}

/// Folders inside folders are followed this far; real trees have one or two levels.
const DEPTH_MAX: usize = 8;
/// What a folder that is one migration calls its statements.
const IN_FOLDER: [&str; 2] = ["migration.sql", "up.sql"];
/// Endings of files that are applied. The second is how projects that support several databases name this one's.
const ENDINGS: [&str; 2] = [".sql", ".sql.sqlite"];

/// What a folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// The migrations, in order.
    pub files: Vec<MigrationFile>,
    /// Other files and folders with SQL in them, which are no migrations: said so that nobody thinks they were applied.
    pub ignored: Vec<String>,
}

/// Reads the migrations in `dir`, in order.
///
/// A migration is a `*.sql` file; or a folder with a `migration.sql` or an `up.sql`; or a file in a folder whose name is a
/// version (`0.2/`, `v15/`, `2024/`). The key is the path below `dir`. All other folders are left out, and so are `*.down.sql`,
/// hidden files, and other files of a folder that is one migration. Without an `order`, a set whose byte order and natural
/// order differ is refused.
///
/// # Errors
/// [`Error::Files`] for a set that cannot be trusted, [`Error::File`] for what cannot be read.
pub fn discover(dir: &Path, order: Option<Order>) -> Result<Vec<MigrationFile>, Error> {
    look_into(dir, order).map(|found| found.files)
}

/// As [`discover`], and says what it left out.
///
/// # Errors
/// As [`discover`].
pub fn look_into(dir: &Path, order: Option<Order>) -> Result<Discovery, Error> {
    if !dir.is_dir() {
        return Err(files(
            format!("there is no folder {}", dir.display()),
            "name the one with the migrations: --dir DIR",
        ));
    }
    let root = fs_err::canonicalize(dir).doing(|| "find the migrations folder".to_owned())?;
    let mut names = Vec::new();
    walk(&root, &root, "", 0, &mut names)?;
    let (names, mut ignored) = chosen(&names)?;
    ignored.sort();
    let names = sorted(names, order)?;
    refuse_clashes(names.iter().map(String::as_str))?;
    let read = |name: String| {
        let text = fs_err::read(root.join(&name)).doing(|| "read a migration".to_owned())?;
        Ok(MigrationFile { name, text })
    };
    Ok(Discovery {
        files: names.into_iter().map(read).collect::<Result<_, Error>>()?,
        ignored,
    })
}

/// The paths of all SQL files.
fn walk(
    root: &Path,
    dir: &Path,
    prefix: &str,
    depth: usize,
    names: &mut Vec<String>,
) -> Result<(), Error> {
    if depth > DEPTH_MAX {
        return Err(files(
            format!("{prefix} is nested more than {DEPTH_MAX} folders deep"),
            "move the files up",
        ));
    }
    for entry in fs_err::read_dir(dir).doing(|| "list the migrations folder".to_owned())? {
        let entry = entry.doing(|| "list the migrations folder".to_owned())?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            return Err(files(
                format!("the file name {:?} is not UTF-8", entry.file_name()),
                "rename it: the name is the key in the history",
            ));
        };
        let path = entry.path();
        let lower = name.to_lowercase();
        let is_sql = ENDINGS.iter().any(|ending| lower.ends_with(ending));
        let file_type = entry.file_type().doing(|| format!("inspect {name}"))?;
        let is_folder = file_type.is_dir() || file_type.is_symlink() && path.is_dir();
        if name.starts_with('.') || !(is_sql || is_folder) {
            // An editor's lock `.#a.sql` and backup `a.sql~` fall out here: neither is a visible name that ends in .sql.
            continue;
        }
        let key = format!("{prefix}{name}");
        if file_type.is_symlink() {
            let target = fs_err::canonicalize(&path).doing(|| format!("follow the link {key}"))?;
            if !target.starts_with(root) {
                return Err(files(
                    format!(
                        "{key} is a link to {}, outside the folder",
                        target.display()
                    ),
                    "copy the file in: what was applied must be what is committed",
                ));
            }
        }
        if is_folder {
            if is_sql {
                return Err(files(
                    format!("{key} is a folder with the name of a file"),
                    "rename the folder",
                ));
            }
            walk(root, &path, &format!("{key}/"), depth + 1, names)?;
        } else if !ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            return Err(files(
                format!("{key} does not end in lower-case .sql"),
                "rename it: on other systems it would be another file",
            ));
        } else {
            names.push(key);
        }
    }
    Ok(())
}

/// Tells the migrations from everything else: both by path, the second only as far as somebody might take it for one.
fn chosen(names: &[String]) -> Result<(Vec<String>, Vec<String>), Error> {
    let folder = |name: &str| name.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let is_entry = |name: &str| {
        let file = name.rsplit('/').next().unwrap_or_default();
        name.contains('/') && IN_FOLDER.contains(&file)
    };
    let mut entries: BTreeMap<String, &str> = BTreeMap::new();
    for name in names.iter().filter(|name| is_entry(name)) {
        if let Some(folder) = folder(name)
            && let Some(other) = entries.insert(folder, name)
        {
            return Err(files(
                format!("{other} and {name} are both the statements of one migration"),
                "keep one of them",
            ));
        }
    }
    let (mut kept, mut ignored) = (Vec::new(), Vec::new());
    for name in names {
        let inside = ancestors(name).find(|folder| entries.contains_key(*folder));
        let down = name.rsplit('/').next() == Some("down.sql") || name.ends_with(".down.sql");
        let is_migration = match inside {
            Some(folder) => entries.get(folder) == Some(&name.as_str()),
            None => ancestors(name).next().is_none() || ancestors(name).any(is_version),
        };
        if is_migration && !down {
            kept.push(name.clone());
        } else if !down || (is_migration && !has_up_half(name, names)) {
            ignored.push(name.clone());
        }
    }
    Ok((kept, ignored))
}

/// The folders above a file, the nearest last.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').filter_map(|(at, _)| name.get(..at))
}

/// Is the last part of this path a version: `0.2`, `v15`, `2024`?
fn is_version(folder: &str) -> bool {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    let digits = name.strip_prefix(['v', 'V']).unwrap_or(name);
    digits.starts_with(|c: char| c.is_ascii_digit())
}

/// Undoing is a new file or a restore; beside its up half a down file surprises nobody.
fn has_up_half(down: &str, names: &[String]) -> bool {
    let stem = down.strip_suffix("down.sql").unwrap_or(down);
    names.contains(&format!("{stem}up.sql")) || names.contains(&format!("{stem}sql"))
}

fn sorted(mut names: Vec<String>, order: Option<Order>) -> Result<Vec<String>, Error> {
    match order {
        Some(Order::Natural) => names.sort_by(|a, b| natural(a, b)),
        Some(Order::Bytes) => names.sort(),
        None => {
            names.sort();
            let unclear = names
                .windows(2)
                .find(|pair| matches!(pair, [a, b] if natural(a, b) == Ordering::Greater));
            if let Some([first, second]) = unclear {
                return Err(files(
                    format!(
                        "the order is ambiguous: by bytes {first} comes before {second}, by number after it"
                    ),
                    "say --order natural or --order bytes, or pad the numbers to one width",
                ));
            }
        }
    }
    Ok(names)
}

/// Refuses keys that are equal, or equal but for case: one of them would vanish on another file system.
pub(crate) fn refuse_clashes<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut seen = std::collections::HashMap::new();
    for name in names {
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            let how = if other == name {
                "appears twice"
            } else {
                "differs only in case"
            };
            return Err(files(
                format!("{name} {how} ({other})"),
                "rename one of them",
            ));
        }
    }
    Ok(())
}

/// Compares runs of digits by their value and the rest by bytes; equal values fall back to bytes.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    while let (Some(x), Some(y)) = (left.first(), right.first()) {
        let step = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (digits(left), digits(right));
            let (p, q) = (significant(&left[..m]), significant(&right[..n]));
            (left, right) = (&left[m..], &right[n..]);
            p.len().cmp(&q.len()).then_with(|| p.cmp(q))
        } else {
            (left, right) = (&left[1..], &right[1..]);
            x.cmp(y)
        };
        if step != Ordering::Equal {
            return step;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn significant(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|byte| **byte == b'0').count()..]
}

fn files(message: String, hint: &str) -> Error {
    Error::Files {
        message,
        hint: hint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(names: &[&str], order: Option<Order>) -> String {
        match sorted(names.iter().map(|name| (*name).to_owned()).collect(), order) {
            Ok(names) => names.join(" "),
            Err(error) => error.message(),
        }
    }

    #[test]
    fn natural_order_counts_and_byte_order_spells() {
        let names = [
            "0.10/00.sql",
            "0.2/01.sql",
            "0.2/00.sql",
            "2.sql",
            "10.sql",
            "010a.sql",
        ];
        assert_eq!(
            order(&names, Some(Order::Natural)),
            "0.2/00.sql 0.2/01.sql 0.10/00.sql 2.sql 10.sql 010a.sql"
        );
        assert_eq!(
            order(&names, Some(Order::Bytes)),
            "0.10/00.sql 0.2/00.sql 0.2/01.sql 010a.sql 10.sql 2.sql"
        );
    }

    #[test]
    fn a_set_on_which_the_orders_differ_needs_a_choice() {
        assert_eq!(
            order(&["10.sql", "2.sql"], None),
            "the order is ambiguous: by bytes 10.sql comes before 2.sql, by number after it"
        );
        assert_eq!(
            order(&["0002.sql", "0010.sql", "0002a.sql"], None),
            "0002.sql 0002a.sql 0010.sql"
        );
    }

    #[test]
    fn migrations_are_files_folders_with_one_file_and_version_folders() {
        let choose = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            match chosen(&names) {
                Ok((kept, ignored)) => format!("{} | {}", kept.join(" "), ignored.join(" ")),
                Err(error) => error.message(),
            }
        };
        insta::assert_snapshot!([
            choose(&["1_a.down.sql", "1_a.up.sql", "3_shutdown.sql", "4_b.down.sql"]),
            choose(&["1_a/down.sql", "1_a/up.sql", "2_b/migration.sql", "2_b/data.sql", "c/up.sql"]),
            choose(&["0.2/00__a.sql", "store/v15/b.sql", "2024/01/c.sql"]),
            choose(&["1_a.sql", "archive/0_old.sql", "engine/tests/x.sql", "seeds/up/x.sql"]),
            choose(&["1_a/up.sql", "1_a/migration.sql"]),
        ].join("\n"), @r"
        1_a.up.sql 3_shutdown.sql | 4_b.down.sql
        1_a/up.sql 2_b/migration.sql c/up.sql | 2_b/data.sql
        0.2/00__a.sql store/v15/b.sql 2024/01/c.sql | 
        1_a.sql | archive/0_old.sql engine/tests/x.sql seeds/up/x.sql
        1_a/up.sql and 1_a/migration.sql are both the statements of one migration
        ");
    }

    #[test]
    fn names_that_differ_only_in_case_clash() {
        assert!(refuse_clashes(["a.sql", "b.sql"].into_iter()).is_ok());
        let clash = refuse_clashes(["a.sql", "A.sql"].into_iter()).map_err(|error| error.message());
        assert_eq!(clash, Err("A.sql differs only in case (a.sql)".to_owned()));
    }
}
