//! The frontend: uploaded and proven as an unpublished deploy, made public by one atomic call.

use crate::changes::manifest::hex;
use crate::event::{LaneState, Step};
use crate::ids::{DeployId, Lane};
use crate::inputs::SiteFile;
use crate::job::{Job, LaneError, OUTAGE, poll_interval};
use crate::lane::draft::{digest, uploaded_before, with_files};
use crate::lane::{checks, proxies, verify};
use crate::netlify::{Deploy, DeployState};
use crate::once::{Attempt, Probe, once};
use crate::site_rules::TOML;
use sha1::{Digest as _, Sha1};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What may be published although it looks like a mistake.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accepted {
    /// A site that would lose more than the configured share of its live files.
    pub shrink: bool,
    /// A site that is empty, or whose entry page is missing or empty.
    pub no_index: bool,
    /// A first release of a site that has functions or build plugins.
    pub without_functions: bool,
}

/// What publishing needs: a deploy that is ready and proven, and the files it must consist of.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The unpublished deploy.
    pub deploy: DeployId,
    /// What it consists of.
    pub files: Vec<SiteFile>,
}

/// Lists the site and refuses one that looks like a mistake, before anything is created.
///
/// # Errors
/// When it must not be published; the message says which flag says otherwise.
pub fn inspect(job: &Job<'_>) -> Result<Vec<SiteFile>, LaneError> {
    let accepted = job.accepted;
    let files = job
        .inputs
        .site(job.world)
        .map_err(|error| LaneError::Refused(format!("{error:#}")))?;
    let folder = &job.config.frontend.publish;
    let entry = &job.config.frontend.entry;
    // The file that we generate ourselves does not make a site, nor do rules.
    let own = files
        .iter()
        .filter(|file| file.path != verify::RELEASE_FILE && file.path != TOML)
        .count();
    if !accepted.no_index {
        if own == 0 {
            return Err(LaneError::Refused(format!(
                "the site is empty: no file below '{folder}' (hint: build it first, or say --allow-no-index)"
            )));
        }
        let found = files.iter().find(|file| file.path == *entry);
        if found.is_some_and(|found| found.size == 0) {
            return Err(LaneError::Refused(format!(
                "the entry page {entry} below '{folder}' is empty (hint: did its build stop early? --allow-no-index publishes it all the same)"
            )));
        }
        if found.is_none() {
            return Err(LaneError::Refused(format!(
                "the site has no {entry} among its {own} files below '{folder}' (hint: --allow-no-index publishes it all the same)"
            )));
        }
    }
    if !accepted.shrink && job.baseline.frontend.is_some() {
        let live: BTreeSet<String> = job
            .read(OUTAGE, || job.site().site_files())?
            .into_keys()
            .map(|path| path.trim_start_matches('/').to_owned())
            .collect();
        let ours: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let lost = live
            .iter()
            .filter(|path| !ours.contains(path.as_str()))
            .count();
        let percent = u64::from(job.config.frontend.shrink_max_percent);
        if lost as u64 * 100 > live.len() as u64 * percent {
            return Err(LaneError::Refused(format!(
                "the site would lose {lost} of its {} live files, more than {percent} % (hint: if that is meant, say --allow-shrink)",
                live.len()
            )));
        }
    }
    Ok(files)
}

/// Uploads the site as an unpublished deploy and proves it under its permalink.
///
/// # Errors
/// When it cannot be uploaded or does not serve what was sent.
pub fn prepare(job: &Job<'_>) -> Result<Draft, LaneError> {
    checks::build_site(job)?;
    let files = inspect(job)?;
    proxies::say_what_the_build_made(job)?;
    let (deploy, draft) = job.step(Step::FrontendUpload, || upload(job, files))?;
    job.lane(
        Lane::Frontend,
        LaneState::Prepared,
        Some(&draft.deploy),
        deploy.permalink().as_deref(),
    );
    job.step(Step::FrontendPermalink, || {
        let address = verify::permalink(job, &deploy)?;
        let checked = verify::site_serves(job, &address, &draft.files)?;
        let asked = proxies::ask_before(job, &address, &draft.files)?;
        Ok(((), checked + &asked))
    })?;
    Ok(draft)
}

