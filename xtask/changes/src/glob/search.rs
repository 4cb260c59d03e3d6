//! Decides whether a text matches a [`Program`], in time proportional to the text at worst for each operation.
//!
//! Every operation maps a set of positions where the rest of the expression matches to the set where it matches with this
//! operation before it. So the search goes from the end of the expression to its start, follows all alternatives together and
//! never goes back. Inside a look-behind it goes the other way round.
//!
//! Why this is not exponential: a loop's positions only grow, and a nested loop remembers across the rounds of the outer one
//! what it has already been through, because all it finds ends up in the same set.

use super::class::{self, Class};
use super::positions::{Positions, UNITS_MAX_64, UNITS_MAX_128, Wide};
use super::program::{Op, Program};

/// A text as UTF-16 units. ASCII paths are used as they are.
pub(super) trait Text {
    fn len(&self) -> usize;
    fn at(&self, index: usize) -> u16;
    /// The positions after the units that are in `class`.
    fn mask<P: Positions>(&self, class: &Class) -> P {
        P::after_units(self.len(), |index| class.contains(self.at(index)))
    }
}

impl Text for [u8] {
    fn len(&self) -> usize {
        self.len()
    }
    fn at(&self, index: usize) -> u16 {
        u16::from(self[index])
    }
    fn mask<P: Positions>(&self, class: &Class) -> P {
        let Some(few) = class.few() else {
            return P::after_units(self.len(), |index| class.contains(self.at(index)));
        };
        let found = P::after_bytes(self, &few.bytes);
        if !few.negated {
            return found;
        }
        let mut others = P::all(self.len());
        others.remove(self.len());
        others.and_not(&found);
        others
    }
}

impl Text for [u16] {
    fn len(&self) -> usize {
        self.len()
    }
    fn at(&self, index: usize) -> u16 {
        self[index]
    }
}

impl Program {
    /// Whether it matches `path` somewhere; the expressions are anchored, so that is all of it.
    pub(super) fn is_match(&self, path: &str) -> bool {
        if let Some(exact) = &self.exact {
            return path == exact;
        }
        let starts = self.prefix.is_empty() || path.starts_with(&self.prefix);
        let ends = self.suffix.is_empty() || path.ends_with(&self.suffix);
        if !starts || !ends {
            return false;
        }
        if path.is_ascii() {
            with_set(self, path.as_bytes())
        } else {
            let units: Vec<u16> = path.encode_utf16().collect();
            with_set(self, units.as_slice())
        }
    }
}

