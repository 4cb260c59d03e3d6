//! Refs in memory, shared by all runs of a simulation.

use crate::changes::manifest::hex;
use crate::ids::Oid;
use crate::refs::{Files, RefValue, Refs, Swap};
use anyhow::{Result, anyhow};
use sha1::{Digest as _, Sha1};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Commit {
    value: RefValue,
    parent: Option<Oid>,
}

#[derive(Default)]
struct Inner {
    commits: BTreeMap<Oid, Commit>,
    refs: BTreeMap<String, Oid>,
}

/// See the module's words.
#[derive(Default)]
pub struct MemoryRefs(Mutex<Inner>);

impl MemoryRefs {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a push goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefFault {
    /// The remote was never reached.
    Before,
    /// The ref moved, and the answer was lost.
    After,
}

/// One process's pushes: which are to go wrong, and which were confirmed when.
#[derive(Default)]
pub struct RefCalls {
    /// Which swap, counted from 1, goes wrong how.
    pub faults: BTreeMap<u32, RefFault>,
    /// Whether reading fails.
    pub unreadable: bool,
    seen: Mutex<u32>,
    confirmed: Mutex<Vec<(String, i64)>>,
}

impl RefCalls {
    /// Ref and wall clock of every confirmed swap.
    pub fn confirmed(&self) -> Vec<(String, i64)> {
        self.confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn reading(&self) -> Result<()> {
        if self.unreadable {
            Err(anyhow!("the remote cannot be reached"))
        } else {
            Ok(())
        }
    }

    pub(super) fn swapping(
        &self,
        name: &str,
        now_ms: i64,
        swap: impl FnOnce() -> Result<Swap>,
    ) -> Result<Swap> {
        let number = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            *seen += 1;
            *seen
        };
        match self.faults.get(&number) {
            Some(RefFault::Before) => Err(anyhow!("the remote cannot be reached")),
            Some(RefFault::After) => swap().and_then(|_| Err(anyhow!("the remote hung up"))),
            None => {
                let answer = swap()?;
                if matches!(answer, Swap::Moved(_)) {
                    self.confirmed
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((name.to_owned(), now_ms));
                }
                Ok(answer)
            }
        }
    }
}

impl Refs for MemoryRefs {
    fn read(&self, name: &str) -> Result<Option<RefValue>> {
        let inner = self.lock();
        Ok(inner
            .refs
            .get(name)
            .and_then(|oid| inner.commits.get(oid))
            .map(|commit| commit.value.clone()))
    }

    fn swap(
        &self,
        name: &str,
        expected: Option<&Oid>,
        files: &Files,
        parent: bool,
        _message: &str,
    ) -> Result<Swap> {
        let mut inner = self.lock();
        let found = inner.refs.get(name).cloned();
        if found.as_ref() != expected {
            return Ok(Swap::Lost(found));
        }
        let parent = found.filter(|_| parent);
        let mut hash = Sha1::new();
        hash.update(parent.as_ref().map_or("", Oid::as_str));
        for (file, content) in files {
            hash.update(file);
            hash.update(content);
        }
        let oid = Oid(hex(&hash.finalize()));
        inner.commits.insert(
            oid.clone(),
            Commit {
                value: RefValue {
                    oid: oid.clone(),
                    files: files.clone(),
                },
                parent,
            },
        );
        inner.refs.insert(name.to_owned(), oid.clone());
        Ok(Swap::Moved(oid))
    }

    fn delete(&self, name: &str, expected: &Oid) -> Result<Swap> {
        let mut inner = self.lock();
        let found = inner.refs.get(name).cloned();
        if found.as_ref() != Some(expected) {
            return Ok(Swap::Lost(found));
        }
        inner.refs.remove(name);
        Ok(Swap::Moved(expected.clone()))
    }

    fn log(&self, name: &str, limit: usize) -> Result<Vec<RefValue>> {
        let inner = self.lock();
        let mut log = Vec::new();
        let mut next = inner.refs.get(name);
        while let Some(commit) = next
            .and_then(|oid| inner.commits.get(oid))
            .filter(|_| log.len() < limit)
        {
            log.push(commit.value.clone());
            next = commit.parent.as_ref();
        }
        Ok(log)
    }
}
