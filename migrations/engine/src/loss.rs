//! Which tables may have fewer rows after a file than before it: those that a DELETE was about, followed through copies
//! and renames. All others have lost rows that nobody said should go.

use crate::lexer::Statement;
use crate::lint;
use crate::rows::Counts;
use std::collections::{BTreeMap, BTreeSet};

/// Follows the tables through the statements of one file. Names are in lower case.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// Tables of which rows were deleted in so many words, or filled from such a table.
    deleted: BTreeSet<String>,
    /// Tables whose rows may be others than before.
    touched: BTreeSet<String>,
    /// Where a table of before is now, if it was renamed; none when it was dropped.
    now: BTreeMap<String, Option<String>>,
}

/// A table that has lost rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) table: String,
    pub(crate) before: u64,
    pub(crate) after: u64,
}

impl Trail {
    /// One statement has run. `deletes` are the tables that it deleted from, its triggers included.
    pub(crate) fn follow(&mut self, statement: &Statement<'_>, deletes: Vec<String>) {
        self.deleted.extend(deletes);
        let name = |keyword: &str| lint::name_after(statement, &[keyword]);
        if statement.word(0, "ALTER") && statement.has_row(&["RENAME", "TO"]) {
            if let (Some(old), Some(new)) = (name("TABLE"), name("TO")) {
                self.rename(&old, new);
            }
        } else if statement.word(0, "DROP") && statement.word(1, "TABLE") {
            if let Some(table) = name("TABLE") {
                self.drop(table);
            }
        } else if let Some(copied) = lint::copied(statement)
            && copied
                .sources
                .iter()
                .any(|source| self.deleted.contains(source))
        {
            let into = if statement.word(0, "CREATE") {
                "TABLE"
            } else {
                "INTO"
            };
            self.deleted.extend(name(into));
        }
    }

    /// One statement has run that may have changed these tables. ALTER TABLE changes no number of rows, but may give them
    /// another name.
    pub(crate) fn touch(&mut self, statement: &Statement<'_>, tables: Vec<String>) {
        if !statement.word(0, "ALTER") {
            let own = tables
                .into_iter()
                .filter(|table| !table.starts_with("sqlite_"));
            self.touched.extend(own);
        } else if statement.has_row(&["RENAME", "TO"]) {
            self.touched.extend(lint::name_after(statement, &["TABLE"]));
            self.touched.extend(lint::name_after(statement, &["TO"]));
        }
    }

    /// May the number of rows of this table be another than before?
    pub(crate) fn touched(&self, table: &str) -> bool {
        self.touched.contains(&table.to_lowercase())
    }

    /// The tables of which it may, in lower case.
    pub(crate) fn touched_names(&self) -> impl Iterator<Item = &str> {
        self.touched.iter().map(String::as_str)
    }

    /// May that of any?
    pub(crate) fn touched_any(&self) -> bool {
        !self.touched.is_empty()
    }

    fn rename(&mut self, old: &str, new: String) {
        if self.deleted.remove(old) {
            self.deleted.insert(new.clone());
        }
        match self.moved_to(old) {
            Some(place) => *place = Some(new),
            // A table that was dropped and made anew is not the one of before.
            None => {
                self.now.entry(old.to_owned()).or_insert(Some(new));
            }
        }
    }

    /// The entry of a table of before that has this name now.
    fn moved_to(&mut self, name: &str) -> Option<&mut Option<String>> {
        let mut places = self.now.values_mut();
        places.find(|place| place.as_deref() == Some(name))
    }

    fn drop(&mut self, table: String) {
        match self.moved_to(&table) {
            Some(place) => *place = None,
            None => {
                self.now.entry(table).or_insert(None);
            }
        }
    }

