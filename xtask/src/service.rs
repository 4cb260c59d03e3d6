//! What really answers: the running service and the public site, asked from outside as any visitor asks.
//!
//! A provider's "live" says that a process runs. Only the address itself can say which commit answers there, and how it is.

use crate::changes::manifest::hex;
use crate::contract::{self, Contract, Rung, Told, is_page, is_same};
use crate::http::{Api, ApiError, excerpt, url};
use crate::ids::Commit;
use crate::redact::Secret;
use crate::world::{Limits, Response, SendError, SendErrorKind, World};
use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

/// Redirects that a health probe follows, all on the same site.
const REDIRECTS_MAX: usize = 3;
/// A service that sleeps when it is idle may take a minute for its first answer, by the provider's own words.
const WAKING: Limits = Limits {
    timeout: Duration::from_secs(75),
    body_bytes: 1 << 20,
};
/// Applying migrations to a large table takes minutes, and must not look like a fault of the network.
const MIGRATE: Limits = Limits {
    timeout: Duration::from_secs(300),
    body_bytes: 1 << 20,
};
/// One look at a small public file, its retries included.
const FILE_LOOK: Duration = Duration::from_secs(20);
/// The slowest line on which a file is still waited for: 2 megabits per second, in bytes per millisecond.
const FILE_SPEED_MIN: u64 = 256;

/// Who answers at an address, judged against the commit that should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Healthy, and the commit that was expected, as far as the contract proves it.
    Ours {
        /// What a person should know all the same: degraded, low disk, a cached answer.
        warning: Option<String>,
    },
    /// Healthy, but another commit.
    Other(Commit),
    /// Healthy, but it does not say which commit it is, for this reason.
    NoVersion(String),
    /// It answers, but not as a healthy service does.
    Unhealthy {
        /// HTTP status.
        status: u16,
        /// What it said.
        text: String,
    },
    /// Something else answers there: no such path, a page for people, another site.
    Elsewhere(String),
    /// Somebody stands before it and wants to know who asks: nothing is known about the service.
    AuthWall,
    /// No answer.
    Away(String),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours { warning: None } => f.write_str("the expected commit answers, healthy"),
            Self::Ours {
                warning: Some(warning),
            } => write!(f, "the expected commit answers, healthy, but {warning}"),
            Self::Other(commit) => write!(f, "{} answers, healthy", commit.short()),
            Self::NoVersion(why) => write!(f, "it answers, healthy, but {why}"),
            Self::Elsewhere(what) => f.write_str(what),
            Self::Unhealthy { status, text } if text.is_empty() => {
                write!(f, "the health check answers {status}")
            }
            Self::Unhealthy { status, text } => {
                write!(f, "the health check answers {status}: {text}")
            }
            Self::AuthWall => f.write_str("the health check asks for a login"),
            Self::Away(text) => write!(f, "nothing answers: {text}"),
        }
    }
}

/// What the service's version address tells.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// The commit that runs, when it tells.
    #[serde(default)]
    pub commit: Option<Commit>,
    /// Its schema, when it tells.
    #[serde(default)]
    pub schema: Option<SchemaVersion>,
}

/// How far a schema is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct SchemaVersion {
    /// The number of applied migrations.
    #[serde(default)]
    pub generation: u64,
    /// The file name of the last one.
    #[serde(default)]
    pub latest: Option<String>,
}

/// What `state` below the administration path tells: everything about the database but its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminState {
    /// The commit that runs; not every service knows it.
    #[serde(default)]
    pub commit: Option<Commit>,
    /// The live schema.
    pub schema: AdminSchema,
    /// Applied migrations, oldest first.
    pub history: Vec<Applied>,
    /// File names that the running binary carries and has not applied.
    #[serde(default)]
    pub pending: Vec<String>,
    /// The version of the SQLite library in the service.
    #[serde(default)]
    pub sqlite_version: Option<String>,
    /// The disk that holds the database.
    #[serde(default)]
    pub disk: Option<DiskSpace>,
    /// Backups on that disk.
    #[serde(default)]
    pub backups: Vec<Backup>,
}

/// A schema as SQLite keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminSchema {
    /// The number of applied migrations.
    pub generation: u64,
    /// Every table, index, trigger and view.
    #[serde(default)]
    pub definitions: Vec<Definition>,
}

