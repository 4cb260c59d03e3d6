//! The runner: builds commits and keeps the service's processes, as the core orders, and reports what becomes of them.

mod artifacts;
mod build;
mod checkout;
mod child;
mod digest;
mod environment;
mod health;
mod ledger;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::ids::{DeployId, InstanceId};
use crate::reply::{Action, RunnerEvent, StartSpec};
use crate::settings::{Settings, Timings};

use child::Child;
pub(crate) use environment::of_daemon;
pub(crate) use ledger::start_ticks;

/// How the runner tells the core.
pub(crate) type Report = Arc<dyn Fn(RunnerEvent) + Send + Sync>;

/// What all of the runner's threads share.
pub(super) struct Shared {
    state_dir: PathBuf,
    report: Report,
    ledger: ledger::Ledger,
    processes: Mutex<BTreeMap<InstanceId, Arc<Child>>>,
    builds: Mutex<BTreeMap<DeployId, Arc<Child>>>,
    cancelled: Mutex<std::collections::BTreeSet<DeployId>>,
    /// One build at a time: they share one source folder.
    build_turn: Mutex<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts, watches and ends child processes.
pub(crate) struct Runner {
    shared: Arc<Shared>,
}

impl Runner {
    /// A runner of this folder. Processes a killed cloud has left behind are ended first.
    pub(crate) fn new(state_dir: &Path, report: Report) -> Result<Self> {
        let ledger = ledger::Ledger::open(state_dir.join("processes.json"))?;
        ledger.kill_orphans();
        let shared = Shared {
            state_dir: state_dir.to_owned(),
            report,
            ledger,
            processes: Mutex::default(),
            builds: Mutex::default(),
            cancelled: Mutex::default(),
            build_turn: Mutex::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Does one action in a thread of its own.
    pub(crate) fn dispatch(&self, action: Action, settings: &Settings) {
        let shared = Arc::clone(&self.shared);
        let settings = settings.clone();
        match action {
            Action::Build {
                deploy,
                commit,
                service,
            } => spawn("build", move || {
                let event =
                    match build::run(&shared, &settings, &deploy, commit.as_deref(), &service) {
                        Ok(build) => RunnerEvent::Built {
                            deploy: deploy.clone(),
                            build,
                        },
                        Err(failed) => RunnerEvent::BuildFailed {
                            deploy: deploy.clone(),
                            log: failed.log,
                            code: failed.code,
                        },
                    };
                locked(&shared.builds).remove(&deploy);
                (shared.report)(event);
            }),
            Action::CancelBuild { deploy } => {
                if let Some(child) = locked(&self.shared.builds).get(&deploy) {
                    child.stop(Duration::from_secs(5));
                }
                locked(&self.shared.cancelled).insert(deploy);
            }
            Action::PreDeploy(spec) => spawn("pre-deploy", move || {
                let code = pre_deploy(&shared, &spec);
                (shared.report)(RunnerEvent::PreDeployed {
                    deploy: spec.deploy,
                    code,
                });
            }),
            Action::Start(spec) => {
                // Started before this returns: an order to stop it that follows must find it.
                let started = start_service(&shared, &spec);
                spawn("service", move || {
                    run_service(&shared, &spec, started, &settings.timings);
                });
            }
            Action::Stop { instance, grace_ms } => self.stop(&instance, grace_ms),
        }
    }

    fn stop(&self, instance: &InstanceId, grace_ms: i64) {
        let known = locked(&self.shared.processes).get(instance).cloned();
        match known {
            Some(child) => child.stop(Duration::from_millis(grace_ms.unsigned_abs())),
            // It never ran or has ended: either way nothing will report it any more.
            None => (self.shared.report)(RunnerEvent::Exited {
                instance: instance.clone(),
                code: None,
            }),
        }
    }

    /// Ends every process and waits for it.
    pub(crate) fn stop_all(&self) {
        let mut children: Vec<Arc<Child>> =
            locked(&self.shared.processes).values().cloned().collect();
        children.extend(locked(&self.shared.builds).values().cloned());
        for child in &children {
            child.stop(Duration::from_secs(10));
        }
        for child in &children {
            child.wait_until_gone(Duration::from_secs(15));
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body);
    if let Err(error) = thread {
        crate::daemon::note(&format!("start the {name} thread: {error}"));
    }
}

/// From the start of a process to its end.
fn run_service(
    shared: &Arc<Shared>,
    spec: &StartSpec,
    started: Result<(Arc<Child>, u16)>,
    timings: &Timings,
) {
    let instance = spec.instance.clone();
    let log = |text: String| {
        (shared.report)(RunnerEvent::Log {
            deploy: Some(spec.deploy.clone()),
            instance: Some(spec.instance.clone()),
            text,
        });
    };
    let code = match started {
        Ok((child, port)) => {
            (shared.report)(RunnerEvent::Started {
                instance: instance.clone(),
                port,
            });
            let watched = Arc::clone(&child);
            let (owned, path, timings) = (
                Arc::clone(shared),
                spec.service.health_check_path.clone(),
                timings.clone(),
            );
            let (id, host) = (
                instance.clone(),
                spec.env
                    .get("RENDER_EXTERNAL_HOSTNAME")
                    .cloned()
                    .unwrap_or_default(),
            );
            spawn("health", move || {
                health::watch(&watched, port, &path, &host, &timings, |healthy, detail| {
                    (owned.report)(RunnerEvent::Probe {
                        instance: id.clone(),
                        healthy,
                        detail,
                    });
                });
            });
            child.wait()
        }
        Err(error) => {
            log(format!("==> could not start: {error:#}"));
            Some(127)
        }
    };
    locked(&shared.processes).remove(&instance);
    log(code.map_or("==> ended by a signal".to_owned(), |code| {
        format!("==> exited with status {code}")
    }));
    (shared.report)(RunnerEvent::Exited { instance, code });
}

fn start_service(shared: &Arc<Shared>, spec: &StartSpec) -> Result<(Arc<Child>, u16)> {
    let port = free_port()?;
    let mut env = environment::of_service(&shared.state_dir, spec)?;
    env.insert("PORT".to_owned(), port.to_string());
    let dir = build::folder(&shared.state_dir, &spec.build);
    let child = spawn_logged(
        shared,
        &spec.service.start_command,
        &dir,
        &env,
        &spec.deploy,
        Some(&spec.instance),
    )?;
    locked(&shared.processes).insert(spec.instance.clone(), Arc::clone(&child));
    Ok((child, port))
}

fn pre_deploy(shared: &Arc<Shared>, spec: &StartSpec) -> Option<i32> {
    let env = environment::of_pre_deploy(spec);
    let dir = build::folder(&shared.state_dir, &spec.build);
    match spawn_logged(
        shared,
        &spec.service.pre_deploy_command,
        &dir,
        &env,
        &spec.deploy,
        None,
    ) {
        Ok(child) => {
            locked(&shared.builds).insert(spec.deploy.clone(), Arc::clone(&child));
            let code = child.wait();
            locked(&shared.builds).remove(&spec.deploy);
            code
        }
        Err(error) => {
            let text = format!("==> could not run the pre-deploy command: {error:#}");
            (shared.report)(RunnerEvent::Log {
                deploy: Some(spec.deploy.clone()),
                instance: None,
                text,
            });
            Some(127)
        }
    }
}

/// A shell command in its own process group whose output lines go to the log.
fn spawn_logged(
    shared: &Arc<Shared>,
    command: &str,
    dir: &Path,
    env: &BTreeMap<String, String>,
    deploy: &DeployId,
    instance: Option<&InstanceId>,
) -> Result<Arc<Child>> {
    let report = Arc::clone(&shared.report);
    let (deploy, instance) = (deploy.clone(), instance.cloned());
    let on_line = move |text: String| {
        report(RunnerEvent::Log {
            deploy: Some(deploy.clone()),
            instance: instance.clone(),
            text,
        });
    };
    Child::spawn(command, dir, env, &shared.ledger, on_line)
        .with_context(|| format!("run `{command}` in {}", dir.display()))
}

/// A port nobody listens on now. Another process may take it before the service does; then the start fails and is reported.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("find a free port")?;
    Ok(listener.local_addr().context("find a free port")?.port())
}
