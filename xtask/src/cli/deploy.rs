//! `cargo xtask deploy`.

use super::Where;
use super::app::{App, Connected, Failure, ORIGIN, Project};
use crate::bundle::{Bundle, BundleError};
use crate::checkout::Checkout;
use crate::config::{ConfigError, LOCAL};
use crate::credentials::CredentialName;
use crate::exit::Exit;
use crate::git::GitHistory;
use crate::http::{Api, RETRY_BUDGET};
use crate::ids::{Commit, EnvironmentName, Lane};
use crate::inputs::BuiltSite;
use crate::job::Preparation;
use crate::lane::frontend::Accepted;
use crate::netlify::Netlify;
use crate::notify;
use crate::plan::{Asked, plan};
use crate::process;
use crate::publish_folder::PublishFolder;
use crate::real::{CancelFlag, Real, hear_signals};
use crate::render::Render;
use crate::run::{self, Ended, Options, Session};
use crate::sink;
use crate::source::{self, SourceTree};
use crate::working_tree::WorkingTree;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Release what differs from what is live, both lanes in parallel, as one release.
///
/// Checks, upload and rehearsal run side by side; the backend goes live and proves its version; only then the frontend is published.
/// What fails is undone.
///
/// In CI the two halves can be two jobs: `--prepare --out DIR` runs the project's commands where there is no credential, and
/// `--bundle DIR` has the credentials and runs none of the commands.
#[derive(Args, Debug)]
pub struct DeployArgs {
    #[command(flatten)]
    pub place: Where,
    /// Only this lane; may be given twice
    #[arg(long, value_name = "LANE", value_parser = super::lane)]
    pub only: Vec<Lane>,
    /// Release even what does not differ
    #[arg(long)]
    pub force: bool,
    /// Show the plan and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Run checks and build only, for a later --bundle: needs no credential and contacts no provider
    #[arg(long, requires = "out", conflicts_with_all = ["force", "dry_run", "resume", "abort", "wait_lock", "break_glass", "anyway", "allow_shrink", "allow_no_index"])]
    pub prepare: bool,
    /// The folder that --prepare leaves its bundle in
    #[arg(long, value_name = "DIR", requires = "prepare")]
    pub out: Option<PathBuf>,
    /// Prepare only what this check says, and no lane: a part of a bundle; may be given twice
    #[arg(long, value_name = "NAME", requires = "prepare", conflicts_with_all = ["no_checks", "only"])]
    pub check: Vec<String>,
    /// Prepare the lanes only: the part of a bundle whose other parts are checks
    #[arg(long, requires = "prepare")]
    pub no_checks: bool,
    /// Release what --prepare left there, or its parts in folders there, after verifying it; runs no configured command
    #[arg(long, value_name = "DIR", conflicts_with_all = ["prepare", "abort"])]
    pub bundle: Option<PathBuf>,
    /// Go on with the run that stopped
    #[arg(long, conflicts_with_all = ["abort", "dry_run", "force"])]
    pub resume: bool,
    /// Undo the run that stopped
    #[arg(long, conflicts_with = "dry_run")]
    pub abort: bool,
    /// Wait so long for another run to finish
    #[arg(long, value_name = "SECS")]
    pub wait_lock: Option<u64>,
    /// Override a held lock; the reason is recorded
    #[arg(long, value_name = "REASON")]
    pub break_glass: Option<String>,
    /// Release although it goes backwards, loses a hotfix, comes from another branch, or leaves functions behind; the reason is recorded
    #[arg(long, value_name = "REASON")]
    pub anyway: Option<String>,
    /// Publish although more than half of the live files would go
    #[arg(long)]
    pub allow_shrink: bool,
    /// Publish a site without its entry page
    #[arg(long)]
    pub allow_no_index: bool,
    /// Ask nothing
    #[arg(long)]
    pub yes: bool,
    /// One JSON document on standard output, also on failure
    #[arg(long)]
    pub json: bool,
}

