//! What the API client does with every kind of answer, against a scripted world with virtual time.

use super::script::{Script, answer, answer_with, fault, key};
use super::*;
use crate::world::SendErrorKind;
use serde_json::json;
use std::sync::atomic::Ordering;

fn api<'a>(world: &'a Script, token: &'a Secret) -> Api<'a> {
    Api::new(
        world,
        "Render",
        "https://api.render.example/v1/",
        Some(token),
    )
}

fn get(world: &Script) -> Result<Value, ApiError> {
    let token = key();
    api(world, &token).get_json("/services/srv-1?limit=2")
}

fn post(world: &Script) -> Result<Response, ApiError> {
    let token = key();
    api(world, &token).send_once(
        Method::POST,
        "/services/srv-1/deploys",
        Some(&json!({"commitId": "abc"})),
    )
}

#[test]
fn a_request_carries_key_and_body() {
    let world = Script::new([answer(201, r#"{"id":"dep-1"}"#)]);
    post(&world).unwrap();
    let (request, limits) = world.last();
    assert_eq!(
        request.uri(),
        "https://api.render.example/v1/services/srv-1/deploys"
    );
    let header = |name: &str| request.headers()[name].to_str().unwrap();
    assert_eq!(
        header("authorization"),
        format!("Bearer {}", key().expose())
    );
    assert!(request.headers()["authorization"].is_sensitive());
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(request.body(), br#"{"commitId":"abc"}"#);
    assert_eq!(limits.timeout, Duration::from_secs(30));
}

#[test]
fn reading_outlives_faults_that_pass() {
    for first in [
        answer(500, ""),
        answer(502, "<html><title>Bad gateway</title>"),
        answer(503, ""),
        answer(408, ""),
        answer(429, r#"{"message":"rate limit exceeded"}"#),
        answer(200, r#"{"id":"#),
        answer(200, ""),
        answer(200, r#"{"code":503,"message":"try later"}"#),
        answer_with(
            200,
            &[("content-type", "text/html")],
            "<title>Sign in</title>",
        ),
        fault(SendErrorKind::NotSent),
        fault(SendErrorKind::Unknown),
    ] {
        let world = Script::new([first.clone(), answer(200, r#"{"id":"srv-1"}"#)]);
        assert_eq!(get(&world).unwrap(), json!({"id": "srv-1"}), "{first:?}");
        assert_eq!(world.waits_ms(), [300], "{first:?}");
    }
}

#[test]
fn reading_stops_at_a_definite_no() {
    for (status, body, kind) in [
        (400, r#"{"message":"bad commit"}"#, "Rejected"),
        (401, "{}", "Unauthorised"),
        (402, "{}", "Rejected"),
        (403, "{}", "Forbidden"),
        (404, r#"{"message":"not found: srv-1"}"#, "NotFound"),
        (410, "{}", "Rejected"),
        (422, "{}", "Rejected"),
        (501, "{}", "Rejected"),
        (
            200,
            r#"{"code":401,"message":"Access Denied"}"#,
            "Unauthorised",
        ),
        (200, r#"{"error":"nope"}"#, "Rejected"),
    ] {
        let world = Script::new([answer(status, body)]);
        let error = get(&world).unwrap_err();
        assert!(
            format!("{error:?}").starts_with(kind),
            "{status}: {error:?}"
        );
        assert!(error.is_definite_no() && !error.is_transient(), "{status}");
        assert_eq!(world.sent().len(), 1, "{status}");
    }
}

#[test]
fn attempts_end() {
    let world = Script::new(vec![answer(500, r#"{"message":"boom"}"#); 9]);
    let error = get(&world).unwrap_err();
    assert_eq!(world.sent().len(), 4);
    assert_eq!(
        error.to_string(),
        "Render: GET /services/srv-1 answered 500: boom, after 4 attempts (hint: the provider may have an outage; its status page tells)"
    );
    let world = Script::new(vec![answer(200, "no json"); 9]);
    assert!(matches!(get(&world), Err(ApiError::InDoubt(_))));
    assert_eq!(world.sent().len(), 3);
    let world = Script::new(vec![fault(SendErrorKind::TooLarge); 9]);
    assert!(matches!(get(&world), Err(ApiError::InDoubt(_))));
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn a_host_that_is_not_found_or_not_trusted_is_no_outage() {
    let world = Script::new(vec![fault(SendErrorKind::NoSuchHost); 9]);
    let error = get(&world).unwrap_err();
    assert_eq!(world.sent().len(), 3);
    // A name server may be away for a while like everything else: whoever waits for a release goes on waiting.
    assert!(error.is_definite_no() && error.is_transient());
    assert_eq!(
        error.to_string(),
        "Render: GET /services/srv-1 was not sent: the name api.render.example does not resolve: NoSuchHost as scripted, after 3 attempts (hint: is the address spelled right, and does this machine's name resolution work?)"
    );
    let world = Script::new(vec![fault(SendErrorKind::Untrusted); 9]);
    let error = get(&world).unwrap_err();
    assert_eq!(world.sent().len(), 1, "a certificate does not get better");
    assert!(error.is_definite_no() && !error.is_transient());
    assert_eq!(
        error.to_string(),
        "Render: GET /services/srv-1 was not sent: api.render.example could not prove who it is: Untrusted as scripted (hint: check this machine's clock and its certificate authorities, and whether a proxy stands before it)"
    );
}

#[test]
fn what_was_not_processed_is_sent_again() {
    let limited = answer_with(
        429,
        &[("retry-after", "30")],
        r#"{"message":"rate limit exceeded"}"#,
    );
    let world = Script::new([limited, fault(SendErrorKind::NotSent), answer(201, "{}")]);
    post(&world).unwrap();
    assert_eq!(world.waits_ms(), [30_300, 300]);
    let reasons = world.reasons();
    assert_eq!(
        reasons[0],
        "answered 429: rate limit exceeded (the wait is from retry-after)"
    );
    assert!(reasons[1].starts_with("was not sent: "), "{reasons:?}");
}

#[test]
fn what_may_have_been_processed_is_not_sent_again() {
    for first in [
        answer(500, ""),
        answer(502, ""),
        answer(503, ""),
        answer(504, ""),
        answer_with(303, &[("location", "/v1/deploys/dep-1")], ""),
        fault(SendErrorKind::Unknown),
        fault(SendErrorKind::TooLarge),
        fault(SendErrorKind::Cancelled),
    ] {
        let world = Script::new([first.clone()]);
        let error = post(&world).unwrap_err();
        assert!(!error.is_definite_no(), "{first:?}: {error:?}");
        assert_eq!(world.left(), 0);
    }
}

#[test]
fn a_named_wait_is_kept_before_the_doubt_is_settled() {
    let busy = answer_with(503, &[("retry-after", "7")], r#"{"message":"busy"}"#);
    let world = Script::new([busy.clone()]);
    assert!(matches!(post(&world), Err(ApiError::InDoubt(_))));
    assert_eq!((world.elapsed_ms(), world.sent().len()), (7_000, 1));

    let world = Script::new([busy, answer(200, "{}")]);
    get(&world).unwrap();
    assert_eq!(world.waits_ms(), [7_300]);
}

#[test]
fn a_wait_beyond_the_deadline_is_not_begun() {
    let day = answer_with(429, &[("retry-after", "86400")], "{}");
    let world = Script::new([day]);
    let token = key();
    let error = api(&world, &token)
        .until(60_000)
        .get_json::<Value>("/services")
        .unwrap_err();
    assert!(matches!(
        error,
        ApiError::RateLimited {
            wait_ms: 86_400_000,
            ..
        }
    ));
    assert!(
        error.to_string().ends_with("; it would have to wait 24 h"),
        "{error}"
    );
    assert!(
        error.to_string().contains("the time left is 60 s"),
        "{error}"
    );
    assert_eq!(world.elapsed_ms(), 0);
}

#[test]
fn calls_are_cut_to_the_deadline() {
    let world = Script::new([answer(200, "{}")]);
    let token = key();
    let api = api(&world, &token);
    api.until(2_000).get_json::<Value>("/services").unwrap();
    assert_eq!(world.last().1.timeout, Duration::from_secs(2));
    let error = api.until(50).get_json::<Value>("/services").unwrap_err();
    assert!(matches!(error, ApiError::Deadline(_)) && error.is_definite_no());
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn a_run_pays_for_its_retries() {
    let budget = AtomicU32::new(2);
    let world = Script::new(vec![answer(500, ""); 9]);
    let token = key();
    let api = api(&world, &token).paying_from(&budget);
    let error = api.get_json::<Value>("/services").unwrap_err();
    assert!(
        error.to_string().contains("the run's retries are used up"),
        "{error}"
    );
    assert_eq!((world.sent().len(), budget.load(Ordering::Relaxed)), (3, 0));

    let limited = answer_with(429, &[("ratelimit-reset", "2")], "{}");
    let world = Script::new([limited, answer(200, "{}")]);
    Api::new(&world, "Render", "https://a.example", None)
        .paying_from(&budget)
        .get_json::<Value>("/x")
        .unwrap();
}

#[test]
fn cancelling_a_wait_says_whether_something_may_have_happened() {
    let world = Script::new([fault(SendErrorKind::NotSent)]).cancelled_at(1);
    assert!(matches!(
        post(&world),
        Err(ApiError::Cancelled { sent: false, .. })
    ));
    let world = Script::new([answer(500, "")]).cancelled_at(1);
    let token = key();
    let put = api(&world, &token).put_idempotent(
        "/f",
        Vec::new(),
        "application/octet-stream",
        Limits::UPLOAD,
    );
    assert!(matches!(put, Err(ApiError::Cancelled { sent: true, .. })));
}

#[test]
fn redirects_are_refused_and_named() {
    let world = Script::new([answer_with(
        302,
        &[("location", "https://evil.example:8443/v1")],
        "",
    )]);
    let error = get(&world).unwrap_err();
    assert!(matches!(error, ApiError::Rejected { status: 302, .. }));
    assert!(
        error
            .to_string()
            .contains("redirect to evil.example:8443 refused"),
        "{error}"
    );
    assert_eq!(world.sent().len(), 1);
}

#[test]
fn errors_name_what_a_person_needs() {
    let headers = [
        ("render-request-id", "api-1/x"),
        ("content-type", "application/json"),
    ];
    let world = Script::new([answer_with(401, &headers, r#"{"message":"unauthorized"}"#)]);
    assert_eq!(
        get(&world).unwrap_err().to_string(),
        "Render: GET /services/srv-1 answered 401: unauthorized (request id api-1/x) \
         (hint: Render does not accept RENDER_API_KEY: it is missing, expired or revoked)"
    );
    let world = Script::new(vec![fault(SendErrorKind::NotSent); 4]);
    let error = get(&world).unwrap_err().to_string();
    assert!(
        error.contains("api.render.example could not be reached"),
        "{error}"
    );
}

#[test]
fn an_echoed_key_is_not_shown() {
    let body = format!("denied for Bearer {}", key().expose());
    let world = Script::new([answer(403, &body)]);
    let error = format!("{:?}", get(&world).unwrap_err());
    assert!(
        !error.contains(key().expose()) && error.contains("[REDACTED]"),
        "{error}"
    );
}

#[test]
fn a_key_that_no_header_can_carry_is_not_sent() {
    let world = Script::new([]);
    let token = Secret::new("a\nb");
    let error = api(&world, &token).get_json::<Value>("/x").unwrap_err();
    assert!(matches!(error, ApiError::NotSent(_)), "{error}");
}

#[test]
fn a_created_thing_without_a_body_is_a_doubt() {
    let world = Script::new([answer(201, "")]);
    let token = key();
    let api = api(&world, &token);
    let response = api.send_once(Method::POST, "/d", None).unwrap();
    let error = api
        .decode::<Value>(Method::POST, "/d", &response)
        .unwrap_err();
    assert!(!error.is_definite_no());
    assert!(
        error
            .to_string()
            .contains("expected JSON, got an empty body"),
        "{error}"
    );
}

#[test]
fn pages_know_the_next_and_the_time() {
    let headers = [
        (
            "link",
            "<https://x/?page=2>; rel=\"next\", <https://x/?page=9>; rel=\"last\"",
        ),
        ("date", "Wed, 14 May 2025 15:42:08 GMT"),
    ];
    let world = Script::new([
        answer_with(200, &headers, "[]"),
        answer_with(200, &[("link", "<x>; rel=\"prev\"")], "[]"),
        answer(200, "[]"),
    ]);
    let api = Api::new(&world, "Netlify", "https://a.example", None);
    let page: Page<Value> = api.get_page("/d").unwrap();
    assert_eq!(
        (page.has_next(), page.date_ms()),
        (Some(true), Some(1_747_237_328_000))
    );
    let page: Page<Value> = api.get_page("/d").unwrap();
    assert_eq!((page.has_next(), page.date_ms()), (Some(false), None));
    assert_eq!(api.get_page::<Value>("/d").unwrap().has_next(), None);
}
