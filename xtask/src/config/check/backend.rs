//! Checks of the backend's table, most of them rules of Render that would otherwise show only after the build.

use super::super::at::At;
use super::super::lanes::{Backend, Disk, IdentityProof};
use super::super::suggest::nearest;
use super::value::{
    check_glob, check_paths, check_relative, check_seconds, check_toolchain, check_url_path,
    check_variable,
};
use super::{Checker, TIMEOUT_MAX_S};
use std::collections::BTreeMap;

/// Render's regions, from its API description.
const REGIONS: [&str; 5] = ["frankfurt", "ohio", "oregon", "singapore", "virginia"];

/// Render's runtimes that take a build command and a start command, from its description of Blueprints.
const RUNTIMES: [&str; 6] = ["elixir", "go", "node", "python", "ruby", "rust"];

/// Folders of the system or the build, where Render mounts no disk.
const FORBIDDEN_MOUNTS: [&str; 9] = [
    "/",
    "/etc",
    "/etc/secrets",
    "/home",
    "/home/render",
    "/opt",
    "/opt/render",
    "/opt/render/project",
    "/opt/render/project/src",
];

pub(super) fn check(checker: &mut Checker<'_>, at: &At, backend: &Backend) {
    check_paths(
        checker,
        &at.key("paths"),
        &backend.paths,
        "paths = [\"backend/**\"]",
    );
    check_toolchain(
        checker,
        at,
        backend.toolchain.as_deref(),
        &backend.variables,
    );
    checker.required(
        &at.key("build"),
        &backend.build,
        "build = \"cargo build --release --locked\"",
    );
    checker.required(
        &at.key("start"),
        &backend.start,
        "start = \"./target/release/backend\"",
    );
    for (key, path) in [
        ("health", backend.health.as_str()),
        ("version", backend.version_path()),
        ("admin", backend.admin.as_str()),
    ] {
        check_url_path(checker, &at.key(key), path);
    }
    identity(checker, at, backend);
    if let Some(folder) = &backend.migrations {
        check_relative(checker, &at.key("migrations"), folder);
    }
    check_seconds(
        checker,
        &at.key("max_shutdown_delay_s"),
        backend.max_shutdown_delay_s,
        1..=300,
    );
    one_of(
        checker,
        &at.key("runtime"),
        &backend.runtime,
        &RUNTIMES,
        "runtime",
    );
    one_of(
        checker,
        &at.key("region"),
        &backend.region,
        &REGIONS,
        "region",
    );
    checker.required(&at.key("plan"), &backend.plan, "plan = \"starter\"");
    check_env(checker, &at.key("env"), &backend.env);
    if let Some(disk) = &backend.disk {
        check_disk(checker, at, disk, backend);
    }
    let local = at.key("local");
    checker.not_blank(&local.key("build"), backend.local.build.as_deref());
    checker.not_blank(&local.key("start"), backend.local.start.as_deref());
    check_env(checker, &local.key("env"), &backend.local.env);
    for (i, pattern) in backend.local.artifacts.iter().enumerate() {
        check_glob(checker, &local.key("artifacts").item(i), pattern);
    }
    for (i, folder) in backend.local.cache.iter().enumerate() {
        check_relative(checker, &local.key("cache").item(i), folder);
    }
    let rehearse = at.key("rehearse");
    checker.not_blank(&rehearse.key("source"), backend.rehearse.source.as_deref());
    check_seconds(
        checker,
        &rehearse.key("timeout_s"),
        backend.rehearse.timeout_s,
        1..=TIMEOUT_MAX_S,
    );
}

