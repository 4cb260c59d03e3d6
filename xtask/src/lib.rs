//! Tandem releases a web frontend and its backend as one release. ARCHITECTURE.md tells the whole; this is the map.
//!
//! - Pure: [`plan`], [`event`], [`state`], [`sink`], [`changes`], [`redact`], [`exit`], [`live`],
//!   [`codegen`], [`site_rules`].
//! - The seam: [`world`] with its two sides, `real` and `sim`; [`once`], [`journal`] and [`refs`] behind it.
//! - The release: [`run`] → [`executor`] → [`lane`] over the providers' clients [`netlify`] and [`render`].
//! - The surface: [`cli`], [`config`], [`credentials`], [`console`].

pub mod answering;
pub mod bundle;
pub mod changes;
pub mod checkout;
pub mod cli;
pub mod codegen;
pub mod config;
pub mod console;
pub mod contract;
pub mod credentials;
pub mod dispatch;
pub mod doctor;
pub mod environ;
pub mod event;
pub mod executor;
pub mod exit;
pub mod facts;
pub mod forwards;
pub mod git;
pub mod gitrefs;
pub mod http;
pub mod ids;
pub mod inputs;
pub mod job;
pub mod journal;
pub mod lane;
pub mod lease;
pub mod live;
pub mod local_cloud;
pub mod netlify;
pub mod notify;
pub mod once;
pub mod plan;
pub mod prepare;
pub mod process;
pub mod publish_folder;
pub mod real;
pub mod redact;
pub mod refs;
pub mod rehearsal;
pub mod remote_migrate;
pub mod render;
pub mod rollback;
pub mod rule_files;
pub mod run;
pub mod service;
pub mod shared_run;
pub mod sim;
pub mod sink;
pub mod site_rules;
pub mod source;
pub mod state;
pub mod supervisor;
pub mod working_tree;
pub mod world;
