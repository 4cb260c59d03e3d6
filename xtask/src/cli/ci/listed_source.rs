//! Nix builds from the files that nix/source.nix lists and from no others. What is forgotten there is missing there and only
//! there, so this copies exactly those files into an empty folder, without git, and builds and tests them.

use super::runner::{Ci, Stop};
use anyhow::{Context as _, Result};
use std::path::Path;

const LIST: &str = "nix/source.nix";
/// The library tests of every crate, and those tests of the whole that read the repository's own files. Both with the features of the
/// whole workspace, so that dependencies are the ones that are compiled already.
const TESTS: [&str; 2] = [
    "cargo test --offline --locked --workspace --lib",
    "cargo test --offline --locked --workspace --test tandem -- hermetic:: tidy:: help:: codegen:: pipelines::",
];

pub(super) fn run(ci: &Ci<'_>) -> Result<(), Stop> {
    ci.needs_path(LIST)?;
    ci.needs_path(".git")?;
    let text = fs_err::read_to_string(ci.path(LIST)).context("read the list of sources")?;
    let paths = listed(&text)?;
    let folder = tempfile::tempdir().context("make a folder")?;
    copy(ci, &paths, folder.path())?;
    let mut env = ci.env.clone();
    // Dependencies are compiled once for both; only our own crates have another path there.
    if !env.iter().any(|(name, _)| name == "CARGO_TARGET_DIR") {
        let target = ci.path("target").display().to_string();
        env.push(("CARGO_TARGET_DIR".to_owned(), target));
    }
    for test in TESTS {
        ci.sh_in(folder.path(), &env, test)?;
    }
    Ok(())
}

/// What git tracks of the listed paths, as Nix takes it from a repository.
fn copy(ci: &Ci<'_>, paths: &[&str], folder: &Path) -> Result<(), Stop> {
    let mut env = ci.env.clone();
    env.push(("INTO".to_owned(), folder.display().to_string()));
    let script = format!(
        "git ls-files -z -- {} | tar --create --null --files-from - | tar --extract --directory \"$INTO\"",
        paths.join(" ")
    );
    ci.sh_in(&ci.project.root, &env, &script)
}

/// The paths of the list, which stand there in full, one a line.
fn listed(text: &str) -> Result<Vec<&str>> {
    let (_, list) = text
        .split_once("unions [")
        .with_context(|| format!("{LIST} has no list that begins with 'unions ['"))?;
    let lines = list.lines().take_while(|line| !line.contains(']'));
    let named = lines.filter_map(|line| line.trim().trim_end_matches(')').split_once("../"));
    let paths: Vec<&str> = named
        .filter(|(before, _)| !before.starts_with('#'))
        .map(|(_, path)| path)
        .collect();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if let Some(odd) = paths.iter().find(|path| !path.chars().all(is_plain)) {
        anyhow::bail!("{LIST} names '{odd}', which is no plain path");
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listed_path_is_found_and_no_comment() {
        let text = "{ lib }:\n# ../no\nunions [\n    # not ../this\n    ../a\n    ../b/c.toml\n    (maybeMissing ../d)\n  ];\n  ../e\n";
        assert_eq!(listed(text).unwrap(), ["a", "b/c.toml", "d"]);
        assert!(listed("{ }").is_err());
        assert!(listed("unions [\n ../a b\n]").is_err());
    }
}
