//! What became of the request to migrate, judged from the service's answer and from what can be read back.

use super::needs_a_person;
use super::report::{Report, message};
use crate::exit::Exit;
use crate::service::{AdminState, Migrated};
use std::collections::BTreeSet;

/// What the service made of the request to migrate.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// It tells what came of it.
    Said(Migrated),
    /// It certainly did nothing.
    No(String),
    /// Nobody knows: it may still be at it.
    Lost(String),
}

/// What came of it. An answer may be lost while the work is done, so what can be read back counts first.
pub(super) fn settle(
    environment: &str,
    before: &AdminState,
    answer: Answer,
    after: &Result<AdminState, String>,
) -> Report {
    let unread = after.as_ref().err();
    let (applied, pending) = match (after, &answer) {
        (Ok(after), _) => {
            let old: BTreeSet<&str> = before
                .history
                .iter()
                .map(|row| row.filename.as_str())
                .collect();
            let new = after
                .history
                .iter()
                .map(|row| row.filename.clone())
                .filter(|name| !old.contains(name.as_str()));
            (new.collect(), after.pending.clone())
        }
        (Err(_), Answer::Said(said)) => (said.applied.clone(), said.pending.clone()),
        (Err(_), _) => (Vec::new(), before.pending.clone()),
    };
    let backup = if let Answer::Said(said) = &answer {
        said.backup.clone()
    } else {
        None
    };
    let left = pending.len();
    let unknown = |text: String| {
        let text = format!(
            "{text}; the service may still be at it (hint: `migrate --status` tells what is applied)"
        );
        Report::failed(Exit::Unknown, message(&text), text)
    };
    let report = match answer {
        _ if unread.is_none() && left == 0 => Report::new(
            Exit::Done,
            "applied",
            format!("{environment} is migrated and read back"),
        ),
        Answer::Said(Migrated { outcome, error, .. })
            if outcome == "refused" || outcome == "failed" =>
        {
            let error = error.unwrap_or_else(|| message("the service gives no reason"));
            let text = error.message.clone();
            if needs_a_person(&text) {
                Report::failed(Exit::Database, error, text)
            } else if outcome == "refused" {
                Report {
                    error: Some(error),
                    ..Report::refused(text)
                }
            } else {
                Report::failed(Exit::FailedUnchanged, error, text)
            }
        }
        Answer::No(text) => Report::failed(Exit::FailedUnchanged, message(&text), text),
        Answer::Said(said) => match unread {
            Some(error) => unknown(format!(
                "the service says '{}', and that could not be read back: {error}",
                said.outcome
            )),
            None => {
                let text = format!(
                    "the service says '{}', and {left} file(s) are still pending there",
                    said.outcome
                );
                Report::failed(Exit::FailedUnchanged, message(&text), text)
            }
        },
        Answer::Lost(text) => unknown(match unread {
            Some(error) => format!("{text}; what became of it could not be read back: {error}"),
            None => format!("{text}; {left} file(s) are pending yet"),
        }),
    };
    Report {
        applied,
        pending,
        backup,
        ..report
    }
}

#[cfg(test)]
mod tests {
    use super::super::status;
    use super::super::tests::state;
    use super::*;
    use crate::service::MigrateError;
    use serde_json::json;

    fn said(outcome: &str, error: Option<&str>) -> Answer {
        Answer::Said(Migrated {
            outcome: outcome.to_owned(),
            applied: Vec::new(),
            pending: vec!["2.sql".to_owned()],
            backup: None,
            error: error.map(message),
        })
    }

    fn settled(answer: Answer, after: &Result<AdminState, String>) -> (u8, &'static str) {
        let report = settle("production", &state(&["2.sql"]), answer, after);
        (report.exit.code(), report.outcome)
    }

    #[test]
    fn what_is_read_back_counts_and_a_lost_answer_is_not_a_failure() {
        let lost = || Answer::Lost("the connection was reset".to_owned());
        let unread = || Err("nobody answers".to_owned());
        assert_eq!(settled(lost(), &Ok(state(&[]))), (0, "applied"));
        assert_eq!(settled(lost(), &Ok(state(&["2.sql"]))), (7, "failed"));
        assert_eq!(settled(lost(), &unread()), (7, "failed"));
        assert_eq!(settled(said("applied", None), &unread()), (7, "failed"));
        assert_eq!(
            settled(said("up_to_date", None), &Ok(state(&["2.sql"]))),
            (4, "failed")
        );
        assert_eq!(
            settled(
                said("refused", Some("2.sql was edited")),
                &Ok(state(&["2.sql"]))
            ),
            (3, "refused")
        );
        assert_eq!(
            settled(
                said("failed", Some("no such table: x (rolled back)")),
                &Ok(state(&["2.sql"]))
            ),
            (4, "failed")
        );
        assert_eq!(
            settled(
                said(
                    "failed",
                    Some("read the history: database disk image is malformed")
                ),
                &unread()
            ),
            (9, "failed")
        );
        assert_eq!(
            settled(
                Answer::No("refused to connect".to_owned()),
                &Ok(state(&["2.sql"]))
            ),
            (4, "failed")
        );
        let report = settle("production", &state(&["2.sql"]), lost(), &unread());
        assert!(
            report.text().contains("migrate --status"),
            "{}",
            report.text()
        );
    }

    #[test]
    fn the_document_carries_the_place_of_an_error_and_null_without_one() {
        let error = MigrateError {
            file: Some("2.sql".to_owned()),
            line: Some(3),
            column: Some(1),
            statement: Some("DROP x".to_owned()),
            message: "no".to_owned(),
        };
        let answer = Answer::Said(Migrated {
            outcome: "failed".to_owned(),
            applied: Vec::new(),
            pending: Vec::new(),
            backup: None,
            error: Some(error),
        });
        let document: serde_json::Value = serde_json::from_str(
            &settle("p", &state(&["2.sql"]), answer, &Ok(state(&["2.sql"]))).json(),
        )
        .unwrap();
        assert_eq!(
            document["error"],
            json!({ "file": "2.sql", "line": 3, "column": 1, "statement": "DROP x", "message": "no" })
        );
        assert_eq!(document["pending"], json!(["2.sql"]));
        let document: serde_json::Value =
            serde_json::from_str(&status(&state(&[]), None).json()).unwrap();
        assert_eq!(
            (&document["error"], &document["outcome"]),
            (&serde_json::Value::Null, &json!("up_to_date"))
        );
    }
}
