//! One answer, two forms: lines for a person, and the JSON document that scripts rely on.

use crate::error::{Error, exit_code};
use crate::lint::Finding;
use crate::report::{
    Baseline, DryRun, FileReport, Lint, Rehearsal, Repair, Report, Restore, Status, Verification,
};
use crate::schema::Schema;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;

/// What a command has to say and with which code it ends.
pub(crate) struct Answer {
    pub(crate) code: u8,
    /// For standard output.
    text: String,
    /// For standard error.
    trouble: String,
    json: Map<String, Value>,
}

impl Answer {
    fn new(outcome: &str, applied: &[String], pending: &[String]) -> Self {
        let mut json = Map::new();
        json.insert("outcome".to_owned(), json!(outcome));
        json.insert("applied".to_owned(), json!(applied));
        json.insert("pending".to_owned(), json!(pending));
        json.insert("backup".to_owned(), Value::Null);
        json.insert("sqlite_version".to_owned(), json!(crate::sqlite_version()));
        Self {
            code: exit_code::DONE,
            text: String::new(),
            trouble: String::new(),
            json,
        }
    }

    /// Nothing was applied; pending decides between the two quiet outcomes.
    fn quiet(pending: &[String]) -> Self {
        Self::new(
            if pending.is_empty() {
                "up_to_date"
            } else {
                "pending"
            },
            &[],
            pending,
        )
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.json.insert(key.to_owned(), value);
        self
    }

    fn line(mut self, line: impl AsRef<str>) -> Self {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
        self
    }

    fn lines(self, lines: impl IntoIterator<Item = String>) -> Self {
        lines
            .into_iter()
            .fold(self, |answer, line| answer.line(line))
    }

