//! Creating, listing, publishing and ending Netlify deploys.

use std::collections::{BTreeMap, BTreeSet};

use http::{Request, Response};
use serde_json::{Map, Value, json};

use crate::answer::{self, param};
use crate::blobs::Blobs;
use crate::core::Cloud;
use crate::ids::SiteDeployId;

use super::routes::error;
use super::{DeployState, SiteDeploy, json as shape};

/// `per_page` when absent, and at most.
const PER_PAGE_MAX: usize = 100;

/// POST: draft and branch are decided here and never again; a later PUT may say what it likes.
pub(super) fn create(
    cloud: &mut Cloud,
    now_ms: i64,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    let body = match answer::json_body(request) {
        Ok(body) => body,
        Err(message) => return error(400, &message),
    };
    let query = answer::query(request);
    let text = |name: &str| {
        param(&query, name)
            .or_else(|| body.get(name)?.as_str())
            .map(str::to_owned)
    };
    let deploy = SiteDeploy {
        id: SiteDeployId(cloud.state.ids.hex(24)),
        state: DeployState::New,
        draft: body.get("draft").and_then(Value::as_bool).unwrap_or(false)
            || param(&query, "draft") == Some("true"),
        branch: text("branch").filter(|b| !b.is_empty()),
        title: text("title"),
        commit_ref: text("commit_ref"),
        framework: text("framework"),
        error_message: None,
        skew_token: cloud.state.ids.base32(32),
        created_ms: now_ms,
        updated_ms: now_ms,
        published_ms: None,
        files: BTreeMap::new(),
        required: BTreeSet::new(),
        due_ms: None,
    };
    let id = deploy.id.clone();
    cloud.state.netlify.deploys.push(deploy);
    prune(cloud);
    if body.contains_key("files") {
        return apply_files(cloud, now_ms, id.as_str(), &body, None);
    }
    get(cloud, id.as_str())
}

/// Old deploys go, and with them the contents nobody else uses.
fn prune(cloud: &mut Cloud) {
    let before = cloud.state.netlify.deploys.len();
    cloud.state.netlify.prune();
    if cloud.state.netlify.deploys.len() < before {
        let keep = cloud
            .state
            .netlify
            .deploys
            .iter()
            .flat_map(|d| d.files.values().map(String::as_str))
            .collect();
        cloud.blobs.retain(&keep);
    }
}

/// PUT with the file list.
pub(super) fn set_files(
    cloud: &mut Cloud,
    now_ms: i64,
    id: &str,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    let body = match answer::json_body(request) {
        Ok(body) => body,
        Err(message) => return error(400, &message),
    };
    let query = answer::query(request);
    apply_files(cloud, now_ms, id, &body, param(&query, "commit_ref"))
}

fn apply_files(
    cloud: &mut Cloud,
    now_ms: i64,
    id: &str,
    body: &Map<String, Value>,
    commit_ref: Option<&str>,
) -> Response<Vec<u8>> {
    let files = match read_files(body) {
        Ok(files) => files,
        Err(message) => return error(422, &message),
    };
    let timings = cloud.state.settings.timings.clone();
    let Cloud { state, blobs, .. } = cloud;
    let Some(deploy) = state.netlify.deploy_mut(id) else {
        return error(404, "Not Found");
    };
    if deploy.state.is_terminal() {
        return error(422, "This deploy has ended and takes no more files");
    }
    deploy.required = missing(&files, blobs);
    deploy.files = files;
    deploy.updated_ms = now_ms;
    if let Some(commit) = commit_ref {
        deploy.commit_ref = Some(commit.to_owned());
    }
    if let Some(framework) = body.get("framework").and_then(Value::as_str) {
        deploy.framework = Some(framework.to_owned());
    }
    let is_async = body.get("async").and_then(Value::as_bool).unwrap_or(false);
    (deploy.state, deploy.due_ms) = if is_async {
        (
            DeployState::Preparing,
            Some(now_ms + timings.netlify_preparing_ms),
        )
    } else if deploy.required.is_empty() {
        (
            DeployState::Uploaded,
            Some(now_ms + timings.netlify_processing_ms / 3),
        )
    } else {
        (DeployState::Uploading, None)
    };
    get(cloud, id)
}

