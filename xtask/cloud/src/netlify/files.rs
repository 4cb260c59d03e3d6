//! Uploading a deploy's contents, and showing them.

use http::{Request, Response};
use serde_json::Value;

use crate::answer;
use crate::blobs::sha1_hex;
use crate::core::Cloud;

use super::deploys::paged;
use super::routes::error;
use super::{DeployState, json as shape};

/// One file's content. Clients upload every path, so a digest that is there already is welcome too.
pub(super) fn upload(
    cloud: &mut Cloud,
    now_ms: i64,
    id: &str,
    path: &str,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    let path = format!("/{}", path.trim_start_matches('/'));
    let processing_ms = cloud.state.settings.timings.netlify_processing_ms;
    let Cloud { state, blobs, .. } = cloud;
    let Some(deploy) = state.netlify.deploy_mut(id) else {
        return error(404, "Not Found");
    };
    if deploy.state == DeployState::Error {
        return error(422, "This deploy has ended and takes no more files");
    }
    let Some(expected) = deploy.files.get(&path).cloned() else {
        return error(422, &format!("{path} is not a file of this deploy"));
    };
    let sha = sha1_hex(request.body());
    if sha != expected {
        return error(
            422,
            &format!("Uploaded file {path} did not match deploy: expected {expected}, got {sha}"),
        );
    }
    if blobs.size(&sha).is_none()
        && let Err(cause) = blobs.put(&sha, request.body().clone())
    {
        return error(500, &format!("the file could not be stored: {cause}"));
    }
    deploy.required.remove(&sha);
    deploy.updated_ms = now_ms;
    if matches!(deploy.state, DeployState::Prepared | DeployState::Uploading) {
        (deploy.state, deploy.due_ms) = if deploy.required.is_empty() {
            (DeployState::Uploaded, Some(now_ms + processing_ms / 3))
        } else {
            (DeployState::Uploading, None)
        };
    }
    answer::json(
        200,
        &shape::file(&path, &sha, Some(request.body().len() as u64)),
    )
}

/// The files of a deploy, in pages.
pub(super) fn list(cloud: &Cloud, id: &str, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
    let Some(deploy) = cloud.state.netlify.deploy(id) else {
        return error(404, "Not Found");
    };
    let all: Vec<Value> = deploy
        .files
        .iter()
        .map(|(path, sha)| shape::file(path, sha, cloud.blobs.size(sha)))
        .collect();
    paged(cloud, request, &all)
}

/// One file of the published deploy.
pub(super) fn published_file(cloud: &Cloud, path: &str) -> Response<Vec<u8>> {
    let path = format!(
        "/{}",
        answer::percent_decode_text(path).trim_start_matches('/')
    );
    let sha = cloud
        .state
        .netlify
        .published_deploy()
        .and_then(|d| d.files.get(&path));
    match sha {
        Some(sha) => answer::json(200, &shape::file(&path, sha, cloud.blobs.size(sha))),
        None => error(404, "Not Found"),
    }
}
