//! What a client is told when a request fails: `{"error":{"message","fields"?}}`, always JSON,
//! never an internal detail.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{fields::FieldErrors, log};

/// A request that failed.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// 400: the query's parameters.
    BadQuery(FieldErrors),
    /// 422: the body's fields.
    Invalid(FieldErrors),
    /// Any other status with a message for the client.
    Status(StatusCode, &'static str),
    /// 500, or 503 when the database is busy: logged here, not shown.
    Internal(anyhow::Error),
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::BadQuery(fields) => with_fields(
                StatusCode::BAD_REQUEST,
                "the query has wrong parameters",
                &fields,
            ),
            Self::Invalid(fields) => with_fields(
                StatusCode::UNPROCESSABLE_ENTITY,
                "the booking has wrong fields",
                &fields,
            ),
            Self::Status(status, message) => plain(status, message),
            Self::Internal(error) => {
                log::warn(format_args!("request failed: {error:#}"));
                if is_busy(&error) {
                    return plain(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "the database is busy; try again",
                    );
                }
                plain(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the request could not be completed",
                )
            }
        }
    }
}

/// An error answer with nothing but a message.
pub(crate) fn plain(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": {"message": message}}))).into_response()
}

fn with_fields(status: StatusCode, message: &str, fields: &FieldErrors) -> Response {
    let body = json!({"error": {"message": message, "fields": fields.to_json()}});
    (status, Json(body)).into_response()
}

fn is_busy(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let code = cause
            .downcast_ref::<rusqlite::Error>()
            .and_then(rusqlite::Error::sqlite_error_code);
        matches!(
            code,
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
        )
    })
}
