//! A small project with a history of commits, released again and again into one universe.

use super::oracle::{Before, Oracle};
use cloud::inprocess::{Behaviour, InProcess, Migration};
use migrate::MigrationFile;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};
use std::time::Duration;
use tandem::bundle::Manifest;
use tandem::changes::LaneFilters;
use tandem::changes::tree::{File, Files};
use tandem::config::{Config, OnFrontendFailure, Policy, Publish, Target, UploadSource};
use tandem::exit::Exit;
use tandem::forwards::{Ancestry, History, Lost};
use tandem::http::Api;
use tandem::ids::{Commit, EnvironmentName, Lane};
use tandem::job::{Commands, Preparation};
use tandem::journal::{Journal, Process};
use tandem::lane::checks::Passed;
use tandem::netlify::Netlify;
use tandem::plan::Asked;
use tandem::redact::Secret;
use tandem::render::Render;
use tandem::rollback;
use tandem::run::{Ended, Options, Session, deploy};
use tandem::sim::inputs::MemoryInputs;
use tandem::sim::refs::RefFault;
use tandem::sim::{EPOCH_MS, Happening, KILLED, Script, Sim, Universe};
use tandem::source::{SourceTree, manifest};
use tandem::state::RunState;
use tandem::world::{Cancelled, Signal};

const CONFIG: &str = r#"
project = "simulated"
[[checks]]
name = "tests"
run = "make check"
[frontend]
paths = ["frontend/**"]
publish = "frontend"
[backend]
paths = ["backend/**", "migrations/**"]
build = "make"
start = "./service"
migrations = "migrations"
"#;

/// The usual machine.
const HOST: &str = "sim";

/// Builds and boots quickly, and is healthy. What it carries is the version's to say.
pub(super) fn well() -> Behaviour {
    Behaviour {
        build_ms: 400,
        ..Behaviour::well(0)
    }
}

/// One commit of the project: which version of each half it has, and how it behaves.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) frontend: u32,
    pub(super) backend: u32,
    /// How many migrations it carries.
    pub(super) generation: u32,
    /// Whether the last of them breaks the release before.
    pub(super) breaking: bool,
    pub(super) check_fails: bool,
    pub(super) rehearsal_fails: bool,
    pub(super) behaviour: Behaviour,
}

impl Version {
    /// The `n`th commit: both halves are new, and all is well.
    pub(super) fn new(n: u32) -> Self {
        Self {
            id: format!("{n:040x}"),
            frontend: n,
            backend: n,
            generation: 1,
            breaking: false,
            check_fails: false,
            rehearsal_fails: false,
            behaviour: well(),
        }
    }

    pub(super) fn behaving(self, behaviour: Behaviour) -> Self {
        Self { behaviour, ..self }
    }

    pub(super) fn only_frontend(self, backend: u32) -> Self {
        Self { backend, ..self }
    }

    pub(super) fn only_backend(self, frontend: u32) -> Self {
        Self { frontend, ..self }
    }

    pub(super) fn migrating(self, generation: u32, breaking: bool) -> Self {
        Self {
            generation,
            breaking,
            ..self
        }
    }

    fn migrations(&self) -> Vec<MigrationFile> {
        let text = |n: u32| match n {
            1 => "CREATE TABLE item1 (id INTEGER PRIMARY KEY) STRICT;".to_owned(),
            n if self.breaking && n == self.generation => {
                format!("ALTER TABLE item{} RENAME TO gone{n};", n - 1)
            }
            n => format!("CREATE TABLE item{n} (id INTEGER PRIMARY KEY) STRICT;"),
        };
        (1..=self.generation)
            .map(|n| MigrationFile::new(format!("{n:04}_step.sql"), text(n)))
            .collect()
    }

    fn carried(&self) -> Vec<Migration> {
        let compatible = |n: usize| !(self.breaking && n + 1 == self.generation as usize);
        self.migrations()
            .iter()
            .enumerate()
            .map(|(n, file)| Migration {
                filename: file.name.clone(),
                checksum: file.checksum(),
                compatible: compatible(n),
            })
            .collect()
    }

