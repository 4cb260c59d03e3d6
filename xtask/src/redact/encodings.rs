//! Base64 and hexadecimal forms of a value, as strings to look for. Text cannot be decoded from them on the fly:
//! where the encoded bytes begin is unknown, and every word is valid base64.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Values below this many bytes have encodings short enough to occur by chance.
const LEN_BYTES_MIN: usize = 6;

/// The part of every encoding of `text` that does not depend on what stands before and after it.
pub(super) fn of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |encoded: String| {
        if !found.contains(&encoded) {
            found.push(encoded);
        }
    };
    // A token whose payload is JSON holds the value in its JSON form.
    let json = serde_json::Value::from(text).to_string();
    for form in [text, &json[1..json.len() - 1]] {
        if form.len() < LEN_BYTES_MIN {
            continue;
        }
        for shift in 0..3 {
            let (standard, url_safe) = base64_core(form.as_bytes(), shift);
            add(standard);
            add(url_safe);
        }
        let hex: String = form.bytes().map(|byte| format!("{byte:02x}")).collect();
        add(hex.to_ascii_uppercase());
        add(hex);
    }
    found
}

/// Base64 of `bytes` when `shift` other bytes (modulo 3) precede them, in both alphabets. A character carries six
/// bits: those that also carry bits of a neighbour differ from text to text and are cut off, at both ends.
fn base64_core(bytes: &[u8], shift: usize) -> (String, String) {
    let mut shifted = vec![0; shift];
    shifted.extend_from_slice(bytes);
    let first = (shift * 8).div_ceil(6);
    let last = shifted.len() * 8 / 6;
    let core = |encoded: String| encoded[first..last].to_owned();
    (
        core(STANDARD_NO_PAD.encode(&shifted)),
        core(URL_SAFE_NO_PAD.encode(&shifted)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_neighbours_leave_one_of_the_strings_intact() {
        let strings = of("?value~with>bits");
        for before in ["", "a", "bc", "def"] {
            for after in ["", "z", "yx", "wvu"] {
                let text = format!("{before}?value~with>bits{after}");
                for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    assert!(
                        strings.iter().any(|s| encoded.contains(s.as_str())),
                        "{text} as {encoded}"
                    );
                }
            }
        }
    }

    #[test]
    fn short_values_have_no_encoded_strings() {
        assert!(of("abcde").is_empty());
    }
}
