//! Declarations of CSS, of a theme and of `style` attributes: read, checked and written the shortest way.

use std::{collections::BTreeMap, ops::Range};

use cssparser::{ParseError, Parser, Token};

use super::rules::{RULESET, removed};
use crate::{
    diag::Code,
    limits,
    locale::{Count, Fixed, Phrase, say},
    text::nearest,
};

/// A property with a value that WeChat keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Declaration {
    pub(super) property: String,
    pub(super) value: String,
}

/// What is wrong in CSS: bytes of its text.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: Code,
    pub(super) range: Range<usize>,
    pub(super) message: Phrase,
    pub(super) help: Phrase,
}

pub(super) fn problem(code: Code, range: Range<usize>, message: Phrase, help: Phrase) -> Problem {
    Problem { code, range, message, help }
}

/// A declaration as it is written: name and value with their bytes.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) property: String,
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

/// Splits `a: b; c: d`, which stands at `range` of the text.
pub(super) fn split(css: &str, range: Range<usize>, problems: &mut Vec<Problem>) -> Vec<Written> {
    let mut written = Vec::new();
    let part = &css[range.clone()];
    let mut parser = Parser::new(part);
    let mut pieces: Vec<Range<usize>> = std::iter::once(0..0).collect();
    // Semicolons inside of strings and brackets do not separate: the tokenizer knows.
    while let Ok(token) = parser.next_including_whitespace_and_comments() {
        if matches!(token, Token::Semicolon) {
            if let Some(piece) = pieces.last_mut() {
                // A bracket before it was skipped only now: its own place is the byte just read.
                piece.end = parser.position().byte_index() - 1;
            }
            let next = parser.position().byte_index();
            pieces.push(next..next);
        }
    }
    if let Some(piece) = pieces.last_mut() {
        piece.end = part.len();
    }
    for piece in pieces {
        let (mut name, mut colon) = (None, None);
        let mut parser = Parser::new(&part[piece.clone()]);
        let base = range.start + piece.start;
        loop {
            parser.skip_whitespace();
            let start = parser.position().byte_index();
            let Ok(token) = parser.next() else { break };
            match (token, name.is_some()) {
                (Token::Ident(ident), false) => name = Some((ident.to_string(), start)),
                (Token::Colon, true) => colon = Some(parser.position().byte_index()),
                _ => {}
            }
            if name.is_none() || colon.is_some() {
                break;
            }
        }
        match (name, colon) {
            (Some((name, at)), Some(colon)) => {
                let text = &part[piece.start + colon..piece.end];
                let start = base + colon + (text.len() - text.trim_start().len());
                let end = (base + colon + text.trim_end().len()).max(start);
                let length = name.len();
                let property = if name.starts_with("--") { name } else { name.to_ascii_lowercase() };
                written.push(Written { property, name: base + at..base + at + length, value: start..end });
            }
            _ => {
                let text = &part[piece.clone()];
                let blank = without_comments(text);
                if !blank.trim().is_empty() {
                    let start = base + (text.len() - text.trim_start().len());
                    let end = (base + text.trim_end().len()).max(start);
                    let message = say!("not a CSS declaration");
                    problems.push(problem(Code::ThemeSyntax, start..end, message, say!("write `property: value;`")));
                    if problems.len() >= limits::THEME_FINDINGS_MAX {
                        break;
                    }
                }
            }
        }
    }
    written
}

