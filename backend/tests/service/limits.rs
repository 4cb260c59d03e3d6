//! Clients that are slow, hostile or too many: they are cut off, and everyone else is served.

use std::io::Write as _;

use serde_json::json;

use crate::support::{Service, await_handler, read_one, read_to_end};

/// More than the service holds, its reserve included.
const FLOOD: usize = 300;

#[test]
fn slow_heads_do_not_keep_anyone_out_and_are_closed() {
    let service = Service::start();
    let slow: Vec<_> = (0..FLOOD)
        .map(|_| {
            let mut stream = service.connect();
            stream
                .write_all(b"GET /api/live HTTP/1.1\r\nhost: t\r\nx-slow: ")
                .unwrap();
            stream
        })
        .collect();
    assert_eq!(service.get("/api/health").status, 200);
    assert_eq!(service.get("/api/revenue/summary").status, 200);
    for stream in slow {
        assert!(!read_to_end(stream).contains("200 OK"));
    }
}

#[test]
fn when_every_connection_is_busy_only_probes_are_answered() {
    let service = Service::start();
    // All heads before the first wait, so that no body is overdue before the last one begins.
    let mut busy: Vec<_> = (0..256).map(|_| service.announce_booking(10)).collect();
    busy.iter_mut().for_each(await_handler);
    let shed = service
        .raw(b"GET /api/revenue HTTP/1.1\r\nhost: t\r\n\r\n")
        .to_ascii_lowercase();
    assert!(
        shed.starts_with("http/1.1 503 ") && shed.contains("retry-after: 1\r\n"),
        "{shed}"
    );
    assert!(
        shed.ends_with(
            &json!({"error": {"message": "too many connections; try again"}}).to_string()
        ),
        "{shed}"
    );
    assert_eq!(service.get("/api/health").status, 200);
    assert_eq!(service.get("/api/live").status, 200);
    drop(busy);
}

#[test]
fn a_body_that_does_not_arrive_is_given_up() {
    let service = Service::start();
    let mut stream = service.begin_booking(10);
    stream.write_all(b"{").unwrap();
    let answer = read_to_end(stream);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("within 8 seconds"), "{answer}");
}

#[test]
fn a_body_above_one_mebibyte_is_refused_however_its_length_is_given() {
    let service = Service::start();
    let token = &service.setup.token;
    let head = format!(
        "POST /api/revenue HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {token}\r\nconnection: close\r\n"
    );
    let declared = service.raw(format!("{head}content-length: 1048577\r\n\r\n").as_bytes());
    assert!(
        declared.starts_with("HTTP/1.1 413 ") && declared.contains("1 MiB"),
        "{declared}"
    );
    let chunk = "x".repeat(0x10001);
    let body: String = (0..16).map(|_| format!("10001\r\n{chunk}\r\n")).collect();
    let chunked = service.raw(format!("{head}transfer-encoding: chunked\r\n\r\n{body}").as_bytes());
    assert!(chunked.starts_with("HTTP/1.1 413 "), "{chunked}");
    let fits = format!("{{\"date\":1}}{}", " ".repeat(1024 * 1024 - 10));
    assert_eq!(
        service.as_admin("POST", "/api/revenue", &[], &fits).status,
        422
    );
}

#[test]
fn oversized_heads_are_refused() {
    let service = Service::start();
    let status = |head: String| {
        service
            .raw(head.as_bytes())
            .split(' ')
            .nth(1)
            .map(str::to_owned)
    };
    let headers: String = (0..64).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert_eq!(
        status(format!(
            "GET /api/live HTTP/1.1\r\nhost: t\r\n{headers}\r\n"
        ))
        .as_deref(),
        Some("431")
    );
    let long = "a".repeat(16 * 1024);
    assert_eq!(
        status(format!(
            "GET /api/live HTTP/1.1\r\nhost: t\r\nx: {long}\r\n\r\n"
        ))
        .as_deref(),
        Some("431")
    );
    let target = "a".repeat(8 * 1024);
    let get =
        format!("GET /api/revenue?x={target} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    assert_eq!(status(get).as_deref(), Some("414"));
}

#[test]
fn a_malformed_body_is_not_called_slow() {
    let service = Service::start();
    let token = &service.setup.token;
    let head =
        format!("POST /api/revenue HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {token}\r\n");
    let answer = service.raw(format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n").as_bytes());
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("could not be read"),
        "{answer}"
    );
}

#[test]
fn what_two_servers_could_read_differently_is_refused() {
    let service = Service::start();
    let ambiguous = [
        "content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "content-length: +5\r\n\r\nhello",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "x: a\r\n b\r\n\r\n",
        "x : a\r\n\r\n",
    ];
    for rest in ambiguous {
        let request =
            format!("POST /api/revenue HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{rest}");
        let answer = service.raw(request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{rest:?}: {answer}");
    }
}

#[test]
fn a_request_hidden_behind_a_second_length_is_not_answered() {
    let service = Service::start();
    let hidden = "GET /api/live HTTP/1.1\r\nhost: t\r\n\r\n";
    let visible = "POST /api/live HTTP/1.1\r\nhost: t\r\ncontent-length: 44\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = service.raw(format!("{visible}{hidden}").as_bytes());
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[test]
fn an_idle_connection_is_kept_for_the_next_request() {
    let service = Service::start();
    let mut stream = service.connect();
    for _ in 0..3 {
        stream
            .write_all(b"GET /api/live HTTP/1.1\r\nhost: t\r\n\r\n")
            .unwrap();
        assert!(read_one(&mut stream).ends_with("{\"status\":\"alive\"}"));
    }
    stream.write_all(b"GET /api/live HTTP/1.1\r\n").unwrap();
    assert_eq!(
        read_to_end(stream),
        "",
        "a head that never ends is cut off on a used connection too"
    );
}
