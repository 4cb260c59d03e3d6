//! Runs for the sinks' tests, each written down as the events that its engine emits.

use crate::contract::{Contract, Rung};
use crate::event::{Event, EventKind, LaneDecision, LaneState, Step, StepEnd};
use crate::executor::Verdict;
use crate::exit::Exit;
use crate::ids::{Lane, ReleaseId};
use crate::plan::{Facts, Plan};
use crate::run::Ended;
use crate::state::RunState;
use std::collections::BTreeMap;

const RUN: &str = "20261123T170102Z-1a2b3c4-9f3c";
const COMMIT: &str = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d";
/// 2026-11-23 17:01:02 UTC.
const STARTED_MS: i64 = 1_795_453_262_000;

/// Events in order, each some time after the one before.
pub(crate) struct Story {
    events: Vec<Event>,
    elapsed_ms: u64,
}

impl Story {
    fn begin(subject: &str) -> Self {
        Self::begin_command("deploy", subject)
    }

    fn begin_command(command: &str, subject: &str) -> Self {
        let mut story = Self {
            events: Vec::new(),
            elapsed_ms: 0,
        };
        story.say(
            0,
            EventKind::StepStarted {
                step: Step::Preflight,
            },
        );
        story.say(
            150,
            EventKind::RunStarted {
                run: RUN.into(),
                command: command.to_owned(),
                environment: "production".into(),
                commit: COMMIT.into(),
                subject: subject.to_owned(),
                by: "someone".to_owned(),
                override_reason: None,
            },
        );
        story.say(
            0,
            EventKind::StepStarted {
                step: Step::Preflight,
            },
        );
        story
    }

    fn say(&mut self, after_ms: u64, kind: EventKind) -> &mut Self {
        self.elapsed_ms += after_ms;
        let seq = self.events.len() as u64 + 1;
        let at_ms = STARTED_MS + i64::try_from(self.elapsed_ms).unwrap();
        self.events.push(Event {
            seq,
            at_ms,
            elapsed_ms: self.elapsed_ms,
            kind,
        });
        self
    }

    fn start(&mut self, step: Step) -> &mut Self {
        self.say(5, EventKind::StepStarted { step })
    }

    fn end(&mut self, after_ms: u64, step: Step, end: StepEnd, detail: &str) -> &mut Self {
        self.say(
            after_ms,
            EventKind::StepFinished {
                step,
                end,
                detail: detail.to_owned(),
            },
        )
    }

    fn step(&mut self, took_ms: u64, step: Step, detail: &str) -> &mut Self {
        self.start(step).end(took_ms, step, StepEnd::Ok, detail)
    }

    fn output(&mut self, step: Step, lines: &[&str]) -> &mut Self {
        for line in lines {
            self.say(
                1,
                EventKind::Output {
                    step,
                    line: (*line).to_owned(),
                },
            );
        }
        self
    }

    fn lane(
        &mut self,
        lane: Lane,
        state: LaneState,
        deploy_id: &str,
        url: Option<&str>,
    ) -> &mut Self {
        let deploy_id = Some(deploy_id.into());
        self.say(
            0,
            EventKind::LaneChanged {
                lane,
                state,
                deploy_id,
                url: url.map(str::to_owned),
            },
        )
    }

    fn gate(&mut self, number: u8, passed: bool, because: &str) -> &mut Self {
        self.say(
            1,
            EventKind::Gate {
                number,
                passed,
                because: because.to_owned(),
            },
        )
    }

    fn plan(&mut self, backend: bool, migrations: &[&str]) -> &mut Self {
        self.end(
            120,
            Step::Preflight,
            StepEnd::Ok,
            "reversible: yes, because no pending migration breaks the live version",
        );
        let steps = vec![
            Step::Checks,
            Step::FrontendUpload,
            Step::FrontendPermalink,
            Step::BackendDeploy,
            Step::FrontendPublish,
        ];
        self.say(
            1,
            EventKind::Planned {
                parent: Some("20261120T090000Z-0f0f0f0-0001".into()),
                lanes: decisions(true, backend),
                reversible: true,
                reversible_because: "no pending migration breaks the live version".to_owned(),
                migrations: migrations.iter().map(|name| (*name).to_owned()).collect(),
                steps,
            },
        )
    }

