//! Pages for people.

pub mod preview;
