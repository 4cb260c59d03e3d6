//! The simulated process runner: carries out the core's orders by planning, in virtual time, what would happen.

use crate::ids::{DeployId, InstanceId};
use crate::reply::{Action, RunnerEvent, StartSpec};

use super::{Behaviour, Boot, Build, InProcess, Process, SimEvent, app};

/// A port no simulated process really listens on.
const PORT: u16 = 10_000;
/// How long a simulated process takes to end after SIGTERM.
const STOP_MS: i64 = 200;

impl InProcess {
    pub(super) fn plan(&mut self, at_ms: i64, event: SimEvent) {
        self.planned_count += 1;
        self.planned.insert((at_ms, self.planned_count), event);
    }

    pub(super) fn happen(&mut self, now_ms: i64, event: SimEvent) {
        match event {
            SimEvent::Report(event) => {
                if let RunnerEvent::Exited { instance, .. } = &event {
                    self.processes.remove(instance);
                }
                self.cloud.report(now_ms, event);
            }
            SimEvent::Booted(instance) => self.booted(now_ms, instance),
        }
    }

    /// The end of a boot that comes as far as the migrations: these, and then the first health check.
    fn booted(&mut self, now_ms: i64, instance: InstanceId) {
        let Some(process) = self.processes.get(&instance) else {
            return;
        };
        let behaviour = process.behaviour.clone();
        if behaviour.boot == Boot::MigrationFails {
            let file = behaviour.migrations.last().map(|m| m.filename.clone());
            let place = file.map_or_else(String::new, |file| format!("{file}:1:1: "));
            self.log(now_ms, &instance, "migrations: the database is as it was");
            let why =
                format!("migrate the database: {place}UNIQUE constraint failed (rolled back)");
            return self.exits(now_ms, instance, &why, 1);
        }
        let before = self.database.history.len();
        if let Err(refusal) = self.database.migrate(&behaviour.migrations, now_ms) {
            return self.exits(now_ms, instance, &refusal, 1);
        }
        let applied = self.database.history.len() - before;
        if applied > 0 {
            let backup = "migrations: backup /var/data/sim.db.backups/1 (8192 bytes, 3 ms)";
            self.log(now_ms, &instance, backup);
            let committed = format!("migrations: committed {applied} file(s)");
            self.log(now_ms, &instance, &committed);
        }
        if let Boot::CrashMigrated { code } = behaviour.boot {
            return self.exits(now_ms, instance, "fatal: out of luck", code);
        }
        let Some(process) = self.processes.get_mut(&instance) else {
            return;
        };
        process.booted_ms = Some(now_ms);
        let healthy = app::is_well(process, now_ms);
        let detail = if healthy {
            String::new()
        } else {
            "HTTP 503".to_owned()
        };
        self.log(now_ms, &instance, "listening");
        self.cloud.report(
            now_ms,
            RunnerEvent::Probe {
                instance,
                healthy,
                detail,
            },
        );
    }

    fn exits(&mut self, now_ms: i64, instance: InstanceId, why: &str, code: i32) {
        self.log(now_ms, &instance, why);
        self.processes.remove(&instance);
        let code = Some(code);
        self.cloud
            .report(now_ms, RunnerEvent::Exited { instance, code });
    }

    fn log(&mut self, now_ms: i64, instance: &InstanceId, text: &str) {
        let event = RunnerEvent::Log {
            deploy: None,
            instance: Some(instance.clone()),
            text: text.to_owned(),
        };
        self.cloud.report(now_ms, event);
    }

    pub(super) fn dispatch(&mut self, now_ms: i64) {
        for action in self.cloud.take_actions() {
            match action {
                Action::Build { deploy, commit, .. } => self.build(now_ms, deploy, commit),
                Action::CancelBuild { deploy } => self.forget(|event| matches!(event, RunnerEvent::Built { deploy: d, .. } | RunnerEvent::BuildFailed { deploy: d, .. } if *d == deploy)),
                Action::PreDeploy(spec) => {
                    self.plan(now_ms + 100, SimEvent::Report(RunnerEvent::PreDeployed { deploy: spec.deploy, code: Some(0) }));
                }
                Action::Start(spec) => self.start(now_ms, spec),
                Action::Stop { instance, .. } => {
                    self.forget(|event| matches!(event, RunnerEvent::Exited { instance: i, .. } if *i == instance));
                    self.planned.retain(|_, e| !matches!(e, SimEvent::Booted(i) if *i == instance));
                    self.plan(now_ms + STOP_MS, SimEvent::Report(RunnerEvent::Exited { instance, code: Some(0) }));
                }
            }
        }
    }

    fn forget(&mut self, is_void: impl Fn(&RunnerEvent) -> bool) {
        self.planned
            .retain(|_, event| !matches!(event, SimEvent::Report(event) if is_void(event)));
    }

    fn behaviour(&self, commit: &str) -> Behaviour {
        self.behaviours
            .get(commit)
            .unwrap_or(&self.otherwise)
            .clone()
    }

    fn build(&mut self, now_ms: i64, deploy: DeployId, commit: Option<String>) {
        let commit = commit.unwrap_or_else(|| self.head.clone());
        let behaviour = self.behaviour(&commit);
        let resolved = RunnerEvent::Resolved {
            deploy: deploy.clone(),
            commit: commit.clone(),
            message: format!("commit {}", &commit[..commit.len().min(7)]),
            committed_ms: now_ms - 60_000,
        };
        self.plan(now_ms, SimEvent::Report(resolved));
        let end = match behaviour.build {
            Build::Ok => RunnerEvent::Built {
                deploy,
                build: format!("build-{commit}"),
            },
            Build::Fail => RunnerEvent::BuildFailed {
                deploy,
                log: "error: could not compile\nbuild failed".to_owned(),
                code: Some(101),
            },
        };
        self.plan(now_ms + behaviour.build_ms, SimEvent::Report(end));
    }

    fn start(&mut self, now_ms: i64, spec: StartSpec) {
        let behaviour = self.behaviour(&spec.commit);
        let instance = spec.instance.clone();
        self.plan(
            now_ms,
            SimEvent::Report(RunnerEvent::Started {
                instance: instance.clone(),
                port: PORT,
            }),
        );
        let at_ms = now_ms + behaviour.boot_ms;
        match behaviour.boot {
            Boot::Ok | Boot::MigrationFails | Boot::CrashMigrated { .. } => {
                self.plan(at_ms, SimEvent::Booted(instance.clone()));
            }
            Boot::Crash { code } => {
                self.plan(
                    at_ms,
                    SimEvent::Report(RunnerEvent::Exited {
                        instance: instance.clone(),
                        code: Some(code),
                    }),
                );
            }
            Boot::Hang => {}
        }
        self.processes.insert(
            instance,
            Process {
                spec,
                behaviour,
                booted_ms: None,
            },
        );
    }
}
