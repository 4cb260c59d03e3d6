//! One run as a page of its own, to be sent, kept or printed: no script, and nothing that is loaded from elsewhere.

use super::clean;
use super::gantt;
use super::line;
use super::outcome;
use super::style::Role;
use super::timeline::{self, chain};
use super::words::{duration, lane_state, moment};
use crate::event::{Event, EventKind};
use crate::exit::Exit;
use crate::state::RunState;
use std::fmt::Write as _;

/// Paths listed for a lane; the plan of a first release has every file of the project.
const PATHS_MAX: usize = 50;

const CSS: &str = "\
:root{color-scheme:light dark;--fg:#1c2024;--bg:#fff;--quiet:#60656c;--line:#d9dce0;--good:#1a7f4b;--warn:#8a5a00;--bad:#c62a2f;--bar:#9fb4c9;--critical:#2f6fb0}
@media(prefers-color-scheme:dark){:root{--fg:#e6e8ea;--bg:#15181b;--quiet:#9aa1a9;--line:#343a40;--good:#4cc38a;--warn:#e5b454;--bad:#ff6369;--bar:#4a5f75;--critical:#6cb0f5}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.25rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
th{font-weight:600;white-space:nowrap}pre{font:13px/1.4 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid var(--line);padding:.75rem}
.quiet{color:var(--quiet)}.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}.num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.gantt{width:100%;height:auto;font:12px system-ui,sans-serif}.gantt text{fill:var(--fg)}.gantt .when,.gantt .took{fill:var(--quiet)}.gantt .tick{stroke:var(--line)}
.gantt .ok{fill:var(--bar)}.gantt .critical{fill:var(--critical)}.gantt .failed{fill:var(--bad)}.gantt .cut{fill:var(--warn)}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr,.gantt{break-inside:avoid}details{display:block}}
";

/// The page.
pub fn report(state: &RunState, events: &[Event]) -> String {
    let exit = state.exit.unwrap_or(Exit::Unknown);
    let headline = escape(&outcome::headline(exit, state));
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{headline}</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n"
    );
    verdict(&mut text, exit, state, &headline);
    failure(&mut text, state);
    plan(&mut text, exit, state);
    times(&mut text, state);
    next(&mut text, state);
    event_list(&mut text, events);
    text.push_str("</body>\n</html>\n");
    text
}

