//! Who may administrate: a caller with the token, who reached the service directly. Everyone
//! else learns nothing, not even whether the route exists.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION, request::Parts},
};
use tokio::time::Instant;

use super::{App, error::ApiError, frame::RequestId};
use crate::{
    clock, log,
    store::audit::{self, AuditRecord},
};

/// Set by the site's own rewrite rule on every request it passes on.
const PROXIED: &str = "x-tandem-proxied";
/// Netlify's edge adds headers under this prefix, among them `x-nf-request-id`.
const NETLIFY_PREFIX: &str = "x-nf-";
/// How many refused calls are recorded per window; an attacker must not fill the disk.
const MAX_RECORDED_REFUSALS: u32 = 10;
const REFUSAL_WINDOW: Duration = Duration::from_secs(60);

/// Whether a request came through the site's public `/api/*` rule.
///
/// Judged by what that path adds and a visitor cannot take away; sending the headers oneself
/// only loses access. `via` and `x-forwarded-host` are no evidence: the backend's own edge may
/// add them to a direct call, and refusing these would lock the operator out.
pub(crate) fn came_through_the_site(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .any(|name| name.as_str() == PROXIED || name.as_str().starts_with(NETLIFY_PREFIX))
}

/// Whether a request carries the token, directly. For routes that tell such a caller more.
pub(crate) fn is_admin(app: &App, headers: &HeaderMap) -> bool {
    let header = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
    app.admin
        .as_ref()
        .is_some_and(|token| token.authorizes(header))
        && !came_through_the_site(headers)
}

/// An administration call that was let in. Taking it as a handler's argument is the check.
pub(crate) struct AdminCall {
    action: String,
    request_id: String,
}

impl AdminCall {
    /// The row that records how the call ended.
    pub(crate) fn record(&self, outcome: impl Into<String>) -> AuditRecord {
        AuditRecord {
            action: self.action.clone(),
            outcome: outcome.into(),
            request_id: self.request_id.clone(),
        }
    }

    /// Records how the call ended, in the database and in the log. A call whose row cannot be
    /// written, for instance because the disk is full, is still answered: it may be the one that
    /// finds out why.
    pub(crate) async fn finish(&self, app: &App, outcome: impl Into<String>) {
        record(app, self.record(outcome)).await;
    }
}

impl FromRequestParts<Arc<App>> for AdminCall {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        if app.admin.is_none() || came_through_the_site(&parts.headers) {
            return Err(ApiError::Status(StatusCode::NOT_FOUND, "no such route"));
        }
        let request_id = parts
            .extensions
            .get::<RequestId>()
            .map_or_else(String::new, |id| id.0.clone());
        let call = Self {
            action: format!("{} {}", parts.method, parts.uri.path()),
            request_id,
        };
        if is_admin(app, &parts.headers) {
            return Ok(call);
        }
        if app.refusals.allow(Instant::now()) {
            call.finish(app, "refused: no valid token").await;
        }
        Err(ApiError::Status(StatusCode::UNAUTHORIZED, "not authorised"))
    }
}

async fn record(app: &App, row: AuditRecord) {
    log_call(&row);
    let stored = app
        .store
        .write(move |transaction| audit::insert(transaction, &clock::now_rfc3339(), &row))
        .await;
    if let Err(error) = stored {
        log::warn(format_args!(
            "an administration call was not recorded: {error:#}"
        ));
    }
}

/// Writes the log's line about a call.
pub(crate) fn log_call(row: &AuditRecord) {
    log::info(format_args!(
        "admin {}: {} (request {})",
        row.action, row.outcome, row.request_id
    ));
}

/// Lets a bounded number of refusals per minute be recorded.
#[derive(Default)]
pub(crate) struct RefusalBudget(Mutex<Option<(Instant, u32)>>);

impl RefusalBudget {
    fn allow(&self, now: Instant) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, used) = window
            .filter(|(began, _)| now - *began < REFUSAL_WINDOW)
            .unwrap_or((now, 0));
        *window = Some((began, used.saturating_add(1)));
        used < MAX_RECORDED_REFUSALS
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn only_what_the_site_adds_marks_a_request_as_its_own() {
        let through = |name: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), "1".parse().unwrap());
            came_through_the_site(&headers)
        };
        assert!(
            through("x-tandem-proxied")
                && through("x-nf-request-id")
                && through("x-nf-client-connection-ip")
        );
        assert!(
            !through("via")
                && !through("x-forwarded-host")
                && !through("x-forwarded-for")
                && !through("cf-ray")
        );
    }

    #[test]
    fn refusals_are_recorded_up_to_a_number_per_minute() {
        let budget = RefusalBudget::default();
        let start = Instant::now();
        let recorded = (0..100).filter(|_| budget.allow(start)).count();
        assert_eq!(recorded, 10);
        assert!(budget.allow(start + REFUSAL_WINDOW));
    }
}