    fn site(&self) -> BTreeMap<String, Vec<u8>> {
        let text = |path: &str| format!("{path} of version {}", self.frontend).into_bytes();
        ["index.html", "app.js", "style.css"]
            .map(|path| (path.to_owned(), text(path)))
            .into()
    }

    fn tree(&self, config: &Config) -> SourceTree {
        let migrations = self.migrations();
        let mut backend = vec![("backend/main.rs".to_owned(), format!("b{}", self.backend))];
        for file in &migrations {
            backend.push((format!("migrations/{}", file.name), file.checksum()));
        }
        let frontend = vec![(
            "frontend/index.html".to_owned(),
            format!("f{}", self.frontend),
        )];
        let manifest = |lane, files: Vec<(String, String)>| {
            let files = files.iter().map(|(path, oid)| File {
                mode: "100644",
                oid,
                path: path.as_bytes(),
            });
            (lane, manifest(config, lane, Files::of(files).unwrap()))
        };
        SourceTree {
            commit: Commit(self.id.clone()),
            subject: format!("version {}/{}", self.frontend, self.backend),
            dirty: Vec::new(),
            versioned: true,
            manifests: [
                manifest(Lane::Frontend, frontend),
                manifest(Lane::Backend, backend),
            ]
            .into(),
            migrations,
            unselected: Vec::new(),
            remote_branches: None,
            folder: Some(BTreeMap::new()),
        }
    }
}

/// What a checkout knows of the history, in which a later version contains the earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Known {
    /// All of it, or the remote tells the rest.
    #[default]
    All,
    /// Too little, and the remote does not answer.
    Unasked,
    /// Too little, and the remote has the newer commits no more.
    Gone,
}

impl History for Known {
    fn ancestry(&self, older: &Commit, newer: &Commit) -> Ancestry {
        match self {
            Self::All if older.0 <= newer.0 => Ancestry::Part,
            Self::All => Ancestry::NotPart,
            Self::Unasked => Ancestry::Unknown("the remote does not answer".to_owned()),
            Self::Gone => Ancestry::Gone,
        }
    }

    fn lost(&self, _: &Commit, _: &Commit) -> Lost {
        Lost::Nothing
    }
}

/// How one process runs.
#[derive(Default)]
pub(super) struct How {
    pub(super) seed: u64,
    pub(super) kill_at: Option<u64>,
    /// Dies when the provider has been asked so often for a deploy, before it hears the answer.
    pub(super) kill_after_triggers: Option<usize>,
    pub(super) cancel_at_ms: Option<u64>,
    /// By how much the machine's wall clock is wrong.
    pub(super) clock_off_ms: i64,
    pub(super) outages: Vec<Range<u64>>,
    pub(super) happenings: Vec<(u64, Happening)>,
    pub(super) ref_faults: BTreeMap<u32, RefFault>,
    pub(super) options: Options,
    pub(super) no_admin_token: bool,
    /// The exit codes of commands; others succeed.
    pub(super) scripts: BTreeMap<String, i32>,
    /// A file of the site that is written to while it is uploaded.
    pub(super) changing: Option<String>,
    /// How long the checks take; usually 4 s.
    pub(super) check_ms: Option<u64>,
    /// Releases a bundle that was prepared for these lanes.
    pub(super) bundle: Option<Vec<Lane>>,
    /// What the checkout knows of the history.
    pub(super) history: Known,
    /// The machine; each has a journal of its own.
    pub(super) host: Option<&'static str>,
}

