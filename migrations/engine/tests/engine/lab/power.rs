//! A disk that keeps only what was synced: the content of a file by a sync of the file, names by a sync of their folder.
//! Everything else is there or not, sector by sector and name by name, as a seed decides.

use super::recording::{Call, Kind};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a disk writes at once. A longer write may arrive in parts, and in any order.
const SECTOR_BYTES: usize = 512;

/// A file's content as it is on the disk, and what has not arrived there.
#[derive(Clone, Debug, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, data: Vec<u8> },
    Size(usize),
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    File(usize),
    Folder,
}

#[derive(Clone, Debug)]
enum NameChange {
    Add(PathBuf, Entry),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Entry),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    files: Vec<File>,
    /// The file that a number of the real file system means at this moment.
    numbers: BTreeMap<u64, usize>,
    /// Names as programs see them.
    now: BTreeMap<PathBuf, Entry>,
    durable: BTreeMap<PathBuf, Entry>,
    pending: Vec<NameChange>,
}

impl Disk {
    /// A folder as it is, all of it on the disk.
    pub(super) fn load(folder: &Path) -> Self {
        let mut disk = Self::default();
        for (name, content) in super::files(folder) {
            for above in name.ancestors().skip(1) {
                disk.now.insert(above.to_owned(), Entry::Folder);
            }
            disk.now.insert(name, Entry::File(disk.files.len()));
            disk.files.push(File {
                durable: content,
                pending: Vec::new(),
            });
        }
        disk.now.insert(PathBuf::new(), Entry::Folder);
        disk.durable.clone_from(&disk.now);
        disk
    }

    /// Does what the program did.
    pub(super) fn follow(&mut self, call: &Call) {
        let at = usize::try_from(call.at).expect("a place in memory");
        match call.kind {
            Kind::Bind => {
                if let Some(Entry::File(file)) = self.now.get(&call.path) {
                    self.numbers.insert(call.inode, *file);
                }
            }
            Kind::Create => {
                let file = self.files.len();
                self.files.push(File::default());
                self.numbers.insert(call.inode, file);
                self.rename_to(NameChange::Add(call.path.clone(), Entry::File(file)));
            }
            Kind::Write => self.change(
                call,
                Change::Write {
                    at,
                    data: call.data.clone(),
                },
            ),
            Kind::Truncate => self.change(call, Change::Size(at)),
            Kind::Sync => {
                let file = self.file(call);
                for change in std::mem::take(&mut file.pending) {
                    change.arrive(&mut file.durable, &mut |_| true);
                }
            }
            Kind::SyncDir => {
                let concerns = |path: &Path| path.parent() == Some(call.path.as_path());
                let (arrived, left) = std::mem::take(&mut self.pending)
                    .into_iter()
                    .partition(|change| change.paths().iter().any(|path| concerns(path)));
                self.pending = left;
                let arrived: Vec<NameChange> = arrived;
                for change in arrived {
                    change.arrive(&mut self.durable);
                }
            }
            Kind::Unlink | Kind::Rmdir => self.rename_to(NameChange::Remove(call.path.clone())),
            Kind::Rename => {
                let entry = *self.now.get(&call.path).expect("a name");
                self.rename_to(NameChange::Rename(
                    call.path.clone(),
                    call.other.clone(),
                    entry,
                ));
            }
            Kind::Link => {
                let entry = *self.now.get(&call.path).expect("a name");
                self.rename_to(NameChange::Add(call.other.clone(), entry));
            }
            Kind::Mkdir => self.rename_to(NameChange::Add(call.path.clone(), Entry::Folder)),
        }
    }

    fn file(&mut self, call: &Call) -> &mut File {
        let file = self.numbers.get(&call.inode);
        let file = file.unwrap_or_else(|| panic!("{:?} of an unknown file", call.kind));
        &mut self.files[*file]
    }

    fn change(&mut self, call: &Call, change: Change) {
        self.file(call).pending.push(change);
    }

    fn rename_to(&mut self, change: NameChange) {
        change.clone().arrive(&mut self.now);
        self.pending.push(change);
    }

    /// Writes into an empty folder what is there when the power comes back; without a seed only what was synced.
    pub(super) fn cut_power(&self, seed: Option<u64>, folder: &Path) {
        let mut random = Random(seed.map(|seed| seed | 1));
        let mut names = self.durable.clone();
        for change in &self.pending {
            if random.coin() {
                change.clone().arrive(&mut names);
            }
        }
        for (path, entry) in &names {
            let is_reachable = path
                .ancestors()
                .skip(1)
                .all(|above| names.get(above) == Some(&Entry::Folder));
            match entry {
                Entry::File(file) if is_reachable => {
                    let file = &self.files[*file];
                    let mut content = file.durable.clone();
                    for change in &file.pending {
                        change.clone().arrive(&mut content, &mut |_| random.coin());
                    }
                    fs_err::write(folder.join(path), content).expect("a file");
                }
                Entry::Folder if is_reachable && !path.as_os_str().is_empty() => {
                    fs_err::create_dir(folder.join(path)).expect("a folder");
                }
                _ => {}
            }
        }
    }
}

impl Change {
    /// Applies it as far as `arrives` says for each sector.
    fn arrive(self, content: &mut Vec<u8>, arrives: &mut dyn FnMut(usize) -> bool) {
        match self {
            Self::Size(size) => {
                if arrives(0) {
                    content.resize(size, 0);
                }
            }
            Self::Write { at, data } => {
                let mut start = 0;
                while start < data.len() {
                    let position = at + start;
                    let end = (start + SECTOR_BYTES - position % SECTOR_BYTES).min(data.len());
                    if arrives(position / SECTOR_BYTES) {
                        let until = at + end;
                        if content.len() < until {
                            content.resize(until, 0);
                        }
                        content[position..until].copy_from_slice(&data[start..end]);
                    }
                    start = end;
                }
            }
        }
    }
}

impl NameChange {
    fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Add(path, _) | Self::Remove(path) => vec![path],
            Self::Rename(from, to, _) => vec![from, to],
        }
    }

    fn arrive(self, names: &mut BTreeMap<PathBuf, Entry>) {
        match self {
            Self::Add(path, entry) => {
                names.insert(path, entry);
            }
            Self::Remove(path) => {
                names.remove(&path);
            }
            Self::Rename(from, to, entry) => {
                names.remove(&from);
                names.insert(to, entry);
            }
        }
    }
}

/// Xorshift: small, and the same everywhere. Without a state it always says no.
struct Random(Option<u64>);

impl Random {
    fn coin(&mut self) -> bool {
        let Some(state) = &mut self.0 else {
            return false;
        };
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state >> 40 & 1 == 1
    }
}
