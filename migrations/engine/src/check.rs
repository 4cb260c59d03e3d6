//! Judges a file before anything runs: what SQLite or a runner would silently cut short, skip, or execute outside the
//! transaction is rejected here, with its place and the way out.

use crate::directive::{Directives, directives};
use crate::error::Error;
use crate::lexer::{self, Statement, TokenKind};
use crate::locate::{excerpt, location};
use crate::source::{MigrationFile, without_bom};
use std::ops::Range;

/// A file that may run.
#[derive(Clone, Debug)]
pub(crate) struct Prepared<'a> {
    pub(crate) name: &'a str,
    /// Without a byte order mark.
    pub(crate) text: &'a str,
    pub(crate) checksum: String,
    pub(crate) raw_checksum: String,
    pub(crate) directives: Directives,
    /// Where the statements stand that will be executed, in order: [`Self::statements`] reads them.
    pub(crate) spans: Vec<Range<usize>>,
    /// What is left out and why.
    pub(crate) notes: Vec<String>,
}

/// What is to be done with one statement.
enum Verdict {
    Run,
    /// Left out, because the runner does it; with a note, or without when the file asked for it.
    Skip(Option<&'static str>),
    Reject(String, &'static str),
}

/// Decodes, cuts and judges one file.
pub(crate) fn prepare(file: &MigrationFile, own_transaction: bool) -> Result<Prepared<'_>, Error> {
    let text = decode(file)?;
    let at = |offset: usize| location(&file.name, text, offset);
    let reject = |offset: usize, statement: &str, message: String, hint: &str| Error::Rejected {
        at: at(offset),
        statement: excerpt(statement),
        message,
        hint: hint.to_owned(),
    };
    let found = spans(text).map_err(|unclosed| {
        let rest = text.get(unclosed.start..).unwrap_or_default();
        let rest = rest
            .get(..rest.find('\n').unwrap_or(rest.len()))
            .unwrap_or_default();
        reject(
            unclosed.start,
            rest,
            unclosed.what.to_owned(),
            "everything after it would be swallowed; close it",
        )
    })?;
    let mut directives = directives(&file.name, text, &found)?;
    directives.own_transaction |= own_transaction;
    if found.is_empty() && !directives.empty_ok {
        return Err(reject(
            0,
            "",
            "the file has no statement".to_owned(),
            "write one, or say on its own line: -- migrate: empty-ok",
        ));
    }
    let mut brackets = Brackets::default();
    let mut open_savepoints: Vec<(String, usize)> = Vec::new();
    let mut notes = Vec::new();
    let mut kept = Vec::with_capacity(found.len());
    for span in found {
        let Some(statement) = at_span(text, &span) else {
            continue;
        };
        follow_savepoints(&statement, &mut open_savepoints);
        match judge(&statement, directives, &mut brackets) {
            Verdict::Run => {
                if let Some(token) = parameter(&statement) {
                    return Err(reject(
                        token.start,
                        statement.text,
                        format!(
                            "the parameter {} has no value here and would be NULL",
                            token.text
                        ),
                        "write the value",
                    ));
                }
                kept.push(span);
            }
            Verdict::Skip(None) => {}
            Verdict::Skip(Some(why)) => {
                // One note per file: generated files have a pair around every table.
                if notes.is_empty() {
                    let line = at(statement.start).line;
                    let text = statement.text.trim_end_matches(';');
                    notes.push(format!("{}:{line}: left out {text}: {why}", file.name));
                }
            }
            Verdict::Reject(message, hint) => {
                return Err(reject(statement.start, statement.text, message, hint));
            }
        }
    }
    if let Some((start, word, message, hint)) = brackets.unbalanced() {
        return Err(reject(start, word, message.to_owned(), hint));
    }
    if let Some((name, start)) = open_savepoints.first() {
        let message = format!("SAVEPOINT {name} without its RELEASE");
        return Err(reject(
            *start,
            "SAVEPOINT",
            message,
            "release it: a later file could roll back to it",
        ));
    }
    Ok(Prepared {
        name: &file.name,
        text,
        checksum: file.checksum(),
        raw_checksum: file.raw_checksum(),
        directives,
        spans: kept,
        notes,
    })
}

impl<'a> Prepared<'a> {
    /// What will be executed, in order; each is cut anew, because the tokens of a large file together are many times its
    /// size.
    pub(crate) fn statements(&self) -> impl Iterator<Item = Statement<'a>> {
        self.spans
            .iter()
            .filter_map(|span| at_span(self.text, span))
    }
}

