//! The rules of this repository that no compiler knows, each as a test that lists everything it finds at once.
//!
//! All of them read text: that is crude and quick, and whoever is caught can see why.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use tandem::exit::Exit;

/// Folders that are made, not written.
const MADE: [&str; 5] = [".git", ".tandem", "artifacts", "node_modules", "target"];

fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository").to_owned()
}

/// Every text file of ours by its path from the repository's root, in order. Other people's files are not ours to judge.
fn files() -> BTreeMap<String, String> {
    let root = repo();
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            if path.is_dir() {
                let made = MADE.contains(&entry.file_name().to_string_lossy().as_ref());
                if !made && !path.ends_with("frontend/vendor") {
                    folders.push(path);
                }
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                found.insert(path.strip_prefix(&root).unwrap().to_string_lossy().into_owned(), text);
            }
        }
    }
    found
}

fn rust_files() -> BTreeMap<String, String> {
    files().into_iter().filter(|(path, _)| path.ends_with(".rs")).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repo().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[track_caller]
fn nothing_found(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}; found {}:\n  {}", found.len(), found.join("\n  "));
}

/// The lines of a file that hold a word for which `is_bad` stands, as `path:line: text`.
fn lines<'a>(path: &'a str, text: &'a str, is_bad: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = String> + 'a {
    let numbered = text.lines().enumerate().filter(move |(_, line)| is_bad(line));
    numbered.map(move |(index, line)| format!("{path}:{}: {}", index + 1, line.trim()))
}

#[test]
fn every_file_says_first_why_it_exists() {
    let mute = rust_files().into_iter().filter(|(_, text)| !text.starts_with("//! "));
    nothing_found("a Rust file opens with `//!` and why it exists", &mute.map(|(path, _)| path).collect::<Vec<_>>());
}

/// A word that nobody should leave behind, put together here so that this file does not contain it.
fn word(parts: [&str; 2]) -> String {
    parts.concat()
}

#[test]
fn nothing_is_left_to_do_without_an_issue() {
    let words = [word(["TO", "DO"]), word(["FIX", "ME"])];
    let is_open = |line: &str| {
        let named = line.split(|c: char| !c.is_alphanumeric()).any(|part| words.iter().any(|word| word == part));
        let has_issue = line.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        named && !has_issue
    };
    let found: Vec<String> = files().iter().flat_map(|(path, text)| lines(path, text, is_open).collect::<Vec<_>>()).collect();
    nothing_found("unfinished work names its issue as #NUMBER on the same line", &found);
}

#[test]
fn no_test_is_switched_off() {
    let words = [word(["#[ig", "nore"]), word(["should_", "panic"])];
    let is_off = |line: &str| words.iter().any(|word| line.contains(word));
    let found: Vec<String> = rust_files().iter().flat_map(|(path, text)| lines(path, text, is_off).collect::<Vec<_>>()).collect();
    nothing_found("every test runs, and says itself what must fail and how", &found);
}

#[test]
fn no_file_knows_a_developers_machine() {
    let words = [word(["/ro", "ot/"]), word(["/wo", "rk/"]), word(["/Us", "ers/"]), word(["/ho", "me/"])];
    let is_local = |line: &str| words.iter().any(|word| line.contains(word));
    let found: Vec<String> = files().iter().flat_map(|(path, text)| lines(path, text, is_local).collect::<Vec<_>>()).collect();
    nothing_found("no path of one machine stands in a file", &found);
}

#[test]
fn no_module_is_forgotten() {
    let all = rust_files();
    let declares = |parent: &str, name: &str| {
        let text = all.get(parent)?;
        let is_it = |line: &str| line.trim().strip_suffix(';').is_some_and(|line| line.ends_with(&format!("mod {name}")));
        Some(text.lines().any(is_it))
    };
    let mut found = Vec::new();
    for path in all.keys() {
        let path_buf = Path::new(path);
        let (folder, stem) = (path_buf.parent().unwrap(), path_buf.file_stem().unwrap().to_string_lossy());
        // The module that a file called mod.rs is, is named by its folder.
        let (folder, name) = match (stem.as_ref(), folder.parent()) {
            ("mod", Some(above)) => (above, folder.file_name().unwrap().to_string_lossy()),
            _ => (folder, stem),
        };
        if is_root(path) {
            continue;
        }
        let beside = ["mod.rs", "main.rs", "lib.rs"].map(|file| folder.join(file).to_string_lossy().into_owned());
        let above = folder.with_extension("rs").to_string_lossy().into_owned();
        if !beside.iter().chain([&above]).any(|parent| declares(parent, &name) == Some(true)) {
            found.push(path.clone());
        }
    }
    nothing_found("a file that no `mod` declares is never compiled, nor are its tests run", &found);
}

