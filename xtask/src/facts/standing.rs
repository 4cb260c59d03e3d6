//! How both halves stand before a release: what is live at the providers, what answers, and what it is judged by.

use super::providers;
use crate::answering::{self, Expected, ExpectedService};
use crate::changes::manifest::Manifest;
use crate::contract::{Contract, Rung, Standing};
use crate::ids::{Commit, Lane};
use crate::job::{Baseline, LaneError};
use crate::live::{Live, LiveRecord};
use crate::netlify::Site;
use crate::plan;
use crate::render::{Deploy, DeployStatus, ServiceInfo};
use crate::run::Session;
use crate::service::{AdminState, Identity, Service};
use std::collections::BTreeMap;

/// What was found.
pub(super) struct Standings {
    pub(super) baseline: Baseline,
    /// Of each half that should answer.
    pub(super) answering: BTreeMap<Lane, Standing>,
    /// What the service is judged by after the release.
    pub(super) contract: Contract,
    /// The live schema, when it could be read.
    pub(super) state: Option<AdminState>,
}

/// Asks who answers, and reads the live schema.
pub(super) fn read(
    session: &Session<'_>,
    site: &Site,
    service: &ServiceInfo,
    backend: Option<Deploy>,
    live: Option<&Live>,
) -> Standings {
    let found = baseline(session, site, backend, live);
    let mut answering = answering(session, service, &found, live);
    let ill = answering.iter().filter_map(|(lane, standing)| {
        let why = standing.problem()?;
        Some((*lane, why.to_owned()))
    });
    let state = live_schema(session, &found);
    let baseline = Baseline {
        ill: ill.collect(),
        through_engine: state.is_some() || starts_through_engine(session, live),
        ..found
    };
    // What is not what is recorded cannot answer as recorded; it is no worse to go back to for that.
    for (lane, found) in [
        (Lane::Frontend, &baseline.frontend),
        (Lane::Backend, &baseline.backend),
    ] {
        let recorded = live.and_then(|live| live.record.lanes.get(&lane));
        let drift = recorded.and_then(|lane| plan::drift(&lane.deploy_id, found.as_ref()));
        answering.extend(drift.map(|drift| (lane, Standing::Ill(drift))));
    }
    if let Some(stranger) = stranger(session, &baseline) {
        answering.insert(Lane::Backend, Standing::Unclear(stranger));
    }
    let contract = contract(session, &baseline, live);
    Standings {
        baseline,
        answering,
        contract,
        state,
    }
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
