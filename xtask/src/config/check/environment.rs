//! Checks of one environment's table.

use super::super::address::{Complaint, check_service_id, check_site_id, check_url};
use super::super::at::At;
use super::super::{Environment, LOCAL, UploadSource};
use super::value::{check_seconds, is_label};
use super::{Checker, TIMEOUT_MAX_S};

/// Checks of one shape each: a name for messages and the value.
type Shape = fn(&str, &str) -> Result<(), Complaint>;

pub(super) fn check(checker: &mut Checker<'_>, at: &At, name: &str, environment: &Environment) {
    if !is_label(name) {
        checker.report(
            at,
            format!("'{name}' cannot be an environment's name"),
            "it becomes part of a git ref: use lower-case letters, digits and hyphens",
        );
    }
    checker.not_blank(&at.key("branch"), environment.branch.as_deref());
    let places: [(&str, &Option<String>, Shape); 4] = [
        ("site_id", &environment.site_id, check_site_id),
        ("service_id", &environment.service_id, check_service_id),
        ("site_url", &environment.site_url, check_url),
        ("service_url", &environment.service_url, check_url),
    ];
    for (key, value, shape) in places {
        let Some(value) = value else { continue };
        let at = at.key(key);
        if name == LOCAL {
            checker.report(
                &at,
                format!("'{key}' has no effect in '{LOCAL}'"),
                "the local cloud gives out its own ids and addresses",
            );
        } else if value.trim().is_empty() {
            checker.not_blank(&at, Some(value));
        } else if let Err(complaint) = shape(key, value) {
            checker.report(&at, complaint.message, complaint.hint);
        }
    }
    if let Some(bake_s) = environment.bake_s {
        check_seconds(checker, &at.key("bake_s"), bake_s, 0..=TIMEOUT_MAX_S);
    }
    check_seconds(
        checker,
        &at.key("deploy_timeout_s"),
        environment.deploy_timeout_s,
        1..=TIMEOUT_MAX_S,
    );
    if environment.source == UploadSource::Git {
        checker.report(
            &at.key("source"),
            "source = \"git\" is not built yet",
            "say \"upload\": the publish folder's files are sent, whether or not the site is connected to a repository",
        );
    }
    identity(checker, at, environment);
}

fn identity(checker: &mut Checker<'_>, at: &At, environment: &Environment) {
    if !(1..=100).contains(&environment.identity_consecutive) {
        checker.report(
            &at.key("identity_consecutive"),
            format!(
                "'identity_consecutive' must be from 1 to 100, not {}",
                environment.identity_consecutive
            ),
            "leave the key out to have the default",
        );
    }
    if let Some(interval_ms) = environment.identity_interval_ms
        && !(1..=60_000).contains(&interval_ms)
    {
        checker.report(
            &at.key("identity_interval_ms"),
            format!(
                "'identity_interval_ms' must be from 1 to 60000 milliseconds, not {interval_ms}"
            ),
            "leave the key out to have the default",
        );
    }
}
