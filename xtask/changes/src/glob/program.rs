//! The expression in the form that is searched: captures and preferences gone, common shapes recognised.
//!
//! Whether a text matches does not depend on which repetition is greedy or what a group captured, unless the expression refers
//! to a capture. So those are dropped here (expressions with references go on to [`super::captures`]), counted repetitions are written out, and a repetition of single units becomes a
//! [`Op::Run`], which costs an addition.

use super::class::Class;
use super::syntax::Node;
use super::units;
use std::mem;

/// A program larger than this many operations is refused: it was written to be slow.
const OPS_MAX: usize = 100_000;

/// One operation on a set of positions.
#[derive(Debug)]
pub(super) enum Op {
    Nothing,
    /// These units; the classes hold the first and the last one alone.
    Literal {
        units: Vec<u16>,
        first: usize,
        last: usize,
    },
    /// One unit of the class with that number.
    One(usize),
    Seq(Vec<Self>),
    Either(Vec<Self>),
    /// Any number of units of a class, each begun where all the guards hold.
    Run {
        class: usize,
        guards: Vec<Self>,
    },
    /// Any number of repetitions of the body, or at least one; the number tells loops apart.
    Loop {
        number: usize,
        at_least_once: bool,
        body: Box<Self>,
    },
    Start,
    End,
    Boundary(bool),
    /// The look-around with that number holds.
    Look(usize),
}

/// A look-around.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) ahead: bool,
    pub(super) negative: bool,
    pub(super) body: Op,
}

/// A searchable expression.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) root: Option<Op>,
    pub(super) classes: Vec<Class>,
    pub(super) looks: Vec<Look>,
    pub(super) loops: usize,
    /// What the look-arounds were compiled from: the dialect repeats a few of them.
    sources: Vec<Node>,
    /// Every matching text begins with this,
    pub(super) prefix: String,
    /// ends with this,
    pub(super) suffix: String,
    /// and when this is set, is this.
    pub(super) exact: Option<String>,
}

/// The program would be larger than [`OPS_MAX`].
#[derive(Debug)]
pub(super) struct TooLarge;

impl Program {
    /// Compiles an expression. Where it refers to captures, the program lets anything stand for them, so that it matches at
    /// least what the expression does.
    pub(super) fn new(root: &Node) -> Result<Self, TooLarge> {
        let mut program = Self::default();
        let mut budget = OPS_MAX;
        let mut op = program.lower(root, &mut budget)?;
        program.find_affixes(&op);
        program.find_edges(&mut op);
        for index in 0..program.looks.len() {
            let mut body = mem::replace(&mut program.looks[index].body, Op::Nothing);
            program.find_edges(&mut body);
            program.looks[index].body = body;
        }
        program.root = Some(op);
        program.sources.clear();
        Ok(program)
    }

    fn lower(&mut self, node: &Node, budget: &mut usize) -> Result<Op, TooLarge> {
        *budget = budget.checked_sub(1).ok_or(TooLarge)?;
        Ok(match node {
            Node::Empty => Op::Nothing,
            Node::Back(_) => Op::Run {
                class: self.class(&Class::new(Vec::new(), true)),
                guards: Vec::new(),
            },
            Node::Unit(unit) => Op::Literal {
                units: vec![*unit],
                first: 0,
                last: 0,
            },
            Node::Class(class) => Op::One(self.class(class)),
            Node::Group(_, node) => self.lower(node, budget)?,
            Node::Start => Op::Start,
            Node::End => Op::End,
            Node::Boundary(at) => Op::Boundary(*at),
            Node::Concat(nodes) => {
                let ops = nodes
                    .iter()
                    .map(|node| self.lower(node, budget))
                    .collect::<Result<_, _>>()?;
                sequence(ops)
            }
            Node::Alt(nodes) => Op::Either(
                nodes
                    .iter()
                    .map(|node| self.lower(node, budget))
                    .collect::<Result<_, _>>()?,
            ),
            // Anything for the reference would forbid too much here.
            Node::Look {
                negative: true,
                node,
                ..
            } if node.has_references() => Op::Nothing,
            Node::Look {
                ahead,
                negative,
                node: inner,
            } => {
                if let Some(known) = self.sources.iter().position(|other| other == node) {
                    return Ok(Op::Look(known));
                }
                let body = self.lower(inner, budget)?;
                self.looks.push(Look {
                    ahead: *ahead,
                    negative: *negative,
                    body,
                });
                self.sources.push(node.clone());
                Op::Look(self.looks.len() - 1)
            }
            Node::Repeat { node, min, max, .. } => self.repeat(node, *min, *max, budget)?,
        })
    }

    /// The number of this class.
    fn class(&mut self, class: &Class) -> usize {
        let known = self.classes.iter().position(|other| other == class);
        known.unwrap_or_else(|| {
            self.classes.push(class.clone());
            self.classes.len() - 1
        })
    }

