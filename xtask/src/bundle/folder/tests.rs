//! Bundles that were tampered with, between the job that prepared them and the one that releases them.

use super::super::{Bundle, BundleError, Manifest, may_write, write};
use super::FileDigest;
use crate::config::Config;
use crate::ids::{Commit, Lane};
use crate::inputs::BuiltSite;
use crate::site_rules::RuleFiles;
use crate::source::SourceTree;
use anyhow::{Context as _, Result};
use insta::assert_snapshot;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const CONFIG: &str = "project = \"shop\"\n[frontend]\npaths = [\"site/**\"]\npublish = \"site\"\n[backend]\npaths = [\"service/**\"]\nbuild = \"make\"\nstart = \"./service\"\n";

struct Site(BTreeMap<String, Vec<u8>>);

impl BuiltSite for Site {
    fn paths(&self) -> Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.0.get(path).cloned().context("no such file")
    }

    fn rules(&self, _is_built: bool) -> Result<RuleFiles> {
        Ok(RuleFiles::default())
    }
}

struct Prepared {
    folder: TempDir,
    config: Config,
    source: SourceTree,
    site: Site,
}

impl Prepared {
    fn new() -> Self {
        let source = SourceTree {
            commit: Commit("a".repeat(40)),
            subject: "subject".to_owned(),
            dirty: Vec::new(),
            versioned: true,
            manifests: BTreeMap::new(),
            migrations: Vec::new(),
            unselected: Vec::new(),
            remote_branches: None,
            folder: None,
        };
        let files = [
            (".well-known/about.txt", "known"),
            ("app/main.js", "start()"),
            ("index.html", "<h1>"),
        ];
        let prepared = Self {
            folder: tempfile::tempdir().unwrap(),
            config: Config::load(Path::new("deploy.toml"), CONFIG).unwrap(),
            source,
            site: Site(
                files
                    .map(|(path, text)| (path.to_owned(), text.into()))
                    .into(),
            ),
        };
        write(&prepared.dir(), &prepared.manifest(), &prepared.site).unwrap();
        prepared
    }

    fn manifest(&self) -> Manifest {
        let digest = |(path, content): (&String, &Vec<u8>)| (path.clone(), FileDigest::of(content));
        let files = self.site.0.iter().map(digest).collect();
        Manifest::new(&self.config, &self.source, &Lane::ALL, &[], files)
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("bundle")
    }

    fn file(&self, path: &str) -> PathBuf {
        self.dir().join(path)
    }

    fn open(&self) -> Result<Bundle, BundleError> {
        Bundle::open(&self.dir(), Path::new("bundle"), &self.config, &self.source)
    }

