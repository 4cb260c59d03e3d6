//! The second line behind the checks on text: SQLite's own parser says what a statement is about to do, and what would
//! leave the transaction, the database or touch the history is denied.

use crate::check::{Pragma, pragma};
use crate::directive::Directives;
use crate::error::{Doing as _, Error};
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use std::sync::{Arc, Mutex, PoisonError};

/// Shared between a connection's authorizer and the code that runs files on it.
#[derive(Clone, Debug)]
pub(crate) struct Guard(Arc<Mutex<State>>);

/// Why a statement is not allowed, and what to do instead.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    pub(crate) message: String,
    pub(crate) hint: &'static str,
    /// The name in the statement that it is about.
    pub(crate) culprit: String,
}

#[derive(Debug, Default)]
struct State {
    /// The directives of the file that runs; none while the runner's own statements do.
    file: Option<Directives>,
    seen: Seen,
}

/// What SQLite's parser said about a statement.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Why it was denied, if it was.
    pub(crate) denied: Option<Denial>,
    /// The tables, in lower case, that it deletes from, by itself or through a trigger. DROP TABLE does so, too.
    pub(crate) deletes: Vec<String>,
    /// The tables, in lower case, whose rows it may change in any way.
    pub(crate) touches: Vec<String>,
}

impl Seen {
    fn note(&mut self, action: &AuthAction<'_>) {
        let table = match action {
            AuthAction::Insert { table_name }
            | AuthAction::Update { table_name, .. }
            | AuthAction::Delete { table_name }
            | AuthAction::CreateTable { table_name }
            | AuthAction::AlterTable { table_name, .. }
            | AuthAction::DropTable { table_name } => table_name.to_lowercase(),
            _ => return,
        };
        if let AuthAction::Delete { .. } = action {
            self.deletes.push(table.clone());
        }
        // An UPDATE is asked about once for each column.
        if self.touches.last() != Some(&table) {
            self.touches.push(table);
        }
    }
}

impl Guard {
    /// Installs it on a connection, disarmed.
    pub(crate) fn install(connection: &mut Connection, history_table: &str) -> Result<Self, Error> {
        let guard = Self(Arc::default());
        let (state, history) = (Arc::clone(&guard.0), history_table.to_lowercase());
        let decide = move |context: AuthContext<'_>| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(directives) = state.file else {
                return Authorization::Allow;
            };
            match denial(&context, directives, &history) {
                None => {
                    state.seen.note(&context.action);
                    Authorization::Allow
                }
                Some(reason) => {
                    state.seen.denied = Some(reason);
                    Authorization::Deny
                }
            }
        };
        connection
            .authorizer(Some(decide))
            .doing(|| "watch the statements".to_owned())?;
        Ok(guard)
    }

    /// From now on statements are the file's.
    pub(crate) fn arm(&self, file: Option<Directives>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State {
            file,
            seen: Seen::default(),
        };
    }

    /// From now on they are the runner's again; answers what was seen of the file's.
    pub(crate) fn disarm(&self) -> Seen {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *state).seen
    }
}

fn denial(context: &AuthContext<'_>, directives: Directives, history: &str) -> Option<Denial> {
    let main = context
        .database_name
        .is_none_or(|name| name.eq_ignore_ascii_case("main"));
    let ours = |table: &str| main && table.eq_ignore_ascii_case(history);
    let deny = |message: String, hint: &'static str, culprit: &str| {
        let culprit = culprit.to_owned();
        Some(Denial {
            message,
            hint,
            culprit,
        })
    };
    let history_table = || {
        deny(
            format!(
                "{history} is the runner's history, which a migration may neither read nor change"
            ),
            "leave it to the runner; if the application has a table of this name, give the runner's another with --history-table",
            history,
        )
    };
    match context.action {
        AuthAction::Transaction { .. } => deny(
            "transaction control inside a migration".to_owned(),
            "leave it out",
            "",
        ),
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => deny(
            "a migration changes one database only".to_owned(),
            "do this in the program",
            "",
        ),
        AuthAction::Pragma {
            pragma_name,
            pragma_value,
        } => match pragma(
            &pragma_name.to_lowercase(),
            pragma_value.is_some(),
            directives,
        ) {
            Pragma::Allowed => None,
            _ => deny(
                format!("PRAGMA {pragma_name} is not allowed in a migration"),
                "set it where the program opens its connections",
                pragma_name,
            ),
        },
        AuthAction::Function { function_name }
            if function_name.eq_ignore_ascii_case("load_extension") =>
        {
            deny(
                "loading extensions is not allowed in a migration".to_owned(),
                "load it in the program",
                function_name,
            )
        }
        AuthAction::Read { table_name, .. }
        | AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name }
        | AuthAction::CreateTable { table_name }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::CreateIndex { table_name, .. }
        | AuthAction::DropIndex { table_name, .. }
        | AuthAction::CreateTrigger { table_name, .. }
        | AuthAction::DropTrigger { table_name, .. }
        | AuthAction::CreateTempTrigger { table_name, .. }
        | AuthAction::CreateVtable { table_name, .. }
            if ours(table_name) =>
        {
            history_table()
        }
        AuthAction::CreateView { view_name } if ours(view_name) => history_table(),
        _ => None,
    }
}
