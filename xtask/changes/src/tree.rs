//! The files of a tree as git lists them. A repository may have hundreds of thousands, so a list keeps git's own text and the
//! places of its parts in it; a selection of files shares that text.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// One file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// `100644`, `100755`, `120000` (symbolic link) or `160000` (submodule).
    pub mode: &'a str,
    /// The blob, or the submodule's commit.
    pub oid: &'a str,
    /// Path from the root, as bytes: git allows anything but NUL.
    pub path: &'a [u8],
}

/// Files in the order of their paths.
#[derive(Clone, Default)]
pub struct Files {
    text: Arc<Vec<u8>>,
    places: Vec<Place>,
}

/// Where the parts of one entry stand: `mode [type ]oid<TAB>path<NUL>`.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u32,
    oid: u32,
    path: u32,
    end: u32,
}

/// The text is no list of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokenList {
    /// This entry is none.
    Entry(String),
    /// It is longer than 4 GiB.
    TooLong,
}

impl fmt::Display for BrokenList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(entry) => write!(f, "'{entry}' is no entry of a list of files"),
            Self::TooLong => f.write_str("the list of files is longer than 4 GiB"),
        }
    }
}

impl std::error::Error for BrokenList {}

impl Files {
    /// Reads what `git ls-tree -r -z` prints, or the same without the types of the objects.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: Vec<u8>) -> Result<Self, BrokenList> {
        Self::parse_from(text, 0)
    }

    /// Reads a list that begins at `start` of the text.
    pub(crate) fn parse_from(text: Vec<u8>, start: usize) -> Result<Self, BrokenList> {
        let mut places = Vec::with_capacity(text.len().saturating_sub(start) / 80);
        let mut begin = start;
        while begin < text.len() {
            let rest = &text[begin..];
            let length = rest
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(rest.len());
            let entry = &rest[..length];
            let place = Place::find(entry, begin)?;
            places.push(place.ok_or_else(|| {
                BrokenList::Entry(String::from_utf8_lossy(entry).chars().take(200).collect())
            })?);
            begin += length + 1;
        }
        let path = |place: &Place| &text[place.path as usize..place.end as usize];
        if !places.is_sorted_by_key(path) {
            places.sort_by(|a, b| path(a).cmp(path(b)));
        }
        Ok(Self {
            text: Arc::new(text),
            places,
        })
    }

    /// A list of these files.
    ///
    /// # Errors
    /// When a mode or id is not written as git writes it.
    pub fn of<'a>(files: impl IntoIterator<Item = File<'a>>) -> Result<Self, BrokenList> {
        let mut text = Vec::new();
        for file in files {
            file.write(&mut text);
        }
        Self::parse(text)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Every file.
    pub fn iter(&self) -> impl Iterator<Item = File<'_>> + Clone {
        self.places.iter().map(|place| self.file(place))
    }

    /// The file with this path.
    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<File<'_>> {
        let found = self
            .places
            .binary_search_by(|place| self.file(place).path.cmp(path));
        found.ok().map(|index| self.file(&self.places[index]))
    }

    /// The files with these numbers, which ascend.
    pub(crate) fn only(&self, numbers: &[usize]) -> Self {
        Self {
            text: Arc::clone(&self.text),
            places: numbers.iter().map(|&number| self.places[number]).collect(),
        }
    }

    /// What either list has and the other has not, or differently: by path, ours first.
    pub(crate) fn differences<'a>(
        &'a self,
        other: &'a Self,
        mut each: impl FnMut(Option<File<'a>>, Option<File<'a>>),
    ) {
        let (mut ours, mut theirs) = (self.iter().peekable(), other.iter().peekable());
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.path.cmp(b.path),
            };
            let a = ours.next_if(|_| order != Ordering::Greater);
            let b = theirs.next_if(|_| order != Ordering::Less);
            if a != b {
                each(a, b);
            }
        }
    }

    fn file(&self, place: &Place) -> File<'_> {
        let part = |from: u32, to: u32| &self.text[from as usize..to as usize];
        // Checked to be ASCII when the list was read.
        let text = |from, to| std::str::from_utf8(part(from, to)).unwrap_or_default();
        File {
            mode: text(place.start, place.start + MODE),
            oid: text(place.oid, place.path - 1),
            path: part(place.path, place.end),
        }
    }
}

/// Digits of a mode.
const MODE: u32 = 6;

impl Place {
    /// The parts of an entry that begins at `start`; `None` when it has other parts.
    fn find(entry: &[u8], start: usize) -> Result<Option<Self>, BrokenList> {
        let Some(tab) = entry.iter().position(|byte| *byte == b'\t') else {
            return Ok(None);
        };
        let head = &entry[..tab];
        let space = head
            .iter()
            .rposition(|byte| *byte == b' ')
            .unwrap_or_default();
        let digits = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(u8::is_ascii_hexdigit);
        let is_one = head.get(MODE as usize) == Some(&b' ')
            && digits(&head[..MODE as usize])
            && digits(&head[space + 1..])
            && tab + 1 < entry.len();
        if !is_one {
            return Ok(None);
        }
        let at = |offset: usize| u32::try_from(start + offset).map_err(|_| BrokenList::TooLong);
        Ok(Some(Self {
            start: at(0)?,
            oid: at(space + 1)?,
            path: at(tab + 1)?,
            end: at(entry.len())?,
        }))
    }
}

impl<'a> File<'a> {
    /// Whether it is a file, a link or a submodule: the first three digits of the mode.
    #[must_use]
    pub fn kind(&self) -> &'a str {
        self.mode.get(..3).unwrap_or(self.mode)
    }

    /// The entry as it stands in a list.
    pub(crate) fn write(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(self.mode.as_bytes());
        text.push(b' ');
        text.extend_from_slice(self.oid.as_bytes());
        text.push(b'\t');
        text.extend_from_slice(self.path);
        text.push(0);
    }
}

impl PartialEq for Files {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Files {}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_with_odd_names_is_read() {
        let one = "1".repeat(40);
        let text = [
            format!("100644 blob {one}\tz b\nc\0").into_bytes(),
            format!("120000 blob {one}\t").into_bytes(),
            b"\xff\0".to_vec(),
            format!("160000 commit {one}\t\"a\"\ttab\0").into_bytes(),
        ];
        let files = Files::parse(text.concat()).expect("a list");
        let read: Vec<(&str, &str, &[u8])> = files
            .iter()
            .map(|file| (file.mode, file.oid, file.path))
            .collect();
        let one = one.as_str();
        assert_eq!(
            read,
            [
                ("160000", one, &b"\"a\"\ttab"[..]),
                ("100644", one, b"z b\nc"),
                ("120000", one, b"\xff")
            ],
            "in the order of the bytes"
        );
        assert_eq!(files.get(b"\xff").map(|file| file.kind()), Some("120"));
        assert_eq!(files.get(b"z"), None);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for broken in [
            "nonsense\0",
            "100644 blob 11\t\0",
            "10064 blob 11\ta\0",
            "100644 blob xy\ta\0",
            "100644 blob \ta\0",
            "\0",
            "\t\0",
        ] {
            assert!(
                matches!(Files::parse(broken.into()), Err(BrokenList::Entry(_))),
                "{broken:?}"
            );
        }
        assert_eq!(Files::parse(Vec::new()).expect("an empty list").len(), 0);
        let cut_off = Files::parse(b"100644 11\ta".to_vec()).expect("a list");
        assert_eq!(cut_off.len(), 1, "the last NUL may be missing");
    }
}
