//! What addresses and ids must look like. Most wrong releases begin with the right value in the wrong place.

/// What is wrong with a value, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) message: String,
    pub(super) hint: String,
}

fn complain(message: String, hint: &str) -> Result<(), Complaint> {
    Err(Complaint {
        message,
        hint: hint.to_owned(),
    })
}

/// Checks a site's id. `name` is what the value is called where it was set.
pub(super) fn check_site_id(name: &str, id: &str) -> Result<(), Complaint> {
    let hint = "Netlify shows it as 'Project ID' (or 'Site ID') in the project's configuration";
    if is_placeholder(id) {
        return complain(format!("{name} is still the placeholder '{id}'"), hint);
    }
    if is_service_id(id) {
        return complain(
            format!("{name} '{id}' is a Render service's id"),
            "were the site's and the service's ids swapped?",
        );
    }
    check_id(name, id, hint)
}

/// Checks a service's id.
pub(super) fn check_service_id(name: &str, id: &str) -> Result<(), Complaint> {
    let hint = "a Render service's id begins with 'srv-'; it is in the address of the service's dashboard page";
    if is_placeholder(id) {
        return complain(format!("{name} is still the placeholder '{id}'"), hint);
    }
    if is_uuid(id) {
        return complain(
            format!("{name} '{id}' looks like a Netlify site's id"),
            "were the site's and the service's ids swapped?",
        );
    }
    check_id(name, id, hint)?;
    if !id.starts_with("srv-") {
        return complain(format!("{name} '{id}' is no web service's id"), hint);
    }
    Ok(())
}

/// Ids become part of a request's path, so only what needs no escaping there is an id.
fn check_id(name: &str, id: &str, hint: &str) -> Result<(), Complaint> {
    if id
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && !id.starts_with('.')
    {
        return Ok(());
    }
    complain(
        format!("{name} '{id}' is no id: only letters, digits, '-', '_' and '.' can be in one"),
        hint,
    )
}

/// Checks a public address: scheme and host, no path needed.
pub(super) fn check_url(name: &str, url: &str) -> Result<(), Complaint> {
    let hint = "write it as https://host";
    // These two come first and do not repeat the value: a password or a key may be in it.
    if url.contains('@') {
        return complain(format!("{name} has a user name or password in it"), hint);
    }
    if url.contains(['?', '#']) {
        return complain(format!("{name} has a query or fragment in it"), hint);
    }
    if is_placeholder(url) {
        return complain(
            format!("{name} is still the placeholder '{url}'"),
            "write the address that visitors use, or leave the key out and set the variable",
        );
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return complain(format!("{name} '{url}' has no scheme"), hint);
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if !is_authority(authority) || url.contains(char::is_whitespace) {
        return complain(
            format!("{name} '{url}' has no valid host or a blank in it"),
            hint,
        );
    }
    match scheme {
        "https" => Ok(()),
        "http" if is_loopback(authority) => Ok(()),
        "http" => complain(
            format!("{name} '{url}' is not encrypted"),
            "write https://; plain http is accepted on this machine's own addresses only",
        ),
        _ => complain(
            format!("{name} '{url}' has the unknown scheme '{scheme}'"),
            hint,
        ),
    }
}

/// The host of an address that `check_url` accepted, without its port.
pub(super) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    host_of_authority(rest.split('/').next().unwrap_or_default())
}

fn host_of_authority(authority: &str) -> &str {
    if authority.starts_with('[') {
        return authority.split_inclusive(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

fn is_authority(authority: &str) -> bool {
    let host = host_of_authority(authority);
    let port = &authority[host.len()..];
    let port_ok = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_ok());
    let host_ok = match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
        }
    };
    port_ok && host_ok
}

fn is_loopback(authority: &str) -> bool {
    let host = host_of_authority(authority);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn is_service_id(id: &str) -> bool {
    ["srv-", "crn-"].iter().any(|prefix| id.starts_with(prefix))
}

fn is_uuid(id: &str) -> bool {
    let groups: Vec<&str> = id.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups
            .iter()
            .all(|group| group.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Whether a value is one that documentation shows and nobody owns.
pub(super) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let hosts = ["example.com", "example.org", "example.net"];
    lower.contains(['<', '>'])
        || lower.contains("xxxx")
        || lower.contains("...")
        || lower.contains('…')
        || words
            .iter()
            .any(|word| matches!(*word, "your" | "changeme" | "placeholder" | "todo"))
        || hosts.iter().any(|example| {
            host(&lower) == *example || host(&lower).ends_with(&format!(".{example}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders() {
        for value in [
            "https://your-backend.onrender.com",
            "your_site_id",
            "srv-xxxxxxxxxxxx",
            "<site id>",
            "https://example.com",
            "https://api.example.org:8080/x",
            "CHANGEME",
            "srv-…",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in [
            "https://flavour-shop.netlify.app",
            "srv-d0abc",
            "https://example.company.io",
            "tandem",
        ] {
            assert!(!is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn addresses() {
        for url in [
            "https://tandem.netlify.app",
            "https://tandem.netlify.app/",
            "https://host:8443",
            "http://127.0.0.1:4000",
            "http://localhost:4000",
            "http://site.localhost",
            "http://[::1]:4000",
        ] {
            assert_eq!(check_url("site_url", url), Ok(()), "{url}");
        }
        for url in [
            "tandem.netlify.app",
            "ftp://tandem.netlify.app",
            "http://tandem.netlify.app",
            "http://127.0.0.1.nip.io",
            "http://localhost.evil.io",
            "https://",
            "https://host:99999",
            "https://ho st",
            "https://host?x",
            "https://host#x",
            "https://[::1",
        ] {
            assert!(check_url("site_url", url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let word: String = ('a'..='p').rev().collect();
        let complaint = check_url("site_url", &format!("https://user:{word}@host")).unwrap_err();
        assert!(!complaint.message.contains(&word) && !complaint.hint.contains(&word));
    }

    #[test]
    fn ids() {
        let uuid = "0a1b2c3d-0000-4000-8000-0123456789ab";
        assert_eq!(check_site_id("site_id", uuid), Ok(()));
        assert_eq!(check_site_id("site_id", "tandem.netlify.app"), Ok(()));
        assert_eq!(check_service_id("service_id", "srv-d0abcdefghij"), Ok(()));
        for wrong in [
            "srv-d0abcdefghij",
            "crn-d0abcdefghij",
            "a/b",
            "../x",
            "a b",
            "your-site",
        ] {
            assert!(check_site_id("site_id", wrong).is_err(), "{wrong}");
        }
        for wrong in [
            uuid,
            "d0abcdefghij",
            "crn-d0abcdefghij",
            "srv-a/../b",
            "srv-a?b",
        ] {
            assert!(check_service_id("service_id", wrong).is_err(), "{wrong}");
        }
    }
}
