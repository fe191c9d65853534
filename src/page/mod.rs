//! Pages for people. All have one shell, `shell.html`, which holds head, colours and type; the report of a run and the
//! preview of a plan extend it, and say what is theirs.
//!
//! In a template `say("...")` is a fixed English text in the language of the process. A sentence with something filled in
//! is made where the page is, and passed in.

use minijinja::{
    Environment, UndefinedBehavior,
    syntax::SyntaxConfig,
    value::{Serde, Value},
};
use serde::Serialize;

use crate::{
    locale::{Language, Phrase, translation},
    text,
};

pub(crate) mod preview;

#[derive(Serialize)]
pub(crate) struct Fact {
    pub(crate) label: Phrase,
    pub(crate) value: String,
    /// Something to copy, in a type that tells 0 from O.
    pub(crate) code: bool,
    /// Too long for a column.
    pub(crate) wide: bool,
    /// Present where the value is a time.
    pub(crate) datetime: Option<String>,
}

impl Fact {
    pub(crate) fn words(label: Phrase, value: impl Into<String>) -> Self {
        Self { label, value: value.into(), code: false, wide: false, datetime: None }
    }

    pub(crate) fn code(label: Phrase, value: impl Into<String>) -> Self {
        Self { code: true, ..Self::words(label, value) }
    }
}

/// A part of a sentence; `code` is what stood between backticks.
#[derive(Serialize)]
pub(crate) struct Segment {
    pub(crate) text: String,
    pub(crate) code: bool,
}

pub(crate) fn segments(text: &str) -> Vec<Segment> {
    let part = |piece| match piece {
        text::Piece::Words(text) => Segment { text: text.to_owned(), code: false },
        text::Piece::Code(text) => Segment { text: text.to_owned(), code: true },
    };
    text::pieces(text).into_iter().map(part).collect()
}

/// Fills in a page, a template that extends `shell.html`. Every value is escaped but those that are marked safe.
pub(crate) fn render(template: &'static str, page: impl Serialize) -> String {
    let environment = environment(template);
    let template = environment.get_template(PAGE).expect("it is in every environment");
    template.render(Serde(page)).expect("every name in a template is a field of its page")
}

/// The ending turns escaping on.
const PAGE: &str = "page.html";

fn environment(page: &'static str) -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.expect("the delimiters are the default ones"));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Words from outside are data here as everywhere.
    environment.set_formatter(|out, state, value| match value.as_str().filter(|_| !value.is_safe()) {
        Some(words) => minijinja::escape_formatter(out, state, &Value::from(text::visible(words))),
        None => minijinja::escape_formatter(out, state, value),
    });
    environment.add_global("lang", language_tag());
    environment.add_function("say", |text: &str| in_words(text).to_owned());
    environment.add_filter("segments", |text: &str| Value::from(Serde(segments(text))));
    for (name, text) in
        [("shell.html", include_str!("shell.html")), ("parts.html", include_str!("parts.html")), (PAGE, page)]
    {
        environment.add_template(name, text).expect("templates are part of the program, and tests render all of them");
    }
    environment
}

/// For the `lang` attribute: fonts and screen readers go by it.
fn language_tag() -> &'static str {
    match Language::current() {
        Language::En => "en",
        Language::Zh => "zh-Hans",
    }
}

fn in_words(text: &str) -> &str {
    translation(Language::current(), text).unwrap_or(text)
}