impl How {
    pub(super) fn seed(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// On another machine than the usual one.
    pub(super) fn on(host: &'static str) -> Self {
        Self {
            host: Some(host),
            ..Self::default()
        }
    }

    pub(super) fn bundle() -> Self {
        Self {
            bundle: Some(Lane::ALL.to_vec()),
            ..Self::default()
        }
    }

    pub(super) fn resume() -> Self {
        Self {
            options: Options {
                resume: true,
                ..Options::default()
            },
            ..Self::default()
        }
    }

    pub(super) fn abort() -> Self {
        Self {
            options: Options {
                abort: true,
                ..Options::default()
            },
            ..Self::default()
        }
    }

    pub(super) fn only(lane: Lane) -> Self {
        Self {
            options: Options {
                asked: Asked {
                    only: vec![lane],
                    force: false,
                },
                ..Options::default()
            },
            ..Self::default()
        }
    }

    /// With the first seed, by which the calls of a whole run are counted.
    pub(super) fn killed_at(call: u64) -> Self {
        Self {
            kill_at: Some(call),
            ..Self::seed(1)
        }
    }

    pub(super) fn cancelled_at(at_ms: u64) -> Self {
        Self {
            cancel_at_ms: Some(at_ms),
            ..Self::default()
        }
    }
}

/// How one process ended; `ended` is none when it was killed.
pub(super) struct Outcome {
    pub(super) ended: Option<Ended>,
    pub(super) calls: u64,
    /// The commands that ran.
    pub(super) ran: Vec<String>,
    pub(super) state: RunState,
    pub(super) elapsed_ms: u64,
    /// Whether every push was answered.
    pub(super) pushes_well: bool,
}

impl Outcome {
    pub(super) fn exit(&self) -> Option<Exit> {
        self.ended.as_ref().map(|ended| ended.verdict.exit)
    }

    pub(super) fn code(&self) -> u8 {
        self.exit().map_or(255, Exit::code)
    }

    pub(super) fn reason(&self) -> &str {
        self.ended
            .as_ref()
            .map_or("killed", |ended| &ended.verdict.reason)
    }
}

/// What a process does.
enum Task<'t> {
    Deploy(&'t Version),
    Rollback(rollback::Asked),
}

/// The project, its providers and its journal.
pub(super) struct Project {
    pub(super) universe: Universe,
    pub(super) config: Config,
    pub(super) target: Target,
    filters: LaneFilters,
    pub(super) versions: BTreeMap<String, Version>,
    oracle: Oracle,
    processes: u32,
    keys: [Secret; 3],
    /// The machine whose journal the universe has now, and the journals of the others.
    host: &'static str,
    journals: BTreeMap<&'static str, Journal>,
}

impl Project {
    /// A project of which nothing is live yet.
    pub(super) fn new(seed: u64) -> Self {
        Self::with(InProcess::new(seed, EPOCH_MS))
    }

    pub(super) fn with(cloud: InProcess) -> Self {
        silence_kills();
        let config = Config::load(Path::new("deploy.toml"), CONFIG).unwrap();
        let filters = LaneFilters::compile(&config).unwrap();
        let secrets = cloud.secrets();
        let keys = [
            &secrets.netlify_token,
            &secrets.render_key,
            &secrets.admin_token,
        ]
        .map(|text| Secret::new(text.clone()));
        let target = target(&cloud);
        Self {
            universe: Universe::new(cloud).unwrap(),
            config,
            target,
            filters,
            versions: BTreeMap::new(),
            oracle: Oracle::default(),
            processes: 0,
            keys,
            host: HOST,
            journals: BTreeMap::new(),
        }
    }

    /// The same project with more in its configuration.
    pub(super) fn configured(self, more: &str) -> Self {
        let text = format!("{CONFIG}{more}");
        let config = Config::load(Path::new("deploy.toml"), &text).unwrap();
        Self { config, ..self }
    }

    /// The same project with its journal in a file, which another connection can spoil.
    pub(super) fn journalled(self, path: &Path) -> Self {
        let universe = Universe {
            journal: Journal::open(path).unwrap(),
            ..self.universe
        };
        Self { universe, ..self }
    }

    /// A project with its first commit live.
    pub(super) fn live(seed: u64) -> Self {
        let mut project = Self::new(seed);
        let first = project.deploy(&Version::new(1), How::seed(seed));
        assert_eq!(first.code(), 0, "{}", first.reason());
        project
    }

