//! The patterns for which the dialect has rules of its own.
//!
//! They are not only faster ways to say the same: `*.js` may be followed by a slash, `a.b` repairs its backslashes
//! differently, and `***` alone is `*`. So they must be told apart first.

use super::translate::{DOT, NAME_PART, NAME_UNIT, NO_DOT_SEGMENT, PATH_PART, SLASH, SOMETHING};

/// No segment `.` or `..` begins here, be it at the start or after the slash that is next.
const NO_DOT_SEGMENTS: &str = r"(?!(?:^|\/)\.{1,2}(?:\/|$))";

/// Stars that say the same as fewer stars, when they are the whole pattern.
pub(super) fn collapse(glob: &str) -> &str {
    match glob {
        "***" => "*",
        "**/**" | "**/**/**" => "**",
        _ => glob,
    }
}

/// The expression when the pattern is one of a few common ones, with or without extensions: `*`, `**/*.js`, `.*`.
pub(super) fn whole(glob: &str) -> Option<String> {
    if !glob.starts_with(['.', '*']) {
        return None;
    }
    let glob = collapse(glob);
    let mut stem = glob.strip_prefix("./").unwrap_or(glob);
    let mut extensions = Vec::new();
    let base = loop {
        if let Some(base) = common(stem) {
            break base;
        }
        let (before, extension) = stem.rsplit_once('.')?;
        let is_word = !extension.is_empty() && extension.chars().all(is_word_unit);
        if !is_word || before.contains(['\n', '\r', '\u{2028}', '\u{2029}']) {
            return None;
        }
        extensions.push(extension);
        stem = before;
    };
    let tail: String = extensions
        .iter()
        .rev()
        .flat_map(|extension| [DOT, extension])
        .collect();
    Some(format!("{base}{tail}{SLASH}?"))
}

fn common(glob: &str) -> Option<String> {
    let directories = format!("(?:{NO_DOT_SEGMENTS}{PATH_PART}{SLASH})?");
    Some(match glob {
        "*" => format!("{NO_DOT_SEGMENTS}{SOMETHING}{NAME_PART}"),
        ".*" => format!("{DOT}{SOMETHING}{NAME_PART}"),
        "*.*" => format!("{NO_DOT_SEGMENTS}{NAME_PART}{DOT}{SOMETHING}{NAME_PART}"),
        "*/*" => {
            format!("{NO_DOT_SEGMENTS}{NAME_PART}{SLASH}{SOMETHING}{NO_DOT_SEGMENT}{NAME_PART}")
        }
        "**" => format!("{NO_DOT_SEGMENTS}{PATH_PART}"),
        "**/*" => format!("{directories}{NO_DOT_SEGMENT}{SOMETHING}{NAME_PART}"),
        "**/*.*" => format!("{directories}{NO_DOT_SEGMENT}{NAME_PART}{DOT}{SOMETHING}{NAME_PART}"),
        "**/.*" => format!("{directories}{DOT}{SOMETHING}{NAME_PART}"),
        _ => return None,
    })
}

/// The expression for a pattern without slashes, brackets and quotes that does not begin with `*` or `!`.
pub(super) fn one_name(body: &str) -> Option<String> {
    if body.starts_with(['*', '!']) || body.contains(['/', '(', ')', '[', ']', '{', '}', '"']) {
        return None;
    }
    let units: Vec<char> = body.chars().collect();
    let mut out = String::new();
    let mut backslashes = false;
    let mut at = 0;
    while let Some(&unit) = units.get(at) {
        if is_word_unit(unit) {
            out.push(unit);
            at += 1;
            continue;
        }
        let escaped = unit == '\\' && units.get(at + 1).is_some_and(|&next| !is_word_unit(next));
        let first = if escaped { units[at + 1] } else { unit };
        let begin = at + usize::from(escaped);
        let run = units[begin..].iter().take_while(|&&c| c == first).count();
        backslashes |= first == '\\';
        push_run(&mut out, escaped, first, run);
        at = begin + run;
    }
    if backslashes {
        out = halve_backslashes(&out);
    }
    // The anchors are the reference's, and lines up with those around every expression.
    Some(format!("^(?:{out})$"))
}

/// Writes `run` times the unit `first`, the first of them escaped or not.
fn push_run(out: &mut String, escaped: bool, first: char, run: usize) {
    let plain = usize::from(escaped);
    match first {
        '.' => out.push_str(&DOT.repeat(run)),
        '?' | '*' if escaped => {
            out.extend(['\\', first]);
            let times = if first == '?' {
                run - plain
            } else {
                usize::from(run > plain)
            };
            out.push_str(&if first == '?' { NAME_UNIT } else { NAME_PART }.repeat(times));
        }
        '?' => out.push_str(&NAME_UNIT.repeat(run)),
        '*' => out.push_str(NAME_PART),
        _ => {
            // Only the first of a run gets a backslash: `++` is one or more plus signs.
            if escaped || first != '\\' {
                out.push('\\');
            }
            out.extend(std::iter::repeat_n(first, run));
        }
    }
}

/// Every run of backslashes becomes one, or two when it is even.
fn halve_backslashes(text: &str) -> String {
    let mut out = String::new();
    let mut run = 0;
    for c in text.chars().map(Some).chain([None]) {
        if c == Some('\\') {
            run += 1;
            continue;
        }
        if run > 0 {
            out.push_str(if run % 2 == 0 { r"\\" } else { r"\" });
            run = 0;
        }
        out.extend(c);
    }
    out
}

fn is_word_unit(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
