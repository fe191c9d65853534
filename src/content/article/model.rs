//! What goes into a conversion, and what comes out.

use std::{cell::Cell, ops::Range, rc::Rc};

use super::theme::Theme;
use crate::{
    content::words::Lint,
    diag::{Diagnostic, source::Span},
    locale::Phrase,
};

/// How the article is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// GitHub's Markdown with footnotes.
    Markdown,
    /// HTML, without `<html>` and `<body>`.
    Html,
}

/// What becomes of links that WeChat does not open; links to articles of WeChat always stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Links {
    /// The text, a number, and the address in a list at the end.
    #[default]
    Footnote,
    /// They stay, for accounts that may have them.
    Keep,
    /// They are an error.
    Error,
}

pub(crate) struct Input<'a> {
    pub(crate) format: Format,
    /// The body: templates rendered, without front matter.
    pub(crate) text: &'a str,
    /// From bytes of `text` to the place in the source file.
    pub(crate) place: &'a dyn Fn(Range<usize>) -> Span,
    pub(crate) theme: &'a Theme,
    /// What becomes of external links.
    pub(crate) links: Links,
    /// Whether pictures may be webp: they are converted.
    pub(crate) webp: bool,
    /// What words are compared with.
    pub(crate) lint: Rc<Lint>,
    /// Bytes of code that may still be coloured in the plan.
    pub(crate) colours: &'a Cell<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Article {
    /// The HTML, in order.
    pub(crate) pieces: Vec<Piece>,
    /// The pictures, each path once, in the order of first use.
    pub(crate) images: Vec<Image>,
    /// The visible text in order, a line for each block.
    pub(crate) text: String,
    pub(crate) budget: Budget,
}

/// Something found in an article.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    /// What it is, and where in the source.
    pub(crate) diagnostic: Diagnostic,
    /// Before the block that it is about: in which of the pieces, and after how many bytes of it; none if it is about the
    /// whole.
    pub block: Option<(usize, usize)>,
}

/// A part of the HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Html(String),
    /// The address of this one of the images, inside of a `src` attribute.
    Image(usize),
}

/// A picture that the article shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// Its path as written, relative to the article, with percent signs decoded.
    pub(crate) path: String,
    /// What it shows, in words.
    pub(crate) alt: String,
    /// Where it is used first.
    pub(crate) place: Span,
}

/// How large an article is; addresses of pictures are not counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Budget {
    /// Visible characters.
    pub(crate) characters: usize,
    pub(crate) html_characters: usize,
    pub(crate) bytes: usize,
    pub(crate) images: usize,
    /// The three causes that take most bytes, in words.
    pub(crate) heaviest: Vec<(Phrase, usize)>,
}
