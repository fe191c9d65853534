//! One article, Markdown or HTML, to the HTML that survives WeChat's editor; and findings at exact places.
//!
//! Text in, text out: no files, no network, no templates (they are rendered before). Both formats become one small tree,
//! the tree is checked against rules that are data (`rules.json`), and a writer puts the styles of a theme into
//! each element. What the rules do not list is an error: nothing passes unchecked.

use crate::{
    diag::{Code, Diagnostic, Severity, source::Span},
    limits,
};

mod code;
pub(crate) mod compare;
mod css;
mod html;
mod markdown;
mod math;
mod model;
mod rules;
mod theme;
mod tree;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use model::{Article, Budget, Finding, Format, Image, Input, Links, Piece};
pub(crate) use theme::Theme;

/// Converts an article; none if a finding is an error. The findings are in the order of the text, those of
/// [`check_budget`] at the end.
pub(crate) fn convert(input: &Input<'_>) -> (Option<Article>, Vec<Finding>) {
    let mut findings = tree::Findings::default();
    if input.format == Format::Markdown && input.text.len() > limits::MARKDOWN_BYTES_MAX {
        let (bytes, most) = (input.text.len(), limits::MARKDOWN_BYTES_MAX);
        let message = format!("the article has {bytes} bytes of Markdown; at most {most} are read");
        let place = (input.place)(most..most + 1);
        let diagnostic = Diagnostic::new(Code::ArticleBytes, place, message).help("split the article");
        return (None, vec![Finding { diagnostic, block: None }]);
    }
    let nodes = match input.format {
        Format::Markdown => markdown::read(input.text, &mut findings),
        Format::Html => html::read(input.text, &mut findings),
    };
    tree::check(&nodes, None, false, &mut findings);
    let (article, marks) = write::write(input, &nodes, &mut findings);
    // What is empty because of an error is no finding of its own.
    if article.text.trim().is_empty() && article.images.is_empty() && !findings.any_error() {
        let help = "write something, or leave the article out";
        findings.add(Code::ArticleEmpty, 0..input.text.len(), "the article has no text and no picture", help);
    }
    let mut sizes = Vec::new();
    check_budget(&article.budget, (input.place)(0..0), &mut sizes);
    sizes.retain(|size| size.severity() == Severity::Error || !findings.allows(size.code));
    findings.settle();
    let told = findings.report(input.place);
    let blocks = write::Mark::nearest(marks, told.iter().map(|(start, _)| *start));
    let in_text = told.into_iter().zip(blocks).map(|((_, diagnostic), block)| Finding { diagnostic, block });
    let of_whole = sizes.into_iter().map(|diagnostic| Finding { diagnostic, block: None });
    let found: Vec<Finding> = in_text.chain(of_whole).collect();
    let good = found.iter().all(|finding| finding.diagnostic.severity() != Severity::Error);
    (good.then_some(article), found)
}

/// Compares the size of an article with WeChat's limits.
pub(crate) fn check_budget(budget: &Budget, place: Span, diagnostics: &mut Vec<Diagnostic>) {
    let heaviest: Vec<String> =
        budget.heaviest.iter().map(|(cause, bytes)| format!("{cause}: {bytes} bytes")).collect();
    let mut found = |code, message: String| {
        let mut diagnostic = Diagnostic::new(code, place.clone(), message);
        if !heaviest.is_empty() {
            diagnostic = diagnostic.help(format!("what takes most: {}", heaviest.join("; ")));
        }
        diagnostics.push(diagnostic.help("split the article, or use a theme with fewer declarations"));
    };
    let limit = limits::ARTICLE_CHARS;
    if budget.characters >= limit {
        let characters = budget.characters;
        found(
            Code::ArticleText,
            format!("the article has {characters} visible characters; WeChat takes fewer than {limit}"),
        );
    } else if budget.html_characters >= limit {
        let characters = budget.html_characters;
        let message =
            format!("the article's HTML has {characters} characters; WeChat may take fewer than {limit} only");
        found(Code::ArticleHtml, message);
    } else if budget.html_characters >= limits::ARTICLE_CHARS_WARN {
        let characters = budget.html_characters;
        found(
            Code::ArticleHtmlNearly,
            format!("the article's HTML has {characters} characters, near the limit of {limit}"),
        );
    }
    if budget.bytes >= limits::ARTICLE_BYTES {
        let (bytes, limit) = (budget.bytes, limits::ARTICLE_BYTES);
        found(Code::ArticleBytes, format!("the article has {bytes} bytes; WeChat takes fewer than {limit}"));
    }
}
