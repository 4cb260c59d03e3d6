//! Request counters in fixed windows that start with the clock minute, as both providers keep them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

const WINDOW_MS: i64 = 60_000;

/// Used requests per bucket in the current minute.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Buckets {
    window: i64,
    used: BTreeMap<String, u32>,
}

/// The state of one bucket after a request was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// When the window ends, ms since the epoch.
    pub(crate) reset_ms: i64,
}

impl Buckets {
    /// Counts one request.
    pub(crate) fn take(&mut self, now_ms: i64, bucket: &str, limit: u32) -> Verdict {
        let window = now_ms.div_euclid(WINDOW_MS);
        if window != self.window {
            self.window = window;
            self.used.clear();
        }
        let used = self.used.entry(bucket.to_owned()).or_default();
        let allowed = *used < limit;
        if allowed {
            *used += 1;
        }
        Verdict {
            allowed,
            limit,
            remaining: limit - (*used).min(limit),
            reset_ms: (window + 1) * WINDOW_MS,
        }
    }
}

impl Verdict {
    /// Whole seconds until the window ends, at least 1 so that a client that waits them is let through.
    pub(crate) fn seconds_left(&self, now_ms: i64) -> i64 {
        ((self.reset_ms - now_ms + 999) / 1000).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_refills_with_the_minute() {
        let mut buckets = Buckets::default();
        let taken: Vec<_> = (0..3).map(|_| buckets.take(59_000, "a", 2)).collect();
        assert_eq!(
            taken
                .iter()
                .map(|v| (v.allowed, v.remaining))
                .collect::<Vec<_>>(),
            [(true, 1), (true, 0), (false, 0)]
        );
        assert_eq!(taken[0].seconds_left(59_000), 1);
        assert!(buckets.take(59_000, "b", 2).allowed, "buckets are separate");
        assert!(buckets.take(60_000, "a", 2).allowed);
    }
}
