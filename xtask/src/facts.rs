//! The reading half of preflight: providers, live record and live schema become plain values, once.

mod objections;

pub use objections::{Objection, to_rules, to_service, to_site, unfit_source};

use crate::answering::{self, Expected, ExpectedService};
use crate::changes::manifest::{Change, Manifest};
use crate::config::{Config, Target};
use crate::contract::{Contract, Rung, Standing};
use crate::event::EventKind;
use crate::forwards;
use crate::http::ApiError;
use crate::ids::{Commit, DeployId, Lane};
use crate::inputs;
use crate::job::{Baseline, LaneError};
use crate::lane::smoke;
use crate::live::{self, Live, LiveRecord};
use crate::netlify::Site;
use crate::plan::{self, Facts, Pending, Plan, Remarks};
use crate::render::{Deploy, DeployStatus, ServiceInfo};
use crate::run::{Options, Session};
use crate::service::{AdminState, Identity, Service};
use crate::site_rules::SiteRules;
use crate::source::is_migration;
use migrate::{MigrationFile, Migrator};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Deploys looked at when the live one is sought: further back it would have been pruned.
pub const DEPLOYS_MAX: usize = 100;

/// What was read.
#[derive(Clone, Debug)]
pub struct Observed {
    /// What planning needs.
    pub facts: Facts,
    /// What an undo restores.
    pub baseline: Baseline,
    /// The site.
    pub site: Site,
    /// The service.
    pub service: ServiceInfo,
    /// The live schema, when it could be read.
    pub state: Option<AdminState>,
}

/// Reads everything, both providers side by side.
///
/// # Errors
/// When a provider cannot be asked or refuses: the message names the credential or id.
pub fn observe(session: &Session<'_>) -> Result<Observed, LaneError> {
    let (site, service, deploys) = providers(session)?;
    let live = read_live(session)?;
    let backend = deploys
        .into_iter()
        .find(|deploy| deploy.status == DeployStatus::Live);
    let baseline = baseline(session, &site, backend, live.as_ref());
    let mut answering = answering(session, &service, &baseline, live.as_ref());
    let ill = answering.iter().filter_map(|(lane, standing)| {
        let why = standing.problem()?;
        Some((*lane, why.to_owned()))
    });
    let state = live_schema(session, &baseline);
    let baseline = Baseline {
        ill: ill.collect(),
        through_engine: state.is_some() || starts_through_engine(session, live.as_ref()),
        ..baseline
    };
    if let Some(stranger) = stranger(session, &baseline) {
        answering.insert(Lane::Backend, Standing::Unclear(stranger));
    }
    let contract = contract(session, &baseline, live.as_ref());
    let is_live = baseline.backend.is_some();
    let pending = pending(session, state.as_ref(), live.as_ref(), is_live)?;
    let deployed: BTreeMap<Lane, DeployId> = [
        (Lane::Frontend, baseline.frontend.clone()),
        (Lane::Backend, baseline.backend.clone()),
    ]
    .into_iter()
    .filter_map(|(lane, id)| Some((lane, id?)))
    .collect();
    let changes = changes(session, live.as_ref());
    let unsent = unsent(session, live.as_ref())?;
    let facts = Facts {
        environment: session.target.name.clone(),
        commit: session.source.commit.clone(),
        subject: session.source.subject.clone(),
        dirty: session.source.dirty.clone(),
        manifests: session.source.manifests.clone(),
        rules: rules(session, &changes),
        changes,
        live,
        deployed,
        answering,
        contract,
        pending,
        schema_known: state.is_some(),
        asks_schema: session.admin_token.is_some() && (state.is_some() || !is_live),
        checks: session
            .config
            .checks
            .iter()
            .map(|check| check.name.clone())
            .collect(),
        unselected: session.source.unselected.clone(),
        frontend_builds: session.config.frontend.build.is_some(),
        backend_migrates: session.config.backend.migrations.is_some()
            && !session.source.migrations.is_empty(),
        smoke: Lane::ALL
            .into_iter()
            .filter(|lane| !session.config.smoke(*lane).is_empty())
            .collect(),
        bakes: !session.target.policy.bake.is_zero(),
        unsent,
    };
    Ok(Observed {
        facts,
        baseline,
        site,
        service,
        state,
    })
}