    /// Writes it; as JSON the trouble is inside the document and standard error stays empty.
    pub(crate) fn write(
        &self,
        json: bool,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> std::io::Result<()> {
        if json {
            writeln!(out, "{}", Value::Object(self.json.clone()))?;
        } else {
            out.write_all(self.text.as_bytes())?;
            err.write_all(self.trouble.as_bytes())?;
        }
        out.flush()
    }

    pub(crate) fn usage(message: &str) -> Self {
        let mut answer =
            Self::new("refused", &[], &[]).with("error", json!({ "message": message }));
        answer.code = exit_code::USAGE;
        answer.trouble = format!("error: {message}\n");
        answer
    }

    pub(crate) fn failed(error: &Error, applied: &[String], pending: &[String]) -> Self {
        let code = error.exit_code();
        let at = error.location();
        let details = json!({
            "file": error.file(),
            "line": at.map(|at| at.line),
            "column": at.map(|at| at.column),
            "statement": error.statement(),
            "message": error.message(),
            "hint": error.hint(),
        });
        let mut answer = Self::new(
            if code == exit_code::REFUSED {
                "refused"
            } else {
                "failed"
            },
            applied,
            pending,
        )
        .with("error", details);
        if let Error::Unfinished {
            backup: Some(path), ..
        } = error
        {
            answer = answer.with("backup", json!(path));
        }
        answer.code = code;
        answer.trouble = format!("error: {error}\n");
        if !applied.is_empty() {
            let names = applied.join(", ");
            answer.trouble = format!(
                "{}note: these were committed before: {names}\n",
                answer.trouble
            );
        }
        answer
    }

    pub(crate) fn applied(report: &Report) -> Self {
        let names: Vec<String> = report
            .applied
            .iter()
            .map(|file| file.name.clone())
            .collect();
        let outcome = if names.is_empty() {
            "up_to_date"
        } else {
            "applied"
        };
        let answer = Self::new(outcome, &names, &[])
            .with("backup", json!(report.backup))
            .with("files", json!(report.applied))
            .with("rehearsal", json!(report.rehearsal))
            .with("notes", json!(report.notes))
            .with("duration_ms", json!(report.duration_ms))
            .lines(report.notes.iter().map(|note| format!("note: {note}")));
        if names.is_empty() {
            return answer.line("up to date");
        }
        answer
            .lines(report.applied.iter().map(describe))
            .line(format!(
                "applied {} file(s) in {} ms",
                names.len(),
                report.duration_ms
            ))
    }

    pub(crate) fn status(status: &Status) -> Self {
        let names: Vec<String> = status
            .applied
            .iter()
            .map(|row| row.filename.clone())
            .collect();
        let rows = status.applied.iter().map(|row| {
            format!(
                "applied  {}  {}",
                row.executed_at.as_deref().unwrap_or("-"),
                row.filename
            )
        });
        Self::new(
            if status.pending.is_empty() {
                "up_to_date"
            } else {
                "pending"
            },
            &names,
            &status.pending,
        )
        .with("history", json!(status.applied))
        .with("newer", json!(status.newer))
        .with("notes", json!(status.notes))
        .lines(rows)
        .lines(status.pending.iter().map(|name| format!("pending  {name}")))
        .lines(status.notes.iter().map(|note| format!("note: {note}")))
        .line(format!(
            "{} applied, {} pending",
            status.applied.len(),
            status.pending.len()
        ))
    }

    pub(crate) fn dry_run(plan: &DryRun) -> Self {
        let names: Vec<String> = plan.files.iter().map(|file| file.name.clone()).collect();
        let mut answer = Self::quiet(&names)
            .with("files", json!(plan.files))
            .with("rehearsal", json!(plan.rehearsal))
            .with("notes", json!(plan.notes));
        for file in &plan.files {
            answer = answer.line(format!(
                "-- {}{}",
                file.name,
                if file.transaction {
                    ""
                } else {
                    " (outside a transaction)"
                }
            ));
            answer = answer.lines(
                file.statements
                    .iter()
                    .map(|statement| statement.text.clone()),
            );
        }
        answer.line(format!(
            "-- {} file(s) would be applied: they ran on a copy in {} ms; the database was not touched",
            plan.files.len(),
            plan.rehearsal.duration_ms
        ))
    }

    pub(crate) fn rehearsal(rehearsal: &Rehearsal) -> Self {
        let names: Vec<String> = rehearsal
            .files
            .iter()
            .map(|file| file.name.clone())
            .collect();
        let count = |rows: Option<u64>| rows.map_or("-".to_owned(), |rows| rows.to_string());
        let rows = rehearsal.rows.iter().map(|change| {
            format!(
                "rows  {}  {} -> {}",
                change.table,
                count(change.before),
                count(change.after)
            )
        });
        let locks = rehearsal.locks.iter().map(|lock| {
            let (files, held_ms) = (lock.files.len(), lock.held_ms);
            let (readers, how) = (
                if lock.readers_wait {
                    "readers wait during the commit"
                } else {
                    "readers go on"
                },
                if lock.transaction {
                    "in one transaction"
                } else {
                    "statement by statement"
                },
            );
            format!("write lock  {held_ms} ms for {files} file(s) {how}; {readers}")
        });
        let (before, after) = rehearsal.violations;
        let (old_bytes, new_bytes) = rehearsal.size_bytes;
        let keys = rehearsal.foreign_keys.iter();
        Self::quiet(&names)
            .with("rehearsal", json!(rehearsal))
            .lines(rehearsal.files.iter().map(describe))
            .lines(rows)
            .line(format!(
                "foreign keys without a parent  {before} -> {after}"
            ))
            .lines(keys.map(|line| format!("foreign key  {line}")))
            .line(format!("size  {old_bytes} -> {new_bytes} bytes"))
            .lines(locks)
            .line(format!(
                "rehearsed {} file(s) on a copy in {} ms; the database was not touched",
                names.len(),
                rehearsal.duration_ms
            ))
    }

    /// Breaking files that do not say so are refused: the release before them could not be rolled back to.
    pub(crate) fn lint(lint: &Lint) -> Self {
        let names: Vec<String> = lint.files.iter().map(|file| file.name.clone()).collect();
        let mut answer = Self::quiet(&names).with("files", json!(lint.files));
        for file in &lint.files {
            let may = if file.compatible {
                "the previous release can run on it"
            } else {
                "the previous release cannot run on it"
            };
            answer = answer
                .line(format!("{}: {}: {may}", file.name, file.verdict.join(", ")))
                .lines(
                    file.findings
                        .iter()
                        .map(|finding| remark(&file.name, finding)),
                );
        }
        let unsaid: Vec<&str> = lint
            .files
            .iter()
            .filter(|file| !file.compatible && !file.contract)
            .map(|file| file.name.as_str())
            .collect();
        if !unsaid.is_empty() {
            answer.code = exit_code::REFUSED;
            let message = format!(
                "breaks the previous release without saying so: {}",
                unsaid.join(", ")
            );
            let hint = "first ship a release that does not need it, then this; and say at the top of the file: -- migrate: allow contract";
            answer.trouble = format!("error: {message}\nhint: {hint}\n");
            answer = answer.with("outcome", json!("refused")).with(
                "error",
                json!({ "file": unsaid.first(), "message": message, "hint": hint }),
            );
        }
        answer
    }

    pub(crate) fn baseline(baseline: &Baseline, status: &Status) -> Self {
        let (last, recorded) = (&baseline.last, &baseline.recorded);
        let answer = Self::quiet(&status.pending)
            .with("last", json!(last))
            .with("recorded", json!(recorded))
            .with("corrected", json!(baseline.corrected))
            .with("backup", json!(baseline.backup));
        answer
            .line(format!("the database stands after {last}"))
            .lines(recorded.iter().map(|name| format!("recorded {name}")))
            .lines(baseline.corrected.clone())
            .line(format!(
                "recorded {} file(s) as applied, {} pending",
                recorded.len(),
                status.pending.len()
            ))
    }

    /// Nothing is written: what a baseline would do.
    pub(crate) fn proposal(baseline: &Baseline, pending: &[String]) -> Self {
        let (last, recorded) = (&baseline.last, &baseline.recorded);
        let answer = Self::quiet(pending)
            .with("proposal", json!(baseline))
            .line(format!("the database stands after {last}"))
            .lines(recorded.iter().map(|name| format!("would record {name}")));
        answer.lines(baseline.corrected.clone()).line(format!(
            "nothing was written; --baseline {last} records it, and {} file(s) stay pending",
            pending.len()
        ))
    }

    pub(crate) fn verification(verification: &Verification, status: &Status) -> Self {
        let troubles: Vec<String> = verification
            .damage
            .iter()
            .map(|line| format!("damage: {line}"))
            .chain(
                verification
                    .constraints
                    .iter()
                    .map(|line| format!("constraint: {line}")),
            )
            .chain(
                verification
                    .violations
                    .iter()
                    .map(|line| format!("foreign key: {line}")),
            )
            .collect();
        let mut answer = Self::quiet(&status.pending)
            .with("verification", json!(verification))
            .lines(troubles.clone());
        if troubles.is_empty() {
            let checked = if verification.full {
                "every page, every index and every foreign key"
            } else {
                "every page and every foreign key"
            };
            let files = verification.files;
            return answer.line(format!("{files} applied file(s) match, {checked} is sound"));
        }
        answer.code = exit_code::NEEDS_A_PERSON;
        let message = troubles.join("; ");
        answer.trouble = "error: the database needs a person\nhint: `migrate --restore <backup>` for damage; a new migration for rows that break a constraint\n".to_owned();
        answer
            .with("outcome", json!("failed"))
            .with("error", json!({ "message": message }))
    }

    pub(crate) fn repair(repair: &Repair, status: &Status) -> Self {
        let answer = Self::quiet(&status.pending)
            .with("actions", json!(repair.actions))
            .with("backup", json!(repair.backup))
            .lines(repair.actions.clone());
        answer.line(format!("{} change(s) to the history", repair.actions.len()))
    }

    pub(crate) fn schema(schema: &Schema) -> Self {
        let mut answer = Self::quiet(&[]).with("schema", json!(schema));
        answer.text = schema.to_sql();
        answer
    }

    pub(crate) fn backup(path: &Path) -> Self {
        Self::quiet(&[])
            .with("backup", json!(path))
            .line(path.display().to_string())
    }

    pub(crate) fn restore(restore: &Restore) -> Self {
        let answer = Self::quiet(&[])
            .with("restored", json!(restore.from))
            .with("kept", json!(restore.kept));
        let answer = answer.line(format!("restored {}", restore.from.display()));
        match &restore.kept {
            Some(kept) => answer.line(format!(
                "what was there before is kept in {}",
                kept.display()
            )),
            None => answer,
        }
    }

    pub(crate) fn created(path: &Path, name: &str) -> Self {
        Self::quiet(&[name.to_owned()])
            .with("created", json!(path))
            .line(path.display().to_string())
    }
}

fn describe(file: &FileReport) -> String {
    let note = if file.compatible {
        ""
    } else {
        ", the previous release cannot run on it"
    };
    let count = |rows: Option<u64>| rows.map_or("-".to_owned(), |rows| rows.to_string());
    let rows: String = file
        .rows
        .iter()
        .map(|change| {
            let (before, after) = (count(change.before), count(change.after));
            format!("\n  rows  {}  {before} -> {after}", change.table)
        })
        .collect();
    format!(
        "{}  {} statement(s), {} ms{note}{rows}",
        file.name, file.statements, file.duration_ms
    )
}

/// A finding as a line, and what to write instead as a second.
fn remark(file: &str, finding: &Finding) -> String {
    let (line, column, risk) = (finding.line, finding.column, finding.risk.name());
    let rows = finding
        .rows
        .map_or_else(String::new, |rows| format!(" ({rows} rows)"));
    let instead = finding
        .instead
        .as_ref()
        .map_or_else(String::new, |sql| format!("\n    instead: {sql}"));
    format!(
        "  {file}:{line}:{column}: {risk}: {}{rows}{instead}",
        finding.message
    )
}
