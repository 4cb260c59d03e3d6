//! The HTTP interface: which routes there are, and what surrounds every one of them.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use axum::{
    Router,
    http::StatusCode,
    middleware,
    routing::{get, post},
};
use tower_http::{
    limit::RequestBodyLimitLayer,
    timeout::{RequestBodyDeadlineLayer, TimeoutLayer},
};

pub(crate) use self::frame::forbid_storing_and_sniffing;
use self::{auth::RefusalBudget, frame::RequestIds};
use crate::{commit::Commit, store::Store, token::AdminToken};

mod admin;
mod auth;
pub(crate) mod error;
mod frame;
mod health;
mod query;
mod revenue;

/// The largest body a client may send; a booking is a few hundred bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// By when a body must have arrived completely, however steadily it trickles.
const BODY_DEADLINE: Duration = Duration::from_secs(8);
/// By when a handler must have answered, its body's arrival and its wait for the database included.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(10);
/// Migrating copies the database first, which takes longer than any other request.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(600);

/// What the handlers share.
pub(crate) struct App {
    pub(crate) store: Arc<Store>,
    pub(crate) commit: Commit,
    /// Without a token there are no administration routes.
    pub(crate) admin: Option<AdminToken>,
    /// Set when the process was told to end: health then says so.
    pub(crate) draining: AtomicBool,
    request_ids: RequestIds,
    refusals: RefusalBudget,
}

impl App {
    pub(crate) fn new(store: Arc<Store>, commit: Commit, admin: Option<AdminToken>) -> Self {
        Self {
            store,
            commit,
            admin,
            draining: AtomicBool::new(false),
            request_ids: RequestIds::default(),
            refusals: RefusalBudget::default(),
        }
    }
}

/// Whether a path is answered even when the service has no room for anything else: the platform
/// restarts an instance that stops answering these.
pub(crate) fn is_probe(path: &str) -> bool {
    matches!(path, "/api/health" | "/api/live")
}

/// Builds the router.
pub(crate) fn router(app: Arc<App>) -> Router {
    let quick = Router::new()
        .route("/api/health", get(health::health))
        .route("/api/live", get(health::live))
        .route("/api/version", get(health::version))
        .route("/api/revenue", get(revenue::series).post(revenue::create))
        .route("/api/revenue/summary", get(revenue::summary))
        .route("/api/admin/state", get(admin::state))
        .layer(within(HANDLER_TIMEOUT));
    let slow = Router::new()
        .route("/api/admin/migrate", post(admin::migrate))
        .layer(within(MIGRATE_TIMEOUT));
    quick
        .merge(slow)
        // The limit inside, because the deadline hides the type of the errors below it.
        .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES))
        .layer(RequestBodyDeadlineLayer::new(BODY_DEADLINE))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            frame::frame,
        ))
        .with_state(app)
}

fn within(timeout: Duration) -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, timeout)
}
