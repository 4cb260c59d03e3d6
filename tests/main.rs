//! Tandem from outside: the real program, the local cloud and the real service, one module per behaviour.
//!
//! Run one module with `cargo test -p tandem --test tandem lock::`. After an intended change of an output, `INSTA_UPDATE=always`
//! writes the snapshots anew; read the difference before committing it.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start processes, read the search path and wait for deadlines; a helper that fails ends its test"
)]

mod env;

mod answering;
mod broken_backend;
mod broken_frontend;
mod browser;
mod bundle;
mod changes;
mod checks;
mod ci;
mod cloud_command;
mod codegen;
mod concurrency;
mod crash;
mod doctor;
mod elsewhere;
mod first_release;
mod forwards;
mod help;
mod hermetic;
mod hotfix;
mod incomplete_checkout;
mod interruption;
mod looking;
mod migrating;
mod pipelines;
mod pipes;
mod planning;
mod production;
mod record;
mod rollback;
mod simulation;
mod site_rules;
mod smoke;
mod suspicious_site;
mod tidy;
mod what_differs;
mod working_tree;
