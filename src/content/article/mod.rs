//! One article, Markdown or HTML, to the HTML that survives WeChat's editor; and findings at exact places.
//!
//! Text in, text out: no files, no network, no templates (they are rendered before). Both formats become one small tree,
//! the tree is checked against rules that are data (`rules.json`), and a writer puts the styles of a theme into
//! each element. What the rules do not list is an error: nothing passes unchecked.

use crate::{
    diag::{Code, Diagnostic, Severity, source::Span},
    limits,
    locale::{Count, Phrase, list, say},
};

mod code;
pub(crate) mod compare;
mod css;
mod html;
mod kept;
mod leftover;
mod markdown;
mod math;
mod model;
mod rules;
mod theme;
mod tree;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use kept::{is_hosted, kept};
pub(crate) use leftover::with_pictures;
pub(crate) use model::{Article, Budget, Finding, Format, Image, Input, Links, Piece};
pub(crate) use theme::Theme;

/// Converts an article; none if a finding is an error. The findings are in the order of the text, those of
/// [`check_budget`] at the end.
pub(crate) fn convert(input: &Input<'_>) -> (Option<Article>, Vec<Finding>) {
    let mut findings = tree::Findings::of(&input.lint);
    if input.format == Format::Markdown && input.text.len() > limits::MARKDOWN_BYTES_MAX {
        let (bytes, most) = (Count::from(input.text.len()), limits::MARKDOWN_BYTES_MAX);
        let message = say!(
            "the article has {bytes} bytes of Markdown; at most {most} are allowed",
            bytes,
            most = Count::from(most)
        );
        let place = (input.place)(most..most + 1);
        let diagnostic = Diagnostic::new(Code::ArticleBytes, place, message).help(say!("split the article"));
        return (None, vec![Finding { diagnostic, block: None }]);
    }
    let nodes = match input.format {
        Format::Markdown => markdown::read(input.text, &mut findings),
        Format::Html => html::read(input.text, &mut findings),
    };
    tree::check(&nodes, None, false, &mut findings);
    let (article, marks) = write::write(input, &nodes, &mut findings);
    // What is empty because of an error is no finding of its own.
    if article.text.trim().is_empty() && article.budget.images == 0 && !findings.any_error() {
        let message = say!("the article has no text and no picture");
        findings.add(Code::ArticleEmpty, 0..input.text.len(), message, say!("write something, or remove the article"));
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
    let part = |(cause, bytes): &(Phrase, usize)| {
        say!("{cause}: {bytes} byte" | "{cause}: {bytes} bytes", bytes = *bytes, cause)
    };
    let heaviest: Vec<Phrase> = budget.heaviest.iter().map(part).collect();
    let mut found = |code, message: Phrase| {
        let mut diagnostic = Diagnostic::new(code, place.clone(), message);
        if !heaviest.is_empty() {
            diagnostic = diagnostic.help(say!("largest parts: {parts}", parts = list(&heaviest)));
        }
        diagnostics.push(diagnostic.help(say!("split the article, or use a theme with fewer declarations")));
    };
    let limit = Count::from(limits::ARTICLE_CHARS);
    let (visible, characters) = (Count::from(budget.characters), Count::from(budget.html_characters));
    if budget.characters >= limits::ARTICLE_CHARS {
        let message = say!(
            "the article has {characters} visible characters; WeChat accepts fewer than {limit}",
            characters = visible,
            limit
        );
        found(Code::ArticleText, message);
    } else if budget.html_characters >= limits::ARTICLE_CHARS {
        let message = say!(
            "the article's HTML has {characters} characters; WeChat may accept only fewer than {limit}",
            characters,
            limit
        );
        found(Code::ArticleHtml, message);
    } else if budget.html_characters >= limits::ARTICLE_CHARS_WARN {
        let message =
            say!("the article's HTML has {characters} characters, close to the limit of {limit}", characters, limit);
        found(Code::ArticleHtmlNearly, message);
    }
    if budget.bytes >= limits::ARTICLE_BYTES {
        let (bytes, limit) = (Count::from(budget.bytes), Count::from(limits::ARTICLE_BYTES));
        found(
            Code::ArticleBytes,
            say!("the article has {bytes} bytes; WeChat accepts fewer than {limit}", bytes, limit),
        );
    }
}
