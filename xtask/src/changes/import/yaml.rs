//! Reads the part of YAML that filters are written in: mappings, lists, one-line flow collections, quoted and plain text,
//! anchors and aliases. Everything else is refused with its line; a general parser would be a dependency of every build for a
//! command that is run once in the life of a project.

mod scalar;

use std::collections::BTreeMap;

/// What is wrong, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) message: String,
}

/// A value and the line that it begins in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing where a value could stand.
    Nothing,
    /// Text, unquoted.
    Text(String),
    /// Plain text that YAML reads as something else: a number, a truth value.
    Other(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// One line that is neither empty nor a comment.
#[derive(Clone, Debug)]
struct Line<'t> {
    number: usize,
    indent: usize,
    text: &'t str,
}

/// Reads a document; its first line has the number `first_line`.
pub(super) fn read(text: &str, first_line: usize) -> Result<Node, Wrong> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = first_line + index;
        let line = scalar::without_comment(line).trim_end();
        let content = line.trim_start_matches(' ');
        if content.trim().is_empty() || content == "---" {
            continue;
        }
        if content.starts_with('\t') {
            return Err(wrong(
                number,
                "YAML is indented with blanks, this line with a tab",
            ));
        }
        lines.push(Line {
            number,
            indent: line.len() - content.len(),
            text: content,
        });
    }
    let mut reader = Reader {
        lines,
        at: 0,
        anchors: BTreeMap::new(),
    };
    let Some(first) = reader.lines.first() else {
        return Ok(Node {
            line: first_line,
            value: Value::Map(Vec::new()),
        });
    };
    let node = reader.block(first.indent)?;
    match reader.lines.get(reader.at) {
        Some(line) => Err(wrong(
            line.number,
            "this line is indented differently from what it belongs to",
        )),
        None => Ok(node),
    }
}

fn wrong(line: usize, message: impl Into<String>) -> Wrong {
    Wrong {
        line,
        message: message.into(),
    }
}

struct Reader<'t> {
    lines: Vec<Line<'t>>,
    at: usize,
    anchors: BTreeMap<String, Node>,
}

impl<'t> Reader<'t> {
    /// The value whose lines begin at this indentation.
    fn block(&mut self, indent: usize) -> Result<Node, Wrong> {
        let line = self.lines[self.at].clone();
        if is_item(line.text) {
            return self.list(indent);
        }
        if scalar::key(line.text, line.number)?.is_some() {
            return self.map(indent);
        }
        self.at += 1;
        self.inline(line.text, line.number)
    }

