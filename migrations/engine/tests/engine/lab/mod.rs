//! A laboratory for crashes: runs a program on copies of a folder, kills it at every call that changes a file, tears that call,
//! lets it fail, fills the disk from there on, or cuts the power afterwards; and has the caller look at what is left.
//!
//! It knows no program, so that two packages can run their own in it; only [`promises`] knows what a migration is.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "runs a compiler and a real program, and says why it skips"
)]

mod power;
pub(crate) mod promises;
mod recording;

use power::Disk;
use recording::{Call, Kind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// A program that suddenly syncs per statement, or copies byte by byte, should be noticed.
const CALLS_MAX: usize = 400;
const EIO: &str = "5";

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process ends before it.
    Kill,
    /// Half of it is done, then the process ends.
    Torn,
    /// It fails once, as a disk does that has a bad sector.
    Io,
    /// From there on nothing grows.
    Full,
}

impl Fault {
    pub(crate) const ALL: [Self; 4] = [Self::Kill, Self::Torn, Self::Io, Self::Full];

    fn setting(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Torn => "torn",
            Self::Io => EIO,
            Self::Full => "full",
        }
    }

    /// Is there a difference at this call? What is not a write is torn as it is killed one call later, and only what can
    /// grow fills a disk.
    fn concerns(self, call: &Call) -> bool {
        match self {
            Self::Kill | Self::Io => true,
            Self::Torn => call.kind == Kind::Write,
            Self::Full => matches!(call.kind, Kind::Write | Kind::Create | Kind::Mkdir),
        }
    }
}

/// One program on one folder.
pub(crate) struct Story<'a> {
    pub(crate) name: &'a str,
    /// How the folder is before; it is copied, never used.
    pub(crate) before: &'a Path,
    /// The program, to be run in a copy of it.
    pub(crate) command: &'a dyn Fn(&Path) -> Command,
    /// Looks at what the fault left, then does what a person would do, and looks again. Without a status the power went.
    pub(crate) check: &'a dyn Fn(&Path, Option<ExitStatus>, &str),
}

/// The built shim.
pub(crate) struct Lab {
    shim: PathBuf,
    _folder: tempfile::TempDir,
}

impl Lab {
    /// Builds the shim; none, with a printed reason, where that is not possible, unless `TANDEM_REQUIRE_CC` is set.
    pub(crate) fn open() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shim = folder.path().join("shim.so");
        fs_err::write(folder.path().join("shim.c"), include_str!("shim.c")).expect("its source");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o", "shim.so", "shim.c"])
            .current_dir(folder.path())
            .output();
        let problem = match built {
            _ if !cfg!(all(target_os = "linux", target_env = "gnu")) => {
                "nothing can be preloaded on this system".to_owned()
            }
            Ok(output) if output.status.success() => {
                return Some(Self {
                    shim,
                    _folder: folder,
                });
            }
            Ok(output) => format!("cc failed: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => format!("there is no C compiler: {error}"),
        };
        let required = std::env::var_os("TANDEM_REQUIRE_CC").is_some();
        assert!(!required, "TANDEM_REQUIRE_CC is set, and {problem}");
        println!("skipped: {problem}");
        None
    }

    fn run(&self, story: &Story<'_>, folder: &Path, settings: &[(&str, &str)]) -> ExitStatus {
        let mut command = (story.command)(folder);
        command
            .current_dir(folder)
            .env("LD_PRELOAD", &self.shim)
            .env("CRASH_DIR", folder)
            .envs(settings.iter().copied());
        command.output().expect("the program runs").status
    }