    #[track_caller]
    fn refusal(&self) -> String {
        match self.open() {
            Err(BundleError::Refused(problems)) => problems.join("\n"),
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[test]
fn what_was_prepared_is_what_is_read() {
    let prepared = Prepared::new();
    let bundle = prepared.open().unwrap();
    assert_eq!(bundle.paths().unwrap(), prepared.site.paths().unwrap());
    for (path, content) in &prepared.site.0 {
        assert_eq!(bundle.read(path).unwrap(), *content, "{path}");
    }
    // Archives often leave it out.
    fs_err::remove_file(prepared.file(".gitignore")).unwrap();
    prepared.open().unwrap();
}

#[test]
fn a_changed_a_missing_and_an_additional_file_are_each_named() {
    let prepared = Prepared::new();
    fs_err::write(prepared.file("frontend/index.html"), "<h2>").unwrap();
    fs_err::remove_file(prepared.file("frontend/.well-known/about.txt")).unwrap();
    fs_err::write(prepared.file("frontend/app/evil.js"), "steal()").unwrap();
    fs_err::write(prepared.file("run-me.sh"), "steal").unwrap();
    fs_err::write(prepared.file(".gitignore"), "!*\n").unwrap();
    assert_snapshot!(prepared.refusal(), @r"
    bundle/.gitignore is not part of the bundle (hint: somebody put it there; prepare the bundle anew)
    bundle/frontend/app/evil.js is not part of the bundle (hint: somebody put it there; prepare the bundle anew)
    bundle/frontend/index.html is not what was prepared: its SHA-256 is 021eeeec53e9a6f680241631fb7dacae273f928835797da4633d2967dda4f1e7, the manifest says 0f3b6ce8a3caa52039b1d79d3bdc5de01eff6433d28cb5f137f8e67b9a57aa75 (hint: prepare the bundle anew)
    bundle/run-me.sh is not part of the bundle (hint: somebody put it there; prepare the bundle anew)
    bundle/frontend/.well-known/about.txt is missing (hint: prepare the bundle anew; was it carried here without its hidden files?)
    ");
}

#[test]
fn a_longer_and_a_shorter_file_are_changed_ones() {
    for content in ["<h1>\n", "<h", ""] {
        let prepared = Prepared::new();
        fs_err::write(prepared.file("frontend/index.html"), content).unwrap();
        let said = prepared.refusal();
        assert!(
            said.contains("frontend/index.html is not what was prepared"),
            "{said}"
        );
    }
}

#[test]
fn a_link_is_refused_even_to_the_right_content() {
    let prepared = Prepared::new();
    let (file, beside) = (
        prepared.file("frontend/index.html"),
        prepared.folder.path().join("index.html"),
    );
    fs_err::rename(&file, &beside).unwrap();
    fs_err::os::unix::fs::symlink(&beside, &file).unwrap();
    assert_eq!(
        prepared.refusal(),
        "bundle/frontend/index.html is a symbolic link, and a bundle consists of plain files (hint: somebody put it there; prepare the bundle anew)"
    );
    let prepared = Prepared::new();
    let (folder, beside) = (
        prepared.file("frontend"),
        prepared.folder.path().join("site"),
    );
    fs_err::rename(&folder, &beside).unwrap();
    fs_err::os::unix::fs::symlink(&beside, &folder).unwrap();
    assert!(
        prepared
            .refusal()
            .contains("bundle/frontend is a symbolic link")
    );
}

#[test]
fn a_file_that_changes_after_the_look_is_not_released() {
    let prepared = Prepared::new();
    let bundle = prepared.open().unwrap();
    fs_err::write(prepared.file("frontend/app/main.js"), "steal()").unwrap();
    let error = bundle.read("app/main.js").unwrap_err().to_string();
    assert!(
        error.contains("app/main.js is not what was prepared"),
        "{error}"
    );
    let error = bundle.read("../manifest.json").unwrap_err().to_string();
    assert_eq!(error, "../manifest.json is not part of the bundle");
}

#[test]
fn a_manifest_that_names_a_file_outside_is_refused_before_it_is_read() {
    let prepared = Prepared::new();
    let outside = prepared.folder.path().join("secret");
    fs_err::write(&outside, "<h1>").unwrap();
    let manifest = prepared.file("manifest.json");
    let text = fs_err::read_to_string(&manifest).unwrap();
    fs_err::write(
        &manifest,
        text.replace("\"index.html\"", "\"../../secret\""),
    )
    .unwrap();
    assert_eq!(
        prepared.refusal(),
        "bundle/manifest.json cannot be used: it names the file \"../../secret\", which does not lie below the site's folder"
    );
}

#[test]
fn a_folder_without_a_manifest_is_no_bundle() {
    let prepared = Prepared::new();
    fs_err::remove_file(prepared.file("manifest.json")).unwrap();
    let Err(BundleError::Absent(said)) = prepared.open() else {
        panic!("it was taken for a bundle")
    };
    assert_snapshot!(said, @"bundle is no bundle: it has no manifest.json (hint: `cargo xtask deploy --prepare --out bundle` makes one)");
}

#[test]
fn many_problems_are_counted() {
    let prepared = Prepared::new();
    for n in 0..25 {
        fs_err::write(prepared.file(&format!("frontend/{n}.js")), "x").unwrap();
    }
    let said = prepared.open().unwrap_err().to_string();
    assert_eq!(said.lines().count(), 11);
    assert!(said.ends_with("\nand 15 more of this kind"), "{said}");
}

#[test]
fn an_older_bundle_is_replaced_and_nothing_else_is() {
    let prepared = Prepared::new();
    let (dir, manifest) = (prepared.dir(), prepared.manifest());
    fs_err::write(prepared.file("frontend/index.html"), "spoilt").unwrap();
    write(&dir, &manifest, &prepared.site).unwrap();
    prepared.open().unwrap();
    let left: Vec<_> = fs_err::read_dir(prepared.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");

    fs_err::write(dir.join("thesis.txt"), "years of work").unwrap();
    let refused = may_write(&dir).unwrap_err().to_string();
    assert!(refused.contains("exists and is no bundle"), "{refused}");
    write(&dir, &manifest, &prepared.site).unwrap_err();
    assert!(dir.join("thesis.txt").exists());
    // A folder with nothing in it, and a place where nothing is, are free.
    let empty = prepared.folder.path().join("empty");
    fs_err::create_dir(&empty).unwrap();
    may_write(&empty).unwrap();
    write(
        &prepared.folder.path().join("new/place"),
        &manifest,
        &prepared.site,
    )
    .unwrap();
}
