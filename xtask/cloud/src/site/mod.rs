//! The public site: picks the deploy by host name, applies its headers and redirects, and finds the file as Netlify's edge does.

mod headers;
mod mime;
mod redirects;
mod rules;

use std::collections::BTreeMap;

use http::{Method, Request, Response};

use crate::answer;
use crate::core::Cloud;
use crate::netlify::{DeployState, SiteDeploy};
use crate::reply::{Content, Reply};

pub(crate) use mime::content_type;
use redirects::{Rule, Target};

/// Rewrites followed for one request; a loop ends here.
const REWRITES_MAX: usize = 5;

/// Answers one request at the site's door.
pub(crate) fn handle(cloud: &mut Cloud, now_ms: i64, request: Request<Vec<u8>>) -> Reply {
    let request_id = cloud.state.ids.base32(26).to_uppercase();
    let host = host_of(&request);
    let mut reply = match select(cloud, &host) {
        Some(deploy) => serve(cloud, now_ms, deploy, &host, &request_id, request),
        None => Reply::respond(answer::bytes(
            404,
            "text/plain; charset=utf-8",
            b"Not Found\n".to_vec(),
        )),
    };
    if let Content::Response(response) = &mut reply.content {
        answer::set_header(response, "server", "Netlify");
        answer::set_header(response, "x-nf-request-id", &request_id);
    }
    reply
}

/// The `Host` header, else the URL's authority, without the port.
fn host_of(request: &Request<Vec<u8>>) -> String {
    let header = answer::header(request, "host");
    let host = if header.is_empty() {
        request.uri().host().unwrap_or("")
    } else {
        header
    };
    host.split(':').next().unwrap_or("").to_lowercase()
}

/// `<deploy id>--<name>.…` is a permalink, `<branch>--<name>.…` a branch's newest deploy, anything else the published deploy.
fn select<'a>(cloud: &'a Cloud, host: &str) -> Option<&'a SiteDeploy> {
    let site = &cloud.state.netlify;
    let first = host.split('.').next().unwrap_or("");
    let name = cloud.state.settings.site.name.to_lowercase();
    match first.rsplit_once("--") {
        Some((prefix, site_name)) if site_name == name => {
            let by_id = site
                .deploy(prefix)
                .filter(|d| matches!(d.state, DeployState::Processed | DeployState::Ready));
            by_id.or_else(|| site.branch_deploy(prefix))
        }
        _ => site.published_deploy(),
    }
}

fn serve(
    cloud: &Cloud,
    now_ms: i64,
    deploy: &SiteDeploy,
    host: &str,
    request_id: &str,
    request: Request<Vec<u8>>,
) -> Reply {
    let rules = rules::load(deploy, &cloud.blobs);
    let is_published = cloud.state.netlify.published.as_ref() == Some(&deploy.id);
    let mut path = answer::percent_decode_text(request.uri().path());
    let public_path = path.clone();
    let respond = |mut response: Response<Vec<u8>>| {
        for (name, value) in headers::matching(&rules.headers, &public_path) {
            answer::set_header(&mut response, name, value);
        }
        // A draft that was restored is the production site, whatever it was created as.
        if deploy.context() != "production" && !is_published {
            answer::set_header(&mut response, "x-robots-tag", "noindex");
        }
        Reply::respond(response)
    };
    let mut status = 200;
    for _ in 0..REWRITES_MAX {
        let file = find(&deploy.files, &path);
        let Some((rule, target)) = redirects::first(
            &rules.redirects,
            &path,
            request.uri().query(),
            file.is_some(),
        ) else {
            break;
        };
        match target {
            Target::Redirect(to) => return respond(redirect(rule, &to)),
            Target::Proxy(url) => {
                // Escapes such as %2F must reach the service as they were sent.
                let url = match redirects::apply(rule, request.uri().path(), request.uri().query())
                {
                    Some(Target::Proxy(as_sent)) if path == public_path => as_sent,
                    _ => url,
                };
                return proxy(cloud, now_ms, &url, host, request_id, request);
            }
            Target::Rewrite(to) if to == path => {
                status = rule.status;
                break;
            }
            Target::Rewrite(to) => {
                (path, status) = (to, rule.status);
                // A rewrite that found its file ends the search, unless the file itself is shadowed by force.
                if find(&deploy.files, &path).is_some() {
                    break;
                }
            }
        }
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return respond(answer::bytes(
            405,
            "text/plain; charset=utf-8",
            b"Method Not Allowed\n".to_vec(),
        ));
    }
    let response = match find(&deploy.files, &path) {
        Some((found, sha)) => file_response(cloud, &request, found, sha, status),
        None => not_found(cloud, deploy, &request),
    };
    respond(response)
}

