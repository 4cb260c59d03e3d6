//! Watching both halves for a while after publishing; errors decide, slowness only warns.

use super::restore::{mark, roll_back, superseded};
use super::{Halves, Verdict, frontend};
use crate::event::Step;
use crate::exit::Exit;
use crate::ids::Lane;
use crate::job::{Job, LaneError};
use crate::lane::{undo, verify};
use crate::service::{self, Identity};
use std::cell::Cell;
use std::time::Duration;

/// So many bad answers in a row end the bake.
const BAD_MAX: u32 = 3;

pub(super) fn bake(job: &Job<'_>, halves: &Halves) -> Result<(), Verdict> {
    if job.target.policy.bake.is_zero() {
        return Ok(());
    }
    let guilty = Cell::new(Lane::Backend);
    let error = match job.step(Step::Bake, || watch(job, halves, &guilty)) {
        Ok(()) => return Ok(()),
        Err(error @ (LaneError::Cancelled(_) | LaneError::Unknown(_))) => return Err(Verdict::stopped(job, &error, "both halves are live; they were being watched")),
        Err(error) => error.to_string(),
    };
    Err(undo_after(job, halves, guilty.get(), &error))
}

fn watch(job: &Job<'_>, halves: &Halves, guilty: &Cell<Lane>) -> Result<((), String), LaneError> {
    let bake = job.target.policy.bake;
    let started = job.now_ms();
    let mut bad = 0;
    loop {
        let passed = job.since(started);
        if passed >= bake {
            return Ok(((), format!("both were good for {} s", bake.as_secs())));
        }
        job.progress(Step::Bake, format!("{} of {} s", passed.as_secs(), bake.as_secs()));
        match look(job, halves) {
            None => bad = 0,
            Some((lane, problem)) if bad + 1 >= BAD_MAX => {
                guilty.set(lane);
                return Err(LaneError::Failed(format!("failed while it was watched: {problem}")));
            }
            Some(_) => bad += 1,
        }
        job.wait(Duration::from_secs(1).max(bake / 60).min(bake))?;
    }
}

/// One look at each half that this run changed: what is wrong, if anything. A network that is away says nothing about either.
fn look(job: &Job<'_>, halves: &Halves) -> Option<(Lane, String)> {
    if halves.backend.is_some() {
        match verify::look(job, &job.plan.commit) {
            Identity::Ours { .. } => {}
            Identity::Away(_) if verify::is_offline(job) => return None,
            found => return Some((Lane::Backend, found.to_string())),
        }
    }
    let draft = halves.frontend.as_ref()?;
    let file = draft.files.iter().find(|file| file.path == verify::RELEASE_FILE)?;
    match service::site_file(job.world, &verify::public(job), &file.path) {
        Ok(found) if found.sha1 == file.sha1 => None,
        Ok(found) => Some((Lane::Frontend, format!("the site answers with status {} and another release", found.status))),
        Err(_) if verify::is_offline(job) => None,
        Err(error) => Some((Lane::Frontend, error.to_string())),
    }
}

/// A new frontend must never stand on an old backend, so the frontend goes first; the backend goes on evidence against it only.
fn undo_after(job: &Job<'_>, halves: &Halves, guilty: Lane, text: &str) -> Verdict {
    if guilty == Lane::Frontend {
        return frontend::take_back(job, halves.frontend.as_ref(), text, halves.backend.is_some());
    }
    match superseded(job) {
        Ok(None) => {}
        Ok(Some(verdict)) => return verdict,
        Err(error) => return Verdict::stopped(job, &error, text),
    }
    if !job.plan.reversible || job.baseline.backend.is_none() {
        // The old backend cannot come back, and the new frontend belongs to the new one.
        return roll_back(job, text);
    }
    mark(job, text);
    if let Some(draft) = &halves.frontend {
        match undo::frontend(job, Some(draft)) {
            Ok(()) => {}
            Err(error @ (LaneError::Cancelled(_) | LaneError::Unknown(_))) => return Verdict::stopped(job, &error, text),
            Err(error) => return Verdict::new(Exit::Unhealthy, format!("{text}; and the previous frontend could not be restored: {error}")),
        }
    }
    roll_back(job, text)
}
