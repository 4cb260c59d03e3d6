//! Behaviour of the whole redactor: recorded cases, random siblings of every kind of them, and the promises about
//! streams that no single case shows.

mod case;
mod encoders;
mod generator;
mod random;
mod samples;
mod streams;
