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
    /// What earlier attempts of the run took, and when the newest event was.
    earlier_ms: u64,
    newest_ms: u64,
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
                earlier_ms: 0,
                newest_ms: 0,
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
        inner.earlier_ms = inner.state.elapsed_ms;
    }

    /// Takes one event; `mono_ms` is how long this process has been running.
    pub fn emit(&self, journal: &Journal, at_ms: i64, mono_ms: u64, kind: EventKind) {
        let kind = self.clean(kind);
        let mut inner = self.lock();
        let Inner {
            run,
            seq,
            earlier_ms,
            newest_ms,
            state,
            sinks,
            journal_failure,
        } = &mut *inner;
        // Two threads read the clock in one order and may come here in the other.
        *newest_ms = (*newest_ms).max(*earlier_ms + mono_ms);
        let durable = kind.is_durable();
        if durable {
            *seq += 1;
        }
        let event = Event {
            seq: *seq,
            at_ms,
            elapsed_ms: *newest_ms,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Commit, EnvironmentName};
    use crate::journal::{Process, RunRow};

    #[test]
    fn time_never_steps_back_in_a_run() {
        struct Times(Arc<Mutex<Vec<u64>>>);
        impl Sink for Times {
            fn event(&mut self, event: &Event, _: &RunState) {
                self.0.lock().unwrap().push(event.elapsed_ms);
            }
        }
        let journal = Journal::in_memory().unwrap();
        let row = RunRow {
            id: RunId("run".to_owned()),
            command: "deploy".to_owned(),
            environment: EnvironmentName::from("local"),
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
        let times = Arc::new(Mutex::new(Vec::new()));
        for _attempt in 0..2 {
            let sink = Box::new(Times(times.clone()));
            let dispatcher = Dispatcher::new(vec![sink], Arc::default());
            let say = |mono_ms| {
                let text = String::new();
                dispatcher.emit(&journal, 0, mono_ms, EventKind::Note { text });
            };
            dispatcher.attach(&row.id, &journal.events(&row.id).unwrap());
            [5, 20, 15, 30].into_iter().for_each(say);
        }
        assert_eq!(*times.lock().unwrap(), [5, 20, 20, 30, 35, 50, 50, 60]);
    }
}
