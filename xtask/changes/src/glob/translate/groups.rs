//! `!(…)`, `?(…)`, `+(…)`, `*(…)` and what else parentheses and `?` lead to.

use super::{
    Bracket, Extglob, Kind, NAME_PART, NAME_UNIT, OpenExtglob, PATH_PART, SOMETHING, TooDeep,
    Translator, long_form,
};

impl Translator {
    pub(super) fn close_paren(&mut self) -> Result<(), TooDeep> {
        if self
            .extglobs
            .last()
            .is_some_and(|open| self.parens == open.parens_outside + 1)
            && let Some(open) = self.extglobs.pop()
        {
            let close = self.extglob_end(&open)?;
            self.push(Kind::Paren, ")", Some(&close));
        } else {
            let regex = if self.parens == 0 { r"\)" } else { ")" };
            self.push(Kind::Paren, ")", Some(regex));
        }
        self.close_one_paren();
        Ok(())
    }

    pub(super) fn open_extglob(&mut self, kind: Extglob, mark: &str) {
        let lead = if self.written.is_empty() {
            SOMETHING
        } else {
            ""
        };
        let open = match kind {
            Extglob::Not => "(?:(?!(?:",
            _ => "(?:",
        };
        let parens_outside = self.parens;
        self.open_bracket(Bracket::Paren);
        self.push(Kind::ExtglobMark, mark, Some(lead));
        self.advance();
        self.push(Kind::Paren, "(", Some(open));
        self.extglobs.push(OpenExtglob {
            kind,
            parens_outside,
            inner: String::new(),
        });
    }

    pub(super) fn extglob_end(&self, open: &OpenExtglob) -> Result<String, TooDeep> {
        Ok(match open.kind {
            Extglob::Not => self.negation_end(&open.inner)?,
            Extglob::Optional => ")?".to_owned(),
            Extglob::OneOrMore => ")+".to_owned(),
            Extglob::ZeroOrMore => ")*".to_owned(),
        })
    }

    /// What `!(inner)` excludes depends on what follows: nothing (the rest of the text), an extension, or anything else.
    pub(super) fn negation_end(&self, inner: &str) -> Result<String, TooDeep> {
        let rest = self.rest();
        let crosses = inner.chars().count() > 1 && inner.contains('/');
        let filler = if crosses { PATH_PART } else { NAME_PART };
        let extension: String = rest.iter().collect();
        let is_extension = inner.contains('*')
            && extension.len() > 1
            && extension.starts_with('.')
            && !extension[1..].contains(['\\', '/', '.']);
        if is_extension {
            // Such a rest may be a whole expression: `!(*.d).{ts,tsx}`.
            let tail = long_form(&extension)?.expression;
            return Ok(format!("){tail}){filler})"));
        }
        if crosses || rest.iter().all(|&c| c == ')') {
            return Ok(format!(")$)){filler}"));
        }
        Ok(format!(")){NAME_PART})"))
    }

    /// True when the `!` began a negation of a group or of the whole pattern.
    pub(super) fn exclamation(&mut self) -> bool {
        let group_syntax =
            self.peek(1) == Some('?') && matches!(self.peek(2), Some('!' | '=' | '<' | ':'));
        if self.peek(0) == Some('(') && !group_syntax {
            self.open_extglob(Extglob::Not, "!");
            return true;
        }
        if self.at != 1 {
            return false;
        }
        let mut count = 1;
        while self.peek(0) == Some('!') && (self.peek(1) != Some('(') || self.peek(2) == Some('?'))
        {
            self.at += 1;
            self.start += 1;
            count += 1;
        }
        if count % 2 == 1 {
            self.negated = true;
            self.start += 1;
        }
        true
    }

    pub(super) fn question(&mut self) {
        let opens_group = self.last().source == "(";
        if !opens_group && self.opens_extglob() {
            self.open_extglob(Extglob::Optional, "?");
            return;
        }
        if self.last().kind != Kind::Paren {
            self.push(Kind::OneUnit, "?", Some(NAME_UNIT));
            return;
        }
        // Right after a group it repeats the group; right inside one it may begin `(?:`, `(?=`, `(?!`, `(?<`.
        let next = self.peek(0);
        let names_group = matches!(next, Some('!' | '=' | '<' | ':'));
        let literal = (opens_group && !names_group)
            || (next == Some('<') && !has_lookbehind_or_name(self.rest()));
        let regex = if literal { r"\?" } else { "?" };
        self.push(Kind::Text, "?", Some(regex));
    }
}

/// Whether `<!`, `<=` or `<name>` occurs.
fn has_lookbehind_or_name(rest: &[char]) -> bool {
    rest.iter().enumerate().any(|(index, &c)| {
        let after = &rest[index + 1..];
        let name = after
            .iter()
            .take_while(|c| c.is_ascii_alphanumeric() || **c == '_')
            .count();
        c == '<'
            && (matches!(after.first(), Some('!' | '='))
                || (name > 0 && after.get(name) == Some(&'>')))
    })
}
