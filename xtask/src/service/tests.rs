//! Tests of the service client against scripted and recorded answers.

use super::*;
use crate::contract::Place;
use crate::http::script::{Script, answer, answer_with, fault, key};

const BASE: &str = "https://svc.example";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn contract(health: &str, rung: Rung) -> Contract {
    Contract {
        health: health.to_owned(),
        version: "/api/version".to_owned(),
        admin: "/api/admin".to_owned(),
        rung,
    }
}

fn told(path: &str, field: &str) -> Told {
    Told {
        path: path.to_owned(),
        place: Place::Field(field.to_owned()),
    }
}

fn service(world: &Script) -> Service<'_> {
    Service::new(world, BASE, &contract("/api/health", Rung::Provider))
}

/// A service that tells its commit in the field `version` of its health.
fn look(answers: Vec<Result<Response, SendError>>) -> Identity {
    let world = Script::new(answers);
    let rung = Rung::Commit(told("/api/health", "version"));
    Service::new(&world, BASE, &contract("/api/health", rung)).identity(&Commit::from(COMMIT))
}

fn body(text: &str) -> Identity {
    look(vec![answer(200, text)])
}

#[test]
fn healthy_and_ours() {
    for version in [COMMIT, &COMMIT[..7], &COMMIT.to_uppercase()] {
        let text = format!(r#"{{"status":"healthy","version":"{version}","database":"ok"}}"#);
        assert_eq!(body(&text), Identity::Ours { warning: None });
    }
}

#[test]
fn healthy_but_not_ours() {
    assert_eq!(
        body(r#"{"status":"healthy","version":"fedcba9876"}"#),
        Identity::Other(Commit::from("fedcba9876"))
    );
    for text in [
        r#"{"status":"healthy"}"#,
        r#"{"version":"unknown"}"#,
        r#"{"version":""}"#,
        r#"{"version":null}"#,
        // The version of a package, with the commit where nobody said that it is.
        r#"{"version":"1.0.0","commit":"0123456789abcdef0123456789abcdef01234567"}"#,
        // Six digits are too few to be sure.
        r#"{"version":"012345"}"#,
        "OK",
    ] {
        assert!(matches!(body(text), Identity::NoVersion(_)), "{text}");
    }
}

#[test]
fn the_commit_is_read_where_the_contract_says() {
    let other = "f".repeat(40);
    let healthy = || answer(200, &format!(r#"{{"status":"ok","version":"{other}"}}"#));
    let commit = |text: &str| answer(200, &format!(r#"{{"build":{{"sha":"{text}"}}}}"#));
    let look = |answers| {
        let world = Script::new(answers);
        let rung = Rung::Commit(told("/about", "build.sha"));
        let contract = contract("/healthz", rung);
        let seen = Service::new(&world, BASE, &contract).identity(&Commit::from(COMMIT));
        let paths = [format!("GET {BASE}/healthz"), format!("GET {BASE}/about")];
        assert_eq!(world.sent(), paths);
        seen
    };
    assert_eq!(
        look(vec![healthy(), commit(COMMIT)]),
        Identity::Ours { warning: None }
    );
    assert_eq!(
        look(vec![healthy(), commit(&other)]),
        Identity::Other(Commit(other.clone()))
    );
    let unsaid = look(vec![healthy(), answer(404, "")]);
    assert_eq!(unsaid, Identity::NoVersion("/about answers 404".to_owned()));
    let silent = look(vec![healthy(), fault(SendErrorKind::NotSent)]);
    assert!(matches!(silent, Identity::Away(_)));
}

#[test]
fn where_no_commit_is_promised_only_a_whole_other_one_disproves() {
    let other = "f".repeat(40);
    for (text, expected) in [
        (r#"{"version":"1.0.0"}"#.to_owned(), None),
        (r#"{"version":"20261128"}"#.to_owned(), None),
        ("OK".to_owned(), None),
        (format!(r#"{{"commit":"{COMMIT}"}}"#), None),
        (
            format!(r#"{{"version":"1.0.0","commit":"{other}"}}"#),
            Some(&other),
        ),
    ] {
        let world = Script::new([answer(200, &text)]);
        let seen = service(&world).identity(&Commit::from(COMMIT));
        let wanted = expected.map_or(Identity::Ours { warning: None }, |commit| {
            Identity::Other(Commit(commit.clone()))
        });
        assert_eq!(seen, wanted, "{text}");
    }
}

#[test]
fn the_usual_places_are_looked_at_for_the_expected_commit() {
    let find = |version: &str, health: &str| {
        let world = Script::new([answer(200, version), answer(200, health)]);
        service(&world).tells(&Commit::from(COMMIT))
    };
    let commit = format!(r#"{{"commit":"{COMMIT}"}}"#);
    let version = format!(r#"{{"commit":"1.2","version":"{COMMIT}"}}"#);
    assert_eq!(find(&commit, ""), Some(told("/api/version", "commit")));
    assert_eq!(find("<html>", &commit), Some(told("/api/health", "commit")));
    assert_eq!(find("{}", &version), Some(told("/api/health", "version")));
    assert_eq!(find(r#"{"commit":"fedcba9"}"#, r#"{"version":"1"}"#), None);
}

#[test]
fn the_body_is_judged_not_only_the_status() {
    for (extra, why) in [
        (r#""status":"unhealthy""#, "status is unhealthy"),
        (
            r#""status":"healthy","database":"error""#,
            "database is error",
        ),
        (
            r#""status":"ok","database":{"status":"down"}"#,
            "database is down",
        ),
        (r#""ok":false"#, "ok is false"),
    ] {
        let seen = body(&format!(r#"{{{extra},"version":"{COMMIT}"}}"#));
        assert_eq!(
            seen,
            Identity::Unhealthy {
                status: 200,
                text: why.to_owned()
            }
        );
    }
    let seen = look(vec![answer(503, r#"{"status":"healthy"}"#)]);
    assert!(matches!(seen, Identity::Unhealthy { status: 503, .. }));
}

#[test]
fn degraded_is_healthy_with_a_warning() {
    let text =
        format!(r#"{{"status":"degraded","version":"{COMMIT}","diskSpace":{{"free_bytes":9}}}}"#);
    let Identity::Ours {
        warning: Some(warning),
    } = look(vec![answer_with(200, &[("age", "312")], &text)])
    else {
        panic!("degraded is healthy")
    };
    assert!(
        warning.contains("calls itself degraded") && warning.contains("312 s old"),
        "{warning}"
    );
}

#[test]
fn walls_pages_and_silence() {
    assert_eq!(look(vec![answer(401, "")]), Identity::AuthWall);
    for elsewhere in [
        answer(200, "<!doctype html><title>Welcome</title>"),
        answer(404, r#"{"error":"no such path"}"#),
    ] {
        assert!(matches!(look(vec![elsewhere]), Identity::Elsewhere(_)));
    }
    // A service whose health is its front page.
    let world = Script::new([answer(200, "<html>")]);
    let front = contract("/", Rung::Provider);
    let seen = Service::new(&world, BASE, &front).identity(&Commit::from(COMMIT));
    assert_eq!(seen, Identity::Ours { warning: None });
    let seen = look(vec![fault(SendErrorKind::NotSent)]);
    assert!(matches!(seen, Identity::Away(_)));
}

fn to(location: &str) -> Result<Response, SendError> {
    answer_with(302, &[("location", location)], "")
}

#[test]
fn redirects_stay_on_the_site() {
    let healthy = answer(200, &format!(r#"{{"version":"{COMMIT}"}}"#));
    assert_eq!(
        look(vec![to("/health/"), to("/h"), to("/x"), healthy.clone()]),
        Identity::Ours { warning: None }
    );
    let seen = look(vec![to("/a"), to("/b"), to("/c"), to("/d"), healthy]);
    assert!(
        matches!(&seen, Identity::Unhealthy { text, .. } if text.contains("more than 3")),
        "{seen:?}"
    );
    let seen = look(vec![to("https://login.example/sso")]);
    assert!(
        matches!(&seen, Identity::Elsewhere(text) if text.contains("login.example")),
        "{seen:?}"
    );
    let seen = look(vec![to("/login"), answer(200, "<html>")]);
    assert!(
        matches!(&seen, Identity::Elsewhere(text) if text.contains("/login")),
        "{seen:?}"
    );
}

#[test]
fn a_probe_is_one_short_request() {
    let world = Script::new([answer(500, "")]);
    let contract = contract("health", Rung::Provider);
    Service::new(&world, "https://svc.example/", &contract).identity(&Commit::from(COMMIT));
    assert_eq!(world.sent(), ["GET https://svc.example/health"]);
    assert_eq!(world.last().1.timeout, Duration::from_secs(5));
}

#[test]
fn the_state_of_the_database_is_read() {
    let text = format!(
        r#"{{"commit":"{COMMIT}","schema":{{"generation":2,"definitions":[{{"type":"table","name":"t","table":"t","sql":"CREATE TABLE t(x)"}},{{"type":"index","name":"i","table":"t","sql":null}}]}},
        "history":[{{"filename":"0001_a.sql","executed_at":"2026-01-01 00:00:00","checksum":"c","compatible":true}},{{"filename":"0000_old.sql"}}],
        "pending":["0003_c.sql"],"sqlite_version":"3.51.0","disk":{{"path":"/var/data","free_bytes":1,"total_bytes":2}},"backups":[],"new_key":1}}"#
    );
    let world = Script::new([answer(200, &text)]);
    let token = key();
    let state = service(&world).admin_state(&token).unwrap();
    assert_eq!(
        (
            state.schema.generation,
            state.schema.definitions.len(),
            state.pending.len()
        ),
        (2, 2, 1)
    );
    assert_eq!(
        (state.history[0].compatible, state.history[1].compatible),
        (Some(true), None)
    );
    let (request, _) = world.last();
    assert_eq!(
        request.headers()["authorization"],
        format!("Bearer {}", token.expose())
    );
}

#[test]
fn the_paths_of_deploy_toml_are_asked() {
    let (token, text) = (key(), r#"{"commit":"c","outcome":"up_to_date"}"#);
    let world = Script::new([answer(200, text), answer(404, ""), answer(200, text)]);
    let contract = Contract {
        version: "about".to_owned(),
        admin: "/ops/admin/".to_owned(),
        ..contract("/health", Rung::Provider)
    };
    let service = Service::new(&world, BASE, &contract);
    service.version().unwrap();
    service
        .until(60_000)
        .admin_state(&token)
        .expect_err("scripted as missing");
    service.admin_migrate(&token).unwrap();
    assert_eq!(
        world.sent(),
        [
            format!("GET {BASE}/about"),
            format!("GET {BASE}/ops/admin/state"),
            format!("POST {BASE}/ops/admin/migrate")
        ]
    );
}

#[test]
fn a_refused_migration_is_an_answer() {
    let token = key();
    let failed = r#"{"outcome":"failed","applied":[],"pending":["b.sql"],"backup":null,"error":{"file":"b.sql","line":3,"message":"no such table"}}"#;
    let world = Script::new([answer(500, failed)]);
    let migrated = service(&world).admin_migrate(&token).unwrap();
    assert_eq!(
        (
            migrated.outcome.as_str(),
            migrated.error.and_then(|error| error.line)
        ),
        ("failed", Some(3))
    );

    let world = Script::new([answer(500, "oops")]);
    assert!(matches!(
        service(&world).admin_migrate(&token),
        Err(ApiError::InDoubt(_))
    ));
    let world = Script::new([answer(404, "")]);
    assert!(matches!(
        service(&world).admin_migrate(&token),
        Err(ApiError::NotFound(_))
    ));
}

#[test]
fn files_are_fetched_past_caches_from_the_named_host() {
    let world = Script::new([answer_with(404, &[("age", "5")], "abc")]);
    let address = SiteAddress::permalink("http://127.0.0.1:8080", "http://d1--shop.localhost");
    let file = site_file(&world, &address, "/sub/a b.js", 0, &|| {}).unwrap();
    assert_eq!((file.status, file.age_s), (404, Some(5)));
    // The digest of FIPS 180's first example.
    assert_eq!(file.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
    let (request, _) = world.last();
    assert_eq!(
        request.uri(),
        "http://127.0.0.1:8080/sub/a%20b.js?tandem=000000000000012c"
    );
    assert_eq!(
        request.headers().get_all("host").iter().collect::<Vec<_>>(),
        ["d1--shop.localhost"]
    );
    assert_eq!(request.headers().get_all("accept").iter().count(), 1);
    let real = SiteAddress::permalink("https://shop.example", "https://d1--shop.netlify.app");
    assert_eq!(real, SiteAddress::public("https://d1--shop.netlify.app"));
}
