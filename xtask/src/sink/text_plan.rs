//! The plan for people: what would run and why, what differs, and whether there is a way back.

use super::clean;
use super::style::{Role, paint};
use super::words::count;
use crate::event::LaneDecision;
use crate::plan::{Facts, Plan};
use std::fmt::Write as _;

/// Characters of a commit's subject.
const SUBJECT_CHARS: usize = 72;
/// Paths of files that belong to no lane.
const UNSELECTED_MAX: usize = 5;

/// The plan as text; of each lane at most `max_files` paths are listed.
pub fn plan(plan: &Plan, facts: &Facts, max_files: usize) -> String {
    let mut text = String::new();
    header(&mut text, plan, facts);
    for decision in &plan.lanes {
        text.push('\n');
        lane(&mut text, decision, max_files);
    }
    text.push('\n');
    footer(&mut text, plan, facts);
    text
}

fn header(text: &mut String, plan: &Plan, facts: &Facts) {
    let verb = if plan.is_empty() { "nothing to do for" } else { "would release" };
    let title = format!("{}: {verb} {}", plan.environment, plan.commit.short());
    let _infallible = writeln!(text, "{}", paint(Role::Strong, &title));
    let subject = clean::clip(&clean::line(&plan.subject), SUBJECT_CHARS);
    if !subject.is_empty() {
        let _infallible = writeln!(text, "  {subject}");
    }
    if !facts.dirty.is_empty() {
        let _infallible = writeln!(text, "  a snapshot of the working tree: {} uncommitted", count(facts.dirty.len(), "change"));
    }
    let _infallible = match &plan.parent {
        Some(parent) => writeln!(text, "  live now: release {parent}"),
        None => writeln!(text, "  live now: nothing is recorded"),
    };
}

fn lane(text: &mut String, decision: &LaneDecision, max_files: usize) {
    let (role, verdict) = if decision.run { (Role::Good, "runs") } else { (Role::Quiet, "does not run") };
    let _infallible = writeln!(text, "{:<8}  {}: {}", decision.lane.name(), paint(role, verdict), clean::line(&decision.reason));
    let groups = [(&decision.added, '+', "added"), (&decision.modified, '~', "modified"), (&decision.deleted, '-', "deleted")];
    let total: usize = groups.iter().map(|(paths, ..)| paths.len()).sum();
    if total == 0 {
        return;
    }
    let counts: Vec<String> = groups.iter().filter(|(paths, ..)| !paths.is_empty()).map(|(paths, _, word)| format!("{} {word}", paths.len())).collect();
    let _infallible = writeln!(text, "          {}", counts.join(", "));
    let all = groups.iter().flat_map(|(paths, sign, _)| paths.iter().map(move |path| (sign, path)));
    for (sign, path) in all.take(max_files) {
        let _infallible = writeln!(text, "          {} {}", paint(sign_role(*sign), &sign.to_string()), clean::line(path));
    }
    if total > max_files {
        let more = format!("… {} more; `why {}` lists all", total - max_files, decision.lane);
        let _infallible = writeln!(text, "          {}", paint(Role::Quiet, &more));
    }
}

fn sign_role(sign: char) -> Role {
    match sign {
        '+' => Role::Good,
        '-' => Role::Bad,
        _ => Role::Warn,
    }
}

fn footer(text: &mut String, plan: &Plan, facts: &Facts) {
    if !plan.is_empty() {
        let (role, word) = if plan.reversible { (Role::Good, "yes") } else { (Role::Bad, "no") };
        let because = clean::line(&plan.reversible_because);
        let _infallible = writeln!(text, "reversible: {}, because {because}", paint(role, word));
    }
    if !plan.migrations.is_empty() {
        text.push_str("migrations:\n");
    }
    for file in &plan.migrations {
        let name = clean::line(&file.name);
        let _infallible = if file.compatible {
            writeln!(text, "  {name}")
        } else {
            writeln!(text, "  {name}  {}", paint(Role::Warn, "! the live version cannot run after it"))
        };
    }
    if !facts.unselected.is_empty() {
        let shown: Vec<String> = facts.unselected.iter().take(UNSELECTED_MAX).map(|path| clean::line(path)).collect();
        let more = facts.unselected.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let verb = if facts.unselected.len() == 1 { "belongs" } else { "belong" };
        let _infallible = writeln!(text, "{} {verb} to no lane: {}{more}", count(facts.unselected.len(), "file"), shown.join(", "));
    }
    while text.ends_with("\n\n") {
        text.pop();
    }
}
