//! The lease: at most one honest run changes an environment at a time.
//!
//! It is a ref on the shared store whose every commit is parentless and carries run id and nonce, moved by compare-and-swap and read
//! back. The providers never see it, so it is no fence against others; reconciliation stands beside it.

use crate::event::{EventKind, Step, StepEnd};
use crate::ids::{Oid, RunId};
use crate::journal::Process;
use crate::live;
use crate::refs::{Files, RefValue, Swap};
use crate::world::{Cancelled, Now, World};
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A lease that has not been renewed for so long may be taken over.
pub const TTL: Duration = Duration::from_secs(120);
const TTL_MS: u64 = TTL.as_secs() * 1000;
/// Renewed this often.
const RENEW_EVERY: Duration = Duration::from_secs(40);
/// No mutating call starts later than this before the end of the lease: it must have time to be answered.
const MARGIN: Duration = Duration::from_secs(35);
/// How often a waiting run looks again.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const FILE: &str = "lease.json";

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run.
    pub run: RunId,
    /// Who or what started it.
    pub by: String,
    /// Its process.
    pub process: Process,
    /// When it was taken, milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// When it was last renewed, by the holder's wall clock.
    pub renewed_ms: i64,
    /// Why, for a lock taken by hand; such a lock stays until it is released by hand.
    pub reason: Option<String>,
    /// Makes every commit different.
    pub nonce: String,
}

/// Why a lease was not given.
#[derive(Debug)]
pub enum LeaseError {
    /// Somebody else has it.
    Held(Box<Holder>),
    /// The store could not be asked, or what it holds is not a lease.
    Store(anyhow::Error),
    /// Somebody asked the run to stop while it waited.
    Cancelled(Cancelled),
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(holder) => {
                let since = jiff::Timestamp::from_millisecond(holder.since_ms)
                    .map(|time| time.to_string())
                    .unwrap_or_default();
                write!(
                    f,
                    "run {} holds the lease since {since}: {} on {} (pid {})",
                    holder.run, holder.by, holder.process.host, holder.process.pid
                )?;
                match &holder.reason {
                    Some(reason) => write!(
                        f,
                        ", locked by hand: {reason} (hint: `cargo xtask lock release` for this environment gives it back)"
                    ),
                    None => write!(
                        f,
                        " (hint: `--wait-lock SECS` waits for it; a holder that died loses it after {} s)",
                        TTL.as_secs()
                    ),
                }
            }
            Self::Store(error) => write!(f, "the lease could not be taken: {error:#}"),
            Self::Cancelled(cancelled) => write!(f, "{cancelled} while the lease was waited for"),
        }
    }
}

impl std::error::Error for LeaseError {}

/// A lease that this run holds, or is about to give back.
pub struct Lease {
    name: String,
    inner: Mutex<Inner>,
}

struct Inner {
    holder: Holder,
    oid: Oid,
    confirmed: Now,
    /// Somebody else has it.
    lost: bool,
}

/// What decides about a lease that somebody holds.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// How long to wait for a live holder.
    pub wait: Duration,
    /// Tells whether a holder's process is gone.
    pub is_dead: IsDead<'a>,
    /// Take it whoever holds it, also by hand: `--break-glass`, which is recorded.
    pub break_glass: bool,
}

/// Whether the process of a holder is known to be gone: same host, and no such process or a later one with its number.
pub type IsDead<'a> = &'a dyn Fn(&Process) -> bool;

impl Lease {
    /// Takes the lease on the given terms. Waiting for it is a step of its own, in the middle of the preflight.
    ///
    /// # Errors
    /// When somebody holds it or the store fails.
    pub fn acquire(
        world: &dyn World,
        environment: &crate::ids::EnvironmentName,
        holder: Holder,
        terms: Terms<'_>,
    ) -> Result<Self, LeaseError> {
        let mut waits = false;
        let taken = Self::take_or_wait(world, environment, holder, terms, &mut waits);
        if waits {
            end_wait(world, taken.as_ref().err());
        }
        taken
    }

