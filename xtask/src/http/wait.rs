//! How long a server asks to wait. Dates are judged by the server's own clock, as its `Date` header shows it, never by ours.

use crate::world::Response;
use http::HeaderMap;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// A wait that a server asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// How long from its answer on.
    pub(super) wait_ms: u64,
    /// The header that said so.
    pub(super) header: &'static str,
}

/// A moment as headers write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// From now, in milliseconds.
    In(u64),
    /// Milliseconds since the Unix epoch.
    At(i64),
}

/// Below this an integer counts seconds from now, above it seconds since 1970: three years, and March 1973.
const SMALLEST_EPOCH_S: f64 = 1e8;
/// From here on an integer counts milliseconds since 1970.
const SMALLEST_EPOCH_MS: f64 = 1e11;
/// No server of today has a clock before 2020: such a date is a broken clock, and no base to count from.
const OLDEST_DATE_MS: i64 = 1_577_836_800_000;

/// The wait that an answer asks for. Rate-limit headers count on 429 only, because both providers send them with every answer.
pub(super) fn asked(response: &Response) -> Option<Asked> {
    let names: &[&'static str] = match response.status().as_u16() {
        429 => &["retry-after", "ratelimit-reset", "x-ratelimit-reset"],
        503 => &["retry-after"],
        _ => return None,
    };
    let server_ms = date_ms(response.headers());
    names.iter().find_map(|header| {
        let text = response.headers().get(*header)?.to_str().ok()?;
        let wait_ms = match moment(text)? {
            Moment::In(wait_ms) => wait_ms,
            Moment::At(at_ms) => u64::try_from(at_ms.saturating_sub(server_ms?)).unwrap_or(0),
        };
        Some(Asked { wait_ms, header })
    })
}

/// The server's clock when it answered, milliseconds since the Unix epoch; none when it did not say or its clock is absurd.
pub(crate) fn date_ms(headers: &HeaderMap) -> Option<i64> {
    let at_ms = http_date_ms(headers.get("date")?.to_str().ok()?)?;
    (at_ms >= OLDEST_DATE_MS).then_some(at_ms)
}

