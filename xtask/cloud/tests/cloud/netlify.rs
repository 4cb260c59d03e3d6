//! Netlify's rules: digests, drafts, aliases, locks, restores, pages.

use serde_json::{Value, json};

use crate::sim::{Sim, header, sha1, text};

fn site(sim: &Sim) -> String {
    format!("/sites/{}", sim.cloud.cloud().site_id())
}

fn published(sim: &mut Sim) -> Value {
    let path = site(sim);
    sim.netlify("GET", &path, &Value::Null).1["published_deploy"].clone()
}

#[test]
fn a_draft_stays_one_whatever_the_put_says_and_restore_publishes_it() {
    let mut sim = Sim::new();
    let old = sim.deploy_site(&json!({}), &[("/index.html", "old")]);
    assert_eq!(published(&mut sim)["id"], json!(old));
    let path = site(&sim);
    let (_, draft) = sim.netlify(
        "POST",
        &format!("{path}/deploys?title=run+1"),
        &json!({ "draft": true }),
    );
    let id = draft["id"].as_str().unwrap().to_owned();
    let put = json!({ "files": { "index.html": sha1("new") }, "draft": false });
    let (_, listed) = sim.netlify("PUT", &format!("{path}/deploys/{id}?commit_ref=abc"), &put);
    assert_eq!(
        (&listed["state"], &listed["required"]),
        (&json!("uploading"), &json!([sha1("new")]))
    );
    assert_eq!(sim.upload(&id, "/index.html", b"new").0, 200);
    sim.settle();
    let (_, ready) = sim.netlify("GET", &format!("/deploys/{id}"), &Value::Null);
    assert_eq!(
        (&ready["state"], &ready["draft"], &ready["context"]),
        (&json!("ready"), &json!(true), &json!("deploy-preview"))
    );
    assert_eq!(
        (
            &ready["title"],
            &ready["commit_ref"],
            &ready["published_at"]
        ),
        (&json!("run 1"), &json!("abc"), &Value::Null)
    );
    assert_eq!(
        published(&mut sim)["id"],
        json!(old),
        "a draft is not published by itself"
    );
    assert_eq!(text(&sim.site(&format!("{id}--sim.local"), "/")), "new");
    assert_eq!(
        sim.netlify(
            "POST",
            &format!("{path}/deploys/{id}/restore"),
            &Value::Null
        )
        .0,
        201
    );
    assert_eq!(published(&mut sim)["id"], json!(id));
    assert!(published(&mut sim)["published_at"].is_string());
    assert_eq!(text(&sim.site("", "/")), "new");
    assert_eq!(
        sim.netlify("PUT", &format!("{path}/rollback"), &Value::Null)
            .0,
        204
    );
    assert_eq!(published(&mut sim)["id"], json!(old));
}

#[test]
fn async_lists_pass_through_preparing_and_every_state_shows() {
    let mut sim = Sim::new();
    sim.deploy_site(&json!({}), &[("/a", "known")]);
    let path = site(&sim);
    let (_, deploy) = sim.netlify("POST", &format!("{path}/deploys"), &json!({}));
    let id = deploy["id"].as_str().unwrap().to_owned();
    let body = json!({ "files": { "/a": sha1("known"), "/b": sha1("b"), "/c": sha1("c") }, "async": true });
    let mut states = vec![deploy["state"].clone()];
    let (_, preparing) = sim.netlify("PUT", &format!("{path}/deploys/{id}"), &body);
    states.push(preparing["state"].clone());
    assert_eq!(preparing["required"], json!([]), "not known yet");
    sim.settle();
    let (_, prepared) = sim.netlify("GET", &format!("/deploys/{id}"), &Value::Null);
    states.push(prepared["state"].clone());
    assert_eq!(
        prepared["required"].as_array().unwrap().len(),
        2,
        "the store knows one of three digests"
    );
    for content in ["b", "c"] {
        assert_eq!(
            sim.upload(&id, &format!("/{content}"), content.as_bytes())
                .0,
            200
        );
        states.push(
            sim.netlify("GET", &format!("/deploys/{id}"), &Value::Null)
                .1["state"]
                .clone(),
        );
    }
    while let Some(at_ms) = sim.cloud.next_event_ms() {
        sim.now_ms = at_ms;
        states.push(
            sim.netlify("GET", &format!("/deploys/{id}"), &Value::Null)
                .1["state"]
                .clone(),
        );
    }
    let expected = [
        "new",
        "preparing",
        "prepared",
        "uploading",
        "uploaded",
        "processing",
        "processed",
        "ready",
    ];
    assert_eq!(states, expected.map(|s| json!(s)));
}

