//! Whether the old backend may be tried although the plan said that it cannot run on the new schema: where that schema never came
//! about, or where the old one starts through the migration engine, which refuses what it cannot run on.

use super::Verdict;
use crate::exit::Exit;
use crate::job::{Job, LaneError, OUTAGE};
use crate::lane::service_log;
use crate::lane::trigger::{self, Ours};
use crate::service::Service;
use migrate::Fate;

/// What is known of the database after the release's migrations were to run.
struct Database {
    fate: Option<Fate>,
    /// The backup that was made before them, as the log names it.
    backup: Option<String>,
}

/// The end of a run whose plan said irreversible, when the old backend must not be tried.
pub(super) fn forbids(job: &Job<'_>, text: &str) -> Result<Option<Verdict>, LaneError> {
    if job.plan.reversible {
        return Ok(None);
    }
    let database = look(job)?;
    let why = match database.fate {
        Some(Fate::AsItWas) => "the migration did not come about, and the database is as it was",
        None if job.baseline.through_engine => {
            "what became of the migration is not known, and the live version starts through the engine, which refuses a schema that it cannot run on"
        }
        Some(Fate::Changed) | None => return Ok(Some(needs_a_person(job, text, &database))),
    };
    job.warn(format!("the backend is rolled back all the same: {why}"));
    Ok(None)
}

/// The end of a run whose old backend was tried and refused, or did not come up.
pub(super) fn refused(job: &Job<'_>, text: &str) -> Verdict {
    let database = look(job).unwrap_or(Database {
        fate: None,
        backup: None,
    });
    needs_a_person(job, text, &database)
}

fn needs_a_person(job: &Job<'_>, text: &str, database: &Database) -> Verdict {
    let restore = match &database.backup {
        Some(path) => format!(
            "restore the backup that was made before the migration: `migrate --database FILE --restore {path}` where the service runs, with it stopped, then `rollback`"
        ),
        None => "restore the backup that was made before the migration, then `rollback`".to_owned(),
    };
    Verdict::new(
        Exit::Database,
        format!(
            "{text}; the backend was not rolled back because {} (choices: fix forward with a new release, or {restore})",
            job.plan.reversible_because
        ),
    )
}

/// Asks the service, when it answers, and otherwise the log of the deploy.
fn look(job: &Job<'_>) -> Result<Database, LaneError> {
    let Ours::Deploy(id) = trigger::ours(job)? else {
        return Ok(Database {
            fate: None,
            backup: None,
        });
    };
    let lines = service_log::lines(job, &id).unwrap_or_else(|error| {
        job.warn(format!("the service's log could not be read: {error}"));
        Vec::new()
    });
    let backup = lines.iter().rev().find_map(|line| backup_in(line));
    // Several engines may have run one after the other (`migrate`, then the service's own): what one of them committed stays.
    let told = lines.iter().filter_map(|line| Fate::told_by(line));
    let told = told.reduce(|one, other| match (one, other) {
        (Fate::AsItWas, Fate::AsItWas) => Fate::AsItWas,
        _ => Fate::Changed,
    });
    let was_live = {
        let status = job.read(OUTAGE, || job.service().deploy(&id))?.status;
        status.is_live() || status.is_superseded()
    };
    // A service that listens has migrated, unless its own history says otherwise.
    let fate = if was_live {
        Some(history(job).unwrap_or_else(|| told.unwrap_or(Fate::Changed)))
    } else {
        told
    };
    Ok(Database { fate, backup })
}

/// What the history of the running service says of the files that the old version cannot run on.
fn history(job: &Job<'_>) -> Option<Fate> {
    let service = Service::new(job.world, &job.target.service_url, &job.plan.contract);
    let state = service.admin_state(job.admin_token?).ok()?;
    let breaks = |name: &str| {
        let files = &job.plan.migrations;
        files
            .iter()
            .any(|file| !file.compatible && file.name == name)
    };
    Some(if state.history.iter().any(|row| breaks(&row.filename)) {
        Fate::Changed
    } else {
        Fate::AsItWas
    })
}

/// `backup PATH (N bytes, N ms)`, as the engine and the services around it write it.
fn backup_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("backup ")?;
    let (path, sizes) = rest.rsplit_once(" (")?;
    sizes.contains(" bytes, ").then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_names_the_backup() {
        let line = "migrations: backup /var/data/shop.db.backups/a b.db (8192 bytes, 3 ms)";
        assert_eq!(
            backup_in(line).as_deref(),
            Some("/var/data/shop.db.backups/a b.db")
        );
        assert_eq!(backup_in("no rows yet: no backup, no rehearsal"), None);
    }
}
