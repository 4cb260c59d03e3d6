//! The administration routes: who gets in, what they answer, and what stays on record.

use serde_json::json;

use crate::support::{Service, Setup, commit, names, random_token};

const ROUTES: [(&str, &str); 3] = [
    ("GET", "/api/admin/state"),
    ("POST", "/api/admin/migrate"),
    ("POST", "/api/revenue"),
];

fn booking() -> serde_json::Value {
    json!({"date": "2026-11-01", "amount_minor": 1234, "currency": "EUR"})
}

#[test]
fn without_a_configured_token_the_routes_do_not_exist() {
    let service = Setup::new().without("TANDEM_ADMIN_TOKEN").start();
    assert!(
        service
            .lines
            .iter()
            .any(|line| line.contains("TANDEM_ADMIN_TOKEN is not set"))
    );
    for (method, path) in ROUTES {
        assert_eq!(
            service.as_admin(method, path, &[], "").status,
            404,
            "{method} {path}"
        );
    }
}

#[test]
fn a_missing_or_wrong_token_is_refused_without_detail() {
    let service = Service::start();
    let other = format!("Bearer {}", random_token());
    let basic = format!("Basic {}", service.setup.token);
    for (method, path) in ROUTES {
        for headers in [
            &[][..],
            &[("authorization", other.as_str())],
            &[("authorization", basic.as_str())],
        ] {
            let answer = service.request(method, path, headers, &booking().to_string());
            assert_eq!(
                (answer.status, &answer.body),
                (401, &json!({"error": {"message": "not authorised"}})),
                "{method} {path}"
            );
        }
    }
    assert_eq!(
        service.get("/api/revenue/summary").body["totals"],
        json!([])
    );
}

#[test]
fn a_call_that_came_through_the_site_finds_nothing_even_with_the_token() {
    let service = Service::start();
    for header in ["x-tandem-proxied", "x-nf-request-id"] {
        for (method, path) in ROUTES {
            let answer = service.as_admin(method, path, &[(header, "1")], &booking().to_string());
            assert_eq!(
                (answer.status, &answer.body["error"]["message"]),
                (404, &json!("no such route")),
                "{method} {path}"
            );
        }
        let health = service.as_admin("GET", "/api/health", &[(header, "1")], "");
        assert_eq!(names(&health.body), ["status", "timestamp", "version"]);
    }
    // The backend's own edge may add these to a direct call.
    for header in ["via", "x-forwarded-for", "x-forwarded-host"] {
        assert_eq!(
            service
                .as_admin("GET", "/api/admin/state", &[(header, "edge.example")], "")
                .status,
            200,
            "{header}"
        );
    }
}

#[test]
fn a_booking_is_stored_and_returned() {
    let service = Service::start();
    let answer = service.book(&json!({"date": "2024-02-29", "amount_minor": -1_000_000_000_000_i64, "currency": "JPY", "note": "Rückgabe"}));
    assert_eq!(answer.status, 201);
    assert_eq!(
        names(&answer.body),
        [
            "amount_minor",
            "created_at",
            "currency",
            "date",
            "id",
            "note"
        ]
    );
    assert_eq!(
        (
            &answer.body["id"],
            &answer.body["note"],
            &answer.body["date"]
        ),
        (&json!(1), &json!("Rückgabe"), &json!("2024-02-29"))
    );
    assert_eq!(service.book(&booking()).body["note"], json!(null));
}

#[test]
fn a_wrong_booking_names_every_wrong_field_and_stores_nothing() {
    let service = Service::start();
    let answer = service
        .book(&json!({"date": "2026-02-29", "amount_minor": 0, "currency": "EURO", "ammount": 1}));
    assert_eq!(answer.status, 422);
    assert_eq!(
        answer.body,
        json!({"error": {"message": "the booking has wrong fields", "fields": {
            "ammount": "is not a field of a booking",
            "amount_minor": "must not be 0",
            "currency": "must be an ISO 4217 code in capitals, such as EUR",
            "date": "is not a day of the calendar",
        }}})
    );
    assert_eq!(
        names(&service.book(&json!({})).body["error"]["fields"]),
        ["amount_minor", "currency", "date"]
    );
    for body in ["", "{", "[]", "null", "\u{0}"] {
        let answer = service.as_admin("POST", "/api/revenue", &[], body);
        assert_eq!(
            (answer.status, &answer.body["error"]["message"]),
            (400, &json!("the body must be a JSON object")),
            "{body:?}"
        );
    }
    assert_eq!(service.setup.strings("SELECT id FROM revenue"), [""; 0]);
}

