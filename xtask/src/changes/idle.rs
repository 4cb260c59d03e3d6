//! Patterns of deploy.toml that select nothing. A lane that selects nothing would be released once and then never again; one
//! pattern among others that does is worth a word. What was probably meant is tried on the files that there are.

use super::glob::Pattern;
use super::tree::Files;
use super::{LaneFilters, Quantifier};
use crate::config::{At, Config, Problem, Rule};
use crate::ids::Lane;
use std::borrow::Cow;

/// What was found.
#[derive(Debug, Default)]
pub struct Idle {
    /// Lanes that select no file.
    pub lanes: Vec<Problem>,
    /// Single patterns that match none.
    pub patterns: Vec<Problem>,
}

impl LaneFilters {
    /// Holds every pattern against the files that there are.
    pub fn idle(&self, config: &Config, tree: &Files) -> Idle {
        let mut idle = Idle::default();
        for (&lane, filter) in &self.lanes {
            let selects = paths(tree).any(|path| filter.paths.selects(&path));
            let at = At::root().key(lane.name());
            let found = self.idle_paths(config, lane, tree, selects);
            if !selects && found.is_empty() {
                idle.lanes.push(config.problem_at(
                    &at.key("paths"),
                    "no file is selected by these rules together, so the lane never runs",
                    "`quantifier` says how many of them a file must meet",
                ));
            }
            let to = if selects {
                &mut idle.patterns
            } else {
                &mut idle.lanes
            };
            to.extend(found);
            let toolchain = match lane {
                Lane::Frontend => &config.frontend.toolchain,
                Lane::Backend => &config.backend.toolchain,
            };
            let toolchain = toolchain.iter().flatten();
            for (number, pattern) in toolchain.enumerate() {
                if let Some(miss) = Miss::of(pattern, tree, false) {
                    let at = at.key("toolchain").item(number);
                    idle.patterns.push(miss.problem(config, &at, ""));
                }
            }
        }
        for (number, pattern) in config.ignore.iter().enumerate() {
            // Nothing to ignore is nothing to say, unless it was written wrongly.
            if let Some(miss) = Miss::of(pattern, tree, false).filter(|miss| miss.meant.is_some()) {
                let at = At::root().key("ignore").item(number);
                idle.patterns.push(miss.problem(config, &at, ""));
            }
        }
        idle
    }

    fn idle_paths(&self, config: &Config, lane: Lane, tree: &Files, selects: bool) -> Vec<Problem> {
        let (rules, quantifier) = match lane {
            Lane::Frontend => (&config.frontend.paths, config.frontend.quantifier),
            Lane::Backend => (&config.backend.paths, config.backend.quantifier),
        };
        let with_excludes = quantifier == Quantifier::SomeWithExcludes;
        let so = if selects {
            ""
        } else {
            ", so the lane never runs"
        };
        let at = At::root().key(lane.name()).key("paths");
        let mut found = Vec::new();
        let mut hold = |pattern: &str, at: &At| {
            if let Some(miss) = Miss::of(pattern, tree, with_excludes) {
                found.push(miss.problem(config, at, so));
            }
        };
        for (number, rule) in rules.iter().enumerate() {
            let at = at.item(number);
            match rule {
                Rule::Pattern(pattern) => hold(pattern, &at),
                Rule::Status(by_words) => {
                    for (words, patterns) in by_words {
                        for (number, pattern) in patterns.iter().enumerate() {
                            hold(pattern, &at.key(words).item(number));
                        }
                    }
                }
            }
        }
        found
    }

    /// A pattern of `frontend.exclude` that leaves none of the files out, written so that it would hide a published one: that one
    /// was not meant to be public. With it, what to write.
    pub fn exclude_that_misses(
        &self,
        left_out: &[String],
        published: &[String],
    ) -> Option<(String, String)> {
        let patterns = self
            .excluded
            .rules()
            .iter()
            .flat_map(|rule| rule.patterns());
        let mut idle =
            patterns.filter(|pattern| !left_out.iter().any(|path| pattern.is_match(path)));
        idle.find_map(|pattern| {
            let published = published.iter().map(|path| Cow::Borrowed(path.as_str()));
            let meant = meant(pattern.as_str(), &published)?;
            Some((pattern.as_str().to_owned(), meant))
        })
    }
}

