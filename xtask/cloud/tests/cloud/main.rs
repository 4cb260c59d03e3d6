//! The local cloud as its clients see it: first in virtual time, then over loopback with real processes.
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests may fail like the tests themselves"
)]

mod daemon;
mod faults;
mod live;
mod malformed;
mod netlify;
mod render;
mod roles;
mod sim;
mod site;
mod specs;
mod wire_samples;