fn verdict(text: &mut String, exit: Exit, state: &RunState, headline: &str) {
    let class = class(outcome::role(exit, state));
    let _infallible = writeln!(
        text,
        "<h1 class=\"{class}\">{} {headline}</h1>",
        outcome::mark(exit, state)
    );
    if !state.reason.is_empty() {
        let _infallible = writeln!(text, "<p>{}</p>", escape(&state.reason));
    }
    let commit = state.commit.as_ref().map_or("", |commit| commit.as_str());
    let rows = [
        ("Commit", format!("{commit} {}", state.subject)),
        (
            "Environment",
            state
                .environment
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        (
            "Started",
            format!("{} by {}", moment(state.started_ms), state.by),
        ),
        ("Duration", duration(state.elapsed_ms)),
        (
            "Run",
            state
                .run
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        (
            "Release",
            state
                .release
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        (
            "Release before",
            state
                .parent
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        (
            "Override",
            state.override_reason.clone().unwrap_or_default(),
        ),
        ("Exit code", format!("{} ({})", exit.code(), exit.meaning())),
    ];
    table(text, &rows);
    for warning in &state.warnings {
        let _infallible = writeln!(text, "<p class=\"warn\">Warning: {}</p>", escape(warning));
    }
}

fn table(text: &mut String, rows: &[(&str, String)]) {
    text.push_str("<table>\n");
    for (name, value) in rows.iter().filter(|(_, value)| !value.trim().is_empty()) {
        let _infallible = writeln!(
            text,
            "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>",
            escape(value)
        );
    }
    text.push_str("</table>\n");
}

fn failure(text: &mut String, state: &RunState) {
    let Some((step, status)) = state.failed_step() else {
        return;
    };
    let _infallible = writeln!(
        text,
        "<h2>Failed step: {}</h2>\n<p class=\"bad\">{}</p>",
        step.title(),
        escape(&status.detail)
    );
    let tail: Vec<String> = outcome::tail(state, step, status)
        .map(|line| escape(&clean::output(line)))
        .collect();
    if !tail.is_empty() {
        let _infallible = writeln!(text, "<pre>{}</pre>", tail.join("\n"));
    }
}

fn plan(text: &mut String, exit: Exit, state: &RunState) {
    if state.lanes.is_empty() {
        return;
    }
    text.push_str("<h2>Plan and lanes</h2>\n<table>\n<tr><th>Lane</th><th>Why</th><th>State</th><th>Live after this run</th></tr>\n");
    for (lane, status) in &state.lanes {
        let (role, live) = outcome::live_now(exit, state, *lane, status);
        let decision = &status.decision;
        let deploy = status
            .deploy_id
            .as_ref()
            .map(|id| format!("<br><span class=\"quiet\">{}</span>", escape(id.as_str())))
            .unwrap_or_default();
        let _infallible = writeln!(
            text,
            "<tr><th scope=\"row\">{lane}</th><td>{}: {}{}</td><td>{}{deploy}</td><td class=\"{}\">{}</td></tr>",
            if decision.run { "runs" } else { "does not run" },
            escape(&decision.reason),
            paths(&[
                (&decision.added, '+'),
                (&decision.modified, '~'),
                (&decision.deleted, '-')
            ]),
            lane_state(status.state),
            class(role),
            escape(&live)
        );
    }
    text.push_str("</table>\n");
    if let Some((reversible, because)) = &state.reversible {
        let word = if *reversible { "yes" } else { "no" };
        let _infallible = writeln!(
            text,
            "<p>Reversible: {word}, because {}</p>",
            escape(because)
        );
    }
    if !state.migrations.is_empty() {
        let _infallible = writeln!(
            text,
            "<p>Migrations: {}</p>",
            escape(&state.migrations.join(", "))
        );
    }
}

fn paths(groups: &[(&Vec<String>, char)]) -> String {
    let total: usize = groups.iter().map(|(paths, _)| paths.len()).sum();
    if total == 0 {
        return String::new();
    }
    let all = groups.iter().flat_map(|(paths, sign)| {
        paths
            .iter()
            .map(move |path| format!("{sign} {}", clean::line(path)))
    });
    let mut lines: Vec<String> = all.take(PATHS_MAX).collect();
    if total > PATHS_MAX {
        lines.push(format!("… and {} more", total - PATHS_MAX));
    }
    format!(
        "<details><summary>{}</summary><pre>{}</pre></details>",
        super::words::count(total, "path"),
        escape_lines(&lines)
    )
}

fn times(text: &mut String, state: &RunState) {
    if state.steps.is_empty() {
        return;
    }
    let (path, length_ms) = state.critical_path();
    let _infallible = writeln!(
        text,
        "<h2>Timeline</h2>\n<p>Took {}. The longest chain of steps, marked *, is {}{}: {}</p>",
        duration(state.elapsed_ms),
        duration(length_ms),
        timeline::between(state),
        chain(&path)
    );
    text.push_str(&gantt::svg(state));
    text.push_str(
        "<table>\n<tr><th>Lane</th><th>Step</th><th class=\"num\">Took</th><th>Result</th></tr>\n",
    );
    for row in timeline::rows(state) {
        let _infallible = writeln!(
            text,
            "<tr><td>{}</td><td>{}</td><td class=\"num\">{}</td><td>{}: {}</td></tr>",
            line::who(row.step.lane()),
            row.step.title(),
            duration(row.duration_ms),
            timeline::end_word(row.end),
            escape(row.detail)
        );
    }
    text.push_str("</table>\n");
}

fn next(text: &mut String, state: &RunState) {
    if !state.next.is_empty() {
        let lines: Vec<String> = state
            .next
            .iter()
            .map(|command| clean::line(command))
            .collect();
        let _infallible = writeln!(text, "<h2>Next</h2>\n<pre>{}</pre>", escape_lines(&lines));
    }
}

/// What happened, in order, with the state as it was at each moment.
fn event_list(text: &mut String, events: &[Event]) {
    if events.is_empty() {
        return;
    }
    text.push_str("<h2>Events</h2>\n<table>\n");
    let mut state = RunState::default();
    for event in events {
        state.apply(event);
        let at = format!(
            "{}.{:03} s",
            event.elapsed_ms / 1000,
            event.elapsed_ms % 1000
        );
        let lines = match &event.kind {
            EventKind::Output { line, .. } => vec![(Role::Quiet, line::output(line))],
            _ => line::lines(event, &state)
                .into_iter()
                .map(|line| {
                    (
                        line.role,
                        anstream::adapter::strip_str(&line.render()).to_string(),
                    )
                })
                .collect(),
        };
        for (role, line) in lines {
            let _infallible = writeln!(
                text,
                "<tr><td class=\"num quiet\">{at}</td><td class=\"{}\">{}</td></tr>",
                class(role),
                escape(&line)
            );
        }
    }
    text.push_str("</table>\n");
}

fn class(role: Role) -> &'static str {
    match role {
        Role::Good => "good",
        Role::Warn => "warn",
        Role::Bad => "bad",
        Role::Quiet => "quiet",
        Role::Accent | Role::Strong | Role::Plain => "plain",
    }
}

/// Text for an element or a quoted attribute, without anything that is not printable.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in clean::line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

fn escape_lines(lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| escape(line))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample::{self, Told};

    fn page(told: &Told) -> String {
        report(&told.state, &told.events)
    }

    /// Every element that is opened is closed in its turn.
    fn check_nesting(page: &str) {
        const VOID: [&str; 4] = ["meta", "br", "!doctype", "line"];
        let mut open = Vec::new();
        for part in page.split('<').skip(1) {
            let (tag, _) = part.split_once('>').unwrap_or_else(|| panic!("<{part}"));
            let name = tag
                .trim_start_matches('/')
                .split([' ', '/'])
                .next()
                .unwrap();
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "<{tag}>");
            } else if !VOID.contains(&name) && !tag.ends_with('/') {
                open.push(name);
            }
        }
        assert_eq!(open, Vec::<&str>::new());
    }

    #[test]
    fn pages_are_well_formed_and_load_nothing() {
        for told in [
            sample::released(),
            sample::frontend_only(),
            sample::check_failed(),
            sample::rolled_back(),
            sample::degraded(),
            sample::interrupted(),
            sample::hostile(),
        ] {
            let page = page(&told);
            check_nesting(&page);
            for word in [
                " src=", " href=", "url(", "@import", "<script", "<link", "<img", "<iframe",
                "onload=",
            ] {
                assert!(!page.contains(word), "{word}");
            }
        }
    }

    #[test]
    fn a_page_tells_the_whole_story() {
        let page = page(&sample::rolled_back());
        for text in [
            "✗ Rolled back: 1a2b3c4 failed, production is as it was before",
            "<th scope=\"row\">Exit code</th><td>5 (",
            "Failed step: prove the version",
            "error: the database is locked",
            "~ backend/src/main.rs",
            "Reversible: yes, because",
            "* backend: deploy and start",
            "<rect class=\"failed\"",
            "cargo xtask history --prod",
            "gate 2 closed",
        ] {
            assert!(page.contains(text), "{text}\n{page}");
        }
    }

    #[test]
    fn foreign_text_is_only_text() {
        let page = page(&sample::hostile());
        assert!(
            page.contains("&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;"),
            "{page}"
        );
        assert!(!page.contains('\u{1b}'));
    }

    #[test]
    fn an_unfinished_run_has_a_page_too() {
        let mut told = sample::interrupted();
        told.events.truncate(12);
        told.state = RunState::fold(&told.events);
        let page = page(&told);
        check_nesting(&page);
        assert!(page.contains("Unknown: what became of 1a2b3c4"), "{page}");
        check_nesting(&report(&RunState::default(), &[]));
    }
}