/// Where the commit stands in an answer matters only to the rung that reads it there, and it stands in one place.
fn identity(checker: &mut Checker<'_>, at: &At, backend: &Backend) {
    let places = [
        ("commit_field", &backend.commit_field),
        ("commit_header", &backend.commit_header),
    ];
    for (key, value) in places {
        checker.not_blank(&at.key(key), value.as_deref());
    }
    if backend.commit_field.is_some() && backend.commit_header.is_some() {
        checker.report(
            &at.key("commit_header"),
            "the commit stands in a field or in a header, not in both",
            "leave out the one that the service does not send",
        );
    }
    let named = places.into_iter().find(|(_, value)| value.is_some());
    if let (Some((key, _)), Some(IdentityProof::Provider | IdentityProof::Answers)) =
        (named, backend.identity)
    {
        checker.report(
            &at.key(key),
            format!("'{key}' has no effect: `identity` says that no commit is read"),
            "say identity = \"commit\", or leave this key out",
        );
    }
    if let Some(header) = &backend.commit_header
        && http::HeaderName::from_bytes(header.trim().as_bytes()).is_err()
    {
        checker.report(
            &at.key("commit_header"),
            format!("'{header}' cannot be a header's name"),
            "write for example commit_header = \"x-commit\"",
        );
    }
}

/// Reports a value that is not among the provider's; `what` is what they call themselves.
fn one_of(checker: &mut Checker<'_>, at: &At, value: &str, known: &[&str], what: &str) {
    if known.contains(&value) {
        return;
    }
    let hint = match nearest(value, known.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("the {what}s are {}", known.join(", ")),
    };
    checker.report(at, format!("'{value}' is no {what} of Render"), hint);
}

fn check_disk(checker: &mut Checker<'_>, backend_at: &At, disk: &Disk, backend: &Backend) {
    let at = backend_at.key("disk");
    checker.required(&at.key("name"), &disk.name, "name = \"data\"");
    if disk.size_gb == 0 {
        checker.missing_size(&at.key("size_gb"));
    }
    if backend.plan == "free" {
        checker.report(
            &backend_at.key("plan"),
            "the plan 'free' has no disk",
            "write for example plan = \"starter\"",
        );
    }
    let mount_at = at.key("mount_path");
    if !checker.required(&mount_at, &disk.mount_path, "mount_path = \"/var/data\"") {
        return;
    }
    let mount = match disk.mount_path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    if !mount.starts_with('/') || mount.split('/').any(|part| part == "..") {
        checker.report(
            &mount_at,
            format!("'{mount}' is not an absolute path"),
            "write for example \"/var/data\"",
        );
    } else if FORBIDDEN_MOUNTS.contains(&mount) {
        checker.report(
            &mount_at,
            format!("Render mounts no disk at '{mount}'"),
            "write for example \"/var/data\"",
        );
    } else {
        database_on_disk(
            checker,
            &backend_at.key("env").key("DATABASE_PATH"),
            mount,
            backend,
        );
    }
}

/// A database beside its disk looks well until the next deploy, which begins with an empty one.
fn database_on_disk(checker: &mut Checker<'_>, at: &At, mount: &str, backend: &Backend) {
    let Some(path) = backend.env.get("DATABASE_PATH") else {
        return;
    };
    let below = path
        .strip_prefix(mount)
        .is_some_and(|rest| rest.starts_with('/'));
    if !below || path.split('/').any(|part| part == "..") {
        checker.report(
            at,
            format!(
                "DATABASE_PATH '{path}' is not on the disk, so every deploy would lose the data"
            ),
            format!("the disk is mounted at '{mount}'"),
        );
    }
}

fn check_env(checker: &mut Checker<'_>, at: &At, env: &BTreeMap<String, String>) {
    for (name, value) in env {
        let at = at.key(name);
        check_variable(checker, &at, name);
        if crate::credentials::CredentialName::from_variable(name).is_some() {
            checker.report(
                &at,
                format!("'{name}' is a credential"),
                "this file is committed: set it in the service's own settings at Render",
            );
        }
        if value.contains('\0') {
            checker.report(
                &at,
                format!("the value of '{name}' has a NUL character"),
                "no environment can hold it",
            );
        }
    }
}

impl Checker<'_> {
    fn missing_size(&mut self, at: &At) {
        if self.source.has(at) {
            self.report(
                at,
                "'size_gb' must be at least 1",
                "a disk can grow later and never shrink",
            );
        } else {
            self.missing(at, "size_gb = 1");
        }
    }
}
