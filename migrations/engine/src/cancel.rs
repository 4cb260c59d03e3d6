//! A request to stop, from a signal handler or another thread, that rolls back instead of killing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Set it from anywhere; the migrator looks at it between statements and every few thousand instructions within one.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicUsize>);

impl Cancel {
    /// A request nobody has made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a stop, naming the signal that did (2 is Ctrl-C).
    pub fn request(&self, signal: i32) {
        self.0.store(
            usize::try_from(signal).unwrap_or(2).max(1),
            Ordering::SeqCst,
        );
    }

    /// The signal that asked, if one did.
    pub fn signal(&self) -> Option<i32> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            signal => i32::try_from(signal).ok(),
        }
    }

    /// The number a signal handler stores into.
    pub(crate) fn cell(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.0)
    }
}
