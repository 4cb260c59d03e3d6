//! `[…]`: character classes, POSIX names in them, and the rule that a plain class also matches its own text.

use super::super::syntax;
use super::{Bracket, Kind, SOMETHING, Translator};

impl Translator {
    pub(super) fn class_just_opened(&self) -> bool {
        matches!(self.last().source.as_str(), "[" | "[^")
    }

    pub(super) fn class_unit(&mut self, mut value: String) {
        if value == ":" && self.posix_name() {
            return;
        }
        let bare_open = value == "[" && self.peek(0) != Some(':');
        let last_dash = value == "-" && self.peek(0) == Some(']');
        let first_close = value == "]" && self.class_just_opened();
        if bare_open || last_dash || first_close {
            value.insert(0, '\\');
        }
        self.last_mut().source.push_str(&value);
        self.written.push_str(&value);
    }

    /// At a `:` in a class: replaces `[:name` by the units it stands for. True when it did.
    pub(super) fn posix_name(&mut self) -> bool {
        let source = &self.last().source;
        let inner = source.get(1..).unwrap_or_default();
        if !inner.contains('[') {
            return false;
        }
        let second = inner.contains(':');
        let open = source.rfind('[').unwrap_or(0);
        let name: String = source[open..].chars().skip(2).collect();
        let mut replaced = source[..open].to_owned();
        self.last_mut().posix = true;
        let Some(units) = posix_class(&name).filter(|_| second) else {
            return false;
        };
        replaced.push_str(units);
        self.last_mut().source = replaced;
        self.rebuild = true;
        self.advance();
        if self.order.get(1) == Some(&self.previous) && self.pieces[0].written().is_empty() {
            self.pieces[0].regex = Some(SOMETHING.to_owned());
        }
        true
    }

    pub(super) fn open_square(&mut self) {
        if self.last_square_close.is_some_and(|close| close >= self.at) {
            self.squares += 1;
            self.open.push(Bracket::Square);
            self.push(Kind::Class, "[", None);
        } else {
            self.push(Kind::Class, r"\[", None);
        }
    }

    pub(super) fn close_square(&mut self) {
        if self.squares == 0 {
            self.push(Kind::Text, "]", Some(r"\]"));
            return;
        }
        self.squares -= 1;
        self.open.pop();
        let posix = self.last().posix;
        let inside = self.last().source.get(1..).unwrap_or_default().to_owned();
        // A negated class never matches a slash.
        let close = if !posix && inside.starts_with('^') && !inside.contains('/') {
            "/]"
        } else {
            "]"
        };
        self.last_mut().source.push_str(close);
        self.written.push_str(close);
        if inside.contains(syntax::SPECIAL) {
            return;
        }
        // A plain class also matches its own text: `[ab]` is a valid file name.
        let class = self.last().source.clone();
        self.unwrite(class.len());
        let both = format!("(?:{}|{class})", syntax::escape(&class));
        self.written.push_str(&both);
        self.last_mut().source = both;
    }
}

/// The units of a POSIX class as they stand inside `[…]`.
fn posix_class(name: &str) -> Option<&'static str> {
    Some(match name {
        "alnum" => "a-zA-Z0-9",
        "alpha" => "a-zA-Z",
        "ascii" => r"\x00-\x7F",
        "blank" => r" \t",
        "cntrl" => r"\x00-\x1F\x7F",
        "digit" => "0-9",
        "graph" => r"\x21-\x7E",
        "lower" => "a-z",
        "print" => r"\x20-\x7E ",
        "punct" => r##"\-!"#$%&'()\*+,./:;<=>?@[\]^_`{|}~"##,
        "space" => r" \t\r\n\v\f",
        "upper" => "A-Z",
        "word" => "A-Za-z0-9_",
        "xdigit" => "A-Fa-f0-9",
        _ => return None,
    })
}
