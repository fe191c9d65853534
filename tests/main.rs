//! All integration tests: one binary, which runs the real program.
#![expect(clippy::disallowed_methods, reason = "tests set up the real world")]

mod architecture;
mod bodies;
mod cli;
mod faults;
mod outcomes;
mod plans;
mod schema;
mod support;
