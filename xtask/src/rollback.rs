//! Bringing an earlier release back: the frontend first, so that a new one never stands on an old backend.

mod schema;

use crate::event::{EventKind, LaneDecision, Step, StepEnd};
use crate::executor::{self, Verdict, after_lost_lease, cancelled_exit};
use crate::exit::Exit;
use crate::facts;
use crate::ids::{DeployId, Lane, RunId};
use crate::job::{Baseline, Job, LaneError};
use crate::lane::{frontend, undo};
use crate::live::{self, Live, LiveLane, LiveRecord};
use crate::plan::Plan;
use crate::refs::Swap;
use crate::run::{self, Ended, Hold, Options, Session};
use crate::world::Cancelled;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What `--to` calls the release that is recorded as live.
const LIVE: &str = "live";
/// Releases looked at when an earlier one is sought.
const LOG_MAX: usize = 200;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The release, or the beginning of its id; none: the one before the live one.
    pub to: Option<String>,
    /// Only these lanes; empty: all that differ.
    pub only: Vec<Lane>,
    /// Overrides a held lease, the rule that halves belong together, and a schema that nobody can judge; recorded.
    pub break_glass: Option<String>,
    /// How long to wait for a held lease.
    pub wait_lock: Duration,
}

/// Brings an earlier release back.
pub fn rollback(session: &Session<'_>, asked: &Asked) -> Ended {
    run::finish(
        session,
        rollback_inner(session, asked).unwrap_or_else(|ended| ended),
    )
}

/// From which release to which.
struct Course<'l> {
    /// What was recorded after the target, newest first.
    since: &'l [Live],
    current: &'l Live,
    target: &'l Live,
    lanes: Vec<Lane>,
}

fn rollback_inner(session: &Session<'_>, asked: &Asked) -> Result<Ended, Ended> {
    session.world.emit(EventKind::StepStarted {
        step: Step::Preflight,
    });
    let refused = |text: String| refuse(session, Exit::Refused, text);
    let log = read_log(session).map_err(&refused)?;
    let (current, target) = choose(&log, asked.to.as_deref(), &asked.only).map_err(&refused)?;
    let unlike = facts::unlike_record(session, current)
        .map_err(|error| run::preflight_failed(session.world, &error))?;
    let lanes = lanes(current, target, &unlike, asked).map_err(&refused)?;
    if lanes.is_empty() {
        return nothing_to_do(session, asked, current, target, &unlike);
    }
    still_there(session, target, &lanes).map_err(&refused)?;
    let since = log
        .split(|entry| entry.oid == target.oid)
        .next()
        .unwrap_or_default();
    let course = Course {
        since,
        current,
        target,
        lanes,
    };
    let options = Options {
        break_glass: asked.break_glass.clone(),
        wait_lock: asked.wait_lock,
        ..Options::default()
    };
    let row = run::new_row(session, "rollback", &target.record.commit);
    let run = run::begin_new(session, &options, row.clone(), &target.record.subject)?;
    let lease = run::acquire(session, &options, &run)?;
    let ours = |ended: Ended| Ended {
        run: Some(run.clone()),
        ..ended
    };
    if let Err(ended) = may_begin(session, &options, &course) {
        return Ok(run::give_back(session, &lease, ours(ended)));
    }
    let hold = Hold::warily(session, &row, lease);
    let ended = under_lease(session, &options, &course, &run, &hold).unwrap_or_else(|ended| ended);
    Ok(hold.close(session, ours(ended)))
}

/// Nothing differs of the lanes that were asked for. That both halves are what is recorded must be so as well.
fn nothing_to_do(
    session: &Session<'_>,
    asked: &Asked,
    current: &Live,
    target: &Live,
    unlike: &BTreeMap<Lane, String>,
) -> Result<Ended, Ended> {
    if let Some((lane, why)) = unlike.first_key_value() {
        let text = format!(
            "{} is what is recorded as live, and the {lane} is not as recorded: {why} (hint: `rollback --to live` without --only brings it back)",
            target.record.release
        );
        return Err(refuse(session, Exit::Unhealthy, text));
    }
    let reason = format!(
        "nothing to do: {}{} is what is live, and both halves answer as recorded",
        part(&asked.only),
        target.record.release
    );
    let verdict = Verdict {
        exit: Exit::Done,
        reason,
        release: Some(current.record.release.clone()),
    };
    Ok(Ended {
        run: None,
        verdict,
        plan: None,
        nothing_to_do: true,
    })
}

