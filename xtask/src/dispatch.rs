//! The one dispatcher: it numbers an event, writes it to the journal, folds it into the state, and hands both to every sink.

use crate::event::{Event, EventKind};
use crate::ids::RunId;
use crate::journal::Journal;
use crate::redact::Redactor;
use crate::state::RunState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Something that shows a run: the terminal, a CI log, NDJSON.
pub trait Sink: Send {
    /// Takes one event; `state` already holds it.
    fn event(&mut self, event: &Event, state: &RunState);
}

/// See the module's words.
pub struct Dispatcher {
    inner: Mutex<Inner>,
    redactor: Arc<RwLock<Redactor>>,
}

struct Inner {
    run: Option<RunId>,
    seq: u64,
    state: RunState,
    sinks: Vec<Box<dyn Sink>>,
    journal_failure: Option<String>,
}

impl Dispatcher {
    /// A dispatcher for no run yet: events before [`Dispatcher::attach`] are shown and not kept.
    pub fn new(sinks: Vec<Box<dyn Sink>>, redactor: Arc<RwLock<Redactor>>) -> Self {
        Self {
            inner: Mutex::new(Inner {
                run: None,
                seq: 0,
                state: RunState::default(),
                sinks,
                journal_failure: None,
            }),
            redactor,
        }
    }

    /// From now on events belong to `run`; `earlier` are those that it already has.
    pub fn attach(&self, run: &RunId, earlier: &[Event]) {
        let mut inner = self.lock();
        inner.run = Some(run.clone());
        inner.seq = earlier.last().map_or(0, |event| event.seq);
        inner.state = RunState::fold(earlier);
    }

    /// Takes one event.
    pub fn emit(&self, journal: &Journal, at_ms: i64, elapsed_ms: u64, kind: EventKind) {
        let kind = self.clean(kind);
        let mut inner = self.lock();
        let Inner {
            run,
            seq,
            state,
            sinks,
            journal_failure,
        } = &mut *inner;
        let durable = kind.is_durable();
        if durable {
            *seq += 1;
        }
        let event = Event {
            seq: *seq,
            at_ms,
            elapsed_ms,
            kind,
        };
        if let (true, Some(run)) = (durable, run.as_ref())
            && let Err(error) = journal.append(run, &event)
        {
            journal_failure.get_or_insert(format!("{error:#}"));
        }
        state.apply(&event);
        for sink in sinks {
            sink.event(&event, state);
        }
    }

    /// A copy of the state as it is now.
    pub fn state(&self) -> RunState {
        self.lock().state.clone()
    }

    /// Why the journal lacks events, when it does.
    pub fn journal_failure(&self) -> Option<String> {
        self.lock().journal_failure.clone()
    }

    /// Takes registered credentials out of an event, so that no sink has to.
    fn clean(&self, kind: EventKind) -> EventKind {
        let Ok(text) = serde_json::to_string(&kind) else {
            return kind;
        };
        let clean = self
            .redactor
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .redact(&text);
        if clean == text {
            kind
        } else {
            serde_json::from_str(&clean).unwrap_or(EventKind::Note {
                text: "an event that held a credential was left out".to_owned(),
            })
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
