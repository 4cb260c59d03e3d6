//! `cargo xtask status`: what is live, whether it is healthy, which schema, any skew or drift. It never starts the local cloud.

use super::Where;
use super::app::{App, Connected, Failure, Project};
use super::deploy::with_session;
use crate::config::LOCAL;
use crate::contract::Contract;
use crate::exit::Exit;
use crate::ids::{Commit, DeployId, EnvironmentName, Lane, ReleaseId, RunId};
use crate::lane::verify::RELEASE_FILE;
use crate::lease::{self, Holder};
use crate::live::{self, Live};
use crate::local_cloud;
use crate::real::CancelFlag;
use crate::run::Session;
use crate::service::{self, Identity, Service, SiteAddress};
use crate::shared_run::{self, RunRecord};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;

/// Show what is live, whether it is healthy, and any skew or drift.
#[derive(Args, Debug)]
pub struct StatusArgs {
    #[command(flatten)]
    pub place: Where,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// What `status` finds. The field names are a stable interface.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The environment's name.
    pub environment: EnvironmentName,
    /// Whether the local cloud runs; always true elsewhere.
    pub running: bool,
    /// The recorded release.
    pub release: Option<ReleaseId>,
    /// Lanes that `rollback --only` brought back to another release than that.
    pub others: BTreeMap<Lane, ReleaseId>,
    /// The commit that was released last.
    pub commit: Option<Commit>,
    /// Whether live ids differ from the live record.
    pub skew: bool,
    /// Each difference, in words.
    pub drift: Vec<String>,
    /// The database's schema: number of applied migrations and the newest.
    pub schema: Option<Schema>,
    /// The newest run, when it has not come to its end.
    pub unfinished: Option<UnfinishedRun>,
    /// One entry per lane.
    pub lanes: Vec<LaneReport>,
}

/// The schema of the running service.
#[derive(Clone, Debug, Serialize)]
pub struct Schema {
    /// Applied migrations.
    pub generation: u64,
    /// The newest of them.
    pub latest: Option<String>,
}

/// A run that has not come to its end, on whichever machine.
#[derive(Clone, Debug, Serialize)]
pub struct UnfinishedRun {
    /// Its id.
    pub run: RunId,
    /// `deploy` or `rollback`.
    pub command: String,
    /// What it is about.
    pub commit: Commit,
    /// Who or what started it.
    pub by: String,
    /// The machine.
    pub host: String,
    /// Whether it holds the lease and is not known to be dead.
    pub at_work: bool,
}

impl UnfinishedRun {
    fn read(session: &Session<'_>) -> Result<Option<Self>, Failure> {
        let (world, name) = (session.world, &session.target.name);
        let Some(value) = shared_run::read(world, name)? else {
            return Ok(None);
        };
        let record = RunRecord::parse(&value)?;
        if !record.is_unfinished() {
            return Ok(None);
        }
        let holds = |(_, holder): (_, Holder)| {
            holder.run == record.run && !(session.is_dead)(&holder.process)
        };
        Ok(Some(Self {
            at_work: lease::holder(world, name)?.is_some_and(holds),
            run: record.run,
            command: record.command,
            commit: record.commit,
            by: record.by,
            host: record.process.host,
        }))
    }

    fn text(&self) -> String {
        let Self { run, by, host, .. } = self;
        let commit = self.commit.short();
        if self.at_work {
            return format!("running: {run} of {commit}, by {by} on {host}");
        }
        let hint = if self.command == "deploy" {
            "`deploy --resume` goes on, `deploy --abort` undoes it"
        } else {
            "say the command again"
        };
        format!("unfinished: {run} of {commit}, by {by} on {host} (hint: {hint})")
    }
}

/// One half.
#[derive(Clone, Debug, Serialize)]
pub struct LaneReport {
    /// Which.
    pub lane: Lane,
    /// Where it answers.
    pub url: Option<String>,
    /// What it says that it is.
    pub commit: Option<Commit>,
    /// Whether it answers as a healthy one does; none before the first release.
    pub healthy: Option<bool>,
    /// What the provider says is live.
    pub deploy_id: Option<DeployId>,
    /// Things worth knowing that are no failure.
    pub warnings: Vec<String>,
}

