//! How a run ended, in the words of somebody who has to decide what to do next: the headline, and what is live now.

use super::style::Role;
use crate::event::{LaneState, Step, StepEnd};
use crate::exit::Exit;
use crate::ids::Lane;
use crate::state::{LaneStatus, RunState, StepStatus};

/// Somebody asked for the run to be undone, and it is.
pub(crate) fn undone_as_asked(exit: Exit, state: &RunState) -> bool {
    exit == Exit::RolledBack && state.aborted
}

/// How good an outcome is.
pub(crate) fn role(exit: Exit, state: &RunState) -> Role {
    match exit {
        _ if undone_as_asked(exit, state) => Role::Good,
        Exit::Done => Role::Good,
        Exit::Usage
        | Exit::Refused
        | Exit::FailedUnchanged
        | Exit::RolledBack
        | Exit::Degraded
        | Exit::Superseded
        | Exit::Pending
        | Exit::Interrupted
        | Exit::Terminated => Role::Warn,
        Exit::Bug | Exit::Unknown | Exit::Unhealthy | Exit::Database => Role::Bad,
    }
}

/// The sign before the headline: whatever is not what was asked for has failed.
pub(crate) fn mark(exit: Exit, state: &RunState) -> char {
    match exit {
        _ if undone_as_asked(exit, state) => '✓',
        Exit::Done => '✓',
        Exit::Interrupted | Exit::Terminated | Exit::Superseded | Exit::Pending => '!',
        _ => '✗',
    }
}

/// One line: what became of which commit, where.
pub(crate) fn headline(exit: Exit, state: &RunState) -> String {
    let place = state
        .environment
        .as_ref()
        .map_or("the environment", |name| name.as_str());
    let what = state
        .commit
        .as_ref()
        .map_or("the release", |commit| commit.short());
    let back = state.command == "rollback";
    match exit {
        _ if undone_as_asked(exit, state) => {
            format!("Undone as asked: {what} is taken back, {place} is as it was before")
        }
        Exit::Done if back => format!("Brought {}{what} back to {place}", part(state)),
        Exit::Done => format!("Released {what} to {place}"),
        Exit::Usage | Exit::Refused => format!("Refused: nothing was changed in {place}"),
        Exit::FailedUnchanged => format!("Failed: {what} is not released, {place} is unchanged"),
        Exit::RolledBack => format!("Rolled back: {what} failed, {place} is as it was before"),
        Exit::Degraded => format!("Degraded: {what} is only partly live in {place}"),
        Exit::Unknown => format!("Unknown: what became of {what} in {place} is not known yet"),
        Exit::Unhealthy => format!("Unhealthy: {place} needs a person now"),
        Exit::Database => format!("Database: the one of {place} needs a person now"),
        Exit::Superseded => format!("Superseded: a newer release than {what} is live in {place}"),
        Exit::Interrupted | Exit::Terminated => {
            format!("Interrupted: the release of {what} to {place} is unfinished")
        }
        Exit::Bug => {
            format!("Bug: a fault of this program stopped the release of {what} to {place}")
        }
        Exit::Pending => format!("Pending: {what} would change {place}"),
    }
}

/// `the frontend of `, when that is all that a rollback brought back.
fn part(state: &RunState) -> String {
    let ran: Vec<&str> = state
        .lanes
        .iter()
        .filter(|(_, status)| status.decision.run)
        .map(|(lane, _)| lane.name())
        .collect();
    if ran.len() == state.lanes.len() {
        return String::new();
    }
    format!("the {} of ", ran.join(" and the "))
}

/// What is live of a lane, as far as the run's events tell.
pub(crate) fn live_now(
    exit: Exit,
    state: &RunState,
    lane: Lane,
    status: &LaneStatus,
) -> (Role, String) {
    let what = state
        .commit
        .as_ref()
        .map_or("this release", |commit| commit.short());
    let before = match state.parent {
        Some(_) => (Role::Plain, "as before this run".to_owned()),
        None => (
            Role::Plain,
            "nothing of this release, which would have been the first".to_owned(),
        ),
    };
    let uncertain = |seen: &str| {
        (
            Role::Warn,
            format!("not certain ({seen}); `status` asks the provider"),
        )
    };
    match status.state {
        LaneState::Unchanged => (Role::Plain, "not touched by this run".to_owned()),
        // A rollback restores what it was asked to bring back, a deploy what was there before it.
        LaneState::RolledBack if state.command == "rollback" => {
            (Role::Good, format!("brought back to {what}, verified"))
        }
        LaneState::RolledBack => (
            Role::Good,
            "as before this run, restored and verified".to_owned(),
        ),
        LaneState::Superseded => (Role::Warn, "a newer deploy of somebody else".to_owned()),
        LaneState::Unknown => uncertain("the provider could not be asked"),
        LaneState::Failed if !is_in_doubt(exit) => before,
        LaneState::Failed => uncertain("the new deploy failed"),
        LaneState::Planned | LaneState::Prepared => match begun(exit, state, lane) {
            Some(step) => uncertain(&format!("'{}' was under way", step.title())),
            None => before,
        },
        LaneState::Live => (Role::Warn, format!("{what}, not proven")),
        LaneState::Verified if is_in_doubt(exit) => {
            uncertain(&format!("{what} was verified before the failure"))
        }
        LaneState::Verified => (Role::Good, format!("{what}, verified")),
    }
}

/// After these, what events said earlier may no longer be so.
fn is_in_doubt(exit: Exit) -> bool {
    matches!(
        exit,
        Exit::Unhealthy | Exit::Database | Exit::Unknown | Exit::Bug
    )
}

/// The step that makes a deploy of the lane public, when it began and nobody looked afterwards how far it came.
fn begun(exit: Exit, state: &RunState, lane: Lane) -> Option<Step> {
    let steps = match lane {
        Lane::Frontend => [Step::FrontendPublish, Step::UndoFrontend],
        Lane::Backend => [Step::BackendDeploy, Step::UndoBackend],
    };
    steps.into_iter().find(|step| {
        let status = state.steps.get(step).filter(|status| status.began);
        status.is_some_and(|status| {
            let ended = matches!(status.end, Some(StepEnd::Ok | StepEnd::Failed));
            !ended || is_in_doubt(exit)
        })
    })
}

/// The last lines that explain a failure: those of the failed step, else those that its lane printed last, because a
/// service that does not answer says why in the log of its deploy.
pub(crate) fn tail<'a>(
    state: &'a RunState,
    failed: Step,
    status: &'a StepStatus,
) -> impl Iterator<Item = &'a str> {
    let lane = failed.lane();
    let own = (!status.tail.is_empty()).then_some(status);
    let other =
        || {
            state.steps.iter().rev().find(|(step, other)| {
                step.lane() == lane && lane.is_some() && !other.tail.is_empty()
            })
        };
    let found = own.or_else(|| other().map(|(_, other)| other));
    found
        .into_iter()
        .flat_map(|status| status.tail.iter().map(String::as_str))
}
