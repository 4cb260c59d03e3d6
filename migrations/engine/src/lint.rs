//! Says of each statement what it means for the release before it, for rows and for time.
//!
//! The text alone says most of it. What it cannot say, whether a rebuilt table keeps its columns, is answered by
//! comparing the table before and after the file has run.

use crate::check::Prepared;
use crate::lexer::{Statement, Token, TokenKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a statement risks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

impl Risk {
    /// As it is printed and written into JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Breaking => "breaking",
            Self::Destructive => "destructive",
            Self::Slow => "slow",
            Self::Advice => "advice",
        }
    }
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
    /// The table or view it is about, in lower case, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// How many rows that table had, where it was tried on a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Statements that do it better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
}

impl Finding {
    /// About a file as a whole.
    pub(crate) fn at_start(table: &str, risk: Risk, message: String) -> Self {
        Self {
            line: 1,
            column: 1,
            risk,
            message,
            table: Some(table.to_owned()),
            rows: None,
            instead: None,
        }
    }
}

/// What the text of a file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) findings: Vec<Finding>,
    /// Tables and views that were there before, are dropped or renamed away, and are there again at the end.
    pub(crate) rebuilt: BTreeSet<String>,
    /// Of these tables, those whose rows are copied as they are: column by column, all of them.
    pub(crate) copied_plainly: BTreeSet<String>,
    /// Tables that are dropped or renamed away. `IF EXISTS` may drop what never was.
    pub(crate) gone: BTreeSet<String>,
    /// Tables of which it copies a selection, with the place and the word that selects.
    pub(crate) selections: BTreeMap<String, (usize, &'static str)>,
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
        copies: BTreeMap::new(),
        line_at: (0, 1),
    };
    for statement in file.statements() {
        reader.statement(&statement);
    }
    reader.conclude();
    let mut reading = reader.reading;
    reading
        .findings
        .sort_by_key(|finding| (finding.line, finding.column));
    reading
}

impl Reading {
    /// The findings, without those about tables that were not there, and with what is known of those that were.
    pub(crate) fn findings_where(
        &self,
        existed: impl Fn(&str) -> bool,
        rows: impl Fn(&str) -> Option<u64>,
    ) -> Vec<Finding> {
        let about =
            |finding: &Finding, is: &dyn Fn(&str) -> bool| finding.table.as_deref().is_some_and(is);
        let absent = |table: &str| self.gone.contains(table) && !existed(table);
        self.findings
            .iter()
            .filter(|finding| finding.risk == Risk::Advice || !about(finding, &absent))
            .map(|finding| Finding {
                rows: finding.table.as_deref().and_then(&rows),
                ..finding.clone()
            })
            .collect()
    }
}

/// The risks of a file by name; `safe` when there is none.
pub(crate) fn verdict(findings: &[Finding]) -> Vec<String> {
    let risks: BTreeSet<Risk> = findings
        .iter()
        .map(|finding| finding.risk)
        .filter(|risk| *risk != Risk::Advice)
        .collect();
    if risks.is_empty() {
        return vec!["safe".to_owned()];
    }
    risks
        .into_iter()
        .map(|risk| risk.name().to_owned())
        .collect()
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
    /// Tables that rows are copied from, and whether all of them are copied as they are.
    copies: BTreeMap<String, bool>,
    /// A byte offset and the line it is in.
    line_at: (usize, usize),
}

impl Reader<'_, '_> {
    /// Adds a finding about the statement or name at `start`.
    fn find(&mut self, start: usize, finding: Finding) {
        let (line, column) = self.place(start);
        self.reading.findings.push(Finding {
            line,
            column,
            ..finding
        });
    }

