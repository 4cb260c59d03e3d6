//! The end of a process and what the next one finds.

use std::{io::Write as _, net::TcpStream};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Service, Setup, exists, read_to_end};

#[test]
fn an_idle_service_ends_with_0_and_leaves_one_complete_file() {
    for signal in [Signal::TERM, Signal::INT] {
        let service = Service::start();
        let setup = service.setup.clone();
        assert_eq!(
            service
                .book(&json!({"date": "2026-11-01", "amount_minor": 1, "currency": "EUR"}))
                .status,
            201
        );
        for path in ["/api/revenue", "/api/health", "/api/admin/state"] {
            assert_eq!(service.get_as_admin(path).status, 200);
        }
        assert!(exists(&setup.database(), "-wal"));
        service.signal(signal);
        let (status, log) = service.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.ends_with("stopped\n"), "{log}");
        assert!(!exists(&setup.database(), "-wal"));
        assert_eq!(setup.strings("SELECT currency FROM revenue"), ["EUR"]);
    }
}

#[test]
fn a_request_in_flight_is_finished_and_no_other_is_let_in() {
    let mut service = Service::start();
    let body = json!({"date": "2026-11-01", "amount_minor": 1, "currency": "EUR"}).to_string();
    let mut booking = service.begin_booking(body.len());
    service.signal(Signal::TERM);
    service.wait_for_line("stopping");
    assert!(TcpStream::connect(&service.address).is_err());
    booking.write_all(body.as_bytes()).unwrap();
    assert!(read_to_end(booking).starts_with("HTTP/1.1 201 "));
    let setup = service.setup.clone();
    assert_eq!(service.wait().0.code(), Some(0));
    assert_eq!(setup.strings("SELECT currency FROM revenue"), ["EUR"]);
}

#[test]
fn health_is_unhealthy_while_the_service_drains() {
    let mut service = Service::start();
    let mut stream = service.connect();
    stream
        .write_all(b"GET /api/health HTTP/1.1\r\nhost: t\r\n")
        .unwrap();
    // Requests on later connections are answered only after the first bytes above were read.
    for _ in 0..3 {
        assert_eq!(service.get("/api/health").status, 200);
    }
    service.signal(Signal::TERM);
    service.wait_for_line("stopping");
    stream.write_all(b"\r\n").unwrap();
    let answer = read_to_end(stream);
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"unhealthy\""),
        "{answer}"
    );
    assert_eq!(service.wait().0.code(), Some(0));
}

#[test]
fn a_second_signal_does_not_wait() {
    let mut service = Service::start();
    let booking = service.begin_booking(10);
    service.signal(Signal::TERM);
    service.wait_for_line("stopping");
    service.signal(Signal::TERM);
    let (status, log) = service.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    drop(booking);
}

#[test]
fn bookings_survive_a_restart_and_a_kill() {
    let setup = Setup::new();
    let book = |amount: i64| {
        let service = setup.start();
        let booking = json!({"date": "2026-11-01", "amount_minor": amount, "currency": "EUR"});
        assert_eq!(service.book(&booking).status, 201);
        service
    };
    let (status, _) = book(1).stop();
    assert_eq!(status.code(), Some(0));
    let service = book(2);
    service.signal(Signal::KILL);
    service.wait();
    let totals = setup.start().get("/api/revenue/summary").body["totals"].clone();
    assert_eq!(
        totals,
        json!([{"currency": "EUR", "amount_minor": 3, "count": 2}])
    );
}
