//! Which files belong to a lane: a list of rules and how many of them must hold.
//!
//! The semantics are those of `dorny/paths-filter`. A decision says which rule made it and which ones came close, because
//! "why did this lane not run" is asked more often than "did it run".

use super::glob::{Pattern, PatternError, Undecided};
use serde::Deserialize;
use std::fmt;

/// What happened to a file, in git's words. A change of type (a file that became a link) has none of these: plain patterns
/// see it, status rules do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// New.
    Added,
    /// A copy of another.
    Copied,
    /// Gone.
    Deleted,
    /// Other content.
    Modified,
    /// Another name.
    Renamed,
    /// In conflict.
    Unmerged,
}

impl Status {
    /// Every status with its word.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("added", Self::Added),
        ("copied", Self::Copied),
        ("deleted", Self::Deleted),
        ("modified", Self::Modified),
        ("renamed", Self::Renamed),
        ("unmerged", Self::Unmerged),
    ];

    /// The status with this word, in lower case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let found = Self::WORDS.iter().find(|(name, _)| *name == word);
        found.map(|&(_, status)| status)
    }
}

/// How many rules a file must meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantifier {
    /// At least one.
    #[default]
    Some,
    /// All of them; an empty list therefore takes every file.
    Every,
    /// At least one, and no negated pattern may name it, in whatever order they stand.
    SomeWithExcludes,
}

impl Quantifier {
    /// The quantifier with this name: `some`, `every` or `some-with-excludes`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "some" => Some(Self::Some),
            "every" => Some(Self::Every),
            "some-with-excludes" => Some(Self::SomeWithExcludes),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Some => "some",
            Self::Every => "every",
            Self::SomeWithExcludes => "some-with-excludes",
        }
    }
}

/// One rule of a filter.
#[derive(Debug)]
pub struct Rule {
    /// `None`: whatever happened to the file.
    statuses: Option<Vec<Status>>,
    /// One of them is enough, also under [`Quantifier::Every`].
    patterns: Vec<Pattern>,
}

impl Rule {
    /// A pattern for files whatever happened to them.
    ///
    /// # Errors
    /// When the pattern cannot be compiled.
    pub fn plain(glob: &str) -> Result<Self, PatternError> {
        Ok(Self {
            statuses: None,
            patterns: vec![Pattern::compile(glob)?],
        })
    }

    /// Patterns, one of which must match, for files with one of the statuses in `words` (`added|modified`). A word that is no
    /// status is never met, as in the reference; the configuration rejects such words before.
    ///
    /// # Errors
    /// When a pattern cannot be compiled.
    pub fn with_status<G: AsRef<str>>(words: &str, globs: &[G]) -> Result<Self, PatternError> {
        let words = words.split('|').map(|word| word.trim().to_lowercase());
        let statuses = words.filter_map(|word| Status::from_word(&word)).collect();
        let patterns = globs
            .iter()
            .map(|glob| Pattern::compile(glob.as_ref()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            statuses: Some(statuses),
            patterns,
        })
    }

    /// Its patterns.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// What must have happened to a file; `None`: anything.
    #[must_use]
    pub fn statuses(&self) -> Option<&[Status]> {
        self.statuses.as_deref()
    }

    fn accepts(&self, status: Option<Status>) -> bool {
        match &self.statuses {
            None => true,
            Some(statuses) => status.is_some_and(|status| statuses.contains(&status)),
        }
    }
}

/// Rules with a quantifier.
#[derive(Debug)]
pub struct Filter {
    rules: Vec<Rule>,
    quantifier: Quantifier,
}

/// The rules only say what to leave out, so that nothing could ever match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnlyExcludes;

impl fmt::Display for OnlyExcludes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("with some-with-excludes every pattern begins with `!`, so no file can match: add `**` for all others")
    }
}

impl std::error::Error for OnlyExcludes {}

/// What a filter says about one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether the file belongs to the lane.
    pub matched: bool,
    /// Index of the rule that decided: the one that took the file in or left it out, or the first of `every` that did not hold.
    /// `None` when no rule applied, and when all of `every` held.
    pub rule: Option<usize>,
    /// Rules that would have taken the file in.
    pub near: Vec<NearMiss>,
    /// A pattern took too long on this file. It was taken as "belongs to the lane": to run once too often is the safe mistake.
    pub undecided: Option<Undecided>,
}

/// A rule that came close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// Its index.
    pub rule: usize,
    /// What it failed on.
    pub reason: NearReason,
}

/// Why a rule whose pattern matches did not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearReason {
    /// It asks for another status.
    Status,
    /// The deciding rule leaves the file out.
    Excluded,
    /// The deciding rule does not hold, and every rule must.
    NotEvery,
}

