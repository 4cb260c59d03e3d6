//! What differs from what is live: the lanes' filters and manifests.

pub mod filter;
pub mod glob;
pub mod manifest;
pub mod ndjson;

use crate::config::{self, Config};
use crate::ids::Lane;
use anyhow::{Context as _, Result, anyhow};
use filter::{Filter, Quantifier, Rule, Status};
use manifest::Change;
use std::collections::BTreeMap;

/// The filters of deploy.toml, compiled.
#[derive(Debug)]
pub struct LaneFilters {
    lanes: BTreeMap<Lane, Filter>,
    ignored: Filter,
}

impl LaneFilters {
    /// Compiles the lanes' `paths` and `ignore`.
    ///
    /// # Errors
    /// When a pattern cannot be compiled; the message names it.
    pub fn compile(config: &Config) -> Result<Self> {
        let frontend = compile(
            "frontend.paths",
            &config.frontend.paths,
            config.frontend.quantifier,
        )?;
        let backend = compile(
            "backend.paths",
            &config.backend.paths,
            config.backend.quantifier,
        )?;
        let ignored: Vec<config::Rule> = config
            .ignore
            .iter()
            .map(|text| config::Rule::Pattern(text.clone()))
            .collect();
        let ignored = compile("ignore", &ignored, Quantifier::Some)?;
        Ok(Self {
            lanes: BTreeMap::from([(Lane::Frontend, frontend), (Lane::Backend, backend)]),
            ignored,
        })
    }

    /// Whether a file is part of the lane: some rule could select it, whatever happens to it.
    pub fn selects(&self, lane: Lane, path: &str) -> bool {
        let statuses = [
            None,
            Some(Status::Modified),
            Some(Status::Added),
            Some(Status::Deleted),
        ];
        self.lanes.get(&lane).is_some_and(|filter| {
            statuses
                .into_iter()
                .any(|status| filter.matches(path, status).matched)
        })
    }

    /// Whether a difference makes the lane run.
    pub fn fires(&self, lane: Lane, change: &Change) -> bool {
        self.lanes
            .get(&lane)
            .is_some_and(|filter| filter.matches(&change.path, status(change)).matched)
    }

    /// The rule that made the lane run for a difference, as it is written.
    pub fn rule(&self, lane: Lane, change: &Change) -> Option<String> {
        let filter = self.lanes.get(&lane)?;
        let index = filter.matches(&change.path, status(change)).rule?;
        let patterns: Vec<&str> = filter
            .rules()
            .get(index)?
            .patterns()
            .iter()
            .map(glob::Pattern::as_str)
            .collect();
        Some(patterns.join(", "))
    }

    /// Whether the file belongs to a lane or is ignored on purpose.
    pub fn is_claimed(&self, path: &str) -> bool {
        Lane::ALL.into_iter().any(|lane| self.selects(lane, path))
            || self.ignored.matches(path, None).matched
    }
}

/// A change of type has no word in status rules: only plain patterns see it.
fn status(change: &Change) -> Option<Status> {
    match change.status {
        manifest::Status::Added => Some(Status::Added),
        manifest::Status::Modified => Some(Status::Modified),
        manifest::Status::Deleted => Some(Status::Deleted),
        manifest::Status::TypeChanged => None,
    }
}

fn compile(key: &str, rules: &[config::Rule], quantifier: Quantifier) -> Result<Filter> {
    let mut compiled = Vec::new();
    for rule in rules {
        match rule {
            config::Rule::Pattern(glob) => compiled.push(
                Rule::plain(glob)
                    .map_err(|error| anyhow!("{error}"))
                    .with_context(|| format!("{key} holds '{glob}'"))?,
            ),
            config::Rule::Status(by_words) => {
                for (words, globs) in by_words {
                    compiled.push(
                        Rule::with_status(words, globs)
                            .map_err(|error| anyhow!("{error}"))
                            .with_context(|| format!("{key} holds a rule for '{words}'"))?,
                    );
                }
            }
        }
    }
    Filter::new(compiled, quantifier).map_err(|error| anyhow!("{key}: {error}"))
}
