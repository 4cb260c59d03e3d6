//! What can go wrong, typed by what it means for the database: nothing happened, everything was rolled back, or
//! a person is needed.

use std::fmt;
use std::path::PathBuf;

/// A place in a migration file, and the line it points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file's key.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The whole line, for the caret.
    pub text: String,
}

/// A line is shown up to this many characters; files made by programs have lines of any length.
const SHOWN_CHARS_MAX: usize = 160;

impl Location {
    /// The line, or what of a long one is around the place, and what has to stand before the caret.
    fn shown(&self) -> (String, String) {
        let before = self.column.saturating_sub(1);
        let skipped = if self.text.chars().count() <= SHOWN_CHARS_MAX {
            0
        } else {
            before.saturating_sub(SHOWN_CHARS_MAX / 2)
        };
        let mut rest = self.text.chars().skip(skipped);
        let mut shown: String = rest.by_ref().take(SHOWN_CHARS_MAX).collect();
        if rest.next().is_some() {
            shown.push('…');
        }
        // Tabs stay tabs under the line, so that the caret stands where a terminal shows the character.
        let blank = |c: char| if c == '\t' { '\t' } else { ' ' };
        let mut lead: String = shown.chars().take(before - skipped).map(blank).collect();
        if skipped > 0 {
            shown.insert(0, '…');
            lead.insert(0, ' ');
        }
        (shown, lead)
    }
}

/// An applied file whose text is another one now, with the SHA-256 of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The file's key.
    pub file: String,
    /// What was applied.
    pub applied: String,
    /// What the file has now.
    pub now: String,
}

/// An applied file that is not among the files any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The file's key.
    pub file: String,
    /// SHA-256 of what was applied, if a runner wrote it down.
    pub applied: Option<String>,
    /// A pending file with the same text: this one under another name.
    pub renamed_to: Option<String>,
}

/// Why a call did not do what it was asked to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file breaks a rule and was not run.
    Rejected {
        at: Box<Location>,
        statement: String,
        message: String,
        hint: String,
    },
    /// The set of files is unusable: names that clash, an order that is ambiguous, a name that is not UTF-8.
    Files { message: String, hint: String },
    /// Applied files whose text has changed since.
    Edited { files: Vec<Changed> },
    /// Files that the history names and the folder does not have.
    Missing { files: Vec<Gone> },
    /// A pending file that sorts before one that is already applied.
    OutOfOrder { file: String, after: String },
    /// The history names a file more than once.
    Duplicate { files: Vec<String> },
    /// The database is ahead of these files by some that the present release may not run on.
    Newer { files: Vec<String> },
    /// Somebody else held the write lock for the whole of the timeout.
    Locked { database: PathBuf, waited_ms: u64 },
    /// The request cannot be carried out as things are; nothing was changed.
    Refused { message: String, hint: String },
    /// A statement failed; the transaction was rolled back.
    Statement {
        at: Box<Location>,
        statement: String,
        message: String,
        hint: String,
        rehearsal: bool,
    },
    /// The files would leave, or lose, what they must not; everything was rolled back.
    Integrity {
        file: String,
        message: String,
        hint: String,
    },
    /// A signal or [`crate::Cancel`] ended the run; everything uncommitted was rolled back.
    Interrupted { signal: i32 },
    /// A file that runs outside a transaction stopped half way, now or in an earlier run.
    Unfinished {
        file: String,
        message: String,
        backup: Option<PathBuf>,
    },
    /// The database file is damaged, or is no database.
    Corrupt { doing: String, message: String },
    /// The commit failed in its last step: the changes are there, but a power cut may still undo them.
    Unsure {
        doing: String,
        source: rusqlite::Error,
    },
    /// SQLite failed outside of any migration statement; what was uncommitted is rolled back.
    Database {
        doing: String,
        source: rusqlite::Error,
    },
    /// A file operation failed.
    File {
        doing: String,
        source: std::io::Error,
    },
}

/// Exit codes of the command layer; the full table is the documentation of `cargo xtask`.
pub(crate) mod exit_code {
    pub(crate) const DONE: u8 = 0;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const REFUSED: u8 = 3;
    pub(crate) const ROLLED_BACK: u8 = 4;
    pub(crate) const NEEDS_A_PERSON: u8 = 9;
    pub(crate) const SIGNAL_BASE: u8 = 128;
}

