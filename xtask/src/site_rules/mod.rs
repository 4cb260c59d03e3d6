//! The site's rules, redirects and headers, as its provider reads them from `_redirects`, `_headers` and `netlify.toml`; and
//! everything in those files that takes no part, by file and line.
//!
//! Pure: texts go in, values come out. The grammar is that of the provider's own parsers. The local cloud reads the same files with
//! code of its own, so that one misreading cannot hide in both.

mod headers_file;
mod proxy;
mod redirects_file;
mod review;
mod sent;
mod toml_file;

#[cfg(test)]
mod tests;

pub use proxy::{Question, Unasked, questions};
pub use sent::as_sent;

use anyhow::{Context as _, Result};
use std::fmt;

/// The provider's configuration, of which redirects and headers count for a site that is uploaded.
pub const TOML: &str = "netlify.toml";
/// One redirect a line.
pub const REDIRECTS: &str = "_redirects";
/// Blocks of headers, one for each path.
pub const HEADERS: &str = "_headers";

/// In these files this stands for the address of the environment's service.
pub const SERVICE_URL_MARK: &str = "__SERVICE_URL__";

/// In the place of that address where it is not known.
pub const UNKNOWN_SERVICE: &str = "https://__SERVICE_URL__";

/// Editors put it before the first letter of a file; no rule begins with it.
const BYTE_ORDER_MARK: char = '\u{feff}';
/// How much of a line is shown.
const SHOWN_CHARS: usize = 60;

/// Whether a published path holds rules and no page.
pub fn is_rule_file(path: &str) -> bool {
    matches!(path, TOML | REDIRECTS | HEADERS)
}

/// Where a `netlify.toml` may lie that is about the folder `publish`, nearest first: the first one that is there counts.
pub fn candidates(publish: &str) -> Vec<String> {
    let parts: Vec<&str> = publish
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let above = (0..=parts.len()).rev();
    let path = |depth: usize| {
        let folders = parts.get(..depth).unwrap_or_default().iter().copied();
        folders.chain([TOML]).collect::<Vec<_>>().join("/")
    };
    above.map(path).collect()
}

/// One of the files, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFile {
    /// What messages call it.
    pub shown: String,
    /// Its text.
    pub text: String,
}

impl RuleFile {
    /// The file of these bytes.
    ///
    /// # Errors
    /// When it is no text.
    pub fn new(shown: &str, bytes: Vec<u8>) -> Result<Self> {
        Ok(Self {
            shown: shown.to_owned(),
            text: String::from_utf8(bytes).with_context(|| format!("{shown} is not UTF-8"))?,
        })
    }
}

/// The files, as far as there are any, and what else lies around them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFiles {
    /// The `netlify.toml` that counts.
    pub toml: Option<RuleFile>,
    /// `_redirects`.
    pub redirects: Option<RuleFile>,
    /// `_headers`.
    pub headers: Option<RuleFile>,
    /// Every other `netlify.toml` of another text between the published folder and the root.
    pub passed_over: Vec<String>,
    /// Folders of functions.
    pub functions: Vec<String>,
}

/// What the rules are judged against.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The environment's service, without a slash at its end; [`UNKNOWN_SERVICE`] where it is not known.
    pub service_url: &'a str,
    /// The environment's site; empty where it is not known.
    pub site_url: &'a str,
    /// The build command of deploy.toml.
    pub build: Option<&'a str>,
    /// The published folder of deploy.toml.
    pub publish: &'a str,
}

impl Around<'_> {
    /// The path of an address below the service's; none when it is another's.
    fn service_path<'t>(&self, to: &'t str) -> Option<&'t str> {
        let bare = |url: &'t str| url.split_once("://").map_or(url, |(_, rest)| rest);
        let service = self.service_url.trim_end_matches('/');
        let service = service.split_once("://").map_or(service, |(_, rest)| rest);
        let start = bare(to).get(..service.len())?;
        let rest = bare(to).get(service.len()..)?;
        if !start.eq_ignore_ascii_case(service) || service.is_empty() {
            return None;
        }
        match rest.chars().next() {
            None => Some("/"),
            Some('/') => Some(rest),
            Some(_) => None,
        }
    }

    /// Whether a line was meant to lead to the service, whatever became of it.
    fn names_service(&self, line: &str) -> bool {
        !self.service_url.is_empty() && line.contains(self.service_url)
    }
}

/// A line of a file. The first line is 1; 0 is the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What messages call the file.
    pub file: String,
    /// Its line.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It is said.
    Said,
    /// It stops the first release of a site, which may rely on it; later it is said.
    StopsFirst,
    /// It stops a release: what was to lead to the service does not.
    Stops,
}

