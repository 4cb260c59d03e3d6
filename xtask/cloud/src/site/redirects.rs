//! `_redirects`: which path goes where, with splats, placeholders and forced rules.

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    from: String,
    /// Query parameters that must be there; `:name` captures the value.
    query: Vec<(String, String)>,
    to: String,
    pub(super) status: u16,
    /// Applies although a file exists.
    force: bool,
}

/// What a rule makes of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Serve another path of this deploy.
    Rewrite(String),
    /// Send the client elsewhere.
    Redirect(String),
    /// Fetch from another host.
    Proxy(String),
}

/// Reads the file's text. Malformed lines are left out, as the platform does; conditions (country, language, role, cookie) are
/// ignored: there is one visitor here.
pub(super) fn parse(text: &str) -> Vec<Rule> {
    text.lines()
        .filter_map(|line| parse_line(line.split(" #").next().unwrap_or("").trim()))
        .collect()
}

fn parse_line(line: &str) -> Option<Rule> {
    if line.starts_with('#') {
        return None;
    }
    let mut words = line.split_whitespace();
    let from = words.next()?;
    let (mut query, mut to, mut status, mut force) = (Vec::new(), None, 301, false);
    for word in words {
        if to.is_none() {
            if is_target(word) {
                to = Some(word.to_owned());
            } else if let Some((name, value)) = word.split_once('=') {
                query.push((name.to_owned(), value.to_owned()));
            } else {
                return None;
            }
        } else if let Ok(code) = word.trim_end_matches('!').parse::<u16>() {
            (status, force) = (code, word.ends_with('!'));
        }
    }
    build(from, query, to?, status, force)
}

/// `[[redirects]]` of a netlify.toml.
pub(super) fn parse_toml(text: &str) -> Vec<Rule> {
    let Ok(table) = text.parse::<toml::Table>() else {
        return Vec::new();
    };
    let Some(blocks) = table.get("redirects").and_then(toml::Value::as_array) else {
        return Vec::new();
    };
    blocks
        .iter()
        .filter_map(|block| {
            let query = block.get("query").and_then(toml::Value::as_table);
            let query = query
                .into_iter()
                .flatten()
                .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
                .collect();
            let status = block
                .get("status")
                .and_then(toml::Value::as_integer)
                .unwrap_or(301);
            let force = block
                .get("force")
                .and_then(toml::Value::as_bool)
                .unwrap_or(false);
            let from = block.get("from")?.as_str()?;
            build(
                from,
                query,
                block.get("to")?.as_str()?.to_owned(),
                u16::try_from(status).ok()?,
                force,
            )
        })
        .collect()
}

fn build(
    from: &str,
    query: Vec<(String, String)>,
    to: String,
    status: u16,
    force: bool,
) -> Option<Rule> {
    let from = match from.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => from,
    };
    let is_known_status = matches!(status, 200 | 301 | 302 | 303 | 307 | 308 | 404 | 410);
    (from.starts_with('/') && is_known_status).then(|| Rule {
        from: from.to_owned(),
        query,
        to,
        status,
        force,
    })
}

fn is_target(word: &str) -> bool {
    word.starts_with('/') || word.starts_with("http://") || word.starts_with("https://")
}

/// The first rule that applies. Without force a file that exists wins.
pub(super) fn first<'a>(
    rules: &'a [Rule],
    path: &str,
    query: Option<&str>,
    file_exists: bool,
) -> Option<(&'a Rule, Target)> {
    rules
        .iter()
        .filter(|rule| rule.force || !file_exists)
        .find_map(|rule| Some((rule, apply(rule, path, query)?)))
}

