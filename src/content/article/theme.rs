//! Themes: a small part of CSS, matched against the tags and hooks that the writer knows.

use std::{collections::BTreeMap, ops::Range};

use cssparser::{ParseError, Parser, Token};

use super::{
    css::{self, Declaration, Problem, problem},
    rules::RULESET,
};
use crate::{
    diag::{Code, Diagnostic, Diagnostics, source::Span},
    text::did_you_mean,
};

/// The hooks that a theme may style besides tags; each is written with a dot before it.
///
/// `li-more` is what follows the first paragraph of a list item; `link-text` the text of a link that becomes a reference;
/// `number` the superscript of a note or reference; `code-*` the parts of coloured code.
pub(super) const HOOKS: &[&str] = &[
    "quote",
    "code-block",
    "table-wrap",
    "li-more",
    "link-text",
    "number",
    "footnotes",
    "footnotes-title",
    "footnote",
    "links",
    "links-title",
    "link",
    "code-comment",
    "code-string",
    "code-number",
    "code-keyword",
    "code-function",
    "code-type",
    "code-tag",
    "code-attribute",
];

#[derive(Debug, Clone, Default)]
pub(crate) struct Theme {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    /// From the outermost to the element itself; hooks with their dot.
    selector: Vec<String>,
    declarations: Vec<Declaration>,
}

