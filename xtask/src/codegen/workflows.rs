//! The three workflows: their templates, and what of deploy.toml and of the project stands in them.

use super::Project;
use super::pins::Pins;
use super::template::Values;
use crate::config::{Config, LOCAL, PRODUCTION, PrepareJobs};
use anyhow::{Context as _, Result};

pub(super) const CI: &str = ".github/workflows/ci.yml";
pub(super) const DEPLOY: &str = ".github/workflows/deploy.yml";
pub(super) const ROLLBACK: &str = ".github/workflows/rollback.yml";

const TEMPLATES: [(&str, &str); 3] = [
    (CI, include_str!("templates/ci.yml")),
    (DEPLOY, include_str!("templates/deploy.yml")),
    (ROLLBACK, include_str!("templates/rollback.yml")),
];

/// Prints the path of a program that it has built from the commit and the toolchain alone.
pub(super) const RELEASE_BUILD: &str = ".ci/release-build";

/// Where a project names its submodules, and what its files are treated as.
pub(super) const SUBMODULES: &str = ".gitmodules";
pub(super) const ATTRIBUTES: &str = ".gitattributes";

/// The same for every step that releases; no other step has them.
const CREDENTIALS: &str = "\
GITHUB_TOKEN: ${{ github.token }}
NETLIFY_AUTH_TOKEN: ${{ secrets.NETLIFY_AUTH_TOKEN }}
RENDER_API_KEY: ${{ secrets.RENDER_API_KEY }}
SLACK_WEBHOOK_URL: ${{ secrets.SLACK_WEBHOOK_URL }}
TANDEM_ADMIN_TOKEN: ${{ secrets.TANDEM_ADMIN_TOKEN }}";

/// Only what this branch contains may be released from it: a rule that protects the branch must not be got round by naming another
/// commit.
const CHOOSE: &str = "\
commit=$(git rev-parse --verify --quiet --end-of-options \"refs/remotes/origin/$REF^{commit}\" ||
  git rev-parse --verify --end-of-options \"${REF:-HEAD}^{commit}\")
if ! git merge-base --is-ancestor \"$commit\" HEAD; then
  echo '::error::that commit is not part of the branch that this run is on'
  exit 1
fi
git checkout --quiet --detach \"$commit\"
git log -1 --oneline";

/// The tool is taken only when this repository's own deploy workflow built it; otherwise it is built, and nothing else.
const VERIFY: &str = "\
if gh attestation verify \"$RUNNER_TEMP/tool/xtask\" --repo \"$GITHUB_REPOSITORY\" \\
  --signer-workflow \"$GITHUB_REPOSITORY/.github/workflows/deploy.yml\" --deny-self-hosted-runners \"$SOURCE\"; then
  chmod +x \"$RUNNER_TEMP/tool/xtask\"
else
  echo '::warning::there is no prebuilt xtask whose origin is proven; it is built now'
  rustup toolchain install --no-self-update
  cargo build --locked @{xtask}
  install -D target/debug/xtask \"$RUNNER_TEMP/tool/xtask\"
fi";

/// Minutes for a machine, a checkout and the tool.
const AROUND_MINUTES: u64 = 30;
/// Minutes of a deploy beside the backend's own time and the watching.
const REST_MINUTES: u64 = 20;

/// Each workflow by its path, without its first line.
pub(super) fn generate(project: &Project<'_>) -> Result<Vec<(&'static str, String)>> {
    let config = project.config;
    let paths = TEMPLATES.map(|(path, _)| path);
    let pins = Pins::kept(paths.iter().filter_map(|path| project.text(path)));
    let tool = tool(project.text(".cargo/config.toml"));
    let (environments, environment) = environments(config);
    let release = release_minutes(config, &environment);
    let prepare = prepare_minutes(config);
    let values = Values {
        texts: [
            ("branch", branch(config, &environment)),
            ("environments", environments.join(", ")),
            ("environment", environment),
            ("choose", CHOOSE.to_owned()),
            ("choose_whole", choose_whole(project)),
            ("whole", whole_checkout(project)),
            ("credentials", CREDENTIALS.to_owned()),
            ("verify", VERIFY.replace("@{xtask}", &tool)),
            ("tool", released_tool(project, &tool)),
            ("xtask", tool),
            ("prepare_minutes", (prepare + AROUND_MINUTES).to_string()),
            ("release_minutes", release.to_string()),
            ("resume_minutes", release.to_string()),
            (
                "release_job_minutes",
                (2 * release + AROUND_MINUTES).to_string(),
            ),
            (
                "rollback_job_minutes",
                (release + AROUND_MINUTES).to_string(),
            ),
        ]
        .into(),
        flags: [
            ("matrix", config.workflows.prepare == PrepareJobs::Matrix),
            ("nix", project.has("flake.nix")),
            ("deny", project.has(".cargo/deny.toml")),
            ("linters", project.has(".ci/requirements.txt")),
        ]
        .into(),
        pins: &pins,
    };
    TEMPLATES
        .iter()
        .map(|(path, template)| {
            let text = values.fill(template);
            Ok((*path, text.with_context(|| format!("fill {path}"))?))
        })
        .collect()
}

