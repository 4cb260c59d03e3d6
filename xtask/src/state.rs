//! The one reducer: events in, the state of a run out. Every display, report and resume is a function of it.

use crate::event::{Event, EventKind, LaneDecision, LaneState, Step, StepEnd};
use crate::exit::Exit;
use crate::ids::{Commit, DeployId, EnvironmentName, Lane, ReleaseId, RunId};
use std::collections::{BTreeMap, VecDeque};

/// Lines of output kept per step: what a failure report shows.
const TAIL_LINES: usize = 20;

/// What is known of one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepStatus {
    /// Monotonic milliseconds since the run began.
    pub started_ms: u64,
    /// None while it runs.
    pub finished_ms: Option<u64>,
    /// None while it runs.
    pub end: Option<StepEnd>,
    /// What it found, or why it failed.
    pub detail: String,
    /// How far it is.
    pub progress: String,
    /// The last lines that it printed.
    pub tail: VecDeque<String>,
}

impl StepStatus {
    /// How long it took, or has been running at `now_ms`.
    pub fn duration_ms(&self, now_ms: u64) -> u64 {
        self.finished_ms
            .unwrap_or(now_ms)
            .saturating_sub(self.started_ms)
    }
}

/// What is known of one lane.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneStatus {
    /// Why it runs or not.
    pub decision: LaneDecision,
    /// Where it stands.
    pub state: LaneState,
    /// The provider's id of our deploy.
    pub deploy_id: Option<DeployId>,
    /// Where it answers.
    pub url: Option<String>,
}

/// Everything known of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunState {
    /// Its id.
    pub run: Option<RunId>,
    /// `deploy` or `rollback`.
    pub command: String,
    /// Where to.
    pub environment: Option<EnvironmentName>,
    /// What.
    pub commit: Option<Commit>,
    /// First line of the commit message.
    pub subject: String,
    /// Who or what started it.
    pub by: String,
    /// A recorded override.
    pub override_reason: Option<String>,
    /// Wall clock at the start, milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// Monotonic milliseconds at the newest event.
    pub elapsed_ms: u64,
    /// What was live before.
    pub parent: Option<ReleaseId>,
    /// Whether the backend can be rolled back afterwards, and why.
    pub reversible: Option<(bool, String)>,
    /// Migrations that the release brings.
    pub migrations: Vec<String>,
    /// The steps that the plan names.
    pub planned: Vec<Step>,
    /// Steps that began.
    pub steps: BTreeMap<Step, StepStatus>,
    /// The lanes.
    pub lanes: BTreeMap<Lane, LaneStatus>,
    /// Gates that decided: passed or not, and why.
    pub gates: BTreeMap<u8, (bool, String)>,
    /// Things that a person should know.
    pub warnings: Vec<String>,
    /// Calls that were made again.
    pub retries: u64,
    /// How it ended.
    pub exit: Option<Exit>,
    /// The release that is live now because of it.
    pub release: Option<ReleaseId>,
    /// Why it ended so.
    pub reason: String,
    /// Commands worth typing next.
    pub next: Vec<String>,
}

impl RunState {
    /// Folds a whole run.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    /// Takes one event in.
    pub fn apply(&mut self, event: &Event) {
        self.elapsed_ms = self.elapsed_ms.max(event.elapsed_ms);
        match &event.kind {
            EventKind::RunStarted {
                run,
                command,
                environment,
                commit,
                subject,
                by,
                override_reason,
            } => {
                *self = Self {
                    run: Some(run.clone()),
                    command: command.clone(),
                    environment: Some(environment.clone()),
                    commit: Some(commit.clone()),
                    subject: subject.clone(),
                    by: by.clone(),
                    override_reason: override_reason.clone(),
                    started_ms: event.at_ms,
                    elapsed_ms: event.elapsed_ms,
                    ..Self::default()
                };
            }
            EventKind::Recovered { .. } | EventKind::Note { .. } => {}
            EventKind::Planned {
                parent,
                lanes,
                reversible,
                reversible_because,
                migrations,
                steps,
            } => {
                self.parent.clone_from(parent);
                self.reversible = Some((*reversible, reversible_because.clone()));
                self.migrations.clone_from(migrations);
                self.planned.clone_from(steps);
                self.lanes = lanes
                    .iter()
                    .map(|decision| (decision.lane, LaneStatus::planned(decision)))
                    .collect();
            }
            EventKind::StepStarted { step } => {
                let fresh = StepStatus {
                    started_ms: event.elapsed_ms,
                    ..StepStatus::default()
                };
                self.steps.insert(*step, fresh);
            }
            EventKind::StepProgress { step, text } => self.step(*step).progress.clone_from(text),
            EventKind::StepFinished { step, end, detail } => {
                let status = self.step(*step);
                status.finished_ms = Some(event.elapsed_ms);
                status.end = Some(*end);
                status.detail.clone_from(detail);
            }
            EventKind::Output { step, line } => {
                let tail = &mut self.step(*step).tail;
                if tail.len() == TAIL_LINES {
                    tail.pop_front();
                }
                tail.push_back(line.clone());
            }
            EventKind::Retry { .. } => self.retries += 1,
            EventKind::LaneChanged {
                lane,
                state,
                deploy_id,
                url,
            } => {
                if let Some(status) = self.lanes.get_mut(lane) {
                    status.state = *state;
                    status.deploy_id = deploy_id.clone().or(status.deploy_id.take());
                    status.url = url.clone().or(status.url.take());
                }
            }
            EventKind::Gate {
                number,
                passed,
                because,
            } => {
                self.gates.insert(*number, (*passed, because.clone()));
            }
            EventKind::Warning { text } => {
                if !self.warnings.contains(text) {
                    self.warnings.push(text.clone());
                }
            }
            EventKind::RunFinished {
                exit,
                release,
                reason,
                next,
            } => {
                self.exit = Some(*exit);
                self.release.clone_from(release);
                self.reason.clone_from(reason);
                self.next.clone_from(next);
            }
        }
    }