fn refuse(session: &Session<'_>, exit: Exit, text: String) -> Ended {
    session.world.emit(EventKind::StepFinished {
        step: Step::Preflight,
        end: StepEnd::Failed,
        detail: text.clone(),
    });
    Ended::early(exit, text)
}

/// What was read before the lease was ours may have moved, so whatever decides is read here.
fn may_begin(session: &Session<'_>, options: &Options, course: &Course<'_>) -> Result<(), Ended> {
    let refused = |text: String| refuse(session, Exit::Refused, text);
    unmoved(session, course.current).map_err(refused)?;
    if course.lanes.contains(&Lane::Backend) {
        let glass = options.break_glass.is_some();
        schema::allows(session, course, glass)
            .map_err(|text| refuse(session, Exit::Database, text))?;
    }
    Ok(())
}

fn under_lease(
    session: &Session<'_>,
    options: &Options,
    course: &Course<'_>,
    run: &RunId,
    hold: &Hold,
) -> Result<Ended, Ended> {
    let refused = |text: String| refuse(session, Exit::Refused, text);
    let published = session
        .netlify
        .published()
        .map_err(|error| refused(format!("what is public now could not be read: {error}")))?;
    let Course {
        current, target, ..
    } = course;
    let planned = plan_of(session, course);
    run::announce(session, &planned);
    let baseline = Baseline {
        frontend: deploy_of(target, Lane::Frontend),
        backend: deploy_of(target, Lane::Backend),
        backend_commit: target
            .record
            .lanes
            .get(&Lane::Backend)
            .map(|lane| lane.commit.clone()),
        contract: target.record.contract().cloned(),
        ill: BTreeMap::new(),
        through_engine: false,
    };
    let job = Job {
        live: Some(current),
        manifests: &target.manifests,
        ..run::job(session, options, run, &planned, None, baseline, hold)
    };
    let verdict = bring_back(session, &job, course, published.as_ref());
    let verdict = after_lost_lease(&job, verdict);
    Ok(Ended {
        run: None,
        verdict,
        plan: Some(Box::new(planned.clone())),
        nothing_to_do: false,
    })
}

fn unmoved(session: &Session<'_>, current: &Live) -> Result<(), String> {
    let found = session
        .world
        .refs()
        .read(&live::live_ref(&session.target.name))
        .map_err(|error| format!("what is live could not be read again: {error:#}"))?;
    if found.is_some_and(|value| value.oid == current.oid) {
        return Ok(());
    }
    Err(format!(
        "{} was live when this began, and another run has moved that since (hint: look at `status`, then decide again)",
        current.record.release
    ))
}

fn read_log(session: &Session<'_>) -> Result<Vec<Live>, String> {
    let values = session
        .world
        .refs()
        .log(&live::live_ref(&session.target.name), LOG_MAX)
        .map_err(|error| format!("{error:#}"))?;
    values
        .into_iter()
        .map(|value| Live::parse(value).map_err(|error| format!("{error:#}")))
        .collect()
}