impl DeployArgs {
    fn options(&self) -> Options {
        Options {
            asked: Asked {
                only: self.only.clone(),
                force: self.force,
            },
            accepted: Accepted {
                shrink: self.allow_shrink,
                no_index: self.allow_no_index,
                without_functions: self.anyway.is_some(),
            },
            wait_lock: Duration::from_secs(self.wait_lock.unwrap_or(0)),
            break_glass: self.break_glass.clone(),
            anyway: self.anyway.clone(),
            resume: self.resume,
            abort: self.abort,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When it could not begin.
pub fn run(app: &App<'_>, args: &DeployArgs) -> Result<u8, Failure> {
    if let Some(out) = &args.out {
        return super::prepare::run(app, args, out);
    }
    let project = app.project()?;
    let cancel = CancelFlag::default();
    let look = match (args.abort, &args.bundle) {
        // What is undone was released from another folder, perhaps.
        (true, _) => Look::CommitAlone,
        (_, Some(_)) => Look::WithoutSite,
        (_, None) => Look::at(&args.only),
    };
    let source = read_source(app, &project, &app.environment(args.place)?, look)?;
    // Before anything is contacted.
    let bundle = args
        .bundle
        .as_deref()
        .map(|shown| open_bundle(app, &project, &source, shown))
        .transpose()?;
    let connected = app.reach(&project, args.place)?;
    with_session(
        app,
        &project,
        &connected,
        &source,
        bundle.as_ref(),
        cancel.clone(),
        |session, dispatcher| {
            if args.dry_run {
                return super::plan::show(app, session, &args.options(), args.json);
            }
            confirm(app, args, session)?;
            // Not before: Ctrl-C at the question must simply end the program.
            hear_signals(&cancel)?;
            let ended = run::deploy(session, &args.options());
            let state = dispatcher.state();
            notify::all(app, session, &connected, &state);
            if args.json {
                app.console.out(&sink::json::deploy(&ended, &state));
            } else {
                app.console
                    .out(&sink::text::deploy(&ended, &state, session.target));
            }
            if let Some(problem) = dispatcher.journal_failure() {
                app.console
                    .err(&format!("warning: the journal lacks events: {problem}"));
            }
            Ok(exit_code(&ended))
        },
    )
}

fn open_bundle(
    app: &App<'_>,
    project: &Project,
    source: &SourceTree,
    shown: &Path,
) -> Result<Bundle, Failure> {
    let dir = app.environ.cwd.join(shown);
    Bundle::open(&dir, shown, &project.config, source).map_err(|error| match error {
        BundleError::Absent(text) => Failure::usage(text),
        refused @ BundleError::Refused(_) => Failure::refused(refused.to_string()),
    })
}

/// How much of the folder is looked at beside its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The site as it lies here is part of what is asked for.
    Whole,
    /// It is not: another lane is meant, or a bundle has it.
    WithoutSite,
    /// Nothing is released of it.
    CommitAlone,
}

impl Look {
    /// What these lanes need; none are all.
    pub fn at(lanes: &[Lane]) -> Self {
        if lanes.is_empty() || lanes.contains(&Lane::Frontend) {
            Self::Whole
        } else {
            Self::WithoutSite
        }
    }
}

/// Reads what would be released and says when it is more than HEAD.
pub fn read_source(
    app: &App<'_>,
    project: &Project,
    name: &EnvironmentName,
    look: Look,
) -> Result<SourceTree, Failure> {
    let found = project.git.source()?;
    let tree = project.git.tree(&found.commit)?;
    let (git, config, filters) = (&project.git, &project.config, &project.filters);
    if look != Look::CommitAlone {
        let idle = filters.idle(config, &tree);
        if !idle.lanes.is_empty() {
            return Err(Failure::usage(ConfigError::new(idle.lanes).to_string()));
        }
        for problem in idle.patterns {
            app.console.err(&format!("warning: {problem}"));
        }
    }
    let mut source = source::of(git, config, filters, found, &tree)?;
    if let Some(lane) = source
        .manifests
        .get(&Lane::Frontend)
        .filter(|_| look == Look::Whole)
    {
        let checkout = Checkout {
            root: &project.root,
            git,
            config,
            filters,
            tree: &tree,
            lane: &lane.files,
        };
        source.folder = checkout.verify()?;
    }
    // Without any remote the provider builds from somewhere else. Production is refused then, for want of the refs.
    if name.as_str() != LOCAL && source.versioned && project.git.has_remote()? {
        source.remote_branches = Some(remote_branches(project, &source.commit)?);
    }
    if name.as_str() == LOCAL && !app.globals.quiet {
        if !source.versioned {
            app.console
                .err("note: this folder is no git repository; its files are released as they are");
        } else if !source.dirty.is_empty() {
            app.console.err(&format!(
                "note: {} uncommitted change(s); the working tree is released as snapshot {}",
                source.dirty.len(),
                source.commit.short()
            ));
        }
    }
    Ok(source)
}

/// The branches of the origin that hold the commit. Where this clone knows of none, the origin is asked: it may have been pushed from
/// elsewhere, and the clone of a tag has no branches. An origin that does not answer leaves it at that.
fn remote_branches(project: &Project, commit: &Commit) -> Result<Vec<String>, Failure> {
    let known = project.git.remote_branches(commit)?;
    if !known.is_empty() {
        return Ok(known);
    }
    let history = GitHistory {
        git: &project.git,
        remote: Some(ORIGIN),
    };
    Ok(history.branches_holding(commit).unwrap_or_default())
}

/// Opens everything that talks to the outside and hands it to `body`.
///
/// # Errors
/// When something cannot be opened, and those of the body.
pub fn with_session(
    app: &App<'_>,
    project: &Project,
    connected: &Connected,
    source: &SourceTree,
    bundle: Option<&Bundle>,
    cancel: CancelFlag,
    body: impl FnOnce(&Session<'_>, &crate::dispatch::Dispatcher) -> Result<u8, Failure>,
) -> Result<u8, Failure> {
    let target = &connected.target;
    let journal = app.journal(project)?;
    let refs = app.refs(project, &target.name);
    let dispatcher = app.dispatcher();
    let world = Real::new(&journal, &refs, &dispatcher, cancel)?;
    let budget = AtomicU32::new(RETRY_BUDGET);
    let api = |provider, base, name| -> Result<Api<'_>, Failure> {
        Ok(Api::new(&world, provider, base, Some(connected.secret(name)?)).paying_from(&budget))
    };
    let netlify = Netlify::new(
        api(
            "Netlify",
            &target.netlify_api,
            CredentialName::NetlifyAuthToken,
        )?,
        target.site_id.clone(),
    );
    let render = Render::new(
        api("Render", &target.render_api, CredentialName::RenderApiKey)?,
        target.service_id.clone(),
    );
    let folder = PublishFolder {
        root: &project.root,
        config: &project.config,
        filters: &project.filters,
        planned: source.folder.as_ref(),
    };
    let inputs = WorkingTree {
        site: bundle.map_or(&folder as &dyn BuiltSite, |bundle| bundle),
        root: &project.root,
        config: &project.config,
        target,
        commit: &source.commit,
        migrations: &source.migrations,
        run: Mutex::new(None),
    };
    let commands = app.commands(&project.root);
    let session = Session {
        world: &world,
        config: &project.config,
        filters: &project.filters,
        target,
        source,
        netlify: &netlify,
        render: &render,
        admin_token: connected.credentials.get(CredentialName::TandemAdminToken),
        inputs: &inputs,
        preparation: match bundle {
            None => Preparation::Here(&commands),
            Some(bundle) => Preparation::Bundle {
                manifest: bundle.manifest(),
                dir: bundle.shown(),
                commands: &commands,
            },
        },
        by: app.by(),
        process: process::current(),
        is_dead: &process::is_dead,
        history: &GitHistory {
            git: &project.git,
            remote: (!target.is_local).then_some(ORIGIN),
        },
    };
    body(&session, &dispatcher)
}

/// On a terminal a release to production is confirmed; off a terminal nothing asks.
fn confirm(app: &App<'_>, args: &DeployArgs, session: &Session<'_>) -> Result<(), Failure> {
    let asks = session.target.is_production
        && app.environ.stdin_is_terminal
        && app.environ.stderr_is_terminal
        && !args.yes
        && !args.resume
        && !args.abort;
    if !asks {
        return Ok(());
    }
    let observed =
        crate::facts::observe(session).map_err(|error| Failure::refused(error.to_string()))?;
    let planned = plan(&observed.facts, &args.options().asked);
    let judged = crate::facts::judge(session, &args.options(), &observed, &planned);
    // What is refused anyway is no question.
    if planned.is_empty() || !judged.refusals.is_empty() {
        return Ok(());
    }
    app.console.err(&sink::text::plan(
        &planned,
        &observed.facts,
        &judged.remarks(),
        5,
    ));
    app.console
        .err(&format!("Release this to {}? [y/N]", session.target.name));
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::refused(format!("read the answer: {error}")))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::refused("not confirmed; nothing was changed"))
    }
}

fn exit_code(ended: &Ended) -> u8 {
    if ended.nothing_to_do {
        Exit::Done.code()
    } else {
        ended.verdict.exit.code()
    }
}
