//! Reads a folder of migration files, and refuses whatever would be skipped, doubled or ordered by accident.

use crate::error::{Doing as _, Error};
use crate::source::MigrationFile;
use std::cmp::Ordering;
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

/// Reads all `*.sql` files under `dir`, in order.
///
/// Left out are hidden files, folders that are a Rust package, and the `down` half of an up-and-down pair. Without an
/// `order`, a set whose byte order and natural order differ is refused.
///
/// # Errors
/// [`Error::Files`] for a set that cannot be trusted, [`Error::File`] for what cannot be read.
pub fn discover(dir: &Path, order: Option<Order>) -> Result<Vec<MigrationFile>, Error> {
    let mut names = Vec::new();
    let root = fs_err::canonicalize(dir).doing(|| "find the migrations folder".to_owned())?;
    walk(&root, &root, "", 0, &mut names)?;
    let names = without_down_halves(&names)?;
    let names = sorted(names, order)?;
    refuse_clashes(names.iter().map(String::as_str))?;
    names
        .into_iter()
        .map(|name| {
            let text = fs_err::read(root.join(&name)).doing(|| "read a migration".to_owned())?;
            Ok(MigrationFile { name, text })
        })
        .collect()
}

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
        let is_sql = Path::new(&name)
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("sql"));
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
            if !path.join("Cargo.toml").exists() {
                walk(root, &path, &format!("{key}/"), depth + 1, names)?;
            }
        } else if !name.ends_with(".sql") {
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

/// Drops `x.down.sql` beside `x.up.sql` and `down.sql` beside `up.sql`: undoing is a new file or a restore, never a run
/// of both halves.
fn without_down_halves(names: &[String]) -> Result<Vec<String>, Error> {
    let mut kept = Vec::with_capacity(names.len());
    for name in names {
        let stem = name
            .strip_suffix("down.sql")
            .filter(|stem| stem.is_empty() || stem.ends_with(['.', '/']));
        match stem {
            None => kept.push(name.clone()),
            Some(stem)
                if names.contains(&format!("{stem}up.sql"))
                    || (stem.ends_with('.') && names.contains(&format!("{stem}sql"))) => {}
            Some(_) => {
                return Err(files(
                    format!("{name} is a down file without its up file"),
                    "rename it if it is meant to be applied",
                ));
            }
        }
    }
    Ok(kept)
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
    fn down_halves_are_left_out_only_beside_their_up_half() {
        let keep = |names: &[&str]| {
            without_down_halves(
                &names
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect::<Vec<_>>(),
            )
            .map_err(|error| error.message())
        };
        assert_eq!(
            keep(&[
                "1_a.down.sql",
                "1_a.up.sql",
                "2/down.sql",
                "2/up.sql",
                "3_shutdown.sql"
            ]),
            Ok(vec![
                "1_a.up.sql".into(),
                "2/up.sql".into(),
                "3_shutdown.sql".into()
            ])
        );
        assert_eq!(
            keep(&["1_a.down.sql"]),
            Err("1_a.down.sql is a down file without its up file".to_owned())
        );
    }

    #[test]
    fn names_that_differ_only_in_case_clash() {
        assert!(refuse_clashes(["a.sql", "b.sql"].into_iter()).is_ok());
        let clash = refuse_clashes(["a.sql", "A.sql"].into_iter()).map_err(|error| error.message());
        assert_eq!(clash, Err("A.sql differs only in case (a.sql)".to_owned()));
    }
}
