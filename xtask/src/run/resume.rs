//! Finding a run that did not end, and going on with it: with the plan and the baseline that it began with, because by now the
//! providers and the database may show the run's own work.

use super::{Ended, Options, Seen, Session, no_journal};
use crate::contract::Contract;
use crate::event::{EventKind, LaneDecision, Step};
use crate::exit::Exit;
use crate::ids::{ReleaseId, RunId};
use crate::job::Baseline;
use crate::journal::RunRow;
use crate::live::Live;
use crate::plan::{Pending, Plan};
use crate::shared_run::{BEGINNING, RunRecord};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// Runs looked at when an unfinished one is sought.
const RUNS_MAX: usize = 50;

/// What was decided and known when a run began. Written once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Beginning {
    /// What was live.
    pub(super) baseline: Baseline,
    parent: Option<ReleaseId>,
    lanes: Vec<LaneDecision>,
    reversible: bool,
    reversible_because: String,
    /// Name, and whether the version that was live can run on it.
    migrations: Vec<(String, bool)>,
    steps: Vec<Step>,
    /// What the service is judged by after it. Runs of older programs judged by their configuration.
    #[serde(default)]
    contract: Option<Contract>,
    /// Whether it releases a bundle, and so runs no configured command. Runs of older programs knew no bundles.
    #[serde(default)]
    bundle: bool,
}

impl Beginning {
    pub(super) fn new(session: &Session<'_>, plan: &Plan, baseline: &Baseline) -> Self {
        Self {
            baseline: baseline.clone(),
            parent: plan.parent.clone(),
            lanes: plan.lanes.clone(),
            reversible: plan.reversible,
            reversible_because: plan.reversible_because.clone(),
            migrations: plan
                .migrations
                .iter()
                .map(|file| (file.name.clone(), file.compatible))
                .collect(),
            steps: plan.steps.clone(),
            contract: Some(plan.contract.clone()),
            bundle: session.preparation.bundle().is_some(),
        }
    }

    /// The plan as it was; `now` is what planning says today, and gives the rest.
    pub(super) fn plan(&self, now: Plan) -> Plan {
        Plan {
            parent: self.parent.clone(),
            lanes: self.lanes.clone(),
            reversible: self.reversible,
            reversible_because: self.reversible_because.clone(),
            migrations: self
                .migrations
                .iter()
                .map(|(name, compatible)| Pending {
                    name: name.clone(),
                    compatible: *compatible,
                })
                .collect(),
            steps: self.steps.clone(),
            contract: self.contract.clone().unwrap_or(now.contract),
            ..now
        }
    }
}

/// A run that can go on, and what it began with, if it came so far.
pub(super) struct Unfinished {
    pub(super) row: RunRow,
    pub(super) beginning: Option<Beginning>,
    /// What this machine's journal has of it.
    here: Option<RunRow>,
    /// What the ref has of it.
    record: Option<RunRecord>,
}

impl Unfinished {
    /// Whether another machine carried it last.
    fn is_theirs(&self, session: &Session<'_>) -> bool {
        is_theirs(&self.row, session)
    }
}

/// What was found of earlier runs.
pub(super) struct Found {
    /// The run to go on with.
    pub(super) unfinished: Option<Unfinished>,
    /// What the ref of the newest run held.
    pub(super) seen: Seen,
}

/// The run to go on with: what `--resume` and `--abort` ask for, and what a plain `deploy` of the same commit does by itself. Runs
/// whose process is gone get the end that they could not write themselves.
pub(super) fn find(session: &Session<'_>, options: &Options) -> Result<Found, Ended> {
    let asked = options.resume || options.abort;
    let seen = Seen::read(session)?;
    let runs = runs(session)?;
    let newest = newest(session, &runs, seen.record.as_ref())
        .map_err(|error| no_journal(&error))?
        .filter(|run| is_resumable(&run.row, session));
    let is_wanted = |run: &Unfinished| {
        goes_on(options) && (run.row.commit == session.source.commit || options.abort)
    };
    let needs_bundle = |run: &Unfinished| {
        run.beginning
            .as_ref()
            .is_some_and(|beginning| beginning.bundle)
            && session.preparation.bundle().is_none()
            && !options.abort
    };
    let (unfinished, other) = match newest {
        // Where a bundle was released no configured command may run, so such a run does not turn into one that runs them.
        Some(run) if is_wanted(&run) && needs_bundle(&run) && asked => {
            return Err(Ended::early(
                Exit::Usage,
                format!(
                    "run {} releases a bundle, and going on without one would run configured commands (hint: `deploy --bundle DIR --resume`, or `deploy --abort`)",
                    run.row.id
                ),
            ));
        }
        Some(run) if is_wanted(&run) && !needs_bundle(&run) => (Some(run), None),
        other => (None, other),
    };
    bury(session, &runs, unfinished.as_ref().map(|run| &run.row.id))?;
    match (&unfinished, other) {
        (None, Some(other)) if asked => Err(Ended::early(
            Exit::Usage,
            format!(
                "run {} released commit {}, here is {} (hint: check {} out, or `deploy --abort`)",
                other.row.id,
                other.row.commit.short(),
                session.source.commit.short(),
                other.row.commit.short()
            ),
        )),
        (None, None) if asked => Err(Ended::early(
            Exit::Usage,
            format!(
                "no run to {} in {}: the newest one has ended",
                if options.abort { "abort" } else { "resume" },
                session.target.name
            ),
        )),
        _ => Ok(Found { unfinished, seen }),
    }
}

