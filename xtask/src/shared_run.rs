//! The record of the run that last held the lease: what another machine needs to go on with it.
//!
//! It is a ref beside the lease and outlives it. Only the holder of the lease writes it, so it names the newest run of all machines,
//! and a machine whose journal was lost finds its own run there. It lists no files.

use crate::exit::Exit;
use crate::ids::{Commit, EnvironmentName, Oid, RunId};
use crate::journal::{IntentRow, Process, RunRow};
use crate::live::run_ref;
use crate::refs::{Files, RefValue, Swap};
use crate::world::World;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::{Mutex, MutexGuard, PoisonError};

const FILE: &str = "run.json";
/// The journal's key of what a run began with.
pub const BEGINNING: &str = "beginning";
/// What a beginning says of each lane's files.
const FILE_LISTS: [&str; 4] = ["added", "modified", "deleted", "type_changed"];

/// A run as the ref holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its id.
    pub run: RunId,
    /// `deploy` or `rollback`.
    pub command: String,
    /// Where to.
    pub environment: EnvironmentName,
    /// What.
    pub commit: Commit,
    /// Who or what started it: in CI the address of the job.
    pub by: String,
    /// The process that carries it.
    pub process: Process,
    /// When it began, milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// What it began with, and what it was about to do.
    pub intents: Vec<Intent>,
    /// How it ended; none while it runs, or after a crash.
    #[serde(default)]
    pub end: Option<End>,
}

/// One intent of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The journal's key.
    pub key: String,
    /// What was about to be done.
    pub intent: String,
    /// What came of it, when that is known.
    #[serde(default)]
    pub outcome: Option<String>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The exit code.
    pub exit_code: u8,
    /// Why.
    pub reason: String,
    /// When, milliseconds since the Unix epoch.
    pub finished_ms: i64,
}

impl RunRecord {
    /// Reads what the ref holds.
    ///
    /// # Errors
    /// When it is not a record that this program understands.
    pub fn parse(value: &RefValue) -> Result<Self> {
        let file = value
            .files
            .get(FILE)
            .with_context(|| format!("the record {} of the newest run has no {FILE}", value.oid))?;
        serde_json::from_slice(file)
            .with_context(|| format!("read the record {} of the newest run", value.oid))
    }

    /// The run as the journal keeps it.
    pub fn row(&self) -> RunRow {
        RunRow {
            id: self.run.clone(),
            command: self.command.clone(),
            environment: self.environment.clone(),
            commit: self.commit.clone(),
            started_ms: self.started_ms,
            finished_ms: self.end.as_ref().map(|end| end.finished_ms),
            exit_code: self.end.as_ref().map(|end| end.exit_code),
            reason: self.end.as_ref().map(|end| end.reason.clone()),
            process: self.process.clone(),
        }
    }

    /// Its intents as the journal keeps them.
    pub fn intent_rows(&self) -> Vec<(String, IntentRow)> {
        let row = |intent: &Intent| IntentRow {
            intent: intent.intent.clone(),
            started_ms: self.started_ms,
            outcome: intent.outcome.clone(),
        };
        let intents = self.intents.iter();
        intents
            .map(|intent| (intent.key.clone(), row(intent)))
            .collect()
    }

    /// One intent of it.
    pub fn intent(&self, key: &str) -> Option<&Intent> {
        self.intents.iter().find(|intent| intent.key == key)
    }

    /// Whether it may have left something undone.
    pub fn is_unfinished(&self) -> bool {
        self.end
            .as_ref()
            .is_none_or(|end| Exit::can_go_on(end.exit_code))
    }
}

/// This run's own record, moved along with its journal.
pub struct Shared {
    /// The record's fixed part.
    head: RunRecord,
    pushed: Mutex<Pushed>,
}

/// What the ref held when it was last looked at.
struct Pushed {
    oid: Option<Oid>,
    file: Vec<u8>,
}

impl Shared {
    /// The record of a run that holds the lease. `found` is what the ref holds now.
    pub fn new(
        world: &dyn World,
        row: &RunRow,
        process: &Process,
        by: &str,
        found: Option<Oid>,
    ) -> Self {
        let head = RunRecord {
            run: row.id.clone(),
            command: row.command.clone(),
            environment: row.environment.clone(),
            commit: row.commit.clone(),
            // Everybody who can read the origin can read this.
            by: world.journal().clean(by),
            process: process.clone(),
            started_ms: row.started_ms,
            intents: Vec::new(),
            end: None,
        };
        Self {
            head,
            pushed: Mutex::new(Pushed {
                oid: found,
                file: Vec::new(),
            }),
        }
    }

