//! Who prepares what is released: the run itself, or an earlier one that left a bundle.

use crate::bundle::Manifest;
use std::path::{Path, PathBuf};

/// Where and with what environment configured commands run.
#[derive(Clone, Debug)]
pub struct Commands {
    /// The project's root.
    pub root: PathBuf,
    /// The caller's environment without any credential.
    pub env: Vec<(String, String)>,
}

/// Who prepares what a run releases.
#[derive(Clone, Copy, Debug)]
pub enum Preparation<'a> {
    /// The run itself: it runs the configured commands.
    Here(&'a Commands),
    /// An earlier `deploy --prepare`, in a bundle that has been verified: the run runs no configured command. `commands` are
    /// for this program's own.
    Bundle {
        /// What the bundle says of itself.
        manifest: &'a Manifest,
        /// Where it lies, as the caller named it.
        dir: &'a Path,
        /// The environment of commands that are this program's own.
        commands: &'a Commands,
    },
}

impl<'a> Preparation<'a> {
    /// Where commands run, whosesoever they are.
    pub fn commands(self) -> &'a Commands {
        match self {
            Self::Here(commands) | Self::Bundle { commands, .. } => commands,
        }
    }

    /// The bundle, when one is released.
    pub fn bundle(self) -> Option<&'a Manifest> {
        match self {
            Self::Here(_) => None,
            Self::Bundle { manifest, .. } => Some(manifest),
        }
    }
}