/// Something in the files that is not in effect, or not as it looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands.
    pub place: Place,
    /// What becomes of it and what to do.
    pub text: String,
    /// How much it weighs.
    pub weight: Weight,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// One redirect, rewrite or proxy rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Where it stands.
    pub place: Place,
    /// The host that it is limited to.
    pub host: Option<String>,
    /// The path pattern.
    pub from: String,
    /// The parameters that must be there, as written.
    pub query: Vec<String>,
    /// The target, the service's mark replaced.
    pub to: String,
    /// The status; the provider's default is 301.
    pub status: u16,
    /// Whether it applies although a file exists.
    pub force: bool,
    /// The conditions on the visitor, as written.
    pub conditions: Vec<String>,
}

impl Redirect {
    /// Whether it fetches the answer from another address.
    pub fn is_proxy(&self) -> bool {
        self.status == 200 && is_url(&self.to)
    }

    /// As it is shown.
    pub fn shown(&self) -> String {
        format!("{} → {}", self.from, self.to)
    }
}

/// The headers of one path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderBlock {
    /// Where it stands.
    pub place: Place,
    /// The path pattern.
    pub path: String,
    /// The headers' names.
    pub names: Vec<String>,
}

/// Everything that the files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteRules {
    /// In the provider's order: the first that applies counts.
    pub redirects: Vec<Redirect>,
    /// In the provider's order.
    pub headers: Vec<HeaderBlock>,
    /// What takes no part.
    pub findings: Vec<Finding>,
}

impl SiteRules {
    /// Reads the files. `_redirects` and `_headers` come first, then `netlify.toml`, as with the provider.
    pub fn read(files: &RuleFiles, around: Around<'_>) -> Self {
        let mut rules = Self::default();
        if let Some(file) = &files.redirects {
            rules.of_text(file, around, redirects_file::read);
        }
        if let Some(file) = &files.headers {
            rules.of_text(file, around, headers_file::read);
        }
        if let Some(file) = &files.toml {
            rules.of_text(file, around, toml_file::read);
        }
        let reviewed = review::review(&rules.redirects, around);
        rules.findings.extend(reviewed);
        rules.findings.extend(review::surroundings(files));
        rules.findings.sort_by(|a, b| a.place.cmp(&b.place));
        rules
    }

    fn of_text(
        &mut self,
        file: &RuleFile,
        around: Around<'_>,
        read: fn(&mut Self, &RuleFile, Around<'_>),
    ) {
        if file.text.starts_with(BYTE_ORDER_MARK) {
            let place = Place {
                file: file.shown.clone(),
                line: 1,
            };
            let text = "begins with a byte order mark, which would be part of its first rule; it is not sent (hint: save the file as UTF-8 without one)";
            self.say(place, Weight::Said, text);
        }
        let text = sent::without_marks(&file.text).replace(SERVICE_URL_MARK, around.service_url);
        let file = RuleFile {
            shown: file.shown.clone(),
            text,
        };
        read(self, &file, around);
    }

    fn say(&mut self, place: Place, weight: Weight, text: impl Into<String>) {
        self.findings.push(Finding {
            place,
            text: text.into(),
            weight,
        });
    }
}

/// The start of a line, for messages.
fn shown(line: &str) -> String {
    let line: String = line
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    match line.char_indices().nth(SHOWN_CHARS) {
        None => line,
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// What a rule's `from` says: the host that it is limited to, if any, and the path.
fn host_and_path(from: &str) -> (Option<String>, String) {
    let Some((_, rest)) = from.split_once("://").filter(|_| is_url(from)) else {
        return (None, from.to_owned());
    };
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    (Some(host.to_lowercase()), path.to_owned())
}

/// What both forms of a rule have to fulfil beyond their grammar, or why it cannot apply.
fn complaint(redirect: &Redirect) -> Option<String> {
    let Redirect {
        from, to, status, ..
    } = redirect;
    if !from.starts_with('/') {
        return Some(format!(
            "'{}' is no path, which begins with / or http(s)://, so it meets no request",
            shown(from)
        ));
    }
    if from.starts_with("/.netlify") {
        return Some("paths below /.netlify belong to the provider".to_owned());
    }
    if from.contains('?') {
        return Some(
            "a path is compared without its query (hint: parameters stand as name=value between path and target)"
                .to_owned(),
        );
    }
    if !to.starts_with('/') && !is_url(to) {
        return Some(format!(
            "'{}' is no target, which begins with /, http:// or https://",
            shown(to)
        ));
    }
    // Which statuses the provider takes is documented for the usual ones only; all that browsers know are let pass.
    if !matches!(status, 200 | 301..=303 | 307 | 308 | 400..=499) {
        return Some(format!("{status} is no status that a rule can have"));
    }
    None
}
