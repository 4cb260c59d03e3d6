//! The pattern language of lane filters: what `dorny/paths-filter` understands, so that a workflow's filters move over unchanged.
//!
//! That is picomatch 2.3.1 with its one option `dot: true`. Its documentation does not define the language; the regular
//! expression it writes for a pattern does. So a pattern is compiled in three stages, each with a file of its own:
//!
//! 1. [`translate`] (with [`shorthand`]) writes the expression for the pattern, oddities included;
//! 2. [`syntax`] parses that as JavaScript would;
//! 3. [`program`] drops what does not decide about a match, and [`search`] follows all possibilities of a path at once as sets of
//!    [`positions`]. Its time is bounded by the sizes of pattern and path. Only a pattern that refers back to a group (`(*)/\1`)
//!    needs [`captures`], which tries one way after the other under a step limit.
//!
//! Worth knowing, because it surprises: `dir/**` also matches `dir`; `dir` matches nothing below it; a leading `./` is dropped; a
//! leading `/` matches no path git reports; `!x` is "everything but x" and subtracts nothing from other rules; `[!a]` is a class
//! of `!` and `a`, only `[^a]` negates; `{js}` without a comma is text; `?` is one UTF-16 unit, so an emoji is two; quotes are
//! removed; case matters; an expression that came out invalid matches only the path equal to the pattern.
//!
//! Known differences, all where the reference fails instead of answering: the names `constructor`, `toString` and the other
//! properties that every JavaScript object has are plain names here (there they raise an error, and inside `[[:…:]]` they
//! insert program text); brackets nested deeper than 100, and counts that unfold to more than 100,000 operations, are refused;
//! a pattern with references that takes more than a million steps is given up.

mod captures;
mod class;
mod positions;
mod program;
mod search;
mod shorthand;
mod syntax;
mod translate;
mod units;

#[cfg(test)]
mod tests;

use std::fmt;

use captures::Machine;
use program::Program;

/// Longest pattern, in UTF-16 units; the reference's limit.
const UNITS_MAX: usize = 64 * 1024;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    glob: String,
    matcher: Matcher,
    /// For a negated pattern, what it negates.
    negates: Option<Matcher>,
}

#[derive(Debug)]
enum Matcher {
    /// The expression is invalid, for this reason.
    Never(&'static str),
    Program(Box<Program>),
    /// The program dismisses most paths, the machine decides.
    Machine(Box<Program>, Box<Machine>),
}

/// Why a pattern cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// The pattern is empty.
    Empty,
    /// It is longer than 65,536 UTF-16 units; holds how long it is.
    TooLong(usize),
    /// Brackets are nested deeper than 100; holds the pattern's beginning and the UTF-16 unit at which that happens, from 1.
    TooDeep(String, usize),
    /// It unfolds to more than 100,000 operations; holds its beginning.
    TooLarge(String),
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str(
                "an empty pattern matches nothing: remove it, or write `**` for every file",
            ),
            Self::TooLong(units) => {
                write!(
                    f,
                    "a pattern of {units} characters is too long: at most {UNITS_MAX} are allowed, split it up"
                )
            }
            Self::TooDeep(glob, unit) => {
                write!(
                    f,
                    "pattern `{glob}`, character {unit}: brackets are nested deeper than 100, flatten them"
                )
            }
            Self::TooLarge(glob) => {
                write!(
                    f,
                    "pattern `{glob}` unfolds to more than 100000 steps: lower its repetition counts"
                )
            }
        }
    }
}

impl std::error::Error for PatternError {}

/// A pattern that refers back to its own groups took too many attempts on one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// The pattern.
    pub pattern: String,
    /// The path.
    pub path: String,
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = captures::STEPS_MAX;
        let Self { pattern, path } = self;
        write!(
            f,
            "gave up matching `{path}` against `{pattern}` after {limit} steps: write it without `\\1`"
        )
    }
}

impl std::error::Error for Undecided {}

