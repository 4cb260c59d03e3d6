//! The sans-io core: it owns all state, and knows neither sockets, processes nor the clock.

use std::collections::VecDeque;

use http::{Request, Response};
use serde::{Deserialize, Serialize};

use crate::blobs::Blobs;
use crate::fault::{self, Fault};
use crate::ids::{IdSource, InstanceId};
use crate::netlify::SiteState;
use crate::rate::Buckets;
use crate::render::ServiceState;
use crate::reply::{Action, Content, Effect, Reply, RunnerEvent, Upstream};
use crate::settings::Settings;
use crate::slack::{self, SlackMessage};
use crate::{answer, control, netlify, render, site, time};

/// Requests kept in the log.
const REQUESTS_KEPT: usize = 20_000;

/// Which listener a request came in at. Shells put it into the request's extensions.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// Both providers' APIs, the fake Slack and the control API.
    Api,
    /// The public site.
    Site,
    /// The public face of the service.
    Service,
}

/// Base URLs without a trailing slash, as clients reach the three listeners.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Endpoints {
    /// APIs.
    pub api_url: String,
    /// Site.
    pub site_url: String,
    /// Service.
    pub service_url: String,
}

/// What a client must know to be let in. Never part of the saved state.
#[derive(Clone, Default, Deserialize, PartialEq, Serialize)]
pub struct Secrets {
    /// For Netlify's API.
    pub netlify_token: String,
    /// For Render's API.
    pub render_key: String,
    /// For the service's own admin endpoints.
    pub admin_token: String,
    /// For `/_cloud/`.
    pub control_token: String,
    /// The path of the fake Slack webhook, with its secret part.
    pub slack_path: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// One request as it was answered; headers and bodies of requests are not kept, they may hold secrets.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RequestRecord {
    /// When, ms since the epoch.
    pub at_ms: i64,
    /// At which listener.
    pub door: Door,
    /// Method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// The query as sent, without `?`.
    pub query: String,
    /// The status decided on, 0 when a process of the service answered or the connection was reset first.
    pub status: u16,
    /// Did the request take effect, or did a fault keep it away?
    pub processed: bool,
    /// Did a scripted fault change anything?
    pub faulted: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) ids: IdSource,
    pub(crate) netlify: SiteState,
    pub(crate) render: ServiceState,
    pub(crate) slack: Vec<SlackMessage>,
    pub(crate) faults: Vec<Fault>,
    /// For whoever looks at this run of the cloud; a restart begins anew.
    #[serde(skip)]
    pub(crate) requests: VecDeque<RequestRecord>,
    pub(crate) buckets: Buckets,
}

/// The local cloud as one value.
#[derive(Debug)]
pub struct Cloud {
    pub(crate) state: State,
    pub(crate) endpoints: Endpoints,
    pub(crate) secrets: Secrets,
    pub(crate) blobs: Blobs,
    pub(crate) actions: Vec<Action>,
    dirty: bool,
}

impl Cloud {
    /// A cloud with an empty site and a service that was never deployed.
    pub fn new(
        settings: Settings,
        endpoints: Endpoints,
        secrets: Secrets,
        blobs: Blobs,
        seed: u64,
        now_ms: i64,
    ) -> Self {
        let mut ids = IdSource::new(seed);
        let state = State {
            netlify: SiteState::new(&mut ids, now_ms),
            render: ServiceState::new(&mut ids, now_ms),
            settings,
            ids,
            slack: Vec::new(),
            faults: Vec::new(),
            requests: VecDeque::new(),
            buckets: Buckets::default(),
        };
        Self {
            state,
            endpoints,
            secrets,
            blobs,
            actions: Vec::new(),
            dirty: true,
        }
    }

    /// A cloud from [`Self::save`]d state, after its processes have been lost: what was under way is ordered again.
    ///
    /// # Errors
    /// When `saved` is not the state of this version.
    pub fn restore(
        saved: &[u8],
        settings: Settings,
        endpoints: Endpoints,
        secrets: Secrets,
        blobs: Blobs,
        now_ms: i64,
    ) -> serde_json::Result<Self> {
        let state: State = serde_json::from_slice(saved)?;
        let mut cloud = Self {
            state: State { settings, ..state },
            endpoints,
            secrets,
            blobs,
            actions: Vec::new(),
            dirty: true,
        };
        render::resume(&mut cloud, now_ms);
        Ok(cloud)
    }

    /// All state but secrets and blobs, as JSON.
    ///
    /// # Errors
    /// Never in practice: the state holds no type that JSON cannot express.
    pub fn save(&mut self) -> serde_json::Result<Vec<u8>> {
        self.dirty = false;
        serde_json::to_vec(&self.state)
    }

    /// Has anything changed since the last [`Self::save`]?
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Answers one request. Due state changes happen first, as if [`Self::advance`] had been called.
    pub fn handle(&mut self, now_ms: i64, request: Request<Vec<u8>>) -> Reply {
        self.advance(now_ms);
        // Reading draws request ids, but none that has to be remembered.
        self.dirty |= !request.method().is_safe();
        let door = request
            .extensions()
            .get::<Door>()
            .copied()
            .unwrap_or_else(|| self.door_of(&request));
        let is_control = door == Door::Api && request.uri().path().starts_with("/_cloud/");
        let fault = if is_control {
            None
        } else {
            fault::hit(&mut self.state.faults, door, &request)
        };
        self.dirty |= fault.is_some();
        let mut record = RequestRecord {
            at_ms: now_ms,
            door,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or("").to_owned(),
            status: 0,
            processed: true,
            faulted: fault.is_some(),
        };
        let reply = match fault.as_ref().and_then(fault::instead) {
            Some(reply) => {
                record.processed = false;
                reply
            }
            None => {
                let reply = self.route(now_ms, door, request);
                self.advance(now_ms);
                match &fault {
                    Some(kind) => fault::afterwards(kind, reply),
                    None => reply,
                }
            }
        };
        if let (Content::Response(response), false) =
            (&reply.content, reply.effect == Effect::ResetBefore)
        {
            record.status = response.status().as_u16();
        }
        if !is_control {
            self.remember(record);
        }
        reply
    }

