//! Turns a byte offset, or SQLite's answer to a failed statement, into file, line and column; and knows the way out of
//! the mistakes that people bring from other databases.

use crate::error::Location;
use crate::lexer::{Statement, Token, TokenKind};

/// Statements are quoted in messages up to this many characters.
const STATEMENT_CHARS_MAX: usize = 400;

/// SQLite's words for a statement that ends before it is whole.
const INCOMPLETE: &str = "incomplete input";

/// The place of a byte offset.
pub(crate) fn location(file: &str, text: &str, offset: usize) -> Box<Location> {
    let offset = text.floor_char_boundary(offset.min(text.len()));
    let before = text.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let rest = text.get(line_start..).unwrap_or_default();
    let line_text = rest
        .split('\n')
        .next()
        .unwrap_or_default()
        .trim_end_matches('\r');
    Box::new(Location {
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        // What a terminal would act on, or not show at all, is shown as a dot.
        text: line_text
            .chars()
            .map(|c| if c.is_control() && c != '\t' { '·' } else { c })
            .collect(),
    })
}

/// The statement for a message: whole when short, cut when it would fill the screen.
pub(crate) fn excerpt(statement: &str) -> String {
    match statement.char_indices().nth(STATEMENT_CHARS_MAX) {
        Some((end, _)) => format!("{} …", statement.get(..end).unwrap_or_default().trim_end()),
        None => statement.to_owned(),
    }
}

/// Where in the file SQLite's complaint about a statement points: its own offset, else the name it complains about,
/// else the start of the statement.
pub(crate) fn blame(statement: &Statement<'_>, error: &rusqlite::Error, message: &str) -> usize {
    if let rusqlite::Error::SqlInputError { offset, .. } = error
        && let Ok(offset) = usize::try_from(*offset)
    {
        return statement.start + offset;
    }
    if message == INCOMPLETE {
        return statement.start + statement.text.trim_end_matches(';').len();
    }
    let culprit = message
        .rsplit([' ', '.', ':'])
        .next()
        .unwrap_or_default()
        .trim_matches(['"', '\'']);
    find_name(statement, culprit)
}

/// Where a name stands in a statement; the start of the statement when it does not.
pub(crate) fn find_name(statement: &Statement<'_>, name: &str) -> usize {
    let named = |token: &&Token<'_>| {
        token.kind != TokenKind::Other && token.name().eq_ignore_ascii_case(name)
    };
    let found = statement.tokens.iter().skip(1).find(named);
    found.map_or(statement.start, |token| token.start)
}

/// SQLite's message without the statement that rusqlite appends.
pub(crate) fn message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. }
        | rusqlite::Error::SqliteFailure(_, Some(msg)) => msg.clone(),
        other => other.to_string(),
    }
}

/// What to do about a failed statement, for the mistakes that have one answer.
pub(crate) fn hint(statement: &Statement<'_>, message: &str) -> String {
    let has = |word: &str| statement.tokens.iter().any(|token| token.is(word));
    if ["syntax error", "unrecognized token", "no such"]
        .iter()
        .any(|words| message.contains(words))
        && let Some(hint) = lookalike(statement)
    {
        return hint;
    }
    let hint = if message.contains("syntax error") && has("GO") {
        "GO belongs to another database's shell: end statements with a semicolon"
    } else if message.to_lowercase().contains("function: now") {
        "SQLite writes now() as CURRENT_TIMESTAMP or datetime('now')"
    } else if message == INCOMPLETE {
        "something is missing before the end of the statement, for instance a closing parenthesis"
    } else if has("AUTO_INCREMENT") {
        "SQLite writes INTEGER PRIMARY KEY; AUTOINCREMENT is one word and rarely needed"
    } else if has("ALTER") && message.contains("near \"") {
        "what ALTER TABLE cannot do is done by a new table: create it, copy with INSERT … SELECT, drop the old, rename the new"
    } else if message.contains("already exists") {
        "if the database already has this change, record it with `migrate --baseline <file>` (or `--baseline auto`)"
    } else if message.contains("Cannot add a NOT NULL column") {
        "give the new column a DEFAULT"
    } else if message.contains("constraint failed") {
        "rows that are there already do not fit: fix them in a statement before this one"
    } else {
        ""
    };
    hint.to_owned()
}

/// What word processors and web pages put where SQL has a space, a quote or nothing: SQLite takes it for a letter.
fn lookalike(statement: &Statement<'_>) -> Option<String> {
    let bare = statement
        .tokens
        .iter()
        .filter(|token| token.kind == TokenKind::Word);
    let found = bare.flat_map(|token| token.text.chars()).find_map(|c| {
        let what = match c {
            '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => {
                "a space that is none to SQL"
            }
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}' | '\u{ad}' => {
                "an invisible character"
            }
            '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => "a typographic quote",
            '\u{2013}' | '\u{2014}' | '\u{2212}' => "a typographic dash",
            _ => return None,
        };
        Some((c, what))
    });
    found.map(|(c, what)| {
        format!(
            "the statement has {what} (U+{:04X}), which SQLite takes for a letter; type it anew",
            u32::from(c)
        )
    })
}
