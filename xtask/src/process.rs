//! Processes that can be told apart even when the system gives a number out twice.
#![expect(
    clippy::disallowed_methods,
    reason = "reads /proc, which is no file on disk"
)]

use crate::journal::Process;

/// The number of the list of all processes, the same on every Linux (`PROC_PID_INIT_INO`).
const INITIAL_PID_LIST: &str = "4026531836";

/// This process.
pub fn current() -> Process {
    let pid = std::process::id();
    Process {
        pid,
        start: start_of(pid).unwrap_or_default(),
        host: host(),
    }
}

/// Whether the process is known to be gone: it was on this machine (and among the same processes: containers may share a name), and now there is none of that number or a younger one.
/// A process of another machine is never known to be gone.
pub fn is_dead(process: &Process) -> bool {
    process.host == host()
        && !process.start.is_empty()
        && start_of(process.pid).as_ref() != Some(&process.start)
}

/// When the process started, in ticks since boot; the boot itself is told apart by its id.
fn start_of(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so fields are counted from its end; the start time is the 22nd of all.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // A zombie has ended.
    if fields.first() == Some(&"Z") {
        return None;
    }
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{}@{}", fields.get(19)?, boot.trim()))
}

/// The machine's name, and which of its process lists this is where the system keeps several.
fn host() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let list = std::fs::read_link("/proc/self/ns/pid")
        .ok()
        .and_then(|link| {
            let digits: String = link
                .to_string_lossy()
                .chars()
                .filter(char::is_ascii_digit)
                .collect();
            (digits != INITIAL_PID_LIST).then_some(digits)
        });
    list.map_or_else(|| name.clone(), |list| format!("{name}#{list}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_a_reused_number_does_not() {
        let me = current();
        assert!(!is_dead(&me));
        assert!(is_dead(&Process {
            start: "1@another-boot".to_owned(),
            ..me.clone()
        }));
        assert!(!is_dead(&Process {
            host: "another-host".to_owned(),
            start: "1@x".to_owned(),
            ..me
        }));
    }
}