/// One row of `sqlite_schema`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// `table`, `index`, `trigger` or `view`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The table that it belongs to.
    pub table: String,
    /// The statement that made it; none for indexes that SQLite makes itself.
    #[serde(default)]
    pub sql: Option<String>,
}

/// One applied migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its file name.
    pub filename: String,
    /// When, as the database wrote it.
    #[serde(default)]
    pub executed_at: Option<String>,
    /// Digest of the file; none for rows that an older tool wrote.
    #[serde(default)]
    pub checksum: Option<String>,
    /// Whether the release before it runs on the schema after it; none when nobody judged.
    #[serde(default)]
    pub compatible: Option<bool>,
}

/// Room on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// Where it is mounted, or a path on it.
    #[serde(default)]
    pub path: Option<String>,
    /// What is left.
    pub free_bytes: u64,
    /// What there is.
    pub total_bytes: u64,
}

/// One backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Its file name.
    pub name: String,
    /// Its size.
    #[serde(default)]
    pub size_bytes: Option<u64>,
    /// When it was made, as the service wrote it.
    #[serde(default)]
    pub created_at: Option<String>,
    /// How old it is, in seconds by the service's own clock.
    #[serde(default)]
    pub age_s: Option<u64>,
}

/// What became of migrations that were to be applied: the shape of `migrate --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrated {
    /// `applied`, `up_to_date`, `pending`, `refused` or `failed`.
    pub outcome: String,
    /// File names.
    #[serde(default)]
    pub applied: Vec<String>,
    /// File names.
    #[serde(default)]
    pub pending: Vec<String>,
    /// The backup that was made before.
    #[serde(default)]
    pub backup: Option<String>,
    /// Why it did not work.
    #[serde(default)]
    pub error: Option<MigrateError>,
}

/// Where and why a migration failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrateError {
    /// File name.
    #[serde(default)]
    pub file: Option<String>,
    /// From 1.
    #[serde(default)]
    pub line: Option<u64>,
    /// From 1.
    #[serde(default)]
    pub column: Option<u64>,
    /// The statement.
    #[serde(default)]
    pub statement: Option<String>,
    /// What the database said.
    pub message: String,
}

/// A public file as a visitor gets it.
#[derive(Clone, Debug)]
pub struct PublicFile {
    /// HTTP status.
    pub status: u16,
    /// SHA-1 of the body in lower-case hexadecimal digits, as manifests have it.
    pub sha1: String,
    /// Bytes of the body.
    pub size: u64,
    /// How long a cache on the way has held it, in seconds.
    pub age_s: Option<u64>,
    /// The body's beginning.
    pub body: Vec<u8>,
    /// The headers.
    pub headers: HeaderMap,
}

/// Where a site, or one deploy of it, answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteAddress {
    url: String,
    host: Option<String>,
}

impl SiteAddress {
    /// The public site.
    pub fn public(site_url: &str) -> Self {
        Self {
            url: site_url.to_owned(),
            host: None,
        }
    }

    /// One deploy. Names below `localhost` do not resolve everywhere: such a permalink is asked for by name at the site's own address.
    pub fn permalink(site_url: &str, permalink: &str) -> Self {
        let host = url::authority(permalink);
        if host
            .split(':')
            .next()
            .is_some_and(|name| name.ends_with(".localhost"))
        {
            return Self {
                url: site_url.to_owned(),
                host: Some(host),
            };
        }
        Self::public(permalink)
    }
}

impl fmt::Display for SiteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => write!(f, "{host} at {}", self.url),
            None => f.write_str(&self.url),
        }
    }
}

/// How long so many bytes may take to come.
pub fn transfer_time(size_bytes: u64) -> Duration {
    Duration::from_millis(size_bytes / FILE_SPEED_MIN)
}

