//! Makes the next migration file, numbered like the ones that are there.

use super::answer::Answer;
use crate::clock::digits;
use crate::error::{Doing as _, Error};
use crate::{Order, discover};
use std::io::Write as _;
use std::path::Path;

/// Digits of a number when the folder is empty.
const WIDTH: usize = 4;
/// A prefix of this many digits is a date and a time.
const STAMP_WIDTH: usize = 14;

const TEMPLATE: &str = "-- Why:\n\n";

pub(crate) fn create(dir: &Path, name: &str) -> Result<Answer, Error> {
    let words = words(name);
    if words.is_empty() {
        return Err(Error::Refused {
            message: format!("{name:?} has no letter and no digit to make a file name of"),
            hint: "say what it does: --new add_currency".to_owned(),
        });
    }
    let files = discover(dir, Some(Order::Natural))?;
    let numbered = |name: &&str| {
        name.trim_start_matches(['V', 'v'])
            .starts_with(|c: char| c.is_ascii_digit())
    };
    let last = files
        .iter()
        .rev()
        .map(|file| file.name.as_str())
        .find(numbered);
    let file = next(last, &words, &digits());
    let path = dir.join(&file);
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder).doing(|| "make the migration".to_owned())?;
    }
    let mut created = fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .doing(|| "make the migration".to_owned())?;
    created
        .write_all(TEMPLATE.as_bytes())
        .doing(|| format!("write {}", path.display()))?;
    Ok(Answer::created(&path, &file))
}

fn words(name: &str) -> String {
    let name: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let words = name.split('_').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// The path after `last`: numbered, and laid out, as that one is.
fn next(last: Option<&str>, words: &str, now: &str) -> String {
    let last = last.unwrap_or("0000_.sql");
    let (folder, rest) = match last.split_once('/') {
        Some((folder, file)) => (folder, Some(file)),
        None => (last, None),
    };
    let letter = folder.strip_prefix(['V', 'v']).map_or(0, |_| 1);
    let (letter, digits) = folder.split_at(letter);
    let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
    let after = folder
        .get(letter.len() + digits.len()..)
        .unwrap_or_default();
    let separator = if after.starts_with("__") { "__" } else { "_" };
    let number = match digits.len() {
        STAMP_WIDTH => now.to_owned(),
        4 if is_date(folder) => dashed(now),
        width => {
            let number = digits.parse::<u64>().unwrap_or(0) + 1;
            format!(
                "{number:0width$}",
                width = width.max(if last == "0000_.sql" { WIDTH } else { 1 })
            )
        }
    };
    let stem = format!("{letter}{number}{separator}{words}");
    match rest {
        // A folder for each migration, or a folder for each version.
        Some(file @ ("up.sql" | "migration.sql")) => format!("{stem}/{file}"),
        Some(file) => format!("{folder}/{}", next(Some(file), words, now)),
        None if last.ends_with(".up.sql") => format!("{stem}.up.sql"),
        None => format!("{stem}.sql"),
    }
}

/// `2024-05-06-…`
fn is_date(name: &str) -> bool {
    let shape = name.char_indices().take(11);
    name.len() > 11
        && shape.into_iter().all(|(at, c)| match at {
            4 | 7 | 10 => c == '-',
            _ => c.is_ascii_digit(),
        })
}

/// Fourteen digits as `2024-05-06-123456`.
fn dashed(now: &str) -> String {
    let part = |from: usize, to: usize| now.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 14)
    )
}

#[cfg(test)]
mod tests {
    use super::{next, words};

    #[test]
    fn files_go_on_as_they_began() {
        let next = |last| next(last, "a_thing", "20261123170000");
        assert_eq!(next(None), "0001_a_thing.sql");
        for (last, wanted) in [
            ("0009_a.sql", "0010_a_thing.sql"),
            ("7.sql", "8_a_thing.sql"),
            ("20250101000000_a.sql", "20261123170000_a_thing.sql"),
            ("000012_a.up.sql", "000013_a_thing.up.sql"),
            ("V3__a.sql", "V4__a_thing.sql"),
            (
                "20250101000000_a/migration.sql",
                "20261123170000_a_thing/migration.sql",
            ),
            (
                "2024-05-06-123456_a/up.sql",
                "2026-11-23-170000_a_thing/up.sql",
            ),
            ("0009_a/up.sql", "0010_a_thing/up.sql"),
            ("0.10/02__a.sql", "0.10/03__a_thing.sql"),
        ] {
            assert_eq!(next(Some(last)), wanted, "{last}");
        }
    }

    #[test]
    fn a_name_is_made_of_words() {
        assert_eq!(words("Add a  Thing!"), "add_a_thing");
        assert_eq!(words("--"), "");
    }
}