    /// Line and column. Lines are counted on from the last place: from the start of the file each time, a large file with
    /// many findings would take forever.
    fn place(&mut self, start: usize) -> (usize, usize) {
        let text = self.file.text;
        let (from, line) = Some(self.line_at)
            .filter(|(from, _)| *from <= start)
            .unwrap_or((0, 1));
        let between = text.get(from..start).unwrap_or_default();
        let line = line + between.bytes().filter(|byte| *byte == b'\n').count();
        self.line_at = (start, line);
        let before = text.get(..start).unwrap_or_default();
        let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(begin..).unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// What only the whole file tells: which tables are gone for good, and which came back.
    fn conclude(&mut self) {
        let (gone, views, rebuilt) = (
            std::mem::take(&mut self.gone),
            std::mem::take(&mut self.views),
            std::mem::take(&mut self.rebuilt),
        );
        for (name, (start, how)) in gone.iter().chain(&views) {
            let new = self.moved.iter().find(|(_, from)| *from == name);
            let instead = new.map(|(new, _)| format!("CREATE VIEW {new} AS SELECT * FROM {name};"));
            let message = format!("{how} {name}, which the previous release may still use");
            self.find(
                *start,
                Finding {
                    instead,
                    ..Finding::at_start(name, Risk::Breaking, message)
                },
            );
        }
        for (name, (start, _)) in gone.iter().filter(|(_, (_, how))| *how == "drops") {
            let message = format!("drops {name} with its rows");
            self.find(*start, Finding::at_start(name, Risk::Destructive, message));
        }
        self.reading.gone.extend(gone.into_keys());
        for (table, start) in rebuilt {
            // What was only made to be dropped again is no rebuilt table.
            if !self.created.contains(&table) {
                continue;
            }
            let message = format!("rebuilds {table}: every row is copied under the lock");
            self.find(start, Finding::at_start(&table, Risk::Slow, message));
            if self.copies.get(&table) == Some(&true) {
                self.reading.copied_plainly.insert(table.clone());
            }
            self.reading.rebuilt.insert(table);
        }
    }

    fn statement(&mut self, statement: &Statement<'_>) {
        let Some(first) = statement.tokens.first() else {
            return;
        };
        match first.text.to_ascii_uppercase().as_str() {
            "CREATE" => self.create(statement),
            "DROP" => self.drop(statement),
            "ALTER" => self.alter(statement),
            "DELETE" | "UPDATE" | "INSERT" | "REPLACE" | "WITH" => {
                self.copy(statement);
                self.every_row(statement);
            }
            "PRAGMA" if statement.has("foreign_key_check") => self.find(
                statement.start,
                Finding {
                    table: None,
                    ..Finding::at_start(
                        "",
                        Risk::Advice,
                        "nobody reads the rows of this check; the runner makes its own".to_owned(),
                    )
                },
            ),
            _ => {}
        }
    }

    /// DELETE and UPDATE of a table that was there before.
    fn every_row(&mut self, statement: &Statement<'_>) {
        let Some(table) = name_after(statement, &["FROM", "UPDATE"]) else {
            return;
        };
        if self.created.contains(&table) || statement.has("WHERE") || statement.has("LIMIT") {
            return;
        }
        let message = if statement.word(0, "DELETE") {
            "DELETE without WHERE removes every row"
        } else if statement.word(0, "UPDATE") {
            "UPDATE without WHERE overwrites every row"
        } else {
            return;
        };
        self.find(
            statement.start,
            Finding::at_start(&table, Risk::Destructive, message.to_owned()),
        );
    }

    /// INSERT … SELECT, and CREATE TABLE … AS SELECT: do all rows come along, as they are?
    fn copy(&mut self, statement: &Statement<'_>) {
        let Some(Copied { sources, selects }) = copied(statement) else {
            return;
        };
        for table in sources {
            let original = self.moved.get(&table).cloned().unwrap_or(table);
            let plain = selects.is_none() && is_plain(statement);
            self.copies
                .entry(original.clone())
                .and_modify(|all| *all &= plain)
                .or_insert(plain);
            let Some(word) = selects else { continue };
            if !self.created.contains(&original) || self.gone.contains_key(&original) {
                let message = format!("copies some of the rows of {original}");
                self.find(
                    statement.start,
                    Finding::at_start(&original, Risk::Destructive, message),
                );
            }
            let known = self.reading.selections.get(&original);
            if known.is_none_or(|(_, known)| *known == WHERE) {
                self.reading
                    .selections
                    .insert(original, (statement.start, word));
            }
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
            self.copy(statement);
            if self.gone.remove(&name).is_some() {
                self.rebuilt.insert(name.clone(), statement.start);
            }
            let foreign = ["SERIAL", "BIGSERIAL", "AUTO_INCREMENT"];
            let foreign = |token: &&Token<'_>| foreign.iter().any(|word| token.is(word));
            if let Some(token) = statement.tokens.iter().find(foreign) {
                let message = format!(
                    "{} means nothing to SQLite; INTEGER PRIMARY KEY numbers by itself",
                    token.text
                );
                self.find(token.start, Finding::at_start(&name, Risk::Advice, message));
            }
            self.created.insert(name);
        } else if kind.is("VIEW") {
            if self.views.remove(&name).is_some() {
                self.reading.rebuilt.insert(name);
            }
        } else if kind.is("INDEX") {
            let table = name_after(statement, &["ON"]).unwrap_or_default();
            if self.created.contains(&table) {
                return;
            }
            if statement.word(1, "UNIQUE") {
                let message =
                    format!("a duplicate in {table} that the previous release may write now fails");
                self.find(
                    statement.start,
                    Finding::at_start(&table, Risk::Breaking, message),
                );
            }
            let message = format!("reads the whole of {table} under the lock");
            self.find(
                statement.start,
                Finding::at_start(&table, Risk::Slow, message),
            );
        }
    }

    fn drop(&mut self, statement: &Statement<'_>) {
        let name =
            name_after(statement, &["TABLE", "VIEW", "INDEX", "TRIGGER"]).unwrap_or_default();
        if statement.word(1, "TABLE") {
            // `IF EXISTS` before a table is made only clears the way; whether it was there, the rows will tell.
            if !self.created.remove(&name) {
                self.gone.insert(name, (statement.start, "drops"));
            } else if let Some(original) = self.moved.remove(&name)
                && let Some(gone) = self.gone.get_mut(&original)
            {
                *gone = (statement.start, "drops");
            }
        } else if statement.word(1, "VIEW") {
            self.views.insert(name, (statement.start, "drops the view"));
        } else if statement.word(1, "INDEX") {
            let message = format!(
                "INDEXED BY {name}, or ON CONFLICT if it is unique, fails in the previous release"
            );
            self.find(
                statement.start,
                Finding {
                    table: None,
                    ..Finding::at_start("", Risk::Advice, message)
                },
            );
        }
    }

    fn alter(&mut self, statement: &Statement<'_>) {
        let table = name_after(statement, &["TABLE"]).unwrap_or_default();
        let has = |words: &[&str]| statement.has_row(words);
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
            return;
        }
        // Otherwise nobody has used it yet.
        if !existing {
            return;
        }
        let drops_column =
            has(&["DROP"]) && !has(&["NOT", "NULL"]) && !has(&["DROP", "CONSTRAINT"]);
        if has(&["RENAME"]) || drops_column {
            let verb = if has(&["RENAME"]) { "renames" } else { "drops" };
            let message =
                format!("{verb} a column of {table}, which the previous release may still use");
            let instead = has(&["RENAME"])
                .then(|| renamed_column(statement, &table))
                .flatten();
            self.find(
                statement.start,
                Finding {
                    instead,
                    ..Finding::at_start(&table, Risk::Breaking, message)
                },
            );
            if drops_column {
                let message = format!("throws away what is in a column of {table}");
                self.find(
                    statement.start,
                    Finding::at_start(&table, Risk::Destructive, message),
                );
            }
        } else if has(&["SET", "NOT", "NULL"])
            || has(&["ADD", "CONSTRAINT"])
            || has(&["ADD", "CHECK"])
        {
            let message = format!("rows that the previous release may write to {table} now fail");
            self.find(
                statement.start,
                Finding::at_start(&table, Risk::Breaking, message),
            );
            let message = format!("reads the whole of {table} under the lock");
            self.find(
                statement.start,
                Finding::at_start(&table, Risk::Slow, message),
            );
        }
    }
}

