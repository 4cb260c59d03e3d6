//! Addresses: percent-encoding, queries, and which redirect stays on the same site.

use http::Uri;
use http::uri::Scheme;
use std::fmt::Write as _;

/// Encodes one path segment or query value: everything but RFC 3986's unreserved characters.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Encodes each segment of a path; slashes stay, a leading one is dropped.
pub(crate) fn path(text: &str) -> String {
    text.trim_start_matches('/')
        .split('/')
        .map(segment)
        .collect::<Vec<_>>()
        .join("/")
}

/// `?a=b&c=d`, or nothing for no pairs.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let joined: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", segment(name), segment(value)))
        .collect();
    if joined.is_empty() {
        String::new()
    } else {
        format!("?{}", joined.join("&"))
    }
}

/// The host and port of an address, for messages; the address itself when it has none.
pub(crate) fn authority(address: &str) -> String {
    let parsed = address.parse::<Uri>().ok();
    // Not `Authority`'s own text: it would show a user name and password.
    let host = parsed.as_ref().and_then(Uri::host).unwrap_or(address);
    match parsed.as_ref().and_then(Uri::port_u16) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Where a `Location` header points, seen from the address that sent it.
pub(crate) fn resolve(from: &str, location: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default().trim();
    let base: Uri = from.parse().ok()?;
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    if location.contains("://") {
        return Some(location.to_owned());
    }
    if location.starts_with("//") {
        return Some(format!("{scheme}:{location}"));
    }
    if location.starts_with('/') {
        return Some(format!("{scheme}://{authority}{location}"));
    }
    let folder = base
        .path()
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{authority}{folder}/{location}"))
}

/// Whether a redirect may be followed: the same host, never from https down to http, and no other port unless http became https.
pub(crate) fn same_site(from: &str, to: &str) -> bool {
    let (Ok(from), Ok(to)) = (from.parse::<Uri>(), to.parse::<Uri>()) else {
        return false;
    };
    let same_host = match (from.host(), to.host()) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => false,
    };
    let upgraded = from.scheme() == Some(&Scheme::HTTP) && to.scheme() == Some(&Scheme::HTTPS);
    let unchanged = from.scheme() == to.scheme() && port(&from) == port(&to);
    same_host && (unchanged || upgraded)
}

fn port(address: &Uri) -> Option<u16> {
    let usual = if address.scheme() == Some(&Scheme::HTTPS) {
        443
    } else {
        80
    };
    address.port_u16().or(Some(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_paths() {
        assert_eq!(segment("a b/c?d#e%"), "a%20b%2Fc%3Fd%23e%25");
        assert_eq!(path("/sub/\u{e4} b[1].txt"), "sub/%C3%A4%20b%5B1%5D.txt");
        assert_eq!(path(".well-known/x~y"), ".well-known/x~y");
        assert_eq!(query(&[]), "");
        assert_eq!(
            query(&[("title", "a&b=c"), ("page", "2")]),
            "?title=a%26b%3Dc&page=2"
        );
    }

    #[test]
    fn authorities_never_show_a_password() {
        assert_eq!(
            authority("https://api.netlify.com/api/v1"),
            "api.netlify.com"
        );
        assert_eq!(
            authority("http://user:word@127.0.0.1:8080/x"),
            "127.0.0.1:8080"
        );
        assert_eq!(authority("not an address"), "not an address");
    }

    #[test]
    fn locations_are_resolved() {
        let from = "https://a.example/x/y?q=1";
        for (location, to) in [
            ("https://b.example/z", "https://b.example/z"),
            ("//b.example/z", "https://b.example/z"),
            ("/login#top", "https://a.example/login"),
            ("z", "https://a.example/x/z"),
        ] {
            assert_eq!(resolve(from, location).as_deref(), Some(to), "{location}");
        }
    }

    #[test]
    fn same_site_means_host_scheme_and_port() {
        for (from, to, same) in [
            ("http://a.example/", "https://a.example/", true),
            ("https://a.example/", "https://A.example:443/x", true),
            ("https://a.example/", "http://a.example/", false),
            ("https://a.example/", "https://b.example/", false),
            ("http://127.0.0.1:1000/", "http://127.0.0.1:1001/", false),
            (
                "https://a.example/",
                "https://a.example.evil.example/",
                false,
            ),
        ] {
            assert_eq!(same_site(from, to), same, "{from} -> {to}");
        }
    }
}