    /// `min` copies, then a loop or as many optional copies as `max` allows.
    fn repeat(
        &mut self,
        node: &Node,
        min: u32,
        max: Option<u32>,
        budget: &mut usize,
    ) -> Result<Op, TooLarge> {
        let Some(max) = max else {
            return self.repeat_without_end(node, min, budget);
        };
        let mut ops = Vec::new();
        for _ in 0..min {
            ops.push(self.lower(node, budget)?);
        }
        for _ in min..max {
            ops.push(Op::Either(vec![Op::Nothing, self.lower(node, budget)?]));
        }
        Ok(sequence(ops))
    }

    fn repeat_without_end(
        &mut self,
        node: &Node,
        min: u32,
        budget: &mut usize,
    ) -> Result<Op, TooLarge> {
        let mut ops = Vec::new();
        for _ in 1..min {
            ops.push(self.lower(node, budget)?);
        }
        // The last copy is part of the loop where it is a loop: nested `+` would double with each level.
        let body = self.lower(node, budget)?;
        let may_be_empty = matches!(body, Op::Run { .. });
        match self.any_number(body, min > 0) {
            run @ Op::Run { .. } if min > 0 && !may_be_empty => {
                ops.push(self.lower(node, budget)?);
                ops.push(run);
            }
            other => ops.push(other),
        }
        Ok(sequence(ops))
    }

    /// A loop over `body`, as a run when that is possible; a run does not know `at_least_once`.
    fn any_number(&mut self, body: Op, at_least_once: bool) -> Op {
        let (guards, unit) = match body {
            // Repeating a repetition adds nothing, except that none at all may do.
            Op::Run { .. } | Op::Nothing => return body,
            Op::Loop {
                number,
                at_least_once: inner,
                body,
            } => {
                return Op::Loop {
                    number,
                    at_least_once: inner && at_least_once,
                    body,
                };
            }
            Op::Seq(mut ops) => match ops.pop() {
                Some(unit @ Op::One(_)) if ops.iter().all(is_guard) => (ops, unit),
                last => {
                    ops.extend(last);
                    return self.new_loop(Op::Seq(ops), at_least_once);
                }
            },
            other => (Vec::new(), other),
        };
        let class = match unit {
            Op::One(class) => class,
            Op::Literal { units, .. } if units.len() == 1 => self.class(&only(units.first())),
            other => return self.new_loop(other, at_least_once),
        };
        Op::Run { class, guards }
    }

    fn new_loop(&mut self, body: Op, at_least_once: bool) -> Op {
        self.loops += 1;
        Op::Loop {
            number: self.loops - 1,
            at_least_once,
            body: Box::new(body),
        }
    }

    /// Gives the literals, now that they are joined, the classes of their first and last unit.
    fn find_edges(&mut self, op: &mut Op) {
        match op {
            Op::Literal { units, first, last } => {
                *first = self.class(&only(units.first()));
                *last = self.class(&only(units.last()));
            }
            Op::Seq(ops) | Op::Either(ops) => ops.iter_mut().for_each(|op| self.find_edges(op)),
            Op::Loop { body, .. } => self.find_edges(body),
            // Guards take no units.
            Op::Nothing
            | Op::One(_)
            | Op::Run { .. }
            | Op::Start
            | Op::End
            | Op::Boundary(_)
            | Op::Look(_) => {}
        }
    }

    /// What every match begins and ends with, to dismiss most texts by comparing bytes.
    fn find_affixes(&mut self, root: &Op) {
        let Op::Seq(ops) = root else { return };
        let [Op::Start, inner @ .., Op::End] = ops.as_slice() else {
            return;
        };
        let text = |op: Option<&Op>| match op {
            Some(Op::Literal { units, .. }) => units::join(units),
            _ => None,
        };
        self.prefix = text(inner.first()).unwrap_or_default();
        self.suffix = text(inner.last()).unwrap_or_default();
        if let [only] = inner {
            self.exact = text(Some(only));
        }
    }
}

/// Whether `op` takes no units.
fn is_guard(op: &Op) -> bool {
    matches!(op, Op::Start | Op::End | Op::Boundary(_) | Op::Look(_))
}

/// The class of this unit alone.
fn only(unit: Option<&u16>) -> Class {
    Class::new(unit.map(|&unit| (unit, unit)).into_iter().collect(), false)
}

/// One after the other: nested sequences opened, neighbouring literals joined, repeated anchors dropped.
fn sequence(ops: Vec<Op>) -> Op {
    let mut flat: Vec<Op> = Vec::with_capacity(ops.len());
    for op in ops {
        match op {
            Op::Nothing => {}
            Op::Seq(inner) => inner.into_iter().for_each(|op| append(&mut flat, op)),
            other => append(&mut flat, other),
        }
    }
    match flat.len() {
        0 => Op::Nothing,
        1 => flat.remove(0),
        _ => Op::Seq(flat),
    }
}

fn append(ops: &mut Vec<Op>, op: Op) {
    match (ops.last_mut(), op) {
        (Some(Op::Literal { units, .. }), Op::Literal { units: more, .. }) => units.extend(more),
        (Some(Op::Start), Op::Start) | (Some(Op::End), Op::End) => {}
        (_, op) => ops.push(op),
    }
}
