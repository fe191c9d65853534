//! Themes: a small part of CSS, matched against the tags and hooks that the writer knows.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
    rc::Rc,
};

use cssparser::{ParseError, Parser, Token};

use super::{
    css::{self, Declaration, Problem, problem},
    rules::RULESET,
};
use crate::{
    diag::{Code, Diagnostic, Diagnostics, source::Span},
    limits,
    locale::{Count, Phrase, list, say},
    text::did_you_mean,
};

/// The hooks that a theme may style besides tags; each is written with a dot before it.
///
/// `li-more` is what follows the first paragraph of a list item; `link-text` the text of a link that becomes a reference;
/// `mark` what `==` highlights; `number` the superscript of a note or reference; `code-*` the parts of coloured code.
pub(super) const HOOKS: &[&str] = &[
    "quote",
    "code-block",
    "table-wrap",
    "li-more",
    "link-text",
    "number",
    "mark",
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
    declarations: Rc<[Declaration]>,
}

/// The names of one element: its tag, and its hook with the dot.
pub(super) type Names = [&'static str; 2];

impl Theme {
    /// The names of the themes that are built in; the first is the default.
    pub(crate) const BUILTIN: &[&str] = &["plain", "jade", "none"];

    /// A theme that is built in.
    pub(crate) fn builtin(name: &str) -> Option<Self> {
        let css = match name {
            "plain" => include_str!("themes/plain.css"),
            "jade" => include_str!("themes/jade.css"),
            "none" => "",
            _ => return None,
        };
        // A test holds that they have no findings.
        Some(read(css).0)
    }

    /// Reads a theme. Findings are told; a theme with an error is not to be used.
    pub(crate) fn parse(css: &str, place: &dyn Fn(Range<usize>) -> Span, diagnostics: &mut Diagnostics) -> Self {
        let (theme, problems) = read(css);
        for Problem { code, range, message, help } in problems {
            diagnostics.push(Diagnostic::new(code, place(range), message).help(help));
        }
        theme
    }

    /// How many rules it has, each with its names and declarations counted.
    pub(crate) fn rules(&self) -> usize {
        self.rules.iter().map(|rule| 1 + rule.declarations.len()).sum()
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
        for declaration in found.iter().flat_map(|(_, rule)| &*rule.declarations) {
            set(&mut merged, declaration.clone());
        }
        merged
    }
}

/// Puts a declaration in the place of one that it overrides.
pub(super) fn set(declarations: &mut Vec<Declaration>, declaration: Declaration) {
    // A shorthand (`margin`) also replaces its parts (`margin-top`).
    let replaced = |known: &str| {
        known.strip_prefix(&*declaration.property).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    declarations.retain(|known| !replaced(&known.property));
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
                let message = say!("`:root` can contain only variables, not `{name}`", name = written.property);
                let help = say!("set it for `p`, `li`, `td` and so on");
                problems.push(problem(Code::ThemeProperty, written.name, message, help));
            }
        }
    }
    let variables = resolve(css, raw, &mut problems);
    let mut theme = Theme::default();
    for (prelude, body) in rules {
        if problems.len() >= limits::THEME_FINDINGS_MAX {
            break;
        }
        let selectors = selectors(css, prelude.clone(), &mut problems);
        let mut declarations = Vec::new();
        for written in css::split(css, body, &mut problems) {
            if problems.len() >= limits::THEME_FINDINGS_MAX {
                break;
            }
            if written.property.starts_with("--") {
                let message = say!("the variable `{name}` is outside `:root`", name = written.property);
                let help = say!("move it into `:root {{ ... }}`");
                problems.push(problem(Code::ThemeVariable, written.name, message, help));
            } else if let Some(declaration) = css::declaration(css, &written, &variables, &mut problems) {
                set(&mut declarations, declaration);
            }
        }
        let has = |names: &[&str]| declarations.iter().any(|d| names.contains(&d.property.as_str()));
        let shows_text = selectors.iter().any(|selector| selector.last().is_some_and(|name| name != "hr"));
        if shows_text && has(&["background", "background-color"]) && !has(&["color"]) {
            let help = say!("set `color` in the same rule");
            problems.push(problem(Code::ThemeContrast, trimmed(css, prelude), css::no_colour(), help));
        }
        let declarations: Rc<[Declaration]> = declarations.into();
        for selector in selectors {
            theme.rules.push(Rule { selector, declarations: Rc::clone(&declarations) });
        }
    }
    problems.sort_by_key(|problem| problem.range.start);
    problems.truncate(limits::THEME_FINDINGS_MAX);
    (theme, problems)
}

fn trimmed(css: &str, range: Range<usize>) -> Range<usize> {
    let text = &css[range.clone()];
    let start = range.start + (text.len() - text.trim_start().len());
    start..(range.start + text.trim_end().len()).max(start)
}

