//! The pins: what a build takes from outside is named exactly, in one place each, and those places agree.
//!
//! All of it is read as text, so that it holds on machines without Nix; where Nix is there, it has the last word.

use base64::Engine as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A resolved input, and any Git object of a repository with SHA-1.
const REV_DIGITS: usize = 40;

fn repo() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repo().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of a folder with this ending, by path from the repository's root, in order.
fn files(folder: &str, ending: &str) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(repo().join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let paths = names
        .filter(|name| name.ends_with(ending))
        .map(|name| format!("{folder}/{name}"));
    paths.map(|path| (path.clone(), read(&path))).collect()
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn lock() -> Value {
    serde_json::from_str(&read("flake.lock")).unwrap()
}

/// The inputs of flake.nix and where they come from, without the `github:` in front.
fn flake_inputs() -> BTreeMap<String, String> {
    let text = read("flake.nix");
    let (_, after) = text.split_once("\n  inputs = {\n").unwrap();
    let (block, _) = after.split_once("\n  };\n").unwrap();
    let mut inputs = BTreeMap::new();
    let mut name = String::new();
    for line in block.lines() {
        let is_head =
            line.starts_with("    ") && line[4..].starts_with(|c: char| c.is_ascii_alphabetic());
        if is_head {
            name = line.trim().split(['.', ' ']).next().unwrap().to_owned();
        }
        if let Some((_, url)) = line.split_once("url = \"github:") {
            inputs.insert(name.clone(), url.trim_end_matches("\";").to_owned());
        }
    }
    inputs
}

#[test]
fn the_lock_resolves_exactly_the_inputs_of_the_flake() {
    let (inputs, lock) = (flake_inputs(), lock());
    assert_eq!(
        inputs.keys().collect::<Vec<_>>(),
        ["crane", "nixpkgs", "rust-overlay"]
    );
    assert_eq!(lock["version"], 7);
    let nodes = lock["nodes"].as_object().unwrap();
    let expected: BTreeSet<&str> = inputs.keys().map(String::as_str).chain(["root"]).collect();
    assert_eq!(
        nodes.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        expected
    );
    for (name, url) in &inputs {
        let original = &lock["nodes"][name]["original"];
        let parts = ["owner", "repo", "ref"].map(|key| original[key].as_str());
        let asked: Vec<&str> = parts.into_iter().flatten().collect();
        assert_eq!(
            *url,
            asked.join("/"),
            "flake.lock was made for another {name}"
        );
        assert_eq!(lock["nodes"]["root"]["inputs"][name], **name);
    }
}

#[test]
fn every_locked_input_is_exact() {
    let lock = lock();
    for name in flake_inputs().keys() {
        let (locked, original) = (
            &lock["nodes"][name]["locked"],
            &lock["nodes"][name]["original"],
        );
        let text = |key: &str| {
            locked[key]
                .as_str()
                .unwrap_or_else(|| panic!("{name} has no {key}"))
        };
        assert!(is_hex(text("rev"), REV_DIGITS), "{name}: {}", text("rev"));
        let hash = text("narHash").strip_prefix("sha256-").unwrap();
        let digest = base64::engine::general_purpose::STANDARD
            .decode(hash)
            .unwrap();
        assert_eq!(digest.len(), 32, "{name}: {hash} is no SHA-256");
        assert!(locked["lastModified"].as_u64().unwrap() > 0, "{name}");
        for key in ["type", "owner", "repo"] {
            assert_eq!(locked[key], original[key], "{name}: {key}");
        }
    }
}

/// A second nixpkgs would be a second SQLite, a second curl and a second C library.
#[test]
fn there_is_one_nixpkgs_and_all_inputs_follow_it() {
    let lock = lock();
    for (name, node) in lock["nodes"].as_object().unwrap() {
        for (input, target) in node["inputs"].as_object().into_iter().flatten() {
            let expected = if name == "root" {
                serde_json::json!(input)
            } else {
                serde_json::json!(["nixpkgs"])
            };
            assert_eq!(*target, expected, "{name} takes {input} from elsewhere");
        }
    }
}

#[test]
fn the_lock_is_written_as_nix_writes_it() {
    let text = read("flake.lock");
    let mut rewritten = serde_json::to_string_pretty(&lock()).unwrap();
    rewritten.push('\n');
    assert_eq!(text, rewritten);
}

#[test]
fn one_file_names_the_rust_version() {
    let toolchain: toml::Table = read("rust-toolchain.toml").parse().unwrap();
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    let minimum = manifest["workspace"]["package"]["rust-version"]
        .as_str()
        .unwrap();
    assert_eq!(
        channel.split('.').count(),
        3,
        "{channel} leaves the patch version open"
    );
    assert!(
        format!("{channel}.").starts_with(&format!("{minimum}.")),
        "rust-toolchain.toml has {channel}, Cargo.toml has {minimum}"
    );
    assert!(read("nix/scope.nix").contains("fromRustupToolchainFile ../rust-toolchain.toml"));
    let mut others = files("nix", ".nix");
    others.extend(files(".github/workflows", ".yml"));
    others.insert("flake.nix".to_owned(), read("flake.nix"));
    for (path, text) in others {
        assert!(!text.contains(minimum), "{path} names Rust {minimum} too");
    }
}

/// `owner/action@<commit> # v1.2.3`, as its three parts.
fn pinned(uses: &str) -> Option<(&str, &str, &str)> {
    let (action, comment) = uses.split_once(" # v")?;
    let (name, rev) = action.split_once('@')?;
    let is_version = comment.starts_with(|c: char| c.is_ascii_digit())
        && comment
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    (is_version && is_hex(rev, REV_DIGITS)).then_some((name, rev, comment))
}

#[test]
fn a_pin_is_a_whole_commit_and_a_version() {
    let rev = "0123456789abcdef0123456789abcdef01234567";
    let good = format!("owner/name@{rev} # v1.2.3");
    assert_eq!(pinned(&good), Some(("owner/name", rev, "1.2.3")));
    let short = &rev[1..];
    for bad in [
        "owner/name@v1".to_owned(),
        format!("owner/name@{rev}"),
        format!("owner/name@{rev} # main"),
        format!("owner/name@{rev} # v1 or so"),
        format!("owner/name@{short} # v1.2.3"),
    ] {
        assert_eq!(pinned(&bad), None, "{bad}");
    }
}

#[test]
fn every_action_is_pinned_to_a_commit_and_everywhere_to_the_same() {
    let mut revs = BTreeMap::new();
    for (path, text) in files(".github/workflows", ".yml") {
        for uses in text.lines().filter_map(|line| line.split_once("uses: ")) {
            let Some((name, rev, version)) = pinned(uses.1) else {
                panic!(
                    "{path}: {} is not pinned to a full commit with its version behind it",
                    uses.1
                );
            };
            let earlier = revs
                .entry(name.to_owned())
                .or_insert((rev.to_owned(), version.to_owned()));
            assert_eq!(
                (earlier.0.as_str(), earlier.1.as_str()),
                (rev, version),
                "{path}: {name}"
            );
        }
    }
    assert!(
        revs.contains_key("actions/checkout"),
        "no workflow checks anything out: {revs:?}"
    );
}

/// What a security reviewer looks at first. The linters in the flake's checks know far more, but not every machine has them.
#[test]
fn workflows_get_no_right_and_no_time_that_they_do_not_name() {
    for (path, text) in files(".github/workflows", ".yml") {
        let count = |what: &str| text.lines().filter(|line| line.starts_with(what)).count();
        assert_eq!(count("permissions: {}"), 1, "{path}: rights belong to jobs");
        let jobs = count("    runs-on: ");
        assert_eq!(
            count("    runs-on: ubuntu-24.04"),
            jobs,
            "{path}: a job runs on whatever image is current"
        );
        assert_eq!(
            count("    timeout-minutes: "),
            jobs,
            "{path}: a job may run for hours"
        );
        assert_eq!(
            count("    permissions:"),
            jobs,
            "{path}: a job does not name its rights"
        );
        let contains = |what: &str| text.matches(what).count();
        assert_eq!(
            contains("persist-credentials: false"),
            contains("uses: actions/checkout@"),
            "{path}: a checkout leaves its token in .git"
        );
        assert_eq!(
            contains("pull_request_target"),
            0,
            "{path}: strangers' code would get our rights"
        );
        let environments = count("    environment:");
        assert!(
            environments > 0 || contains("secrets.") == 0,
            "{path}: secrets without an environment that guards them"
        );
    }
}

/// The paths below the root that the flake's source names, and which of them may be missing.
fn source_paths() -> BTreeMap<String, bool> {
    let text = read("nix/source.nix");
    let (_, list) = text.split_once("unions [").unwrap();
    let lines = list
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let named =
        lines.filter_map(|line| Some((line.split_once("../")?.1, line.contains("maybeMissing"))));
    named
        .map(|(path, optional)| (path.trim_end_matches(')').to_owned(), optional))
        .collect()
}

/// What lies in the root: what git tracks there, or, in a copy without git, everything that is not made here.
fn root_entries() -> BTreeSet<String> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(repo())
        .output();
    let tracked = output
        .ok()
        .filter(|output| output.status.success() && repo().join(".git").exists());
    if let Some(output) = tracked {
        let listing = String::from_utf8(output.stdout).unwrap();
        let paths = listing
            .split_terminator('\0')
            .map(|path| path.split('/').next().unwrap().to_owned());
        return paths.collect();
    }
    let ignored = read(".gitignore");
    let made: Vec<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let entries = std::fs::read_dir(repo()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| !made.contains(&name.as_str()) && !name.starts_with(".cargo-"))
        .collect()
}