/// Reads everything again when the live record has moved since `before`; `None` when it has not.
///
/// # Errors
/// As for [`observe`].
pub fn observe_again(
    session: &Session<'_>,
    before: &Observed,
) -> Result<Option<Observed>, LaneError> {
    let now = read_live(session)?.map(|live| live.oid);
    if now == before.facts.live.as_ref().map(|live| live.oid.clone()) {
        return Ok(None);
    }
    observe(session).map(Some)
}

fn providers(session: &Session<'_>) -> Result<(Site, ServiceInfo, Vec<Deploy>), LaneError> {
    let site = Mutex::new(None);
    let service = Mutex::new(None);
    session.world.lanes(2, &|lane| {
        if lane == 0 {
            *site.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.netlify.site());
        } else {
            let found = session.render.service().and_then(|info| {
                Ok((
                    info,
                    session.render.list_deploys(None, DEPLOYS_MAX)?.deploys,
                ))
            });
            *service.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        }
    });
    let unasked = || LaneError::Bug("a provider was not asked".to_owned());
    let site = site
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .ok_or_else(unasked)?;
    let service = service
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .ok_or_else(unasked)?;
    // Both problems at once: nobody wants to find the second one after mending the first.
    match (site, service) {
        (Ok(site), Ok((service, deploys))) => Ok((site, service, deploys)),
        (Err(one), Err(other)) => Err(refused(
            session,
            &[(one, Lane::Frontend), (other, Lane::Backend)],
        )),
        (Err(one), Ok(_)) => Err(refused(session, &[(one, Lane::Frontend)])),
        (Ok(_), Err(other)) => Err(refused(session, &[(other, Lane::Backend)])),
    }
}

fn refused(session: &Session<'_>, errors: &[(ApiError, Lane)]) -> LaneError {
    if let Some(cancelled) = session.world.cancelled() {
        return cancelled.into();
    }
    let lines: Vec<String> = errors
        .iter()
        .map(|(error, lane)| explain(session.target, error, *lane))
        .collect();
    LaneError::Refused(lines.join("\n"))
}

/// Names the variable or id that a provider's refusal is about.
pub fn explain(target: &Target, error: &ApiError, lane: Lane) -> String {
    let (credential, id, variable) = match lane {
        Lane::Frontend => (
            "NETLIFY_AUTH_TOKEN",
            target.site_id.as_str(),
            "NETLIFY_SITE_ID",
        ),
        Lane::Backend => (
            "RENDER_API_KEY",
            target.service_id.as_str(),
            "RENDER_SERVICE_ID",
        ),
    };
    match error {
        ApiError::Unauthorised(_) => format!("{error}: {credential} was not accepted"),
        ApiError::Forbidden(_) => format!("{error}: {credential} may not see '{id}'"),
        ApiError::NotFound(_) => format!(
            "{error}: there is no '{id}' ({variable}, or deploy.toml), or {credential} may not see it"
        ),
        _ => error.to_string(),
    }
}

fn read_live(session: &Session<'_>) -> Result<Option<Live>, LaneError> {
    let name = live::live_ref(&session.target.name);
    let value = session.world.refs().read(&name).map_err(|error| {
        LaneError::Refused(format!("what is live could not be read: {error:#}"))
    })?;
    match value.map(Live::parse) {
        None => Ok(None),
        Some(Ok(live)) => Ok(Some(live)),
        Some(Err(error)) => Err(LaneError::Refused(format!(
            "{error:#} (hint: it may come from a newer version of Tandem; deleting {name} makes the next release start afresh)"
        ))),
    }
}

