//! What a run holds that may change things: the lease, and its record on the ref of the newest run, which other machines read.

use super::{Ended, Options, Session, give_back, preflight_failed, resume};
use crate::event::EventKind;
use crate::executor::Verdict;
use crate::exit::Exit;
use crate::ids::Oid;
use crate::job::LaneError;
use crate::journal::RunRow;
use crate::lease::Lease;
use crate::live;
use crate::shared_run::{self, RunRecord, Shared};
use crate::world::World;

/// What the ref of the newest run held when it was looked at.
pub(super) struct Seen {
    pub(super) oid: Option<Oid>,
    pub(super) record: Option<RunRecord>,
}

impl Seen {
    /// Whoever releases must understand it: it may name a run that has not ended.
    pub(super) fn read(session: &Session<'_>) -> Result<Self, Ended> {
        let name = &session.target.name;
        let value = shared_run::read(session.world, name)
            .map_err(|error| Ended::early(Exit::Refused, format!("{error:#}")))?;
        let record = value.as_ref().map(RunRecord::parse).transpose();
        let record = record.map_err(|error| {
            Ended::early(
                Exit::Refused,
                format!(
                    "{error:#} (hint: it may come from a newer version of Tandem; deleting {} forgets that run)",
                    live::run_ref(name)
                ),
            )
        })?;
        Ok(Self {
            oid: value.map(|value| value.oid),
            record,
        })
    }

    /// Refuses to begin when another machine left a run of the same commit meanwhile: that one would have to go on.
    pub(super) fn nothing_to_go_on_with(
        &self,
        session: &Session<'_>,
        options: &Options,
    ) -> Result<(), Ended> {
        let left = self.record.as_ref().filter(|record| {
            record.is_unfinished()
                && record.commit == session.source.commit
                && resume::goes_on(options)
        });
        let Some(record) = left else {
            return Ok(());
        };
        Err(preflight_failed(
            session.world,
            &LaneError::Refused(format!(
                "run {} of {} on {} began meanwhile and did not come to its end (hint: `deploy` again looks at what it left)",
                record.run, record.by, record.process.host
            )),
        ))
    }

    pub(super) fn warn_of_unfinished(&self, session: &Session<'_>) {
        if let Some(record) = self.record.as_ref().filter(|record| record.end.is_none()) {
            session.world.emit(EventKind::Warning {
                text: format!(
                    "run {} of {} on {} has not come to its end; what it left is compared with what is live",
                    record.run, record.by, record.process.host
                ),
            });
        }
    }
}

pub(super) fn not_shared(world: &dyn World, error: &anyhow::Error) -> Ended {
    let text = format!(
        "the run could not be written down where other machines find it, so nothing was begun: {error:#}"
    );
    preflight_failed(world, &LaneError::Refused(text))
}

pub(super) fn warn_not_shared(world: &dyn World, error: &anyhow::Error) {
    world.emit(EventKind::Warning {
        text: format!("the run could not be written down where other machines find it: {error:#}"),
    });
}

/// What a run has that may change things.
pub struct Hold {
    /// The right to change them.
    pub lease: Lease,
    /// What other machines know of it.
    pub shared: Shared,
}

impl Hold {
    /// For a command that puts production right: it goes on also when other machines cannot be told.
    pub fn warily(session: &Session<'_>, row: &RunRow, lease: Lease) -> Self {
        let world = session.world;
        let found = shared_run::read(world, &session.target.name);
        let oid = match found {
            Ok(value) => value.map(|value| value.oid),
            Err(error) => {
                warn_not_shared(world, &error);
                None
            }
        };
        let shared = Shared::new(world, row, &session.process, &session.by, oid);
        if let Err(error) = shared.push(world) {
            warn_not_shared(world, &error);
        }
        Self { lease, shared }
    }

    /// Tells other machines how the run ended, and gives the lease back.
    pub fn close(&self, session: &Session<'_>, ended: Ended) -> Ended {
        let Verdict { exit, reason, .. } = &ended.verdict;
        // Whoever has the lease writes there now.
        if !self.lease.was_lost()
            && let Err(error) = self.shared.end(session.world, *exit, reason)
        {
            session.world.emit(EventKind::Warning {
                text: format!("how the run ended could not be written down where other machines find it, so one of them may go on with it: {error:#}"),
            });
        }
        give_back(session, &self.lease, ended)
    }
}
