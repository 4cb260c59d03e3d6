//! The state folder: what is kept in it, under which names, and how it is written.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{FlockOperation, flock};

use crate::core::Secrets;
use crate::ids::IdSource;

/// The core's state.
pub(super) const STATE: &str = "state.json";
const SECRETS: &str = "secrets.json";
const PORTS: &str = "ports.json";
const LOCK: &str = "lock";

/// A state folder that is taken. It is given back by name: a child that was just forked still has the file open until it has become
/// another program, and would keep the folder taken.
pub(super) struct Taken(fs_err::File);

impl Drop for Taken {
    fn drop(&mut self) {
        let _gone_with_the_process = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Creates the folder for this user alone and takes it for this process.
pub(super) fn lock(state_dir: &Path) -> Result<Taken> {
    fs_err::create_dir_all(state_dir)?;
    fs_err::set_permissions(state_dir, std::fs::Permissions::from_mode(0o700))?;
    let file = fs_err::File::create(state_dir.join(LOCK))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!(
            "another local cloud runs in {}; stop it first",
            state_dir.display()
        );
    }
    Ok(Taken(file))
}

/// Does some process hold the folder?
pub(crate) fn is_locked(state_dir: &Path) -> bool {
    fs_err::File::open(state_dir.join(LOCK))
        .is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_err())
}

/// Writes a file only this user may read, so that it is there wholly or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    // Two commands may start the cloud at the same moment: neither may take away what the other is writing.
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&part)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs_err::rename(&part, path)?;
    Ok(())
}

/// The saved state, if there is one.
pub(super) fn saved(state_dir: &Path) -> Result<Option<Vec<u8>>> {
    read_if_there(&state_dir.join(STATE))
}

pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs_err::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A number nobody can guess.
pub(super) fn random_seed() -> Result<u64> {
    let mut bytes = [0; 8];
    fs_err::File::open("/dev/urandom")?
        .read_exact(&mut bytes)
        .context("read random bytes")?;
    Ok(u64::from_le_bytes(bytes))
}

fn random_hex(len: usize) -> Result<String> {
    let mut bytes = vec![0; len.div_ceil(2)];
    fs_err::File::open("/dev/urandom")?
        .read_exact(&mut bytes)
        .context("read random bytes")?;
    Ok(crate::blobs::hex(&bytes)[..len].to_owned())
}

/// The tokens of this folder, made on first use.
pub(super) fn secrets(state_dir: &Path) -> Result<Secrets> {
    let path = state_dir.join(SECRETS);
    if let Some(bytes) = read_if_there(&path)? {
        return serde_json::from_slice(&bytes)
            .with_context(|| format!("read {}: remove it to have new tokens", path.display()));
    }
    // The path's first two parts only have to look like Slack's; the third is the secret.
    let mut shape = IdSource::new(random_seed()?);
    let team = shape.base32(9).to_uppercase();
    let secrets = Secrets {
        netlify_token: format!("nfp_{}", random_hex(36)?),
        render_key: format!("rnd_{}", random_hex(28)?),
        admin_token: random_hex(64)?,
        control_token: random_hex(40)?,
        slack_path: format!(
            "/slack/services/T{team}/B{}/{}",
            shape.base32(9).to_uppercase(),
            random_hex(24)?
        ),
    };
    write_private(&path, &serde_json::to_vec(&secrets)?)?;
    Ok(secrets)
}

/// Three listeners on loopback: on the ports of last time or those asked for, else on any that are free.
pub(super) fn bind(state_dir: &Path, wanted: Option<u16>) -> Result<Vec<TcpListener>> {
    let path = state_dir.join(PORTS);
    let earlier: Vec<u16> = read_if_there(&path)?
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let mut listeners = Vec::new();
    for at in 0..3_u16 {
        let asked = wanted.and_then(|first| first.checked_add(at));
        listeners.push(bind_one(
            asked.or_else(|| earlier.get(usize::from(at)).copied()),
        )?);
    }
    let ports: Vec<u16> = listeners
        .iter()
        .filter_map(|l| l.local_addr().ok())
        .map(|a| a.port())
        .collect();
    write_private(&path, &serde_json::to_vec(&ports)?)?;
    Ok(listeners)
}

/// Ports tried above one that is taken.
const PORTS_TRIED: u16 = 50;

fn bind_one(wanted: Option<u16>) -> Result<TcpListener> {
    if let Some(first) = wanted {
        let free = (first..first.saturating_add(PORTS_TRIED))
            .find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
        if let Some(listener) = free {
            return Ok(listener);
        }
    }
    TcpListener::bind(("127.0.0.1", 0)).context("bind a port on 127.0.0.1")
}

/// A line for the cloud's own log, which is its standard error.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell when the log cannot be written.
    writeln!(std::io::stderr(), "cloud: {text}").unwrap_or_default();
}
