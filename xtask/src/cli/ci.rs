//! `cargo xtask ci`: everything a change must pass, as one linear program that people, `.ci/run` and the workflows call.
//!
//! What is tried stands in [`sections`], in order; this is the command around it: which of them run, and what is said at the end.

mod fresh_clone;
mod listed_source;
mod readme;
mod runner;
mod sections;

use super::app::{App, Failure};
use crate::executor::cancelled_exit;
use crate::exit::Exit;
use crate::real::{CancelFlag, hear_signals};
use crate::sink::words;
use clap::{Args, ValueEnum as _};
use runner::{Ci, Stop};
use sections::Section;
use std::fmt::Write as _;

/// Run what a change must pass, section by section, with a table of times at the end
///
/// It stops at the first section that fails. A section that does not apply here, or whose tool is missing, is skipped and says so.
#[derive(Args, Debug)]
pub struct CiArgs {
    /// Only these, in the order below [default: all]
    #[arg(value_enum, value_name = "SECTION")]
    sections: Vec<Section>,
    /// Go on after a section that failed
    #[arg(long)]
    keep_going: bool,
    /// A missing tool is a failure and no reason to skip
    #[arg(long)]
    strict: bool,
    /// Name the sections and run none
    #[arg(long, conflicts_with_all = ["keep_going", "strict"])]
    list: bool,
}

/// Runs the command.
///
/// # Errors
/// When a section failed or the run was interrupted.
pub fn run(app: &App<'_>, args: &CiArgs) -> Result<u8, Failure> {
    let chosen: Vec<Section> = Section::value_variants()
        .iter()
        .copied()
        .filter(|section| args.sections.is_empty() || args.sections.contains(section))
        .collect();
    if args.list {
        app.console.out(&list(&chosen));
        return Ok(Exit::Done.code());
    }
    let project = app.project()?;
    let cancel = CancelFlag::default();
    hear_signals(&cancel)?;
    let ci = Ci::new(app, &project, cancel, args.strict);
    let mut rows: Vec<Row> = Vec::new();
    let mut stopped = false;
    for section in chosen {
        if stopped {
            rows.push(Row::not_run(section));
            continue;
        }
        let (ended, took_ms) = ci.section(&section.name(), || section.run(&ci));
        stopped = match &ended {
            Ok(()) | Err(Stop::Skipped(_)) => false,
            Err(Stop::Failed(_)) => !args.keep_going,
            Err(Stop::Cancelled(_)) => true,
        };
        rows.push(Row {
            section,
            took_ms: Some(took_ms),
            ended,
        });
    }
    ci.say("");
    app.console.out(&table(&rows));
    verdict(&rows)
}

/// How one section ended.
struct Row {
    section: Section,
    /// None when it was never begun.
    took_ms: Option<u64>,
    ended: Result<(), Stop>,
}

impl Row {
    fn not_run(section: Section) -> Self {
        Self {
            section,
            took_ms: None,
            ended: Ok(()),
        }
    }

    fn result(&self) -> String {
        match &self.ended {
            Ok(()) if self.took_ms.is_none() => "not run".to_owned(),
            Ok(()) => "passed".to_owned(),
            Err(Stop::Skipped(why)) => format!("skipped: {why}"),
            Err(Stop::Failed(why)) => format!("failed: {}", why.lines().next().unwrap_or_default()),
            Err(Stop::Cancelled(cancelled)) => cancelled.to_string(),
        }
    }
}

fn list(sections: &[Section]) -> String {
    let width = sections.iter().map(|section| section.name().len()).max();
    let width = width.unwrap_or_default();
    let lines = sections
        .iter()
        .map(|section| format!("{:width$}  {}\n", section.name(), section.about()));
    lines.collect()
}

fn table(rows: &[Row]) -> String {
    let names = rows.iter().map(|row| row.section.name().len());
    let width = names.chain(["section".len()]).max().unwrap_or_default();
    let mut text = format!("{:width$}  {:>11}  result\n", "section", "time");
    for row in rows {
        let time = row.took_ms.map_or("-".to_owned(), words::duration);
        let (name, result) = (row.section.name(), row.result());
        let _infallible = writeln!(text, "{name:width$}  {time:>11}  {result}");
    }
    let total: u64 = rows.iter().filter_map(|row| row.took_ms).sum();
    let _infallible = writeln!(text, "{:width$}  {:>11}", "total", words::duration(total));
    text
}

fn verdict(rows: &[Row]) -> Result<u8, Failure> {
    let cancelled = rows.iter().find_map(|row| match &row.ended {
        Err(Stop::Cancelled(cancelled)) => Some((row, cancelled)),
        _ => None,
    });
    if let Some((row, cancelled)) = cancelled {
        return Err(Failure {
            exit: cancelled_exit(*cancelled),
            text: format!("{cancelled} in section '{}'", row.section.name()),
        });
    }
    let failed = rows.iter().filter_map(|row| match &row.ended {
        Err(Stop::Failed(why)) => Some((row.section.name(), why)),
        _ => None,
    });
    let failed: Vec<(String, &String)> = failed.collect();
    if failed.is_empty() {
        return Ok(Exit::Done.code());
    }
    let why = failed.iter().map(|(name, why)| format!("{name}: {why}"));
    let names: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
    Err(Failure::refused(format!(
        "{} (hint: `cargo xtask ci {}` runs that alone)",
        why.collect::<Vec<_>>().join("\n"),
        names.join(" ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Cancelled, Signal};
    use insta::assert_snapshot;

    fn row(section: Section, took_ms: u64, ended: Result<(), Stop>) -> Row {
        Row {
            section,
            took_ms: Some(took_ms),
            ended,
        }
    }

    #[test]
    fn the_table_says_what_ran_and_for_how_long() {
        let failed = Stop::Failed("'cargo clippy' ended with 101\nmore".to_owned());
        let rows = [
            row(Section::Format, 934, Ok(())),
            row(Section::Lints, 71_200, Err(failed)),
            row(
                Section::Workflows,
                0,
                Err(Stop::Skipped("zizmor is not installed".to_owned())),
            ),
            Row::not_run(Section::Tests),
        ];
        assert_snapshot!(table(&rows), @"
        section           time  result
        format           0.9 s  passed
        lints       1 min 11 s  failed: 'cargo clippy' ended with 101
        workflows        0.0 s  skipped: zizmor is not installed
        tests                -  not run
        total       1 min 12 s
        ");
    }

    #[test]
    fn the_exit_code_tells_failure_from_interruption() {
        let passed = row(Section::Format, 1, Ok(()));
        let skipped = row(Section::Workflows, 0, Err(Stop::Skipped("x".to_owned())));
        assert!(matches!(verdict(&[passed, skipped]), Ok(0)));
        let fails = || row(Section::Lints, 1, Err(Stop::Failed("no".to_owned())));
        let failure = verdict(&[fails(), row(Section::Tests, 1, Ok(()))]).unwrap_err();
        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(
            failure.text,
            "lints: no (hint: `cargo xtask ci lints` runs that alone)"
        );
        for (signal, exit) in [
            (Signal::Interrupt, Exit::Interrupted),
            (Signal::Terminate, Exit::Terminated),
        ] {
            let ended = Err(Stop::Cancelled(Cancelled(signal)));
            let rows = [fails(), row(Section::Tests, 1, ended)];
            assert_eq!(verdict(&rows).unwrap_err().exit, exit);
        }
    }
}
