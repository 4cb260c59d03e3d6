//! Who else has a file open. A lock tells of a transaction only: a connection that is idle holds none, and would go on with
//! what it has read before.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Processes that have the file open, as `name (process id)`; this process too, if it has. Those of other users are seen
/// by root only, and none where there is no `/proc`.
///
/// Asks with `stat` and opens nothing: to close a second handle of a database would drop this process's locks on it.
pub(crate) fn holders(file: &Path) -> Vec<String> {
    let Ok(wanted) = fs_err::metadata(file) else {
        return Vec::new();
    };
    let holds = |process: &Path| {
        let Ok(handles) = fs_err::read_dir(process.join("fd")) else {
            return false;
        };
        handles.flatten().any(|handle| {
            fs_err::metadata(handle.path())
                .is_ok_and(|found| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino()))
        })
    };
    let Ok(processes) = fs_err::read_dir("/proc") else {
        return Vec::new();
    };
    let mut found: Vec<(u32, String)> = processes
        .flatten()
        .filter_map(|entry| {
            let id: u32 = entry.file_name().to_str()?.parse().ok()?;
            holds(&entry.path()).then(|| (id, name(&entry.path())))
        })
        .collect();
    found.sort();
    found
        .into_iter()
        .map(|(id, name)| format!("{name} (process {id})"))
        .collect()
}

fn name(process: &Path) -> String {
    let name = fs_err::read_to_string(process.join("comm")).unwrap_or_default();
    name.trim()
        .chars()
        .map(|c| if c.is_control() { '·' } else { c })
        .collect()
}
