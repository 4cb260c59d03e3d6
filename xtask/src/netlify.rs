//! Netlify's API as the frontend lane needs it. A deploy's `title` is our idempotency key: the API has none of its own.
//!
//! Every field of an answer may be null or absent on the real service, and states may appear that no document names.

use crate::http::wire::{lenient, or_default, states};
use crate::http::{Api, ApiError, Page, url};
use crate::ids::{Commit, DeployId, SiteId};
use crate::world::Limits;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

states!(
    /// Where a deploy stands.
    DeployState {
        /// Created, nothing known about its files.
        New = "new",
        /// Somebody must allow this build.
        PendingReview = "pending_review",
        /// The build was allowed.
        Accepted = "accepted",
        /// The build was not allowed.
        Rejected = "rejected",
        /// Waits for a builder.
        Enqueued = "enqueued",
        /// Netlify builds it.
        Building = "building",
        /// Waits for files of ours.
        Uploading = "uploading",
        /// Has all files.
        Uploaded = "uploaded",
        /// Compares a long list of files.
        Preparing = "preparing",
        /// Knows which files are missing.
        Prepared = "prepared",
        /// Works on the files.
        Processing = "processing",
        /// Answers under its permalink.
        Processed = "processed",
        /// Answers everywhere it should.
        Ready = "ready",
        /// An older word for the public deploy.
        Current = "current",
        /// An older word for a formerly public deploy.
        Old = "old",
        /// Failed or cancelled; `error_message` tells.
        Error = "error",
        /// Netlify tries again by itself.
        Retrying = "retrying",
    }
);

impl DeployState {
    /// Whether it is complete and can be, or is, public.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready | Self::Current | Self::Old)
    }

    /// Whether it will never be complete.
    pub fn is_failed(&self) -> bool {
        matches!(self, Self::Error | Self::Rejected)
    }

    /// Whether a list of files given to it may still be under comparison, so that its `required` says nothing yet.
    pub fn is_preparing(&self) -> bool {
        let compared = matches!(
            self,
            Self::Prepared | Self::Uploading | Self::Uploaded | Self::Processing | Self::Processed
        );
        !compared && !self.is_ready() && !self.is_failed()
    }
}

/// One deploy. Only the id is certain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploy {
    /// Its id.
    pub id: DeployId,
    /// Where it stands.
    #[serde(default, deserialize_with = "or_default")]
    pub state: DeployState,
    /// The site's name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// Our name for it.
    #[serde(default, deserialize_with = "lenient")]
    pub title: Option<String>,
    /// `production`, `deploy-preview` or `branch-deploy`.
    #[serde(default, deserialize_with = "lenient")]
    pub context: Option<String>,
    /// The branch that it was built from or named after.
    #[serde(default, deserialize_with = "lenient")]
    pub branch: Option<String>,
    /// The commit that it was built from; none for most uploads.
    #[serde(default, deserialize_with = "lenient")]
    pub commit_ref: Option<Commit>,
    /// Whether it was created as a draft.
    #[serde(default, deserialize_with = "lenient")]
    pub draft: Option<bool>,
    /// Whether the site's publishing is stopped at this deploy.
    #[serde(default, deserialize_with = "lenient")]
    pub locked: Option<bool>,
    /// Whether Netlify decided that nothing had to be built.
    #[serde(default, deserialize_with = "lenient")]
    pub skipped: Option<bool>,
    /// Why it failed.
    #[serde(default, deserialize_with = "lenient")]
    pub error_message: Option<String>,
    /// SHA-1 digests that Netlify wants from us.
    #[serde(default, deserialize_with = "lenient")]
    pub required: Option<Vec<String>>,
    /// RFC 3339.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<String>,
    /// RFC 3339; none when it never was public.
    #[serde(default, deserialize_with = "lenient")]
    pub published_at: Option<String>,
    /// The site's public address.
    #[serde(default, deserialize_with = "lenient")]
    pub ssl_url: Option<String>,
    /// The address of this deploy alone, with TLS.
    #[serde(default, deserialize_with = "lenient")]
    pub deploy_ssl_url: Option<String>,
    /// The address of this deploy alone.
    #[serde(default, deserialize_with = "lenient")]
    pub deploy_url: Option<String>,
    /// Where a person can look at it.
    #[serde(default, deserialize_with = "lenient")]
    pub admin_url: Option<String>,
}

impl Deploy {
    /// See [`DeployState::is_ready`].
    pub fn is_ready(&self) -> bool {
        self.state.is_ready()
    }

    /// See [`DeployState::is_failed`].
    pub fn is_failed(&self) -> bool {
        self.state.is_failed()
    }

    /// The address under which this deploy alone answers.
    ///
    /// A provider on loopback has one address for everything and chooses by host name; such a name is made below `localhost`, and
    /// [`SiteAddress::permalink`](crate::service::SiteAddress::permalink) knows how to reach it.
    pub fn permalink(&self) -> Option<String> {
        let own = self.deploy_ssl_url.as_ref().or(self.deploy_url.as_ref())?;
        if self.ssl_url.as_ref() != Some(own) {
            return Some(own.clone());
        }
        let name = self.name.as_ref()?;
        Some(format!("http://{}--{name}.localhost", self.id))
    }
}