/// Fetches a public file past all caches. No redirect is followed. Its content is not kept, whatever its size; `keep` is called
/// while it comes.
///
/// # Errors
/// When no answer came within the time that `size_bytes`, which are expected, may take. A status such as 404 is an answer.
pub fn site_file(
    world: &dyn World,
    address: &SiteAddress,
    path: &str,
    size_bytes: u64,
    keep: &dyn Fn(),
) -> Result<PublicFile, ApiError> {
    let bust = format!("{:016x}", world.random());
    let path = format!("/{}{}", url::path(path), url::query(&[("tandem", &bust)]));
    let mut headers = vec![("accept", "*/*"), ("cache-control", "no-cache")];
    headers.extend(address.host.as_deref().map(|host| ("host", host)));
    let timeout = FILE_LOOK + transfer_time(size_bytes);
    // The caller looks again anyway: a look that fails must end before the caller's patience does.
    let until_ms = world.now().mono_ms + u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    let limits = Limits {
        timeout,
        // The time bounds it.
        body_bytes: u64::MAX,
    };
    let read = RefCell::new((Sha1::new(), 0));
    let response = Api::new(world, "the site", &address.url, None)
        .until(until_ms)
        .get_pieces(&path, &headers, limits, || {
            read.replace((Sha1::new(), 0));
            |piece: &[u8]| {
                let (hash, size) = &mut *read.borrow_mut();
                hash.update(piece);
                *size += piece.len() as u64;
                keep();
            }
        })?;
    let (head, body) = response.into_parts();
    let (hash, size) = read.into_inner();
    let age_s = age_s(&head.headers);
    Ok(PublicFile {
        status: head.status.as_u16(),
        sha1: hex(&hash.finalize()),
        size,
        age_s,
        body,
        headers: head.headers,
    })
}

/// Asks a path as a visitor does, past all caches, once and not again. No redirect is followed.
///
/// # Errors
/// When no answer came. A status such as 404 is an answer.
pub fn ask(world: &dyn World, address: &SiteAddress, path: &str) -> Result<PublicFile, SendError> {
    /// An answer that takes longer is none.
    const LOOK: Limits = Limits {
        timeout: Duration::from_secs(8),
        body_bytes: 8 << 20,
    };
    let separator = if path.contains('?') { '&' } else { '?' };
    let uri = format!(
        "{}{path}{separator}tandem={:016x}",
        address.url.trim_end_matches('/'),
        world.random()
    );
    let mut request = http::Request::builder()
        .uri(&uri)
        .header("accept", "*/*")
        .header("cache-control", "no-cache")
        .header("user-agent", concat!("tandem/", env!("CARGO_PKG_VERSION")));
    if let Some(host) = &address.host {
        request = request.header("host", host);
    }
    let request = request.body(Vec::new()).map_err(|error| SendError {
        kind: SendErrorKind::NotSent,
        text: format!("{uri} is no address: {error}"),
    })?;
    let (head, body) = world.send(&request, LOOK)?.into_parts();
    Ok(PublicFile {
        status: head.status.as_u16(),
        sha1: hex(&Sha1::digest(&body)),
        size: body.len() as u64,
        age_s: age_s(&head.headers),
        body,
        headers: head.headers,
    })
}

/// The address on which a service answers.
#[derive(Clone)]
pub struct Service<'a> {
    api: Api<'a>,
    version_path: String,
    admin_path: String,
    contract: Contract,
}

impl<'a> Service<'a> {
    /// `url` is the root: `https://name.onrender.com`. The paths are those of the contract.
    pub fn new(world: &'a dyn World, url: &str, contract: &Contract) -> Self {
        let rooted = |path: &str| format!("/{}", path.trim_matches('/'));
        Self {
            api: Api::new(world, "the service", url, None),
            version_path: rooted(&contract.version),
            admin_path: rooted(&contract.admin),
            contract: contract.clone(),
        }
    }

    /// The same address, no call lasting beyond `deadline_ms` of the monotonic clock.
    #[must_use]
    pub fn until(&self, deadline_ms: u64) -> Self {
        Self {
            api: self.api.until(deadline_ms),
            ..self.clone()
        }
    }

