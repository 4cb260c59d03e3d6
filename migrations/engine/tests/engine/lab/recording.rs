//! What the shim writes down: every call that changes a file below the folder, with its data.

use std::path::{Path, PathBuf};

/// In the order of the shim's enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file that was there is opened for writing: its number gets a name. Changes nothing and is not counted.
    Bind,
    Create,
    Write,
    Truncate,
    Sync,
    SyncDir,
    Unlink,
    Rename,
    Link,
    Mkdir,
    Rmdir,
}

const KINDS: [Kind; 11] = [
    Kind::Bind,
    Kind::Create,
    Kind::Write,
    Kind::Truncate,
    Kind::Sync,
    Kind::SyncDir,
    Kind::Unlink,
    Kind::Rename,
    Kind::Link,
    Kind::Mkdir,
    Kind::Rmdir,
];

/// One call. Paths are relative to the folder.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
    /// The new name, for a rename and a link.
    pub(super) other: PathBuf,
    pub(super) inode: u64,
    /// Where it writes, or to what size it cuts.
    pub(super) at: u64,
    pub(super) data: Vec<u8>,
}

/// Reads the shim's log.
pub(super) fn read(log: &Path, folder: &Path) -> Vec<Call> {
    let bytes = fs_err::read(log).expect("the log of the calls");
    let mut rest = bytes.as_slice();
    let mut calls = Vec::new();
    let relative = |bytes: &[u8]| {
        let path = PathBuf::from(String::from_utf8(bytes.to_vec()).expect("a plain path"));
        path.strip_prefix(folder)
            .map(Path::to_owned)
            .unwrap_or(path)
    };
    while !rest.is_empty() {
        let mut take = |size: usize| {
            let (taken, left) = rest.split_at(size);
            rest = left;
            taken
        };
        let mut number = |size: usize| {
            let mut value = [0; 8];
            value[..size].copy_from_slice(take(size));
            u64::from_le_bytes(value)
        };
        let (kind, path, other, data) = (number(4), number(4), number(4), number(4));
        let (inode, at) = (number(8), number(8));
        let size = |size: u64| usize::try_from(size).expect("a size");
        calls.push(Call {
            kind: KINDS[size(kind)],
            path: relative(take(size(path))),
            other: relative(take(size(other))),
            inode,
            at,
            data: take(size(data)).to_vec(),
        });
    }
    calls
}
