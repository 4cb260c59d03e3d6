//! The lanes: straight-line code, one file per part of a release.

pub mod backend;
pub mod checks;
pub mod draft;
pub mod frontend;
pub mod live_copy;
pub mod proxies;
mod reconcile;
pub mod service_log;
pub mod smoke;
pub mod trigger;
pub mod undo;
pub mod verify;
