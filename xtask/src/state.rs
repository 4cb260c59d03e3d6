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
    /// Whether it began: something may be printed about a step that never did.
    pub began: bool,
    /// How long it took before it began anew, in an earlier attempt of the run for instance.
    pub earlier_ms: u64,
    /// Milliseconds of the run's own time when it began last.
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
    /// How long it took, or has been running at `now_ms`, in all.
    pub fn duration_ms(&self, now_ms: u64) -> u64 {
        self.earlier_ms + self.last_ms(now_ms)
    }

    /// The same since it began last.
    pub fn last_ms(&self, now_ms: u64) -> u64 {
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
    /// Milliseconds of the run's own time at the newest event.
    pub elapsed_ms: u64,
    /// Whether somebody asked for the run to be undone.
    pub aborted: bool,
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
        let before_ms = self.elapsed_ms;
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
                // Whatever came before the run had a name is preflight.
                self.begin(Step::Preflight, 0);
            }
            EventKind::Recovered { run, abort, .. } => {
                if self.run.as_ref() == Some(run) {
                    self.aborted = *abort;
                    self.cut_off(before_ms);
                    self.begin(Step::Preflight, before_ms);
                }
            }
            EventKind::Note { .. } => {}
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
            EventKind::StepStarted { step } => self.begin(*step, event.elapsed_ms),
            EventKind::StepProgress { step, text } => {
                if let Some(status) = self.steps.get_mut(step) {
                    status.progress.clone_from(text);
                }
            }
            EventKind::StepFinished { step, end, detail } => {
                let status = self.step(*step);
                status.began = true;
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

    fn begin(&mut self, step: Step, at_ms: u64) {
        let before = self.steps.get(&step).filter(|status| status.began);
        let fresh = StepStatus {
            began: true,
            earlier_ms: before.map_or(0, |status| status.duration_ms(at_ms)),
            started_ms: at_ms,
            ..StepStatus::default()
        };
        self.steps.insert(step, fresh);
    }

    /// An earlier attempt stopped at `at_ms`: what ran then runs no more, and how it ended nobody knows.
    fn cut_off(&mut self, at_ms: u64) {
        for status in self.steps.values_mut().filter(|status| status.began) {
            status.finished_ms.get_or_insert(at_ms);
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
            let Some(status) = self.steps.get(step) else {
                continue;
            };
            let own = status.duration_ms(self.elapsed_ms);
            let is_over = |prior: &&Step| {
                let ended_ms = self.steps.get(prior).and_then(|prior| prior.finished_ms);
                ended_ms.is_some_and(|ended_ms| ended_ms <= status.started_ms)
            };
            let before = step
                .after()
                .iter()
                .filter(is_over)
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
        (path, *length.min(&self.elapsed_ms))
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

    #[test]
    fn a_rollback_is_a_chain_and_what_is_said_about_another_step_begins_none() {
        let events: Vec<Event> = [
            step(Step::Preflight, 0, 10),
            step(Step::UndoFrontend, 12, 20),
            step(Step::UndoBackend, 20, 60),
            step(Step::Finalise, 61, 65),
        ]
        .concat();
        let mut state = RunState::fold(&events[..5]);
        let about = |text: &str| EventKind::StepProgress {
            step: Step::BackendDeploy,
            text: text.to_owned(),
        };
        state.apply(&at(0, 30, about("build_in_progress")));
        state.apply(&at(
            0,
            31,
            EventKind::Output {
                step: Step::BackendDeploy,
                line: "listening".to_owned(),
            },
        ));
        events[5..].iter().for_each(|event| state.apply(event));
        let (path, length) = state.critical_path();
        assert_eq!(
            path,
            [
                Step::Preflight,
                Step::UndoFrontend,
                Step::UndoBackend,
                Step::Finalise
            ]
        );
        assert_eq!((length, state.elapsed_ms), (10 + 8 + 40 + 4, 65));
        assert!(!state.steps[&Step::BackendDeploy].began);
    }

    #[test]
    fn what_an_earlier_attempt_and_a_lock_took_is_part_of_the_run() {
        let run = RunId("run".to_owned());
        let recovered = EventKind::Recovered {
            run: run.clone(),
            text: String::new(),
            abort: false,
        };
        let mut state = RunState {
            run: Some(run),
            ..RunState::default()
        };
        let events: Vec<Event> = [
            step(Step::Preflight, 0, 10).to_vec(),
            // Killed in the middle of the checks, of which 30 are known.
            step(Step::Checks, 10, 0)[..1].to_vec(),
            vec![at(
                0,
                40,
                EventKind::Note {
                    text: String::new(),
                },
            )],
            vec![at(0, 45, recovered)],
            step(Step::Preflight, 45, 50).to_vec(),
            step(Step::Lock, 50, 90).to_vec(),
            step(Step::Preflight, 90, 95).to_vec(),
            step(Step::Checks, 95, 120).to_vec(),
        ]
        .concat();
        events.iter().for_each(|event| state.apply(event));
        let took = |step| state.steps[&step].duration_ms(state.elapsed_ms);
        assert_eq!(took(Step::Preflight), 10 + 5 + 5 + 5);
        assert_eq!(took(Step::Checks), 30 + 25);
        let (path, length) = state.critical_path();
        assert_eq!(path, [Step::Lock, Step::Preflight, Step::Checks]);
        assert_eq!((length, state.elapsed_ms), (120, 120));
    }
}
