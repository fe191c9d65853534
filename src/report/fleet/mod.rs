//! Where the accounts of a fleet stand: the public form, and one file a format. As with a run, nothing here decides anything.

use super::Format;

mod html;
mod human;
mod junit;
mod markdown;
mod model;
#[cfg(test)]
mod tests;

pub use model::{AccountReport, FLEET_SCHEMA, FleetReport, Standing, Standings};

/// Writes the report in a format. Same report, same bytes; every format ends with a newline.
pub fn render(report: &FleetReport, format: Format) -> String {
    match format {
        Format::Human => human::render(report),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(report).unwrap_or_default()),
        Format::Junit => junit::render(report),
        Format::Markdown => markdown::render(report),
        Format::Html => html::render(report),
    }
}
