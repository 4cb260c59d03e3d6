//! Decides about expressions that refer to what a group captured: `(*)/\1`.
//!
//! There the order of attempts matters, so positions cannot be followed together; this tries one way after the other, as
//! JavaScript does, and gives up after a fixed number of steps. Patterns like that are nearly always accidents, which is why
//! this is the plain machine and not a fast one.

use super::class::{self, Class};
use super::program::TooLarge;
use super::search::Text as _;
use super::syntax::{Expression, Node};
use std::collections::HashSet;

/// A machine larger than this many instructions is refused.
const INSTRUCTIONS_MAX: usize = 100_000;
/// Steps before the search gives up: some 10 ms.
pub(super) const STEPS_MAX: u32 = 1_000_000;

/// Choices that are remembered: some megabytes.
const SEEN_MAX: usize = 20_000;

/// The search took more than [`STEPS_MAX`] steps.
#[derive(Debug)]
pub(super) struct GaveUp;

#[derive(Debug)]
enum Instruction {
    Unit(u16),
    Class(Class),
    /// Try the first address, then the second.
    Split(usize, usize),
    Jump(usize),
    /// Store the position in a slot.
    Save(usize),
    /// Forget the slots in this range.
    Forget(usize, usize),
    /// Fail when nothing was taken since the slot was saved.
    Progress(usize),
    Start,
    End,
    Boundary(bool),
    /// The text of a capture again.
    Back(usize),
    /// The instructions up to the address match from here, or do not.
    Look {
        negative: bool,
        after: usize,
    },
    Accept,
}

/// An expression as instructions; each says whether it walks towards the end or, in a look-behind, towards the start.
#[derive(Debug)]
pub(super) struct Machine {
    code: Vec<(Instruction, bool)>,
    slots: usize,
}

impl Machine {
    /// Compiles any expression.
    pub(super) fn new(expression: &Expression) -> Result<Self, TooLarge> {
        let mut machine = Self {
            code: Vec::new(),
            slots: 2 * (expression.captures + 1),
        };
        machine.emit(&expression.root, true)?;
        machine.push(Instruction::Accept, true)?;
        Ok(machine)
    }

