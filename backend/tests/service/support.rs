//! Starts and stops the service, and talks to it with a real client or with raw bytes.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails should end the test that called it"
)]

use std::{
    hash::{BuildHasher as _, RandomState},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than any limit of the service: a test that runs into it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The commit the platform would state. A commit baked in at build time wins over it.
pub(crate) fn commit() -> String {
    option_env!("TANDEM_COMMIT")
        .filter(|commit| !commit.is_empty())
        .map_or_else(|| "c0ffee12".repeat(5), str::to_owned)
}

/// A token of the right length, made here so that none is in the repository.
pub(crate) fn random_token() -> String {
    let part = || format!("{:016x}", RandomState::new().hash_one("token"));
    format!("test_{}{}{}", part(), part(), part())
}

/// What the service is started with.
#[derive(Clone)]
pub(crate) struct Setup {
    directory: Arc<TempDir>,
    pub(crate) token: String,
    variables: Vec<(String, Option<String>)>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let token = random_token();
        let database = directory.path().join("t.db").to_str().unwrap().to_owned();
        let setup = Self {
            directory,
            token: token.clone(),
            variables: Vec::new(),
        };
        setup
            .with("HOST", "127.0.0.1")
            .with("PORT", "0")
            .with("DATABASE_PATH", &database)
            .with("RENDER_GIT_COMMIT", &commit())
            .with("TANDEM_ADMIN_TOKEN", &token)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables
            .push((name.to_owned(), Some(value.to_owned())));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.push((name.to_owned(), None));
        self
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.path().join("t.db")
    }

    pub(crate) fn open_database(&self) -> Connection {
        let connection = Connection::open(self.database()).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection
    }

    /// Asks the database itself.
    pub(crate) fn strings(&self, sql: &str) -> Vec<String> {
        let connection = self.open_database();
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[expect(clippy::disallowed_methods, reason = "the test is about this process")]
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backend"));
        command.args(arguments).env_clear();
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs to the end: exit code, stdout, stderr.
    pub(crate) fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// Starts the service and waits until it listens.
    pub(crate) fn start(&self) -> Service {
        let log = fs_err::File::create(self.directory.path().join("stderr.log")).unwrap();
        let mut child = self
            .command(&[])
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log.into_file()))
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut service = Service {
            setup: self.clone(),
            child,
            stdout,
            lines: Vec::new(),
            address: String::new(),
        };
        let line = service.wait_for_line("listening on http://");
        service.address = line.rsplit_once("http://").unwrap().1.to_owned();
        service
    }
}

/// A running service; killed when dropped.
pub(crate) struct Service {
    pub(crate) setup: Setup,
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) lines: Vec<String>,
    /// `host:port`.
    pub(crate) address: String,
}

/// An answer, with its body as JSON (`Null` when it is empty).
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Value,
}

impl Service {
    pub(crate) fn start() -> Self {
        Setup::new().start()
    }

    /// Reads the log up to a line that contains `part`.
    pub(crate) fn wait_for_line(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).unwrap() == 0 {
                panic!(
                    "the log ended without {part:?}: {:?}\n{}",
                    self.lines,
                    self.stderr()
                );
            }
            let line = line.trim_end().to_owned();
            self.lines.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    pub(crate) fn stderr(&self) -> String {
        fs_err::read_to_string(self.setup.directory.path().join("stderr.log")).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; returns how it ended and the rest of the log.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }

    /// Stops the service as the platform does.
    pub(crate) fn stop(self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        self.wait()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "")
    }

    pub(crate) fn get_as_admin(&self, path: &str) -> Answer {
        self.as_admin("GET", path, &[], "")
    }

    pub(crate) fn book(&self, booking: &Value) -> Answer {
        self.as_admin("POST", "/api/revenue", &[], &booking.to_string())
    }

    pub(crate) fn as_admin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let authorization = format!("Bearer {}", self.setup.token);
        let headers: Vec<_> = headers
            .iter()
            .copied()
            .chain([("authorization", authorization.as_str())])
            .collect();
        self.request(method, path, &headers, body)
    }

    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = ureq::Agent::new_with_config(config)
            .run(request.body(body.to_owned()).unwrap())
            .unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap()
        };
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body,
        }
    }

    /// A connection on which the test writes what it likes.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes on a connection of its own and returns all that comes back.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The service may answer and close before it has read everything.
        stream.write_all(bytes).ok();
        read_to_end(stream)
    }

    /// Begins a booking without its body, and returns once its handler waits for that.
    pub(crate) fn begin_booking(&self, body_bytes: usize) -> TcpStream {
        let mut stream = self.announce_booking(body_bytes);
        await_handler(&mut stream);
        stream
    }

    /// Sends the head of a booking.
    pub(crate) fn announce_booking(&self, body_bytes: usize) -> TcpStream {
        let mut stream = self.connect();
        let token = &self.setup.token;
        let head = format!(
            "POST /api/revenue HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {token}\r\n\
             content-length: {body_bytes}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }
}

/// Waits for the interim answer, which is sent when a handler begins to read its body.
pub(crate) fn await_handler(stream: &mut TcpStream) {
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Reads until the other side closes; a reset counts as an end, not as an error.
pub(crate) fn read_to_end(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => {
            panic!("no end: {error}")
        }
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

/// Reads one answer with a `content-length` and leaves the connection open.
pub(crate) fn read_one(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(char::from(byte[0]));
        let Some((head, body)) = answer.split_once("\r\n\r\n") else {
            continue;
        };
        let (_, length) = head.split_once("content-length: ").unwrap();
        if length.lines().next().unwrap().parse() == Ok(body.len()) {
            return answer;
        }
    }
}

/// The sorted names of an object's members.
pub(crate) fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

pub(crate) fn exists(path: &Path, suffix: &str) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    Path::new(&name).exists()
}
