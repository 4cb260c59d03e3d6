//! Workflows as people write them, and what is said about those that cannot be read.

use super::*;
use crate::changes::LaneFilters;
use crate::changes::manifest::{self, Change};
use crate::config::Config;
use insta::assert_snapshot;
use std::path::Path;

const WORKFLOW: &str = r#"name: Deploy
on:
  push:
    branches: [main]
jobs:
  changes:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          filters: "not these"
      - name: What changed
        uses: dorny/paths-filter@v3 # pinned by tag
        id: filter
        with:
          list-files: json
          predicate-quantifier: 'every'
          filters: |
            shared: &shared
              - package.json   # both depend on it
              - "tsconfig*.json"

            frontend:
              - *shared
              - 'src/**'
              - added|modified: ['public/**', "it's/**"]
            backend:
            - backend/**
            - deleted: *shared
            docs: '**/*.md'
            old: [/docs/**, '!x/**', { Added: y }]

      - run: echo done
"#;

fn imported(workflow: &str) -> Result<String, ImportError> {
    let found = find(workflow)?;
    let Place::Here(text, line) = &found.filters else {
        panic!("{found:?}")
    };
    Ok(to_toml(&read(text, *line)?, found.quantifier, "deploy.yml"))
}

#[test]
fn a_workflow_s_block_becomes_paths() {
    assert_snapshot!(imported(WORKFLOW).unwrap(), @r#"
    # from deploy.yml

    # No lane is called so: move the rules to frontend or backend if it is one of them.
    # [shared]
    # quantifier = "every"
    # paths = [
    #     "package.json",
    #     "tsconfig*.json",
    # ]

    [frontend]
    quantifier = "every"
    paths = [
        "package.json",
        "tsconfig*.json",
        "src/**",
        { "added|modified" = ["public/**", "it's/**"] },
    ]

    [backend]
    quantifier = "every"
    paths = [
        "backend/**",
        { "deleted" = ["package.json", "tsconfig*.json"] },
    ]

    # No lane is called so: move the rules to frontend or backend if it is one of them.
    # [docs]
    # quantifier = "every"
    # paths = [
    #     "**/*.md",
    # ]

    # No lane is called so: move the rules to frontend or backend if it is one of them.
    # [old]
    # quantifier = "every"
    # paths = [
    #     # "/docs/**", which matched no file: git's paths begin without a slash
    #     "!x/**",
    #     { "Added" = ["y"] },
    # ]
    "#);
}

#[test]
fn what_is_printed_is_what_deploy_toml_reads() {
    let text = imported(WORKFLOW).unwrap();
    let text = text
        .replace("[frontend]\n", "[frontend]\npublish = \"web\"\n")
        .replace("[backend]\n", "[backend]\nbuild = \"x\"\nstart = \"y\"\n");
    let config = Config::load(
        Path::new("deploy.toml"),
        &format!("project = \"shop\"\n{text}"),
    )
    .unwrap();
    assert_eq!(config.frontend.paths.len(), 4);
    assert_eq!(config.backend.quantifier, Quantifier::Every);
}

#[test]
fn another_file_may_hold_the_filters() {
    let step = |filters: &str| {
        find(&format!(
            "steps:\n- uses: 'dorny/paths-filter@v3'\n  with:\n    filters: {filters}\n"
        ))
    };
    for (filters, file) in [
        (".github/filters.yml", ".github/filters.yml"),
        ("'.github/a b.yml' # there", ".github/a b.yml"),
    ] {
        assert_eq!(step(filters).unwrap().filters, Place::File(file.to_owned()));
    }
    assert!(step(">").unwrap_err().message.contains("filters: |"));
    assert!(
        step("${{ env.F }}")
            .unwrap_err()
            .message
            .contains("filters: |")
    );
}