    /// The calls of an undisturbed run, which has to succeed.
    fn record(&self, story: &Story<'_>) -> Vec<Call> {
        let (folder, log) = (Copy::of(story.before), self.shim.with_extension("log"));
        let settings = [("CRASH_LOG", log.to_str().expect("a plain path"))];
        let status = self.run(story, folder.path(), &settings);
        let name = story.name;
        assert!(
            status.success(),
            "{name}: undisturbed, it ended with {status}"
        );
        let calls = recording::read(&log, folder.path());
        fs_err::remove_file(&log).expect("removed");
        (story.check)(folder.path(), Some(status), &format!("{name}, undisturbed"));
        let counted = calls.iter().filter(|call| call.kind != Kind::Bind).count();
        assert!(
            (10..CALLS_MAX).contains(&counted),
            "{name}: {counted} calls that change files"
        );
        calls
    }

    /// Strikes at every call in turn.
    pub(crate) fn sweep(&self, story: &Story<'_>, faults: &[Fault]) {
        let calls = self.record(story);
        let counted: Vec<&Call> = calls
            .iter()
            .filter(|call| call.kind != Kind::Bind)
            .collect();
        let (total, mut runs) = (counted.len(), 0);
        for fault in faults {
            for (index, call) in counted.iter().enumerate() {
                if !fault.concerns(call) {
                    continue;
                }
                let (folder, at) = (Copy::of(story.before), (index + 1).to_string());
                let settings = [("CRASH_AT", at.as_str()), ("CRASH_FAULT", fault.setting())];
                let status = self.run(story, folder.path(), &settings);
                let place = format!(
                    "{}: {fault:?} at call {at} of {total}, {:?} {}",
                    story.name,
                    call.kind,
                    call.path.display()
                );
                if matches!(fault, Fault::Kill | Fault::Torn) {
                    assert_eq!(status.code(), None, "{place}: it was killed");
                }
                (story.check)(folder.path(), Some(status), &place);
                runs += 1;
            }
        }
        println!("{}: {runs} runs, {total} calls", story.name);
    }

    /// Cuts the power after every call in turn: once so that only what was synced is there, and once for each of `seeds`
    /// seeds, which say what else is.
    pub(crate) fn cut_power(&self, story: &Story<'_>, seeds: u64) {
        let calls = self.record(story);
        let mut disk = Disk::load(story.before);
        let mut states = 0;
        for (index, call) in calls.iter().enumerate() {
            disk.follow(call);
            let is_last = index + 1 == calls.len();
            for seed in 0..=seeds {
                let folder = Copy::empty();
                let of_this_call = seed.wrapping_mul(0x9e37_79b9) ^ (index as u64) << 8;
                disk.cut_power((seed > 0).then_some(of_this_call), folder.path());
                let place = format!(
                    "{}: the power went after call {} of {}, {:?} {}, seed {seed}",
                    story.name,
                    index + 1,
                    calls.len(),
                    call.kind,
                    call.path.display()
                );
                // After the last call the program had said that all is done.
                let status = is_last.then(ExitStatus::default);
                (story.check)(folder.path(), status, &place);
                states += 1;
            }
        }
        println!("{}: {states} states after a power cut", story.name);
    }
}

/// A copy of a folder, gone when dropped. In memory where that can be: it is the order of calls that is tried here, and
/// what survives is decided by [`power`].
struct Copy(tempfile::TempDir);

impl Copy {
    fn empty() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
        Self(folder.expect("a temporary folder"))
    }

    fn of(folder: &Path) -> Self {
        let copy = Self::empty();
        for (name, content) in files(folder) {
            let path = copy.path().join(name);
            fs_err::create_dir_all(path.parent().expect("a folder")).expect("its folder");
            fs_err::write(path, content).expect("a copy");
        }
        copy
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// All files below a folder with their content, by relative path.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = PathBuf::from(entry.file_name());
        if entry.file_type().expect("a kind").is_dir() {
            let below = files(&entry.path());
            found.extend(
                below
                    .into_iter()
                    .map(|(path, content)| (name.join(path), content)),
            );
        } else {
            found.push((name, fs_err::read(entry.path()).expect("a file")));
        }
    }
    found
}