/// How the jobs that build check out: with everything that a build reads.
fn whole_checkout(project: &Project<'_>) -> String {
    let mut text = "persist-credentials: false".to_owned();
    if project.has(SUBMODULES) {
        text.push_str("\nsubmodules: recursive");
    }
    let attributes = project.text(ATTRIBUTES);
    if attributes.is_some_and(|attributes| attributes.contains("filter=lfs")) {
        text.push_str("\nlfs: true");
    }
    text
}

/// An earlier commit may have had other submodules.
fn choose_whole(project: &Project<'_>) -> String {
    if project.has(SUBMODULES) {
        format!("{CHOOSE}\ngit submodule update --init --recursive")
    } else {
        CHOOSE.to_owned()
    }
}

/// Where a workflow may release to, and where a push goes.
fn environments(config: &Config) -> (Vec<String>, String) {
    let names = config.environments.keys().map(ToString::to_string);
    let mut names: Vec<String> = names.filter(|name| name != LOCAL).collect();
    if names.is_empty() {
        names.push(PRODUCTION.to_owned());
    }
    let is_production = |name: &&String| *name == PRODUCTION;
    let default = names.iter().find(is_production).or(names.first()).cloned();
    (names, default.unwrap_or_default())
}

fn branch(config: &Config, environment: &str) -> String {
    let found = config
        .environments
        .iter()
        .find(|(name, _)| name.as_str() == environment);
    let branch = found.and_then(|(_, environment)| environment.branch.clone());
    branch.unwrap_or_else(|| "main".to_owned())
}

/// Twice the backend's time, since it may have to be rolled back, and the watching between.
fn release_minutes(config: &Config, environment: &str) -> u64 {
    let found = config
        .environments
        .iter()
        .find(|(name, _)| name.as_str() == environment);
    let seconds = found.map_or(0, |(_, environment)| {
        2 * environment.deploy_timeout_s + environment.bake_s.unwrap_or(60)
    });
    seconds.div_ceil(60) + REST_MINUTES
}

fn prepare_minutes(config: &Config) -> u64 {
    let checks = config
        .checks
        .iter()
        .map(|check| check.timeout_s)
        .sum::<u64>();
    let build = config
        .frontend
        .build
        .as_ref()
        .map_or(0, |_| config.frontend.build_timeout_s);
    (checks + build).div_ceil(60)
}

/// How the tool is built: as the alias that people type says.
fn tool(cargo_config: Option<&str>) -> String {
    let alias = cargo_config
        .and_then(|text| text.parse::<toml::Table>().ok())
        .and_then(|table| Some(table.get("alias")?.get("xtask")?.as_str()?.to_owned()));
    let package = alias.as_deref().and_then(|alias| {
        let mut words = alias.split_whitespace();
        words.find(|word| ["-p", "--package"].contains(word))?;
        words.next()
    });
    format!("--package {} --bin xtask", package.unwrap_or("xtask"))
}

/// The tool as it is handed over: reproducible, where the project knows how to build it so.
fn released_tool(project: &Project<'_>, tool: &str) -> String {
    if project.has(RELEASE_BUILD) {
        format!("install -D \"$({RELEASE_BUILD} xtask auditable)\" tool/xtask")
    } else {
        format!(
            "cargo auditable build --release --locked {tool}\ninstall -D target/release/xtask tool/xtask"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_is_what_the_alias_runs() {
        for (text, expected) in [
            (
                "[alias]\nxtask = \"run -q -p release --bin xtask --\"\n",
                "release",
            ),
            ("[alias]\nxtask = \"run --package a --\"\n", "a"),
            ("[alias]\nxtask = \"run --bin xtask --\"\n", "xtask"),
            ("[build]\n", "xtask"),
            ("no toml", "xtask"),
        ] {
            let wanted = format!("--package {expected} --bin xtask");
            assert_eq!(tool(Some(text)), wanted, "{text}");
        }
        assert_eq!(tool(None), "--package xtask --bin xtask");
    }
}