impl Error {
    /// Says of damage where it was met.
    pub(crate) fn about(self, doing: impl FnOnce() -> String) -> Self {
        match self {
            Self::Corrupt { message, .. } => Self::Corrupt {
                doing: doing(),
                message,
            },
            other => other,
        }
    }

    /// 3 refused with nothing changed, 4 failed and rolled back, 9 the database needs a person, 128 + signal.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Rejected { .. }
            | Self::Files { .. }
            | Self::Edited { .. }
            | Self::Missing { .. }
            | Self::OutOfOrder { .. }
            | Self::Duplicate { .. }
            | Self::Newer { .. }
            | Self::Locked { .. }
            | Self::Refused { .. }
            | Self::File { .. } => exit_code::REFUSED,
            Self::Statement { .. } | Self::Integrity { .. } | Self::Database { .. } => {
                exit_code::ROLLED_BACK
            }
            Self::Unfinished { .. } | Self::Corrupt { .. } | Self::Unsure { .. } => {
                exit_code::NEEDS_A_PERSON
            }
            Self::Interrupted { signal } => {
                exit_code::SIGNAL_BASE.saturating_add(u8::try_from(*signal).unwrap_or(2))
            }
        }
    }

    /// The place in a migration file, where there is one.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Rejected { at, .. } | Self::Statement { at, .. } => Some(at),
            _ => None,
        }
    }

    /// The statement that was rejected or failed.
    pub fn statement(&self) -> Option<&str> {
        match self {
            Self::Rejected { statement, .. } | Self::Statement { statement, .. } => Some(statement),
            _ => None,
        }
    }

    /// The file it is about, when it is about exactly one.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Rejected { at, .. } | Self::Statement { at, .. } => Some(&at.file),
            Self::OutOfOrder { file, .. }
            | Self::Integrity { file, .. }
            | Self::Unfinished { file, .. } => Some(file),
            Self::Edited { files } => files.first().map(|changed| changed.file.as_str()),
            Self::Missing { files } => files.first().map(|gone| gone.file.as_str()),
            Self::Duplicate { files } | Self::Newer { files } => files.first().map(String::as_str),
            _ => None,
        }
    }

    /// What happened, in one line, without the place and without the way out.
    pub fn message(&self) -> String {
        match self {
            Self::Rejected { message, .. }
            | Self::Files { message, .. }
            | Self::Refused { message, .. }
            | Self::Integrity { message, .. } => message.clone(),
            Self::Statement {
                message,
                rehearsal: true,
                ..
            } => format!("{message} (in the rehearsal on a copy; the database was not touched)"),
            Self::Statement { message, .. } => format!("{message} (rolled back)"),
            Self::Edited { files } => {
                let each = |changed: &Changed| {
                    let Changed { file, applied, now } = changed;
                    format!("{file} (applied with sha256 {applied}, is now {now})")
                };
                let each: Vec<String> = files.iter().map(each).collect();
                format!("changed after being applied: {}", each.join(", "))
            }
            Self::Missing { files } => {
                let each = |gone: &Gone| match &gone.applied {
                    Some(applied) => format!("{} (applied with sha256 {applied})", gone.file),
                    None => gone.file.clone(),
                };
                let each: Vec<String> = files.iter().map(each).collect();
                format!(
                    "applied to this database, but missing from the folder: {}",
                    each.join(", ")
                )
            }
            Self::OutOfOrder { file, after } => {
                format!("{file} is not applied, but {after}, which comes after it, is")
            }
            Self::Duplicate { files } => format!(
                "recorded more than once in the history: {}",
                files.join(", ")
            ),
            Self::Newer { files } => format!(
                "the database is newer than this release, and not compatible with it: {}",
                files.join(", ")
            ),
            Self::Locked {
                database,
                waited_ms,
            } => format!(
                "{} stayed locked by another process for {waited_ms} ms",
                database.display()
            ),
            Self::Interrupted { .. } => {
                "interrupted; everything that was not committed is rolled back".to_owned()
            }
            Self::Unfinished { file, message, .. } => {
                format!("{file} runs outside a transaction and stopped half way: {message}")
            }
            Self::Corrupt { doing, message } => format!("{doing}: {message}"),
            Self::Database { doing, source } => format!("{doing}: {source}"),
            Self::Unsure { doing, source } => {
                format!("{doing}: {source}; the changes are there, but a power cut may undo them")
            }
            Self::File { doing, source } => format!("{doing}: {source}"),
        }
    }

    /// Place and message in one line, for quoting inside another message.
    pub(crate) fn in_short(&self) -> String {
        match self {
            Self::Statement { at, message, .. } | Self::Rejected { at, message, .. } => {
                format!("{}:{}:{}: {message}", at.file, at.line, at.column)
            }
            other => other.message(),
        }
    }

    /// What to do about it; empty when the message says it.
    pub fn hint(&self) -> String {
        match self {
            Self::Rejected { hint, .. } | Self::Files { hint, .. } | Self::Refused { hint, .. } | Self::Statement { hint, .. } | Self::Integrity { hint, .. } => hint.clone(),
            Self::Edited { .. } => "put the old text back and write the change as a new file; if only a comment changed, `migrate --repair` records the new text".to_owned(),
            Self::Missing { files } if files.iter().any(|gone| gone.renamed_to.is_some()) => renamed_hint(files),
            Self::Missing { .. } => "put the file back (`git log --diff-filter=D -- <file>` finds it); if it is gone for good, `migrate --repair` retires its row".to_owned(),
            Self::OutOfOrder { .. } => "rename the file so that it sorts last; if its change is already in the database, record it with `migrate --baseline <file>`".to_owned(),
            Self::Duplicate { .. } => "two runners without a lock raced here once; `migrate --repair` keeps the first row of each".to_owned(),
            Self::Newer { .. } => "deploy the release that has these files, or restore the backup that was made before them".to_owned(),
            Self::Locked { .. } => "stop the process that writes (`fuser <file>` names it) or raise --timeout".to_owned(),
            Self::Interrupted { .. } => "run the same command again".to_owned(),
            Self::Unfinished { backup: Some(path), .. } => format!("`migrate --restore {}` goes back to before it; or finish it by hand and record it with `migrate --baseline <file>`", path.display()),
            Self::Unfinished { .. } => "finish it by hand and record it with `migrate --baseline <file>`, or undo it by hand and clear it with `migrate --repair`".to_owned(),
            Self::Corrupt { .. } => "restore a backup with `migrate --restore <file>`; they are in the folder named like the database with `.backups` at the end".to_owned(),
            Self::Database { source, .. } => database_hint(source).to_owned(),
            Self::Unsure { .. } => "look at the disk, then run the same command again: it says whether everything is applied".to_owned(),
            Self::File { .. } => String::new(),
        }
    }
}

