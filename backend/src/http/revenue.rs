//! The bookings' routes: reading is public, writing is not.

use std::{error::Error, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{StatusCode, Uri},
};
use serde::Serialize;
use serde_json::Value;
use tower_http::timeout::TimeoutError;

use super::{
    App,
    auth::{self, AdminCall},
    error::ApiError,
    query::SeriesQuery,
};
use crate::{
    clock,
    entry::NewEntry,
    store::{
        audit,
        revenue::{self, Entry, Group, Series, Total},
    },
};

/// The answer to `GET /api/revenue`. Both ends are `null` when nothing was ever booked and the
/// query names none.
#[derive(Serialize)]
pub(crate) struct SeriesAnswer {
    from: Option<String>,
    to: Option<String>,
    group: Group,
    series: Vec<Series>,
}

/// `GET /api/revenue?from=&to=&group=`: sums by currency and period.
pub(crate) async fn series(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Json<SeriesAnswer>, ApiError> {
    let query = SeriesQuery::parse(&uri)?;
    let answer = app.store.read(move |connection| {
        let (first, last) = revenue::bounds(connection)?.unzip();
        let from = query.from.map(|date| date.to_string()).or(first);
        let to = query.to.map(|date| date.to_string()).or(last);
        let series = match (&from, &to) {
            (Some(from), Some(to)) => revenue::series(connection, from, to, query.group)?,
            _ => Vec::new(),
        };
        Ok(SeriesAnswer {
            from,
            to,
            group: query.group,
            series,
        })
    });
    Ok(Json(answer.await?))
}

/// The answer to `GET /api/revenue/summary`.
#[derive(Serialize)]
pub(crate) struct SummaryAnswer {
    totals: Vec<Total>,
    first_date: Option<String>,
    last_date: Option<String>,
}

/// `GET /api/revenue/summary`: everything ever booked, by currency.
pub(crate) async fn summary(State(app): State<Arc<App>>) -> Result<Json<SummaryAnswer>, ApiError> {
    let answer = app.store.read(|connection| {
        let (first_date, last_date) = revenue::bounds(connection)?.unzip();
        Ok(SummaryAnswer {
            totals: revenue::totals(connection)?,
            first_date,
            last_date,
        })
    });
    Ok(Json(answer.await?))
}

/// `POST /api/revenue`: stores one booking, together with the row that says so.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    call: AdminCall,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Entry>), ApiError> {
    let entry = match parse(body) {
        Ok(entry) => entry,
        Err(error) => {
            call.finish(&app, "refused: not a valid booking").await;
            return Err(error);
        }
    };
    let stored = app.store.write(move |transaction| {
        let now = clock::now_rfc3339();
        let entry = revenue::insert(transaction, &now, &entry)?;
        let record = call.record(format!("stored booking {}", entry.id));
        audit::insert(transaction, &now, &record)?;
        Ok((entry, record))
    });
    let (entry, record) = stored.await?;
    auth::log_call(&record);
    Ok((StatusCode::CREATED, Json(entry)))
}

fn parse(body: Result<Bytes, BytesRejection>) -> Result<NewEntry, ApiError> {
    let body = body.map_err(|rejection| why_no_body(&rejection))?;
    match serde_json::from_slice(&body) {
        Ok(Value::Object(object)) => NewEntry::from_json(&object).map_err(ApiError::Invalid),
        _ => Err(ApiError::Status(
            StatusCode::BAD_REQUEST,
            "the body must be a JSON object",
        )),
    }
}

fn why_no_body(rejection: &BytesRejection) -> ApiError {
    let causes = std::iter::successors(Some(rejection as &dyn Error), |error| (*error).source());
    let is_late = causes.into_iter().any(|error| error.is::<TimeoutError>());
    let (status, message) = match rejection.status() {
        _ if is_late => (
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive completely within 8 seconds",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than 1 MiB",
        ),
        _ => (StatusCode::BAD_REQUEST, "the body could not be read"),
    };
    ApiError::Status(status, message)
}
