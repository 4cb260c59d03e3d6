//! The two lanes' settings: which files make a lane run, how it is built, and what its provider is told.

use super::rule::Rule;
use super::smoke::Smoke;
use crate::changes::filter::Quantifier;
use crate::contract::{Contract, Place, Rung, Told};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The static site.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Frontend {
    /// Required. Changes to files matching these make the lane run.
    pub paths: Vec<Rule>,
    /// How many of the patterns a file must match. Default: `some`.
    pub quantifier: Quantifier,
    /// Patterns of files that pin the tools it is built with; the lane also runs for these. Default: the usual names, when there is a build command.
    pub toolchain: Option<Vec<String>>,
    /// Names of variables that its build reads; the lane runs when one is added or taken away. Default: none.
    pub variables: Vec<String>,
    /// Required. The folder that is published, relative to the repository's root.
    pub publish: String,
    /// The command that fills the publish folder, run by `sh -c`. Default: none, the folder is published as it is.
    pub build: Option<String>,
    /// Seconds before the build is stopped and counts as failed. Default: 900.
    pub build_timeout_s: u64,
    /// Patterns, relative to the publish folder, of files that are not published. Default: none.
    pub exclude: Vec<String>,
    /// A file that must be in the publish folder. Default: `index.html`.
    pub entry: String,
    /// A deploy that would remove more than this share of the live files is refused: in percent, 0 to 100. Default: 50.
    pub shrink_max_percent: u32,
    /// Looks from outside after it was published. Default: none.
    pub smoke: Vec<Smoke>,
}

impl Default for Frontend {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            quantifier: Quantifier::default(),
            toolchain: None,
            variables: Vec::new(),
            publish: String::new(),
            build: None,
            build_timeout_s: 900,
            exclude: Vec::new(),
            entry: "index.html".to_owned(),
            shrink_max_percent: 50,
            smoke: Vec::new(),
        }
    }
}

/// The service and its database.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backend {
    /// Required. Changes to files matching these make the lane run.
    pub paths: Vec<Rule>,
    /// How many of the patterns a file must match. Default: `some`.
    pub quantifier: Quantifier,
    /// Patterns of files that pin the tools it is built with; the lane also runs for these. Default: the usual names.
    pub toolchain: Option<Vec<String>>,
    /// Names of variables that it needs and whose values only the provider holds; the lane runs when one is added or taken away. Default: none.
    pub variables: Vec<String>,
    /// The provider's runtime, whose toolchain the build command finds. Default: `rust`.
    pub runtime: String,
    /// Required. The provider's build command.
    pub build: String,
    /// Required. The provider's start command.
    pub start: String,
    /// Where the service reports its health. Default: `/api/health`.
    pub health: String,
    /// Where it reports its commit and schema. Default: `/api/version`.
    pub version: Option<String>,
    /// What proves which release answers. Default: `commit` when `version`, `commit_field` or `commit_header` is written; else the
    /// commit where the service tells it in a place that this program knows, and the provider's word where it does not.
    pub identity: Option<IdentityProof>,
    /// The field of the JSON answer at `version` that holds the commit; dots lead into objects. Default: `commit`.
    pub commit_field: Option<String>,
    /// The header of the answer at `version` that holds the commit, instead of a field. Default: none.
    pub commit_header: Option<String>,
    /// The parent of its administration endpoints. Default: `/api/admin`.
    pub admin: String,
    /// The folder of SQL migrations, relative to the repository's root. Default: none, the service has no database of ours.
    pub migrations: Option<String>,
    /// The disk that outlives deploys. Default: none.
    pub disk: Option<Disk>,
    /// Environment of the service, credentials not among it. Default: empty.
    pub env: BTreeMap<String, String>,
    /// The provider's plan. Default: `starter`, the smallest that may have a disk.
    pub plan: String,
    /// The provider's region, fixed once the service exists. Default: `oregon`, as the provider's.
    pub region: String,
    /// Seconds between SIGTERM and SIGKILL, 1 to 300. Default: 30, as the provider's.
    pub max_shutdown_delay_s: u64,
    /// How the local cloud runs the service where that differs.
    pub local: LocalService,
    /// Data to rehearse migrations on.
    pub rehearse: Rehearse,
    /// Looks from outside at the new process, before the frontend is published. Default: none.
    pub smoke: Vec<Smoke>,
}

