//! The schema rule of a rollback: an older backend must be able to run on what newer migrations made of the database.
//!
//! The running service tells it best. When that cannot be asked, which is when going back is wanted most, the recorded releases tell
//! what may be applied, and the checkout's files are judged by their text.

use super::Course;
use crate::credentials::CredentialName;
use crate::event::EventKind;
use crate::facts;
use crate::ids::Lane;
use crate::live::Live;
use crate::run::Session;
use crate::service::{Applied, Service};
use migrate::Migrator;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the migrations that the older backend does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Newer {
    /// There is none, or it can run on all of them.
    Harmless,
    /// It cannot run on this one.
    Breaks(String),
    /// Nobody judged this one.
    Unjudged(String),
}

/// `compatible` tells of a migration whether the release before it runs on the schema after it.
fn judge<'n>(
    newer: impl IntoIterator<Item = &'n str>,
    compatible: impl Fn(&str) -> Option<bool>,
) -> Newer {
    let mut found = Newer::Harmless;
    for name in newer {
        match compatible(name) {
            Some(true) => {}
            Some(false) => return Newer::Breaks(name.to_owned()),
            None => found = Newer::Unjudged(name.to_owned()),
        }
    }
    found
}

/// An older backend must be able to run on what newer migrations made of the schema.
pub(super) fn allows(
    session: &Session<'_>,
    course: &Course<'_>,
    break_glass: bool,
) -> Result<(), String> {
    if session.config.backend.migrations.is_none() {
        return Ok(());
    }
    let known = migrations(session, course.target);
    let newer = match live_history(session, course.current) {
        Ok(history) => {
            let rows: BTreeMap<&str, Option<bool>> = history
                .iter()
                .map(|row| (row.filename.as_str(), row.compatible))
                .collect();
            judge(
                rows.keys().copied().filter(|name| !known.contains(*name)),
                |name| rows.get(name).copied().flatten(),
            )
        }
        Err(why) => {
            warn(
                session,
                format!(
                    "{why}: what is applied is taken from the recorded releases, and judged by the files of this checkout"
                ),
            );
            let recorded: BTreeSet<String> = course
                .since
                .iter()
                .flat_map(|entry| migrations(session, entry))
                .collect();
            let lint = lint(session);
            let breaks = |name: &str| {
                let mut releases = course.since.iter().map(|entry| &entry.record.breaking);
                releases.any(|files| files.iter().any(|file| file == name))
            };
            judge(recorded.difference(&known).map(String::as_str), |name| {
                if breaks(name) {
                    Some(false)
                } else {
                    lint.get(name).copied()
                }
            })
        }
    };
    match newer {
        Newer::Harmless => Ok(()),
        Newer::Breaks(name) => Err(format!(
            "migration {name} was applied since and the older backend cannot run on it; the code was not rolled back (choices: fix forward with a new release, or restore the backup that was made before that migration)"
        )),
        Newer::Unjudged(name) if break_glass => {
            warn(
                session,
                format!(
                    "whether the older backend can run on the schema after {name} is not known; it was overridden"
                ),
            );
            Ok(())
        }
        Newer::Unjudged(name) => Err(format!(
            "whether the older backend can run on the schema after {name} is not known; the code was not rolled back (choices: make the service's admin state readable, check out the release that has the file, or say --break-glass REASON)"
        )),
    }
}

/// The applied migrations as the running service tells them, or why it does not.
fn live_history(session: &Session<'_>, current: &Live) -> Result<Vec<Applied>, String> {
    let Some(token) = session.admin_token else {
        return Err(format!(
            "the live schema could not be read: {} is not set",
            CredentialName::TandemAdminToken.variable()
        ));
    };
    let configured = session.config.backend.contract();
    let contract = current.record.contract().unwrap_or(&configured);
    let service = Service::new(session.world, &session.target.service_url, contract);
    service
        .admin_state(token)
        .map(|state| state.history)
        .map_err(|error| format!("the live schema could not be read: {error}"))
}

/// The migrations that a release carries.
fn migrations(session: &Session<'_>, live: &Live) -> BTreeSet<String> {
    facts::migration_names(session.config, live.manifests.get(&Lane::Backend))
}

/// What the checkout's files say of themselves.
fn lint(session: &Session<'_>) -> BTreeMap<String, bool> {
    match Migrator::new("lint-needs-no-database", session.source.migrations.clone()).lint() {
        Ok(lint) => lint
            .files
            .into_iter()
            .map(|file| (file.name, file.compatible))
            .collect(),
        Err(error) => {
            warn(
                session,
                format!("the migrations of this checkout cannot be judged: {error}"),
            );
            BTreeMap::new()
        }
    }
}

fn warn(session: &Session<'_>, text: String) {
    session.world.emit(EventKind::Warning { text });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_breaking_migration_decides_and_one_unjudged_is_not_harmless() {
        let said = |name: &str| match name {
            "1.sql" | "2.sql" => Some(true),
            "3.sql" => Some(false),
            _ => None,
        };
        assert_eq!(judge([], said), Newer::Harmless);
        assert_eq!(judge(["1.sql", "2.sql"], said), Newer::Harmless);
        assert_eq!(
            judge(["1.sql", "4.sql", "2.sql"], said),
            Newer::Unjudged("4.sql".to_owned())
        );
        assert_eq!(
            judge(["4.sql", "3.sql"], said),
            Newer::Breaks("3.sql".to_owned())
        );
    }
}