/// The word that says which rows to copy. All others in [`LEAVING_OUT`] leave rows out as a side effect.
pub(crate) const WHERE: &str = "WHERE";
/// Words with which a SELECT or INSERT leaves rows out.
const LEAVING_OUT: [&str; 9] = [
    "JOIN",
    "LIMIT",
    "OFFSET",
    "DISTINCT",
    "GROUP",
    "HAVING",
    "EXCEPT",
    "INTERSECT",
    "IGNORE",
];

/// What a statement copies.
pub(crate) struct Copied {
    /// The tables whose rows it copies, in lower case. What a subquery only looks at is not among them.
    pub(crate) sources: Vec<String>,
    /// The word with which it leaves some out.
    pub(crate) selects: Option<&'static str>,
}

/// None when the statement copies no rows.
pub(crate) fn copied(statement: &Statement<'_>) -> Option<Copied> {
    let inserts = ["INSERT", "REPLACE", "CREATE"];
    let position = |word: &str| statement.tokens.iter().position(|token| token.is(word));
    let select = position("SELECT")?;
    if !inserts.iter().any(|word| statement.has(word))
        || position("VALUES").is_some_and(|values| values < select)
    {
        return None;
    }
    let (mut depth, mut sources) = (0_i64, Vec::new());
    let mut selects = statement.has_row(&["OR", "IGNORE"]).then_some("IGNORE");
    for (at, token) in statement.tokens.iter().enumerate().skip(select) {
        match token.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ if depth > 0 => {}
            _ => {
                if token.is("FROM") || token.is("JOIN") {
                    sources.extend(name_at(statement, at + 1));
                }
                // A left join keeps every row of the table that is copied.
                let keeps = token.is("JOIN")
                    && (statement.word(at.wrapping_sub(1), "LEFT")
                        || statement.word(at.wrapping_sub(1), "OUTER"));
                let word = LEAVING_OUT.iter().find(|word| token.is(word) && !keeps);
                if let Some(word) = word {
                    selects = Some(word);
                } else if token.is(WHERE) {
                    selects = selects.or(Some(WHERE));
                }
            }
        }
    }
    Some(Copied { sources, selects })
}

