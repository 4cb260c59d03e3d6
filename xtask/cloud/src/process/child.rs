//! One child in a process group of its own: its output by lines, its end awaited, its group ended with it.
#![expect(
    clippy::disallowed_methods,
    reason = "this file is where the cloud's child processes are made and watched"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use super::ledger::{Ledger, is_group_alive};

/// Longest line passed on; the rest of it is dropped.
const LINE_MAX: u64 = 4_096;
/// How often the end of a child is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long output may still come after the child's end, from what it has left behind.
const OUTPUT_WITHIN: Duration = Duration::from_millis(500);

struct Progress {
    child: std::process::Child,
    /// SIGKILL is due then.
    kill_at: Option<Instant>,
    ended: Option<Option<i32>>,
}

/// A running or ended child.
pub(super) struct Child {
    pid: Pid,
    progress: Mutex<Progress>,
    changed: Condvar,
    output_ended: Mutex<Receiver<()>>,
    ledger: Ledger,
}

impl Child {
    /// Runs `command` by `sh -c` with exactly this environment.
    pub(super) fn spawn(
        command: &str,
        dir: &Path,
        env: &BTreeMap<String, String>,
        ledger: &Ledger,
        on_line: impl Fn(String) + Clone + Send + 'static,
    ) -> std::io::Result<Arc<Self>> {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(command)
            .current_dir(dir)
            .env_clear()
            .envs(env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let pid = Pid::from_child(&child);
        ledger.add(pid);
        let (done, output_ended) = channel();
        if let Some(out) = child.stdout.take() {
            pump(out, on_line.clone(), done.clone());
        }
        if let Some(err) = child.stderr.take() {
            pump(err, on_line, done);
        }
        let progress = Mutex::new(Progress {
            child,
            kill_at: None,
            ended: None,
        });
        Ok(Arc::new(Self {
            pid,
            progress,
            changed: Condvar::new(),
            output_ended: Mutex::new(output_ended),
            ledger: ledger.clone(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// SIGTERM to the group now, SIGKILL when `grace` is over. Only the first call counts.
    pub(super) fn stop(&self, grace: Duration) {
        let mut progress = self.lock();
        if progress.ended.is_none() && progress.kill_at.is_none() {
            progress.kill_at = Some(Instant::now() + grace);
            self.signal(Signal::TERM);
        }
        drop(progress);
        self.changed.notify_all();
    }

    /// The group is there as long as the child is not reaped, so its number cannot mean another one. A group that is gone is fine.
    fn signal(&self, signal: Signal) {
        rustix::process::kill_process_group(self.pid, signal).unwrap_or_default();
    }

    /// Waits for the end, with what the child has started, and gives the exit code; `None` after a signal.
    pub(super) fn wait(&self) -> Option<i32> {
        let mut progress = self.lock();
        let mut is_killed = false;
        loop {
            let is_over = self.has_exited();
            // Stopped: what it has started may use the grace too. Not stopped: nothing of it shall be left.
            let may_linger = progress.kill_at.is_some_and(|at| Instant::now() < at);
            if is_over && !(may_linger && is_group_alive(self.pid)) {
                break;
            }
            if !is_killed && progress.kill_at.is_some_and(|at| Instant::now() >= at) {
                self.signal(Signal::KILL);
                is_killed = true;
            }
            progress = self
                .changed
                .wait_timeout(progress, LOOK_EVERY)
                .map_or_else(|e| e.into_inner().0, |(guard, _)| guard);
        }
        self.signal(Signal::KILL);
        let code = progress.child.wait().ok().and_then(|status| status.code());
        self.ledger.remove(self.pid);
        drop(progress);
        self.drain_output();
        self.lock().ended = Some(code);
        self.changed.notify_all();
        code
    }

    /// Has the child itself ended? It is left to be reaped, so that its number stays taken.
    fn has_exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(
            rustix::process::waitid(WaitId::Pid(self.pid), options),
            Ok(None)
        )
    }

    /// Lets the last lines arrive before the end is reported.
    fn drain_output(&self) {
        let ended = self
            .output_ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + OUTPUT_WITHIN;
        // Both pumps say when they are through; one that hangs on an escaped grandchild is not waited for.
        while ended
            .recv_timeout(until.saturating_duration_since(Instant::now()))
            .is_ok()
        {}
    }

    /// Waits for [`Self::wait`], which another thread is in, to come to its end.
    pub(super) fn wait_until_gone(&self, within: Duration) {
        let until = Instant::now() + within;
        let mut progress = self.lock();
        while progress.ended.is_none() && Instant::now() < until {
            progress = self
                .changed
                .wait_timeout(progress, LOOK_EVERY)
                .map_or_else(|e| e.into_inner().0, |(guard, _)| guard);
        }
    }

    /// Waits `pause`, or less when the child ends; says whether it is still there.
    pub(super) fn outlives(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut progress = self.lock();
        while progress.ended.is_none() && progress.kill_at.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            progress = self
                .changed
                .wait_timeout(progress, left)
                .map_or_else(|e| e.into_inner().0, |(guard, _)| guard);
        }
        false
    }
}

/// Reads lines until the stream ends. Bytes that are not UTF-8 are replaced.
fn pump(
    stream: impl Read + Send + 'static,
    on_line: impl Fn(String) + Send + 'static,
    done: Sender<()>,
) {
    let body = move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while let Ok(1..) = reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
            let is_whole = line.ends_with(b"\n");
            on_line(
                String::from_utf8_lossy(&line)
                    .trim_end_matches(['\n', '\r'])
                    .to_owned(),
            );
            line.clear();
            if !is_whole && reader.skip_until(b'\n').is_err() {
                break;
            }
        }
        // Nobody waits any more when the child was given up.
        done.send(()).unwrap_or_default();
    };
    if let Err(error) = std::thread::Builder::new()
        .name("output".to_owned())
        .spawn(body)
    {
        crate::daemon::note(&format!("start an output thread: {error}"));
    }
}
