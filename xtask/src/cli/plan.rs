//! `cargo xtask plan` and `cargo xtask why`: the same value that `deploy` carries out, shown.

use super::Where;
use super::app::{App, Failure};
use super::deploy::{read_source, with_session};
use crate::exit::Exit;
use crate::facts::{self, Observed};
use crate::ids::Lane;
use crate::plan::{Asked, Plan, plan};
use crate::real::CancelFlag;
use crate::run::Session;
use crate::sink;
use clap::Args;

/// Files shown per kind of change, unless `--json` shows all.
const FILES_SHOWN: usize = 5;

/// Show what a deploy would do, and why.
#[derive(Args, Debug)]
pub struct PlanArgs {
    #[command(flatten)]
    pub place: Where,
    /// Only this lane; may be given twice
    #[arg(long, value_name = "LANE", value_parser = super::lane)]
    pub only: Vec<Lane>,
    /// Plan as if everything differed
    #[arg(long)]
    pub force: bool,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
    /// Exit with 20 when a deploy would change something
    #[arg(long)]
    pub exit_code: bool,
    /// Fail when a tracked file belongs to no lane and is not ignored
    #[arg(long)]
    pub strict: bool,
}

/// Explain why a lane would run or not, file by file.
#[derive(Args, Debug)]
pub struct WhyArgs {
    /// frontend or backend
    #[arg(value_name = "LANE", value_parser = super::lane)]
    pub lane: Lane,
    #[command(flatten)]
    pub place: Where,
}

/// Runs `plan`.
///
/// # Errors
/// When what is live cannot be read.
pub fn run(app: &App<'_>, args: &PlanArgs) -> Result<u8, Failure> {
    let asked = Asked {
        only: args.only.clone(),
        force: args.force,
    };
    observed(app, args.place, |app, _, observed| {
        let planned = plan(&observed.facts, &asked);
        let unselected = observed.facts.unselected.len();
        if args.strict && unselected > 0 {
            return Err(Failure::usage(format!(
                "{unselected} tracked file(s) belong to no lane and are not ignored, the first is {} (hint: add them to a lane's `paths` or to `ignore`)",
                observed.facts.unselected.first().map_or("", String::as_str)
            )));
        }
        print(app, &planned, observed, args.json);
        Ok(if args.exit_code && !planned.is_empty() {
            Exit::Pending.code()
        } else {
            Exit::Done.code()
        })
    })
}

/// Shows a plan inside an open session: `deploy --dry-run`.
///
/// # Errors
/// When what is live cannot be read.
pub fn show(
    app: &App<'_>,
    session: &Session<'_>,
    asked: &Asked,
    json: bool,
    exit_code: bool,
) -> Result<u8, Failure> {
    let observed = facts::observe(session).map_err(|error| Failure::refused(error.to_string()))?;
    let planned = plan(&observed.facts, asked);
    print(app, &planned, &observed, json);
    Ok(if exit_code && !planned.is_empty() {
        Exit::Pending.code()
    } else {
        Exit::Done.code()
    })
}

fn print(app: &App<'_>, planned: &Plan, observed: &Observed, json: bool) {
    app.console.out(&if json {
        sink::json::plan(planned, &observed.facts)
    } else {
        sink::text::plan(planned, &observed.facts, FILES_SHOWN)
    });
}

fn observed(
    app: &App<'_>,
    place: Where,
    body: impl FnOnce(&App<'_>, &Session<'_>, &Observed) -> Result<u8, Failure>,
) -> Result<u8, Failure> {
    let project = app.project()?;
    let connected = app.reach(&project, place)?;
    let source = read_source(app, &project, &connected.target.name)?;
    with_session(
        app,
        &project,
        &connected,
        &source,
        None,
        CancelFlag::default(),
        |session, _| {
            let observed =
                facts::observe(session).map_err(|error| Failure::refused(error.to_string()))?;
            body(app, session, &observed)
        },
    )
}

/// Runs `why`.
///
/// # Errors
/// When what is live cannot be read.
pub fn why(app: &App<'_>, args: &WhyArgs) -> Result<u8, Failure> {
    observed(app, args.place, |app, session, observed| {
        app.console.out(&explain(session, observed, args.lane));
        Ok(Exit::Done.code())
    })
}

fn explain(session: &Session<'_>, observed: &Observed, lane: Lane) -> String {
    use std::fmt::Write as _;
    let planned = plan(&observed.facts, &Asked::default());
    let mut text = String::new();
    for decision in planned
        .lanes
        .iter()
        .filter(|decision| decision.lane == lane)
    {
        let _infallible = writeln!(
            text,
            "{lane} {}: {}",
            if decision.run { "runs" } else { "does not run" },
            decision.reason
        );
    }
    let files = observed
        .facts
        .manifests
        .get(&lane)
        .map_or(0, |manifest| manifest.files.len());
    let _infallible = writeln!(text, "\nIts filter selects {files} files.");
    let changes = observed
        .facts
        .changes
        .get(&lane)
        .map(Vec::as_slice)
        .unwrap_or_default();
    for change in changes {
        let rule = session
            .filters
            .rule(lane, change)
            .unwrap_or_else(|| "no rule".to_owned());
        let _infallible = writeln!(
            text,
            "  {:<12} {}   (rule {rule})",
            change.status.word(),
            change.path
        );
    }
    if changes.is_empty() && observed.facts.live.is_some() {
        let _infallible = writeln!(text, "No selected file differs from what is live.");
    }
    let near: Vec<&String> = observed.facts.unselected.iter().take(FILES_SHOWN).collect();
    if !near.is_empty() {
        let _infallible = writeln!(
            text,
            "\nFiles that belong to no lane and are not ignored ({} in all):",
            observed.facts.unselected.len()
        );
        for path in near {
            let _infallible = writeln!(text, "  {path}");
        }
    }
    text
}
