//! Views that repeat each other. While the text has no percent escapes, JSON inside of percent escapes reads the
//! same as JSON alone; without noticing that, a text full of backslashes would be decoded half a dozen times.
//! So a view that has changed nothing lately lets its children sleep, and each takes over its twin's state when
//! that ends.

use super::layout::{Concerned, ViewSet, members};
use super::views::VIEWS;

/// Who sleeps, and whom to copy on waking. Vectors are indexed by view.
pub(super) struct Twins {
    /// The sibling of the parent that decodes the same.
    pub(super) twin: Vec<Option<usize>>,
    /// The children that have a twin.
    pub(super) sleepers: Vec<ViewSet>,
    /// The twins of these.
    pub(super) stand_ins: Vec<ViewSet>,
    /// By byte, the views with such children and an escape that begins with it.
    pub(super) hosts: Concerned,
}

impl Twins {
    pub(super) fn new(children: &[ViewSet]) -> Self {
        let views = 0..VIEWS.len();
        let twin: Vec<_> = views.clone().map(|view| find(view, children)).collect();
        let has_twin = |child: &usize| twin[*child].is_some();
        let below = |view: usize| members(children[view]);
        let sleepers: Vec<_> = views
            .clone()
            .map(|view| set(below(view).filter(has_twin)))
            .collect();
        let stand_ins = views
            .clone()
            .map(|view| set(below(view).filter_map(|child| twin[child])));
        let stand_ins = stand_ins.collect();
        let mut hosts = [0; 256];
        for (byte, hosts) in (0..=u8::MAX).zip(&mut hosts) {
            let starts = |view: &usize| sleepers[*view] != 0 && VIEWS[*view].codec.starts(byte);
            *hosts = set(views.clone().filter(starts));
        }
        Self {
            twin,
            sleepers,
            stand_ins,
            hosts,
        }
    }
}

/// Only views without views below them sleep, so that one state is all there is to take over.
fn find(view: usize, children: &[ViewSet]) -> Option<usize> {
    let parent = VIEWS[view].parent;
    if parent == 0 || children[view] != 0 {
        return None;
    }
    let same = |other: &usize| *other != parent && VIEWS[*other].codec == VIEWS[view].codec;
    members(children[VIEWS[parent].parent]).find(same)
}

fn set(views: impl Iterator<Item = usize>) -> ViewSet {
    views.fold(0, |set, view| set | 1 << view)
}
