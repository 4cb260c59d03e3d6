//! `cargo xtask plan` and `cargo xtask why`: the same value that `deploy` carries out, shown.

use super::Where;
use super::app::{App, Failure};
use super::deploy::{Look, read_source, with_session};
use crate::changes::manifest::{Change, Status};
use crate::changes::{Explanation, import};
use crate::exit::Exit;
use crate::facts::{self, Observed};
use crate::ids::Lane;
use crate::lease::{self, LeaseError};
use crate::plan::{Asked, Plan, Remarks, plan};
use crate::real::CancelFlag;
use crate::run::{Options, Session};
use crate::sink;
use crate::sink::text::Why;
use clap::Args;
use std::path::{Path, PathBuf};

/// Files shown per kind of change, unless `--json` shows all.
const FILES_SHOWN: usize = 5;

/// Show what a deploy would do, and why.
#[derive(Args, Debug)]
pub struct PlanArgs {
    #[command(flatten)]
    pub place: Where,
    /// Only this lane; may be given twice
    #[arg(long, value_name = "LANE", value_parser = super::lane)]
    pub only: Vec<Lane>,
    /// Plan as if everything differed
    #[arg(long)]
    pub force: bool,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
    /// Exit with 20 when a deploy would change something, with 3 when it would be refused
    #[arg(long)]
    pub exit_code: bool,
    /// Fail when a tracked file belongs to no lane and is not ignored
    #[arg(long)]
    pub strict: bool,
    /// Print checks and builds as a job matrix for GitHub Actions, in one line
    #[arg(long, conflicts_with = "json")]
    pub github_matrix: bool,
    /// Print the paths-filter block of an existing workflow as `paths` for deploy.toml, and nothing else
    #[arg(long, value_name = "FILE", exclusive = true)]
    pub import_workflow: Option<PathBuf>,
}

/// Explain why a lane would run or not, file by file.
#[derive(Args, Debug)]
pub struct WhyArgs {
    /// frontend or backend
    #[arg(value_name = "LANE", value_parser = super::lane)]
    pub lane: Lane,
    #[command(flatten)]
    pub place: Where,
}

/// Runs `plan`.
///
/// # Errors
/// When what is live cannot be read.
pub fn run(app: &App<'_>, args: &PlanArgs) -> Result<u8, Failure> {
    if let Some(workflow) = &args.import_workflow {
        return import_workflow(app, workflow);
    }
    let asked = Asked {
        only: args.only.clone(),
        force: args.force,
    };
    let look = Look::at(&args.only);
    observed(app, args.place, look, |app, session, observed| {
        let planned = plan(&observed.facts, &asked);
        let options = Options {
            asked: asked.clone(),
            ..Options::default()
        };
        let remarks = judge(session, &options, observed, &planned);
        let unselected = observed.facts.unselected.len();
        if args.strict && unselected > 0 {
            return Err(Failure::usage(format!(
                "{unselected} tracked file(s) belong to no lane and are not ignored, the first is {} (hint: add them to a lane's `paths` or to `ignore`)",
                observed.facts.unselected.first().map_or("", String::as_str)
            )));
        }
        if args.github_matrix {
            let matrix = sink::json::github_matrix(&planned, session.config);
            app.console.out(&matrix);
        } else {
            print(app, &planned, observed, &remarks, args.json);
        }
        Ok(exit(args.exit_code, &planned, &remarks).code())
    })
}

/// What `--exit-code` answers.
fn exit(asked: bool, planned: &Plan, remarks: &Remarks) -> Exit {
    match asked {
        true if !remarks.refusals.is_empty() => Exit::Refused,
        true if !planned.is_empty() => Exit::Pending,
        _ => Exit::Done,
    }
}

/// Everything that a deploy would say before it begins, a lock that is held included.
fn judge(session: &Session<'_>, options: &Options, observed: &Observed, planned: &Plan) -> Remarks {
    let mut remarks = facts::judge(session, options, observed, planned).remarks();
    if planned.is_empty() {
        return remarks;
    }
    match lease::holder(session.world, &session.target.name) {
        // A lock that was taken by hand stays when its process is gone.
        Ok(Some((_, holder))) if holder.reason.is_some() || !(session.is_dead)(&holder.process) => {
            let held = LeaseError::Held(Box::new(holder));
            remarks.refusals.push(held.to_string());
        }
        Ok(_) => {}
        Err(error) => remarks.refusals.push(format!("{error:#}")),
    }
    remarks
}

