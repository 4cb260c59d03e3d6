//! Sets of UTF-16 units: `[a-z]`, `[^/]`, `.`, `\w`.

/// Line ends, which `.` does not match (ECMA-262, LineTerminator).
const LINE_ENDS: [(u16, u16); 3] = [(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)];
/// What `\s` matches (ECMA-262, WhiteSpace and LineTerminator).
const SPACES: [(u16, u16); 10] = [
    (0x09, 0x0D),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
];
const DIGITS: [(u16, u16); 1] = [(0x30, 0x39)];
const WORDS: [(u16, u16); 4] = [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)];

/// A set of units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Class {
    /// For each of the first 128 units whether it is in: nearly all that is asked.
    ascii: [bool; 128],
    /// When few ASCII units are in, or few are not.
    few: Option<Few>,
    /// Sorted, not touching, with both ends included.
    ranges: Vec<(u16, u16)>,
}

/// The ASCII part of a class, said by a few bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Few {
    pub(super) bytes: Vec<u8>,
    /// The bytes are those that are not in the class.
    pub(super) negated: bool,
}

impl Class {
    /// The units in `ranges`, or all others when `negated`.
    pub(super) fn new(ranges: Vec<(u16, u16)>, negated: bool) -> Self {
        let mut ranges = merge(ranges);
        if negated {
            ranges = complement(&ranges);
        }
        let ascii =
            std::array::from_fn(|unit| u16::try_from(unit).is_ok_and(|unit| holds(&ranges, unit)));
        Self {
            ascii,
            few: few(&ascii),
            ranges,
        }
    }

    /// Whether `unit` is in the set.
    pub(super) fn contains(&self, unit: u16) -> bool {
        match self.ascii.get(usize::from(unit)) {
            Some(&is_in) => is_in,
            None => holds(&self.ranges, unit),
        }
    }

    /// Its ASCII part, when a few bytes say it.
    pub(super) fn few(&self) -> Option<&Few> {
        self.few.as_ref()
    }

    /// The ranges it is made of.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (u16, u16)> {
        self.ranges.iter().copied()
    }
}

/// What `.` matches.
pub(super) fn any() -> Class {
    Class::new(LINE_ENDS.to_vec(), true)
}

/// What a letter after a backslash stands for, when it is a set: `\d`, `\W`.
pub(super) fn escaped(letter: char) -> Option<Class> {
    let ranges = match letter.to_ascii_lowercase() {
        'd' => DIGITS.to_vec(),
        's' => SPACES.to_vec(),
        'w' => WORDS.to_vec(),
        _ => return None,
    };
    Some(Class::new(ranges, letter.is_ascii_uppercase()))
}

/// Whether `unit` is what `\b` takes for part of a word.
pub(super) fn is_word(unit: u16) -> bool {
    holds(&WORDS, unit)
}

fn few(ascii: &[bool; 128]) -> Option<Few> {
    [false, true].into_iter().find_map(|negated| {
        let bytes: Vec<u8> = (0..128_u8)
            .filter(|&unit| ascii[usize::from(unit)] != negated)
            .collect();
        (bytes.len() <= 3).then_some(Few { bytes, negated })
    })
}

fn holds(ranges: &[(u16, u16)], unit: u16) -> bool {
    let after = ranges.partition_point(|&(first, _)| first <= unit);
    after
        .checked_sub(1)
        .is_some_and(|index| unit <= ranges[index].1)
}

fn merge(mut ranges: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(previous) if u32::from(first) <= u32::from(previous.1) + 1 => {
                previous.1 = previous.1.max(last);
            }
            _ => merged.push((first, last)),
        }
    }
    merged
}

fn complement(ranges: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let mut gaps = Vec::with_capacity(ranges.len() + 1);
    let mut next = Some(0_u16);
    for &(first, last) in ranges {
        if let Some(from) = next
            && from < first
        {
            gaps.push((from, first - 1));
        }
        next = last.checked_add(1);
    }
    gaps.extend(next.map(|from| (from, u16::MAX)));
    gaps
}

#[cfg(test)]
mod tests {
    use super::{Class, any, escaped};

    #[test]
    fn a_class_and_its_negation_share_nothing_and_miss_nothing() {
        for ranges in [
            vec![],
            vec![(0, u16::MAX)],
            vec![(5, 9), (7, 200), (0x2028, 0x2029)],
            vec![(0xFFFF, 0xFFFF)],
        ] {
            let class = Class::new(ranges.clone(), false);
            let others = Class::new(ranges.clone(), true);
            for unit in 0..=u16::MAX {
                let expected = ranges
                    .iter()
                    .any(|&(first, last)| (first..=last).contains(&unit));
                assert_eq!(class.contains(unit), expected, "{ranges:?} {unit}");
                assert_eq!(others.contains(unit), !expected, "{ranges:?} {unit}");
            }
        }
    }

    #[test]
    fn the_named_sets_hold_what_javascript_says() {
        let holds =
            |class: &Class, text: &str| text.encode_utf16().all(|unit| class.contains(unit));
        assert!(holds(&any(), "a/é\u{85}\0"));
        for line_end in ['\n', '\r', '\u{2028}', '\u{2029}'] {
            assert!(!any().contains(line_end as u16), "{line_end:?}");
        }
        let set = |letter| escaped(letter).expect("a set");
        assert!(holds(&set('d'), "0189") && !set('d').contains(u16::from(b'a')));
        assert!(holds(&set('w'), "aZ0_") && !set('w').contains('é' as u16));
        assert!(holds(&set('s'), " \t\u{FEFF}\u{3000}") && holds(&set('S'), "a\u{200B}"));
        assert!(escaped('q').is_none());
    }
}
