//! Runs one configured command as a process group of its own: its output line by line, a time limit, and no orphan left behind.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the owner of long children, their reader threads and their clock"
)]

use crate::world::{Cancelled, Command, RunEnd, RunEvent};
use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// How often the child is looked at when it is silent.
const LOOK: Duration = Duration::from_millis(50);
/// How often the caller hears that time passes.
const TICK: Duration = Duration::from_secs(1);
/// Lines between two looks at the child and at whether it is to end.
const LINES_PER_LOOK: usize = 256;
/// Lines that wait for us; a child that prints faster waits itself.
const LINES_WAITING_MAX: usize = 1024;
/// Lines that a child can have left behind when it ended: those that wait, and two pipes and buffers full of empty ones.
const LINES_LEFT_MAX: usize = LINES_WAITING_MAX + 2 * (64 + 8) * 1024;
/// How long what is left of a child that we ended is read.
const LEFT_MAX: Duration = Duration::from_millis(250);
/// A longer line is cut: a child must not be able to fill our memory.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Runs `command` and reports its lines until it ends, times out or `cancelled` says so.
///
/// # Errors
/// When it cannot be started.
pub fn supervise(
    command: &Command,
    cancelled: &dyn Fn() -> Option<Cancelled>,
    on: &mut dyn FnMut(RunEvent<'_>),
) -> Result<RunEnd> {
    let mut child = std::process::Command::new("sh")
        .arg("-c")
        .arg(&command.script)
        .current_dir(&command.dir)
        .env_clear()
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .with_context(|| format!("start '{}' in {}", command.script, command.dir.display()))?;
    let (sender, lines) = sync_channel(LINES_WAITING_MAX);
    if let Some(out) = child.stdout.take() {
        read_lines(out, sender.clone());
    }
    if let Some(err) = child.stderr.take() {
        read_lines(err, sender);
    }
    let end = watch(&mut child, command.timeout, cancelled, &lines, on)?;
    // Grandchildren that outlived the shell hold our pipes; the group goes with its leader.
    signal_group(&child, Signal::KILL);
    let ended = Instant::now();
    let by_itself = matches!(end, RunEnd::Exited(_) | RunEnd::Killed(_));
    // One that left the group may go on printing for ever.
    for _ in 0..LINES_LEFT_MAX {
        let Ok(line) = lines.recv_timeout(LOOK) else {
            break;
        };
        on(RunEvent::Line(&line));
        if !by_itself && ended.elapsed() >= LEFT_MAX {
            break;
        }
    }
    Ok(end)
}

fn read_lines(stream: impl Read + Send + 'static, lines: SyncSender<String>) {
    let _detached = std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader
                .by_ref()
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)
            {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let is_whole = line.last() == Some(&b'\n')
                || u64::try_from(line.len()).is_ok_and(|length| length < LINE_BYTES_MAX);
            if !is_whole {
                cut_at_blank(&mut line);
                if reader.skip_until(b'\n').is_err() {
                    return;
                }
            }
            let text = String::from_utf8_lossy(&line);
            if lines
                .send(text.trim_end_matches(['\n', '\r']).to_owned())
                .is_err()
            {
                return;
            }
        }
    });
}

/// The last word may be the first half of a credential, which no redactor would know.
fn cut_at_blank(line: &mut Vec<u8>) {
    let end = line.iter().rposition(u8::is_ascii_whitespace).unwrap_or(0);
    line.truncate(end);
    line.extend_from_slice(b" [the rest of this line was too long]");
}

