//! Text as UTF-16 code units, because the dialect counts those.
//!
//! The reference engine runs on JavaScript strings, so `?` is half of an emoji and a class may hold one half of it. Rust
//! strings cannot hold a lone surrogate. Inside the pattern compiler every surrogate is therefore replaced by a stand-in from
//! the private plane 15; real characters of that plane are themselves split into surrogates first, so nothing collides.

/// First stand-in character; the one for surrogate `s` is this plus `s - 0xD800`.
const STAND_IN_BASE: u32 = 0xF_0000;
/// First surrogate code unit (Unicode, chapter 3.8).
const FIRST_SURROGATE: u32 = 0xD800;

/// `text` with one character per UTF-16 unit.
pub(super) fn split(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    text.encode_utf16().map(stand_in).collect()
}

/// The UTF-16 unit that a character of a [`split`] text stands for.
pub(super) fn unit_of(c: char) -> u16 {
    let code = c as u32;
    let unit = if code >= STAND_IN_BASE {
        code - STAND_IN_BASE + FIRST_SURROGATE
    } else {
        code
    };
    u16::try_from(unit).unwrap_or(u16::MAX)
}

/// The text made of `units`, or `None` when a surrogate stands alone.
pub(super) fn join(units: &[u16]) -> Option<String> {
    String::from_utf16(units).ok()
}

fn stand_in(unit: u16) -> char {
    let code = u32::from(unit);
    let shifted = code
        .wrapping_sub(FIRST_SURROGATE)
        .wrapping_add(STAND_IN_BASE);
    char::from_u32(code)
        .or_else(|| char::from_u32(shifted))
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::{join, split, unit_of};

    #[test]
    fn every_character_survives_the_split() {
        for text in [
            "",
            "abc",
            "é日本",
            "😀",
            "\u{F0000}\u{10FFFF}",
            "\u{E000}\u{FFFF}",
        ] {
            let units: Vec<u16> = split(text).chars().map(unit_of).collect();
            assert_eq!(units, text.encode_utf16().collect::<Vec<_>>(), "{text:?}");
            assert_eq!(join(&units).as_deref(), Some(text));
        }
        assert_eq!(join(&[0xD83D]), None);
    }
}