    /// Releases a commit in a process of its own, and has the oracle look at what came of it.
    pub(super) fn deploy(&mut self, version: &Version, how: How) -> Outcome {
        self.versions.insert(version.id.clone(), version.clone());
        let behaviour = Behaviour {
            migrations: version.carried(),
            ..version.behaviour.clone()
        };
        self.universe.cloud().behave(&version.id, behaviour);
        self.process(&Task::Deploy(version), how)
    }

    pub(super) fn rollback(&mut self, asked: rollback::Asked, how: How) -> Outcome {
        self.process(&Task::Rollback(asked), how)
    }

    /// The machine's journal is lost, as a file that somebody deleted.
    pub(super) fn lose_journal(&mut self) {
        self.universe.journal = Journal::in_memory().unwrap();
    }

    /// Puts another machine's journal into the universe.
    fn move_to(&mut self, host: &'static str) {
        if host != self.host {
            let there = self.journals.remove(host);
            let there = there.unwrap_or_else(|| Journal::in_memory().unwrap());
            let here = std::mem::replace(&mut self.universe.journal, there);
            self.journals.insert(self.host, here);
            self.host = host;
        }
    }

    /// Now, by the universe's clock.
    pub(super) fn now_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from(*self.universe.elapsed_ms.lock().unwrap()).unwrap()
    }

    /// Lets time pass between two processes.
    pub(super) fn pass(&self, duration: Duration) {
        *self.universe.elapsed_ms.lock().unwrap() += u64::try_from(duration.as_millis()).unwrap();
        let now_ms = self.now_ms();
        self.universe.cloud().advance(now_ms);
    }

