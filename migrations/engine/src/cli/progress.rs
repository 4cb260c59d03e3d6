//! Progress on standard error, and the signals that end a run.

use crate::Discovery;
use crate::cancel::Cancel;
use crate::clock::Stopwatch;
use crate::event::{Event, Phase};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Files that ran are told together when they come faster than this.
const TOGETHER: Duration = Duration::from_millis(100);

/// Hands events to the thread that writes them. Waking it for each of a thousand short files would take longer than to
/// apply them.
pub(crate) struct Relay {
    sender: Sender<Vec<Event>>,
    held: Mutex<(Vec<Event>, Stopwatch)>,
}

impl Relay {
    pub(crate) fn new() -> (Self, Receiver<Vec<Event>>) {
        let (sender, receiver) = channel();
        let held = Mutex::new((Vec::new(), Stopwatch::start()));
        (Self { sender, held }, receiver)
    }

    pub(crate) fn pass(&self, event: Event) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let can_wait = match event {
            Event::Started { .. } => return,
            Event::Ran { .. } => held.1.elapsed() < TOGETHER,
            _ => false,
        };
        held.0.push(event);
        if !can_wait {
            self.send(&mut held);
        }
    }

    fn send(&self, held: &mut (Vec<Event>, Stopwatch)) {
        // Nobody listens any more only after the work is done.
        self.sender.send(std::mem::take(&mut held.0)).ok();
        held.1 = Stopwatch::start();
    }
}

/// The end of the work: what was held goes out.
impl Drop for Relay {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        self.send(&mut held);
    }
}

/// Writes events, each as a line. That nobody reads progress is no reason to stop.
pub(crate) fn write(events: &[Event], err: &mut dyn Write) {
    let lines: String = events
        .iter()
        .filter_map(line)
        .flat_map(|line| [line, "\n".to_owned()])
        .collect();
    err.write_all(lines.as_bytes()).ok();
}

/// Says what in the folder is no migration, and when nothing is: a wrong folder must not look like a database that is up to date.
pub(crate) fn say_ignored(dir: &Path, found: &Discovery, err: &mut dyn Write) {
    let ignored = found.ignored.join(", ");
    let line = match (found.files.is_empty(), ignored.is_empty()) {
        (false, true) => return,
        (true, true) => format!("note: there is no migration in {}", dir.display()),
        (_, false) => format!("note: left out, as they are no migrations: {ignored}"),
    };
    writeln!(err, "{line}").ok();
}

fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::WaitingForLock { timeout_ms } => format!(
            "waiting up to {} s for another writer",
            timeout_ms.div_ceil(1000)
        ),
        Event::BackedUp {
            path,
            bytes,
            duration_ms,
        } => format!(
            "backup {} ({bytes} bytes, {duration_ms} ms)",
            path.display()
        ),
        Event::NothingToBackUp => "no rows yet: no backup, no rehearsal".to_owned(),
        Event::Running {
            phase,
            file,
            statement,
            statements,
            elapsed_ms,
        } => {
            let verb = match phase {
                Phase::Rehearsal => "rehearsing",
                Phase::Apply => "running",
            };
            format!(
                "{verb} {file}: statement {statement} of {statements}, {} s so far",
                elapsed_ms / 1000
            )
        }
        Event::Ran {
            phase: Phase::Rehearsal,
            file,
            statements,
            duration_ms,
        } => format!("rehearsed {file} ({statements} statements, {duration_ms} ms)"),
        Event::Ran {
            phase: Phase::Apply,
            file,
            statements,
            duration_ms,
        } => format!("ran {file} ({statements} statements, {duration_ms} ms)"),
        Event::Committed { .. } | Event::AsItWas => event.fate()?,
        Event::Note { text } => format!("note: {text}"),
        Event::Started { .. } => return None,
    })
}

/// While it lives, the first SIGINT, SIGTERM or SIGHUP asks for a rollback; the second does what it does to any program. That
/// is safe too, the next start rolls back then, and it ends what cannot be asked.
pub(crate) struct Signals {
    ids: Vec<signal_hook::SigId>,
    /// Whether the next signal is not caught.
    uncaught: Arc<AtomicBool>,
}

impl Signals {
    pub(crate) fn listen(cancel: &Cancel) -> Self {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        use signal_hook::flag::{register, register_conditional_default, register_usize};
        let uncaught = Arc::new(AtomicBool::new(false));
        // In this order, so that the first signal is not its own second.
        let listen = |signal: i32| {
            let number = usize::try_from(signal).unwrap_or(2);
            [
                register_conditional_default(signal, Arc::clone(&uncaught)),
                register_usize(signal, cancel.cell(), number),
                register(signal, Arc::clone(&uncaught)),
            ]
        };
        // A signal that cannot be listened to kills, and then the journal rolls back on the next start.
        let ids = [SIGINT, SIGTERM, SIGHUP]
            .into_iter()
            .flat_map(listen)
            .filter_map(Result::ok)
            .collect();
        Self { ids, uncaught }
    }

    /// From now on a signal ends this process. What has come before is in the [`Cancel`], so that none gets lost in between.
    pub(crate) fn let_through(&self) {
        self.uncaught.store(true, Ordering::SeqCst);
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}
