//! What the documents say, against what the program says of itself.

use super::read;
use std::collections::BTreeSet;
use tandem::exit::Exit;

#[test]
fn the_changelog_has_this_version() {
    let heading = format!("## [{}]", env!("CARGO_PKG_VERSION"));
    assert!(
        read("CHANGELOG.md")
            .lines()
            .any(|line| line.starts_with(&heading)),
        "CHANGELOG.md has no section '{heading}'"
    );
}

/// The cells of the table below a heading of README.md, without its two head rows.
fn table(heading: &str) -> Vec<Vec<String>> {
    let readme = read("README.md");
    let section = readme
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("README.md has no section '{heading}'"))
        .1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        row.trim_matches('|')
            .split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect()
    })
    .collect()
}

#[test]
fn the_readme_lists_the_exit_codes() {
    let expected: Vec<Vec<String>> = Exit::ALL
        .iter()
        .map(|exit| vec![format!("`{}`", exit.code()), exit.meaning().to_owned()])
        .collect();
    assert_eq!(
        table("Exit codes"),
        expected,
        "README.md against tandem::exit::Exit::ALL"
    );
}

#[test]
fn the_readme_lists_the_commands() {
    let command = tandem::cli::command();
    let known: BTreeSet<String> = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .map(|sub| sub.get_name().to_owned())
        .collect();
    let cells = table("Commands")
        .into_iter()
        .filter_map(|row| row.into_iter().next());
    let listed: BTreeSet<String> = cells
        .flat_map(|cell| cell.split(", ").map(first_word).collect::<Vec<_>>())
        .collect();
    let known: BTreeSet<String> = known.into_iter().filter(|name| name != "help").collect();
    assert_eq!(
        listed, known,
        "the first column of README.md's command table against the command line"
    );
}

fn first_word(cell: &str) -> String {
    cell.trim_matches('`')
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned()
}
