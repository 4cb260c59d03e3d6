//! Text from outside (commit messages, providers' logs, what commands print) before it reaches a person: nothing in it
//! may steer a terminal, start a command of a CI service, or change the direction in which the rest is read.

/// One line of prose: control sequences removed, every run of white space a single space.
pub fn line(text: &str) -> String {
    let plain = printable(text);
    let line = defuse(&plain.split_whitespace().collect::<Vec<_>>().join(" "));
    // GitHub's runner skips white space before it looks for `::command::`.
    line.strip_prefix("::")
        .map_or(line.clone(), |rest| format!(": :{rest}"))
}

/// One line of output with its indentation. Of a line that was drawn over (`\r`) what a terminal shows last is kept.
pub fn output(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    let last = plain.split('\r').rfind(|part| !part.trim().is_empty());
    let plain = printable(last.unwrap_or_default());
    let spaced: String = plain
        .chars()
        .flat_map(|c| {
            if c == '\t' {
                vec![' '; 4]
            } else {
                vec![one_space(c)]
            }
        })
        .collect();
    defuse(spaced.trim_end())
}

/// At most `max_chars` characters; what is cut leaves an ellipsis.
pub fn clip(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let start: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    format!("{}…", start.trim_end())
}

fn printable(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    plain
        .chars()
        .filter(|c| (c.is_whitespace() || !c.is_control()) && !is_invisible(*c))
        .collect()
}

/// Characters that show nothing and change how the others are read: direction marks and zero-width ones.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn one_space(c: char) -> char {
    if c.is_whitespace() { ' ' } else { c }
}

/// GitHub's runner obeys `##[command]` anywhere in a line.
fn defuse(text: &str) -> String {
    text.replace("##[", "## [")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        for (text, expected) in [
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            (
                "\u{1b}]8;;https://a.example\u{1b}\\link\u{1b}]8;;\u{1b}\\",
                "link",
            ),
            ("\u{1b}Pq#0\u{1b}\\x", "x"),
            ("a\u{9b}31mb", "a31mb"),
            ("bell\u{7} back\u{8}space nul\u{0}", "bell backspace nul"),
            ("two\r\nlines\u{2028}three\tfour", "two lines three four"),
            ("a\u{202e}b\u{200b}c\u{2066}d", "abcd"),
            ("x ##[error]y", "x ## [error]y"),
            (" \u{1b}[1m::error::y", ": :error::y"),
            ("y ::error::", "y ::error::"),
        ] {
            assert_eq!(line(text), expected, "{text:?}");
        }
    }

    #[test]
    fn output_keeps_its_layout() {
        for (text, expected) in [
            ("    indented  twice", "    indented  twice"),
            ("\tone", "    one"),
            (" 10 %\r 50 %\r100 %\r", "100 %"),
            ("done\r\n", "done"),
            ("\u{1b}[2K\u{1b}[1Gready \u{1b}[32m✓\u{1b}[39m  ", "ready ✓"),
            ("", ""),
        ] {
            assert_eq!(output(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_clip_counts_characters() {
        assert_eq!(clip("äöüß", 4), "äöüß");
        assert_eq!(clip("äöüßx", 4), "äöü…");
        assert_eq!(clip("abc", 0), "…");
    }
}