    fn take_or_wait(
        world: &dyn World,
        environment: &crate::ids::EnvironmentName,
        mut holder: Holder,
        terms: Terms<'_>,
        waits: &mut bool,
    ) -> Result<Self, LeaseError> {
        let Terms {
            wait,
            is_dead,
            break_glass,
        } = terms;
        let name = live::lease_ref(environment);
        let started = world.now();
        // The last commit seen there, and since when it has not moved by our own clock.
        let mut seen: Option<(Oid, Now)> = None;
        loop {
            let found = world.refs().read(&name).map_err(LeaseError::Store)?;
            let now = world.now();
            let free = match &found {
                None => true,
                Some(value) => {
                    let current = parse(value).map_err(LeaseError::Store)?;
                    let unmoved_since = match &seen {
                        Some((oid, since)) if *oid == value.oid => *since,
                        _ => {
                            seen = Some((value.oid.clone(), now));
                            now
                        }
                    };
                    // By the monotonic clock alone: a wall clock that jumps must not end somebody else's lease.
                    let expired = now.mono_ms.saturating_sub(unmoved_since.mono_ms) >= TTL_MS;
                    // Clocks of two machines differ either way: a renewal that lies far ahead says as little as an old one.
                    let looks_stale = now.wall_ms.abs_diff(current.renewed_ms) > TTL_MS;
                    let free = break_glass
                        || (current.reason.is_none()
                            && (is_same_run(&current, &holder)
                                || is_dead(&current.process)
                                || expired));
                    // A holder that looks dead by its own clock is watched for a whole time to live by ours; a live one is waited for as asked.
                    let patience = if looks_stale && current.reason.is_none() {
                        wait.max(TTL + LOOK_EVERY)
                    } else {
                        wait
                    };
                    if !free && elapsed(started, now) >= patience {
                        return Err(LeaseError::Held(Box::new(current)));
                    }
                    if !free {
                        if !std::mem::replace(waits, true) {
                            begin_wait(world, &current);
                        }
                        tell(
                            world,
                            &current,
                            patience.saturating_sub(elapsed(started, now)),
                        );
                    }
                    free
                }
            };
            if free {
                let expected = found.map(|value| value.oid);
                refresh(world, &mut holder);
                if let Some(oid) =
                    take(world, &name, expected.as_ref(), &holder).map_err(LeaseError::Store)?
                {
                    let inner = Inner {
                        holder,
                        oid,
                        confirmed: now,
                        lost: false,
                    };
                    return Ok(Self {
                        name,
                        inner: Mutex::new(inner),
                    });
                }
                continue;
            }
            world.sleep(LOOK_EVERY).map_err(LeaseError::Cancelled)?;
        }
    }

    /// Renews the lease when it is due. Called wherever time passes.
    ///
    /// # Errors
    /// When somebody else has it now.
    pub fn keep(&self, world: &dyn World) -> Result<()> {
        if elapsed(self.lock().confirmed, world.now()) >= RENEW_EVERY {
            self.renew(world)
        } else {
            Ok(())
        }
    }

    /// Renews the lease now.
    ///
    /// # Errors
    /// When somebody else has it, or when the store does not answer and the time left is short.
    pub fn renew(&self, world: &dyn World) -> Result<()> {
        let mut inner = self.lock();
        let now = world.now();
        match self.extend(world, &mut inner) {
            Ok(Some(oid)) => {
                inner.oid = oid;
                inner.confirmed = now;
                Ok(())
            }
            Ok(None) => {
                inner.lost = true;
                bail!("the lease was lost: another run took it over")
            }
            Err(_) if left(inner.confirmed, world.now()) > MARGIN => Ok(()),
            Err(error) => Err(error.context("the lease could not be renewed in time")),
        }
    }

    /// One renewal; `None` when somebody else has the lease.
    fn extend(&self, world: &dyn World, inner: &mut Inner) -> Result<Option<Oid>> {
        let before = inner.holder.clone();
        refresh(world, &mut inner.holder);
        if let Some(oid) = take(world, &self.name, Some(&inner.oid), &inner.holder)? {
            return Ok(Some(oid));
        }
        // An earlier renewal whose answer was lost may have moved it: then what is there is ours, and newer than we knew.
        let Some(found) = world.refs().read(&self.name)? else {
            return Ok(None);
        };
        let theirs = parse(&found)?;
        let is_ours = theirs.run == before.run && theirs.process == before.process;
        if is_ours {
            take(world, &self.name, Some(&found.oid), &inner.holder)
        } else {
            Ok(None)
        }
    }

    /// Whether somebody else has it, or may have it: then what is live may be another run's work.
    pub fn is_lost(&self, world: &dyn World) -> bool {
        if self.was_lost() {
            return true;
        }
        // While the store is away nobody can take what has time left.
        self.renew(world).is_err()
            && (self.was_lost() || left(self.lock().confirmed, world.now()).is_zero())
    }

    /// Whether somebody else is known to have it.
    pub fn was_lost(&self) -> bool {
        self.lock().lost
    }

