//! One lane runs at a time; a seeded generator picks the next, and time jumps when all sleep. So a seed is a whole schedule.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A lane's number; the caller's own thread has none.
type LaneId = usize;

thread_local! {
    static CURRENT: Cell<Option<LaneId>> = const { Cell::new(None) };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Sleeping { until_ms: u64, lightly: bool },
    Ended,
}

struct Inner {
    now_ms: u64,
    random: u64,
    lanes: Vec<State>,
    /// The lane that may run; `None`: the caller's own thread.
    active: Option<LaneId>,
}

/// The schedule of a simulation.
pub struct Baton {
    inner: Mutex<Inner>,
    turn: Condvar,
}

impl Baton {
    /// A schedule that `seed` decides.
    pub fn new(seed: u64) -> Self {
        // The generator below never leaves zero.
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self {
            inner: Mutex::new(Inner {
                now_ms: 0,
                random,
                lanes: Vec::new(),
                active: None,
            }),
            turn: Condvar::new(),
        }
    }

    /// Virtual milliseconds since the beginning.
    pub fn now_ms(&self) -> u64 {
        self.lock().now_ms
    }

    /// The next random number.
    pub fn random(&self) -> u64 {
        self.lock().random()
    }

    /// Lets virtual time pass for the lane that calls; others run meanwhile.
    pub fn sleep(&self, duration_ms: u64) {
        self.pass(duration_ms, false);
    }

    /// As [`Baton::sleep`], unless another lane wakes it.
    pub fn nap(&self, duration_ms: u64) {
        self.pass(duration_ms, true);
    }

    /// Wakes the lanes that nap.
    pub fn wake(&self) {
        let mut inner = self.lock();
        for state in &mut inner.lanes {
            if matches!(state, State::Sleeping { lightly: true, .. }) {
                *state = State::Ready;
            }
        }
    }

    fn pass(&self, duration_ms: u64, lightly: bool) {
        let mut inner = self.lock();
        match CURRENT.get() {
            None => inner.now_ms += duration_ms,
            Some(me) => {
                let until_ms = inner.now_ms + duration_ms;
                inner.set(me, State::Sleeping { until_ms, lightly });
                inner.pass_on();
                self.turn.notify_all();
                drop(self.wait_for_turn(inner, me));
            }
        }
    }

    /// Another lane may run now.
    pub fn yield_now(&self) {
        self.sleep(0);
    }

    /// Runs the lanes to their ends, each on a thread of its own, one at a time.
    pub fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        if count == 0 {
            return;
        }
        {
            let mut inner = self.lock();
            inner.lanes = vec![State::Ready; count];
            inner.pass_on();
        }
        crate::real::run_lanes(count, &|index| {
            CURRENT.set(Some(index));
            drop(self.wait_for_turn(self.lock(), index));
            // A lane that panics must still hand the baton on, or all others wait for ever.
            let _hand_on = HandOn {
                baton: self,
                lane: index,
            };
            task(index);
        });
    }

    fn wait_for_turn<'a>(
        &'a self,
        inner: MutexGuard<'a, Inner>,
        me: LaneId,
    ) -> MutexGuard<'a, Inner> {
        self.turn
            .wait_while(inner, |inner| inner.active != Some(me))
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct HandOn<'a> {
    baton: &'a Baton,
    lane: LaneId,
}

impl Drop for HandOn<'_> {
    fn drop(&mut self) {
        CURRENT.set(None);
        let mut inner = self.baton.lock();
        inner.set(self.lane, State::Ended);
        inner.pass_on();
        self.baton.turn.notify_all();
    }
}

impl Inner {
    /// Xorshift: small, and the same everywhere.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn set(&mut self, lane: LaneId, state: State) {
        if let Some(slot) = self.lanes.get_mut(lane) {
            *slot = state;
        }
    }

    /// Picks who runs next. When nobody is ready, time jumps to the first sleeper.
    fn pass_on(&mut self) {
        let now_ms = self.now_ms;
        let due = |state: &State| match state {
            State::Ready => Some(now_ms),
            State::Sleeping { until_ms, .. } => Some((*until_ms).max(now_ms)),
            State::Ended => None,
        };
        let Some(first) = self.lanes.iter().filter_map(due).min() else {
            self.active = None;
            return;
        };
        let candidates: Vec<LaneId> = self
            .lanes
            .iter()
            .enumerate()
            .filter(|(_, state)| due(state) == Some(first))
            .map(|(lane, _)| lane)
            .collect();
        let pick = usize::try_from(self.random() % candidates.len().max(1) as u64).unwrap_or(0);
        self.now_ms = first;
        self.active = candidates.get(pick).copied();
        if let Some(lane) = self.active {
            self.set(lane, State::Ready);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(seed: u64) -> Vec<(usize, u64)> {
        let baton = Baton::new(seed);
        let seen = Mutex::new(Vec::new());
        baton.run(3, &|lane| {
            for step in 1..=4 {
                baton.sleep(step * (lane as u64 + 1));
                seen.lock().unwrap().push((lane, baton.now_ms()));
            }
        });
        seen.into_inner().unwrap()
    }

    #[test]
    fn a_seed_is_a_schedule() {
        assert_eq!(trace(7), trace(7));
        let all: std::collections::BTreeSet<_> = (0..40).map(trace).collect();
        assert!(
            all.len() > 1,
            "seeds must differ where lanes are due at the same time"
        );
    }

    #[test]
    fn time_is_the_longest_lane_not_the_sum() {
        let baton = Baton::new(1);
        baton.run(16, &|lane| baton.sleep(1000 + lane as u64));
        assert_eq!(baton.now_ms(), 1015);
    }
}
