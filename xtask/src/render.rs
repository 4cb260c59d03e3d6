//! Render's API as the backend lane needs it.
//!
//! It has no idempotency key, and it may accept a deploy without naming it (202, empty). So a deploy of ours is found again by
//! what it is: triggered through the API, of our commit, and not in the list that was read before.

use crate::http::wire::{lenient, or_default, states};
use crate::http::{Api, ApiError, Page, rfc3339, rfc3339_ms, url};
use crate::ids::{Commit, DeployId, ServiceId};
use http::Method;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

states!(
    /// Where a deploy stands.
    DeployStatus {
        /// Accepted.
        Created = "created",
        /// Waits for another deploy.
        Queued = "queued",
        /// Builds.
        BuildInProgress = "build_in_progress",
        /// Runs the command before the start.
        PreDeployInProgress = "pre_deploy_in_progress",
        /// Starts, and is watched until it is healthy.
        UpdateInProgress = "update_in_progress",
        /// Serves.
        Live = "live",
        /// The build failed; what was live still is.
        BuildFailed = "build_failed",
        /// The command before the start failed; what was live still is.
        PreDeployFailed = "pre_deploy_failed",
        /// It did not start or did not become healthy.
        UpdateFailed = "update_failed",
        /// Somebody, or a newer deploy, cancelled it.
        Canceled = "canceled",
        /// It was live, and a newer one took over.
        Deactivated = "deactivated",
    }
);

impl DeployStatus {
    /// Whether it serves now.
    pub fn is_live(&self) -> bool {
        *self == Self::Live
    }

    /// Whether it was live and a newer deploy took over.
    pub fn is_superseded(&self) -> bool {
        *self == Self::Deactivated
    }

    /// Whether it never became live and never will.
    pub fn is_failed(&self) -> bool {
        matches!(
            self,
            Self::BuildFailed | Self::PreDeployFailed | Self::UpdateFailed | Self::Canceled
        )
    }

    /// Whether it will change no more, but for a live one that is superseded some day.
    pub fn is_terminal(&self) -> bool {
        self.is_live() || self.is_superseded() || self.is_failed()
    }

    /// Whether it has not begun: cancelling it costs nothing.
    pub fn is_waiting(&self) -> bool {
        matches!(self, Self::Created | Self::Queued)
    }
}

/// One deploy. Only the id is certain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deploy {
    /// `dep-…`
    pub id: DeployId,
    /// Where it stands.
    #[serde(default, deserialize_with = "or_default")]
    pub status: DeployStatus,
    /// What it was built from; none for services that run an image.
    #[serde(default, deserialize_with = "commit")]
    pub commit: Option<Commit>,
    /// Who asked for it: `api`, `new_commit`, `rollback`, `manual`, …
    #[serde(default, deserialize_with = "lenient")]
    pub trigger: Option<String>,
    /// RFC 3339.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<String>,
    /// RFC 3339.
    #[serde(default, deserialize_with = "lenient")]
    pub started_at: Option<String>,
    /// RFC 3339; none while it runs.
    #[serde(default, deserialize_with = "lenient")]
    pub finished_at: Option<String>,
}

impl Deploy {
    /// Whether it waits or is worked on, so that it may become live.
    pub fn is_under_way(&self) -> bool {
        !self.status.is_terminal() && self.finished_at.is_none()
    }

    /// When it was created, milliseconds since the Unix epoch.
    pub fn created_ms(&self) -> Option<i64> {
        rfc3339_ms(self.created_at.as_deref()?)
    }
}

/// Reads the commit's id out of the object on the wire, or out of our own journal, where it is a plain string.
fn commit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Commit>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let id = value.as_str().or_else(|| value.get("id")?.as_str());
    Ok(id.filter(|id| !id.is_empty()).map(Commit::from))
}

/// What became of a request for a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Triggered {
    /// This one; it may be anywhere on its way already, even live.
    Created(Deploy),
    /// Accepted behind another deploy, not yet named: look for it with [`find_ours`].
    Queued,
}

/// Deploys, newest first.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The deploys.
    pub deploys: Vec<Deploy>,
    /// The provider's clock at the first answer, milliseconds since the Unix epoch.
    pub date_ms: Option<i64>,
    /// Whether all that were asked for were read; when not, "it is not there" proves nothing.
    pub complete: bool,
}

/// The newest deploy that can be ours: not among those seen before, and of that trigger (`api`, `rollback`) and our commit where the
/// provider names them. Only the id is certain to be there, and taking a new deploy for another's would make a second one.
pub fn find_ours<'d>(
    deploys: &'d [Deploy],
    seen: &BTreeSet<DeployId>,
    trigger: &str,
    commit: Option<&Commit>,
) -> Option<&'d Deploy> {
    deploys.iter().find(|deploy| {
        let same_commit = match (&deploy.commit, commit) {
            (Some(theirs), Some(ours)) => theirs == ours,
            _ => true,
        };
        let same_trigger = deploy
            .trigger
            .as_deref()
            .is_none_or(|found| found == trigger);
        same_trigger && same_commit && !seen.contains(&deploy.id)
    })
}

