//! The rules of this repository that no compiler knows, each as a test that lists everything it finds at once.
//!
//! All of them read text: that is crude and quick, and whoever is caught can see why.

mod documents;
mod duplicates;
mod licences;
mod walls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is made, not written.
const MADE: [&str; 5] = [".git", ".tandem", "artifacts", "node_modules", "target"];

fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the repository")
        .to_owned()
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
            // In a worktree .git is a file.
            let made = MADE.contains(&entry.file_name().to_string_lossy().as_ref());
            if made || path.ends_with("frontend/vendor") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                found.insert(
                    path.strip_prefix(&root)
                        .unwrap()
                        .to_string_lossy()
                        .into_owned(),
                    text,
                );
            }
        }
    }
    found
}

fn rust_files() -> BTreeMap<String, String> {
    files()
        .into_iter()
        .filter(|(path, _)| path.ends_with(".rs"))
        .collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repo().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[track_caller]
fn nothing_found(rule: &str, found: &[String]) {
    assert!(
        found.is_empty(),
        "{rule}; found {}:\n  {}",
        found.len(),
        found.join("\n  ")
    );
}

/// The lines of a file that hold a word for which `is_bad` stands, as `path:line: text`.
fn lines<'a>(
    path: &'a str,
    text: &'a str,
    is_bad: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = String> + 'a {
    let numbered = text
        .lines()
        .enumerate()
        .filter(move |(_, line)| is_bad(line));
    numbered.map(move |(index, line)| format!("{path}:{}: {}", index + 1, line.trim()))
}

#[test]
fn every_file_says_first_why_it_exists() {
    let mute = rust_files()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "));
    nothing_found(
        "a Rust file opens with `//!` and why it exists",
        &mute.map(|(path, _)| path).collect::<Vec<_>>(),
    );
}

/// A word that nobody should leave behind, put together here so that this file does not contain it.
fn word(parts: [&str; 2]) -> String {
    parts.concat()
}

#[test]
fn nothing_is_left_to_do_without_an_issue() {
    let words = [word(["TO", "DO"]), word(["FIX", "ME"])];
    let is_open = |line: &str| {
        let named = line
            .split(|c: char| !c.is_alphanumeric())
            .any(|part| words.iter().any(|word| word == part));
        let has_issue = line
            .split('#')
            .skip(1)
            .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        named && !has_issue
    };
    let found: Vec<String> = files()
        .iter()
        .flat_map(|(path, text)| lines(path, text, is_open).collect::<Vec<_>>())
        .collect();
    nothing_found(
        "unfinished work names its issue as #NUMBER on the same line",
        &found,
    );
}

#[test]
fn no_test_is_switched_off() {
    let words = [word(["#[ig", "nore"]), word(["should_", "panic"])];
    let is_off = |line: &str| words.iter().any(|word| line.contains(word));
    let found: Vec<String> = rust_files()
        .iter()
        .flat_map(|(path, text)| lines(path, text, is_off).collect::<Vec<_>>())
        .collect();
    nothing_found(
        "every test runs, and says itself what must fail and how",
        &found,
    );
}

#[test]
fn no_file_knows_a_developers_machine() {
    let words = [
        word(["/ro", "ot/"]),
        word(["/wo", "rk/"]),
        word(["/Us", "ers/"]),
        word(["/ho", "me/"]),
    ];
    // A provider's documented folder, and one of nobody.
    let known = ["/home/render", "/home/me"];
    // A path begins there: it is not the middle of a longer one.
    let begins = |line: &str, at: usize| {
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_.-}".contains(c))
    };
    let is_local = |line: &str| {
        let mut found = words
            .iter()
            .flat_map(|word| line.match_indices(word.as_str()));
        found.any(|(at, _)| {
            begins(line, at) && !known.iter().any(|known| line[at..].starts_with(known))
        })
    };
    let found: Vec<String> = files()
        .iter()
        .flat_map(|(path, text)| lines(path, text, is_local).collect::<Vec<_>>())
        .collect();
    nothing_found("no path of one machine stands in a file", &found);
}

#[test]
fn no_module_is_forgotten() {
    let all = rust_files();
    let declares = |parent: &str, name: &str| {
        let text = all.get(parent)?;
        let is_it = |line: &str| {
            line.trim()
                .strip_suffix(';')
                .is_some_and(|line| line.ends_with(&format!("mod {name}")))
        };
        Some(text.lines().any(is_it))
    };
    let mut found = Vec::new();
    for path in all.keys() {
        let path_buf = Path::new(path);
        let (folder, stem) = (
            path_buf.parent().unwrap(),
            path_buf.file_stem().unwrap().to_string_lossy(),
        );
        // The module that a file called mod.rs is, is named by its folder.
        let (folder, name) = match (stem.as_ref(), folder.parent()) {
            ("mod", Some(above)) => (above, folder.file_name().unwrap().to_string_lossy()),
            _ => (folder, stem),
        };
        if is_root(path) {
            continue;
        }
        let beside = ["mod.rs", "main.rs", "lib.rs"]
            .map(|file| folder.join(file).to_string_lossy().into_owned());
        let above = folder.with_extension("rs").to_string_lossy().into_owned();
        if !beside
            .iter()
            .chain([&above])
            .any(|parent| declares(parent, &name) == Some(true))
        {
            found.push(path.clone());
        }
    }
    nothing_found(
        "a file that no `mod` declares is never compiled, nor are its tests run",
        &found,
    );
}

/// What cargo itself looks for.
fn is_root(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    ["main.rs", "lib.rs", "build.rs"].contains(&file)
        || path.contains("/examples/")
        || path.starts_with("fuzz/fuzz_targets/")
}
