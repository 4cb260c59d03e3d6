//! The plan for people: what would run and why, what differs, and whether there is a way back.

use super::clean;
use super::style::{Role, paint};
use super::words::count;
use crate::event::LaneDecision;
use crate::plan::{Facts, Plan, Remarks};
use std::fmt::Write as _;

/// Characters of a commit's subject.
const SUBJECT_CHARS: usize = 72;
/// Paths of files that belong to no lane.
const UNSELECTED_MAX: usize = 5;

/// The plan as text; of each lane at most `max_files` paths are listed.
pub fn plan(plan: &Plan, facts: &Facts, remarks: &Remarks, max_files: usize) -> String {
    let mut text = String::new();
    header(&mut text, plan, facts, remarks);
    for decision in &plan.lanes {
        text.push('\n');
        lane(&mut text, decision, max_files);
    }
    text.push('\n');
    footer(&mut text, plan, facts);
    said(&mut text, remarks);
    while text.ends_with("\n\n") {
        text.pop();
    }
    text
}

/// Why a deploy would be refused, and what is worth knowing.
fn said(text: &mut String, remarks: &Remarks) {
    if !remarks.refusals.is_empty() {
        text.push_str("refused, because\n");
    }
    for refusal in &remarks.refusals {
        for line in refusal.lines() {
            let _infallible = writeln!(text, "  {}", paint(Role::Bad, &clean::line(line)));
        }
    }
    for warning in &remarks.warnings {
        let label = paint(Role::Warn, "warning:");
        let _infallible = writeln!(text, "{label} {}", clean::line(warning));
    }
}

fn header(text: &mut String, plan: &Plan, facts: &Facts, remarks: &Remarks) {
    let verb = if !remarks.refusals.is_empty() {
        "a deploy would be refused of"
    } else if plan.is_empty() {
        "nothing to do for"
    } else {
        "would release"
    };
    let title = format!("{}: {verb} {}", plan.environment, plan.commit.short());
    let _infallible = writeln!(text, "{}", paint(Role::Strong, &title));
    let subject = clean::clip(&clean::line(&plan.subject), SUBJECT_CHARS);
    if !subject.is_empty() {
        let _infallible = writeln!(text, "  {subject}");
    }
    if !facts.dirty.is_empty() {
        let _infallible = writeln!(
            text,
            "  a snapshot of the working tree: {} uncommitted",
            count(facts.dirty.len(), "change")
        );
    }
    let _infallible = match &plan.parent {
        Some(parent) => writeln!(text, "  live now: release {parent}"),
        None => writeln!(text, "  live now: nothing is recorded"),
    };
}