/// The site, as far as a release looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// Its name: the first part of its `netlify.app` host.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// Its public address.
    #[serde(default, deserialize_with = "lenient")]
    pub url: Option<String>,
    /// Its public address with TLS.
    #[serde(default, deserialize_with = "lenient")]
    pub ssl_url: Option<String>,
    /// Where a person can look at it.
    #[serde(default, deserialize_with = "lenient")]
    pub admin_url: Option<String>,
    /// What is public now.
    #[serde(default, deserialize_with = "lenient")]
    pub published_deploy: Option<Deploy>,
    /// How Netlify builds it, when it does.
    #[serde(default, deserialize_with = "or_default")]
    pub build_settings: BuildSettings,
    /// Whether production refuses deploys that no git push made.
    #[serde(default, deserialize_with = "lenient")]
    pub prevent_non_git_prod_deploys: Option<bool>,
}

impl Site {
    /// The id of what is public now.
    pub fn published_id(&self) -> Option<&DeployId> {
        self.published_deploy.as_ref().map(|deploy| &deploy.id)
    }

    /// Whether publishing is stopped: a finished deploy does not become public by itself.
    pub fn is_locked(&self) -> bool {
        self.published_deploy
            .as_ref()
            .and_then(|deploy| deploy.locked)
            .unwrap_or(false)
    }

    /// Whether a push to git makes Netlify build and publish by itself.
    pub fn builds_on_push(&self) -> bool {
        let settings = &self.build_settings;
        settings.repo_url.is_some() && !settings.stop_builds.unwrap_or(false)
    }
}

/// A site's tie to a git repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSettings {
    /// The repository.
    #[serde(default, deserialize_with = "lenient")]
    pub repo_url: Option<String>,
    /// The branch whose pushes are published.
    #[serde(default, deserialize_with = "lenient")]
    pub repo_branch: Option<String>,
    /// Whether builds are switched off.
    #[serde(default, deserialize_with = "lenient")]
    pub stop_builds: Option<bool>,
}

/// One file of the public deploy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct FileEntry {
    path: String,
    sha: String,
}

/// A page of deploys, newest first.
#[derive(Clone, Debug)]
pub struct DeployPage {
    /// The deploys.
    pub deploys: Vec<Deploy>,
    /// Whether older ones follow.
    pub has_next: bool,
}

/// The API's own maximum.
const PER_PAGE: usize = 100;
/// How far back a deploy is looked for: five pages, or several days of the 100 deploys a day that Netlify allows.
const SEARCH_PAGES_MAX: usize = 5;
/// Netlify's limit of 54,000 files in a folder, by pages.
const FILE_PAGES_MAX: usize = 600;
/// Longer lists are compared in the background, as Netlify's own client asks for.
const ASYNC_FILES_MIN: usize = 101;

/// One site through Netlify's API.
#[derive(Clone)]
pub struct Netlify<'a> {
    api: Api<'a>,
    site: SiteId,
}

impl<'a> Netlify<'a> {
    /// `api` has Netlify's base, `/api/v1` included.
    pub fn new(api: Api<'a>, site: SiteId) -> Self {
        Self { api, site }
    }

    /// The same site, no call lasting beyond `deadline_ms` of the monotonic clock.
    #[must_use]
    pub fn until(&self, deadline_ms: u64) -> Self {
        Self {
            api: self.api.until(deadline_ms),
            site: self.site.clone(),
        }
    }

    fn at(&self, rest: &str) -> String {
        format!("/sites/{}{rest}", url::segment(self.site.as_str()))
    }

    /// The site and what is public on it.
    ///
    /// # Errors
    /// When it cannot be read, or what answers is no site.
    pub fn site(&self) -> Result<Site, ApiError> {
        Ok(self.site_page()?.value)
    }

    /// As [`Netlify::site`], with the answer's headers.
    ///
    /// # Errors
    /// As for [`Netlify::site`].
    pub fn site_page(&self) -> Result<Page<Site>, ApiError> {
        self.api.get_page(&self.at(""))
    }

    /// The id of what is public now.
    ///
    /// # Errors
    /// As for [`Netlify::site`].
    pub fn published(&self) -> Result<Option<DeployId>, ApiError> {
        Ok(self.site()?.published_id().cloned())
    }

    /// Creates an empty deploy. Whether it is a draft is decided here and never again; with `branch` it is published under
    /// that name only.
    ///
    /// # Errors
    /// In doubt, [`Netlify::find_by_title`] tells whether it was created.
    pub fn create_deploy(
        &self,
        title: &str,
        draft: bool,
        branch: Option<&str>,
    ) -> Result<Deploy, ApiError> {
        let mut body = json!({"draft": draft});
        if let Some(branch) = branch {
            body["branch"] = json!(branch);
        }
        let path = self.at("/deploys") + &url::query(&[("title", title)]);
        let response = self.api.send_once(Method::POST, &path, Some(&body))?;
        self.api.decode(Method::POST, &path, &response)
    }

