//! From text to types. Serde stops at the first wrong key, a person wants to see all of them: so each offending entry is
//! reported, taken out, and the rest is read again.

use super::at::At;
use super::problem::Problem;
use super::source::Source;
use super::suggest::nearest;
use serde::de::DeserializeOwned;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What could be read.
pub(super) struct Parsed<T> {
    /// The value, with the entries left out that were reported; none when the text is not TOML at all.
    pub(super) value: Option<T>,
    /// What was wrong.
    pub(super) problems: Vec<Problem>,
    /// The places of entries that were left out: nothing more should be said about them.
    pub(super) removed: Vec<At>,
}

/// Reads a file's text as `T`. `tables` are the paths to its tables, `*` standing for every key.
pub(super) fn parse<T: DeserializeOwned>(source: &Source, tables: &[&[&str]]) -> Parsed<T> {
    let (mut table, errors) = DeTable::parse_recoverable(source.text());
    if !errors.is_empty() {
        // What follows from a text that is no TOML would only confuse.
        let problems = errors
            .iter()
            .map(|error| syntax_problem(source, error))
            .collect();
        return Parsed {
            value: None,
            problems,
            removed: Vec::new(),
        };
    }
    let mut problems = Vec::new();
    let mut removed = Vec::new();
    for path in tables {
        lists_for_tables(table.get_mut(), path, &At::root(), &mut |at, span| {
            let message = format!("'{}' must be a table, not a list", at.last());
            problems.push(source.problem(
                Some(span),
                &message,
                &format!("write it as {}", at.header()),
            ));
            removed.push(at);
        });
    }
    loop {
        let error = match T::deserialize(toml::Deserializer::from(table.clone())) {
            Ok(value) => {
                return Parsed {
                    value: Some(value),
                    problems,
                    removed,
                };
            }
            Err(error) => error,
        };
        let entry = error
            .span()
            .and_then(|span| remove(table.get_mut(), &span, &At::root()));
        problems.push(shape_problem(source, &error, entry.as_ref()));
        match entry {
            Some(entry) => removed.push(entry.at),
            None => {
                return Parsed {
                    value: None,
                    problems,
                    removed,
                };
            }
        }
    }
}

/// Takes out lists that stand where a table belongs. Serde would accept them, reading the items as the table's keys in order.
fn lists_for_tables(
    table: &mut DeTable<'_>,
    path: &[&str],
    at: &At,
    report: &mut dyn FnMut(At, Range<usize>),
) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    let keys: Vec<String> = table.keys().map(|key| key.get_ref().to_string()).collect();
    for key in keys.iter().filter(|key| *step == "*" || key == step) {
        let here = at.key(key);
        let Some(value) = table.get_mut(key.as_str()) else {
            continue;
        };
        let span = value.span();
        match value.get_mut() {
            DeValue::Array(_) => {
                table.remove(key.as_str());
                report(here, span);
            }
            DeValue::Table(inner) => lists_for_tables(inner, rest, &here, report),
            _ => {}
        }
    }
}

/// An entry that was taken out.
struct Entry {
    at: At,
    /// The complaint is about an item of the list that the entry is.
    about_item: bool,
}

/// Takes out the innermost entry that a range of the text belongs to.
fn remove(table: &mut DeTable<'_>, span: &Range<usize>, at: &At) -> Option<Entry> {
    for (key, value) in table.iter_mut() {
        if let Some(entry) = remove_below(value, span, &at.key(key.get_ref())) {
            return Some(entry);
        }
    }
    let (key, value) = table
        .iter()
        .find(|(key, value)| contains(&key.span(), span) || contains(&value.span(), span))?;
    let entry = Entry {
        at: at.key(key.get_ref()),
        about_item: key.span() != *span && value.span() != *span,
    };
    let key = key.get_ref().to_string();
    table.remove(key.as_str());
    Some(entry)
}

