//! HTML and XML character references, by number and by the names that escaping functions produce.

use super::item::{Item, Step};

/// `&#x0010FFFF;` is the longest that is worth waiting for.
const LEN_BYTES_MAX: usize = 14;

/// The names for U+00A0 to U+00FF, in order (HTML 4, section 24.2.1).
const LATIN_1: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn \
    sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde \
    Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde \
    Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil \
    egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave \
    uacute ucirc uuml yacute thorn yuml";

pub(super) fn decode(items: &[Item]) -> Step {
    let body: String = items[1..]
        .iter()
        .map(|item| char::from(item.byte))
        .take_while(|char| char.is_ascii_alphanumeric() || *char == '#')
        .take(LEN_BYTES_MAX)
        .collect();
    match items.get(1 + body.len()) {
        _ if body.len() == LEN_BYTES_MAX => Step::Literal,
        None => Step::More,
        Some(end) if end.byte == b';' => {
            reference(&body).map_or(Step::Literal, |char| Step::char(body.len() + 2, char))
        }
        Some(_) => Step::Literal,
    }
}

fn reference(body: &str) -> Option<char> {
    if let Some(number) = body.strip_prefix('#') {
        let value = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        return char::from_u32(value.ok()?);
    }
    match body {
        "lt" | "LT" => Some('<'),
        "gt" | "GT" => Some('>'),
        "amp" | "AMP" => Some('&'),
        "quot" | "QUOT" => Some('"'),
        "apos" => Some('\''),
        "NewLine" => Some('\n'),
        "Tab" => Some('\t'),
        _ => {
            let index = LATIN_1.split(' ').position(|name| name == body)?;
            char::from_u32(0xa0 + u32::try_from(index).ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (body, char) in [
            ("lt", '<'),
            ("eacute", 'é'),
            ("yuml", 'ÿ'),
            ("nbsp", '\u{a0}'),
            ("#39", '\''),
            ("#x1F511", '🔑'),
        ] {
            assert_eq!(reference(body), Some(char), "{body}");
        }
        for body in ["", "#", "#x", "#xd800", "nothing"] {
            assert_eq!(reference(body), None, "{body}");
        }
    }
}