    /// Whether it matches `path` from any position.
    pub(super) fn is_match(&self, path: &str) -> Result<bool, GaveUp> {
        let text: Vec<u16> = path.encode_utf16().collect();
        let mut steps = STEPS_MAX;
        let mut seen = HashSet::new();
        for begin in 0..=text.len() {
            let mut attempt = Attempt {
                machine: self,
                text: &text,
                slots: vec![None; self.slots],
                undo: Vec::new(),
                steps: &mut steps,
                seen: &mut seen,
                looks: 0,
            };
            if attempt.run(0, begin)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn push(&mut self, instruction: Instruction, ahead: bool) -> Result<usize, TooLarge> {
        if self.code.len() >= INSTRUCTIONS_MAX {
            return Err(TooLarge);
        }
        self.code.push((instruction, ahead));
        Ok(self.code.len() - 1)
    }

    fn emit(&mut self, node: &Node, ahead: bool) -> Result<(), TooLarge> {
        match node {
            Node::Empty => {}
            Node::Unit(unit) => drop(self.push(Instruction::Unit(*unit), ahead)?),
            Node::Class(class) => drop(self.push(Instruction::Class(class.clone()), ahead)?),
            Node::Start => drop(self.push(Instruction::Start, ahead)?),
            Node::End => drop(self.push(Instruction::End, ahead)?),
            Node::Boundary(expected) => drop(self.push(Instruction::Boundary(*expected), ahead)?),
            Node::Back(number) => drop(self.push(Instruction::Back(*number), ahead)?),
            Node::Concat(nodes) if ahead => {
                for node in nodes {
                    self.emit(node, ahead)?;
                }
            }
            Node::Concat(nodes) => {
                for node in nodes.iter().rev() {
                    self.emit(node, ahead)?;
                }
            }
            Node::Group(number, node) => {
                let (first, last) = if ahead { (0, 1) } else { (1, 0) };
                self.push(Instruction::Save(2 * number + first), ahead)?;
                self.emit(node, ahead)?;
                self.push(Instruction::Save(2 * number + last), ahead)?;
            }
            Node::Alt(nodes) => self.emit_alternatives(nodes, ahead)?,
            Node::Look {
                ahead: looks_ahead,
                negative,
                node,
            } => {
                let at = self.push(
                    Instruction::Look {
                        negative: *negative,
                        after: 0,
                    },
                    ahead,
                )?;
                self.emit(node, *looks_ahead)?;
                self.push(Instruction::Accept, ahead)?;
                self.code[at].0 = Instruction::Look {
                    negative: *negative,
                    after: self.code.len(),
                };
            }
            Node::Repeat {
                node,
                min,
                max,
                greedy,
            } => self.emit_repeat(node, (*min, *max), *greedy, ahead)?,
        }
        Ok(())
    }

    fn emit_alternatives(&mut self, nodes: &[Node], ahead: bool) -> Result<(), TooLarge> {
        let mut jumps = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            if index + 1 == nodes.len() {
                self.emit(node, ahead)?;
                break;
            }
            let split = self.push(Instruction::Split(0, 0), ahead)?;
            self.emit(node, ahead)?;
            jumps.push(self.push(Instruction::Jump(0), ahead)?);
            self.code[split].0 = Instruction::Split(split + 1, self.code.len());
        }
        for jump in jumps {
            self.code[jump].0 = Instruction::Jump(self.code.len());
        }
        Ok(())
    }

    fn emit_repeat(
        &mut self,
        node: &Node,
        (min, max): (u32, Option<u32>),
        greedy: bool,
        ahead: bool,
    ) -> Result<(), TooLarge> {
        let (low, high) = captures_in(node);
        for _ in 0..min {
            self.push(Instruction::Forget(2 * low, 2 * high), ahead)?;
            self.emit(node, ahead)?;
        }
        let optional = max.map(|max| max - min);
        let mut splits = Vec::new();
        for _ in 0..optional.unwrap_or(1) {
            let slot = self.slots;
            self.slots += 1;
            splits.push(self.push(Instruction::Split(0, 0), ahead)?);
            self.push(Instruction::Forget(2 * low, 2 * high), ahead)?;
            self.push(Instruction::Save(slot), ahead)?;
            self.emit(node, ahead)?;
            self.push(Instruction::Progress(slot), ahead)?;
        }
        if let (None, Some(split)) = (optional, splits.first()) {
            self.push(Instruction::Jump(*split), ahead)?;
        }
        let after = self.code.len();
        for split in splits {
            let (inside, outside) = (split + 1, after);
            self.code[split].0 = if greedy {
                Instruction::Split(inside, outside)
            } else {
                Instruction::Split(outside, inside)
            };
        }
        Ok(())
    }
}

/// The captures opened in `node`, as a half-open range of numbers.
fn captures_in(node: &Node) -> (usize, usize) {
    let join = |a: (usize, usize), b: (usize, usize)| match (a, b) {
        ((0, 0), other) | (other, (0, 0)) => other,
        (a, b) => (a.0.min(b.0), a.1.max(b.1)),
    };
    match node {
        Node::Group(number, inner) => join((*number, number + 1), captures_in(inner)),
        Node::Concat(nodes) | Node::Alt(nodes) => nodes.iter().map(captures_in).fold((0, 0), join),
        Node::Repeat { node, .. } | Node::Look { node, .. } => captures_in(node),
        _ => (0, 0),
    }
}

enum Undo {
    /// Try this address at this position.
    Branch(usize, usize),
    /// Put a slot back.
    Slot(usize, Option<usize>),
}

struct Attempt<'a> {
    machine: &'a Machine,
    text: &'a [u16],
    slots: Vec<Option<usize>>,
    undo: Vec<Undo>,
    steps: &'a mut u32,
    /// Choices outside of look-arounds that were made before. What follows depends on nothing else, and it has failed, or the
    /// search would have ended. Nested repetitions come to the same choice by very many ways.
    seen: &'a mut HashSet<Choice>,
    /// How many look-arounds are being tried.
    looks: usize,
}

/// An address, a position, and every slot.
type Choice = (usize, usize, Box<[Option<usize>]>);

