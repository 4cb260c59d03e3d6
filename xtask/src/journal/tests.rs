//! What happens to the file itself: made by several at once, written by a newer program, damaged.

use super::*;
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
