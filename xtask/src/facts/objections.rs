//! What speaks against a release although everything answers: pure functions of what was read. A release obeys them, `doctor` shows
//! them.

use crate::config::{Config, Policy, Publish, Target};
use crate::forwards::branch_names;
use crate::netlify::Site;
use crate::render::ServiceInfo;
use crate::site_rules::{SiteRules, Weight};
use crate::source::SourceTree;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// What was looked at, in a word or two.
    pub about: &'static str,
    /// Whether the release must not be made.
    pub stops: bool,
    /// What is wrong and what to do.
    pub text: String,
}

/// What the service's settings at its provider would do to a release.
pub fn to_service(config: &Config, target: &Target, service: &ServiceInfo) -> Vec<Objection> {
    let mut found = Vec::new();
    if service.is_suspended() {
        found.push(Objection {
            about: "service",
            stops: true,
            text: format!(
                "the service {} is suspended (hint: resume it in the provider's dashboard)",
                target.service_id
            ),
        });
    }
    if service.deploys_on_push() {
        found.push(Objection {
            about: "auto-deploy",
            stops: false,
            text: "the service also deploys on every push: two deploys per release, and an auto-deploy can undo a rollback (hint: turn auto-deploy off)".to_owned(),
        });
    }
    found.extend(disk(config, target, service));
    found
}

/// A database that is not on a disk is gone with the next deploy, and nothing else would tell.
fn disk(config: &Config, target: &Target, service: &ServiceInfo) -> Option<Objection> {
    let wanted = config.backend.disk.as_ref()?;
    let found = service
        .disk()
        .map(|disk| disk.mount_path.as_deref().unwrap_or_default());
    let said = match found {
        Some(path) if path == wanted.mount_path => return None,
        Some(path) => format!("has its disk at '{path}'"),
        None => "has no disk".to_owned(),
    };
    Some(Objection {
        about: "disk",
        stops: true,
        text: format!(
            "the service {} {said}, deploy.toml says that one is mounted at {}: what is written there would be lost with every deploy (hint: attach the disk at the provider, or correct [backend.disk])",
            target.service_id, wanted.mount_path
        ),
    })
}

/// How the site publishes must fit how deploy.toml says that it does.
pub fn to_site(policy: &Policy, site: &Site) -> Option<Objection> {
    let (about, stops, text) = match (policy.publish, site.is_locked()) {
        // Without the lock the upload itself would be public, before the backend is.
        (Publish::Locked, false) if site.published_id().is_some() => (
            "publishing",
            true,
            "deploy.toml says `publish = \"locked\"`, but publishing is not locked on the site: the upload itself would go public (hint: lock the published deploy at the provider, or say `publish = \"draft-restore\"`)",
        ),
        (Publish::Locked, false) => (
            "publishing",
            true,
            "`publish = \"locked\"` needs a published deploy to lock, and the site has none yet (hint: make the first release with `publish = \"draft-restore\"`)",
        ),
        (Publish::DraftRestore, true) => (
            "publishing",
            false,
            "publishing is locked on the site; restoring our deploy publishes it all the same",
        ),
        (Publish::DraftRestore, false) if site.builds_on_push() => (
            "builds on push",
            false,
            "the site also builds on every push and publishes what it built, over our release (hint: stop its builds at the provider)",
        ),
        (Publish::Locked, true) | (Publish::DraftRestore, false) => return None,
    };
    Some(Objection {
        about,
        stops,
        text: text.to_owned(),
    })
}

/// What of the site's rules is not in effect. `is_first`: no frontend has been released to the environment yet, and nobody said to
/// release all the same.
pub fn to_rules(rules: &SiteRules, is_first: bool) -> Vec<Objection> {
    let objection = |finding: &crate::site_rules::Finding| {
        let stops_first = finding.weight == Weight::StopsFirst && is_first;
        let way_out = if stops_first {
            "; it stops the first release of a site, which may rely on it (hint: --anyway REASON releases without it)"
        } else {
            ""
        };
        Objection {
            about: "rules",
            stops: stops_first || finding.weight == Weight::Stops,
            text: format!("{finding}{way_out}"),
        }
    };
    rules.findings.iter().map(objection).collect()
}

/// Why the environment does not take this source: it is no commit, or not where the environment takes its commits from. With
/// `any_branch` that may be any branch: somebody gave a reason.
pub fn unfit_source(target: &Target, source: &SourceTree, any_branch: bool) -> Vec<String> {
    let mut found = Vec::new();
    if target.policy.require_clean && (!source.dirty.is_empty() || !source.versioned) {
        let first: Vec<&str> = source.dirty.iter().take(5).map(String::as_str).collect();
        let what = if source.versioned {
            format!(
                "{} uncommitted change(s): {}",
                source.dirty.len(),
                first.join(", ")
            )
        } else {
            "this folder is no git repository".to_owned()
        };
        found.push(format!(
            "{what}; {} releases commits only (hint: commit and push first)",
            target.name
        ));
    }
    let branches = source.remote_branches.as_deref();
    found.extend(branches.and_then(|branches| unfit_place(target, source, branches, any_branch)));
    found
}

/// The provider builds from the origin, and the environment may be kept for one branch.
fn unfit_place(
    target: &Target,
    source: &SourceTree,
    branches: &[String],
    any_branch: bool,
) -> Option<String> {
    let (name, commit) = (&target.name, source.commit.short());
    if branches.is_empty() {
        return Some(format!(
            "no branch of a remote holds commit {commit}, so the provider cannot build it (hint: `git push`, or `git fetch` if it was pushed elsewhere)"
        ));
    }
    let wanted = target.policy.branch.as_ref()?;
    if any_branch || branch_names(branches).contains(wanted) {
        return None;
    }
    Some(format!(
        "{name} is kept for the branch '{wanted}', and commit {commit} is only on {} (hint: merge it first; `branch` in deploy.toml says so. --anyway REASON releases a hotfix from another branch, and is recorded)",
        branches.join(", ")
    ))
}
