//! All integration tests: one binary, which runs the real program.
#![expect(clippy::disallowed_methods, reason = "tests set up the real world")]

mod architecture;
mod audiences;
mod bodies;
mod cli;
mod doctor;
mod exactly_once;
mod examples;
mod faults;
mod formats;
mod kills;
mod media;
mod outcomes;
mod plans;
mod properties;
mod readme;
mod schema;
mod support;
mod templates;