/// Paths with exactly one leading slash, and digests in lower-case hex.
fn read_files(body: &Map<String, Value>) -> Result<BTreeMap<String, String>, String> {
    let Some(Value::Object(files)) = body.get("files") else {
        return Err("files must be an object of path to SHA-1".to_owned());
    };
    let mut read = BTreeMap::new();
    for (path, sha) in files {
        // Large media give `sha1:object id`; only the first part counts.
        let sha = sha
            .as_str()
            .unwrap_or("")
            .split(':')
            .next()
            .unwrap_or("")
            .to_lowercase();
        if sha.len() != 40 || !sha.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("the digest of {path} is not a SHA-1"));
        }
        if path.contains(['#', '?']) {
            return Err(format!(
                "Invalid filename '{path}'. Deployed filenames cannot contain # or ? characters"
            ));
        }
        read.insert(format!("/{}", path.trim_start_matches('/')), sha);
    }
    Ok(read)
}

fn missing(files: &BTreeMap<String, String>, blobs: &Blobs) -> BTreeSet<String> {
    let digests: BTreeSet<&String> = files.values().collect();
    digests
        .into_iter()
        .filter(|sha| blobs.size(sha).is_none())
        .cloned()
        .collect()
}

pub(super) fn get(cloud: &Cloud, id: &str) -> Response<Vec<u8>> {
    match cloud.state.netlify.deploy(id) {
        Some(deploy) => answer::json(200, &shape::deploy(cloud, deploy)),
        None => error(404, "Not Found"),
    }
}

/// Newest first; there is no filter by commit.
pub(super) fn list(cloud: &Cloud, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
    let query = answer::query(request);
    let flag = |name: &str| param(&query, name).map(|v| v == "true");
    let is_wanted = |d: &&SiteDeploy| {
        param(&query, "state").is_none_or(|s| s == d.state.as_str())
            && param(&query, "branch").is_none_or(|b| b == d.branch.as_deref().unwrap_or("main"))
            && flag("production").is_none_or(|p| p == (d.context() == "production"))
            && flag("deploy-previews").is_none_or(|p| p == (d.context() == "deploy-preview"))
            && flag("latest-published")
                .is_none_or(|p| !p || Some(&d.id) == cloud.state.netlify.published.as_ref())
    };
    let found: Vec<Value> = cloud
        .state
        .netlify
        .deploys
        .iter()
        .rev()
        .filter(is_wanted)
        .map(|d| shape::deploy(cloud, d))
        .collect();
    paged(cloud, request, &found)
}

/// One page of a list, with the `Link` header that leads to the others.
pub(super) fn paged(cloud: &Cloud, request: &Request<Vec<u8>>, all: &[Value]) -> Response<Vec<u8>> {
    let query = answer::query(request);
    let number = |name: &str| {
        param(&query, name)
            .and_then(|v| v.parse::<usize>().ok())
            .filter(|n| *n > 0)
    };
    let per_page = number("per_page").unwrap_or(PER_PAGE_MAX).min(PER_PAGE_MAX);
    let page = number("page").unwrap_or(1);
    let last = all.len().div_ceil(per_page).max(1);
    let items: Vec<&Value> = all
        .iter()
        .skip((page - 1).saturating_mul(per_page))
        .take(per_page)
        .collect();
    let mut response = answer::json(200, &json!(items));
    let others: String = request
        .uri()
        .query()
        .unwrap_or("")
        .split('&')
        .filter(|p| !p.starts_with("page=") && !p.starts_with("per_page=") && !p.is_empty())
        .map(|p| format!("&{p}"))
        .collect();
    let link = |to: usize, rel: &str| {
        format!(
            "<{}{}?page={to}&per_page={per_page}{others}>; rel=\"{rel}\"",
            cloud.endpoints.api_url,
            request.uri().path()
        )
    };
    let mut links = Vec::new();
    if page > 1 {
        links.push(link(page - 1, "prev"));
    }
    if page < last {
        links.push(link(page + 1, "next"));
    }
    if last > 1 {
        links.push(link(last, "last"));
        answer::set_header(&mut response, "link", &links.join(", "));
    }
    response
}

