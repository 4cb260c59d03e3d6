//! The reading half of preflight: providers, live record and live schema become plain values, once.

mod judge;
mod objections;
mod standing;

pub use judge::{Judged, bundle_serves, judge, may_release};
pub use objections::{Objection, to_rules, to_service, to_site, unfit_source};
pub use standing::{answers, unlike_record};

use crate::changes::manifest::{Change, Manifest};
use crate::config::{Config, Target};
use crate::http::ApiError;
use crate::ids::{DeployId, Lane};
use crate::inputs;
use crate::job::{Baseline, LaneError};
use crate::live::{self, Live};
use crate::netlify::Site;
use crate::plan::{Facts, Pending};
use crate::render::{Deploy, DeployStatus, ServiceInfo};
use crate::run::Session;
use crate::service::AdminState;
use crate::source::is_migration;
use migrate::{MigrationFile, Migrator};
use standing::Standings;
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
    let Standings {
        baseline,
        answering,
        contract,
        state,
    } = standing::read(session, &site, &service, backend, live.as_ref());
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
