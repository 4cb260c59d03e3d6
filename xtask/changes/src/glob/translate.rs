//! From a glob to the regular expression that defines its meaning.
//!
//! The dialect has no grammar of its own: what a pattern means is whatever expression the reference writes for it, including
//! where pieces of the pattern leak into the expression (`(a|b)+`, `\1`, `(?<=c)`) and where repairs touch text written
//! earlier. A syntax tree cannot say that, so this stage writes text, and [`super::syntax`] reads it back.
//!
//! Two versions of the text are kept: `written`, and one per piece. They differ after some repairs, and the dialect says for
//! some constructs (ranges, POSIX classes, three stars) that the pieces win. Hence `rebuild`.

mod braces;
mod classes;
mod groups;
mod stars;

use super::shorthand;
use super::syntax;

/// A slash.
pub(super) const SLASH: &str = r"\/";
/// A dot.
pub(super) const DOT: &str = r"\.";
/// Something follows on this line.
pub(super) const SOMETHING: &str = "(?=.)";
/// One unit of a name.
pub(super) const NAME_UNIT: &str = "[^/]";
/// Any part of a name.
pub(super) const NAME_PART: &str = "[^/]*?";
/// Any part of a path, without the segments `.` and `..`.
pub(super) const PATH_PART: &str = r"(?:(?:(?!(?:^|\/)\.{1,2}(?:\/|$)).)*?)";
/// Not at a segment `.` or `..`.
pub(super) const NO_DOT_SEGMENT: &str = r"(?!\.{1,2}(?:\/|$))";
/// After a dot: the segment does not end here, nor after one more dot.
const NO_DOT_END: &str = r"(?!\.{0,1}(?:\/|$))";
/// Deeper nesting than this is refused; the evaluators recurse once per level.
const MAX_DEPTH: usize = 100;

/// The expression of a glob.
pub(super) struct Translation {
    /// Without the anchors around it.
    pub(super) expression: String,
    /// The pattern began with an odd number of `!`.
    pub(super) negated: bool,
}

/// The nesting at this unit, counted from 1, of the pattern is deeper than [`MAX_DEPTH`].
pub(super) struct TooDeep(pub(super) usize);

/// Writes the expression for a pattern that went through [`super::units::split`].
pub(super) fn translate(glob: &str) -> Result<Translation, TooDeep> {
    if let Some(expression) = shorthand::whole(glob) {
        return Ok(Translation {
            expression,
            negated: false,
        });
    }
    let glob = shorthand::collapse(glob);
    let body = glob.strip_prefix("./").unwrap_or(glob);
    if let Some(expression) = shorthand::one_name(body) {
        return Ok(Translation {
            expression,
            negated: false,
        });
    }
    let stripped = glob.len() - body.len();
    long_form(body).map_err(|TooDeep(at)| TooDeep(at + stripped))
}

