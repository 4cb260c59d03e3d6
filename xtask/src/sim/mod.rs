//! The simulated world: the local cloud in process, refs and journal in memory, virtual time, and a schedule that a seed decides.
//!
//! Clients, retries, parsing and the whole release engine are the same code as in the real world; faults are injected below them.

pub mod baton;
pub mod inputs;
pub mod refs;

use crate::event::{Event, EventKind};
use crate::ids::RunId;
use crate::journal::Journal;
use crate::refs::Refs;
use crate::state::RunState;
use crate::world::{Cancelled, Command, Limits, Now, Request, Response, RunEnd, RunEvent, SendError, SendErrorKind, World};
use anyhow::Result;
use baton::Baton;
use cloud::inprocess::{InProcess, Took, TransportFault};
use refs::MemoryRefs;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When the simulation begins: any time will do, but always the same.
pub const EPOCH_MS: i64 = 1_700_000_000_000;

/// What outlives a run: the providers, the refs, and the journal on the machine's disk.
pub struct Universe {
    /// The providers.
    pub cloud: Mutex<InProcess>,
    /// The shared refs.
    pub refs: MemoryRefs,
    /// The machine's journal.
    pub journal: Journal,
    /// Virtual milliseconds that earlier runs took.
    pub elapsed_ms: Mutex<u64>,
}

impl Universe {
    /// A universe around a cloud.
    ///
    /// # Errors
    /// When SQLite refuses a database in memory.
    pub fn new(cloud: InProcess) -> Result<Self> {
        Ok(Self { cloud: Mutex::new(cloud), refs: MemoryRefs::default(), journal: Journal::in_memory()?, elapsed_ms: Mutex::new(0) })
    }

    /// The providers.
    pub fn cloud(&self) -> MutexGuard<'_, InProcess> {
        self.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The panic message by which a simulated process dies.
pub const KILLED: &str = "simulated kill";

/// How a configured command ends here.
#[derive(Clone, Debug)]
pub struct Script {
    /// Virtual duration.
    pub duration_ms: u64,
    /// Its exit code.
    pub exit_code: i32,
}

/// One process in a universe.
pub struct Sim<'a> {
    universe: &'a Universe,
    baton: Baton,
    began_ms: u64,
    /// Configured commands by their text; others succeed in a second.
    pub scripts: BTreeMap<String, Script>,
    /// The world call at which the process dies, counted from 1.
    pub kill_at: Option<u64>,
    /// Virtual milliseconds after which the run is cancelled.
    pub cancel_at_ms: Option<(u64, Cancelled)>,
    calls: Mutex<u64>,
    events: Mutex<(Option<RunId>, Vec<Event>)>,
}

impl<'a> Sim<'a> {
    /// A process whose schedule `seed` decides.
    pub fn new(universe: &'a Universe, seed: u64) -> Self {
        Self {
            universe,
            baton: Baton::new(seed),
            began_ms: *universe.elapsed_ms.lock().unwrap_or_else(PoisonError::into_inner),
            scripts: BTreeMap::new(),
            kill_at: None,
            cancel_at_ms: None,
            calls: Mutex::new(0),
            events: Mutex::new((None, Vec::new())),
        }
    }

    /// World calls so far: a sweep over kill points needs to know how many there are.
    pub fn calls(&self) -> u64 {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events of this process.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// The state that they add up to.
    pub fn state(&self) -> RunState {
        RunState::fold(&self.events())
    }

    /// Ends the process: the universe's clock keeps what it took.
    pub fn end(&self) {
        *self.universe.elapsed_ms.lock().unwrap_or_else(PoisonError::into_inner) = self.began_ms + self.baton.now_ms();
    }

    /// Every way to the outside passes here. A process that was killed reaches nothing any more, from no lane.
    fn step(&self) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls += 1;
        if self.kill_at.is_some_and(|kill_at| *calls >= kill_at) {
            drop(calls);
            #[expect(clippy::panic, reason = "this is how a simulated process dies")]
            {
                panic!("{KILLED}");
            }
        }
    }

    fn cloud_now_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from(self.began_ms + self.baton.now_ms()).unwrap_or(i64::MAX)
    }
}

impl World for Sim<'_> {
    fn now(&self) -> Now {
        Now { wall_ms: self.cloud_now_ms(), mono_ms: self.baton.now_ms() }
    }

    fn sleep(&self, duration: Duration) -> Result<(), Cancelled> {
        self.step();
        if let Some(cancelled) = self.cancelled() {
            return Err(cancelled);
        }
        self.baton.sleep(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        self.cancelled().map_or(Ok(()), Err)
    }

    fn cancelled(&self) -> Option<Cancelled> {
        self.cancel_at_ms.filter(|(at_ms, _)| self.baton.now_ms() >= *at_ms).map(|(_, cancelled)| cancelled)
    }

    fn send(&self, request: &Request, limits: Limits) -> Result<Response, SendError> {
        self.step();
        self.baton.yield_now();
        let answer = self.universe.cloud().send(self.cloud_now_ms(), request.clone());
        let unknown = |text: String| SendError { kind: SendErrorKind::Unknown, text };
        match answer {
            Ok(response) => {
                let took = response.extensions().get::<Took>().map_or(0, |took| u64::try_from(took.delay_ms).unwrap_or(0));
                self.baton.sleep(took);
                Ok(response)
            }
            Err(fault) => {
                if matches!(fault, TransportFault::Timeout { .. }) {
                    self.baton.sleep(u64::try_from(limits.timeout.as_millis()).unwrap_or(u64::MAX));
                }
                Err(unknown(fault.to_string()))
            }
        }
    }

    fn run(&self, command: &Command, on: &mut dyn FnMut(RunEvent<'_>)) -> Result<RunEnd> {
        self.step();
        let script = self.scripts.get(&command.script).cloned().unwrap_or(Script { duration_ms: 1000, exit_code: 0 });
        let mut left = script.duration_ms;
        while left > 0 {
            if self.cancelled().is_some() {
                return Ok(RunEnd::Cancelled);
            }
            let slice = left.min(1000);
            self.baton.sleep(slice);
            on(RunEvent::Tick);
            left -= slice;
        }
        on(RunEvent::Line(&format!("$ {}", command.script)));
        Ok(RunEnd::Exited(script.exit_code))
    }

    fn each(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(task);
    }

    fn lanes(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        self.baton.run(count, task);
    }

    fn refs(&self) -> &dyn Refs {
        self.step();
        &self.universe.refs
    }

    fn journal(&self) -> &Journal {
        self.step();
        &self.universe.journal
    }

    fn attach(&self, run: &RunId, earlier: &[Event]) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.0 = Some(run.clone());
        events.1.extend_from_slice(earlier);
    }

    fn emit(&self, kind: EventKind) {
        let durable = kind.is_durable();
        let now = self.now();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = events.1.iter().map(|event| event.seq).max().unwrap_or(0) + u64::from(durable);
        let event = Event { seq, at_ms: now.wall_ms, elapsed_ms: now.mono_ms, kind };
        if let (true, Some(run)) = (durable, &events.0)
            && let Err(error) = self.universe.journal.append(run, &event)
        {
            debug_assert!(false, "{error:#}");
        }
        events.1.push(event);
    }

    fn random(&self) -> u64 {
        self.baton.random()
    }
}
