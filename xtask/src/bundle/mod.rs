//! What `deploy --prepare` leaves for `deploy --bundle`: the built site, and a manifest that says of which commit it is, which
//! checks passed, and what every file must contain.
//!
//! Preparing runs the project's commands and knows no credential; releasing a bundle has the credentials and runs none of the
//! commands. What passes between the two is data that is verified before it is used: a folder of plain files, each with its digest.

mod folder;
mod manifest;

pub use folder::{Bundle, BundleError, may_write, write};
pub use manifest::{CheckPassed, FORMAT, FileDigest, LaneContent, Manifest};
