//! GitHub Actions: the job summary in Markdown, annotations, and values for later steps of the job.

use super::clean;
use super::outcome;
use super::timeline::{self, chain};
use super::words::{duration, lane_state};
use crate::exit::Exit;
use crate::state::RunState;
use std::fmt::Write as _;

/// GitHub shows ten warnings of a step.
const WARNINGS_MAX: usize = 10;
/// Characters of a cell; a summary may have 1 MiB, and nobody reads that much.
const CELL_CHARS: usize = 500;

/// The job summary.
pub fn summary(state: &RunState) -> String {
    let exit = state.exit.unwrap_or(Exit::Unknown);
    let mut text = String::new();
    let _infallible = writeln!(
        text,
        "### {} {}\n",
        outcome::mark(exit, state),
        cell(&outcome::headline(exit, state))
    );
    if !state.reason.is_empty() {
        let _infallible = writeln!(text, "{}\n", cell(&state.reason));
    }
    lanes(&mut text, exit, state);
    facts(&mut text, state);
    failure(&mut text, state);
    steps(&mut text, state);
    for warning in &state.warnings {
        let _infallible = writeln!(text, "- warning: {}", cell(warning));
    }
    if !state.warnings.is_empty() {
        text.push('\n');
    }
    if !state.next.is_empty() {
        let commands: Vec<String> = state
            .next
            .iter()
            .map(|command| html(&clean::line(command)))
            .collect();
        let _infallible = writeln!(text, "Next:\n<pre>\n{}\n</pre>", commands.join("\n"));
    }
    text
}

fn lanes(text: &mut String, exit: Exit, state: &RunState) {
    if state.lanes.is_empty() {
        return;
    }
    text.push_str("| Lane | State | Live now | Deploy | Why |\n|---|---|---|---|---|\n");
    for (lane, status) in &state.lanes {
        let deploy = status.deploy_id.as_ref().map_or("", |id| id.as_str());
        let (_, live) = outcome::live_now(exit, state, *lane, status);
        let _infallible = writeln!(
            text,
            "| {lane} | {} | {} | {} | {} |",
            lane_state(status.state),
            cell(&live),
            cell(deploy),
            cell(&status.decision.reason)
        );
    }
    text.push('\n');
}

fn facts(text: &mut String, state: &RunState) {
    let commit = state.commit.as_ref().map_or("", |commit| commit.short());
    let run = state.run.as_ref().map_or("", |run| run.as_str());
    let rows = [
        ("Commit", format!("{commit} {}", state.subject)),
        (
            "Migrations",
            if state.migrations.is_empty() {
                "none".to_owned()
            } else {
                state.migrations.join(", ")
            },
        ),
        ("Duration", duration(state.elapsed_ms)),
        ("Run", run.to_owned()),
        ("Started by", state.by.clone()),
        (
            "Override",
            state.override_reason.clone().unwrap_or_default(),
        ),
    ];
    text.push_str("| | |\n|---|---|\n");
    for (name, value) in rows.iter().filter(|(_, value)| !value.trim().is_empty()) {
        let _infallible = writeln!(text, "| {name} | {} |", cell(value));
    }
    text.push('\n');
}

fn failure(text: &mut String, state: &RunState) {
    let Some((step, status)) = state.failed_step() else {
        return;
    };
    let _infallible = writeln!(
        text,
        "Failed step: **{}**: {}\n",
        step.title(),
        cell(&status.detail)
    );
    let tail: Vec<String> = outcome::tail(state, step, status)
        .map(|line| html(&clean::output(line)))
        .collect();
    if !tail.is_empty() {
        let _infallible = writeln!(text, "<pre>\n{}\n</pre>\n", tail.join("\n"));
    }
}

fn steps(text: &mut String, state: &RunState) {
    if state.steps.is_empty() {
        return;
    }
    let (path, length_ms) = state.critical_path();
    text.push_str("<details><summary>Steps</summary>\n\n| Lane | Step | Took | Result |\n|---|---|---:|---|\n");
    for row in timeline::rows(state) {
        let _infallible = writeln!(
            text,
            "| {} | {} | {} | {}: {} |",
            super::line::who(row.step.lane()),
            row.step.title(),
            duration(row.duration_ms),
            timeline::end_word(row.end),
            cell(row.detail)
        );
    }
    let _infallible = writeln!(
        text,
        "\nThe longest chain of steps is {}{}: {}\n\n</details>\n",
        duration(length_ms),
        timeline::between(state),
        chain(&path)
    );
}

