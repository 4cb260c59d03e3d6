//! Writes down every administration call: when, what, with which outcome, for which request.

use anyhow::{Context as _, Result};
use rusqlite::Connection;

/// One call, as it is recorded.
#[derive(Clone, Debug)]
pub(crate) struct AuditRecord {
    /// What was asked for, such as `POST /api/admin/migrate`.
    pub(crate) action: String,
    /// How it ended.
    pub(crate) outcome: String,
    /// Ties the row to the caller's own record of the call.
    pub(crate) request_id: String,
}

/// Stores a record.
///
/// # Errors
/// The database cannot be written.
pub(crate) fn insert(connection: &Connection, now: &str, record: &AuditRecord) -> Result<()> {
    connection
        .execute(
            "INSERT INTO admin_audit (at, action, outcome, request_id) VALUES (?1, ?2, ?3, ?4)",
            (now, &record.action, &record.outcome, &record.request_id),
        )
        .with_context(|| format!("record the administration call {}", record.action))?;
    Ok(())
}