fn changes(session: &Session<'_>, live: Option<&Live>) -> BTreeMap<Lane, Vec<Change>> {
    let Some(live) = live else {
        return BTreeMap::new();
    };
    Lane::ALL
        .into_iter()
        .filter_map(|lane| {
            let (old, new) = (
                live.manifests.get(&lane)?,
                session.source.manifests.get(&lane)?,
            );
            let changes = new
                .changes_from(old)
                .into_iter()
                .filter(|change| session.filters.fires(lane, change))
                .collect();
            Some((lane, changes))
        })
        .collect()
}

/// How the published folder differs from what was sent of it: git may not know of such a difference, because it ignores the folder,
/// or because something was missing when it was sent. What a build makes is not known yet.
fn unsent(session: &Session<'_>, live: Option<&Live>) -> Result<Option<String>, LaneError> {
    let has_site = match session.preparation.bundle() {
        Some(manifest) => manifest.lanes.contains_key(&Lane::Frontend),
        None => session.source.folder.is_some(),
    };
    let Some(live) = live.filter(|_| has_site && session.config.frontend.build.is_none()) else {
        return Ok(None);
    };
    let files = session
        .inputs
        .site(session.world)
        .map_err(|error| LaneError::Refused(format!("{error:#}")))?;
    Ok(inputs::unsent(&inputs::sent(&files), live.sent.as_ref()))
}

/// For each lane the rule that its first difference meets.
fn rules(session: &Session<'_>, changes: &BTreeMap<Lane, Vec<Change>>) -> BTreeMap<Lane, String> {
    let rule = |(lane, changes): (&Lane, &Vec<Change>)| {
        let explanation = session.filters.explain(*lane, changes.first()?)?;
        Some((*lane, explanation.rule?))
    };
    changes.iter().filter_map(rule).collect()
}

/// What is live at the providers, and what it is judged by. A service that no release of ours put there has made no promise about
/// what it tells: it is taken at the provider's word.
fn baseline(
    session: &Session<'_>,
    site: &Site,
    backend: Option<Deploy>,
    live: Option<&Live>,
) -> Baseline {
    let recorded = live
        .and_then(|live| live.record.lanes.get(&Lane::Backend))
        .filter(|lane| Some(&lane.deploy_id) == backend.as_ref().map(|deploy| &deploy.id));
    let configured = session.config.backend.contract();
    let contract = match recorded {
        Some(lane) => lane.contract.clone().unwrap_or(configured),
        None => Contract {
            rung: Rung::Provider,
            ..configured
        },
    };
    let named = backend.as_ref().and_then(|deploy| deploy.commit.clone());
    Baseline {
        frontend: site.published_id().cloned(),
        backend_commit: recorded.map(|lane| lane.commit.clone()).or(named),
        contract: backend.as_ref().map(|_| contract),
        backend: backend.map(|deploy| deploy.id),
        ..Baseline::default()
    }
}

/// How both halves answer, held against what is recorded. Of a half that is not what is recorded its lane runs anyway.
fn answering(
    session: &Session<'_>,
    service_info: &ServiceInfo,
    baseline: &Baseline,
    live: Option<&Live>,
) -> BTreeMap<Lane, Standing> {
    let site = live
        .and_then(|live| live.record.lanes.get(&Lane::Frontend))
        .filter(|lane| Some(&lane.deploy_id) == baseline.frontend.as_ref());
    let service = baseline
        .backend_commit
        .as_ref()
        .zip(baseline.contract.as_ref());
    let expected = Expected {
        service: service.map(|(commit, contract)| ExpectedService {
            commit,
            contract,
            sleeps: service_info.sleeps_when_idle(),
        }),
        site: site.map(|lane| &lane.release),
    };
    answering::ask(session, &expected)
}

/// How both halves answer, held against a record that was just made: neither can have fallen asleep.
pub fn answers(session: &Session<'_>, record: &LiveRecord) -> BTreeMap<Lane, Standing> {
    let configured = session.config.backend.contract();
    let service = record.lanes.get(&Lane::Backend);
    let expected = Expected {
        service: service.map(|lane| ExpectedService {
            commit: &lane.commit,
            contract: lane.contract.as_ref().unwrap_or(&configured),
            sleeps: false,
        }),
        site: record.lanes.get(&Lane::Frontend).map(|lane| &lane.release),
    };
    answering::ask(session, &expected)
}

