//! What would stop a release, found before one is tried: tools, configuration, credentials, the origin, both providers, this
//! machine. Every finding says what it is about and, where something is wrong, the way out. Nothing is changed anywhere.

pub mod credentials;
pub mod machine;
pub mod origin;
pub mod providers;
mod report;
pub mod tools;

pub use report::{Area, Finding, Level, Report};
