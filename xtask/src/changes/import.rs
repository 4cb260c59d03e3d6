//! Moves the filters of an existing workflow over: finds the block that `dorny/paths-filter` is given, or the file that it names,
//! and writes it as the `paths` of deploy.toml.

mod yaml;

use super::filter::{Quantifier, Status};
use crate::ids::Lane;
use std::fmt;
use std::fmt::Write as _;
use yaml::{Node, Value, Wrong};

/// The action, as workflows name it.
const ACTION: &str = "dorny/paths-filter@";

/// Where a workflow's filters are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where they stand.
    pub filters: Place,
    /// How many of a filter's rules a file must meet.
    pub quantifier: Quantifier,
}

/// Where filters stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the workflow: the text, and the line it begins in.
    Here(String, usize),
    /// In another file of the repository.
    File(String),
}

/// A filter as the workflow has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Its name.
    pub name: String,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// One rule: patterns, and the words of what must have happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `added|modified`, or nothing.
    pub words: Option<String>,
    /// The patterns; without words exactly one.
    pub patterns: Vec<String>,
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    line: Option<usize>,
    message: String,
}

impl ImportError {
    fn at(line: usize, message: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            message: message.into(),
        }
    }

    /// The message with the file's name and line before it.
    #[must_use]
    pub fn in_file(&self, file: &str) -> String {
        match self.line {
            Some(line) => format!("{file}:{line}: {}", self.message),
            None => format!("{file}: {}", self.message),
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ImportError {}

impl From<Wrong> for ImportError {
    fn from(wrong: Wrong) -> Self {
        Self::at(wrong.line, wrong.message)
    }
}

/// Finds the step that runs the action and what it is given.
///
/// # Errors
/// When there is no such step, several, or one without filters.
pub fn find(workflow: &str) -> Result<Found, ImportError> {
    let lines: Vec<&str> = workflow.lines().collect();
    let uses: Vec<usize> = (0..lines.len())
        .filter(|&index| uses_the_action(lines[index]))
        .collect();
    let [uses] = uses.as_slice() else {
        let message = match uses.get(1) {
            None => format!("no step says 'uses: {ACTION}…'"),
            Some(second) => format!(
                "lines {} and {} both use the action: leave one of the steps in a copy of the file",
                uses[0] + 1,
                second + 1
            ),
        };
        return Err(ImportError {
            line: None,
            message,
        });
    };
    let step = step_around(&lines, *uses);
    let mut quantifier = Quantifier::Some;
    let mut filters = None;
    for index in step {
        let Some((key, value)) = lines[index].trim_start_matches(['-', ' ']).split_once(':') else {
            continue;
        };
        match key.trim() {
            "filters" if filters.is_none() => filters = Some(place(&lines, index, value)?),
            "predicate-quantifier" => {
                let name = unquoted(value);
                quantifier = Quantifier::from_name(name).ok_or_else(|| {
                    ImportError::at(
                        index + 1,
                        format!("'{name}' is no quantifier: some, every or some-with-excludes"),
                    )
                })?;
            }
            _ => {}
        }
    }
    let filters = filters.ok_or_else(|| ImportError::at(uses + 1, "this step has no 'filters'"))?;
    Ok(Found {
        filters,
        quantifier,
    })
}

fn uses_the_action(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches("- ").trim_start();
    line.strip_prefix("uses:")
        .is_some_and(|value| unquoted(value).starts_with(ACTION))
}

/// A one-line value without its comment and quotes.
fn unquoted(value: &str) -> &str {
    let value = value.split(" #").next().unwrap_or_default();
    value.trim().trim_matches(['"', '\''])
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The lines of the step that a line belongs to: from its dash to the next line that is indented no deeper.
fn step_around(lines: &[&str], inside: usize) -> std::ops::Range<usize> {
    let is_dash = |index: usize| lines[index].trim_start().starts_with("- ");
    let depth = indent(lines[inside]);
    let first = (0..=inside)
        .rev()
        .find(|&index| is_dash(index) && (index == inside || indent(lines[index]) < depth))
        .unwrap_or(inside);
    let ends = |index: &usize| {
        !lines[*index].trim().is_empty() && indent(lines[*index]) <= indent(lines[first])
    };
    let last = (first + 1..lines.len()).find(ends).unwrap_or(lines.len());
    first..last
}

/// What follows `filters:`.
fn place(lines: &[&str], at: usize, value: &str) -> Result<Place, ImportError> {
    let value = value.split(" #").next().unwrap_or_default().trim();
    if let Some(style) = value.strip_prefix('|') {
        if !style.chars().all(|c| matches!(c, '-' | '+')) {
            return Err(ImportError::at(
                at + 1,
                format!("'|{style}' is not read: write 'filters: |'"),
            ));
        }
        let outer = indent(lines[at])
            + if lines[at].trim_start().starts_with("- ") {
                2
            } else {
                0
            };
        let belongs = |line: &&&str| line.trim().is_empty() || indent(line) > outer;
        let block: Vec<&str> = lines[at + 1..]
            .iter()
            .take_while(belongs)
            .copied()
            .collect();
        return Ok(Place::Here(block.join("\n"), at + 2));
    }
    if value.is_empty() || value.starts_with(['>', '$', '{', '[']) {
        let message = "only a block ('filters: |') or the name of a file is read here";
        return Err(ImportError::at(at + 1, message));
    }
    Ok(Place::File(unquoted(value).to_owned()))
}

/// Reads filters as the action does; the text's first line has the number `first_line`.
///
/// # Errors
/// When it is not what the action accepts, or more of YAML than is read here.
pub fn read(text: &str, first_line: usize) -> Result<Vec<Imported>, ImportError> {
    let root = yaml::read(text, first_line)?;
    let Value::Map(filters) = root.value else {
        return Err(ImportError::at(
            root.line,
            "filters are names with patterns below them",
        ));
    };
    let mut imported = Vec::new();
    for (name, node) in filters {
        let mut rules = Vec::new();
        read_rules(&name, &node, &mut rules)?;
        imported.push(Imported { name, rules });
    }
    if imported.is_empty() {
        return Err(ImportError::at(first_line, "there is no filter"));
    }
    Ok(imported)
}

fn read_rules(name: &str, node: &Node, rules: &mut Vec<Rule>) -> Result<(), ImportError> {
    match &node.value {
        Value::Text(pattern) => rules.push(Rule {
            words: None,
            patterns: vec![pattern.clone()],
        }),
        Value::List(items) => {
            for item in items {
                read_rules(name, item, rules)?;
            }
        }
        Value::Map(entries) => {
            for (words, node) in entries {
                let mut patterns = Vec::new();
                read_patterns(words, node, &mut patterns)?;
                known_words(words, node.line)?;
                rules.push(Rule {
                    words: Some(words.clone()),
                    patterns,
                });
            }
        }
        Value::Nothing => {
            return Err(ImportError::at(
                node.line,
                format!("'{name}' has no pattern"),
            ));
        }
        Value::Other(text) => return Err(not_text(node.line, text)),
    }
    Ok(())
}

fn read_patterns(words: &str, node: &Node, patterns: &mut Vec<String>) -> Result<(), ImportError> {
    match &node.value {
        Value::Text(pattern) => patterns.push(pattern.clone()),
        Value::List(items) => {
            for item in items {
                read_patterns(words, item, patterns)?;
            }
        }
        Value::Map(_) | Value::Nothing => {
            return Err(ImportError::at(
                node.line,
                format!("'{words}' has no pattern"),
            ));
        }
        Value::Other(text) => return Err(not_text(node.line, text)),
    }
    Ok(())
}

fn not_text(line: usize, text: &str) -> ImportError {
    ImportError::at(
        line,
        format!("YAML reads '{text}' as no text: put a pattern into quotes"),
    )
}

/// The action passes over a word that it does not know; here that would be refused later, so it is said now.
fn known_words(words: &str, line: usize) -> Result<(), ImportError> {
    let unknown = words
        .split('|')
        .map(|word| word.trim().to_lowercase())
        .find(|word| Status::from_word(word).is_none());
    match unknown {
        None => Ok(()),
        Some(word) => {
            let known = Status::WORDS.map(|(word, _)| word).join(", ");
            Err(ImportError::at(
                line,
                format!("'{word}' is no status: {known}"),
            ))
        }
    }
}

/// The filters as they stand in deploy.toml; those that no lane is called after, as comments.
#[must_use]
pub fn to_toml(filters: &[Imported], quantifier: Quantifier, from: &str) -> String {
    let mut text = format!("# from {from}\n");
    for filter in filters {
        let is_lane = Lane::ALL.iter().any(|lane| lane.name() == filter.name);
        let mut table = String::new();
        let _infallible = writeln!(table, "[{}]", filter.name);
        if quantifier != Quantifier::Some {
            let _infallible = writeln!(table, "quantifier = \"{}\"", quantifier.name());
        }
        table.push_str("paths = [\n");
        for rule in &filter.rules {
            let _infallible = writeln!(table, "    {}", rule.to_toml());
        }
        table.push_str("]\n");
        text.push('\n');
        if is_lane {
            text.push_str(&table);
        } else {
            text.push_str("# No lane is called so: move the rules to frontend or backend if it is one of them.\n");
            for line in table.lines() {
                let _infallible = writeln!(text, "# {line}");
            }
        }
    }
    text
}

impl Rule {
    fn to_toml(&self) -> String {
        let patterns: Vec<String> = self
            .patterns
            .iter()
            .map(|pattern| quoted(pattern))
            .collect();
        let rule = match &self.words {
            None => patterns.join(", "),
            Some(words) => format!("{{ {} = [{}] }}", quoted(words), patterns.join(", ")),
        };
        // deploy.toml refuses what can match nothing.
        let dead = |pattern: &String| pattern.trim_start_matches('!').starts_with(['/']);
        if self.patterns.iter().any(dead) {
            format!("# {rule}, which matched no file: git's paths begin without a slash")
        } else {
            format!("{rule},")
        }
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let _infallible = write!(quoted, "\\u{:04X}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