#[test]
fn a_workflow_without_a_block_is_refused() {
    let error = |workflow: &str| imported(workflow).unwrap_err().in_file("w.yml");
    let twice = "- uses: dorny/paths-filter@v3\n- uses: dorny/paths-filter@v3\n";
    assert_snapshot!([
        error("jobs: {}\n"),
        error(twice),
        error("- uses: dorny/paths-filter@v3\n- run: x\n  with:\n    filters: |\n      a: b\n"),
        error("- uses: dorny/paths-filter@v3\n  with:\n    predicate-quantifier: none\n"),
    ].join("\n"), @r#"
    w.yml: no step says 'uses: dorny/paths-filter@…'
    w.yml: lines 1 and 2 both use the action: leave one of the steps in a copy of the file
    w.yml:1: this step has no 'filters'
    w.yml:3: 'none' is no quantifier: some, every or some-with-excludes
    "#);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    let mut said = String::new();
    for text in [
        "not a dictionary",
        "- a\n",
        "5",
        "~",
        "",
        "a:\n  - *\n",
        "a:\n  - **/x\n",
        "a:\n  - !src/**\n",
        "a:\n\t- x\n",
        "a: x\na: y\n",
        "a: {<<: {added: x}}\n",
        "a:\n",
        "a: true\n",
        "a:\n  - 5\n",
        "a:\n  - chanegd: x\n",
        "a:\n  - added:\n",
        "a: [x, y\n",
        "a: [x y] z\n",
        "a: 'x\n",
        "a: \"\\d\"\n",
        "a: |\n  x\n",
        "a: x\n  y\n",
        "a:\n    - x\n  - y\n",
        "a: @x\n",
        "a: {added x}\n",
    ] {
        let error = read(text, 1).expect_err(text).in_file("f");
        let _infallible = writeln!(said, "{text:?}\n    {error}");
    }
    assert_snapshot!(said, @r#"
    "not a dictionary"
        f:1: filters are names with patterns below them
    "- a\n"
        f:1: filters are names with patterns below them
    "5"
        f:1: filters are names with patterns below them
    "~"
        f:1: filters are names with patterns below them
    ""
        f:1: there is no filter
    "a:\n  - *\n"
        f:2: YAML takes '*' for an alias, and nothing is called so: put a pattern into quotes
    "a:\n  - **/x\n"
        f:2: YAML takes '**/x' for an alias, and nothing is called so: put a pattern into quotes
    "a:\n  - !src/**\n"
        f:2: YAML takes '!src/**' for a tag: put a pattern into quotes
    "a:\n\t- x\n"
        f:2: YAML is indented with blanks, this line with a tab
    "a: x\na: y\n"
        f:2: 'a' is there twice
    "a: {<<: {added: x}}\n"
        f:1: merge keys are not read: write the entries out
    "a:\n"
        f:1: 'a' has no pattern
    "a: true\n"
        f:1: YAML reads 'true' as no text: put a pattern into quotes
    "a:\n  - 5\n"
        f:2: YAML reads '5' as no text: put a pattern into quotes
    "a:\n  - chanegd: x\n"
        f:2: 'chanegd' is no status: added, copied, deleted, modified, renamed, unmerged
    "a:\n  - added:\n"
        f:2: 'added' has no pattern
    "a: [x, y\n"
        f:1: ']' is missing; a list in brackets is read from one line
    "a: [x y] z\n"
        f:1: 'z' is more than was expected
    "a: 'x\n"
        f:1: the closing quote is missing
    "a: \"\\d\"\n"
        f:1: '\d' is not read in double quotes: use single quotes
    "a: |\n  x\n"
        f:1: a block of text is not read here: write a list of patterns
    "a: x\n  y\n"
        f:2: text over several lines is not read: write it in one
    "a:\n    - x\n  - y\n"
        f:3: this line is indented differently from what it belongs to
    "a: @x\n"
        f:1: no plain text begins with '@': put a pattern into quotes
    "a: {added x}\n"
        f:1: a colon is missing after 'added x'
    "#);
}

#[test]
fn what_is_said_in_several_ways_means_the_same() {
    let expected = read("a: ['x/**', y]\n", 1).unwrap();
    for text in [
        "a:\n  - x/**\n  - y\n",
        "a:\n- 'x/**'\n- \"y\"\n",
        "a:\n  -\n    - x/**\n  - - y\n",
        "---\n# comment\na: # comment\n  - x/** # comment\n\n  - y\n",
        "'a':\n  - ['x/**']\n  - y\n",
        "a: [ x/**, [y], ]\n",
    ] {
        assert_eq!(read(text, 1).expect(text), expected, "{text:?}");
    }
    let one = |text: &str| read(text, 1).expect(text)[0].rules[0].patterns[0].clone();
    assert_eq!(one("a: 'it''s'"), "it's");
    assert_eq!(one("a: it's#x"), "it's#x");
    assert_eq!(one("a: \"x\\\\y\""), "x\\y");
    assert_eq!(one("a: src/{a,b}/*.[jt]s"), "src/{a,b}/*.[jt]s");
    assert_eq!(one("a: x:y"), "x:y");
}

/// The filters of the workflow that this tool replaces, moved over; and which lanes the action says for each file there can be,
/// whatever happened to it.
#[test]
fn the_replaced_workflow_s_filters_select_the_same_files() {
    const FILTERS: &str = "          filters: |\n            frontend:\n              - 'src/**'\n              - 'public/**'\n              - 'package.json'\n              - 'vite.config.js'\n            backend:\n              - 'backend/**'\n              - 'package.json'\n";
    const FILES: [(&str, &[Lane]); 16] = [
        ("src/main.js", &[Lane::Frontend]),
        ("src/deep/er/x.css", &[Lane::Frontend]),
        ("src/.env", &[Lane::Frontend]),
        ("src", &[Lane::Frontend]),
        ("srcs/x", &[]),
        ("public/index.html", &[Lane::Frontend]),
        ("vite.config.js", &[Lane::Frontend]),
        ("package.json", &[Lane::Frontend, Lane::Backend]),
        ("package-lock.json", &[]),
        ("backend/server.js", &[Lane::Backend]),
        ("backend/migrations/001.sql", &[Lane::Backend]),
        ("backend/package.json", &[Lane::Backend]),
        ("Backend/server.js", &[]),
        ("README.md", &[]),
        (".github/workflows/deploy.yml", &[]),
        ("docs/src/x.md", &[]),
    ];
    let workflow = format!("steps:\n      - uses: dorny/paths-filter@v2\n        with:\n{FILTERS}");
    let text = imported(&workflow)
        .unwrap()
        .replace("[frontend]\n", "[frontend]\npublish = \"dist\"\n")
        .replace("[backend]\n", "[backend]\nbuild = \"x\"\nstart = \"y\"\n");
    let config = Config::load(
        Path::new("deploy.toml"),
        &format!("project = \"shop\"\n{text}"),
    )
    .unwrap();
    let filters = LaneFilters::compile(&config).unwrap();
    for (path, lanes) in FILES {
        use manifest::Status::{Added, Deleted, Modified, TypeChanged};
        for status in [Added, Modified, Deleted, TypeChanged] {
            let change = Change {
                path: path.to_owned(),
                status,
            };
            let selected: Vec<Lane> = Lane::ALL
                .into_iter()
                .filter(|lane| filters.fires(*lane, &change))
                .collect();
            assert_eq!(selected, lanes, "{path} {status:?}");
        }
    }
}
