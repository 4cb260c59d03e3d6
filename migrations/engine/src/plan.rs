//! Compares the files with the history: what is pending, and everything that makes the answer untrustworthy.

use crate::error::{Changed, Error, Gone};
use crate::history::{HistoryRow, Kind};
use crate::source::MigrationFile;
use std::collections::{BTreeMap, BTreeSet};

/// The outcome, by index into the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) pending: Vec<usize>,
    /// Names that only the history has, all of them after everything known.
    pub(crate) newer: Vec<String>,
    /// Applied files whose row has no checksum yet: row id and index.
    pub(crate) unhashed: Vec<(i64, usize)>,
    pub(crate) notes: Vec<String>,
}

/// Compares, or names what is wrong: doubled rows, an unfinished file, edited, missing and out-of-order files.
pub(crate) fn compare(
    files: &[MigrationFile],
    history: &[HistoryRow],
    allow_newer: bool,
) -> Result<Comparison, Error> {
    let mut rows: BTreeMap<&str, &HistoryRow> = BTreeMap::new();
    let mut doubled = BTreeSet::new();
    for row in history {
        if rows.insert(&row.filename, row).is_some() {
            doubled.insert(row.filename.clone());
        }
    }
    if !doubled.is_empty() {
        return Err(Error::Duplicate {
            files: doubled.into_iter().collect(),
        });
    }
    if let Some(row) = history.iter().find(|row| row.kind == Kind::Unfinished) {
        return Err(Error::Unfinished {
            file: row.filename.clone(),
            message: "it began at ".to_owned()
                + row.executed_at.as_deref().unwrap_or("an unknown time")
                + " and never ended",
            backup: None,
        });
    }
    let mut comparison = Comparison::default();
    let mut edited = Vec::new();
    let mut last_known: Option<(i64, usize)> = None;
    for (index, file) in files.iter().enumerate() {
        let Some(row) = rows.remove(file.name.as_str()) else {
            comparison.pending.push(index);
            continue;
        };
        last_known = Some((last_known.map_or(row.id, |(id, _)| id.max(row.id)), index));
        match &row.checksum {
            None => comparison.unhashed.push((row.id, index)),
            Some(checksum) if *checksum != file.checksum() => edited.push(Changed {
                file: file.name.clone(),
                applied: checksum.clone(),
                now: file.checksum(),
            }),
            Some(_)
                if row
                    .raw_checksum
                    .as_ref()
                    .is_some_and(|raw| *raw != file.raw_checksum()) =>
            {
                comparison.notes.push(format!(
                    "{} differs from what was applied in line ends or byte order mark only",
                    file.name
                ));
            }
            Some(_) => {}
        }
    }
    if !edited.is_empty() {
        return Err(Error::Edited { files: edited });
    }
    let mut unknown: Vec<&HistoryRow> = rows
        .into_values()
        .filter(|row| row.kind != Kind::Retired)
        .collect();
    unknown.sort_by_key(|row| row.id);
    let pending = comparison
        .pending
        .iter()
        .filter_map(|index| files.get(*index));
    comparison.newer = newer(
        &unknown,
        last_known.map(|(id, _)| id),
        allow_newer,
        &pending.collect::<Vec<_>>(),
    )?;
    if let (Some(first), Some((_, last))) = (comparison.pending.first(), last_known)
        && *first < last
        && let (Some(pending), Some(after)) = (files.get(*first), files.get(last))
    {
        return Err(Error::OutOfOrder {
            file: pending.name.clone(),
            after: after.name.clone(),
        });
    }
    Ok(comparison)
}

/// Rows without a file are a newer release's, when that may be and they come after all others and nothing is pending;
/// otherwise files are missing.
fn newer(
    unknown: &[&HistoryRow],
    last_known_id: Option<i64>,
    allow_newer: bool,
    pending: &[&MigrationFile],
) -> Result<Vec<String>, Error> {
    let names = |rows: &mut dyn Iterator<Item = &&HistoryRow>| {
        rows.map(|row| row.filename.clone()).collect::<Vec<_>>()
    };
    if unknown.is_empty() {
        return Ok(Vec::new());
    }
    let after_all = pending.is_empty()
        && unknown
            .iter()
            .all(|row| last_known_id.is_none_or(|last| row.id > last));
    if !allow_newer || !after_all {
        return Err(Error::Missing {
            files: unknown.iter().map(|row| gone(row, pending)).collect(),
        });
    }
    let breaking = names(&mut unknown.iter().filter(|row| !row.compatible));
    if breaking.is_empty() {
        Ok(names(&mut unknown.iter()))
    } else {
        Err(Error::Newer { files: breaking })
    }
}

