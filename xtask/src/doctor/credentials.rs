//! The credentials that were found: where, and of what shape. Of a value only the part is shown that every such value shares.

use super::{Area, Finding, Level};
use crate::config::Target;
use crate::credentials::{CredentialName, Credentials};

/// What a provider puts in front of its tokens.
const PREFIXES: [&str; 12] = [
    "rnd_",
    "nfp_",
    "nfc_",
    "nfo_",
    "nfu_",
    "nfb_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
];

/// Everything about them that can be said without asking anybody.
pub fn examine(credentials: &Credentials, target: &Target) -> Vec<Finding> {
    let mut findings: Vec<Finding> = CredentialName::ALL
        .into_iter()
        .map(|name| present(credentials, target, name))
        .collect();
    findings.extend(credentials.warnings().iter().map(|warning| {
        Finding::new(
            Area::Credentials,
            "oddity",
            Level::Warning,
            warning.as_str(),
        )
    }));
    findings
}

fn present(credentials: &Credentials, target: &Target, name: CredentialName) -> Finding {
    let (level, text) = match (credentials.get(name), credentials.source_of(name)) {
        (Some(secret), Some(source)) => (
            Level::Ok,
            format!("from {source}, {}", shape(name, secret.expose())),
        ),
        _ => missing(target, name),
    };
    Finding::new(Area::Credentials, name.variable(), level, text)
}

fn missing(target: &Target, name: CredentialName) -> (Level, String) {
    match name {
        CredentialName::NetlifyAuthToken | CredentialName::RenderApiKey => (
            Level::Error,
            format!(
                "is missing (hint: set {name}, or {} to the path of a file that holds it)",
                name.file_variable()
            ),
        ),
        CredentialName::TandemAdminToken => (
            Level::Warning,
            "is not set: the live schema is not read, neither before nor after a release (hint: the value that the service has)".to_owned(),
        ),
        CredentialName::SlackWebhookUrl if target.policy.notify_slack => {
            (Level::Note, "is not set: Slack is not told".to_owned())
        }
        CredentialName::SlackWebhookUrl => (Level::Note, "is not set, and not wanted".to_owned()),
        CredentialName::GithubToken => (
            Level::Note,
            "is not set: git uses its own ways to the origin".to_owned(),
        ),
    }
}

/// What may be shown of a value.
fn shape(name: CredentialName, value: &str) -> String {
    if name == CredentialName::SlackWebhookUrl {
        let host = value.split("://").nth(1).unwrap_or(value);
        return format!(
            "an address at {}",
            host.split(['/', ':']).next().unwrap_or(host)
        );
    }
    match PREFIXES
        .into_iter()
        .find(|prefix| value.starts_with(prefix))
    {
        Some(prefix) => format!("{prefix}***"),
        None => "***".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_that_tells_one_value_from_another() {
        let random = "q7".repeat(20);
        for (name, value, expected) in [
            (
                CredentialName::RenderApiKey,
                format!("rnd_{random}"),
                "rnd_***",
            ),
            (
                CredentialName::NetlifyAuthToken,
                format!("nfp_{random}"),
                "nfp_***",
            ),
            (CredentialName::NetlifyAuthToken, random.clone(), "***"),
            (CredentialName::TandemAdminToken, random.clone(), "***"),
            (
                CredentialName::SlackWebhookUrl,
                format!("https://hooks.slack.com/services/{random}"),
                "an address at hooks.slack.com",
            ),
        ] {
            assert_eq!(shape(name, &value), expected);
        }
    }
}
