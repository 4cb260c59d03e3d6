//! Cuts a file into statements the way SQLite itself would, but without running anything: so that every statement can
//! be judged first, run alone, and be blamed by line and column.
//!
//! The rules are those of SQLite's tokenizer and of `sqlite3_complete`; a property test compares the cuts with SQLite's.

/// What a token is, as far as judging a statement needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A keyword or a bare name.
    Word,
    /// `"name"`, `` `name` `` or `[name]`.
    QuotedName,
    /// `'text'`.
    Text,
    /// A number, an operator, a parenthesis, a parameter.
    Other,
    Semicolon,
}

/// A token that means something: no space, no comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind,
    /// As written, quotes included.
    pub(crate) text: &'a str,
    /// Byte offset in the file.
    pub(crate) start: usize,
}

impl Token<'_> {
    /// Is it this keyword? Quoted names never are.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    /// The name or text without its quotes.
    pub(crate) fn name(&self) -> String {
        let inner = || {
            self.text
                .get(1..self.text.len().saturating_sub(1))
                .unwrap_or_default()
        };
        match (self.kind, self.text.as_bytes().first()) {
            (TokenKind::QuotedName, Some(b'[')) => inner().to_owned(),
            (TokenKind::QuotedName, Some(b'`')) => inner().replace("``", "`"),
            (TokenKind::QuotedName, _) => inner().replace("\"\"", "\""),
            (TokenKind::Text, _) => inner().replace("''", "'"),
            _ => self.text.to_owned(),
        }
    }
}

/// One statement: its tokens without the final semicolon, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement<'a> {
    /// From its first token to its semicolon, comments in between included.
    pub(crate) text: &'a str,
    /// Byte offset of `text` in the file.
    pub(crate) start: usize,
    pub(crate) tokens: Vec<Token<'a>>,
}

impl Statement<'_> {
    /// Is the n-th token this keyword?
    pub(crate) fn word(&self, index: usize, keyword: &str) -> bool {
        self.tokens
            .get(index)
            .is_some_and(|token| token.is(keyword))
    }

    /// Has it this keyword anywhere?
    pub(crate) fn has(&self, keyword: &str) -> bool {
        self.tokens.iter().any(|token| token.is(keyword))
    }

    /// Has it these keywords one after the other?
    pub(crate) fn has_row(&self, keywords: &[&str]) -> bool {
        self.tokens.windows(keywords.len()).any(|window| {
            window
                .iter()
                .zip(keywords)
                .all(|(token, keyword)| token.is(keyword))
        })
    }
}

/// Something that is opened and never closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unclosed {
    /// What, for the message.
    pub(crate) what: &'static str,
    /// Byte offset where it opens.
    pub(crate) start: usize,
}

/// Cuts `text` into statements; empty statements (`;;`) and comments leave nothing.
pub(crate) fn statements(text: &str) -> Result<Vec<Statement<'_>>, Unclosed> {
    let mut cutter = Cutter::new(text, 0);
    let mut found = Vec::new();
    while let Some(statement) = cutter.next()? {
        found.push(statement);
    }
    Ok(found)
}

/// Most statements have no more.
const TOKENS: usize = 24;

