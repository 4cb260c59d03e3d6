//! The other processes the tests need: this same test binary, told by its environment to be something else than a test.
#![expect(
    clippy::disallowed_methods,
    reason = "a process of its own reads its own environment"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

const ROLE: &str = "CLOUD_TEST_ROLE";

fn has(role: &str) -> bool {
    std::env::var(ROLE).is_ok_and(|r| r == role)
}

/// A shell command that runs this binary in a role.
pub(crate) fn command(role: &str) -> String {
    let exe = std::env::current_exe().unwrap();
    format!(
        "exec env {ROLE}={role} '{}' --exact roles::{role} --nocapture",
        exe.display()
    )
}

/// A backend: answers every request with JSON about itself and counts its starts in a file on its disk. Passes when it is nobody.
#[test]
fn service() {
    if !has("service") {
        return;
    }
    let env = |name: &str| std::env::var(name).unwrap_or_default();
    let starts = Path::new(&env("DATA_FILE")).to_owned();
    let count = std::fs::read_to_string(&starts).map_or(0, |text| text.len()) + 1;
    std::fs::write(&starts, "x".repeat(count)).unwrap();
    let body = format!(
        "{{\"version\":\"{}\",\"starts\":{count},\"data\":\"{}\",\"admin\":{},\"instance\":\"{}\",\"leaked\":\"{}\",\"pid\":{}}}",
        env("RENDER_GIT_COMMIT"),
        starts.display(),
        env("ADMIN").len(),
        env("RENDER_INSTANCE_ID"),
        env("CARGO_PKG_NAME"),
        std::process::id(),
    );
    let listener = TcpListener::bind(("127.0.0.1", env("PORT").parse::<u16>().unwrap())).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
            head.push(byte[0]);
        }
        let seen = String::from_utf8_lossy(&head).to_lowercase();
        let via = if seen.contains("x-nf-request-id") {
            "site"
        } else {
            "direct"
        };
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-via: {via}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
            .unwrap_or_default();
    }
}

/// The background cloud. Passes when it is nobody.
#[test]
fn background() {
    if has("background") {
        cloud::daemon::serve(Path::new(&std::env::var("CLOUD_TEST_DIR").unwrap())).unwrap();
    }
}
