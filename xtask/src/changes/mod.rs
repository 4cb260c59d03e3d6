//! What differs from what is live: the lanes' filters as deploy.toml has them. The dialect, the filters' semantics and the
//! manifests are the package `changes`.

mod idle;
pub mod import;
pub mod ndjson;

pub use ::changes::{filter, glob, lines, manifest, tree};
pub use idle::Idle;

use crate::config::{self, Config};
use crate::ids::Lane;
use ::changes::assign::{Assignment, Part, assign};
use anyhow::{Context as _, Result, anyhow, bail};
use filter::{Filter, NearReason, Quantifier, Rule, Status};
use glob::Pattern;
use manifest::Change;
use std::collections::BTreeMap;
use tree::Files;

/// The filters of deploy.toml, compiled.
#[derive(Debug)]
pub struct LaneFilters {
    lanes: BTreeMap<Lane, LaneFilter>,
    ignored: Filter,
    /// What of the publish folder stays home; paths begin there.
    excluded: Filter,
}

/// What selects a lane's files.
#[derive(Debug)]
struct LaneFilter {
    paths: Filter,
    toolchain: Filter,
    /// The site's rules, which may lie above its folder.
    rules: Filter,
}

/// Why a difference makes a lane run, or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether it does.
    pub fires: bool,
    /// The rule that decided, as it is written; `None` when none applied, and when all of `every` held.
    pub rule: Option<String>,
    /// Rules that nearly decided, with what they failed on.
    pub near: Vec<(String, &'static str)>,
    /// A pattern that took too long, which counts as a match.
    pub undecided: Option<String>,
}

impl LaneFilters {
    /// Compiles the lanes' `paths` and `toolchain`, `ignore`, and what is not published.
    ///
    /// # Errors
    /// When a pattern cannot be compiled; the message names it.
    pub fn compile(config: &Config) -> Result<Self> {
        let mut lanes = BTreeMap::new();
        for lane in Lane::ALL {
            let (paths, quantifier) = match lane {
                Lane::Frontend => (&config.frontend.paths, config.frontend.quantifier),
                Lane::Backend => (&config.backend.paths, config.backend.quantifier),
            };
            let filter = LaneFilter {
                paths: compile(&format!("{lane}.paths"), paths, quantifier)?,
                toolchain: plain(&format!("{lane}.toolchain"), &config.lane_toolchain(lane))?,
                rules: plain(&format!("{lane}.publish"), &config.lane_rules(lane))?,
            };
            lanes.insert(lane, filter);
        }
        Ok(Self {
            lanes,
            ignored: plain("ignore", &config.ignore)?,
            excluded: plain("frontend.exclude", &config.frontend.exclude)?,
        })
    }

    /// Whether a file of the publish folder is not published.
    ///
    /// # Errors
    /// When a pattern took too long to tell.
    pub fn excludes(&self, path: &str) -> Result<bool> {
        let decision = self.excluded.matches(path, None);
        match decision.undecided {
            Some(undecided) => bail!("frontend.exclude: {undecided}"),
            None => Ok(decision.matched),
        }
    }

    /// Gives every file of a tree to the lanes, in the order of [`Lane::ALL`].
    pub fn assign(&self, tree: &Files) -> Assignment {
        let parts: Vec<Part<'_>> = self
            .lanes
            .values()
            .map(|lane| Part {
                filters: vec![&lane.paths, &lane.toolchain, &lane.rules],
            })
            .collect();
        assign(tree, &parts, &self.ignored)
    }

    /// Whether a difference makes the lane run.
    pub fn fires(&self, lane: Lane, change: &Change) -> bool {
        self.lanes.get(&lane).is_some_and(|filter| {
            filter.paths.matches(&change.path, status(change)).matched
                || filter.toolchain.matches(&change.path, None).matched
                || filter.rules.matches(&change.path, None).matched
        })
    }

