//! The environments of builds and processes: nothing of the caller's but what is listed here.
#![expect(
    clippy::disallowed_methods,
    reason = "the few variables that are passed on are read here and nowhere else"
)]

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::reply::StartSpec;
use crate::settings::{Disk, ServiceSettings};

/// For every child.
const PASSED: [&str; 3] = ["HOME", "LANG", "PATH"];
/// For builds: where toolchains and libraries are, and the way to a package registry.
const PASSED_TO_BUILDS: [&str; 16] = [
    "CARGO_HOME",
    "CARGO_HTTP_CAINFO",
    "CARGO_NET_OFFLINE",
    "CC",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LIBRARY_PATH",
    "LIBSQLITE3_SYS_USE_PKG_CONFIG",
    "NIX_CFLAGS_COMPILE",
    "NIX_LDFLAGS",
    "NO_PROXY",
    "PKG_CONFIG_PATH",
    "RUSTUP_HOME",
    "SSL_CERT_FILE",
    "TMPDIR",
    "https_proxy",
];

fn passed(names: &[&str]) -> BTreeMap<String, String> {
    names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect()
}

/// What the cloud's own process gets: it outlives the command that starts it, and builds run beside it could read what it was given.
pub(crate) fn of_daemon() -> BTreeMap<String, String> {
    let mut env = passed(&PASSED);
    env.extend(passed(&PASSED_TO_BUILDS));
    env
}

/// For git, which must not be told about another repository by the caller's environment.
pub(super) fn of_git() -> BTreeMap<String, String> {
    passed(&PASSED)
}

/// For a build of a commit.
pub(super) fn of_build(service: &ServiceSettings, commit: &str) -> BTreeMap<String, String> {
    let mut env = passed(&PASSED);
    env.extend(passed(&PASSED_TO_BUILDS));
    env.extend(service.build_env.clone());
    env.insert("RENDER".to_owned(), "true".to_owned());
    env.insert("RENDER_GIT_COMMIT".to_owned(), commit.to_owned());
    env
}

/// For the pre-deploy command: like the service, but the disk is not there.
pub(super) fn of_pre_deploy(spec: &StartSpec) -> BTreeMap<String, String> {
    let mut env = passed(&PASSED);
    env.extend(spec.env.clone());
    env
}

/// For the service: its disk is a local folder.
pub(super) fn of_service(state_dir: &Path, spec: &StartSpec) -> Result<BTreeMap<String, String>> {
    let mut env = passed(&PASSED);
    for (name, value) in &spec.env {
        env.insert(
            name.clone(),
            local_path(state_dir, spec.service.disk.as_ref(), value),
        );
    }
    if let Some(disk) = &spec.service.disk {
        fs_err::create_dir_all(disk_folder(state_dir, disk))?;
    }
    Ok(env)
}

fn disk_folder(state_dir: &Path, disk: &Disk) -> std::path::PathBuf {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    state_dir
        .join("disk")
        .join(disk.name.replace(|c| !is_plain(c), "_"))
}

/// A value that lies at or below the mount path points into the local folder instead.
fn local_path(state_dir: &Path, disk: Option<&Disk>, value: &str) -> String {
    let Some(disk) = disk else {
        return value.to_owned();
    };
    let mount = disk.mount_path.trim_end_matches('/');
    match value.strip_prefix(mount) {
        Some(rest) if !mount.is_empty() && (rest.is_empty() || rest.starts_with('/')) => {
            format!("{}{rest}", disk_folder(state_dir, disk).display())
        }
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_below_the_mount_path_are_rewritten() {
        let disk = Disk {
            name: "my data".to_owned(),
            mount_path: "/var/data".to_owned(),
        };
        let local = |value: &str| local_path(Path::new("/s"), Some(&disk), value);
        assert_eq!(local("/var/data/tandem.db"), "/s/disk/my_data/tandem.db");
        assert_eq!(local("/var/data"), "/s/disk/my_data");
        assert_eq!(local("/var/database"), "/var/database");
        assert_eq!(local("3001"), "3001");
    }
}