/// Where the statements of a text stand.
fn spans(text: &str) -> Result<Vec<Range<usize>>, lexer::Unclosed> {
    let mut cutter = lexer::Cutter::new(text, 0);
    let mut spans = Vec::new();
    while let Some(statement) = cutter.next()? {
        spans.push(statement.start..statement.start + statement.text.len());
    }
    Ok(spans)
}

fn at_span<'a>(text: &'a str, span: &Range<usize>) -> Option<Statement<'a>> {
    let text = text.get(..span.end)?;
    // It was cut before, so everything in it is closed.
    lexer::Cutter::new(text, span.start).next().ok().flatten()
}

/// RELEASE closes the newest savepoint of its name and all that came after it.
fn follow_savepoints(statement: &Statement<'_>, open: &mut Vec<(String, usize)>) {
    let name = statement
        .tokens
        .last()
        .map(|token| token.name().to_lowercase());
    let name = name.unwrap_or_default();
    if statement.word(0, "SAVEPOINT") {
        open.push((name, statement.start));
    } else if statement.word(0, "RELEASE")
        && let Some(at) = open.iter().rposition(|(other, _)| *other == name)
    {
        open.truncate(at);
    }
}

/// UTF-8 text with line ends that SQLite sees too.
fn decode(file: &MigrationFile) -> Result<&str, Error> {
    let bytes = without_bom(&file.text);
    let valid =
        |end: usize| std::str::from_utf8(bytes.get(..end).unwrap_or_default()).unwrap_or_default();
    let reject = |offset: usize, message: &str, hint: &str| {
        let text =
            valid(std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len));
        Err(Error::Rejected {
            at: location(&file.name, text, offset),
            statement: String::new(),
            message: message.to_owned(),
            hint: hint.to_owned(),
        })
    };
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return reject(0, "the file is UTF-16", "save it as UTF-8");
    }
    if let Some(offset) = bytes.iter().position(|byte| *byte == 0) {
        return reject(
            offset,
            "a NUL byte, at which SQLite would stop reading",
            "remove it; is the file UTF-16 or truncated?",
        );
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            return reject(
                error.valid_up_to(),
                "a byte that is not UTF-8",
                "save the file as UTF-8",
            );
        }
    };
    let lone = bytes
        .iter()
        .enumerate()
        .find(|(index, byte)| **byte == b'\r' && bytes.get(index + 1) != Some(&b'\n'));
    if let Some((offset, _)) = lone {
        return reject(
            offset,
            "a carriage return without a line feed: a comment before it would not end here",
            "save the file with LF line ends",
        );
    }
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") {
            return reject(
                offset,
                "a merge conflict that was not resolved",
                "resolve it",
            );
        }
        offset += line.len();
    }
    Ok(text)
}