/// Nix builds from the listed files alone: what is forgotten there is missing there, and only there.
#[test]
fn the_source_of_the_flake_is_the_whole_repository() {
    let (named, present) = (source_paths(), root_entries());
    let forgotten: Vec<&String> = present
        .iter()
        .filter(|name| !named.contains_key(*name))
        .collect();
    assert!(
        forgotten.is_empty(),
        "nix/source.nix does not name {forgotten:?}"
    );
    for (path, optional) in &named {
        let exists = repo().join(path).exists();
        assert!(
            exists || *optional,
            "nix/source.nix names {path}, which does not exist, and no flake can be evaluated"
        );
    }
}

/// Before 3.51.3 a database in WAL mode can be corrupted when its log is reset. Bundled or not, this is the library in use.
#[test]
fn the_sqlite_in_use_resets_its_log_safely() {
    let version = rusqlite::version();
    assert!(
        rusqlite::version_number() >= 3_051_003,
        "SQLite is {version} and must be 3.51.3 or newer"
    );
}

/// Numbers in order, so that 1.0.103 is newer than 1.0.99.
fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap();
    release
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect()
}

/// Crates with the oldest version that has no known hole, as .cargo/deny.toml forbids what is older.
fn floors() -> BTreeMap<String, String> {
    let rules: toml::Table = read(".cargo/deny.toml").parse().unwrap();
    let denied = rules["bans"]["deny"].as_array().unwrap();
    let specs = denied.iter().map(|rule| rule["crate"].as_str().unwrap());
    let floors = specs.filter_map(|spec| spec.split_once(":<"));
    floors
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

#[test]
fn no_dependency_is_older_than_its_last_advisory_or_from_elsewhere() {
    assert!(numbers("1.0.99") < numbers("1.0.103") && numbers("0.9.20") < numbers("0.9.21-rc.1"));
    let floors = floors();
    let names: Vec<&str> = floors.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "anyhow",
            "crossbeam-epoch",
            "event-listener",
            "rustls",
            "rustls-webpki"
        ]
    );
    // The fuzz targets are a workspace of their own.
    let locks = ["Cargo.lock", "fuzz/Cargo.lock"].map(|path| {
        let lock: toml::Table = read(path).parse().unwrap();
        lock["package"].as_array().unwrap().clone()
    });
    let mut seen = BTreeSet::new();
    for package in locks.iter().flatten() {
        let text = |key: &str| package.get(key).map(|value| value.as_str().unwrap());
        let (name, version) = (text("name").unwrap(), text("version").unwrap());
        if let Some(floor) = floors.get(name) {
            seen.insert(name);
            assert!(
                numbers(version) >= numbers(floor),
                "{name} is {version}, older than {floor} (see .cargo/deny.toml)"
            );
        }
        if let Some(source) = text("source") {
            assert_eq!(
                source, "registry+https://github.com/rust-lang/crates.io-index",
                "{name}"
            );
            assert!(
                text("checksum").is_some_and(|sum| is_hex(sum, 64)),
                "{name} has no checksum"
            );
        }
    }
    assert!(
        seen.contains("anyhow") && seen.contains("rustls"),
        "the floors guard nothing: {seen:?}"
    );
}

