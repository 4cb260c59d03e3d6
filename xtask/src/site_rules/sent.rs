//! What is uploaded of the rule files: the service's address in the place of its mark, no byte order mark, and of `netlify.toml` what
//! the provider takes from an upload, written anew as its own client does.
//!
//! `_redirects` and `_headers` stay files of their own: a line that is not understood here must not be lost here.

use super::{BYTE_ORDER_MARK, SERVICE_URL_MARK, TOML};
use anyhow::{Context as _, Result, anyhow};
use std::borrow::Cow;
use std::fmt::Write as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is sent for a published file.
///
/// # Errors
/// When a rule file is no text, or `netlify.toml` no TOML.
pub fn as_sent(path: &str, bytes: Vec<u8>, service_url: &str) -> Result<Vec<u8>> {
    if !super::is_rule_file(path) {
        return Ok(bytes);
    }
    let text = String::from_utf8(bytes).with_context(|| format!("{path} is not UTF-8"))?;
    let text = without_marks(&text);
    let text = match path {
        TOML => generated(&text)?,
        _ => text.into_owned(),
    };
    Ok(text.replace(SERVICE_URL_MARK, service_url).into_bytes())
}

/// The text without the marks that editors put before a file's first letter, also where two such files were put together.
pub(super) fn without_marks(text: &str) -> Cow<'_, str> {
    if !text.contains(BYTE_ORDER_MARK) {
        return Cow::Borrowed(text);
    }
    let lines = text.split_inclusive('\n');
    Cow::Owned(
        lines
            .map(|line| line.trim_start_matches(BYTE_ORDER_MARK))
            .collect(),
    )
}

/// Redirects and headers, each entry whole, whether or not it is understood here; and how the provider treats what it serves.
fn generated(text: &str) -> Result<String> {
    let table = DeTable::parse(text)
        .map_err(|error| anyhow!("{TOML} is no TOML: {}", error.message()))?
        .into_inner();
    let mut out = String::new();
    if let Some(DeValue::Table(build)) = table.get("build").map(Spanned::get_ref)
        && let Some(processing) = build.get("processing")
    {
        let _infallible = write!(out, "build = {{ processing = ");
        value(&mut out, processing.get_ref());
        out.push_str(" }\n");
    }
    for name in ["images", "redirects", "headers"] {
        match table.get(name).map(Spanned::get_ref) {
            None => {}
            Some(DeValue::Array(entries))
                if entries
                    .iter()
                    .all(|entry| matches!(entry.get_ref(), DeValue::Table(_))) =>
            {
                for entry in entries {
                    let _infallible = writeln!(out, "\n[[{name}]]");
                    if let DeValue::Table(entry) = entry.get_ref() {
                        lines(&mut out, entry);
                    }
                }
            }
            Some(other) => {
                let _infallible = write!(out, "{name} = ");
                value(&mut out, other);
                out.push('\n');
            }
        }
    }
    Ok(out.trim_start().to_owned())
}

fn lines(out: &mut String, table: &DeTable<'_>) {
    for (key, found) in table {
        text(out, key.get_ref());
        out.push_str(" = ");
        value(out, found.get_ref());
        out.push('\n');
    }
}

/// A value on one line. A whole number stays one: the provider refuses `200.0` as a status.
fn value(out: &mut String, found: &DeValue<'_>) {
    let _infallible = match found {
        DeValue::String(found) => {
            text(out, found);
            Ok(())
        }
        DeValue::Integer(number) => write!(out, "{number}"),
        DeValue::Float(number) => write!(out, "{number}"),
        DeValue::Boolean(truth) => write!(out, "{truth}"),
        DeValue::Datetime(time) => write!(out, "{time}"),
        DeValue::Array(items) => {
            list(out, ('[', ']'), items.iter(), |out, item| {
                value(out, item.get_ref());
            });
            Ok(())
        }
        DeValue::Table(table) => {
            list(out, ('{', '}'), table.iter(), |out, (key, item)| {
                text(out, key.get_ref());
                out.push_str(" = ");
                value(out, item.get_ref());
            });
            Ok(())
        }
    };
}

fn list<T>(
    out: &mut String,
    (open, close): (char, char),
    items: impl Iterator<Item = T>,
    mut each: impl FnMut(&mut String, T),
) {
    out.push(open);
    for (index, item) in items.enumerate() {
        out.push_str(if index == 0 { " " } else { ", " });
        each(out, item);
    }
    out.push(' ');
    out.push(close);
}

/// A quoted text; what must not stand in one is written by its number.
fn text(out: &mut String, found: &str) {
    out.push('"');
    for c in found.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _infallible = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
