//! A journal that cannot be written: nothing is begun without an intent, and nothing is forgotten that was done.

use super::project::{How, Project, Version};
use rusqlite::Connection;

/// A project whose journal refuses what `when` describes, and the connection that can mend it.
fn spoilt(dir: &tempfile::TempDir, when: &str) -> (Project, Connection) {
    let path = dir.path().join("journal.db");
    let mut project = Project::new(1).journalled(&path);
    assert_eq!(project.deploy(&Version::new(1), How::seed(1)).code(), 0);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(&format!(
            "CREATE TRIGGER spoilt {when} BEGIN SELECT RAISE(FAIL, 'disk full'); END"
        ))
        .unwrap();
    (project, connection)
}

#[test]
fn without_an_intent_nothing_is_deployed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, connection) = spoilt(
        &dir,
        "BEFORE INSERT ON intent WHEN NEW.key = 'backend.trigger'",
    );
    let outcome = project.deploy(&Version::new(2), How::seed(1));
    assert_eq!(outcome.code(), 4, "{}", outcome.reason());
    assert_eq!(project.universe.cloud().created_deploys().1, 1);
    connection.execute_batch("DROP TRIGGER spoilt").unwrap();
    assert_eq!(project.deploy(&Version::new(2), How::seed(2)).code(), 0);
}

#[test]
fn a_disk_that_fills_up_while_the_site_is_uploaded() {
    for (name, spoilt_at) in [
        (
            "the deploy is not written down",
            "BEFORE UPDATE ON intent WHEN NEW.key = 'frontend.create'",
        ),
        (
            "nothing is written when the checks are through",
            "BEFORE INSERT ON intent WHEN NEW.key = 'gate.1'",
        ),
    ] {
        // A full disk lets nothing be forgotten either.
        let full = |dir: &tempfile::TempDir| {
            let (project, connection) = spoilt(dir, spoilt_at);
            let forgets = "CREATE TRIGGER full BEFORE DELETE ON intent BEGIN SELECT RAISE(FAIL, 'disk full'); END";
            connection.execute_batch(forgets).unwrap();
            (project, connection)
        };
        let dir = tempfile::tempdir().unwrap();
        let outcome = full(&dir).0.deploy(&Version::new(2), How::seed(1));
        assert_eq!(outcome.code(), 4, "{name}: {}", outcome.reason());
        // Nor is the end of the run written down, which is its last call.
        let dir = tempfile::tempdir().unwrap();
        let (mut project, connection) = full(&dir);
        let last = How {
            kill_at: Some(outcome.calls),
            ..How::seed(1)
        };
        assert_eq!(project.deploy(&Version::new(2), last).code(), 255);
        connection
            .execute_batch("DROP TRIGGER spoilt; DROP TRIGGER full")
            .unwrap();
        let outcome = project.deploy(&Version::new(2), How::resume());
        assert_eq!(outcome.code(), 0, "{name}: {}", outcome.reason());
    }
}

#[test]
fn what_was_done_and_not_written_down_is_found_again() {
    for key in ["frontend.create", "backend.trigger", "frontend.publish"] {
        let dir = tempfile::tempdir().unwrap();
        let (mut project, connection) = spoilt(
            &dir,
            &format!("BEFORE UPDATE ON intent WHEN NEW.key = '{key}'"),
        );
        let outcome = project.deploy(&Version::new(2), How::seed(1));
        // A draft is nothing that is live; anything else is unknown until the run goes on.
        let code = outcome.code();
        assert!(
            if key == "frontend.create" {
                code == 4
            } else {
                [6, 7].contains(&code)
            },
            "{key}: {code} {}",
            outcome.reason()
        );
        connection.execute_batch("DROP TRIGGER spoilt").unwrap();
        let outcome = project.deploy(&Version::new(2), How::seed(2));
        assert_eq!(outcome.code(), 0, "{key}: {}", outcome.reason());
        if key == "backend.trigger" {
            assert_eq!(
                project.universe.cloud().created_deploys().1,
                2,
                "the deploy of the first attempt is adopted"
            );
        }
    }
}