    /// Checks, upload and rehearsal, the three side by side.
    fn prepare(&mut self, backend: bool) -> &mut Self {
        self.start(Step::Checks).start(Step::FrontendUpload);
        if backend {
            self.step(
                300,
                Step::BackendRehearse,
                "1 file on the live schema in 12 ms",
            );
        }
        self.say(
            100,
            EventKind::StepProgress {
                step: Step::FrontendUpload,
                text: "2 of 3 files".to_owned(),
            },
        );
        self.end(
            700,
            Step::FrontendUpload,
            StepEnd::Ok,
            "3 of 12 files were new to the provider",
        );
        self.lane(
            Lane::Frontend,
            LaneState::Prepared,
            "65f0c0ffee65f0c0ffee65f0",
            Some("https://65f0c0ffee--shop.netlify.app"),
        );
        self.step(200, Step::FrontendPermalink, "12 files have our content")
    }

    fn checks_pass(&mut self) -> &mut Self {
        self.output(
            Step::Checks,
            &[
                "running 2 tests",
                "test totals ... ok",
                "test rounding ... ok",
            ],
        );
        self.end(4_000, Step::Checks, StepEnd::Ok, "passed: backend");
        self.gate(1, true, "everything is prepared and every check passed")
    }

    fn backend(&mut self) -> &mut Self {
        self.start(Step::BackendDeploy);
        self.say(
            900,
            EventKind::StepProgress {
                step: Step::BackendDeploy,
                text: "build_in_progress".to_owned(),
            },
        );
        self.say(
            50,
            EventKind::Retry {
                what: "Render GET /services/srv-1/deploys/dep-9".to_owned(),
                because: "status 503".to_owned(),
                wait_ms: 1_500,
            },
        );
        self.end(6_000, Step::BackendDeploy, StepEnd::Ok, "dep-9 is live");
        self.lane(
            Lane::Backend,
            LaneState::Live,
            "dep-9",
            Some("https://shop-api.onrender.com"),
        )
    }

    fn backend_proven(&mut self) -> &mut Self {
        self.step(
            80,
            Step::BackendSchema,
            "generation 3, 1 applied by this release",
        );
        self.step(
            220,
            Step::BackendIdentity,
            "1a2b3c4 answered 3 times in a row",
        );
        self.lane(
            Lane::Backend,
            LaneState::Verified,
            "dep-9",
            Some("https://shop-api.onrender.com"),
        );
        self.gate(2, true, "the backend is live and proven as planned")
    }

    fn publish(&mut self) -> &mut Self {
        self.step(
            400,
            Step::FrontendPublish,
            "65f0c0ffee65f0c0ffee65f0 is the published deploy",
        );
        self.step(150, Step::FrontendVerify, "12 files have our content");
        self.lane(
            Lane::Frontend,
            LaneState::Verified,
            "65f0c0ffee65f0c0ffee65f0",
            Some("https://shop.example"),
        );
        self.step(90, Step::Finalise, &format!("{RUN} is recorded as live"))
    }

    fn finish(&mut self, exit: Exit, reason: &str, next: &[&str]) -> Told {
        let release = (exit == Exit::Done).then(|| ReleaseId::from(RUN));
        let next = next
            .iter()
            .map(|command| format!("cargo xtask {command} --prod"))
            .collect();
        self.say(
            10,
            EventKind::RunFinished {
                exit,
                release: release.clone(),
                reason: reason.to_owned(),
                next,
            },
        );
        let state = RunState::fold(&self.events);
        let verdict = Verdict {
            exit,
            reason: reason.to_owned(),
            release,
        };
        let ended = Ended {
            run: state.run.clone(),
            verdict,
            plan: None,
            nothing_to_do: false,
        };
        Told {
            events: std::mem::take(&mut self.events),
            state,
            ended,
        }
    }
}

/// A whole run.
pub(crate) struct Told {
    pub(crate) events: Vec<Event>,
    pub(crate) state: RunState,
    pub(crate) ended: Ended,
}

pub(crate) fn decisions(frontend: bool, backend: bool) -> Vec<LaneDecision> {
    let decide = |lane, run, files: [&str; 3]| LaneDecision {
        run,
        reason: if run {
            format!("{} modified and 1 more", files[1])
        } else {
            "its 12 files are those of the live release 20261120T090000Z-0f0f0f0-0001".to_owned()
        },
        added: if run {
            vec![files[0].to_owned()]
        } else {
            Vec::new()
        },
        modified: if run {
            vec![files[1].to_owned()]
        } else {
            Vec::new()
        },
        deleted: if run && lane == Lane::Frontend {
            vec![files[2].to_owned()]
        } else {
            Vec::new()
        },
        rule: run.then(|| format!("{lane}/**")),
        ..LaneDecision::without_files(lane)
    };
    vec![
        decide(
            Lane::Frontend,
            frontend,
            [
                "frontend/js/chart.js",
                "frontend/js/main.js",
                "frontend/js/old.js",
            ],
        ),
        decide(
            Lane::Backend,
            backend,
            ["migrations/0003_add_region.sql", "backend/src/main.rs", ""],
        ),
    ]
}