impl Pattern {
    /// Compiles a pattern. What the reference accepts is accepted, also when it can match next to nothing; see
    /// [`Pattern::defect`].
    ///
    /// # Errors
    /// When the pattern is empty, longer than 65,536 UTF-16 units, nested deeper than 100 brackets or built to be huge.
    pub fn compile(glob: &str) -> Result<Self, PatternError> {
        if glob.is_empty() {
            return Err(PatternError::Empty);
        }
        let length = glob.encode_utf16().count();
        if length > UNITS_MAX {
            return Err(PatternError::TooLong(length));
        }
        let beginning = || glob.chars().take(60).collect::<String>();
        let deep = |deep: translate::TooDeep| PatternError::TooDeep(beginning(), deep.0);
        let large = |_| PatternError::TooLarge(beginning());
        let translation = translate::translate(&units::split(glob)).map_err(deep)?;
        let plain = format!("^(?:{})$", translation.expression);
        let (matcher, negates) = if translation.negated {
            let negation = format!("^(?!{plain}).*$");
            (
                matcher(&negation).map_err(large)?,
                Some(matcher(&plain).map_err(large)?),
            )
        } else {
            (matcher(&plain).map_err(large)?, None)
        };
        Ok(Self {
            glob: glob.to_owned(),
            matcher,
            negates,
        })
    }

    /// Whether the pattern matches `path`: a path as git prints it, relative to the repository, with `/`. A path that could not
    /// be decided (see [`Pattern::decide`]) counts as not matched.
    #[must_use]
    pub fn is_match(&self, path: &str) -> bool {
        self.decide(path).unwrap_or(false)
    }

    /// Like [`Pattern::is_match`].
    ///
    /// # Errors
    /// When the pattern refers back to its own groups and more than a million attempts did not decide.
    pub fn decide(&self, path: &str) -> Result<bool, Undecided> {
        if path.is_empty() {
            return Ok(false);
        }
        if path == self.glob {
            return Ok(true);
        }
        self.matcher.decide(path).map_err(|_| self.undecided(path))
    }

    /// The answer of [`Pattern::decide`] by trying one way after the other, to compare it with.
    ///
    /// # Errors
    /// When a million attempts did not decide.
    #[cfg(any(test, fuzzing))]
    pub fn decide_slowly(&self, path: &str) -> Result<bool, Undecided> {
        let units = units::split(&self.glob);
        let Ok(translation) = translate::translate(&units) else {
            return Ok(false);
        };
        let plain = format!("^(?:{})$", translation.expression);
        let source = if translation.negated {
            format!("^(?!{plain}).*$")
        } else {
            plain
        };
        if path.is_empty() || path == self.glob {
            return Ok(!path.is_empty());
        }
        let Ok(expression) = syntax::parse(&source) else {
            return Ok(false);
        };
        let machine = Machine::new(&expression).map_err(|_| self.undecided(path))?;
        machine.is_match(path).map_err(|_| self.undecided(path))
    }

    /// Whether `path` is what a negated pattern (`!docs/**`) leaves out. A pattern that is not negated leaves nothing out.
    ///
    /// # Errors
    /// As [`Pattern::decide`].
    pub fn excludes(&self, path: &str) -> Result<bool, Undecided> {
        match &self.negates {
            Some(matcher) if !path.is_empty() => {
                matcher.decide(path).map_err(|_| self.undecided(path))
            }
            _ => Ok(false),
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.glob
    }

    /// Whether it means "everything but", by an odd number of leading `!`.
    #[must_use]
    pub fn is_negated(&self) -> bool {
        self.negates.is_some()
    }

    /// Why the pattern can match nothing but a path of the same text, for a warning.
    #[must_use]
    pub fn defect(&self) -> Option<&'static str> {
        match self.matcher {
            Matcher::Never(reason) => Some(reason),
            _ => None,
        }
    }

    fn undecided(&self, path: &str) -> Undecided {
        Undecided {
            pattern: self.glob.clone(),
            path: path.to_owned(),
        }
    }
}

impl Matcher {
    fn decide(&self, path: &str) -> Result<bool, captures::GaveUp> {
        match self {
            Self::Never(_) => Ok(false),
            Self::Program(program) => Ok(program.is_match(path)),
            Self::Machine(program, machine) => {
                Ok(program.is_match(path) && machine.is_match(path)?)
            }
        }
    }
}

fn matcher(source: &str) -> Result<Matcher, program::TooLarge> {
    let expression = match syntax::parse(source) {
        Ok(expression) => expression,
        Err(invalid) => return Ok(Matcher::Never(invalid.describe())),
    };
    let program = Box::new(Program::new(&expression.root)?);
    if expression.root.has_references() {
        return Ok(Matcher::Machine(
            program,
            Box::new(Machine::new(&expression)?),
        ));
    }
    Ok(Matcher::Program(program))
}
