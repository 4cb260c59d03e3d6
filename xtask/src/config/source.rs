//! The text of a configuration file, and the way from a key or byte range to a line that can be shown.

use super::at::At;
use super::problem::{Location, Problem};
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Lines longer than this many characters are shown in part.
const EXCERPT_CHARS: usize = 120;

/// The text of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    file: String,
    text: String,
}

impl Source {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        Self {
            file: path.display().to_string(),
            text: text.to_owned(),
        }
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the file has a value there.
    pub(super) fn has(&self, at: &At) -> bool {
        let (table, _) = DeTable::parse_recoverable(&self.text);
        walk(table.get_ref(), at).0 == at.steps().len()
    }

    /// A problem with the value at `at`, or with the table that lacks it.
    pub(super) fn problem_at(&self, at: &At, message: &str, hint: &str) -> Problem {
        let (table, _) = DeTable::parse_recoverable(&self.text);
        self.problem(walk(table.get_ref(), at).1, message, hint)
    }

    /// A problem with a range of bytes.
    pub(super) fn problem(&self, span: Option<Range<usize>>, message: &str, hint: &str) -> Problem {
        // Messages quote what was written, and that may be a credential in the wrong place.
        Problem {
            file: Some(self.file.clone()),
            location: span.map(|span| self.locate(span)),
            message: without_credentials(message),
            hint: without_credentials(hint),
        }
    }

    fn locate(&self, span: Range<usize>) -> Location {
        let start = floor(&self.text, span.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |i| i + 1);
        let line_end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |i| start + i);
        let end = floor(&self.text, span.end).clamp(start, line_end);
        let line = self.text[line_start..line_end].trim_end_matches('\r');
        let before = self.text[line_start..start].chars().count();
        let len = self.text[start..end].trim_end().chars().count().max(1);
        let (excerpt, caret_start, caret_len) = excerpt(line, before, len);
        Location {
            line: self.text[..line_start].matches('\n').count() + 1,
            column: before + 1,
            excerpt,
            caret_start,
            caret_len,
        }
    }
}

/// How many steps of the path exist, and the range of the last one that has a place of its own in the text.
fn walk(table: &DeTable<'_>, at: &At) -> (usize, Option<Range<usize>>) {
    let Some((first, rest)) = at.steps().split_first() else {
        return (0, None);
    };
    let Some(mut value) = table.get(first.as_str()) else {
        return (0, None);
    };
    // A table's range is its header, or its key where it has none.
    let mut span = value.span();
    for (step, depth) in rest.iter().zip(1..) {
        let next = match value.get_ref() {
            DeValue::Table(table) => table.get(step.as_str()),
            DeValue::Array(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
            _ => None,
        };
        match next {
            Some(found) => (span, value) = (found.span(), found),
            None => return (depth, Some(span)),
        }
    }
    (at.steps().len(), Some(span))
}

/// The nearest character boundary at or before `index`.
fn floor(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

/// The line to show, and which of its characters to mark.
fn excerpt(line: &str, before: usize, len: usize) -> (String, usize, usize) {
    if may_hold_credential(line) {
        return without_value(line, before, len);
    }
    let count = line.chars().count();
    if count <= EXCERPT_CHARS {
        return (line.to_owned(), before, len);
    }
    let from = before.saturating_sub(EXCERPT_CHARS / 3);
    let shown: String = line.chars().skip(from).take(EXCERPT_CHARS).collect();
    let head = if from > 0 { "…" } else { "" };
    let tail = if from + EXCERPT_CHARS < count {
        "…"
    } else {
        ""
    };
    let start = before - from + head.chars().count();
    (
        format!("{head}{shown}{tail}"),
        start,
        len.min(EXCERPT_CHARS + from - before).max(1),
    )
}

/// The line up to its first `=`: somebody may have pasted a credential, and errors end up in CI logs.
fn without_value(line: &str, before: usize, len: usize) -> (String, usize, usize) {
    let key: String = line.chars().take_while(|c| *c != '=').collect();
    let key_chars = key.chars().count();
    if key_chars == line.chars().count() || holds_credential(&key) {
        return ("(not shown: it looks like a credential)".to_owned(), 0, 1);
    }
    let shown = format!("{key}= (value not shown)");
    if before < key_chars {
        (shown, before, len.min(key_chars - before))
    } else {
        (shown, key_chars + 2, 17)
    }
}

/// Whether a line may hold a credential, judged by words for one, by the providers' prefixes, and by addresses with a
/// password or a query.
fn may_hold_credential(line: &str) -> bool {
    let lower = line.to_lowercase();
    [
        "token", "secret", "password", "passwd", "api_key", "apikey", "webhook", "auth",
    ]
    .iter()
    .any(|word| lower.contains(word))
        || holds_credential(line)
        || line
            .split("://")
            .skip(1)
            .any(|rest| rest.contains(['@', '?']))
}

/// How the credentials we know begin: Netlify, Render, GitHub (classic, fine-grained), Slack tokens and webhooks.
const PREFIXES: [&str; 9] = [
    "nfp_",
    "rnd_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "xoxb-",
    "xoxp-",
    "hooks.slack.com/services/",
];

/// Shorter than this it is a name that happens to begin so.
const CREDENTIAL_MIN_CHARS: usize = 12;

/// Whether a text holds something that begins as the credentials we know do.
pub(super) fn holds_credential(text: &str) -> bool {
    without_credentials(text) != text
}

/// The text with all but the beginnings of such credentials replaced.
fn without_credentials(text: &str) -> String {
    let mut text = text.to_owned();
    for prefix in PREFIXES {
        let mut parts = text.split(prefix);
        let mut clean = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part
                .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '/'))
                .unwrap_or(part.len());
            let shown = if end >= CREDENTIAL_MIN_CHARS {
                "***"
            } else {
                &part[..end]
            };
            clean = clean + prefix + shown + &part[end..];
        }
        text = clean;
    }
    text
}
