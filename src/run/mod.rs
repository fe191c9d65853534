//! The run: steps in order, calls in order, every intent on disk before its call and every outcome after it. Emits
//! events; formats nothing, reads no clock but the one it is given.
//!
//! Its order is one of types: [`prepare()`] compares plan and ledger; [`Prepared::complete`] looks up what WeChat alone
//! knows; [`Ready`] is what a person is asked about, and [`Ready::run`] ends it.

mod again;
pub(crate) mod asker;
mod attempt;
pub(crate) mod comments;
pub(crate) mod deleted;
pub(crate) mod delivery;
pub(crate) mod doctor;
pub(crate) mod doubt;
mod drafts;
pub(crate) mod editions;
pub(crate) mod existing;
mod followers;
pub(crate) mod forecast;
pub(crate) mod frozen;
pub(crate) mod guard;
mod media;
mod outputs;
pub(crate) mod policy;
mod prepare;
mod publish;
mod published;
mod reader;
mod ready;
pub(crate) mod reconcile;
mod refusal;
mod renamed;
pub(crate) mod replay;
mod steps;
mod tags;
pub(crate) mod take_back;
mod tamper;
mod views;
pub(crate) mod work;

pub(crate) use again::{again, again_of, held_back};
pub use prepare::{Prepared, Selection, forgotten, prepare};
pub use ready::{Ready, Settings};
pub use refusal::Refusal;
pub use renamed::{Outside, history};
pub use steps::Ended;
pub use views::views;
