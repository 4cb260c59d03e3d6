//! Under which terms what others wrote is used here.

use super::{nothing_found, read, repo};
use serde_json::Value;
use std::process::Command;

/// What may be linked into the programs, built, or used by their tests.
const LICENCES: [&str; 11] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Packages that state no licence in their manifest, or another one, and why that is accepted.
const LICENCE_EXCEPTIONS: [(&str, &str); 1] = [(
    "auto_generate_cdp",
    "GPL-3.0; it runs while the browser test is built and is part of nothing that is released",
)];

#[test]
fn every_dependency_has_a_known_licence() {
    let version = Command::new(env!("CARGO"))
        .arg("-vV")
        .output()
        .expect("start cargo");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("cargo names its host")
        .to_owned();
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--offline",
            "--locked",
            "--format-version=1",
            "--filter-platform",
            &host,
        ])
        .current_dir(repo())
        .output()
        .expect("start cargo");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let (name, licence) = (
            package["name"].as_str().unwrap_or_default(),
            package["license"].as_str().unwrap_or("none stated"),
        );
        if !is_allowed(licence)
            && !LICENCE_EXCEPTIONS
                .iter()
                .any(|(excepted, _)| *excepted == name)
        {
            found.push(format!("{name} {}: {licence}", package["version"]));
        }
    }
    nothing_found(
        "a licence is in the list of tests/tidy.rs, or the package is an exception with a reason",
        &found,
    );
}

/// An SPDX expression: every AND must be allowed, one of each OR. Old manifests write `/` for OR.
fn is_allowed(expression: &str) -> bool {
    let expression = expression
        .replace(" WITH LLVM-exception", "")
        .replace(['(', ')'], "")
        .replace('/', " OR ");
    expression.split(" AND ").all(|part| {
        part.split(" OR ")
            .any(|licence| LICENCES.contains(&licence.trim()))
    })
}

/// cargo-deny judges what is released, this file also what tests use: it may allow more, never less.
#[test]
fn the_rules_of_cargo_deny_allow_nothing_else() {
    let rules: toml::Table = read(".cargo/deny.toml").parse().unwrap();
    let licences = &rules["licenses"];
    let exceptions = licences["exceptions"].as_array().unwrap().iter();
    let lists = exceptions.map(|exception| &exception["allow"]);
    for list in lists.chain([&licences["allow"]]) {
        for licence in list.as_array().unwrap() {
            assert!(LICENCES.contains(&licence.as_str().unwrap()), "{licence:?}");
        }
    }
}

#[test]
fn licence_expressions_are_understood() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-2.0 OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_allowed(good), "{good}");
    }
    for bad in [
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "none stated",
        "MITX",
    ] {
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
                found.push(format!(
                    "{} lacks {needed}",
                    path.strip_prefix(repo()).unwrap().display()
                ));
            }
        }
    }
    nothing_found(
        "what others wrote comes with its licence and its version",
        &found,
    );
}