    /// Looks once who answers, and how it is. A look is never repeated here: the caller counts looks.
    pub fn identity(&self, expected: &Commit) -> Identity {
        let health = match self.ask(&self.contract.health, Limits::PROBE) {
            Ok(health) => health,
            Err(identity) => return identity,
        };
        let warning = match self.judge(&health) {
            Ok(warning) => warning,
            Err(identity) => return identity,
        };
        let said = match &self.contract.rung {
            Rung::Commit(told) if told.path == self.contract.health => told.read(&health.1),
            Rung::Commit(told) => match self.ask(&told.path, Limits::PROBE) {
                Ok((_, response)) => told.read(&response),
                Err(silent) => return silent,
            },
            // Nothing in the answer proves anything, but a whole commit id that is not ours disproves.
            Rung::Provider | Rung::Answers => match self.contradiction(&health.1, expected) {
                Some(other) => return Identity::Other(other),
                None => return Identity::Ours { warning },
            },
        };
        match said {
            Ok(commit) if is_same(&commit, expected) => Identity::Ours { warning },
            Ok(commit) => Identity::Other(commit),
            Err(why) => Identity::NoVersion(why),
        }
    }

    fn contradiction(&self, health: &Response, expected: &Commit) -> Option<Commit> {
        let places = self.contract.usual_places();
        let mut said = places
            .iter()
            .filter(|told| told.path == self.contract.health)
            .filter_map(|told| told.read(health).ok());
        said.find(|commit| contract::is_whole(commit) && !is_same(commit, expected))
    }

    /// Where the service tells the commit that it should be, of the places where services usually do; none when in none of them.
    pub fn tells(&self, expected: &Commit) -> Option<Told> {
        let mut asked: Vec<(String, Option<Response>)> = Vec::new();
        self.contract.usual_places().into_iter().find(|told| {
            if !asked.iter().any(|(path, _)| *path == told.path) {
                let answer = self.ask(&told.path, Limits::PROBE).ok();
                asked.push((told.path.clone(), answer.map(|(_, response)| response)));
            }
            let answer = asked.iter().find(|(path, _)| *path == told.path);
            answer
                .and_then(|(_, response)| told.read(response.as_ref()?).ok())
                .is_some_and(|commit| is_same(&commit, expected))
        })
    }

    /// Asks a service that may be asleep, and waits as long as waking takes. What it answers is for [`Service::identity`] to judge.
    pub fn wake(&self) {
        let _only_to_wake_it = self.ask(&self.contract.health, WAKING);
    }

    fn ask(&self, path: &str, limits: Limits) -> Result<(String, Response), Identity> {
        let address = format!("{}/{}", self.api.base(), path.trim_start_matches('/'));
        self.look(&address, limits)
    }