fn with_set<T: Text + ?Sized>(program: &Program, text: &T) -> bool {
    let units = text.len();
    if units <= UNITS_MAX_64 {
        Search::<'_, '_, T, u64>::run(program, text)
    } else if units <= UNITS_MAX_128 {
        Search::<'_, '_, T, u128>::run(program, text)
    } else {
        Search::<'_, '_, T, Wide>::run(program, text)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Walk {
    /// From the end of the expression to its start.
    Back,
    /// From its start to its end.
    Ahead,
}

/// Facts that a search remembers on the stack: asking for memory would be a good part of a short one.
const FEW: usize = 16;

struct Search<'a, 'k, T: ?Sized, P> {
    program: &'a Program,
    text: &'a T,
    /// What has been found out: for each class, the positions after its units; then for each look-around, where it holds; then
    /// for each loop, the positions it has been through.
    known: &'k mut [Option<P>],
}

impl<'a, T: Text + ?Sized, P: Positions> Search<'a, '_, T, P> {
    fn run(program: &'a Program, text: &'a T) -> bool {
        let Some(root) = &program.root else {
            return false;
        };
        let facts = program.classes.len() + program.looks.len() + program.loops;
        let (mut few, mut many) = ([const { None }; FEW], Vec::new());
        let known = if facts <= FEW {
            &mut few[..facts]
        } else {
            many.resize(facts, None);
            &mut many[..]
        };
        let mut search = Search {
            program,
            text,
            known,
        };
        let all = P::all(text.len());
        !search.step(root, all, Walk::Back).is_empty()
    }

    fn none(&self) -> P {
        P::none(self.text.len())
    }

    fn step(&mut self, op: &'a Op, from: P, walk: Walk) -> P {
        if from.is_empty() {
            return from;
        }
        match op {
            Op::Nothing => from,
            Op::Literal { units, first, last } => {
                let edge = if walk == Walk::Back { *last } else { *first };
                if units.len() == 1 {
                    let mask = self.mask(edge);
                    return one(from, &mask, walk);
                }
                self.literal(units, edge, from, walk)
            }
            Op::One(class) => {
                let mask = self.mask(*class);
                one(from, &mask, walk)
            }
            Op::Seq(ops) if walk == Walk::Back => ops
                .iter()
                .rev()
                .fold(from, |set, op| self.step(op, set, walk)),
            Op::Seq(ops) => ops.iter().fold(from, |set, op| self.step(op, set, walk)),
            Op::Either(ops) => {
                let mut any = self.none();
                for op in ops {
                    any.or(&self.step(op, from.clone(), walk));
                }
                any
            }
            Op::Run { class, guards } => self.run_of_units(*class, guards, from, walk),
            Op::Loop {
                number,
                at_least_once,
                body,
            } => self.repeat(*number, *at_least_once, body, from, walk),
            Op::Start => self.only(&from, self.text.len()),
            Op::End => self.only(&from, 0),
            Op::Boundary(expected) => self.boundaries(*expected, from),
            Op::Look(number) => {
                let mut kept = from;
                kept.and(&self.look(*number));
                kept
            }
        }
    }

    fn only(&self, from: &P, bit: usize) -> P {
        let mut one = self.none();
        one.insert(bit);
        one.and(from);
        one
    }

    fn literal(&mut self, units: &[u16], edge: usize, mut from: P, walk: Walk) -> P {
        let mut found = self.none();
        if from.is_crowded() && walk == Walk::Back {
            from.and(&self.mask(edge));
        }
        while let Some(bit) = from.first() {
            from.remove(bit);
            let position = self.text.len() - bit;
            let (begin, target) = match walk {
                Walk::Back => (
                    position.checked_sub(units.len()),
                    bit.checked_add(units.len()),
                ),
                Walk::Ahead => (Some(position), bit.checked_sub(units.len())),
            };
            if let (Some(begin), Some(target)) = (begin, target)
                && units
                    .iter()
                    .enumerate()
                    .rev()
                    .all(|(index, &unit)| self.text.at(begin + index) == unit)
            {
                found.insert(target);
            }
        }
        found
    }

    fn mask(&mut self, number: usize) -> P {
        if let Some(mask) = &self.known[number] {
            return mask.clone();
        }
        let mask: P = self.text.mask(&self.program.classes[number]);
        self.known[number] = Some(mask.clone());
        mask
    }

    fn look(&mut self, number: usize) -> P {
        let slot = self.program.classes.len() + number;
        if let Some(holds) = &self.known[slot] {
            return holds.clone();
        }
        let look = &self.program.looks[number];
        let all = P::all(self.text.len());
        let walk = if look.ahead { Walk::Back } else { Walk::Ahead };
        let mut holds = self.step(&look.body, all.clone(), walk);
        if look.negative {
            let mut others = all;
            others.and_not(&holds);
            holds = others;
        }
        self.known[slot] = Some(holds.clone());
        holds
    }

    fn run_of_units(&mut self, class: usize, guards: &'a [Op], from: P, walk: Walk) -> P {
        let mut mask = self.mask(class);
        if !guards.is_empty() {
            let all = P::all(self.text.len());
            let mut begins = guards
                .iter()
                .fold(all, |set, op| self.step(op, set, Walk::Back));
            begins.shift_ahead();
            mask.and(&begins);
        }
        let mut reached = from;
        if walk == Walk::Back {
            reached.flood_back(&mask);
            return reached;
        }
        let mut fresh = reached.clone();
        while !fresh.is_empty() {
            fresh = one(fresh, &mask, walk);
            fresh.and_not(&reached);
            reached.or(&fresh);
        }
        reached
    }

    fn repeat(
        &mut self,
        number: usize,
        at_least_once: bool,
        body: &'a Op,
        from: P,
        walk: Walk,
    ) -> P {
        let slot = self.program.classes.len() + self.program.looks.len() + number;
        let mut seen = self.known[slot].take().unwrap_or_else(|| self.none());
        let mut found = self.none();
        let mut fresh = from;
        fresh.and_not(&seen);
        if !at_least_once {
            found.or(&fresh);
        }
        while !fresh.is_empty() {
            seen.or(&fresh);
            fresh = self.step(body, fresh, walk);
            found.or(&fresh);
            fresh.and_not(&seen);
        }
        self.known[slot] = Some(seen);
        found
    }

    fn boundaries(&self, expected: bool, mut from: P) -> P {
        let mut kept = self.none();
        let word = |index: usize| index < self.text.len() && class::is_word(self.text.at(index));
        while let Some(bit) = from.first() {
            from.remove(bit);
            let position = self.text.len() - bit;
            let before = position.checked_sub(1).is_some_and(word);
            if (before != word(position)) == expected {
                kept.insert(bit);
            }
        }
        kept
    }
}

/// Crosses one unit, whose position after it is in `mask`.
fn one<P: Positions>(mut from: P, mask: &P, walk: Walk) -> P {
    match walk {
        Walk::Back => {
            from.and(mask);
            from.shift_back();
        }
        Walk::Ahead => {
            from.shift_ahead();
            from.and(mask);
        }
    }
    from
}
