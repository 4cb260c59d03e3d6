//! What the public gets: files, headers, redirects, and the way to the service.

use http::Request;
use serde_json::json;

use crate::sim::{Sim, commit, header, sha1, text};

fn sim() -> Sim {
    let mut sim = Sim::new();
    sim.deploy_site(
        &json!({}),
        &[
            ("/index.html", "<p>home</p>"),
            ("/about.html", "about"),
            ("/docs/index.html", "docs"),
            ("/app.js", "js"),
            ("/404.html", "lost"),
            ("/ä b.txt", "umlaut"),
            ("/_headers", "/*\n  X-Frame-Options: DENY\n/app.js\n  Cache-Control: public, max-age=31536000, immutable\n"),
            (
                "/_redirects",
                "/api/* https://sim-api.onrender.com/api/:splat 200!\n/else/* https://example.org/:splat 200\n/old/:id /docs 301\n/app/* /index.html 200\n/gone /404.html 404\n/loop /loop2 200\n/loop2 /loop 200\n",
            ),
        ],
    );
    sim
}

#[test]
fn files_are_found_as_the_edge_finds_them() {
    let mut sim = sim();
    for (path, status, body) in [
        ("/", 200, "<p>home</p>"),
        ("/about", 200, "about"),
        ("/about.html", 200, "about"),
        ("/docs", 200, "docs"),
        ("/docs/", 200, "docs"),
        ("/%C3%A4%20b.txt", 200, "umlaut"),
        ("/app/deep/link", 200, "<p>home</p>"),
        ("/nothing", 404, "lost"),
        ("/gone", 404, "lost"),
        ("/_redirects", 404, "lost"),
        ("/_headers", 404, "lost"),
        ("/../index.html", 404, "lost"),
        ("/%2e%2e/index.html", 404, "lost"),
        ("/loop", 404, "lost"),
    ] {
        let answer = sim.site("", path);
        assert_eq!(
            (answer.status().as_u16(), text(&answer).as_str()),
            (status, body),
            "{path}"
        );
    }
    let moved = sim.site("", "/old/7?a=1");
    assert_eq!(
        (moved.status().as_u16(), header(&moved, "location")),
        (301, "/docs?a=1".to_owned())
    );
}

#[test]
fn headers_etags_and_head() {
    let mut sim = sim();
    let home = sim.site("", "/");
    assert_eq!(
        header(&home, "etag"),
        format!("\"{}\"", sha1("<p>home</p>"))
    );
    assert_eq!(
        header(&home, "cache-control"),
        "public, max-age=0, must-revalidate"
    );
    assert_eq!(
        (
            header(&home, "content-type").as_str(),
            header(&home, "x-frame-options").as_str()
        ),
        ("text/html; charset=UTF-8", "DENY")
    );
    assert_eq!(
        header(&sim.site("", "/app.js"), "cache-control"),
        "public, max-age=31536000, immutable"
    );
    let url = format!("{}/", sim.cloud.endpoints().site_url);
    let conditional = Request::get(&url)
        .header("if-none-match", header(&home, "etag"))
        .body(Vec::new())
        .unwrap();
    let unchanged = sim.cloud.send(sim.now_ms, conditional).unwrap();
    assert_eq!(
        (unchanged.status().as_u16(), unchanged.body().len()),
        (304, 0)
    );
    let head = sim
        .cloud
        .send(sim.now_ms, Request::head(&url).body(Vec::new()).unwrap())
        .unwrap();
    assert_eq!((head.status().as_u16(), head.body().len()), (200, 0));
    let post = sim
        .cloud
        .send(sim.now_ms, Request::post(&url).body(Vec::new()).unwrap())
        .unwrap();
    assert_eq!(post.status().as_u16(), 405);
}

#[test]
fn the_api_is_proxied_to_the_service_and_to_nothing_else() {
    let mut sim = sim();
    assert_eq!(
        sim.site("", "/api/version").status().as_u16(),
        503,
        "no service yet"
    );
    sim.deploy_service(&commit(7));
    let answer = sim.site("", "/api/version?x=1");
    assert!(text(&answer).contains(&commit(7)));
    assert!(!header(&answer, "x-nf-request-id").is_empty());
    assert_eq!(sim.site("", "/else/x").status().as_u16(), 502);
    let token = sim.cloud.secrets().admin_token.clone();
    let through_site = format!("{}/api/admin/state", sim.cloud.endpoints().site_url);
    assert_eq!(
        sim.request("GET", &through_site, &token, b"")
            .unwrap()
            .status()
            .as_u16(),
        404,
        "the service sees the proxy's headers"
    );
    let direct = format!("{}/api/admin/state", sim.cloud.endpoints().service_url);
    assert_eq!(
        sim.request("GET", &direct, &token, b"")
            .unwrap()
            .status()
            .as_u16(),
        200
    );
}

#[test]
fn an_unknown_permalink_is_not_the_published_site() {
    let mut sim = sim();
    assert_eq!(
        sim.site("0123456789abcdef01234567--sim.local", "/")
            .status()
            .as_u16(),
        404
    );
    assert_eq!(
        sim.site("my--other.local", "/").status().as_u16(),
        200,
        "another site's name is no permalink of this one"
    );
    let draft = sim.deploy_site(&json!({ "draft": true }), &[("/index.html", "draft")]);
    let preview = sim.site(&format!("{draft}--sim.netlify.app"), "/");
    assert_eq!(
        (
            text(&preview).as_str(),
            header(&preview, "x-robots-tag").as_str()
        ),
        ("draft", "noindex")
    );
}

#[test]
fn rules_in_a_netlify_toml_count_too() {
    let mut sim = Sim::new();
    let toml = "[[redirects]]\nfrom = \"/a\"\nto = \"/index.html\"\nstatus = 200\n[[headers]]\nfor = \"/*\"\n[headers.values]\nX-T = \"1\"\n";
    sim.deploy_site(
        &json!({}),
        &[("/index.html", "home"), ("/netlify.toml", toml)],
    );
    let answer = sim.site("", "/a");
    assert_eq!(
        (text(&answer).as_str(), header(&answer, "x-t").as_str()),
        ("home", "1")
    );
    assert_eq!(sim.site("", "/netlify.toml").status().as_u16(), 404);
}
