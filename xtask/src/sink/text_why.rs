//! One lane's decision for people: which rule met which file, and which rules nearly did.

use super::clean;
use crate::changes::Explanation;
use crate::changes::manifest::Change;
use crate::event::LaneDecision;
use std::fmt::Write as _;

/// What `why` was told about one lane.
pub struct Why<'a> {
    /// The decision.
    pub decision: &'a LaneDecision,
    /// How many files the lane consists of.
    pub files: usize,
    /// Whether it is known what is live.
    pub compared: bool,
    /// Every difference of the lane's files.
    pub changes: &'a [(Change, Explanation)],
    /// The first files that belong to no lane.
    pub unselected: &'a [(String, Explanation)],
    /// How many of those there are.
    pub unselected_count: usize,
}

/// The explanation as text.
pub fn why(told: &Why<'_>) -> String {
    let decision = told.decision;
    let verb = if decision.run { "runs" } else { "does not run" };
    let mut text = format!(
        "{} {verb}: {}\n",
        decision.lane,
        clean::line(&decision.reason)
    );
    let _infallible = writeln!(text, "\nIts filter selects {} files.", told.files);
    let (fired, kept): (Vec<_>, Vec<_>) = told
        .changes
        .iter()
        .partition(|(_, explanation)| explanation.fires);
    for (change, explanation) in &fired {
        let rule = explanation.rule.as_deref();
        let rule = rule.map_or("every rule".to_owned(), |rule| {
            format!("rule {}", clean::line(rule))
        });
        let _infallible = writeln!(
            text,
            "  {:<12} {}   ({rule})",
            change.status.word(),
            clean::line(&change.path)
        );
        undecided(&mut text, explanation);
    }
    if fired.is_empty() && told.compared {
        text.push_str("No file that it selects differs from what is live.\n");
    }
    if !kept.is_empty() {
        text.push_str("\nDifferences that do not make it run:\n");
    }
    for (change, explanation) in &kept {
        let _infallible = writeln!(
            text,
            "  {:<12} {}",
            change.status.word(),
            clean::line(&change.path)
        );
        near(&mut text, explanation);
    }
    if !told.unselected.is_empty() {
        let _infallible = writeln!(
            text,
            "\nFiles that belong to no lane and are not ignored ({} in all):",
            told.unselected_count
        );
    }
    for (path, explanation) in told.unselected {
        let _infallible = writeln!(text, "  {}", clean::line(path));
        near(&mut text, explanation);
    }
    text
}

fn near(text: &mut String, explanation: &Explanation) {
    if let Some(rule) = &explanation.rule {
        let _infallible = writeln!(text, "    decided by rule {}", clean::line(rule));
    }
    for (rule, why) in &explanation.near {
        let _infallible = writeln!(text, "    nearly: rule {}: {why}", clean::line(rule));
    }
    undecided(text, explanation);
}

fn undecided(text: &mut String, explanation: &Explanation) {
    if let Some(problem) = &explanation.undecided {
        let _infallible = writeln!(text, "    counted as a match: {}", clean::line(problem));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::manifest::Status;
    use crate::sink::sample::decisions;
    use insta::assert_snapshot;

    fn explanation(fires: bool, rule: Option<&str>, near: &[(&str, &'static str)]) -> Explanation {
        Explanation {
            fires,
            rule: rule.map(str::to_owned),
            near: near
                .iter()
                .map(|(rule, why)| ((*rule).to_owned(), *why))
                .collect(),
            undecided: None,
        }
    }

    fn change(path: &str, status: Status) -> Change {
        Change {
            path: path.to_owned(),
            status,
        }
    }

    #[test]
    fn rules_that_met_files_and_rules_that_nearly_did() {
        let lane = &decisions(true, true)[0];
        let mut slow = explanation(true, Some(r"(*)/\1"), &[]);
        slow.undecided = Some("gave up".to_owned());
        let changes = [
            (
                change("frontend/js/main.js", Status::Modified),
                explanation(true, Some("frontend/**"), &[]),
            ),
            (change("a/b", Status::TypeChanged), slow),
            (
                change("frontend/x\ny", Status::Added),
                explanation(true, None, &[]),
            ),
            (
                change("lib/old.js", Status::Deleted),
                explanation(
                    false,
                    None,
                    &[(
                        "added: lib/**",
                        "it is for files to which something else happened",
                    )],
                ),
            ),
        ];
        let unselected = [(
            "assets/logo.svg".to_owned(),
            explanation(false, None, &[("assets", "it means that name alone")]),
        )];
        assert_snapshot!(why(&Why {
            decision: lane,
            files: 12,
            compared: true,
            changes: &changes,
            unselected: &unselected,
            unselected_count: 3,
        }), @r#"
        frontend runs: frontend/js/main.js modified and 1 more

        Its filter selects 12 files.
          modified     frontend/js/main.js   (rule frontend/**)
          type-changed a/b   (rule (*)/\1)
            counted as a match: gave up
          added        frontend/x y   (every rule)

        Differences that do not make it run:
          deleted      lib/old.js
            nearly: rule added: lib/**: it is for files to which something else happened

        Files that belong to no lane and are not ignored (3 in all):
          assets/logo.svg
            nearly: rule assets: it means that name alone
        "#);
    }

    #[test]
    fn nothing_differs() {
        let lane = &decisions(false, false)[1];
        assert_snapshot!(why(&Why {
            decision: lane,
            files: 12,
            compared: true,
            changes: &[],
            unselected: &[],
            unselected_count: 0,
        }), @r#"
        backend does not run: its 12 files are those of the live release 20261120T090000Z-0f0f0f0-0001

        Its filter selects 12 files.
        No file that it selects differs from what is live.
        "#);
    }
}