/// A view or a trigger reads the history only when it is used, possibly by the application: SQLite's parser, which the guard
/// asks, does not look into it when it is made.
pub(crate) fn refuse_stored_use(file: &Prepared<'_>, history_table: &str) -> Result<(), Error> {
    let stored = |statement: &Statement<'_>| {
        let kind = |token: &lexer::Token<'_>| token.is("VIEW") || token.is("TRIGGER");
        let mut head = statement.tokens.iter().take(3);
        statement.word(0, "CREATE") && head.any(kind)
    };
    for statement in file.statements().filter(stored) {
        let pairs = statement.tokens.windows(2);
        let found = pairs
            .filter(|pair| {
                let before = ["FROM", "JOIN", "INTO", "UPDATE", "ON"];
                before
                    .iter()
                    .any(|word| pair.first().is_some_and(|token| token.is(word)))
            })
            .filter_map(|pair| pair.last())
            .find(|token| token.name().eq_ignore_ascii_case(history_table));
        if let Some(token) = found {
            return Err(Error::Rejected {
                at: location(file.name, file.text, token.start),
                statement: excerpt(statement.text),
                message: format!(
                    "{history_table} is the runner's history, which a migration may neither read nor change"
                ),
                hint: "leave it to the runner; if the application has a table of this name, give the runner's another with --history-table".to_owned(),
            });
        }
    }
    Ok(())
}

fn judge(statement: &Statement<'_>, directives: Directives, brackets: &mut Brackets) -> Verdict {
    let Some(first) = statement.tokens.first() else {
        return Verdict::Run;
    };
    match first.text.to_ascii_uppercase().as_str() {
        "." => reject(
            "a command of the sqlite3 shell",
            "write it in SQL; a dump is fine without its dot-commands",
        ),
        "GO" | "DELIMITER" if first.kind == TokenKind::Word => reject(
            "a command of another database's shell",
            "end statements with a semicolon and leave it out",
        ),
        "BEGIN" | "COMMIT" | "END" if directives.no_transaction => reject(
            "transaction control in a file that says no-transaction, which runs statement by statement",
            "leave one of the two out: without the directive the whole file is one transaction",
        ),
        "BEGIN" | "COMMIT" | "END" if directives.own_transaction => {
            brackets.next(statement.start, first.is("BEGIN"))
        }
        "ROLLBACK" if statement.tokens.iter().any(|token| token.is("TO")) => Verdict::Run,
        "BEGIN" | "COMMIT" | "END" | "ROLLBACK" => reject(
            "transaction control: the runner's transaction would end here, and the rest would run outside it",
            "leave it out; a file that brings its own BEGIN … COMMIT may say -- migrate: own-transaction, a whole folder --own-transaction",
        ),
        "ATTACH" | "DETACH" => reject(
            "a migration changes one database only",
            "do this in the program, not in a migration",
        ),
        "VACUUM"
            if directives.no_transaction
                && !statement.tokens.iter().any(|token| token.is("INTO")) =>
        {
            Verdict::Run
        }
        "VACUUM" if directives.no_transaction => reject(
            "VACUUM INTO writes another file",
            "use `migrate --backup`, or do it in the program",
        ),
        "VACUUM" => reject(
            "VACUUM does not run inside a transaction",
            "put it in a file of its own that says -- migrate: no-transaction",
        ),
        "PRAGMA" => pragma_statement(statement, directives),
        _ => Verdict::Run,
    }
}

fn reject(message: &str, hint: &'static str) -> Verdict {
    Verdict::Reject(message.to_owned(), hint)
}

/// The file's own BEGIN and COMMIT, which must alternate. A file that begins with a COMMIT was written for a runner that
/// has a transaction open, and must open that one again at its end.
#[derive(Default)]
struct Brackets {
    /// The last of them: where, and whether it is a BEGIN.
    last: Option<(usize, bool)>,
    begins_inside: bool,
}

impl Brackets {
    fn next(&mut self, start: usize, begins: bool) -> Verdict {
        match self.last {
            Some((_, true)) if begins => {
                return reject(
                    "BEGIN inside BEGIN",
                    "transactions do not nest; leave one out",
                );
            }
            Some((_, false)) if !begins => return reject("COMMIT without BEGIN", "leave it out"),
            Some(_) => {}
            None => self.begins_inside = !begins,
        }
        self.last = Some((start, begins));
        Verdict::Skip(None)
    }

