//! What happens in a run, as data. The engine prints nothing: the journal, the terminal, Slack and reports are all made from these.

use crate::exit::Exit;
use crate::ids::{Commit, DeployId, EnvironmentName, Lane, ReleaseId, RunId};
use serde::{Deserialize, Serialize};

/// One numbered event of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the run, from 1.
    pub seq: u64,
    /// Wall clock, milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Milliseconds of the run's own time, which never steps back: a resumed run goes on counting where its earlier attempt stopped.
    pub elapsed_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// A step of a release. The order of the variants is the order of display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Configuration, credentials, lease, snapshot, plan.
    Preflight,
    /// Another run holds the lease.
    Lock,
    /// The configured test commands.
    Checks,
    /// The site's build command.
    FrontendBuild,
    /// Upload as an unpublished deploy.
    FrontendUpload,
    /// The unpublished deploy answers under its permalink with our bytes.
    FrontendPermalink,
    /// Pending migrations run on a copy of the live schema.
    BackendRehearse,
    /// The provider builds and starts our commit.
    BackendDeploy,
    /// The schema is read back from the running service.
    BackendSchema,
    /// Our commit answers, healthy, N times in a row.
    BackendIdentity,
    /// Another program asks the new backend.
    BackendSmoke,
    /// The frontend's deploy becomes the public one.
    FrontendPublish,
    /// The public site is ours, byte for byte.
    FrontendVerify,
    /// Another program asks the new frontend.
    FrontendSmoke,
    /// Both are watched for a while.
    Bake,
    /// The live record moves; the lease is given back.
    Finalise,
    /// The frontend's previous deploy is restored, or the draft is cancelled.
    UndoFrontend,
    /// The backend is rolled back to the deploy that was live before.
    UndoBackend,
}

impl Step {
    /// All of them.
    const ALL: &'static [Self] = &[
        Self::Preflight,
        Self::Lock,
        Self::Checks,
        Self::FrontendBuild,
        Self::FrontendUpload,
        Self::FrontendPermalink,
        Self::BackendRehearse,
        Self::BackendDeploy,
        Self::BackendSchema,
        Self::BackendIdentity,
        Self::BackendSmoke,
        Self::FrontendPublish,
        Self::FrontendVerify,
        Self::FrontendSmoke,
        Self::Bake,
        Self::Finalise,
        Self::UndoFrontend,
        Self::UndoBackend,
    ];

    /// Short words for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Lock => "wait for the lock",
            Self::Checks => "checks",
            Self::FrontendBuild => "build",
            Self::FrontendUpload => "upload as a draft",
            Self::FrontendPermalink => "verify the draft",
            Self::BackendRehearse => "rehearse migrations",
            Self::BackendDeploy => "deploy and start",
            Self::BackendSchema => "read the schema back",
            Self::BackendIdentity => "prove the version",
            Self::BackendSmoke | Self::FrontendSmoke => "smoke test",
            Self::FrontendPublish => "publish",
            Self::FrontendVerify => "verify what is public",
            Self::Bake => "watch both",
            Self::Finalise => "record what is live",
            Self::UndoFrontend => "undo the frontend",
            Self::UndoBackend => "roll the backend back",
        }
    }

    /// The lane that a step belongs to; none for steps of the whole release.
    pub fn lane(self) -> Option<Lane> {
        match self {
            Self::FrontendBuild
            | Self::FrontendUpload
            | Self::FrontendPermalink
            | Self::FrontendPublish
            | Self::FrontendVerify
            | Self::FrontendSmoke
            | Self::UndoFrontend => Some(Lane::Frontend),
            Self::BackendRehearse
            | Self::BackendDeploy
            | Self::BackendSchema
            | Self::BackendIdentity
            | Self::BackendSmoke
            | Self::UndoBackend => Some(Lane::Backend),
            Self::Preflight | Self::Lock | Self::Checks | Self::Bake | Self::Finalise => None,
        }
    }

    /// The steps that must have ended before this one can begin, when they run at all: the edges of the critical path.
    pub fn after(self) -> &'static [Self] {
        match self {
            // It goes on when the lock is ours. Whatever else was over before it is of an earlier attempt.
            Self::Preflight | Self::Lock => Self::ALL,
            Self::Checks | Self::FrontendBuild | Self::BackendRehearse => &[Self::Preflight],
            Self::FrontendUpload => &[Self::FrontendBuild, Self::Preflight],
            Self::FrontendPermalink => &[Self::FrontendUpload],
            Self::BackendDeploy => &[
                Self::Checks,
                Self::FrontendPermalink,
                Self::BackendRehearse,
                Self::Preflight,
            ],
            Self::BackendSchema => &[Self::BackendDeploy],
            Self::BackendIdentity => &[Self::BackendSchema, Self::BackendDeploy],
            Self::BackendSmoke => &[Self::BackendIdentity],
            Self::FrontendPublish => &[
                Self::Checks,
                Self::FrontendPermalink,
                Self::BackendIdentity,
                Self::BackendSmoke,
            ],
            Self::FrontendVerify => &[Self::FrontendPublish],
            Self::FrontendSmoke => &[Self::FrontendVerify],
            Self::Bake => &[
                Self::FrontendVerify,
                Self::FrontendSmoke,
                Self::BackendIdentity,
                Self::BackendSmoke,
            ],
            Self::Finalise => &[
                Self::Bake,
                Self::FrontendVerify,
                Self::FrontendSmoke,
                Self::BackendIdentity,
                Self::BackendSmoke,
                Self::UndoFrontend,
                Self::UndoBackend,
            ],
            // Whatever was done before is what is undone.
            Self::UndoFrontend | Self::UndoBackend => Self::ALL,
        }
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    /// Done.
    Ok,
    /// It failed; the detail says why.
    Failed,
    /// The run was cancelled before it ended.
    Cancelled,
}

