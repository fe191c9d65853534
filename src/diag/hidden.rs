//! Characters that nobody sees, or that turn what is read: in a whole file, comments and names included.

use std::ops::Range;

use super::{
    Code, Diagnostic, Diagnostics,
    source::{FileId, SourceMap, Span, find_control},
};
use crate::{limits, locale::say, text::characters};

/// What a file holds, and so where a value of it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    /// YAML, CSV or JSON.
    Data,
    /// A message.
    Prose,
    /// Markdown or HTML, in which entities stand for characters.
    Article,
}

/// Says which characters of a file nobody sees.
pub(crate) fn look(file: FileId, holds: Text, sources: &SourceMap, diagnostics: &mut Diagnostics) {
    let source = sources.file(file);
    let text = &source.text;
    // Most files have none of them, and Chinese is not ASCII.
    let escapes = holds == Text::Data && text.contains("\\u");
    let entities = holds == Text::Article && text.contains('&');
    let found = characters(text, holds).chain(coded(text, escapes, entities));
    for (range, c) in found.take(limits::HIDDEN_SHOWN) {
        let place = Span::new(file, range);
        diagnostics.push(finding(c, &place));
    }
}

/// Says which characters of a value from outside, which has no file, nobody sees.
pub(crate) fn look_at(name: &str, value: &str, diagnostics: &mut Diagnostics) {
    for (_, c) in characters(value, Text::Data).take(1) {
        let (character, code) = (characters::hiding(c), characters::code_of(c));
        let message = say!("there is a {character} ({code}) in `{name}`", character, code, name);
        diagnostics.push(Diagnostic::nowhere(Code::HiddenCharacter, message).help(say!("delete it")));
    }
}

fn finding(c: char, place: &Span) -> Diagnostic {
    let code = characters::code_of(c);
    if find_control(c.encode_utf8(&mut [0; 4])).is_some() {
        let message = say!("the text contains the control character {character}", character = code);
        return Diagnostic::new(Code::ControlCharacter, place.clone(), message).help(say!("remove it"));
    }
    let message = say!("there is a {character} ({code})", character = characters::hiding(c), code);
    let help = match c {
        '\u{fffd}' => say!("write the character that was lost here"),
        _ => say!("delete it"),
    };
    Diagnostic::new(Code::HiddenCharacter, place.clone(), message).help(help)
}

fn characters(text: &str, holds: Text) -> impl Iterator<Item = (Range<usize>, char)> {
    let odd = move |at: usize, c: char| {
        if c.is_ascii() || ('\u{4e00}'..='\u{9fff}').contains(&c) {
            return false;
        }
        let (before, after) = around(text, at..at + c.len_utf8());
        if characters::blank(c).is_some() { is_at_end(c, before, after, holds) } else { is_hidden(c, before, after) }
    };
    text.char_indices().filter(move |(at, c)| odd(*at, *c)).map(|(at, c)| (at..at + c.len_utf8(), c))
}

/// What stands before and after a character, as far as it is looked at: a line may be a megabyte of such characters.
fn around(text: &str, character: Range<usize>) -> (&str, &str) {
    const FAR: usize = 200;
    let from = text.floor_char_boundary(character.start.saturating_sub(FAR));
    let to = text.ceil_char_boundary(character.end.saturating_add(FAR).min(text.len()));
    (&text[from..character.start], &text[character.end..to])
}

/// Whether a character is one that nobody sees; joiners of emoji and of scripts that need them are seen.
fn is_hidden(c: char, before: &str, after: &str) -> bool {
    match c {
        '\u{200c}' | '\u{200d}' => {
            let plain = |c: Option<char>| {
                c.is_none_or(|c| c.is_ascii() || matches!(c, '\u{3000}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}'))
            };
            plain(before.chars().next_back()) && plain(after.chars().next())
        }
        // Flags of regions are made of these.
        '\u{e0020}'..='\u{e007f}' => {
            !before.ends_with(|c: char| c == '\u{1f3f4}' || matches!(c, '\u{e0020}'..='\u{e007f}'))
        }
        c => characters::is_hiding(c),
    }
}