/// The service, as far as a release looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceInfo {
    /// `srv-…`
    pub id: ServiceId,
    /// Its name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// The workspace that owns it; logs are asked for by it.
    #[serde(default, deserialize_with = "lenient")]
    pub owner_id: Option<String>,
    /// `web_service`, …
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    pub kind: Option<String>,
    /// The repository that it is built from.
    #[serde(default, deserialize_with = "lenient")]
    pub repo: Option<String>,
    /// The branch that it is built from.
    #[serde(default, deserialize_with = "lenient")]
    pub branch: Option<String>,
    /// `yes` or `no`.
    #[serde(default, deserialize_with = "lenient")]
    pub auto_deploy: Option<String>,
    /// `commit`, `checksPass` or `off`; newer than `auto_deploy` and stronger.
    #[serde(default, deserialize_with = "lenient")]
    pub auto_deploy_trigger: Option<String>,
    /// `suspended` or `not_suspended`.
    #[serde(default, deserialize_with = "lenient")]
    pub suspended: Option<String>,
    /// Where a person can look at it.
    #[serde(default, deserialize_with = "lenient")]
    pub dashboard_url: Option<String>,
    /// How it runs.
    #[serde(default, deserialize_with = "or_default")]
    pub service_details: ServiceDetails,
}

impl ServiceInfo {
    /// Whether a push to git deploys by itself, beside us, and would undo a rollback.
    pub fn deploys_on_push(&self) -> bool {
        match self.auto_deploy_trigger.as_deref() {
            Some(trigger) => trigger != "off",
            None => self.auto_deploy.as_deref() == Some("yes"),
        }
    }

    /// Whether it is switched off.
    pub fn is_suspended(&self) -> bool {
        self.suspended.as_deref() == Some("suspended")
    }

    /// Whether it is stopped after a while without requests and started by the next one, which then waits (the provider's free plan).
    pub fn sleeps_when_idle(&self) -> bool {
        self.service_details.plan.as_deref() == Some("free")
    }

    /// Its disk. With one there is a single instance, and a deploy stops it before the new one starts.
    pub fn disk(&self) -> Option<&Disk> {
        self.service_details.disk.as_ref()
    }
}

/// How a service runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceDetails {
    /// Its public address.
    #[serde(default, deserialize_with = "lenient")]
    pub url: Option<String>,
    /// What Render polls to judge it; empty when it only looks at the port.
    #[serde(default, deserialize_with = "lenient")]
    pub health_check_path: Option<String>,
    /// Its price and size.
    #[serde(default, deserialize_with = "lenient")]
    pub plan: Option<String>,
    /// `rust`, `node`, `image`, …
    #[serde(default, deserialize_with = "lenient")]
    pub runtime: Option<String>,
    /// How many processes serve.
    #[serde(default, deserialize_with = "lenient")]
    pub num_instances: Option<u32>,
    /// How long a process has between SIGTERM and SIGKILL, in seconds.
    #[serde(default, deserialize_with = "lenient")]
    pub max_shutdown_delay_seconds: Option<u32>,
    /// Its disk.
    #[serde(default, deserialize_with = "lenient")]
    pub disk: Option<Disk>,
}

/// A service's disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// `dsk-…`
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<String>,
    /// Where the service sees it.
    #[serde(default, rename = "mountPath", deserialize_with = "lenient")]
    pub mount_path: Option<String>,
    /// Its size.
    #[serde(default, rename = "sizeGB", deserialize_with = "lenient")]
    pub size_gb: Option<u64>,
}

/// The API's own maximum.
const PAGE_ITEMS: usize = 100;
/// How many pages of a list are followed: 2,000 deploys.
const PAGES_MAX: usize = 20;

#[derive(Deserialize)]
struct ListedDeploy {
    deploy: Deploy,
    #[serde(default, deserialize_with = "lenient")]
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct ListedEvent {
    event: Event,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    details: Value,
}

#[derive(Deserialize)]
struct Logs {
    logs: Vec<LogLine>,
}

#[derive(Deserialize)]
struct LogLine {
    #[serde(default)]
    timestamp: String,
    #[serde(default)]
    message: String,
}

/// One service through Render's API.
#[derive(Clone)]
pub struct Render<'a> {
    api: Api<'a>,
    service: ServiceId,
}

impl<'a> Render<'a> {
    /// `api` has Render's base, `/v1` included.
    pub fn new(api: Api<'a>, service: ServiceId) -> Self {
        Self { api, service }
    }

