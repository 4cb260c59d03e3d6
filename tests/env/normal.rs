//! Takes out of a text what differs from run to run: the test's folder, ports, ids, commits, times and durations.
//!
//! Every kind becomes one upper-case word. A column that such a value widened or narrowed is closed to one space.

use std::path::Path;

/// `text` as it is in every run.
pub(crate) fn text(text: &str, dir: &Path) -> String {
    let real = fs_err::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let text = text
        .replace(&*real.to_string_lossy(), "$DIR")
        .replace(&*dir.to_string_lossy(), "$DIR");
    text.lines().map(|found| line(found) + "\n").collect()
}

/// A closing summary up to the place where it says what took how long: which chain of steps is the longest differs.
pub(crate) fn summary(text: &str) -> &str {
    text.split("\ntook ").next().unwrap_or(text).trim_end()
}

/// A text without the lines that quote what a command or the service wrote: how many there are depends on the machine's speed.
pub(crate) fn without_output(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with("  │"))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn line(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        if end == 0 {
            let first = rest.chars().next().unwrap_or_default();
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        // Sentences end with a full stop, which belongs to no value.
        let word = rest[..end].trim_end_matches(['.', ':', '-']);
        let (word, end) = if word.is_empty() {
            (&rest[..end], end)
        } else {
            (word, word.len())
        };
        rest = &rest[end..];
        match known(word) {
            Some(name) => out.push_str(name),
            None => push_duration_or(&mut out, word, &mut rest),
        }
    }
    out.trim_end().to_owned()
}

/// Letters, digits, and what times and addresses are written with.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')
}

fn known(word: &str) -> Option<&'static str> {
    let hex = |text: &str, len: usize| {
        text.len() == len
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(port) = word.strip_prefix("127.0.0.1:") {
        return digits(port).then_some("127.0.0.1:PORT");
    }
    if word.len() > 20
        && word.starts_with("20")
        && word.as_bytes().get(8) == Some(&b'T')
        && word.contains("Z-")
    {
        return Some("RUN");
    }
    if word.starts_with("20")
        && word.len() >= 16
        && word.as_bytes().get(4) == Some(&b'-')
        && word.contains('T')
    {
        return Some("INSTANT");
    }
    match word {
        _ if hex(word, 40) => Some("COMMIT"),
        _ if hex(word, 64) => Some("DIGEST"),
        _ if hex(word, 24) => Some("SITE_DEPLOY"),
        _ if hex(word, 7) => Some("SHORT"),
        _ if word.starts_with("dep-") && word.len() == 24 => Some("SERVICE_DEPLOY"),
        _ if word.starts_with("srv-") => Some("SERVICE"),
        _ if word.starts_with("manual-") => Some("RUN"),
        _ => None,
    }
}

/// `0.3 s`, `1 min 02 s`, `12 ms`; anything else stays.
fn push_duration_or(out: &mut String, word: &str, rest: &mut &str) {
    let is_number = word
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let unit = [" ms", " s", " min"].into_iter().find(|unit| {
        rest.strip_prefix(unit)
            .is_some_and(|after| !after.starts_with(is_word))
    });
    let Some(unit) = unit.filter(|_| is_number) else {
        out.push_str(word);
        return;
    };
    *rest = &rest[unit.len()..];
    if out.trim_end().ends_with("TIME") {
        out.truncate(out.trim_end().len());
        return;
    }
    let closed = out.trim_end().len();
    if !out.is_empty() && closed < out.len() {
        out.truncate(closed);
        out.push(' ');
    }
    out.push_str("TIME");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_becomes_a_word() {
        let dir = tempfile::tempdir().unwrap();
        let given = format!(
            "{}/a at http://127.0.0.1:40695/x, run 20261123T174050Z-048b0d4-7de1 of 048b0d4.\n  * roll back      1 min 02 s  failed\ndep-vv1fuq95fovl1n6i0qg5 since 2026-11-23T17:45:07.258Z: 12 ms, 5 files, 0002_b.sql\n",
            dir.path().display()
        );
        assert_eq!(
            text(&given, dir.path()),
            "$DIR/a at http://127.0.0.1:PORT/x, run RUN of SHORT.\n  * roll back TIME  failed\nSERVICE_DEPLOY since INSTANT: TIME, 5 files, 0002_b.sql\n"
        );
    }
}