/// The lanes that are not what is recorded, at the providers or by what answers, and why.
///
/// # Errors
/// When that could not be learnt.
pub fn unlike_record(
    session: &Session<'_>,
    live: &Live,
) -> Result<BTreeMap<Lane, String>, LaneError> {
    let (site, service, deploys) = providers(session)?;
    let backend = deploys
        .into_iter()
        .find(|deploy| deploy.status == DeployStatus::Live);
    let baseline = baseline(session, &site, backend, Some(live));
    let answering = answering(session, &service, &baseline, Some(live));
    let unlike = Lane::ALL.into_iter().filter_map(|lane| {
        let recorded = live.record.lanes.get(&lane)?;
        let found = match lane {
            Lane::Frontend => &baseline.frontend,
            Lane::Backend => &baseline.backend,
        };
        let drift = plan::drift(&recorded.deploy_id, found.as_ref());
        let problem = answering.get(&lane).and_then(Standing::problem);
        Some((lane, drift.or(problem.map(str::to_owned))?))
    });
    Ok(unlike.collect())
}

/// With nothing live at the provider nothing can answer at the service's address, unless it is another's.
fn stranger(session: &Session<'_>, baseline: &Baseline) -> Option<String> {
    if baseline.backend.is_some() {
        return None;
    }
    let url = &session.target.service_url;
    let contract = Contract {
        rung: Rung::Answers,
        ..session.config.backend.contract()
    };
    let nobody = Commit(String::new());
    let said = match Service::new(session.world, url, &contract).identity(&nobody) {
        Identity::Ours { .. } | Identity::Other(_) => "a healthy service answers there".to_owned(),
        Identity::Elsewhere(what) if what.starts_with("a page") => what,
        _ => return None,
    };
    Some(format!(
        "the provider says that nothing of the service is live, and at {url} {said} (hint: is that the service's address? SERVICE_URL and deploy.toml name it; --anyway REASON releases all the same)"
    ))
}

/// What the service will be judged by after this release. Where the file leaves it open, what is live is asked where it tells its
/// commit: the next release must tell it there as well.
fn contract(session: &Session<'_>, baseline: &Baseline, live: Option<&Live>) -> Contract {
    let backend = &session.config.backend;
    let configured = backend.contract();
    if !backend.detects_identity() {
        return configured;
    }
    let recorded = live.and_then(|live| live.record.contract());
    let rung = match recorded.map(|contract| &contract.rung) {
        Some(rung @ Rung::Commit(_)) => Some(rung.clone()),
        _ => baseline.backend_commit.as_ref().and_then(|commit| {
            let service = Service::new(session.world, &session.target.service_url, &configured);
            service.tells(commit).map(Rung::Commit)
        }),
    };
    Contract {
        rung: rung.unwrap_or(Rung::Provider),
        ..configured
    }
}

/// The live database's schema, as far as the service tells it: a service need not have administration endpoints.
fn live_schema(session: &Session<'_>, baseline: &Baseline) -> Option<AdminState> {
    session.config.backend.migrations.as_ref()?;
    let contract = baseline.contract.as_ref()?;
    let service = Service::new(session.world, &session.target.service_url, contract);
    service.admin_state(session.admin_token?).ok()
}

/// Whether what is live was started by `migrate exec`, as far as deploy.toml tells.
fn starts_through_engine(session: &Session<'_>, live: Option<&Live>) -> bool {
    let words: Vec<&str> = session.config.backend.start.split_whitespace().collect();
    let is_exec = words.windows(2).any(
        |pair| matches!(pair, [program, "exec"] if program.rsplit('/').next() == Some("migrate")),
    );
    let manifest = |manifests: &BTreeMap<Lane, Manifest>| manifests.get(&Lane::Backend).cloned();
    let old = live.and_then(|live| manifest(&live.manifests));
    let is_same = match (old, manifest(&session.source.manifests)) {
        (Some(old), Some(new)) => old.settings.get("start") == new.settings.get("start"),
        _ => false,
    };
    is_exec && is_same
}

