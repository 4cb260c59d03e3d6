//! Words that all sinks share, so that a thing has the same name on the terminal, in Slack and in a report.

use crate::event::LaneState;

/// A duration as people say it: `0.2 s`, `12.3 s`, `2 min 05 s`, `1 h 02 min`.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    if ms < 60_000 {
        // Tenths, cut and not rounded: 59.96 s must not become 60.0 s.
        format!("{seconds}.{} s", ms % 1000 / 100)
    } else if seconds < 3600 {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    } else {
        format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60)
    }
}

/// What [`duration`] shows of a duration.
pub(crate) fn shown_ms(ms: u64) -> u64 {
    let unit_ms = if ms < 60_000 { 100 } else { 1000 };
    ms - ms % unit_ms
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {one}s")
    }
}

/// Where a lane stands, in words.
pub(crate) fn lane_state(state: LaneState) -> &'static str {
    match state {
        LaneState::Unchanged => "unchanged",
        LaneState::Planned => "not begun",
        LaneState::Prepared => "prepared, not public",
        LaneState::Live => "live, not proven yet",
        LaneState::Verified => "live and verified",
        LaneState::Failed => "not public",
        LaneState::RolledBack => "rolled back",
        LaneState::Superseded => "superseded",
        LaneState::Unknown => "unknown",
    }
}

/// A moment in UTC, `2026-11-23 17:01:02 UTC`, from milliseconds since the Unix epoch.
pub(crate) fn moment(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (ms, expected) in [
            (0, "0.0 s"),
            (240, "0.2 s"),
            (12_345, "12.3 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min 00 s"),
            (125_900, "2 min 05 s"),
            (3_720_000, "1 h 02 min"),
        ] {
            assert_eq!(duration(ms), expected);
        }
    }

    #[test]
    fn counts_and_moments() {
        assert_eq!(
            [count(0, "file"), count(1, "file"), count(2, "file")],
            ["0 files", "1 file", "2 files"]
        );
        assert_eq!(moment(1_795_453_262_000), "2026-11-23 17:01:02 UTC");
    }
}
