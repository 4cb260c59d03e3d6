//! Ways in which text is escaped, each undone by looking at a few bytes. A codec is a pure function from the front
//! of its input to a [`Step`]; the scanner applies it and keeps the offsets. An escape that turns out not to be
//! one stands for itself, so nothing here can fail.

use super::ansi;
use super::backslash;
use super::entity;
use super::item::{Hex, Item, Step, hex};

/// One kind of escaping.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    /// Colours and other terminal control sequences, which stand for nothing.
    Ansi,
    /// `%2F`
    Percent,
    /// `%2F`, and `+` for a space: `application/x-www-form-urlencoded`.
    Form,
    /// `\n`, `\"`, `\u00e9`, `\303`, with `\xe9` as the byte e9 (Go, C, shells, Python's bytes).
    Backslash,
    /// The same with `\xe9` as the character é (JavaScript, Python's strings).
    BackslashChar,
    /// `&lt;`, `&#60;`, `&#x3c;`
    Entity,
    /// A doubled character stands for one: `''` in SQL and YAML, `""` in CSV, `$$` in Make, `%%` in printf.
    Doubled(u8),
    /// `'\''` and `'"'"'`, the two ways to put a single quote into a single-quoted shell word.
    Shell,
    /// A run of white space stands for one space: indented, wrapped, `\r\n` and joined lines.
    WhiteSpace,
    /// White space and colons stand for nothing: wrapped base64, hexadecimal in groups.
    Groups,
}

impl Codec {
    /// Whether an escape can begin with this byte.
    pub(super) fn starts(self, byte: u8) -> bool {
        match self {
            Self::Ansi => byte == ansi::ESC,
            Self::Percent => byte == b'%',
            Self::Form => matches!(byte, b'%' | b'+'),
            Self::Backslash | Self::BackslashChar => byte == b'\\',
            Self::Entity => byte == b'&',
            Self::Doubled(char) => byte == char,
            Self::Shell => byte == b'\'',
            Self::WhiteSpace => is_white_space(byte),
            Self::Groups => is_white_space(byte) || byte == b':',
        }
    }

    /// Whether an escape that begins with this byte can stand for the first byte of a needle.
    /// No needle begins with white space.
    pub(super) fn opens(self, byte: u8, begins_needle: impl Fn(u8) -> bool) -> bool {
        match self {
            Self::WhiteSpace | Self::Groups => false,
            Self::Form if byte == b'+' => false,
            Self::Doubled(_) | Self::Shell => self.starts(byte) && begins_needle(byte),
            _ => self.starts(byte),
        }
    }

    /// Decodes at the front of `items`, whose first byte is one that [`starts`](Self::starts) an escape. `seen` of
    /// them were there at the last call, which answered `More`.
    pub(super) fn decode(self, items: &[Item], seen: usize) -> Step {
        match self {
            Self::Ansi => ansi::decode(items, seen),
            Self::Percent => percent(items),
            Self::Form if items[0].byte == b'+' => Step::byte(1, b' '),
            Self::Form => percent(items),
            Self::Backslash => backslash::decode(items, backslash::Hex2::Byte),
            Self::BackslashChar => backslash::decode(items, backslash::Hex2::Char),
            Self::Entity => entity::decode(items),
            Self::Doubled(char) => match items.get(1) {
                None => Step::More,
                Some(second) if second.byte == char => Step::byte(2, char),
                Some(_) => Step::Literal,
            },
            Self::Shell => shell(items),
            Self::WhiteSpace => white_space(items),
            Self::Groups => Step::remove(1),
        }
    }
}

pub(super) fn is_white_space(byte: u8) -> bool {
    // The vertical tab is missing from the standard library's definition.
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn percent(items: &[Item]) -> Step {
    match hex(&items[1..], 2) {
        Hex::Value(value) => Step::byte(3, value.to_le_bytes()[0]),
        Hex::More => Step::More,
        Hex::Invalid => Step::Literal,
    }
}

fn shell(items: &[Item]) -> Step {
    for spelling in [br"'\''".as_slice(), br#"'"'"'"#] {
        if items
            .iter()
            .zip(spelling)
            .all(|(item, byte)| item.byte == *byte)
        {
            return if items.len() < spelling.len() {
                Step::More
            } else {
                Step::byte(spelling.len(), b'\'')
            };
        }
    }
    Step::Literal
}

/// Keeps the last byte of a run, so that the decision never needs more than two.
fn white_space(items: &[Item]) -> Step {
    match items.get(1) {
        None => Step::More,
        Some(second) if is_white_space(second.byte) => Step::remove(1),
        Some(_) if items[0].byte == b' ' => Step::Literal,
        Some(_) => Step::byte(1, b' '),
    }
}
