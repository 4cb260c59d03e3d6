//! Terminal control sequences (ECMA-48): what a terminal swallows may stand in the middle of a value that a
//! highlighter has found interesting.

use super::item::{Item, Step};

pub(super) const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
/// Longer ones are noise. Real ones are a few bytes; the longest in use set a hyperlink or a window title.
const LEN_BYTES_MAX: usize = 512;

/// `seen` items were looked at before without finding an end, so each is looked at once.
pub(super) fn decode(items: &[Item], seen: usize) -> Step {
    let Some(kind) = items.get(1) else {
        return Step::More;
    };
    let from = seen.max(2);
    match kind.byte {
        b'[' => control_sequence(items, from),
        b']' | b'P' | b'X' | b'^' | b'_' => control_string(items, from),
        0x20..=0x2f => intermediate(items, from),
        0x30..=0x7e => Step::remove(2),
        _ => Step::Literal,
    }
}

fn control_sequence(items: &[Item], from: usize) -> Step {
    for (at, item) in items.iter().enumerate().skip(from) {
        match item.byte {
            0x40..=0x7e => return Step::remove(at + 1),
            0x20..=0x3f => {}
            _ => return Step::Literal,
        }
    }
    more(items)
}

/// Ends with BEL or with ESC and a backslash.
fn control_string(items: &[Item], from: usize) -> Step {
    for (at, item) in items.iter().enumerate().skip(from) {
        let after_esc = at > 2 && items[at - 1].byte == ESC;
        match item.byte {
            BEL => return Step::remove(at + 1),
            b'\\' if after_esc => return Step::remove(at + 1),
            _ if after_esc => return Step::Literal,
            // A title has one line; without this the rest of a damaged line would wait for its end.
            b'\n' => return Step::Literal,
            _ => {}
        }
    }
    more(items)
}

fn intermediate(items: &[Item], from: usize) -> Step {
    for (at, item) in items.iter().enumerate().skip(from) {
        match item.byte {
            0x30..=0x7e => return Step::remove(at + 1),
            0x20..=0x2f => {}
            _ => return Step::Literal,
        }
    }
    more(items)
}

fn more(items: &[Item]) -> Step {
    if items.len() < LEN_BYTES_MAX {
        Step::More
    } else {
        Step::Literal
    }
}