impl Report {
    fn down(environment: EnvironmentName) -> Self {
        let lanes = Lane::ALL.map(|lane| LaneReport {
            lane,
            url: None,
            commit: None,
            healthy: None,
            deploy_id: None,
            warnings: Vec::new(),
        });
        Self {
            environment,
            running: false,
            release: None,
            others: BTreeMap::new(),
            commit: None,
            skew: false,
            drift: Vec::new(),
            schema: None,
            unfinished: None,
            lanes: lanes.into(),
        }
    }

    /// 3: the cloud is down. 8: something is unhealthy. 6: skew or drift.
    pub fn exit(&self) -> Exit {
        if !self.running {
            Exit::Refused
        } else if self.lanes.iter().any(|lane| lane.healthy == Some(false)) {
            Exit::Unhealthy
        } else if self.skew || !self.drift.is_empty() {
            Exit::Degraded
        } else {
            Exit::Done
        }
    }

    /// The text for people.
    pub fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        if !self.running {
            return format!(
                "{}: the local cloud is not running (hint: `cargo xtask deploy` or `cargo xtask cloud up` starts it)\n",
                self.environment
            );
        }
        match &self.release {
            Some(release) => {
                let _infallible = writeln!(
                    text,
                    "{}: release {release}{}",
                    self.environment,
                    live::with(&self.others)
                );
            }
            None => {
                let _infallible =
                    writeln!(text, "{}: nothing has been released yet", self.environment);
            }
        }
        for lane in &self.lanes {
            let health = match lane.healthy {
                Some(true) => "healthy",
                Some(false) => "UNHEALTHY",
                None if lane.deploy_id.is_some() => "unknown",
                None => "not released",
            };
            let commit = lane.commit.as_ref().map_or("-", Commit::short);
            let _infallible = writeln!(
                text,
                "  {:<9} {health:<12} {commit:<8} {}",
                lane.lane,
                lane.url.as_deref().unwrap_or("-")
            );
            for warning in &lane.warnings {
                let _infallible = writeln!(text, "            warning: {warning}");
            }
        }
        if let Some(schema) = &self.schema {
            let _infallible = writeln!(
                text,
                "  schema    generation {} ({})",
                schema.generation,
                schema.latest.as_deref().unwrap_or("no migration")
            );
        }
        if let Some(run) = &self.unfinished {
            let _infallible = writeln!(text, "  {}", run.text());
        }
        for line in &self.drift {
            let _infallible = writeln!(text, "  drift: {line}");
        }
        text
    }
}

/// Runs the command.
///
/// # Errors
/// When the environment cannot be asked.
pub fn run(app: &App<'_>, args: &StatusArgs) -> Result<u8, Failure> {
    let report = report(app, args.place)?;
    app.console.out(&if args.json {
        serde_json::to_string_pretty(&report).map_err(anyhow::Error::from)?
    } else {
        report.text()
    });
    Ok(report.exit().code())
}

fn report(app: &App<'_>, place: Where) -> Result<Report, Failure> {
    let project = app.project()?;
    let name = app.environment(place)?;
    let cloud = if name.as_str() == LOCAL {
        local_cloud::find(&project)?
    } else {
        None
    };
    if name.as_str() == LOCAL && cloud.is_none() {
        return Ok(Report::down(name));
    }
    let connected = app.connect(&project, &name, cloud.as_ref())?;
    let mut report = None;
    observe(app, &project, &connected, |session| {
        report = Some(look(session)?);
        Ok(())
    })?;
    report.ok_or_else(|| Failure {
        exit: Exit::Bug,
        text: "status ended without a report".to_owned(),
    })
}

