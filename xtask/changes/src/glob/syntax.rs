//! Reads the expression back into a tree.
//!
//! The grammar is that of JavaScript without flags, with the allowances for the web (ECMA-262, annex B.1.2), because that is
//! what compiles these expressions in the reference. An expression that is invalid there matches nothing.

mod escapes;

use super::class::{self, Class};
use super::units;

/// What [`escape`] puts a backslash before.
pub(super) const SPECIAL: [char; 14] = [
    '-', '*', '+', '?', '.', '^', '$', '{', '}', '(', '|', ')', '[', ']',
];
/// Deeper groups than this are taken for an attack; a glob nests far less.
const MAX_DEPTH: usize = 600;

/// A regular expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Empty,
    Unit(u16),
    Class(Class),
    Concat(Vec<Self>),
    Alt(Vec<Self>),
    Repeat {
        node: Box<Self>,
        min: u32,
        max: Option<u32>,
        greedy: bool,
    },
    /// A capture and its number, from 1.
    Group(usize, Box<Self>),
    /// The start of the text; there is no multi-line mode.
    Start,
    /// The end of the text.
    End,
    /// At a word boundary, or not at one.
    Boundary(bool),
    Look {
        ahead: bool,
        negative: bool,
        node: Box<Self>,
    },
    /// What the capture of that number holds.
    Back(usize),
}

impl Node {
    /// Whether any part refers to a capture.
    pub(super) fn has_references(&self) -> bool {
        match self {
            Self::Back(_) => true,
            Self::Concat(nodes) | Self::Alt(nodes) => nodes.iter().any(Self::has_references),
            Self::Group(_, node) | Self::Repeat { node, .. } | Self::Look { node, .. } => {
                node.has_references()
            }
            Self::Empty
            | Self::Unit(_)
            | Self::Class(_)
            | Self::Start
            | Self::End
            | Self::Boundary(_) => false,
        }
    }
}

/// A parsed expression.
pub(super) struct Expression {
    pub(super) root: Node,
    /// How many captures there are.
    pub(super) captures: usize,
}

/// Why an expression is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    NothingToRepeat,
    UnmatchedParen,
    UnterminatedGroup,
    UnterminatedClass,
    BadGroup,
    BadReference,
    ReversedRange,
    ReversedCounts,
    EndsInBackslash,
    TooDeep,
}

impl Invalid {
    /// For a person who wrote the glob.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::NothingToRepeat => {
                "a repetition (`+`, `?`, `{n}`) stands where there is nothing to repeat"
            }
            Self::UnmatchedParen => "a `)` closes no group",
            Self::UnterminatedGroup => "a group is not closed",
            Self::UnterminatedClass => "a `[` is not closed",
            Self::BadGroup => "a `(?` begins no known kind of group",
            Self::BadReference => "a `\\k` refers to no named group",
            Self::ReversedRange => "a range in a class runs backwards",
            Self::ReversedCounts => "a repetition has its counts reversed",
            Self::EndsInBackslash => "it ends in a backslash",
            Self::TooDeep => "groups are nested too deeply",
        }
    }
}

/// `text` with a backslash before everything in [`SPECIAL`].
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if SPECIAL.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Whether `expression` is valid.
pub(super) fn is_valid(expression: &str) -> bool {
    parse(expression).is_ok()
}

/// Parses an expression over [`units::split`] text.
pub(super) fn parse(expression: &str) -> Result<Expression, Invalid> {
    let input: Vec<char> = expression.chars().collect();
    let (captures, names) = scan_groups(&input);
    let mut parser = Parser {
        input,
        at: 0,
        depth: 0,
        groups: 0,
        captures,
        names,
    };
    let root = parser.alternatives()?;
    if parser.at < parser.input.len() {
        return Err(Invalid::UnmatchedParen);
    }
    Ok(Expression { root, captures })
}

/// The number of captures and the names of the named ones: `\1` means different things depending on them.
fn scan_groups(input: &[char]) -> (usize, Vec<(String, usize)>) {
    let (mut count, mut names, mut in_class, mut at) = (0, Vec::new(), false, 0);
    while let Some(&c) = input.get(at) {
        match c {
            '\\' => at += 1,
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => {
                if input.get(at + 1) != Some(&'?') {
                    count += 1;
                } else if let Some(name) = group_name(&input[at + 1..]) {
                    count += 1;
                    names.push((name, count));
                }
            }
            _ => {}
        }
        at += 1;
    }
    (count, names)
}

/// The name in `?<name>`, at the start of `input`.
fn group_name(input: &[char]) -> Option<String> {
    let rest = input.strip_prefix(&['?', '<'])?;
    let end = rest.iter().position(|&c| c == '>')?;
    let name: String = rest[..end].iter().collect();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let valid = name.chars().all(is_part) && name.starts_with(|c: char| !c.is_numeric());
    valid.then_some(name)
}

