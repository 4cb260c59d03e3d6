//! What a backslash begins: `\d`, `\x61`, `\1`, `\k<name>`, or a character that is just itself.

use super::super::{class, units};
use super::{Invalid, Member, Node, Parser};

impl Parser {
    pub(super) fn escape(&mut self) -> Result<Node, Invalid> {
        let Some(&c) = self.input.get(self.at + 1) else {
            return Err(Invalid::EndsInBackslash);
        };
        match c {
            'b' | 'B' => {
                self.at += 2;
                Ok(Node::Boundary(c == 'b'))
            }
            '1'..='9' if self.reference() => {
                self.at += 1;
                let number = self.number().unwrap_or(0);
                Ok(Node::Back(number as usize))
            }
            'k' if !self.names.is_empty() => self.named_reference(),
            _ => {
                if let Some(class) = class::escaped(c) {
                    self.at += 2;
                    return Ok(Node::Class(class));
                }
                Ok(Node::Unit(self.unit_escape(false)))
            }
        }
    }

    /// Whether the number after the backslash is that of a capture; if not, it is an octal code.
    fn reference(&self) -> bool {
        let digits = self.input[self.at + 1..]
            .iter()
            .map_while(|c| c.to_digit(10));
        let number = digits.fold(0_usize, |value, digit| {
            value.saturating_mul(10).saturating_add(digit as usize)
        });
        number <= self.captures
    }

    fn named_reference(&mut self) -> Result<Node, Invalid> {
        self.at += 2;
        let rest: String = self.input[self.at..].iter().collect();
        let name = rest
            .strip_prefix('<')
            .and_then(|rest| rest.split_once('>'))
            .map(|(name, _)| name);
        let name = name.ok_or(Invalid::BadReference)?;
        let found = self.names.iter().find(|(other, _)| other == name);
        let &(_, number) = found.ok_or(Invalid::BadReference)?;
        self.at += "<>".len() + name.chars().count();
        Ok(Node::Back(number))
    }

    /// A backslash and what follows, standing for one unit.
    fn unit_escape(&mut self, in_class: bool) -> u16 {
        let c = self.input.get(self.at + 1).copied().unwrap_or('\\');
        self.at += 2;
        match c {
            't' => 0x09,
            'n' => 0x0A,
            'v' => 0x0B,
            'f' => 0x0C,
            'r' => 0x0D,
            'b' if in_class => 0x08,
            'c' => self.control(in_class),
            'x' => self.hex(2).unwrap_or(u16::from(b'x')),
            'u' => self.hex(4).unwrap_or(u16::from(b'u')),
            '0'..='7' => {
                self.at -= 1;
                self.octal()
            }
            _ => units::unit_of(c),
        }
    }

    /// `\cJ`. Without a letter the backslash is itself, and the `c` is read again.
    fn control(&mut self, in_class: bool) -> u16 {
        let letter = self
            .peek()
            .filter(|c| c.is_ascii_alphabetic() || (in_class && (c.is_ascii_digit() || *c == '_')));
        let Some(letter) = letter else {
            self.at -= 1;
            return u16::from(b'\\');
        };
        self.at += 1;
        units::unit_of(letter) % 32
    }

    fn hex(&mut self, digits: usize) -> Option<u16> {
        let text: String = self.input.get(self.at..self.at + digits)?.iter().collect();
        if !text.chars().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        self.at += digits;
        u16::from_str_radix(&text, 16).ok()
    }

    /// Up to three octal digits, at most `\377`.
    fn octal(&mut self) -> u16 {
        let mut value = 0;
        for _ in 0..3 {
            let Some(digit) = self
                .peek()
                .and_then(|c| c.to_digit(8))
                .and_then(|d| u16::try_from(d).ok())
            else {
                break;
            };
            if value * 8 + digit > 0o377 {
                break;
            }
            value = value * 8 + digit;
            self.at += 1;
        }
        value
    }

    pub(super) fn class_member(&mut self) -> Result<Member, Invalid> {
        let c = self.peek().ok_or(Invalid::UnterminatedClass)?;
        if c != '\\' {
            self.at += 1;
            return Ok(Member::Unit(units::unit_of(c)));
        }
        let next = self
            .input
            .get(self.at + 1)
            .copied()
            .ok_or(Invalid::EndsInBackslash)?;
        if let Some(class) = class::escaped(next) {
            self.at += 2;
            return Ok(Member::Class(class));
        }
        if next == 'k' && !self.names.is_empty() {
            return Err(Invalid::BadReference);
        }
        Ok(Member::Unit(self.unit_escape(true)))
    }
}