/// The live record and the one to bring back.
fn choose<'l>(
    log: &'l [Live],
    to: Option<&str>,
    only: &[Lane],
) -> Result<(&'l Live, &'l Live), String> {
    let Some(current) = log.first() else {
        return Err("nothing is recorded as live, so there is nothing to go back from".to_owned());
    };
    // A rollback is recorded under the name of the release it brought back, and lanes can be of several releases: "the one before"
    // counts from where the newest of what is asked for was made.
    let made = current
        .record
        .lanes
        .iter()
        .filter(|(lane, _)| only.is_empty() || only.contains(lane))
        .filter_map(|(_, live)| {
            log.iter()
                .rposition(|entry| entry.record.release == live.release)
        })
        .min()
        .unwrap_or(0);
    let earlier = log.get(made + 1..).unwrap_or_default();
    let target = match to.map(|to| (to, to.strip_prefix('~'))) {
        None => before(earlier, 1)?,
        Some((LIVE, None)) => current,
        Some((_, Some(count))) => before(earlier, count_of(count)?)?,
        Some((wanted, None)) => named(log, wanted)?,
    };
    Ok((current, target))
}

fn count_of(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| {
        format!("'~{text}' names no release (hint: ~1 is the one before the live one, ~2 the one before that)")
    })
}

/// The release that was live `count` releases ago; one that was live twice counts once.
fn before(earlier: &[Live], count: usize) -> Result<&Live, String> {
    let mut seen = BTreeSet::new();
    let mut releases = earlier
        .iter()
        .filter(|entry| seen.insert(entry.record.release.as_str()));
    releases.nth(count - 1).ok_or_else(|| match seen.len() {
        0 => "there is no earlier release to go back to".to_owned(),
        recorded => format!(
            "there is no release ~{count} to go back to: {recorded} came before the live one"
        ),
    })
}

/// The release whose id begins so.
fn named<'l>(log: &'l [Live], wanted: &str) -> Result<&'l Live, String> {
    let mut found = log.iter().filter(|entry| {
        entry.record.command == "deploy" && entry.record.release.as_str().starts_with(wanted)
    });
    let target = found
        .next()
        .ok_or_else(|| format!("no release begins with '{wanted}' (hint: `history` lists them)"))?;
    if found.next().is_some() {
        return Err(format!("'{wanted}' begins more than one release"));
    }
    Ok(target)
}

/// `the frontend of `, when only that is asked for.
fn part(only: &[Lane]) -> String {
    let names: Vec<&str> = only.iter().map(|lane| lane.name()).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("the {} of ", names.join(" and the ")),
    }
}

/// The lanes whose content differs, or that are not what is recorded, checked against what was asked for.
fn lanes(
    current: &Live,
    target: &Live,
    unlike: &BTreeMap<Lane, String>,
    asked: &Asked,
) -> Result<Vec<Lane>, String> {
    // The same commit may have been sent with other files: git need not know what is published.
    let sent_differs = matches!((&current.sent, &target.sent), (Some(a), Some(b)) if a != b);
    let differs = |lane: &Lane| match (
        current.record.lanes.get(lane),
        target.record.lanes.get(lane),
    ) {
        (Some(now), Some(then)) => {
            now.digest != then.digest
                || now.commit != then.commit
                || (*lane == Lane::Frontend && sent_differs)
        }
        (_, then) => then.is_some(),
    };
    let differing: Vec<Lane> = Lane::ALL.into_iter().filter(differs).collect();
    let wanted: Vec<Lane> = Lane::ALL
        .into_iter()
        .filter(|lane| asked.only.is_empty() || asked.only.contains(lane))
        .filter(|lane| differing.contains(lane) || unlike.contains_key(lane))
        .filter(|lane| target.record.lanes.contains_key(lane))
        .collect();
    if wanted == [Lane::Backend]
        && differing.contains(&Lane::Frontend)
        && asked.break_glass.is_none()
    {
        return Err("the backend alone would leave a newer frontend on an older backend (hint: roll both back, or say --break-glass REASON)".to_owned());
    }
    Ok(wanted)
}

/// Providers delete old deploys; better to know before anything changes.
fn still_there(session: &Session<'_>, target: &Live, lanes: &[Lane]) -> Result<(), String> {
    for lane in lanes {
        let Some(id) = deploy_of(target, *lane) else {
            continue;
        };
        let asked = match lane {
            Lane::Frontend => session.netlify.deploy(&id).map(|_| ()),
            Lane::Backend => session.render.deploy(&id).map(|_| ()),
        };
        asked.map_err(|error| {
            format!(
                "the {lane}'s deploy {id} of release {} cannot be brought back: {error}",
                target.record.release
            )
        })?;
    }
    Ok(())
}