/// Whoever names lanes or says --force wants that done, not what an earlier run was about.
pub(super) fn goes_on(options: &Options) -> bool {
    options.resume || options.abort || (options.asked.only.is_empty() && !options.asked.force)
}

fn runs(session: &Session<'_>) -> Result<Vec<RunRow>, Ended> {
    session
        .world
        .journal()
        .runs(&session.target.name, RUNS_MAX)
        .map_err(|error| no_journal(&error))
}

/// The newest deploy of all machines. Every run that changed something wrote the ref, so what stands there and is not known here is
/// newer than what is; runs of older programs stand in the journal alone.
fn newest(
    session: &Session<'_>,
    runs: &[RunRow],
    shared: Option<&RunRecord>,
) -> Result<Option<Unfinished>> {
    let counts = |run: &RunRow| run.command == "deploy" && !was_refused(run);
    let here = runs.iter().find(|run| counts(run)).cloned();
    let record = shared.filter(|record| {
        counts(&record.row())
            && (here.as_ref().is_some_and(|run| run.id == record.run)
                || runs.iter().all(|run| run.id != record.run))
    });
    let row = match (record, &here) {
        // The journal of the machine that carries the run is written before the ref is.
        (Some(record), Some(here))
            if record.run == here.id && !is_theirs(&record.row(), session) =>
        {
            here.clone()
        }
        (Some(record), _) => record.row(),
        (None, Some(here)) => here.clone(),
        (None, None) => return Ok(None),
    };
    let shared = record.and_then(|record| record.intent(BEGINNING));
    let beginning = match (read(session, &row.id)?, shared) {
        (Some(beginning), _) => Some(beginning),
        (None, Some(shared)) => Some(serde_json::from_str(&shared.intent)?),
        (None, None) => None,
    };
    Ok(Some(Unfinished {
        here: here.filter(|here| here.id == row.id),
        record: record.cloned(),
        row,
        beginning,
    }))
}

/// Whether another machine carried the run last.
fn is_theirs(run: &RunRow, session: &Session<'_>) -> bool {
    run.process.host != session.process.host
}

/// Whether nobody went on with the run since it was found. Asked under the lease, which keeps it so.
pub(super) fn is_as_found(
    session: &Session<'_>,
    found: &Unfinished,
    seen: &Seen,
) -> Result<bool, Ended> {
    let state = |run: &RunRow| (run.exit_code, run.process.clone());
    let here = runs(session)?
        .into_iter()
        .find(|run| run.id == found.row.id);
    Ok(Seen::read(session)?.oid == seen.oid
        && here.as_ref().map(state) == found.here.as_ref().map(state))
}

/// A refused run changed nothing: it stands in nobody's way.
fn was_refused(run: &RunRow) -> bool {
    run.exit_code == Some(Exit::Refused.code())
}

/// Unfinished and its process gone, or finished in a state from which it can go on.
fn is_resumable(run: &RunRow, session: &Session<'_>) -> bool {
    match run.exit_code {
        Some(code) => Exit::can_go_on(code),
        // Whether a process of another machine lives, its lease tells.
        None => is_theirs(run, session) || (session.is_dead)(&run.process),
    }
}

/// Writes the end of every run whose process is gone.
pub(super) fn bury_all(session: &Session<'_>) -> Result<(), Ended> {
    bury(session, &runs(session)?, None)
}

/// As [`bury_all`], but for the one that goes on.
fn bury(session: &Session<'_>, runs: &[RunRow], but: Option<&RunId>) -> Result<(), Ended> {
    for run in runs.iter().filter(|run| {
        run.exit_code.is_none() && Some(&run.id) != but && (session.is_dead)(&run.process)
    }) {
        end_for(
            session,
            run,
            "its process ended without an outcome; another command followed, which compares what it left with what is live",
        )?;
    }
    Ok(())
}

