//! Which files belong to a lane, and how they differ from what is live. Values only: nothing here reads or runs anything.
//!
//! A package of its own because it is the one part of the release tool that looks at every file of a repository: it is compiled
//! with optimisation also in development builds, which is what `cargo xtask` runs.

pub mod assign;
pub mod filter;
pub mod glob;
pub mod lines;
pub mod manifest;
pub mod tree;