/// A renamed file would be applied a second time under its new name.
fn renamed_hint(files: &[Gone]) -> String {
    let each = files.iter().filter_map(|gone| {
        let new = gone.renamed_to.as_ref()?;
        Some(format!("{new} back to {}", gone.file))
    });
    let each: Vec<String> = each.collect();
    format!(
        "the name is the key, and the same text is there under another one: rename {}",
        each.join(", ")
    )
}

fn database_hint(source: &rusqlite::Error) -> &'static str {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => {
            "the disk is full: free space and run the same command again"
        }
        Some(rusqlite::ErrorCode::CannotOpen) => {
            "the folder must exist and be writable; it is not created"
        }
        Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::PermissionDenied) => {
            "this user may not write the file or its folder"
        }
        Some(rusqlite::ErrorCode::SystemIoFailure) => {
            "look at the system log for the disk, then run `migrate --verify`"
        }
        _ => "",
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.location() {
            let number = at.line.to_string();
            let (shown, lead) = at.shown();
            writeln!(
                f,
                "{}:{}:{}: {}",
                at.file,
                at.line,
                at.column,
                self.message()
            )?;
            writeln!(f, "{number} | {shown}")?;
            write!(f, "{} | {lead}^", " ".repeat(number.len()))?;
        } else {
            write!(f, "{}", self.message())?;
        }
        match self.hint() {
            hint if hint.is_empty() => Ok(()),
            hint => write!(f, "\nhint: {hint}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Database { source, .. } | Self::Unsure { source, .. } => Some(source),
            Self::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Names what was being done when SQLite failed, and tells a damaged file from a failed call.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for rusqlite::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Error::Corrupt {
                    doing: what(),
                    message: source.to_string(),
                }
            }
            Some(rusqlite::ErrorCode::OperationInterrupted) => Error::Interrupted { signal: 2 },
            _ => Error::Database {
                doing: what(),
                source,
            },
        })
    }
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::File {
            doing: what(),
            source,
        })
    }
}