impl Default for Backend {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            quantifier: Quantifier::default(),
            toolchain: None,
            variables: Vec::new(),
            runtime: "rust".to_owned(),
            build: String::new(),
            start: String::new(),
            health: "/api/health".to_owned(),
            version: None,
            identity: None,
            commit_field: None,
            commit_header: None,
            admin: "/api/admin".to_owned(),
            migrations: None,
            disk: None,
            env: BTreeMap::new(),
            plan: "starter".to_owned(),
            region: "oregon".to_owned(),
            max_shutdown_delay_s: 30,
            local: LocalService::default(),
            rehearse: Rehearse::default(),
            smoke: Vec::new(),
        }
    }
}

/// What proves which release of the service answers, from the strongest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityProof {
    /// The answer names the released commit.
    Commit,
    /// The provider says that this deploy of this commit is live, and the service answers, healthy.
    Provider,
    /// It answers, healthy; which release that is stays unproven.
    Answers,
}

/// A disk that outlives deploys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// Required. Its name at the provider.
    pub name: String,
    /// Required. Absolute path under which the service sees it.
    pub mount_path: String,
    /// Required. Gigabytes, at least 1; a disk can grow and never shrink.
    pub size_gb: u32,
}

/// How the local cloud runs the service where that differs from the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalService {
    /// The build command. Default: `backend.build`.
    pub build: Option<String>,
    /// The start command. Default: `backend.start`.
    pub start: Option<String>,
    /// What starting needs of the built tree: files, whole folders, or patterns, relative to the repository's root. Default: every tracked file.
    pub artifacts: Vec<String>,
    /// Folders shared between builds, relative to the repository's root. Default: none.
    pub cache: Vec<String>,
    /// Environment added to `backend.env`, winning over it. Default: empty.
    pub env: BTreeMap<String, String>,
}

/// Data to rehearse migrations on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rehearse {
    /// A command that writes a copy of the live database to the file that `$REHEARSAL_DATABASE` names, run by `sh -c` without
    /// our credentials. Default: none, only the live schema is rehearsed on.
    pub source: Option<String>,
    /// Seconds before it is stopped. Default: 900.
    pub timeout_s: u64,
}

impl Default for Rehearse {
    fn default() -> Self {
        Self {
            source: None,
            timeout_s: 900,
        }
    }
}

impl Backend {
    /// Where the service reports its commit and schema.
    pub fn version_path(&self) -> &str {
        self.version.as_deref().unwrap_or("/api/version")
    }

    /// Whether the file leaves it to this program to find out where the service tells its commit, if it does at all.
    pub fn detects_identity(&self) -> bool {
        self.identity.is_none()
            && self.version.is_none()
            && self.commit_field.is_none()
            && self.commit_header.is_none()
    }

    /// What the service is judged by, as far as the file says.
    pub fn contract(&self) -> Contract {
        let commit = || {
            let place = match (&self.commit_header, &self.commit_field) {
                (Some(header), _) => Place::Header(header.clone()),
                (None, field) => Place::Field(field.as_deref().unwrap_or("commit").to_owned()),
            };
            Rung::Commit(Told {
                path: self.version_path().to_owned(),
                place,
            })
        };
        Contract {
            health: self.health.clone(),
            version: self.version_path().to_owned(),
            admin: self.admin.clone(),
            rung: match self.identity {
                Some(IdentityProof::Commit) => commit(),
                Some(IdentityProof::Provider) => Rung::Provider,
                Some(IdentityProof::Answers) => Rung::Answers,
                None if self.detects_identity() => Rung::Provider,
                None => commit(),
            },
        }
    }

    /// The build command of the local cloud.
    pub fn local_build(&self) -> &str {
        self.local.build.as_deref().unwrap_or(&self.build)
    }

    /// The start command of the local cloud.
    pub fn local_start(&self) -> &str {
        self.local.start.as_deref().unwrap_or(&self.start)
    }

    /// The service's environment in the local cloud.
    pub fn local_env(&self) -> BTreeMap<String, String> {
        let mut env = self.env.clone();
        env.extend(self.local.env.clone());
        env
    }
}
