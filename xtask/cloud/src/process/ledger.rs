//! Which children run, on disk, so that a cloud that starts after a crash can end those of the one before.
#![expect(
    clippy::disallowed_methods,
    reason = "ending orphans waits for them in real time"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::tcp::{read_if_there, write_private};

/// How long an orphan has after SIGTERM.
const ORPHAN_GRACE: Duration = Duration::from_secs(5);

/// A process number alone can mean another process later; together with its start time it cannot.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Entry {
    pid: i32,
    start_ticks: u64,
}

/// The list and its file.
#[derive(Clone)]
pub(super) struct Ledger {
    path: Arc<PathBuf>,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Ledger {
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let entries = read_if_there(&path)?
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Ok(Self {
            path: Arc::new(path),
            entries: Arc::new(Mutex::new(entries)),
        })
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Entry>)) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut entries);
        let written = serde_json::to_vec(&*entries)
            .map_err(Into::into)
            .and_then(|bytes| write_private(&self.path, &bytes));
        if let Err(error) = written {
            crate::daemon::note(&format!("{error:#}"));
        }
    }

    pub(super) fn add(&self, pid: Pid) {
        let pid = pid.as_raw_nonzero().get();
        if let Some(start_ticks) = start_ticks(pid) {
            self.change(|entries| entries.push(Entry { pid, start_ticks }));
        }
    }

    pub(super) fn remove(&self, pid: Pid) {
        let pid = pid.as_raw_nonzero().get();
        self.change(|entries| entries.retain(|e| e.pid != pid));
    }

    /// Ends every listed process that is still the same one, with its group.
    pub(super) fn kill_orphans(&self) {
        let orphans: Vec<Pid> = self
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|e| start_ticks(e.pid) == Some(e.start_ticks))
            .filter_map(|e| Pid::from_raw(e.pid))
            .collect();
        for pid in &orphans {
            rustix::process::kill_process_group(*pid, Signal::TERM).unwrap_or_default();
        }
        let until = Instant::now() + ORPHAN_GRACE;
        for pid in &orphans {
            while is_group_alive(*pid) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
            rustix::process::kill_process_group(*pid, Signal::KILL).unwrap_or_default();
        }
        self.change(Vec::clear);
    }
}

/// When a process was started, in clock ticks since boot: field 22 of its `stat`. `None` when it is gone or only waits to be reaped.
pub(crate) fn start_ticks(pid: i32) -> Option<u64> {
    let fields = stat(&Path::new("/proc").join(pid.to_string()))?;
    (fields.first().map(String::as_str) != Some("Z")).then(|| fields.get(19)?.parse().ok())?
}

/// Does any process of the group still run? Those that only wait to be reaped do not count.
pub(super) fn is_group_alive(group: Pid) -> bool {
    let group = group.as_raw_nonzero().get().to_string();
    let Ok(entries) = fs_err::read_dir("/proc") else {
        return false;
    };
    entries
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .bytes()
                .all(|b| b.is_ascii_digit())
        })
        .filter_map(|entry| stat(&entry.path()))
        .any(|fields| {
            fields.get(2) == Some(&group) && fields.first().is_some_and(|state| state != "Z")
        })
}

/// The fields after the command's name, which may itself hold spaces and brackets.
fn stat(process: &Path) -> Option<Vec<String>> {
    let text = fs_err::read_to_string(process.join("stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}
