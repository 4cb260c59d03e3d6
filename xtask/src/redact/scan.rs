//! Finds needles in the text and in its decoded views, in one pass over bytes that may arrive in any pieces.
//! Each byte goes through the plain text's automaton and then down the tree of views. All state is a function of
//! the bytes so far, never of how they were cut: that is what makes the output independent of the cuts.
//! The cost is a few table look-ups per byte, plus the number of views an escape concerns.

use std::sync::Arc;

use super::codec::Codec;
use super::item::{Item, Step};
use super::layout::{Layout, ViewSet, members};
use super::needles::{Needles, StateID};
use super::node::Node;
use super::spans::Span;
use super::views::VIEWS;

/// How many past states of the plain text are kept. An escape that is longer than this, nested ones together,
/// forgets what stood before it; control strings in JSON in JSON come to about 3000.
const HISTORY_LEN: usize = 4096;

/// What to find and where; shared by all scanners of one redactor.
pub(super) struct Program {
    pub(super) needles: Needles,
    pub(super) layout: Layout,
}

/// A scan in progress.
pub(super) struct Scanner {
    program: Arc<Program>,
    /// Bytes read.
    pos: u64,
    state: StateID,
    /// States of the plain text after the last bytes, by offset modulo the length.
    history: Vec<StateID>,
    nodes: Vec<Node>,
    /// Views that have pending input or are not aligned, and those above them.
    busy: ViewSet,
    /// Views that have read an escape of their own lately. The others leave their children to the children's twins.
    awake: ViewSet,
    found: Vec<Span>,
}

impl Scanner {
    pub(super) fn new(program: Arc<Program>) -> Self {
        let state = program.needles.start();
        Self {
            pos: 0,
            state,
            history: vec![state; HISTORY_LEN],
            nodes: VIEWS.iter().map(|_| Node::new(state)).collect(),
            busy: 0,
            awake: 0,
            found: Vec::new(),
            program,
        }
    }

