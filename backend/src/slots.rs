//! Decides who is served when there are more connections than the service wants to hold. One
//! that is only waiting makes room for a new one; when all are being answered, a few more are
//! let in for the platform's health checks alone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// What a connection may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Anything.
    Full,
    /// Health and liveness; anything else is answered with 503.
    ProbesOnly,
}

/// The connections that are open.
pub(crate) struct Slots {
    full: usize,
    reserve: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// Counts admissions and changes to idle, so that the smallest number is the oldest.
    clock: u64,
    open: BTreeMap<u64, Open>,
}

struct Open {
    /// Since when it has been waiting for a request's head; `None` while one is being answered.
    idle_since: Option<u64>,
    evicted: Arc<Notify>,
}

impl Slots {
    /// Room for `full` connections, and `reserve` more that may only probe.
    pub(crate) fn new(full: usize, reserve: usize) -> Arc<Self> {
        Arc::new(Self {
            full,
            reserve,
            table: Mutex::default(),
        })
    }

    /// Finds room for a new connection, closing the one that has waited longest if need be.
    /// `None` when even the reserve is being answered.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Slot> {
        let mut table = self.table();
        if table.open.len() >= self.full {
            table.evict_oldest_idle();
        }
        let admission = match table.open.len() {
            open if open < self.full => Admission::Full,
            open if open < self.full + self.reserve => Admission::ProbesOnly,
            _ => return None,
        };
        table.clock += 1;
        let id = table.clock;
        let evicted = Arc::new(Notify::new());
        table.open.insert(
            id,
            Open {
                idle_since: Some(id),
                evicted: Arc::clone(&evicted),
            },
        );
        drop(table);
        Some(Slot {
            slots: Arc::clone(self),
            id,
            admission,
            evicted,
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn evict_oldest_idle(&mut self) {
        let idle = self
            .open
            .iter()
            .filter_map(|(id, open)| Some((open.idle_since?, *id)));
        if let Some((_, id)) = idle.min()
            && let Some(open) = self.open.remove(&id)
        {
            open.evicted.notify_one();
        }
    }
}

/// One connection's place, given back when dropped.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    id: u64,
    admission: Admission,
    evicted: Arc<Notify>,
}

impl Slot {
    pub(crate) fn admission(&self) -> Admission {
        self.admission
    }

    /// Completes when the connection has to close to make room.
    pub(crate) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// Notes that a request's head has arrived: from here to [`Slot::idle`] it is not closed.
    pub(crate) fn busy(&self) {
        if let Some(open) = self.slots.table().open.get_mut(&self.id) {
            open.idle_since = None;
        }
    }

    /// Notes that the answer is ready and the connection waits for the next request.
    pub(crate) fn idle(&self) {
        let mut table = self.slots.table();
        table.clock += 1;
        let now = table.clock;
        if let Some(open) = table.open.get_mut(&self.id) {
            open.idle_since = Some(now);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.table().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_evicted(slot: &Slot) -> bool {
        !slot.slots.table().open.contains_key(&slot.id)
    }

    #[test]
    fn the_connection_that_waited_longest_makes_room() {
        let slots = Slots::new(3, 1);
        let [a, b, c] = [(); 3].map(|()| slots.admit().unwrap());
        a.busy();
        a.idle();
        b.busy();
        let d = slots.admit().unwrap();
        assert_eq!(d.admission(), Admission::Full);
        assert!(is_evicted(&c) && !is_evicted(&a) && !is_evicted(&b));
        let e = slots.admit().unwrap();
        assert!(is_evicted(&a) && !is_evicted(&b) && !is_evicted(&d) && !is_evicted(&e));
    }

    #[test]
    fn when_all_are_busy_only_probes_get_in_and_then_nobody() {
        let slots = Slots::new(2, 1);
        let [a, b] = [(); 2].map(|()| slots.admit().unwrap());
        a.busy();
        b.busy();
        let c = slots.admit().unwrap();
        assert_eq!(c.admission(), Admission::ProbesOnly);
        c.busy();
        assert!(slots.admit().is_none());
        drop(b);
        assert_eq!(slots.admit().unwrap().admission(), Admission::ProbesOnly);
        drop(c);
        assert_eq!(slots.admit().unwrap().admission(), Admission::Full);
    }

    #[test]
    fn an_idle_probe_connection_makes_room_for_the_next_probe() {
        let slots = Slots::new(1, 1);
        let a = slots.admit().unwrap();
        a.busy();
        let b = slots.admit().unwrap();
        let c = slots.admit().unwrap();
        assert!(is_evicted(&b) && !is_evicted(&a));
        assert_eq!(c.admission(), Admission::ProbesOnly);
    }

    #[tokio::test]
    async fn an_eviction_is_heard_even_when_it_came_first() {
        let slots = Slots::new(1, 0);
        let a = slots.admit().unwrap();
        let _b = slots.admit().unwrap();
        a.evicted().await;
    }
}
