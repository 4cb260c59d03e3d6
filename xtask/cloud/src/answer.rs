//! Small helpers to read requests and write JSON answers; nothing here knows a provider.

use http::header::{HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use serde_json::Value;

/// A JSON answer. An impossible status becomes 500.
pub(crate) fn json(status: u16, body: &Value) -> Response<Vec<u8>> {
    bytes(
        status,
        "application/json; charset=utf-8",
        body.to_string().into_bytes(),
    )
}

/// An answer with a body of the given type.
pub(crate) fn bytes(status: u16, content_type: &str, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = empty(status);
    *response.body_mut() = body;
    set_header(&mut response, "content-type", content_type);
    response
}

/// An answer without a body and content type.
pub(crate) fn empty(status: u16) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// Sets a header, leaving out what is not a valid one.
pub(crate) fn set_header(response: &mut Response<Vec<u8>>, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
        response.headers_mut().insert(name, value);
    }
}

/// Sets a request header, leaving out what is not a valid one.
pub(crate) fn set_request_header(request: &mut Request<Vec<u8>>, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
        request.headers_mut().insert(name, value);
    }
}

/// A header as text, or `""`.
pub(crate) fn header<'a, T>(request: &'a Request<T>, name: &str) -> &'a str {
    request
        .headers()
        .get(name)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("")
}

/// Whether the request carries `Authorization: Bearer <token>`.
pub(crate) fn has_bearer<T>(request: &Request<T>, token: &str) -> bool {
    let value = header(request, "authorization");
    let given = value
        .strip_prefix("Bearer ")
        .or_else(|| value.strip_prefix("bearer "));
    !token.is_empty() && given.map(str::trim) == Some(token)
}

/// The body as a JSON object; an empty body counts as `{}`.
pub(crate) fn json_body(
    request: &Request<Vec<u8>>,
) -> Result<serde_json::Map<String, Value>, String> {
    if request.body().iter().all(u8::is_ascii_whitespace) {
        return Ok(serde_json::Map::new());
    }
    match serde_json::from_slice(request.body()) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("the body must be a JSON object".to_owned()),
        Err(error) => Err(format!("the body is not JSON: {error}")),
    }
}

/// Decodes `%xx`. Malformed escapes stay as they are.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten();
        match escaped
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
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
    out
}

/// Decodes `%xx` into text, replacing what is not UTF-8.
pub(crate) fn percent_decode_text(text: &str) -> String {
    String::from_utf8_lossy(&percent_decode(text)).into_owned()
}

/// The query's pairs, decoded, in order.
pub(crate) fn query<T>(request: &Request<T>) -> Vec<(String, String)> {
    let text = request.uri().query().unwrap_or("");
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(k, v)| {
            (
                percent_decode_text(&k.replace('+', " ")),
                percent_decode_text(&v.replace('+', " ")),
            )
        })
        .collect()
}

/// The first value of a query parameter.
pub(crate) fn param<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query
        .iter()
        .find(|(k, _)| k == name)
        .map(|(_, v)| v.as_str())
}

/// All values of a query parameter that may be repeated or hold a comma-separated list.
pub(crate) fn params<'a>(query: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let brackets = format!("{name}[]");
    query
        .iter()
        .filter(|(k, _)| k == name || *k == brackets)
        .flat_map(|(_, v)| v.split(','))
        .filter(|v| !v.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_leaves_malformed_escapes_alone() {
        assert_eq!(
            percent_decode_text("sub/%C3%A4%20b%5B1%5D.txt"),
            "sub/ä b[1].txt"
        );
        assert_eq!(percent_decode_text("100%"), "100%");
        assert_eq!(percent_decode_text("%zz%4"), "%zz%4");
    }

    #[test]
    fn a_bearer_must_match_and_never_be_empty() {
        let with = |value: &str| {
            Request::builder()
                .header("authorization", value)
                .body(())
                .unwrap()
        };
        assert!(has_bearer(&with("Bearer abc"), "abc"));
        assert!(!has_bearer(&with("Bearer "), ""));
        assert!(!has_bearer(&with("Basic abc"), "abc"));
    }
}
