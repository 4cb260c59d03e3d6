//! The public routes: what they answer, and how they refuse.

use serde_json::json;

use crate::support::{Service, Setup, commit, names};

#[test]
fn health_tells_the_public_the_state_the_time_and_the_commit_and_nothing_more() {
    let service = Service::start();
    let answer = service.get("/api/health");
    assert_eq!(answer.status, 200);
    assert_eq!(names(&answer.body), ["status", "timestamp", "version"]);
    assert_eq!(
        (&answer.body["status"], &answer.body["version"]),
        (&json!("healthy"), &json!(commit()))
    );
    let time: jiff::Timestamp = answer.body["timestamp"].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(time).as_secs() < 60);
    assert_eq!(service.get("/api/live").body, json!({"status": "alive"}));
}

#[test]
fn health_tells_the_administrator_what_it_rests_on() {
    let service = Service::start();
    let answer = service.get_as_admin("/api/health");
    assert_eq!(
        names(&answer.body),
        [
            "database",
            "diskSpace",
            "schema",
            "status",
            "timestamp",
            "version"
        ]
    );
    assert_eq!(answer.body["database"]["status"], "ok");
    assert!(answer.body["diskSpace"]["free_bytes"].as_u64().unwrap() > 0);
    let wrong = service.request(
        "GET",
        "/api/health",
        &[("authorization", "Bearer wrong")],
        "",
    );
    assert_eq!(
        (wrong.status, names(&wrong.body)),
        (200, vec!["status", "timestamp", "version"])
    );
}

#[test]
fn health_notices_that_the_database_file_is_gone() {
    let service = Service::start();
    fs_err::remove_file(service.setup.database()).unwrap();
    let answer = service.get("/api/health");
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (503, &json!("unhealthy"))
    );
    assert_eq!(names(&answer.body), ["status", "timestamp", "version"]);
    assert_eq!(service.get("/api/live").status, 200);
}

#[test]
fn health_notices_that_the_bookings_cannot_be_queried() {
    let service = Service::start();
    service
        .setup
        .open_database()
        .execute_batch("DROP TABLE revenue")
        .unwrap();
    assert_eq!(service.get("/api/health").status, 503);
    assert_eq!(
        service.get("/api/revenue").body,
        json!({"error": {"message": "the request could not be completed"}})
    );
    assert!(service.stderr().contains("no such table: revenue"));
}

#[test]
fn version_tells_the_commit_and_the_schema() {
    let service = Service::start();
    let answer = service.get("/api/version");
    assert_eq!(
        answer.body,
        json!({"commit": commit(), "schema": {"generation": 2, "latest": "0002_create_admin_audit.sql"}})
    );
}

#[test]
fn without_bookings_everything_is_empty() {
    let service = Service::start();
    assert_eq!(
        service.get("/api/revenue").body,
        json!({"from": null, "to": null, "group": "day", "series": []})
    );
    assert_eq!(
        service.get("/api/revenue/summary").body,
        json!({"totals": [], "first_date": null, "last_date": null})
    );
    assert_eq!(
        service
            .get("/api/revenue?from=2026-01-01&to=2026-01-31&group=month")
            .body,
        json!({"from": "2026-01-01", "to": "2026-01-31", "group": "month", "series": []})
    );
}

#[test]
fn bookings_are_summed_by_currency_and_period_with_both_ends_included() {
    let service = Service::start();
    for (date, amount_minor, currency) in [
        ("2026-11-01", 1234, "EUR"),
        ("2026-11-01", -34, "EUR"),
        ("2026-11-02", 50, "USD"),
        ("2026-12-01", 7, "EUR"),
    ] {
        let booking = json!({"date": date, "amount_minor": amount_minor, "currency": currency});
        assert_eq!(service.book(&booking).status, 201);
    }
    assert_eq!(
        service
            .get("/api/revenue?from=2026-11-01&to=2026-11-02")
            .body,
        json!({"from": "2026-11-01", "to": "2026-11-02", "group": "day", "series": [
            {"currency": "EUR", "points": [{"period": "2026-11-01", "amount_minor": 1200, "count": 2}]},
            {"currency": "USD", "points": [{"period": "2026-11-02", "amount_minor": 50, "count": 1}]},
        ]})
    );
    // 2026-11-01 is a Sunday: the last day of the week that began on 2026-10-26.
    assert_eq!(
        service.get("/api/revenue?group=week").body["series"][0]["points"],
        json!([{"period": "2026-10-26", "amount_minor": 1200, "count": 2}, {"period": "2026-11-30", "amount_minor": 7, "count": 1}])
    );
    assert_eq!(
        service.get("/api/revenue?group=month&from=2026-11-15").body,
        json!({"from": "2026-11-15", "to": "2026-12-01", "group": "month", "series": [
            {"currency": "EUR", "points": [{"period": "2026-12-01", "amount_minor": 7, "count": 1}]},
        ]})
    );
    assert_eq!(
        service.get("/api/revenue/summary").body,
        json!({"totals": [
            {"currency": "EUR", "amount_minor": 1207, "count": 3},
            {"currency": "USD", "amount_minor": 50, "count": 1},
        ], "first_date": "2026-11-01", "last_date": "2026-12-01"})
    );
}

#[test]
fn wrong_parameters_are_named() {
    let service = Service::start();
    let answer = service.get("/api/revenue?from=2026-02-30&to=soon&group=year");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        json!({"error": {"message": "the query has wrong parameters", "fields": {
            "from": "is not a day of the calendar",
            "to": "must be a date written as YYYY-MM-DD",
            "group": "must be day, week or month",
        }}})
    );
    assert_eq!(service.get("/api/revenue?from=%FF").status, 400);
    assert_eq!(
        service
            .get("/api/revenue?from=' OR 1=1".replace(' ', "%20").as_str())
            .status,
        400
    );
}

#[test]
fn every_answer_is_json_that_nobody_stores_or_sniffs() {
    let service = Service::start();
    let answers = [
        (200, service.get("/api/health")),
        (200, service.get("/api/revenue")),
        (400, service.get("/api/revenue?group=x")),
        (401, service.request("GET", "/api/admin/state", &[], "")),
        (404, service.get("/")),
        (404, service.get("/api/revenue/")),
        (405, service.request("DELETE", "/api/revenue", &[], "")),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert!(answer.headers.contains_key("x-request-id"));
        assert_eq!(
            answer.body.get("error").is_some(),
            status >= 400,
            "{answer:?}"
        );
    }
    let refused = service.request("DELETE", "/api/revenue", &[], "");
    assert_eq!(refused.headers["allow"], "GET,HEAD,POST");
    assert_eq!(
        service
            .request("GET", "/api/live", &[("x-request-id", "run-7")], "")
            .headers["x-request-id"],
        "run-7"
    );
}

#[test]
fn demonstration_data_is_written_once_and_only_when_asked_for() {
    let setup = Setup::new().with("TANDEM_DEMO_DATA", "1");
    let service = setup.start();
    assert!(
        service
            .lines
            .iter()
            .any(|line| line.starts_with("demonstration data: ")
                && line.contains("TANDEM_DEMO_DATA"))
    );
    let summary = service.get("/api/revenue/summary").body;
    let currencies: Vec<_> = summary["totals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|total| &total["currency"])
        .collect();
    assert_eq!(currencies, ["EUR", "GBP", "USD"]);
    assert_eq!(
        (&summary["first_date"], &summary["last_date"]),
        (&json!("2025-11-01"), &json!("2026-10-31"))
    );
    drop(service);
    assert_eq!(setup.start().get("/api/revenue/summary").body, summary);
}
