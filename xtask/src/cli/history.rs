//! `cargo xtask history`, `show` and `report`: releases from the live ref's log, runs from this machine's journal.

use super::Where;
use super::app::{App, Failure};
use crate::event::{Event, EventKind, Step, StepEnd};
use crate::exit::Exit;
use crate::ids::RunId;
use crate::live::{self, LiveRecord};
use crate::refs::Refs as _;
use crate::sink;
use crate::state::RunState;
use clap::Args;
use std::fmt::Write as _;
use std::path::PathBuf;

/// List releases and runs, newest first.
#[derive(Args, Debug)]
pub struct HistoryArgs {
    #[command(flatten)]
    pub place: Where,
    /// At most so many of each
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub limit: usize,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// Show one run: its plan, its steps, how it ended.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The run's id, or the beginning of it; default: the newest
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    #[command(flatten)]
    pub place: Where,
    /// Its events as NDJSON
    #[arg(long)]
    pub json: bool,
}

/// Write one run as a self-contained HTML page.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// The run's id, or the beginning of it; default: the newest
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    #[command(flatten)]
    pub place: Where,
    /// Where to [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Runs `history`.
///
/// # Errors
/// When the records cannot be read.
pub fn run(app: &App<'_>, args: &HistoryArgs) -> Result<u8, Failure> {
    let project = app.project()?;
    let name = app.environment(args.place)?;
    let refs = app.refs(&project, &name);
    let releases: Vec<LiveRecord> = refs
        .log(&live::live_ref(&name), args.limit)?
        .iter()
        .map(LiveRecord::parse)
        .collect::<anyhow::Result<_>>()?;
    let runs = app.journal(&project)?.runs(&name, args.limit)?;
    if args.json {
        let runs: Vec<serde_json::Value> = runs
            .iter()
            .map(|run| {
                serde_json::json!({
                    "run": run.id, "command": run.command, "commit": run.commit, "started": time(run.started_ms),
                    "finished": run.finished_ms.map(time), "exit_code": run.exit_code, "reason": run.reason,
                })
            })
            .collect();
        let document =
            serde_json::json!({ "environment": name, "releases": releases, "runs": runs });
        app.console.out(&format!("{document:#}"));
        return Ok(Exit::Done.code());
    }
    let mut text = format!("Releases to {name}:\n");
    if releases.is_empty() {
        text.push_str("  none yet\n");
    }
    for (index, record) in releases.iter().enumerate() {
        let marker = if index == 0 { "*" } else { " " };
        let lanes: Vec<&str> = record
            .lanes
            .iter()
            .filter(|(_, lane)| lane.release == record.release)
            .map(|(lane, _)| lane.name())
            .collect();
        let _infallible = writeln!(
            text,
            "{marker} {}  {:<18} {}",
            record.release,
            lanes.join(", "),
            record.title()
        );
        if let Some(reason) = &record.override_reason {
            let _infallible = writeln!(text, "    {reason}");
        }
    }
    text.push_str("\nRuns on this machine:\n");
    if runs.is_empty() {
        text.push_str("  none yet\n");
    }
    for run in &runs {
        let exit = run
            .exit_code
            .map_or_else(|| "unfinished".to_owned(), |code| format!("exit {code}"));
        let _infallible = writeln!(
            text,
            "  {}  {:<9} {exit:<10} {}",
            run.id,
            run.command,
            run.reason.as_deref().unwrap_or("-")
        );
    }
    app.console.out(&text);
    Ok(Exit::Done.code())
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// Runs `show`.
///
/// # Errors
/// When there is no such run.
pub fn show(app: &App<'_>, args: &ShowArgs) -> Result<u8, Failure> {
    let (_, events) = load(app, args.place, args.run.as_deref())?;
    if args.json {
        let lines: Vec<String> = events
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()
            .map_err(anyhow::Error::from)?;
        app.console.out(&lines.join("\n"));
    } else {
        app.console.out(&story(&events, app.globals.verbose));
    }
    Ok(Exit::Done.code())
}

/// The run as the log told it: output where a step failed, with `verbose` all of it.
fn story(events: &[Event], verbose: bool) -> String {
    let mut state = RunState::default();
    let mut text = String::new();
    for event in events {
        state.apply(event);
        match &event.kind {
            EventKind::Output { line, .. } if verbose => push(&mut text, &sink::line::output(line)),
            EventKind::StepFinished {
                step,
                end: StepEnd::Failed,
                ..
            } if !verbose => {
                output_of(events, *step)
                    .iter()
                    .for_each(|line| push(&mut text, line));
            }
            _ => {}
        }
        for line in sink::line::lines(event, &state) {
            push(&mut text, &line.render());
        }
    }
    text
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// The last lines that a step's command or provider wrote, also those that came after its end.
fn output_of(events: &[Event], wanted: Step) -> Vec<String> {
    /// As many as a run shows of a service's log.
    const LINES_MAX: usize = 20;
    let lines = events.iter().filter_map(|event| match &event.kind {
        EventKind::Output { step, line } if *step == wanted => Some(sink::line::output(line)),
        _ => None,
    });
    let lines: Vec<String> = lines.collect();
    let skip = lines.len().saturating_sub(LINES_MAX);
    lines.into_iter().skip(skip).collect()
}

/// Runs `report`.
///
/// # Errors
/// When there is no such run, or the page cannot be written.
pub fn report(app: &App<'_>, args: &ReportArgs) -> Result<u8, Failure> {
    let (_, events) = load(app, args.place, args.run.as_deref())?;
    let page = sink::html::report(&RunState::fold(&events), &events);
    match &args.output {
        Some(path) => {
            fs_err::write(path, app.console.redact(&page))
                .map_err(|error| Failure::refused(error.to_string()))?;
            app.console.err(&format!("wrote {}", path.display()));
        }
        None => app.console.out(&page),
    }
    Ok(Exit::Done.code())
}

fn load(app: &App<'_>, place: Where, wanted: Option<&str>) -> Result<(RunId, Vec<Event>), Failure> {
    let project = app.project()?;
    let name = app.environment(place)?;
    let journal = app.journal(&project)?;
    let runs = journal.runs(&name, 1000)?;
    let mut found = runs
        .iter()
        .filter(|run| wanted.is_none_or(|wanted| run.id.as_str().starts_with(wanted)));
    let Some(run) = found.next() else {
        return Err(Failure::usage(match wanted {
            Some(wanted) => format!(
                "no run in {name} begins with '{wanted}' (hint: `cargo xtask history` lists them)"
            ),
            None => format!("there is no run in {name} on this machine yet"),
        }));
    };
    if let (Some(wanted), Some(other)) = (wanted, found.next()) {
        return Err(Failure::usage(format!(
            "'{wanted}' begins both {} and {}",
            run.id, other.id
        )));
    }
    Ok((run.id.clone(), journal.events(&run.id)?))
}
