//! What a bundle says of itself, and what of that must agree with the commit and the configuration at hand.

use crate::changes::manifest::hex;
use crate::config::{Check, Config};
use crate::ids::{Commit, Lane};
use crate::lane::checks::Passed;
use crate::plan::Plan;
use crate::source::SourceTree;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// The layout that this program writes and reads; another one is refused, never guessed at.
pub const FORMAT: u32 = 1;

/// The manifest. The field names are a stable interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// See [`FORMAT`].
    pub format: u32,
    /// The version of the program that prepared it.
    pub tool: String,
    /// The project's name.
    pub project: String,
    /// What was prepared.
    pub commit: Commit,
    /// SHA-256 of deploy.toml.
    pub config_sha256: String,
    /// The checks that passed.
    pub checks: Vec<CheckPassed>,
    /// The lanes that can be released from it.
    pub lanes: BTreeMap<Lane, LaneContent>,
}

/// One check that passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckPassed {
    /// Its name.
    pub name: String,
    /// SHA-256 of its command.
    pub run_sha256: String,
    /// How long it took.
    pub duration_ms: u64,
}

/// What a lane is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneContent {
    /// Digest of the lane's sources and settings, as plans compare them.
    pub tree_sha256: String,
    /// The built files by their path below the site's root; the backend is built by its provider.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FileDigest>,
}

/// What a file must contain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDigest {
    /// SHA-256 of the content.
    pub sha256: String,
    /// Its length.
    pub size_bytes: u64,
}

impl FileDigest {
    /// Of some content.
    pub fn of(content: &[u8]) -> Self {
        Self {
            sha256: sha256(content),
            size_bytes: content.len() as u64,
        }
    }
}

impl Manifest {
    /// The manifest of what was prepared from `source`: `files` are the site's, when it is among the `lanes`.
    pub fn new(
        config: &Config,
        source: &SourceTree,
        lanes: &[Lane],
        passed: &[Passed],
        mut files: BTreeMap<String, FileDigest>,
    ) -> Self {
        let checks = config.checks.iter().filter_map(|check| {
            let passed = passed.iter().find(|passed| passed.name == check.name)?;
            Some(CheckPassed {
                name: check.name.clone(),
                run_sha256: sha256(check.run.as_bytes()),
                duration_ms: passed.duration_ms,
            })
        });
        let content = |lane: Lane| LaneContent {
            tree_sha256: tree_sha256(source, lane),
            files: match lane {
                Lane::Frontend => std::mem::take(&mut files),
                Lane::Backend => BTreeMap::new(),
            },
        };
        let checks = checks.collect();
        Self {
            format: FORMAT,
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            project: config.project.clone(),
            commit: source.commit.clone(),
            config_sha256: config.file_digest(),
            checks,
            lanes: lanes
                .iter()
                .copied()
                .zip(lanes.iter().copied().map(content))
                .collect(),
        }
    }

    /// Reads a manifest's text.
    ///
    /// # Errors
    /// When it is none, of another format, or names a file that would lie outside of its folder.
    pub fn parse(text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head = serde_json::from_slice(text).context("it is no manifest of a bundle")?;
        if head.format != FORMAT {
            bail!(
                "its format is {}, this program knows {FORMAT} (hint: prepare and release with the same version of Tandem)",
                head.format
            );
        }
        let manifest: Self = serde_json::from_slice(text)?;
        let mut paths = manifest.lanes.values().flat_map(|lane| lane.files.keys());
        if let Some(path) = paths.find(|path| !is_below(path)) {
            bail!("it names the file {path:?}, which does not lie below the site's folder");
        }
        Ok(manifest)
    }