fn deploy_of(live: &Live, lane: Lane) -> Option<DeployId> {
    live.record
        .lanes
        .get(&lane)
        .map(|lane| lane.deploy_id.clone())
}

fn plan_of(session: &Session<'_>, course: &Course<'_>) -> Plan {
    let Course {
        current,
        target,
        lanes,
        ..
    } = course;
    let decisions = Lane::ALL.map(|lane| {
        let run = lanes.contains(&lane);
        let reason = if run {
            format!("back to release {}", target.record.release)
        } else {
            "the same in both releases, or not asked for".to_owned()
        };
        LaneDecision {
            run,
            reason,
            ..LaneDecision::without_files(lane)
        }
    });
    let mut steps = Vec::new();
    steps.extend(
        lanes
            .contains(&Lane::Frontend)
            .then_some(Step::UndoFrontend),
    );
    steps.extend(lanes.contains(&Lane::Backend).then_some(Step::UndoBackend));
    steps.push(Step::Finalise);
    Plan {
        environment: session.target.name.clone(),
        commit: target.record.commit.clone(),
        subject: target.record.subject.clone(),
        parent: Some(current.record.release.clone()),
        lanes: decisions.into(),
        reversible: true,
        reversible_because: "a later deploy brings the newer release back".to_owned(),
        migrations: Vec::new(),
        contract: target
            .record
            .contract()
            .cloned()
            .unwrap_or_else(|| session.config.backend.contract()),
        steps,
    }
}

/// `published` is what was public before.
fn bring_back(
    session: &Session<'_>,
    job: &Job<'_>,
    course: &Course<'_>,
    published: Option<&DeployId>,
) -> Verdict {
    let Course { target, lanes, .. } = course;
    let mut changed = Vec::new();
    for lane in lanes {
        let done = match lane {
            Lane::Frontend => undo::frontend(job, None).map(|()| deploy_of(target, Lane::Frontend)),
            Lane::Backend => undo::backend(job).map(Some),
        };
        match done {
            Ok(id) => changed.extend(id.map(|id| (*lane, id))),
            Err(error) => return stopped(job, *lane, &error, published),
        }
    }
    let backend = changed.iter().find(|(lane, _)| *lane == Lane::Backend);
    if let Some(Err(verdict)) = backend.map(|(_, id)| executor::rollback_holds(job, id)) {
        return verdict;
    }
    match record(job, course, &changed) {
        Ok(recorded) => whole(session, recorded),
        Err(error) => end(
            Exit::Unknown,
            format!(
                "release {} is live again, but that could not be recorded: {error}",
                target.record.release
            ),
        ),
    }
}

/// Both halves are asked once more, by what they were released with.
fn whole(session: &Session<'_>, recorded: LiveRecord) -> Verdict {
    let answers = facts::answers(session, &recorded);
    let unwell: Vec<String> = answers
        .iter()
        .filter_map(|(lane, standing)| {
            Some(format!(
                "; but the {lane} is not well: {}",
                standing.problem()?
            ))
        })
        .collect();
    let named = &recorded.release;
    let brought = if recorded.others.is_empty() {
        format!("release {named} is live again")
    } else {
        format!("live is release {named}{}", recorded.with_others())
    };
    Verdict {
        exit: if unwell.is_empty() {
            Exit::Done
        } else {
            Exit::Unhealthy
        },
        reason: format!("{brought}{}", unwell.concat()),
        release: Some(recorded.release),
    }
}

fn end(exit: Exit, reason: String) -> Verdict {
    Verdict {
        exit,
        reason,
        release: None,
    }
}