/// What cargo itself looks for.
fn is_root(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    ["main.rs", "lib.rs", "build.rs"].contains(&file) || path.contains("/examples/")
}

/// `uses(text)`: every path below `crate::` that a file names, braces spelled out, comments and unit tests left away.
fn uses(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]).collect();
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
    if !path.ends_with("::") || !rest.starts_with('{') {
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
    let text = "use crate::a::{self, b::{C, d as e},\n f};\nlet x = crate::g::h(1); // crate::\n/// crate::no\n#[cfg(test)] crate::no";
    let expected = ["", "a::b::C", "a::b::d", "a::f", "a::self", "g::h"];
    assert_eq!(uses(text), expected.map(str::to_owned).into());
}

/// Whether one of the rooms' path prefixes holds the file.
fn is_in(path: &str, rooms: &[&str]) -> bool {
    rooms.iter().any(|room| {
        let rest = path.strip_prefix("xtask/src/").and_then(|path| path.strip_prefix(room));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
    })
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Who must not know whom inside the library: the rooms, the modules, and why.
const WALLS: [(&[&str], &[&str], &str); 4] = [
    (
        &["plan", "event", "state", "exit", "sink", "redact", "changes/glob"],
        &["world", "http", "git", "gitrefs", "real", "sim", "supervisor", "journal", "lease", "netlify", "render", "service", "cli", "local_cloud"],
        "it has no effects, so that its tests are plain values",
    ),
    (
        &["lane"],
        &["cli", "executor", "run", "real", "sim", "local_cloud", "sink", "console", "git", "gitrefs"],
        "a lane reaches outside through the world it is given, and does not know who runs it",
    ),
    (
        &["executor", "once", "lease", "run", "job", "world", "netlify", "render", "service", "rollback"],
        &["cli", "real", "sim", "local_cloud", "sink", "console", "supervisor"],
        "the engine is the same in both worlds and prints nothing",
    ),
    (&["config", "credentials"], &["world", "http", "real", "sim", "git"], "configuration is decided before anything is contacted"),
];

#[test]
fn the_walls_stand() {
    let mut found = Vec::new();
    for (path, text) in rust_files().iter().filter(|(path, _)| !is_test(path)) {
        for (rooms, strangers, why) in WALLS {
            if is_in(path, rooms) {
                let used = uses(text);
                let met = used.iter().filter(|used| strangers.iter().any(|stranger| used.split("::").next() == Some(stranger)));
                found.extend(met.map(|used| format!("{path} names crate::{used}: {why}")));
            }
        }
    }
    nothing_found("who may import whom (ARCHITECTURE.md)", &found);
}

#[test]
fn what_is_pure_touches_nothing() {
    let effects = ["std::fs", "fs_err", "std::process", "std::net", "std::env", "std::thread", "ureq::", "rusqlite::", "xshell::", "Instant::now", "SystemTime::now"];
    let mut found = Vec::new();
    for (path, text) in rust_files().iter().filter(|(path, _)| !is_test(path)) {
        if is_in(path, WALLS[0].0) {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let touches = |line: &str| !line.trim_start().starts_with("//") && effects.iter().any(|effect| line.contains(effect));
            found.extend(lines(path, code, touches));
        }
    }
    nothing_found("plan, event, state, sink, redact and glob have no effects", &found);
}

#[test]
fn only_few_know_the_cloud_and_the_real_world() {
    let mut found = Vec::new();
    for (path, text) in rust_files().iter().filter(|(path, _)| path.starts_with("xtask/src/") && !is_test(path)) {
        // Not `crate::cli::cloud::`, not `local_cloud::`, not the cloud's Rust path inside a longer one.
        let names_cloud = |line: &str| {
            let mut at = line.match_indices("cloud::").map(|(at, _)| line[..at].trim_end_matches("::"));
            !line.trim_start().starts_with("//") && at.any(|before| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        if !is_in(path, &["cli", "sim", "local_cloud"]) {
            found.extend(lines(path, text, names_cloud).map(|line| format!("{line} (only cli, sim and local_cloud know the crate `cloud`)")));
        }
        if !is_in(path, &["cli", "real"]) && uses(text).contains("real::Real") {
            found.push(format!("{path} names real::Real (only cli does)"));
        }
    }
    nothing_found("the engine does not know in which world it runs", &found);
}

/// Which of our packages each of them may depend on.
const PACKAGES: [(&str, &[&str]); 4] = [
    ("backend/Cargo.toml", &["migrate"]),
    ("migrations/engine/Cargo.toml", &[]),
    ("xtask/cloud/Cargo.toml", &[]),
    ("xtask/Cargo.toml", &["cloud", "migrate"]),
];

#[test]
fn packages_depend_on_few_of_ours() {
    let mut found = Vec::new();
    for (path, allowed) in PACKAGES {
        let manifest: toml::Table = read(path).parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let tables = ["dependencies", "dev-dependencies", "build-dependencies"].map(|name| manifest.get(name).and_then(toml::Value::as_table));
        let names = tables.into_iter().flatten().flat_map(|table| table.keys());
        let ours = names.filter(|name| ["backend", "cloud", "migrate", "tandem"].contains(&name.as_str()) && !allowed.contains(&name.as_str()));
        found.extend(ours.map(|name| format!("{path} depends on {name}")));
    }
    nothing_found("the cloud shares no types with its clients; the engine and the service know nothing of releasing", &found);
}

/// What may be linked into the programs, built, or used by their tests.
const LICENCES: [&str; 11] = [
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CDLA-Permissive-2.0", "ISC", "MIT", "Unicode-3.0", "Unlicense", "Zlib",
];

/// Packages that state no licence in their manifest, or another one, and why that is accepted.
const LICENCE_EXCEPTIONS: [(&str, &str); 1] =
    [("auto_generate_cdp", "GPL-3.0; it runs while the browser test is built and is part of nothing that is released")];

#[test]
fn every_dependency_has_a_known_licence() {
    let version = Command::new(env!("CARGO")).arg("-vV").output().expect("start cargo");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names its host").to_owned();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version=1", "--filter-platform", &host])
        .current_dir(repo())
        .output()
        .expect("start cargo");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let (name, licence) = (package["name"].as_str().unwrap_or_default(), package["license"].as_str().unwrap_or("none stated"));
        if !is_allowed(licence) && !LICENCE_EXCEPTIONS.iter().any(|(excepted, _)| *excepted == name) {
            found.push(format!("{name} {}: {licence}", package["version"]));
        }
    }
    nothing_found("a licence is in the list of tests/tidy.rs, or the package is an exception with a reason", &found);
}

