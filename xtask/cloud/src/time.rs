//! Milliseconds since the epoch to and from the text forms the providers use.

use jiff::Timestamp;

/// RFC 3339 in UTC, for instance `2026-01-02T03:04:05.678Z`. Out-of-range values give the epoch.
pub(crate) fn rfc3339(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

/// The `Date` header's form, for instance `Fri, 02 Jan 2026 03:04:05 GMT`.
pub(crate) fn http_date(at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads RFC 3339, with any offset.
pub(crate) fn parse(text: &str) -> Option<i64> {
    text.parse::<Timestamp>()
        .ok()
        .map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        assert_eq!(rfc3339(1_767_323_045_678), "2026-01-02T03:04:05.678Z");
        assert_eq!(
            http_date(1_767_323_045_678),
            "Fri, 02 Jan 2026 03:04:05 GMT"
        );
        assert_eq!(
            parse("2026-01-02T04:04:05.678+01:00"),
            Some(1_767_323_045_678)
        );
        assert_eq!(parse("yesterday"), None);
    }
}