    /// Says which files the deploy consists of. While the answer [is preparing](DeployState::is_preparing), a long list is being
    /// compared and [`Netlify::deploy`] brings the `required` digests later.
    ///
    /// # Errors
    /// When the list was refused or no answer came.
    pub fn set_files(
        &self,
        deploy: &DeployId,
        files: &BTreeMap<String, String>,
        commit: Option<&Commit>,
    ) -> Result<Deploy, ApiError> {
        let in_background = files.len() >= ASYNC_FILES_MIN;
        let commit = commit.map(|commit| ("commit_ref", commit.as_str()));
        let path = self.deploy_path(deploy) + &url::query(commit.as_slice());
        // No `draft`: some clients send false here for drafts too, and creation alone decides.
        self.api
            .put_json(&path, &json!({"files": files, "async": in_background}))
    }

    /// Uploads one file; Netlify accepts it again and again.
    ///
    /// # Errors
    /// A rejection with status 422 means that the bytes are not those of the digest in the list.
    pub fn upload(&self, deploy: &DeployId, path: &str, bytes: Vec<u8>) -> Result<(), ApiError> {
        let path = format!(
            "/deploys/{}/files/{}",
            url::segment(deploy.as_str()),
            url::path(path)
        );
        self.api
            .put_idempotent(&path, bytes, "application/octet-stream", Limits::UPLOAD)?;
        Ok(())
    }

    fn deploy_path(&self, id: &DeployId) -> String {
        self.at(&format!("/deploys/{}", url::segment(id.as_str())))
    }

    /// One deploy.
    ///
    /// # Errors
    /// When it cannot be read; deploys are deleted by Netlify after 30 days or more.
    pub fn deploy(&self, id: &DeployId) -> Result<Deploy, ApiError> {
        self.api.get_json(&self.deploy_path(id))
    }

    /// A page of deploys, newest first; `page` counts from 1.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn list_deploys(&self, page: usize) -> Result<DeployPage, ApiError> {
        let (page, per_page) = (page.to_string(), PER_PAGE.to_string());
        let pairs = [("page", page.as_str()), ("per_page", &per_page)];
        let path = self.at("/deploys") + &url::query(&pairs);
        let page: Page<Vec<Deploy>> = self.api.get_page(&path)?;
        let has_next = page.has_next().unwrap_or(page.value.len() >= PER_PAGE);
        Ok(DeployPage {
            deploys: page.value,
            has_next,
        })
    }

    /// The newest deploy of that title.
    ///
    /// # Errors
    /// When the list cannot be read; that is never the same as "none".
    pub fn find_by_title(&self, title: &str) -> Result<Option<Deploy>, ApiError> {
        let mut seen = BTreeSet::new();
        for page in 1..=SEARCH_PAGES_MAX {
            let page = self.list_deploys(page)?;
            let found = page
                .deploys
                .iter()
                .find(|deploy| deploy.title.as_deref() == Some(title));
            if let Some(found) = found {
                return Ok(Some(found.clone()));
            }
            // A server that does not page sends the first page for ever.
            let brings_new = page
                .deploys
                .into_iter()
                .map(|deploy| seen.insert(deploy.id))
                .fold(false, |any, new| any | new);
            if !page.has_next || !brings_new {
                break;
            }
        }
        Ok(None)
    }

    /// Makes an existing deploy the public one, at once and without an upload.
    ///
    /// # Errors
    /// In doubt, [`Netlify::site`] tells what is public.
    pub fn restore(&self, id: &DeployId) -> Result<Deploy, ApiError> {
        self.act(&(self.deploy_path(id) + "/restore"))
    }

    /// Cancels a deploy that is not complete.
    ///
    /// # Errors
    /// In doubt, [`Netlify::deploy`] tells its state.
    pub fn cancel(&self, id: &DeployId) -> Result<Deploy, ApiError> {
        self.act(&format!("/deploys/{}/cancel", url::segment(id.as_str())))
    }

    fn act(&self, path: &str) -> Result<Deploy, ApiError> {
        let response = self.api.send_once(Method::POST, path, None)?;
        self.api.decode(Method::POST, path, &response)
    }

    /// The SHA-1 of every file that is public now, by path without a leading slash.
    ///
    /// # Errors
    /// When the list cannot be read to its end.
    pub fn site_files(&self) -> Result<BTreeMap<String, String>, ApiError> {
        let mut files = BTreeMap::new();
        for page in 1..=FILE_PAGES_MAX {
            let path = self.at("/files")
                + &url::query(&[
                    ("page", &page.to_string()),
                    ("per_page", &PER_PAGE.to_string()),
                ]);
            let answer: Page<Vec<FileEntry>> = self.api.get_page(&path)?;
            let has_next = answer.has_next();
            let known = files.len();
            files.extend(
                answer
                    .value
                    .into_iter()
                    .map(|file| (file.path.trim_start_matches('/').to_owned(), file.sha)),
            );
            if has_next == Some(false) || files.len() == known {
                return Ok(files);
            }
        }
        Err(self.api.incomplete(
            Method::GET,
            &self.at("/files"),
            "its list of files has no end",
        ))
    }
}

#[cfg(test)]
mod tests;