    /// The text that [`Manifest::parse`] reads.
    pub fn text(&self) -> String {
        // It is made of texts and numbers; that cannot fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The manifest of two parts that were prepared apart.
    ///
    /// # Errors
    /// When they are not of the same commit and configuration, or both have a lane.
    pub fn join(mut self, other: Self) -> Result<Self> {
        if self.commit != other.commit {
            bail!(
                "one is of commit {}, one of {}",
                self.commit.short(),
                other.commit.short()
            );
        }
        if (&self.config_sha256, &self.tool) != (&other.config_sha256, &other.tool) {
            bail!("they were prepared with two versions of Tandem or of deploy.toml");
        }
        if let Some(lane) = other
            .lanes
            .keys()
            .find(|lane| self.lanes.contains_key(lane))
        {
            bail!(
                "two of them have the {lane} (hint: `--no-checks` prepares the lanes, `--check` none)"
            );
        }
        self.lanes.extend(other.lanes);
        self.checks.extend(other.checks);
        Ok(self)
    }

    /// Everything in which it differs from the commit and the configuration that are about to be released, each with a way out.
    pub fn disagreements(&self, config: &Config, source: &SourceTree) -> Vec<String> {
        let mut found = Vec::new();
        if self.commit != source.commit {
            found.push(format!(
                "it was prepared of commit {}, here is {} (hint: check that commit out, or prepare a bundle of this one; uncommitted changes make a commit of their own)",
                self.commit.short(),
                source.commit.short()
            ));
        }
        if self.config_sha256 != config.file_digest() {
            found.push(format!(
                "{} is not what it was when the bundle was prepared (hint: prepare it anew)",
                config.file()
            ));
        }
        found.extend(
            config
                .checks
                .iter()
                .filter(|check| !self.has_passed(check))
                .map(|check| {
                    format!(
                        "check '{}' is configured and is not among those that passed for the bundle (hint: prepare it anew)",
                        check.name
                    )
                }),
        );
        // Another commit has other files; that was said.
        if self.commit == source.commit {
            let differs = |(lane, content): &(&Lane, &LaneContent)| {
                content.tree_sha256 != tree_sha256(source, **lane)
            };
            found.extend(self.lanes.iter().filter(differs).map(|(lane, content)| {
                format!(
                    "the {lane}'s sources had the digest {} and have {} here (hint: prepare it anew)",
                    content.tree_sha256,
                    tree_sha256(source, *lane)
                )
            }));
        }
        found
    }

    /// Why it cannot serve a plan: a lane runs that it does not have.
    pub fn lacks(&self, plan: &Plan) -> Option<String> {
        let lane = Lane::ALL
            .into_iter()
            .find(|lane| plan.runs(*lane) && !self.lanes.contains_key(lane))?;
        let others: Vec<&str> = self.lanes.keys().map(|lane| lane.name()).collect();
        Some(format!(
            "the plan wants to release the {lane}, and the bundle was prepared for {} only (hint: prepare it without --only, or release with --only {})",
            others.join(", "),
            others.first().unwrap_or(&"LANE")
        ))
    }

    fn has_passed(&self, check: &Check) -> bool {
        let run_sha256 = sha256(check.run.as_bytes());
        self.checks
            .iter()
            .any(|passed| passed.name == check.name && passed.run_sha256 == run_sha256)
    }
}

fn tree_sha256(source: &SourceTree, lane: Lane) -> String {
    source
        .manifests
        .get(&lane)
        .map(|manifest| manifest.digest())
        .unwrap_or_default()
}

/// Whether a path stays below the folder that it is joined to, on every system.
fn is_below(path: &str) -> bool {
    let is_odd = |c: char| c.is_control() || c == '\\';
    !path.contains(is_odd) && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::manifest::Manifest as Tree;
    use crate::changes::tree::{File, Files};
    use insta::assert_snapshot;
    use std::path::Path;

    const CONFIG: &str = "project = \"shop\"\n[[checks]]\nname = \"unit tests\"\nrun = \"make check\"\n[frontend]\npaths = [\"site/**\"]\npublish = \"site\"\n[backend]\npaths = [\"service/**\"]\nbuild = \"make\"\nstart = \"./service\"\n";

    fn config(text: &str) -> Config {
        Config::load(Path::new("deploy.toml"), text).unwrap()
    }

    fn source(digit: char) -> SourceTree {
        let tree = |path: &str| Tree {
            files: Files::of([File {
                mode: "100644",
                oid: &digit.to_string(),
                path: path.as_bytes(),
            }])
            .unwrap(),
            ..Tree::default()
        };
        SourceTree {
            commit: Commit(digit.to_string().repeat(40)),
            subject: "subject".to_owned(),
            dirty: Vec::new(),
            versioned: true,
            manifests: [
                (Lane::Frontend, tree("site/index.html")),
                (Lane::Backend, tree("service/main")),
            ]
            .into(),
            migrations: Vec::new(),
            unselected: Vec::new(),
            remote_branches: None,
            folder: None,
        }
    }

    fn manifest(lanes: &[Lane]) -> Manifest {
        let passed = [Passed {
            name: "unit tests".to_owned(),
            duration_ms: 1200,
        }];
        let files = [("index.html".to_owned(), FileDigest::of(b"hello"))].into();
        Manifest::new(&config(CONFIG), &source('a'), lanes, &passed, files)
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let written = manifest(&Lane::ALL);
        assert_eq!(Manifest::parse(written.text().as_bytes()).unwrap(), written);
        // Which bytes a lane's tree is digested from is not this module's to say.
        let text = Lane::ALL.into_iter().fold(written.text(), |text, lane| {
            text.replace(&tree_sha256(&source('a'), lane), &format!("{lane}'s tree"))
        });
        assert_snapshot!(text);
    }

    #[test]
    fn what_agrees_is_not_complained_about() {
        assert_eq!(
            manifest(&Lane::ALL).disagreements(&config(CONFIG), &source('a')),
            Vec::<String>::new()
        );
    }

    #[test]
    fn every_disagreement_is_named_with_a_way_out() {
        let more = format!("{CONFIG}[[checks]]\nname = \"linters\"\nrun = \"make lint\"\n");
        let found = manifest(&Lane::ALL).disagreements(&config(&more), &source('b'));
        assert_snapshot!(found.join("\n"), @r"
        it was prepared of commit aaaaaaa, here is bbbbbbb (hint: check that commit out, or prepare a bundle of this one; uncommitted changes make a commit of their own)
        deploy.toml is not what it was when the bundle was prepared (hint: prepare it anew)
        check 'linters' is configured and is not among those that passed for the bundle (hint: prepare it anew)
        ");
        // The same name and another command is another check.
        let other = CONFIG.replace("make check", "make fewer-checks");
        let found = manifest(&Lane::ALL).disagreements(&config(&other), &source('a'));
        assert!(
            found
                .iter()
                .any(|text| text.starts_with("check 'unit tests'")),
            "{found:?}"
        );
        let mut odd = source('a');
        odd.manifests = source('b').manifests;
        let found = manifest(&[Lane::Backend]).disagreements(&config(CONFIG), &odd);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("the backend's sources had the digest"),
            "{found:?}"
        );
    }

    #[test]
    fn a_manifest_that_leads_elsewhere_or_is_of_another_format_is_refused() {
        let text = manifest(&Lane::ALL).text();
        let refusal = |text: &str| format!("{:#}", Manifest::parse(text.as_bytes()).unwrap_err());
        for path in [
            "../index.html",
            "/index.html",
            "a//b",
            "a/./b",
            "a\\\\..\\\\b",
            "",
        ] {
            let refused = refusal(&text.replace("\"index.html\"", &format!("\"{path}\"")));
            assert!(
                refused.contains("does not lie below the site's folder"),
                "{path}: {refused}"
            );
        }
        assert!(
            refusal(&text.replace("\"format\": 1", "\"format\": 2"))
                .contains("this program knows 1")
        );
        assert!(refusal(&text.replace("\"tool\"", "\"fool\"")).contains("unknown field `fool`"));
        assert!(refusal("[]").contains("no manifest of a bundle"));
    }
}
