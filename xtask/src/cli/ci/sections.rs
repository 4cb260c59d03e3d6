//! What a change must pass, in the order in which it is tried: what is quick and often wrong comes first.
//!
//! A section is a variant with a line about it, and an arm of [`Section::run`] that reads like the script it replaces.

use super::super::codegen;
use super::runner::{Ci, Stop};
use super::{fresh_clone, listed_source, readme};
use clap::ValueEnum;

/// See the module's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Section {
    /// Rust sources are formatted
    Format,
    /// Clippy finds nothing
    Lints,
    /// Generated files are what deploy.toml says
    Generated,
    /// Workflows are safe and mean what their schemas say
    Workflows,
    /// The modules of the dashboard pass their tests
    Dashboard,
    /// The test command of README.md
    Tests,
    /// The files that nix/source.nix lists build and test without any other
    ListedSource,
    /// Every fuzz target for its share of a minute
    Fuzz,
    /// The migrator is one file without shared libraries, and becomes a node server
    Static,
    /// Two builds of the backend, in two folders by two users, are the same bytes and know their commit
    Reproducible,
    /// The first commands of README.md, in a clone of HEAD, as somebody who has just come
    FreshClone,
}

impl Section {
    /// What it is called on the command line.
    pub(super) fn name(self) -> String {
        self.value().get_name().to_owned()
    }

    /// One line about it.
    pub(super) fn about(self) -> String {
        self.value()
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    fn value(self) -> clap::builder::PossibleValue {
        self.to_possible_value().unwrap_or_default()
    }

    /// Tries it.
    pub(super) fn run(self, ci: &Ci<'_>) -> Result<(), Stop> {
        match self {
            Self::Format => {
                ci.needs_path("Cargo.toml")?;
                ci.sh("cargo fmt --all --check")
            }
            Self::Lints => {
                ci.needs_path("Cargo.toml")?;
                ci.sh("cargo clippy --workspace --all-targets --locked -- --deny warnings")
            }
            Self::Generated => {
                codegen::check(ci.project).map_err(|failure| Stop::Failed(failure.text))
            }
            Self::Workflows => {
                ci.needs_path(".github/workflows")?;
                let install = "pip install --requirement .ci/requirements.txt";
                ci.needs_tool("zizmor", install)?;
                ci.needs_tool("check-jsonschema", install)?;
                ci.sh(
                    "zizmor --offline --no-progress --strict-collection --persona pedantic .github",
                )?;
                ci.sh("check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml")?;
                ci.needs_path(".github/dependabot.yml")?;
                ci.sh("check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml")
            }
            Self::Dashboard => {
                ci.needs_path("frontend/tests")?;
                ci.needs_tool("node", "install Node.js, whose own test runner is used")?;
                ci.sh("node --test frontend/tests/")
            }
            Self::Tests => {
                ci.needs_path("README.md")?;
                let text = fs_err::read_to_string(ci.path("README.md"))
                    .map_err(|error| Stop::Failed(error.to_string()))?;
                let mut env = ci.env.clone();
                if ci.strict {
                    // Tests that would skip for want of a tool fail instead.
                    let required = ["BROWSER", "CC", "NIX", "NODE"];
                    env.extend(
                        required.map(|what| (format!("TANDEM_REQUIRE_{what}"), "1".to_owned())),
                    );
                }
                ci.sh_in(
                    &ci.project.root,
                    &env,
                    &readme::shell_block(&text, "Tests")?,
                )
            }
            Self::ListedSource => listed_source::run(ci),
            Self::Fuzz => {
                ci.needs_path("fuzz/run")?;
                ci.needs_tool(
                    "c++",
                    "install a C++ compiler, which libFuzzer is built with",
                )?;
                ci.sh("fuzz/run 60")
            }
            Self::Static => {
                ci.needs_path(".ci/static")?;
                ci.needs_tool("node", "install Node.js, which the migrator is put before")?;
                ci.sh(".ci/static")
            }
            Self::Reproducible => {
                ci.needs_path(".ci/reproducible")?;
                ci.needs_path(".git")?;
                ci.needs_tool(
                    "curl",
                    "install curl, which asks the built service for its commit",
                )?;
                ci.sh(".ci/reproducible backend")
            }
            Self::FreshClone => fresh_clone::run(ci),
        }
    }
}
