//! `_redirects`: a rule a line, `from [name=value…] to [status[!]] [condition=value…]`, with comments after `#`.

use super::{
    Around, Place, Redirect, RuleFile, SiteRules, Weight, complaint, host_and_path, is_url, shown,
};

/// What may stand after the status.
const CONDITIONS: [&str; 6] = ["country", "language", "role", "cookie", "sign", "signed"];
/// The keys by which a rule of the other file is told.
const TOML_KEYS: [&str; 6] = ["from", "to", "status", "force", "query", "conditions"];

pub(super) fn read(rules: &mut SiteRules, file: &RuleFile, around: Around<'_>) {
    let mut toml_lines: Vec<usize> = Vec::new();
    for (line, text) in (1..).zip(file.text.lines().map(str::trim)) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let place = Place {
            file: file.shown.clone(),
            line,
        };
        let weight = if around.names_service(text) {
            Weight::Stops
        } else {
            Weight::Said
        };
        if is_toml(text, &TOML_KEYS) {
            if weight == Weight::Stops {
                rules.say(place, weight, misplaced_toml(text));
            } else {
                toml_lines.push(line);
            }
            continue;
        }
        match rule(text, place.clone()) {
            Ok((redirect, ignored)) => {
                if !ignored.is_empty() {
                    let text = format!(
                        "of '{}' this takes no part: {}",
                        shown(text),
                        ignored.join(", ")
                    );
                    rules.say(place, Weight::Said, text);
                }
                rules.redirects.push(redirect);
            }
            Err(why) => rules.say(
                place,
                weight,
                format!("'{}' takes no part: {why}", shown(text)),
            ),
        }
    }
    say_toml(rules, file, &toml_lines);
}

/// Whether a line is TOML: a table's head, or one of the keys with a value.
pub(super) fn is_toml(line: &str, keys: &[&str]) -> bool {
    if line.starts_with('[') && line.contains(']') {
        return true;
    }
    let key = line.split_once('=').map(|(key, _)| key.trim());
    key.is_some_and(|key| keys.contains(&key.trim_matches('"')))
}

fn misplaced_toml(line: &str) -> String {
    format!(
        "'{}' takes no part: it is TOML (hint: that belongs into netlify.toml; here a rule is one line, `/from /to 301`)",
        shown(line)
    )
}

/// One finding for all lines of TOML: they were one mistake.
pub(super) fn say_toml(rules: &mut SiteRules, file: &RuleFile, lines: &[usize]) {
    let Some(first) = lines.first() else { return };
    let place = Place {
        file: file.shown.clone(),
        line: *first,
    };
    let more: Vec<String> = lines.iter().skip(1).map(usize::to_string).collect();
    let more = if more.is_empty() {
        String::new()
    } else {
        format!(", and so are the lines {}", more.join(", "))
    };
    let text = format!(
        "this line is TOML{more}; that takes no part here (hint: TOML belongs into netlify.toml)"
    );
    rules.say(place, Weight::Said, text);
}

/// A rule, and the words of it that mean nothing; or why it is none.
fn rule(line: &str, place: Place) -> Result<(Redirect, Vec<String>), String> {
    let mut words = line
        .split_whitespace()
        .take_while(|word| !word.starts_with('#'));
    let from = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    let Some(second) = words.first() else {
        return Err("it names no target".to_owned());
    };
    let (query, to, rest) = match leading_number(second) {
        // The target of a rule without one is its own path, below the same rest.
        Some(status) => (&[][..], forwarded(from, status)?, words.as_slice()),
        None => {
            let at = words
                .iter()
                .position(|word| word.starts_with('/') || is_url(word))
                .ok_or("no word of it is a target, which begins with /, http:// or https://")?;
            let (query, rest) = words.split_at(at);
            let (to, rest) = rest.split_first().ok_or("it names no target")?;
            (query, (*to).to_owned(), rest)
        }
    };
    let (status, force, conditions) = match rest.split_first() {
        None => (301, false, &[][..]),
        Some((word, conditions)) => {
            let status = leading_number(word)
                .ok_or_else(|| format!("'{}' stands where the status belongs", shown(word)))?;
            (status, word.ends_with('!'), conditions)
        }
    };
    let is_pair = |word: &&&str| word.contains('=');
    let is_known = |word: &&str| {
        let name = word.split('=').next().unwrap_or_default();
        word.contains('=') && CONDITIONS.contains(&name.to_lowercase().as_str())
    };
    let ignored = query
        .iter()
        .filter(|word| !word.contains('='))
        .chain(conditions.iter().filter(|word| !is_known(word)));
    let ignored = ignored.map(|word| shown(word)).collect();
    let (host, from) = host_and_path(from);
    let redirect = Redirect {
        place,
        host,
        from,
        query: query
            .iter()
            .filter(is_pair)
            .map(|word| (*word).to_owned())
            .collect(),
        to,
        status: u16::try_from(status).unwrap_or(0),
        force,
        conditions: conditions
            .iter()
            .filter(|word| is_known(word) && !word.to_lowercase().starts_with("sign"))
            .map(|word| (*word).to_owned())
            .collect(),
    };
    match complaint(&redirect) {
        Some(why) => Err(why),
        None => Ok((redirect, ignored)),
    }
}

/// The number that a word begins with: `200!` and `404.html` are both numbers to the provider's parser.
pub(super) fn leading_number(word: &str) -> Option<u32> {
    let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u32::MAX))
}

/// The target of a rule that names a status and no target.
pub(super) fn forwarded(from: &str, status: u32) -> Result<String, String> {
    match from.strip_suffix("/*") {
        Some(folder) if (200..300).contains(&status) => Ok(format!("{folder}/:splat")),
        _ => Err("it names no target".to_owned()),
    }
}
