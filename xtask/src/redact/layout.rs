//! The views in the form the scanner walks: who feeds whom, and to whom a byte makes a difference, so that most
//! bytes are dismissed with one look.

use super::codec::Codec;
use super::needles::{Needles, StateID};
use super::twins::Twins;
use super::views::VIEWS;

/// A set of views, one bit for each by its index in [`VIEWS`].
pub(super) type ViewSet = u64;

const _: () = assert!(VIEWS.len() <= ViewSet::BITS as usize, "a view needs a bit");

/// The views concerned by each byte, including those with such a view below them.
pub(super) type Concerned = [ViewSet; 256];

/// Computed once per set of needles.
pub(super) struct Layout {
    /// By view, the views that read its output.
    pub(super) children: Vec<ViewSet>,
    pub(super) twins: Twins,
    /// Bytes that can begin an escape.
    starters: Concerned,
    /// The same without the views that turn white space into one space: for a needle under way that has none next.
    starters_but_spaces: Concerned,
    /// Bytes that can stand for the first byte of a needle: when none is under way.
    openers: Concerned,
}

impl Layout {
    /// Views that only differ in what no needle has are left out.
    pub(super) fn new(needles: &Needles) -> Self {
        let used = |view: usize| match VIEWS[view].codec {
            Codec::WhiteSpace => needles.white_space,
            Codec::BackslashChar => needles.beyond_ascii,
            _ => true,
        };
        let mut children = vec![0; VIEWS.len()];
        for (index, view) in VIEWS
            .iter()
            .enumerate()
            .skip(1)
            .filter(|(index, _)| used(*index))
        {
            children[view.parent] |= 1 << index;
        }
        let begins_needle = |byte| needles.next(needles.start(), byte) != needles.start();
        Self {
            twins: Twins::new(&children),
            children,
            starters: concerned(used, Codec::starts),
            starters_but_spaces: concerned(used, |codec, byte| {
                codec != Codec::WhiteSpace && codec.starts(byte)
            }),
            openers: concerned(used, |codec, byte| codec.opens(byte, begins_needle)),
        }
    }

    /// The views to which a source byte makes a difference after plain text in state `before`.
    pub(super) fn interest(
        &self,
        needles: &Needles,
        before: StateID,
        quiet: bool,
        byte: u8,
    ) -> ViewSet {
        let table = match quiet {
            true => &self.openers,
            false if needles.takes_space(before) => &self.starters,
            false => &self.starters_but_spaces,
        };
        table[usize::from(byte)]
    }

    /// The same for a decoded byte: every reader must know of it unless it is inert.
    pub(super) fn interest_decoded(&self, quiet: bool, inert: bool, byte: u8) -> ViewSet {
        match (quiet, inert) {
            (_, false) => ViewSet::MAX,
            (true, true) => self.openers[usize::from(byte)],
            (false, true) => self.starters[usize::from(byte)],
        }
    }
}

fn concerned(used: impl Fn(usize) -> bool, concerns: impl Fn(Codec, u8) -> bool) -> Concerned {
    let mut sets = [0; 256];
    for (byte, set) in (0..=u8::MAX).zip(&mut sets) {
        for (index, view) in VIEWS
            .iter()
            .enumerate()
            .filter(|(index, _)| used(*index))
            .rev()
        {
            if concerns(view.codec, byte) {
                *set |= 1 << index;
            }
            if *set & (1 << index) != 0 {
                *set |= 1 << view.parent;
            }
        }
    }
    sets
}

/// The members of a set in ascending order.
pub(super) fn members(mut set: ViewSet) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let first = set.trailing_zeros();
        set &= set.checked_sub(1)?;
        usize::try_from(first).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::super::needles::Needle;
    use super::*;

    #[test]
    fn parents_stand_before_their_children() {
        // The loop above relies on it: a view's set is complete before it is added to its parent's.
        assert!(
            VIEWS
                .iter()
                .enumerate()
                .all(|(index, view)| view.parent < index || index == 0)
        );
    }

    #[test]
    fn views_are_used_when_a_needle_has_what_they_change() {
        let count = |text: &str| {
            let needle = Needle {
                text: text.to_owned(),
                mask: 0,
                encoded: false,
            };
            let needles = Needles::compile(vec![needle], vec![String::new()]).unwrap();
            Layout::new(&needles)
                .children
                .iter()
                .map(|set| members(*set).count())
                .sum::<usize>()
        };
        assert_eq!(count("blue hörse"), VIEWS.len() - 1);
        assert!(count("blue-horse") < count("blue horse"));
    }
}