/// Prints a workflow's filters as deploy.toml has them. It needs no project: it is what somebody does who has none yet.
fn import_workflow(app: &App<'_>, workflow: &Path) -> Result<u8, Failure> {
    let shown = workflow.display().to_string();
    let workflow = app.environ.cwd.join(workflow);
    let read = |path: &Path| {
        fs_err::read_to_string(path).map_err(|error| Failure::usage(error.to_string()))
    };
    let wrong = |file: &str| {
        let file = file.to_owned();
        move |error: import::ImportError| Failure::usage(error.in_file(&file))
    };
    let found = import::find(&read(&workflow)?).map_err(wrong(&shown))?;
    let filters = match &found.filters {
        import::Place::Here(text, line) => import::read(text, *line).map_err(wrong(&shown))?,
        import::Place::File(name) => {
            // The action reads it from the repository's root, which is somewhere above the workflow.
            let above = workflow.ancestors().map(|folder| folder.join(name));
            let path = above.into_iter().find(|path| path.is_file()).ok_or_else(|| {
                Failure::usage(format!(
                    "{shown} takes its filters from {name}, which is in no folder above it (hint: run this in a checkout of the whole repository)"
                ))
            })?;
            import::read(&read(&path)?, 1).map_err(wrong(name))?
        }
    };
    app.console
        .out(&import::to_toml(&filters, found.quantifier, &shown));
    Ok(Exit::Done.code())
}

/// Shows a plan inside an open session: `deploy --dry-run`.
///
/// # Errors
/// When what is live cannot be read.
pub fn show(
    app: &App<'_>,
    session: &Session<'_>,
    options: &Options,
    json: bool,
) -> Result<u8, Failure> {
    let observed = facts::observe(session).map_err(|error| Failure::refused(error.to_string()))?;
    let planned = plan(&observed.facts, &options.asked);
    let remarks = judge(session, options, &observed, &planned);
    print(app, &planned, &observed, &remarks, json);
    Ok(Exit::Done.code())
}

fn print(app: &App<'_>, planned: &Plan, observed: &Observed, remarks: &Remarks, json: bool) {
    app.console.out(&if json {
        sink::json::plan(planned, &observed.facts, remarks)
    } else {
        sink::text::plan(planned, &observed.facts, remarks, FILES_SHOWN)
    });
}

fn observed(
    app: &App<'_>,
    place: Where,
    look: Look,
    body: impl FnOnce(&App<'_>, &Session<'_>, &Observed) -> Result<u8, Failure>,
) -> Result<u8, Failure> {
    let project = app.project()?;
    let source = read_source(app, &project, &app.environment(place)?, look)?;
    let connected = app.reach(&project, place)?;
    with_session(
        app,
        &project,
        &connected,
        &source,
        None,
        CancelFlag::default(),
        |session, _| {
            let observed =
                facts::observe(session).map_err(|error| Failure::refused(error.to_string()))?;
            body(app, session, &observed)
        },
    )
}

/// Runs `why`.
///
/// # Errors
/// When what is live cannot be read.
pub fn why(app: &App<'_>, args: &WhyArgs) -> Result<u8, Failure> {
    let look = Look::at(&[args.lane]);
    observed(app, args.place, look, |app, session, observed| {
        app.console.out(&explain(session, observed, args.lane));
        Ok(Exit::Done.code())
    })
}

/// Every difference of the lane's files with the rules that met or nearly met it, and the first files of no lane likewise.
fn explain(session: &Session<'_>, observed: &Observed, lane: Lane) -> String {
    let facts = &observed.facts;
    let planned = plan(facts, &Asked::default());
    let old = facts
        .live
        .as_ref()
        .and_then(|live| live.manifests.get(&lane));
    let new = facts.manifests.get(&lane);
    let differences = match (old, new) {
        (Some(old), Some(new)) => new.changes_from(old),
        _ => Vec::new(),
    };
    let changes: Vec<(Change, Explanation)> = differences
        .into_iter()
        .filter_map(|change| {
            let explanation = session.filters.explain(lane, &change)?;
            Some((change, explanation))
        })
        .collect();
    let unselected: Vec<(String, Explanation)> = facts
        .unselected
        .iter()
        .take(FILES_SHOWN)
        .filter_map(|path| {
            let change = Change {
                path: path.clone(),
                status: Status::Modified,
            };
            Some((path.clone(), session.filters.explain(lane, &change)?))
        })
        .collect();
    let decision = planned.lanes.iter().find(|decision| decision.lane == lane);
    decision.map_or_else(String::new, |decision| {
        sink::text::why(&Why {
            decision,
            files: new.map_or(0, |manifest| manifest.files.len()),
            compared: old.is_some(),
            changes: &changes,
            unselected: &unselected,
            unselected_count: facts.unselected.len(),
        })
    })
}