fn upload(job: &Job<'_>, files: Vec<SiteFile>) -> Result<((Deploy, Draft), String), LaneError> {
    let site = digest(&files);
    if let Some(ready) = uploaded_before(job, &site)? {
        let draft = Draft {
            deploy: ready.id.clone(),
            files,
        };
        return Ok((
            (ready, draft),
            "uploaded by an earlier attempt of this run".to_owned(),
        ));
    }
    let digests: BTreeMap<String, String> = files
        .iter()
        .map(|file| (file.path.clone(), file.sha1.clone()))
        .collect();
    let accepted = with_files(job, &site, &digests)?;
    let deploy = accepted.id.clone();
    let required = required(job, &deploy, accepted)?;
    let sent = send(job, &deploy, &files, &required)?;
    let ready = wait_ready(job, &deploy, &files)?;
    let draft = Draft { deploy, files };
    let detail = format!(
        "{} of {} files were new to the provider",
        sent,
        draft.files.len()
    );
    Ok(((ready, draft), detail))
}

/// The key of the intent to make it public.
const PUBLISH: &str = "frontend.publish";

/// The digests that the provider lacks; a large deploy is compared in the background first.
fn required(
    job: &Job<'_>,
    id: &DeployId,
    mut deploy: Deploy,
) -> Result<BTreeSet<String>, LaneError> {
    let started = job.now_ms();
    while deploy.state.is_preparing() {
        within(job, started, "compare the files")?;
        job.wait(poll_interval(job.world, job.since(started)))?;
        deploy = job.read(OUTAGE, || job.site().deploy(id))?;
    }
    if deploy.state.is_failed() {
        return Err(failed(&deploy));
    }
    Ok(deploy.required.unwrap_or_default().into_iter().collect())
}