fn lane(text: &mut String, decision: &LaneDecision, max_files: usize) {
    let (role, verdict) = if decision.run {
        (Role::Good, "runs")
    } else {
        (Role::Quiet, "does not run")
    };
    let _infallible = writeln!(
        text,
        "{:<8}  {}: {}",
        decision.lane.name(),
        paint(role, verdict),
        clean::line(&decision.reason)
    );
    if decision.run && !decision.identity.is_empty() {
        let proof = clean::line(&decision.identity);
        let _infallible = writeln!(text, "          proof: {proof}");
    }
    let modified: Vec<String> = decision
        .modified
        .iter()
        .filter(|path| !decision.type_changed.contains(path))
        .cloned()
        .collect();
    let groups = [
        (&decision.added, '+', "added"),
        (&modified, '~', "modified"),
        (&decision.deleted, '-', "deleted"),
        (&decision.type_changed, '!', "type-changed"),
    ];
    let total: usize = groups.iter().map(|(paths, ..)| paths.len()).sum();
    if total == 0 {
        return;
    }
    let counts: Vec<String> = groups
        .iter()
        .filter(|(paths, ..)| !paths.is_empty())
        .map(|(paths, _, word)| format!("{} {word}", paths.len()))
        .collect();
    let rule = decision.rule.as_deref().map(clean::line);
    let rule = rule.map_or_else(String::new, |rule| format!("; the first by rule {rule}"));
    let _infallible = writeln!(text, "          {}{rule}", counts.join(", "));
    let all = groups
        .iter()
        .flat_map(|(paths, sign, _)| paths.iter().map(move |path| (sign, path)));
    for (sign, path) in all.take(max_files) {
        let _infallible = writeln!(
            text,
            "          {} {}",
            paint(sign_role(*sign), &sign.to_string()),
            clean::line(path)
        );
    }
    if total > max_files {
        let more = format!(
            "… {} more; `why {}` lists all",
            total - max_files,
            decision.lane
        );
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
        let (role, word) = if plan.reversible {
            (Role::Good, "yes")
        } else {
            (Role::Bad, "no")
        };
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
            writeln!(
                text,
                "  {name}  {}",
                paint(Role::Warn, "! the live version cannot run after it")
            )
        };
    }
    if !facts.unselected.is_empty() {
        let shown: Vec<String> = facts
            .unselected
            .iter()
            .take(UNSELECTED_MAX)
            .map(|path| clean::line(path))
            .collect();
        let more = facts.unselected.len() - shown.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let verb = if facts.unselected.len() == 1 {
            "belongs"
        } else {
            "belong"
        };
        let _infallible = writeln!(
            text,
            "{} {verb} to no lane: {}{more}",
            count(facts.unselected.len(), "file"),
            shown.join(", ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Pending;
    use crate::sink::sample::{facts, plain, planned};
    use insta::assert_snapshot;

    #[test]
    fn both_lanes_with_a_breaking_migration() {
        let facts = facts(&[], &["README.md", "LICENSE"]);
        let mut value = planned(&facts, true, true);
        value.reversible = false;
        value.reversible_because =
            "0004_drop_total.sql changes the schema in a way that the live version cannot run on"
                .to_owned();
        value.migrations = [
            ("0003_add_region.sql", true),
            ("0004_drop_total.sql", false),
        ]
        .map(|(name, compatible)| Pending {
            name: name.to_owned(),
            compatible,
        })
        .into();
        assert_snapshot!(plain(&plan(&value, &facts, &Remarks::default(), 2)), @r#"
        production: would release 1a2b3c4
          Show revenue by region
          live now: release 20261120T090000Z-0f0f0f0-0001

        frontend  runs: frontend/js/main.js modified and 1 more
                  1 added, 1 modified, 1 deleted; the first by rule frontend/**
                  + frontend/js/chart.js
                  ~ frontend/js/main.js
                  … 1 more; `why frontend` lists all

        backend   runs: backend/src/main.rs modified and 1 more
                  1 added, 1 modified; the first by rule backend/**
                  + migrations/0003_add_region.sql
                  ~ backend/src/main.rs

        reversible: no, because 0004_drop_total.sql changes the schema in a way that the live version cannot run on
        migrations:
          0003_add_region.sql
          0004_drop_total.sql  ! the live version cannot run after it
        2 files belong to no lane: README.md, LICENSE
        "#);
    }

    #[test]
    fn a_dirty_tree_and_one_lane() {
        let facts = facts(&["a", "b"], &[]);
        let mut value = planned(&facts, true, false);
        value.parent = None;
        assert_snapshot!(plain(&plan(&value, &facts, &Remarks::default(), 10)), @r#"
        production: would release 1a2b3c4
          Show revenue by region
          a snapshot of the working tree: 2 changes uncommitted
          live now: nothing is recorded

        frontend  runs: frontend/js/main.js modified and 1 more
                  1 added, 1 modified, 1 deleted; the first by rule frontend/**
                  + frontend/js/chart.js
                  ~ frontend/js/main.js
                  - frontend/js/old.js

        backend   does not run: its 12 files are those of the live release 20261120T090000Z-0f0f0f0-0001

        reversible: yes, because no migration is pending
        "#);
    }

    #[test]
    fn nothing_to_do() {
        let facts = facts(&[], &[]);
        assert_snapshot!(plain(&plan(&planned(&facts, false, false), &facts, &Remarks::default(), 10)), @r#"
        production: nothing to do for 1a2b3c4
          Show revenue by region
          live now: release 20261120T090000Z-0f0f0f0-0001

        frontend  does not run: its 12 files are those of the live release 20261120T090000Z-0f0f0f0-0001

        backend   does not run: its 12 files are those of the live release 20261120T090000Z-0f0f0f0-0001
        "#);
    }

    #[test]
    fn what_a_deploy_would_refuse_is_said() {
        let facts = facts(&[], &[]);
        let remarks = Remarks {
            refusals: vec![
                "no branch of a remote holds commit 1a2b3c4 (hint: `git push`)".to_owned(),
                "the site would lose:\n  x".to_owned(),
            ],
            warnings: vec!["the service also deploys on every push".to_owned()],
        };
        let mut value = planned(&facts, false, true);
        value.lanes[1].added.clear();
        value.lanes[1].modified.clear();
        value.lanes[1].identity = "the commit in /api/version (field 'commit')".to_owned();
        assert_snapshot!(plain(&plan(&value, &facts, &remarks, 10)), @r#"
        production: a deploy would be refused of 1a2b3c4
          Show revenue by region
          live now: release 20261120T090000Z-0f0f0f0-0001

        frontend  does not run: its 12 files are those of the live release 20261120T090000Z-0f0f0f0-0001

        backend   runs: backend/src/main.rs modified and 1 more
                  proof: the commit in /api/version (field 'commit')

        reversible: yes, because no migration is pending
        refused, because
          no branch of a remote holds commit 1a2b3c4 (hint: `git push`)
          the site would lose:
          x
        warning: the service also deploys on every push
        "#);
    }

    #[test]
    fn foreign_names_stay_on_their_line() {
        let facts = facts(&[], &["a\nb\u{1b}[31m"]);
        let mut value = planned(&facts, true, false);
        value.lanes[0].added = vec!["::error::\r\nx\u{202e}".to_owned()];
        let text = plain(&plan(&value, &facts, &Remarks::default(), 10));
        assert!(
            text.contains("+ : :error:: x\n") && text.contains("no lane: a b\n"),
            "{text}"
        );
    }
}