fn long_form(body: &str) -> Result<Translation, TooDeep> {
    let mut translator = Translator::new(body);
    translator.run()?;
    let expression = translator.finish();
    Ok(Translation {
        expression,
        negated: translator.negated,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Start,
    Text,
    Slash,
    Dot,
    Dots,
    OneUnit,
    Plus,
    Star,
    Globstar,
    Paren,
    Class,
    Brace,
    Comma,
    At,
    ExtglobMark,
    OptionalSlash,
}

/// A stretch of the pattern with what was written for it.
struct Piece {
    kind: Kind,
    /// The pattern's text, sometimes repaired.
    source: String,
    /// The expression's text; `None` means that `source` is also that.
    regex: Option<String>,
    /// Index of the piece before it in reading order, also when that one has been taken out of `order`.
    before: usize,
    /// A class in which a POSIX name was begun.
    posix: bool,
    /// Three or more stars: every further star is swallowed.
    swallows_stars: bool,
}

impl Piece {
    fn written(&self) -> &str {
        self.regex.as_deref().unwrap_or(&self.source)
    }
}

/// An open `{`.
struct Brace {
    piece: usize,
    written_at: usize,
    order_at: usize,
    comma: bool,
    dots: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extglob {
    Not,
    Optional,
    OneOrMore,
    ZeroOrMore,
}

/// An open `!(`, `?(`, `+(` or `*(`. `@(` needs no record: it is a plain group.
struct OpenExtglob {
    kind: Extglob,
    parens_outside: isize,
    /// What stands directly inside it, to tell whether it may cross slashes.
    inner: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Square,
    Brace,
    Paren,
}

struct Translator {
    input: Vec<char>,
    /// Index of the next character.
    at: usize,
    /// Where the pattern proper begins, after `!` and `./`.
    start: usize,
    last_square_close: Option<usize>,
    written: String,
    pieces: Vec<Piece>,
    /// The pieces that count in a rebuild.
    order: Vec<usize>,
    previous: usize,
    rebuild: bool,
    negated: bool,
    quoted: bool,
    squares: usize,
    /// A `)` too many makes this negative, and the dialect then treats later ones as group ends.
    parens: isize,
    /// The kinds of the open brackets; a stray `)` closes the wrong one, as in the reference.
    open: Vec<Bracket>,
    braces: Vec<Brace>,
    extglobs: Vec<OpenExtglob>,
}

impl Translator {
    fn new(body: &str) -> Self {
        let input: Vec<char> = body.chars().collect();
        let start = Piece {
            kind: Kind::Start,
            source: String::new(),
            regex: Some(String::new()),
            before: 0,
            posix: false,
            swallows_stars: false,
        };
        Self {
            last_square_close: input.iter().rposition(|&c| c == ']'),
            input,
            at: 0,
            start: 0,
            written: String::new(),
            pieces: vec![start],
            order: vec![0],
            previous: 0,
            rebuild: false,
            negated: false,
            quoted: false,
            squares: 0,
            parens: 0,
            open: Vec::new(),
            braces: Vec::new(),
            extglobs: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<(), TooDeep> {
        while let Some(c) = self.advance() {
            if self.open.len() > MAX_DEPTH {
                return Err(TooDeep(self.at));
            }
            match c {
                '\0' => {}
                '\\' => self.escape(),
                _ if self.squares > 0 && (c != ']' || self.class_just_opened()) => {
                    self.class_unit(c.to_string());
                }
                _ if self.quoted && c != '"' => self.quoted_unit(c),
                '"' => self.quoted = !self.quoted,
                '(' => {
                    self.open_bracket(Bracket::Paren);
                    self.push(Kind::Paren, "(", None);
                }
                ')' => self.close_paren()?,
                '[' => self.open_square(),
                ']' => self.close_square(),
                '{' => self.open_brace(),
                '}' => self.close_brace(),
                ',' => self.comma(),
                '/' => self.slash(),
                '.' => self.dot(),
                '?' => self.question(),
                '*' => self.star(),
                _ => self.word(c),
            }
        }
        Ok(())
    }

    // Reading.

    fn advance(&mut self) -> Option<char> {
        let c = self.input.get(self.at).copied();
        self.at += usize::from(c.is_some());
        c
    }

    /// The character `ahead` places on; 0 is the next one.
    fn peek(&self, ahead: usize) -> Option<char> {
        self.input.get(self.at + ahead).copied()
    }

    fn rest(&self) -> &[char] {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn last(&self) -> &Piece {
        &self.pieces[self.previous]
    }

    fn last_mut(&mut self) -> &mut Piece {
        &mut self.pieces[self.previous]
    }

    fn opens_extglob(&self) -> bool {
        self.peek(0) == Some('(') && self.peek(1) != Some('?')
    }

    // Writing.

    fn push(&mut self, kind: Kind, source: &str, regex: Option<&str>) {
        if self.last().kind == Kind::Globstar {
            self.demote_globstar(kind);
        }
        if kind != Kind::Paren
            && let Some(extglob) = self.extglobs.last_mut()
        {
            extglob.inner.push_str(source);
        }
        self.written.push_str(regex.unwrap_or(source));
        if kind == Kind::Text && self.last().kind == Kind::Text {
            // The piece grows by the source, not by what was written: seen only in a rebuild, where a dot is then any unit.
            let last = self.last_mut();
            last.source.push_str(source);
            last.regex.get_or_insert_default().push_str(source);
            return;
        }
        self.pieces.push(Piece {
            kind,
            source: source.to_owned(),
            regex: regex.map(str::to_owned),
            before: self.previous,
            posix: false,
            swallows_stars: false,
        });
        self.previous = self.pieces.len() - 1;
        self.order.push(self.previous);
    }

    /// `**` spans directories only when it fills a segment, a brace alternative or the end of a group.
    fn demote_globstar(&mut self, next: Kind) {
        let in_brace = !self.braces.is_empty() && matches!(next, Kind::Comma | Kind::Brace);
        if in_brace || matches!(next, Kind::Slash | Kind::Paren | Kind::At) {
            return;
        }
        self.unwrite(self.last().written().len());
        self.written.push_str(NAME_PART);
        let last = self.last_mut();
        last.kind = Kind::Star;
        "*".clone_into(&mut last.source);
        last.regex = Some(NAME_PART.to_owned());
    }

    /// Takes `bytes` off the end. Taking nothing takes everything, because the reference's negative slice does.
    fn unwrite(&mut self, bytes: usize) {
        let mut keep = if bytes == 0 {
            0
        } else {
            self.written.len().saturating_sub(bytes)
        };
        while !self.written.is_char_boundary(keep) {
            keep -= 1;
        }
        self.written.truncate(keep);
    }

    fn open_bracket(&mut self, bracket: Bracket) {
        self.open.push(bracket);
        if bracket == Bracket::Paren {
            self.parens += 1;
        }
    }

    fn close_one_paren(&mut self) {
        self.parens -= 1;
        self.open.pop();
    }

    // Constructs, in the order of `run`; groups, classes, braces and stars have their own files.

    fn escape(&mut self) {
        let mut value = String::from('\\');
        match self.peek(0) {
            Some('/' | '.' | ';') => return,
            None => {
                self.push(Kind::Text, r"\\", None);
                return;
            }
            Some(_) => {}
        }
        let run = self.rest().iter().take_while(|&&c| c == '\\').count();
        if run > 2 {
            self.at += run;
            if run % 2 == 1 {
                value.push('\\');
            }
        }
        value.extend(self.advance());
        if self.squares == 0 {
            self.push(Kind::Text, &value, None);
        } else {
            self.class_unit(value);
        }
    }

    fn quoted_unit(&mut self, c: char) {
        let value = syntax::escape(&c.to_string());
        self.last_mut().source.push_str(&value);
        self.written.push_str(&value);
    }

    fn slash(&mut self) {
        if self.last().kind == Kind::Dot && self.at == self.start + 2 {
            // A leading `./` is dropped.
            self.start = self.at;
            self.written.clear();
            self.order.pop();
            self.previous = 0;
            return;
        }
        self.push(Kind::Slash, "/", Some(SLASH));
    }

    fn dot(&mut self) {
        let braces = isize::try_from(self.braces.len()).unwrap_or(isize::MAX);
        if braces > 0 && self.last().kind == Kind::Dot {
            let last = self.last_mut();
            last.kind = Kind::Dots;
            if last.source == "." {
                last.regex = Some(DOT.to_owned());
            }
            last.regex.get_or_insert_default().push('.');
            last.source.push('.');
            if let Some(brace) = self.braces.last_mut() {
                brace.dots = true;
            }
            return;
        }
        let inside_name = !matches!(self.last().kind, Kind::Start | Kind::Slash);
        let kind = if braces + self.parens == 0 && inside_name {
            Kind::Text
        } else {
            Kind::Dot
        };
        self.push(kind, ".", Some(DOT));
    }

    /// `!`, `+`, `@`, `|` and plain text.
    fn word(&mut self, c: char) {
        match c {
            '!' if self.exclamation() => {}
            '+' => self.plus(),
            '@' if self.opens_extglob() => self.push(Kind::At, "@", Some("")),
            '@' | '|' => self.push(Kind::Text, c.encode_utf8(&mut [0; 4]), None),
            _ => self.plain(c),
        }
    }

    fn plus(&mut self) {
        if self.opens_extglob() {
            self.open_extglob(Extglob::OneOrMore, "+");
        } else if self.last().source == "(" {
            self.push(Kind::Plus, "+", Some(r"\+"));
        } else if matches!(self.last().kind, Kind::Class | Kind::Paren | Kind::Brace)
            || self.parens > 0
        {
            self.push(Kind::Plus, "+", None);
        } else {
            self.push(Kind::Plus, r"\+", None);
        }
    }

    fn plain(&mut self, c: char) {
        let mut value = String::new();
        if matches!(c, '$' | '^') {
            value.push('\\');
        }
        value.push(c);
        let run = self
            .rest()
            .iter()
            .take_while(|c| !"@![].,$*+?^{}()|\\/".contains(**c))
            .count();
        value.extend(&self.input[self.at..self.at + run]);
        self.at += run;
        self.push(Kind::Text, &value, None);
    }

    /// Repairs what was left open and returns the expression.
    fn finish(&mut self) -> String {
        for _ in 0..self.squares {
            escape_last(&mut self.written, '[');
        }
        for _ in 0..self.parens.max(0) {
            escape_last(&mut self.written, '(');
        }
        for _ in 0..self.braces.len() {
            escape_last(&mut self.written, '{');
        }
        if matches!(self.last().kind, Kind::Star | Kind::Class) {
            self.push(Kind::OptionalSlash, "", Some(r"\/?"));
        }
        if self.rebuild {
            return self
                .order
                .iter()
                .map(|&index| self.pieces[index].written())
                .collect();
        }
        std::mem::take(&mut self.written)
    }
}

/// Puts a backslash before the last `bracket` that has none.
fn escape_last(text: &mut String, bracket: char) {
    let found = text
        .match_indices(bracket)
        .rev()
        .map(|(index, _)| index)
        .find(|&index| !text[..index].ends_with('\\'));
    if let Some(index) = found {
        text.insert(index, '\\');
    }
}
