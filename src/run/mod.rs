//! The run: steps in order, calls in order, every intent on disk before its call and every outcome after it. Emits
//! events; formats nothing, reads no clock but the one it is given.

mod attempt;
pub mod doctor;
mod drafts;
mod followers;
pub mod forecast;
pub mod frozen;
pub mod guard;
mod media;
mod outputs;
pub mod policy;
mod prepare;
mod reader;
mod ready;
pub mod reconcile;
mod refusal;
pub mod replay;
mod steps;
mod tags;
mod views;
mod work;

pub use prepare::{Prepared, Selection, forgotten, guards, prepare};
pub use ready::gather;
pub use refusal::Refusal;
pub use steps::{Ended, Settings, run};
pub use views::views;
pub use work::Todo;