fn redirect(rule: &Rule, to: &str) -> Response<Vec<u8>> {
    let mut response = answer::bytes(
        rule.status,
        "text/plain; charset=utf-8",
        format!("Redirecting to {to}\n").into_bytes(),
    );
    answer::set_header(&mut response, "location", to);
    response
}

/// A proxy target is the configured service, by its local URL or by its public name; other hosts are out of a local cloud's reach.
fn proxy(
    cloud: &Cloud,
    now_ms: i64,
    url: &str,
    host: &str,
    request_id: &str,
    mut request: Request<Vec<u8>>,
) -> Reply {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let name = &cloud.state.settings.service.name;
    let is_service = cloud
        .endpoints
        .service_url
        .ends_with(&format!("//{authority}"))
        || authority
            .split('.')
            .next()
            .is_some_and(|first| first == name);
    if !is_service {
        let text = format!(
            "the site proxies to {authority}, but only the service {name} runs in this local cloud\n"
        );
        return Reply::respond(answer::bytes(
            502,
            "text/plain; charset=utf-8",
            text.into_bytes(),
        ));
    }
    let Ok(uri) = rules::encode(path).parse() else {
        return Reply::respond(answer::bytes(
            400,
            "text/plain; charset=utf-8",
            b"Bad Request\n".to_vec(),
        ));
    };
    *request.uri_mut() = uri;
    answer::set_request_header(&mut request, "x-forwarded-host", host);
    answer::set_request_header(&mut request, "x-nf-request-id", request_id);
    let added = vec![("x-nf-request-id".to_owned(), request_id.to_owned())];
    cloud.edge(now_ms, request, added)
}

/// Netlify's order for pretty URLs. The rule files themselves are never found.
fn find<'a>(files: &'a BTreeMap<String, String>, path: &str) -> Option<(&'a String, &'a String)> {
    if !path.starts_with('/') || path.split('/').any(|s| s == "..") {
        return None;
    }
    let base = path.trim_end_matches('/');
    let candidates = if path.ends_with('/') {
        vec![
            format!("{base}/index.html"),
            format!("{base}/index.htm"),
            format!("{base}.html"),
            format!("{base}.htm"),
        ]
    } else {
        vec![
            path.to_owned(),
            format!("{base}.html"),
            format!("{base}.htm"),
            format!("{base}/index.html"),
            format!("{base}/index.htm"),
        ]
    };
    candidates
        .iter()
        .filter(|c| !rules::is_rule_file(c))
        .find_map(|c| files.get_key_value(c))
}

fn file_response(
    cloud: &Cloud,
    request: &Request<Vec<u8>>,
    path: &str,
    sha: &str,
    status: u16,
) -> Response<Vec<u8>> {
    let etag = format!("\"{sha}\"");
    let is_known = answer::header(request, "if-none-match")
        .split(',')
        .any(|t| t.trim().trim_start_matches("W/") == etag);
    let mut response = if is_known && status == 200 {
        answer::empty(304)
    } else {
        match cloud.blobs.get(sha) {
            Some(body) => answer::bytes(status, content_type(path), body),
            None => answer::bytes(
                500,
                "text/plain; charset=utf-8",
                b"the file's content is gone from the store\n".to_vec(),
            ),
        }
    };
    answer::set_header(&mut response, "etag", &etag);
    answer::set_header(
        &mut response,
        "cache-control",
        "public, max-age=0, must-revalidate",
    );
    answer::set_header(&mut response, "age", "0");
    response
}

fn not_found(cloud: &Cloud, deploy: &SiteDeploy, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
    match deploy.files.get("/404.html") {
        Some(sha) => file_response(cloud, request, "/404.html", sha, 404),
        None => answer::bytes(404, "text/plain; charset=utf-8", b"Not Found\n".to_vec()),
    }
}