/// Puts variables into one another, each after those that it names; what names itself, directly or not, is an error.
fn resolve(css: &str, raw: BTreeMap<String, Range<usize>>, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    // How many of those that a variable names are not known yet, and who waits for it.
    let mut waits: BTreeMap<&str, usize> = BTreeMap::new();
    let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, range) in &raw {
        let names: BTreeSet<&str> = mentions(&css[range.clone()]).filter(|other| raw.contains_key(*other)).collect();
        waits.insert(name, names.len());
        names.into_iter().for_each(|other| users.entry(other).or_default().push(name));
    }
    let mut known = BTreeMap::new();
    let mut ready: VecDeque<&str> = waits.iter().filter(|(_, waits)| **waits == 0).map(|(name, _)| *name).collect();
    while let Some(name) = ready.pop_front() {
        let Some(range) = raw.get(name) else { continue };
        let before = problems.len();
        let value = css::value(&css[range.clone()], range.start, &known, problems);
        // Known from here on even if it is wrong, so that its uses are no findings of their own.
        known.insert(name.to_owned(), value.filter(|_| problems.len() == before).unwrap_or_else(|| "0".into()));
        for user in users.get(name).into_iter().flatten() {
            if let Some(waits) = waits.get_mut(user) {
                *waits -= 1;
                if *waits == 0 {
                    ready.push_back(user);
                }
            }
        }
    }
    for (name, range) in raw.iter().filter(|(_, range)| !range.is_empty()) {
        if !known.contains_key(name) {
            let message = say!("the variable `{name}` refers to itself", name);
            problems.push(problem(Code::ThemeVariable, range.clone(), message, say!("write a value instead")));
        }
    }
    raw.into_keys().for_each(|name| {
        known.entry(name).or_insert_with(|| "0".into());
    });
    known
}

/// The names in a text that may be variables.
fn mentions(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).filter(|word| word.starts_with("--"))
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
        if problems.len() >= limits::THEME_FINDINGS_MAX {
            return found;
        }
        match token {
            Token::WhiteSpace(_) | Token::Comment(_) => {}
            Token::AtKeyword(name) => {
                let why = say!("WeChat accepts no stylesheets");
                let message = say!("`{name}` is not allowed: {why}", name = format!("@{name}"), why);
                at_rule = true;
                let end = start + 1 + name.len();
                problems.push(problem(Code::ThemeAtRule, start..end, message, say!("remove the rule")));
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
                        let message = say!("this rule is nested, or the previous rule has no `}}`");
                        let help = say!("close the previous rule");
                        problems.push(problem(Code::ThemeSyntax, at..at + 1, message, help));
                    } else if !closed {
                        let (message, help) = (say!("the rule has no `}}`"), say!("write `}}` at its end"));
                        problems.push(problem(Code::ThemeSyntax, start..start + 1, message, help));
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
        let message = say!("there is no `{{` after this selector");
        problems.push(problem(Code::ThemeSyntax, range, message, say!("write `{{ property: value; }}`")));
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
            Err((message, help)) => problems.push(problem(Code::ThemeSelector, range, message, help)),
        }
        if problems.len() >= limits::THEME_FINDINGS_MAX {
            break;
        }
    }
    found
}

/// The element around an article in themes of wenyan, mdnice, doocs and others.
const ROOTS: &[&str] = &[
    "#wenyan",
    "#nice",
    ".markdown-body",
    "#output",
    "#write",
    "#article",
    ".rich_media_content",
    "#js_content",
    "section#nice",
    "body",
];

fn selector(text: &str) -> Result<Vec<String>, (Phrase, Phrase)> {
    let mut names = Vec::new();
    let text = css::without_comments(text);
    if let Some(sign) = text.chars().find(|c| matches!(c, '>' | '+' | '~')) {
        let message = say!("`{sign}` cannot be used in selectors", sign);
        return Err((message, say!("write a space instead of `{sign}`", sign)));
    }
    // Themes of other programs name the element around the article first.
    let mut words = text.split_ascii_whitespace().peekable();
    if words.next_if(|word| ROOTS.contains(word)).is_some() && words.peek().is_none() {
        let message = say!("`{word}` is the whole article, which has no element of its own", word = text.trim());
        return Err((message, say!("set it for `p`, `li`, `td` and so on")));
    }
    for word in words {
        let hook = word.strip_prefix('.').filter(|hook| HOOKS.contains(hook));
        if hook.is_some() || (word != "b" && word != "i" && word != "s" && RULESET.tags.contains_key(word)) {
            names.push(word.to_owned());
            continue;
        }
        if word.contains("::") || word.contains(':') {
            let message =
                say!("`{word}` has no effect: inline styles cannot use pseudo-classes or pseudo-elements", word);
            return Err((message, say!("write the rule for the tag itself")));
        }
        if let Some(hook) = word.strip_prefix('.') {
            let dotted = |hook: &&str| format!(".{hook}");
            let help = did_you_mean(hook, HOOKS.iter().copied()).map_or_else(
                || say!("available hooks: {hooks}", hooks = list(HOOKS.iter().map(dotted))),
                |near| say!("did you mean `{near}`?", near = dotted(&near)),
            );
            return Err((say!("unknown hook `{word}`", word), help));
        }
        if word.starts_with('#') {
            return Err((
                say!("`{word}` is an id, and ids have no meaning in an article", word),
                say!("remove `{word} `", word),
            ));
        }
        if let Some((tag, _)) = word.split_once('.').filter(|(tag, _)| RULESET.tags.contains_key(*tag)) {
            return Err((
                say!("`{word}` has a class, and classes have no meaning in an article", word),
                say!("write `{tag}`, or a hook such as `.code-block`", tag),
            ));
        }
        let help = say!("write tag names and hooks with spaces between them: `blockquote p`, `.table-wrap`");
        return Err((say!("`{word}` is not a tag that articles can use", word), help));
    }
    if names.is_empty() {
        return Err((say!("a selector is missing here"), say!("write a tag name or a hook")));
    }
    if names.len() > limits::SELECTOR_NAMES_MAX {
        let (count, most) = (Count::from(names.len()), limits::SELECTOR_NAMES_MAX);
        let message = say!("the selector has {count} names; at most {most} are allowed", count, most);
        return Err((message, say!("name the element, and only the parents that matter")));
    }
    Ok(names)
}
