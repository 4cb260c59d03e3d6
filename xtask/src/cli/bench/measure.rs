//! One look at a child process: its time, its peak memory, the processor time of it and its children.
#![expect(
    clippy::disallowed_methods,
    reason = "a measurement needs the clock, a child process of its own, and /proc, which is no file on disk"
)]

use anyhow::{Context as _, Result, bail};
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often the memory of a child is looked at. The kernel keeps the peak itself, so only what happens in the last interval can be missed.
const LOOK: Duration = Duration::from_millis(2);
/// The kernel reports processor time in these units on every Linux, whatever its own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

/// What one run of a command took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// From the start to the end, in seconds.
    pub wall_s: f64,
    /// Processor time of it and of what it waited for, in seconds.
    pub cpu_s: f64,
    /// Peak resident memory of the process itself, in MB.
    pub peak_mb: f64,
}

/// Runs a command to its end; of its output only the last words of a failure are kept.
///
/// # Errors
/// When it cannot be started or fails.
pub(super) fn cost(command: &[&str], dir: &Path, env: &[(String, String)]) -> Result<Cost> {
    cost_with(command, None, dir, env)
}

/// The same with a file as standard input.
///
/// # Errors
/// When it cannot be started or fails.
pub(super) fn cost_with(
    command: &[&str],
    input: Option<&Path>,
    dir: &Path,
    env: &[(String, String)],
) -> Result<Cost> {
    let stdin = match input {
        Some(path) => Stdio::from(File::open(path).context("open the input")?),
        None => Stdio::null(),
    };
    let shown = command.join(" ");
    let (program, args) = command.split_first().context("no command to measure")?;
    // A file never makes a writer wait, as a pipe that nobody reads would.
    let mut said = tempfile::tempfile().context("make a file for what a command says")?;
    let cpu_before = children_cpu_s();
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(said.try_clone().context("share a file")?)
        .spawn()
        .with_context(|| format!("start '{shown}' in {}", dir.display()))?;
    let mut peak_mb: f64 = 0.0;
    let status = loop {
        peak_mb = peak_mb.max(peak_of(child.id()));
        if let Some(status) = child
            .try_wait()
            .with_context(|| format!("wait for '{shown}'"))?
        {
            break status;
        }
        std::thread::sleep(LOOK);
    };
    let wall_s = started.elapsed().as_secs_f64();
    if !status.success() {
        bail!(
            "'{shown}' ended with {status} in {}: {}",
            dir.display(),
            last_words(&mut said)
        );
    }
    Ok(Cost {
        wall_s,
        cpu_s: children_cpu_s() - cpu_before,
        peak_mb,
    })
}

/// The last line that is not empty.
fn last_words(said: &mut File) -> String {
    let mut text = String::new();
    let read = said.rewind().and_then(|()| said.read_to_string(&mut text));
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.filter(|_| read.is_ok())
        .unwrap_or("it said nothing")
        .trim()
        .to_owned()
}

/// The run in the middle by time, of `runs`, after one that fills the caches; with the highest peak of them all.
///
/// # Errors
/// Those of [`cost`].
pub(super) fn median(
    runs: usize,
    command: &[&str],
    dir: &Path,
    env: &[(String, String)],
) -> Result<Cost> {
    let _warm = cost(command, dir, env)?;
    let mut costs = (0..runs)
        .map(|_| cost(command, dir, env))
        .collect::<Result<Vec<_>>>()?;
    costs.sort_by(|a, b| a.wall_s.total_cmp(&b.wall_s));
    // A short run may end between two looks, so the highest peak is the one that was really seen.
    let peak_mb = costs.iter().map(|cost| cost.peak_mb).fold(0.0, f64::max);
    let middle = costs
        .get(costs.len() / 2)
        .copied()
        .context("nothing was measured")?;
    Ok(Cost { peak_mb, ..middle })
}

/// How often per second `act` is done, when one call does `count` of them.
pub(super) fn rate(count: usize, act: impl FnOnce()) -> f64 {
    let started = Instant::now();
    act();
    count as f64 / started.elapsed().as_secs_f64()
}

/// The peak so far; 0 when the process has ended.
fn peak_of(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next());
    kilobytes
        .and_then(|number| number.parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1024.0
}

/// Processor time of all children that ended, and theirs.
fn children_cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold anything; after it, cutime and cstime are fields 16 and 17 of all.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let field = |index: usize| {
        fields
            .get(index)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (field(13) + field(14)) / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_work_and_memory_are_seen() {
        let env = [("PATH".to_owned(), std::env::var("PATH").unwrap())];
        let script = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        let cost = cost(&["sh", "-c", script], Path::new("/"), &env).unwrap();
        assert!(
            cost.wall_s > 0.0 && cost.cpu_s > 0.0 && cost.peak_mb > 0.1,
            "{cost:?}"
        );
    }

    #[test]
    fn a_command_that_fails_is_no_measurement() {
        let env = [("PATH".to_owned(), std::env::var("PATH").unwrap())];
        let error = cost(&["sh", "-c", "echo why >&2; exit 3"], Path::new("/"), &env).unwrap_err();
        assert!(
            error.to_string().ends_with("exit status: 3 in /: why"),
            "{error:#}"
        );
    }
}
