//! What people and other programs get to see of a run.
//!
//! Every sink is a function of the run's state, of an event or of the plan, to text or to a payload; only [`tty`] and
//! [`log`] remember anything, namely what is on the screen or not printed yet. Nothing here reads a clock or a file.

pub mod clean;
pub mod github;
pub mod html;
pub mod json;
pub mod log;
pub mod slack;
pub mod style;
pub mod text;
pub mod tty;

mod gantt;
pub(crate) mod line;
mod outcome;
mod screen;
mod text_deploy;
mod text_plan;
mod text_why;
mod timeline;
pub(crate) mod words;

#[cfg(test)]
pub(crate) mod sample;