    /// Says until when (monotonic milliseconds) mutating calls may start now, renewing the lease when it must.
    ///
    /// # Errors
    /// When none may: the run must stop changing things.
    pub fn permit(&self, world: &dyn World) -> Result<u64> {
        let confirmed = self.lock().confirmed;
        if left(confirmed, world.now()) <= MARGIN {
            self.renew(world)
        } else {
            self.keep(world)
        }?;
        let now = world.now();
        let usable = left(self.lock().confirmed, now).saturating_sub(MARGIN);
        if usable.is_zero() {
            bail!("the lease could not be renewed in time");
        }
        Ok(now
            .mono_ms
            .saturating_add(u64::try_from(usable.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Gives the lease back. It is only good manners: an unreturned lease ends by itself.
    ///
    /// # Errors
    /// When the store fails.
    pub fn release(&self, world: &dyn World) -> Result<()> {
        let oid = self.lock().oid.clone();
        world
            .refs()
            .delete(&self.name, &oid)
            .map(|_| ())
            .context("give the lease back")
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that goes on where it stopped, on the same machine, where the system does not tell whether a process lives.
fn is_same_run(current: &Holder, ours: &Holder) -> bool {
    let (theirs, process) = (&current.process, &ours.process);
    current.run == ours.run && theirs.host == process.host && theirs.start.is_empty()
}

fn begin_wait(world: &dyn World, holder: &Holder) {
    world.emit(EventKind::StepFinished {
        step: Step::Preflight,
        end: StepEnd::Ok,
        detail: format!("run {} holds the lock", holder.run),
    });
    world.emit(EventKind::StepStarted { step: Step::Lock });
}

fn end_wait(world: &dyn World, error: Option<&LeaseError>) {
    let (end, detail) = match error {
        None => (StepEnd::Ok, "it is ours".to_owned()),
        Some(LeaseError::Cancelled(cancelled)) => (StepEnd::Cancelled, cancelled.to_string()),
        Some(error) => (StepEnd::Failed, error.to_string()),
    };
    world.emit(EventKind::StepFinished {
        step: Step::Lock,
        end,
        detail,
    });
    world.emit(EventKind::StepStarted {
        step: Step::Preflight,
    });
}

/// Says for whom a run waits, and how much longer.
fn tell(world: &dyn World, holder: &Holder, left: Duration) {
    let text = format!(
        "waits for run {} of {} on {}, {} s at most",
        holder.run,
        holder.by,
        holder.process.host,
        left.as_secs()
    );
    world.emit(EventKind::StepProgress {
        step: Step::Lock,
        text,
    });
}

/// Reads who holds the lease of an environment.
///
/// # Errors
/// When the store fails or holds something else.
pub fn holder(
    world: &dyn World,
    environment: &crate::ids::EnvironmentName,
) -> Result<Option<(Oid, Holder)>> {
    let Some(value) = world.refs().read(&live::lease_ref(environment))? else {
        return Ok(None);
    };
    Ok(Some((value.oid.clone(), parse(&value)?)))
}

/// Reads who holds a lease.
///
/// # Errors
/// When it is something else.
pub fn parse(value: &RefValue) -> Result<Holder> {
    let file = value.files.get(FILE).with_context(|| {
        format!(
            "the lease {} has no {FILE} (hint: `cargo xtask lock release` removes it)",
            value.oid
        )
    })?;
    serde_json::from_slice(file).with_context(|| format!("read the lease {} (hint: it may come from a newer version; `cargo xtask lock release` removes it)", value.oid))
}

fn refresh(world: &dyn World, holder: &mut Holder) {
    // What is pushed can be read by everybody who can read the origin.
    holder.by = world.journal().clean(&holder.by);
    holder.reason = holder
        .reason
        .as_ref()
        .map(|reason| world.journal().clean(reason));
    holder.nonce = format!("{:016x}", world.random());
    holder.renewed_ms = world.now().wall_ms;
}

/// One compare-and-swap: our commit when the ref is ours now.
fn take(
    world: &dyn World,
    name: &str,
    expected: Option<&Oid>,
    holder: &Holder,
) -> Result<Option<Oid>> {
    let files = Files::from([(FILE.to_owned(), serde_json::to_vec_pretty(holder)?)]);
    match world.refs().swap(name, expected, &files, false, "lease")? {
        Swap::Moved(oid) => Ok(Some(oid)),
        Swap::Lost(_) => Ok(None),
    }
}

/// The larger of what both clocks say: a machine that slept must not believe that no time passed.
fn elapsed(from: Now, to: Now) -> Duration {
    let mono = to.mono_ms.saturating_sub(from.mono_ms);
    let wall = u64::try_from(to.wall_ms.saturating_sub(from.wall_ms)).unwrap_or(0);
    Duration::from_millis(mono.max(wall))
}

fn left(confirmed: Now, now: Now) -> Duration {
    TTL.saturating_sub(elapsed(confirmed, now))
}
