//! What a body says: JSON, an error in disguise, or a page for people.

use crate::world::Response;
use serde_json::Value;

/// How much of a body an error shows, in characters.
const EXCERPT_CHARS: usize = 200;

/// Parses a body as JSON whatever its declared type, because some proxies drop it.
///
/// `serde_json` bounds the depth (128), the transport bounds the size; a key that occurs twice keeps its last value.
pub(super) fn json(response: &Response) -> Result<Value, String> {
    let body = response
        .body()
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(response.body());
    serde_json::from_slice(body).map_err(|error| {
        let found = response
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok());
        let found = found
            .and_then(|value| value.split(';').next())
            .unwrap_or("no content type");
        if body.iter().all(u8::is_ascii_whitespace) {
            return "expected JSON, got an empty body".to_owned();
        }
        let text = String::from_utf8_lossy(body);
        match title(&text) {
            Some(title) => format!("expected JSON, got {found}: {title}"),
            None => format!(
                "expected JSON, got {found} that does not parse ({error}): {}",
                excerpt(&text)
            ),
        }
    })
}

/// An error that came with a good status, as some gateways send it: its code when it has one, and its text.
pub(super) fn disguised_error(value: &Value) -> Option<(Option<u16>, String)> {
    let object = value.as_object()?;
    if object.contains_key("id") {
        return None;
    }
    let code = object
        .get("code")
        .and_then(Value::as_u64)
        .and_then(|code| u16::try_from(code).ok());
    let code = code.filter(|code| (400..600).contains(code));
    let failed = object
        .get("error")
        .is_some_and(|error| !matches!(error, Value::Null | Value::Bool(false)));
    if !failed && (code.is_none() || !object.contains_key("message")) {
        return None;
    }
    Some((
        code,
        message(value).unwrap_or_else(|| "an error without a message".to_owned()),
    ))
}

/// The text of an error body: `message`, or `error` as text or as an object with a message.
pub(super) fn message(value: &Value) -> Option<String> {
    let text = |value: &Value| {
        value
            .as_str()
            .map(str::to_owned)
            .filter(|text| !text.trim().is_empty())
    };
    let error = value.get("error");
    value
        .get("message")
        .and_then(text)
        .or_else(|| error.and_then(text))
        .or_else(|| error?.get("message").and_then(text))
        .map(|text| excerpt(&text))
}

/// The first characters of a text on one line, without control characters.
///
/// A cut never leaves the first half of a word: it could be the first half of a secret, which no redactor would know.
pub(crate) fn excerpt(text: &str) -> String {
    let mut line = String::new();
    let mut chars = 0;
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        let length = word.chars().count();
        if chars + length > EXCERPT_CHARS {
            line.push_str(safe_start(word, EXCERPT_CHARS.saturating_sub(chars)));
            line.push('\u{2026}');
            break;
        }
        line.push_str(word);
        line.push(' ');
        chars += length + 1;
    }
    line.trim_end().to_owned()
}

/// The start of a word that is cut, without the run of token characters in which the cut falls.
fn safe_start(word: &str, chars: usize) -> &str {
    let end = word
        .char_indices()
        .nth(chars)
        .map_or(word.len(), |(at, _)| at);
    let token = |c: char| c.is_alphanumeric() || "_-+/=.~%".contains(c);
    word.get(..end).unwrap_or_default().trim_end_matches(token)
}

/// The title of an HTML page.
pub(super) fn title(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let from = lower.find("<title")?;
    let from = from + lower.get(from..)?.find('>')? + 1;
    let to = from + lower.get(from..)?.find("</title")?;
    let title = excerpt(text.get(from..to)?);
    (!title.is_empty()).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(content_type: &str, body: &[u8]) -> Response {
        http::Response::builder()
            .header("content-type", content_type)
            .body(body.to_vec())
            .unwrap()
    }

    #[test]
    fn json_counts_whatever_the_type_says() {
        for (content_type, body) in [
            ("application/json", &b"{\"a\":1}"[..]),
            ("text/plain", b"{\"a\":1}\n"),
            ("application/json", b"\xEF\xBB\xBF{\"a\":1}"),
            ("application/json", b"{\"a\":0,\"a\":1}"),
        ] {
            assert_eq!(
                json(&answer(content_type, body)).unwrap(),
                serde_json::json!({"a": 1})
            );
        }
    }

    #[test]
    fn other_bodies_are_named() {
        let page = b"<!doctype html><html><head><TITLE>\n Bad  gateway</title>";
        let error = json(&answer("text/html; charset=utf-8", page)).unwrap_err();
        assert_eq!(error, "expected JSON, got text/html: Bad gateway");
        assert_eq!(
            json(&answer("", b" \n")).unwrap_err(),
            "expected JSON, got an empty body"
        );
        let error = json(&answer("application/json", b"{\"id\":\"dep-")).unwrap_err();
        assert!(error.contains("line 1 column 11"), "{error}");
        assert!(json(&answer("application/json", b"{\"a\":NaN}")).is_err());
        assert!(json(&answer("application/json", b"{\0\"\0a\0")).is_err());
    }

    #[test]
    fn a_million_levels_are_an_error_and_no_overflow() {
        let deep = vec![b'['; 1_000_000];
        assert!(json(&answer("application/json", &deep)).is_err());
    }

    #[test]
    fn errors_in_disguise() {
        for (text, want) in [
            (r#"{"error":"nope"}"#, Some((None, "nope"))),
            (r#"{"error":{"message":"deep"}}"#, Some((None, "deep"))),
            (
                r#"{"code":401,"message":"Access Denied"}"#,
                Some((Some(401), "Access Denied")),
            ),
            (r#"{"code":200,"message":"fine"}"#, None),
            (r#"{"id":"x","error":"a build's own"}"#, None),
            (r#"{"error":null,"sites":[]}"#, None),
            (r#"[{"error":"x"}]"#, None),
            ("{}", None),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            let want = want.map(|(code, text)| (code, text.to_owned()));
            assert_eq!(disguised_error(&value), want, "{text}");
        }
    }

    #[test]
    fn excerpts_are_one_short_line_and_cut_no_word() {
        assert_eq!(excerpt("a\n\tb\u{1b}[31m"), "a b [31m");
        let long = format!("said:{}", "x".repeat(400));
        assert_eq!(excerpt(&long), "said:\u{2026}");
        let many = "word ".repeat(100);
        assert!(excerpt(&many).chars().count() <= EXCERPT_CHARS + 2);
        assert!(excerpt(&many).ends_with("word \u{2026}"));
    }
}
