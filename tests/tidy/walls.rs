//! Who may import whom: the rooms of ARCHITECTURE.md, checked on the text of the sources.

use super::{lines, nothing_found, read, rust_files};
use std::collections::BTreeSet;

/// `uses(text)`: every path below `crate::` that a file names, braces spelled out, comments and unit tests left away.
fn uses(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        spell_out("", &code[at + "crate::".len()..], &mut found);
    }
    found
}

/// Adds the paths of one use tree: `a::{b, c::d}` is `a::b` and `a::c::d`. Gives what is left of the text.
fn spell_out<'t>(prefix: &str, text: &'t str, found: &mut BTreeSet<String>) -> &'t str {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let (path, mut rest) = text.split_at(text.find(|c| !is_path(c)).unwrap_or(text.len()));
    let path = format!("{prefix}{path}");
    if !(path.is_empty() || path.ends_with("::")) || !rest.starts_with('{') {
        found.insert(path);
        return rest;
    }
    while let Some(inner) = rest.strip_prefix(['{', ',']) {
        let inner = inner.trim_start();
        if inner.starts_with('}') {
            rest = inner;
            break;
        }
        rest = spell_out(&path, inner, found).trim_start();
        // `b as c`: the name it gets does not matter.
        rest = rest.find([',', '}']).map_or("", |at| &rest[at..]);
    }
    rest.strip_prefix('}').unwrap_or(rest)
}

#[test]
fn use_trees_are_spelled_out() {
    let text = "use crate::{k::L, m};\nuse crate::a::{self, b::{C, d as e},\n f};\nlet x = crate::g::h(1); // crate::\n/// crate::no\n#[cfg(test)] crate::no";
    let expected = [
        "", "a::b::C", "a::b::d", "a::f", "a::self", "g::h", "k::L", "m",
    ];
    assert_eq!(uses(text), expected.map(str::to_owned).into());
}

/// Whether one of the rooms' path prefixes holds the file.
fn is_in(path: &str, rooms: &[&str]) -> bool {
    rooms.iter().any(|room| {
        let rest = path
            .strip_prefix("xtask/src/")
            .and_then(|path| path.strip_prefix(room));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
    })
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Who must not know whom inside the library: the rooms, the modules, and why.
const WALLS: [(&[&str], &[&str], &str); 5] = [
    (
        &[
            "plan",
            "contract",
            "event",
            "state",
            "exit",
            "sink",
            "redact",
            "site_rules",
        ],
        &[
            "world",
            "http",
            "git",
            "gitrefs",
            "real",
            "sim",
            "supervisor",
            "journal",
            "lease",
            "netlify",
            "render",
            "service",
            "cli",
            "local_cloud",
        ],
        "it has no effects, so that its tests are plain values",
    ),
    (
        &["lane"],
        &[
            "cli",
            "executor",
            "run",
            "real",
            "sim",
            "local_cloud",
            "sink",
            "console",
            "git",
            "gitrefs",
        ],
        "a lane reaches outside through the world it is given, and does not know who runs it",
    ),
    (
        &[
            "executor", "once", "lease", "run", "job", "world", "netlify", "render", "service",
            "rollback",
        ],
        &[
            "cli",
            "real",
            "sim",
            "local_cloud",
            "sink",
            "console",
            "supervisor",
        ],
        "the engine is the same in both worlds and prints nothing",
    ),
    (
        &["config", "credentials"],
        &["world", "http", "real", "sim", "git"],
        "configuration is decided before anything is contacted",
    ),
    (
        &["bundle", "prepare", "publish_folder", "rule_files"],
        &["cli", "netlify", "render", "credentials", "real", "sim"],
        "what is prepared is prepared without a provider and without a credential",
    ),
];

#[test]
fn the_walls_stand() {
    let mut found = Vec::new();
    for (path, text) in rust_files().iter().filter(|(path, _)| !is_test(path)) {
        for (rooms, strangers, why) in WALLS {
            if is_in(path, rooms) {
                let used = uses(text);
                let met = used.iter().filter(|used| {
                    strangers
                        .iter()
                        .any(|stranger| used.split("::").next() == Some(stranger))
                });
                found.extend(met.map(|used| format!("{path} names crate::{used}: {why}")));
            }
        }
    }
    nothing_found("who may import whom (ARCHITECTURE.md)", &found);
}

#[test]
fn what_is_pure_touches_nothing() {
    let effects = [
        "std::fs",
        "fs_err",
        "std::process",
        "std::net",
        "std::env",
        "std::thread",
        "ureq::",
        "rusqlite::",
        "xshell::",
        "Instant::now",
        "SystemTime::now",
    ];
    let mut found = Vec::new();
    for (path, text) in rust_files().iter().filter(|(path, _)| !is_test(path)) {
        if is_in(path, WALLS[0].0) || path.starts_with("xtask/changes/") {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let touches = |line: &str| {
                !line.trim_start().starts_with("//")
                    && effects.iter().any(|effect| line.contains(effect))
            };
            found.extend(lines(path, code, touches));
        }
    }
    nothing_found(
        "plan, event, state, sink, redact and the package `changes` have no effects",
        &found,
    );
}

#[test]
fn only_few_know_the_cloud_and_the_real_world() {
    let mut found = Vec::new();
    for (path, text) in rust_files()
        .iter()
        .filter(|(path, _)| path.starts_with("xtask/src/") && !is_test(path))
    {
        // Not `crate::cli::cloud::`, not `local_cloud::`, not the cloud's Rust path inside a longer one.
        let names_cloud = |line: &str| {
            let mut at = line
                .match_indices("cloud::")
                .map(|(at, _)| line[..at].trim_end_matches("::"));
            !line.trim_start().starts_with("//")
                && at.any(|before| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        if !is_in(path, &["cli", "sim", "local_cloud"]) {
            found.extend(lines(path, text, names_cloud).map(|line| {
                format!("{line} (only cli, sim and local_cloud know the crate `cloud`)")
            }));
        }
        if !is_in(path, &["cli", "real"]) && uses(text).contains("real::Real") {
            found.push(format!("{path} names real::Real (only cli does)"));
        }
    }
    nothing_found("the engine does not know in which world it runs", &found);
}

/// Which of our packages each of them may depend on.
const PACKAGES: [(&str, &[&str]); 5] = [
    ("backend/Cargo.toml", &["migrate"]),
    ("migrations/engine/Cargo.toml", &[]),
    ("xtask/changes/Cargo.toml", &[]),
    ("xtask/cloud/Cargo.toml", &["changes"]),
    ("xtask/Cargo.toml", &["changes", "cloud", "migrate"]),
];

#[test]
fn packages_depend_on_few_of_ours() {
    let mut found = Vec::new();
    for (path, allowed) in PACKAGES {
        let manifest: toml::Table = read(path)
            .parse()
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let tables = ["dependencies", "dev-dependencies", "build-dependencies"]
            .map(|name| manifest.get(name).and_then(toml::Value::as_table));
        let names = tables.into_iter().flatten().flat_map(|table| table.keys());
        let ours = names.filter(|name| {
            ["backend", "changes", "cloud", "migrate", "tandem"].contains(&name.as_str())
                && !allowed.contains(&name.as_str())
        });
        found.extend(ours.map(|name| format!("{path} depends on {name}")));
    }
    nothing_found(
        "the cloud shares the pattern language and no types with its clients; the engine and the service know nothing of releasing",
        &found,
    );
}
