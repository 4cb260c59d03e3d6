//! Runs the real binary on loopback, each test with its own process, database and token.

mod admin;
mod lifecycle;
mod limits;
mod reading;
mod start;
mod support;
