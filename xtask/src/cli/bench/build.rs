//! What a machine without any build pays: the compilation of this program, and the first release of a fresh clone.

use super::super::app::{App, Failure, Project};
use super::Row;
use super::measure::{Cost, cost};
use super::program::environment;
use anyhow::{Context as _, Result};
use std::path::Path;

/// The aim for the first deploy on two cores.
const FIRST_DEPLOY_S: f64 = 150.0;
/// The aim for the dependencies' processor time.
const DEPENDENCIES_CPU_S: f64 = 65.0;

/// Compiles this program twice from nothing: with all of its sources, and with none, which leaves its dependencies.
pub(super) fn cold(app: &App<'_>, project: &Project) -> Result<Vec<Row>, Failure> {
    let env = environment(app);
    let dir = tempfile::tempdir().context("make a folder")?;
    let hollow = dir.path().join("hollow");
    hollow_out(&project.root, &hollow)?;
    let dependencies = build(&hollow, &dir.path().join("dependencies"), &env)?;
    let whole = build(&project.root, &dir.path().join("whole"), &env)?;
    Ok(vec![
        Row::new(
            "cold build, processor time",
            whole.cpu_s,
            "s",
            "its dependencies alone",
            dependencies.cpu_s,
            "≤ 1.25",
        ),
        Row::new(
            "cold build, wall",
            whole.wall_s,
            "s",
            "its dependencies alone",
            dependencies.wall_s,
            "",
        ),
        Row::new(
            "dependencies, processor time",
            dependencies.cpu_s,
            "s",
            "the aim",
            DEPENDENCIES_CPU_S,
            "≤ 65 s",
        ),
    ])
}

fn build(root: &Path, target: &Path, env: &[(String, String)]) -> Result<Cost> {
    let target = target
        .to_str()
        .context("the folder for builds is not Unicode")?;
    cost(
        &[
            "cargo",
            "build",
            "--quiet",
            "--locked",
            "--package",
            "tandem",
            "--bin",
            "xtask",
            "--target-dir",
            target,
        ],
        root,
        env,
    )
}

/// The workspace with its manifests and lock file, every crate of it empty.
fn hollow_out(root: &Path, hollow: &Path) -> Result<()> {
    let manifest: toml::Table = fs_err::read_to_string(root.join("Cargo.toml"))?
        .parse()
        .context("read Cargo.toml")?;
    let members = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("members")?.as_array())
        .context("Cargo.toml names no members of the workspace")?;
    for member in members.iter().filter_map(toml::Value::as_str) {
        fs_err::create_dir_all(hollow.join(member).join("src"))?;
        fs_err::copy(
            root.join(member).join("Cargo.toml"),
            hollow.join(member).join("Cargo.toml"),
        )?;
        fs_err::write(hollow.join(member).join("src/lib.rs"), "")?;
        fs_err::write(hollow.join(member).join("src/main.rs"), "fn main() {}\n")?;
    }
    for file in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"] {
        fs_err::copy(root.join(file), hollow.join(file))?;
    }
    // Cargo wants every named target to exist, though it builds only one.
    fs_err::create_dir_all(hollow.join("tests"))?;
    fs_err::write(hollow.join("tests/main.rs"), "")?;
    Ok(())
}

/// Clones HEAD and releases it, as the README says, into a local cloud that is stopped afterwards.
pub(super) fn first_deploy(app: &App<'_>, project: &Project) -> Result<Row, Failure> {
    // A shared target folder would make it no first time.
    let unwanted = ["CARGO_TARGET_DIR", "TANDEM_STATE_DIR", "TANDEM_ENV"];
    let env: Vec<_> = environment(app)
        .into_iter()
        .filter(|(name, _)| !unwanted.contains(&name.as_str()))
        .collect();
    let dir = tempfile::tempdir().context("make a folder")?;
    let from = project
        .root
        .to_str()
        .context("the path of this repository is not Unicode")?;
    let _clone = cost(
        &["git", "clone", "--quiet", from, "tandem"],
        dir.path(),
        &env,
    )?;
    let clone = dir.path().join("tandem");
    let first = cost(&["cargo", "xtask", "deploy"], &clone, &env);
    let _stopped = cost(&["cargo", "xtask", "cloud", "down"], &clone, &env);
    Ok(Row::new(
        "first deploy of a fresh clone",
        first?.wall_s,
        "s",
        "the aim",
        FIRST_DEPLOY_S,
        "≤ 150 s on two cores",
    ))
}
