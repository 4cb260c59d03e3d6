//! Intent before action: the only way in which the engine changes anything outside.
//!
//! The intent is on disk before the call and its outcome after it. When a crash or a lost answer leaves doubt, a probe asks the
//! provider; nothing is ever sent again blindly. Resuming a run is running the same code again: what is done is read back.

use crate::ids::RunId;
use crate::world::World;
use anyhow::{Context as _, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

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

/// It may have been done, and nobody could be asked, or what became of it could not be written down: the intent stays open, and the
/// next run of the same code asks again.
#[derive(Debug)]
pub struct Unsettled(pub anyhow::Error);

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Unsettled {}

/// How often a doubtful effect is tried at the most.
const ATTEMPTS_MAX: u32 = 3;

/// Brings about the effect `key` at most once per run and returns what it made.
///
/// # Errors
/// [`Unsettled`] when it may have been done; anything else means that it certainly was not.
pub fn once<I, T>(
    world: &dyn World,
    run: &RunId,
    key: &str,
    intent: &I,
    mut probe: impl FnMut(&I) -> Result<Probe<T>>,
    mut act: impl FnMut() -> Attempt<T>,
) -> Result<T>
where
    I: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned,
{
    let journal = world.journal();
    let complete = |value: T| {
        let json = serde_json::to_string(&value).map_err(anyhow::Error::from);
        let written = json.and_then(|json| journal.complete(run, key, &json, world.now().wall_ms));
        written.map(|()| value).map_err(|error| {
            Unsettled(error.context(format!(
                "'{key}' was done, but that could not be written down"
            )))
        })
    };
    if let Some(row) = journal.intent(run, key)? {
        if let Some(outcome) = row.outcome {
            return serde_json::from_str(&outcome)
                .with_context(|| format!("read the recorded outcome of '{key}'"));
        }
        // A crash lies between the intent and its outcome: the probe gets what was known before the call, not what is known now.
        let before: I = serde_json::from_str(&row.intent)
            .with_context(|| format!("read the recorded intent of '{key}'"))?;
        let found = probe(&before).map_err(|error| {
            Unsettled(error.context(format!("learn whether '{key}' was done before")))
        })?;
        if let Probe::Found(value) = found {
            return Ok(complete(value)?);
        }
        journal.withdraw(run, key)?;
    }
    journal.intend(
        run,
        key,
        &serde_json::to_string(intent)?,
        world.now().wall_ms,
    )?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let doubt = match act() {
            Attempt::Done(value) => return Ok(complete(value)?),
            Attempt::NotDone(error) => {
                journal.withdraw(run, key)?;
                return Err(error);
            }
            Attempt::InDoubt(doubt) => doubt,
        };
        let found = probe(intent).map_err(|error| {
            Unsettled(error.context(format!("learn what became of '{key}' after: {doubt:#}")))
        })?;
        match found {
            Probe::Found(value) => return Ok(complete(value)?),
            Probe::Absent if attempt < ATTEMPTS_MAX => {}
            Probe::Absent => {
                journal.withdraw(run, key)?;
                return Err(doubt.context(format!(
                    "'{key}' was tried {attempt} times and never happened"
                )));
            }
        }
    }
}
