//! A deploy's own rules, read from the files it was uploaded with.

use crate::blobs::Blobs;
use crate::netlify::SiteDeploy;

use super::headers::{self, HeaderRule};
use super::redirects::{self, Rule};

/// What a deploy says about paths.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) redirects: Vec<Rule>,
    pub(super) headers: Vec<HeaderRule>,
}

/// These configure the site and are never served.
pub(super) fn is_rule_file(path: &str) -> bool {
    matches!(path, "/_redirects" | "/_headers" | "/netlify.toml")
}

/// `_redirects` and `_headers` first, then `netlify.toml`, which is how the official client sends both.
pub(super) fn load(deploy: &SiteDeploy, blobs: &Blobs) -> Rules {
    let text = |path: &str| {
        let bytes = deploy
            .files
            .get(path)
            .and_then(|sha| blobs.get(sha))
            .unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let toml = text("/netlify.toml");
    let mut redirects = redirects::parse(&text("/_redirects"));
    redirects.extend(redirects::parse_toml(&toml));
    let mut header_rules = headers::parse(&text("/_headers"));
    header_rules.extend(headers::parse_toml(&toml));
    Rules {
        redirects,
        headers: header_rules,
    }
}

/// Percent-encodes what may not stand in a request target; existing escapes and the query stay.
pub(super) fn encode(path: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_graphic()
            && !matches!(
                byte,
                b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
            )
        {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
    }
    out
}
