//! `migrate exec` in front of a real server of another language: it starts on a migrated database, gets the signals, and its exit
//! code is what is seen outside. And the table of a hand-written runner in that language, adopted half-way.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "runs real programs, and says why it skips"
)]

use crate::env::Env;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

/// Answers with what it was given; ends with 7 when asked to.
const SERVER: &str = r#"
const http = require('http');
const server = http.createServer((request, response) => {
    const answer = { mark: process.env.MARK, arguments: process.argv.slice(2), process: process.pid };
    response.end(JSON.stringify(answer));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.on('SIGTERM', () => { console.log('asked to end'); server.close(() => process.exit(7)); server.closeAllConnections(); });
"#;

/// Is there a node? Required where `TANDEM_REQUIRE_NODE` is set.
pub(crate) fn has_node() -> bool {
    let found = Command::new("node")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    let required = std::env::var_os("TANDEM_REQUIRE_NODE").is_some();
    assert!(
        found || !required,
        "TANDEM_REQUIRE_NODE is set, and there is no node"
    );
    if !found {
        println!("skipped: there is no node");
    }
    found
}

fn start(env: &Env, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_migrate"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("MARK", "a value with spaces")
        .args(["exec", "--database", "app.db", "--dir", "migrations", "--"])
        .args(arguments)
        .current_dir(env.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

#[test]
fn a_node_server_starts_on_a_migrated_database_and_gets_the_signals() {
    if !has_node() {
        return;
    }
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);")
        .sql("CREATE TABLE own (x); INSERT INTO own VALUES (1)");
    fs_err::write(env.folder.path().join("server.js"), SERVER).expect("the server");
    let mut child = start(&env, &["node", "server.js", "--one", "two words"]);
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    let port: u16 = line.trim().parse().expect("nothing but the server's port");
    assert_eq!(env.value("SELECT filename FROM migrations"), "1.sql");
    assert_eq!(env.backups().len(), 1, "there was something to lose");

    let mut connection = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    connection
        .write_all(b"GET / HTTP/1.0\r\n\r\n")
        .expect("asked");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("answered");
    let body = answer.rsplit("\r\n\r\n").next().expect("a body");
    let body: serde_json::Value = serde_json::from_str(body).expect("a document");
    assert_eq!(
        body,
        serde_json::json!({ "mark": "a value with spaces", "arguments": ["--one", "two words"], "process": child.id() }),
        "the same process, with its environment and arguments"
    );

    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("a signal");
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("its last words");
    assert_eq!(rest, "asked to end\n");
    assert_eq!(child.wait().expect("it ends").code(), Some(7));
}

#[test]
fn the_command_inherits_nothing_of_the_runner() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);");
    let script =
        "ls /proc/self/fd; cat /proc/self/status | grep -E '^Sig(Blk|Ign|Cgt)'; kill -TERM $$";
    let output = start(&env, &["sh", "-c", script])
        .wait_with_output()
        .expect("it ends");
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&output.status),
        Some(15),
        "a signal does what it does without the runner"
    );
    let alone = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .expect("the shell runs");
    assert_eq!(
        plain(&output.stdout),
        plain(&alone.stdout),
        "the same open files and signals as without the runner"
    );
}

/// Without the signals that the C library keeps for itself, which depend on who started us.
fn plain(output: &[u8]) -> String {
    let named = |line: &str| {
        let (name, mask) = line.split_once(":\t")?;
        let mask = u64::from_str_radix(mask, 16).ok()?;
        Some(format!("{name} {:x}", mask & 0x7fff_ffff))
    };
    let output = String::from_utf8_lossy(output);
    let lines = output
        .lines()
        .map(|line| named(line).unwrap_or_else(|| line.to_owned()));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_signal_while_it_migrates_does_not_start_the_command() {
    let env = Env::new();
    env.file("1.sql", "CREATE TABLE a (x);\nWITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) INSERT INTO a SELECT 0 FROM n WHERE x < 0;");
    let mut child = start(&env, &["sh", "-c", "echo started"]);
    let mut progress = BufReader::new(child.stderr.take().expect("its progress"));
    let mut line = String::new();
    progress.read_line(&mut line).expect("a line");
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("a signal");
    let mut rest = String::new();
    progress.read_to_string(&mut rest).expect("its last words");
    insta::assert_snapshot!(rest, @r"
    the database is as it was
    error: interrupted; everything that was not committed is rolled back
    hint: run the same command again
    ");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(143), b"".as_slice())
    );
    assert_eq!(env.value("SELECT count(*) FROM sqlite_schema"), "0");
}
