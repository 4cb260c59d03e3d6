//! A sign of life while a file runs for long: who waits for a migration wants to know that it still works, and on what.
//!
//! SQLite calls back every few thousand instructions of a statement, and the runner between statements; both ask here
//! whether it is time to say something.

use crate::clock::Stopwatch;
use crate::event::{Event, Phase};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Between two signs of life.
const INTERVAL: Duration = Duration::from_secs(1);
/// Statements between two looks at the clock: a file of a million short ones must not pay for each.
const STATEMENTS_PER_LOOK: usize = 256;

/// Where events go.
pub(crate) type Listener = Arc<dyn Fn(Event) + Send + Sync>;

/// Shared between the runner and the callback that SQLite has.
#[derive(Clone, Default)]
pub(crate) struct Heartbeat {
    current: Arc<Mutex<Option<Current>>>,
    interval: Option<Duration>,
}

/// The file that runs.
struct Current {
    phase: Phase,
    file: String,
    statement: usize,
    statements: usize,
    begun: Stopwatch,
    said: Duration,
}

impl Heartbeat {
    /// Another pause between two signs than a second.
    pub(crate) fn every(interval: Duration) -> Self {
        Self {
            interval: Some(interval),
            ..Self::default()
        }
    }

    /// A file begins.
    pub(crate) fn begin(&self, phase: Phase, file: &str, statements: usize) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Current {
            phase,
            file: file.to_owned(),
            statement: 0,
            statements,
            begun: Stopwatch::start(),
            said: Duration::ZERO,
        });
    }

    /// It has ended, or failed.
    pub(crate) fn end(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The next statement begins. Answers whether it is worth a look at the clock.
    pub(crate) fn statement(&self, number: usize) -> bool {
        if let Some(current) = self
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            current.statement = number;
        }
        number.is_multiple_of(STATEMENTS_PER_LOOK)
    }

    /// What there is to say, if it is time.
    pub(crate) fn beat(&self) -> Option<Event> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let current = current.as_mut()?;
        let elapsed = current.begun.elapsed();
        if elapsed
            < current
                .said
                .saturating_add(self.interval.unwrap_or(INTERVAL))
        {
            return None;
        }
        current.said = elapsed;
        Some(Event::Running {
            phase: current.phase,
            file: current.file.clone(),
            statement: current.statement,
            statements: current.statements,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_speaks_only_while_a_file_runs_and_only_when_it_is_time() {
        let every = |interval| {
            let heartbeat = Heartbeat::every(interval);
            assert_eq!(heartbeat.beat(), None);
            heartbeat.begin(Phase::Apply, "a.sql", 3);
            assert!(!heartbeat.statement(2));
            assert!(heartbeat.statement(STATEMENTS_PER_LOOK));
            let said = heartbeat.beat();
            heartbeat.end();
            assert_eq!(heartbeat.beat(), None);
            said
        };
        assert_eq!(every(Duration::MAX), None);
        let said = every(Duration::ZERO);
        assert!(
            matches!(&said, Some(Event::Running { file, statement: STATEMENTS_PER_LOOK, statements: 3, .. }) if file == "a.sql"),
            "{said:?}"
        );
    }
}
