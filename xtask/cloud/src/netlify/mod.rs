//! The Netlify half: one site, its deploys, and the API that changes them.

mod deploys;
mod files;
mod json;
mod machine;
mod routes;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{IdSource, SiteDeployId};

pub(crate) use machine::{advance, next_event_ms};
pub(crate) use routes::handle;

/// Deploys kept beside the published one, as the provider deletes old ones too.
const DEPLOYS_KEPT: usize = 60;

/// A deploy's progress, in the provider's words.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeployState {
    New,
    Preparing,
    Prepared,
    Uploading,
    Uploaded,
    Processing,
    Processed,
    Ready,
    Error,
}

impl DeployState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Preparing => "preparing",
            Self::Prepared => "prepared",
            Self::Uploading => "uploading",
            Self::Uploaded => "uploaded",
            Self::Processing => "processing",
            Self::Processed => "processed",
            Self::Ready => "ready",
            Self::Error => "error",
        }
    }

    pub(crate) const fn is_terminal(self) -> bool {
        matches!(self, Self::Ready | Self::Error)
    }
}

/// One deploy of the site.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct SiteDeploy {
    pub(crate) id: SiteDeployId,
    pub(crate) state: DeployState,
    /// Decided when the deploy is created, whatever later calls say.
    pub(crate) draft: bool,
    /// An alias; such a deploy is never published by itself.
    pub(crate) branch: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) commit_ref: Option<String>,
    pub(crate) framework: Option<String>,
    pub(crate) error_message: Option<String>,
    pub(crate) skew_token: String,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    pub(crate) published_ms: Option<i64>,
    /// Paths with a leading slash, and the SHA-1 of their content.
    pub(crate) files: BTreeMap<String, String>,
    /// Digests the store lacks.
    pub(crate) required: BTreeSet<String>,
    /// When the current state gives way to the next by itself.
    pub(crate) due_ms: Option<i64>,
}

impl SiteDeploy {
    /// What the platform calls the deploy's purpose.
    pub(crate) const fn context(&self) -> &'static str {
        match (self.draft, &self.branch) {
            (true, _) => "deploy-preview",
            (false, Some(_)) => "branch-deploy",
            (false, None) => "production",
        }
    }
}

/// The site and everything that belongs to it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct SiteState {
    pub(crate) id: String,
    pub(crate) account_id: String,
    pub(crate) user_id: String,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    /// Oldest first.
    pub(crate) deploys: Vec<SiteDeploy>,
    pub(crate) published: Option<SiteDeployId>,
    /// Every deploy that was ever published, in that order.
    pub(crate) published_before: Vec<SiteDeployId>,
    /// "Stop auto publishing".
    pub(crate) locked: bool,
}

impl SiteState {
    pub(crate) fn new(ids: &mut IdSource, now_ms: i64) -> Self {
        Self {
            id: ids.uuid(),
            account_id: ids.hex(24),
            user_id: ids.hex(24),
            created_ms: now_ms,
            updated_ms: now_ms,
            deploys: Vec::new(),
            published: None,
            published_before: Vec::new(),
            locked: false,
        }
    }

    pub(crate) fn deploy(&self, id: &str) -> Option<&SiteDeploy> {
        self.deploys.iter().find(|d| d.id.as_str() == id)
    }

    pub(crate) fn deploy_mut(&mut self, id: &str) -> Option<&mut SiteDeploy> {
        self.deploys.iter_mut().find(|d| d.id.as_str() == id)
    }

    pub(crate) fn published_deploy(&self) -> Option<&SiteDeploy> {
        self.published
            .as_ref()
            .and_then(|id| self.deploy(id.as_str()))
    }

    /// The newest deploy of a branch that can be fetched.
    pub(crate) fn branch_deploy(&self, branch: &str) -> Option<&SiteDeploy> {
        self.deploys.iter().rev().find(|d| {
            d.branch.as_deref() == Some(branch)
                && matches!(d.state, DeployState::Processed | DeployState::Ready)
        })
    }

    /// Makes `id` what the public sees.
    pub(crate) fn publish(&mut self, now_ms: i64, id: &SiteDeployId) {
        if let Some(deploy) = self.deploy_mut(id.as_str()) {
            deploy.published_ms = Some(now_ms);
            deploy.updated_ms = now_ms;
        }
        if self.published.as_ref() != Some(id) {
            self.published_before
                .extend(self.published.replace(id.clone()));
        }
        self.updated_ms = now_ms;
    }

    /// Drops the oldest deploys beyond the number kept, never the published one.
    fn prune(&mut self) {
        while self.deploys.len() > DEPLOYS_KEPT {
            let Some(at) = self
                .deploys
                .iter()
                .position(|d| Some(&d.id) != self.published.as_ref())
            else {
                return;
            };
            let gone = self.deploys.remove(at).id;
            self.published_before.retain(|id| *id != gone);
        }
    }
}
