//! The cause of an error of YAML: a slip in its line, or in one before it, without which the text can be read on.

use std::ops::Range;

use crate::{
    limits,
    locale::{Phrase, say},
    text::characters,
};

/// A slip, and what to write.
pub(super) struct Slip {
    /// Where it is and what is wrong there; none if the error itself says so.
    pub(super) place: Option<(Range<usize>, Phrase)>,
    pub(super) help: Phrase,
}

/// A line as it was probably meant.
struct Meant {
    line: String,
    /// Whether that line is what to write.
    is_right: bool,
    /// Whether its indentation is wrong.
    indents: bool,
    /// The range in the line that is wrong, and what is wrong with it.
    wrong: Option<(Range<usize>, Phrase)>,
    /// What to write in its place, if the line is not to be shown.
    instead: Phrase,
}

/// The slip behind an error at a byte of a text; `first_error` reads a text.
pub(super) fn find(text: &str, at: usize, first_error: &dyn Fn(&str) -> Option<usize>) -> Option<Slip> {
    let mut tries = (limits::SLIP_BYTES / text.len().max(1)).min(4 * limits::SLIP_LINES);
    let error_end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    // An error at the end says nothing of the last line.
    let at_end = text[at..].trim().is_empty();
    let lines = lines_before(text, error_end);
    let mut reads_on = |mended: &str, end: usize| {
        tries = tries.checked_sub(1)?;
        let moved = (mended.len() + error_end.max(end)).checked_sub(text.len())?;
        Some(first_error(mended).is_none_or(|error| !at_end && error >= moved))
    };
    // Lines that look like YAML are put right one after the other, from the nearest upwards.
    let mut mended = text.to_owned();
    for line in &lines {
        let below = mended[line.end..].to_owned();
        for (number, meant) in straight(text, line.clone()).into_iter().enumerate() {
            let tried = format!("{}{}{below}", &text[..line.start], meant.line);
            if reads_on(&tried, line.end)? {
                return Some(meant.slip(line.start));
            }
            if number == 0 {
                mended = tried;
            }
        }
    }
    // What is wrong with the quotes of a value is wrong in its own line.
    for line in lines.iter().filter(|line| line.start <= at).take(if at_end { limits::SLIP_LINES } else { 2 }) {
        for meant in requoted(&text[line.clone()]).into_iter().chain(uncommented(&text[line.clone()])) {
            let tried = format!("{}{}{}", &text[..line.start], meant.line, &text[line.end..]);
            if reads_on(&tried, line.end)? {
                return Some(meant.slip(line.start));
            }
        }
    }
    None
}

/// The line after the one that ends at a byte, that one, and those before it, upwards.
fn lines_before(text: &str, end: usize) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let next = end + text[end..].len() - text[end..].trim_start_matches(['\r', '\n']).len();
    if next < text.len() {
        let start = text[..next].rfind('\n').map_or(0, |newline| newline + 1);
        lines.push(start..text[next..].find('\n').map_or(text.len(), |length| next + length));
    }
    let mut end = end;
    while lines.len() < limits::SLIP_LINES {
        let start = text[..end].rfind('\n').map_or(0, |newline| newline + 1);
        lines.push(start..end);
        match start.checked_sub(1) {
            Some(before) => end = before,
            None => break,
        }
    }
    lines
}

impl Meant {
    fn slip(self, start: usize) -> Slip {
        let private = is_private(&self.line);
        let line = self.line.trim();
        let help = if self.indents && !private && line.len() <= limits::QUOTE_CHARS {
            say!("indent with spaces: `{line}`", line)
        } else if private || !self.is_right || line.len() > limits::QUOTE_CHARS {
            self.instead
        } else {
            say!("write `{line}`", line)
        };
        let place = self.wrong.map(|(range, what)| (start + range.start..start + range.end, what));
        Slip { place, help }
    }
}

/// Whether a line may hold a secret: one that names where a secret is does not.
fn is_private(line: &str) -> bool {
    let mut rest = line.to_ascii_lowercase();
    for key in ["access_token: { env: ", "refresh_token: { env: ", "secret: { env: "] {
        while let Some(at) = rest.find(key) {
            let name = &rest[at + key.len()..];
            let length = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
            if length >= 32 {
                return true;
            }
            rest.replace_range(at..at + key.len() + length, "");
        }
    }
    ["secret", "token", "password", "aes"].iter().any(|word| rest.contains(word))
}

/// "There is a full-width colon (`：`, U+FF1A)".
pub(super) fn there_is(c: char, name: Phrase) -> Phrase {
    let code = characters::code_of(c);
    match characters::invisible(c).or_else(|| characters::blank(c)) {
        Some(name) => say!("there is a {name} ({code})", name, code),
        None if c == '\t' => say!("there is a tab"),
        None => say!("there is a {name} (`{c}`)", name, c),
    }
}

