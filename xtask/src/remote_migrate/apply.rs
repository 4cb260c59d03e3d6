//! Has the running service apply what it carries, as a run of its own: journaled, under the lease, rehearsed before and read back after.

use super::report::{Report, message};
use super::settle::{Answer, settle};
use super::{known, rehearsed, unreachable};
use crate::event::{EventKind, Step, StepEnd};
use crate::executor::{Verdict, cancelled_exit};
use crate::exit::Exit;
use crate::facts;
use crate::ids::Commit;
use crate::job::{LaneError, Preparation, poll_interval};
use crate::lane::checks::Workshop;
use crate::lane::live_copy::LiveCopy;
use crate::lease::Lease;
use crate::redact::Secret;
use crate::run::{self, Ended, Options, Session};
use crate::service::{AdminState, Service};
use migrate::MigrationFile;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The database behind the running service.
pub(super) struct Database<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) service: Service<'a>,
    pub(super) token: &'a Secret,
}

impl Database<'_> {
    pub(super) fn state(&self) -> Result<AdminState, Box<Report>> {
        self.service
            .admin_state(self.token)
            .map_err(|error| Box::new(unreachable(&error)))
    }

    /// The live data, where the project can fetch it; the local cloud's is another than what its command fetches.
    pub(super) fn live_copy(
        &self,
        keep: &(dyn Fn() -> Result<(), LaneError> + Sync),
    ) -> Result<Option<LiveCopy>, Box<Report>> {
        let session = self.session;
        let Preparation::Here(commands) = session.preparation else {
            return Ok(None);
        };
        if session.target.is_local {
            return Ok(None);
        }
        let workshop = Workshop {
            world: session.world,
            config: session.config,
            commands,
            keep,
        };
        workshop.live_copy(Step::BackendRehearse).map_err(|error| {
            let text = format!("{error}; nothing was applied");
            let exit = match error {
                LaneError::Cancelled(cancelled) => cancelled_exit(cancelled),
                _ => Exit::FailedUnchanged,
            };
            Box::new(Report::failed(exit, message(&text), text))
        })
    }

    pub(super) fn up_to_date(&self, state: &AdminState) -> Report {
        Report::new(
            Exit::Done,
            "up_to_date",
            format!(
                "{} is up to date: {} applied",
                self.session.target.name,
                state.history.len()
            ),
        )
    }

    /// A run of its own, under the lease: a release must not find the database changing.
    pub(super) fn apply(&self, files: &[MigrationFile], state: &AdminState) -> Report {
        let (session, options) = (self.session, Options::default());
        let unknown = Commit(String::new());
        let commit = state.commit.as_ref().unwrap_or(&unknown);
        let row = run::new_row(session, "migrate", commit);
        let begun = run::begin_new(
            session,
            &options,
            row,
            "apply what the running service carries",
        );
        let begun =
            begun.and_then(|run| run::acquire(session, &options, &run).map(|lease| (run, lease)));
        let (run, lease) = match begun {
            Ok(begun) => begun,
            Err(ended) => {
                let ended = run::finish(session, ended);
                return Report::failure(ended.verdict.exit, &ended.verdict.reason);
            }
        };
        let report = self
            .under_lease(files, &lease)
            .unwrap_or_else(|report| *report);
        let verdict = Verdict {
            exit: report.exit,
            reason: report.text.clone(),
            release: None,
        };
        let ended = run::give_back(
            session,
            &lease,
            Ended {
                run: Some(run),
                verdict,
                plan: None,
                nothing_to_do: false,
            },
        );
        run::finish(session, ended);
        report
    }

    fn under_lease(&self, files: &[MigrationFile], lease: &Lease) -> Result<Report, Box<Report>> {
        // Whoever had the lease before may have changed what was read.
        let state = self.step(Step::Preflight, || {
            let state = self.state()?;
            facts::compare_checksums(files, &state)
                .map_err(|error| Box::new(Report::refused(error.to_string())))?;
            let detail = format!(
                "{} applied, {} pending in the running service",
                state.history.len(),
                state.pending.len()
            );
            Ok((state, detail))
        })?;
        if state.pending.is_empty() {
            return Ok(self.up_to_date(&state));
        }
        // A file that the running service does not carry must not stand in the way of those that it does.
        let known = known(&state);
        let carried: Vec<MigrationFile> = files
            .iter()
            .filter(|file| known.contains(file.name.as_str()))
            .cloned()
            .collect();
        self.step(Step::BackendRehearse, || {
            let world = self.session.world;
            let lost = |error| LaneError::Unknown(format!("{error:#}"));
            let keep = || lease.keep(world).map_err(lost);
            let copy = self.live_copy(&keep)?;
            rehearsed(&carried, &state, copy.as_ref()).map(|report| ((), report.text))
        })?;
        self.step(Step::BackendSchema, || {
            let text = format!("the service applies {} file(s)", state.pending.len());
            self.session.world.emit(EventKind::StepProgress {
                step: Step::BackendSchema,
                text,
            });
            let answer = self.ask(lease)?;
            let after = self
                .service
                .admin_state(self.token)
                .map_err(|error| error.to_string());
            let report = settle(self.session.target.name.as_str(), &state, answer, &after);
            if report.exit == Exit::Done {
                Ok((report.clone(), report.text))
            } else {
                Err(Box::new(report))
            }
        })
    }

    /// Has the service apply what it carries, and keeps the lease for as long as that takes.
    fn ask(&self, lease: &Lease) -> Result<Answer, Box<Report>> {
        let world = self.session.world;
        lease.permit(world).map_err(|error| {
            Box::new(Report::refused(format!("{error:#}; nothing was applied")))
        })?;
        let answer = Mutex::new(None);
        let is_answered = || {
            answer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some()
        };
        let started_ms = world.now().mono_ms;
        world.lanes(2, &|lane| {
            if lane == 0 {
                let found = match self.service.admin_migrate(self.token) {
                    Ok(migrated) => Answer::Said(migrated),
                    Err(error) if error.is_definite_no() => Answer::No(error.to_string()),
                    Err(error) => Answer::Lost(error.to_string()),
                };
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
                return;
            }
            while !is_answered() {
                let waited = Duration::from_millis(world.now().mono_ms.saturating_sub(started_ms));
                if world.sleep(poll_interval(world, waited)).is_err() {
                    return;
                }
                if let Err(error) = lease.keep(world) {
                    world.emit(EventKind::Warning {
                        text: format!("{error:#}, while the service applies its migrations"),
                    });
                    return;
                }
            }
        });
        let answer = answer.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(answer.unwrap_or_else(|| {
            Answer::Lost("the request to migrate ended without an answer".to_owned())
        }))
    }

    /// One step of the run: its start, its end and what it found become events.
    fn step<T>(
        &self,
        step: Step,
        body: impl FnOnce() -> Result<(T, String), Box<Report>>,
    ) -> Result<T, Box<Report>> {
        let world = self.session.world;
        world.emit(EventKind::StepStarted { step });
        let (end, detail, result) = match body() {
            Ok((value, detail)) => (StepEnd::Ok, detail, Ok(value)),
            Err(report) => (StepEnd::Failed, report.text.clone(), Err(report)),
        };
        world.emit(EventKind::StepFinished { step, end, detail });
        result
    }
}
