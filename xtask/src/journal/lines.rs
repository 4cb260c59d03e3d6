//! Lines of output on their way into the journal: many in one transaction, because each transaction is synced to disk, and of a long
//! output its beginning and its end only, because a command must not be able to fill the disk.

use crate::event::{Event, EventKind, Step};
use crate::ids::RunId;
use std::collections::{BTreeMap, VecDeque};

/// Lines that wait at most; whoever is killed loses them.
const WAITING_MAX: usize = 512;
/// How long they wait at most, as long as others follow.
const WAITING_MS_MAX: u64 = 1_000;
/// What is kept of a step's output: so much of its beginning, and as much of its end.
pub(super) const KEPT: Size = Size {
    lines: 5_000,
    bytes: 4 << 20,
};

#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) lines: usize,
    pub(super) bytes: usize,
}

impl Size {
    fn fits(self, line: usize) -> bool {
        self.lines < KEPT.lines && self.bytes + line <= KEPT.bytes
    }

    fn add(&mut self, line: usize) {
        self.lines += 1;
        self.bytes += line;
    }
}

/// Whose events they are, and the events.
pub(super) type Rows = Vec<(RunId, Event)>;

/// See the module's words.
#[derive(Default)]
pub(super) struct Lines {
    waiting: Rows,
    outputs: BTreeMap<(RunId, Step), Output>,
}

/// One step's output.
#[derive(Default)]
struct Output {
    first: Size,
    last: VecDeque<Event>,
    last_size: Size,
    left_out: u64,
}

impl Lines {
    /// Takes an event and gives what is to be written now, in order, that event included; empty when it can wait.
    pub(super) fn take(&mut self, run: &RunId, event: &Event) -> Rows {
        match &event.kind {
            EventKind::Output { step, line } => {
                let output = self.outputs.entry((run.clone(), *step)).or_default();
                if output.keeps_first(line) {
                    self.waiting.push((run.clone(), event.clone()));
                } else {
                    output.keep_last(event, line);
                }
                let oldest = self.waiting.first().map(|(_, event)| event.elapsed_ms);
                let is_due = self.waiting.len() >= WAITING_MAX
                    || oldest.is_some_and(|oldest| {
                        event.elapsed_ms.saturating_sub(oldest) >= WAITING_MS_MAX
                    });
                return if is_due { self.waiting() } else { Vec::new() };
            }
            EventKind::StepFinished { step, .. } => self.close(&(run.clone(), *step)),
            EventKind::RunFinished { .. } => self.close_all(),
            _ => {}
        }
        let mut rows = self.waiting();
        rows.push((run.clone(), event.clone()));
        rows
    }

    /// Everything that is not written yet.
    pub(super) fn all(&mut self) -> Rows {
        self.close_all();
        self.waiting()
    }

    fn waiting(&mut self) -> Rows {
        std::mem::take(&mut self.waiting)
    }

    fn close_all(&mut self) {
        let open: Vec<(RunId, Step)> = self.outputs.keys().cloned().collect();
        open.iter().for_each(|key| self.close(key));
    }

    /// The end of an output is known now.
    fn close(&mut self, key: &(RunId, Step)) {
        let Some(output) = self.outputs.remove(key) else {
            return;
        };
        let (run, step) = key;
        // It gets the number of a line that was left out.
        let gap = output
            .last
            .front()
            .filter(|_| output.left_out > 0)
            .map(|next| Event {
                seq: next.seq - 1,
                kind: EventKind::Output {
                    step: *step,
                    line: format!("[{} lines were left out here]", output.left_out),
                },
                ..*next
            });
        let rows = gap.into_iter().chain(output.last);
        self.waiting.extend(rows.map(|event| (run.clone(), event)));
    }
}

impl Output {
    fn keeps_first(&mut self, line: &str) -> bool {
        // Once something did not fit, nothing smaller may follow it there.
        let fits = self.last.is_empty() && self.first.fits(line.len());
        if fits {
            self.first.add(line.len());
        }
        fits
    }

    fn keep_last(&mut self, event: &Event, line: &str) {
        while !self.last_size.fits(line.len()) {
            let Some(Event {
                kind: EventKind::Output { line, .. },
                ..
            }) = self.last.pop_front()
            else {
                break;
            };
            self.last_size.lines -= 1;
            self.last_size.bytes -= line.len();
            self.left_out += 1;
        }
        self.last_size.add(line.len());
        self.last.push_back(event.clone());
    }
}
