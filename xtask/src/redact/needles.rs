//! The compiled set of strings to find: an Aho-Corasick automaton that is stepped one byte at a time, because
//! each decoded view of the text walks it on its own and text arrives in pieces.
//! For every state it knows how much of a string has been read, which tells the scanner what it may not print yet.

use std::collections::BTreeMap;

use aho_corasick::automaton::Automaton as _;
use aho_corasick::nfa::noncontiguous::NFA;
use aho_corasick::{Anchored, MatchKind};

pub(super) use aho_corasick::automaton::StateID;

/// Shown for values without a usable name.
pub(super) const MASK: &str = "[REDACTED]";

/// One string to find.
pub(super) struct Needle {
    pub(super) text: String,
    /// Index into the masks.
    pub(super) mask: usize,
    /// Base64 or hexadecimal, so that white space inside it carries no meaning.
    pub(super) encoded: bool,
}

/// What ends in a state.
#[derive(Clone, Copy)]
pub(super) struct Hit {
    /// Length of the string in bytes.
    pub(super) len: usize,
    pub(super) mask: usize,
}

#[derive(Clone, Copy, Default)]
struct StateInfo {
    depth: u32,
    takes_space: bool,
    /// The longest string that ends here, and the longest encoded one; shorter ones lie inside.
    longest: Option<u32>,
    longest_encoded: Option<u32>,
}

/// All strings and what to print instead of them.
pub(super) struct Needles {
    nfa: NFA,
    start: StateID,
    states: Vec<StateInfo>,
    hits: Vec<Hit>,
    masks: Vec<String>,
    /// Length of the longest string in bytes.
    pub(super) len_max: usize,
    /// Whether any string holds white space, so that its spelling matters.
    pub(super) white_space: bool,
    /// Whether any string holds characters beyond ASCII.
    pub(super) beyond_ascii: bool,
}

impl Needles {
    /// `None` when there is nothing to find, or, which no process has memory for, when the automaton would need
    /// more than 2^31 states.
    pub(super) fn compile(needles: Vec<Needle>, masks: Vec<String>) -> Option<Self> {
        let needles = unique(needles);
        let texts: Vec<&[u8]> = needles
            .iter()
            .map(|needle| needle.text.as_bytes())
            .collect();
        let nfa = NFA::builder()
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(&texts)
            .ok()?;
        let start = nfa.start_state(Anchored::No).ok()?;
        let mut compiled = Self {
            start,
            states: Vec::new(),
            hits: needles
                .iter()
                .map(|needle| Hit {
                    len: needle.text.len(),
                    mask: needle.mask,
                })
                .collect(),
            masks: masks_without_secrets(masks, &needles),
            len_max: texts.iter().map(|text| text.len()).max()?,
            beyond_ascii: needles.iter().any(|needle| !needle.text.is_ascii()),
            white_space: needles
                .iter()
                .any(|needle| needle.text.contains(|c: char| c.is_ascii_whitespace())),
            nfa,
        };
        compiled.describe_states(&needles);
        Some(compiled)
    }

    /// Walks each string from the start: every state is the end of some prefix, so this reaches all of them.
    fn describe_states(&mut self, needles: &[Needle]) {
        self.describe(self.start, 0, needles);
        for needle in needles {
            let mut state = self.start;
            for (read, &byte) in (1u32..).zip(needle.text.as_bytes()) {
                state = self.next(state, byte);
                self.describe(state, read, needles);
            }
        }
    }

    fn describe(&mut self, state: StateID, depth: u32, needles: &[Needle]) {
        let takes_space = self.next(state, b' ') != self.start;
        let mut info = StateInfo {
            depth,
            takes_space,
            ..StateInfo::default()
        };
        if self.nfa.is_match(state) {
            for index in 0..self.nfa.match_len(state) {
                let pattern = self.nfa.match_pattern(state, index).as_usize();
                let longer = |best: Option<u32>| {
                    let best_len = best.map_or(0, |best| self.hits[best as usize].len);
                    if self.hits[pattern].len > best_len {
                        u32::try_from(pattern).ok()
                    } else {
                        best
                    }
                };
                info.longest = longer(info.longest);
                if needles[pattern].encoded {
                    info.longest_encoded = longer(info.longest_encoded);
                }
            }
        }
        if self.states.len() <= state.as_usize() {
            self.states
                .resize(state.as_usize() + 1, StateInfo::default());
        }
        self.states[state.as_usize()] = info;
    }

    pub(super) fn start(&self) -> StateID {
        self.start
    }

    pub(super) fn next(&self, state: StateID, byte: u8) -> StateID {
        self.nfa.next_state(Anchored::No, state, byte)
    }

    /// How many of the last bytes are the beginning of a string.
    pub(super) fn depth(&self, state: StateID) -> usize {
        self.states[state.as_usize()].depth as usize
    }

    /// Whether a space here continues a string.
    pub(super) fn takes_space(&self, state: StateID) -> bool {
        self.states[state.as_usize()].takes_space
    }

    /// The longest string that ends in this state.
    pub(super) fn hit(&self, state: StateID, encoded_only: bool) -> Option<Hit> {
        let info = self.states[state.as_usize()];
        let pattern = if encoded_only {
            info.longest_encoded
        } else {
            info.longest
        };
        pattern.map(|pattern| self.hits[pattern as usize])
    }

    pub(super) fn mask(&self, mask: usize) -> &str {
        &self.masks[mask]
    }
}

/// The value registered first names a string that several share. Strings inside a mask are dropped: hiding them
/// would change masks that are already there, and they are words like `DACT`.
fn unique(needles: Vec<Needle>) -> Vec<Needle> {
    let mut by_text: BTreeMap<String, Needle> = BTreeMap::new();
    for needle in needles {
        if MASK.contains(&needle.text) {
            continue;
        }
        by_text
            .entry(needle.text.clone())
            // In the clear it may be told apart by white space, so that reading of it wins.
            .and_modify(|known| known.encoded &= needle.encoded)
            .or_insert(needle);
    }
    by_text.into_values().collect()
}

/// A name that itself contains a registered value is not shown.
fn masks_without_secrets(masks: Vec<String>, needles: &[Needle]) -> Vec<String> {
    masks
        .into_iter()
        .map(|mask| {
            if needles.iter().any(|needle| mask.contains(&needle.text)) {
                MASK.to_owned()
            } else {
                mask
            }
        })
        .collect()
}
