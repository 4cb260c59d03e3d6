//! Sets of positions in a text, so that a search can follow all its possibilities at once.
//!
//! A text of `n` units has the positions `0..=n`. Position `n - k` is bit `k`: walking towards the start of the text is then a
//! shift to the left, and a run of units can be crossed by one addition whose carry does the walking. Paths are short, so a set
//! is nearly always one machine word.

/// A set of positions; all sets of one search are made for the same text length.
pub(super) trait Positions: Clone {
    /// No position, in a text of `units` units.
    fn none(units: usize) -> Self;
    /// Whether there is none.
    fn is_empty(&self) -> bool;
    /// Adds the position that has `bit` units after it.
    fn insert(&mut self, bit: usize);
    /// The highest bit, that is the position nearest the start.
    fn first(&self) -> Option<usize>;
    /// Removes a position.
    fn remove(&mut self, bit: usize);
    /// Keeps what is also in `other`.
    fn and(&mut self, other: &Self);
    /// Removes what is in `other`.
    fn and_not(&mut self, other: &Self);
    /// Adds what is in `other`.
    fn or(&mut self, other: &Self);
    /// One unit towards the start.
    fn shift_back(&mut self);
    /// One unit towards the end; the end itself falls off.
    fn shift_ahead(&mut self);
    /// Adds every position from which units of `mask` lead, one after the other, to one in the set. A unit counts as the
    /// position after it.
    fn flood_back(&mut self, mask: &Self);

    /// Whether there are more than a few, so that going through them one by one is the slow way.
    fn is_crowded(&self) -> bool;
    /// The positions after the units for which `holds` is true.
    fn after_units(units: usize, holds: impl Fn(usize) -> bool) -> Self {
        let mut set = Self::none(units);
        for index in (0..units).filter(|&index| holds(index)) {
            set.insert(units - 1 - index);
        }
        set
    }
    /// The positions after the bytes of an ASCII text that are among `bytes`.
    fn after_bytes(text: &[u8], bytes: &[u8]) -> Self {
        Self::after_units(text.len(), |index| bytes.contains(&text[index]))
    }
    /// Every position.
    fn all(units: usize) -> Self {
        let mut all = Self::none(units);
        (0..=units).for_each(|bit| all.insert(bit));
        all
    }
}

macro_rules! machine_word {
    ($word:ty) => {
        impl Positions for $word {
            fn none(_units: usize) -> Self {
                0
            }
            fn is_empty(&self) -> bool {
                *self == 0
            }
            fn insert(&mut self, bit: usize) {
                *self |= 1 << bit;
            }
            fn first(&self) -> Option<usize> {
                self.checked_ilog2().map(|bit| bit as usize)
            }
            fn remove(&mut self, bit: usize) {
                *self &= !(1 << bit);
            }
            fn and(&mut self, other: &Self) {
                *self &= other;
            }
            fn and_not(&mut self, other: &Self) {
                *self &= !other;
            }
            fn or(&mut self, other: &Self) {
                *self |= other;
            }
            fn shift_back(&mut self) {
                *self <<= 1;
            }
            fn shift_ahead(&mut self) {
                *self >>= 1;
            }
            fn flood_back(&mut self, mask: &Self) {
                // The lowest start in a run of ones carries through it to the first zero: the changed bits are the crossed ones.
                *self |= ((*self & mask) + mask) ^ mask;
            }
            fn is_crowded(&self) -> bool {
                self.count_ones() > 4
            }
            fn after_units(units: usize, holds: impl Fn(usize) -> bool) -> Self {
                (0..units).fold(0, |set, index| set << 1 | Self::from(holds(index)))
            }
            fn after_bytes(text: &[u8], bytes: &[u8]) -> Self {
                let (chunks, rest) = text.as_chunks::<8>();
                let set = chunks.iter().fold(0, |set, chunk| {
                    set << 8 | Self::from(find_bytes(*chunk, bytes))
                });
                let mut last = [0; 8];
                last[..rest.len()].copy_from_slice(rest);
                set << rest.len()
                    | Self::from(u16::from(find_bytes(last, bytes)) >> (8 - rest.len()))
            }
            fn all(units: usize) -> Self {
                (2 << units) - 1
            }
        }
    };
}