/// Where a lane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneState {
    /// It will not run in this release.
    Unchanged,
    /// It will run.
    Planned,
    /// The provider has a deploy of ours that is not public.
    Prepared,
    /// The provider says our deploy is live.
    Live,
    /// Live and proven to be ours.
    Verified,
    /// It failed and nothing of it is public.
    Failed,
    /// What was live before is live again, and proven so.
    RolledBack,
    /// A newer deploy of somebody else is live.
    Superseded,
    /// What is live could not be learnt.
    Unknown,
}

/// Why a lane runs or does not, and what differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneDecision {
    /// Which half.
    pub lane: Lane,
    /// Whether it runs.
    pub run: bool,
    /// One sentence.
    pub reason: String,
    /// Paths that the live release does not have.
    pub added: Vec<String>,
    /// Paths whose content, mode or type differs.
    pub modified: Vec<String>,
    /// Paths that only the live release has.
    pub deleted: Vec<String>,
    /// Those of `modified` that became something else: a file that is a link now, or the like.
    #[serde(default)]
    pub type_changed: Vec<String>,
    /// The rule that the first difference meets.
    #[serde(default)]
    pub rule: Option<String>,
    /// What will prove that this release answers, in words.
    #[serde(default)]
    pub identity: String,
}

impl LaneDecision {
    /// A lane that does not run, and of whose files nothing is said.
    pub fn without_files(lane: Lane) -> Self {
        Self {
            lane,
            run: false,
            reason: String::new(),
            added: Vec::new(),
            modified: Vec::new(),
            deleted: Vec::new(),
            type_changed: Vec::new(),
            rule: None,
            identity: String::new(),
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// First event of a run.
    RunStarted {
        /// The run.
        run: RunId,
        /// `deploy`, `rollback`, …
        command: String,
        /// Where to.
        environment: EnvironmentName,
        /// What is released.
        commit: Commit,
        /// The first line of the commit message, or what a snapshot is.
        subject: String,
        /// Who or what started the run: a user name or a CI run's address.
        by: String,
        /// A recorded override: `--force`, `--break-glass`, …
        override_reason: Option<String>,
    },
    /// A previous run was found unfinished or is continued.
    Recovered {
        /// That run.
        run: RunId,
        /// What was learnt.
        text: String,
        /// Whether it is continued to be undone, because somebody asked for that.
        #[serde(default)]
        abort: bool,
    },
    /// The plan that is about to be carried out.
    Planned {
        /// What is live before.
        parent: Option<ReleaseId>,
        /// One entry per lane.
        lanes: Vec<LaneDecision>,
        /// Whether the backend can be rolled back after this release.
        reversible: bool,
        /// Why, or why not.
        reversible_because: String,
        /// Migrations that this release brings, by file name.
        migrations: Vec<String>,
        /// The steps that will run, in order of display.
        steps: Vec<Step>,
    },
    /// A step began.
    StepStarted {
        /// Which.
        step: Step,
    },
    /// How far a step is; not kept in the journal.
    StepProgress {
        /// Which.
        step: Step,
        /// A few words: a provider's status, `12 of 40 files`.
        text: String,
    },
    /// A step ended.
    StepFinished {
        /// Which.
        step: Step,
        /// How.
        end: StepEnd,
        /// What it found, or why it failed.
        detail: String,
    },
    /// One line that a command or a provider's log printed.
    Output {
        /// The step that it belongs to.
        step: Step,
        /// The line, without its end.
        line: String,
    },
    /// A call is made again after a wait.
    Retry {
        /// What is called.
        what: String,
        /// Why the last answer was not enough.
        because: String,
        /// How long the wait is.
        wait_ms: u64,
    },
    /// A lane changed its state.
    LaneChanged {
        /// Which.
        lane: Lane,
        /// To what.
        state: LaneState,
        /// The provider's id, when there is one.
        deploy_id: Option<DeployId>,
        /// Where it answers, when it does.
        url: Option<String>,
    },
    /// A gate decided.
    Gate {
        /// 1: everything prepared. 2: the backend is live and proven as planned.
        number: u8,
        /// Whether the release goes on.
        passed: bool,
        /// In a few words.
        because: String,
    },
    /// Something that a person should know and that changes nothing.
    Warning {
        /// One sentence.
        text: String,
    },
    /// Something worth saying.
    Note {
        /// One sentence.
        text: String,
    },
    /// Last event of a run.
    RunFinished {
        /// How.
        exit: Exit,
        /// The release that is live now because of this run.
        release: Option<ReleaseId>,
        /// One or two sentences.
        reason: String,
        /// Commands worth typing next.
        next: Vec<String>,
    },
}

impl EventKind {
    /// Whether the journal keeps it. Progress is only for the moment.
    pub fn is_durable(&self) -> bool {
        !matches!(self, Self::StepProgress { .. })
    }
}
