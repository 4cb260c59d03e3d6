//! One problem of a configuration, and how it looks to a person: place, line, caret, what to do.

use std::fmt;

/// Everything that was found wrong. Nothing has been contacted or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The configuration file; none when the problem is in the environment or on the command line.
    pub file: Option<String>,
    /// Where in the file, when one place can be named.
    pub location: Option<Location>,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

/// A place in a file, with the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The line as it may be shown: shortened when long, without its value when that may be a credential.
    pub excerpt: String,
    /// Characters of `excerpt` before the place.
    pub caret_start: usize,
    /// Characters of `excerpt` that are meant, at least 1.
    pub caret_len: usize,
}

impl ConfigError {
    /// Wraps problems in the order of the file, those without a place first.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| {
            problem
                .location
                .as_ref()
                .map(|place| (place.line, place.column))
        });
        Self { problems }
    }

    /// What was found, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl Problem {
    /// A problem that is not in the file.
    pub(super) fn outside(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            file: None,
            location: None,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        if self.problems.len() > 1 {
            write!(f, "\n\n{} problems", self.problems.len())?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(file)?;
            if let Some(place) = &self.location {
                write!(f, ":{}:{}", place.line, place.column)?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)?;
        if let Some(place) = &self.location {
            let number = place.line.to_string();
            let margin = " ".repeat(number.len());
            // Tabs are repeated, so that the caret stands under its text whatever their width.
            let indent: String = place
                .excerpt
                .chars()
                .take(place.caret_start)
                .map(|c| if c == '\t' { c } else { ' ' })
                .collect();
            let carets = "^".repeat(place.caret_len);
            write!(
                f,
                "\n{margin} |\n{number} | {}\n{margin} | {indent}{carets}",
                place.excerpt
            )?;
        }
        if !self.hint.is_empty() {
            write!(f, "\nhint: {}", self.hint)?;
        }
        Ok(())
    }
}
