//! What makes two builds the same: the build's settings and the content of the files it looks at.

use sha2::{Digest as _, Sha256};
use std::os::unix::ffi::OsStrExt as _;

use super::checkout::Entry;
use crate::settings::ServiceSettings;

/// Changes when builds of an earlier version of this file must not be reused.
const VERSION: &str = "2";

/// A name for the build of these tree entries with these settings.
pub(super) fn of_build(service: &ServiceSettings, entries: &[Entry]) -> String {
    let mut hash = Sha256::new();
    let mut bytes = |text: &[u8]| {
        // The length keeps two fields from being read as one.
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    let mut field = |text: &str| bytes(text.as_bytes());
    field(VERSION);
    field(&service.build_command);
    for artifact in &service.artifacts {
        field(artifact);
    }
    for (name, value) in &service.build_env {
        field(name);
        field(value);
    }
    for entry in entries
        .iter()
        .filter(|entry| is_selected(&service.build_filter, &entry.path.to_string_lossy()))
    {
        bytes(entry.head.as_bytes());
        bytes(entry.path.as_os_str().as_bytes());
    }
    crate::blobs::hex(&hash.finalize())[..40].to_owned()
}

/// Patterns with `*`, `?` or `[` are globs over the whole path, others name a file or a folder.
fn is_selected(filter: &[String], path: &str) -> bool {
    filter.is_empty()
        || filter.iter().any(|pattern| {
            if pattern.contains(['*', '?', '[']) {
                return glob::Pattern::new(pattern).is_ok_and(|p| p.matches(path));
            }
            let folder = pattern.trim_end_matches('/');
            path == folder
                || path
                    .strip_prefix(folder)
                    .is_some_and(|rest| rest.starts_with('/'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_decides_which_changes_count() {
        let entry = |id: &str, path: &str| {
            Entry::parse(format!("100644 blob {id}\t{path}").as_bytes()).unwrap()
        };
        let service = ServiceSettings {
            build_filter: vec!["backend".into(), "*.toml".into()],
            ..ServiceSettings::default()
        };
        let base = of_build(
            &service,
            &[
                entry("1", "backend/src/main.rs"),
                entry("2", "frontend/a.js"),
            ],
        );
        assert_eq!(
            base,
            of_build(
                &service,
                &[
                    entry("1", "backend/src/main.rs"),
                    entry("3", "frontend/a.js")
                ]
            )
        );
        assert_ne!(
            base,
            of_build(
                &service,
                &[
                    entry("4", "backend/src/main.rs"),
                    entry("2", "frontend/a.js")
                ]
            )
        );
        assert_ne!(
            base,
            of_build(
                &service,
                &[entry("1", "backend/src/main.rs"), entry("5", "Cargo.toml")]
            )
        );
        let other = ServiceSettings {
            build_command: "make".into(),
            ..service
        };
        assert_ne!(base, of_build(&other, &[entry("1", "backend/src/main.rs")]));
        assert!(!is_selected(&["back".into()], "backend/x"));
    }
}