/// Sends each missing content once, several at a time.
fn send(
    job: &Job<'_>,
    deploy: &DeployId,
    files: &[SiteFile],
    required: &BTreeSet<String>,
) -> Result<usize, LaneError> {
    let mut first: BTreeMap<&str, &SiteFile> = BTreeMap::new();
    for file in files.iter().filter(|file| required.contains(&file.sha1)) {
        first.entry(&file.sha1).or_insert(file);
    }
    if let Some(unknown) = required
        .iter()
        .find(|digest| !first.contains_key(digest.as_str()))
    {
        return Err(LaneError::Failed(format!(
            "the provider asks for content {unknown}, which is not part of this site"
        )));
    }
    let wanted: Vec<&SiteFile> = first.into_values().collect();
    let done = AtomicUsize::new(0);
    let failure: Mutex<Option<LaneError>> = Mutex::new(None);
    job.world.each(wanted.len(), &|index| {
        let Some(file) = wanted.get(index) else {
            return;
        };
        let has_failed = failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        if has_failed {
            return;
        }
        let sent = match job.world.cancelled() {
            Some(cancelled) => Err(cancelled.into()),
            None => send_one(job, deploy, file),
        };
        match sent {
            Ok(()) => {
                let count = done.fetch_add(1, Ordering::Relaxed) + 1;
                job.progress(
                    Step::FrontendUpload,
                    format!("{count} of {} files", wanted.len()),
                );
            }
            Err(error) => {
                failure
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(error);
            }
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(wanted.len()),
    }
}

fn send_one(job: &Job<'_>, deploy: &DeployId, file: &SiteFile) -> Result<(), LaneError> {
    /// The lease's time bounds an attempt with its retries, so that none starts after it; the next one has the lease renewed.
    const ATTEMPTS_MAX: u32 = 3;
    let content = job.inputs.read(&file.path)?;
    if hex(&Sha1::digest(&content)) != file.sha1 {
        return Err(LaneError::Failed(format!(
            "{} changed while it was uploaded (hint: does the build leave a process behind that still writes?)",
            file.path
        )));
    }
    let mut attempt = 1;
    loop {
        let error = match job.attempt(|until_ms| {
            job.netlify
                .until(until_ms)
                .upload(deploy, &file.path, content.clone())
        }) {
            Attempt::Done(()) => return Ok(()),
            // The provider takes a file twice.
            Attempt::InDoubt(_) if attempt < ATTEMPTS_MAX => {
                attempt += 1;
                continue;
            }
            Attempt::InDoubt(error) | Attempt::NotDone(error) => LaneError::from(error),
        };
        return Err(match error {
            LaneError::Failed(text) => LaneError::Failed(format!("upload {}: {text}", file.path)),
            other => other,
        });
    }
}

/// Follows the deploy until it is ready under its permalink. What the provider still misses is sent once more: a proxy may have
/// answered for it.
fn wait_ready(job: &Job<'_>, id: &DeployId, files: &[SiteFile]) -> Result<Deploy, LaneError> {
    /// A provider that has everything begins to process it at once.
    const MISSING_AFTER: Duration = Duration::from_secs(5);
    let started = job.now_ms();
    let mut sent_again = false;
    loop {
        let deploy = job.read(OUTAGE, || job.site().deploy(id))?;
        if deploy.state.is_ready() {
            return Ok(deploy);
        }
        if deploy.state.is_failed() {
            return Err(failed(&deploy));
        }
        let missing: BTreeSet<String> = deploy.required.into_iter().flatten().collect();
        if !sent_again
            && !missing.is_empty()
            && deploy.state == DeployState::Uploading
            && job.since(started) >= MISSING_AFTER
        {
            job.warn(format!(
                "the provider still misses {} file(s) that were sent: they are sent again",
                missing.len()
            ));
            send(job, id, files, &missing)?;
            sent_again = true;
        }
        job.progress(Step::FrontendUpload, deploy.state.to_string());
        within(job, started, "process the upload")?;
        job.wait(poll_interval(job.world, job.since(started)))?;
    }
}

fn within(job: &Job<'_>, started_ms: u64, what: &str) -> Result<(), LaneError> {
    let budget = job.target.policy.deploy_timeout;
    if job.since(started_ms) < budget {
        return Ok(());
    }
    Err(LaneError::Failed(format!(
        "the provider did not {what} within {} s",
        budget.as_secs()
    )))
}

fn failed(deploy: &Deploy) -> LaneError {
    let said = deploy
        .error_message
        .as_deref()
        .unwrap_or("without a message");
    LaneError::Failed(format!(
        "the provider ended the deploy {} in state {}: {said}",
        deploy.id, deploy.state
    ))
}

/// Makes the proven deploy the public one.
///
/// # Errors
/// When the provider refuses or its answer could not be learnt.
pub fn publish(job: &Job<'_>, draft: &Draft) -> Result<(), LaneError> {
    job.step(Step::FrontendPublish, || {
        publish_deploy(job, PUBLISH, &draft.deploy)?;
        Ok(((), format!("{} is the published deploy", draft.deploy)))
    })
}

/// Restores `deploy` as the published one; publishing a draft and undoing a publish are the same call. What is public decides, and
/// not what the journal remembers: another attempt of the run may have put something else there since.
pub(super) fn publish_deploy(job: &Job<'_>, key: &str, deploy: &DeployId) -> Result<(), LaneError> {
    let is_public =
        || -> Result<bool, LaneError> { Ok(published(job)?.is_some_and(|found| found == *deploy)) };
    if is_public()? {
        return Ok(());
    }
    job.world.journal().withdraw(&job.run, key)?;
    once(
        job.world,
        &job.run,
        key,
        deploy,
        |_: &DeployId| {
            Ok(if is_public()? {
                Probe::Found(deploy.clone())
            } else {
                Probe::Absent
            })
        },
        || {
            job.attempt(|until_ms| {
                job.netlify
                    .until(until_ms)
                    .restore(deploy)
                    .map(|_| deploy.clone())
            })
        },
    )?;
    Ok(())
}

/// What is public now, asked through outages.
///
/// # Errors
/// When it could not be learnt.
pub fn published(job: &Job<'_>) -> Result<Option<DeployId>, LaneError> {
    job.read(OUTAGE, || job.site().published())
}

/// Proves that the public site is ours, byte for byte.
///
/// # Errors
/// When it is not.
pub fn verify_public(job: &Job<'_>, draft: &Draft) -> Result<(), LaneError> {
    job.step(Step::FrontendVerify, || {
        let published = published(job)?;
        if published.as_ref() != Some(&draft.deploy) {
            let found = published.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
            return Err(LaneError::Failed(format!(
                "{found} is published, not {} (is publishing locked?)",
                draft.deploy
            )));
        }
        let checked = verify::site_serves(job, &verify::public(job), &draft.files)?;
        let asked = proxies::ask(job, &verify::public(job), &draft.files)?;
        Ok(((), checked + &asked))
    })?;
    job.lane(
        Lane::Frontend,
        LaneState::Verified,
        Some(&draft.deploy),
        Some(&job.target.site_url),
    );
    Ok(())
}

/// Whether this run published, or tried to, in this attempt or an earlier one.
pub fn was_published(job: &Job<'_>) -> bool {
    // Without the journal nothing is known, and the careful answer is yes.
    job.world
        .journal()
        .intent(&job.run, PUBLISH)
        .map_or(true, |row| row.is_some())
}
