//! The engine's behaviour from outside, one module per promise. Nothing here needs a network, a clock or another test.
mod adoption;
mod atomic;
mod backups;
mod command;
mod concurrency;
mod crash;
mod env;
mod full_disk;
mod history;
mod hostile;
mod lab;
mod layouts;
mod looking;
mod modes;
mod real_sets;
mod servers;
mod sets;
