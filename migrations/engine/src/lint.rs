//! Says of each statement what it means for the release before it, for rows and for time.
//!
//! The text alone says most of it. What it cannot say, whether a rebuilt table keeps its columns, is answered by
//! comparing the table before and after the file has run.

use crate::check::Prepared;
use crate::lexer::{Statement, Token, TokenKind};
use crate::locate::location;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a statement risks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// The previous release may fail on the schema after it.
    Breaking,
    /// It throws rows away or overwrites them.
    Destructive,
    /// It reads or writes a whole table under the lock.
    Slow,
    /// It works, but probably not as meant.
    Advice,
}

/// One remark, with the place it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub risk: Risk,
    pub message: String,
}

/// What the text of a file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) findings: Vec<Finding>,
    /// Tables that were there before, are dropped or renamed away, and are there again at the end.
    pub(crate) rebuilt: BTreeSet<String>,
    /// Tables that are dropped or renamed away, and the finding's place. `IF EXISTS` may drop what never was.
    pub(crate) gone: BTreeMap<String, (usize, usize)>,
    /// Has it a statement that can change the number of rows of a table?
    pub(crate) changes_rows: bool,
    /// Does it delete rows in so many words?
    pub(crate) deletes: bool,
    /// Tables of which it copies a selection: `INSERT … SELECT … FROM table` with a WHERE or a JOIN.
    pub(crate) selected_from: BTreeSet<String>,
}

/// Reads a file statement by statement, following the names of the tables it makes, renames and drops.
pub(crate) fn read(file: &Prepared<'_>) -> Reading {
    let mut reader = Reader {
        file,
        reading: Reading::default(),
        created: BTreeSet::new(),
        gone: BTreeMap::new(),
        views: BTreeMap::new(),
        rebuilt: BTreeMap::new(),
        moved: BTreeMap::new(),
    };
    for statement in &file.statements {
        reader.statement(statement);
    }
    let (gone, views, rebuilt) = (
        std::mem::take(&mut reader.gone),
        std::mem::take(&mut reader.views),
        std::mem::take(&mut reader.rebuilt),
    );
    for (name, (start, how)) in gone.iter().chain(&views) {
        reader.finding(
            *start,
            Risk::Breaking,
            format!("{how} {name}, which the previous release may still use"),
        );
    }
    for (table, (start, _)) in gone {
        let at = location(file.name, file.text, start);
        reader.reading.gone.insert(table, (at.line, at.column));
    }
    for (table, start) in rebuilt {
        // What was only made to be dropped again is no rebuilt table.
        if reader.created.contains(&table) {
            reader.finding(
                start,
                Risk::Slow,
                format!("rebuilds {table}: every row is copied under the lock"),
            );
            reader.reading.rebuilt.insert(table);
        }
    }
    reader
        .reading
        .findings
        .sort_by_key(|finding| (finding.line, finding.column));
    reader.reading
}

impl Reading {
    /// The findings, without those about tables that were not there.
    pub(crate) fn findings_where(&self, existed: impl Fn(&str) -> bool) -> Vec<Finding> {
        let absent: Vec<(usize, usize)> = self
            .gone
            .iter()
            .filter(|(table, _)| !existed(table))
            .map(|(_, place)| *place)
            .collect();
        let about_absent = |finding: &Finding| {
            finding.risk == Risk::Breaking && absent.contains(&(finding.line, finding.column))
        };
        self.findings
            .iter()
            .filter(|finding| !about_absent(finding))
            .cloned()
            .collect()
    }
}

/// May the previous release run on what the file leaves?
pub(crate) fn compatible(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.risk != Risk::Breaking)
}