struct Parser {
    input: Vec<char>,
    at: usize,
    depth: usize,
    /// Captures opened so far.
    groups: usize,
    captures: usize,
    names: Vec<(String, usize)>,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.input.get(self.at).copied()
    }

    fn next_is(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(index, c)| self.input.get(self.at + index) == Some(&c))
    }

    fn eat(&mut self, text: &str) -> bool {
        let matches = self.next_is(text);
        if matches {
            self.at += text.chars().count();
        }
        matches
    }

    fn alternatives(&mut self) -> Result<Node, Invalid> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Invalid::TooDeep);
        }
        let mut branches = vec![self.sequence()?];
        while self.eat("|") {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(match branches.len() {
            1 => branches.remove(0),
            _ => Node::Alt(branches),
        })
    }

    fn sequence(&mut self) -> Result<Node, Invalid> {
        let mut nodes = Vec::new();
        while let Some(c) = self.peek() {
            if matches!(c, '|' | ')') {
                break;
            }
            let node = self.term()?;
            nodes.push(node);
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Concat(nodes),
        })
    }

    fn term(&mut self) -> Result<Node, Invalid> {
        // Annex B lets a lookahead be repeated, but no other assertion.
        let assertions = ["^", "$", r"\b", r"\B", "(?<=", "(?<!"];
        let repeatable = !assertions.iter().any(|text| self.next_is(text));
        let node = self.atom()?;
        let Some((min, max)) = self.counts()? else {
            return Ok(node);
        };
        if !repeatable {
            return Err(Invalid::NothingToRepeat);
        }
        let greedy = !self.eat("?");
        Ok(Node::Repeat {
            node: Box::new(node),
            min,
            max,
            greedy,
        })
    }

    fn counts(&mut self) -> Result<Option<(u32, Option<u32>)>, Invalid> {
        let counts = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => return self.braced_counts(),
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(counts))
    }

    /// `{2}`, `{2,}`, `{2,3}`; anything else that begins with a brace is text.
    fn braced_counts(&mut self) -> Result<Option<(u32, Option<u32>)>, Invalid> {
        let begin = self.at;
        self.at += 1;
        let min = self.number();
        let comma = self.eat(",");
        let max = if comma { self.number() } else { min };
        let (Some(min), true) = (min, self.eat("}")) else {
            self.at = begin;
            return Ok(None);
        };
        if max.is_some_and(|max| max < min) {
            return Err(Invalid::ReversedCounts);
        }
        Ok(Some((min, max)))
    }

    fn number(&mut self) -> Option<u32> {
        let begin = self.at;
        let mut value = 0_u32;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            value = value.saturating_mul(10).saturating_add(digit);
            self.at += 1;
        }
        (self.at > begin).then_some(value)
    }

    fn atom(&mut self) -> Result<Node, Invalid> {
        if self.peek() == Some('{') {
            return match self.braced_counts()? {
                Some(_) => Err(Invalid::NothingToRepeat),
                None => Ok(self.literal()),
            };
        }
        let Some(c) = self.peek() else {
            return Ok(Node::Empty);
        };
        match c {
            '*' | '+' | '?' => Err(Invalid::NothingToRepeat),
            '(' => self.group(),
            '[' => self.class(),
            '\\' => self.escape(),
            '^' => Ok(self.skip(Node::Start)),
            '$' => Ok(self.skip(Node::End)),
            '.' => Ok(self.skip(Node::Class(class::any()))),
            _ => Ok(self.literal()),
        }
    }

    fn skip(&mut self, node: Node) -> Node {
        self.at += 1;
        node
    }

    fn literal(&mut self) -> Node {
        let unit = self
            .peek()
            .map_or(Node::Empty, |c| Node::Unit(units::unit_of(c)));
        self.skip(unit)
    }

    fn group(&mut self) -> Result<Node, Invalid> {
        self.at += 1;
        let look = |ahead, negative| {
            move |node| Node::Look {
                ahead,
                negative,
                node: Box::new(node),
            }
        };
        if self.eat("?:") {
            return self.group_body();
        }
        for (opening, ahead, negative) in [
            ("?=", true, false),
            ("?!", true, true),
            ("?<=", false, false),
            ("?<!", false, true),
        ] {
            if self.eat(opening) {
                return self.group_body().map(look(ahead, negative));
            }
        }
        if self.peek() == Some('?') {
            let name = group_name(&self.input[self.at..]).ok_or(Invalid::BadGroup)?;
            if self
                .names
                .iter()
                .filter(|(other, _)| *other == name)
                .count()
                > 1
            {
                return Err(Invalid::BadGroup);
            }
            self.at += "?<>".len() + name.chars().count();
        }
        self.groups += 1;
        let number = self.groups;
        Ok(Node::Group(number, Box::new(self.group_body()?)))
    }

    fn group_body(&mut self) -> Result<Node, Invalid> {
        let node = self.alternatives()?;
        if self.eat(")") {
            Ok(node)
        } else {
            Err(Invalid::UnterminatedGroup)
        }
    }

    fn class(&mut self) -> Result<Node, Invalid> {
        self.at += 1;
        let negated = self.eat("^");
        let mut ranges = Vec::new();
        while !self.eat("]") {
            let first = self.class_member()?;
            if self.peek() == Some('-') && self.input.get(self.at + 1).is_some_and(|&c| c != ']') {
                self.at += 1;
                let last = self.class_member()?;
                match (first, last) {
                    (Member::Unit(first), Member::Unit(last)) if first > last => {
                        return Err(Invalid::ReversedRange);
                    }
                    (Member::Unit(first), Member::Unit(last)) => ranges.push((first, last)),
                    (first, last) => {
                        // Annex B: a range with a class for an end is its parts and the dash.
                        first.add_to(&mut ranges);
                        last.add_to(&mut ranges);
                        Member::Unit(u16::from(b'-')).add_to(&mut ranges);
                    }
                }
            } else {
                first.add_to(&mut ranges);
            }
        }
        Ok(Node::Class(Class::new(ranges, negated)))
    }
}

enum Member {
    Unit(u16),
    Class(Class),
}

impl Member {
    fn add_to(self, ranges: &mut Vec<(u16, u16)>) {
        match self {
            Self::Unit(unit) => ranges.push((unit, unit)),
            Self::Class(class) => ranges.extend(class.ranges()),
        }
    }
}
