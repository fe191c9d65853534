//! Annotations of GitHub Actions.
//! <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>

use super::{Severity, finding::Finding};
use crate::{limits::ANNOTATIONS_SHOWN, locale::say, text};

#[derive(Debug, Clone)]
pub struct Annotation {
    pub(crate) severity: Severity,
    /// What it is headed with.
    pub(crate) title: String,
    /// What it says; may have several lines.
    pub(crate) text: String,
    /// The file, as seen from the root of the repository; none if it belongs to no file.
    pub(crate) file: Option<String>,
    /// The first line. GitHub would show a whole block at its end.
    pub(crate) line: Option<usize>,
    /// First column, and the first one behind the end; only within one line.
    pub(crate) columns: Option<(usize, usize)>,
}

impl From<&Finding> for Annotation {
    fn from(finding: &Finding) -> Self {
        let place = finding.place.as_ref();
        Self {
            severity: finding.severity,
            title: finding.code.to_owned(),
            text: finding.text(),
            file: place.map(|place| place.file.clone()),
            line: place.map(|place| place.line),
            columns: place.filter(|place| place.line == place.end_line).map(|place| (place.column, place.end_column)),
        }
    }
}

/// The commands that make annotations, worst first. GitHub shows ten of a kind and drops the rest without a word, so the
/// tenth says how many more there are.
pub fn commands(annotations: &[Annotation]) -> String {
    let mut out = String::new();
    for (kind, severity) in [("error", Severity::Error), ("warning", Severity::Warning)] {
        let of_kind: Vec<_> = annotations.iter().filter(|annotation| annotation.severity == severity).collect();
        let shown = if of_kind.len() > ANNOTATIONS_SHOWN { ANNOTATIONS_SHOWN - 1 } else { of_kind.len() };
        of_kind[..shown].iter().for_each(|annotation| out.push_str(&command(kind, annotation)));
        if of_kind.len() > shown {
            let hidden = of_kind.len() - shown;
            let more = match severity {
                Severity::Error => say!(
                    "{hidden} more error is not shown here, see the log"
                        | "{hidden} more errors are not shown here, see the log",
                    hidden
                ),
                Severity::Warning => say!(
                    "{hidden} more warning is not shown here, see the log"
                        | "{hidden} more warnings are not shown here, see the log",
                    hidden
                ),
            };
            out.push_str(&format!("::{kind} title=qunfa::{}\n", data(&more.to_string())));
        }
    }
    out
}

fn command(kind: &str, annotation: &Annotation) -> String {
    let mut properties = Vec::new();
    if let Some(file) = &annotation.file {
        properties.push(format!("file={}", property(file)));
    }
    if let Some(line) = annotation.line {
        properties.push(format!("line={line}"));
    }
    if let Some((column, end)) = annotation.columns {
        properties.push(format!("col={column},endColumn={end}"));
    }
    properties.push(format!("title={}", property(&annotation.title)));
    format!("::{kind} {}::{}\n", properties.join(","), data(&annotation.text))
}

fn data(text: &str) -> String {
    text::visible(text).replace("##[", "## [").replace('%', "%25").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::finding::tests::sample;
    use super::*;
    use crate::locale::{Language, tests::speaking};

    #[test]
    fn findings_are_commands() {
        let annotations: Vec<Annotation> = sample().diagnostics.iter().map(Annotation::from).collect();
        insta::assert_snapshot!(commands(&annotations));
    }

    #[test]
    fn ten_of_a_kind_and_the_last_says_how_many_more() {
        let _heard = crate::locale::tests::heard("diag-github-ten_of_a_kind_and_the_last_says_how_many_more");
        let annotation = |severity, number: usize| Annotation {
            severity,
            title: "Q1:2,3".into(),
            text: format!("{number} %\r\n::x"),
            file: Some("a,b:c%.yaml".into()),
            line: Some(number),
            columns: None,
        };
        let mut all: Vec<Annotation> = (1..=11).map(|number| annotation(Severity::Warning, number)).collect();
        all.extend((1..=10).map(|number| annotation(Severity::Error, number)));
        let text = commands(&all);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 20);
        assert!(lines[..10].iter().all(|line| line.starts_with("::error file=a%2Cb%3Ac%25.yaml,line=")), "{text}");
        assert_eq!(lines[9], "::error file=a%2Cb%3Ac%25.yaml,line=10,title=Q1%3A2%2C3::10 %25%0A::x");
        assert_eq!(lines[19], "::warning title=qunfa::2 more warnings are not shown here, see the log");
        let chinese = speaking(Language::Zh, || commands(&all));
        assert!(chinese.ends_with("::warning title=qunfa::另有 2 个警告未在此显示，请看日志\n"), "{chinese}");
    }
}
