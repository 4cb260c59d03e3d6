//! Two versions of one package are compiled, linked and updated twice, so each pair has a reason, and goes when the reason does.

use super::{nothing_found, read};
use std::collections::{BTreeMap, BTreeSet};

/// What is twice in what is released, or could be on another system. `.cargo/deny.toml` skips the same.
const RELEASED: [(&str, &str); 2] = [
    ("getrandom", "ring is on the one before"),
    ("windows-sys", "for a system that nothing is built for"),
];

/// What only the browser test brings along a second time.
const TESTED: [&str; 10] = [
    "base64",
    "block-buffer",
    "cpufeatures",
    "crypto-common",
    "digest",
    "r-efi",
    "rand",
    "rand_core",
    "sha1",
    "syn",
];

/// Versions between which cargo chooses one: the same major number, or below 1.0 the same minor one.
fn series(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("0"), Some("0"), Some(patch)) => format!("0.0.{patch}"),
        (Some("0"), Some(minor), _) => format!("0.{minor}"),
        (Some(major), ..) => major.to_owned(),
        (None, ..) => String::new(),
    }
}

#[test]
fn a_series_is_what_cargo_chooses_one_version_of() {
    let found = ["1.2.3", "1.9.0", "0.3.4", "0.0.7", "10.0.0+x"].map(series);
    assert_eq!(found, ["1", "1", "0.3", "0.0.7", "10"]);
}

#[test]
fn nothing_is_there_twice_without_a_reason() {
    let lock: toml::Table = read("Cargo.lock").parse().unwrap();
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let text = |key: &str| package[key].as_str().unwrap();
        found
            .entry(text("name"))
            .or_default()
            .insert(series(text("version")));
    }
    let twice: BTreeMap<&str, String> = found
        .into_iter()
        .filter(|(_, series)| series.len() > 1)
        .map(|(name, series)| (name, series.into_iter().collect::<Vec<_>>().join(" and ")))
        .collect();
    let known = |name: &&str| {
        TESTED.contains(name) || RELEASED.iter().any(|(released, _)| released == name)
    };
    let new = twice.iter().filter(|(name, _)| !known(name));
    nothing_found(
        "a package is in Cargo.lock once, or this file says why it is there twice",
        &new.map(|(name, series)| format!("{name} {series}"))
            .collect::<Vec<_>>(),
    );
    let listed = TESTED.iter().chain(RELEASED.iter().map(|(name, _)| name));
    let gone: Vec<String> = listed
        .filter(|name| !twice.contains_key(*name))
        .map(ToString::to_string)
        .collect();
    nothing_found("what is there once needs no reason in this file", &gone);
}

/// What cargo-deny lets pass in what is released is what is listed here.
#[test]
fn the_rules_of_cargo_deny_skip_nothing_else() {
    let rules: toml::Table = read(".cargo/deny.toml").parse().unwrap();
    let skipped = rules["bans"]["skip"].as_array().unwrap().iter();
    for rule in skipped {
        let name = rule["crate"]
            .as_str()
            .unwrap()
            .split([':', '@'])
            .next()
            .unwrap();
        assert!(
            RELEASED.iter().any(|(released, _)| *released == name),
            "{name}"
        );
        assert!(
            rule["reason"].is_str(),
            "{name} is skipped without a reason"
        );
    }
}
