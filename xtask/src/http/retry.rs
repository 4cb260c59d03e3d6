//! Which failed calls are made again, when, and how often: the only place that repeats a request.

use super::wait::Asked;
use std::sync::atomic::{AtomicU32, Ordering};

/// Attempts per call, the first included. With the waits below three retries take a few seconds, six a quarter of a minute.
const ATTEMPTS_MAX: u32 = 4;
/// Attempts per call when answers come that cannot be read: a proxy's page seldom goes away by asking again.
const ATTEMPTS_MAX_UNREADABLE: u32 = 3;
/// Attempts per call for a name that does not resolve: a resolver may stumble once, a wrong name stays wrong.
const ATTEMPTS_MAX_UNRESOLVED: u32 = 3;
/// Ceiling of the first wait.
const BACKOFF_BASE_MS: u64 = 500;
/// Ceiling of every wait that we choose ourselves.
const BACKOFF_CAP_MS: u64 = 20_000;
/// Retries of a whole run, so that an outage is not answered with a storm.
pub const RETRY_BUDGET: u32 = 10;

/// What an error allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Asking again would give the same answer.
    Never,
    /// Only what may be done twice.
    Repeatable,
    /// As `Repeatable`, with fewer attempts.
    Unreadable,
    /// Anything: it certainly was not processed.
    NotProcessed,
    /// As `NotProcessed`, with fewer attempts.
    Unresolved,
    /// Anything, after the wait that the server asked for.
    Limited(Option<Asked>),
    /// Only what may be done twice, after the wait that the server asked for.
    Unavailable(Asked),
}

impl Again {
    /// The wait before the next attempt, in milliseconds; none when there is to be no other.
    pub(super) fn wait_ms(self, repeatable: bool, attempt: u32, random: u64) -> Option<u64> {
        let attempts_max = match self {
            Self::Unreadable => ATTEMPTS_MAX_UNREADABLE,
            Self::Unresolved => ATTEMPTS_MAX_UNRESOLVED,
            _ => ATTEMPTS_MAX,
        };
        if attempt >= attempts_max {
            return None;
        }
        let backoff = backoff_ms(attempt, random);
        match self {
            Self::Never => None,
            Self::Repeatable | Self::Unreadable => repeatable.then_some(backoff),
            Self::NotProcessed | Self::Unresolved | Self::Limited(None) => Some(backoff),
            // The jitter comes on top: all who were sent away at once shall not come back at once, nor too early.
            Self::Limited(Some(asked)) => Some(asked.wait_ms.saturating_add(backoff)),
            Self::Unavailable(asked) => repeatable.then_some(asked.wait_ms.saturating_add(backoff)),
        }
    }

    /// The header that named the wait, when one did.
    pub(super) fn header(self) -> Option<&'static str> {
        match self {
            Self::Limited(Some(asked)) | Self::Unavailable(asked) => Some(asked.header),
            _ => None,
        }
    }

    /// Whether the retry is ours to decide, and so is paid from the run's budget; a wait that the server sets is not.
    pub(super) fn is_paid(self) -> bool {
        !matches!(self, Self::Limited(_))
    }
}

/// Full jitter: anything from nothing to a ceiling that doubles with each attempt.
fn backoff_ms(attempt: u32, random: u64) -> u64 {
    let doublings = attempt.saturating_sub(1).min(16);
    let ceiling_ms = (BACKOFF_BASE_MS << doublings).min(BACKOFF_CAP_MS);
    random % (ceiling_ms + 1)
}

/// Takes one retry from the run's budget; false when it is spent.
pub(super) fn take(budget: Option<&AtomicU32>) -> bool {
    let Some(budget) = budget else { return true };
    budget
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        })
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_be_asked_again() {
        let asked = Asked {
            wait_ms: 7_000,
            header: "retry-after",
        };
        for (again, repeatable, once) in [
            (Again::Never, None, None),
            (Again::Repeatable, Some(500), None),
            (Again::Unreadable, Some(500), None),
            (Again::NotProcessed, Some(500), Some(500)),
            (Again::Unresolved, Some(500), Some(500)),
            (Again::Limited(None), Some(500), Some(500)),
            (Again::Limited(Some(asked)), Some(7_500), Some(7_500)),
            (Again::Unavailable(asked), Some(7_500), None),
        ] {
            assert_eq!(again.wait_ms(true, 1, 500), repeatable, "{again:?}");
            assert_eq!(again.wait_ms(false, 1, 500), once, "{again:?}");
            assert_eq!(again.wait_ms(true, ATTEMPTS_MAX, 500), None, "{again:?}");
        }
        for again in [Again::Unreadable, Again::Unresolved] {
            assert_eq!(again.wait_ms(true, 2, 0), Some(0));
            assert_eq!(again.wait_ms(true, 3, 0), None);
        }
    }

    #[test]
    fn waits_grow_to_a_cap() {
        for (attempt, ceiling_ms) in [
            (1, 500),
            (2, 1_000),
            (3, 2_000),
            (6, 16_000),
            (7, 20_000),
            (u32::MAX, 20_000),
        ] {
            assert_eq!(backoff_ms(attempt, ceiling_ms), ceiling_ms);
            assert_eq!(backoff_ms(attempt, ceiling_ms + 1), 0);
        }
    }

    #[test]
    fn a_budget_ends() {
        let budget = AtomicU32::new(2);
        assert!(take(Some(&budget)) && take(Some(&budget)) && !take(Some(&budget)));
        assert!(take(None));
    }
}