    fn remember(&mut self, record: RequestRecord) {
        self.state.requests.push_back(record);
        if self.state.requests.len() > REQUESTS_KEPT {
            self.state.requests.pop_front();
        }
    }

    /// The listener a full URL points at; the API when nothing matches.
    fn door_of(&self, request: &Request<Vec<u8>>) -> Door {
        let authority = request
            .uri()
            .authority()
            .map(http::uri::Authority::as_str)
            .unwrap_or_default();
        let is = |url: &str| {
            !authority.is_empty()
                && url
                    .split_once("://")
                    .is_some_and(|(_, rest)| rest == authority)
        };
        if is(&self.endpoints.site_url) {
            Door::Site
        } else if is(&self.endpoints.service_url) {
            Door::Service
        } else {
            Door::Api
        }
    }

    fn route(&mut self, now_ms: i64, door: Door, request: Request<Vec<u8>>) -> Reply {
        match door {
            Door::Site => site::handle(self, now_ms, request),
            Door::Service => self.edge(now_ms, request, Vec::new()),
            Door::Api => {
                let mut response = self.api(now_ms, &request);
                answer::set_header(&mut response, "date", &time::http_date(now_ms));
                Reply::respond(response)
            }
        }
    }

    fn api(&mut self, now_ms: i64, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        let path = request.uri().path();
        if let Some(rest) = path.strip_prefix("/api/v1/") {
            netlify::handle(self, now_ms, rest, request)
        } else if let Some(rest) = path.strip_prefix("/v1/") {
            render::handle(self, now_ms, rest, request)
        } else if path.starts_with("/slack/") {
            slack::handle(
                &mut self.state.slack,
                &self.secrets.slack_path,
                now_ms,
                request,
            )
        } else if let Some(rest) = path.strip_prefix("/_cloud/") {
            control::handle(self, now_ms, rest, request)
        } else {
            let hint =
                "this is the local cloud: Netlify's API is below /api/v1/, Render's below /v1/";
            answer::json(404, &serde_json::json!({ "message": hint }))
        }
    }

    /// Passes a request on to the process that has the traffic.
    pub(crate) fn edge(
        &self,
        _now_ms: i64,
        mut request: Request<Vec<u8>>,
        response_headers: Vec<(String, String)>,
    ) -> Reply {
        let Some((instance, port)) = self.state.render.routed() else {
            return Reply::respond(answer::bytes(
                503,
                "text/plain; charset=utf-8",
                b"Service Unavailable\n".to_vec(),
            ));
        };
        answer::set_request_header(&mut request, "x-forwarded-for", "127.0.0.1");
        answer::set_request_header(&mut request, "x-forwarded-proto", "http");
        let upstream = Upstream {
            instance: instance.clone(),
            port,
            request,
            response_headers,
        };
        Reply {
            delay_ms: 0,
            content: Content::Proxy(upstream),
            effect: Effect::Deliver,
        }
    }

    /// Lets everything happen that is due at `now_ms`.
    pub fn advance(&mut self, now_ms: i64) {
        let changed = netlify::advance(self, now_ms) | render::advance(self, now_ms);
        self.dirty |= changed;
    }

    /// When [`Self::advance`] would change something next, if nothing else happens before.
    pub fn next_event_ms(&self) -> Option<i64> {
        [
            netlify::next_event_ms(&self.state),
            render::next_event_ms(&self.state),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What has to be done to processes since the last call.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Takes note of what happened to a process or build.
    pub fn report(&mut self, now_ms: i64, event: RunnerEvent) {
        self.dirty = true;
        render::report(self, now_ms, event);
        self.advance(now_ms);
    }

    /// The process that has the traffic now.
    pub fn routed(&self) -> Option<(InstanceId, u16)> {
        self.state
            .render
            .routed()
            .map(|(instance, port)| (instance.clone(), port))
    }

    /// Base URLs.
    pub const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Current settings.
    pub const fn settings(&self) -> &Settings {
        &self.state.settings
    }

    /// Replaces the settings; running deploys keep those they were made with.
    pub fn set_settings(&mut self, settings: Settings) {
        self.state.settings = settings;
        self.dirty = true;
    }

    /// The site's id.
    pub fn site_id(&self) -> &str {
        &self.state.netlify.id
    }

    /// The service's id.
    pub fn service_id(&self) -> &str {
        &self.state.render.id
    }

    /// Scripts a fault.
    pub fn add_fault(&mut self, fault: Fault) {
        self.state.faults.push(fault);
        self.dirty = true;
    }

    /// Forgets all faults.
    pub fn clear_faults(&mut self) {
        self.state.faults.clear();
        self.dirty = true;
    }

    /// All requests but those to `/_cloud/`, oldest first.
    pub fn requests(&self) -> impl Iterator<Item = &RequestRecord> {
        self.state.requests.iter()
    }

    /// Messages the fake Slack has received, oldest first.
    pub fn slack_messages(&self) -> &[SlackMessage] {
        &self.state.slack
    }
}