    fn here(&self, indent: usize) -> Option<Line<'t>> {
        let line = self.lines.get(self.at)?;
        (line.indent == indent).then(|| line.clone())
    }

    fn list(&mut self, indent: usize) -> Result<Node, Wrong> {
        let mut items = Vec::new();
        let number = self.lines[self.at].number;
        while let Some(line) = self.here(indent).filter(|line| is_item(line.text)) {
            let rest = line.text[1..].trim_start();
            let nested = is_item(rest) || scalar::key(rest, line.number)?.is_some();
            items.push(if nested {
                // What follows the dash is a block of its own, indented by where it stands.
                let inner = indent + line.text.len() - rest.len();
                self.lines[self.at].indent = inner;
                self.lines[self.at].text = rest;
                self.block(inner)?
            } else {
                self.at += 1;
                self.value(rest, line.number, indent + 1)?
            });
        }
        Ok(Node {
            line: number,
            value: Value::List(items),
        })
    }

    fn map(&mut self, indent: usize) -> Result<Node, Wrong> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let number = self.lines[self.at].number;
        while let Some(line) = self.here(indent) {
            let Some((key, rest)) = scalar::key(line.text, line.number)? else {
                return Err(wrong(line.number, "a name and a colon are missing"));
            };
            if key == "<<" {
                return Err(wrong(
                    line.number,
                    "merge keys are not read: write the entries out",
                ));
            }
            if entries.iter().any(|(other, _)| *other == key) {
                return Err(wrong(line.number, format!("'{key}' is there twice")));
            }
            self.at += 1;
            // A list may stand right below its name, no deeper.
            let same = self.here(indent).is_some_and(|next| is_item(next.text));
            let deepest = if same { indent } else { indent + 1 };
            let node = self.value(rest, line.number, deepest)?;
            entries.push((key, node));
        }
        Ok(Node {
            line: number,
            value: Value::Map(entries),
        })
    }

    /// The value after a dash or a colon: in the line, or in the lines below that are indented at least so far.
    fn value(&mut self, rest: &str, number: usize, indent: usize) -> Result<Node, Wrong> {
        if let Some(named) = rest.strip_prefix('&') {
            let (name, rest) = named.split_once(' ').unwrap_or((named, ""));
            let node = self.value(rest.trim_start(), number, indent)?;
            self.anchors.insert(name.to_owned(), node.clone());
            return Ok(node);
        }
        if !rest.is_empty() {
            let node = self.inline(rest, number)?;
            return match self.lines.get(self.at) {
                Some(next) if next.indent >= indent && !is_item(next.text) => Err(wrong(
                    next.number,
                    "text over several lines is not read: write it in one",
                )),
                _ => Ok(node),
            };
        }
        match self.lines.get(self.at).map(|next| next.indent) {
            Some(inner) if inner >= indent => self.block(inner),
            _ => Ok(Node {
                line: number,
                value: Value::Nothing,
            }),
        }
    }

    /// A value in one line.
    fn inline(&self, text: &str, number: usize) -> Result<Node, Wrong> {
        let mut rest = text;
        let node = self.flow(&mut rest, number, false)?;
        if rest.trim().is_empty() {
            Ok(node)
        } else {
            Err(wrong(
                number,
                format!("'{}' is more than was expected", rest.trim()),
            ))
        }
    }

    /// The value at the beginning of `rest`, which is moved behind it.
    fn flow(&self, rest: &mut &str, number: usize, nested: bool) -> Result<Node, Wrong> {
        *rest = rest.trim_start();
        let value = match rest.chars().next() {
            Some('[') => Value::List(self.flow_items(rest, number, ']', |reader, rest| {
                reader.flow(rest, number, true)
            })?),
            Some('{') => Value::Map(self.flow_items(rest, number, '}', |reader, rest| {
                let key = scalar::take(rest, number, true)?;
                let Value::Text(key) = key else {
                    return Err(wrong(number, "a name and a colon are missing"));
                };
                *rest = rest
                    .trim_start()
                    .strip_prefix(':')
                    .ok_or_else(|| wrong(number, format!("a colon is missing after '{key}'")))?;
                if key == "<<" {
                    return Err(wrong(
                        number,
                        "merge keys are not read: write the entries out",
                    ));
                }
                Ok((key, reader.flow(rest, number, true)?))
            })?),
            Some('*') => return self.alias(rest, number),
            _ => scalar::take(rest, number, nested)?,
        };
        Ok(Node {
            line: number,
            value,
        })
    }

    fn flow_items<T>(
        &self,
        rest: &mut &str,
        number: usize,
        close: char,
        mut item: impl FnMut(&Self, &mut &str) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Wrong> {
        let mut items = Vec::new();
        *rest = rest.get(1..).unwrap_or_default();
        loop {
            *rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix(close) {
                *rest = after;
                return Ok(items);
            }
            if rest.is_empty() {
                return Err(wrong(
                    number,
                    format!("'{close}' is missing; a list in brackets is read from one line"),
                ));
            }
            items.push(item(self, rest)?);
            *rest = rest.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => *rest = after,
                None if rest.is_empty() || rest.starts_with(close) => {}
                None => {
                    return Err(wrong(
                        number,
                        format!("a comma or '{close}' is missing before '{rest}'"),
                    ));
                }
            }
        }
    }

    fn alias(&self, rest: &mut &str, number: usize) -> Result<Node, Wrong> {
        let after = &rest[1..];
        let end = after.find([' ', ',', ']', '}']).unwrap_or(after.len());
        let (name, tail) = after.split_at(end);
        *rest = tail;
        self.anchors.get(name).cloned().ok_or_else(|| {
            wrong(number, format!("YAML takes '*{name}' for an alias, and nothing is called so: put a pattern into quotes"))
        })
    }
}

/// Whether a line is an item of a list.
fn is_item(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}
