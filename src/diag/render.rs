//! Diagnostics as people read them.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Severity};
use crate::{
    diag::source::{SourceFile, SourceMap},
    limits,
    locale::{say, translated},
    text,
};

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
        let more =
            say!("... and {hidden} more problem, not shown" | "... and {hidden} more problems, not shown", hidden);
        out.push_str(&format!("{more}\n\n"));
    }
    out
}

fn report<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Vec<Group<'a>> {
    let level = match diagnostic.severity() {
        Severity::Error => Level::ERROR.with_name(translated("error")),
        Severity::Warning => Level::WARNING.with_name(translated("warning")),
    };
    let help = Level::HELP.with_name(translated("help"));
    let title = level.primary_title(text::one_line(&diagnostic.message.to_string())).id(diagnostic.code.info().id);
    let mut elements: Vec<Element<'a>> = Vec::new();
    for (file, labels) in by_file(diagnostic) {
        let source = sources.file(file);
        let path = text::one_line(&source.path);
        let places: Vec<Range<usize>> =
            labels.iter().map(|(_, label)| visible(&source.text, label.span.start, label.span.end)).collect();
        let Some(lines) = window(source, &places) else {
            let first = source.position(places.first().map_or(0, |place| place.start));
            elements.push(annotate_snippets::Origin::path(path).line(first.line).char_column(first.column).into());
            continue;
        };
        let mut snippet = Snippet::source(source.shown(lines.clone())).line_start(source.line(lines.start)).path(path);
        for ((kind, label), place) in labels.into_iter().zip(places) {
            let range = place.start - lines.start..place.end - lines.start;
            let text = (!label.text.is_empty()).then(|| text::one_line(&label.text.to_string()));
            snippet = snippet.annotation(kind.span(range).label(text));
        }
        elements.push(snippet.into());
    }
    let helps = diagnostic.help.iter().map(|words| help.clone().message(text::one_line(&words.to_string())).into());
    elements.extend(helps);
    vec![Group::with_title(title).elements(elements)]
}

/// The lines from the first place to the last one; none if one of these is too long to be shown.
fn window(source: &SourceFile, places: &[Range<usize>]) -> Option<Range<usize>> {
    let line = |at: usize| source.line_start(source.line(at))..source.line_start(source.line(at) + 1);
    let lines: Vec<Range<usize>> = places.iter().map(|place| line(place.start)).collect();
    if lines.iter().any(|line| line.len() > limits::LINE_SHOWN) {
        return None;
    }
    Some(lines.iter().map(|line| line.start).min()?..lines.iter().map(|line| line.end).max()?)
}

type Labelled<'a> = Vec<(AnnotationKind, &'a super::Label)>;

/// Labels of the primary file first; one snippet a file.
fn by_file(diagnostic: &Diagnostic) -> Vec<(crate::diag::source::FileId, Labelled<'_>)> {
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

pub(super) fn sorted(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|d| (d.severity(), d.primary.as_ref().map(|label| label.span.clone())));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        diag::{Code, source::Span},
        locale::{Language, tests::speaking},
    };

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
    fn titles_are_in_the_language_of_the_reader() {
        let (sources, d) = sample();
        let shown = speaking(Language::Zh, || anstream::adapter::strip_str(&human(&[d], &sources)).to_string());
        assert!(shown.starts_with("错误[Q201]: ") && shown.contains("= 提示: "), "{shown}");
    }
}
