//! Whoever lost the lease does not know whose work it sees: before such a run says how production is, it looks at who has released.

use super::Verdict;
use crate::exit::Exit;
use crate::forwards::Ancestry;
use crate::job::{Job, LaneError};
use crate::live::{self, LiveLane, LiveRecord};

/// The end of a run, unless it lost the lease and speaks of what may be another run's doing.
pub fn after_lost_lease(job: &Job<'_>, verdict: Verdict) -> Verdict {
    let speaks_of_production = matches!(
        verdict.exit,
        Exit::FailedUnchanged | Exit::RolledBack | Exit::Degraded | Exit::Unknown | Exit::Unhealthy
    );
    if !speaks_of_production || !job.lease.is_lost(job.world) {
        return verdict;
    }
    let said = if verdict.reason.contains("lease was lost") {
        verdict.reason
    } else {
        format!("{}; the lease was lost", verdict.reason)
    };
    let (exit, text) = match winner(job) {
        Ok(Some(record)) if has_ours(job, &record) => (
            Exit::Superseded,
            format!(
                "release {} of {} by {} was made meanwhile and contains {}",
                record.release,
                record.commit.short(),
                record.by,
                job.plan.commit.short()
            ),
        ),
        Ok(Some(record)) => (
            Exit::Unknown,
            format!(
                "release {} of {} by {} was made meanwhile, and not known to contain {} in whole (hint: `status` shows what is live)",
                record.release,
                record.commit.short(),
                record.by,
                job.plan.commit.short()
            ),
        ),
        Ok(None) => (
            Exit::Unknown,
            "no other release has been recorded since; what is live is the other run's to say"
                .to_owned(),
        ),
        Err(error) => (
            Exit::Unknown,
            format!("who has released meanwhile could not be read: {error}"),
        ),
    };
    Verdict {
        exit,
        reason: format!("{said}; {text}"),
        release: None,
    }
}

/// What was recorded as live since this run began.
fn winner(job: &Job<'_>) -> Result<Option<LiveRecord>, LaneError> {
    let found = job.world.refs().read(&live::live_ref(&job.target.name))?;
    let before = job.live.map(|live| &live.oid);
    match found.filter(|value| Some(&value.oid) != before) {
        Some(value) => Ok(Some(LiveRecord::parse(&value)?)),
        None => Ok(None),
    }
}

/// Whether each half that this run was about is live with our commit, or with one that contains it.
fn has_ours(job: &Job<'_>, record: &LiveRecord) -> bool {
    let ours = &job.plan.commit;
    let contains = |lane: &LiveLane| {
        lane.commit == *ours || job.history.ancestry(ours, &lane.commit) == Ancestry::Part
    };
    let mut ran = job.plan.lanes.iter().filter(|decision| decision.run);
    ran.all(|decision| record.lanes.get(&decision.lane).is_some_and(contains))
}
