//! Campaigns as code for WeChat Official Accounts (群发).
//!
//! Data flows one way; each arrow is one function that consumes its input:
//!
//! ```text
//! SourceFile -> ParsedPlan -> ValidPlan -> ResolvedPlan -> RenderedPlan -> Prepared -> Ready -> Ended (+ ledger, events) -> Report
//!     plan::parse   plan::validate   resolve::resolve   render::render   run::prepare  complete  run                  report::Fold
//! ```
//!
//! `validate`, `render` and `run` are the same pipe stopped at different arrows, so a dry run cannot differ from a run.
//! Problems are collected along the way; that there is a rendered plan is the proof that there was no error among them.
//!
//! IO stays at the edge: [`cli`] owns the real world, `wechat::http`, [`ledger`] and [`sandbox`] are adapters, and the
//! rest is computed from what it is given.
//!
//! The program is what is published. The library is `pub` for it, for its tests and for its benchmarks, and makes no promise
//! of semver: anything here may change with any release.

#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod content;
pub mod diag;
pub mod events;
pub mod fleet;
pub mod ledger;
pub mod limits;
pub mod locale;
pub mod message;
mod notice;
pub mod openids;
pub(crate) mod page;
pub mod payload;
pub mod plan;
pub mod platform;
pub mod problem;
pub mod redact;
pub mod render;
pub mod report;
pub mod resolve;
mod retry;
pub mod run;
pub mod sandbox;
pub mod slot;
pub mod stats;
mod text;
pub mod wechat;
