//! Finding a deploy of ours at the backend's provider, which has no key for that: by what was there before it was asked for.

use crate::ids::{Commit, DeployId};
use crate::job::{Job, LaneError, OUTAGE};
use crate::render::{Deploy, find_ours};
use std::collections::BTreeSet;

/// The deploys that are there now: what is asked for next is not among them.
pub(super) fn seen(job: &Job<'_>) -> Result<BTreeSet<DeployId>, LaneError> {
    let recent = job.read(OUTAGE, || job.service().recent())?;
    Ok(recent.into_iter().map(|deploy| deploy.id).collect())
}

/// Our deploy with that trigger, and of that commit, among those that came since `seen`.
pub(super) fn find(
    job: &Job<'_>,
    seen: &BTreeSet<DeployId>,
    trigger: &str,
    commit: Option<&Commit>,
) -> Result<Option<DeployId>, LaneError> {
    let recent = job.read(OUTAGE, || job.service().recent())?;
    if let Some(ours) = find_ours(&recent, seen, trigger, commit) {
        return Ok(Some(ours.id.clone()));
    }
    let unlisted = unlisted(job, &recent);
    Ok(find_ours(&unlisted, seen, trigger, commit).map(|deploy| deploy.id.clone()))
}

/// Deploys that an event names and the list does not yet show: so many are looked at.
const UNLISTED_MAX: usize = 5;

/// Deploys that began after everything that the list shows: it may lag behind the events. Where these cannot be read, the list alone
/// counts.
fn unlisted(job: &Job<'_>, recent: &[Deploy]) -> Vec<Deploy> {
    let newest_ms = recent.iter().filter_map(Deploy::created_ms).max();
    let begun = job.service().begun().unwrap_or_default();
    begun
        .iter()
        .take_while(|id| recent.iter().all(|deploy| deploy.id != **id))
        .take(UNLISTED_MAX)
        .filter_map(|id| job.service().deploy(id).ok())
        .filter(|deploy| deploy.created_ms() > newest_ms)
        .collect()
}