/// A line without what only looks like YAML, with each indentation that may have been meant; none if there is nothing of the kind.
fn straight(text: &str, range: Range<usize>) -> Vec<Meant> {
    let line = &text[range.clone()];
    let blank = |c: char| c.is_whitespace() || characters::invisible(c).is_some();
    let indent = line.len() - line.trim_start_matches(blank).len();
    let odd = line[..indent].char_indices().find(|(_, c)| !matches!(c, ' ' | '\r'));
    let Some(odd) = odd else { return body(line, indent, &line[..indent], None).into_iter().collect() };
    let as_blanks = |each: &str| -> String {
        let blanks = line[..indent].chars().filter(|c| characters::invisible(*c).is_none());
        blanks
            .map(|c| if c == ' ' || characters::blank(c).is_some_and(|_| c != '\u{3000}') { " " } else { each })
            .collect()
    };
    let depth = |line: &str| {
        let start = line.len() - line.trim_start_matches(' ').len();
        (!line[start..].is_empty() && !line.starts_with(blank_but_space))
            .then(|| start + if line[start..].starts_with("- ") { 2 } else { 0 })
    };
    let before = text[..range.start].lines().rev().find_map(depth);
    let after = text[range.end..].lines().find_map(depth);
    let mut indents = vec![as_blanks("  "), as_blanks(" "), as_blanks("    ")];
    indents.extend([before, after].into_iter().flatten().map(|depth| " ".repeat(depth)));
    indents
        .iter()
        .filter_map(|blanks| body(line, indent, blanks, Some(odd)))
        .map(|meant| Meant { indents: true, ..meant })
        .collect()
}

fn blank_but_space(c: char) -> bool {
    c != ' ' && (c.is_whitespace() || characters::invisible(c).is_some())
}

/// A line in this indentation, and without what only looks like YAML in the rest of it.
fn body(line: &str, indent: usize, blanks: &str, odd: Option<(usize, char)>) -> Option<Meant> {
    let mut first = odd;
    let mut note = |at: usize, c: char| first = first.or(Some((at, c)));
    let mut out = String::with_capacity(line.len() + 8);
    out.push_str(blanks);
    let body = &line[indent..];
    if body.starts_with('#') {
        return None;
    }
    let (mut flow, mut quote, mut word, mut begins) = (0_usize, None, 0, true);
    for (at, c) in body.char_indices() {
        let place = indent + at;
        if let Some(open) = quote {
            out.push(c);
            quote = Some(open).filter(|open| *open != c);
            continue;
        }
        let rest = &body[at + c.len_utf8()..];
        match instead(c, rest, &out, Where { begins, in_word: word > 0, in_flow: flow > 0 }) {
            Some(instead) => {
                out.push_str(instead);
                note(place, c);
            }
            None => {
                quote = Some(c).filter(|c| begins && matches!(c, '"' | '\''));
                out.push(c);
            }
        }
        let written = out.chars().next_back().unwrap_or(c);
        flow = match written {
            '{' | '[' if begins => flow + 1,
            '}' | ']' => flow.saturating_sub(1),
            _ => flow,
        };
        // A key is a word of ASCII where a value may begin.
        let of_word = c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        word = if of_word && (word > 0 || begins) { word + 1 } else { 0 };
        let item = written == '-' && begins && !of_word;
        begins = matches!(written, ' ' | ':') && (begins || out.trim_end().ends_with([':', ',', '-', '{', '[']))
            || (flow > 0 && matches!(written, '{' | '[' | ','))
            || item;
    }
    let (at, c) = first?;
    Some(said(out, at, c))
}

/// Where in a line a character stands.
struct Where {
    /// Where a key or a value may begin.
    begins: bool,
    /// Behind a word of ASCII that began there.
    in_word: bool,
    /// In brackets or braces.
    in_flow: bool,
}

/// What a character was meant to be, between what is written so far and the rest of the line; none if it is itself.
fn instead(c: char, rest: &str, out: &str, at: Where) -> Option<&'static str> {
    let Where { begins, in_word, in_flow } = at;
    let blank = !rest.starts_with(|next: char| !next.is_whitespace());
    let spaced = |with: &'static str| if blank { with.trim_end() } else { with };
    let ends = rest.trim().is_empty();
    // An empty value of a mapping in one line, or an address.
    let apart = blank || rest.starts_with('/') || (in_flow && rest.starts_with([',', '}', ']']));
    Some(match c {
        c if characters::blank(c).is_some() && out.trim_end().ends_with(':') => " ",
        c if characters::invisible(c).is_some() => "",
        '－' | '–' | '—' | '•' if begins => spaced("- "),
        '＃' if begins || out.ends_with(' ') => "#",
        '：' if in_word => spaced(": "),
        ':' if in_word && !apart => ": ",
        '｛' if begins => "{",
        '［' if begins => "[",
        '｝' if in_flow => "}",
        '］' if in_flow => "]",
        '，' if in_flow => spaced(", "),
        '“' | '”' | '＂' | '「' | '」' if begins || (in_flow && out.contains('"')) || ends => "\"",
        '‘' | '’' | '＇' if begins || ends => "'",
        '｜' if begins && ends => "|",
        _ => return None,
    })
}