#[test]
fn uploads_are_checked_and_may_be_repeated() {
    let mut sim = Sim::new();
    let path = site(&sim);
    let (_, deploy) = sim.netlify("POST", &format!("{path}/deploys"), &json!({}));
    let id = deploy["id"].as_str().unwrap().to_owned();
    sim.netlify(
        "PUT",
        &format!("{path}/deploys/{id}"),
        &json!({ "files": { "sub/ä b[1].txt": sha1("x"), "/copy.txt": sha1("x") } }),
    );
    let (status, error) = sim.upload(&id, "/copy.txt", b"changed");
    assert_eq!((status, error["code"].as_i64()), (422, Some(422)));
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("did not match deploy")
    );
    let (status, file) = sim.upload(&id, "/sub/%C3%A4%20b%5B1%5D.txt", b"x");
    assert_eq!(
        (status, &file["path"], &file["size"]),
        (200, &json!("/sub/ä b[1].txt"), &json!(1))
    );
    assert_eq!(
        sim.upload(&id, "/copy.txt", b"x").0,
        200,
        "a digest that is there is welcome too"
    );
    assert_eq!(sim.upload(&id, "/other.txt", b"x").0, 422);
    sim.settle();
    let (_, files) = sim.netlify("GET", &format!("{path}/files"), &Value::Null);
    assert_eq!(
        files
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["path"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["/copy.txt", "/sub/ä b[1].txt"]
    );
    let body = json!({ "files": { "a#b": sha1("x") } });
    let (_, other) = sim.netlify("POST", &format!("{path}/deploys"), &json!({}));
    assert_eq!(
        sim.netlify(
            "PUT",
            &format!("{path}/deploys/{}", other["id"].as_str().unwrap()),
            &body
        )
        .0,
        422
    );
}

#[test]
fn an_alias_and_a_locked_site_are_not_published() {
    let mut sim = Sim::new();
    let live = sim.deploy_site(&json!({}), &[("/index.html", "live")]);
    let alias = sim.deploy_site(
        &json!({ "branch": "staging" }),
        &[("/index.html", "staging")],
    );
    assert_eq!(published(&mut sim)["id"], json!(live));
    assert_eq!(text(&sim.site("staging--sim.example:8080", "/")), "staging");
    assert_eq!(
        sim.netlify("POST", &format!("/deploys/{live}/lock"), &Value::Null)
            .1["locked"],
        json!(true)
    );
    let full = sim.deploy_site(&json!({}), &[("/index.html", "full")]);
    let (_, ready) = sim.netlify("GET", &format!("/deploys/{full}"), &Value::Null);
    assert_eq!(
        (&ready["state"], &ready["published_at"]),
        (&json!("ready"), &Value::Null)
    );
    assert_eq!(
        (
            published(&mut sim)["id"].clone(),
            published(&mut sim)["locked"].clone()
        ),
        (json!(live), json!(true))
    );
    let path = site(&sim);
    assert_eq!(
        sim.netlify(
            "POST",
            &format!("{path}/deploys/{full}/restore"),
            &Value::Null
        )
        .0,
        201
    );
    assert_eq!(published(&mut sim)["id"], json!(full));
    assert_eq!(
        sim.netlify("POST", &format!("/deploys/{full}/unlock"), &Value::Null)
            .1["locked"],
        Value::Null
    );
    assert_ne!(alias, full);
}

