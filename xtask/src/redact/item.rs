//! One byte of a decoded view and the stretch of source text it stands for. The stretch is what is hidden when a
//! value is found in a view, so it travels with every byte.

use super::layout::ViewSet;

/// Offsets count bytes from the beginning of the stream.
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) byte: u8,
    pub(super) start: u64,
    pub(super) end: u64,
    /// Came out of an escape; otherwise it is the source byte itself.
    pub(super) decoded: bool,
    /// It ends whatever needle is under way, in the plain text as in a view that reads this item.
    pub(super) inert: bool,
    /// The views to which it makes a difference, or to a view below them, if they have nothing else going on.
    pub(super) interest: ViewSet,
}

/// What a codec makes of the items at the front of its input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The input may still become an escape.
    More,
    /// No escape begins here: the first item stands for itself.
    Literal,
    /// The first `take` items stand for the first `len` of `bytes`; for nothing when `len` is 0.
    Replace {
        take: usize,
        bytes: [u8; 4],
        len: usize,
    },
}

impl Step {
    pub(super) fn remove(take: usize) -> Self {
        Self::Replace {
            take,
            bytes: [0; 4],
            len: 0,
        }
    }

    pub(super) fn byte(take: usize, byte: u8) -> Self {
        Self::Replace {
            take,
            bytes: [byte, 0, 0, 0],
            len: 1,
        }
    }

    pub(super) fn char(take: usize, char: char) -> Self {
        let mut bytes = [0; 4];
        let len = char.encode_utf8(&mut bytes).len();
        Self::Replace { take, bytes, len }
    }
}

/// The value of a run of hexadecimal digits.
#[derive(Clone, Copy)]
pub(super) enum Hex {
    Value(u32),
    /// All digits so far are valid.
    More,
    Invalid,
}

/// Reads exactly `digits` hexadecimal digits from `items`.
pub(super) fn hex(items: &[Item], digits: usize) -> Hex {
    let mut value = 0;
    for item in items.iter().take(digits) {
        match char::from(item.byte).to_digit(16) {
            Some(digit) => value = value * 16 + digit,
            None => return Hex::Invalid,
        }
    }
    if items.len() < digits {
        Hex::More
    } else {
        Hex::Value(value)
    }
}
