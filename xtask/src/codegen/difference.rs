//! Where two texts differ, for somebody who wants to see it at a glance.

use std::fmt::Write as _;

/// Lines shown before and after.
const CONTEXT: usize = 2;
/// Changed lines shown of each side.
const SHOWN_MAX: usize = 20;

/// The lines between what both texts have in common at their beginning and at their end: `-` is what is there, `+` what should be.
pub fn difference(found: &str, wanted: &str) -> String {
    let (found, wanted): (Vec<&str>, Vec<&str>) =
        (found.lines().collect(), wanted.lines().collect());
    let same =
        |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| pairs.take_while(|(a, b)| a == b).count();
    let head = same(&mut found.iter().zip(&wanted));
    let tail = same(&mut found[head..].iter().rev().zip(wanted[head..].iter().rev()));
    let mut text = format!("line {}:\n", head + 1);
    for line in &found[head.saturating_sub(CONTEXT)..head] {
        let _infallible = writeln!(text, "    {line}");
    }
    for (mark, lines) in [('-', &found), ('+', &wanted)] {
        let changed = &lines[head..lines.len() - tail];
        for line in changed.iter().take(SHOWN_MAX) {
            let _infallible = writeln!(text, "  {mark} {line}");
        }
        if let Some(more @ 1..) = changed.len().checked_sub(SHOWN_MAX) {
            let _infallible = writeln!(text, "  {mark} … and {more} more lines");
        }
    }
    for line in found[found.len() - tail..].iter().take(CONTEXT) {
        let _infallible = writeln!(text, "    {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn what_differs_is_shown_in_its_place() {
        assert_snapshot!(difference("a\nb\nc\nd\ne\nf\ng\n", "a\nb\nc\nX\nY\ne\nf\ng\n"), @"
        line 4:
            b
            c
          - d
          + X
          + Y
            e
            f
        ");
        assert_snapshot!(difference("a\n", "a\nb\n"), @"
        line 2:
            a
          + b
        ");
    }

    #[test]
    fn repeated_lines_and_empty_texts_are_no_trouble() {
        assert_eq!(
            difference("a\na\na\n", "a\na\n"),
            "line 3:\n    a\n    a\n  - a\n"
        );
        assert_eq!(difference("", "a\n"), "line 1:\n  + a\n");
        let long: String = (0..30).map(|number| format!("{number}\n")).collect();
        assert!(difference("", &long).ends_with("  + … and 10 more lines\n"));
    }
}