    /// Tables with fewer rows than before whose rows are nowhere else, and of which nobody deleted any. A table that is
    /// gone altogether was dropped by name.
    pub(crate) fn lost(&self, before: &Counts, after: &Counts) -> Vec<Lost> {
        let count = |name: &str| {
            let found = after
                .iter()
                .find(|(table, _)| table.eq_ignore_ascii_case(name));
            found.map(|(_, rows)| *rows)
        };
        let mut lost = Vec::new();
        for (table, rows) in before {
            let key = table.to_lowercase();
            let place = self.now.get(&key).and_then(Option::as_deref);
            let elsewhere = place.and_then(count);
            let Some(left) = count(table).max(elsewhere) else {
                continue;
            };
            let said = self.deleted.contains(&key)
                || place.is_some_and(|place| self.deleted.contains(place));
            if left < *rows && !said {
                lost.push(Lost {
                    table: table.clone(),
                    before: *rows,
                    after: left,
                });
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer;

    /// Follows a file; DELETE statements name their table themselves here, elsewhere SQLite does.
    fn lost(sql: &str, before: &[(&str, u64)], after: &[(&str, u64)]) -> String {
        let counts = |pairs: &[(&str, u64)]| {
            let pairs = pairs.iter().map(|(name, rows)| ((*name).to_owned(), *rows));
            pairs.collect::<Counts>()
        };
        let mut trail = Trail::default();
        for statement in lexer::statements(sql).expect("closed") {
            let deletes = statement
                .word(0, "DELETE")
                .then(|| lint::name_after(&statement, &["FROM"]).expect("a table"));
            trail.follow(&statement, deletes.into_iter().collect());
        }
        let lost = trail.lost(&counts(before), &counts(after));
        lost.iter()
            .map(|lost| format!("{} {} -> {}", lost.table, lost.before, lost.after))
            .collect::<Vec<_>>()
            .join(", ")
    }

    const REBUILD: &str = "CREATE TABLE n (x); INSERT INTO n SELECT x FROM a; DROP TABLE a; ALTER TABLE n RENAME TO a;";

    #[test]
    fn a_delete_excuses_its_own_table_only() {
        let (before, after) = ([("A", 3), ("b", 2)], [("A", 1), ("b", 2)]);
        assert_eq!(lost("SELECT 1", &before, &after), "A 3 -> 1");
        assert_eq!(lost("DELETE FROM a WHERE x", &before, &after), "");
        assert_eq!(lost("DELETE FROM b WHERE x", &before, &after), "A 3 -> 1");
    }

    #[test]
    fn what_was_deleted_is_followed_through_copies_and_renames() {
        let (before, after) = ([("a", 3)], [("a", 1)]);
        assert_eq!(lost(REBUILD, &before, &after), "a 3 -> 1");
        for file in [
            &format!("DELETE FROM a WHERE x = 1; {REBUILD}"),
            "CREATE TABLE n (x); INSERT INTO n SELECT x FROM a; DELETE FROM n WHERE x = 1; DROP TABLE a; ALTER TABLE n RENAME TO a;",
            "CREATE TEMP TABLE k AS SELECT * FROM a; DELETE FROM k WHERE x; DROP TABLE a; CREATE TABLE a (x); INSERT INTO a SELECT * FROM k;",
            "ALTER TABLE a RENAME TO old; DELETE FROM old WHERE x; CREATE TABLE a (x); INSERT INTO a SELECT * FROM old; DROP TABLE old;",
        ] {
            assert_eq!(lost(file, &before, &after), "", "{file}");
        }
    }

    #[test]
    fn rows_under_another_name_are_not_lost() {
        let aside = "ALTER TABLE a RENAME TO kept; CREATE TABLE a (x);";
        assert_eq!(lost(aside, &[("a", 3)], &[("a", 0), ("kept", 3)]), "");
        // A new table of the same size is no place where rows went.
        let unrelated = format!("CREATE TABLE other (x); {REBUILD}");
        assert_eq!(
            lost(&unrelated, &[("a", 3)], &[("a", 1), ("other", 3)]),
            "a 3 -> 1"
        );
        assert_eq!(lost("DROP TABLE a", &[("a", 3)], &[]), "");
        assert_eq!(
            lost("DROP TABLE a; CREATE TABLE a (x)", &[("a", 3)], &[("a", 0)]),
            "a 3 -> 0"
        );
    }
}
