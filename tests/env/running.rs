//! A run of the program that has not ended yet: it can be waited for, signalled and killed.

use super::output::Output;
use super::{TestEnv, poll};
use fs_err::File;
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::process::{Child, Command};
use tempfile::NamedTempFile;

/// See the module's words. Dropped before its end, it is killed.
pub(crate) struct Running<'e> {
    env: &'e TestEnv,
    child: Child,
    args: Vec<String>,
    /// Files, because the cloud that a run starts may outlive it and would keep a pipe open.
    streams: [NamedTempFile; 2],
}

impl<'e> Running<'e> {
    pub(crate) fn start(env: &'e TestEnv, mut command: Command, args: &[&str]) -> Self {
        let stream = || NamedTempFile::new_in(env.beside("tmp")).unwrap();
        let streams = [stream(), stream()];
        let [stdout, stderr] = &streams;
        command
            .stdout(stdout.reopen().unwrap())
            .stderr(stderr.reopen().unwrap());
        let child = command.spawn().unwrap();
        Self {
            env,
            child,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            streams,
        }
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Output {
        let args = self.args.join(" ");
        let status = poll(&format!("the end of: xtask {args}"), || {
            self.child.try_wait().unwrap()
        });
        let read = |stream: &NamedTempFile| fs_err::read_to_string(stream.path()).unwrap();
        let output = Output {
            args: self.args.clone(),
            code: status.code(),
            stdout: read(&self.streams[0]),
            stderr: read(&self.streams[1]),
            dir: self.env.dir.path().to_owned(),
        };
        self.env.remember(&output);
        output
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Standard error so far.
    pub(crate) fn stderr_so_far(&self) -> String {
        fs_err::read_to_string(self.streams[1].path()).unwrap()
    }

    /// Sends a signal to the program alone.
    pub(crate) fn signal(&self, signal: Signal) {
        // Unreaped, an ended child can still be sent signals.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // After a normal end both fail, which is right.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A check that waits: it says that it runs, and ends when it is told to.
pub(crate) struct Gate {
    started: PathBuf,
    go: PathBuf,
}

impl Gate {
    /// A gate for one run of the fixture's check.
    pub(crate) fn new(env: &TestEnv, name: &str) -> Self {
        Self {
            started: env.beside(&format!("{name}.started")),
            go: env.beside(&format!("{name}.go")),
        }
    }

    /// The variables that make the check wait at this gate.
    pub(crate) fn vars(&self) -> [(&str, &str); 3] {
        [
            ("CHECK", "wait"),
            ("CHECK_STARTED", self.started.to_str().unwrap()),
            ("CHECK_GO", self.go.to_str().unwrap()),
        ]
    }

    /// Waits until the check runs.
    pub(crate) fn wait_until_started(&self) {
        poll("the check to start", || self.started.exists().then_some(()));
    }

    /// Lets the check pass.
    pub(crate) fn open(&self) {
        File::create(&self.go).unwrap();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // A check whose run was killed waits for this alone. The folder may be gone already.
        let _gone = File::create(&self.go);
    }
}
