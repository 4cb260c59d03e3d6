//! `migrate` on a database file, struck at every call that changes a file: what the engine promises in its own tests, this
//! program has to keep too.

use crate::env::{TestEnv, XTASK};
use lab::promises::{self, Applying};
use lab::{Fault, Lab, Story};
use std::path::Path;

#[path = "../migrations/engine/tests/engine/lab/mod.rs"]
mod lab;

fn migrate(mode: &str, work: impl Fn(&Lab, &Story<'_>)) {
    let Some(lab) = Lab::open() else { return };
    let env = TestEnv::without_git();
    let before = tempfile::tempdir().expect("a temporary folder");
    promises::populate(before.path(), mode);
    let promises = Applying::new(true, true);
    let story = Story {
        name: &format!("xtask migrate, {mode}"),
        before: before.path(),
        command: &|folder: &Path| {
            let mut command = env.command(XTASK, folder);
            command.args(["migrate", "--database", "app.db", "--dir", "migrations"]);
            command
        },
        check: &|folder, status, place| promises.check(folder, status, place),
    };
    work(&lab, &story);
}

#[test]
fn migrate_with_a_rollback_journal() {
    migrate("delete", |lab, story| {
        lab.sweep(story, &Fault::ALL);
        lab.cut_power(story, 3);
    });
}

#[test]
fn migrate_with_a_write_ahead_log() {
    migrate("wal", |lab, story| {
        lab.sweep(story, &Fault::ALL);
        lab.cut_power(story, 3);
    });
}
