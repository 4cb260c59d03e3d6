//! How each proxy rule is asked once: at which path of the site, and, when it leads to the service, at which path of the service the
//! same answer must be.

use super::{Around, Redirect};

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question<'r> {
    /// The rule that it is about.
    pub rule: &'r Redirect,
    /// The path on the site.
    pub path: String,
    /// The path on the service itself; none when the rule leads to somebody else.
    pub service_path: Option<String>,
}

/// A rule that no single request can show to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unasked<'r> {
    /// The rule.
    pub rule: &'r Redirect,
    /// Why not.
    pub why: String,
}

/// The requests for all proxy rules, and the rules that cannot be asked. `health` is the service's; `has_file` tells whether the site
/// has a file for a path.
pub fn questions<'r>(
    redirects: &'r [Redirect],
    around: Around<'_>,
    health: &str,
    has_file: &dyn Fn(&str) -> bool,
) -> (Vec<Question<'r>>, Vec<Unasked<'r>>) {
    let (mut asked, mut unasked) = (Vec::new(), Vec::new());
    for (index, rule) in redirects.iter().enumerate() {
        if !rule.is_proxy() {
            continue;
        }
        let earlier = redirects.get(..index).unwrap_or_default();
        match question(rule, earlier, around, health, has_file) {
            Ok(question) => asked.push(question),
            Err(why) => unasked.push(Unasked { rule, why }),
        }
    }
    (asked, unasked)
}

fn question<'r>(
    rule: &'r Redirect,
    earlier: &[Redirect],
    around: Around<'_>,
    health: &str,
    has_file: &dyn Fn(&str) -> bool,
) -> Result<Question<'r>, String> {
    if let Some(condition) = rule.conditions.first() {
        return Err(format!("it applies to some visitors only ({condition})"));
    }
    if let Some(parameter) = rule.query.first() {
        return Err(format!("it applies with the parameter {parameter} only"));
    }
    if let Some(host) = &rule.host
        && !around
            .site_url
            .split_once("://")
            .is_some_and(|(_, site)| site.eq_ignore_ascii_case(host))
    {
        return Err(format!("it applies to requests for {host} only"));
    }
    let mut why = "it has placeholders, for which no value is known".to_owned();
    for (path, service_path) in ways(rule, around, health) {
        if let Some(first) = earlier.iter().find(|first| takes(first, &path)) {
            why = format!("{} takes {path} before it", first.place);
        } else if !rule.force && has_file(&path) {
            why = format!("a file of the site stands at {path}");
        } else {
            return Ok(Question {
                rule,
                path,
                service_path,
            });
        }
    }
    Err(why)
}

/// The paths at which it can be asked, the most telling one first: the one that leads to the service's health.
fn ways(rule: &Redirect, around: Around<'_>, health: &str) -> Vec<(String, Option<String>)> {
    let prefix = rule.from.strip_suffix('*').unwrap_or(&rule.from);
    let is_plain = |text: &str| !text.contains(['*', ':']);
    let splat = |target: &str, rest: &str| target.replace(":splat", rest);
    let mut ways = Vec::new();
    let service = around.service_path(&rule.to);
    if let Some(target) = service
        && is_plain(prefix)
        && prefix != rule.from
        && let Some(start) = target.strip_suffix(":splat")
        && is_plain(start)
        && let Some(rest) = health.strip_prefix(start)
    {
        ways.push((format!("{prefix}{rest}"), Some(health.to_owned())));
    }
    if is_plain(prefix) {
        let way = match service {
            None => Some((prefix.to_owned(), None)),
            Some(target) => {
                let target = splat(target, "");
                is_plain(&target).then(|| (prefix.to_owned(), Some(target)))
            }
        };
        ways.extend(way);
    }
    ways
}

/// Whether a rule takes a path from those that come after it, as far as that is certain.
fn takes(rule: &Redirect, path: &str) -> bool {
    if !rule.conditions.is_empty() || !rule.query.is_empty() || rule.host.is_some() {
        return false;
    }
    let parts = |text: &'_ str| -> Vec<String> {
        let parts = text.split('/').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let (want, have) = (parts(&rule.from), parts(path));
    for (index, part) in want.iter().enumerate() {
        if part == "*" {
            return true;
        }
        match have.get(index) {
            Some(found) if part.starts_with(':') || part == found => {}
            _ => return false,
        }
    }
    want.len() == have.len()
}