/// Runs a program of Nix with a store, a home and a cache below `scratch`; `None` when Nix is not installed.
fn nix(scratch: &Path, program: &str, args: &[&str]) -> Option<Output> {
    let mut command = Command::new(program);
    command
        .env("HOME", scratch)
        .env("XDG_CACHE_HOME", scratch.join("cache"))
        .env("NIX_REMOTE", scratch.join("nix"));
    match command.args(args).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{program}: {error}"),
    }
}

/// Asks Nix for the flake's inputs, without network and without leave to change the lock.
fn metadata(scratch: &Path, flake: &Path) -> Output {
    let address = format!("path:{}", flake.display());
    let mut args = vec!["--extra-experimental-features", "nix-command flakes"];
    args.extend([
        "flake",
        "metadata",
        "--offline",
        "--no-update-lock-file",
        &address,
    ]);
    nix(scratch, "nix", &args).unwrap()
}

#[test]
fn nix_parses_the_flake_and_takes_the_lock_as_it_is() {
    let scratch = tempfile::tempdir().unwrap();
    let flake = scratch.path().join("flake");
    std::fs::create_dir_all(flake.join("nix")).unwrap();
    let mut sources = files("nix", ".nix");
    sources.insert("flake.nix".to_owned(), read("flake.nix"));
    for (path, text) in &sources {
        let copy = flake.join(path);
        std::fs::write(&copy, text).unwrap();
        let args = ["--parse", copy.to_str().unwrap()];
        let Some(parsed) = nix(scratch.path(), "nix-instantiate", &args) else {
            let required = std::env::var("TANDEM_REQUIRE_NIX").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "TANDEM_REQUIRE_NIX=1, but there is no Nix on the PATH (apt-get install nix-bin)"
            );
            println!(
                "skipped: Nix is not on the PATH, so it was not asked what it thinks of the flake"
            );
            return;
        };
        let complaint = String::from_utf8_lossy(&parsed.stderr);
        assert!(parsed.status.success(), "{path}: {complaint}");
    }
    std::fs::write(flake.join("flake.lock"), read("flake.lock")).unwrap();
    let taken = metadata(scratch.path(), &flake);

    // The same question can be answered with no.
    let mut lock = lock();
    for place in ["/nodes", "/nodes/root/inputs"] {
        let node = lock.pointer_mut(place).unwrap().as_object_mut().unwrap();
        node.remove("crane").unwrap();
    }
    std::fs::write(flake.join("flake.lock"), lock.to_string()).unwrap();
    let refused = metadata(scratch.path(), &flake);

    // Nix makes its store read-only, and the folder is to be removed whatever the answers are.
    let made_writable = Command::new("chmod")
        .args(["-R", "u+w"])
        .arg(scratch.path())
        .status();
    assert!(made_writable.unwrap().success());
    let complaint = String::from_utf8_lossy(&taken.stderr);
    assert!(taken.status.success(), "{complaint}");
    let said = String::from_utf8_lossy(&taken.stdout);
    for name in ["nixpkgs", "rust-overlay"] {
        let rev = lock["nodes"][name]["locked"]["rev"].as_str().unwrap();
        assert!(said.contains(rev), "{name} is not at {rev}:\n{said}");
    }
    assert!(
        !refused.status.success(),
        "a lock without crane was accepted"
    );
}
