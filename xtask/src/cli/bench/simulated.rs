//! The whole release engine in the simulated world, the providers' times scripted to 20 s for the frontend and 35 s for the
//! backend: what the engine's own polling adds to them.

use super::Row;
use crate::changes::LaneFilters;
use crate::changes::manifest::Manifest;
use crate::changes::tree::{File, Files};
use crate::config::{Config, LocalCloud, Target};
use crate::environ::Environ;
use crate::exit::Exit;
use crate::forwards::{Ancestry, History, Lost};
use crate::http::Api;
use crate::ids::{Commit, EnvironmentName, Lane};
use crate::job::{Commands, Preparation};
use crate::journal::Process;
use crate::netlify::Netlify;
use crate::plan::Asked;
use crate::redact::Secret;
use crate::render::Render;
use crate::run::{self, Options, Session};
use crate::sim::inputs::MemoryInputs;
use crate::sim::{EPOCH_MS, Sim, Universe};
use crate::source::SourceTree;
use ::cloud::inprocess::{Behaviour, InProcess};
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// From the end of the upload to a deploy that can be published.
const FRONTEND_MS: i64 = 20_000;
/// Of the backend's 35 s the build takes so much and the start the rest.
const BACKEND_BUILD_MS: i64 = 30_000;
const BACKEND_BOOT_MS: i64 = 5_000;
const COMMIT: &str = "5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed";
const SEEDS: u64 = 5;

const CONFIG: &str = r#"
project = "bench"
[frontend]
paths = ["frontend/**"]
publish = "frontend"
[backend]
paths = ["backend/**"]
build = "build"
start = "start"
[backend.disk]
name = "data"
mount_path = "/var/data"
size_gb = 1
"#;

pub(super) fn rows() -> Result<Vec<Row>> {
    let cases: [(&str, &[Lane], i64); 3] = [
        ("frontend only, 20 s", &[Lane::Frontend], FRONTEND_MS),
        (
            "backend only, 35 s",
            &[Lane::Backend],
            BACKEND_BUILD_MS + BACKEND_BOOT_MS,
        ),
        (
            "both, gate between them",
            &[],
            FRONTEND_MS + BACKEND_BUILD_MS + BACKEND_BOOT_MS,
        ),
    ];
    let mut rows = Vec::new();
    for (name, only, scripted_ms) in cases {
        let runs = (1..=SEEDS)
            .map(|seed| release(seed, only))
            .collect::<Result<Vec<_>>>()?;
        let (makespan_ms, critical_ms) = runs.into_iter().max().context("no seed")?;
        let seconds = |ms: u64| ms as f64 / 1000.0;
        rows.push(Row::new(
            format!("release, {name}"),
            seconds(makespan_ms),
            "s",
            "the critical path",
            seconds(critical_ms),
            "≤ 1.01",
        ));
        rows.push(Row::new(
            format!("release, {name}"),
            seconds(makespan_ms),
            "s",
            "the scripted times alone",
            scripted_ms as f64 / 1000.0,
            "",
        ));
    }
    Ok(rows)
}