/// Looks inside a value. Items of lists are not taken out, since that would move their neighbours.
fn remove_below(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>, at: &At) -> Option<Entry> {
    match value.get_mut() {
        DeValue::Table(table) => remove(table, span, at),
        DeValue::Array(items) => items
            .iter_mut()
            .enumerate()
            .find_map(|(i, item)| remove_below(item, span, &at.item(i))),
        _ => None,
    }
}

fn contains(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end && outer.start < outer.end
}

fn syntax_problem(source: &Source, error: &toml::de::Error) -> Problem {
    let message = error.message();
    let unquoted = message.starts_with("string values must be quoted")
        || message.starts_with("invalid float")
        || message.starts_with("invalid integer")
        || message.starts_with("invalid boolean");
    let hint = match message {
        "duplicate key" => "each key and each [table] may stand once; merge the two",
        _ if unquoted => "text values stand in quotes: key = \"value\"",
        _ => "",
    };
    let message = match message {
        "duplicate key" => "this is written a second time",
        _ if unquoted => "this is not a value",
        other => other,
    };
    source.problem(error.span(), message, hint)
}

/// Says in our words what serde found wrong with an entry.
fn shape_problem(source: &Source, error: &toml::de::Error, entry: Option<&Entry>) -> Problem {
    let text = error.message();
    let words = quoted_words(text);
    let (message, hint) = if text.starts_with("unknown field") {
        unknown_key(&words, entry)
    } else if text.starts_with("unknown variant") {
        let (found, known) = words
            .split_first()
            .map_or(("", &[][..]), |(first, rest)| (*first, rest));
        let hint = match nearest(found, known.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => String::new(),
        };
        (
            format!("{} must be {}, not '{found}'", name(entry), one_of(known)),
            hint,
        )
    } else if let Some((found, expected)) = text.split_once(", expected ") {
        wrong_type(found, expected, entry)
    } else {
        (text.to_owned(), String::new())
    };
    source.problem(error.span(), &message, &hint)
}

fn unknown_key(words: &[&str], entry: Option<&Entry>) -> (String, String) {
    let (found, known) = words
        .split_first()
        .map_or(("", &[][..]), |(first, rest)| (*first, rest));
    let header = entry.map_or_else(String::new, |entry| entry.at.parent().header());
    let place = if header.is_empty() {
        "at the top level".to_owned()
    } else {
        format!("in {header}")
    };
    let lower = found.to_lowercase();
    let hint = if let Some(near) = nearest(found, known.iter().copied()) {
        format!("did you mean '{near}'?")
    } else if ["token", "secret", "password", "api_key", "webhook"]
        .iter()
        .any(|word| lower.contains(word))
    {
        "credentials are never read from this file: set them in the environment or in .env.deploy"
            .to_owned()
    } else {
        format!("known keys here: {}", known.join(", "))
    };
    (format!("unknown key '{found}' {place}"), hint)
}

fn wrong_type(found: &str, expected: &str, entry: Option<&Entry>) -> (String, String) {
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" => "text in quotes",
        "a sequence" => "a list: [\"…\"]",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    let kinds = [
        ("string", "text"),
        ("integer", "a whole number"),
        ("floating point", "a number with a fraction"),
        ("boolean", "true or false"),
        ("sequence", "a list"),
        ("map", "a table"),
    ];
    let kind = found.split_once(": ").map_or(found, |(_, kind)| kind);
    let found = if kind.starts_with("integer `-") {
        "a negative number"
    } else if kind.contains("as i128") || found.starts_with("invalid value: integer") {
        "a number this large"
    } else {
        kinds
            .iter()
            .find(|(word, _)| kind.starts_with(word))
            .map_or(kind, |(_, ours)| ours)
    };
    (
        format!("{} must be {expected}, not {found}", name(entry)),
        String::new(),
    )
}

/// What a complaint is about, by its key.
fn name(entry: Option<&Entry>) -> String {
    match entry {
        Some(entry) if entry.about_item => format!("an item of '{}'", entry.at.last()),
        Some(entry) => format!("'{}'", entry.at.last()),
        None => "this".to_owned(),
    }
}

/// The words that a message puts in backticks.
fn quoted_words(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.join(""),
    }
}
