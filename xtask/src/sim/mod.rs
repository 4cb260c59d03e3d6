//! The simulated world: the local cloud in process, refs and journal in memory, virtual time, and a schedule that a seed decides.
//!
//! Clients, retries, parsing and the whole release engine are the same code as in the real world; faults are injected below them.

pub mod baton;
pub mod inputs;
pub mod refs;

use crate::event::{Event, EventKind};
use crate::ids::{Oid, RunId};
use crate::journal::Journal;
use crate::refs::{Files, RefValue, Refs, Swap};
use crate::state::RunState;
use crate::world::{
    Cancelled, Command, Limits, Now, Request, Response, RunEnd, RunEvent, SendError, SendErrorKind,
    Signal, World,
};
use anyhow::Result;
use baton::Baton;
use cloud::inprocess::{InProcess, Took, TransportFault};
use refs::{MemoryRefs, RefCalls};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
        Ok(Self {
            cloud: Mutex::new(cloud),
            refs: MemoryRefs::default(),
            journal: Journal::in_memory()?,
            elapsed_ms: Mutex::new(0),
        })
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

/// Something that happens in the world while a process runs: another person, another machine.
pub type Happening = Box<dyn FnOnce(&Universe, i64) + Send>;

/// What looks at the providers after every call: it is given the wall clock.
pub type Watch<'a> = &'a (dyn Fn(&mut InProcess, i64) + Sync);

/// One process in a universe.
pub struct Sim<'a> {
    universe: &'a Universe,
    baton: Baton,
    began_ms: u64,
    /// Configured commands by their text; others succeed in a second.
    pub scripts: BTreeMap<String, Script>,
    /// The world call at which the process dies, counted from 1.
    pub kill_at: Option<u64>,
    /// The number of the service's deploys at which the process dies, before it hears the answer.
    pub kill_after_deploys: Option<usize>,
    /// Virtual milliseconds after which the run is cancelled.
    pub cancel_at_ms: Option<(u64, Cancelled)>,
    /// By how much this machine's wall clock is wrong.
    pub clock_off_ms: i64,
    /// Times (virtual milliseconds, from and to) in which no request leaves the machine.
    pub outages: Vec<Range<u64>>,
    /// What happens by itself, and after how many virtual milliseconds.
    pub happenings: Mutex<Vec<(u64, Happening)>>,
    /// Looks at the providers after every call.
    pub watch: Option<Watch<'a>>,
    /// The process's way to the refs.
    pub ref_calls: RefCalls,
    calls: Mutex<u64>,
    dead: Mutex<bool>,
    ran: Mutex<Vec<String>>,
    events: Mutex<(Option<RunId>, Vec<Event>)>,
    lanes_end: AtomicBool,
    /// What earlier attempts of the run took.
    earlier_ms: AtomicU64,
}

impl<'a> Sim<'a> {
    /// A process whose schedule `seed` decides.
    pub fn new(universe: &'a Universe, seed: u64) -> Self {
        Self {
            universe,
            baton: Baton::new(seed),
            began_ms: *universe
                .elapsed_ms
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
            scripts: BTreeMap::new(),
            kill_at: None,
            kill_after_deploys: None,
            cancel_at_ms: None,
            clock_off_ms: 0,
            outages: Vec::new(),
            happenings: Mutex::new(Vec::new()),
            watch: None,
            ref_calls: RefCalls::default(),
            calls: Mutex::new(0),
            dead: Mutex::new(false),
            ran: Mutex::default(),
            events: Mutex::new((None, Vec::new())),
            lanes_end: AtomicBool::new(false),
            earlier_ms: AtomicU64::new(0),
        }
    }

    /// World calls so far: a sweep over kill points needs to know how many there are.
    pub fn calls(&self) -> u64 {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configured commands that it ran, in order.
    pub fn ran(&self) -> Vec<String> {
        self.ran
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The events of this process.
    pub fn events(&self) -> Vec<Event> {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .clone()
    }

    /// The state that they add up to.
    pub fn state(&self) -> RunState {
        RunState::fold(&self.events())
    }

    /// Ends the process: the universe's clock keeps what it took.
    pub fn end(&self) {
        *self
            .universe
            .elapsed_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = self.began_ms + self.baton.now_ms();
    }

    /// Every way to the outside passes here. A process that was killed reaches nothing any more, from no lane.
    fn step(&self) {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        if self.is_killed() {
            #[expect(clippy::panic, reason = "this is how a simulated process dies")]
            {
                panic!("{KILLED}");
            }
        }
    }

    fn is_killed(&self) -> bool {
        self.kill_at.is_some_and(|kill_at| self.calls() >= kill_at) || *self.dead()
    }

    fn dead(&self) -> MutexGuard<'_, bool> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets happen what is due.
    fn happen(&self) {
        let now_ms = self.baton.now_ms();
        let mut waiting = self
            .happenings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let due: Vec<_> = waiting
            .extract_if(.., |(at_ms, _)| *at_ms <= now_ms)
            .collect();
        drop(waiting);
        for (_, happening) in due {
            happening(self.universe, self.cloud_now_ms());
        }
    }

    fn cloud_now_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from(self.began_ms + self.baton.now_ms()).unwrap_or(i64::MAX)
    }
}

impl World for Sim<'_> {
    fn now(&self) -> Now {
        Now {
            wall_ms: self.cloud_now_ms() + self.clock_off_ms,
            mono_ms: self.baton.now_ms(),
        }
    }