/// Workflow commands that put the outcome and the warnings on the run's page, one per line; empty when all is well.
pub fn annotations(state: &RunState) -> String {
    let exit = state.exit.unwrap_or(Exit::Unknown);
    let mut text = String::new();
    let mark = outcome::mark(exit, state);
    if mark != '✓' {
        let level = if mark == '✗' { "error" } else { "warning" };
        let title = property(&outcome::headline(exit, state));
        let _infallible = writeln!(text, "::{level} title={title}::{}", message(&state.reason));
    }
    for warning in state.warnings.iter().take(WARNINGS_MAX - 1) {
        let _infallible = writeln!(text, "::warning title=Tandem::{}", message(warning));
    }
    text
}

/// One entry of the file that `GITHUB_OUTPUT` names. No value can end the entry: `delimiter` is random.
pub fn output(name: &str, value: &str, delimiter: &str) -> String {
    format!("{name}<<{delimiter}\n{}\n{delimiter}\n", clean::line(value))
}

fn message(text: &str) -> String {
    // The order matters: the sign that escapes goes first.
    clean::clip(&clean::line(text), CELL_CHARS)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

/// One line of Markdown in which nothing is markup, neither Markdown's nor HTML's, and no address is a link.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in clean::clip(&clean::line(text), CELL_CHARS).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // As references these are characters for sure: a backslash is not enough inside tables, for `@name`, nor for addresses.
            '|' | '`' | '*' | '_' | '[' | ']' | '~' | '\\' | '@' | '#' | '!' | ':' => {
                let _infallible = write!(out, "&#{};", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

/// Text in a `pre` element, which Markdown leaves alone up to its end tag.
fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;
    use insta::assert_snapshot;

    #[test]
    fn released() {
        assert_snapshot!(summary(&sample::released().state), @r#"
        ### ✓ Released 1a2b3c4 to production

        frontend and backend of 1a2b3c4 are live and verified

        | Lane | State | Live now | Deploy | Why |
        |---|---|---|---|---|
        | frontend | live and verified | 1a2b3c4, verified | 65f0c0ffee65f0c0ffee65f0 | frontend/js/main.js modified and 1 more |
        | backend | live and verified | 1a2b3c4, verified | dep-9 | backend/src/main.rs modified and 1 more |

        | | |
        |---|---|
        | Commit | 1a2b3c4 Show revenue by region |
        | Migrations | 0003&#95;add&#95;region.sql |
        | Duration | 13.5 s |
        | Run | 20261123T170102Z-1a2b3c4-9f3c |
        | Started by | someone |

        <details><summary>Steps</summary>

        | Lane | Step | Took | Result |
        |---|---|---:|---|
        | release | preflight | 0.2 s | ok: reversible&#58; yes, because no pending migration breaks the live version |
        | release | checks | 5.3 s | ok: passed&#58; backend |
        | frontend | upload as a draft | 1.1 s | ok: 3 of 12 files were new to the provider |
        | backend | rehearse migrations | 0.3 s | ok: 1 file on the live schema in 12 ms |
        | frontend | verify the draft | 0.2 s | ok: 12 files have our content |
        | backend | deploy and start | 6.9 s | ok: dep-9 is live |
        | backend | read the schema back | 0.0 s | ok: generation 3, 1 applied by this release |
        | backend | prove the version | 0.2 s | ok: 1a2b3c4 answered 3 times in a row |
        | frontend | publish | 0.4 s | ok: 65f0c0ffee65f0c0ffee65f0 is the published deploy |
        | frontend | verify what is public | 0.1 s | ok: 12 files have our content |
        | release | record what is live | 0.0 s | ok: 20261123T170102Z-1a2b3c4-9f3c is recorded as live |

        The longest chain of steps is 13.4 s, and 0.1 s lie between its steps: preflight → checks → deploy and start → read the schema back → prove the version → publish → verify what is public → record what is live

        </details>

        Next:
        <pre>
        cargo xtask status --prod
        cargo xtask rollback --prod
        </pre>
        "#);
    }

    #[test]
    fn rolled_back() {
        assert_snapshot!(summary(&sample::rolled_back().state), @r#"
        ### ✗ Rolled back&#58; 1a2b3c4 failed, production is as it was before

        the service answered 503 for 60 s; the backend was rolled back and the frontend was never published

        | Lane | State | Live now | Deploy | Why |
        |---|---|---|---|---|
        | frontend | not public | as before this run | 65f0c0ffee65f0c0ffee65f0 | frontend/js/main.js modified and 1 more |
        | backend | rolled back | as before this run, restored and verified | dep-10 | backend/src/main.rs modified and 1 more |

        | | |
        |---|---|
        | Commit | 1a2b3c4 Show revenue by region |
        | Migrations | none |
        | Duration | 1 min 15 s |
        | Run | 20261123T170102Z-1a2b3c4-9f3c |
        | Started by | someone |

        Failed step: **prove the version**: the service answered 503 for 60 s

        <pre>
        listening on 0.0.0.0:10000
        error: the database is locked
        </pre>

        <details><summary>Steps</summary>

        | Lane | Step | Took | Result |
        |---|---|---:|---|
        | release | preflight | 0.2 s | ok: reversible&#58; yes, because no pending migration breaks the live version |
        | release | checks | 5.3 s | ok: passed&#58; backend |
        | frontend | upload as a draft | 1.1 s | ok: 3 of 12 files were new to the provider |
        | backend | rehearse migrations | 0.3 s | ok: 1 file on the live schema in 12 ms |
        | frontend | verify the draft | 0.2 s | ok: 12 files have our content |
        | backend | deploy and start | 6.9 s | ok: dep-9 is live |
        | backend | read the schema back | 0.0 s | ok: generation 3, 0 applied by this release |
        | backend | prove the version | 1 min 00 s | failed: the service answered 503 for 60 s |
        | backend | roll the backend back | 3.0 s | ok: dep-10 brought back dep-8; 0f0f0f0 answered 3 times in a row |

        The longest chain of steps is 1 min 15 s: preflight → checks → deploy and start → read the schema back → prove the version → roll the backend back

        </details>

        Next:
        <pre>
        cargo xtask history --prod
        cargo xtask deploy --prod
        </pre>
        "#);
    }

    #[test]
    fn what_annotations_say() {
        assert_eq!(annotations(&sample::released().state), "");
        assert_snapshot!(annotations(&sample::check_failed().state), @r#"::error title=Failed%3A 1a2b3c4 is not released%2C production is unchanged::check 'backend' failed with exit code 101: cargo test -p backend; nothing that is live was changed"#);
        assert_snapshot!(annotations(&sample::degraded().state), @r#"
        ::error title=Degraded%3A 1a2b3c4 is only partly live in production::the frontend could not be published: Netlify POST /sites/x/deploys/y/restore: status 500; the previous frontend is public on the new backend, which is live and verified
        ::warning title=Tandem::the site's previous deploy was public all the time
        "#);
        assert_snapshot!(annotations(&sample::interrupted().state), @r#"::warning title=Interrupted%3A the release of 1a2b3c4 to production is unfinished::interrupted: the backend's deploy is left to the provider and the frontend was not published"#);
    }

    #[test]
    fn foreign_text_is_only_text() {
        let state = sample::hostile().state;
        let text = summary(&state);
        assert!(
            !text.contains("<script") && !text.contains("<!channel"),
            "{text}"
        );
        // Markdown does not look into this element.
        let (before, rest) = text.split_once("<pre>").unwrap();
        let outside = format!("{before}{}", rest.split_once("</pre>").unwrap().1);
        assert!(
            !outside.contains("@here") && !outside.contains("://"),
            "{outside}"
        );
        assert_eq!(
            text.matches("</pre>").count(),
            text.matches("<pre>").count()
        );
        let columns = |line: &str| line.matches('|').count();
        for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
            let wanted = columns(table.lines().next().unwrap());
            assert!(table.lines().all(|line| columns(line) == wanted), "{table}");
        }
        for line in annotations(&state).lines() {
            assert!(
                line.starts_with("::error title=")
                    || line.starts_with("::warning title=Tandem::line one"),
                "{line}"
            );
            assert!(line.chars().count() < 2 * CELL_CHARS, "{line}");
        }
    }

    #[test]
    fn an_output_is_one_line_between_its_delimiters() {
        assert_eq!(
            output("outcome", "a\nb=c\nEND\n", "END"),
            "outcome<<END\na b=c END\nEND\n"
        );
    }
}