    /// Writes down for other machines what the journal knows of the run, unless they know it.
    ///
    /// # Errors
    /// When the store fails, or another run has begun.
    pub fn push(&self, world: &dyn World) -> Result<()> {
        self.write(world, None)
    }

    /// Writes down how the run ended.
    ///
    /// # Errors
    /// As for [`Shared::push`].
    pub fn end(&self, world: &dyn World, exit: Exit, reason: &str) -> Result<()> {
        let end = End {
            exit_code: exit.code(),
            reason: world.journal().clean(reason),
            finished_ms: world.now().wall_ms,
        };
        self.write(world, Some(end))
    }

    fn write(&self, world: &dyn World, end: Option<End>) -> Result<()> {
        let journal = world.journal();
        let intents = journal.intents(&self.head.run)?;
        let record = RunRecord {
            intents: intents.into_iter().map(shared_intent).collect(),
            end,
            ..self.head.clone()
        };
        let file = serde_json::to_vec_pretty(&record)?;
        let mut pushed = self.lock();
        if pushed.file == file {
            return Ok(());
        }
        let oid = self.swap(world, pushed.oid.as_ref(), &file)?;
        *pushed = Pushed {
            oid: Some(oid),
            file,
        };
        Ok(())
    }

    /// Moves the ref. A push whose answer was lost may have moved it: then what is there is ours, and newer than we knew.
    fn swap(&self, world: &dyn World, expected: Option<&Oid>, file: &[u8]) -> Result<Oid> {
        let name = run_ref(&self.head.environment);
        let files = Files::from([(FILE.to_owned(), file.to_vec())]);
        let message = format!("run {}", self.head.run);
        let refs = world.refs();
        let first = refs.swap(&name, expected, &files, false, &message);
        if let Ok(Swap::Moved(oid)) = first {
            return Ok(oid);
        }
        let found = refs.read(&name)?;
        let oid = found.as_ref().map(|found| &found.oid);
        if let Some(theirs) = found.as_ref().filter(|found| Some(&found.oid) != expected) {
            let record = RunRecord::parse(theirs)?;
            if record.run != self.head.run || record.process != self.head.process {
                bail!(
                    "run {} of {} on {} has begun meanwhile",
                    record.run,
                    record.by,
                    record.process.host
                );
            }
        }
        match refs.swap(&name, oid, &files, false, &message)? {
            Swap::Moved(oid) => Ok(oid),
            Swap::Lost(_) => bail!("another run has begun meanwhile"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pushed> {
        self.pushed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what the ref holds.
///
/// # Errors
/// When the store cannot be asked.
pub fn read(world: &dyn World, environment: &EnvironmentName) -> Result<Option<RefValue>> {
    world
        .refs()
        .read(&run_ref(environment))
        .context("the record of the newest run could not be read")
}

fn shared_intent((key, row): (String, IntentRow)) -> Intent {
    let intent = if key == BEGINNING {
        without_files(&row.intent)
    } else {
        row.intent
    };
    Intent {
        key,
        intent,
        outcome: row.outcome,
    }
}

/// What a run began with, less the names of files: they are many, and only its display wants them.
fn without_files(beginning: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(beginning) else {
        return beginning.to_owned();
    };
    let lanes = value.get_mut("lanes").and_then(Value::as_array_mut);
    for lane in lanes.into_iter().flatten() {
        for list in FILE_LISTS {
            if let Some(list) = lane.get_mut(list) {
                *list = Value::Array(Vec::new());
            }
        }
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_shared_without_its_files() {
        let before =
            r#"{"lanes":[{"lane":"frontend","added":["a"],"reason":"1 file"}],"steps":[]}"#;
        let after = r#"{"lanes":[{"added":[],"lane":"frontend","reason":"1 file"}],"steps":[]}"#;
        let value = |text| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(value(&without_files(before)), value(after));
        assert_eq!(without_files("no document"), "no document");
    }
}
