//! Bytes that are not HTTP, or not quite: an answer or a closed connection, never a broken cloud.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use cloud::tcp::Shell;

use crate::live::Repo;

/// Sends bytes and the end of the stream, and gives whatever comes back.
fn exchange(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // The cloud may have refused before all of it was sent.
    stream.write_all(bytes).unwrap_or_default();
    stream.shutdown(Shutdown::Write).unwrap_or_default();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap_or_default();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn nothing_sent_breaks_it() {
    let repo = Repo::new();
    let state = tempfile::tempdir().unwrap();
    let shell = Shell::start(state.path(), repo.settings()).unwrap();
    let endpoints = shell.endpoints();
    let address = endpoints.api_url.strip_prefix("http://").unwrap();
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(500));
    let cases: [(&[u8], &str); 20] = [
        (b"", ""),
        (b"\r\n\r\n", ""),
        (b"\0\xff\xfe\x01", "400"),
        (b"GET\r\n\r\n", "400"),
        (b"GET /_cloud/ready HTTP/9.9\r\n\r\n", "400"),
        (b"GET /_cloud/ready HTTP/1.1\r\nhost: a\r\n", ""),
        (b"GET /_cloud/ready HTTP/1.1\r\nbad header\r\n\r\n", "400"),
        (b"CONNECT example.org:443 HTTP/1.1\r\n\r\n", "400"),
        (
            b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            "400",
        ),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", "400"),
        (
            b"POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "400",
        ),
        (
            b"POST / HTTP/1.1\r\ncontent-length: 9999999999\r\n\r\n",
            "413",
        ),
        (b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nab", ""),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", "501"),
        (
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "400",
        ),
        (
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            "400",
        ),
        (long.as_bytes(), "431"),
        (many.as_bytes(), "400"),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", "404"),
    ];
    for (bytes, status) in cases {
        let answer = exchange(address, bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        assert_eq!(
            answer.get(9..12).unwrap_or(""),
            status,
            "{shown:?} gave {answer:?}"
        );
    }
    // Every prefix of a good request, and every one with a byte changed, leaves it able to answer.
    let good = b"PUT /api/v1/deploys/x/files/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for at in (0..good.len()).step_by(3) {
        exchange(address, &good[..at]);
        let mut changed = good.to_vec();
        changed[at] ^= 0x15;
        exchange(address, &changed);
    }
    assert!(
        exchange(address, b"GET /_cloud/ready HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n")
    );
    shell.stop().unwrap();
}

#[test]
fn connections_are_kept_and_bodies_end_where_they_should() {
    let repo = Repo::new();
    let state = tempfile::tempdir().unwrap();
    let shell = Shell::start(state.path(), repo.settings()).unwrap();
    let endpoints = shell.endpoints();
    let address = endpoints.api_url.strip_prefix("http://").unwrap();
    // A POST without a length has no body; a chunked one and one with a length end by themselves; all on one connection, sent at once.
    let answer = exchange(
        address,
        b"POST /nowhere HTTP/1.1\r\n\r\n\
          POST /nowhere HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
          PUT /nowhere HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc\
          HEAD /nowhere HTTP/1.1\r\n\r\n\
          GET http://127.0.0.1/_cloud/ready HTTP/1.1\r\n\r\n\
          GET /_cloud/ready HTTP/1.0\r\n\r\n\
          GET /never-answered HTTP/1.1\r\n\r\n",
    );
    let statuses: Vec<&str> = answer
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|part| &part[..3])
        .collect();
    assert_eq!(
        statuses,
        ["404", "404", "404", "404", "200", "200"],
        "{answer}"
    );
    let expecting = exchange(
        address,
        b"POST /nowhere HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n{}",
    );
    assert!(
        expecting.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404"),
        "{expecting}"
    );
    shell.stop().unwrap();
}