/// A pattern that matches none of the files.
struct Miss<'p> {
    pattern: &'p str,
    meant: Option<String>,
}

impl<'p> Miss<'p> {
    /// With `excludes` a leading `!` takes files away, and taking none away is only worth a word when others were meant.
    fn of(pattern: &'p str, tree: &Files, excludes: bool) -> Option<Self> {
        let compiled = Pattern::compile(pattern).ok()?;
        let takes_away = excludes && compiled.is_negated();
        let hits = |path: &str| {
            let decided = if takes_away {
                compiled.excludes(path)
            } else {
                compiled.decide(path)
            };
            decided.unwrap_or(true)
        };
        if paths(tree).any(|path| hits(&path)) {
            return None;
        }
        let meant = meant(pattern, &paths(tree));
        (!takes_away || meant.is_some()).then_some(Self { pattern, meant })
    }

    fn problem(&self, config: &Config, at: &At, so: &str) -> Problem {
        let message = format!("the pattern '{}' matches no file{so}", self.pattern);
        let hint = match &self.meant {
            Some(meant) => format!("write '{meant}'"),
            None => "paths begin at the repository's root; remove it if it is not needed any more"
                .to_owned(),
        };
        config.problem_at(at, &message, &hint)
    }
}

fn paths(tree: &Files) -> impl Iterator<Item = Cow<'_, str>> + Clone {
    tree.iter().map(|file| String::from_utf8_lossy(file.path))
}

/// The pattern that was probably meant by one that matches nothing: the mistakes that people make most, undone.
fn meant<'p>(
    pattern: &str,
    paths: &(impl Iterator<Item = Cow<'p, str>> + Clone),
) -> Option<String> {
    let (sign, glob) = match pattern.strip_prefix('!') {
        Some(glob) => ("!", glob),
        None => ("", pattern),
    };
    let tidy = glob.trim().replace('\\', "/");
    let tidy = tidy.trim_start_matches('/');
    let folder = tidy.trim_end_matches('/');
    let spelled = [
        tidy.to_owned(),
        format!("{folder}/**"),
        format!("**/{folder}"),
        format!("**/{folder}/**"),
    ];
    let recased = spelled
        .iter()
        .take(2)
        .filter_map(|glob| paths.clone().find_map(|path| recased(glob, &path)));
    let hits = |glob: &String| {
        glob != pattern
            && Pattern::compile(glob).is_ok_and(|compiled| {
                !compiled.is_negated() && paths.clone().any(|path| compiled.is_match(&path))
            })
    };
    let found = spelled.iter().cloned().chain(recased).find(hits)?;
    Some(format!("{sign}{found}"))
}

