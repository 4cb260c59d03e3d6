//! Intent before action: the only way in which the engine changes anything outside.
//!
//! The intent is on disk before the call and its outcome after it. When a crash or a lost answer leaves doubt, a probe asks the
//! provider; nothing is ever sent again blindly. Resuming a run is running the same code again: what is done is read back.

use crate::ids::RunId;
use crate::world::World;
use anyhow::{Context as _, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What one attempt at an effect came to.
pub enum Attempt<T> {
    /// Done; this is what the provider said.
    Done(T),
    /// It may have been done: ask.
    InDoubt(anyhow::Error),
    /// It was certainly not done.
    NotDone(anyhow::Error),
}

/// What asking the provider showed.
pub enum Probe<T> {
    /// It was done.
    Found(T),
    /// It was not done.
    Absent,
}

/// How often a doubtful effect is tried at the most.
const ATTEMPTS_MAX: u32 = 3;

/// Brings about the effect `key` at most once per run and returns what it made.
///
/// # Errors
/// When it was certainly not done, when the doubt could not be settled, or when the journal cannot be written.
pub fn once<I, T>(
    world: &dyn World,
    run: &RunId,
    key: &str,
    intent: I,
    mut probe: impl FnMut(&I) -> Result<Probe<T>>,
    mut act: impl FnMut() -> Attempt<T>,
) -> Result<T>
where
    I: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned,
{
    let journal = world.journal();
    if let Some(row) = journal.intent(run, key)? {
        if let Some(outcome) = row.outcome {
            return serde_json::from_str(&outcome).with_context(|| format!("read the recorded outcome of '{key}'"));
        }
        // A crash lies between the intent and its outcome: the probe gets what was known before the call, not what is known now.
        let before: I = serde_json::from_str(&row.intent).with_context(|| format!("read the recorded intent of '{key}'"))?;
        if let Probe::Found(value) = probe(&before).with_context(|| format!("learn whether '{key}' was done before"))? {
            journal.complete(run, key, &serde_json::to_string(&value)?, world.now().wall_ms)?;
            return Ok(value);
        }
        journal.withdraw(run, key)?;
    }
    journal.intend(run, key, &serde_json::to_string(&intent)?, world.now().wall_ms)?;
    let mut attempt = 1;
    loop {
        let value = match act() {
            Attempt::Done(value) => value,
            Attempt::NotDone(error) => {
                journal.withdraw(run, key)?;
                return Err(error);
            }
            // When even the question fails, the intent stays open: the next run of this code asks again.
            Attempt::InDoubt(error) => match probe(&intent).with_context(|| format!("learn what became of '{key}' after: {error:#}"))? {
                Probe::Found(value) => value,
                Probe::Absent if attempt < ATTEMPTS_MAX => {
                    attempt += 1;
                    continue;
                }
                Probe::Absent => {
                    journal.withdraw(run, key)?;
                    return Err(error);
                }
            },
        };
        journal.complete(run, key, &serde_json::to_string(&value)?, world.now().wall_ms)?;
        return Ok(value);
    }
}