fn gone(row: &HistoryRow, pending: &[&MigrationFile]) -> Gone {
    let same = |file: &&&MigrationFile| row.checksum.as_ref() == Some(&file.checksum());
    Gone {
        file: row.filename.clone(),
        applied: row.checksum.clone(),
        renamed_to: pending.iter().find(same).map(|file| file.name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<MigrationFile> {
        names
            .iter()
            .map(|name| MigrationFile::new(*name, format!("SELECT '{name}';\n")))
            .collect()
    }

    fn row(id: i64, file: &MigrationFile) -> HistoryRow {
        HistoryRow {
            id,
            filename: file.name.clone(),
            executed_at: None,
            checksum: Some(file.checksum()),
            raw_checksum: Some(file.raw_checksum()),
            compatible: true,
            duration_ms: None,
            statements: None,
            sqlite_version: None,
            tool_version: None,
            git_commit: None,
            kind: Kind::Apply,
        }
    }

    fn outcome(files: &[MigrationFile], history: &[HistoryRow], allow_newer: bool) -> String {
        match compare(files, history, allow_newer) {
            Ok(comparison) => format!(
                "pending {:?} newer {:?} notes {}",
                comparison.pending,
                comparison.newer,
                comparison.notes.len()
            ),
            Err(error) => error.message(),
        }
    }

    #[test]
    fn the_rest_is_pending() {
        let all = files(&["1", "2", "3"]);
        assert_eq!(
            outcome(&all, &[], false),
            "pending [0, 1, 2] newer [] notes 0"
        );
        assert_eq!(
            outcome(&all, &[row(1, &all[0])], false),
            "pending [1, 2] newer [] notes 0"
        );
    }

    #[test]
    fn a_changed_past_is_an_error() {
        let all = files(&["1", "2", "3"]);
        let history = [row(1, &all[0]), row(2, &all[1])];
        let mut edited = all.clone();
        edited[0].text = b"SELECT 9;".to_vec();
        insta::assert_snapshot!(
            outcome(&edited, &history, false),
            @r"
        changed after being applied: 1 (applied with sha256 fc45dae67fd60b4823ede67d18deb8a63d1ec0beacd709131b4bcb8920d9e756, is now 38e1eb3c85551e61fcc4826554d567d9cb0b18833dca7ee119edfa974617a5fd)
        "
        );
        insta::assert_snapshot!(
            outcome(&all[1..], &history, true),
            @r"
        applied to this database, but missing from the folder: 1 (applied with sha256 fc45dae67fd60b4823ede67d18deb8a63d1ec0beacd709131b4bcb8920d9e756)
        "
        );
        assert_eq!(
            outcome(&all, &[row(1, &all[0]), row(2, &all[2])], false),
            "2 is not applied, but 3, which comes after it, is"
        );
        assert_eq!(
            outcome(&all, &[row(1, &all[0]), row(2, &all[0])], false),
            "recorded more than once in the history: 1"
        );
    }

    #[test]
    fn line_ends_are_only_a_note() {
        let mut all = files(&["1"]);
        let history = [row(1, &all[0])];
        all[0].text = b"SELECT '1';\r\n".to_vec();
        assert_eq!(
            outcome(&all, &history, false),
            "pending [] newer [] notes 1"
        );
    }

    #[test]
    fn an_older_release_accepts_newer_rows_that_are_compatible() {
        let all = files(&["1", "2", "3"]);
        let mut history = [row(1, &all[0]), row(2, &all[1]), row(3, &all[2])];
        assert_eq!(
            outcome(&all[..1], &history, true),
            "pending [] newer [\"2\", \"3\"] notes 0"
        );
        assert!(
            outcome(&all[..1], &history, false)
                .starts_with("applied to this database, but missing from the folder: 2 (")
        );
        history[2].compatible = false;
        assert_eq!(
            outcome(&all[..1], &history, true),
            "the database is newer than this release, and not compatible with it: 3"
        );
    }
}