/// Virtual milliseconds of one release and of its critical path.
fn release(seed: u64, only: &[Lane]) -> Result<(u64, u64)> {
    let universe = Universe::new(providers(seed))?;
    let world = Sim::new(&universe, seed);
    let config = Config::load(Path::new("deploy.toml"), CONFIG)?;
    let filters = LaneFilters::compile(&config)?;
    let (target, netlify_token, render_key, admin_token) = {
        let cloud = universe.cloud();
        let secrets = cloud.secrets();
        let secret = |text: &str| Secret::new(text.to_owned());
        (
            target(&config, &cloud)?,
            secret(&secrets.netlify_token),
            secret(&secrets.render_key),
            secret(&secrets.admin_token),
        )
    };
    let source = source();
    let netlify = Netlify::new(
        Api::new(&world, "Netlify", &target.netlify_api, Some(&netlify_token)),
        target.site_id.clone(),
    );
    let render = Render::new(
        Api::new(&world, "Render", &target.render_api, Some(&render_key)),
        target.service_id.clone(),
    );
    let inputs = MemoryInputs {
        files: BTreeMap::from([("index.html".to_owned(), b"<!doctype html>".to_vec())]),
        ..MemoryInputs::default()
    };
    let commands = Commands {
        root: PathBuf::from("."),
        env: Vec::new(),
    };
    let session = Session {
        world: &world,
        config: &config,
        filters: &filters,
        target: &target,
        source: &source,
        netlify: &netlify,
        render: &render,
        admin_token: Some(&admin_token),
        inputs: &inputs,
        preparation: Preparation::Here(&commands),
        by: "bench".to_owned(),
        process: Process {
            pid: 1,
            start: "1".to_owned(),
            host: "sim".to_owned(),
        },
        is_dead: &|_| true,
        history: &Unrelated,
    };
    let options = Options {
        asked: Asked {
            only: only.to_vec(),
            force: false,
        },
        ..Options::default()
    };
    let ended = run::deploy(&session, &options);
    ensure!(
        ended.verdict.exit == Exit::Done,
        "the simulated release failed: {}",
        ended.verdict.reason
    );
    let state = world.state();
    Ok((state.elapsed_ms, state.critical_path().1))
}

fn providers(seed: u64) -> InProcess {
    let mut cloud = InProcess::new(seed, EPOCH_MS);
    let mut settings = cloud.cloud().settings().clone();
    settings.timings.netlify_preparing_ms = 0;
    settings.timings.netlify_processing_ms = FRONTEND_MS;
    cloud.cloud_mut().set_settings(settings);
    cloud.behave(
        COMMIT,
        Behaviour {
            build_ms: BACKEND_BUILD_MS,
            boot_ms: BACKEND_BOOT_MS,
            ..Behaviour::well(0)
        },
    );
    cloud
}

fn target(config: &Config, cloud: &InProcess) -> Result<Target> {
    let endpoints = cloud.endpoints();
    let place = LocalCloud {
        netlify_api: format!("{}/api/v1", endpoints.api_url),
        render_api: format!("{}/v1/", endpoints.api_url),
        site_id: cloud.cloud().site_id().into(),
        service_id: cloud.cloud().service_id().into(),
        site_url: endpoints.site_url.clone(),
        service_url: endpoints.service_url.clone(),
    };
    Ok(Target::resolve(
        config,
        &EnvironmentName::from("local"),
        &Environ::default(),
        Some(&place),
    )?)
}

/// Commits that have nothing to do with each other.
struct Unrelated;

impl History for Unrelated {
    fn ancestry(&self, _: &Commit, _: &Commit) -> Ancestry {
        Ancestry::NotPart
    }

    fn lost(&self, _: &Commit, _: &Commit) -> Lost {
        Lost::Nothing
    }
}

fn source() -> SourceTree {
    let manifest = |lane: Lane| {
        let path = format!("{lane}/index");
        let file = File {
            mode: "100644",
            oid: COMMIT,
            path: path.as_bytes(),
        };
        Manifest {
            files: Files::of([file]).unwrap_or_default(),
            ..Manifest::default()
        }
    };
    SourceTree {
        commit: Commit::from(COMMIT),
        subject: "bench".to_owned(),
        dirty: Vec::new(),
        versioned: true,
        manifests: Lane::ALL
            .into_iter()
            .map(|lane| (lane, manifest(lane)))
            .collect(),
        migrations: Vec::new(),
        unselected: Vec::new(),
        remote_branches: None,
        folder: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Virtual time, so it is the same on every machine.
    #[test]
    fn the_engine_adds_little_to_the_providers_times() {
        for seed in 1..=3 {
            for only in [&[][..], &[Lane::Frontend], &[Lane::Backend]] {
                let (makespan_ms, critical_ms) = release(seed, only).unwrap();
                assert!(
                    makespan_ms >= 20_000 && makespan_ms * 100 <= critical_ms * 101,
                    "{only:?}: {makespan_ms} against {critical_ms}"
                );
            }
        }
    }
}
