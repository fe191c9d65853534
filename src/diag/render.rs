//! Diagnostics as people and as machines read them: the same facts.

use annotate_snippets::{AnnotationKind, Element, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::{Diagnostic, Severity};
use crate::{limits, source::SourceMap, source::Span};

/// All findings as text with ANSI colours (the caller strips them where they are not wanted); errors first,
/// then by file and place.
pub fn human(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let renderer = Renderer::styled();
    let mut out = String::new();
    for diagnostic in sorted(diagnostics).into_iter().take(limits::DIAGNOSTICS_SHOWN) {
        out.push_str(&renderer.render(&report(diagnostic, sources)));
        out.push_str("\n\n");
    }
    let hidden = diagnostics.len().saturating_sub(limits::DIAGNOSTICS_SHOWN);
    if hidden > 0 {
        out.push_str(&format!("... and {hidden} more problems, not shown\n\n"));
    }
    out
}

fn report<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Vec<Group<'a>> {
    let level = match diagnostic.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&diagnostic.message).id(diagnostic.code.info().id);
    let mut elements: Vec<Element<'a>> = Vec::new();
    for (file, labels) in by_file(diagnostic) {
        let source = sources.file(file);
        let mut snippet = Snippet::source(source.shown_text()).path(source.path.as_str());
        for (kind, label) in labels {
            let range = visible(&source.text, label.span.start, label.span.end);
            let text = (!label.text.is_empty()).then_some(label.text.as_str());
            snippet = snippet.annotation(kind.span(range).label(text));
        }
        elements.push(snippet.into());
    }
    let helps = diagnostic.help.iter().map(|help| Level::HELP.message(help).into());
    elements.extend(helps);
    vec![Group::with_title(title).elements(elements)]
}

type Labelled<'a> = Vec<(AnnotationKind, &'a super::Label)>;

/// Labels of the primary file first; one snippet a file.
fn by_file(diagnostic: &Diagnostic) -> Vec<(crate::source::FileId, Labelled<'_>)> {
    let mut files: Vec<(_, Labelled<'_>)> = Vec::new();
    let primary = diagnostic.primary.iter().map(|label| (AnnotationKind::Primary, label));
    for (kind, label) in primary.chain(diagnostic.related.iter().map(|label| (AnnotationKind::Context, label))) {
        match files.iter_mut().find(|(file, _)| *file == label.span.file) {
            Some((_, labels)) => labels.push((kind, label)),
            None => files.push((label.span.file, vec![(kind, label)])),
        }
    }
    files
}

/// A caret for a whole block would cover the screen: only its first line is underlined.
fn visible(text: &str, start: usize, end: usize) -> std::ops::Range<usize> {
    let start = text.floor_char_boundary(start.min(text.len()));
    let end = text.ceil_char_boundary(end.clamp(start, text.len()));
    let first_line = text[start..end].find('\n').map_or(end, |at| start + at);
    let trimmed = start + text[start..first_line].trim_end().len();
    start..trimmed.max(start)
}

fn sorted(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|d| (d.severity(), d.primary.as_ref().map(|label| label.span.clone())));
    sorted
}

/// A finding as data. Lines and columns count from 1, columns in characters; offsets in bytes from 0.
#[derive(Debug, Serialize)]
pub struct JsonDiagnostic {
    code: &'static str,
    name: &'static str,
    severity: Severity,
    message: String,
    place: Option<JsonPlace>,
    related: Vec<JsonPlace>,
    help: Vec<String>,
}

#[derive(Debug, Serialize)]
struct JsonPlace {
    file: String,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    byte_start: usize,
    byte_end: usize,
    label: String,
}

/// All findings as data, in the same order as [`human`].
pub fn json(diagnostics: &[Diagnostic], sources: &SourceMap) -> Vec<JsonDiagnostic> {
    let place = |label: &super::Label| json_place(&label.span, &label.text, sources);
    sorted(diagnostics)
        .into_iter()
        .map(|d| JsonDiagnostic {
            code: d.code.info().id,
            name: d.code.info().name,
            severity: d.severity(),
            message: d.message.clone(),
            place: d.primary.as_ref().map(place),
            related: d.related.iter().map(place).collect(),
            help: d.help.clone(),
        })
        .collect()
}

fn json_place(span: &Span, label: &str, sources: &SourceMap) -> JsonPlace {
    let file = sources.file(span.file);
    let range = visible(&file.text, span.start, span.end);
    let (start, end) = (file.position(range.start), file.position(range.end));
    JsonPlace {
        file: file.path.clone(),
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
        byte_start: range.start,
        byte_end: range.end,
        label: label.to_owned(),
    }
}

/// GitHub's annotation commands, errors first, at most ten of a kind (GitHub cuts the rest silently).
pub fn github(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    const SHOWN: usize = 10;
    let mut out = String::new();
    for (kind, severity) in [("error", Severity::Error), ("warning", Severity::Warning)] {
        let of_kind: Vec<_> = sorted(diagnostics).into_iter().filter(|d| d.severity() == severity).collect();
        let shown = if of_kind.len() > SHOWN { SHOWN - 1 } else { of_kind.len() };
        for d in &of_kind[..shown] {
            let at = d.primary.as_ref().map(|label| {
                let at = json_place(&label.span, "", sources);
                format!(" file={},line={},col={},endColumn={}", property(&at.file), at.line, at.column, at.end_column)
            });
            let text = std::iter::once(&d.message).chain(&d.help).map(String::as_str).collect::<Vec<_>>().join("\n");
            let title = property(d.code.info().id);
            let at = at.map_or_else(|| format!(" title={title}"), |at| format!("{at},title={title}"));
            out.push_str(&format!("::{kind}{at}::{}\n", data(&text)));
        }
        if of_kind.len() > shown {
            out.push_str(&format!("::{kind}::{} more problems of this kind, see the log\n", of_kind.len() - shown));
        }
    }
    out
}

/// Escapes of <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;

    fn sample() -> (SourceMap, Diagnostic) {
        let mut sources = SourceMap::default();
        let file = sources.add("plan.yaml", "{id: 第一步,　sned: 1}\nnext: 2\n".into());
        let at = sources.file(file).text.find("sned").expect("there");
        let d = Diagnostic::new(Code::UnknownKey, Span::new(file, at..at + 4), "unknown key `sned`")
            .help("did you mean `send`?");
        (sources, d)
    }

    #[test]
    fn the_caret_is_right_under_full_width_text() {
        let (sources, d) = sample();
        insta::assert_snapshot!(anstream::adapter::strip_str(&human(&[d], &sources)).to_string());
    }

    #[test]
    fn json_and_github_say_the_same() {
        let (sources, d) = sample();
        insta::assert_json_snapshot!(json(std::slice::from_ref(&d), &sources));
        insta::assert_snapshot!(github(&[d], &sources));
    }
}
