//! The plan file: text to a typed, valid plan. Every problem is collected; a step that has one is set aside, so that
//! the others are still looked at.

pub mod account;
pub mod action;
pub(crate) mod article;
pub(crate) mod ask;
pub(crate) mod check;
pub mod fmt;
mod hint;
mod mend;
pub mod message;
pub(crate) mod model;
pub(crate) mod notify;
mod parse;
pub(crate) mod people;
pub(crate) mod pin;
pub mod schema;
pub(crate) mod slips;
mod validate;
pub(crate) mod value;
pub mod yaml;

pub use parse::{ParsedPlan, account_file, mask_secrets, parse};
pub(crate) use parse::{account_in, refuse_secrets};
pub use validate::{ValidPlan, later_step, unknown_step, validate};
