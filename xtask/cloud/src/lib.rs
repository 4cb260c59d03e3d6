//! The embedded local cloud: enough of Netlify and Render, behind their own HTTP APIs, to release to without any account.
//!
//! [`Cloud`] is the whole behaviour as one value without I/O: a request and the time go in, a [`Reply`] comes out, and what has to happen to
//! real processes is asked for as [`Action`]s and answered with [`RunnerEvent`]s. Two shells stand around it: [`inprocess`] runs it in
//! virtual time with scripted processes, [`tcp`] serves it on loopback and runs the backend for real; [`daemon`] keeps the latter in the background.
//!
//! It shares no types with the clients that talk to it, so that one misreading of a provider cannot hide on both sides.

pub mod daemon;
pub mod inprocess;
pub mod tcp;

mod answer;
mod blobs;
mod control;
mod core;
mod fault;
mod ids;
mod netlify;
mod process;
mod rate;
mod render;
mod reply;
mod settings;
mod site;
mod slack;
mod time;

pub use blobs::Blobs;
pub use core::{Cloud, Door, Endpoints, RequestRecord, Secrets};
pub use fault::{Fault, FaultKind};
pub use ids::{DeployId, IdSource, InstanceId, SiteDeployId};
pub use reply::{Action, Content, Effect, Replacement, Reply, RunnerEvent, StartSpec, Upstream};
pub use settings::{
    Disk, QueuePolicy, RateLimits, ServiceSettings, Settings, SiteSettings, Timings,
};
pub use slack::SlackMessage;
