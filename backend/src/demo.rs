//! Demonstration bookings: the same year for everyone, so that screenshots and tests agree.
//! They are written only when asked for, and only into an empty table.

use anyhow::{Result, bail};
use jiff::{ToSpan as _, civil};

use crate::{
    clock,
    entry::NewEntry,
    store::{Store, revenue},
};

const FIRST_DAY: civil::Date = civil::date(2025, 11, 1);
const DAYS: i32 = 365;

/// One currency's habits: how many bookings a weekday brings at most, and how large one is on
/// average, in minor units.
const CURRENCIES: [(&str, u64, u64); 3] =
    [("EUR", 6, 18_900), ("USD", 4, 22_500), ("GBP", 3, 15_400)];
/// One booking in this many is a refund.
const REFUND_EVERY: u64 = 40;

/// Fills the table unless it has rows, and returns how many were written; 0 if it had.
///
/// # Errors
/// The database cannot be read or written; nothing is written then.
pub(crate) async fn seed_if_empty(store: &Store) -> Result<usize> {
    let seed = store.write(|transaction| {
        if revenue::bounds(transaction)?.is_some() {
            return Ok(0);
        }
        let (now, entries) = (clock::now_rfc3339(), entries());
        for entry in &entries {
            revenue::insert(transaction, &now, entry)?;
        }
        Ok(entries.len())
    });
    seed.await
}

/// Fills the table, for the `seed-demo` command.
///
/// # Errors
/// The table has rows already, or cannot be written.
pub(crate) async fn seed(store: &Store) -> Result<usize> {
    match seed_if_empty(store).await? {
        0 => bail!(
            "there are bookings already, and demonstration data must never mix with real ones; use an empty database"
        ),
        count => Ok(count),
    }
}

fn entries() -> Vec<NewEntry> {
    let mut random = SplitMix64(2025);
    let mut entries = Vec::new();
    for day in 0..DAYS {
        let date = FIRST_DAY.saturating_add(day.days());
        for (currency, max_bookings, average_minor) in CURRENCIES {
            // Few work at weekends, and business grows by half over the year.
            let weekend = date.weekday().to_monday_zero_offset() >= 5;
            let bookings = if weekend {
                random.below(2)
            } else {
                1 + random.below(max_bookings)
            };
            let growth_percent =
                100 + 50 * u64::from(day.unsigned_abs()) / u64::from(DAYS.unsigned_abs());
            for _ in 0..bookings {
                let size_percent = 40 + random.below(121);
                let amount = average_minor * size_percent * growth_percent / 10_000;
                let amount = i64::try_from(amount).unwrap_or(i64::MAX);
                let is_refund = random.below(REFUND_EVERY) == 0;
                entries.push(NewEntry {
                    date: date.into(),
                    amount_minor: if is_refund { -amount / 2 } else { amount },
                    currency: currency.to_owned(),
                    note: Some(if is_refund { "demo refund" } else { "demo" }.to_owned()),
                });
            }
        }
    }
    entries
}

/// Steele, Lea and Flood's generator: small, and the same on every machine.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` - 1. Slightly uneven, which does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_the_same_every_time_and_spans_the_year() {
        let (a, b) = (entries(), entries());
        assert_eq!(a, b);
        assert!((1500..5000).contains(&a.len()), "{}", a.len());
        let last = FIRST_DAY.saturating_add((DAYS - 1).days());
        assert!(
            a.iter()
                .all(|e| e.date >= FIRST_DAY.into() && e.date <= last.into())
        );
        assert!(a.iter().all(|e| e.amount_minor != 0));
    }

    #[test]
    fn weekdays_bring_more_than_weekends_and_there_are_refunds() {
        let entries = entries();
        let sum = |weekend: bool| -> i64 {
            entries
                .iter()
                .filter(|e| (e.date.weekday().to_monday_zero_offset() >= 5) == weekend)
                .map(|e| e.amount_minor)
                .sum()
        };
        assert!(sum(false) > 5 * sum(true));
        assert!(entries.iter().any(|e| e.amount_minor < 0));
    }

    #[test]
    fn the_generator_is_the_published_one() {
        // The first output for seed 0 in the authors' reference implementation.
        assert_eq!(SplitMix64(0).next(), 0xe220_a839_7b1d_cdaf);
    }
}