    fn step(&mut self, step: Step) -> &mut StepStatus {
        self.steps.entry(step).or_default()
    }

    /// The step that failed first, when one did.
    pub fn failed_step(&self) -> Option<(Step, &StepStatus)> {
        self.steps
            .iter()
            .filter(|(_, status)| status.end == Some(StepEnd::Failed))
            .min_by_key(|(_, status)| status.finished_ms)
            .map(|(step, status)| (*step, status))
    }

    /// The longest chain of steps that had to follow each other, and how long its steps took: the ideal for this run.
    pub fn critical_path(&self) -> (Vec<Step>, u64) {
        let mut best: BTreeMap<Step, (u64, Option<Step>)> = BTreeMap::new();
        // In order of the end, every step comes after all that it waited for.
        let mut ended: Vec<(u64, Step)> = self
            .steps
            .iter()
            .filter_map(|(step, status)| Some((status.finished_ms?, *step)))
            .collect();
        ended.sort_unstable();
        for (_, step) in &ended {
            let own = self
                .steps
                .get(step)
                .map_or(0, |status| status.duration_ms(self.elapsed_ms));
            let before = step
                .after()
                .iter()
                .filter_map(|prior| best.get(prior).map(|found| (found.0, *prior)))
                .max();
            best.insert(
                *step,
                (
                    own + before.map_or(0, |(length, _)| length),
                    before.map(|(_, prior)| prior),
                ),
            );
        }
        let Some((last, (length, _))) = best.iter().max_by_key(|(_, (length, _))| *length) else {
            return (Vec::new(), 0);
        };
        let mut path = vec![*last];
        while let Some((_, Some(prior))) = path.last().and_then(|step| best.get(step)) {
            path.push(*prior);
        }
        path.reverse();
        (path, *length)
    }
}

impl LaneStatus {
    fn planned(decision: &LaneDecision) -> Self {
        Self {
            decision: decision.clone(),
            state: if decision.run {
                LaneState::Planned
            } else {
                LaneState::Unchanged
            },
            deploy_id: None,
            url: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u64, elapsed_ms: u64, kind: EventKind) -> Event {
        Event {
            seq,
            at_ms: 0,
            elapsed_ms,
            kind,
        }
    }

    fn step(step: Step, from: u64, to: u64) -> [Event; 2] {
        let end = EventKind::StepFinished {
            step,
            end: StepEnd::Ok,
            detail: String::new(),
        };
        [at(0, from, EventKind::StepStarted { step }), at(0, to, end)]
    }

    #[test]
    fn the_critical_path_follows_the_longest_lane() {
        let events: Vec<Event> = [
            step(Step::Preflight, 0, 10),
            step(Step::Checks, 10, 40),
            step(Step::FrontendUpload, 10, 210),
            step(Step::FrontendPermalink, 210, 220),
            step(Step::BackendDeploy, 222, 572),
            step(Step::BackendIdentity, 572, 575),
            step(Step::FrontendPublish, 576, 586),
        ]
        .concat();
        let (path, length) = RunState::fold(&events).critical_path();
        assert_eq!(
            path,
            [
                Step::Preflight,
                Step::FrontendUpload,
                Step::FrontendPermalink,
                Step::BackendDeploy,
                Step::BackendIdentity,
                Step::FrontendPublish,
            ]
        );
        // What the steps themselves took: the checks ran beside the upload, and the gaps between steps are the orchestrator's.
        assert_eq!(length, 10 + 200 + 10 + 350 + 3 + 10);
    }

    #[test]
    fn a_failed_step_is_found_by_when_it_failed() {
        let failed = |step| EventKind::StepFinished {
            step,
            end: StepEnd::Failed,
            detail: "no".to_owned(),
        };
        let state = RunState::fold(&[
            at(1, 5, failed(Step::FrontendBuild)),
            at(2, 3, failed(Step::Checks)),
        ]);
        assert_eq!(
            state.failed_step().map(|(step, _)| step),
            Some(Step::Checks)
        );
    }
}
