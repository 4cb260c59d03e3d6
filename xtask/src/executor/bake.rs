//! Watching both halves for a while after publishing; errors decide, slowness only warns.

use super::restore::roll_back;
use super::{Halves, Verdict, frontend};
use crate::event::Step;
use crate::ids::Lane;
use crate::job::{Job, LaneError};
use crate::lane::verify;
use crate::service::Identity;
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
        Err(error @ (LaneError::Cancelled(_) | LaneError::Unknown(_))) => {
            return Err(Verdict::stopped(
                job,
                &error,
                "both halves are live; they were being watched",
            ));
        }
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
        // A bad answer is looked into before the end is called good.
        if passed >= bake && bad == 0 {
            return Ok(((), format!("both were good for {} s", bake.as_secs())));
        }
        job.progress(
            Step::Bake,
            format!("{} of {} s", passed.as_secs(), bake.as_secs()),
        );
        match look(job, halves) {
            None => bad = 0,
            Some((lane, problem)) if bad + 1 >= BAD_MAX => {
                guilty.set(lane);
                return Err(LaneError::Failed(format!(
                    "failed while it was watched: {problem}"
                )));
            }
            Some(_) => bad += 1,
        }
        job.wait(Duration::from_secs(1).max(bake / 60).min(bake))?;
    }
}

/// One look at each half that this run changed: what is wrong, if anything. A network that is away says nothing about either.
fn look(job: &Job<'_>, halves: &Halves) -> Option<(Lane, String)> {
    if let Some(serving) = &halves.backend {
        match verify::look(job, &serving.contract, &job.plan.commit) {
            Identity::Ours { .. } => {}
            Identity::Away(_) if verify::is_offline(job) => return None,
            found => return Some((Lane::Backend, found.to_string())),
        }
    }
    let draft = halves.frontend.as_ref()?;
    let file = draft
        .files
        .iter()
        .find(|file| file.path == verify::RELEASE_FILE)?;
    match verify::fetch(job, &verify::public(job), file) {
        Ok(found) if found.sha1 == file.sha1 => None,
        Ok(found) => Some((
            Lane::Frontend,
            format!(
                "the site answers with status {} and another release",
                found.status
            ),
        )),
        Err(_) if verify::is_offline(job) => None,
        Err(error) => Some((Lane::Frontend, error.to_string())),
    }
}

/// Each half goes on evidence against it only; when the backend goes, the frontend goes first.
fn undo_after(job: &Job<'_>, halves: &Halves, guilty: Lane, text: &str) -> Verdict {
    match guilty {
        Lane::Frontend => frontend::take_back(
            job,
            halves.frontend.as_ref(),
            text,
            halves.backend.is_some(),
        ),
        Lane::Backend => roll_back(job, text),
    }
}