/// Publishes a deploy that is ready; also while the site is locked, since a person or tool asked for it.
pub(super) fn restore(cloud: &mut Cloud, now_ms: i64, id: &str) -> Response<Vec<u8>> {
    let Some(deploy) = cloud.state.netlify.deploy(id) else {
        return error(404, "Not Found");
    };
    if deploy.state != DeployState::Ready {
        return error(422, "Only a deploy that is ready can be published");
    }
    let id = deploy.id.clone();
    cloud.state.netlify.publish(now_ms, &id);
    with_status(get(cloud, id.as_str()), 201)
}

/// Back to what was published before; says nothing about what that is.
pub(super) fn rollback(cloud: &mut Cloud, now_ms: i64) -> Response<Vec<u8>> {
    let Some(previous) = cloud.state.netlify.published_before.last().cloned() else {
        return error(404, "There is no earlier published deploy");
    };
    cloud.state.netlify.publish(now_ms, &previous);
    answer::empty(204)
}

/// Ends a deploy that has not; one that has ended stays as it is.
pub(super) fn cancel(cloud: &mut Cloud, now_ms: i64, id: &str) -> Response<Vec<u8>> {
    let Some(deploy) = cloud.state.netlify.deploy_mut(id) else {
        return error(404, "Not Found");
    };
    if !deploy.state.is_terminal() {
        (deploy.state, deploy.due_ms) = (DeployState::Error, None);
        deploy.error_message = Some("Canceled".to_owned());
        deploy.updated_ms = now_ms;
    }
    with_status(get(cloud, id), 201)
}

pub(super) fn delete(cloud: &mut Cloud, id: &str) -> Response<Vec<u8>> {
    let site = &mut cloud.state.netlify;
    if site.deploy(id).is_none() {
        return error(404, "Not Found");
    }
    if site.published.as_ref().is_some_and(|p| p.as_str() == id) {
        return error(422, "The published deploy cannot be deleted");
    }
    site.deploys.retain(|d| d.id.as_str() != id);
    site.published_before.retain(|d| d.as_str() != id);
    answer::empty(204)
}

/// Locking stops automatic publishing; the flag shows on the published deploy.
pub(super) fn lock(cloud: &mut Cloud, now_ms: i64, id: &str, locked: bool) -> Response<Vec<u8>> {
    if cloud.state.netlify.deploy(id).is_none() {
        return error(404, "Not Found");
    }
    cloud.state.netlify.locked = locked;
    cloud.state.netlify.updated_ms = now_ms;
    get(cloud, id)
}

pub(super) fn branches(cloud: &Cloud) -> Response<Vec<u8>> {
    let site = &cloud.state.netlify;
    let names: BTreeSet<&str> = site
        .deploys
        .iter()
        .filter_map(|d| d.branch.as_deref())
        .collect();
    let url = &cloud.endpoints.site_url;
    let found: Vec<Value> = names
        .into_iter()
        .filter_map(|name| site.branch_deploy(name).map(|d| (name, d)))
        .map(|(name, d)| json!({ "id": d.id, "deploy_id": d.id, "name": name, "slug": name, "url": url, "ssl_url": url }))
        .collect();
    answer::json(200, &Value::Array(found))
}

fn with_status(mut response: Response<Vec<u8>>, status: u16) -> Response<Vec<u8>> {
    if let (true, Ok(status)) = (
        response.status().is_success(),
        http::StatusCode::from_u16(status),
    ) {
        *response.status_mut() = status;
    }
    response
}
