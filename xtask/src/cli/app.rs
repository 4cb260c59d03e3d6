//! What commands share: finding the project, the environment and its credentials, and opening everything a release needs.

use super::{Globals, Log, Where};
use crate::changes::LaneFilters;
use crate::config::{Config, LOCAL, LocalCloud, PRODUCTION, Target, environment_name};
use crate::console::Console;
use crate::credentials::{CredentialName, Credentials, child_vars, is_withheld};
use crate::dispatch::{Dispatcher, Sink};
use crate::environ::Environ;
use crate::exit::Exit;
use crate::git::Git;
use crate::gitrefs::{GitRefs, Place};
use crate::ids::EnvironmentName;
use crate::job::Commands;
use crate::journal::Journal;
use crate::live;
use crate::local_cloud;
use crate::redact::Secret;
use crate::sink;
use base64::Engine as _;
use cloud::daemon::Running;
use std::path::{Path, PathBuf};

/// The usual name of the configuration.
const CONFIG_FILE: &str = "deploy.toml";
/// The remote that shared environments keep their refs on.
pub(super) const ORIGIN: &str = "origin";

/// Why a command could not do its work.
#[derive(Debug)]
pub struct Failure {
    /// What state that leaves.
    pub exit: Exit,
    /// What happened and what to do, one problem per line.
    pub text: String,
}

impl Failure {
    /// A failure with the command line, the configuration, or something that is named wrongly.
    pub fn usage(text: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            text: text.into(),
        }
    }

    /// A refusal before anything changed.
    pub fn refused(text: impl Into<String>) -> Self {
        Self {
            exit: Exit::Refused,
            text: text.into(),
        }
    }

    /// The text as it is shown.
    pub fn render(&self, color: bool) -> String {
        let label = if color {
            "\u{1b}[1;31merror\u{1b}[0m"
        } else {
            "error"
        };
        format!("{label}: {}", self.text)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::refused(format!("{error:#}"))
    }
}

/// What every command gets.
pub struct App<'a> {
    /// The process's surroundings.
    pub environ: &'a Environ,
    /// The two output streams.
    pub console: &'a Console,
    /// Options of every command.
    pub globals: &'a Globals,
}

/// A project: its configuration, its git, and the folder for what stays on this machine.
pub struct Project {
    /// The folder of deploy.toml.
    pub root: PathBuf,
    /// deploy.toml.
    pub config: Config,
    /// The lanes' filters, compiled.
    pub filters: LaneFilters,
    /// `.tandem`, or `TANDEM_STATE_DIR`.
    pub state_dir: PathBuf,
    /// The repository, when there is one, and the private one.
    pub git: Git,
}

/// An environment that can be talked to.
pub struct Connected {
    /// Where.
    pub target: Target,
    /// With what.
    pub credentials: Credentials,
}

impl Connected {
    /// A credential that [`App::connect`] made sure of.
    ///
    /// # Errors
    /// When it is missing all the same.
    pub fn secret(&self, name: CredentialName) -> Result<&Secret, Failure> {
        self.credentials
            .get(name)
            .ok_or_else(|| Failure::refused(format!("{name} is missing")))
    }
}