/// Cuts one statement after the other: the tokens of a large file together are many times its size.
pub(crate) struct Cutter<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cutter<'a> {
    /// Begins at a byte offset that is in no statement.
    pub(crate) fn new(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    /// The next statement; none at the end of the text.
    pub(crate) fn next(&mut self) -> Result<Option<Statement<'a>>, Unclosed> {
        let mut tokens: Vec<Token<'_>> = Vec::with_capacity(TOKENS);
        let mut state = State::Start;
        while let Some((piece, length)) = scan(self.text, self.at)? {
            let start = self.at;
            self.at += length;
            let Some(kind) = piece else { continue };
            let token = Token {
                kind,
                text: self.text.get(start..self.at).unwrap_or_default(),
                start,
            };
            state = state.after(&token);
            if state != State::Start {
                tokens.push(token);
            } else if !tokens.is_empty() {
                return Ok(self.statement(tokens, Some(self.at)));
            }
        }
        if matches!(state, State::Trigger | State::TriggerSemicolon) {
            let start = tokens.first().map_or(0, |token| token.start);
            return Err(Unclosed {
                what: "a CREATE TRIGGER that does not end in `; END;`",
                start,
            });
        }
        Ok(self.statement(tokens, None))
    }

    /// Without a semicolon it ends with its last token, so that a trailing comment is not part of it.
    fn statement(
        &self,
        tokens: Vec<Token<'a>>,
        semicolon_end: Option<usize>,
    ) -> Option<Statement<'a>> {
        let (first, last) = (tokens.first()?, tokens.last()?);
        let end = semicolon_end.unwrap_or(last.start + last.text.len());
        let start = first.start;
        Some(Statement {
            text: self.text.get(start..end).unwrap_or_default(),
            start,
            tokens,
        })
    }
}

/// Where in a statement we are: only CREATE TRIGGER may contain semicolons, up to `; END ;`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Explain,
    Create,
    Normal,
    Trigger,
    TriggerSemicolon,
    TriggerEnd,
}

impl State {
    fn after(self, token: &Token<'_>) -> Self {
        if token.kind == TokenKind::Semicolon {
            return match self {
                Self::Trigger | Self::TriggerSemicolon => Self::TriggerSemicolon,
                _ => Self::Start,
            };
        }
        match self {
            Self::Start if token.is("EXPLAIN") => Self::Explain,
            Self::Start | Self::Explain if token.is("CREATE") => Self::Create,
            Self::Explain if token.is("QUERY") || token.is("PLAN") => Self::Explain,
            Self::Create if token.is("TEMP") || token.is("TEMPORARY") => Self::Create,
            Self::Create if token.is("TRIGGER") => Self::Trigger,
            Self::TriggerSemicolon if token.is("END") => Self::TriggerEnd,
            Self::Trigger | Self::TriggerSemicolon | Self::TriggerEnd => Self::Trigger,
            _ => Self::Normal,
        }
    }
}

/// The next piece at `at`: its kind (none for space and comments) and its length in bytes; none at the end.
fn scan(text: &str, at: usize) -> Result<Option<(Option<TokenKind>, usize)>, Unclosed> {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    let Some(&first) = rest.first() else {
        return Ok(None);
    };
    let second = rest.get(1).copied();
    let piece = match first {
        // A vertical tab goes on with white space, but does not begin it: so says SQLite's tokenizer.
        b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' => (
            None,
            run(rest, |byte| {
                matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c')
            }),
        ),
        b'-' if second == Some(b'-') => (None, run(rest, |byte| byte != b'\n')),
        b'/' if second == Some(b'*') => {
            let end = find(rest.get(2..).unwrap_or_default(), b"*/").ok_or(Unclosed {
                what: "a comment without its */",
                start: at,
            })?;
            (None, end + 4)
        }
        b'\'' => (
            Some(TokenKind::Text),
            quoted(rest, b'\'', "a text without its closing '", at)?,
        ),
        b'"' => (
            Some(TokenKind::QuotedName),
            quoted(rest, b'"', "a name without its closing \"", at)?,
        ),
        b'`' => (
            Some(TokenKind::QuotedName),
            quoted(rest, b'`', "a name without its closing `", at)?,
        ),
        b'[' => {
            let end = rest.iter().position(|byte| *byte == b']').ok_or(Unclosed {
                what: "a name without its closing ]",
                start: at,
            })?;
            (Some(TokenKind::QuotedName), end + 1)
        }
        b';' => (Some(TokenKind::Semicolon), 1),
        b'0'..=b'9' => (Some(TokenKind::Other), run(rest, is_name)),
        // SQLite skips a byte order mark wherever a token may begin.
        0xEF if rest.starts_with(b"\xEF\xBB\xBF") => (None, 3),
        // A blob literal is one token: x'00'.
        b'x' | b'X' if second == Some(b'\'') => (
            Some(TokenKind::Other),
            1 + quoted(
                rest.get(1..).unwrap_or_default(),
                b'\'',
                "a blob without its closing '",
                at,
            )?,
        ),
        byte if is_name(byte) && byte != b'$' => (Some(TokenKind::Word), run(rest, is_name)),
        b'$' | b'@' | b':' | b'#' | b'?' => (
            Some(TokenKind::Other),
            1 + run(rest.get(1..).unwrap_or_default(), is_name),
        ),
        _ => (Some(TokenKind::Other), 1),
    };
    Ok(Some(piece))
}

