//! The cloud in virtual time, for simulation: the real core, with processes that behave as scripted per commit.
//!
//! Nothing here reads a clock: the caller says what time it is, and [`InProcess::next_event_ms`] says when something changes next.

mod app;
mod behaviour;
mod outcome;
mod runner;

use std::collections::BTreeMap;

use http::{Request, Response};

use crate::blobs::Blobs;
use crate::core::{Cloud, Endpoints, RequestRecord, Secrets};
use crate::fault::Fault;
use crate::ids::{IdSource, InstanceId};
use crate::reply::{Content, Effect, RunnerEvent, StartSpec};
use crate::settings::Settings;

pub use app::{Database, Row};
pub use behaviour::{Behaviour, Boot, Build, Health, Migration};
pub use outcome::{Took, TransportFault, Truth};

/// Longest padded answer, in bytes.
const PAD_MAX: u64 = 64 * 1024 * 1024;

enum SimEvent {
    Report(RunnerEvent),
    Booted(InstanceId),
}

/// A process that was started.
#[derive(Clone, Debug)]
struct Process {
    spec: StartSpec,
    behaviour: Behaviour,
    booted_ms: Option<i64>,
}

/// The local cloud without sockets and processes.
pub struct InProcess {
    cloud: Cloud,
    behaviours: BTreeMap<String, Behaviour>,
    otherwise: Behaviour,
    head: String,
    /// Due events by time, then by the order they were planned in.
    planned: BTreeMap<(i64, u64), SimEvent>,
    planned_count: u64,
    processes: BTreeMap<InstanceId, Process>,
    database: Database,
}

impl InProcess {
    /// A cloud of a project with a disk, whose commits all behave well until told otherwise.
    pub fn new(seed: u64, now_ms: i64) -> Self {
        let mut settings = Settings::new("sim", "/nowhere");
        settings.service.disk = Some(crate::Disk {
            name: "data".to_owned(),
            mount_path: "/var/data".to_owned(),
        });
        settings.service.health_check_path = "/api/health".to_owned();
        Self::with_settings(settings, seed, now_ms)
    }

    /// The same with settings of the caller's choice.
    pub fn with_settings(settings: Settings, seed: u64, now_ms: i64) -> Self {
        let endpoints = Endpoints {
            api_url: "http://api.cloud.test".to_owned(),
            site_url: "http://site.cloud.test".to_owned(),
            service_url: "http://service.cloud.test".to_owned(),
        };
        // Apart from the core's own ids, so that tokens do not repeat one of them.
        let mut ids = IdSource::new(!seed);
        let secrets = Secrets {
            netlify_token: format!("nfp_{}", ids.base32(36)),
            render_key: format!("rnd_{}", ids.base32(28)),
            admin_token: ids.hex(64),
            control_token: ids.hex(40),
            slack_path: format!(
                "/slack/services/T{}/B{}/{}",
                ids.hex(9),
                ids.hex(9),
                ids.base32(24)
            ),
        };
        Self {
            cloud: Cloud::new(settings, endpoints, secrets, Blobs::memory(), seed, now_ms),
            behaviours: BTreeMap::new(),
            otherwise: Behaviour::well(1),
            head: "0".repeat(40),
            planned: BTreeMap::new(),
            planned_count: 0,
            processes: BTreeMap::new(),
            database: Database::default(),
        }
    }

    /// Scripts how a commit's build and processes behave from now on.
    pub fn behave(&mut self, commit: &str, behaviour: Behaviour) {
        self.behaviours.insert(commit.to_owned(), behaviour);
    }

    /// How commits behave that have no script of their own.
    pub fn otherwise(&mut self, behaviour: Behaviour) {
        self.otherwise = behaviour;
    }

    /// The commit that is built when a deploy names none.
    pub fn set_head(&mut self, commit: &str) {
        commit.clone_into(&mut self.head);
    }

    /// Base URLs to send requests to.
    pub const fn endpoints(&self) -> &Endpoints {
        self.cloud.endpoints()
    }

    /// Tokens to send with them.
    pub const fn secrets(&self) -> &Secrets {
        &self.cloud.secrets
    }

    /// The core, for ids, settings, faults and the call log.
    pub const fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The core, to change settings or script faults.
    pub const fn cloud_mut(&mut self) -> &mut Cloud {
        &mut self.cloud
    }

    /// Scripts a transport or provider fault.
    pub fn add_fault(&mut self, fault: Fault) {
        self.cloud.add_fault(fault);
    }

    /// The service's database, to start from or to look at.
    pub const fn database_mut(&mut self) -> &mut Database {
        &mut self.database
    }

    /// All calls so far, oldest first.
    pub fn calls(&self) -> Vec<RequestRecord> {
        self.cloud.requests().cloned().collect()
    }

    /// Deploys that exist at the two providers, however they came to be: (Netlify, Render).
    pub const fn created_deploys(&self) -> (usize, usize) {
        (
            self.cloud.state.netlify.deploys.len(),
            self.cloud.state.render.deploys.len(),
        )
    }

