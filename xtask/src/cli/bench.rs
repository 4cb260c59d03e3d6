//! `cargo xtask bench`: what this program costs, each figure beside the floor or the peer that it is measured against.
//!
//! Seconds differ from machine to machine, ratios hardly; both sides of a ratio are measured here, one after the other. Nothing
//! is judged: an aim is printed beside a figure and changes no exit code.

mod build;
mod changes;
mod lanes;
mod measure;
mod migrations;
mod program;
mod simulated;

use super::app::{App, Failure};
use crate::exit::Exit;
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;

/// Measure what orchestration costs, as ratios against an ideal or a peer
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// Also compile everything twice in folders of its own: minutes
    #[arg(long)]
    pub build: bool,
    /// Also clone HEAD and release it for the first time: minutes
    #[arg(long)]
    pub first_deploy: bool,
    /// Also compare migrations with sqlite3 and the migration tools that are installed: compiles the engine optimised
    #[arg(long)]
    pub migrations: bool,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// How much it was.
    pub measured: f64,
    /// The floor's or the peer's figure.
    pub reference: f64,
    /// The unit of both.
    pub unit: &'static str,
    /// What the floor or the peer is.
    pub against: String,
    /// `measured` ÷ `reference`.
    pub ratio: f64,
    /// What is aimed at.
    pub aim: &'static str,
}

impl Row {
    fn new(
        what: impl Into<String>,
        measured: f64,
        unit: &'static str,
        against: impl Into<String>,
        reference: f64,
        aim: &'static str,
    ) -> Self {
        let ratio = if reference > 0.0 {
            measured / reference
        } else {
            f64::NAN
        };
        Self {
            what: what.into(),
            measured,
            reference,
            unit,
            against: against.into(),
            ratio,
            aim,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When something to be measured could not be run.
pub fn run(app: &App<'_>, args: &BenchArgs) -> Result<u8, Failure> {
    let project = app.project()?;
    let say = |text: &str| {
        if !app.globals.quiet {
            app.console.err(&format!("measuring {text}"));
        }
    };
    say("a simulated release of 20 s and 35 s");
    let mut rows = simulated::rows()?;
    say("lanes in real time");
    rows.extend(lanes::rows());
    say("this program in a project of its own");
    rows.extend(program::rows(app, &project)?);
    say("a repository of 100,000 files, and a million paths");
    rows.extend(changes::rows(app, &project)?);
    if args.migrations {
        say("migrations, by the engine as a server runs it: compiled optimised first");
        rows.extend(migrations::rows(app, &project, &say)?);
    }
    if args.build {
        say("cold builds");
        rows.extend(build::cold(app, &project)?);
    }
    if args.first_deploy {
        say("the first deploy of a fresh clone");
        rows.push(build::first_deploy(app, &project)?);
    }
    if args.json {
        app.console
            .out(&format!("{:#}", serde_json::json!({ "figures": rows })));
    } else {
        app.console.out(&table(&rows));
    }
    Ok(Exit::Done.code())
}

fn table(rows: &[Row]) -> String {
    let width = |cell: fn(&Row) -> &str| {
        rows.iter()
            .map(|row| cell(row).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (what, against) = (width(|row| &row.what), width(|row| &row.against));
    let mut text = format!(
        "{:what$}  {:>10}  {:>10}  {:5}  {:>6}  {:against$}  aim\n",
        "figure", "measured", "reference", "unit", "ratio", "against"
    );
    for row in rows {
        let _infallible = writeln!(
            text,
            "{:what$}  {:>10}  {:>10}  {:5}  {:>6}  {:against$}  {}",
            row.what,
            number(row.measured),
            number(row.reference),
            row.unit,
            number(row.ratio),
            row.against,
            row.aim
        );
    }
    text
}

/// What was not measured has no number.
fn number(value: f64) -> String {
    if value.is_finite() {
        format!("{value:.3}")
    } else {
        "-".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_reference_has_no_ratio() {
        let row = Row::new("x", 3.0, "s", "(no peer is installed)", f64::NAN, "");
        let table = table(&[row]);
        let cells: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(cells[..5], ["x", "3.000", "-", "s", "-"]);
    }

    #[test]
    fn a_ratio_is_measured_against_its_reference() {
        let row = Row::new("x", 3.0, "s", "floor", 2.0, "≤ 2");
        assert!((row.ratio - 1.5).abs() < f64::EPSILON);
        assert!(Row::new("x", 3.0, "s", "floor", 0.0, "").ratio.is_nan());
        assert!(
            table(&[row])
                .lines()
                .nth(1)
                .is_some_and(|line| line.contains("1.500") && line.ends_with("≤ 2"))
        );
    }
}
