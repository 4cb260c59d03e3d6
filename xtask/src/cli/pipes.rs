//! The filters and the completion script: commands that read standard input or nothing at all.

use super::app::{App, Failure};
use crate::changes::filter::{Filter, Quantifier, Rule};
use crate::changes::lines;
use crate::changes::ndjson as match_ndjson;
use crate::credentials::Credentials;
use crate::exit::Exit;
use crate::redact::{RedactingWriter, Redactor, ndjson as redact_ndjson};
use clap::Args;
use rayon::prelude::{IntoParallelRefIterator as _, ParallelIterator as _};
use std::io::{BufRead as _, Write as _};

/// Read at a time.
const BLOCK: usize = 1 << 20;

/// Filter paths on standard input by a lane's pattern dialect: picomatch with dot files, as dorny/paths-filter runs it.
#[derive(Args, Debug)]
pub struct MatchArgs {
    /// Patterns; a path is printed when they select it
    #[arg(value_name = "PATTERN", required_unless_present = "ndjson")]
    pub patterns: Vec<String>,
    /// some, every or some-with-excludes
    #[arg(long, value_name = "Q", default_value = "some", value_parser = quantifier)]
    pub quantifier: Quantifier,
    /// Answer one JSON question per line instead
    #[arg(long, conflicts_with = "patterns")]
    pub ndjson: bool,
}

/// Remove registered credentials from standard input.
#[derive(Args, Debug)]
pub struct RedactArgs {
    /// Answer one JSON question per line instead
    #[arg(long)]
    pub ndjson: bool,
}

/// Print a completion script for a shell.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    pub shell: clap_complete::Shell,
}

fn quantifier(text: &str) -> Result<Quantifier, String> {
    Quantifier::from_name(text)
        .ok_or_else(|| format!("'{text}' is none of some, every, some-with-excludes"))
}

/// Runs `match`. Exits with 0 also when nothing matches.
///
/// # Errors
/// When a pattern cannot be compiled, or the input cannot be read.
pub fn run_match(_app: &App<'_>, args: &MatchArgs) -> Result<u8, Failure> {
    if args.ndjson {
        return each_line(|line| Some(match_ndjson::answer_line(line)));
    }
    let rules: Vec<Rule> = args
        .patterns
        .iter()
        .map(|text| {
            Rule::plain(text).map_err(|error| Failure::usage(format!("pattern '{text}': {error}")))
        })
        .collect::<Result<_, _>>()?;
    let filter =
        Filter::new(rules, args.quantifier).map_err(|error| Failure::usage(error.to_string()))?;
    or_closed(select_lines(&filter))
}

/// Copies the lines of standard input that the filter selects, as they come, on all processors.
fn select_lines(filter: &Filter) -> std::io::Result<()> {
    let (mut input, mut out) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut text = Vec::new();
    let mut block = vec![0; BLOCK];
    loop {
        let read = std::io::Read::read(&mut input, &mut block)?;
        text.extend_from_slice(&block[..read]);
        // A line is decided when it is whole; the last one may end without a line end.
        let whole = match text.iter().rposition(|byte| *byte == b'\n') {
            _ if read == 0 => text.len(),
            Some(end) => end + 1,
            None => 0,
        };
        let pieces = lines::pieces(&text[..whole], rayon::current_num_threads());
        let selected: Vec<Vec<u8>> = pieces
            .par_iter()
            .map(|piece| lines::select(filter, piece))
            .collect();
        for piece in selected {
            out.write_all(&piece)?;
        }
        if read == 0 {
            return out.flush();
        }
        out.flush()?;
        text.drain(..whole);
    }
}

/// Runs `redact`: without `--ndjson` it removes the credentials that this environment holds.
///
/// # Errors
/// When the input cannot be read.
pub fn run_redact(app: &App<'_>, args: &RedactArgs) -> Result<u8, Failure> {
    if args.ndjson {
        return each_line(|line| Some(redact_ndjson::answer_line(line)));
    }
    let credentials = Credentials::load(app.environ, &app.environ.cwd)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let mut redactor = Redactor::new();
    for (name, secret) in credentials.secrets() {
        redactor.register(name.variable(), secret.expose());
    }
    let mut writer = RedactingWriter::new(std::io::stdout().lock(), &redactor);
    let copied = std::io::copy(&mut std::io::stdin().lock(), &mut writer)
        .and_then(|_| writer.close().map(|_| ()));
    or_closed(copied)
}

fn each_line(mut answer: impl FnMut(&str) -> Option<String>) -> Result<u8, Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input
            .read_until(b'\n', &mut line)
            .map_err(|error| Failure::usage(format!("read standard input: {error}")))?;
        if read == 0 {
            return or_closed(out.flush());
        }
        let text = String::from_utf8_lossy(&line);
        let Some(answer) = answer(text.trim_end_matches(['\n', '\r'])) else {
            continue;
        };
        let written = out
            .write_all(answer.as_bytes())
            .and_then(|()| out.write_all(b"\n"));
        if written.is_err() {
            return or_closed(written);
        }
    }
}

/// A reader that has seen enough is no failure.
fn or_closed(result: std::io::Result<()>) -> Result<u8, Failure> {
    match result {
        Ok(()) => Ok(Exit::Done.code()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Done.code()),
        Err(error) => Err(Failure::usage(format!("write standard output: {error}"))),
    }
}

/// Runs `completions`.
///
/// # Errors
/// Never; the signature is that of all commands.
pub fn run_completions(app: &App<'_>, args: &CompletionsArgs) -> Result<u8, Failure> {
    let mut script = Vec::new();
    // The alias hides the real program: shells complete `xtask`, and `cargo xtask` through cargo's own completion where it forwards.
    clap_complete::generate(args.shell, &mut super::command(), "xtask", &mut script);
    app.console.out(&String::from_utf8_lossy(&script));
    Ok(Exit::Done.code())
}
