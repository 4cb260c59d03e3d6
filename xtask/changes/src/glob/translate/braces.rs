//! `{a,b}` and `{1..3}`.

use super::super::{syntax, units};
use super::{Brace, Bracket, Kind, Translator};

impl Translator {
    pub(super) fn open_brace(&mut self) {
        self.open.push(Bracket::Brace);
        let (written_at, order_at) = (self.written.len(), self.order.len());
        self.braces.push(Brace {
            piece: 0,
            written_at,
            order_at,
            comma: false,
            dots: false,
        });
        self.push(Kind::Brace, "{", Some("("));
        let piece = self.previous;
        if let Some(brace) = self.braces.last_mut() {
            brace.piece = piece;
        }
    }

    pub(super) fn close_brace(&mut self) {
        let Some(brace) = self.braces.last() else {
            self.push(Kind::Text, "}", Some("}"));
            return;
        };
        let (piece, written_at, order_at) = (brace.piece, brace.written_at, brace.order_at);
        let (comma, dots) = (brace.comma, brace.dots);
        if dots {
            let range = self.take_range();
            self.rebuild = true;
            self.push(Kind::Brace, "}", Some(&range));
        } else if comma {
            self.push(Kind::Brace, "}", Some(")"));
        } else {
            self.literal_brace(piece, written_at, order_at);
            self.push(Kind::Brace, r"\}", Some(r"\}"));
        }
        self.open.pop();
        self.braces.pop();
    }

    /// A brace without comma or range is text: its opening is rewritten.
    pub(super) fn literal_brace(&mut self, piece: usize, written_at: usize, order_at: usize) {
        let brace = &mut self.pieces[piece];
        r"\{".clone_into(&mut brace.source);
        brace.regex = Some(r"\{".to_owned());
        let mut keep = written_at.min(self.written.len());
        while !self.written.is_char_boundary(keep) {
            keep -= 1;
        }
        self.written.truncate(keep);
        for &index in self.order.get(order_at..).unwrap_or_default() {
            let piece = &self.pieces[index];
            let text = match piece.regex.as_deref() {
                None | Some("") => &piece.source,
                Some(regex) => regex,
            };
            self.written.push_str(text);
        }
    }

    /// Takes the pieces back to the nearest brace out of the order and makes a class of them.
    pub(super) fn take_range(&mut self) -> String {
        let mut ends = Vec::new();
        while let Some(index) = self.order.pop() {
            let piece = &self.pieces[index];
            match piece.kind {
                Kind::Brace => break,
                Kind::Dots => {}
                _ => ends.insert(0, piece.source.clone()),
            }
        }
        ends.sort_by(|a, b| {
            a.chars()
                .map(units::unit_of)
                .cmp(b.chars().map(units::unit_of))
        });
        let class = format!("[{}]", ends.join("-"));
        if syntax::is_valid(&class) {
            return class;
        }
        let ends: Vec<String> = ends.iter().map(|end| syntax::escape(end)).collect();
        ends.join("..")
    }

    pub(super) fn comma(&mut self) {
        let innermost = self.open.last() == Some(&Bracket::Brace);
        match self.braces.last_mut().filter(|_| innermost) {
            Some(brace) => {
                brace.comma = true;
                self.push(Kind::Comma, ",", Some("|"));
            }
            None => self.push(Kind::Comma, ",", Some(",")),
        }
    }
}
