//! The end of a release that worked: the record of what is live moves.

use super::{Halves, Verdict};
use crate::changes::manifest::Manifest;
use crate::event::Step;
use crate::exit::Exit;
use crate::ids::{Lane, ReleaseId};
use crate::inputs;
use crate::job::{Job, LaneError};
use crate::live::{self, LiveLane, LiveRecord, Sent};
use crate::refs::Swap;
use std::collections::{BTreeMap, BTreeSet};

/// Moves the record of what is live.
pub(super) fn finalise(job: &Job<'_>, halves: &Halves) -> Result<Verdict, Verdict> {
    let release = ReleaseId(job.run.0.clone());
    let record = record(job, halves, &release);
    let moved = job.step(Step::Finalise, || {
        let sent = sent(job, halves);
        let files = live::files(&record, &merged_manifests(job, halves), sent.as_ref())?;
        let expected = job.live.map(|live| &live.oid);
        let name = live::live_ref(&job.target.name);
        let swap =
            job.world
                .refs()
                .swap(&name, expected, &files, true, &format!("release {release}"))?;
        Ok((swap, format!("{release} is recorded as live")))
    });
    match moved {
        Ok(Swap::Moved(_)) => {
            let lanes: Vec<&str> = job
                .plan
                .lanes
                .iter()
                .filter(|decision| decision.run)
                .map(|decision| decision.lane.name())
                .collect();
            let verb = if lanes.len() == 1 { "is" } else { "are" };
            let reason = format!(
                "{} of {} {verb} live and verified",
                lanes.join(" and "),
                job.plan.commit.short()
            );
            Ok(whole(job, halves, &reason, release))
        }
        Ok(Swap::Lost(_)) => Err(Verdict::new(
            Exit::Superseded,
            "another run recorded its release first; its record stands (look at `status` for what is live)",
        )),
        Err(LaneError::Cancelled(cancelled)) => Err(Verdict::interrupted(
            job,
            cancelled,
            "both halves are live and verified; only the record is missing",
        )),
        Err(error) => Err(Verdict::new(
            Exit::Unknown,
            format!("both halves are live and verified, but that could not be recorded: {error}"),
        )),
    }
}

/// The end of a release that worked, with what it does not prove. A half that it left alone, and that did not answer before, is
/// somebody's to mend: they asked for this all the same.
fn whole(job: &Job<'_>, halves: &Halves, reason: &str, release: ReleaseId) -> Verdict {
    let left = |lane: Lane| {
        let recorded = job.live?.record.lanes.get(&lane)?;
        let found = match lane {
            Lane::Frontend => job.baseline.frontend.as_ref(),
            Lane::Backend => job.baseline.backend.as_ref(),
        };
        let why = job.baseline.ill.get(&lane).cloned();
        let why = why.or_else(|| crate::plan::drift(&recorded.deploy_id, found))?;
        (!job.plan.runs(lane)).then(|| format!("the {lane} does not answer as recorded: {why}"))
    };
    let unwell: Vec<String> = Lane::ALL.into_iter().filter_map(left).collect();
    let unproven = halves
        .backend
        .as_ref()
        .and_then(|serving| serving.contract.rung.unproven());
    let remarks: String = unwell
        .iter()
        .map(String::as_str)
        .chain(unproven)
        .map(|remark| format!("; {remark}"))
        .collect();
    Verdict {
        exit: if unwell.is_empty() {
            Exit::Done
        } else {
            Exit::Unhealthy
        },
        reason: format!("{reason}{remarks}"),
        release: Some(release),
    }
}

fn record(job: &Job<'_>, halves: &Halves, release: &ReleaseId) -> LiveRecord {
    // Everybody who can read the origin can read the record.
    let clean = |text: &str| job.world.journal().clean(text);
    let mut lanes = job
        .live
        .map(|live| live.record.lanes.clone())
        .unwrap_or_default();
    let ran = [
        (
            Lane::Frontend,
            halves.frontend.as_ref().map(|draft| &draft.deploy),
        ),
        (
            Lane::Backend,
            halves.backend.as_ref().map(|serving| &serving.deploy),
        ),
    ];
    for (lane, deploy) in ran {
        if let Some(deploy) = deploy {
            let digest = job
                .manifests
                .get(&lane)
                .map(|manifest| manifest.digest())
                .unwrap_or_default();
            lanes.insert(
                lane,
                LiveLane {
                    commit: job.plan.commit.clone(),
                    deploy_id: deploy.clone(),
                    release: release.clone(),
                    digest,
                    branches: job.branches.clone(),
                    contract: halves
                        .backend
                        .as_ref()
                        .filter(|_| lane == Lane::Backend)
                        .map(|serving| serving.contract.clone()),
                },
            );
        }
    }
    LiveRecord {
        release: release.clone(),
        run: job.run.clone(),
        command: "deploy".to_owned(),
        commit: job.plan.commit.clone(),
        subject: clean(&job.plan.subject),
        created_ms: job.world.now().wall_ms,
        by: clean(&job.by),
        lanes,
        migrations: job
            .plan
            .migrations
            .iter()
            .map(|file| file.name.clone())
            .collect(),
        breaking: job
            .plan
            .migrations
            .iter()
            .filter(|file| !file.compatible)
            .map(|file| file.name.clone())
            .collect(),
        override_reason: job.override_reason.as_deref().map(clean),
        undo_of: None,
        others: BTreeSet::new(),
    }
}

/// What was sent of the site that is live afterwards, file by file. The file that names the release is made anew for each.
fn sent(job: &Job<'_>, halves: &Halves) -> Option<Sent> {
    let Some(draft) = &halves.frontend else {
        return job.live.and_then(|live| live.sent.clone());
    };
    Some(inputs::sent(&draft.files))
}

/// The manifests of what is live afterwards: ours for the lanes that ran, the old ones for the others.
fn merged_manifests(job: &Job<'_>, halves: &Halves) -> BTreeMap<Lane, Manifest> {
    let mut manifests = job
        .live
        .map(|live| live.manifests.clone())
        .unwrap_or_default();
    for (lane, ran) in [
        (Lane::Frontend, halves.frontend.is_some()),
        (Lane::Backend, halves.backend.is_some()),
    ] {
        if let Some(manifest) = job.manifests.get(&lane).filter(|_| ran) {
            manifests.insert(lane, manifest.clone());
        }
    }
    manifests
}