const RESUME: &[&str] = &["deploy --resume", "deploy --abort", "status"];

pub(crate) fn released() -> Told {
    let mut story = Story::begin("Show revenue by region");
    story
        .plan(true, &["0003_add_region.sql"])
        .prepare(true)
        .checks_pass()
        .backend()
        .backend_proven()
        .publish();
    story.finish(
        Exit::Done,
        "frontend and backend of 1a2b3c4 are live and verified",
        &["status", "rollback"],
    )
}

pub(crate) fn frontend_only() -> Told {
    let mut story = Story::begin("Round the corners");
    story
        .plan(false, &[])
        .prepare(false)
        .checks_pass()
        .publish();
    story.finish(
        Exit::Done,
        "frontend of 1a2b3c4 is live and verified",
        &["status", "rollback"],
    )
}

pub(crate) fn check_failed() -> Told {
    let mut story = Story::begin("Show revenue by region");
    story.plan(true, &["0003_add_region.sql"]).prepare(true);
    story.output(
        Step::Checks,
        &[
            "running 2 tests",
            "test rounding ... \u{1b}[31mFAILED\u{1b}[0m",
            "::error::not for the runner",
            "  left: 1",
            " right: 2",
        ],
    );
    let why = "check 'backend' failed with exit code 101: cargo test -p backend";
    story
        .end(800, Step::Checks, StepEnd::Failed, why)
        .gate(1, false, why);
    story.lane(
        Lane::Frontend,
        LaneState::Failed,
        "65f0c0ffee65f0c0ffee65f0",
        None,
    );
    story.finish(
        Exit::FailedUnchanged,
        &format!("{why}; nothing that is live was changed"),
        &["history", "deploy"],
    )
}

pub(crate) fn rolled_back() -> Told {
    let mut story = Story::begin("Show revenue by region");
    story.plan(true, &[]).prepare(true).checks_pass().backend();
    story.step(
        80,
        Step::BackendSchema,
        "generation 3, 0 applied by this release",
    );
    let why = "the service answered 503 for 60 s";
    story
        .start(Step::BackendIdentity)
        .end(60_000, Step::BackendIdentity, StepEnd::Failed, why);
    story.output(
        Step::BackendDeploy,
        &[
            "listening on 0.0.0.0:10000",
            "error: the database is locked",
        ],
    );
    story.gate(2, false, why).lane(
        Lane::Frontend,
        LaneState::Failed,
        "65f0c0ffee65f0c0ffee65f0",
        None,
    );
    story.step(
        3_000,
        Step::UndoBackend,
        "dep-10 brought back dep-8; 0f0f0f0 answered 3 times in a row",
    );
    story.lane(
        Lane::Backend,
        LaneState::RolledBack,
        "dep-10",
        Some("https://shop-api.onrender.com"),
    );
    let reason = format!("{why}; the backend was rolled back and the frontend was never published");
    story.finish(Exit::RolledBack, &reason, &["history", "deploy"])
}

pub(crate) fn degraded() -> Told {
    let mut story = Story::begin("Show revenue by region");
    story
        .plan(true, &[])
        .prepare(true)
        .checks_pass()
        .backend()
        .backend_proven();
    let why = "Netlify POST /sites/x/deploys/y/restore: status 500";
    story
        .start(Step::FrontendPublish)
        .end(9_000, Step::FrontendPublish, StepEnd::Failed, why);
    story.say(
        1,
        EventKind::Warning {
            text: "the site's previous deploy was public all the time".to_owned(),
        },
    );
    let reason = format!(
        "the frontend could not be published: {why}; the previous frontend is public on the new backend, which is live and verified"
    );
    story.finish(Exit::Degraded, &reason, RESUME)
}

pub(crate) fn interrupted() -> Told {
    let mut story = Story::begin("Show revenue by region");
    story.plan(true, &[]).prepare(true).checks_pass();
    story.start(Step::BackendDeploy).end(
        1_200,
        Step::BackendDeploy,
        StepEnd::Cancelled,
        "interrupted",
    );
    let reason = "interrupted: the backend's deploy is left to the provider and the frontend was not published";
    story.finish(Exit::Interrupted, reason, RESUME)
}

