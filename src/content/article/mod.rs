//! One article, Markdown or HTML, to the HTML that survives WeChat's editor; and findings at exact places.
//!
//! Text in, text out: no files, no network, no templates (they are rendered before). Both formats become one small tree,
//! the tree is checked against rules that are data (`rules.json`), and a writer puts the styles of a theme into
//! each element. What the rules do not list is an error: nothing passes unchecked.

use std::ops::Range;

use crate::{
    diag::{Code, Diagnostic, Severity, source::Span},
    limits,
};

mod code;
pub mod compare;
mod css;
mod html;
mod markdown;
mod math;
mod rules;
mod theme;
mod tree;
mod write;

#[cfg(test)]
mod tests;

pub use theme::{HOOKS, Theme};

/// What survives WeChat's editor, as data, each rule with the page that says so.
pub const RULES: &str = include_str!("rules.json");

/// How the article is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// GitHub's Markdown with footnotes.
    Markdown,
    /// HTML, without `<html>` and `<body>`.
    Html,
}

/// What becomes of links that WeChat does not open; links to articles of WeChat always stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// The text, a number, and the address in a list at the end.
    #[default]
    Footnote,
    /// They stay, for accounts that may have them.
    Keep,
    /// They are an error.
    Error,
}

/// An article to convert.
pub struct Input<'a> {
    /// How it is written.
    pub format: Format,
    /// The body: templates rendered, without front matter.
    pub text: &'a str,
    /// From bytes of `text` to the place in the source file.
    pub place: &'a dyn Fn(Range<usize>) -> Span,
    /// How it looks.
    pub theme: &'a Theme,
    /// What becomes of external links.
    pub links: Links,
    /// Whether pictures may be webp: they are converted.
    pub webp: bool,
}

/// A converted article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Article {
    /// The HTML, in order.
    pub pieces: Vec<Piece>,
    /// The pictures, each path once, in the order of first use.
    pub images: Vec<Image>,
    /// The visible text in order, a line for each block.
    pub text: String,
    /// How large it is.
    pub budget: Budget,
    /// What was found in it that is no error.
    pub findings: Vec<Finding>,
}

/// Something found in an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is, and where in the source.
    pub diagnostic: Diagnostic,
    /// Before the block that it is about: in which of the pieces, and after how many bytes of it; none if it is about the
    /// whole.
    pub at: Option<(usize, usize)>,
}

/// A part of the HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// HTML as it is.
    Html(String),
    /// The address of this one of the images, inside of a `src` attribute.
    Image(usize),
}

/// A picture that the article shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its path as written, relative to the article, with percent signs decoded.
    pub path: String,
    /// What it shows, in words.
    pub alt: String,
    /// Where it is used first.
    pub place: Span,
}

/// How large an article is; addresses of pictures are not counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Budget {
    /// Visible characters.
    pub characters: usize,
    /// Characters of the HTML.
    pub html_characters: usize,
    /// Bytes of the HTML.
    pub bytes: usize,
    /// Pictures shown.
    pub images: usize,
    /// The three causes that take most bytes, in words.
    pub heaviest: Vec<(String, usize)>,
}

impl Article {
    /// The HTML with an address for each picture, which is escaped here.
    pub fn html(&self, address: impl Fn(usize, &Image) -> String) -> String {
        let mut html = String::with_capacity(self.budget.bytes + 160 * self.images.len());
        for piece in &self.pieces {
            match piece {
                Piece::Html(part) => html.push_str(part),
                Piece::Image(at) => {
                    if let Some(image) = self.images.get(*at) {
                        write::escape(&address(*at, image), true, &mut html);
                    }
                }
            }
        }
        html
    }
}

/// Converts an article. Findings are added to `diagnostics`, those of [`check_budget`] among them; none if one is an
/// error.
pub fn convert(input: &Input<'_>, diagnostics: &mut Vec<Diagnostic>) -> Option<Article> {
    let mut findings = tree::Findings::default();
    let nodes = match input.format {
        Format::Markdown => markdown::read(input.text, &mut findings),
        Format::Html => html::read(input.text, &mut findings),
    };
    tree::check(&nodes, None, false, &mut findings);
    let (mut article, marks) = write::write(input, &nodes, &mut findings);
    // What is empty because of an error is no finding of its own.
    if article.text.trim().is_empty() && article.images.is_empty() && !findings.any_error() {
        let help = "write something, or leave the article out";
        findings.add(Code::ArticleEmpty, 0..input.text.len(), "the article has no text and no picture", help);
    }
    let mut sizes = Vec::new();
    check_budget(&article.budget, (input.place)(0..0), &mut sizes);
    sizes.retain(|size| size.severity() == Severity::Error || !findings.allows(size.code));
    findings.settle();
    let before = diagnostics.len();
    let starts = findings.report(input.place, diagnostics);
    diagnostics.extend(sizes);
    let found = &diagnostics[before..];
    let at = starts.iter().map(|start| write::Mark::nearest(&marks, *start)).chain(std::iter::repeat(None));
    let findings = found.iter().zip(at).map(|(diagnostic, at)| Finding { diagnostic: diagnostic.clone(), at });
    article.findings = findings.collect();
    (!crate::diag::any_error(found)).then_some(article)
}

/// Compares the size of an article with WeChat's limits.
pub fn check_budget(budget: &Budget, place: Span, diagnostics: &mut Vec<Diagnostic>) {
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
