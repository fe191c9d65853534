//! The report of a run, folded from [`RunEvent`]s; one file a format beside this one.
//!
//! Nothing here decides anything: the run loop emits events, [`Fold`] adds them up, the formats print the sum.

use std::fmt;
use std::str::FromStr;

mod chart;
pub mod checkup;
mod delivery;
mod event;
pub mod fleet;
mod html;
mod human;
mod json;
mod junit;
mod markdown;
mod model;
pub mod readers;
#[cfg(test)]
mod tests;
mod words;

pub use delivery::{DeliveredArticle, Delivery};
pub use event::{Fold, RunEvent, StepView};
pub use model::{
    AccountRef, Again, CallOutcome, CallReport, PlanRef, REPORT_SCHEMA, Report, RunOutcome, StepOutcome, StepReport,
    Totals,
};
pub(crate) use words::account_kind;

/// The forms in which a report can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A summary for a terminal, with ANSI styles that the caller strips where they are not wanted.
    Human,
    /// The public JSON form, described by `schemas/report.schema.json`.
    Json,
    /// JUnit XML: a test case per step, for the test tab of a CI system.
    Junit,
    /// GitHub-flavoured Markdown, for a step summary or a chat.
    Markdown,
    /// One self-contained page.
    Html,
}

impl Format {
    /// Every format, in the order in which help texts list them.
    pub const ALL: [Self; 5] = [Self::Human, Self::Json, Self::Junit, Self::Markdown, Self::Html];

    /// The name by which the command line knows the format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
            Self::Junit => "junit",
            Self::Markdown => "markdown",
            Self::Html => "html",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// A name that belongs to no [`Format`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown report format `{0}`; use {names}", names = Format::ALL.map(Format::name).join(", "))]
pub struct UnknownFormat(
    /// The name as it was given.
    pub String,
);

/// Writes `report` in `format`. Same report, same bytes; every format ends with a newline.
#[must_use]
pub fn render(report: &Report, format: Format) -> String {
    match format {
        Format::Human => human::render(report),
        Format::Json => json::render(report),
        Format::Junit => junit::render(report),
        Format::Markdown => markdown::render(report),
        Format::Html => html::render(report),
    }
}

/// Writes `report` in Markdown, within so many bytes: what does not fit is left out, which the last line says.
#[must_use]
pub fn summary(report: &Report, most_bytes: usize) -> String {
    markdown::cut(markdown::render(report), most_bytes)
}