    /// Which rule made the lane run for a difference, or which nearly did.
    pub fn explain(&self, lane: Lane, change: &Change) -> Option<Explanation> {
        let filter = self.lanes.get(&lane)?;
        let decision = filter.paths.matches(&change.path, status(change));
        let others = [
            (&filter.toolchain, "of the toolchain"),
            (&filter.rules, "of the site's rules"),
        ];
        for (other, whose) in others.into_iter().filter(|_| !decision.matched) {
            let found = other.matches(&change.path, None);
            if found.matched {
                let rule = found.rule.and_then(|rule| written(other, rule));
                return Some(Explanation {
                    fires: true,
                    rule: rule.map(|rule| format!("{rule} {whose}")),
                    near: Vec::new(),
                    undecided: None,
                });
            }
        }
        let near = decision.near.iter().filter_map(|near| {
            let why = match near.reason {
                NearReason::Status => "it is for files to which something else happened",
                NearReason::Excluded => "another rule leaves the file out",
                NearReason::NotEvery => "every rule must match, and one does not",
            };
            Some((written(&filter.paths, near.rule)?, why))
        });
        let mut near: Vec<(String, &'static str)> = near.collect();
        if !decision.matched && decision.rule.is_none() && near.is_empty() {
            near.extend(almost(&filter.paths, &change.path));
        }
        Some(Explanation {
            fires: decision.matched,
            rule: decision.rule.and_then(|rule| written(&filter.paths, rule)),
            near,
            undecided: decision.undecided.as_ref().map(ToString::to_string),
        })
    }
}

/// Rules that do not match a path and may have been meant to: those are the two mistakes that people make most.
fn almost(filter: &Filter, path: &str) -> Vec<(String, &'static str)> {
    let matches = |glob: &str, path: &str| {
        Pattern::compile(glob).is_ok_and(|pattern| !pattern.is_negated() && pattern.is_match(path))
    };
    let why = |glob: &str| {
        if matches(&format!("{}/**", glob.trim_end_matches('/')), path) {
            Some("it matches that name alone; with /** at its end it would match what is below")
        } else if matches(&glob.to_lowercase(), &path.to_lowercase()) {
            Some("upper and lower case differ")
        } else {
            None
        }
    };
    let found = filter
        .rules()
        .iter()
        .enumerate()
        .filter_map(|(index, rule)| {
            let why = rule
                .patterns()
                .iter()
                .find_map(|pattern| why(pattern.as_str()))?;
            Some((written(filter, index)?, why))
        });
    found.collect()
}

/// A rule as it is written in deploy.toml, without the quotes.
fn written(filter: &Filter, rule: usize) -> Option<String> {
    let rule = filter.rules().get(rule)?;
    let patterns: Vec<&str> = rule.patterns().iter().map(glob::Pattern::as_str).collect();
    let patterns = patterns.join(", ");
    Some(match rule.statuses() {
        None => patterns,
        Some(statuses) => {
            let words = Status::WORDS
                .iter()
                .filter(|(_, status)| statuses.contains(status))
                .map(|(word, _)| *word);
            format!("{}: {patterns}", words.collect::<Vec<_>>().join("|"))
        }
    })
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

/// A filter of patterns alone, one of which is enough.
fn plain(key: &str, patterns: &[String]) -> Result<Filter> {
    let rules: Vec<config::Rule> = patterns
        .iter()
        .map(|text| config::Rule::Pattern(text.clone()))
        .collect();
    compile(key, &rules, Quantifier::Some)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn filters(frontend: &str) -> LaneFilters {
        let text = format!(
            "project = \"shop\"\nignore = [\"*.md\"]\n[frontend]\n{frontend}\npublish = \"web\"\nbuild = \"make\"\n\
             [backend]\npaths = [\"api/**\"]\nbuild = \"make\"\nstart = \"./api\"\n"
        );
        let config = Config::load(Path::new("deploy.toml"), &text).expect("a configuration");
        LaneFilters::compile(&config).expect("filters")
    }

    fn explain(filters: &LaneFilters, path: &str, status: manifest::Status) -> String {
        let change = Change {
            path: path.to_owned(),
            status,
        };
        let explanation = filters.explain(Lane::Frontend, &change).expect("a lane");
        assert_eq!(explanation.fires, filters.fires(Lane::Frontend, &change));
        let near = explanation.near.iter();
        let near: String = near.map(|(rule, why)| format!("; {rule}: {why}")).collect();
        format!(
            "{} {}{near}",
            explanation.fires,
            explanation.rule.as_deref().unwrap_or("-")
        )
    }

    #[test]
    fn a_published_folder_of_an_odd_name_has_its_rules_all_the_same() {
        let text = "project = \"shop\"\n[frontend]\npaths = [\"x\"]\npublish = \"!(a)/[b]*\"\n\
             [backend]\npaths = [\"api/**\"]\nbuild = \"make\"\nstart = \"./api\"\n";
        let config = Config::load(Path::new("deploy.toml"), text).expect("a configuration");
        let filters = LaneFilters::compile(&config).expect("filters");
        for (path, expected) in [
            ("netlify.toml", true),
            ("!(a)/netlify.toml", true),
            ("!(a)/[b]*/netlify.toml", true),
            ("b/netlify.toml", false),
            ("!(a)/bc/netlify.toml", false),
        ] {
            let change = Change {
                path: path.to_owned(),
                status: manifest::Status::Modified,
            };
            assert_eq!(filters.fires(Lane::Frontend, &change), expected, "{path}");
            assert!(!filters.fires(Lane::Backend, &change), "{path}");
        }
    }

    #[test]
    fn rules_that_were_probably_meant_are_named() {
        let filters = filters(
            "paths = [\"web\", \"assets/\", \"Docs/**\", \"!web/x\"]\nquantifier = \"some-with-excludes\"",
        );
        let below = "it matches that name alone; with /** at its end it would match what is below";
        for (path, expected) in [
            ("web/a", format!("false -; web: {below}")),
            ("assets/a", format!("false -; assets/: {below}")),
            (
                "docs/a",
                "false -; Docs/**: upper and lower case differ".to_owned(),
            ),
            ("other", "false -".to_owned()),
        ] {
            assert_eq!(
                explain(&filters, path, manifest::Status::Modified),
                expected,
                "{path}"
            );
        }
    }

    #[test]
    fn the_rule_that_decides_is_named_and_those_that_nearly_do() {
        use manifest::Status::{Added, Deleted, Modified, TypeChanged};
        let some = filters("paths = [\"web/**\", { \"added|modified\" = [\"lib/*\", \"pkg/*\"] }]");
        for (path, status, expected) in [
            ("web/a", Deleted, "true web/**"),
            ("web/a", TypeChanged, "true web/**"),
            ("lib/a", Added, "true added|modified: lib/*, pkg/*"),
            (
                "lib/a",
                Deleted,
                "false -; added|modified: lib/*, pkg/*: it is for files to which something else happened",
            ),
            (
                "lib/a",
                TypeChanged,
                "false -; added|modified: lib/*, pkg/*: it is for files to which something else happened",
            ),
            (".nvmrc", Modified, "true .nvmrc of the toolchain"),
            (
                "netlify.toml",
                Modified,
                "true netlify.toml of the site's rules",
            ),
            ("web/netlify.toml", Added, "true web/**"),
            ("api/netlify.toml", Added, "false -"),
            ("api/a", Modified, "false -"),
        ] {
            assert_eq!(explain(&some, path, status), expected, "{path}");
        }
        let excludes =
            filters("quantifier = \"some-with-excludes\"\npaths = [\"web/**\", \"!web/docs/**\"]");
        assert_eq!(
            explain(&excludes, "web/docs/a", Modified),
            "false !web/docs/**; web/**: another rule leaves the file out"
        );
        let every = filters("quantifier = \"every\"\npaths = [\"web/**\", \"**/*.js\"]");
        assert_eq!(explain(&every, "web/a.js", Modified), "true -");
        assert_eq!(
            explain(&every, "web/a.ts", Modified),
            "false **/*.js; web/**: every rule must match, and one does not"
        );
    }
}
