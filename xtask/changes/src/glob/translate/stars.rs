//! `*` and `**`: what they stand for depends on what is before and after them.

use super::{
    Extglob, Kind, NAME_PART, NO_DOT_END, NO_DOT_SEGMENT, PATH_PART, SLASH, SOMETHING, Translator,
};

impl Translator {
    pub(super) fn star(&mut self) {
        if self.last().kind == Kind::Globstar || self.last().swallows_stars {
            // `***` is `*`.
            let last = self.last_mut();
            last.kind = Kind::Star;
            last.swallows_stars = true;
            last.source.push('*');
            last.regex = Some(NAME_PART.to_owned());
            self.rebuild = true;
        } else if self.peek(0) == Some('(') && self.peek(1).is_some_and(|c| c != '?') {
            self.open_extglob(Extglob::ZeroOrMore, "*");
        } else if self.last().kind == Kind::Star {
            self.second_star();
        } else {
            self.first_star();
        }
    }

    pub(super) fn first_star(&mut self) {
        let guard = match self.last().kind {
            Kind::Dot => Some(NO_DOT_END),
            Kind::Slash => Some(NO_DOT_SEGMENT),
            _ if self.at == self.start + 1 => Some(NO_DOT_SEGMENT),
            _ => None,
        };
        if let Some(guard) = guard {
            let something = if self.peek(0) == Some('*') {
                ""
            } else {
                SOMETHING
            };
            for text in [guard, something] {
                self.written.push_str(text);
                self.last_mut().regex.get_or_insert_default().push_str(text);
            }
        }
        self.push(Kind::Star, "*", Some(NAME_PART));
    }

    pub(super) fn second_star(&mut self) {
        let prior = self.last().before;
        let prior_kind = self.pieces[prior].kind;
        let before = self.pieces[prior].before;
        let before_kind = self.pieces[before].kind;
        let in_brace = !self.braces.is_empty() && matches!(prior_kind, Kind::Comma | Kind::Brace);
        if !matches!(prior_kind, Kind::Slash | Kind::Start | Kind::Paren) && !in_brace {
            self.push(Kind::Star, "*", Some(""));
            return;
        }
        // `/**/**` says no more than `/**`.
        while self.rest().starts_with(&['/', '*', '*']) && self.peek(3).is_none_or(|c| c == '/') {
            self.at += 3;
        }
        let at_end = self.at >= self.input.len();
        let before_slash = self.peek(0) == Some('/');
        let below_root = prior_kind == Kind::Slash && before_kind != Kind::Start;
        let after_star = matches!(before_kind, Kind::Star | Kind::Globstar);
        if prior_kind == Kind::Start && at_end {
            self.written.clear();
            self.becomes_globstar(PATH_PART.to_owned());
        } else if below_root && !after_star && at_end {
            // The directory itself is meant too: `a/**` matches `a`.
            self.reopen_slash(prior);
            self.becomes_globstar(format!("{PATH_PART}|$)"));
        } else if below_root && before_slash {
            let end = if self.peek(1).is_some() { "|$" } else { "" };
            self.reopen_slash(prior);
            self.becomes_globstar(format!("{PATH_PART}{SLASH}|{SLASH}{end})"));
            self.advance();
            self.push(Kind::Slash, "/", Some(""));
        } else if prior_kind == Kind::Start && before_slash {
            self.written.clear();
            self.becomes_globstar(format!("(?:^|{SLASH}|{PATH_PART}{SLASH})"));
            self.advance();
            self.push(Kind::Slash, "/", Some(""));
        } else {
            self.unwrite(self.last().written().len());
            self.becomes_globstar(PATH_PART.to_owned());
        }
    }

    /// Unwrites the slash and the first star, and writes the slash again as the start of a group.
    pub(super) fn reopen_slash(&mut self, slash: usize) {
        let length = self.pieces[slash].written().len() + self.last().written().len();
        self.unwrite(length);
        let reopened = format!("(?:{}", self.pieces[slash].written());
        self.written.push_str(&reopened);
        self.pieces[slash].regex = Some(reopened);
    }

    pub(super) fn becomes_globstar(&mut self, regex: String) {
        self.written.push_str(&regex);
        let last = self.last_mut();
        last.kind = Kind::Globstar;
        last.source.push('*');
        last.regex = Some(regex);
    }
}
