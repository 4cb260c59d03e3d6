//! `cargo xtask codegen`: writes the files that deploy.toml decides about, or says which of them differ.

use super::app::{App, Failure, Project};
use crate::codegen::{self, Generated, READ, difference, generate};
use crate::exit::Exit;
use anyhow::{Context as _, Result};
use clap::Args;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;

/// Write the workflows, render.yaml and the site's rules for the backend from deploy.toml
///
/// A file that was not written by this command is left alone.
#[derive(Args, Debug)]
pub struct CodegenArgs {
    /// Write nothing; show what differs and fail if something does
    #[arg(long)]
    check: bool,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read or written, or with `--check` differs.
pub fn run(app: &App<'_>, args: &CodegenArgs) -> Result<u8, Failure> {
    let project = app.project()?;
    if args.check {
        check(&project)?;
    }
    let mut said = String::new();
    for (file, state) in compare(&project)? {
        let result = match state {
            State::Foreign => "left alone, because it was not written by this command",
            State::Fresh => "up to date",
            State::Stale(_) => {
                write(&project.root, &file)?;
                "written"
            }
        };
        let _infallible = writeln!(said, "{}: {result}", file.path);
    }
    app.console.out(&said);
    Ok(Exit::Done.code())
}

/// Makes sure that every file is what deploy.toml says.
///
/// # Errors
/// The files that are not, and where they differ.
pub(super) fn check(project: &Project) -> Result<(), Failure> {
    let compared = compare(project)?;
    let stale = compared.into_iter().filter_map(|(_, state)| match state {
        State::Stale(difference) => Some(difference),
        State::Foreign | State::Fresh => None,
    });
    let stale: String = stale.collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "{stale}hint: `cargo xtask codegen` writes them anew"
    )))
}

/// How a file stands to what it should be.
enum State {
    /// It is not ours to judge.
    Foreign,
    /// It is the same.
    Fresh,
    /// It differs, and so.
    Stale(String),
}

fn compare(project: &Project) -> Result<Vec<(Generated, State)>> {
    let rules = codegen::site_rules(&project.config);
    let mut files = BTreeMap::new();
    for path in READ.into_iter().chain(rules.as_deref()) {
        if let Some(text) = read(&project.root, path)? {
            files.insert(path.to_owned(), text);
        }
    }
    let found = codegen::Project {
        config: &project.config,
        files,
    };
    let state = |file: &Generated| match found.files.get(&file.path) {
        _ if file.is_foreign => State::Foreign,
        Some(text) if *text == file.text => State::Fresh,
        Some(text) => State::Stale(format!(
            "{} is not what deploy.toml says, {}",
            file.path,
            difference(text, &file.text)
        )),
        None => State::Stale(format!("{} is not there\n", file.path)),
    };
    let files = generate(&found)?.into_iter().map(|file| {
        let state = state(&file);
        (file, state)
    });
    Ok(files.collect())
}

fn read(root: &Path, path: &str) -> Result<Option<String>> {
    match fs_err::read_to_string(root.join(path)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn write(root: &Path, file: &Generated) -> Result<()> {
    let path = root.join(&file.path);
    let folder = path.parent().context("a file lies in a folder")?;
    fs_err::create_dir_all(folder)?;
    fs_err::write(&path, &file.text)?;
    Ok(())
}
