//! Which call of Netlify's API is which: authentication, rate limits, and the table of methods and paths.

use http::{Method, Request, Response};
use serde_json::{Value, json};

use crate::answer::{self, param};
use crate::core::Cloud;
use crate::rate::Verdict;

use super::{deploys, files, json as shape};

/// Answers one call below `/api/v1/`.
pub(crate) fn handle(
    cloud: &mut Cloud,
    now_ms: i64,
    rest: &str,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    if !answer::has_bearer(request, &cloud.secrets.netlify_token) {
        return error(401, "Access Denied");
    }
    let verdict = count(cloud, now_ms, rest, request.method());
    let mut response = if verdict.allowed {
        route(cloud, now_ms, rest, request)
    } else {
        let mut refused = error(429, "API rate limit exceeded");
        answer::set_header(
            &mut refused,
            "retry-after",
            &verdict.seconds_left(now_ms).to_string(),
        );
        refused
    };
    answer::set_header(
        &mut response,
        "x-ratelimit-limit",
        &verdict.limit.to_string(),
    );
    answer::set_header(
        &mut response,
        "x-ratelimit-remaining",
        &verdict.remaining.to_string(),
    );
    answer::set_header(
        &mut response,
        "x-ratelimit-reset",
        &(verdict.reset_ms / 1000).to_string(),
    );
    let id = cloud.state.ids.base32(26).to_uppercase();
    answer::set_header(&mut response, "x-nf-request-id", &id);
    response
}

/// An error in Netlify's shape.
pub(super) fn error(status: u16, message: &str) -> Response<Vec<u8>> {
    answer::json(status, &json!({ "code": status, "message": message }))
}

fn count(cloud: &mut Cloud, now_ms: i64, rest: &str, method: &Method) -> Verdict {
    let limits = &cloud.state.settings.rate_limits;
    let (all, deploys) = (limits.netlify_per_min, limits.netlify_deploys_per_min);
    let verdict = cloud.state.buckets.take(now_ms, "netlify", all);
    if verdict.allowed
        && method == Method::POST
        && rest.starts_with("sites/")
        && rest.ends_with("/deploys")
    {
        return cloud.state.buckets.take(now_ms, "netlify-deploys", deploys);
    }
    verdict
}

fn route(
    cloud: &mut Cloud,
    now_ms: i64,
    rest: &str,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    let segments: Vec<&str> = rest.split('/').filter(|s| !s.is_empty()).collect();
    match (request.method(), segments.as_slice()) {
        (&Method::GET, ["user"]) => user(cloud),
        (&Method::GET, ["accounts"]) => answer::json(200, &json!([shape::account(cloud)])),
        (&Method::GET, ["accounts", account]) if is_account(cloud, account) => {
            answer::json(200, &shape::account(cloud))
        }
        (&Method::GET, ["accounts", account, "env"]) if is_account(cloud, account) => {
            answer::json(200, &json!([]))
        }
        (&Method::GET, ["sites"]) => sites(cloud, request),
        (&Method::GET, [account, "sites"]) if is_account(cloud, account) => sites(cloud, request),
        (_, ["sites", site, tail @ ..]) if is_site(cloud, site) => {
            site_route(cloud, now_ms, tail, request)
        }
        (_, ["deploys", id, tail @ ..]) => deploy_route(cloud, now_ms, id, tail, rest, request),
        _ => error(404, "Not Found"),
    }
}

fn site_route(
    cloud: &mut Cloud,
    now_ms: i64,
    tail: &[&str],
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    match (request.method(), tail) {
        (&Method::GET, []) => answer::json(200, &shape::site(cloud)),
        (&Method::GET, ["deploys"]) => deploys::list(cloud, request),
        (&Method::POST, ["deploys"]) => deploys::create(cloud, now_ms, request),
        (&Method::GET, ["deploys", id]) => deploys::get(cloud, id),
        (&Method::PUT, ["deploys", id]) => deploys::set_files(cloud, now_ms, id, request),
        (&Method::POST, ["deploys", id, "restore"]) => deploys::restore(cloud, now_ms, id),
        (&Method::POST, ["deploys", id, "cancel"]) => deploys::cancel(cloud, now_ms, id),
        (&Method::PUT, ["rollback"]) => deploys::rollback(cloud, now_ms),
        (&Method::GET, ["files"]) => match cloud.state.netlify.published.clone() {
            Some(id) => files::list(cloud, id.as_str(), request),
            None => answer::json(200, &json!([])),
        },
        (&Method::GET, ["files", path @ ..]) => files::published_file(cloud, &path.join("/")),
        (&Method::GET, ["deployed-branches"]) => deploys::branches(cloud),
        (
            &Method::GET,
            ["env" | "build_hooks" | "hooks" | "plugins" | "functions" | "snippets" | "builds"],
        ) => answer::json(200, &json!([])),
        _ => error(404, "Not Found"),
    }
}

fn deploy_route(
    cloud: &mut Cloud,
    now_ms: i64,
    id: &str,
    tail: &[&str],
    rest: &str,
    request: &Request<Vec<u8>>,
) -> Response<Vec<u8>> {
    match (request.method(), tail) {
        (&Method::GET, []) => deploys::get(cloud, id),
        (&Method::DELETE, []) => deploys::delete(cloud, id),
        (&Method::POST, ["cancel"]) => deploys::cancel(cloud, now_ms, id),
        (&Method::POST, ["lock"]) => deploys::lock(cloud, now_ms, id, true),
        (&Method::POST, ["unlock"]) => deploys::lock(cloud, now_ms, id, false),
        (&Method::GET, ["files"]) => files::list(cloud, id, request),
        (&Method::PUT, ["files", ..]) => {
            // The path is the rest of the URL: slashes belong to it, escapes do not.
            let path = rest.splitn(4, '/').nth(3).unwrap_or("");
            files::upload(
                cloud,
                now_ms,
                id,
                &answer::percent_decode_text(path),
                request,
            )
        }
        _ => error(404, "Not Found"),
    }
}

/// A site is found by id, by name, or by a domain that starts with the name.
fn is_site(cloud: &Cloud, given: &str) -> bool {
    let name = &cloud.state.settings.site.name;
    given == cloud.state.netlify.id
        || given == name
        || given
            .strip_prefix(name.as_str())
            .is_some_and(|d| d.starts_with('.'))
}

fn is_account(cloud: &Cloud, given: &str) -> bool {
    given == cloud.state.netlify.account_id || given == shape::account_slug(cloud)
}

fn sites(cloud: &Cloud, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
    let query = answer::query(request);
    let name = &cloud.state.settings.site.name;
    // The provider matches a part of the name.
    let found = param(&query, "name").is_none_or(|wanted| name.contains(wanted));
    let found = found && param(&query, "page").is_none_or(|page| page == "1");
    answer::json(
        200,
        &Value::Array(found.then(|| shape::site(cloud)).into_iter().collect()),
    )
}

fn user(cloud: &Cloud) -> Response<Vec<u8>> {
    let body = json!({ "id": cloud.state.netlify.user_id, "full_name": "local", "email": "local@localhost", "slug": "local" });
    answer::json(200, &body)
}