/// The text with a blank in the place of each comment, as far as they end.
pub(super) fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/*") {
        out.push_str(before);
        out.push(' ');
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

/// Checks a property and its value; variables are put in.
pub(super) fn declaration(
    css: &str,
    written: &Written,
    variables: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Option<Declaration> {
    let name = written.property.as_str();
    if !RULESET.properties.allowed.iter().any(|known| known == name) {
        let plain = name.trim_start_matches("-webkit-").trim_start_matches("-moz-").trim_start_matches('-');
        let reason = removed(&RULESET.removed_properties, plain)
            .or_else(|| plain.split_once('-').and_then(|(start, _)| removed(&RULESET.removed_properties, start)));
        let why = reason.map_or_else(|| say!("WeChat may strip it"), |removed| Fixed(&removed.why).into());
        // What shows text in another way hides nothing.
        let set = css.get(written.value.clone()).unwrap_or_default().trim();
        let why = match name {
            "display" if !["flex", "grid", "none"].iter().any(|value| set.contains(value)) => {
                say!("it is not known to survive in WeChat")
            }
            _ => why,
        };
        let help = nearest(name, RULESET.properties.allowed.iter().map(String::as_str)).filter(|_| reason.is_none());
        let message = say!("`{name}` is not allowed: {why}", name, why);
        let help = help.unwrap_or_else(|| say!("remove it"));
        problems.push(problem(Code::ThemeProperty, written.name.clone(), message, help));
        return None;
    }
    let before = problems.len();
    let value = value(&css[written.value.clone()], written.value.start, variables, problems)?;
    if problems.len() > before {
        return None;
    }
    if value.is_empty() {
        let (message, help) = (say!("`{name}` has no value", name), say!("write a value, or remove it"));
        problems.push(problem(Code::ThemeSyntax, written.name.clone(), message, help));
        return None;
    }
    if name == "font-family" {
        fonts(&value, written, problems);
    }
    Some(Declaration { property: name.to_owned(), value })
}

fn fonts(value: &str, written: &Written, problems: &mut Vec<Problem>) {
    for family in value.split(',').map(str::trim) {
        let known = RULESET.fonts.allowed.iter().any(|known| known.eq_ignore_ascii_case(family));
        if !known && !family.starts_with('\'') {
            let help = say!("write `'{family}'`, or remove `font-family`", family);
            let message = say!("quote the font family `{family}`", family);
            problems.push(problem(Code::ThemeFont, written.value.clone(), message, help));
        }
    }
}

/// A value in its shortest form, with variables put in.
pub(super) fn value(
    text: &str,
    base: usize,
    variables: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let mut out = String::new();
    let mut parser = Parser::new(text);
    let _ = tokens(&mut parser, &Within { text, base, variables, depth: 0 }, problems, &mut out);
    let out = out.trim().to_owned();
    if out.len() > limits::THEME_VALUE_MAX {
        let message = say!("the value has more than {most} bytes", most = Count::from(limits::THEME_VALUE_MAX));
        problems.push(problem(Code::ThemeValue, base..base + text.len(), message, say!("shorten it")));
        return None;
    }
    Some(out)
}

static NO_VARIABLES: BTreeMap<String, String> = BTreeMap::new();

/// Where the tokens of a value stand.
#[derive(Clone, Copy)]
struct Within<'t> {
    text: &'t str,
    /// Where it begins in the file.
    base: usize,
    variables: &'t BTreeMap<String, String>,
    /// Brackets and fallbacks around them.
    depth: usize,
}

#[expect(clippy::too_many_lines, reason = "a token loop: one arm a token")]
fn tokens<'i>(
    parser: &mut Parser<'i>,
    within: &Within<'i>,
    problems: &mut Vec<Problem>,
    out: &mut String,
) -> Result<(), ParseError<()>> {
    let Within { text, base, variables, depth } = *within;
    enum Next {
        Nothing,
        Variable(usize),
        Function,
    }
    loop {
        let start = parser.position().byte_index();
        let Ok(token) = parser.next_including_whitespace_and_comments() else { return Ok(()) };
        // It is too long already, which is said of the whole.
        if out.len() > limits::THEME_VALUE_MAX {
            return Ok(());
        }
        let mut bad: Option<Phrase> = None;
        let mut next = Next::Nothing;
        match token.clone() {
            Token::WhiteSpace(_) | Token::Comment(_) => {
                if !out.is_empty() && !out.ends_with([' ', ',', '(']) {
                    out.push(' ');
                }
            }
            Token::Comma => {
                out.truncate(out.trim_end().len());
                out.push(',');
            }
            Token::QuotedString(string) => {
                if string.contains(['\'', '\\', '\n', '"']) {
                    bad = Some(say!("a string with quotes or backslashes is not allowed"));
                }
                out.push('\'');
                out.push_str(&string);
                out.push('\'');
            }
            Token::Function(_) if depth >= limits::THEME_DEPTH_MAX => {
                let most = limits::THEME_DEPTH_MAX;
                bad = Some(say!("the value is nested more than {most} levels deep here", most));
            }
            Token::Function(name) if name.eq_ignore_ascii_case("var") => next = Next::Variable(start),
            Token::Function(name) => {
                if RULESET.functions.allowed.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                    out.push_str(&name.to_ascii_lowercase());
                    out.push('(');
                    next = Next::Function;
                } else {
                    bad = Some(dropped(&format!("{name}()")));
                }
            }
            Token::UnquotedUrl(_) | Token::BadUrl(_) => bad = Some(dropped("url()")),
            Token::Delim('!') => bad = Some(dropped("!important")),
            Token::Ident(_)
            | Token::Hash(_)
            | Token::IDHash(_)
            | Token::Number { .. }
            | Token::Percentage { .. }
            | Token::Dimension { .. }
            | Token::Delim('/') => {
                let end = parser.position().byte_index();
                let word = &text[start..end];
                if word.contains('\\') {
                    bad = Some(say!("escapes are not allowed here"));
                } else if word.starts_with("0.") {
                    out.push_str(&word[1..]);
                } else {
                    out.push_str(word);
                }
            }
            _ => {
                let word = &text[start..parser.position().byte_index()];
                bad = Some(say!("`{word}` is not allowed in a value", word));
            }
        }
        if let Some(message) = bad {
            let end = parser.position().byte_index();
            // One finding a value says enough.
            let help = say!("write a plain length, colour or keyword");
            problems.push(problem(Code::ThemeValue, base + start..base + end, message, help));
            return Ok(());
        }
        match next {
            Next::Nothing => {}
            Next::Function => {
                let result = parser
                    .parse_nested_block(|inner| tokens(inner, &Within { depth: depth + 1, ..*within }, problems, out));
                if result.is_err() {
                    return Ok(());
                }
                out.truncate(out.trim_end().len());
                out.push(')');
            }
            Next::Variable(start) => {
                let _ = parser.parse_nested_block(|inner| -> Result<(), ParseError<()>> {
                    while inner.next_including_whitespace_and_comments().is_ok() {}
                    Ok(())
                });
                let end = parser.position().byte_index();
                let inside = text[start..end].split_once('(').map_or("", |(_, inside)| inside);
                let inside = inside.strip_suffix(')').unwrap_or(inside);
                let (name, fallback) =
                    inside.split_once(',').map_or((inside.trim(), None), |(n, f)| (n.trim(), Some(f)));
                match (variables.get(name), fallback) {
                    (Some(value), _) => out.push_str(value),
                    (None, Some(fallback)) => {
                        let mut parser = Parser::new(fallback);
                        let mut inner = String::new();
                        // A fallback has no place of its own: findings in it are told at the `var()`.
                        let mut found = Vec::new();
                        let within = Within { text: fallback, base: 0, variables: &NO_VARIABLES, depth: depth + 1 };
                        let _ = tokens(&mut parser, &within, &mut found, &mut inner);
                        if let Some(first) = found.into_iter().next() {
                            problems.push(Problem { range: base + start..base + end, ..first });
                        }
                        out.push_str(inner.trim());
                    }
                    (None, None) => {
                        let help = nearest(name, variables.keys().map(String::as_str))
                            .unwrap_or_else(|| say!("write `:root {{ {name}: ...; }}` in this theme", name));
                        let message = say!("unknown variable `{name}`", name);
                        problems.push(problem(Code::ThemeVariable, base + start..base + end, message, help));
                        return Ok(());
                    }
                }
            }
        }
    }
}

fn dropped(name: &str) -> Phrase {
    say!("`{name}` is not allowed: {why}", name, why = say!("WeChat drops it"))
}

/// What is wrong with a background that has no colour of the text beside it.
pub(super) fn no_colour() -> Phrase {
    say!("a background without a text colour becomes unreadable in dark mode")
}

/// Reads a `style` attribute; findings carry the code of markup.
pub(super) fn inline(style: &str) -> (Vec<Declaration>, Vec<Problem>) {
    let mut problems = Vec::new();
    let written = split(style, 0..style.len(), &mut problems);
    let mut read: Vec<Declaration> = Vec::new();
    for written in &written {
        read.extend(declaration(style, written, &NO_VARIABLES, &mut problems));
        if problems.len() >= limits::THEME_FINDINGS_MAX {
            break;
        }
    }
    let has = |name: &str| read.iter().any(|declaration| declaration.property == name);
    if problems.is_empty() && (has("background") || has("background-color")) && !has("color") {
        let help = say!("set `color` in the same `style`");
        problems.push(problem(Code::ThemeContrast, 0..style.len(), no_colour(), help));
    }
    for problem in &mut problems {
        problem.code = Code::MarkupStyle;
    }
    (read, problems)
}

/// What of a `style` attribute may be sent, in its shortest form, and the properties that may not.
pub(super) fn kept(style: &str) -> (String, Vec<String>) {
    let mut problems = Vec::new();
    let written = split(style, 0..style.len(), &mut problems);
    let (mut kept, mut dropped): (Vec<Declaration>, Vec<String>) = (Vec::new(), Vec::new());
    for written in written.iter().take(limits::TAG_ATTRIBUTES_MAX) {
        problems.clear();
        match declaration(style, written, &NO_VARIABLES, &mut problems) {
            Some(declaration) if problems.is_empty() => kept.push(declaration),
            _ => dropped.push(written.property.chars().take(32).collect()),
        }
    }
    let has = |name: &str| kept.iter().any(|declaration| declaration.property == name);
    if (has("background") || has("background-color")) && !has("color") {
        kept.push(Declaration { property: "color".into(), value: "inherit".into() });
    }
    let kept = kept.iter().map(|Declaration { property, value }| format!("{property}:{value}"));
    (kept.collect::<Vec<_>>().join(";"), dropped)
}