/// Opens a session that needs no source: nothing is going to be released.
///
/// # Errors
/// When something cannot be opened, and those of the body.
pub fn observe(
    app: &App<'_>,
    project: &Project,
    connected: &Connected,
    body: impl FnOnce(&Session<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let nothing = super::rollback::no_source();
    with_session(
        app,
        project,
        connected,
        &nothing,
        None,
        CancelFlag::default(),
        |session, _| body(session).map(|()| 0),
    )
    .map(|_| ())
}

fn look(session: &Session<'_>) -> Result<Report, Failure> {
    let ask = |error: crate::http::ApiError| Failure::refused(error.to_string());
    let site = session.netlify.site().map_err(ask)?;
    let deploys = session
        .render
        .list_deploys(None, crate::facts::DEPLOYS_MAX)
        .map_err(ask)?
        .deploys;
    let backend = deploys.iter().find(|deploy| deploy.status.is_live());
    let deployed = backend.and_then(|deploy| deploy.commit.clone());
    let backend = backend.map(|deploy| deploy.id.clone());
    let live = session
        .world
        .refs()
        .read(&live::live_ref(&session.target.name))?
        .map(Live::parse)
        .transpose()?;
    let recorded = |lane: Lane| live.as_ref().and_then(|live| live.record.lanes.get(&lane));
    let found = BTreeMap::from([
        (Lane::Frontend, site.published_id().cloned()),
        (Lane::Backend, backend),
    ]);
    let mut drift = Vec::new();
    for (lane, id) in &found {
        let expected = recorded(*lane).map(|lane| lane.deploy_id.clone());
        if *id != expected {
            let name = |id: &Option<DeployId>| {
                id.as_ref()
                    .map_or_else(|| "nothing".to_owned(), ToString::to_string)
            };
            drift.push(format!(
                "{lane}: {} is live, {} is recorded",
                name(id),
                name(&expected)
            ));
        }
    }
    let skew = !drift.is_empty();
    let contract = live
        .as_ref()
        .and_then(|live| live.record.contract().cloned())
        .unwrap_or_else(|| session.config.backend.contract());
    let service = Service::new(session.world, &session.target.service_url, &contract);
    // A service without migrations has no schema of ours to tell.
    let migrates = session.config.backend.migrations.is_some();
    let version = migrates.then(|| service.version().ok()).flatten();
    let lanes: Vec<LaneReport> = Lane::ALL
        .into_iter()
        .map(|lane| {
            let deploy_id = found.get(&lane).cloned().flatten();
            let expected = recorded(lane).map(|lane| lane.commit.clone());
            let (healthy, commit, warnings) = match (lane, &deploy_id) {
                (_, None) if expected.is_none() => (None, None, Vec::new()),
                (Lane::Frontend, _) => {
                    let (health, unclear) = frontend(session);
                    drift.extend(unclear.filter(|_| expected.is_some()));
                    health
                }
                (Lane::Backend, _) => {
                    // Where the answers name no commit, what answers is what the provider says is live.
                    let named = match contract.rung.unproven() {
                        Some(_) => deployed.clone().or_else(|| expected.clone()),
                        None => expected.clone(),
                    };
                    let (health, unclear) = backend_health(&service, &contract, named.as_ref());
                    drift.extend(unclear);
                    health
                }
            };
            let url = if lane == Lane::Frontend {
                &session.target.site_url
            } else {
                &session.target.service_url
            };
            drift.extend(other_commit(lane, commit.as_ref(), expected.as_ref()));
            LaneReport {
                lane,
                url: healthy.is_some().then(|| url.clone()),
                commit,
                healthy,
                deploy_id,
                warnings,
            }
        })
        .collect();
    Ok(Report {
        environment: session.target.name.clone(),
        running: true,
        release: live.as_ref().map(|live| live.record.release.clone()),
        others: live
            .as_ref()
            .map(|live| live.record.releases_beside())
            .unwrap_or_default(),
        commit: live.as_ref().map(|live| live.record.commit.clone()),
        skew,
        drift,
        schema: version
            .and_then(|version| version.schema)
            .map(|schema| Schema {
                generation: schema.generation,
                latest: schema.latest,
            }),
        unfinished: UnfinishedRun::read(session)?,
        lanes,
    })
}

/// The right deploy may be live and another commit answer all the same: a process started by hand, a stale cache, a wrong address.
fn other_commit(
    lane: Lane,
    answered: Option<&Commit>,
    recorded: Option<&Commit>,
) -> Option<String> {
    let (answered, recorded) = (answered?, recorded?);
    (answered != recorded).then(|| {
        format!(
            "{lane}: commit {} answers, {} is recorded",
            answered.short(),
            recorded.short()
        )
    })
}

/// Whether a half is healthy, the commit that it says it is, and what is worth knowing.
type Health = (Option<bool>, Option<Commit>, Vec<String>);

/// What the public site says of itself.
fn frontend(session: &Session<'_>) -> (Health, Option<String>) {
    #[derive(serde::Deserialize)]
    struct Release {
        commit: Commit,
    }
    let unclear = |why: String| {
        let told = format!("frontend: which release is public cannot be told: {why}");
        ((None, None, Vec::new()), Some(told))
    };
    let ill = |why: String| ((Some(false), None, vec![why]), None);
    match service::site_file(
        session.world,
        &SiteAddress::public(&session.target.site_url),
        RELEASE_FILE,
        0,
        &|| {},
    ) {
        Ok(file) if file.status == 200 => match serde_json::from_slice::<Release>(&file.body) {
            Ok(release) => ((Some(true), Some(release.commit), Vec::new()), None),
            Err(_) => unclear(format!(
                "{RELEASE_FILE} cannot be read, so this program did not release it"
            )),
        },
        Ok(file) if file.status == 404 => unclear(format!(
            "there is no {RELEASE_FILE}, so this program did not release it"
        )),
        Ok(file) => ill(format!("the site answers with status {}", file.status)),
        Err(error) => ill(error.to_string()),
    }
}

/// What the service says of itself, by what it was released with; and why that does not prove which release it is, if so.
fn backend_health(
    service: &Service<'_>,
    contract: &Contract,
    expected: Option<&Commit>,
) -> (Health, Option<String>) {
    let any = Commit(String::new());
    let mut warnings = Vec::new();
    let mut unclear = None;
    let (healthy, commit) = match service.identity(expected.unwrap_or(&any)) {
        Identity::Ours { warning } => {
            warnings.extend(warning);
            warnings.extend(contract.rung.unproven().map(str::to_owned));
            (Some(true), expected.cloned())
        }
        Identity::Other(commit) => (Some(true), Some(commit)),
        Identity::NoVersion(why) => {
            unclear = Some(format!("backend: who answers cannot be told: {why}"));
            (Some(true), None)
        }
        Identity::AuthWall => {
            unclear = Some(
                "backend: the health address asks for a login, so nothing can be said".to_owned(),
            );
            (None, None)
        }
        Identity::Unhealthy { status, text } => {
            warnings.push(format!("status {status}: {text}"));
            (Some(false), None)
        }
        Identity::Elsewhere(text) | Identity::Away(text) => {
            warnings.push(text);
            (Some(false), None)
        }
    };
    ((healthy, commit, warnings), unclear)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_commit_is_drift_and_silence_is_not() {
        let (one, two) = (Commit("a".repeat(40)), Commit("b".repeat(40)));
        assert_eq!(
            other_commit(Lane::Backend, Some(&one), Some(&two)),
            Some("backend: commit aaaaaaa answers, bbbbbbb is recorded".to_owned())
        );
        assert_eq!(other_commit(Lane::Backend, Some(&one), Some(&one)), None);
        assert_eq!(other_commit(Lane::Frontend, None, Some(&one)), None);
        let mut report = Report {
            running: true,
            ..Report::down(EnvironmentName::from("local"))
        };
        assert_eq!(report.exit(), Exit::Done);
        report
            .drift
            .extend(other_commit(Lane::Frontend, Some(&two), Some(&one)));
        assert_eq!((report.exit(), report.skew), (Exit::Degraded, false));
    }
}
