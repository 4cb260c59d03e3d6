//! Lanes in real time: how much longer than its longest lane a set of them takes, beside plain threads that do the same.
#![expect(
    clippy::disallowed_methods,
    reason = "a measurement needs the real clock and real sleeps"
)]

use super::Row;
use crate::real::run_lanes;
use std::time::{Duration, Instant};

/// The providers' times of the simulated release, a hundred times shorter: 20 s and 35 s.
const LANES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(350)];
const ROUNDS: usize = 5;

pub(super) fn rows() -> Vec<Row> {
    [1, 2, 16].into_iter().flat_map(row_pair).collect()
}

/// Ours and the peer's for so many lanes, the rounds of both in turn, so that a busy moment meets both.
fn row_pair(count: usize) -> [Row; 2] {
    let sleep = |index: usize| std::thread::sleep(LANES[(index + 1) % LANES.len()]);
    let ideal = (0..count)
        .map(|index| LANES[(index + 1) % LANES.len()])
        .max()
        .unwrap_or_default()
        .as_secs_f64();
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(seconds(|| run_lanes(count, &sleep)));
        peers.push(seconds(|| {
            std::thread::scope(|scope| {
                for index in 0..count {
                    scope.spawn(move || sleep(index));
                }
            });
        }));
    }
    let against = "the longest lane";
    [
        Row::new(
            format!("{count} lane(s)"),
            median(&mut ours),
            "s",
            against,
            ideal,
            "≤ 1.01",
        ),
        Row::new(
            format!("{count} plain thread(s)"),
            median(&mut peers),
            "s",
            against,
            ideal,
            "peer",
        ),
    ]
}

fn seconds(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