/// What is wrong with a character of a line, that was meant to be another.
fn said(line: String, at: usize, c: char) -> Meant {
    let range = at..at + c.len_utf8();
    let (wrong, instead) = if c == ':' {
        (say!("a space is missing after the colon"), say!("write a space after `:`"))
    } else {
        let (name, instead) = characters::odd(c).unwrap_or((say!("dash"), "-"));
        let instead = if instead.trim().is_empty() {
            say!("indent with spaces; YAML does not allow tabs")
        } else {
            say!("write `{instead}`", instead)
        };
        (there_is(c, name), instead)
    };
    Meant { line, is_right: true, indents: false, wrong: Some((range, wrong)), instead }
}

/// A line in which ` #` begins no comment.
fn uncommented(line: &str) -> Option<Meant> {
    let at = line.find(" #").filter(|at| !line[..*at].trim().is_empty())? + 1;
    let what = say!("` #` begins a comment");
    let instead = say!("put quotes around text that contains ` #`");
    let line = format!("{}_{}", &line[..at], &line[at + 1..]);
    Some(Meant { line, is_right: false, indents: false, wrong: Some((at..at + 1, what)), instead })
}

/// A line whose value is put in quotes, or in braces where it is a key and a value again.
fn requoted(line: &str) -> Vec<Meant> {
    let indent = line.len() - line.trim_start().len();
    let body = line[indent..].strip_prefix("- ").map_or(indent, |_| indent + 2);
    let key = line[body..].len()
        - line[body..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).len();
    let Some(value) = line[body + key..].strip_prefix(": ").map(str::trim).filter(|value| key > 0 && !value.is_empty())
    else {
        return Vec::new();
    };
    let head = &line[..body + key];
    let instead = || say!("put quotes around the value");
    let meant = |value: &str| Meant {
        line: format!("{head}: {value}"),
        is_right: true,
        indents: false,
        wrong: None,
        instead: instead(),
    };
    let mut lines = Vec::new();
    let inner = value.split_once(": ").filter(|(inner, _)| inner.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    if inner.is_some()
        && ["message", "to", "secret", "account", "appid", "foreach", "access_token", "retry"].contains(&&head[body..])
    {
        lines.push(meant(&format!("{{ {value} }}")));
    }
    let close = |quote: char| value.starts_with(quote) && value.matches(quote).count() == 1;
    if let Some(quote) = ['"', '\''].into_iter().find(|quote| close(*quote)) {
        lines.push(meant(&format!("{value}{quote}")));
    }
    // Folders of Windows.
    if value.starts_with('"') && value.contains('\\') {
        lines.push(meant(&value.replace('\\', "/")));
    }
    let whole = value.split(" #").next().unwrap_or(value).trim_end();
    let open = whole.matches(['{', '[']).count() != whole.matches(['}', ']']).count();
    if value.starts_with(['{', '[']) && (open || whole.ends_with(['}', ']'])) && !value.starts_with("{{") {
        return lines;
    }
    lines.push(meant(&if whole.contains('"') || whole.contains('\\') {
        format!("'{}'", whole.replace('\'', "''"))
    } else {
        format!("\"{whole}\"")
    }));
    lines
}

#[cfg(test)]
mod tests {
    use crate::{
        diag::{Diagnostics, source::SourceMap},
        plan::yaml,
    };

    /// What is said of a text: the character at its place, and what to write.
    fn said(text: &str) -> (String, String) {
        let mut sources = SourceMap::default();
        let file = sources.add("p", text.to_owned());
        let mut diagnostics = Diagnostics::default();
        yaml::parse(file, &sources, &mut diagnostics);
        let found = diagnostics.first().expect("an error");
        let span = &found.primary.as_ref().expect("a place").span;
        let words = |phrase: &crate::locale::Phrase| phrase.in_language(crate::locale::Language::En);
        (text[span.start..span.end].to_owned(), words(&found.help[0]))
    }

    #[test]
    fn a_character_that_is_none_of_yaml_is_found_where_it_stands() {
        let _heard = crate::locale::tests::heard("plan-mend-a_character_that_is_none_of_yaml_is_found_where_it_stands");
        for (text, place, help) in [
            ("a: 1\nb：2\nc: 3\n", "：", "write `b: 2`"),
            ("a: 1\nb:\u{a0}2\nc: 3\n", "\u{a0}", "write `b: 2`"),
            ("a: 1\nb:\u{3000}2\nc: 3\n", "\u{3000}", "write `b: 2`"),
            ("a:\n  b: 1\n\tc: 2\n", "\t", "indent with spaces: `c: 2`"),
            ("a: { b: x #y }\nc: 1\n", "#", "put quotes around text that contains ` #`"),
        ] {
            let (at, write) = said(text);
            assert!(at == place && write == help, "{text:?}: {at:?}, {write}");
        }
        assert_eq!(said("title: [春茶]上新\n").1, "write `title: \"[春茶]上新\"`");
        assert_eq!(said("a: 时间: 9点\n").1, "write `a: \"时间: 9点\"`");
    }

    #[test]
    fn a_line_with_a_secret_is_not_repeated() {
        for text in ["secret：hunter22\na: 1\n", "a: 1\nsecret: \"hunter22\nb: 2\n", "token：hunter22\na: 1\n"] {
            assert!(!said(text).1.contains("hunter22"), "{text:?}");
        }
    }
}
