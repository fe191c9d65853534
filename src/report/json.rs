//! The public JSON form: the types of [`super`] as they are, pretty-printed.

use super::Report;

/// Pretty JSON and a newline.
pub(super) fn render(report: &Report) -> String {
    let mut json = serde_json::to_string_pretty(report).expect("a report has only string keys and no fallible impl");
    json.push('\n');
    json
}
