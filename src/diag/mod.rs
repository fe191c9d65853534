//! Diagnostics: a stable code, what is wrong, the place, and what to write instead.

pub(crate) mod code;
pub mod finding;
pub mod github;
pub mod gitlab;
pub(crate) mod hidden;
mod list;
pub mod render;
pub mod sarif;
pub mod source;

pub use code::Code;
pub use list::{Diagnostics, Origin};

use crate::{diag::source::Span, locale::Phrase};

/// Severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Error: nothing is sent.
    Error,
    /// Warning: reported, but nothing stops.
    Warning,
}

/// A place with a word on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub(crate) span: Span,
    /// Label; may be empty.
    pub(crate) text: Phrase,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub(crate) code: Code,
    /// What is wrong: lower case, user's words in backticks, no full stop.
    pub(crate) message: Phrase,
    /// The place; none only for what has no file (an option, an environment variable of no plan).
    pub(crate) primary: Option<Label>,
    /// Related locations.
    pub(crate) related: Vec<Label>,
    /// What to write instead or what to do.
    pub(crate) help: Vec<Phrase>,
    /// What of the plan it is about; empty if the plan as a whole.
    pub(crate) origins: Vec<Origin>,
}

impl Diagnostic {
    /// A finding at a place.
    pub fn new(code: Code, span: Span, message: impl Into<Phrase>) -> Self {
        let primary = Some(Label { span, text: Phrase::default() });
        Self { code, message: message.into(), primary, related: Vec::new(), help: Vec::new(), origins: Vec::new() }
    }

    /// A finding without a place.
    pub fn nowhere(code: Code, message: impl Into<Phrase>) -> Self {
        Self {
            code,
            message: message.into(),
            primary: None,
            related: Vec::new(),
            help: Vec::new(),
            origins: Vec::new(),
        }
    }

    /// Words under the caret.
    pub fn label(mut self, text: impl Into<Phrase>) -> Self {
        if let Some(label) = &mut self.primary {
            label.text = text.into();
        }
        self
    }

    /// Another place that belongs to it.
    pub fn related(mut self, span: Span, text: impl Into<Phrase>) -> Self {
        self.related.push(Label { span, text: text.into() });
        self
    }

    /// What to write instead or what to do.
    pub fn help(mut self, text: impl Into<Phrase>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Its sentences: what is wrong, and what to do.
    pub fn said(&self) -> impl Iterator<Item = &Phrase> {
        std::iter::once(&self.message).chain(&self.help)
    }

    /// Whatever it quotes, it is read at a glance.
    fn shorten(&mut self) {
        let labels = self.primary.iter_mut().chain(&mut self.related).map(|label| &mut label.text);
        for text in labels.chain(&mut self.help).chain([&mut self.message]) {
            *text = crate::text::brief(std::mem::take(text));
        }
    }

    /// The severity, which belongs to the code.
    pub fn severity(&self) -> Severity {
        self.code.info().severity
    }
}
