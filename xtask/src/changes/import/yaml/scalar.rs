//! Single texts: plain, in single quotes, in double quotes; and where a comment begins.

use super::{Value, Wrong, wrong};

/// The text at the beginning of `rest`, which is moved behind it. Inside brackets a plain text ends at a comma or a bracket.
pub(super) fn take(rest: &mut &str, number: usize, nested: bool) -> Result<Value, Wrong> {
    *rest = rest.trim_start();
    match rest.chars().next() {
        Some('\'') => single_quoted(rest, number).map(Value::Text),
        Some('"') => double_quoted(rest, number).map(Value::Text),
        Some('!') => Err(wrong(
            number,
            format!("YAML takes '{rest}' for a tag: put a pattern into quotes"),
        )),
        Some('|' | '>') => Err(wrong(
            number,
            "a block of text is not read here: write a list of patterns",
        )),
        Some(odd @ ('%' | '@' | '`' | ',' | '}' | ']' | '&')) => Err(wrong(
            number,
            format!("no plain text begins with '{odd}': put a pattern into quotes"),
        )),
        _ => Ok(plain(rest, nested)),
    }
}

fn plain(rest: &mut &str, nested: bool) -> Value {
    let ends = |(at, c): (usize, char)| {
        let after = rest[at + c.len_utf8()..].chars().next();
        let colon = c == ':' && after.is_none_or(|next| next == ' ' || (nested && next == ','));
        colon || (nested && matches!(c, ',' | ']' | '}' | '['))
    };
    let end = rest
        .char_indices()
        .find(|&each| ends(each))
        .map_or(rest.len(), |(at, _)| at);
    let (text, tail) = rest.split_at(end);
    *rest = tail;
    match text.trim_end() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Nothing,
        other if is_no_text(other) => Value::Other(other.to_owned()),
        other => Value::Text(other.to_owned()),
    }
}

/// Truth values and numbers.
fn is_no_text(text: &str) -> bool {
    let truth = matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE");
    truth
        || (text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
            && text.parse::<f64>().is_ok())
}

/// A doubled quote is one.
fn single_quoted(rest: &mut &str, number: usize) -> Result<String, Wrong> {
    let mut text = String::new();
    let mut left = &rest[1..];
    loop {
        let Some((part, after)) = left.split_once('\'') else {
            return Err(wrong(number, "the closing quote is missing"));
        };
        text.push_str(part);
        match after.strip_prefix('\'') {
            Some(more) => {
                text.push('\'');
                left = more;
            }
            None => {
                *rest = after;
                return Ok(text);
            }
        }
    }
}

fn double_quoted(rest: &mut &str, number: usize) -> Result<String, Wrong> {
    let mut text = String::new();
    let mut chars = rest[1..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                *rest = &rest[1 + at + 1..];
                return Ok(text);
            }
            '\\' => match chars.next() {
                Some((_, c @ ('\\' | '"' | '/'))) => text.push(c),
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                other => {
                    let c = other.map_or(String::new(), |(_, c)| c.to_string());
                    return Err(wrong(
                        number,
                        format!("'\\{c}' is not read in double quotes: use single quotes"),
                    ));
                }
            },
            c => text.push(c),
        }
    }
    Err(wrong(number, "the closing quote is missing"))
}

/// The name at the beginning of `name: …`, and what follows the colon.
pub(super) fn key(text: &str, number: usize) -> Result<Option<(String, &str)>, Wrong> {
    let mut rest = text;
    if text.starts_with([
        '[', '{', '*', '!', '|', '>', '%', '@', '`', ',', '}', ']', '&',
    ]) {
        return Ok(None);
    }
    let (key, quoted) = match text.chars().next() {
        Some('\'' | '"') => (take(&mut rest, number, false)?, true),
        _ => (plain(&mut rest, false), false),
    };
    let Some(after) = rest.trim_start().strip_prefix(':') else {
        return Ok(None);
    };
    let key = match key {
        Value::Text(key) | Value::Other(key) => key,
        _ if quoted => String::new(),
        _ => return Err(wrong(number, "the name before the colon is missing")),
    };
    Ok(Some((key, after.trim_start())))
}

/// The line without its comment: from a `#` at its beginning or after a blank, outside of quotes.
pub(super) fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    // Only where a text can begin does a quote open one: `it's` holds none.
    let mut begins = true;
    for (at, c) in line.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '#' && before.is_whitespace() => return &line[..at],
            None if begins && matches!(c, '\'' | '"') => quote = Some(c),
            None => {}
        }
        begins = matches!(c, '[' | '{' | ',')
            || (c.is_whitespace() && (begins || matches!(before, '-' | ':')));
        before = c;
    }
    line
}
