//! The run's one unpublished deploy of the site: created once, found again by its title, and taken away when it is not needed.

use crate::changes::manifest::hex;
use crate::config::Publish;
use crate::event::LaneState;
use crate::http::ApiError;
use crate::ids::{DeployId, Lane};
use crate::inputs::SiteFile;
use crate::job::{Job, LaneError, OUTAGE};
use crate::lane::frontend::published;
use crate::netlify::Deploy;
use crate::once::{Attempt, Probe, once};
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};
use std::collections::BTreeMap;
use std::time::Duration;

/// The intent: a title that no other deploy has, by which ours is found again, and what it is to consist of.
#[derive(Serialize, Deserialize)]
struct Wanted {
    title: String,
    site: String,
}

/// The intent's outcome: the one deploy that it made.
#[derive(Serialize, Deserialize)]
struct Created {
    deploy: DeployId,
    site: String,
}

/// The key of the intent to create this run's deploy.
const CREATE: &str = "frontend.create";

/// What an earlier attempt of this run uploaded, when it is complete and still what is wanted; what will never be is forgotten.
pub(super) fn uploaded_before(job: &Job<'_>, site: &str) -> Result<Option<Deploy>, LaneError> {
    let Some(earlier) = recorded(job) else {
        return Ok(None);
    };
    let found = job.read(OUTAGE, || match job.site().deploy(&earlier.deploy) {
        Err(ApiError::NotFound(_)) => Ok(None),
        other => other.map(Some),
    })?;
    let is_wanted = earlier.site == site;
    match found {
        Some(deploy) if deploy.is_ready() && is_wanted => return Ok(Some(deploy)),
        Some(deploy) if deploy.is_ready() || deploy.is_failed() => forget(job)?,
        Some(deploy) if !is_wanted => give_up(job, &deploy.id)?,
        // Half uploaded: it is completed.
        Some(_) => {}
        None => forget(job)?,
    }
    Ok(None)
}

/// The run's deploy with the list of its files. One that an earlier attempt left, and that takes no files any more, gives way to a
/// new one.
pub(super) fn with_files(
    job: &Job<'_>,
    site: &str,
    digests: &BTreeMap<String, String>,
) -> Result<Deploy, LaneError> {
    let mut is_left_over = job.world.journal().intent(&job.run, CREATE)?.is_some();
    loop {
        let id = create(job, site.to_owned())?;
        let error = match job.attempt(|until_ms| {
            job.netlify
                .until(until_ms)
                .set_files(&id, digests, Some(&job.plan.commit))
        }) {
            Attempt::Done(deploy) => return Ok(deploy),
            Attempt::NotDone(error) if is_left_over && takes_no_files(&error) => error,
            Attempt::NotDone(error) | Attempt::InDoubt(error) => return Err(error.into()),
        };
        job.warn(format!(
            "{id} was left by an earlier attempt and cannot be completed, so a new deploy is made: {error:#}"
        ));
        give_up(job, &id)?;
        is_left_over = false;
    }
}

fn takes_no_files(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<ApiError>(),
        Some(ApiError::Rejected { .. } | ApiError::NotFound(_))
    )
}

/// Ends a deploy of this run that will never be complete. One that stays is harmless: nobody publishes it.
fn give_up(job: &Job<'_>, id: &DeployId) -> Result<(), LaneError> {
    match job.change(|until_ms| job.netlify.until(until_ms).cancel(id)) {
        Ok(_) | Err(LaneError::Failed(_)) => forget(job),
        Err(other) => Err(other),
    }
}

fn forget(job: &Job<'_>) -> Result<(), LaneError> {
    Ok(job.world.journal().withdraw(&job.run, CREATE)?)
}

/// Names what a site consists of, so that a later attempt can tell whether it still does.
pub(super) fn digest(files: &[SiteFile]) -> String {
    let mut hash = Sha1::new();
    for file in files {
        hash.update(format!("{}\0{}\0", file.path, file.sha1));
    }
    hex(&hash.finalize())
}

/// Creates the deploy at most once per intent.
fn create(job: &Job<'_>, site: String) -> Result<DeployId, LaneError> {
    let title = format!(
        "tandem/{}/frontend/{:08x}",
        job.run,
        job.world.random() & 0xffff_ffff
    );
    let wanted = Wanted { title, site };
    let made = |deploy: DeployId, wanted: &Wanted| Created {
        deploy,
        site: wanted.site.clone(),
    };
    // With publishing locked at the provider an ordinary deploy stays back as well, until it is restored.
    let is_draft = job.target.policy.publish == Publish::DraftRestore;
    let created = once(
        job.world,
        &job.run,
        CREATE,
        &wanted,
        |before: &Wanted| {
            Ok(settle(job, || find(job, &before.title))?
                .map_or(Probe::Absent, |deploy| Probe::Found(made(deploy, before))))
        },
        || {
            job.attempt(|until_ms| {
                job.netlify
                    .until(until_ms)
                    .create_deploy(&wanted.title, is_draft, None)
                    .map(|deploy| made(deploy.id, &wanted))
            })
        },
    )?;
    Ok(created.deploy)
}

fn find(job: &Job<'_>, title: &str) -> Result<Option<DeployId>, LaneError> {
    Ok(job
        .read(OUTAGE, || job.site().find_by_title(title))?
        .map(|deploy| deploy.id))
}

fn recorded(job: &Job<'_>) -> Option<Created> {
    let row = job.world.journal().intent(&job.run, CREATE).ok()??;
    serde_json::from_str(&row.outcome?).ok()
}

/// Takes this run's unpublished deploy away and forgets it: the next attempt uploads anew. A draft that stays is harmless, so what
/// fails here is only worth a warning.
pub fn drop_draft(job: &Job<'_>) {
    if let Err(error) = try_drop_draft(job) {
        job.warn(format!(
            "the unpublished deploy of the site could not be cancelled: {error}; it is not public"
        ));
    }
}

fn try_drop_draft(job: &Job<'_>) -> Result<(), LaneError> {
    let Some(row) = job.world.journal().intent(&job.run, CREATE)? else {
        return Ok(());
    };
    let id = match recorded(job) {
        Some(created) => Some(created.deploy),
        // An intent without an outcome: the deploy may be there all the same.
        None => match serde_json::from_str::<Wanted>(&row.intent) {
            Ok(wanted) => job
                .site()
                .find_by_title(&wanted.title)?
                .map(|deploy| deploy.id),
            Err(_) => None,
        },
    };
    if let Some(id) = &id {
        // In a resumed run it may be public by now: then it is no draft any more.
        if published(job)?.as_ref() == Some(id) {
            return Ok(());
        }
        job.change(|until_ms| job.netlify.until(until_ms).cancel(id))?;
        job.lane(Lane::Frontend, LaneState::Failed, Some(id), None);
    }
    forget(job)
}

/// Lists may lag behind: "not there" counts only after it has been so for a while.
pub(super) fn settle<T>(
    job: &Job<'_>,
    mut find: impl FnMut() -> Result<Option<T>, LaneError>,
) -> Result<Option<T>, LaneError> {
    /// Lists have been seen to lag for 15 s; this is twice that. Half a minute after a lost answer costs less than a second deploy.
    const SETTLE: Duration = Duration::from_secs(30);
    let started = job.now_ms();
    loop {
        if let Some(found) = find()? {
            return Ok(Some(found));
        }
        if job.since(started) >= SETTLE {
            return Ok(None);
        }
        job.wait(Duration::from_secs(1))?;
    }
}