/// The end of a rollback that could not go on. The frontend is the first to move: what is public tells whether anything has.
fn stopped(job: &Job<'_>, lane: Lane, error: &LaneError, published: Option<&DeployId>) -> Verdict {
    let text = format!("the {lane} could not be rolled back: {error}");
    match error {
        LaneError::Cancelled(cancelled) => interrupted(job, *cancelled, lane),
        LaneError::Unknown(_) => end(Exit::Unknown, text),
        _ if lane == Lane::Backend => end(Exit::Unhealthy, text),
        _ => match frontend::published(job) {
            Ok(found) if found.as_ref() == published => end(Exit::FailedUnchanged, text),
            Ok(Some(found)) => end(Exit::Unhealthy, format!("{text}; {found} is public now")),
            Ok(None) => end(Exit::Unhealthy, format!("{text}; nothing is public now")),
            Err(LaneError::Cancelled(cancelled)) => interrupted(job, cancelled, lane),
            Err(unread) => end(
                Exit::Unknown,
                format!("{text}; and what is public now could not be read: {unread}"),
            ),
        },
    }
}

fn interrupted(job: &Job<'_>, cancelled: Cancelled, lane: Lane) -> Verdict {
    // A client that was cut short does not know which signal it was.
    let cancelled = job.world.cancelled().unwrap_or(cancelled);
    end(
        cancelled_exit(cancelled),
        format!("{cancelled} while the {lane} was rolled back"),
    )
}

/// The release that names what is live: the newest that some lane is of. It is the target, or was deployed after it.
fn named_by<'l>(course: &Course<'l>, lanes: &BTreeMap<Lane, LiveLane>) -> &'l Live {
    let has_part = |entry: &&Live| {
        let release = &entry.record.release;
        entry.record.command == "deploy" && lanes.values().any(|lane| lane.release == *release)
    };
    course.since.iter().find(has_part).unwrap_or(course.target)
}

fn record(
    job: &Job<'_>,
    course: &Course<'_>,
    changed: &[(Lane, DeployId)],
) -> Result<LiveRecord, LaneError> {
    job.step(Step::Finalise, || {
        let Course {
            current, target, ..
        } = course;
        let mut lanes = current.record.lanes.clone();
        let mut manifests = current.manifests.clone();
        let mut sent = current.sent.as_ref();
        for (lane, id) in changed {
            if let Some(then) = target.record.lanes.get(lane) {
                lanes.insert(
                    *lane,
                    LiveLane {
                        deploy_id: id.clone(),
                        ..then.clone()
                    },
                );
            }
            if let Some(manifest) = target.manifests.get(lane) {
                manifests.insert(*lane, manifest.clone());
            }
            if *lane == Lane::Frontend {
                sent = target.sent.as_ref();
            }
        }
        let named = &named_by(course, &lanes).record;
        let is_other = |lane: &Lane, live: &LiveLane| {
            let then = named.lanes.get(lane);
            named.others.contains(lane) || then.is_none_or(|then| then.release != live.release)
        };
        let others = lanes.iter().filter(|(lane, live)| is_other(lane, live));
        let mut record = LiveRecord {
            others: others.map(|(lane, _)| *lane).collect(),
            ..named.clone()
        };
        record.lanes = lanes;
        record.undo_of = None;
        record.run = job.run.clone();
        record.command = "rollback".to_owned();
        record.created_ms = job.world.now().wall_ms;
        record.by.clone_from(&job.by);
        record.migrations = Vec::new();
        record.override_reason.clone_from(&job.override_reason);
        let files = live::files(&record, &manifests, sent)?;
        let message = format!("rollback to {}{}", record.release, record.with_others());
        match job.world.refs().swap(
            &live::live_ref(&job.target.name),
            Some(&current.oid),
            &files,
            true,
            &message,
        )? {
            Swap::Moved(_) => {
                let detail = format!(
                    "{}{} is recorded as live",
                    record.release,
                    record.with_others()
                );
                Ok((record, detail))
            }
            Swap::Lost(_) => Err(LaneError::Failed(
                "another run moved the record meanwhile".to_owned(),
            )),
        }
    })
}
