//! `-- migrate: …` comments at the top of a file: how it asks for other treatment than the safe default.

use crate::error::Error;
use crate::locate::location;
use std::ops::Range;

/// What a file asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directives {
    /// Run outside a transaction, for what SQLite does not do inside one.
    pub(crate) no_transaction: bool,
    /// The file brings its own BEGIN and COMMIT: leave them out.
    pub(crate) own_transaction: bool,
    /// The file is the contracting half of an expand-and-contract change and may break the previous release.
    pub(crate) contract: bool,
    /// The file edits `sqlite_schema` by hand.
    pub(crate) writable_schema: bool,
    /// The file has no statement, on purpose.
    pub(crate) empty_ok: bool,
}

const KNOWN: &str =
    "no-transaction, own-transaction, allow contract, allow-writable-schema, empty-ok";

/// Reads the comments before the first statement. A directive further down is an error, because it would look as if it
/// worked; so is the undo half that other tools keep in the same file, because it would be run as well.
pub(crate) fn directives(
    file: &str,
    text: &str,
    statements: &[Range<usize>],
) -> Result<Directives, Error> {
    let mut asked = Directives::default();
    if !text.contains("migrate:") && !text.contains("-- +") {
        return Ok(asked);
    }
    let header_end = statements
        .first()
        .map_or(text.len(), |statement| statement.start);
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let start = offset + line.len() - line.trim_start().len();
        offset += line.len();
        let at = statements.partition_point(|statement| statement.end <= start);
        let in_statement = statements
            .get(at)
            .is_some_and(|statement| statement.contains(&start));
        let Some(comment) = line
            .trim()
            .strip_prefix("--")
            .map(str::trim)
            .filter(|_| !in_statement)
        else {
            continue;
        };
        let reject = |message: String, hint: &str| {
            Err(Error::Rejected {
                at: location(file, text, start),
                statement: line.trim().to_owned(),
                message,
                hint: hint.to_owned(),
            })
        };
        if is_undo(comment) {
            return reject(
                "this file also holds the statements that undo it".to_owned(),
                "keep the part that applies; undoing is a new file or a restored backup",
            );
        }
        let Some(directive) = comment.strip_prefix("migrate:").map(str::trim) else {
            continue;
        };
        let known = set(&mut asked, directive);
        if known && start > header_end {
            return reject(
                format!("the directive {directive} must stand before the first statement"),
                "move the line to the top of the file",
            );
        }
        if !known && start <= header_end && directive != "up" {
            return reject(
                format!("unknown directive {directive}"),
                &format!("known are: {KNOWN}"),
            );
        }
    }
    Ok(asked)
}

fn set(asked: &mut Directives, directive: &str) -> bool {
    match directive.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["no-transaction"] => asked.no_transaction = true,
        ["own-transaction"] => asked.own_transaction = true,
        ["allow", "contract"] => asked.contract = true,
        ["allow-writable-schema"] => asked.writable_schema = true,
        ["empty-ok"] => asked.empty_ok = true,
        _ => return false,
    }
    true
}

/// The marks with which dbmate, goose and sql-migrate begin the undo half of a file.
fn is_undo(comment: &str) -> bool {
    let words: Vec<String> = comment.split_whitespace().map(str::to_lowercase).collect();
    matches!(
        words
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .as_slice(),
        ["migrate:down", ..]
            | ["migrate:", "down", ..]
            | ["+goose" | "+migrate" | "+micrate", "down", ..]
    )
}
