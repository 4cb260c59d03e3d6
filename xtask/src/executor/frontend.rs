//! The frontend's half of a release: published and proven, or what was public before is.

use super::Verdict;
use super::restore::roll_back;
use crate::config::OnFrontendFailure;
use crate::exit::Exit;
use crate::job::{Job, LaneError};
use crate::lane::frontend::{self, Draft};
use crate::lane::{smoke, undo};

pub(super) fn release(job: &Job<'_>, draft: &Draft, backend_ran: bool) -> Result<(), Verdict> {
    let proven = frontend::publish(job, draft).and_then(|()| frontend::verify_public(job, draft));
    let (what, error) = match proven {
        Ok(()) => match smoke::frontend(job) {
            Ok(()) => return Ok(()),
            Err(error) => ("the frontend was published and failed", error),
        },
        Err(error) => ("the frontend could not be published", error),
    };
    if let LaneError::Cancelled(cancelled) = error {
        return Err(Verdict::interrupted(
            job,
            cancelled,
            "the frontend was being published; the new backend stays",
        ));
    }
    let text = format!("{what}: {error}");
    Err(match frontend::published(job) {
        Ok(found) if found == job.baseline.frontend => never_public(job, &text, backend_ran),
        Ok(_) => take_back(job, Some(draft), &text, backend_ran),
        Err(error) => Verdict::stopped(job, &error, &text),
    })
}

/// Nothing of ours became public.
fn never_public(job: &Job<'_>, text: &str, backend_ran: bool) -> Verdict {
    match (backend_ran, &job.baseline.frontend) {
        (true, Some(_)) => keep_backend(job, &format!("{text}; the previous frontend is public")),
        (true, None) => keep_backend(
            job,
            &format!("{text}; it is the first one, so no frontend is public"),
        ),
        (false, Some(_)) => Verdict::new(
            Exit::FailedUnchanged,
            format!("{text}; the previous frontend is public"),
        ),
        (false, None) => Verdict::new(
            Exit::RolledBack,
            format!("{text}; it was the first release of the site and nothing of it is public"),
        ),
    }
}

/// Something of ours is or was public: the previous frontend comes back.
pub(super) fn take_back(
    job: &Job<'_>,
    draft: Option<&Draft>,
    text: &str,
    backend_ran: bool,
) -> Verdict {
    match undo::frontend(job, draft) {
        Ok(()) if backend_ran => keep_backend(
            job,
            &format!("{text}; the previous frontend is public again"),
        ),
        Ok(()) => Verdict::new(
            Exit::RolledBack,
            format!("{text}; the previous frontend is public again"),
        ),
        Err(error @ (LaneError::Cancelled(_) | LaneError::Unknown(_))) => {
            Verdict::stopped(job, &error, text)
        }
        Err(error) => Verdict::new(
            Exit::Unhealthy,
            format!("{text}; and the previous frontend could not be restored: {error}"),
        ),
    }
}

/// The new backend works with the old frontend by rule; with a disk another rollback would be another outage.
fn keep_backend(job: &Job<'_>, text: &str) -> Verdict {
    match job.target.policy.on_frontend_failure {
        OnFrontendFailure::Keep => Verdict::new(
            Exit::Degraded,
            format!("{text}; the new backend is live and verified"),
        ),
        OnFrontendFailure::Rollback => roll_back(job, text),
    }
}
