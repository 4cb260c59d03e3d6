//! The wall clock, read in one place and always written the same way.

use jiff::Timestamp;

/// The current time as RFC 3339 in UTC with milliseconds, for example `2026-11-23T16:47:00.123Z`.
pub(crate) fn now_rfc3339() -> String {
    rfc3339(Timestamp::now())
}

/// Writes a time as RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_decimals_and_a_z() {
        let time = Timestamp::from_second(1_795_452_420).unwrap();
        assert_eq!(rfc3339(time), "2026-11-23T16:47:00.000Z");
    }
}
