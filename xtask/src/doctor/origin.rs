//! The commit that would be released, and the place that holds the lock and the live record.

use super::{Area, Finding, Level};
use crate::config::{Policy, Target};
use crate::facts;
use crate::gitrefs::GitRefs;
use crate::lease::{self, LeaseError};
use crate::source::SourceTree;
use crate::world::World;

/// What of the source would be refused.
pub fn source(target: &Target, source: &SourceTree) -> Vec<Finding> {
    let commit = source.commit.short();
    let mut findings: Vec<Finding> = facts::unfit_source(target, source, false)
        .into_iter()
        .map(|problem| Finding::new(Area::Source, "commit", Level::Error, problem))
        .collect();
    if findings.is_empty() {
        findings.push(Finding::new(
            Area::Source,
            "commit",
            Level::Ok,
            described(commit, source, &target.policy),
        ));
    }
    if !source.unselected.is_empty() {
        let first = source.unselected.first().map_or("", String::as_str);
        let text = format!(
            "{} tracked file(s) belong to no lane and are not ignored, the first is {first} (hint: add them to a lane's `paths` or to `ignore`)",
            source.unselected.len()
        );
        findings.push(Finding::new(Area::Source, "files", Level::Note, text));
    }
    findings
}

fn described(commit: &str, source: &SourceTree, policy: &Policy) -> String {
    let changes = match source.dirty.len() {
        0 => String::new(),
        count => format!(", a snapshot with {count} uncommitted change(s)"),
    };
    let branch = policy
        .branch
        .as_ref()
        .map(|branch| format!(", on {branch}"))
        .unwrap_or_default();
    format!("{commit}{changes}{branch}")
}

/// Whether the refs can be read and moved, and whether somebody holds the lock.
pub fn refs(
    world: &dyn World,
    refs: &GitRefs<'_>,
    target: &Target,
    source: &SourceTree,
) -> Vec<Finding> {
    let held = match lease::holder(world, &target.name) {
        Err(error) => {
            return vec![Finding::new(
                Area::Origin,
                "refs",
                Level::Error,
                format!("{error:#}"),
            )];
        }
        Ok(None) => Finding::new(Area::Origin, "lock", Level::Ok, "is free"),
        Ok(Some((_, holder))) => Finding::new(
            Area::Origin,
            "lock",
            Level::Warning,
            LeaseError::Held(Box::new(holder)).to_string(),
        ),
    };
    // A name of its own: the lock's may be somebody else's at this moment.
    let name = format!("refs/tandem/{}/doctor", target.name);
    let pushed = refs.try_push(&name, &source.commit);
    let moves = match pushed {
        Ok(()) => Finding::new(Area::Origin, "refs", Level::Ok, "can be read and moved"),
        Err(error) => Finding::new(
            Area::Origin,
            "refs",
            Level::Error,
            format!(
                "can be read and not moved: {error:#} (hint: whoever releases must be able to push to the origin)"
            ),
        ),
    };
    vec![moves, held]
}