    fn process(&mut self, task: &Task<'_>, how: How) -> Outcome {
        self.processes += 1;
        self.move_to(how.host.unwrap_or(HOST));
        let process = Process {
            pid: self.processes,
            start: "1".to_owned(),
            host: self.host.to_owned(),
        };
        // As in the real world: of another machine's processes nothing is known.
        let (pid, host) = (self.processes, self.host);
        let is_dead = move |other: &Process| other.host == host && other.pid != pid;
        let nothing = Version::new(0);
        let version = match task {
            Task::Deploy(version) => version,
            Task::Rollback(_) => &nothing,
        };
        let before = Before::read(&self.universe, self.now_ms());
        let problems = Mutex::new(BTreeSet::new());
        let order = before.order(&self.versions, version);
        let watch = |cloud: &mut InProcess, now_ms: i64| {
            problems.lock().unwrap().extend(super::oracle::look(
                &self.versions,
                order,
                cloud,
                now_ms,
            ));
        };
        let pushes_well = how.ref_faults.is_empty();
        let mut sim = Sim::new(&self.universe, how.seed);
        sim.kill_at = how.kill_at;
        sim.kill_after_deploys = how.kill_after_triggers.map(|more| before.deploys() + more);
        sim.cancel_at_ms = how
            .cancel_at_ms
            .map(|at_ms| (at_ms, Cancelled(Signal::Interrupt)));
        sim.clock_off_ms = how.clock_off_ms;
        sim.outages = how.outages;
        sim.happenings = Mutex::new(how.happenings);
        sim.ref_calls.faults = how.ref_faults;
        sim.watch = Some(&watch);
        sim.scripts.insert(
            "make check".to_owned(),
            Script {
                duration_ms: how.check_ms.unwrap_or(4000),
                exit_code: i32::from(version.check_fails),
            },
        );
        sim.scripts
            .extend(how.scripts.into_iter().map(|(text, exit_code)| {
                let script = Script {
                    duration_ms: 500,
                    exit_code,
                };
                (text, script)
            }));
        let netlify = Netlify::new(
            Api::new(
                &sim,
                "Netlify",
                &self.target.netlify_api,
                Some(&self.keys[0]),
            ),
            self.target.site_id.clone(),
        );
        let render = Render::new(
            Api::new(&sim, "Render", &self.target.render_api, Some(&self.keys[1])),
            self.target.service_id.clone(),
        );
        let inputs = MemoryInputs {
            files: version.site(),
            rehearsal_fails: version.rehearsal_fails.then(|| "no such table".to_owned()),
            changing: how.changing,
            run: Mutex::new(None),
        };
        let source = version.tree(&self.config);
        let commands = Commands {
            root: PathBuf::from("/nowhere"),
            env: Vec::new(),
        };
        let manifest = how.bundle.as_ref().map(|lanes| {
            let passed = self.config.checks.iter().map(|check| Passed {
                name: check.name.clone(),
                duration_ms: 4000,
            });
            let passed: Vec<Passed> = passed.collect();
            Manifest::new(&self.config, &source, lanes, &passed, BTreeMap::new())
        });
        let session = Session {
            world: &sim,
            config: &self.config,
            filters: &self.filters,
            target: &self.target,
            source: &source,
            netlify: &netlify,
            render: &render,
            admin_token: (!how.no_admin_token).then_some(&self.keys[2]),
            inputs: &inputs,
            preparation: match &manifest {
                None => Preparation::Here(&commands),
                Some(manifest) => Preparation::Bundle {
                    manifest,
                    dir: Path::new("bundle"),
                    commands: &commands,
                },
            },
            by: "simulation".to_owned(),
            process,
            is_dead: &is_dead,
            history: &how.history,
        };
        let ended = catch_unwind(AssertUnwindSafe(|| match task {
            Task::Deploy(_) => deploy(&session, &how.options),
            Task::Rollback(asked) => rollback::rollback(&session, asked),
        }));
        let ended = match ended {
            Ok(ended) => Some(ended),
            Err(panic)
                if panic
                    .downcast_ref::<String>()
                    .is_some_and(|text| text == KILLED) =>
            {
                None
            }
            Err(panic) => std::panic::resume_unwind(panic),
        };
        sim.end();
        let (calls, state, renewals) = (sim.calls(), sim.state(), sim.ref_calls.confirmed());
        let elapsed_ms = u64::try_from(self.now_ms() - before.at_ms).unwrap();
        let outcome = Outcome {
            ended,
            calls,
            ran: sim.ran(),
            state,
            elapsed_ms,
            pushes_well,
        };
        let problems = problems.into_inner().unwrap();
        let is_whole = matches!(task, Task::Deploy(_)) && how.options.asked.only.is_empty();
        let wanted = is_whole.then_some(version);
        self.oracle.judge(
            &self.universe,
            &self.target,
            &self.versions,
            wanted,
            &before,
            &outcome,
            &renewals,
            problems,
        );
        outcome
    }
}

fn target(cloud: &InProcess) -> Target {
    let endpoints = cloud.endpoints();
    Target {
        name: EnvironmentName::from("production"),
        is_local: false,
        is_production: true,
        netlify_api: format!("{}/api/v1", endpoints.api_url),
        render_api: format!("{}/v1/", endpoints.api_url),
        site_id: cloud.cloud().site_id().into(),
        service_id: cloud.cloud().service_id().into(),
        site_url: endpoints.site_url.clone(),
        service_url: endpoints.service_url.clone(),
        policy: Policy {
            branch: None,
            bake: Duration::from_secs(10),
            identity_consecutive: 3,
            identity_interval: Duration::from_secs(1),
            deploy_timeout: Duration::from_secs(300),
            publish: Publish::DraftRestore,
            source: UploadSource::Upload,
            on_frontend_failure: OnFrontendFailure::Keep,
            require_clean: true,
            notify_slack: false,
        },
    }
}

/// Simulated processes die by the hundred: their panics say nothing.
fn silence_kills() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info
                .payload()
                .downcast_ref::<String>()
                .is_none_or(|text| text != KILLED)
            {
                usual(info);
            }
        }));
    });
}
