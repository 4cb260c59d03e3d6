//! Whether a release goes forwards: it must not put an older commit over a newer one, or lose a hotfix that is live from another
//! branch. `--anyway REASON` lifts these refusals and is recorded.

use crate::event::EventKind;
use crate::facts::Observed;
use crate::ids::{Commit, Lane};
use crate::job::LaneError;
use crate::plan::Plan;
use crate::run::Session;
use std::collections::{BTreeMap, BTreeSet};

/// Where releases come from when deploy.toml names no branch.
const MAIN: &str = "main";
/// Commits that a refusal lists.
const LISTED_MAX: usize = 10;

/// What the project's history says; a shallow clone holds only a part of it.
pub trait History: Sync {
    /// Whether the first commit is part of the second's history. Fetches what is missing.
    fn ancestry(&self, older: &Commit, newer: &Commit) -> Ancestry;

    /// What a release of `ours` would lose of the commit `live`. Fetches what is missing.
    fn lost(&self, live: &Commit, ours: &Commit) -> Lost;
}

/// Whether a commit is part of another's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ancestry {
    /// It is.
    Part,
    /// It is not.
    NotPart,
    /// The remote was asked and has the newer one no more: nobody can tell, today or later.
    Gone,
    /// It cannot be told, because of this.
    Unknown(String),
}

/// What would be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nothing: it contains the commit, or its changes by another way.
    Nothing,
    /// The changes of these commits, newest first, each with the first line of its message.
    Commits(Vec<String>),
    /// It cannot be told, because of this.
    Unknown(String),
}

/// The names of the branches that hold a commit, without their remotes: `origin/main` is `main`.
pub fn branch_names(remote_branches: &[String]) -> Vec<String> {
    let name = |branch: &String| branch.split_once('/').map(|(_, name)| name.to_owned());
    remote_branches.iter().filter_map(name).collect()
}

/// Refuses a release that goes backwards or sideways.
///
/// # Errors
/// When it does.
pub(crate) fn check(
    session: &Session<'_>,
    observed: &Observed,
    planned: &Plan,
) -> Result<(), LaneError> {
    not_superseded(session, observed, planned)?;
    keeps_hotfixes(session, observed, planned)
}

/// A run that waited, was started late, or knows only a part of the history must not put an older commit over one that contains it.
fn not_superseded(
    session: &Session<'_>,
    observed: &Observed,
    planned: &Plan,
) -> Result<(), LaneError> {
    let ours = &session.source.commit;
    let Some(live) = &observed.facts.live else {
        return Ok(());
    };
    let lanes = live.record.lanes.iter();
    let replaced: BTreeSet<&Commit> = lanes
        .filter(|(lane, recorded)| planned.runs(**lane) && recorded.commit != *ours)
        .map(|(_, recorded)| &recorded.commit)
        .collect();
    for theirs in replaced {
        let told = format!("{} of release {}", theirs.short(), live.record.release);
        match session.history.ancestry(ours, theirs) {
            Ancestry::NotPart => {}
            Ancestry::Part => {
                return Err(LaneError::Superseded(format!(
                    "{told} is live and contains {} (hint: `rollback` brings an earlier release back; --anyway REASON releases the older commit all the same, and is recorded)",
                    ours.short()
                )));
            }
            Ancestry::Gone => session.world.emit(EventKind::Warning {
                text: format!(
                    "{told} is live, and the remote has that commit no more (a force-push?), so nobody can tell whether {} is older",
                    ours.short()
                ),
            }),
            Ancestry::Unknown(why) => {
                return Err(LaneError::Refused(format!(
                    "{told} is live, and whether {} is older cannot be told: {why} (hint: `git fetch --unshallow`, or try again when the remote answers; --anyway REASON releases all the same, and is recorded)",
                    ours.short()
                )));
            }
        }
    }
    Ok(())
}

/// What is live of a lane that runs, from a branch other than the main one, must be part of what replaces it.
fn keeps_hotfixes(
    session: &Session<'_>,
    observed: &Observed,
    planned: &Plan,
) -> Result<(), LaneError> {
    let main = session.target.policy.branch.as_deref().unwrap_or(MAIN);
    let ours = &session.source.commit;
    let mut hotfixes: BTreeMap<&Commit, (Vec<Lane>, &[String])> = BTreeMap::new();
    let live = observed
        .facts
        .live
        .iter()
        .flat_map(|live| &live.record.lanes);
    for (lane, recorded) in live.filter(|(lane, _)| planned.runs(**lane)) {
        let elsewhere =
            !recorded.branches.is_empty() && recorded.branches.iter().all(|branch| branch != main);
        if elsewhere && recorded.commit != *ours {
            let entry = hotfixes.entry(&recorded.commit);
            let (lanes, _) = entry.or_insert((Vec::new(), recorded.branches.as_slice()));
            lanes.push(*lane);
        }
    }
    for (commit, (lanes, branches)) in hotfixes {
        let lanes: Vec<&str> = lanes.iter().map(|lane| lane.name()).collect();
        let told = format!(
            "{} is live of the {} in {}, from {}",
            commit.short(),
            lanes.join(" and the "),
            session.target.name,
            branches.join(", ")
        );
        let found = session.history.lost(commit, ours);
        let problem = match found {
            Lost::Nothing => continue,
            Lost::Commits(commits) => {
                let more = commits.len().saturating_sub(LISTED_MAX);
                let mut listed: Vec<String> = commits
                    .iter()
                    .take(LISTED_MAX)
                    .map(|commit| format!("\n  {commit}"))
                    .collect();
                if more > 0 {
                    listed.push(format!("\n  and {more} more"));
                }
                format!(
                    "{told}; {} does not contain it and would lose:{}\n(hint: merge {} into {main} first; --anyway REASON releases all the same, and is recorded)",
                    ours.short(),
                    listed.concat(),
                    branches.join(", "),
                )
            }
            Lost::Unknown(why) => format!(
                "{told}; whether {} contains it is not known: {why} (hint: `git fetch --unshallow`, or `fetch-depth: 0` in CI; --anyway REASON releases all the same, and is recorded)",
                ours.short()
            ),
        };
        if session.target.is_production || is_on(session, main) {
            return Err(LaneError::Refused(problem));
        }
        // Branches take turns in an environment for trying things out.
        session.world.emit(EventKind::Warning { text: problem });
    }
    Ok(())
}

fn is_on(session: &Session<'_>, main: &str) -> bool {
    let branches = session.source.remote_branches.as_deref();
    branch_names(branches.unwrap_or_default())
        .iter()
        .any(|branch| branch == main)
}
