//! One view's reading of the needles' automaton.
//! Where nothing was decoded lately a view reads the same bytes as the plain text, so it is in the same state and
//! needs no work: it is *aligned*. It leaves alignment at an escape and returns when the state depends only on
//! bytes read since.

use super::item::Item;
use super::needles::{Needles, StateID};
use super::spans::Span;

/// State of a view. Only meaningful together with the scanner's reading of the plain text.
pub(super) struct Node {
    /// Input that may still become an escape; the first `head` items are done with.
    pub(super) pending: Vec<Item>,
    pub(super) head: usize,
    /// How many pending items the codec has seen without an answer.
    pub(super) seen: usize,
    pub(super) aligned: bool,
    state: StateID,
    /// Where the last bytes began, as a ring; at least as many as the longest needle has.
    starts: Vec<u64>,
    count: usize,
    /// Consecutive source bytes since the last decoded one.
    run: usize,
    last_end: u64,
}

impl Node {
    pub(super) fn new(state: StateID) -> Self {
        Self {
            pending: Vec::new(),
            head: 0,
            seen: 0,
            aligned: true,
            state,
            starts: Vec::new(),
            count: 0,
            run: 0,
            last_end: 0,
        }
    }

    /// The first pending item.
    pub(super) fn front(&self) -> Option<Item> {
        self.pending.get(self.head).copied()
    }

    /// Takes over the plain text's `state` after the byte before `at`; all bytes read so far are source bytes.
    pub(super) fn leave_alignment(&mut self, needles: &Needles, state: StateID, at: u64) {
        // Allocated on first use: most views never see an escape.
        if self.starts.is_empty() {
            self.starts = vec![0; needles.len_max.next_power_of_two()];
        }
        self.aligned = false;
        self.state = state;
        self.count = 0;
        for back in (1..=needles.depth(state) as u64).rev() {
            self.push_start(at - back);
        }
        self.run = 0;
        self.last_end = at;
    }

    /// Becomes a copy of `other`.
    pub(super) fn copy_from(&mut self, needles: &Needles, other: &Self) {
        self.pending.clone_from(&other.pending);
        (self.head, self.seen, self.aligned) = (other.head, other.seen, other.aligned);
        if other.aligned {
            return;
        }
        self.leave_alignment(needles, needles.start(), other.last_end);
        for back in (1..=needles.depth(other.state)).rev() {
            self.push_start(other.start_back(back));
        }
        (self.state, self.run) = (other.state, other.run);
    }

    /// Reads one item; the view is not aligned. Returns the longest needle that ends with it.
    pub(super) fn read(
        &mut self,
        needles: &Needles,
        item: Item,
        encoded_only: bool,
    ) -> Option<Span> {
        self.state = needles.next(self.state, item.byte);
        self.push_start(item.start);
        self.run = match (item.decoded, item.start == self.last_end) {
            (true, _) => 0,
            (false, true) => self.run + 1,
            (false, false) => 1,
        };
        self.last_end = item.end;
        let hit = needles.hit(self.state, encoded_only)?;
        Some(Span::new(self.start_back(hit.len), item.end, hit.mask))
    }

    /// Returns to alignment with the plain text, which is in `state` at the same offset, when that changes nothing.
    pub(super) fn align(&mut self, needles: &Needles, state: StateID) {
        self.aligned = self.state == state && needles.depth(state) <= self.run;
    }

    /// The offset from which text may still belong to a needle that has begun; the view is not aligned.
    pub(super) fn begun_at(&self, needles: &Needles) -> Option<u64> {
        let depth = needles.depth(self.state);
        (depth > 0).then(|| self.start_back(depth))
    }

    fn push_start(&mut self, start: u64) {
        let mask = self.starts.len() - 1;
        self.starts[self.count & mask] = start;
        self.count += 1;
    }

    /// Where the byte `back` places ago began; the last one is 1 place ago.
    fn start_back(&self, back: usize) -> u64 {
        self.starts[self.count.wrapping_sub(back) & (self.starts.len() - 1)]
    }
}
