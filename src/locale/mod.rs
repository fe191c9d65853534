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
    #[cfg(test)]
    tests::hear(&Phrase::from(Fixed(text)));
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
    use std::cell::{Cell, RefCell};

    use super::{Language, Phrase};

    thread_local! {
        pub(super) static SPOKEN: Cell<Option<Language>> = const { Cell::new(None) };
        /// What this thread said since something listens.
        static HEARD: RefCell<Option<Vec<Phrase>>> = const { RefCell::new(None) };
    }

    /// Does something in a language.
    pub(crate) fn speaking<T>(language: Language, what: impl FnOnce() -> T) -> T {
        SPOKEN.set(Some(language));
        let result = what();
        SPOKEN.set(None);
        result
    }

    /// Listens until it is dropped: every sentence that this thread makes meanwhile is in the snapshot `said-NAME@zh`, once.
    #[must_use]
    pub(crate) struct Heard(&'static str);

    /// Writes down in Chinese what the functions say that a test calls, whatever the test itself looks at.
    pub(crate) fn heard(name: &'static str) -> Heard {
        HEARD.set(Some(Vec::new()));
        Heard(name)
    }

    pub(super) fn hear(phrase: &Phrase) {
        HEARD.with_borrow_mut(|heard| heard.iter_mut().for_each(|heard| heard.push(phrase.clone())));
    }

    /// What no two runs have in common.
    const VARIES: [(&str, &str); 2] =
        [(r"[^\s`：]*[/\\]\.tmp\w{6}", "FOLDER"), (r"127\.0\.0\.1:\d{4,5}\b", "127.0.0.1:PORT")];

    impl Drop for Heard {
        fn drop(&mut self) {
            let heard = HEARD.take().unwrap_or_default();
            if std::thread::panicking() {
                return;
            }
            let is_chinese = |said: &String| said.contains(|c: char| ('\u{4e00}'..='\u{9fff}').contains(&c));
            let mut said = Vec::new();
            // Long ones are long for what the test gives them.
            let brief = |words: String| match (words.char_indices().nth(600), words.char_indices().nth_back(100)) {
                (Some((head, _)), Some((tail, _))) => format!("{}…{}", &words[..head], &words[tail..]),
                _ => words,
            };
            for words in heard.iter().map(|phrase| brief(phrase.in_language(Language::Zh))).filter(is_chinese) {
                if !said.contains(&words) {
                    said.push(words);
                }
            }
            // A part is read in its sentence.
            let whole: Vec<&str> = said
                .iter()
                .filter(|part| !said.iter().any(|other| other.len() > part.len() && other.contains(part.as_str())))
                .map(String::as_str)
                .collect();
            assert!(!whole.is_empty(), "nothing was said");
            insta::with_settings!({ filters => VARIES, prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(format!("said-{}@zh", self.0), whole.join("\n"));
            });
        }
    }

    /// The languages, and the ending that snapshots have in them.
    pub(crate) const BOTH: [(Language, &str); 2] = [(Language::En, ""), (Language::Zh, "@zh")];
}
