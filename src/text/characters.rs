//! Characters that look like others, or like none at all: what they are called, and what is written in their place.

use crate::locale::{Phrase, say};

/// A character that looks like one of YAML, or like none at all: its name, and what to type instead.
pub(crate) fn odd(c: char) -> Option<(Phrase, &'static str)> {
    Some(match c {
        '：' => (say!("full-width colon"), ":"),
        '，' => (say!("full-width comma"), ","),
        '、' => (say!("Chinese comma"), ","),
        '“' | '”' | '„' | '〝' | '〞' => (say!("Chinese quotation mark"), "\""),
        '‘' | '’' => (say!("Chinese quotation mark"), "'"),
        '「' | '」' | '『' | '』' => (say!("Chinese quotation mark"), "\""),
        '＂' => (say!("full-width quotation mark"), "\""),
        '＇' => (say!("full-width quotation mark"), "'"),
        '｛' => (say!("full-width brace"), "{"),
        '｝' => (say!("full-width brace"), "}"),
        '［' | '【' => (say!("full-width bracket"), "["),
        '］' | '】' => (say!("full-width bracket"), "]"),
        '＃' => (say!("full-width number sign"), "#"),
        '－' | '–' | '—' | '−' => (say!("dash"), "-"),
        '｜' => (say!("full-width vertical bar"), "|"),
        '。' => (say!("Chinese full stop"), "."),
        '；' => (say!("full-width semicolon"), ","),
        '\t' => (say!("tab"), " "),
        c => return blank(c).map(|name| (name, " ")).or_else(|| invisible(c).map(|name| (name, ""))),
    })
}

/// The name of a blank that is no space of YAML.
pub(crate) fn blank(c: char) -> Option<Phrase> {
    Some(match c {
        '\u{a0}' => say!("no-break space"),
        '\u{202f}' => say!("narrow no-break space"),
        '\u{3000}' => say!("full-width space"),
        '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{205f}' => say!("wide or thin space"),
        _ => return None,
    })
}

/// The name of a character that nobody sees.
pub(crate) fn invisible(c: char) -> Option<Phrase> {
    Some(match c {
        '\u{200b}' => say!("zero-width space"),
        '\u{200c}' | '\u{200d}' => say!("zero-width joiner"),
        '\u{2060}'..='\u{2064}' | '\u{180e}' => say!("invisible character"),
        '\u{ad}' => say!("soft hyphen"),
        '\u{feff}' => say!("byte order mark"),
        _ => return None,
    })
}

/// Whether a character hides: nobody sees it, or a lost one stands in its place.
pub(crate) fn is_hiding(c: char) -> bool {
    let blank = matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}' | '\u{fff9}'..='\u{fffd}');
    blank || matches!(c, '\u{2028}' | '\u{2029}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}') || invisible(c).is_some()
}

/// The name of such a character, or of a blank.
pub(crate) fn hiding(c: char) -> Phrase {
    match c {
        '\u{fffd}' => say!("replacement character"),
        '\u{2028}' | '\u{2029}' => say!("invisible line separator"),
        c => blank(c).or_else(|| invisible(c)).unwrap_or_else(|| say!("invisible character")),
    }
}

/// A character as its code: `U+200B`.
pub(crate) fn code_of(c: char) -> String {
    format!("U+{:04X}", c as u32)
}

/// The first blank or character in a name or word that nobody sees there.
pub(crate) fn hidden(text: &str) -> Option<(usize, char, Phrase)> {
    text.char_indices().find_map(|(at, c)| Some((at, c, blank(c).or_else(|| invisible(c))?)))
}

/// The text in half-width letters, digits and signs, without what nobody sees.
pub(crate) fn half_width(text: &str) -> String {
    let half = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0),
        '“' | '”' | '「' | '」' | '『' | '』' => Some('"'),
        '‘' | '’' => Some('\''),
        '–' | '—' | '−' => Some('-'),
        '〜' => Some('~'),
        c if invisible(c).is_some() => None,
        c if blank(c).is_some() || c == '\t' => Some(' '),
        c => Some(c),
    };
    text.chars().filter_map(half).collect()
}
