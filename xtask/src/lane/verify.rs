//! Proof from outside: who answers, and with what bytes.

use crate::contract::{Contract, Rung};
use crate::event::Step;
use crate::http::ApiError;
use crate::ids::{Commit, Lane};
use crate::inputs::SiteFile;
use crate::job::{Job, LaneError, OUTAGE};
use crate::netlify::Deploy;
use crate::service::{self, Identity, PublicFile, Service, SiteAddress};
use crate::site_rules::is_rule_file;
use std::time::Duration;

/// What the site says of itself; generated for each release.
pub const RELEASE_FILE: &str = ".well-known/tandem.json";

/// Files fetched beside the release file and the entry page: enough to notice a half-finished upload, few enough to be quick.
const SAMPLE: usize = 6;
/// How long a published deploy may take to reach the edge that we ask.
const EDGE_BUDGET: Duration = Duration::from_secs(30);
/// After so many answers in a row that are not ours and healthy, waiting is over.
const BAD_MAX: u32 = 60;
/// Answers asked for in all: an endless alternation ends here.
const PROBES_MAX: u32 = 240;

/// One look at who answers.
pub fn look(job: &Job<'_>, contract: &Contract, expected: &Commit) -> Identity {
    Service::new(job.world, &job.target.service_url, contract).identity(expected)
}

/// Asks until the service answered as `commit`, healthy, as often in a row as the policy says. What that proves is in the contract.
///
/// # Errors
/// When it does not, or cannot be judged from outside.
pub fn identity(
    job: &Job<'_>,
    step: Step,
    contract: &Contract,
    commit: &Commit,
) -> Result<String, LaneError> {
    let policy = &job.target.policy;
    let (mut good, mut bad, mut good_total) = (0, 0, 0);
    let mut degraded = None;
    let mut last = String::new();
    let (mut is_silent, mut is_nameless) = (false, false);
    for probe in 1..=PROBES_MAX {
        match look(job, contract, commit) {
            Identity::Ours { warning } => {
                good += 1;
                good_total += 1;
                bad = 0;
                degraded = warning.or(degraded);
            }
            Identity::AuthWall => {
                return Err(LaneError::Unverifiable(format!(
                    "{}{} asks for a login, so nothing can be proven from outside",
                    job.target.service_url, contract.health
                )));
            }
            other => {
                good = 0;
                bad += 1;
                last = other.to_string();
                is_silent = matches!(other, Identity::Away(_));
                is_nameless = matches!(other, Identity::NoVersion(_) | Identity::Elsewhere(_));
                // Silence says nothing about the service while nothing else can be reached either.
                if bad >= BAD_MAX && is_silent && is_offline(job) {
                    job.warn("neither the service nor its provider can be reached: waiting for the network");
                    bad = 0;
                }
            }
        }
        if good >= policy.identity_consecutive {
            if let Some(warning) = degraded {
                job.warn(format!("the backend is healthy with a warning: {warning}"));
            }
            return Ok(match provider_agrees(job, contract, commit)? {
                None => format!("{} answered {good} times in a row", commit.short()),
                Some(unproven) => format!("it answered well {good} times in a row; {unproven}"),
            });
        }
        // There is nothing to go back to, and the provider calls the service live: it is not judged by an address that may be wrong.
        let has_old =
            job.baseline.backend.is_some() && !job.baseline.ill.contains_key(&Lane::Backend);
        if bad >= BAD_MAX && is_nameless && !has_old {
            return Err(LaneError::Unverifiable(format!(
                "who answers cannot be told: {last}; deploy.toml promises {} (hint: `version`, `commit_field` and `identity` under [backend] say what is asked)",
                contract.rung
            )));
        }
        if bad >= BAD_MAX {
            return Err(LaneError::Failed(format!(
                "expected {} to answer, but {last} ({bad} times in a row{})",
                commit.short(),
                if is_nameless {
                    "; hint: `health`, `version`, `commit_field` and `identity` under [backend] say what is asked"
                } else {
                    ""
                }
            )));
        }
        job.progress(
            step,
            format!("{good} of {} in a row", policy.identity_consecutive),
        );
        if probe < PROBES_MAX {
            job.wait(policy.identity_interval)?;
        }
    }
    if is_silent && is_offline(job) {
        return Err(LaneError::Unknown(format!(
            "the network is away, so the version could not be proven; {last}"
        )));
    }
    Err(LaneError::Failed(format!(
        "the service is flapping: {good_total} of {PROBES_MAX} answers were good; the last bad one: {last}"
    )))
}

/// Where the answers prove nothing, the provider's word is asked: that what is live is of this commit. What that leaves unproven
/// is said.
fn provider_agrees(
    job: &Job<'_>,
    contract: &Contract,
    commit: &Commit,
) -> Result<Option<&'static str>, LaneError> {
    let Some(unproven) = contract.rung.unproven() else {
        return Ok(None);
    };
    if contract.rung == Rung::Provider {
        let live = job.read(OUTAGE, || job.service().live())?;
        let said = live.as_ref().map(|deploy| deploy.commit.as_ref());
        if !matches!(said, Some(named) if named.is_none_or(|named| named == commit)) {
            let said = said
                .flatten()
                .map_or("nothing", |named| named.short())
                .to_owned();
            return Err(LaneError::Failed(format!(
                "the service answers, but the provider says that {said} is live, not {}",
                commit.short()
            )));
        }
    }
    Ok(Some(unproven))
}

