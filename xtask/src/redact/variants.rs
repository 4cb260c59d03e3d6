//! Which strings give a registered value away when they are read in the clear: the value without the white space
//! and quotes around it, each of its lines, and the secret parts of a URL.
//! Encodings are not listed here; they are undone while scanning (`codec`) or, where nothing can be undone
//! without knowing where it began, added as strings of their own (`encodings`).

/// Shorter values occur in ordinary text far too often to be hidden.
const LEN_CHARS_MIN: usize = 4;
/// Shorter lines of a longer value say little, and words like `end` would be hidden everywhere.
const LINE_CHARS_MIN: usize = 8;
/// The shortest path segment or unnamed query value that is taken for a credential.
const URL_PART_CHARS_MIN: usize = 8;

/// Words that end up in credential variables by mistake or as switches. To hide them would ruin every log line
/// and protect nothing.
const STOP_WORDS: &[&str] = &[
    "true",
    "false",
    "null",
    "none",
    "undefined",
    "redacted",
    "localhost",
    "production",
    "staging",
    "development",
    "test",
    "local",
    "main",
    "master",
    "default",
    "admin",
    "root",
    "user",
    "username",
    "password",
    "passwd",
    "secret",
    "token",
    "debug",
    "info",
    "warn",
    "warning",
    "error",
    "trace",
    "http",
    "https",
    "postgres",
    "changeme",
    "example",
    "disabled",
    "enabled",
];

/// Query parameters whose value is a credential, however ordinary it looks.
const SECRET_PARAMETERS: &[&str] = &[
    "key",
    "token",
    "secret",
    "pass",
    "sig",
    "auth",
    "code",
    "credential",
];

/// Every string to hide for `value`, without repetitions. Empty when the value must not be hidden at all.
pub(super) fn of(value: &str) -> Vec<String> {
    let mut found = Found::default();
    found.add(value);
    found.add(unquoted(value.trim()));
    for line in value
        .lines()
        .map(str::trim)
        .filter(|line| line.chars().count() >= LINE_CHARS_MIN)
    {
        // The armour of a PEM file is the same in every one of them.
        if !line.starts_with("-----") {
            found.add(line);
        }
    }
    for part in url_parts(unquoted(value.trim())) {
        found.add(&part);
    }
    found.strings
}

/// Whether hiding this text is worth what it does to everything else that is printed.
pub(super) fn maskable(text: &str) -> bool {
    text.chars().count() >= LEN_CHARS_MIN
        && text.chars().any(char::is_alphanumeric)
        && !STOP_WORDS
            .iter()
            .any(|word| word.eq_ignore_ascii_case(text))
}

/// `text` with every run of white space as one space: the form in which the scanner sees text whose line breaks
/// were indented, converted to `\r\n`, or joined.
pub(super) fn collapse_white_space(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

#[derive(Default)]
struct Found {
    strings: Vec<String>,
}

impl Found {
    /// Only trimmed strings are kept: the white space around a value hides nothing, and the scanner relies on no
    /// string beginning with it.
    fn add(&mut self, text: &str) {
        let text = text.trim();
        let collapsed = collapse_white_space(text);
        for candidate in [text, &collapsed] {
            if maskable(candidate) && !self.strings.iter().any(|known| known == candidate) {
                self.strings.push(candidate.to_owned());
            }
        }
    }
}

fn unquoted(text: &str) -> &str {
    ['"', '\'', '`']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

/// The password, the query values and, when there are none of these, the last path segment: that is where a
/// webhook address keeps its secret, while next to a password it is a database name.
fn url_parts(text: &str) -> Vec<String> {
    let Some((_, rest)) = text.split_once("://") else {
        return Vec::new();
    };
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A password that nobody encoded may hold slashes, so the authority ends at the last `@`.
    let (userinfo, after) = rest.rsplit_once('@').unwrap_or(("", rest));
    let mut parts = Vec::new();
    match userinfo.split_once(':') {
        Some((_, password)) => parts.push(password.to_owned()),
        None if looks_random(userinfo) => parts.push(userinfo.to_owned()),
        None => {}
    }
    for pair in query.split(['&', ';']).chain(fragment.split('&')) {
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let name = name.to_ascii_lowercase();
        if looks_random(value) || SECRET_PARAMETERS.iter().any(|word| name.contains(word)) {
            parts.push(value.to_owned());
        }
    }
    if parts.is_empty()
        && let Some((_, path)) = after.split_once('/')
        && let Some(segment) = path.rsplit('/').find(|segment| !segment.is_empty())
        && looks_random(segment)
    {
        parts.push(segment.to_owned());
    }
    let decoded: Vec<String> = parts
        .iter()
        .filter_map(|part| percent_decoded(part))
        .collect();
    parts.extend(decoded);
    parts
}

/// `verify-full` and `connections` are settings, `E5xeXq5Q` is a credential: length, and digits or mixed case.
fn looks_random(text: &str) -> bool {
    let digit = text.chars().any(|c| c.is_ascii_digit());
    let mixed = text.chars().any(|c| c.is_ascii_uppercase())
        && text.chars().any(|c| c.is_ascii_lowercase());
    text.chars().count() >= URL_PART_CHARS_MIN && (digit || mixed)
}

/// The decoded form, when there is something to decode and the result is text.
fn percent_decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes
            .get(at + 1..at + 3)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        match pair
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .filter(|_| bytes[at] == b'%')
        {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out)
        .ok()
        .filter(|decoded| decoded != text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clear_forms_of_a_value() {
        assert_eq!(of("  abcd1234\r\n"), ["abcd1234"]);
        assert_eq!(of("\"abcd1234\""), ["\"abcd1234\"", "abcd1234"]);
        let lines = ["-----BEGIN X-----\nline-one-8\nshort\n-----END X-----"; 1][0];
        assert_eq!(of(lines)[0], lines);
        assert_eq!(of(lines)[2..], ["line-one-8"]);
    }

    #[test]
    fn url_parts_that_are_secret() {
        let parts = |url: &str| of(url)[1..].to_vec();
        assert_eq!(
            parts("postgres://app:p%40ss-1@host.example/app_main1?sslmode=verify-full"),
            ["p%40ss-1", "p@ss-1"]
        );
        assert_eq!(
            parts("https://host.example/deploy/srv-3ok0ul0zo3map8ios8vm?key=abcdefgh"),
            ["abcdefgh"]
        );
        assert_eq!(
            parts("https://host.example/services/T0/B0/Xy12Xy12Xy12"),
            ["Xy12Xy12Xy12"]
        );
        assert!(parts("https://host.example/build/settings").is_empty());
    }

    #[test]
    fn values_that_are_never_hidden() {
        for value in [
            "",
            "1",
            "\n",
            "abc",
            "True",
            "production",
            "----",
            " \"x\" ",
        ] {
            assert!(of(value).is_empty(), "{value:?} must not be hidden");
        }
    }
}