impl Filter {
    /// A filter of these rules.
    ///
    /// # Errors
    /// When the quantifier is [`Quantifier::SomeWithExcludes`] and all patterns are negated.
    pub fn new(rules: Vec<Rule>, quantifier: Quantifier) -> Result<Self, OnlyExcludes> {
        let mut patterns = rules.iter().flat_map(Rule::patterns).peekable();
        let excludes_only = patterns.peek().is_some() && patterns.all(Pattern::is_negated);
        if quantifier == Quantifier::SomeWithExcludes && excludes_only {
            return Err(OnlyExcludes);
        }
        Ok(Self { rules, quantifier })
    }

    /// Its rules, in order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether a file can be selected at all: by what happened to it, for some rules that decides.
    #[must_use]
    pub fn selects(&self, path: &str) -> bool {
        const HAPPENINGS: [Option<Status>; 4] = [
            None,
            Some(Status::Modified),
            Some(Status::Added),
            Some(Status::Deleted),
        ];
        let asks = self.rules.iter().any(|rule| rule.statuses.is_some());
        let happenings = if asks {
            &HAPPENINGS[..]
        } else {
            &HAPPENINGS[..1]
        };
        happenings
            .iter()
            .any(|status| self.matches(path, *status).matched)
    }

    /// Decides about the file at `path` (relative to the repository, with `/`) to which `status` happened.
    #[must_use]
    pub fn matches(&self, path: &str, status: Option<Status>) -> Decision {
        let mut file = File {
            path,
            status,
            near: Vec::new(),
            undecided: None,
        };
        let (matched, rule) = match self.quantifier {
            Quantifier::Some => {
                let rule = self.position(|rule, index| file.meets(rule, index, |_| true));
                (rule.is_some(), rule)
            }
            Quantifier::Every => self.every(&mut file),
            Quantifier::SomeWithExcludes => self.some_with_excludes(&mut file),
        };
        Decision {
            matched,
            rule,
            near: file.near,
            undecided: file.undecided,
        }
    }

    fn position(&self, mut meets: impl FnMut(&Rule, usize) -> bool) -> Option<usize> {
        (0..self.rules.len()).find(|&index| meets(&self.rules[index], index))
    }

    fn every(&self, file: &mut File<'_>) -> (bool, Option<usize>) {
        let Some(failed) = self.position(|rule, index| !file.meets(rule, index, |_| true)) else {
            return (true, None);
        };
        for (index, rule) in self.rules.iter().enumerate() {
            // Those before it held; those after it have not been asked yet.
            if index < failed || (index > failed && file.meets(rule, index, |_| true)) {
                file.near.push(NearMiss {
                    rule: index,
                    reason: NearReason::NotEvery,
                });
            }
        }
        (false, Some(failed))
    }

    fn some_with_excludes(&self, file: &mut File<'_>) -> (bool, Option<usize>) {
        let Some(included) =
            self.position(|rule, index| file.meets(rule, index, |pattern| !pattern.is_negated()))
        else {
            return (false, None);
        };
        let Some(excluded) = self.position(|rule, _| file.is_left_out_by(rule)) else {
            return (true, Some(included));
        };
        file.near.push(NearMiss {
            rule: included,
            reason: NearReason::Excluded,
        });
        (false, Some(excluded))
    }
}

/// The file being decided about, and what was noted on the way.
struct File<'a> {
    path: &'a str,
    status: Option<Status>,
    near: Vec<NearMiss>,
    undecided: Option<Undecided>,
}