    /// Reads more text.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let program = Arc::clone(&self.program);
        for &byte in bytes {
            let before = self.state;
            self.state = program.needles.next(before, byte);
            let start = self.pos;
            self.pos += 1;
            self.history[index(self.pos)] = self.state;
            if let Some(hit) = program.needles.hit(self.state, false) {
                self.found(Span::new(self.pos - hit.len as u64, self.pos, hit.mask));
            }
            let quiet = before == program.needles.start() && self.state == before;
            let interest = program
                .layout
                .interest(&program.needles, before, quiet, byte);
            if (interest | self.busy) & 1 != 0 {
                let end = self.pos;
                self.feed(
                    &program,
                    0,
                    Item {
                        byte,
                        start,
                        end,
                        decoded: false,
                        inert: quiet,
                        interest,
                    },
                );
            }
        }
    }

    /// The text has ended: what waited for more stands for itself.
    pub(super) fn finish(&mut self) {
        let program = Arc::clone(&self.program);
        // Parents come first, as what they emit is pending below them.
        for view in 0..VIEWS.len() {
            self.drain(&program, view, true);
        }
    }

    /// What was found since the last call, in no order.
    pub(super) fn take_found(&mut self) -> std::vec::Drain<'_, Span> {
        self.found.drain(..)
    }

    /// Every needle found later begins here or after.
    pub(super) fn settled(&self) -> u64 {
        let needles = &self.program.needles;
        let mut settled = self.pos - needles.depth(self.state) as u64;
        if self.busy == 0 {
            return settled;
        }
        for (node, view) in self.nodes.iter().zip(VIEWS) {
            let begun = if node.aligned {
                node.front()
                    .map(|front| front.start - needles.depth(self.state_at(front.start)) as u64)
            } else {
                node.begun_at(needles)
                    .or_else(|| node.front().map(|front| front.start))
            };
            let Some(begun) = begun else { continue };
            // No needle begins with white space, so the end of a line need not wait for the next one.
            let idle = view.codec == Codec::WhiteSpace
                && node.front().is_some_and(|front| front.start == begun);
            if !idle {
                settled = settled.min(begun);
            }
        }
        settled
    }

    /// The plain text's state after `offset` bytes.
    fn state_at(&self, offset: u64) -> StateID {
        if self.pos - offset < HISTORY_LEN as u64 {
            self.history[index(offset)]
        } else {
            self.program.needles.start()
        }
    }

    fn found(&mut self, span: Span) {
        match self.found.last_mut() {
            Some(last) if last.touches(&span) => last.merge(span),
            _ => self.found.push(span),
        }
    }

    /// Hands an item to a view as input.
    fn feed(&mut self, program: &Program, view: usize, item: Item) {
        let node = &mut self.nodes[view];
        if node.front().is_none() && !VIEWS[view].codec.starts(item.byte) {
            self.emit(program, view, item);
        } else {
            node.pending.push(item);
            self.drain(program, view, false);
        }
        self.refresh(program, view);
    }

    /// Decodes what can be decoded of a view's input.
    fn drain(&mut self, program: &Program, view: usize, ended: bool) {
        let codec = VIEWS[view].codec;
        while let Some(first) = self.nodes[view].front() {
            let node = &mut self.nodes[view];
            let input = &node.pending[node.head..];
            let step = if codec.starts(first.byte) {
                codec.decode(input, node.seen)
            } else {
                Step::Literal
            };
            let available = input.len();
            node.seen = 0;
            match step {
                Step::More if !ended => {
                    node.seen = available;
                    break;
                }
                Step::More | Step::Literal => {
                    node.head += 1;
                    self.emit(program, view, first);
                }
                Step::Replace { take, bytes, len } => {
                    node.head += take;
                    let end = node.pending[node.head - 1].end;
                    if len == 0 {
                        self.gap(program, view, first.start, end);
                    }
                    for &byte in &bytes[..len] {
                        let item = self.decoded(program, byte, first.start, end);
                        self.emit(program, view, item);
                    }
                }
            }
        }
        let node = &mut self.nodes[view];
        if node.head == node.pending.len() {
            node.pending.clear();
        } else {
            node.pending.drain(..node.head);
        }
        node.head = 0;
    }

    fn decoded(&self, program: &Program, byte: u8, start: u64, end: u64) -> Item {
        let needles = &program.needles;
        let before = self.state_at(start);
        let inert =
            needles.next(before, byte) == needles.start() && self.state_at(end) == needles.start();
        let interest = program
            .layout
            .interest_decoded(before == needles.start(), inert, byte);
        Item {
            byte,
            start,
            end,
            decoded: true,
            inert,
            interest,
        }
    }

    /// A view's output: through its automaton, then on to the views below.
    fn emit(&mut self, program: &Program, view: usize, item: Item) {
        self.read(program, view, item);
        let mut readers = program.layout.children[view] & (item.interest | self.busy);
        if self.awake & (1 << view) == 0 {
            readers &= !program.layout.twins.sleepers[view];
        }
        // Before anyone reads the item, so that twins are at the same place.
        let hosts =
            program.layout.twins.hosts[usize::from(item.byte)] & program.layout.children[view];
        for host in members(hosts & !self.awake) {
            // A twin that is reading an escape makes the item matter to the host, whatever the plain text reads.
            if (readers & (1 << host)) | (program.layout.twins.stand_ins[host] & self.busy) != 0 {
                self.wake(program, host);
                readers |= 1 << host;
            }
        }
        for reader in members(readers) {
            self.feed(program, reader, item);
        }
    }

    /// A view that may change something from here on takes over what its children's twins have read.
    fn wake(&mut self, program: &Program, view: usize) {
        self.awake |= 1 << view;
        for child in members(program.layout.twins.sleepers[view]) {
            let Some(twin) = program.layout.twins.twin[child] else {
                continue;
            };
            if let Ok([child, twin]) = self.nodes.get_disjoint_mut([child, twin]) {
                child.copy_from(&program.needles, twin);
            }
            self.refresh(program, child);
        }
    }

    fn read(&mut self, program: &Program, view: usize, item: Item) {
        let needles = &program.needles;
        if self.nodes[view].aligned {
            if item.inert || !item.decoded {
                return;
            }
            let before = self.state_at(item.start);
            self.nodes[view].leave_alignment(needles, before, item.start);
        }
        let plain = self.state_at(item.end);
        let node = &mut self.nodes[view];
        let found = node.read(needles, item, VIEWS[view].codec == Codec::Groups);
        node.align(needles, plain);
        if let Some(span) = found {
            self.found(span);
        }
    }

    /// The source text from `start` to `end` stands for nothing in a view's output.
    fn gap(&mut self, program: &Program, view: usize, start: u64, end: u64) {
        let quiet = start < end && self.quiet(start, end);
        if self.nodes[view].aligned && !quiet {
            let before = self.state_at(start);
            self.nodes[view].leave_alignment(&program.needles, before, start);
        }
        let mut concerned = if quiet { self.busy } else { ViewSet::MAX };
        if self.awake & (1 << view) == 0 {
            concerned &= !program.layout.twins.sleepers[view];
        }
        for child in members(program.layout.children[view] & concerned) {
            match self.nodes[child].front() {
                // Its output has only come to here; what is pending is followed by the gap.
                Some(front) => self.gap(program, child, front.start, front.start),
                None => self.gap(program, child, start, end),
            }
            self.refresh(program, child);
        }
    }

    /// Whether no needle is under way in the plain text at either of two offsets.
    fn quiet(&self, from: u64, to: u64) -> bool {
        let start = self.program.needles.start();
        self.state_at(from) == start && self.state_at(to) == start
    }

    fn refresh(&mut self, program: &Program, view: usize) {
        let node = &self.nodes[view];
        let children_busy = program.layout.children[view] & self.busy != 0;
        let busy = !node.aligned || node.front().is_some() || children_busy;
        self.busy = self.busy & !(1 << view) | ViewSet::from(busy) << view;
        if !busy {
            self.awake &= !(1 << view);
        }
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset % HISTORY_LEN as u64).unwrap_or_default()
}
