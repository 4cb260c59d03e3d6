//! What to hide: stretches of source text, merged where they overlap, and the one place that prints a mask instead
//! of them. Merging does not depend on the order in which stretches are found.

/// A stretch of source text, offsets in bytes from the beginning of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Index of the mask to print, taken from the part that begins first, and is longest there.
    pub(super) mask: usize,
    /// Length of that part.
    named_len: u64,
}

impl Span {
    pub(super) fn new(start: u64, end: u64, mask: usize) -> Self {
        Self {
            start,
            end,
            mask,
            named_len: end - start,
        }
    }

    /// Whether nothing lies between the two.
    pub(super) fn touches(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    pub(super) fn merge(&mut self, other: Self) {
        let rank = |span: &Self| (span.start, std::cmp::Reverse(span.named_len), span.mask);
        let named = if rank(&other) < rank(self) {
            other
        } else {
            *self
        };
        *self = Self {
            start: named.start,
            end: self.end.max(other.end),
            ..named
        };
    }
}

/// Text that may not be printed yet, and what of it is to be hidden.
#[derive(Default)]
pub(super) struct Held {
    text: Vec<u8>,
    /// Offset of the first held byte.
    base: u64,
    spans: Vec<Span>,
    /// Where the last printed mask's stretch ended: one that follows at once is part of the same mask.
    masked_to: Option<u64>,
}

impl Held {
    pub(super) fn push(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    pub(super) fn hide(&mut self, spans: impl Iterator<Item = Span>) {
        self.spans.extend(spans);
    }

    /// Appends to `out` everything before `settled`, the offset before which nothing more will be hidden; a
    /// stretch that reaches beyond stays whole. `mask` prints a mask by its index.
    pub(super) fn release<'a>(
        &mut self,
        settled: u64,
        mask: impl Fn(usize) -> &'a str,
        out: &mut Vec<u8>,
    ) {
        let mut until = settled
            .max(self.base)
            .min(self.base + self.text.len() as u64);
        let mut from = self.base;
        let mut kept = Vec::new();
        for span in merged(std::mem::take(&mut self.spans)) {
            if span.end > until {
                until = until.min(span.start).max(from);
                kept.push(span);
                continue;
            }
            out.extend_from_slice(self.between(from, span.start));
            if self.masked_to != Some(span.start) {
                out.extend_from_slice(mask(span.mask).as_bytes());
            }
            self.masked_to = Some(span.end);
            from = span.end;
        }
        out.extend_from_slice(self.between(from, until));
        self.spans = kept;
        self.text
            .drain(..usize::try_from(until - self.base).unwrap_or_default());
        self.base = until;
    }

    /// The held text between two offsets; empty when there is none.
    fn between(&self, from: u64, to: u64) -> &[u8] {
        let index = |offset: u64| usize::try_from(offset.saturating_sub(self.base)).ok();
        index(from)
            .zip(index(to))
            .and_then(|(from, to)| self.text.get(from..to))
            .unwrap_or_default()
    }
}

fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable_by_key(|span| span.start);
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if last.touches(&span) => last.merge(span),
            _ => merged.push(span),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(spans: &[Span], steps: &[u64]) -> String {
        let mut held = Held::default();
        held.push(b"0123456789");
        held.hide(spans.iter().copied());
        let mut out = Vec::new();
        for &settled in steps {
            held.release(settled, |mask| ["<a>", "<b>"][mask], &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn overlapping_and_touching_stretches_become_one_mask() {
        let spans = [Span::new(4, 6, 1), Span::new(2, 4, 0), Span::new(5, 8, 1)];
        assert_eq!(release(&spans, &[10]), "01<a>89");
        assert_eq!(release(&spans, &[1, 3, 8, 9, 10]), "01<a>89");
    }

    #[test]
    fn touching_stretches_share_a_mask_also_when_the_second_comes_later() {
        let mut held = Held::default();
        held.push(b"0123456789");
        let mut out = Vec::new();
        held.hide([Span::new(2, 4, 0)].into_iter());
        held.release(4, |_| "<>", &mut out);
        held.hide([Span::new(4, 6, 0)].into_iter());
        held.release(10, |_| "<>", &mut out);
        assert_eq!(out, b"01<>6789");
    }

    #[test]
    fn the_longest_of_those_that_begin_first_names_the_mask() {
        assert_eq!(
            release(
                &[Span::new(1, 3, 0), Span::new(1, 5, 1), Span::new(2, 9, 0)],
                &[10]
            ),
            "0<b>9"
        );
    }
}