/// Which of the commit's migrations the live database lacks, and whether what is live now can run on them.
fn pending(
    session: &Session<'_>,
    state: Option<&AdminState>,
    live: Option<&Live>,
    backend_is_live: bool,
) -> Result<Vec<Pending>, LaneError> {
    if session.config.backend.migrations.is_none() {
        return Ok(Vec::new());
    }
    let files = &session.source.migrations;
    let applied: BTreeSet<String> = match state {
        Some(state) => {
            compare_checksums(files, state)?;
            state
                .history
                .iter()
                .map(|row| row.filename.clone())
                .collect()
        }
        // Without an answer the live release's files are the best guess.
        None if backend_is_live => migration_names(
            session.config,
            live.and_then(|live| live.manifests.get(&Lane::Backend)),
        ),
        None => BTreeSet::new(),
    };
    let lint = Migrator::new("lint-needs-no-database", files.clone())
        .lint()
        .map_err(|error| LaneError::Refused(error.to_string()))?;
    let mut pending: Vec<Pending> = lint
        .files
        .into_iter()
        .filter(|file| !applied.contains(&file.name))
        .map(|file| Pending {
            name: file.name,
            compatible: file.compatible,
        })
        .collect();
    pending.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(pending)
}

/// The migrations that a release's backend consists of, by file name.
pub fn migration_names(config: &Config, backend: Option<&Manifest>) -> BTreeSet<String> {
    let folder = config.backend.migrations.as_deref().unwrap_or_default();
    let prefix = format!("{}/", folder.trim_end_matches('/'));
    let paths = backend.into_iter().flat_map(Manifest::paths);
    paths
        .filter_map(|path| path.strip_prefix(&prefix).map(str::to_owned))
        .filter(|name| is_migration(name))
        .collect()
}

/// An applied file must not change afterwards, and must still be there.
pub(crate) fn compare_checksums(
    files: &[MigrationFile],
    state: &AdminState,
) -> Result<(), LaneError> {
    for row in &state.history {
        let Some(file) = files.iter().find(|file| file.name == row.filename) else {
            return Err(LaneError::Refused(format!(
                "migration {} is applied in the live database and missing here (hint: a database newer than the code; release the commit that has it, or bring the file back)",
                row.filename
            )));
        };
        let (Some(recorded), ours) = (&row.checksum, file.checksum()) else {
            continue;
        };
        if *recorded != ours {
            return Err(LaneError::Refused(format!(
                "migration {} was edited after it was applied: recorded {recorded}, here {ours} (hint: restore the file and write a new migration)",
                row.filename
            )));
        }
    }
    Ok(())
}

/// What speaks against a release: what stops it, the first first, and what is only worth knowing.
#[derive(Debug, Default)]
pub struct Judged {
    /// Each stops it.
    pub refusals: Vec<LaneError>,
    /// Each is said.
    pub warnings: Vec<String>,
}

impl Judged {
    /// As text.
    pub fn remarks(&self) -> Remarks {
        Remarks {
            refusals: self.refusals.iter().map(ToString::to_string).collect(),
            warnings: self.warnings.clone(),
        }
    }
}

/// Judges a release before anything is created. `deploy` obeys it, `plan` shows it.
pub fn judge(
    session: &Session<'_>,
    options: &Options,
    observed: &Observed,
    planned: &Plan,
) -> Judged {
    let anyway = options.anyway.is_some();
    let mut refusals = who_answers(observed, planned, anyway);
    let mut warnings = Vec::new();
    if planned.is_empty() {
        return Judged { refusals, warnings };
    }
    let mut refuse = |checked: Result<(), LaneError>| refusals.extend(checked.err());
    refuse(bundle_serves(session, planned));
    if !session.target.is_local && !anyway {
        refuse(forwards::check(session, observed, planned));
    }
    for problem in unfit_source(session.target, session.source, anyway) {
        refuse(Err(LaneError::Refused(problem)));
    }
    refuse(has_curl(session, planned));
    let mut found = Vec::new();
    if planned.runs(Lane::Backend) {
        found.extend(to_service(
            session.config,
            session.target,
            &observed.service,
        ));
    }
    if planned.runs(Lane::Frontend) {
        found.extend(to_site(&session.target.policy, &observed.site));
        match rules_in_force(session, observed, options.accepted.without_functions) {
            Ok(rules) => found.extend(rules),
            Err(error) => refuse(Err(error)),
        }
    }
    for objection in found {
        match objection.stops {
            true => refuse(Err(LaneError::Refused(objection.text))),
            false => warnings.push(objection.text),
        }
    }
    Judged { refusals, warnings }
}

