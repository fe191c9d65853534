//! The words of the program, in the language of whoever reads them.
//!
//! It works as gettext does. The English sentence stands where it is raised, as the key; `po/*.po` holds it beside its
//! Chinese; `build.rs` makes one sorted table of these files. So nothing is read or parsed while the program runs, and
//! a text that a newer or an older qunfa wrote down can still be said, in English if no catalogue knows it.
//!
//! ```ignore
//! say!("`{value}` is not a date", value)
//! say!("{calls} mass call" | "{calls} mass calls", calls = plan.calls())
//! ```

mod catalogue;
mod phrase;

use std::sync::OnceLock;

pub use phrase::{Argument, Count, Fixed, Phrase, list};
pub(crate) use phrase::{placeholders_only, say};

/// A language that the program speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Language {
    /// English
    #[default]
    En,
    /// Chinese (中文)
    Zh,
}

impl Language {
    /// The language of a POSIX locale such as `zh_CN.UTF-8` or `zh-Hans`; English if it is none of ours.
    pub fn of_locale(locale: &str) -> Self {
        let language = locale.split(['_', '-', '.', '@']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("zh") { Self::Zh } else { Self::En }
    }

    /// The language of this process.
    pub fn current() -> Self {
        #[cfg(test)]
        if let Some(language) = tests::SPOKEN.get() {
            return language;
        }
        LANGUAGE.get().copied().unwrap_or_default()
    }

    /// Speaks this language from now on. The first call decides: a process does not change its language.
    pub(crate) fn speak(self) {
        let _ = LANGUAGE.set(self);
    }
}

static LANGUAGE: OnceLock<Language> = OnceLock::new();

/// A fixed English text (a help, an explanation) in the language of this process.
pub fn translated(text: &'static str) -> &'static str {
    in_language(Language::current(), text)
}

/// A fixed English text in a language; in English where the catalogue does not have it, which a test does not let happen.
pub fn in_language(language: Language, text: &'static str) -> &'static str {
    translation(language, text).unwrap_or(text)
}

/// What the catalogue has for an English text.
pub fn translation(language: Language, text: &str) -> Option<&'static str> {
    match language {
        Language::En => None,
        Language::Zh => catalogue::chinese(text),
    }
}

/// What a test of one process sees in both languages.
#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::Language;

    thread_local! {
        pub(super) static SPOKEN: Cell<Option<Language>> = const { Cell::new(None) };
    }

    /// Does something in a language.
    pub(crate) fn speaking<T>(language: Language, what: impl FnOnce() -> T) -> T {
        SPOKEN.set(Some(language));
        let result = what();
        SPOKEN.set(None);
        result
    }

    /// The languages, and the ending that snapshots have in them.
    pub(crate) const BOTH: [(Language, &str); 2] = [(Language::En, ""), (Language::Zh, "@zh")];
}