#[test]
fn lists_come_in_pages_newest_first() {
    let mut sim = Sim::new();
    let path = site(&sim);
    let ids: Vec<String> = (0..5)
        .map(|n| {
            sim.netlify(
                "POST",
                &format!("{path}/deploys?title={n}"),
                &json!({ "draft": n % 2 == 0 }),
            )
            .1["id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let url = format!(
        "{}/api/v1{path}/deploys?per_page=2&page=2&x=1",
        sim.cloud.endpoints().api_url
    );
    let token = sim.cloud.secrets().netlify_token.clone();
    let page = sim.request("GET", &url, &token, b"").unwrap();
    let link = header(&page, "link");
    let listed: Value = serde_json::from_slice(page.body()).unwrap();
    assert_eq!(
        listed
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["id"].as_str().unwrap())
            .collect::<Vec<_>>(),
        [&ids[2], &ids[1]]
    );
    assert!(
        link.contains("page=1&per_page=2&x=1>; rel=\"prev\"")
            && link.contains("page=3&per_page=2&x=1>; rel=\"next\""),
        "{link}"
    );
    let (_, production) = sim.netlify(
        "GET",
        &format!("{path}/deploys?production=true"),
        &Value::Null,
    );
    assert_eq!(production.as_array().unwrap().len(), 2);
    assert_eq!(
        sim.netlify(
            "GET",
            &format!("{path}/deploys?latest-published=true"),
            &Value::Null
        )
        .1,
        json!([])
    );
}

#[test]
fn cancel_delete_and_errors() {
    let mut sim = Sim::new();
    let path = site(&sim);
    let live = sim.deploy_site(&json!({}), &[("/index.html", "live")]);
    let (_, deploy) = sim.netlify("POST", &format!("{path}/deploys"), &json!({}));
    let id = deploy["id"].as_str().unwrap();
    let (status, ended) = sim.netlify("POST", &format!("/deploys/{id}/cancel"), &Value::Null);
    assert_eq!(
        (status, &ended["state"], &ended["error_message"]),
        (201, &json!("error"), &json!("Canceled"))
    );
    assert_eq!(
        sim.netlify(
            "POST",
            &format!("{path}/deploys/{id}/restore"),
            &Value::Null
        )
        .0,
        422
    );
    assert_eq!(
        sim.netlify(
            "PUT",
            &format!("{path}/deploys/{id}"),
            &json!({ "files": {} })
        )
        .0,
        422
    );
    assert_eq!(
        sim.netlify("DELETE", &format!("/deploys/{live}"), &Value::Null)
            .0,
        422
    );
    assert_eq!(
        sim.netlify("DELETE", &format!("/deploys/{id}"), &Value::Null)
            .0,
        204
    );
    assert_eq!(
        sim.netlify("GET", &format!("/deploys/{id}"), &Value::Null),
        (404, json!({ "code": 404, "message": "Not Found" }))
    );
    let url = format!("{}/api/v1{path}", sim.cloud.endpoints().api_url);
    let refused = sim.request("GET", &url, "wrong", b"").unwrap();
    assert_eq!(
        crate::sim::read(refused),
        (401, json!({ "code": 401, "message": "Access Denied" }))
    );
}

#[test]
fn the_calls_of_the_official_client_are_answered() {
    let mut sim = Sim::new();
    let id = sim.cloud.cloud().site_id().to_owned();
    let (_, by_id) = sim.netlify(
        "GET",
        &format!("/sites/{id}?feature_flags=cli"),
        &Value::Null,
    );
    assert_eq!((&by_id["id"], &by_id["name"]), (&json!(id), &json!("sim")));
    assert_eq!(
        sim.netlify("GET", "/sites/sim.netlify.app", &Value::Null).1["id"],
        json!(id)
    );
    assert_eq!(
        sim.netlify("GET", "/sites?name=sim&filter=all", &Value::Null)
            .1[0]["id"],
        json!(id)
    );
    assert_eq!(
        sim.netlify("GET", "/sites?name=else&filter=all", &Value::Null)
            .1,
        json!([])
    );
    let (_, accounts) = sim.netlify("GET", "/accounts?minimal=true", &Value::Null);
    let slug = accounts[0]["slug"].as_str().unwrap();
    assert_eq!(by_id["account_slug"], json!(slug));
    assert_eq!(
        sim.netlify(
            "GET",
            &format!("/accounts/{slug}/env?site_id={id}"),
            &Value::Null
        ),
        (200, json!([]))
    );
    assert_eq!(sim.netlify("GET", "/sites/another", &Value::Null).0, 404);
}

#[test]
fn limits_are_told_and_kept() {
    let mut sim = Sim::new();
    let mut settings = sim.cloud.cloud().settings().clone();
    settings.rate_limits.netlify_deploys_per_min = 1;
    sim.cloud.cloud_mut().set_settings(settings);
    let path = site(&sim);
    assert_eq!(
        sim.netlify("POST", &format!("{path}/deploys"), &json!({}))
            .0,
        200
    );
    let url = format!("{}/api/v1{path}/deploys", sim.cloud.endpoints().api_url);
    let token = sim.cloud.secrets().netlify_token.clone();
    let refused = sim.request("POST", &url, &token, b"{}").unwrap();
    assert_eq!(
        (
            refused.status().as_u16(),
            header(&refused, "x-ratelimit-remaining").as_str()
        ),
        (429, "0")
    );
    let wait_s: i64 = header(&refused, "retry-after").parse().unwrap();
    sim.pass(wait_s * 1000);
    assert_eq!(
        sim.netlify("POST", &format!("{path}/deploys"), &json!({}))
            .0,
        200
    );
    assert_eq!(
        sim.cloud.created_deploys(),
        (2, 0),
        "a refused call creates nothing"
    );
}
