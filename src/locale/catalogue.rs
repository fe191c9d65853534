//! What `build.rs` makes of `po/*.po`.

/// English, Chinese: sorted by the English, which is unique.
static CHINESE: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/chinese.rs"));

/// The English text of the catalogue that has these words.
pub(super) fn english(words: &str) -> Option<&'static str> {
    CHINESE.binary_search_by_key(&words, |row| row.0).ok().map(|at| CHINESE[at].0)
}

pub(super) fn chinese(english: &str) -> Option<&'static str> {
    CHINESE.binary_search_by_key(&english, |row| row.0).ok().map(|at| CHINESE[at].1)
}
