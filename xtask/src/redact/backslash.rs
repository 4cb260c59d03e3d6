//! Backslash escapes of JSON, Rust, Go, C, JavaScript, Python and shells in one reading: they agree wherever they
//! overlap, except on what `\xe9` means.

use super::item::{self, Item, Step, hex};

/// The meaning of `\x` with a value above 7f.
#[derive(Clone, Copy)]
pub(super) enum Hex2 {
    Byte,
    Char,
}

pub(super) fn decode(items: &[Item], hex2: Hex2) -> Step {
    let Some(kind) = items.get(1) else {
        return Step::More;
    };
    match kind.byte {
        b'u' => unicode(items),
        b'U' => scalar(hex(&items[2..], 8), 10),
        b'x' => match (hex(&items[2..], 2), hex2) {
            (item::Hex::Value(value), Hex2::Byte) => Step::byte(4, value.to_le_bytes()[0]),
            (value, _) => scalar(value, 4),
        },
        b'0'..=b'7' => octal(items),
        b'n' => Step::byte(2, b'\n'),
        b'r' => Step::byte(2, b'\r'),
        b't' => Step::byte(2, b'\t'),
        b'b' => Step::byte(2, 0x08),
        b'f' => Step::byte(2, 0x0c),
        b'v' => Step::byte(2, 0x0b),
        b'a' => Step::byte(2, 0x07),
        b'e' | b'E' => Step::byte(2, 0x1b),
        // A shell escapes whatever is special to it. Letters are special to nobody, and to drop the backslash
        // before one would lose it from values that hold it unescaped.
        byte if byte.is_ascii_punctuation() || byte == b' ' => Step::byte(2, byte),
        _ => Step::Literal,
    }
}

fn scalar(value: item::Hex, take: usize) -> Step {
    match value {
        item::Hex::Value(value) => {
            char::from_u32(value).map_or(Step::Literal, |char| Step::char(take, char))
        }
        item::Hex::More => Step::More,
        item::Hex::Invalid => Step::Literal,
    }
}

/// `\u00e9`, a surrogate pair `\ud83d\udd11`, or `\u{1f511}`.
fn unicode(items: &[Item]) -> Step {
    if items.get(2).is_some_and(|item| item.byte == b'{') {
        let digits = items[3..]
            .iter()
            .take_while(|item| item.byte.is_ascii_hexdigit())
            .count();
        return match items.get(3 + digits) {
            _ if digits > 6 => Step::Literal,
            None => Step::More,
            Some(close) if close.byte == b'}' && digits > 0 => {
                scalar(hex(&items[3..], digits), digits + 4)
            }
            Some(_) => Step::Literal,
        };
    }
    match hex(&items[2..], 4) {
        item::Hex::Value(high @ 0xd800..=0xdbff) => surrogate_pair(items, high),
        value => scalar(value, 6),
    }
}

fn surrogate_pair(items: &[Item], high: u32) -> Step {
    let prefix = &items[6..items.len().min(8)];
    if !prefix
        .iter()
        .zip(br"\u")
        .all(|(item, byte)| item.byte == *byte)
    {
        return Step::Literal;
    }
    if prefix.len() < 2 {
        return Step::More;
    }
    match hex(&items[8..], 4) {
        item::Hex::Value(low @ 0xdc00..=0xdfff) => scalar(
            item::Hex::Value(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)),
            12,
        ),
        item::Hex::More => Step::More,
        _ => Step::Literal,
    }
}

/// One to three octal digits, as many as there are: `\0`, `\33`, `\303`.
fn octal(items: &[Item]) -> Step {
    let digits = items[1..]
        .iter()
        .take(3)
        .take_while(|item| matches!(item.byte, b'0'..=b'7'))
        .count();
    if digits == items.len() - 1 && digits < 3 {
        return Step::More;
    }
    let value = items[1..=digits]
        .iter()
        .fold(0u32, |value, item| value * 8 + u32::from(item.byte - b'0'));
    u8::try_from(value).map_or(Step::Literal, |byte| Step::byte(digits + 1, byte))
}