impl Attempt<'_> {
    /// Runs from an address until `Accept` or until every branch made since has failed.
    fn run(&mut self, mut address: usize, mut position: usize) -> Result<bool, GaveUp> {
        let floor = self.undo.len();
        loop {
            *self.steps = self.steps.checked_sub(1).ok_or(GaveUp)?;
            if matches!(self.machine.code[address].0, Instruction::Accept) {
                return Ok(true);
            }
            if let Some(next) = self.step(address, position)? {
                (address, position) = next;
                continue;
            }
            match self.backtrack(floor) {
                Some(next) => (address, position) = next,
                None => return Ok(false),
            }
        }
    }

    fn backtrack(&mut self, floor: usize) -> Option<(usize, usize)> {
        while self.undo.len() > floor {
            match self.undo.pop()? {
                Undo::Branch(address, position) => return Some((address, position)),
                Undo::Slot(slot, value) => self.slots[slot] = value,
            }
        }
        None
    }

    /// The next address and position, or `None` when the instruction fails.
    fn step(&mut self, address: usize, position: usize) -> Result<Option<(usize, usize)>, GaveUp> {
        let machine = self.machine;
        let (instruction, ahead) = &machine.code[address];
        let next = Some((address + 1, position));
        let when = |holds: bool| if holds { next } else { None };
        Ok(match instruction {
            Instruction::Unit(unit) => self.take(address, position, *ahead, |other| other == *unit),
            Instruction::Class(class) => {
                self.take(address, position, *ahead, |unit| class.contains(unit))
            }
            Instruction::Split(..) if self.looks == 0 && !self.is_new(address, position) => None,
            Instruction::Split(first, second) => {
                self.undo.push(Undo::Branch(*second, position));
                Some((*first, position))
            }
            Instruction::Jump(target) => Some((*target, position)),
            Instruction::Save(slot) => {
                self.set(*slot, Some(position));
                next
            }
            Instruction::Forget(first, last) => {
                (*first..*last).for_each(|slot| self.set(slot, None));
                next
            }
            Instruction::Progress(slot) => when(self.slots[*slot] != Some(position)),
            Instruction::Start => when(position == 0),
            Instruction::End => when(position == self.text.len()),
            Instruction::Boundary(expected) => {
                let word = |index: usize| {
                    self.text
                        .get(index)
                        .is_some_and(|&unit| class::is_word(unit))
                };
                when((position.checked_sub(1).is_some_and(word) != word(position)) == *expected)
            }
            Instruction::Back(number) => self
                .again(*number, position, *ahead)
                .map(|position| (address + 1, position)),
            Instruction::Look { negative, after } => self
                .look(address + 1, position, *negative)?
                .then_some((*after, position)),
            Instruction::Accept => None,
        })
    }

    /// Whether this choice is made for the first time, as far as is remembered.
    fn is_new(&mut self, address: usize, position: usize) -> bool {
        let choice = (address, position, self.slots.clone().into_boxed_slice());
        if self.seen.len() < SEEN_MAX {
            self.seen.insert(choice)
        } else {
            !self.seen.contains(&choice)
        }
    }

    fn set(&mut self, slot: usize, value: Option<usize>) {
        self.undo.push(Undo::Slot(slot, self.slots[slot]));
        self.slots[slot] = value;
    }

    fn take(
        &self,
        address: usize,
        position: usize,
        ahead: bool,
        fits: impl Fn(u16) -> bool,
    ) -> Option<(usize, usize)> {
        let index = if ahead {
            position
        } else {
            position.checked_sub(1)?
        };
        let unit = (index < self.text.len()).then(|| self.text.at(index))?;
        fits(unit).then_some((address + 1, if ahead { position + 1 } else { index }))
    }

    /// The position after the capture's text; a capture that holds nothing matches nothing and succeeds.
    fn again(&self, number: usize, position: usize, ahead: bool) -> Option<usize> {
        let (Some(begin), Some(end)) = (self.slots[2 * number], self.slots[2 * number + 1]) else {
            return Some(position);
        };
        let captured = self.text.get(begin..end)?;
        if ahead {
            self.text[position..]
                .starts_with(captured)
                .then(|| position + captured.len())
        } else {
            self.text[..position]
                .ends_with(captured)
                .then(|| position - captured.len())
        }
    }

    /// Whether the look-around holds. What it captured stays, the branches it did not take are gone.
    fn look(&mut self, body: usize, position: usize, negative: bool) -> Result<bool, GaveUp> {
        let floor = self.undo.len();
        self.looks += 1;
        let found = self.run(body, position)?;
        self.looks -= 1;
        if negative {
            while self.backtrack(floor).is_some() {}
        } else if found {
            let kept = self
                .undo
                .split_off(floor)
                .into_iter()
                .filter(|undo| matches!(undo, Undo::Slot(..)));
            self.undo.extend(kept);
        }
        Ok(found != negative)
    }
}
