//! Stand-in.
use crate::cli::app::{App, Connected};
use crate::run::Session;
use crate::state::RunState;
/// Stand-in.
pub fn all(_: &App<'_>, _: &Session<'_>, _: &Connected, _: &RunState) {}