/// Whether a blank that is no space stands at an end of a value or of a line.
fn is_at_end(c: char, before: &str, after: &str, holds: Text) -> bool {
    let odd = |c: char| matches!(c, ' ' | '\t') || characters::blank(c).is_some();
    let next = after.trim_start_matches(odd).chars().next();
    let (line, previous) = (before.trim_end_matches(odd), before.trim_end_matches(odd).chars().next_back());
    let ends = |c: Option<char>| c.is_none_or(|c| matches!(c, '\n' | '\r'));
    // Paragraphs begin with full-width spaces.
    let begins = ends(previous) && c != '\u{3000}';
    if holds != Text::Data {
        return ends(next) || begins;
    }
    let quote = |c: Option<char>| c.is_some_and(|c| matches!(c, '"' | '\'' | ','));
    let key = line.rsplit('\n').next().unwrap_or_default().trim_start_matches([' ', '-']).strip_suffix(':');
    let after_colon = key.is_some_and(|key| key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    ends(next) || quote(next) || quote(previous) || after_colon || begins
}

/// Characters that are written as escapes of YAML and JSON, or as entities of HTML.
fn coded(text: &str, escapes: bool, entities: bool) -> impl Iterator<Item = (Range<usize>, char)> {
    const NAMED: [(&str, char); 6] = [
        ("ZeroWidthSpace;", '\u{200b}'),
        ("lrm;", '\u{200e}'),
        ("rlm;", '\u{200f}'),
        ("shy;", '\u{ad}'),
        ("NoBreak;", '\u{2060}'),
        ("zwnj;", '\u{200c}'),
    ];
    let escape = move |at: usize| {
        let number = text.get(at + 2..at + 6)?;
        let even = text[..at].bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 0;
        let c = u32::from_str_radix(number, 16).ok().filter(|_| even).and_then(char::from_u32)?;
        Some((at..at + 6, c))
    };
    let entity = move |at: usize| {
        let rest = &text[at + 1..];
        if let Some((name, c)) = NAMED.iter().find(|(name, _)| rest.starts_with(name)) {
            return Some((at..at + 1 + name.len(), *c));
        }
        let (number, _) = rest.strip_prefix('#')?.get(..9).or(rest.strip_prefix('#'))?.split_once(';')?;
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        Some((at..at + number.len() + 3, char::from_u32(code)?))
    };
    let hidden =
        |(_, c): &(Range<usize>, char)| is_hidden(*c, "", "") || find_control(c.encode_utf8(&mut [0; 4])).is_some();
    let escapes = text.match_indices("\\u").filter(move |_| escapes).filter_map(move |(at, _)| escape(at));
    let entities = text.match_indices('&').filter(move |_| entities).filter_map(move |(at, _)| entity(at));
    escapes.chain(entities).filter(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, holds: Text) -> Vec<(&'static str, usize, usize)> {
        let mut sources = SourceMap::default();
        let file = sources.add("a", text.to_owned());
        let mut diagnostics = Diagnostics::default();
        look(file, holds, &sources, &mut diagnostics);
        let place = |d: &Diagnostic| sources.position(&d.primary.as_ref().expect("a place").span);
        diagnostics.iter().map(|d| (d.code.info().id, place(d).line, place(d).column)).collect()
    }

    #[test]
    fn characters_that_nobody_sees_have_a_place() {
        let _heard = crate::locale::tests::heard("diag-hidden-characters_that_nobody_sees_have_a_place");
        for c in [
            '\u{200b}',
            '\u{feff}',
            '\u{fffd}',
            '\u{ad}',
            '\u{2060}',
            '\u{180e}',
            '\u{3164}',
            '\u{2028}',
            '\u{e0041}',
            '\u{200d}',
        ] {
            for holds in [Text::Data, Text::Prose, Text::Article] {
                assert_eq!(found(&format!("a: x\n# 春{c}茶"), holds), [("Q911", 2, 4)], "{c:?}");
            }
        }
        for fine in ["👨‍👩‍👧 一家", "\u{1f3f4}\u{e0067}\u{e0062}\u{e007f}", "می‌خواهم", "  缩进", "a b", "❤️"]
        {
            assert_eq!(found(fine, Text::Prose), [], "{fine}");
        }
    }

    #[test]
    fn blanks_at_ends_are_found_and_those_between_words_are_not() {
        for text in [
            "a: 春茶\u{a0}",
            "a: \"春茶\u{3000}\"",
            "春茶\u{3000},b",
            "{\"a\":\"\u{a0}春茶\"}",
            "a:\u{3000}春茶",
            "a: 春茶\u{3000}\r\nb: c",
        ] {
            assert_eq!(found(text, Text::Data).len(), 1, "{text:?}");
        }
        for text in ["a: 春\u{3000}茶", "a: |\n  \u{3000}\u{3000}春茶", "10\u{a0}元"] {
            assert_eq!(found(text, Text::Data), [], "{text:?}");
        }
        assert_eq!(found("\u{3000}\u{3000}春茶\n\u{a0}上新\u{3000}\n", Text::Prose), [("Q911", 2, 1), ("Q911", 2, 4)]);
    }

    #[test]
    fn escapes_and_entities_are_what_they_stand_for() {
        assert_eq!(found(r#"{"a":"春\u200b茶\u202e"}"#, Text::Data), [("Q911", 1, 8), ("Q103", 1, 15)]);
        assert_eq!(found(r#"{"a":"\\u200b"}"#, Text::Data), []);
        assert_eq!(
            found("春&#8203;茶 &#x202E;x &rlm; &nbsp;&amp;", Text::Article),
            [("Q911", 1, 2), ("Q103", 1, 11), ("Q103", 1, 21)]
        );
        assert_eq!(found("春&#8203;茶", Text::Prose), []);
    }

    #[test]
    fn a_long_line_of_blanks_is_looked_at_once() {
        // Each of them would be compared with half a megabyte.
        assert_eq!(found(&format!("k: {}b", "a\u{a0}".repeat(200_000)), Text::Data), []);
        let run = found(&format!("k: a{}b", "\u{a0}".repeat(200_000)), Text::Data);
        assert_eq!(run.len(), limits::HIDDEN_SHOWN);
    }
}