/// Whether the provider cannot be reached either: then silence is the network's, and no evidence against the service.
pub fn is_offline(job: &Job<'_>) -> bool {
    job.service()
        .live()
        .is_err_and(|error| error.is_transient())
}

/// Whether the service answers with `commit`, healthy, as often in a row as the policy says, without waiting for it to recover.
///
/// # Errors
/// When the run was cancelled meanwhile, or nothing at all can be reached.
pub fn answers(job: &Job<'_>, contract: &Contract, commit: &Commit) -> Result<bool, LaneError> {
    /// Two lost answers are a network's doing; more are the service's.
    const TOLERATED: u32 = 2;
    let started = job.now_ms();
    let (mut good, mut bad) = (0, 0);
    while good < job.target.policy.identity_consecutive {
        let found = look(job, contract, commit);
        if matches!(found, Identity::Ours { .. }) {
            good += 1;
        } else {
            (good, bad) = (0, bad + 1);
        }
        if bad > TOLERATED {
            if !matches!(found, Identity::Away(_)) || !is_offline(job) {
                return Ok(false);
            }
            if job.since(started) >= OUTAGE {
                return Err(LaneError::Unknown(format!(
                    "{found}, and its provider cannot be reached either"
                )));
            }
        }
        job.wait(job.target.policy.identity_interval)?;
    }
    Ok(true)
}

/// Where a draft answers.
///
/// # Errors
/// When the provider gives it no address: the public site must not be taken for it.
pub fn permalink(job: &Job<'_>, deploy: &Deploy) -> Result<SiteAddress, LaneError> {
    let link = deploy.permalink().ok_or_else(|| LaneError::Failed(format!("the provider gives the deploy {} no address of its own, so it cannot be proven before it is public", deploy.id)))?;
    Ok(SiteAddress::permalink(&job.target.site_url, &link))
}

/// Where the public site answers.
pub fn public(job: &Job<'_>) -> SiteAddress {
    SiteAddress::public(&job.target.site_url)
}

/// Fetches the release file, the entry page and a sample, and compares them with what was sent.
///
/// # Errors
/// When something else is served.
pub fn site_serves(
    job: &Job<'_>,
    address: &SiteAddress,
    files: &[SiteFile],
) -> Result<String, LaneError> {
    let wanted = sample(&job.config.frontend.entry, files);
    let mut transformed = 0;
    for file in &wanted {
        if !serves(job, address, file)? {
            transformed += 1;
        }
    }
    let note = if transformed > 0 {
        format!(", {transformed} page(s) rewritten by the provider")
    } else {
        String::new()
    };
    Ok(format!("{} files fetched and compared{note}", wanted.len()))
}

/// Fetches one file of the site. The lease is kept while a long one comes; whether it was lost is found out before anything changes.
///
/// # Errors
/// When no answer came.
pub fn fetch(
    job: &Job<'_>,
    address: &SiteAddress,
    file: &SiteFile,
) -> Result<PublicFile, ApiError> {
    let keep = || {
        let _found_out_later = job.lease.keep(job.world);
    };
    service::site_file(job.world, address, &file.path, file.size, &keep)
}

/// Whether the bytes are exactly ours; a page that the provider rewrites is tolerated when it is there at all.
fn serves(job: &Job<'_>, address: &SiteAddress, file: &SiteFile) -> Result<bool, LaneError> {
    let started = job.now_ms();
    loop {
        let fetched = fetch(job, address, file);
        // An edge that lags behind and a network that is away are two things; a long file takes its time in both.
        let budget = if fetched.is_ok() { EDGE_BUDGET } else { OUTAGE };
        let budget = budget + service::transfer_time(file.size);
        let problem = match fetched {
            Ok(found) if found.sha1 == file.sha1 => return Ok(true),
            Ok(found) if found.status == 200 && is_page(&file.path) => return Ok(false),
            Ok(found) => {
                let age = found
                    .age_s
                    .map(|age| format!(", cached for {age} s"))
                    .unwrap_or_default();
                format!(
                    "status {}, {} of {} bytes, content {}{age}",
                    found.status, found.size, file.size, found.sha1
                )
            }
            Err(error) => error.to_string(),
        };
        if job.since(started) >= budget {
            return Err(LaneError::Failed(format!(
                "{address} does not serve {} as it was sent: {problem}, expected content {}",
                file.path, file.sha1
            )));
        }
        job.wait(Duration::from_secs(1))?;
    }
}

fn is_page(path: &str) -> bool {
    path.ends_with(".html") || path.ends_with(".htm")
}

/// The release file first: it proves the identity, the rest proves completeness.
fn sample<'a>(entry: &str, files: &'a [SiteFile]) -> Vec<&'a SiteFile> {
    // Files that the provider reads instead of serving.
    let served = |file: &&SiteFile| !is_rule_file(&file.path);
    let mut wanted: Vec<&SiteFile> = files
        .iter()
        .filter(|file| file.path == RELEASE_FILE || file.path == entry)
        .collect();
    wanted.sort_by_key(|file| file.path != RELEASE_FILE);
    let others: Vec<&SiteFile> = files
        .iter()
        .filter(served)
        .filter(|file| file.path != RELEASE_FILE && file.path != entry)
        .collect();
    let stride = others.len().div_ceil(SAMPLE).max(1);
    wanted.extend(others.into_iter().step_by(stride));
    wanted
}
