//! The administration routes: how a release reads the schema back and asks for what this binary
//! carries to be applied. None accepts SQL, and none returns rows of the business tables.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::{Json, extract::State, http::StatusCode};
use jiff::Timestamp;
use migrate::{Definition, HistoryRow};
use serde::Serialize;
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::{App, auth::AdminCall, error::ApiError};
use crate::{
    backups::{self, Backup},
    commit::Commit,
    disk::Disk,
    migrations,
};

/// The answer to `GET /api/admin/state`: what a release needs to rehearse against this database
/// without having it.
#[derive(Serialize)]
pub(crate) struct StateAnswer {
    commit: String,
    schema: SchemaState,
    /// What was applied, in order.
    history: Vec<HistoryRow>,
    /// Embedded files that are not applied.
    pending: Vec<String>,
    sqlite_version: &'static str,
    disk: Disk,
    backups: Vec<Backup>,
}

#[derive(Serialize)]
struct SchemaState {
    generation: usize,
    definitions: Vec<NamedDefinition>,
}

#[derive(Serialize)]
struct NamedDefinition {
    r#type: String,
    name: String,
    table: String,
    sql: String,
}

impl From<Definition> for NamedDefinition {
    fn from(definition: Definition) -> Self {
        let Definition {
            kind,
            name,
            table,
            sql,
        } = definition;
        Self {
            r#type: kind,
            name,
            table,
            sql,
        }
    }
}

/// `GET /api/admin/state`.
pub(crate) async fn state(
    State(app): State<Arc<App>>,
    call: AdminCall,
) -> Result<Json<StateAnswer>, ApiError> {
    let result = read_state(&app).await;
    let outcome = result.as_ref().map_or_else(
        |error| format!("failed: {error:#}"),
        |_| "answered".to_owned(),
    );
    call.finish(&app, outcome).await;
    Ok(Json(result?))
}

async fn read_state(app: &App) -> Result<StateAnswer> {
    let history = app.store.read(migrations::history).await?;
    let (path, commit) = (app.store.path().to_owned(), app.commit.clone());
    let beside = move || read_beside(&path, &commit, history);
    spawn_blocking(beside).await.context("read the state")?
}

/// What is not read through the store's connections.
fn read_beside(
    path: &std::path::Path,
    commit: &Commit,
    history: Vec<HistoryRow>,
) -> Result<StateAnswer> {
    let migrator = migrations::migrator(path, commit);
    let definitions = migrator
        .schema()
        .context("read the definitions")?
        .definitions;
    Ok(StateAnswer {
        commit: commit.to_string(),
        schema: SchemaState {
            generation: history.len(),
            definitions: definitions.into_iter().map(NamedDefinition::from).collect(),
        },
        history,
        pending: migrator
            .status()
            .context("compare the history with the embedded files")?
            .pending,
        sqlite_version: migrate::sqlite_version(),
        disk: Disk::of(path)?,
        backups: backups::list(path, Timestamp::now())?,
    })
}

/// `POST /api/admin/migrate`: applies what this binary embeds and has not applied. Usually that
/// is nothing, because it did so before it listened.
pub(crate) async fn migrate(
    State(app): State<Arc<App>>,
    call: AdminCall,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    // Recorded first: a crash on the way must not hide that it was asked for.
    call.finish(&app, "started").await;
    let (path, commit) = (app.store.path().to_owned(), app.commit.clone());
    let applied = app
        .store
        .while_no_one_writes(move || Ok(migrations::apply_now(&path, &commit)));
    let outcome = applied.await?;
    call.finish(&app, outcome.name).await;
    let status = match outcome.name {
        "applied" | "up_to_date" => StatusCode::OK,
        "refused" => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Ok((status, Json(outcome.body)))
}
