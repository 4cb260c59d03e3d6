//! How a Netlify deploy moves on by itself: the file list is compared, the uploaded content processed, the result published.

use crate::core::{Cloud, State};

use super::{DeployState, SiteDeploy};

/// Moves every deploy to where it is due; says whether anything moved.
pub(crate) fn advance(cloud: &mut Cloud, now_ms: i64) -> bool {
    let processing_ms = cloud.state.settings.timings.netlify_processing_ms;
    let mut changed = false;
    for at in 0..cloud.state.netlify.deploys.len() {
        while let Some(due_ms) = cloud.state.netlify.deploys[at]
            .due_ms
            .filter(|due| *due <= now_ms)
        {
            changed = true;
            let deploy = &mut cloud.state.netlify.deploys[at];
            step(deploy, due_ms, processing_ms);
            if deploy.state == DeployState::Ready
                && !deploy.draft
                && deploy.branch.is_none()
                && !cloud.state.netlify.locked
            {
                let id = deploy.id.clone();
                cloud.state.netlify.publish(due_ms, &id);
            }
        }
    }
    changed
}

/// One move of one deploy at the time it is due. The time from the last upload to `ready` is spent in three equal parts.
fn step(deploy: &mut SiteDeploy, due_ms: i64, processing_ms: i64) {
    deploy.updated_ms = due_ms;
    let part_ms = processing_ms / 3;
    (deploy.state, deploy.due_ms) = match deploy.state {
        DeployState::Preparing if deploy.required.is_empty() => {
            (DeployState::Uploaded, Some(due_ms + part_ms))
        }
        DeployState::Preparing => (DeployState::Prepared, None),
        DeployState::Uploaded => (DeployState::Processing, Some(due_ms + part_ms)),
        DeployState::Processing => (
            DeployState::Processed,
            Some(due_ms + processing_ms - 2 * part_ms),
        ),
        DeployState::Processed => (DeployState::Ready, None),
        other => (other, None),
    };
}

/// When the next deploy moves.
pub(crate) fn next_event_ms(state: &State) -> Option<i64> {
    state.netlify.deploys.iter().filter_map(|d| d.due_ms).min()
}
