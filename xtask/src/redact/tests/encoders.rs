//! How other programs spell a value: written from their rules, independently of the decoders under test.

use std::fmt::Write as _;

/// An encoder and what it is called in a failure.
pub(super) type Encoder = (&'static str, fn(&str) -> String);

/// Encoders whose output goes anywhere.
pub(super) const ENCODERS: &[Encoder] = &[
    ("url", percent_all),
    ("url_lower", |text| lower_percent(&percent_all(text))),
    ("url_component", percent_component),
    ("form", |text| percent_all(text).replace("%20", "+")),
    ("json", json),
    ("json_ascii", json_ascii),
    ("json_slash", |text| json(text).replace('/', r"\/")),
    ("json_html", |text| {
        json(text)
            .replace('<', r"\u003c")
            .replace('>', r"\u003e")
            .replace('&', r"\u0026")
    }),
    ("debug", |text| inner(&format!("{text:?}"))),
    ("c_octal", c_octal),
    ("python_bytes", python_bytes),
    ("javascript", |text| {
        latin1_hex(
            &text
                .replace('\\', r"\\")
                .replace('\'', r"\'")
                .replace('\n', r"\n"),
        )
    }),
    ("single_doubled", |text| text.replace('\'', "''")),
    ("double_doubled", |text| text.replace('"', "\"\"")),
    ("dollar_doubled", |text| text.replace('$', "$$")),
    ("percent_doubled", |text| text.replace('%', "%%")),
    ("shell_single", |text| text.replace('\'', r"'\''")),
    ("shell_single_mixed", |text| text.replace('\'', "'\"'\"'")),
    ("shell_double", |text| escape(text, r#"\$`""#)),
    ("shell_word", |text| {
        escape(text, " !\"#$&'()*,;<>?[\\]^`{|}~")
    }),
    ("xml", xml),
    ("xml_apos_number", |text| {
        xml(text)
            .replace("&apos;", "&#39;")
            .replace("&quot;", "&#34;")
    }),
    ("xml_hex", |text| {
        xml_numbers(text, |n| format!("&#x{n:x};"))
    }),
    ("xml_decimal", |text| {
        xml_numbers(text, |n| format!("&#{n};"))
    }),
    ("html", |text| {
        xml(text).replace('é', "&eacute;").replace('ü', "&uuml;")
    }),
    ("crlf", |text| text.replace('\n', "\r\n")),
    ("indented", |text| text.replace('\n', "\n      ")),
    ("joined", |text| text.replace('\n', " ")),
];

/// Nestings that occur: the outer one is applied to the output of the inner one.
pub(super) const NESTED: &[(&str, &str)] = &[
    ("json", "json"),
    ("json_ascii", "json"),
    ("json", "json_ascii"),
    ("debug", "json"),
    ("json", "debug"),
    ("debug", "debug"),
    ("json", "shell_single"),
    ("json", "single_doubled"),
    ("json", "double_doubled"),
    ("json", "xml"),
    ("json", "url"),
    ("json_slash", "url"),
    ("json_html", "xml"),
    ("xml", "json"),
    ("xml", "xml"),
    ("xml", "url"),
    ("html", "json_ascii"),
    ("url", "json"),
    ("url", "url"),
    ("url_component", "json"),
    ("form", "json"),
    ("url", "xml"),
    ("shell_single", "json"),
    ("shell_single_mixed", "json"),
    ("single_doubled", "json"),
    ("double_doubled", "json"),
    ("crlf", "json"),
    ("json", "crlf"),
    ("json", "indented"),
    ("shell_single", "indented"),
    ("url", "crlf"),
];

pub(super) fn by_name(name: &str) -> fn(&str) -> String {
    ENCODERS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, encode)| *encode)
        .unwrap()
}

fn inner(quoted: &str) -> String {
    quoted[1..quoted.len() - 1].to_owned()
}

pub(super) fn json(text: &str) -> String {
    inner(&serde_json::to_string(text).unwrap())
}

fn json_ascii(text: &str) -> String {
    let mut out = String::new();
    for char in json(text).chars() {
        if char.is_ascii() {
            out.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").unwrap();
            }
        }
    }
    out
}

fn percent(text: &str, plain: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(char::from(byte)) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap();
        }
    }
    out
}

fn percent_all(text: &str) -> String {
    percent(text, "-_.~")
}

fn percent_component(text: &str) -> String {
    percent(text, "-_.~!*'()")
}

fn lower_percent(text: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        out.push_str(&rest[at..at + 3].to_ascii_lowercase());
        rest = &rest[at + 3..];
    }
    out + rest
}

fn escape(text: &str, special: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        if special.contains(char) {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

fn c_octal(text: &str) -> String {
    let mut out = String::new();
    for byte in escape(text, "\\\"'").replace('\n', "\\n").bytes() {
        if byte.is_ascii() {
            out.push(char::from(byte));
        } else {
            write!(out, "\\{byte:03o}").unwrap();
        }
    }
    out
}

fn python_bytes(text: &str) -> String {
    let mut out = String::new();
    for byte in escape(text, "\\'").replace('\n', "\\n").bytes() {
        if byte.is_ascii() {
            out.push(char::from(byte));
        } else {
            write!(out, "\\x{byte:02x}").unwrap();
        }
    }
    out
}

fn latin1_hex(text: &str) -> String {
    text.chars()
        .map(|char| match u32::from(char) {
            code @ 0x80..=0xff => format!("\\x{code:02x}"),
            code @ 0x1_0000.. => format!("\\u{{{code:x}}}"),
            _ => char.to_string(),
        })
        .collect()
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}

fn xml_numbers(text: &str, spell: fn(u32) -> String) -> String {
    text.chars()
        .map(|char| {
            if char.is_ascii_alphanumeric() || char == ' ' || char == '\n' {
                char.to_string()
            } else {
                spell(char.into())
            }
        })
        .collect()
}
