//! Code quality reports of GitLab. <https://docs.gitlab.com/ci/testing/code_quality/>

use serde_json::{Value, json};

use super::{Severity, finding::Checked};
use crate::locale::translated;

/// A list of findings, as merge requests show them.
pub fn document(plans: &[Checked]) -> Value {
    let of_plan = |checked: &Checked| {
        checked
            .fingerprinted()
            .map(|(fingerprint, finding)| {
                // Every entry has a place; what belongs to no file is the plan's.
                let (path, line) = finding
                    .place
                    .as_ref()
                    .map_or((checked.plan.as_str(), 1), |place| (place.file.as_str(), place.line));
                json!({
                    "description": finding.text().replace('\n', translated("; ")),
                    "check_name": format!("{} {}", finding.code, finding.name),
                    "fingerprint": fingerprint,
                    "severity": if finding.severity == Severity::Error { "critical" } else { "minor" },
                    "location": { "path": path, "lines": { "begin": line } },
                })
            })
            .collect::<Vec<_>>()
    };
    plans.iter().flat_map(of_plan).collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::tests::sample;
    use super::*;

    #[test]
    fn findings_of_merge_requests() {
        insta::assert_json_snapshot!(document(&[sample()]));
    }
}
