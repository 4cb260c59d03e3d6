//! The filter as a pipe: paths in, one per line, those that match out.

use crate::filter::Filter;

/// The lines of a text that the filter selects, with their line ends.
#[must_use]
pub fn select(filter: &Filter, text: &[u8]) -> Vec<u8> {
    let mut selected = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let path = line.strip_suffix(b"\n").unwrap_or(line);
        let path = path.strip_suffix(b"\r").unwrap_or(path);
        if filter.matches(&String::from_utf8_lossy(path), None).matched {
            selected.extend_from_slice(path);
            selected.push(b'\n');
        }
    }
    selected
}

/// Cuts a text into about so many pieces of whole lines.
#[must_use]
pub fn pieces(text: &[u8], count: usize) -> Vec<&[u8]> {
    let size = text.len() / count.max(1) + 1;
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > size {
        let Some(end) = rest[size..].iter().position(|byte| *byte == b'\n') else {
            break;
        };
        let (piece, after) = rest.split_at(size + end + 1);
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Quantifier, Rule};

    #[test]
    fn lines_are_selected_and_cut_whole() {
        let rules = vec![Rule::plain("*.rs").expect("a rule")];
        let filter = Filter::new(rules, Quantifier::Some).expect("a filter");
        let text = b"a.rs\r\nb.js\n\xff.rs\n\nc.rs";
        assert_eq!(select(&filter, text), b"a.rs\n\xff.rs\nc.rs\n");
        for count in 0..20 {
            let pieces = pieces(text, count);
            assert_eq!(pieces.concat(), text);
            let whole = &pieces[..pieces.len() - 1];
            assert!(whole.iter().all(|piece| piece.ends_with(b"\n")), "{count}");
        }
        assert!(pieces(b"", 2).is_empty());
    }
}