/// The same, undone by another process, which had to wait for the lock.
pub(crate) fn aborted() -> Told {
    let mut story = Story {
        events: interrupted().events,
        elapsed_ms: 6_800,
    };
    let recovered = EventKind::Recovered {
        run: RUN.into(),
        text: "it is undone".to_owned(),
        abort: true,
    };
    story
        .say(200, recovered)
        .step(90, Step::Preflight, "run 2026-other holds the lock")
        .step(12_000, Step::Lock, "it is ours")
        .start(Step::Preflight)
        .plan(true, &[])
        .step(
            3_000,
            Step::UndoBackend,
            "dep-10 brought back dep-8; 0f0f0f0 answered 3 times in a row",
        )
        .lane(Lane::Backend, LaneState::RolledBack, "dep-10", None);
    let reason = format!(
        "run {RUN} was aborted; the backend was rolled back and the previous frontend is public"
    );
    story.finish(Exit::RolledBack, &reason, &["history", "deploy"])
}

/// A rollback of one half.
pub(crate) fn frontend_back() -> Told {
    let mut story = Story::begin_command("rollback", "Round the corners");
    story
        .plan(false, &[])
        .step(
            700,
            Step::UndoFrontend,
            "65f0c0ffee65f0c0ffee65f0 is published again",
        )
        .lane(
            Lane::Frontend,
            LaneState::RolledBack,
            "65f0c0ffee65f0c0ffee65f0",
            None,
        )
        .step(
            40,
            Step::Finalise,
            "20261120T090000Z-0f0f0f0-0001, with the frontend of 20261119T090000Z-1a2b3c4-0002 is recorded as live",
        );
    story.finish(Exit::Done, "live is release 20261120T090000Z-0f0f0f0-0001, with the frontend of 20261119T090000Z-1a2b3c4-0002", &["status", "rollback"])
}

/// What a commit message, a check and a provider may say.
pub(crate) fn hostile() -> Told {
    let text = format!(
        "<!channel> ::error:: & < > \u{1b}[31m <https://evil.example|click> @here ##[error]x | `a` {}",
        "x".repeat(5_000)
    );
    let mut story = Story::begin(&text);
    story.plan(true, &[]).prepare(true);
    story.output(
        Step::Checks,
        &[
            "::error::first",
            "##[add-mask]a",
            "\u{1b}]0;title\u{7}</pre><script>alert(1)</script>",
            &text,
        ],
    );
    story
        .end(800, Step::Checks, StepEnd::Failed, &text)
        .gate(1, false, &text);
    story.say(
        1,
        EventKind::Warning {
            text: format!("line one\n::warning::two {text}"),
        },
    );
    story.finish(
        Exit::FailedUnchanged,
        &format!("{text}\n::error::second line"),
        &["history"],
    )
}

/// What planning would have read.
pub(crate) fn facts(dirty: &[&str], unselected: &[&str]) -> Facts {
    let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    Facts {
        environment: "production".into(),
        commit: "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d".into(),
        subject: "Show revenue by region".to_owned(),
        dirty: owned(dirty),
        manifests: BTreeMap::new(),
        changes: BTreeMap::new(),
        rules: BTreeMap::new(),
        live: None,
        deployed: BTreeMap::new(),
        answering: BTreeMap::new(),
        contract: contract(),
        pending: Vec::new(),
        schema_known: true,
        asks_schema: true,
        checks: Vec::new(),
        unselected: owned(unselected),
        frontend_builds: false,
        backend_migrates: true,
        smoke: Vec::new(),
        bakes: true,
        unsent: None,
    }
}

/// A plan for them.
pub(crate) fn planned(facts: &Facts, frontend: bool, backend: bool) -> Plan {
    Plan {
        environment: facts.environment.clone(),
        commit: facts.commit.clone(),
        subject: facts.subject.clone(),
        parent: Some("20261120T090000Z-0f0f0f0-0001".into()),
        lanes: decisions(frontend, backend),
        reversible: true,
        reversible_because: "no migration is pending".to_owned(),
        migrations: Vec::new(),
        contract: contract(),
        steps: Vec::new(),
    }
}

/// What a service without any commit in its answers is judged by.
pub(crate) fn contract() -> Contract {
    Contract {
        health: "/api/health".to_owned(),
        version: "/api/version".to_owned(),
        admin: "/api/admin".to_owned(),
        rung: Rung::Provider,
    }
}

/// Text as somebody sees it who has no colours; and proof that nothing but colours was taken away.
pub(crate) fn plain(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    assert!(
        !plain.chars().any(|c| c.is_control() && c != '\n'),
        "{plain:?}"
    );
    for sequence in text.split('\u{1b}').skip(1) {
        let end = sequence
            .find('m')
            .unwrap_or_else(|| panic!("{sequence:?} is no colour"));
        assert!(
            sequence.starts_with('[')
                && sequence[1..end]
                    .chars()
                    .all(|c| c.is_ascii_digit() || c == ';'),
            "{sequence:?}"
        );
    }
    plain
}
