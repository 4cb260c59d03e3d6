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
    let files = discover(dir, Some(Order::Natural))?;
    let last = files
        .iter()
        .rev()
        .map(|file| file.name.as_str())
        .find(|name| name.starts_with(|c: char| c.is_ascii_digit()));
    let words: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let file = format!("{}_{}.sql", next(last, &digits()), words.trim_matches('_'));
    let path = dir.join(&file);
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

/// The prefix after `last`, of the same width and kind.
fn next(last: Option<&str>, now: &str) -> String {
    let prefix: String = last
        .unwrap_or_default()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    match prefix.len() {
        0 => format!("{:0WIDTH$}", 1),
        STAMP_WIDTH => now.to_owned(),
        width => format!("{:0width$}", prefix.parse::<u64>().unwrap_or(0) + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn numbers_go_on_as_they_began() {
        let now = "20261123170000";
        assert_eq!(next(None, now), "0001");
        assert_eq!(next(Some("0009_a.sql"), now), "0010");
        assert_eq!(next(Some("7.sql"), now), "8");
        assert_eq!(next(Some("20250101000000_a.sql"), now), now);
    }
}
