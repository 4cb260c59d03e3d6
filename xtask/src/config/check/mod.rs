//! What types cannot say: values that are well formed and can never work. Every check runs, so that all problems are
//! reported together.

mod backend;
mod environment;
mod smoke;
mod value;

use super::at::At;
use super::problem::Problem;
use super::source::{Source, holds_credential};
use super::suggest::nearest;
use super::{Check, Config};
use std::collections::BTreeSet;
use toml::de::{DeTable, DeValue};
use value::{
    blank, check_glob, check_paths, check_project, check_relative, check_seconds, check_toolchain,
};

/// A run of ten minutes is slow and one of a day is a mistake in the unit.
const TIMEOUT_MAX_S: u64 = 86_400;

/// Finds everything wrong with the values, except in the places in `skip`, of which something was already said.
pub(super) fn check(config: &Config, source: &Source, skip: &[At]) -> Vec<Problem> {
    let mut checker = Checker {
        source,
        skip,
        problems: Vec::new(),
    };
    let root = At::root();
    check_project(&mut checker, &root.key("project"), &config.project);
    checks(&mut checker, &root.key("checks"), &config.checks);
    for (i, pattern) in config.ignore.iter().enumerate() {
        check_glob(&mut checker, &root.key("ignore").item(i), pattern);
    }
    frontend(&mut checker, &root.key("frontend"), config);
    backend::check(&mut checker, &root.key("backend"), &config.backend);
    smoke::check(
        &mut checker,
        &root.key("backend").key("smoke"),
        &config.backend.smoke,
    );
    for (name, settings) in &config.environments {
        let at = root.key("environments").key(name.as_str());
        environment::check(&mut checker, &at, name.as_str(), settings);
    }
    credentials(&mut checker);
    checker.problems
}

/// Collects what is found.
pub(super) struct Checker<'a> {
    source: &'a Source,
    skip: &'a [At],
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn report(&mut self, at: &At, message: impl Into<String>, hint: impl Into<String>) {
        if !self.skip.iter().any(|skipped| at.is_within(skipped)) {
            self.problems
                .push(self.source.problem_at(at, &message.into(), &hint.into()));
        }
    }

    /// Reports a required value that is missing or blank; says whether it is there.
    fn required(&mut self, at: &At, value: &str, example: &str) -> bool {
        if !blank(value) {
            return true;
        }
        self.missing(at, example);
        false
    }

    fn missing(&mut self, at: &At, example: &str) {
        let hint = format!("write for example {example}");
        if self.source.has(at) {
            self.report(at, format!("'{}' is empty", at.last()), hint);
            return;
        }
        // A misspelt key has been reported already, with the suggestion to write this one.
        let parent = at.parent();
        if self
            .skip
            .iter()
            .any(|other| other.parent() == parent && nearest(other.last(), [at.last()]).is_some())
        {
            return;
        }
        let header = parent.header();
        let place = if header.is_empty() {
            header
        } else {
            format!(" in {header}")
        };
        self.report(at, format!("'{}' is missing{place}", at.last()), hint);
    }

    /// Reports a value that is set to nothing: leaving the key out is the way to say that.
    fn not_blank(&mut self, at: &At, value: Option<&str>) {
        if value.is_some_and(blank) {
            self.report(
                at,
                format!("'{}' is empty", at.last()),
                "leave the key out to have none",
            );
        }
    }
}

fn checks(checker: &mut Checker<'_>, at: &At, checks: &[Check]) {
    let mut names = BTreeSet::new();
    for (i, check) in checks.iter().enumerate() {
        let at = at.item(i);
        if checker.required(&at.key("name"), &check.name, "name = \"unit tests\"")
            && !names.insert(&check.name)
        {
            checker.report(
                &at.key("name"),
                format!("two checks are called '{}'", check.name),
                "give each its own name",
            );
        }
        checker.required(&at.key("run"), &check.run, "run = \"cargo test --locked\"");
        check_seconds(
            checker,
            &at.key("timeout_s"),
            check.timeout_s,
            1..=TIMEOUT_MAX_S,
        );
    }
}

fn frontend(checker: &mut Checker<'_>, at: &At, config: &Config) {
    let frontend = &config.frontend;
    check_paths(
        checker,
        &at.key("paths"),
        &frontend.paths,
        "paths = [\"frontend/**\"]",
    );
    if checker.required(
        &at.key("publish"),
        &frontend.publish,
        "publish = \"frontend/dist\"",
    ) {
        check_relative(checker, &at.key("publish"), &frontend.publish);
    }
    check_toolchain(
        checker,
        at,
        frontend.toolchain.as_deref(),
        &frontend.variables,
    );
    checker.not_blank(&at.key("build"), frontend.build.as_deref());
    check_seconds(
        checker,
        &at.key("build_timeout_s"),
        frontend.build_timeout_s,
        1..=TIMEOUT_MAX_S,
    );
    for (i, pattern) in frontend.exclude.iter().enumerate() {
        check_glob(checker, &at.key("exclude").item(i), pattern);
    }
    if checker.required(&at.key("entry"), &frontend.entry, "entry = \"index.html\"") {
        check_relative(checker, &at.key("entry"), &frontend.entry);
    }
    smoke::check(checker, &at.key("smoke"), &frontend.smoke);
    if frontend.shrink_max_percent > 100 {
        checker.report(
            &at.key("shrink_max_percent"),
            format!(
                "'shrink_max_percent' is a share of the live files and cannot be {}",
                frontend.shrink_max_percent
            ),
            "write a percentage from 0 to 100",
        );
    }
}

/// A file that is committed holds no credential, whatever key it hides behind.
fn credentials(checker: &mut Checker<'_>) {
    let source = checker.source;
    let (table, _) = DeTable::parse_recoverable(source.text());
    let mut found = Vec::new();
    find_in_table(table.get_ref(), &At::root(), &mut found);
    for at in found {
        checker.report(
            &at,
            format!("'{}' holds a credential", at.last()),
            "this file is committed: revoke that credential, and set the new one in the environment or in .env.deploy",
        );
    }
}

fn find_credentials(value: &DeValue<'_>, at: &At, found: &mut Vec<At>) {
    match value {
        DeValue::String(text) if holds_credential(text) => found.push(at.clone()),
        DeValue::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                find_credentials(item.get_ref(), &at.item(i), found);
            }
        }
        DeValue::Table(table) => find_in_table(table, at, found),
        _ => {}
    }
}

fn find_in_table(table: &DeTable<'_>, at: &At, found: &mut Vec<At>) {
    for (key, value) in table {
        let at = at.key(key.get_ref());
        if holds_credential(key.get_ref()) {
            found.push(at.clone());
        }
        find_credentials(value.get_ref(), &at, found);
    }
}