/// What one rule makes of a path, if it applies.
pub(super) fn apply(rule: &Rule, path: &str, query: Option<&str>) -> Option<Target> {
    let mut captures = match_path(&rule.from, path)?;
    captures.extend(match_query(&rule.query, query.unwrap_or(""))?);
    // Longer names first, so that :id does not eat the start of :idx.
    captures.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let mut to = rule.to.clone();
    for (name, value) in &captures {
        to = to.replace(&format!(":{name}"), value);
    }
    let is_remote = !to.starts_with('/');
    let passes_query = |to: String| match query {
        Some(q) if rule.query.is_empty() && !q.is_empty() && !to.contains('?') => {
            format!("{to}?{q}")
        }
        _ => to,
    };
    Some(match rule.status {
        200 if is_remote => Target::Proxy(passes_query(to)),
        200 | 404 | 410 => Target::Rewrite(to),
        _ => Target::Redirect(passes_query(to)),
    })
}

/// `:name` takes one segment, `*` (as `:splat`) everything that is left, also nothing.
fn match_path(pattern: &str, path: &str) -> Option<Vec<(String, String)>> {
    let split = |text: &str| -> Vec<String> {
        text.split('/')
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (want, have) = (split(pattern), split(path));
    let mut captures = Vec::new();
    for (at, segment) in want.iter().enumerate() {
        if segment == "*" {
            let tail = if path.ends_with('/') && have.len() > at {
                "/"
            } else {
                ""
            };
            captures.push(("splat".to_owned(), have.get(at..)?.join("/") + tail));
            return Some(captures);
        }
        let given = have.get(at)?;
        match segment.strip_prefix(':') {
            Some(name) => captures.push((name.to_owned(), given.clone())),
            None if segment == given => {}
            None => return None,
        }
    }
    (want.len() == have.len()).then_some(captures)
}

fn match_query(wanted: &[(String, String)], query: &str) -> Option<Vec<(String, String)>> {
    let mut captures = Vec::new();
    for (name, value) in wanted {
        let given = query
            .split('&')
            .filter_map(|p| p.split_once('='))
            .find(|(k, _)| k == name)
            .map(|(_, v)| v)?;
        match value.strip_prefix(':') {
            Some(capture) => captures.push((capture.to_owned(), given.to_owned())),
            None if value == given => {}
            None => return None,
        }
    }
    Some(captures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(
        rules: &str,
        path: &str,
        query: Option<&str>,
        file_exists: bool,
    ) -> Option<(u16, Target)> {
        first(&parse(rules), path, query, file_exists).map(|(rule, target)| (rule.status, target))
    }

    #[test]
    fn splats_placeholders_and_queries() {
        let proxy = "/api/*  https://x-api.onrender.com/api/:splat  200!\n/* /index.html 200";
        let to = |s: &str| Target::Proxy(s.to_owned());
        assert_eq!(
            target(proxy, "/api/a/b", None, true),
            Some((200, to("https://x-api.onrender.com/api/a/b")))
        );
        assert_eq!(
            target(proxy, "/api/a", Some("q=1"), false),
            Some((200, to("https://x-api.onrender.com/api/a?q=1")))
        );
        assert_eq!(
            target(proxy, "/api", None, false),
            Some((200, to("https://x-api.onrender.com/api/")))
        );
        assert_eq!(
            target(proxy, "/x", None, false),
            Some((200, Target::Rewrite("/index.html".into())))
        );
        assert_eq!(
            target(proxy, "/x", None, true),
            None,
            "a file wins over a rule without force"
        );
        assert_eq!(
            target(
                "/news/:year/:y /n/:y-:year 302",
                "/news/2026/03",
                None,
                false
            ),
            Some((302, Target::Redirect("/n/03-2026".into())))
        );
        assert_eq!(
            target("/s id=:id /p/:id 301", "/s", Some("id=7"), false),
            Some((301, Target::Redirect("/p/7".into())))
        );
        assert_eq!(target("/s id=:id /p/:id 301", "/s", None, false), None);
    }

    #[test]
    fn malformed_lines_are_left_out_and_conditions_ignored() {
        assert_eq!(
            parse("# x\n\nonlyone\n/a nowhere\n/a /b 999\n/a /b 302 Country=de"),
            parse("/a /b 302")
        );
        assert_eq!(
            parse_toml("[[redirects]]\nfrom = \"/a\"\nto = \"/b\"\nstatus = 302\n"),
            parse("/a /b 302")
        );
    }
}
