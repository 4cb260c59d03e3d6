//! The project that is released: a small site, the real service, one check. `fixtures/shop` holds the files.

use super::XTASK;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Copies the project and this repository's migrations, which the service carries, into `root`. The behaviours of the service
/// that need a file of the test find it by the other two paths.
pub(crate) fn copy(root: &Path, broken_database: &Path, service_gate: &Path) {
    copy_folder(&repository().join("tests/fixtures/shop"), root);
    fs_err::create_dir(root.join("migrations")).unwrap();
    for file in migrations() {
        fs_err::copy(
            &file,
            root.join("migrations").join(file.file_name().unwrap()),
        )
        .unwrap();
    }
    let path = root.join("deploy.toml");
    let mut text = fs_err::read_to_string(&path).unwrap();
    let marks = [
        ("@BACKEND@", backend()),
        ("@XTASK@", Path::new(XTASK)),
        ("@BROKEN_DATABASE@", broken_database),
        ("@SERVICE_GATE@", service_gate),
    ];
    for (mark, value) in marks {
        text = text.replace(mark, value.to_str().unwrap());
    }
    fs_err::write(path, text).unwrap();
}

/// This repository's root.
pub(crate) fn repository() -> PathBuf {
    fs_err::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap()
}

/// The service's migrations, in their order.
pub(crate) fn migrations() -> Vec<PathBuf> {
    let pattern = repository().join("migrations/*.sql");
    let files: Vec<PathBuf> = glob::glob(pattern.to_str().unwrap())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(!files.is_empty());
    files
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs_err::create_dir(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            fs_err::copy(entry.path(), target).unwrap();
        }
    }
}

/// The real service: beside the program under test, built when a test run of this package alone has not done so.
fn backend() -> &'static Path {
    static BACKEND: OnceLock<PathBuf> = OnceLock::new();
    BACKEND.get_or_init(|| {
        let folder = Path::new(XTASK).parent().unwrap();
        let path = folder.join("backend");
        if !path.exists() {
            build(folder);
        }
        assert!(path.exists(), "{} was not built", path.display());
        path
    })
}

fn build(folder: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(repository()).args([
        "build",
        "--quiet",
        "--offline",
        "--locked",
        "--package",
        "backend",
        "--target-dir",
    ]);
    cargo.arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(
        cargo.status().unwrap().success(),
        "the service could not be built"
    );
}