    /// Answers one request at a time not before any earlier one, with whatever time it takes.
    ///
    /// # Errors
    /// When a scripted fault breaks the connection.
    pub fn send(
        &mut self,
        now_ms: i64,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, TransportFault> {
        self.send_within(now_ms, request, i64::MAX)
    }

    /// Like [`Self::send`], for a caller that gives up after `timeout_ms`.
    ///
    /// # Errors
    /// When a scripted fault breaks the connection or the answer comes too late.
    pub fn send_within(
        &mut self,
        now_ms: i64,
        request: Request<Vec<u8>>,
        timeout_ms: i64,
    ) -> Result<Response<Vec<u8>>, TransportFault> {
        self.advance(now_ms);
        let is_head = request.method() == http::Method::HEAD;
        let reply = self.cloud.handle(now_ms, request);
        self.dispatch(now_ms);
        self.advance(now_ms);
        if reply.effect == Effect::ResetBefore {
            return Err(TransportFault::Reset { processed: false });
        }
        let mut response = match reply.content {
            Content::Response(response) => response,
            Content::Proxy(upstream) => {
                let Some(process) = self.processes.get(&upstream.instance) else {
                    return Err(TransportFault::Reset { processed: false });
                };
                let token = &self.cloud.secrets.admin_token;
                let mut response =
                    app::answer(process, &self.database, token, now_ms, &upstream.request);
                for (name, value) in &upstream.response_headers {
                    crate::answer::set_header(&mut response, name, value);
                }
                response
            }
        };
        if is_head {
            response.body_mut().clear();
        }
        let mut delay_ms = reply.delay_ms;
        match reply.effect {
            Effect::Deliver | Effect::ResetBefore => {}
            Effect::ResetAfter => return Err(TransportFault::Reset { processed: true }),
            Effect::TruncateAt(at) => {
                response.body_mut().truncate(at);
                return Err(TransportFault::Truncated {
                    status: response.status().as_u16(),
                    received: response.into_body(),
                });
            }
            Effect::Drip { bytes, pause_ms } => {
                let pieces = response.body().len().div_ceil(bytes.max(1)) as i64;
                delay_ms += pieces * i64::try_from(pause_ms).unwrap_or(i64::MAX / 1_000_000);
            }
            Effect::Pad(bytes) => {
                // Whoever reads more than this has no limit at all.
                let bytes = usize::try_from(bytes.min(PAD_MAX)).unwrap_or(0);
                let len = response.body().len();
                response.body_mut().resize(len.max(bytes), b' ');
            }
            Effect::Replace(replacement) => replacement.apply(&mut response),
        }
        if delay_ms > timeout_ms {
            return Err(TransportFault::Timeout { processed: true });
        }
        response.extensions_mut().insert(Took { delay_ms });
        Ok(response)
    }

    /// Lets everything happen that is due at `now_ms`, in order.
    pub fn advance(&mut self, now_ms: i64) {
        while let Some(at_ms) = self.next_event_ms().filter(|at| *at <= now_ms) {
            let due = self
                .planned
                .first_key_value()
                .map(|(key, _)| *key)
                .filter(|(at, _)| *at <= at_ms);
            match due.and_then(|key| self.planned.remove(&key)) {
                Some(event) => self.happen(at_ms, event),
                None => self.cloud.advance(at_ms),
            }
            self.dispatch(at_ms);
        }
        self.cloud.advance(now_ms);
        self.dispatch(now_ms);
    }

    /// When something changes next, if no request comes before.
    pub fn next_event_ms(&self) -> Option<i64> {
        let planned = self.planned.first_key_value().map(|((at, _), _)| *at);
        [planned, self.cloud.next_event_ms()]
            .into_iter()
            .flatten()
            .min()
    }

    /// What is really out there at `now_ms`.
    pub fn truth(&mut self, now_ms: i64) -> Truth {
        self.advance(now_ms);
        let site = self.cloud.state.netlify.published_deploy();
        let serving = self
            .cloud
            .routed()
            .and_then(|(instance, _)| self.processes.get(&instance));
        Truth {
            site_deploy: site.map(|d| d.id.to_string()),
            site_title: site.and_then(|d| d.title.clone()),
            site_commit: site.and_then(|d| d.commit_ref.clone()),
            site_files: site.map(|d| d.files.clone()).unwrap_or_default(),
            serving_commit: serving.map(|p| p.spec.commit.clone()),
            serving_healthy: serving.is_some_and(|p| app::is_well(p, now_ms)),
            running_processes: self.processes.len(),
            live_deploy: self
                .cloud
                .state
                .render
                .live
                .as_ref()
                .map(ToString::to_string),
            schema_generation: self.database.history.len(),
        }
    }

    /// Kills the process that has the traffic, as an out-of-memory killer would.
    pub fn kill_serving(&mut self, now_ms: i64) {
        if let Some((instance, _)) = self.cloud.routed() {
            self.processes.remove(&instance);
            self.cloud.report(
                now_ms,
                RunnerEvent::Exited {
                    instance,
                    code: None,
                },
            );
            self.dispatch(now_ms);
        }
    }

    /// Loses every process and all that was under way, and starts the cloud again from its saved state.
    ///
    /// # Errors
    /// Never in practice: what was saved is read by the same code.
    pub fn restart(&mut self, now_ms: i64) -> serde_json::Result<()> {
        self.advance(now_ms);
        let saved = self.cloud.save()?;
        let blobs = std::mem::replace(&mut self.cloud.blobs, Blobs::memory());
        let settings = self.cloud.settings().clone();
        let (endpoints, secrets) = (self.cloud.endpoints.clone(), self.cloud.secrets.clone());
        self.planned.clear();
        self.processes.clear();
        self.cloud = Cloud::restore(&saved, settings, endpoints, secrets, blobs, now_ms)?;
        self.dispatch(now_ms);
        Ok(())
    }
}
