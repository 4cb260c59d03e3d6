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