/// Does a copy name columns only, so that nothing is computed on the way?
fn is_plain(statement: &Statement<'_>) -> bool {
    let position = |word: &str| statement.tokens.iter().position(|token| token.is(word));
    let (Some(select), Some(from)) = (position("SELECT"), position("FROM")) else {
        return false;
    };
    let rest = statement.tokens.get(from..).unwrap_or_default();
    if rest
        .iter()
        .any(|token| token.is("UNION") || token.text == ",")
    {
        return false;
    }
    let list = statement.tokens.get(select + 1..from).unwrap_or_default();
    list.iter().all(|token| match token.kind {
        TokenKind::Word => !token.is("CASE") && !token.is("NULL") && !token.is("AS"),
        TokenKind::QuotedName => true,
        _ => token.text == "," || token.text == "*" || token.text == ".",
    })
}

/// A column renamed without a moment at which one of the two names is missing.
fn renamed_column(statement: &Statement<'_>, table: &str) -> Option<String> {
    let at = statement.tokens.iter().position(|token| token.is("TO"))?;
    let (old, new) = (
        statement.tokens.get(at.checked_sub(1)?)?.text,
        statement.tokens.get(at + 1)?.text,
    );
    Some(format!(
        "ALTER TABLE {table} ADD COLUMN {new}; UPDATE {table} SET {new} = {old};"
    ))
}

/// The lower-case name that follows one of the keywords.
pub(crate) fn name_after(statement: &Statement<'_>, keywords: &[&str]) -> Option<String> {
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
                let instead = finding.instead.as_ref();
                let instead = instead.map_or_else(String::new, |sql| format!(" [{sql}]"));
                format!(
                    "{}:{} {:?} {}{instead}",
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
        assert_eq!(lint("DROP VIEW v; CREATE VIEW v AS SELECT 2;"), "rebuilt v");
    }

    #[test]
    fn what_the_previous_release_may_still_use_is_breaking() {
        insta::assert_snapshot!(lint("DROP TABLE IF EXISTS main.[a];\nALTER TABLE b DROP COLUMN c;\nALTER TABLE b RENAME c TO d;\nALTER TABLE b RENAME TO e;\nDROP VIEW v;\nCREATE UNIQUE INDEX i ON c (x);\nALTER TABLE c ALTER COLUMN x SET NOT NULL;"), @r"
    1:1 Breaking drops a, which the previous release may still use
    1:1 Destructive drops a with its rows
    2:1 Breaking drops a column of b, which the previous release may still use
    2:1 Destructive throws away what is in a column of b
    3:1 Breaking renames a column of b, which the previous release may still use [ALTER TABLE b ADD COLUMN d; UPDATE b SET d = c;]
    4:1 Breaking renames b, which the previous release may still use [CREATE VIEW e AS SELECT * FROM b;]
    5:1 Breaking drops the view v, which the previous release may still use
    6:1 Breaking a duplicate in c that the previous release may write now fails
    6:1 Slow reads the whole of c under the lock
    7:1 Breaking rows that the previous release may write to c now fail
    7:1 Slow reads the whole of c under the lock
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