/// Which of eight ASCII bytes are among `bytes`, the first one in the highest bit; the eight are compared at once.
fn find_bytes(text: [u8; 8], bytes: &[u8]) -> u8 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let text = u64::from_be_bytes(text);
    let mut equal = 0;
    for &byte in bytes {
        let difference = text ^ (ONES * u64::from(byte));
        // No byte exceeds 0x7F, so adding that carries into the top bit of just those that differ.
        equal |= !(difference + ONES * 0x7F) >> 7 & ONES;
    }
    // The product moves the lowest bit of byte `i` to bit `56 + i`; nothing else reaches the top byte.
    (equal.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

// Each holds texts one unit shorter than it has bits, less one for the carry.
machine_word!(u64);
machine_word!(u128);

/// Longest text whose positions fit `u64`, in units.
pub(super) const UNITS_MAX_64: usize = 62;
/// Longest text whose positions fit `u128`, in units.
pub(super) const UNITS_MAX_128: usize = 126;

/// Positions in a text of any length.
#[derive(Clone)]
pub(super) struct Wide(Vec<u64>);

impl Positions for Wide {
    fn none(units: usize) -> Self {
        Self(vec![0; (units + 2).div_ceil(64)])
    }
    fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }
    fn insert(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }
    fn is_crowded(&self) -> bool {
        self.0.iter().map(|word| word.count_ones()).sum::<u32>() > 4
    }
    fn first(&self) -> Option<usize> {
        let (index, word) = self
            .0
            .iter()
            .enumerate()
            .rev()
            .find(|(_, word)| **word != 0)?;
        Some(index * 64 + word.ilog2() as usize)
    }
    fn remove(&mut self, bit: usize) {
        self.0[bit / 64] &= !(1 << (bit % 64));
    }
    fn and(&mut self, other: &Self) {
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(word, other)| *word &= other);
    }
    fn and_not(&mut self, other: &Self) {
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(word, other)| *word &= !other);
    }
    fn or(&mut self, other: &Self) {
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(word, other)| *word |= other);
    }
    fn shift_back(&mut self) {
        let mut carry = 0;
        for word in &mut self.0 {
            (*word, carry) = (*word << 1 | carry, *word >> 63);
        }
    }
    fn shift_ahead(&mut self) {
        let mut carry = 0;
        for word in self.0.iter_mut().rev() {
            (*word, carry) = (*word >> 1 | carry, *word << 63);
        }
    }
    fn flood_back(&mut self, mask: &Self) {
        let mut carry = false;
        for (word, mask) in self.0.iter_mut().zip(&mask.0) {
            let (sum, first) = (*word & mask).overflowing_add(*mask);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            carry = first || second;
            *word |= sum ^ mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Positions, Wide};

    fn bits<P: Positions>(set: &P) -> Vec<usize> {
        let mut set = set.clone();
        std::iter::from_fn(|| {
            let bit = set.first()?;
            set.remove(bit);
            Some(bit)
        })
        .collect()
    }

    fn of<P: Positions>(units: usize, bits: &[usize]) -> P {
        let mut set = P::none(units);
        bits.iter().for_each(|&bit| set.insert(bit));
        set
    }

    /// One unit at a time.
    fn flood_slowly(set: &[usize], mask: &[usize]) -> Vec<usize> {
        let mut reached = set.to_vec();
        while let Some(next) = reached
            .iter()
            .find(|bit| mask.contains(bit) && !reached.contains(&(**bit + 1)))
        {
            reached.push(next + 1);
        }
        reached.sort_unstable_by(|a, b| b.cmp(a));
        reached
    }

    #[test]
    fn flooding_reaches_what_walking_reaches() {
        for pattern in 0..1024_usize {
            let set: Vec<usize> = (0..5).filter(|bit| pattern >> bit & 1 == 1).collect();
            let mask: Vec<usize> = (0..5).filter(|bit| pattern >> (bit + 5) & 1 == 1).collect();
            let expected = flood_slowly(&set, &mask);
            let mut small: u64 = of(5, &set);
            small.flood_back(&of(5, &mask));
            assert_eq!(bits(&small), expected, "{set:?} {mask:?}");
            // The same across the border between two words.
            let up = |bits: &[usize]| bits.iter().map(|bit| bit + 61).collect::<Vec<_>>();
            let mut wide: Wide = of(70, &up(&set));
            wide.flood_back(&of(70, &up(&mask)));
            assert_eq!(bits(&wide), up(&expected), "{set:?} {mask:?}");
        }
    }

    #[test]
    fn bytes_are_found_eight_at_a_time() {
        let text: Vec<u8> = (0..62_usize)
            .map(|index| b"a/.\0\x7f/"[index * index % 6])
            .collect();
        for length in 0..=text.len() {
            for bytes in [&b""[..], b"/", b"\0", b"\x7f", b"./", b"\n\r"] {
                let text = &text[..length];
                let slowly = u64::after_units(length, |index| bytes.contains(&text[index]));
                assert_eq!(u64::after_bytes(text, bytes), slowly, "{text:?} {bytes:?}");
                assert_eq!(u128::after_bytes(text, bytes), u128::from(slowly));
                assert_eq!(bits(&Wide::after_bytes(text, bytes)), bits(&slowly));
            }
        }
    }

    #[test]
    fn wide_sets_shift_across_words() {
        let mut set: Wide = of(200, &[0, 63, 64, 127, 128]);
        set.shift_back();
        assert_eq!(bits(&set), [129, 128, 65, 64, 1]);
        set.shift_ahead();
        set.shift_ahead();
        assert_eq!(bits(&set), [127, 126, 63, 62]);
        assert_eq!(bits(&Wide::all(64)).len(), 65);
        assert_eq!(bits(&u64::all(62)).len(), 63);
        assert_eq!(bits(&u128::all(126)).len(), 127);
    }
}