#[test]
fn the_state_describes_the_schema_the_history_and_the_disk() {
    let service = Service::start();
    let state = service.get_as_admin("/api/admin/state").body;
    assert_eq!(
        names(&state),
        [
            "backups",
            "commit",
            "disk",
            "history",
            "pending",
            "schema",
            "sqlite_version"
        ]
    );
    assert_eq!(
        (&state["commit"], &state["pending"]),
        (&json!(commit()), &json!([]))
    );
    assert_eq!(state["schema"]["generation"], 2);
    let definitions = state["schema"]["definitions"].as_array().unwrap();
    let revenue = definitions.iter().find(|d| d["name"] == "revenue").unwrap();
    assert_eq!(
        (&revenue["type"], &revenue["table"]),
        (&json!("table"), &json!("revenue"))
    );
    assert!(revenue["sql"].as_str().unwrap().starts_with("CREATE TABLE"));
    assert!(definitions.iter().any(|d| d["type"] == "index"
        && d["name"] == "revenue_by_date"
        && d["table"] == "revenue"));
    let history = state["history"].as_array().unwrap();
    assert_eq!(
        history
            .iter()
            .map(|row| &row["filename"])
            .collect::<Vec<_>>(),
        ["0001_create_revenue.sql", "0002_create_admin_audit.sql"]
    );
    for row in history {
        assert_eq!(
            (row["checksum"].as_str().unwrap().len(), &row["compatible"]),
            (64, &json!(true)),
            "{row}"
        );
        assert!(row["executed_at"].is_string());
    }
    assert!(
        state["disk"]["free_bytes"].as_u64().unwrap()
            <= state["disk"]["total_bytes"].as_u64().unwrap()
    );
}

#[test]
fn migrating_an_up_to_date_database_says_so() {
    let service = Service::start();
    let answer = service.as_admin("POST", "/api/admin/migrate", &[], "");
    assert_eq!(
        (answer.status, answer.body),
        (
            200,
            json!({"outcome": "up_to_date", "applied": [], "pending": [], "backup": null})
        )
    );
    // What a body asks for is not listened to.
    let answer = service.as_admin(
        "POST",
        "/api/admin/migrate",
        &[],
        "{\"sql\":\"DROP TABLE revenue\"}",
    );
    assert_eq!(answer.body["outcome"], "up_to_date");
    assert_eq!(service.book(&booking()).status, 201);
}

#[test]
fn migrating_applies_what_is_missing_after_a_backup() {
    let service = Service::start();
    assert_eq!(service.book(&booking()).status, 201);
    let undo = "DROP TABLE admin_audit; DELETE FROM migrations WHERE filename LIKE '0002%'";
    service.setup.open_database().execute_batch(undo).unwrap();
    assert_eq!(
        service.get_as_admin("/api/admin/state").body["pending"],
        json!(["0002_create_admin_audit.sql"])
    );
    let answer = service.as_admin("POST", "/api/admin/migrate", &[], "");
    assert_eq!(
        (&answer.body["outcome"], &answer.body["applied"]),
        (&json!("applied"), &json!(["0002_create_admin_audit.sql"])),
        "{answer:?}"
    );
    assert_eq!(answer.body["pending"], json!([]));
    let state = service.get_as_admin("/api/admin/state").body;
    let backup = &state["backups"][0];
    assert_eq!(names(backup), ["age_s", "created_at", "name", "size_bytes"]);
    assert!(
        answer.body["backup"]
            .as_str()
            .unwrap()
            .ends_with(backup["name"].as_str().unwrap())
    );
    assert_eq!(service.get("/api/version").body["schema"]["generation"], 2);
    assert_eq!(service.book(&booking()).status, 201);
}

#[test]
fn a_changed_migration_is_refused_and_named() {
    let service = Service::start();
    let change =
        "UPDATE migrations SET checksum = 'x', raw_checksum = 'x' WHERE filename LIKE '0001%'";
    service.setup.open_database().execute_batch(change).unwrap();
    let answer = service.as_admin("POST", "/api/admin/migrate", &[], "");
    assert_eq!(
        (answer.status, &answer.body["outcome"]),
        (409, &json!("refused"))
    );
    assert!(
        answer.body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("0001_create_revenue.sql"),
        "{answer:?}"
    );
}

#[test]
fn every_call_leaves_a_row_and_a_line_without_the_token() {
    let mut service = Service::start();
    let id = [("x-request-id", "run-7")];
    assert_eq!(
        service.as_admin("GET", "/api/admin/state", &id, "").status,
        200
    );
    assert_eq!(
        service
            .as_admin("POST", "/api/revenue", &id, &booking().to_string())
            .status,
        201
    );
    assert_eq!(
        service.as_admin("POST", "/api/revenue", &id, "{}").status,
        422
    );
    assert_eq!(
        service
            .request("POST", "/api/admin/migrate", &id, "")
            .status,
        401
    );
    assert_eq!(
        service
            .as_admin("POST", "/api/admin/migrate", &id, "")
            .status,
        200
    );
    let expected = [
        "GET /api/admin/state: answered",
        "POST /api/revenue: stored booking 1",
        "POST /api/revenue: refused: not a valid booking",
        "POST /api/admin/migrate: refused: no valid token",
        "POST /api/admin/migrate: started",
        "POST /api/admin/migrate: up_to_date",
    ];
    assert_eq!(service.setup.strings("SELECT action || ': ' || outcome FROM admin_audit WHERE request_id = 'run-7' ORDER BY id"), expected);
    service.wait_for_line("admin POST /api/admin/migrate: up_to_date (request run-7)");
    assert!(
        service
            .lines
            .iter()
            .all(|line| !line.contains(&service.setup.token))
    );
}

#[test]
fn refused_calls_cannot_fill_the_disk() {
    let service = Service::start();
    for _ in 0..30 {
        assert_eq!(service.get("/api/admin/state").status, 401);
    }
    let rows = service
        .setup
        .strings("SELECT outcome FROM admin_audit")
        .len();
    // Ten per minute; the minute may turn once while the test runs.
    assert!((10..=20).contains(&rows), "{rows}");
}
