//! Whether the service works, and which release it is.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{App, auth::is_admin, error::ApiError};
use crate::{
    clock,
    disk::Disk,
    log,
    migrations::{self, Generation},
};

/// The platform gives a health check 5 s; a database that needs half of that is not healthy.
const DATABASE_TIMEOUT: Duration = Duration::from_millis(2500);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Healthy,
    /// Serves, but a person should look: the disk is nearly full.
    Degraded,
    Unhealthy,
}

impl Status {
    fn decide(draining: bool, database_answers: bool, disk_is_low: bool) -> Self {
        match (draining || !database_answers, disk_is_low) {
            (true, _) => Self::Unhealthy,
            // Still 200: the platform restarts what is not, and a restart frees no disk.
            (false, true) => Self::Degraded,
            (false, false) => Self::Healthy,
        }
    }

    fn code(self) -> StatusCode {
        match self {
            Self::Healthy | Self::Degraded => StatusCode::OK,
            Self::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct HealthAnswer {
    status: Status,
    timestamp: String,
    version: String,
    /// Only for the administrator: what the status rests on.
    #[serde(flatten)]
    details: Option<Details>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    database: Value,
    disk_space: Value,
    schema: Option<Generation>,
}

/// `GET /api/health`.
pub(crate) async fn health(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> (StatusCode, Json<HealthAnswer>) {
    let database = query_database(&app).await;
    let disk = Disk::of(app.store.path());
    for error in database
        .as_ref()
        .err()
        .into_iter()
        .chain(disk.as_ref().err())
    {
        log::warn(format_args!("health: {error:#}"));
    }
    let is_low = match (&disk, &database) {
        (Ok(disk), Ok(database)) => disk.is_low(database.size_bytes),
        _ => false,
    };
    let status = Status::decide(
        app.draining.load(Ordering::Relaxed),
        database.is_ok(),
        is_low,
    );
    let details = is_admin(&app, &headers).then(|| Details {
        database: match &database {
            Ok(database) => json!({"status": "ok", "size_bytes": database.size_bytes}),
            Err(error) => json!({"status": "error", "message": format!("{error:#}")}),
        },
        disk_space: match &disk {
            Ok(disk) => json!({"path": disk.path, "free_bytes": disk.free_bytes, "total_bytes": disk.total_bytes, "low": is_low}),
            Err(error) => json!({"message": format!("{error:#}")}),
        },
        schema: database.ok().map(|database| database.generation),
    });
    let answer = HealthAnswer {
        status,
        timestamp: clock::now_rfc3339(),
        version: app.commit.to_string(),
        details,
    };
    (status.code(), Json(answer))
}

struct DatabaseFacts {
    size_bytes: u64,
    generation: Generation,
}

async fn query_database(app: &App) -> Result<DatabaseFacts> {
    let check = app.store.check(|connection| {
        let row = connection.query_row(
            "SELECT count(*) FROM (SELECT 1 FROM revenue LIMIT 1)",
            [],
            |_| Ok(()),
        );
        row.context("query the bookings")?;
        Ok(DatabaseFacts {
            size_bytes: size_bytes(connection)?,
            generation: migrations::generation(connection)?,
        })
    });
    timeout(DATABASE_TIMEOUT, check)
        .await
        .context("the database did not answer in 2.5 s")?
}

fn size_bytes(connection: &Connection) -> Result<u64> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let bytes: i64 = connection
        .query_row(sql, [], |row| row.get(0))
        .context("read the database's size")?;
    Ok(bytes.unsigned_abs())
}

/// `GET /api/live`: the process answers, whatever the database does.
pub(crate) async fn live() -> Json<Value> {
    Json(json!({"status": "alive"}))
}

/// `GET /api/version`: which commit, on which schema.
pub(crate) async fn version(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let schema = app.store.read(migrations::generation).await?;
    Ok(Json(
        json!({"commit": app.commit.to_string(), "schema": schema}),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_degrades_and_only_a_dead_database_or_the_end_is_unhealthy() {
        let decide = |draining, answers, low| {
            let status = Status::decide(draining, answers, low);
            (status, status.code().as_u16())
        };
        assert_eq!(decide(false, true, false), (Status::Healthy, 200));
        assert_eq!(decide(false, true, true), (Status::Degraded, 200));
        assert_eq!(decide(false, false, true), (Status::Unhealthy, 503));
        assert_eq!(decide(true, true, false), (Status::Unhealthy, 503));
    }
}