/// An SPDX expression: every AND must be allowed, one of each OR. Old manifests write `/` for OR.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace(" WITH LLVM-exception", "").replace(['(', ')'], "").replace('/', " OR ");
    expression.split(" AND ").all(|part| part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim())))
}

#[test]
fn licence_expressions_are_understood() {
    for good in ["MIT", "MIT/Apache-2.0", "GPL-2.0 OR MIT", "(MIT OR Apache-2.0) AND Unicode-3.0", "Apache-2.0 WITH LLVM-exception"] {
        assert!(is_allowed(good), "{good}");
    }
    for bad in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "none stated", "MITX"] {
        assert!(!is_allowed(bad), "{bad}");
    }
}

#[test]
fn vendored_files_carry_their_licence() {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(repo().join("frontend/vendor")).unwrap() {
        let path = entry.unwrap().path();
        for needed in ["LICENSE", "VERSION.txt"] {
            if !path.join(needed).is_file() {
                found.push(format!("{} lacks {needed}", path.strip_prefix(repo()).unwrap().display()));
            }
        }
    }
    nothing_found("what others wrote comes with its licence and its version", &found);
}

#[test]
fn the_changelog_has_this_version() {
    let heading = format!("## [{}]", env!("CARGO_PKG_VERSION"));
    assert!(read("CHANGELOG.md").lines().any(|line| line.starts_with(&heading)), "CHANGELOG.md has no section '{heading}'");
}

/// The cells of the table below a heading of README.md, without its two head rows.
fn table(heading: &str) -> Vec<Vec<String>> {
    let readme = read("README.md");
    let section = readme.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("README.md has no section '{heading}'")).1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn the_readme_lists_the_exit_codes() {
    let expected: Vec<Vec<String>> = Exit::ALL.iter().map(|exit| vec![format!("`{}`", exit.code()), exit.meaning().to_owned()]).collect();
    assert_eq!(table("Exit codes"), expected, "README.md against tandem::exit::Exit::ALL");
}

#[test]
fn the_readme_lists_the_commands() {
    let command = tandem::cli::command();
    let known: BTreeSet<String> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).map(|sub| sub.get_name().to_owned()).collect();
    let cells = table("Commands").into_iter().filter_map(|row| row.into_iter().next());
    let listed: BTreeSet<String> = cells.flat_map(|cell| cell.split(", ").map(first_word).collect::<Vec<_>>()).collect();
    let known: BTreeSet<String> = known.into_iter().filter(|name| name != "help").collect();
    assert_eq!(listed, known, "the first column of README.md's command table against the command line");
}

fn first_word(cell: &str) -> String {
    cell.trim_matches('`').split(' ').next().unwrap_or_default().to_owned()
}
