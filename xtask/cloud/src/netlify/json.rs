//! The JSON shapes of Netlify's API. Fields the platform leaves null are null here too.

use serde_json::{Value, json};

use crate::core::Cloud;
use crate::time::rfc3339;

use super::{DeployState, SiteDeploy};

/// A deploy as the API shows it. The permalink's host is `<id>--<site>.<anything>`: on loopback the URL is the site's own and the `Host`
/// header selects, since names below `localhost` do not resolve everywhere.
pub(super) fn deploy(cloud: &Cloud, d: &SiteDeploy) -> Value {
    let (site, url) = (&cloud.state.netlify, &cloud.endpoints.site_url);
    let name = &cloud.state.settings.site.name;
    let is_published = site.published.as_ref() == Some(&d.id);
    // While an async list is being compared there is no valid answer yet.
    let required = if d.state == DeployState::Preparing {
        Vec::new()
    } else {
        d.required.iter().collect()
    };
    json!({
        "id": d.id,
        "site_id": site.id,
        "user_id": site.user_id,
        "build_id": null,
        "state": d.state.as_str(),
        "name": name,
        "url": url,
        "ssl_url": url,
        "admin_url": format!("{url}/admin/{name}"),
        "deploy_url": url,
        "deploy_ssl_url": url,
        "screenshot_url": null,
        "review_id": null,
        "draft": d.draft,
        "required": required,
        "required_functions": [],
        "required_edge_functions": [],
        "required_server": [],
        "error_message": d.error_message,
        "branch": d.branch.as_deref().unwrap_or("main"),
        "commit_ref": d.commit_ref,
        "commit_url": null,
        "skipped": null,
        "created_at": rfc3339(d.created_ms),
        "updated_at": rfc3339(d.updated_ms),
        "published_at": d.published_ms.map(rfc3339),
        "title": d.title,
        "context": d.context(),
        "locked": (is_published && site.locked).then_some(true),
        "review_url": null,
        "framework": d.framework,
        "skew_protection_token": d.skew_token,
        "function_schedules": [],
        "functions_region": null,
        "deploy_time": d.state.is_terminal().then(|| (d.updated_ms - d.created_ms) / 1000),
        "available_functions": [],
        "summary": { "status": if d.state == DeployState::Ready { "ready" } else { "unavailable" }, "messages": [] },
        "links": {
            "permalink": url,
            "alias": url,
            "branch": d.branch.as_ref().map(|_| url),
        },
    })
}

/// The site as the API shows it.
pub(super) fn site(cloud: &Cloud) -> Value {
    let (site, url) = (&cloud.state.netlify, &cloud.endpoints.site_url);
    let name = &cloud.state.settings.site.name;
    let slug = account_slug(cloud);
    json!({
        "id": site.id,
        "site_id": site.id,
        "state": "current",
        "plan": "local",
        "name": name,
        "custom_domain": null,
        "domain_aliases": [],
        "url": url,
        "ssl_url": url,
        "admin_url": format!("{url}/admin/{name}"),
        "screenshot_url": null,
        "created_at": rfc3339(site.created_ms),
        "updated_at": rfc3339(site.updated_ms),
        "user_id": site.user_id,
        "ssl": false,
        "force_ssl": false,
        "managed_dns": false,
        "deploy_url": url,
        "published_deploy": site.published_deploy().map(|d| deploy(cloud, d)),
        "account_id": site.account_id,
        "account_name": cloud.state.settings.project,
        "account_slug": slug,
        "build_settings": {},
        "feature_flags": {},
        "use_envelope": true,
        "prevent_non_git_prod_deploys": false,
        "processing_settings": { "html": { "pretty_urls": true } },
        "capabilities": {},
        "id_domain": format!("{}.local", site.id),
        "default_domain": format!("{name}.local"),
    })
}

/// One file of a deploy.
pub(super) fn file(path: &str, sha: &str, size: Option<u64>) -> Value {
    json!({ "id": path, "path": path, "sha": sha, "mime_type": crate::site::content_type(path), "size": size.unwrap_or(0) })
}

pub(super) fn account(cloud: &Cloud) -> Value {
    let site = &cloud.state.netlify;
    json!({
        "id": site.account_id,
        "name": cloud.state.settings.project,
        "slug": account_slug(cloud),
        "type": "local",
        "default": true,
        "roles_allowed": ["Owner"],
        "owner_ids": [site.user_id],
        "created_at": rfc3339(site.created_ms),
        "updated_at": rfc3339(site.updated_ms),
    })
}

pub(super) fn account_slug(cloud: &Cloud) -> String {
    cloud
        .state
        .settings
        .project
        .to_lowercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}
