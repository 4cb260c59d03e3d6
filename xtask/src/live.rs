//! The record of what is live: what a release leaves on its ref, and what the next one starts from.

use crate::changes::manifest::Manifest;
use crate::contract::Contract;
use crate::ids::{Commit, DeployId, EnvironmentName, Lane, Oid, ReleaseId, RunId};
use crate::refs::{Files, RefValue};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The name of the file that holds the record.
const RECORD_FILE: &str = "release.json";
/// The name of the file that says what was sent of the site.
const SENT_FILE: &str = "frontend.sent";

/// What a site consists of: the path of each file with the SHA-1 of its content.
pub type Sent = BTreeMap<String, String>;

/// What is live of one lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveLane {
    /// The commit that it was built from.
    pub commit: Commit,
    /// The provider's id.
    pub deploy_id: DeployId,
    /// The release that put it there.
    pub release: ReleaseId,
    /// Digest of its manifest.
    pub digest: String,
    /// The branches of the origin that held the commit when it was released.
    #[serde(default)]
    pub branches: Vec<String>,
    /// What the service is judged by as long as this is live; none for a site, and in records of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
}

/// What is live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRecord {
    /// The newest release.
    pub release: ReleaseId,
    /// The run that made it.
    pub run: RunId,
    /// `deploy` or `rollback`.
    pub command: String,
    /// The commit that was released.
    pub commit: Commit,
    /// First line of its message.
    pub subject: String,
    /// Wall clock, milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// Who or what released it.
    pub by: String,
    /// The lanes that are live.
    pub lanes: BTreeMap<Lane, LiveLane>,
    /// Migrations that the release brought.
    pub migrations: Vec<String>,
    /// Those of them on which the release before it cannot run.
    #[serde(default)]
    pub breaking: Vec<String>,
    /// A recorded override.
    #[serde(default)]
    pub override_reason: Option<String>,
    /// The failed release that was undone, when that is what was done by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_of: Option<ReleaseId>,
    /// Lanes that are of another release than the newest one had: `rollback --only` brought them back.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub others: BTreeSet<Lane>,
}

/// The record, the manifests beside it, and the ref's commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The ref's commit: what the next compare-and-swap expects.
    pub oid: Oid,
    /// The record.
    pub record: LiveRecord,
    /// What each lane consists of.
    pub manifests: BTreeMap<Lane, Manifest>,
    /// The files of the site that were sent, without the one that names the release; none in records of older versions.
    pub sent: Option<Sent>,
}

/// `, with the frontend of …` for each of them.
pub fn with(others: &BTreeMap<Lane, ReleaseId>) -> String {
    others
        .iter()
        .map(|(lane, release)| format!(", with the {lane} of {release}"))
        .collect()
}

/// The ref that says what is live.
pub fn live_ref(environment: &EnvironmentName) -> String {
    format!("refs/tandem/{environment}/live")
}

/// The ref that says who may change it.
pub fn lease_ref(environment: &EnvironmentName) -> String {
    format!("refs/tandem/{environment}/lease")
}

/// The ref that says which run held the lease last, and how far it came.
pub fn run_ref(environment: &EnvironmentName) -> String {
    format!("refs/tandem/{environment}/run")
}

impl LiveRecord {
    /// What the recorded service is judged by: the contract that it was released with.
    pub fn contract(&self) -> Option<&Contract> {
        self.lanes.get(&Lane::Backend)?.contract.as_ref()
    }

    /// What was done, in the words of a list of releases.
    pub fn title(&self) -> String {
        if let Some(failed) = &self.undo_of {
            return format!("undo of {failed}");
        }
        let others = self.with_others();
        match self.command.as_str() {
            "deploy" => format!("{}{others}", self.subject),
            command => format!("{} ({command}{others})", self.subject),
        }
    }

    /// `, with the frontend of …`: what of another release stands beside the newest one; empty as a rule.
    pub fn with_others(&self) -> String {
        with(&self.releases_beside())
    }

    /// The lanes of [`Self::others`] and the releases that they are of.
    pub fn releases_beside(&self) -> BTreeMap<Lane, ReleaseId> {
        let release = |lane: &Lane| Some((*lane, self.lanes.get(lane)?.release.clone()));
        self.others.iter().filter_map(release).collect()
    }

    /// Reads the record alone.
    ///
    /// # Errors
    /// When it is not one that this program understands.
    pub fn parse(value: &RefValue) -> Result<Self> {
        let text = value
            .files
            .get(RECORD_FILE)
            .with_context(|| format!("the live record {} has no {RECORD_FILE}", value.oid))?;
        serde_json::from_slice(text).with_context(|| format!("read the live record {}", value.oid))
    }
}

impl Live {
    /// Reads what the ref holds.
    ///
    /// # Errors
    /// When it is not a record that this program understands.
    pub fn parse(mut value: RefValue) -> Result<Self> {
        let record = LiveRecord::parse(&value)?;
        let manifests = Lane::ALL
            .into_iter()
            .filter_map(|lane| {
                // A manifest that cannot be read is as good as none: the lane runs.
                let manifest = Manifest::decode(value.files.remove(&manifest_file(lane))?).ok()?;
                Some((lane, manifest))
            })
            .collect();
        let sent = value.files.remove(SENT_FILE);
        Ok(Self {
            oid: value.oid,
            record,
            manifests,
            sent: sent.and_then(|text| serde_json::from_slice(&text).ok()),
        })
    }
}

/// The files of the ref's next commit.
///
/// # Errors
/// When the record cannot be written as JSON, which would be a fault of this program.
pub fn files(
    record: &LiveRecord,
    manifests: &BTreeMap<Lane, Manifest>,
    sent: Option<&Sent>,
) -> Result<Files> {
    let mut files = Files::new();
    files.insert(RECORD_FILE.to_owned(), serde_json::to_vec_pretty(record)?);
    if let Some(sent) = sent {
        files.insert(SENT_FILE.to_owned(), serde_json::to_vec_pretty(sent)?);
    }
    for (lane, manifest) in manifests {
        files.insert(manifest_file(*lane), manifest.encode());
    }
    Ok(files)
}

fn manifest_file(lane: Lane) -> String {
    format!("{lane}.manifest")
}