impl App<'_> {
    /// Finds and reads the project.
    ///
    /// # Errors
    /// When there is none, or its configuration is wrong.
    pub fn project(&self) -> Result<Project, Failure> {
        let mut project = self.project_without_credentials()?;
        self.authenticate(&mut project);
        Ok(project)
    }

    /// As [`App::project`], but its git can talk to no remote that asks who we are.
    ///
    /// # Errors
    /// As for [`App::project`].
    pub fn project_without_credentials(&self) -> Result<Project, Failure> {
        let path = self.config_path()?;
        let text =
            fs_err::read_to_string(&path).map_err(|error| Failure::usage(error.to_string()))?;
        let shown = path.strip_prefix(&self.environ.cwd).unwrap_or(&path);
        let config =
            Config::load(shown, &text).map_err(|error| Failure::usage(error.to_string()))?;
        let filters =
            LaneFilters::compile(&config).map_err(|error| Failure::usage(format!("{error:#}")))?;
        let root = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(&self.environ.cwd)
            .to_owned();
        let state_dir = self
            .environ
            .var("TANDEM_STATE_DIR")
            .map_or_else(|| root.join(".tandem"), |dir| self.environ.cwd.join(dir));
        prepare_state_dir(&state_dir)?;
        let git = self.open_git(&root, &state_dir)?;
        Ok(Project {
            root,
            config,
            filters,
            state_dir,
            git,
        })
    }

    /// Opens git without our credentials in its environment, except what the origin asks for.
    fn open_git(&self, root: &Path, state_dir: &Path) -> Result<Git, Failure> {
        // A credential helper that a workflow configures reads this one.
        let github = CredentialName::GithubToken.variable();
        let withheld: Vec<String> = self
            .environ
            .vars
            .keys()
            .filter(|name| is_withheld(name) && *name != github)
            .cloned()
            .collect();
        Ok(Git::open(root, state_dir, &withheld)?)
    }

    /// Lets git show our token to the origin, when it is the one that the token is for.
    fn authenticate(&self, project: &mut Project) {
        // Whoever configured git's authentication by the environment meant that one to be used.
        if self.environ.var("GIT_CONFIG_COUNT").is_some() || !project.git.is_versioned() {
            return;
        }
        let github = CredentialName::GithubToken.variable();
        let credentials = Credentials::load(self.environ, &project.root).unwrap_or_default();
        let (Some(token), Ok(url)) = (
            credentials.get(CredentialName::GithubToken),
            project.git.remote_url(ORIGIN),
        ) else {
            return;
        };
        let server = self
            .environ
            .var("GITHUB_SERVER_URL")
            .unwrap_or("https://github.com")
            .trim_end_matches('/');
        if url.starts_with(&format!("{server}/")) {
            let basic = base64::engine::general_purpose::STANDARD
                .encode(format!("x-access-token:{}", token.expose()));
            self.console.register(github, token.expose());
            self.console.register("GITHUB_TOKEN_HEADER", &basic);
            project.git.authenticate(
                format!("http.{server}/.extraheader"),
                format!("AUTHORIZATION: basic {basic}"),
            );
        }
    }

    fn config_path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.globals.config {
            return Ok(self.environ.cwd.join(path));
        }
        let found = self
            .environ
            .cwd
            .ancestors()
            .map(|folder| folder.join(CONFIG_FILE))
            .find(|path| path.is_file());
        found.ok_or_else(|| {
            Failure::usage(format!("there is no {CONFIG_FILE} in {} or above it (hint: --config FILE names another one)", self.environ.cwd.display()))
        })
    }

    /// Which environment is meant.
    ///
    /// # Errors
    /// When the flags contradict each other.
    pub fn environment(&self, place: Where) -> Result<EnvironmentName, Failure> {
        environment_name(self.globals.env.as_deref(), place.prod, self.environ)
            .map_err(|error| Failure::usage(error.to_string()))
    }

    /// Resolves the environment and its credentials. For `local` the cloud must run already.
    ///
    /// # Errors
    /// When something is missing: everything of that at once.
    pub fn connect(
        &self,
        project: &Project,
        name: &EnvironmentName,
        cloud: Option<&Running>,
    ) -> Result<Connected, Failure> {
        let mut credentials = Credentials::load(self.environ, &project.root)
            .map_err(|error| Failure::refused(error.to_string()))?;
        for warning in credentials.warnings() {
            self.console.err(&format!("warning: {warning}"));
        }
        let is_local = name.as_str() == LOCAL;
        let place = cloud.filter(|_| is_local).map(|running| {
            local_cloud::use_credentials(&mut credentials, running);
            local_cloud::address(running)
        });
        if let Some(place) = &place {
            self.warn_of_overrides(place);
        }
        let target = Target::resolve(&project.config, name, self.environ, place.as_ref())
            .map_err(|error| Failure::usage(error.to_string()))?;
        for (name, secret) in credentials.secrets() {
            self.console.register(name.variable(), secret.expose());
        }
        if !is_local || place.is_some() {
            credentials
                .require(&[
                    CredentialName::NetlifyAuthToken,
                    CredentialName::RenderApiKey,
                ])
                .map_err(|error| Failure::refused(error.to_string()))?;
        }
        Ok(Connected {
            target,
            credentials,
        })
    }

    /// Variables meant for another environment also override `local`: better said than wondered about.
    fn warn_of_overrides(&self, cloud: &LocalCloud) {
        let own = [
            ("NETLIFY_API_URL", &cloud.netlify_api),
            ("RENDER_HOST", &cloud.render_api),
            ("NETLIFY_SITE_ID", &cloud.site_id.0),
            ("RENDER_SERVICE_ID", &cloud.service_id.0),
            ("SITE_URL", &cloud.site_url),
            ("SERVICE_URL", &cloud.service_url),
        ];
        let foreign: Vec<&str> = own
            .iter()
            .filter(|(name, value)| {
                self.environ
                    .var(name)
                    .is_some_and(|set| set != value.as_str())
            })
            .map(|(name, _)| *name)
            .collect();
        if !foreign.is_empty() {
            self.console.err(&format!("warning: {} of this shell override the local cloud's own (hint: unset them, or name the environment they are for)", foreign.join(", ")));
        }
    }

    /// The local cloud, started when it does not run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn ensure_cloud(&self, project: &Project, port: Option<u16>) -> Result<Running, Failure> {
        local_cloud::ensure(project, port).map_err(|error| {
            Failure::refused(format!("the local cloud could not be started: {error:#}"))
        })
    }

    /// The environment that is meant, ready to be talked to; the local cloud is started when it does not run.
    ///
    /// # Errors
    /// As for [`App::environment`], [`App::ensure_cloud`] and [`App::connect`].
    pub fn reach(&self, project: &Project, place: Where) -> Result<Connected, Failure> {
        let name = self.environment(place)?;
        let cloud = if name.as_str() == LOCAL {
            Some(self.ensure_cloud(project, None)?)
        } else {
            None
        };
        self.connect(project, &name, cloud.as_ref())
    }

    /// Where an environment's refs are: on the origin, so that everybody sees the same. Production is nowhere else; another
    /// environment is kept on this machine when the origin cannot be written to, and that is said.
    pub fn refs<'g>(&self, project: &'g Project, name: &EnvironmentName) -> GitRefs<'g> {
        let place = match name.as_str() {
            LOCAL => Place::Private,
            PRODUCTION => Place::Remote(ORIGIN.to_owned()),
            _ => match project.git.may_push(ORIGIN, &live::live_ref(name)) {
                Ok(()) => Place::Remote(ORIGIN.to_owned()),
                Err(error) => {
                    self.console.err(&format!(
                        "note: what is live in {name} is recorded on this machine alone, because the origin cannot be written to: {error:#}"
                    ));
                    Place::Private
                }
            },
        };
        GitRefs {
            git: &project.git,
            place,
        }
    }

    /// The journal of this machine.
    ///
    /// # Errors
    /// When it cannot be used: without it nothing is released.
    pub fn journal(&self, project: &Project) -> Result<Journal, Failure> {
        let journal = Journal::open(&project.state_dir.join("journal.db"))?;
        journal.redact_with(self.console.redactor());
        Ok(journal)
    }

    /// What shows a run while it happens.
    pub fn dispatcher(&self) -> Dispatcher {
        let sinks: Vec<Box<dyn Sink>> = if self.globals.quiet {
            Vec::new()
        } else {
            let terminal = self.environ.stderr_is_terminal
                && self.environ.var("TERM") != Some("dumb")
                && self.environ.var("CI").is_none();
            match self.globals.log {
                Log::Auto if terminal => vec![sink::tty::terminal(
                    self.console.clone(),
                    self.globals.verbose,
                )],
                Log::Terminal => vec![sink::tty::terminal(
                    self.console.clone(),
                    self.globals.verbose,
                )],
                Log::Auto | Log::Ci => {
                    let github = self.environ.var("GITHUB_ACTIONS").is_some();
                    vec![sink::log::ci_log(
                        self.console.clone(),
                        self.globals.verbose,
                        github,
                    )]
                }
                Log::Ndjson => vec![sink::json::ndjson(self.console.clone())],
            }
        };
        Dispatcher::new(sinks, self.console.redactor())
    }

    /// How configured commands run: in the root, with the caller's environment less every credential.
    pub fn commands(&self, root: &Path) -> Commands {
        Commands {
            root: root.to_owned(),
            env: child_vars(self.environ),
        }
    }

    /// Who or what runs this: a CI run's address, or a user's name.
    pub fn by(&self) -> String {
        let var = |name| self.environ.var(name);
        if let (Some(server), Some(repository), Some(run)) = (
            var("GITHUB_SERVER_URL"),
            var("GITHUB_REPOSITORY"),
            var("GITHUB_RUN_ID"),
        ) {
            let actor = var("GITHUB_ACTOR")
                .map(|actor| format!(" by {actor}"))
                .unwrap_or_default();
            return format!("{server}/{repository}/actions/runs/{run}{actor}");
        }
        var("USER")
            .or_else(|| var("LOGNAME"))
            .unwrap_or("unknown")
            .to_owned()
    }
}

/// Makes the folder, readable by this user alone, and keeps git away from it.
fn prepare_state_dir(dir: &Path) -> Result<(), Failure> {
    let made = (|| -> anyhow::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        if !dir.is_dir() {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(dir)?;
        }
        let ignore = dir.join(".gitignore");
        if !ignore.exists() {
            fs_err::write(&ignore, "*\n")?;
        }
        Ok(())
    })();
    made.map_err(|error| Failure::refused(format!("the state folder {} cannot be used: {error:#} (hint: TANDEM_STATE_DIR names another one)", dir.display())))
}