/// Bytes of a name: as SQLite has it, everything beyond ASCII is a letter.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn run(text: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| belongs(**byte)).count()
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// The length of a quoted piece whose quote is doubled inside.
fn quoted(rest: &[u8], quote: u8, what: &'static str, start: usize) -> Result<usize, Unclosed> {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        at += 1;
        if *byte == quote {
            if rest.get(at) != Some(&quote) {
                return Ok(at);
            }
            at += 1;
        }
    }
    Err(Unclosed { what, start })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> Vec<&str> {
        statements(text)
            .expect("closed")
            .into_iter()
            .map(|statement| statement.text)
            .collect()
    }

    #[test]
    fn semicolons_count_only_outside_quotes_comments_and_triggers() {
        assert_eq!(
            cut("SELECT 1; ;; SELECT ';' -- ;\n, \";\", `;`, [;] /* ; */; select x';'"),
            [
                "SELECT 1;",
                "SELECT ';' -- ;\n, \";\", `;`, [;] /* ; */;",
                "select x';'"
            ]
        );
        assert_eq!(cut("create temp trigger t after insert on a begin select case when 1 then 2 end; end; select 1 -- x").len(), 2);
        assert_eq!(cut("CREATE TABLE trigger_end (a); EXPLAIN CREATE TRIGGER t AFTER DELETE ON a BEGIN SELECT 1; END; SELECT 2").len(), 3);
        assert_eq!(cut(" -- nothing\n/* at all */ ; ;"), [""; 0]);
        assert_eq!(cut("SELECT 'it''s' -- tail"), ["SELECT 'it''s'"]);
    }

    #[test]
    fn what_is_never_closed_is_named_with_its_place() {
        let open = |text| {
            statements(text)
                .map(|found| found.len())
                .map_err(|unclosed| (unclosed.what, unclosed.start))
        };
        assert_eq!(
            open("SELECT 1; /* x"),
            Err(("a comment without its */", 10))
        );
        assert_eq!(open("/*/ SELECT 1;"), Err(("a comment without its */", 0)));
        assert_eq!(
            open("SELECT 'a''"),
            Err(("a text without its closing '", 7))
        );
        assert_eq!(
            open("SELECT \"a"),
            Err(("a name without its closing \"", 7))
        );
        assert_eq!(open("SELECT [a"), Err(("a name without its closing ]", 7)));
        assert_eq!(
            open("SELECT 1; CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;"),
            Err(("a CREATE TRIGGER that does not end in `; END;`", 10))
        );
    }

    #[test]
    fn names_lose_their_quotes() {
        let names: Vec<String> = statements("a \"b\"\"c\" `d` [e f] 'g'").expect("closed")[0]
            .tokens
            .iter()
            .map(Token::name)
            .collect();
        assert_eq!(names, ["a", "b\"c", "d", "e f", "g"]);
    }

    /// Statements as SQLite cuts them, each valid on an empty schema except for what they reference.
    fn pieces() -> impl Strategy<Value = String> {
        let fragment = prop_oneof![
            Just("SELECT 1"),
            Just("SELECT 'a;''b'"),
            Just("SELECT \"x;y\" FROM (SELECT 1 AS \"x;y\")"),
            Just("SELECT 1 AS [a;b], 2 AS `c;d`"),
            Just("SELECT x'3b' /* ; */"),
            Just("SELECT 1 -- ;\n + 2"),
            Just("EXPLAIN SELECT 1"),
            Just(
                "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; SELECT ';'; END"
            ),
            Just("CREATE TEMPORARY TRIGGER q AFTER DELETE ON t BEGIN DELETE FROM t; END"),
            Just("CREATE TABLE IF NOT EXISTS trigger_x (\"end\" TEXT DEFAULT ';')"),
            Just("-- comment ;\n"),
            Just("/* ; */"),
            Just("\u{feff}"),
            Just("VALUES (1.5e3, .5, 0x1F, -1)"),
            Just(""),
        ];
        let gap = prop_oneof![
            Just(";"),
            Just(" ;\n"),
            Just(";;"),
            Just("; \t\r\n;"),
            Just("/* a */;"),
            Just("-- b\n;")
        ];
        proptest::collection::vec((fragment, gap), 0..12)
            .prop_map(|parts| parts.into_iter().map(|(a, b)| format!("{a}{b}")).collect())
    }

    /// Words that make and break statements, and the odd corners of SQLite's tokenizer.
    fn word() -> impl Strategy<Value = &'static str> {
        let words = "SELECT |1 |CREATE |TEMP |TRIGGER |r |AFTER |INSERT |ON |t |BEGIN |END |END;|CASE WHEN 1 THEN 2 END |\
            DELETE FROM t |EXPLAIN |QUERY PLAN |TABLE |IF NOT EXISTS |(|)|, |;|; |--|-- ;\n|/*|*/|/*;*/|\n|\r\n|'|''|';'|\"|\";\"|\
            `|`;`|[|]|[;]|x'00' |x'|$a|$a(|@b|:c|?1|#1|.|.5|1e5|0x1F|1_0|->> 1 |\x0b|\x0c|\u{feff}|\u{a0}|é|SAVEPOINT s|COMMIT";
        prop::sample::select(words.split('|').collect::<Vec<_>>())
    }

    /// How many statements SQLite finds in the text.
    fn count_by_sqlite(text: &str) -> usize {
        use rusqlite::fallible_iterator::FallibleIterator as _;
        let connection = rusqlite::Connection::open_in_memory().expect("memory");
        connection
            .execute_batch("CREATE TABLE t (a)")
            .expect("table");
        rusqlite::Batch::new(&connection, text)
            .count()
            .expect("valid statements")
    }

    proptest! {
        #[test]
        fn cuts_agree_with_sqlite(text in pieces()) {
            prop_assert_eq!(cut(&text).len(), count_by_sqlite(&text));
        }

        #[test]
        fn any_words_are_cut_as_by_sqlite(words in proptest::collection::vec(word(), 0..24)) {
            let text = words.concat();
            let Ok(found) = statements(&text) else { return Ok(()) };
            let sqlite = rusqlite::Connection::open_in_memory().expect("memory");
            sqlite.execute_batch("CREATE TABLE t (a, b)").expect("table");
            for statement in found {
                let prepared = sqlite.prepare(statement.text);
                prop_assert!(
                    !matches!(prepared, Err(rusqlite::Error::MultipleStatement)),
                    "SQLite sees more than one statement in {:?}", statement.text
                );
                // What is no statement by itself must not be the beginning of one either.
                if prepared.is_err() {
                    use rusqlite::fallible_iterator::FallibleIterator as _;
                    let first = rusqlite::Batch::new(&sqlite, &text[statement.start..]).next();
                    prop_assert!(
                        !matches!(first, Ok(Some(_))),
                        "SQLite sees a statement that begins with {:?} and ends elsewhere", statement.text
                    );
                }
            }
        }

        #[test]
        fn any_text_is_cut_without_loss(text in "[-a-zA-Z'\"`\\[\\];/* \\n.$:@xé\u{feff}]{0,60}") {
            if let Ok(found) = statements(&text) {
                let mut end = 0;
                for statement in found {
                    prop_assert!(statement.start >= end);
                    end = statement.start + statement.text.len();
                    prop_assert_eq!(&text[statement.start..end], statement.text);
                }
            }
        }
    }
}