fn end_for(session: &Session<'_>, run: &RunRow, reason: &str) -> Result<(), Ended> {
    let world = session.world;
    world
        .journal()
        .finish_run(&run.id, world.now().wall_ms, Exit::Unknown, reason)
        .map_err(|error| no_journal(&error))?;
    world.emit(EventKind::Recovered {
        run: run.id.clone(),
        text: reason.to_owned(),
        abort: false,
    });
    Ok(())
}

/// A run goes on only from where it began: when another release became live since, it is over.
///
/// # Errors
/// When exactly this run was asked for, and it is over.
pub(super) fn still_current(
    session: &Session<'_>,
    options: &Options,
    found: &Unfinished,
    live: Option<&Live>,
) -> Result<bool, Ended> {
    let now = live.map(|live| &live.record.release);
    let is_current = |beginning: &Beginning| {
        now == beginning.parent.as_ref() || now.is_some_and(|release| release.0 == found.row.id.0)
    };
    if found.beginning.as_ref().is_none_or(is_current) {
        return Ok(true);
    }
    let moved = format!(
        "{} became live after it began, so it cannot go on",
        now.map_or("nothing", ReleaseId::as_str)
    );
    if let Some(here) = found.here.as_ref().filter(|here| here.exit_code.is_none()) {
        end_for(session, here, &moved)?;
    }
    if options.resume || options.abort {
        return Err(Ended::early(
            Exit::Superseded,
            format!("run {}: {moved}", found.row.id),
        ));
    }
    Ok(false)
}

/// Makes an unfinished run this process's own. What another machine knows of it, or this one did before its journal was lost, is
/// written down here first.
pub(super) fn take_over(
    session: &Session<'_>,
    options: &Options,
    found: &Unfinished,
) -> Result<(), Ended> {
    let (world, row) = (session.world, &found.row);
    let journal = world.journal();
    if let Some(record) = &found.record {
        journal
            .import(row, &record.intent_rows(), found.is_theirs(session))
            .map_err(|error| no_journal(&error))?;
    }
    let earlier = journal
        .events(&row.id)
        .map_err(|error| no_journal(&error))?;
    journal
        .adopt_run(&row.id, &session.process)
        .map_err(|error| no_journal(&error))?;
    world.attach(&row.id, &earlier);
    if let (true, Some(record)) = (earlier.is_empty(), &found.record) {
        world.emit(EventKind::RunStarted {
            run: row.id.clone(),
            command: row.command.clone(),
            environment: row.environment.clone(),
            commit: row.commit.clone(),
            subject: session.source.subject.clone(),
            by: record.by.clone(),
            override_reason: None,
        });
    }
    let whose = match &found.record {
        Some(record) if found.is_theirs(session) => {
            format!(" (begun by {} on {})", record.by, record.process.host)
        }
        _ => String::new(),
    };
    let what = if options.abort {
        "it is undone"
    } else {
        "it goes on where it stopped"
    };
    world.emit(EventKind::Recovered {
        run: row.id.clone(),
        text: format!("{what}{whose}"),
        abort: options.abort,
    });
    Ok(())
}

/// An attempt to go on that was refused leaves the run as it was found, so that another one can follow.
pub(super) fn leave(session: &Session<'_>, row: &RunRow, ended: Ended) -> Ended {
    let world = session.world;
    let exit = Exit::ALL
        .into_iter()
        .find(|exit| Some(exit.code()) == row.exit_code)
        .unwrap_or(Exit::Unknown);
    let reason = row.reason.clone().unwrap_or_else(|| {
        format!(
            "its process ended without an outcome; going on was refused: {}",
            ended.verdict.reason
        )
    });
    if let Err(error) = world.journal().finish_run(
        &row.id,
        row.finished_ms.unwrap_or(world.now().wall_ms),
        exit,
        &reason,
    ) {
        world.emit(EventKind::Warning {
            text: format!("{error:#}"),
        });
    }
    Ended { run: None, ..ended }
}

fn read(session: &Session<'_>, run: &RunId) -> Result<Option<Beginning>> {
    let Some(row) = session.world.journal().intent(run, BEGINNING)? else {
        return Ok(None);
    };
    Ok(Some(serde_json::from_str(&row.intent)?))
}

/// Writes down what the run begins with, unless that is known.
pub(super) fn remember(session: &Session<'_>, run: &RunId, beginning: &Beginning) -> Result<()> {
    if read(session, run)?.is_none() {
        let json = serde_json::to_string(beginning)?;
        session
            .world
            .journal()
            .intend(run, BEGINNING, &json, session.world.now().wall_ms)?;
    }
    Ok(())
}
