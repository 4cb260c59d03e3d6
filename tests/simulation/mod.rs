//! Whole releases in simulation: the real engine and clients against the local cloud in process, in virtual time.
//!
//! A seed decides who runs when, so every failure here can be seen again: `TANDEM_SEED=7 cargo test -p tandem --test tandem seeds`.

mod answering;
mod bundles;
mod decisions;
mod elsewhere;
mod failing_fast;
mod forwards;
mod journal;
mod kills;
mod lease;
mod network;
mod oracle;
mod others;
mod overhead;
mod project;
mod resuming;
mod rollbacks;
mod seeds;
mod smoke;
