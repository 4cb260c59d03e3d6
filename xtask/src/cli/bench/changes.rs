//! Change detection in the large: a plan of a repository with many files beside git's own listing of them, and the filter beside
//! the original in node, where that is installed.

use super::super::app::{App, Failure, Project};
use super::Row;
use super::measure::{Cost, cost, cost_with, median, rate};
use super::program::{Scratch, environment};
use crate::changes::filter::{Filter, Quantifier, Rule};
use crate::changes::glob::Pattern;
use crate::changes::lines;
use anyhow::{Context as _, Result, anyhow};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const FILES: usize = 100_000;
const PATHS: usize = 1_000_000;
const ROUNDS: usize = 5;

/// What lanes of a larger repository look like, with every construct that is in use.
const PATTERNS: [&str; 20] = [
    "frontend/**",
    "backend/**",
    "**/*.sql",
    "**/*.{js,css}",
    "src/**/*.{js,ts}",
    "**/*.test.ts",
    "packages/*/lib/**",
    "*.toml",
    "**/docs/**/*.md",
    "{frontend,backend}/**/*.rs",
    "**/[a-m]*/**",
    "migrations/*.sql",
    "migrations/**/*.sql",
    "**/node_modules/**",
    "+(foo|frontend)/**",
    "!(docs)/**",
    "**/index*.*",
    "**/?hing*.json",
    "Cargo.lock",
    ".github/workflows/*.yml",
];

/// The same loop over the same file for the original.
const NODE: &str = r"
const picomatch = require('picomatch'), fs = require('fs');
const [file, ...patterns] = process.argv.slice(1);
const matchers = patterns.map(pattern => picomatch(pattern, { dot: true }));
const out = [];
for (const path of fs.readFileSync(file, 'utf8').split('\n')) if (matchers.some(matches => matches(path))) out.push(path);
fs.writeSync(1, out.join('\n').slice(0, 1000));
";

pub(super) fn rows(app: &App<'_>, project: &Project) -> Result<Vec<Row>, Failure> {
    let exe = std::env::current_exe().context("find this program")?;
    let exe = exe
        .to_str()
        .context("the path of this program is not Unicode")?;
    let mut rows = plan(app, project, exe)?;
    rows.extend(filter(app, exe)?);
    Ok(rows)
}

fn plan(app: &App<'_>, project: &Project, exe: &str) -> Result<Vec<Row>> {
    let scratch = Scratch::live(app, project, exe)?;
    for number in 0..FILES {
        let folder = scratch
            .root()
            .join(format!("backend/data/{}", number % 100));
        if number < 100 {
            fs_err::create_dir_all(&folder)?;
        }
        fs_err::write(
            folder.join(format!("{number}.txt")),
            (number % 5000).to_string(),
        )?;
    }
    scratch.commit()?;
    let git = |args: &[&str]| median(ROUNDS, args, scratch.root(), &scratch.env);
    let listing = git(&["git", "ls-tree", "-r", "-z", "HEAD"])?;
    let status = git(&["git", "status", "--porcelain", "--untracked-files=all"])?;
    let plan = git(&[exe, "plan"])?;
    let row = |what: &str, measured, unit, reference, aim| {
        Row::new(
            what,
            measured,
            unit,
            "git ls-tree -r -z HEAD",
            reference,
            aim,
        )
    };
    Ok(vec![
        row(
            "plan of 100,000 files, all new",
            plan.wall_s,
            "s",
            listing.wall_s,
            "≤ 1.3 × and 0.05 s",
        ),
        row(
            "its peak memory",
            plan.peak_mb,
            "MB",
            listing.peak_mb,
            "≤ 60 MB",
        ),
        row(
            "of it, git status (is the tree clean?)",
            status.wall_s,
            "s",
            listing.wall_s,
            "",
        ),
    ])
}

fn filter(app: &App<'_>, exe: &str) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir().context("make a folder for the paths")?;
    let file = folder.path().join("paths");
    let text = paths();
    fs_err::write(&file, &text)?;
    let patterns = PATTERNS
        .map(Pattern::compile)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let decisions = PATHS * patterns.len();
    let mut matched = 0;
    let per_second = rate(decisions, || {
        for path in text.lines() {
            matched += patterns
                .iter()
                .filter(|pattern| pattern.is_match(path))
                .count();
        }
    });
    let rules = PATTERNS
        .map(Rule::plain)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let some = Filter::new(rules, Quantifier::Some).map_err(|error| anyhow!("{error}"))?;
    let selected = lines::select(&some, text.as_bytes());
    let mut rows = vec![Row::new(
        format!("decisions per second on one core, {matched} of {decisions} match"),
        per_second / 1e6,
        "M/s",
        "the aim",
        2.0,
        "≥ 2 M/s",
    )];
    let env = environment(app);
    let command: Vec<&str> = [exe, "match"].into_iter().chain(PATTERNS).collect();
    let ours = fastest(|| cost_with(&command, Some(&file), folder.path(), &env))?;
    let what = format!(
        "match of 1,000,000 paths by 20 patterns, {} bytes selected",
        selected.len()
    );
    match node(&file, &env) {
        Ok(theirs) => rows.push(Row::new(
            what,
            ours.wall_s,
            "s",
            "picomatch in node",
            theirs.wall_s,
            "< 1",
        )),
        Err(_) => rows.push(Row::new(
            what,
            ours.wall_s,
            "s",
            "(no node with picomatch here: NODE_PATH names its folder)",
            f64::NAN,
            "",
        )),
    }
    Ok(rows)
}

/// The original, found as node finds modules: in the folder that this was started in, or through `NODE_PATH`.
fn node(file: &Path, env: &[(String, String)]) -> Result<Cost> {
    let here = PathBuf::from(".");
    let file = file.to_str().context("the folder is not Unicode")?;
    let command: Vec<&str> = ["node", "-e", NODE, file]
        .into_iter()
        .chain(PATTERNS)
        .collect();
    fastest(|| cost(&command, &here, env))
}

/// The quickest of a few runs.
fn fastest(run: impl Fn() -> Result<Cost>) -> Result<Cost> {
    let mut best = run()?;
    for _ in 1..3 {
        let next = run()?;
        if next.wall_s < best.wall_s {
            best = next;
        }
    }
    Ok(best)
}

/// A million paths as a large repository has them, the same in every run.
fn paths() -> String {
    const FOLDERS: [&str; 10] = [
        "frontend/src/components",
        "frontend/public/img",
        "backend/src/http",
        "backend/tests",
        "migrations",
        "docs/guide",
        "tools/src/cli",
        ".github/workflows",
        "packages/ui/lib/deep/er",
        "infra",
    ];
    const NAMES: [&str; 5] = ["index", "main", "util", "a", "thing"];
    const ENDS: [&str; 10] = [
        "js", "ts", "tsx", "css", "rs", "sql", "md", "png", "test.ts", "json",
    ];
    let mut text = String::new();
    let mut random: u32 = 1;
    for number in 0..PATHS {
        // Marsaglia's xorshift.
        for shift in [13, -17, 5] {
            random ^= if shift > 0 {
                random << shift
            } else {
                random >> -shift
            };
        }
        let pick = |list: &[&'static str], bits: u32| list[(random >> bits) as usize % list.len()];
        text.push_str(pick(&FOLDERS, 3));
        let _infallible = writeln!(
            text,
            "/{:x}/{}{}.{}",
            random & 0xf_ffff,
            pick(&NAMES, 9),
            number % 977,
            pick(&ENDS, 17)
        );
    }
    text
}