/// The pattern with the beginning of a path in place of its own, where they differ only in upper and lower case.
fn recased(glob: &str, path: &str) -> Option<String> {
    let end = glob.find(['*', '?', '[', '{', '(', '+', '@', '!']);
    let (literal, rest) = glob.split_at(end.unwrap_or(glob.len()));
    let beginning: String = path.chars().take(literal.chars().count()).collect();
    let differ_in_case = beginning != literal && beginning.to_lowercase() == literal.to_lowercase();
    differ_in_case.then(|| format!("{beginning}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::tree::File;
    use std::path::Path;

    const FILES: [&str; 5] = [
        "README.md",
        "api/main.rs",
        "docs/a.md",
        "web/index.html",
        "web/sub/a.js",
    ];

    fn idle(frontend: &str) -> Idle {
        let text = format!(
            "project = \"shop\"\nignore = [\"*.txt\", \"docs/\"]\n[frontend]\n{frontend}\npublish = \"web\"\nbuild = \"make\"\n\
             [backend]\npaths = [\"api/**\"]\nbuild = \"make\"\nstart = \"./api\"\n"
        );
        let config = Config::load(Path::new("deploy.toml"), &text).expect("a configuration");
        let tree = Files::of(FILES.map(|name| File {
            mode: "100644",
            oid: "1",
            path: name.as_bytes(),
        }));
        let filters = LaneFilters::compile(&config).expect("filters");
        filters.idle(&config, &tree.expect("a list"))
    }

    #[test]
    fn a_lane_that_selects_nothing_is_found_with_what_was_meant() {
        for (written, meant) in [
            ("web/", "write 'web/**'"),
            ("web", "write 'web/**'"),
            ("web/** ", "write 'web/**'"),
            ("Web/**", "write 'web/**'"),
            ("Web/", "write 'web/**'"),
            ("web\\\\**", "write 'web/**'"),
            ("a.js", "write '**/a.js'"),
            ("nothing/**", "paths begin at the repository's root"),
        ] {
            let found = idle(&format!("paths = [\"{written}\"]"));
            let [problem] = found.lanes.as_slice() else {
                panic!("{written}: {found:?}")
            };
            let text = problem.to_string();
            assert!(text.contains("so the lane never runs"), "{text}");
            assert!(text.contains(meant), "{text}");
            assert!(text.starts_with("deploy.toml:4:"), "{text}");
        }
        let every = idle("paths = [\"web/**\", \"docs/**\"]\nquantifier = \"every\"");
        assert_eq!(every.lanes.len(), 1);
        assert!(every.lanes[0].message.contains("by these rules together"));
    }

    #[test]
    fn one_pattern_among_others_is_a_warning() {
        let told = |frontend: &str| {
            let found = idle(frontend);
            assert!(found.lanes.is_empty(), "{found:?}");
            let messages = found.patterns.into_iter().map(|problem| problem.message);
            messages.collect::<Vec<_>>()
        };
        let ignore = "the pattern 'docs/' matches no file";
        assert_eq!(
            told("paths = [\"web/**\"]"),
            [ignore],
            "`*.txt` is no mistake"
        );
        assert_eq!(
            told("paths = [\"web/**\", \"lib/**\"]\ntoolchain = [\".nvmrc\"]"),
            [
                "the pattern 'lib/**' matches no file",
                "the pattern '.nvmrc' matches no file",
                ignore
            ]
        );
        assert_eq!(
            told(
                "paths = [\"web/**\", \"!web/old/**\", \"!web/sub/\"]\nquantifier = \"some-with-excludes\""
            ),
            ["the pattern '!web/sub/' matches no file", ignore],
            "nothing to take away is no mistake"
        );
        assert_eq!(
            told("paths = [\"web/**\", { \"added\" = [\"lib/**\"] }]"),
            ["the pattern 'lib/**' matches no file", ignore]
        );
    }

    #[test]
    fn what_was_meant_to_stay_home_is_found_among_the_published() {
        let text = "project = \"shop\"\n[frontend]\npaths = [\"web/**\"]\npublish = \"web\"\nexclude = [\"*.map\", \"*.txt\"]\n\
             [backend]\npaths = [\"api/**\"]\nbuild = \"make\"\nstart = \"./api\"\n";
        let config = Config::load(Path::new("deploy.toml"), text).expect("a configuration");
        let filters = LaneFilters::compile(&config).expect("filters");
        let found = |left_out: &[&str], published: &[&str]| {
            let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
            let (left_out, published): (Vec<String>, Vec<String>) =
                (owned(left_out), owned(published));
            filters.exclude_that_misses(&left_out, &published)
        };
        assert_eq!(found(&[], &["a.js"]), None);
        assert_eq!(found(&["a.map"], &["sub/b.map"]), None, "it does its work");
        assert_eq!(
            found(&[], &["sub/b.map"]),
            Some(("*.map".to_owned(), "**/*.map".to_owned()))
        );
    }
}
