//! Results for people, on standard output: the plan, and how a release ended.

pub use super::text_deploy::deploy;
pub use super::text_plan::plan;
pub use super::text_why::{Why, why};