struct Reader<'p, 'f> {
    file: &'p Prepared<'f>,
    reading: Reading,
    created: BTreeSet<String>,
    /// Tables of before that are not there now: where and how they went.
    gone: BTreeMap<String, (usize, &'static str)>,
    views: BTreeMap<String, (usize, &'static str)>,
    /// Tables that came back under a name that was gone, and where.
    rebuilt: BTreeMap<String, usize>,
    /// New names of tables that were renamed away, with the old ones.
    moved: BTreeMap<String, String>,
}

impl Reader<'_, '_> {
    fn finding(&mut self, start: usize, risk: Risk, message: String) {
        let at = location(self.file.name, self.file.text, start);
        self.reading.findings.push(Finding {
            line: at.line,
            column: at.column,
            risk,
            message,
        });
    }

    fn statement(&mut self, statement: &Statement<'_>) {
        let Some(first) = statement.tokens.first() else {
            return;
        };
        let has = |word: &str| statement.tokens.iter().any(|token| token.is(word));
        let start = statement.start;
        match first.text.to_ascii_uppercase().as_str() {
            "CREATE" => self.create(statement),
            "DROP" => self.drop(statement),
            "ALTER" => self.alter(statement),
            "DELETE" | "UPDATE" | "INSERT" | "REPLACE" | "WITH" => {
                self.reading.changes_rows = true;
                self.reading.deletes |= has("DELETE");
                self.selection(statement);
                let existing = name_after(statement, &["FROM", "UPDATE"])
                    .is_some_and(|table| !self.created.contains(&table));
                if first.is("DELETE") && !has("WHERE") && existing {
                    self.finding(
                        start,
                        Risk::Destructive,
                        "DELETE without WHERE removes every row".to_owned(),
                    );
                } else if first.is("UPDATE") && !has("WHERE") && existing {
                    self.finding(
                        start,
                        Risk::Destructive,
                        "UPDATE without WHERE overwrites every row".to_owned(),
                    );
                }
            }
            "PRAGMA" if has("foreign_key_check") => self.finding(
                start,
                Risk::Advice,
                "nobody reads the rows of this check; the runner makes its own".to_owned(),
            ),
            _ => {}
        }
    }

    /// A copy with a WHERE or a JOIN takes some rows and leaves others, and says so.
    fn selection(&mut self, statement: &Statement<'_>) {
        let has = |word: &str| statement.tokens.iter().any(|token| token.is(word));
        if !has("INSERT") && !has("REPLACE") || !has("SELECT") || !(has("WHERE") || has("JOIN")) {
            return;
        }
        for table in names_after(statement, &["FROM", "JOIN"]) {
            let original = self.moved.get(&table).cloned().unwrap_or(table);
            if !self.created.contains(&original) || self.gone.contains_key(&original) {
                self.finding(
                    statement.start,
                    Risk::Destructive,
                    format!("copies some of the rows of {original}"),
                );
            }
            self.reading.selected_from.insert(original);
        }
    }

    fn create(&mut self, statement: &Statement<'_>) {
        let kind = statement.tokens.iter().skip(1).find(|token| {
            ["TABLE", "INDEX", "VIEW", "TRIGGER"]
                .iter()
                .any(|word| token.is(word))
        });
        let Some(kind) = kind else { return };
        let name = name_after(statement, &[kind.text]).unwrap_or_default();
        if kind.is("TABLE") {
            if self.gone.remove(&name).is_some() {
                self.rebuilt.insert(name.clone(), statement.start);
            }
            self.created.insert(name);
            let serial = statement.tokens.iter().find(|token| {
                ["SERIAL", "BIGSERIAL", "AUTO_INCREMENT"]
                    .iter()
                    .any(|word| token.is(word))
            });
            if let Some(token) = serial {
                self.finding(
                    token.start,
                    Risk::Advice,
                    format!(
                        "{} means nothing to SQLite; INTEGER PRIMARY KEY numbers by itself",
                        token.text
                    ),
                );
            }
        } else if kind.is("VIEW") {
            self.views.remove(&name);
        } else if kind.is("INDEX") {
            let table = name_after(statement, &["ON"]).unwrap_or_default();
            if !self.created.contains(&table) {
                if statement.word(1, "UNIQUE") {
                    self.finding(
                        statement.start,
                        Risk::Breaking,
                        format!(
                            "a duplicate in {table} that the previous release may write now fails"
                        ),
                    );
                }
                self.finding(
                    statement.start,
                    Risk::Slow,
                    format!("reads the whole of {table} under the lock"),
                );
            }
        }
    }

    fn drop(&mut self, statement: &Statement<'_>) {
        let name =
            name_after(statement, &["TABLE", "VIEW", "INDEX", "TRIGGER"]).unwrap_or_default();
        if statement.word(1, "TABLE") {
            self.reading.changes_rows = true;
            // `IF EXISTS` before a table is made only clears the way; whether it was there, the rows will tell.
            if !self.created.remove(&name) {
                self.gone.insert(name, (statement.start, "drops"));
            }
        } else if statement.word(1, "VIEW") {
            self.views.insert(name, (statement.start, "drops the view"));
        } else if statement.word(1, "INDEX") {
            self.finding(statement.start, Risk::Advice, format!("INDEXED BY {name}, or ON CONFLICT if it is unique, fails in the previous release"));
        }
    }

    fn alter(&mut self, statement: &Statement<'_>) {
        let table = name_after(statement, &["TABLE"]).unwrap_or_default();
        let has = |words: &[&str]| {
            statement
                .tokens
                .windows(words.len())
                .any(|window| window.iter().zip(words).all(|(token, word)| token.is(word)))
        };
        let existing = !self.created.contains(&table);
        if has(&["RENAME", "TO"]) {
            let new = name_after(statement, &["TO"]).unwrap_or_default();
            if self.gone.remove(&new).is_some() {
                self.rebuilt.insert(new.clone(), statement.start);
            }
            if self.created.remove(&table) {
                self.created.insert(new);
            } else {
                self.moved.insert(new.clone(), table.clone());
                self.gone.insert(table, (statement.start, "renames"));
                // What is dropped under the new name later is no loss of a table of that name.
                self.created.insert(new);
            }
        } else if !existing {
            // Nobody has used it yet.
        } else if has(&["RENAME"])
            || has(&["DROP", "COLUMN"])
            || (has(&["DROP"]) && !has(&["NOT", "NULL"]) && !has(&["DROP", "CONSTRAINT"]))
        {
            let verb = if has(&["RENAME"]) { "renames" } else { "drops" };
            self.finding(
                statement.start,
                Risk::Breaking,
                format!("{verb} a column of {table}, which the previous release may still use"),
            );
        } else if has(&["SET", "NOT", "NULL"])
            || has(&["ADD", "CONSTRAINT"])
            || has(&["ADD", "CHECK"])
        {
            self.finding(
                statement.start,
                Risk::Breaking,
                format!("rows that the previous release may write to {table} now fail"),
            );
        }
    }
}

/// The names after every occurrence of the keywords.
fn names_after(statement: &Statement<'_>, keywords: &[&str]) -> Vec<String> {
    let is_keyword = |token: &Token<'_>| keywords.iter().any(|keyword| token.is(keyword));
    let positions = statement.tokens.iter().enumerate();
    positions
        .filter(|(_, token)| is_keyword(token))
        .filter_map(|(at, _)| name_at(statement, at + 1))
        .collect()
}

/// The lower-case name that follows one of the keywords.
fn name_after(statement: &Statement<'_>, keywords: &[&str]) -> Option<String> {
    let is_keyword = |token: &Token<'_>| keywords.iter().any(|keyword| token.is(keyword));
    let at = statement.tokens.iter().position(is_keyword)?;
    name_at(statement, at + 1)
}

/// Words that may stand between a keyword and the name it is about.
const BETWEEN: [&str; 9] = [
    "IF", "NOT", "EXISTS", "OR", "ABORT", "FAIL", "IGNORE", "REPLACE", "ROLLBACK",
];

/// The lower-case name at an index, without its schema and without IF [NOT] EXISTS.
fn name_at(statement: &Statement<'_>, at: usize) -> Option<String> {
    let skipped = |token: &&Token<'_>| BETWEEN.iter().any(|word| token.is(word));
    let mut rest = statement.tokens.get(at..)?.iter().skip_while(skipped);
    let mut name = rest.next()?;
    let next = rest.clone().next();
    if next.is_some_and(|token| token.kind == TokenKind::Other && token.text == ".") {
        name = rest.nth(1)?;
    }
    Some(name.name().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MigrationFile;

    fn lint(sql: &str) -> String {
        let file = MigrationFile::new("a.sql", sql);
        let prepared = crate::check::prepare(&file, false).expect("a valid file");
        let reading = read(&prepared);
        let mut lines: Vec<String> = reading
            .findings
            .iter()
            .map(|finding| {
                format!(
                    "{}:{} {:?} {}",
                    finding.line, finding.column, finding.risk, finding.message
                )
            })
            .collect();
        lines.extend(
            reading
                .rebuilt
                .iter()
                .map(|table| format!("rebuilt {table}")),
        );
        lines.join("\n")
    }

    #[test]
    fn what_only_adds_is_safe() {
        assert_eq!(
            lint(
                "CREATE TABLE a (x); CREATE UNIQUE INDEX i ON a (x); ALTER TABLE b ADD COLUMN y DEFAULT 1; CREATE VIEW v AS SELECT 1; INSERT INTO a VALUES (1);"
            ),
            ""
        );
        assert_eq!(
            lint(
                "CREATE TABLE t (x); INSERT INTO t SELECT 1; DROP TABLE t; UPDATE b SET x = 1 WHERE y = 2; DROP TRIGGER IF EXISTS r;"
            ),
            ""
        );
        assert_eq!(lint("DROP VIEW v; CREATE VIEW v AS SELECT 2;"), "");
    }

    #[test]
    fn what_the_previous_release_may_still_use_is_breaking() {
        insta::assert_snapshot!(lint("DROP TABLE IF EXISTS main.[a];\nALTER TABLE b DROP COLUMN c;\nALTER TABLE b RENAME c TO d;\nALTER TABLE b RENAME TO e;\nDROP VIEW v;\nCREATE UNIQUE INDEX i ON c (x);\nALTER TABLE c ALTER COLUMN x SET NOT NULL;"), @r"
        1:1 Breaking drops a, which the previous release may still use
        2:1 Breaking drops a column of b, which the previous release may still use
        3:1 Breaking renames a column of b, which the previous release may still use
        4:1 Breaking renames b, which the previous release may still use
        5:1 Breaking drops the view v, which the previous release may still use
        6:1 Breaking a duplicate in c that the previous release may write now fails
        6:1 Slow reads the whole of c under the lock
        7:1 Breaking rows that the previous release may write to c now fail
        ");
    }

    #[test]
    fn rebuilds_are_recognised_in_both_orders() {
        insta::assert_snapshot!(lint("CREATE TABLE new_a (x);\nINSERT INTO new_a SELECT x FROM a;\nDROP TABLE a;\nALTER TABLE new_a RENAME TO a;"), @r"
        4:1 Slow rebuilds a: every row is copied under the lock
        rebuilt a
        ");
        insta::assert_snapshot!(lint("DROP TABLE IF EXISTS _old;\nALTER TABLE a RENAME TO _old;\nCREATE TABLE a (x);\nINSERT INTO a SELECT x FROM _old;\nDROP TABLE _old;"), @r"
        3:1 Slow rebuilds a: every row is copied under the lock
        rebuilt a
        ");
    }

    #[test]
    fn rows_without_a_where_are_destructive() {
        insta::assert_snapshot!(lint("DELETE FROM a;\nUPDATE a SET x = 1;\nDELETE FROM a WHERE x = 1;\nPRAGMA foreign_key_check;\nCREATE TABLE s (id SERIAL);"), @r"
        1:1 Destructive DELETE without WHERE removes every row
        2:1 Destructive UPDATE without WHERE overwrites every row
        4:1 Advice nobody reads the rows of this check; the runner makes its own
        5:20 Advice SERIAL means nothing to SQLite; INTEGER PRIMARY KEY numbers by itself
        ");
    }
}
