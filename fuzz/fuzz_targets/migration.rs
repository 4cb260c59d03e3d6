//! Migration files: whatever the bytes, judging them ends without a panic and names a place that is in the file; and every
//! statement is cut where SQLite itself would cut it.
//!
//! The engine's reading half is included as source, not through its package: it needs SQLite and a hash, the package more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::{Batch, Connection};

macro_rules! engine {
    ($($module:ident $path:literal)+) => {
        $(
            #[allow(dead_code, unreachable_pub, reason = "the modules are included whole, a part of them is called")]
            #[path = $path]
            mod $module;
        )+
    };
}
engine! {
    check "../../migrations/engine/src/check.rs"
    directive "../../migrations/engine/src/directive.rs"
    error "../../migrations/engine/src/error.rs"
    lexer "../../migrations/engine/src/lexer.rs"
    locate "../../migrations/engine/src/locate.rs"
    source "../../migrations/engine/src/source.rs"
}

thread_local! {
    static SQLITE: Connection = {
        let connection = Connection::open_in_memory().expect("a database in memory");
        connection.execute_batch("CREATE TABLE t (a, b); CREATE VIEW v AS SELECT a FROM t").expect("a schema");
        connection
    };
}

fuzz_target!(|bytes: &[u8]| {
    let file = source::MigrationFile::new("f.sql", bytes);
    for own_transaction in [false, true] {
        if let Err(error) = check::prepare(&file, own_transaction) {
            let text = String::from_utf8_lossy(bytes);
            if let Some(at) = error.location() {
                assert!(at.line <= text.matches('\n').count() + 1, "{error}");
            }
            assert!(error.to_string().contains("f.sql:"), "{error}");
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && !bytes.contains(&0)
        && let Ok(found) = lexer::statements(text)
    {
        is_cut_without_loss(text, &found);
        SQLITE.with(|sqlite| found.iter().for_each(|statement| is_cut_as_by_sqlite(sqlite, text, statement)));
    }
});

/// Between the statements there is nothing that means something.
fn is_cut_without_loss(text: &str, found: &[lexer::Statement<'_>]) {
    let mut end = 0;
    for statement in found {
        let gap = text.get(end..statement.start).expect("in order");
        assert_eq!(lexer::statements(gap), Ok(Vec::new()), "lost {gap:?}");
        end = statement.start + statement.text.len();
        assert_eq!(text.get(statement.start..end), Some(statement.text));
    }
    assert_eq!(lexer::statements(&text[end..]), Ok(Vec::new()), "lost the end");
}

fn is_cut_as_by_sqlite(sqlite: &Connection, text: &str, statement: &lexer::Statement<'_>) {
    // Some of these act while they are being parsed.
    if statement.tokens.iter().any(|token| token.is("PRAGMA")) {
        return;
    }
    let prepared = sqlite.prepare(statement.text);
    if let Err(rusqlite::Error::MultipleStatement) = &prepared {
        panic!("SQLite sees more than one statement in {:?}", statement.text);
    }
    // What is no statement by itself must not be the beginning of one, nor of two.
    if prepared.is_err() {
        let mut rest = Batch::new(sqlite, &text[statement.start..]);
        let first = rest.next();
        assert!(
            !matches!(first, Ok(Some(_))),
            "SQLite sees a statement that begins with {:?} and ends elsewhere",
            statement.text
        );
    }
}
