//! The last words of `deploy`: what became of it, what is live now, where the time went, and what to type next.

use super::clean;
use super::outcome;
use super::style::{Role, paint};
use super::timeline;
use super::words::{duration, lane_state};
use crate::config::Target;
use crate::event::{LaneState, StepEnd};
use crate::exit::Exit;
use crate::ids::Lane;
use crate::plan::NOT_ASKED_FOR;
use crate::run::Ended;
use crate::state::{LaneStatus, RunState};
use std::fmt::Write as _;

/// Columns of the longest step title.
const TITLE_COLUMNS: usize = 21;
/// Lines of output that explain a failure; the journal has more.
const TAIL_LINES: usize = 12;
/// Characters of such a line.
const TAIL_CHARS: usize = 300;
/// Columns of the chain of steps, so that it fits a narrow terminal.
const CHAIN_COLUMNS: usize = 56;
/// Characters of a warning or a reason.
const TEXT_CHARS: usize = 1_000;

/// The closing summary.
pub fn deploy(ended: &Ended, state: &RunState, target: &Target) -> String {
    if ended.nothing_to_do {
        return nothing_to_do(ended, target);
    }
    let exit = ended.verdict.exit;
    let mut text = String::new();
    verdict(&mut text, ended, state, target);
    if !outcome::undone_as_asked(exit, state) {
        failure(&mut text, state);
    }
    if !state.lanes.is_empty() {
        lanes(&mut text, exit, state, target);
    }
    if timeline::rows(state).len() > 1 {
        steps(&mut text, state);
    }
    for warning in &state.warnings {
        let _infallible = writeln!(text, "{} {}", paint(Role::Warn, "warning:"), prose(warning));
    }
    if !state.warnings.is_empty() {
        text.push('\n');
    }
    next(&mut text, &state.next);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn nothing_to_do(ended: &Ended, target: &Target) -> String {
    let mut text = String::new();
    let commit = ended
        .plan
        .as_ref()
        .map(|plan| format!(" ({})", plan.commit.short()))
        .unwrap_or_default();
    let lanes = ended.plan.iter().flat_map(|plan| &plan.lanes);
    let asked: Vec<&str> = lanes
        .filter(|decision| decision.reason != NOT_ASKED_FOR)
        .map(|decision| decision.lane.name())
        .collect();
    let title = if asked.len() == 1 {
        format!(
            "✓ Nothing to do for the {}: {} already has its content{commit}, and both halves answer as recorded",
            asked.concat(),
            target.name
        )
    } else {
        format!(
            "✓ Nothing to do: {} already has this content{commit}, and both halves answer",
            target.name
        )
    };
    let _infallible = writeln!(text, "{}", paint(Role::Good, &title));
    for decision in ended.plan.iter().flat_map(|plan| &plan.lanes) {
        let _infallible = writeln!(
            text,
            "  {:<8}  {}",
            decision.lane.name(),
            prose(&decision.reason)
        );
    }
    text
}

fn verdict(text: &mut String, ended: &Ended, state: &RunState, target: &Target) {
    let exit = ended.verdict.exit;
    // A refusal comes before the run has an environment of its own.
    let mut known = RunState {
        environment: Some(target.name.clone()),
        command: state.command.clone(),
        aborted: state.aborted,
        lanes: state.lanes.clone(),
        ..RunState::default()
    };
    known.commit = state
        .commit
        .clone()
        .or_else(|| ended.plan.as_ref().map(|plan| plan.commit.clone()));
    let title = format!(
        "{} {}",
        outcome::mark(exit, &known),
        outcome::headline(exit, &known)
    );
    let _infallible = writeln!(text, "{}", paint(outcome::role(exit, &known), &title));
    let subject = clean::clip(&clean::line(&state.subject), 72);
    if !subject.is_empty() {
        let _infallible = writeln!(text, "  {}", paint(Role::Quiet, &subject));
    }
    if exit != Exit::Done {
        for line in ended.verdict.reason.lines() {
            let _infallible = writeln!(text, "  {}", prose(line));
        }
    }
    text.push('\n');
}

fn failure(text: &mut String, state: &RunState) {
    let Some((step, status)) = state.failed_step() else {
        return;
    };
    let who = step
        .lane()
        .map(|lane| format!("{lane}, "))
        .unwrap_or_default();
    let title = format!(
        "failed step: {who}{} (after {})",
        step.title(),
        duration(status.duration_ms(state.elapsed_ms))
    );
    let _infallible = writeln!(text, "{}", paint(Role::Bad, &title));
    let detail = prose(&status.detail);
    // The verdict above usually begins with the same words.
    if !detail.is_empty() && !state.reason.contains(status.detail.trim()) {
        let _infallible = writeln!(text, "  {detail}");
    }
    let tail: Vec<&str> = outcome::tail(state, step, status).collect();
    let shown = tail
        .get(tail.len().saturating_sub(TAIL_LINES)..)
        .unwrap_or_default();
    for line in shown {
        let _infallible = writeln!(
            text,
            "{}",
            clean::clip(&super::line::output(line), TAIL_CHARS)
        );
    }
    text.push('\n');
}

fn lanes(text: &mut String, exit: Exit, state: &RunState, target: &Target) {
    if exit != Exit::Done {
        text.push_str("live now\n");
    }
    for (lane, status) in &state.lanes {
        let url = match lane {
            Lane::Frontend => &target.site_url,
            Lane::Backend => &target.service_url,
        };
        let _infallible = writeln!(text, "  {:<8}  {}", lane.name(), paint(Role::Accent, url));
        let (role, live) = match exit {
            Exit::Done => (Role::Good, done(status)),
            _ => outcome::live_now(exit, state, *lane, status),
        };
        let _infallible = writeln!(text, "            {}", paint(role, &live));
        if exit == Exit::Done && status.decision.run {
            let why = format!("why: {}", prose(&status.decision.reason));
            let _infallible = writeln!(text, "            {}", paint(Role::Quiet, &why));
        }
    }
    if exit == Exit::Done && !state.migrations.is_empty() {
        let _infallible = writeln!(text, "  migrated  {}", prose(&state.migrations.join(", ")));
    }
    text.push('\n');
}

fn done(status: &LaneStatus) -> String {
    let deploy = status
        .deploy_id
        .as_ref()
        .map(|id| format!(", deploy {id}"))
        .unwrap_or_default();
    match status.state {
        LaneState::Unchanged => format!("unchanged: {}", prose(&status.decision.reason)),
        state => format!("{}{deploy}", lane_state(state)),
    }
}

/// Where the time went. A run that is longer than its longest chain waited for something that it need not have.
fn steps(text: &mut String, state: &RunState) {
    let (path, length_ms) = state.critical_path();
    let took = format!(
        "took {}; the longest chain of steps is {}:",
        duration(state.elapsed_ms),
        duration(length_ms)
    );
    let _infallible = writeln!(text, "{took}");
    for line in timeline::chain_lines(&path, CHAIN_COLUMNS) {
        let _infallible = writeln!(text, "  {line}");
    }
    for row in timeline::rows(state) {
        let who = super::line::who(row.step.lane());
        let mark = if row.critical { "*" } else { " " };
        let end = match row.end {
            Some(StepEnd::Ok) => String::new(),
            end => format!("  {}", timeline::end_word(end)),
        };
        let line = format!(
            "  {mark} {who:<8}  {:<TITLE_COLUMNS$} {:>10}{end}",
            row.step.title(),
            duration(row.duration_ms)
        );
        let _infallible = writeln!(
            text,
            "{}",
            paint(
                if row.critical {
                    Role::Plain
                } else {
                    Role::Quiet
                },
                line.trim_end()
            )
        );
    }
    // So that what is marked adds up to what it took.
    if let Some(ms) = timeline::between_ms(state) {
        let title = "between these";
        let _infallible = writeln!(
            text,
            "  * {:<8}  {title:<TITLE_COLUMNS$} {:>10}",
            super::line::who(None),
            duration(ms)
        );
    }
    text.push('\n');
}

fn next(text: &mut String, commands: &[String]) {
    for (index, command) in commands.iter().enumerate() {
        let label = if index == 0 { "next:" } else { "" };
        let _infallible = writeln!(
            text,
            "{label:<5} {}",
            paint(Role::Accent, &clean::line(command))
        );
    }
}

fn prose(text: &str) -> String {
    clean::clip(&clean::line(text), TEXT_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::environ::Environ;
    use crate::executor::Verdict;
    use crate::plan::Plan;
    use crate::sink::sample::{self, Told, plain};
    use insta::assert_snapshot;

    fn target() -> Target {
        let text = "
            project = 'shop'
            [frontend]
            paths = ['frontend/**']
            publish = 'frontend'
            [backend]
            paths = ['backend/**']
            build = 'cargo build --release --locked'
            start = './target/release/backend'
            [environments.production]
            site_id = 'shop'
            service_id = 'srv-0123456789'
            site_url = 'https://shop.example'
            service_url = 'https://shop-api.onrender.com'
        ";
        let config = Config::load("deploy.toml".as_ref(), text).unwrap();
        Target::resolve(&config, &"production".into(), &Environ::default(), None).unwrap()
    }

    fn shown(told: &Told) -> String {
        plain(&deploy(&told.ended, &told.state, &target()))
    }

    #[test]
    fn released() {
        assert_snapshot!(shown(&sample::released()), @r#"
        ✓ Released 1a2b3c4 to production
          Show revenue by region

          frontend  https://shop.example
                    live and verified, deploy 65f0c0ffee65f0c0ffee65f0
                    why: frontend/js/main.js modified and 1 more
          backend   https://shop-api.onrender.com
                    live and verified, deploy dep-9
                    why: backend/src/main.rs modified and 1 more
          migrated  0003_add_region.sql

        took 13.5 s; the longest chain of steps is 13.4 s:
          preflight → checks → deploy and start →
          read the schema back → prove the version → publish →
          verify what is public → record what is live
          * release   preflight                  0.2 s
          * release   checks                     5.3 s
            frontend  upload as a draft          1.1 s
            backend   rehearse migrations        0.3 s
            frontend  verify the draft           0.2 s
          * backend   deploy and start           6.9 s
          * backend   read the schema back       0.0 s
          * backend   prove the version          0.2 s
          * frontend  publish                    0.4 s
          * frontend  verify what is public      0.1 s
          * release   record what is live        0.0 s
          * release   between these              0.1 s

        next: cargo xtask status --prod
              cargo xtask rollback --prod
        "#);
    }

    #[test]
    fn only_the_frontend() {
        assert_snapshot!(shown(&sample::frontend_only()), @r#"
        ✓ Released 1a2b3c4 to production
          Round the corners

          frontend  https://shop.example
                    live and verified, deploy 65f0c0ffee65f0c0ffee65f0
                    why: frontend/js/main.js modified and 1 more
          backend   https://shop-api.onrender.com
                    unchanged: its 12 files are those of the live release 20261120T090000Z-0f0f0f0-0001

        took 5.9 s; the longest chain of steps is 5.9 s:
          preflight → checks → publish → verify what is public →
          record what is live
          * release   preflight                  0.2 s
          * release   checks                     5.0 s
            frontend  upload as a draft          0.8 s
            frontend  verify the draft           0.2 s
          * frontend  publish                    0.4 s
          * frontend  verify what is public      0.1 s
          * release   record what is live        0.0 s

        next: cargo xtask status --prod
              cargo xtask rollback --prod
        "#);
    }

    #[test]
    fn a_failed_check() {
        assert_snapshot!(shown(&sample::check_failed()), @r#"
        ✗ Failed: 1a2b3c4 is not released, production is unchanged
          Show revenue by region
          check 'backend' failed with exit code 101: cargo test -p backend; nothing that is live was changed

        failed step: checks (after 2.1 s)
          │ running 2 tests
          │ test rounding ... FAILED
          │ ::error::not for the runner
          │   left: 1
          │  right: 2

        live now
          frontend  https://shop.example
                    as before this run
          backend   https://shop-api.onrender.com
                    as before this run

        took 2.4 s; the longest chain of steps is 2.3 s:
          preflight → checks
          * release   preflight                  0.2 s
          * release   checks                     2.1 s  failed
            frontend  upload as a draft          1.1 s
            backend   rehearse migrations        0.3 s
            frontend  verify the draft           0.2 s
          * release   between these              0.1 s

        next: cargo xtask history --prod
              cargo xtask deploy --prod
        "#);
    }

    #[test]
    fn rolled_back() {
        assert_snapshot!(shown(&sample::rolled_back()), @r#"
        ✗ Rolled back: 1a2b3c4 failed, production is as it was before
          Show revenue by region
          the service answered 503 for 60 s; the backend was rolled back and the frontend was never published

        failed step: backend, prove the version (after 1 min 00 s)
          │ listening on 0.0.0.0:10000
          │ error: the database is locked

        live now
          frontend  https://shop.example
                    as before this run
          backend   https://shop-api.onrender.com
                    as before this run, restored and verified

        took 1 min 15 s; the longest chain of steps is 1 min 15 s:
          preflight → checks → deploy and start →
          read the schema back → prove the version →
          roll the backend back
          * release   preflight                  0.2 s
          * release   checks                     5.3 s
            frontend  upload as a draft          1.1 s
            backend   rehearse migrations        0.3 s
            frontend  verify the draft           0.2 s
          * backend   deploy and start           6.9 s
          * backend   read the schema back       0.0 s
          * backend   prove the version     1 min 00 s  failed
          * backend   roll the backend back      3.0 s

        next: cargo xtask history --prod
              cargo xtask deploy --prod
        "#);
    }

    #[test]
    fn degraded() {
        assert_snapshot!(shown(&sample::degraded()), @r#"
        ✗ Degraded: 1a2b3c4 is only partly live in production
          Show revenue by region
          the frontend could not be published: Netlify POST /sites/x/deploys/y/restore: status 500; the previous frontend is public on the new backend, which is live and verified

        failed step: frontend, publish (after 9.0 s)

        live now
          frontend  https://shop.example
                    as before this run
          backend   https://shop-api.onrender.com
                    1a2b3c4, verified

        took 21.8 s; the longest chain of steps is 21.8 s:
          preflight → checks → deploy and start →
          read the schema back → prove the version → publish
          * release   preflight                  0.2 s
          * release   checks                     5.3 s
            frontend  upload as a draft          1.1 s
            backend   rehearse migrations        0.3 s
            frontend  verify the draft           0.2 s
          * backend   deploy and start           6.9 s
          * backend   read the schema back       0.0 s
          * backend   prove the version          0.2 s
          * frontend  publish                    9.0 s  failed

        warning: the site's previous deploy was public all the time

        next: cargo xtask deploy --resume --prod
              cargo xtask deploy --abort --prod
              cargo xtask status --prod
        "#);
    }

    #[test]
    fn interrupted() {
        assert_snapshot!(shown(&sample::interrupted()), @r#"
        ! Interrupted: the release of 1a2b3c4 to production is unfinished
          Show revenue by region
          interrupted: the backend's deploy is left to the provider and the frontend was not published

        live now
          frontend  https://shop.example
                    as before this run
          backend   https://shop-api.onrender.com
                    not certain ('deploy and start' was under way); `status` asks the provider

        took 6.8 s; the longest chain of steps is 6.7 s:
          preflight → checks → deploy and start
          * release   preflight                  0.2 s
          * release   checks                     5.3 s
            frontend  upload as a draft          1.1 s
            backend   rehearse migrations        0.3 s
            frontend  verify the draft           0.2 s
          * backend   deploy and start           1.2 s  cancelled
          * release   between these              0.1 s

        next: cargo xtask deploy --resume --prod
              cargo xtask deploy --abort --prod
              cargo xtask status --prod
        "#);
    }

    #[test]
    fn undone_as_asked() {
        assert_snapshot!(shown(&sample::aborted()), @r#"
        ✓ Undone as asked: 1a2b3c4 is taken back, production is as it was before
          Show revenue by region
          run 20261123T170102Z-1a2b3c4-9f3c was aborted; the backend was rolled back and the previous frontend is public

        live now
          frontend  https://shop.example
                    as before this run
          backend   https://shop-api.onrender.com
                    as before this run, restored and verified

        took 22.2 s; the longest chain of steps is 22.1 s:
          checks → deploy and start → wait for the lock →
          preflight → roll the backend back
          * release   checks                     5.3 s
            frontend  upload as a draft          1.1 s
            backend   rehearse migrations        0.3 s
            frontend  verify the draft           0.2 s
          * backend   deploy and start           1.2 s  cancelled
          * release   wait for the lock         12.0 s
          * release   preflight                  0.6 s
          * backend   roll the backend back      3.0 s
          * release   between these              0.1 s

        next: cargo xtask history --prod
              cargo xtask deploy --prod
        "#);
    }

    #[test]
    fn a_frontend_brought_back() {
        assert_snapshot!(shown(&sample::frontend_back()), @r#"
        ✓ Brought the frontend of 1a2b3c4 back to production
          Round the corners

          frontend  https://shop.example
                    rolled back, deploy 65f0c0ffee65f0c0ffee65f0
                    why: frontend/js/main.js modified and 1 more
          backend   https://shop-api.onrender.com
                    unchanged: its 12 files are those of the live release 20261120T090000Z-0f0f0f0-0001

        took 1.0 s; the longest chain of steps is 1.0 s:
          preflight → undo the frontend → record what is live
          * release   preflight                  0.2 s
          * frontend  undo the frontend          0.7 s
          * release   record what is live        0.0 s

        next: cargo xtask status --prod
              cargo xtask rollback --prod
        "#);
    }

    #[test]
    fn nothing_to_do() {
        let plan = Plan {
            environment: "production".into(),
            commit: "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d".into(),
            subject: String::new(),
            parent: None,
            lanes: sample::decisions(false, false),
            reversible: true,
            reversible_because: String::new(),
            migrations: Vec::new(),
            contract: sample::contract(),
            steps: Vec::new(),
        };
        let verdict = Verdict {
            exit: Exit::Done,
            reason: String::new(),
            release: None,
        };
        let ended = Ended {
            run: None,
            verdict,
            plan: Some(Box::new(plan)),
            nothing_to_do: true,
        };
        assert_snapshot!(plain(&deploy(&ended, &RunState::default(), &target())), @r#"
        ✓ Nothing to do: production already has this content (1a2b3c4), and both halves answer
          frontend  its 12 files are those of the live release 20261120T090000Z-0f0f0f0-0001
          backend   its 12 files are those of the live release 20261120T090000Z-0f0f0f0-0001
        "#);
    }

    #[test]
    fn refused_before_there_was_a_run() {
        let reason = "Netlify GET /sites/shop: status 401: NETLIFY_AUTH_TOKEN was not accepted\nRender GET /services/srv-1: status 401: RENDER_API_KEY was not accepted";
        let verdict = Verdict {
            exit: Exit::Refused,
            reason: reason.to_owned(),
            release: None,
        };
        let ended = Ended {
            run: None,
            verdict,
            plan: None,
            nothing_to_do: false,
        };
        let state = RunState {
            next: vec!["cargo xtask plan --prod".to_owned()],
            ..RunState::default()
        };
        assert_snapshot!(plain(&deploy(&ended, &state, &target())), @r#"
        ✗ Refused: nothing was changed in production
          Netlify GET /sites/shop: status 401: NETLIFY_AUTH_TOKEN was not accepted
          Render GET /services/srv-1: status 401: RENDER_API_KEY was not accepted

        next: cargo xtask plan --prod
        "#);
    }

    #[test]
    fn nothing_foreign_begins_a_line_or_fills_the_screen() {
        let text = shown(&sample::hostile());
        assert!(!text.contains("##["), "{text}");
        assert!(
            !text.lines().any(|line| line.trim_start().starts_with("::")),
            "{text}"
        );
        assert!(
            text.lines()
                .all(|line| line.chars().count() <= TEXT_CHARS + 40),
            "{text}"
        );
    }
}
