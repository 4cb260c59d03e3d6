//! The only file that reads the clock and waits.
#![expect(
    clippy::disallowed_methods,
    reason = "owns the clock of this crate, which knows no World"
)]

use std::time::{Duration, Instant};

/// Milliseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed_ms(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Waits for another process between two tries for a lock.
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Now in UTC for file names, to the millisecond: sorts as text in order of time.
pub(crate) fn stamp() -> String {
    jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%S%3fZ")
        .to_string()
}

/// Now in UTC as fourteen digits, the prefix some folders number their files with.
pub(crate) fn digits() -> String {
    jiff::Timestamp::now().strftime("%Y%m%d%H%M%S").to_string()
}