/// The names of one element: its tag, and its hook with the dot.
pub(super) type Names = [&'static str; 2];

impl Theme {
    /// The names of the themes that are built in; the first is the default.
    pub(crate) const BUILTIN: &[&str] = &["plain", "jade"];

    /// A theme that is built in.
    pub(crate) fn builtin(name: &str) -> Option<Self> {
        let css = match name {
            "plain" => include_str!("themes/plain.css"),
            "jade" => include_str!("themes/jade.css"),
            _ => return None,
        };
        // A test holds that they have no findings.
        Some(read(css).0)
    }

    /// Reads a theme. Findings are told; a theme with an error is not to be used.
    pub(crate) fn parse(css: &str, place: &dyn Fn(Range<usize>) -> Span, diagnostics: &mut Diagnostics) -> Self {
        let (theme, problems) = read(css);
        for Problem { code, range, message, help } in problems {
            let mut diagnostic = Diagnostic::new(code, place(range), message);
            if !help.is_empty() {
                diagnostic = diagnostic.help(help);
            }
            diagnostics.push(diagnostic);
        }
        theme
    }

    /// The declarations for the last element of a chain, weakest first.
    pub(super) fn declarations(&self, chain: &[Names]) -> Vec<Declaration> {
        let mut found: Vec<(usize, &Rule)> = self
            .rules
            .iter()
            .filter(|rule| matches(&rule.selector, chain))
            .map(|rule| (rule.selector.iter().map(|name| if name.starts_with('.') { 100 } else { 1 }).sum(), rule))
            .collect();
        found.sort_by_key(|(weight, _)| *weight);
        let mut merged: Vec<Declaration> = Vec::new();
        for declaration in found.iter().flat_map(|(_, rule)| &rule.declarations) {
            set(&mut merged, declaration.clone());
        }
        merged
    }
}

/// Puts a declaration in the place of one that it overrides.
pub(super) fn set(declarations: &mut Vec<Declaration>, declaration: Declaration) {
    // A shorthand (`margin`) also replaces its parts (`margin-top`).
    let part = format!("{}-", declaration.property);
    declarations.retain(|known| known.property != declaration.property && !known.property.starts_with(&part));
    declarations.push(declaration);
}

fn matches(selector: &[String], chain: &[Names]) -> bool {
    let Some((last, outer)) = selector.split_last() else { return false };
    let Some((element, ancestors)) = chain.split_last() else { return false };
    if !element.contains(&last.as_str()) {
        return false;
    }
    let mut ancestors = ancestors.iter().rev();
    outer.iter().rev().all(|name| ancestors.any(|names| names.contains(&name.as_str())))
}

fn read(css: &str) -> (Theme, Vec<Problem>) {
    let mut problems = Vec::new();
    let blocks = blocks(css, &mut problems);
    let (roots, rules): (Vec<_>, Vec<_>) =
        blocks.into_iter().partition(|(prelude, _)| css[prelude.clone()].trim() == ":root");
    let mut raw: BTreeMap<String, Range<usize>> = BTreeMap::new();
    for (_, body) in roots {
        for written in css::split(css, body, &mut problems) {
            if written.property.starts_with("--") {
                raw.insert(written.property, written.value);
            } else {
                let message = format!("`:root` holds only variables, not `{}`", written.property);
                problems.push(problem(Code::ThemeProperty, written.name, message, "write it for `p`, `li`, `td`, ..."));
            }
        }
    }
    let variables = resolve(css, raw, &mut problems);
    let mut theme = Theme::default();
    for (prelude, body) in rules {
        let selectors = selectors(css, prelude.clone(), &mut problems);
        let mut declarations = Vec::new();
        for written in css::split(css, body, &mut problems) {
            if written.property.starts_with("--") {
                let message = format!("the variable `{}` stands outside of `:root`", written.property);
                problems.push(problem(Code::ThemeVariable, written.name, message, "write it into `:root { ... }`"));
            } else if let Some(declaration) = css::declaration(css, &written, &variables, &mut problems) {
                set(&mut declarations, declaration);
            }
        }
        let has = |names: &[&str]| declarations.iter().any(|d| names.contains(&d.property.as_str()));
        let shows_text = selectors.iter().any(|selector| selector.last().is_some_and(|name| name != "hr"));
        if shows_text && has(&["background", "background-color"]) && !has(&["color"]) {
            let message = "a background without a text colour becomes unreadable in dark mode";
            problems.push(problem(Code::ThemeContrast, trimmed(css, prelude), message, "set `color` in the same rule"));
        }
        for selector in selectors {
            theme.rules.push(Rule { selector, declarations: declarations.clone() });
        }
    }
    problems.sort_by_key(|problem| problem.range.start);
    (theme, problems)
}

fn trimmed(css: &str, range: Range<usize>) -> Range<usize> {
    let text = &css[range.clone()];
    let start = range.start + (text.len() - text.trim_start().len());
    start..(range.start + text.trim_end().len()).max(start)
}

/// Puts variables into one another; what names itself, directly or not, is an error.
fn resolve(css: &str, raw: BTreeMap<String, Range<usize>>, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    let mut left = raw;
    loop {
        let before = left.len();
        let mut waiting = BTreeMap::new();
        for (name, range) in left {
            let text = &css[range.clone()];
            let waits = waiting.keys().any(|other: &String| mentions(text, other)) || mentions(text, &name);
            let mut found = Vec::new();
            match css::value(text, range.start, &known, &mut found) {
                Some(value) if found.is_empty() && !waits => {
                    known.insert(name, value);
                }
                _ => {
                    waiting.insert(name, range);
                }
            }
        }
        if waiting.is_empty() {
            return known;
        }
        if waiting.len() == before {
            // No progress: what is left is wrong, or part of a circle.
            for (name, range) in &waiting {
                let text = &css[range.clone()];
                if waiting.keys().any(|other| mentions(text, other)) {
                    let message = format!("the variable `{name}` names itself, directly or through others");
                    problems.push(problem(Code::ThemeVariable, range.clone(), message, "write a value instead"));
                } else {
                    css::value(text, range.start, &known, problems);
                }
                // Known from here on, so that its uses are no findings of their own.
                known.insert(name.clone(), "0".into());
            }
            return known;
        }
        left = waiting;
    }
}

fn mentions(text: &str, variable: &str) -> bool {
    text.match_indices(variable)
        .any(|(at, _)| !text[at + variable.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_'))
}

/// The rules of a theme: the bytes of each selector and of what is between its braces.
fn blocks(css: &str, problems: &mut Vec<Problem>) -> Vec<(Range<usize>, Range<usize>)> {
    let mut parser = Parser::new(css);
    let mut found = Vec::new();
    let mut prelude: Option<usize> = None;
    let mut at_rule = false;
    loop {
        let start = parser.position().byte_index();
        let Ok(token) = parser.next_including_whitespace_and_comments() else { break };
        match token {
            Token::WhiteSpace(_) | Token::Comment(_) => {}
            Token::AtKeyword(name) => {
                let message = format!("`@{name}` cannot be used: WeChat takes no stylesheet");
                at_rule = true;
                let end = start + 1 + name.len();
                problems.push(problem(Code::ThemeAtRule, start..end, message, "leave the rule out"));
            }
            Token::Semicolon if at_rule => (prelude, at_rule) = (None, false),
            Token::CurlyBracketBlock => {
                let mut body = 0..0;
                let mut nested = None;
                let _ = parser.parse_nested_block(|inner| -> Result<(), ParseError<()>> {
                    body.start = inner.position().byte_index();
                    loop {
                        let at = inner.position().byte_index();
                        match inner.next_including_whitespace_and_comments() {
                            Ok(Token::CurlyBracketBlock) => nested = nested.or(Some(at)),
                            Ok(_) => {}
                            Err(_) => break,
                        }
                    }
                    body.end = inner.position().byte_index();
                    Ok(())
                });
                let closed = css[..parser.position().byte_index()].ends_with('}');
                if !std::mem::take(&mut at_rule) {
                    if let Some(at) = nested {
                        let message = "a rule stands inside of another, or a `}` is missing before it";
                        problems.push(problem(Code::ThemeSyntax, at..at + 1, message, "close the rule before it"));
                    } else if !closed {
                        let message = "the rule has no `}`";
                        problems.push(problem(Code::ThemeSyntax, start..start + 1, message, "write `}` at its end"));
                    } else {
                        found.push((prelude.unwrap_or(start)..start, body));
                    }
                }
                prelude = None;
            }
            _ => prelude = prelude.or(Some(start)),
        }
    }
    if let (Some(start), false) = (prelude, at_rule) {
        let range = trimmed(css, start..css.len());
        problems.push(problem(
            Code::ThemeSyntax,
            range,
            "there is no `{` after this selector",
            "write `{ property: value; }`",
        ));
    }
    found
}

fn selectors(css: &str, prelude: Range<usize>, problems: &mut Vec<Problem>) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut start = prelude.start;
    for part in css[prelude].split(',') {
        let range = trimmed(css, start..start + part.len());
        start += part.len() + 1;
        match selector(&css[range.clone()]) {
            Ok(selector) => found.push(selector),
            Err((message, help)) => problems.push(problem(Code::ThemeSelector, range, message, &help)),
        }
    }
    found
}

fn selector(text: &str) -> Result<Vec<String>, (String, String)> {
    let mut names = Vec::new();
    let mut text = text.to_owned();
    while let Some((start, end)) = text.find("/*").and_then(|s| text[s..].find("*/").map(|e| (s, s + e + 2))) {
        text.replace_range(start..end, " ");
    }
    for word in text.split_ascii_whitespace() {
        let hook = word.strip_prefix('.').filter(|hook| HOOKS.contains(hook));
        if hook.is_some() || (word != "b" && word != "i" && word != "s" && RULESET.tags.contains_key(word)) {
            names.push(word.to_owned());
            continue;
        }
        if word.contains("::") || word.contains(':') {
            let message = format!("`{word}` stands for nothing: an inline style has no pseudo-classes and -elements");
            return Err((message, "write the rule for the tag itself".into()));
        }
        if let Some(hook) = word.strip_prefix('.') {
            let help = did_you_mean(hook, HOOKS.iter().copied()).map_or_else(
                || format!("hooks are: .{}", HOOKS.join(", .")),
                |near| format!("did you mean `.{near}`?"),
            );
            return Err((format!("there is no hook `{word}`"), help));
        }
        let help =
            "selectors are tag names and hooks, with spaces between them: `blockquote p`, `.table-wrap`".to_owned();
        return Err((format!("`{word}` is no tag that an article can have"), help));
    }
    if names.is_empty() {
        return Err(("a selector is missing here".into(), "write a tag name or a hook".into()));
    }
    Ok(names)
}