    /// The same service, no call lasting beyond `deadline_ms` of the monotonic clock.
    #[must_use]
    pub fn until(&self, deadline_ms: u64) -> Self {
        Self {
            api: self.api.until(deadline_ms),
            service: self.service.clone(),
        }
    }

    fn at(&self, rest: &str) -> String {
        format!("/services/{}{rest}", url::segment(self.service.as_str()))
    }

    fn deploy_path(&self, id: &DeployId) -> String {
        self.at(&format!("/deploys/{}", url::segment(id.as_str())))
    }

    /// The service.
    ///
    /// # Errors
    /// When it cannot be read, or what answers is no service.
    pub fn service(&self) -> Result<ServiceInfo, ApiError> {
        self.api.get_json(&self.at(""))
    }

    /// Asks for a deploy of `commit`. Read [`Render::list_deploys`] before, to know it from others afterwards.
    ///
    /// # Errors
    /// In doubt, list again and look with [`find_ours`]. A rejection with status 409 means that another deploy is in the way.
    pub fn trigger(&self, commit: &Commit) -> Result<Triggered, ApiError> {
        let path = self.at("/deploys");
        let response =
            self.api
                .send_once(Method::POST, &path, Some(&json!({"commitId": commit})))?;
        if response.status() == 202 && response.body().iter().all(u8::is_ascii_whitespace) {
            return Ok(Triggered::Queued);
        }
        Ok(Triggered::Created(self.api.decode(
            Method::POST,
            &path,
            &response,
        )?))
    }