    /// What is missing at the end of the file, at the last of them.
    fn unbalanced(&self) -> Option<(usize, &'static str, &'static str, &'static str)> {
        match (self.last?, self.begins_inside) {
            ((start, true), false) => Some((
                start,
                "BEGIN",
                "BEGIN without its COMMIT",
                "add the COMMIT or leave out the BEGIN",
            )),
            ((start, false), true) => Some((
                start,
                "COMMIT",
                "COMMIT without BEGIN",
                "leave it out, or open the transaction again at the end of the file",
            )),
            _ => None,
        }
    }
}

fn pragma_statement(statement: &Statement<'_>, directives: Directives) -> Verdict {
    let dotted = statement
        .tokens
        .get(2)
        .is_some_and(|token| token.text == ".");
    let at = if dotted { 3 } else { 1 };
    let name = statement
        .tokens
        .get(at)
        .map(|token| token.name().to_lowercase())
        .unwrap_or_default();
    let has_value = statement.tokens.len() > at + 1;
    match pragma(&name, has_value, directives) {
        Pragma::Allowed => Verdict::Run,
        Pragma::Handled => Verdict::Skip(Some(
            "the runner keeps foreign keys off while it works and compares them before and after",
        )),
        Pragma::OutsideOnly => Verdict::Reject(
            format!("PRAGMA {name} has no safe effect inside a transaction"),
            "put it in a file of its own that says -- migrate: no-transaction",
        ),
        Pragma::WritableSchema => Verdict::Reject(
            "PRAGMA writable_schema can destroy the database".to_owned(),
            "if there is no other way, say at the top of the file: -- migrate: allow-writable-schema",
        ),
        Pragma::Forbidden => Verdict::Reject(
            format!("PRAGMA {name} is not allowed in a migration"),
            "set it where the program opens its connections",
        ),
    }
}

/// What becomes of a PRAGMA. The guard that watches SQLite's own parser asks the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pragma {
    Allowed,
    /// Left out: the runner does it.
    Handled,
    OutsideOnly,
    WritableSchema,
    Forbidden,
}

/// Judges by an allow-list: an unknown PRAGMA is forbidden to set, because some act while they are being parsed.
pub(crate) fn pragma(name: &str, has_value: bool, directives: Directives) -> Pragma {
    match name {
        "foreign_keys" => Pragma::Handled,
        "writable_schema" if directives.writable_schema || !has_value => Pragma::Allowed,
        "writable_schema" => Pragma::WritableSchema,
        "user_version" | "application_id" | "encoding" | "auto_vacuum" | "page_size" => {
            Pragma::Allowed
        }
        "defer_foreign_keys"
        | "legacy_alter_table"
        | "recursive_triggers"
        | "ignore_check_constraints"
        | "case_sensitive_like" => Pragma::Allowed,
        "foreign_key_check" | "foreign_key_list" | "integrity_check" | "quick_check"
        | "optimize" | "analysis_limit" => Pragma::Allowed,
        "table_info" | "table_xinfo" | "table_list" | "index_info" | "index_xinfo"
        | "index_list" | "database_list" | "collation_list" | "function_list"
        | "compile_options" => Pragma::Allowed,
        "journal_mode" | "wal_checkpoint" | "incremental_vacuum" | "journal_size_limit"
            if directives.no_transaction =>
        {
            Pragma::Allowed
        }
        "wal_checkpoint" | "incremental_vacuum" => Pragma::OutsideOnly,
        _ if !has_value => Pragma::Allowed,
        "journal_mode" | "journal_size_limit" => Pragma::OutsideOnly,
        _ => Pragma::Forbidden,
    }
}

fn parameter<'a>(statement: &Statement<'a>) -> Option<lexer::Token<'a>> {
    statement
        .tokens
        .iter()
        .find(|token| {
            token.kind == TokenKind::Other && token.text.starts_with(['?', ':', '@', '$'])
        })
        .copied()
}