impl File<'_> {
    /// Whether one of the rule's `considered` patterns matches and its status fits.
    fn meets(&mut self, rule: &Rule, index: usize, considered: impl Fn(&Pattern) -> bool) -> bool {
        let patterns = rule.patterns.iter().filter(|pattern| considered(pattern));
        let mut answers = patterns.map(|pattern| pattern.decide(self.path));
        let matched = answers.any(|answer| {
            answer.unwrap_or_else(|undecided| {
                self.undecided.get_or_insert(undecided);
                true
            })
        });
        let accepted = rule.accepts(self.status);
        if matched && !accepted {
            self.near.push(NearMiss {
                rule: index,
                reason: NearReason::Status,
            });
        }
        matched && accepted
    }

    fn is_left_out_by(&mut self, rule: &Rule) -> bool {
        rule.accepts(self.status)
            && rule.patterns.iter().any(|pattern| {
                pattern.excludes(self.path).unwrap_or_else(|undecided| {
                    self.undecided.get_or_insert(undecided);
                    false
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, Filter, NearMiss, NearReason, OnlyExcludes, Quantifier, Rule, Status};

    fn filter(quantifier: Quantifier, globs: &[&str]) -> Filter {
        let rules = globs
            .iter()
            .map(|glob| Rule::plain(glob).expect("a pattern"))
            .collect();
        Filter::new(rules, quantifier).expect("a filter")
    }

    fn decided(matched: bool, rule: Option<usize>, near: &[(usize, NearReason)]) -> Decision {
        let near = near
            .iter()
            .map(|&(rule, reason)| NearMiss { rule, reason })
            .collect();
        Decision {
            matched,
            rule,
            near,
            undecided: None,
        }
    }

    #[test]
    fn the_deciding_rule_is_named() {
        use NearReason::{Excluded, NotEvery};
        use Quantifier::{Every, Some as Any, SomeWithExcludes};
        let globs = ["src/**", "!src/gen/**", "**/*.rs"];
        for (quantifier, path, expected) in [
            (Any, "src/a.js", decided(true, Some(0), &[])),
            (Any, "src/gen/a.js", decided(true, Some(0), &[])),
            (Any, "lib/a.js", decided(true, Some(1), &[])),
            (Every, "src/a.rs", decided(true, None, &[])),
            (
                Every,
                "src/a.js",
                decided(false, Some(2), &[(0, NotEvery), (1, NotEvery)]),
            ),
            (
                Every,
                "src/gen/a.rs",
                decided(false, Some(1), &[(0, NotEvery), (2, NotEvery)]),
            ),
            (SomeWithExcludes, "src/a.js", decided(true, Some(0), &[])),
            (SomeWithExcludes, "lib/a.rs", decided(true, Some(2), &[])),
            (
                SomeWithExcludes,
                "src/gen/a.rs",
                decided(false, Some(1), &[(0, Excluded)]),
            ),
            (SomeWithExcludes, "lib/a.js", decided(false, None, &[])),
        ] {
            let decision = filter(quantifier, &globs).matches(path, Some(Status::Modified));
            assert_eq!(decision, expected, "{quantifier:?} {path}");
        }
    }

    #[test]
    fn a_status_rule_asks_for_its_status() {
        let rules =
            || vec![Rule::with_status(" Added |modified", &["src/**", "lib/**"]).expect("a rule")];
        let some = Filter::new(rules(), Quantifier::Some).expect("a filter");
        let near = [(0, NearReason::Status)];
        for (path, status, expected) in [
            ("src/a", Some(Status::Added), decided(true, Some(0), &[])),
            ("lib/a", Some(Status::Modified), decided(true, Some(0), &[])),
            ("src/a", Some(Status::Deleted), decided(false, None, &near)),
            ("src/a", None, decided(false, None, &near)),
            ("bin/a", Some(Status::Added), decided(false, None, &[])),
        ] {
            assert_eq!(some.matches(path, status), expected, "{path} {status:?}");
        }
        let unknown = Rule::with_status("changed", &["**"]).expect("a rule");
        let unknown = Filter::new(vec![unknown], Quantifier::Some).expect("a filter");
        assert!(!unknown.matches("a", Some(Status::Modified)).matched);
    }

    #[test]
    fn an_empty_list_takes_everything_or_nothing() {
        assert!(filter(Quantifier::Every, &[]).matches("a", None).matched);
        assert!(!filter(Quantifier::Some, &[]).matches("a", None).matched);
        assert!(
            !filter(Quantifier::SomeWithExcludes, &[])
                .matches("a", None)
                .matched
        );
    }

    #[test]
    fn only_excludes_is_refused() {
        let rules = vec![
            Rule::plain("!docs/**").expect("a pattern"),
            Rule::plain("!a").expect("a pattern"),
        ];
        assert_eq!(
            Filter::new(rules, Quantifier::SomeWithExcludes).err(),
            Some(OnlyExcludes)
        );
    }

    #[test]
    fn an_undecided_pattern_counts_as_a_match_and_is_reported() {
        // Every way to split the name is tried for each of the two groups.
        let hostile = r"a(+(+(a)))c\1b";
        let path = format!("{}cb", "a".repeat(40));
        let decision = filter(Quantifier::Some, &[hostile]).matches(&path, None);
        assert!(decision.matched);
        assert_eq!(
            decision
                .undecided
                .map(|undecided| undecided.pattern)
                .as_deref(),
            Some(hostile)
        );
        let excluded = filter(
            Quantifier::SomeWithExcludes,
            &["**", &format!("!{hostile}")],
        )
        .matches(&path, None);
        assert!(excluded.matched && excluded.undecided.is_some());
    }
}