/// Nothing is published beside, and nothing is said of, a half that does not answer as recorded and that the release leaves alone.
fn who_answers(observed: &Observed, planned: &Plan, anyway: bool) -> Vec<LaneError> {
    if anyway {
        return Vec::new();
    }
    let refused = |(lane, standing): (&Lane, &Standing)| match standing {
        Standing::Unclear(text) => Some(LaneError::Refused(text.clone())),
        Standing::Ill(why) if !planned.runs(*lane) => Some(LaneError::Unhealthy(format!(
            "the {lane} does not answer as recorded, and this release would leave it so: {why} (hint: release it too, without --only; --anyway REASON releases all the same, and is recorded)"
        ))),
        Standing::Ill(_) | Standing::Well => None,
    };
    let answering = &observed.facts.answering;
    answering.iter().filter_map(refused).collect()
}

/// As [`judge`], for whoever is about to release: what is only worth knowing is said.
///
/// # Errors
/// When the release must not be made.
pub fn may_release(
    session: &Session<'_>,
    options: &Options,
    observed: &Observed,
    planned: &Plan,
) -> Result<(), LaneError> {
    let judged = judge(session, options, observed, planned);
    if let Some(refusal) = judged.refusals.into_iter().next() {
        return Err(refusal);
    }
    for text in judged.warnings {
        session.world.emit(EventKind::Warning { text });
    }
    Ok(())
}

/// What of the site's rules is not in effect, as far as that is known before the site is built.
///
/// # Errors
/// When a file of rules cannot be read.
pub fn rules_in_force(
    session: &Session<'_>,
    observed: &Observed,
    without_functions: bool,
) -> Result<Vec<Objection>, LaneError> {
    let files = session
        .inputs
        .rules(session.preparation.bundle().is_some())
        .map_err(|error| LaneError::Refused(format!("{error:#}")))?;
    let around = session.config.around_rules(Some(session.target));
    let rules = SiteRules::read(&files, around);
    let released = observed.facts.live.as_ref();
    let is_first = released.is_none_or(|live| !live.record.lanes.contains_key(&Lane::Frontend));
    Ok(to_rules(&rules, is_first && !without_functions))
}

/// A smoke test that cannot be run must not be found out after publishing. On this machine it is only left out.
fn has_curl(session: &Session<'_>, planned: &Plan) -> Result<(), LaneError> {
    let asks = Lane::ALL.into_iter().any(|lane| {
        let smokes = session.config.smoke(lane);
        planned.runs(lane) && smokes.iter().any(|smoke| smoke.path.is_some())
    });
    if !asks || session.target.is_local || smoke::has_curl(session.world, session.preparation)? {
        return Ok(());
    }
    Err(LaneError::Refused(
        "deploy.toml has smoke tests that curl makes, and there is no curl on the PATH (hint: install it)"
            .to_owned(),
    ))
}

/// A bundle need not hold every lane, but it must hold those that run.
///
/// # Errors
/// When it lacks one.
pub fn bundle_serves(session: &Session<'_>, planned: &Plan) -> Result<(), LaneError> {
    let lacks = session
        .preparation
        .bundle()
        .and_then(|manifest| manifest.lacks(planned));
    lacks.map_or(Ok(()), |text| Err(LaneError::Refused(text)))
}
