//! `_headers`: blocks of a path pattern and the headers its files are served with.

/// One block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HeaderRule {
    pub(super) pattern: String,
    pub(super) values: Vec<(String, String)>,
}

/// Reads the file's text. A line that is neither a path nor a header is left out, as the platform does.
pub(super) fn parse(text: &str) -> Vec<HeaderRule> {
    let mut rules: Vec<HeaderRule> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if trimmed.starts_with('/')
            || trimmed.starts_with("http://")
            || trimmed.starts_with("https://")
        {
            rules.push(HeaderRule {
                pattern: path_of(trimmed).to_owned(),
                values: Vec::new(),
            });
        } else if let (Some(rule), Some((name, value))) =
            (rules.last_mut(), trimmed.split_once(':'))
        {
            add(rule, &name.trim().to_lowercase(), value.trim());
        }
    }
    rules
}

/// Within one block a repeated header becomes one with all its values; between blocks the later one wins.
fn add(rule: &mut HeaderRule, name: &str, value: &str) {
    match rule.values.iter_mut().find(|(n, _)| n == name) {
        Some((_, values)) => {
            values.push_str(", ");
            values.push_str(value);
        }
        None => rule.values.push((name.to_owned(), value.to_owned())),
    }
}

/// `[[headers]]` of a netlify.toml.
pub(super) fn parse_toml(text: &str) -> Vec<HeaderRule> {
    let Ok(table) = text.parse::<toml::Table>() else {
        return Vec::new();
    };
    let Some(blocks) = table.get("headers").and_then(toml::Value::as_array) else {
        return Vec::new();
    };
    blocks
        .iter()
        .filter_map(|block| {
            let pattern = block.get("for")?.as_str()?;
            let values = block.get("values")?.as_table()?;
            let values = values
                .iter()
                .filter_map(|(k, v)| Some((k.to_lowercase(), v.as_str()?.to_owned())))
                .collect();
            Some(HeaderRule {
                pattern: path_of(pattern).to_owned(),
                values,
            })
        })
        .collect()
}

fn path_of(pattern: &str) -> &str {
    let Some((_, rest)) = pattern.split_once("://") else {
        return pattern;
    };
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// The headers for a path; later rules win over earlier ones of the same name.
pub(super) fn matching<'a>(rules: &'a [HeaderRule], path: &str) -> Vec<(&'a str, &'a str)> {
    rules
        .iter()
        .filter(|rule| matches(&rule.pattern, path))
        .flat_map(|rule| rule.values.iter().map(|(k, v)| (k.as_str(), v.as_str())))
        .collect()
}

/// `*` stands for anything, `:name` for one segment.
fn matches(pattern: &str, path: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        let (want, have): (Vec<_>, Vec<_>) = (segments(pattern), segments(path));
        return want.len() == have.len()
            && want
                .iter()
                .zip(&have)
                .all(|(w, h)| w.starts_with(':') || w == h);
    };
    path.starts_with(first)
        && (rest.is_empty()
            || (path.len() >= first.len()
                && (0..=path.len() - first.len()).any(|skip| {
                    path.get(first.len() + skip..).is_some_and(|tail| {
                        tail == rest || (rest.contains('*') && matches(rest, tail))
                    })
                })))
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|s| !s.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, path, expected) in [
            ("/*", "/", true),
            ("/*", "/a/b", true),
            ("/assets/*", "/assets/a.js", true),
            ("/assets/*", "/other", false),
            ("/*.js", "/a/b.js", true),
            ("/*.js", "/a/b.css", false),
            ("/:page/x", "/p/x", true),
            ("/:page/x", "/p/q/x", false),
            ("/index.html", "/index.html", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_header_repeated_in_a_block_is_joined() {
        let rules = parse("/*\n  Cache-Control: no-cache\n  cache-control: no-store\n");
        assert_eq!(
            matching(&rules, "/"),
            [("cache-control", "no-cache, no-store")]
        );
    }

    #[test]
    fn later_rules_win_because_they_are_set_last() {
        let rules =
            parse("# comment\n/*\n  X-A: 1\n  Cache-Control: no-store\n/a\n  X-A: 2\nnonsense\n");
        assert_eq!(
            matching(&rules, "/a"),
            [("x-a", "1"), ("cache-control", "no-store"), ("x-a", "2")]
        );
        assert_eq!(
            parse_toml("[[headers]]\nfor = \"/*\"\n[headers.values]\nX-B = \"3\"\n")[0].values,
            [("x-b".into(), "3".into())]
        );
    }
}
