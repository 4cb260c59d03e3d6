//! The rules beside each other, and beside what else there is: which can never apply, and which need what is not released from here.

use super::{Around, Finding, Place, Redirect, RuleFiles, Weight};

/// Where the provider serves functions.
const FUNCTION_PATHS: [&str; 2] = ["/.netlify/functions/", "/.netlify/builders/"];

/// What is wrong with rules that are each well-formed.
pub(super) fn review(redirects: &[Redirect], around: Around<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, rule) in redirects.iter().enumerate() {
        let mut say = |weight, text: String| {
            found.push(Finding {
                place: rule.place.clone(),
                text,
                weight,
            });
        };
        let to_service = around.service_path(&rule.to).is_some();
        let earlier = redirects.get(..index).unwrap_or_default();
        if let Some(first) = earlier.iter().find(|first| shadows(first, rule)) {
            let is_served = around.service_path(&first.to).is_some();
            let weight = if to_service && !is_served {
                Weight::Stops
            } else {
                Weight::Said
            };
            say(
                weight,
                format!(
                    "'{}' can never apply: {} comes first and takes all of its paths ('{}')",
                    rule.shown(),
                    first.place,
                    first.shown()
                ),
            );
            continue;
        }
        if let Some(host) = rule.host.as_ref().filter(|host| is_foreign(host, around)) {
            say(
                Weight::Said,
                format!(
                    "'{}' applies to requests for {host} only, and the site answers at {}",
                    rule.shown(),
                    around.site_url
                ),
            );
        }
        if FUNCTION_PATHS.iter().any(|path| rule.to.starts_with(path)) {
            say(
                Weight::StopsFirst,
                format!(
                    "'{}' leads to a function, and functions are not released from here",
                    rule.shown()
                ),
            );
        }
    }
    found
}

fn is_foreign(host: &str, around: Around<'_>) -> bool {
    let site = around
        .site_url
        .split_once("://")
        .map_or("", |(_, rest)| rest);
    !site.is_empty() && !site.eq_ignore_ascii_case(host)
}

/// Whether an earlier rule takes every request that a later one could.
fn shadows(first: &Redirect, later: &Redirect) -> bool {
    let same_visitors = first.conditions.is_empty()
        && (first.query.is_empty() || first.query == later.query)
        && (first.host.is_none() || first.host == later.host);
    // Where a file lies, a rule without force steps aside and a later one with it applies; behind a proxy there are no files.
    let same_files = first.force || !later.force || later.is_proxy();
    same_visitors && same_files && covers(&first.from, &later.from)
}

/// Whether every path that `narrow` matches is matched by `wide`.
fn covers(wide: &str, narrow: &str) -> bool {
    let split = |path: &'_ str| -> Vec<String> {
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let (wide, narrow) = (split(wide), split(narrow));
    for (index, part) in wide.iter().enumerate() {
        if part == "*" {
            return index + 1 == wide.len();
        }
        let Some(other) = narrow.get(index) else {
            return false;
        };
        let is_covered = if part.starts_with(':') {
            !other.contains('*')
        } else {
            part == other && !part.contains('*')
        };
        if !is_covered {
            return false;
        }
    }
    wide.len() == narrow.len()
}

/// What lies around the files that count.
pub(super) fn surroundings(files: &RuleFiles) -> Vec<Finding> {
    let whole = |file: &str, weight, text: String| Finding {
        place: Place {
            file: file.to_owned(),
            line: 0,
        },
        text,
        weight,
    };
    let mut found = Vec::new();
    if let Some(counts) = &files.toml {
        found.extend(files.passed_over.iter().map(|other| {
            let text = format!(
                "takes no part: {} is nearer to the published folder and counts",
                counts.shown
            );
            whole(other, Weight::Said, text)
        }));
    }
    found.extend(files.functions.iter().map(|folder| {
        let text = "functions are not released from here: the site is uploaded as files alone (hint: move them to the service, or let the provider build the site)";
        whole(folder, Weight::StopsFirst, text.to_owned())
    }));
    found
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn one_pattern_covers_another() {
        for (wide, narrow, expected) in [
            ("/*", "/api/*", true),
            ("/*", "/", true),
            ("/api/*", "/api", true),
            ("/api/*", "/api/a/b", true),
            ("/api/*", "/apis", false),
            ("/:page", "/about", true),
            ("/:page", "/:other", true),
            ("/:page", "/*", false),
            ("/a/:b", "/a/*", false),
            ("/a", "/a/", true),
            ("/a", "/b", false),
            ("/a", "/a/b", false),
            ("/a/b", "/a", false),
            ("/a/*/c", "/a/b/c", false),
            ("/x*", "/x*", false),
        ] {
            assert_eq!(covers(wide, narrow), expected, "{wide} {narrow}");
        }
    }
}
