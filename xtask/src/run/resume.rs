//! Finding a run that did not end, and going on with it: with the plan and the baseline that it began with, because by now the
//! providers and the database may show the run's own work.

use super::{Ended, Options, Session, no_journal};
use crate::event::{EventKind, LaneDecision, Step};
use crate::exit::Exit;
use crate::ids::{ReleaseId, RunId};
use crate::job::Baseline;
use crate::journal::RunRow;
use crate::live::Live;
use crate::plan::{Pending, Plan};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// The journal's key of what a run began with.
const KEY: &str = "beginning";
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
            ..now
        }
    }
}

/// A run that can go on, and what it began with, if it came so far.
pub(super) struct Unfinished {
    pub(super) row: RunRow,
    pub(super) beginning: Option<Beginning>,
}

/// The run to go on with: what `--resume` and `--abort` ask for, and what a plain `deploy` of the same commit does by itself. Runs
/// whose process is gone get the end that they could not write themselves.
pub(super) fn find(session: &Session<'_>, options: &Options) -> Result<Option<Unfinished>, Ended> {
    let asked = options.resume || options.abort;
    let runs = session
        .world
        .journal()
        .runs(&session.target.name, RUNS_MAX)
        .map_err(|error| no_journal(&error))?;
    let newest = runs
        .iter()
        .find(|run| run.command == "deploy" && !was_refused(run))
        .filter(|run| is_resumable(run, session));
    // Whoever names lanes or says --force wants that done, not what an earlier run was about.
    let goes_on = asked || (options.asked.only.is_empty() && !options.asked.force);
    let found =
        newest.filter(|run| goes_on && (run.commit == session.source.commit || options.abort));
    let beginning = match found {
        Some(run) => read(session, &run.id).map_err(|error| no_journal(&error))?,
        None => None,
    };
    let needs_bundle = beginning.as_ref().is_some_and(|beginning| beginning.bundle)
        && session.preparation.bundle().is_none()
        && !options.abort;
    // Where a bundle was released no configured command may run, so such a run does not turn into one that runs them.
    if let (Some(run), true) = (found, needs_bundle && asked) {
        return Err(Ended::early(
            Exit::Usage,
            format!(
                "run {} releases a bundle, and going on without one would run configured commands (hint: `deploy --bundle DIR --resume`, or `deploy --abort`)",
                run.id
            ),
        ));
    }
    let found = found.filter(|_| !needs_bundle);
    bury(session, &runs, found.map(|run| &run.id))?;
    let Some(row) = found else {
        return match newest {
            Some(other) if asked => Err(Ended::early(
                Exit::Usage,
                format!(
                    "run {} released commit {}, here is {} (hint: check {} out, or `deploy --abort`)",
                    other.id,
                    other.commit.short(),
                    session.source.commit.short(),
                    other.commit.short()
                ),
            )),
            None if asked => Err(Ended::early(
                Exit::Usage,
                format!(
                    "no run to {} in {}: the newest one has ended",
                    if options.abort { "abort" } else { "resume" },
                    session.target.name
                ),
            )),
            _ => Ok(None),
        };
    };
    Ok(Some(Unfinished {
        row: row.clone(),
        beginning,
    }))
}

/// A refused run changed nothing: it stands in nobody's way.
fn was_refused(run: &RunRow) -> bool {
    run.exit_code == Some(Exit::Refused.code())
}

/// Unfinished and its process gone, or finished in a state from which it can go on.
fn is_resumable(run: &RunRow, session: &Session<'_>) -> bool {
    let exits = [
        Exit::Degraded,
        Exit::Unknown,
        Exit::Interrupted,
        Exit::Terminated,
        Exit::Bug,
    ]
    .map(Exit::code);
    match run.exit_code {
        Some(code) => exits.contains(&code),
        None => (session.is_dead)(&run.process),
    }
}

/// Writes the end of every run whose process is gone.
pub(super) fn bury_all(session: &Session<'_>) -> Result<(), Ended> {
    let runs = session
        .world
        .journal()
        .runs(&session.target.name, RUNS_MAX)
        .map_err(|error| no_journal(&error))?;
    bury(session, &runs, None)
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
pub(super) fn still_current(
    session: &Session<'_>,
    options: &Options,
    unfinished: Option<Unfinished>,
    live: Option<&Live>,
) -> Result<Option<Unfinished>, Ended> {
    let Some(found) = unfinished else {
        return Ok(None);
    };
    let now = live.map(|live| &live.record.release);
    let is_current = |beginning: &Beginning| {
        now == beginning.parent.as_ref() || now.is_some_and(|release| release.0 == found.row.id.0)
    };
    if found.beginning.as_ref().is_none_or(is_current) {
        return Ok(Some(found));
    }
    let moved = format!(
        "{} became live after it began, so it cannot go on",
        now.map_or("nothing", ReleaseId::as_str)
    );
    if found.row.exit_code.is_none() {
        end_for(session, &found.row, &moved)?;
    }
    if options.resume || options.abort {
        return Err(Ended::early(
            Exit::Superseded,
            format!("run {}: {moved}", found.row.id),
        ));
    }
    Ok(None)
}

/// Makes an unfinished run this process's own.
pub(super) fn take_over(
    session: &Session<'_>,
    options: &Options,
    row: &RunRow,
) -> Result<RunId, Ended> {
    let world = session.world;
    let earlier = world
        .journal()
        .events(&row.id)
        .map_err(|error| no_journal(&error))?;
    world
        .journal()
        .adopt_run(&row.id, &session.process)
        .map_err(|error| no_journal(&error))?;
    world.attach(&row.id, &earlier);
    world.emit(EventKind::Recovered {
        run: row.id.clone(),
        text: if options.abort {
            "it is undone"
        } else {
            "it goes on where it stopped"
        }
        .to_owned(),
        abort: options.abort,
    });
    Ok(row.id.clone())
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
    let Some(row) = session.world.journal().intent(run, KEY)? else {
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
            .intend(run, KEY, &json, session.world.now().wall_ms)?;
    }
    Ok(())
}
