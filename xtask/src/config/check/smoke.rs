//! Checks of a lane's smoke tests.

use super::super::Smoke;
use super::super::at::At;
use super::value::{blank, check_seconds, check_url_path};
use super::{Checker, TIMEOUT_MAX_S};
use std::collections::BTreeSet;

pub(super) fn check(checker: &mut Checker<'_>, at: &At, smokes: &[Smoke]) {
    let mut names = BTreeSet::new();
    for (i, smoke) in smokes.iter().enumerate() {
        let at = at.item(i);
        if checker.required(&at.key("name"), &smoke.name, "name = \"knows its commit\"")
            && !names.insert(&smoke.name)
        {
            checker.report(
                &at.key("name"),
                format!("two smoke tests are called '{}'", smoke.name),
                "give each its own name",
            );
        }
        match (&smoke.path, &smoke.run) {
            (Some(path), None) => check_url_path(checker, &at.key("path"), path),
            (None, Some(_)) => checker.not_blank(&at.key("run"), smoke.run.as_deref()),
            (None, None) => checker.missing(&at.key("path"), "path = \"/api/version\""),
            (Some(_), Some(_)) => checker.report(
                &at.key("run"),
                "a smoke test has a 'path' or a 'run', not both",
                "make two of it",
            ),
        }
        if smoke.contains.is_some() && smoke.path.is_none() {
            checker.report(
                &at.key("contains"),
                "'contains' is about the answer to a 'path', and there is none",
                "let the command of 'run' look for it",
            );
        }
        if smoke.contains.as_deref().is_some_and(blank) {
            checker.report(
                &at.key("contains"),
                "'contains' is empty, and every answer contains that",
                "leave the key out to look for the released commit, or write a text that only a good answer has",
            );
        }
        check_seconds(
            checker,
            &at.key("timeout_s"),
            smoke.timeout_s,
            1..=TIMEOUT_MAX_S,
        );
    }
}