fn watch(
    child: &mut Child,
    timeout: Duration,
    cancelled: &dyn Fn() -> Option<Cancelled>,
    lines: &Receiver<String>,
    on: &mut dyn FnMut(RunEvent<'_>),
) -> Result<RunEnd> {
    let started = Instant::now();
    let mut ticked = started;
    // What ended it, when we did, and when it gets SIGKILL.
    let mut stopping: Option<(RunEnd, Instant)> = None;
    loop {
        match lines.recv_timeout(LOOK) {
            Ok(line) => {
                on(RunEvent::Line(&line));
                for line in lines.try_iter().take(LINES_PER_LOOK) {
                    on(RunEvent::Line(&line));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            // Both pipes are closed: nothing to read, so only the exit is left to wait for.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(2)),
        }
        if let Some(status) = child.try_wait().context("wait for the command")? {
            let own = status.code().map_or_else(
                || RunEnd::Killed(status.signal().unwrap_or(0)),
                RunEnd::Exited,
            );
            return Ok(stopping.map_or(own, |(end, _)| end));
        }
        if ticked.elapsed() >= TICK {
            ticked = Instant::now();
            on(RunEvent::Tick);
        }
        match &stopping {
            None if cancelled().is_some() => stopping = Some((RunEnd::Cancelled, stop(child))),
            None if started.elapsed() >= timeout => {
                stopping = Some((RunEnd::TimedOut, stop(child)));
            }
            Some((_, kill_at)) if Instant::now() >= *kill_at => signal_group(child, Signal::KILL),
            _ => {}
        }
    }
}

fn stop(child: &Child) -> Instant {
    signal_group(child, Signal::TERM);
    Instant::now() + GRACE
}

fn signal_group(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _gone_is_fine = kill_process_group(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(script: &str, timeout: Duration) -> Command {
        Command {
            script: script.to_owned(),
            dir: std::env::temp_dir(),
            env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            timeout,
        }
    }

    fn run(script: &str, timeout: Duration) -> (RunEnd, Vec<String>) {
        let mut seen = Vec::new();
        let end = supervise(&command(script, timeout), &|| None, &mut |event| {
            if let RunEvent::Line(line) = event {
                seen.push(line.to_owned());
            }
        })
        .unwrap();
        (end, seen)
    }

    #[test]
    fn lines_and_exit_code_arrive() {
        let (end, mut lines) = run("echo out; echo err >&2; exit 3", Duration::from_secs(60));
        lines.sort();
        assert_eq!(
            (end, lines),
            (RunEnd::Exited(3), vec!["err".to_owned(), "out".to_owned()])
        );
    }

    #[test]
    fn a_child_that_ignores_sigterm_and_has_children_is_ended() {
        let (end, lines) = run(
            "trap '' TERM; sleep 300 & echo $!; wait; wait",
            Duration::from_millis(200),
        );
        assert_eq!(end, RunEnd::TimedOut);
        let grandchild = lines.first().unwrap().parse::<i32>().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
        assert!(
            stat.is_empty() || stat.contains(") Z"),
            "still runs: {stat}"
        );
    }

    #[test]
    fn a_child_that_never_stops_printing_is_ended_and_its_lines_do_not_pile_up() {
        let (seen, asked) = (std::cell::Cell::new(0_usize), std::cell::Cell::new(None));
        let end = supervise(
            &command("trap '' TERM; yes", Duration::from_secs(60)),
            &|| {
                let cancelled =
                    (seen.get() > 10_000).then_some(Cancelled(crate::world::Signal::Interrupt));
                asked.set(asked.get().or(cancelled.map(|_| seen.get())));
                cancelled
            },
            &mut |event| {
                if let RunEvent::Line(_) = event {
                    seen.set(seen.get() + 1);
                }
            },
        )
        .unwrap();
        assert_eq!(end, RunEnd::Cancelled);
        assert!(asked.get().unwrap() <= 10_001 + LINES_PER_LOOK, "{asked:?}");
    }

    #[test]
    fn one_that_left_the_group_and_prints_for_ever_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join("left");
        let script = format!(
            "setsid sh -c ': >{left}; exec yes' & until [ -e {left} ]; do sleep 0.01; done; exit 7",
            left = left.display()
        );
        let (end, lines) = run(&script, Duration::from_secs(60));
        assert_eq!(end, RunEnd::Exited(7));
        assert!(lines.len() >= LINES_LEFT_MAX, "{}", lines.len());
    }

    #[test]
    fn an_endless_line_is_cut_between_words() {
        let (_, lines) = run(
            "printf 'first '; head -c 70000 /dev/zero | tr '\\0' x; echo; echo next",
            Duration::from_secs(60),
        );
        assert_eq!(
            lines,
            ["first [the rest of this line was too long]", "next"]
        );
    }

    #[test]
    fn the_environment_is_only_what_was_given() {
        let (_, lines) = run("env | grep -c CARGO", Duration::from_secs(60));
        assert_eq!(lines, ["0"]);
    }
}