    /// One deploy.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn deploy(&self, id: &DeployId) -> Result<Deploy, ApiError> {
        self.api.get_json(&self.deploy_path(id))
    }

    /// The newest hundred deploys: one call.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn recent(&self) -> Result<Vec<Deploy>, ApiError> {
        Ok(self.list_deploys(None, PAGE_ITEMS)?.deploys)
    }

    /// What is live now, as far as the newest hundred deploys tell.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn live(&self) -> Result<Option<Deploy>, ApiError> {
        Ok(self
            .recent()?
            .into_iter()
            .find(|deploy| deploy.status.is_live()))
    }

    /// The newest deploys, at most `max` of them and, when given, only those created after a moment (milliseconds since the Unix
    /// epoch, by the provider's clock).
    ///
    /// # Errors
    /// When a page cannot be read; that is never the same as "none".
    pub fn list_deploys(
        &self,
        created_after_ms: Option<i64>,
        max: usize,
    ) -> Result<Listing, ApiError> {
        let max = max.max(1);
        let after = created_after_ms.and_then(rfc3339);
        let mut listing = Listing {
            deploys: Vec::new(),
            date_ms: None,
            complete: true,
        };
        let mut ids = BTreeSet::new();
        let mut cursor: Option<String> = None;
        for page_number in 1.. {
            let items = PAGE_ITEMS.min(max - listing.deploys.len());
            let limit = items.to_string();
            let mut pairs = vec![("limit", limit.as_str())];
            pairs.extend(after.as_deref().map(|after| ("createdAfter", after)));
            pairs.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page: Page<Vec<ListedDeploy>> = self
                .api
                .get_page(&(self.at("/deploys") + &url::query(&pairs)))?;
            listing.date_ms = listing.date_ms.or_else(|| page.date_ms());
            let found = page.value.len();
            let next = page.value.last().and_then(|last| last.cursor.clone());
            let known = listing.deploys.len();
            listing.deploys.extend(
                page.value
                    .into_iter()
                    .map(|item| item.deploy)
                    .filter(|deploy| ids.insert(deploy.id.clone())),
            );
            listing.deploys.truncate(max);
            if found < items || listing.deploys.len() == max || next.is_none() {
                break;
            }
            // A cursor that leads in a circle brings only what is known.
            if listing.deploys.len() == known || page_number == PAGES_MAX {
                listing.complete = false;
                break;
            }
            cursor = next;
        }
        Ok(listing)
    }

    /// Cancels a deploy that is not live yet.
    ///
    /// # Errors
    /// In doubt, [`Render::deploy`] tells its status.
    pub fn cancel(&self, id: &DeployId) -> Result<Deploy, ApiError> {
        let path = self.deploy_path(id) + "/cancel";
        let response = self.api.send_once(Method::POST, &path, None)?;
        self.api.decode(Method::POST, &path, &response)
    }

    /// Starts what an earlier deploy built once more, with its settings: a new deploy with trigger `rollback`. The disk stays as it is.
    ///
    /// # Errors
    /// In doubt, list and look with [`find_ours`]. 404 and 410 mean that the provider no longer has that build.
    pub fn rollback(&self, to: &DeployId) -> Result<Deploy, ApiError> {
        let path = self.at("/rollback");
        let response = self
            .api
            .send_once(Method::POST, &path, Some(&json!({"deployId": to})))?;
        self.api.decode(Method::POST, &path, &response)
    }

    /// Why a deploy failed, in words: the deploy itself does not tell, the service's events do. None when they do not either.
    ///
    /// # Errors
    /// When the events cannot be read.
    pub fn failure_reason(&self, id: &DeployId) -> Result<Option<String>, ApiError> {
        let ended = self.events("deploy_ended")?;
        let Some(event) = ended
            .iter()
            .find(|event| event.details["deployId"] == id.as_str())
        else {
            return Ok(None);
        };
        let reason = &event.details["reason"];
        if let Some(build) = reason["buildFailed"]["id"].as_str() {
            let builds = self.events("build_ended")?;
            let build = builds
                .iter()
                .find(|event| event.details["buildId"] == build);
            let why = build.and_then(|event| {
                failure_text(&event.details["reason"]["failure"], "during the build")
            });
            return Ok(Some(why.unwrap_or_else(|| "the build failed".to_owned())));
        }
        if let Some(newer) = reason["newDeploy"]["id"].as_str() {
            return Ok(Some(format!("{newer} took its place")));
        }
        let why = failure_text(&reason["failure"], "during start");
        Ok(why.or_else(|| {
            (event.details["deployStatus"] == "canceled")
                .then(|| "somebody cancelled it".to_owned())
        }))
    }

    /// The deploys that began of late, newest first, as the service's events name them: these do not wait for the list of deploys.
    ///
    /// # Errors
    /// When the events cannot be read.
    pub fn begun(&self) -> Result<Vec<DeployId>, ApiError> {
        let events = self.events("deploy_started")?;
        let ids = events.iter().filter_map(|event| {
            let id = event.details["deployId"].as_str()?;
            Some(DeployId::from(id))
        });
        Ok(ids.collect())
    }

    fn events(&self, kind: &str) -> Result<Vec<Event>, ApiError> {
        let path = self.at("/events") + &url::query(&[("type", kind), ("limit", "100")]);
        let page: Vec<ListedEvent> = self.api.get_json(&path)?;
        Ok(page.into_iter().map(|item| item.event).collect())
    }

    /// The last lines that the service, its build and its router printed, oldest first: at most `lines`, of which the API gives 100.
    /// They may hold anything, control characters included.
    ///
    /// # Errors
    /// When the service or its log cannot be read.
    pub fn log_tail(&self, lines: usize) -> Result<Vec<String>, ApiError> {
        let Some(owner) = self.service()?.owner_id else {
            let text = "the service has no ownerId, and logs are asked for by it";
            return Err(self.api.incomplete(Method::GET, &self.at(""), text));
        };
        let limit = lines.clamp(1, PAGE_ITEMS).to_string();
        let pairs = [
            ("ownerId", owner.as_str()),
            ("resource", self.service.as_str()),
            ("direction", "backward"),
            ("limit", &limit),
        ];
        let mut logs = self
            .api
            .get_json::<Logs>(&format!("/logs{}", url::query(&pairs)))?
            .logs;
        // The newest come first; sorting is stable, so that lines of the same instant keep their order.
        logs.reverse();
        logs.sort_by_key(|line| rfc3339_ms(&line.timestamp));
        Ok(logs.into_iter().map(|line| line.message).collect())
    }
}

/// What a failure object says, in words; none when it says nothing.
fn failure_text(failure: &Value, phase: &str) -> Option<String> {
    let text = |name: &str| failure[name].as_str().filter(|text| !text.is_empty());
    if let Some(limit) = failure["oomKilled"]["memoryLimit"].as_str() {
        return Some(format!("out of memory ({limit}) {phase}"));
    }
    if let Some(code) = failure["nonZeroExit"].as_i64().filter(|code| *code != 0) {
        return Some(format!("exited with code {code} {phase}"));
    }
    if failure["earlyExit"] == true {
        return Some(format!(
            "exited with code 0 {phase}; a service has to keep running"
        ));
    }
    if let Some(why) = text("unhealthy") {
        return Some(format!("unhealthy {phase}: {why}"));
    }
    if failure["timedOutSeconds"].is_number() || text("timedOutReason").is_some() {
        let after = failure["timedOutSeconds"]
            .as_i64()
            .map(|seconds| format!(" after {seconds} s"));
        let why = text("timedOutReason").map(|why| format!(": {why}"));
        return Some(format!(
            "timed out {phase}{}{}",
            after.unwrap_or_default(),
            why.unwrap_or_default()
        ));
    }
    if failure["evicted"] == true {
        return Some(format!(
            "evicted {phase}: {}",
            text("evictionReason").unwrap_or("the provider does not say why")
        ));
    }
    None
}

#[cfg(test)]
mod tests;
