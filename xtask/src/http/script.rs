//! A world for tests: answers come from a script, time passes only by sleeping.

use crate::event::{Event, EventKind};
use crate::ids::{Oid, RunId};
use crate::journal::Journal;
use crate::redact::Secret;
use crate::refs::{Files, RefValue, Refs, Swap};
use crate::world::{
    Cancelled, Command, Limits, Now, Request, Response, RunEnd, RunEvent, SendError, SendErrorKind,
    Signal, World,
};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

/// Replays answers in order and records what was asked.
pub(crate) struct Script {
    answers: Mutex<VecDeque<Result<Response, SendError>>>,
    sent: Mutex<Vec<(Request, Limits)>>,
    events: Mutex<Vec<EventKind>>,
    mono_ms: Mutex<u64>,
    cancel_at_ms: Option<u64>,
    journal: Journal,
}

impl Script {
    pub(crate) fn new(answers: impl IntoIterator<Item = Result<Response, SendError>>) -> Self {
        Self {
            answers: Mutex::new(answers.into_iter().collect()),
            sent: Mutex::default(),
            events: Mutex::default(),
            mono_ms: Mutex::new(0),
            cancel_at_ms: None,
            journal: Journal::in_memory().unwrap(),
        }
    }

    /// The run is cancelled when this much time has passed.
    pub(crate) fn cancelled_at(mut self, at_ms: u64) -> Self {
        self.cancel_at_ms = Some(at_ms);
        self
    }

    /// `METHOD address` of every request, in order.
    pub(crate) fn sent(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        sent.iter()
            .map(|(request, _)| format!("{} {}", request.method(), request.uri()))
            .collect()
    }

    /// The last request.
    pub(crate) fn last(&self) -> (Request, Limits) {
        self.sent.lock().unwrap().last().unwrap().clone()
    }

    /// The body of request number `index` as text.
    pub(crate) fn body(&self, index: usize) -> String {
        String::from_utf8(self.sent.lock().unwrap()[index].0.body().clone()).unwrap()
    }

    /// The waits that were announced.
    pub(crate) fn waits_ms(&self) -> Vec<u64> {
        let events = self.events.lock().unwrap();
        let wait = |event: &EventKind| match event {
            EventKind::Retry { wait_ms, .. } => Some(*wait_ms),
            _ => None,
        };
        events.iter().filter_map(wait).collect()
    }

    /// The reasons that were announced with them.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let reason = |event: &EventKind| match event {
            EventKind::Retry { because, .. } => Some(because.clone()),
            _ => None,
        };
        events.iter().filter_map(reason).collect()
    }

    pub(crate) fn elapsed_ms(&self) -> u64 {
        *self.mono_ms.lock().unwrap()
    }

    /// How many answers nobody asked for.
    pub(crate) fn left(&self) -> usize {
        self.answers.lock().unwrap().len()
    }
}

/// An answer with a JSON body.
pub(crate) fn answer(status: u16, body: &str) -> Result<Response, SendError> {
    answer_with(status, &[("content-type", "application/json")], body)
}

/// An answer with headers of its own.
pub(crate) fn answer_with(
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Response, SendError> {
    let mut builder = http::Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    Ok(builder.body(body.as_bytes().to_vec()).unwrap())
}

/// No answer.
pub(crate) fn fault(kind: SendErrorKind) -> Result<Response, SendError> {
    Err(SendError {
        kind,
        text: format!("{kind:?} as scripted"),
    })
}

/// A key that looks like none of any provider.
pub(crate) fn key() -> Secret {
    Secret::new(format!("{}{}", "test-", "k7".repeat(10)))
}

impl World for Script {
    fn now(&self) -> Now {
        Now {
            wall_ms: 1_700_000_000_000,
            mono_ms: self.elapsed_ms(),
        }
    }

    fn sleep(&self, duration: Duration) -> Result<(), Cancelled> {
        let mut mono_ms = self.mono_ms.lock().unwrap();
        *mono_ms += u64::try_from(duration.as_millis()).unwrap();
        match self.cancel_at_ms {
            Some(at_ms) if *mono_ms >= at_ms => Err(Cancelled(Signal::Interrupt)),
            _ => Ok(()),
        }
    }

    fn cancelled(&self) -> Option<Cancelled> {
        None
    }

    fn send(&self, request: &Request, limits: Limits) -> Result<Response, SendError> {
        self.sent.lock().unwrap().push((request.clone(), limits));
        let answer = self.answers.lock().unwrap().pop_front();
        answer.unwrap_or_else(|| {
            panic!(
                "the script has no answer to {} {}",
                request.method(),
                request.uri()
            )
        })
    }

    fn run(&self, _: &Command, _: &mut dyn FnMut(RunEvent<'_>)) -> anyhow::Result<RunEnd> {
        anyhow::bail!("clients run no commands")
    }

    fn each(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(task);
    }

    fn end_lanes(&self) {}

    fn lanes(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(task);
    }

    fn refs(&self) -> &dyn Refs {
        &NoRefs
    }

    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn attach(&self, _: &RunId, _: &[Event]) {}

    fn emit(&self, event: EventKind) {
        self.events.lock().unwrap().push(event);
    }

    /// Every jitter is 300 ms: below the ceiling of the first wait, so that tests can name the waits.
    fn random(&self) -> u64 {
        300
    }
}

struct NoRefs;

impl Refs for NoRefs {
    fn read(&self, _: &str) -> anyhow::Result<Option<RefValue>> {
        anyhow::bail!("clients read no refs")
    }

    fn swap(&self, _: &str, _: Option<&Oid>, _: &Files, _: bool, _: &str) -> anyhow::Result<Swap> {
        anyhow::bail!("clients move no refs")
    }

    fn delete(&self, _: &str, _: &Oid) -> anyhow::Result<Swap> {
        anyhow::bail!("clients delete no refs")
    }

    fn log(&self, _: &str, _: usize) -> anyhow::Result<Vec<RefValue>> {
        anyhow::bail!("clients read no refs")
    }
}
