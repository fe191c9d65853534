//! All integration tests: one binary, which runs the real program.
#![expect(clippy::disallowed_methods, reason = "tests set up the real world")]

mod architecture;
mod articles;
mod audiences;
mod blocks;
mod bodies;
mod bounds;
mod busy;
mod cli;
mod conformance;
mod docs;
mod doctor;
mod exactly_once;
mod examples;
mod faults;
mod fmt;
mod formats;
mod fuzz;
mod help;
mod hostile;
mod init;
mod kills;
mod media;
mod outcomes;
mod plans;
mod preview_html;
mod properties;
mod readme;
mod schema;
mod security;
mod store;
mod streams;
mod support;
mod templates;
mod translations;
mod words;
