//! What happens to the file itself: made by several at once, written by a newer program, damaged.

use super::*;
use crate::event::{EventKind, Step, StepEnd};
use std::collections::BTreeSet;
use std::sync::Barrier;

#[test]
fn several_first_runs_make_one_journal() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = dir.path().join(format!("{round}.db"));
        let begin = Barrier::new(8);
        std::thread::scope(|scope| {
            let openings: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        begin.wait();
                        Journal::open(&path).map(|_| ())
                    })
                })
                .collect();
            for opening in openings {
                opening.join().unwrap().unwrap();
            }
        });
    }
}

#[test]
fn a_newer_layout_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    drop(Journal::open(&path).unwrap());
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    drop(connection);
    let error = Journal::open(&path).err().unwrap();
    assert_eq!(
        error.root_cause().to_string(),
        "its layout is version 7, this program knows 1"
    );
}

#[test]
fn what_is_no_database_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    fs_err::write(&path, "these are not the bytes of a database, and there are enough of them to be read as the head of one ...............").unwrap();
    let error = format!("{:#}", Journal::open(&path).err().unwrap());
    assert!(error.contains("move it away to begin a new one"), "{error}");
    assert!(error.contains("not a database"), "{error}");
}

fn begun(journal: &Journal) -> RunId {
    let row = RunRow {
        id: RunId("run".to_owned()),
        command: "deploy".to_owned(),
        environment: "local".into(),
        commit: Commit(String::new()),
        started_ms: 0,
        finished_ms: None,
        exit_code: None,
        reason: None,
        process: Process {
            pid: 1,
            start: String::new(),
            host: String::new(),
        },
    };
    journal.begin_run(&row).unwrap();
    row.id
}

fn event(seq: u64, kind: EventKind) -> Event {
    Event {
        seq,
        at_ms: 0,
        elapsed_ms: seq / 10,
        kind,
    }
}

fn line(seq: u64, text: &str) -> Event {
    let kind = EventKind::Output {
        step: Step::Checks,
        line: text.to_owned(),
    };
    event(seq, kind)
}

fn finished(seq: u64) -> Event {
    let kind = EventKind::StepFinished {
        step: Step::Checks,
        end: StepEnd::Ok,
        detail: String::new(),
    };
    event(seq, kind)
}

#[test]
fn lines_of_output_share_a_transaction_and_everything_else_is_written_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    let run = begun(&journal);
    // Another connection sees what is committed: each number of rows that it sees is a transaction.
    let other = Connection::open(&path).unwrap();
    let rows = || {
        let count = "SELECT count(*) FROM event";
        other
            .query_row(count, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let mut seen = BTreeSet::new();
    for seq in 1..=2_000 {
        journal.append(&run, &line(seq, "ok")).unwrap();
        seen.insert(rows());
    }
    assert!(seen.len() <= 8, "{seen:?}");
    let note = EventKind::Note {
        text: "something else".to_owned(),
    };
    journal.append(&run, &event(2_001, note)).unwrap();
    assert_eq!(rows(), 2_001);
    journal.append(&run, &finished(2_002)).unwrap();
    assert_eq!(rows(), 2_002);
    let seqs: Vec<u64> = journal
        .events(&run)
        .unwrap()
        .iter()
        .map(|event| event.seq)
        .collect();
    assert_eq!(seqs, (1..=2_002).collect::<Vec<_>>());
}

#[test]
fn of_a_long_output_the_beginning_and_the_end_are_kept() {
    let journal = Journal::in_memory().unwrap();
    let run = begun(&journal);
    let kept = lines::KEPT.lines as u64;
    let count = 2 * kept + 1_000;
    for seq in 1..=count {
        journal.append(&run, &line(seq, &seq.to_string())).unwrap();
    }
    journal.append(&run, &finished(count + 1)).unwrap();
    let told: Vec<String> = journal
        .events(&run)
        .unwrap()
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Output { line, .. } => Some(line),
            _ => None,
        })
        .collect();
    let all = (1..=kept)
        .map(|seq| seq.to_string())
        .chain(["[1000 lines were left out here]".to_owned()])
        .chain((kept + 1_001..=count).map(|seq| seq.to_string()));
    assert_eq!(told, all.collect::<Vec<_>>());

    // Few long lines are much output, too.
    let long = "x".repeat(60_000);
    for seq in 1..=2_000 {
        journal.append(&run, &line(count + 1 + seq, &long)).unwrap();
    }
    let bytes: usize = journal
        .events(&run)
        .unwrap()
        .iter()
        .map(|event| serde_json::to_string(event).unwrap().len())
        .sum();
    assert!(bytes < 3 * lines::KEPT.bytes, "{bytes}");
}