    /// Reads an address, following redirects on the same site. Gives the address that answered in the end.
    fn look(&self, address: &str, limits: Limits) -> Result<(String, Response), Identity> {
        let mut address = address.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            let response = probe(self.api.world(), &address, limits)
                .map_err(|error| Identity::Away(excerpt(&error.text)))?;
            let status = response.status().as_u16();
            if !(300..400).contains(&status) || status == 304 {
                return Ok((address, response));
            }
            let location = response
                .headers()
                .get("location")
                .and_then(|value| value.to_str().ok());
            let Some(target) = location.and_then(|location| url::resolve(&address, location))
            else {
                return Err(Identity::Unhealthy {
                    status,
                    text: "redirected without saying where to".to_owned(),
                });
            };
            if !url::same_site(&address, &target) {
                return Err(Identity::Elsewhere(format!(
                    "{} redirects to another site, {}",
                    without_query(&address),
                    url::authority(&target)
                )));
            }
            address = target;
        }
        Err(Identity::Unhealthy {
            status: 302,
            text: format!("redirected more than {REDIRECTS_MAX} times"),
        })
    }

    /// Judges a health answer by its status and its body: a warning when it is well.
    fn judge(&self, (address, response): &(String, Response)) -> Result<Option<String>, Identity> {
        let status = response.status().as_u16();
        let text = String::from_utf8_lossy(response.body());
        let asked = excerpt(without_query(address));
        match status {
            401 | 403 | 407 => return Err(Identity::AuthWall),
            200..300 => {}
            404 | 405 | 410 => {
                return Err(Identity::Elsewhere(format!("{asked} answers {status}")));
            }
            _ => {
                let text = excerpt(&text);
                return Err(Identity::Unhealthy { status, text });
            }
        }
        // A service whose health is its front page answers with one.
        if is_page(response) && self.contract.health != "/" {
            return Err(Identity::Elsewhere(format!(
                "a page for people answers at {asked}"
            )));
        }
        let body = serde_json::from_slice::<Value>(response.body()).unwrap_or_default();
        if let Some(text) = complaint(&body) {
            return Err(Identity::Unhealthy { status, text });
        }
        let aged = age_s(response.headers()).filter(|age_s| *age_s > 0);
        let remarks: Vec<String> = remark(&body)
            .into_iter()
            .chain(aged.map(|age_s| format!("a cache answered, {age_s} s old")))
            .collect();
        Ok((!remarks.is_empty()).then(|| remarks.join("; ")))
    }

    /// Which commit runs, and on which schema.
    ///
    /// # Errors
    /// When the service does not answer, or not as ours does.
    pub fn version(&self) -> Result<Version, ApiError> {
        self.api.get_json(&self.version_path)
    }

    /// The database's state.
    ///
    /// # Errors
    /// [`ApiError::NotFound`] also when the service has no admin token, or is asked through the site's proxy.
    pub fn admin_state(&self, token: &Secret) -> Result<AdminState, ApiError> {
        let path = format!("{}/state", self.admin_path);
        let api = self.api.authorised(token);
        let response = api.get_raw(&path, &[], Limits::API)?;
        // A service that answers every unknown path with its front page has no such endpoint either.
        if is_page(&response) {
            return Err(api.absent(Method::GET, &path, "a page for people answers there"));
        }
        api.decode(Method::GET, &path, &response)
    }

    /// Has the running service apply the migrations that it carries. A refusal or failure that the service reports in the usual form
    /// is an answer, not an error.
    ///
    /// # Errors
    /// In doubt, [`Service::admin_state`] tells what is applied; asking again is safe, for each file is applied once.
    pub fn admin_migrate(&self, token: &Secret) -> Result<Migrated, ApiError> {
        self.api
            .authorised(token)
            .post_for_report(&format!("{}/migrate", self.admin_path), MIGRATE)
    }
}

fn probe(world: &dyn World, address: &str, limits: Limits) -> Result<Response, SendError> {
    let request = http::Request::builder()
        .uri(address)
        .header("accept", "application/json")
        .header("cache-control", "no-cache")
        .header("user-agent", concat!("tandem/", env!("CARGO_PKG_VERSION")))
        .body(Vec::new())
        .map_err(|error| SendError {
            kind: SendErrorKind::NotSent,
            text: format!("{address} is no address: {error}"),
        })?;
    world.send(&request, limits)
}

fn age_s(headers: &HeaderMap) -> Option<u64> {
    headers.get("age")?.to_str().ok()?.trim().parse().ok()
}

fn without_query(address: &str) -> &str {
    address.split('?').next().unwrap_or(address)
}

/// What in the body says that the service is not well, whatever the status says.
fn complaint(body: &Value) -> Option<String> {
    const BAD: [&str; 8] = [
        "unhealthy",
        "error",
        "fail",
        "failed",
        "failing",
        "down",
        "critical",
        "disconnected",
    ];
    let is_bad = |value: &Value| match value {
        Value::String(word) => BAD.contains(&word.to_ascii_lowercase().as_str()),
        Value::Bool(fine) => !fine,
        _ => false,
    };
    ["status", "ok", "healthy", "database", "db"]
        .iter()
        .find_map(|name| {
            let value = &body[*name];
            // Some services put an object where others put a word.
            let value = if value.is_object() {
                &value["status"]
            } else {
                value
            };
            is_bad(value)
                .then(|| format!("{name} is {}", excerpt(value.as_str().unwrap_or("false"))))
        })
}

/// What in the body a person should know although the service is well.
fn remark(body: &Value) -> Option<String> {
    const GOOD: [&str; 6] = ["healthy", "ok", "pass", "up", "alive", "ready"];
    let word = body["status"].as_str()?;
    if GOOD.contains(&word.to_ascii_lowercase().as_str()) {
        return None;
    }
    let disk = match &body["diskSpace"] {
        Value::Null => String::new(),
        disk => format!(", disk space {}", excerpt(&disk.to_string())),
    };
    Some(format!("the service calls itself {}{disk}", excerpt(word)))
}

#[cfg(test)]
mod tests;
