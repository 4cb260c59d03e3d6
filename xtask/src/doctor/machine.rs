//! This machine: can the journal be written, is there room, and does the clock agree with others'.

use super::{Area, Finding, Level};
use crate::journal::Journal;
use std::path::Path;

/// Less room than this and the journal may not take the next event.
const FREE_MIN_BYTES: u64 = 100 << 20;
/// Less than this and a build may not fit.
const FREE_LOW_BYTES: u64 = 1 << 30;
/// A clock that is off by so much makes times in records misleading.
const SKEW_LOW_MS: u64 = 30_000;
/// By so much, and certificates and leases are judged wrongly.
const SKEW_MAX_MS: u64 = 300_000;

/// Whether the journal takes an entry.
pub fn journal(journal: &Journal) -> Finding {
    match journal.check_writable() {
        Ok(()) => Finding::new(Area::Machine, "journal", Level::Ok, "can be written"),
        Err(error) => Finding::new(
            Area::Machine,
            "journal",
            Level::Error,
            format!(
                "{error:#} (hint: free the disk or mend its permissions; TANDEM_STATE_DIR names another place)"
            ),
        ),
    }
}

/// How much room the folder's disk has.
pub fn disk(folder: &Path) -> Finding {
    match rustix::fs::statvfs(folder) {
        Ok(stat) => room(stat.f_bavail.saturating_mul(stat.f_frsize), folder),
        Err(error) => Finding::new(
            Area::Machine,
            "disk",
            Level::Warning,
            format!(
                "how much room {} has could not be read: {error}",
                folder.display()
            ),
        ),
    }
}

fn room(free_bytes: u64, folder: &Path) -> Finding {
    let level = match free_bytes {
        free if free < FREE_MIN_BYTES => Level::Error,
        free if free < FREE_LOW_BYTES => Level::Warning,
        _ => Level::Ok,
    };
    let hint = if level == Level::Ok {
        ""
    } else {
        " (hint: make room)"
    };
    let text = format!(
        "{} MiB free at {}{hint}",
        free_bytes >> 20,
        folder.display()
    );
    Finding::new(Area::Machine, "disk", level, text)
}

/// This machine's clock against a provider's, both in milliseconds since the Unix epoch.
pub fn clock(ours_ms: i64, theirs_ms: i64) -> Finding {
    let skew_ms = ours_ms.abs_diff(theirs_ms);
    let level = match skew_ms {
        skew if skew > SKEW_MAX_MS => Level::Error,
        skew if skew > SKEW_LOW_MS => Level::Warning,
        _ => Level::Ok,
    };
    let text = if level == Level::Ok {
        "agrees with the provider's".to_owned()
    } else {
        format!(
            "is {} s {} the provider's (hint: synchronise it)",
            skew_ms / 1000,
            if ours_ms > theirs_ms {
                "ahead of"
            } else {
                "behind"
            }
        )
    };
    Finding::new(Area::Machine, "clock", level, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_error_and_a_filling_one_a_warning() {
        let level = |free: u64| room(free, Path::new(".")).level;
        assert_eq!(level(5 << 20), Level::Error);
        assert_eq!(level(500 << 20), Level::Warning);
        assert_eq!(level(5 << 30), Level::Ok);
        assert_eq!(disk(Path::new("/no/such/folder")).level, Level::Warning);
    }

    #[test]
    fn a_clock_that_is_off_is_told_by_how_much() {
        assert_eq!(clock(1_000_000, 1_000_999).level, Level::Ok);
        let behind = clock(1_000_000, 1_060_000);
        assert_eq!(
            (behind.level, behind.text.as_str()),
            (Level::Warning, "is 60 s behind the provider's")
        );
        assert_eq!(clock(1_000_000, 2_000_000).level, Level::Error);
        assert!(clock(2_000_000, 1_000_000).text.contains("1000 s ahead of"));
    }

    #[test]
    fn a_journal_that_cannot_be_written_is_an_error() {
        assert_eq!(journal(&Journal::in_memory().unwrap()).level, Level::Ok);
    }
}
