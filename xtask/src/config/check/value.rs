//! Checks of single values that several tables share.

use super::super::address::is_placeholder;
use super::super::at::At;
use super::super::rule::{Rule, parse_words};
use super::Checker;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

pub(super) fn blank(value: &str) -> bool {
    value.trim().is_empty()
}

/// The project's name becomes part of host names in the local cloud, so it is a host label (RFC 1123: 63 characters).
pub(super) fn check_project(checker: &mut Checker<'_>, at: &At, project: &str) {
    if !checker.required(at, project, "project = \"tandem\"") {
        return;
    }
    let hint = "use up to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit";
    if !is_label(project) || project.len() > 63 {
        checker.report(at, format!("'{project}' cannot be a project's name"), hint);
    } else if is_placeholder(project) {
        checker.report(
            at,
            format!("the project's name is still the placeholder '{project}'"),
            hint,
        );
    }
}

/// Lower-case letters, digits and inner hyphens.
pub(super) fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Checks a lane's rules.
pub(super) fn check_paths(checker: &mut Checker<'_>, at: &At, rules: &[Rule], example: &str) {
    if rules.is_empty() {
        checker.missing(at, example);
    }
    for (i, rule) in rules.iter().enumerate() {
        let at = at.item(i);
        match rule {
            Rule::Pattern(pattern) => check_glob(checker, &at, pattern),
            Rule::Status(by_status) if by_status.is_empty() => {
                checker.report(
                    &at,
                    "this rule is empty",
                    "write { \"added|modified\" = [\"src/**\"] }, or a pattern",
                );
            }
            Rule::Status(by_status) => check_status_rule(checker, &at, by_status),
        }
    }
}

fn check_status_rule(
    checker: &mut Checker<'_>,
    at: &At,
    by_status: &BTreeMap<String, Vec<String>>,
) {
    for (words, patterns) in by_status {
        let at = at.key(words);
        if let Err(message) = parse_words(words) {
            checker.report(
                &at,
                message,
                "join several with '|', as in \"added|modified\"",
            );
        }
        if patterns.is_empty() {
            checker.report(
                &at,
                format!("'{words}' has no patterns"),
                "write at least one, for example \"src/**\"",
            );
        }
        for (i, pattern) in patterns.iter().enumerate() {
            check_glob(checker, &at.item(i), pattern);
        }
    }
}

/// Checks what a lane depends on beside its files and settings.
pub(super) fn check_toolchain(
    checker: &mut Checker<'_>,
    at: &At,
    patterns: Option<&[String]>,
    variables: &[String],
) {
    for (i, pattern) in patterns.unwrap_or_default().iter().enumerate() {
        check_glob(checker, &at.key("toolchain").item(i), pattern);
    }
    for (i, name) in variables.iter().enumerate() {
        check_variable(checker, &at.key("variables").item(i), name);
    }
}

/// Checks the name of a variable.
pub(super) fn check_variable(checker: &mut Checker<'_>, at: &At, name: &str) {
    let rest_ok = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if blank(name) || !rest_ok || name.starts_with(|c: char| c.is_ascii_digit()) {
        checker.report(
            at,
            format!("'{name}' cannot be a variable's name"),
            "use letters, digits and '_'",
        );
    }
}

/// Checks what a pattern must be to match any of git's paths.
pub(super) fn check_glob(checker: &mut Checker<'_>, at: &At, pattern: &str) {
    let path = pattern.strip_prefix('!').unwrap_or(pattern);
    if blank(path) {
        checker.report(
            at,
            "this pattern is empty and matches nothing",
            "write for example \"src/**\"",
        );
    } else if path.starts_with('/') || path.starts_with("../") {
        let bare = path.trim_start_matches(['.', '/']);
        checker.report(
            at,
            format!("the pattern '{pattern}' matches no file"),
            format!("paths begin at the repository's root, without a leading '/': write '{bare}'"),
        );
    }
}

/// Checks a file or folder below the repository's root or the publish folder.
pub(super) fn check_relative(checker: &mut Checker<'_>, at: &At, path: &str) {
    let last = at.last();
    if path.starts_with('/') || path.starts_with('~') || path.contains(':') {
        checker.report(
            at,
            format!("'{last}' is absolute: '{path}'"),
            "write it relative to the repository's root",
        );
    } else if path.contains('\\') {
        checker.report(
            at,
            format!("'{last}' has a backslash: '{path}'"),
            "separate folders with '/'",
        );
    } else if path.split('/').any(|part| part == "..") {
        checker.report(
            at,
            format!("'{last}' leaves the repository: '{path}'"),
            "write it without '..'",
        );
    } else if path.split('/').all(|part| part.is_empty() || part == ".") {
        checker.report(
            at,
            format!("'{last}' is the repository itself, with its history and every file in it"),
            "name a folder of its own",
        );
    }
}

/// Checks a number of seconds.
pub(super) fn check_seconds(
    checker: &mut Checker<'_>,
    at: &At,
    seconds: u64,
    range: RangeInclusive<u64>,
) {
    if range.contains(&seconds) {
        return;
    }
    let last = at.last();
    let hint = if seconds == 0 {
        "leave the key out to have the default".to_owned()
    } else if range.contains(&(seconds / 1000)) {
        format!("the unit is seconds; was {} meant?", seconds / 1000)
    } else {
        String::new()
    };
    checker.report(
        at,
        format!(
            "'{last}' must be from {} to {} seconds, not {seconds}",
            range.start(),
            range.end()
        ),
        hint,
    );
}

/// Checks the path part of an address of the service.
pub(super) fn check_url_path(checker: &mut Checker<'_>, at: &At, path: &str) {
    let last = at.last();
    if path.contains("://") {
        checker.report(
            at,
            format!("'{last}' is a whole address: '{path}'"),
            "write the path alone, as in \"/api/health\"",
        );
    } else if !path.starts_with('/') {
        checker.report(
            at,
            format!("'{last}' does not begin with a slash: '{path}'"),
            format!("write \"/{path}\""),
        );
    } else if path
        .contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '#' | '?' | '\\'))
    {
        checker.report(
            at,
            format!("'{last}' has a character that no path has: '{path}'"),
            "write the path alone, as in \"/api/health\"",
        );
    }
}
