//! The simulated service: the same JSON as a real backend's health, version and admin endpoints, and a database that outlives processes.

use http::{Method, Request, Response};
use serde_json::{Value, json};

use crate::answer;
use crate::time::rfc3339;

use super::Process;
use super::behaviour::{Health, Migration};

/// The database on the disk, as far as releases care: which migrations were applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Database {
    /// In the order they were applied.
    pub history: Vec<Row>,
    /// What `/api/admin/state` shows as the schema's definitions.
    pub definitions: Vec<Value>,
}

/// One applied migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which file.
    pub migration: Migration,
    /// When, ms since the epoch.
    pub executed_ms: i64,
}

impl Database {
    /// What a binary does when it starts.
    ///
    /// # Errors
    /// The refusal, when the database is newer than the binary in a way the binary cannot run on.
    pub(super) fn migrate(&mut self, carried: &[Migration], now_ms: i64) -> Result<(), String> {
        let is_carried = |row: &Row| carried.iter().any(|m| m.filename == row.migration.filename);
        if let Some(row) = self
            .history
            .iter()
            .find(|row| !is_carried(row) && !row.migration.compatible)
        {
            return Err(format!(
                "the database has {}, which this release cannot run on",
                row.migration.filename
            ));
        }
        for migration in self.pending(carried) {
            self.history.push(Row {
                migration,
                executed_ms: now_ms,
            });
        }
        Ok(())
    }

    fn pending(&self, carried: &[Migration]) -> Vec<Migration> {
        let is_new = |m: &&Migration| {
            !self
                .history
                .iter()
                .any(|row| row.migration.filename == m.filename)
        };
        carried.iter().filter(is_new).cloned().collect()
    }
}

/// Does the process answer its health URL with 200 now?
pub(super) fn is_well(process: &Process, now_ms: i64) -> bool {
    let Some(up_ms) = process.booted_ms.map(|at| now_ms - at) else {
        return false;
    };
    match &process.behaviour.health {
        Health::Healthy | Health::WrongVersion(_) | Health::NoVersion => true,
        Health::Unhealthy503 => false,
        Health::Flapping { period_ms } => (up_ms / (*period_ms).max(1)) % 2 == 0,
        Health::DegradesAfter { ms } => up_ms < *ms,
    }
}

/// Answers one request as the process of a commit would.
pub(super) fn answer(
    process: &Process,
    database: &Database,
    admin_token: &str,
    now_ms: i64,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    let commit = match &process.behaviour.health {
        Health::WrongVersion(other) => Some(other.as_str()),
        Health::NoVersion => None,
        _ => Some(process.spec.commit.as_str()),
    };
    let generation = database.history.len();
    let mut response = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/api/health") => {
            health(is_well(process, now_ms), commit, now_ms)
        }
        (&Method::GET, "/api/live") => answer::json(200, &json!({ "status": "alive" })),
        (&Method::GET, "/api/version") => {
            let latest = database.history.last().map(|row| &row.migration.filename);
            answer::json(
                200,
                &json!({ "commit": commit, "schema": { "generation": generation, "latest": latest } }),
            )
        }
        // Administration is not offered to the public site's proxy.
        (_, path)
            if path.starts_with("/api/admin/")
                && !request.headers().contains_key("x-nf-request-id") =>
        {
            if answer::has_bearer(request, admin_token) {
                admin(process, database, commit, request)
            } else {
                answer::json(401, &json!({ "error": { "message": "unauthorized" } }))
            }
        }
        _ => answer::json(404, &json!({ "error": { "message": "not found" } })),
    };
    answer::set_header(&mut response, "cache-control", "no-store");
    response
}

fn health(is_well: bool, commit: Option<&str>, now_ms: i64) -> Response<Vec<u8>> {
    let (status, word) = if is_well {
        (200, "healthy")
    } else {
        (503, "unhealthy")
    };
    let mut body = json!({ "status": word, "timestamp": rfc3339(now_ms) });
    if let Some(commit) = commit {
        body["version"] = json!(commit);
    }
    answer::json(status, &body)
}

fn admin(
    process: &Process,
    database: &Database,
    commit: Option<&str>,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    let pending: Vec<String> = database
        .pending(&process.behaviour.migrations)
        .into_iter()
        .map(|m| m.filename)
        .collect();
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/api/admin/state") => {
            let history: Vec<Value> = database.history.iter().map(row_json).collect();
            let body = json!({
                "commit": commit,
                "schema": { "generation": database.history.len(), "definitions": database.definitions },
                "history": history,
                "pending": pending,
                "sqlite_version": "3.50.0",
                "disk": { "path": "/var/data", "free_bytes": 900_000_000, "total_bytes": 1_000_000_000 },
                "backups": [],
            });
            answer::json(200, &body)
        }
        (&Method::POST, "/api/admin/migrate") => {
            // Whatever the binary carries was applied when it started.
            let body = json!({ "outcome": "up_to_date", "applied": [], "pending": pending, "backup": null });
            answer::json(200, &body)
        }
        _ => answer::json(404, &json!({ "error": { "message": "not found" } })),
    }
}

fn row_json(row: &Row) -> Value {
    json!({
        "filename": row.migration.filename,
        "executed_at": rfc3339(row.executed_ms),
        "checksum": row.migration.checksum,
        "compatible": row.migration.compatible,
    })
}