    fn sleep(&self, duration: Duration) -> Result<(), Cancelled> {
        self.step();
        if let Some(cancelled) = self.cancelled() {
            return Err(cancelled);
        }
        self.baton
            .nap(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        self.happen();
        self.cancelled().map_or(Ok(()), Err)
    }

    fn cancelled(&self) -> Option<Cancelled> {
        self.cancel_at_ms
            .filter(|(at_ms, _)| self.baton.now_ms() >= *at_ms)
            .map(|(_, cancelled)| cancelled)
            .or_else(|| {
                let beside = Cancelled(Signal::Beside);
                self.lanes_end.load(Ordering::Relaxed).then_some(beside)
            })
    }

    fn send(&self, request: &Request, limits: Limits) -> Result<Response, SendError> {
        self.step();
        self.baton.yield_now();
        self.happen();
        let now_ms = self.baton.now_ms();
        if self.outages.iter().any(|outage| outage.contains(&now_ms)) {
            return Err(SendError {
                kind: SendErrorKind::NotSent,
                text: "network is unreachable".to_owned(),
            });
        }
        let timeout_ms = i64::try_from(limits.timeout.as_millis()).unwrap_or(i64::MAX);
        let answer = {
            let mut cloud = self.universe.cloud();
            let answer = cloud.send_within(self.cloud_now_ms(), request.clone(), timeout_ms);
            if let Some(watch) = self.watch {
                watch(&mut cloud, self.cloud_now_ms());
            }
            let fatal = self.kill_after_deploys;
            if fatal.is_some_and(|fatal| cloud.created_deploys().1 >= fatal) {
                *self.dead() = true;
            }
            answer
        };
        if *self.dead() {
            self.step();
        }
        match answer {
            Ok(response) => {
                let took = response
                    .extensions()
                    .get::<Took>()
                    .map_or(0, |took| u64::try_from(took.delay_ms).unwrap_or(0));
                self.baton.sleep(took);
                if response.body().len() as u64 > limits.body_bytes {
                    return Err(SendError {
                        kind: SendErrorKind::TooLarge,
                        text: format!("the answer is longer than {} bytes", limits.body_bytes),
                    });
                }
                Ok(response)
            }
            Err(fault) => {
                if matches!(fault, TransportFault::Timeout { .. }) {
                    self.baton.sleep(u64::try_from(timeout_ms).unwrap_or(0));
                }
                Err(SendError {
                    kind: SendErrorKind::Unknown,
                    text: fault.to_string(),
                })
            }
        }
    }

    fn run(&self, command: &Command, on: &mut dyn FnMut(RunEvent<'_>)) -> Result<RunEnd> {
        self.step();
        self.ran
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(command.script.clone());
        let script = self
            .scripts
            .get(&command.script)
            .cloned()
            .unwrap_or(Script {
                duration_ms: 1000,
                exit_code: 0,
            });
        let mut left = script.duration_ms;
        while left > 0 {
            let slice = left.min(1000);
            if self.cancelled().is_none() {
                self.baton.nap(slice);
            }
            if self.cancelled().is_some() {
                return Ok(RunEnd::Cancelled);
            }
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
        self.lanes_end.store(false, Ordering::Relaxed);
    }

    fn end_lanes(&self) {
        self.lanes_end.store(true, Ordering::Relaxed);
        self.baton.wake();
    }

    fn refs(&self) -> &dyn Refs {
        self
    }

    fn journal(&self) -> &Journal {
        self.step();
        &self.universe.journal
    }

    fn attach(&self, run: &RunId, earlier: &[Event]) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.0 = Some(run.clone());
        events.1.extend_from_slice(earlier);
        let earlier_ms = earlier.iter().map(|event| event.elapsed_ms).max();
        self.earlier_ms
            .store(earlier_ms.unwrap_or(0), Ordering::Relaxed);
    }

    fn emit(&self, kind: EventKind) {
        // A dead process writes nothing, although its stack is still unwound here.
        if self.is_killed() {
            return;
        }
        let durable = kind.is_durable();
        let now = self.now();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = events.1.iter().map(|event| event.seq).max().unwrap_or(0) + u64::from(durable);
        let earlier_ms = self.earlier_ms.load(Ordering::Relaxed);
        let event = Event {
            seq,
            at_ms: now.wall_ms,
            elapsed_ms: earlier_ms + now.mono_ms,
            kind,
        };
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

impl Refs for Sim<'_> {
    fn read(&self, name: &str) -> Result<Option<RefValue>> {
        self.step();
        self.ref_calls.reading()?;
        self.universe.refs.read(name)
    }

    fn swap(
        &self,
        name: &str,
        expected: Option<&Oid>,
        files: &Files,
        parent: bool,
        message: &str,
    ) -> Result<Swap> {
        self.step();
        self.ref_calls.swapping(name, self.cloud_now_ms(), || {
            self.universe
                .refs
                .swap(name, expected, files, parent, message)
        })
    }

    fn delete(&self, name: &str, expected: &Oid) -> Result<Swap> {
        self.step();
        self.universe.refs.delete(name, expected)
    }

    fn log(&self, name: &str, limit: usize) -> Result<Vec<RefValue>> {
        self.step();
        self.universe.refs.log(name, limit)
    }
}
