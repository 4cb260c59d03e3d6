//! The slips that happen when a credential is copied from a browser into a setting, and what each kind looks like.

use super::CredentialName;

/// A value without what came along when it was pasted.
pub(super) struct Cleaned<'a> {
    pub(super) value: &'a str,
    /// What was taken off.
    pub(super) removed: Option<&'static str>,
}

/// Takes off blanks, line breaks and one pair of quotes.
pub(super) fn clean(text: &str) -> Cleaned<'_> {
    let trimmed = text.trim();
    let unquoted = ['"', '\'']
        .into_iter()
        .find_map(|quote| trimmed.strip_prefix(quote)?.strip_suffix(quote))
        .map(str::trim);
    let removed = if unquoted.is_some() {
        Some("quotes around it")
    } else if trimmed.len() == text.len() {
        None
    } else if text.trim_end().len() < text.trim_end_matches([' ', '\t']).len() {
        Some("a line break after it")
    } else {
        Some("blanks around it")
    };
    Cleaned {
        value: unquoted.unwrap_or(trimmed),
        removed,
    }
}

/// Says what keeps a cleaned value from being a credential of that name. The value is not in the answer.
pub(super) fn check(name: CredentialName, value: &str) -> Result<(), &'static str> {
    // Anything else would end or split the header that the credential is sent in.
    if !value.chars().all(|c| c.is_ascii_graphic()) {
        return Err(
            "has a blank, a line break or a character outside ASCII inside: paste the credential alone",
        );
    }
    match name {
        CredentialName::NetlifyAuthToken if value.starts_with("rnd_") => {
            Err("is a Render key: were the two credentials swapped?")
        }
        CredentialName::RenderApiKey if value.starts_with("nfp_") => {
            Err("is a Netlify token: were the two credentials swapped?")
        }
        CredentialName::SlackWebhookUrl if !is_webhook(value) => {
            Err("is no webhook's address: it begins with https://hooks.slack.com/")
        }
        // The backend refuses to start with a shorter one.
        CredentialName::TandemAdminToken if value.len() < 32 => {
            Err("is shorter than 32 characters: make one with `openssl rand -hex 32`")
        }
        _ => Ok(()),
    }
}

/// Https, or this machine's own fake of the service.
fn is_webhook(value: &str) -> bool {
    let host = |rest: &str| {
        rest.split(['/', ':'])
            .next()
            .is_some_and(|host| !host.is_empty())
    };
    let local = |rest: &str| {
        rest.split(['/', ':'])
            .next()
            .is_some_and(|host| matches!(host, "127.0.0.1" | "localhost"))
    };
    value.strip_prefix("https://").is_some_and(host)
        || value.strip_prefix("http://").is_some_and(local)
}