/// Milliseconds since the Unix epoch of an RFC 3339 time, as both providers write them in JSON.
pub(crate) fn rfc3339_ms(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

/// An RFC 3339 time for a query.
pub(crate) fn rfc3339(at_ms: i64) -> Option<String> {
    jiff::Timestamp::from_millisecond(at_ms)
        .ok()
        .map(|at| at.to_string())
}

/// A duration as people say it, rounded to two units at most.
pub(crate) fn words(duration_ms: u64) -> String {
    let seconds = duration_ms.div_ceil(1000);
    match seconds {
        _ if duration_ms < 1000 => format!("{duration_ms} ms"),
        0..120 => format!("{seconds} s"),
        120..7200 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

fn moment(text: &str) -> Option<Moment> {
    let text = text.trim();
    if !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        let number: f64 = text.parse().ok()?;
        return Some(if number < SMALLEST_EPOCH_S {
            Moment::In((number * 1000.0).ceil() as u64)
        } else if number < SMALLEST_EPOCH_MS {
            Moment::At((number * 1000.0) as i64)
        } else {
            Moment::At(number as i64)
        });
    }
    http_date_ms(text)
        .or_else(|| civil_ms("%Y-%m-%d %H:%M:%S UTC", text))
        .or_else(|| rfc3339_ms(text))
        .map(Moment::At)
}

/// The three forms of RFC 9110 section 5.6.7: today's, RFC 850's, and C's `asctime`.
fn http_date_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    civil_ms("%a, %d %b %Y %H:%M:%S GMT", text)
        .or_else(|| civil_ms("%A, %d-%b-%y %H:%M:%S GMT", text))
        .or_else(|| civil_ms("%a %b %e %H:%M:%S %Y", text))
}

fn civil_ms(format: &str, text: &str) -> Option<i64> {
    let civil = DateTime::strptime(format, text).ok()?;
    Offset::UTC
        .to_timestamp(civil)
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2022-01-27 22:20:17 UTC.
    const AT_MS: i64 = 1_643_322_017_000;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
        let mut builder = http::Response::builder().status(status);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Vec::new()).unwrap()
    }

    #[test]
    fn moments() {
        for (text, want) in [
            ("7", Some(Moment::In(7_000))),
            (" 0.25 ", Some(Moment::In(250))),
            ("86400", Some(Moment::In(86_400_000))),
            ("1643322017", Some(Moment::At(AT_MS))),
            ("1643322017000", Some(Moment::At(AT_MS))),
            ("2022-01-27 22:20:17 UTC", Some(Moment::At(AT_MS))),
            ("2022-01-27T22:20:17Z", Some(Moment::At(AT_MS))),
            ("Thu, 27 Jan 2022 22:20:17 GMT", Some(Moment::At(AT_MS))),
            ("Thursday, 27-Jan-22 22:20:17 GMT", Some(Moment::At(AT_MS))),
            ("Thu Jan 27 22:20:17 2022", Some(Moment::At(AT_MS))),
            ("", None),
            ("soon", None),
            ("-5", None),
            ("1.2.3", None),
            ("Thu, 99 Jan 2022 22:20:17 GMT", None),
        ] {
            assert_eq!(moment(text), want, "{text:?}");
        }
        // A number that fits no clock must not overflow into a short wait.
        let Some(Moment::At(far)) = moment("99999999999999999999999999") else {
            panic!("a long number is a date")
        };
        assert!(far > AT_MS);
    }

    #[test]
    fn asciitime_pads_the_day() {
        assert_eq!(
            http_date_ms("Sun Nov  6 08:49:37 1994"),
            Some(784_111_777_000)
        );
    }

    #[test]
    fn dates_count_from_the_servers_clock() {
        let date = ("date", "Thu, 27 Jan 2022 22:19:47 GMT");
        for (headers, want) in [
            (
                vec![date, ("retry-after", "Thu, 27 Jan 2022 22:20:17 GMT")],
                Some((30_000, "retry-after")),
            ),
            (
                vec![date, ("retry-after", "2022-01-27 22:20:17 UTC")],
                Some((30_000, "retry-after")),
            ),
            (
                vec![date, ("x-ratelimit-reset", "1643322017")],
                Some((30_000, "x-ratelimit-reset")),
            ),
            (
                vec![date, ("x-ratelimit-reset", "12")],
                Some((12_000, "x-ratelimit-reset")),
            ),
            (
                vec![("ratelimit-reset", "59")],
                Some((59_000, "ratelimit-reset")),
            ),
            (
                vec![("retry-after", "5"), ("ratelimit-reset", "59")],
                Some((5_000, "retry-after")),
            ),
            // A date without a base is no answer, but the next header may be one.
            (
                vec![
                    ("retry-after", "2022-01-27 22:20:17 UTC"),
                    ("ratelimit-reset", "3"),
                ],
                Some((3_000, "ratelimit-reset")),
            ),
            (vec![("retry-after", "2022-01-27 22:20:17 UTC")], None),
            (
                vec![
                    ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
                    ("x-ratelimit-reset", "1643322017"),
                ],
                None,
            ),
            // Past already.
            (
                vec![date, ("x-ratelimit-reset", "1643320000")],
                Some((0, "x-ratelimit-reset")),
            ),
            (vec![], None),
        ] {
            let got = asked(&answer(429, &headers)).map(|asked| (asked.wait_ms, asked.header));
            assert_eq!(got, want, "{headers:?}");
        }
    }

    #[test]
    fn rate_headers_mean_nothing_on_other_answers() {
        let headers = [("ratelimit-reset", "59"), ("retry-after", "9")];
        assert_eq!(asked(&answer(200, &headers)), None);
        assert_eq!(asked(&answer(500, &headers)), None);
        assert_eq!(
            asked(&answer(503, &headers)).map(|asked| asked.wait_ms),
            Some(9_000)
        );
        assert_eq!(asked(&answer(503, &headers[..1])), None);
    }

    #[test]
    fn durations_in_words() {
        for (ms, want) in [
            (250, "250 ms"),
            (7_000, "7 s"),
            (119_000, "119 s"),
            (120_000, "2 min"),
            (150_500, "2 min 31 s"),
            (86_400_000, "24 h"),
        ] {
            assert_eq!(words(ms), want);
        }
    }

    #[test]
    fn fractions_of_any_length_are_read() {
        assert_eq!(
            rfc3339_ms("2025-01-13T16:48:10Z"),
            rfc3339_ms("2025-01-13T16:48:10.000000000Z")
        );
        assert_eq!(
            rfc3339_ms("2025-05-08T20:57:30.370959504Z").map(|ms| ms % 1000),
            Some(370)
        );
        assert_eq!(rfc3339_ms("yesterday"), None);
    }
}
