//! The rules that say which files belong to a lane, spelled as `dorny/paths-filter` spells them.

use super::suggest::nearest;
use crate::changes::filter::Status;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// One rule of a lane's `paths`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A pattern; a file matching it counts whatever happened to it.
    Pattern(String),
    /// Patterns by status words, such as `added|modified`; each key has been checked to parse.
    Status(BTreeMap<String, Vec<String>>),
}

/// Reads `added|modified`: words in any case, blanks around them ignored.
///
/// # Errors
/// What is wrong with the words, and what to write.
pub(super) fn parse_words(words: &str) -> Result<Vec<Status>, String> {
    let mut statuses = Vec::new();
    for word in words
        .split('|')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        let lower = word.to_lowercase();
        match Status::from_word(&lower) {
            Some(status) => statuses.push(status),
            None => {
                let names = Status::WORDS.map(|(name, _)| name);
                return Err(match nearest(&lower, names) {
                    Some(name) => format!("'{word}' is no status; did you mean '{name}'?"),
                    None => format!("'{word}' is no status; these are: {}", names.join(", ")),
                });
            }
        }
    }
    if statuses.is_empty() {
        return Err("no status is named; write for example 'added|modified'".to_owned());
    }
    Ok(statuses)
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RuleVisitor)
    }
}

// By hand, because serde's untagged enums forget where in the text a value stood.
struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = Rule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pattern or a table such as { \"added|modified\" = [\"src/**\"] }")
    }

    fn visit_str<E>(self, pattern: &str) -> Result<Rule, E> {
        Ok(Rule::Pattern(pattern.to_owned()))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Rule, M::Error> {
        let mut by_status = BTreeMap::new();
        while let Some((words, patterns)) = map.next_entry()? {
            by_status.insert(words, patterns);
        }
        Ok(Rule::Status(by_status))
    }
}
