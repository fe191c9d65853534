//! HTML to the tree: a whole article, or a part of one inside of Markdown.

use std::ops::Range;

use html5gum::{DefaultEmitter, Error, HtmlString, Token, Tokenizer};

use super::{
    leftover, math,
    rules::{Content, RULESET, removed},
    tree::{Attribute, Element, Findings, Item, Kind, Node, not_inside, pair, rule},
};
use crate::{
    diag::{Code, Severity, source::reveal},
    limits,
    locale::{Count, Fixed, Phrase, say},
    payload,
    text::did_you_mean,
};

/// Reads an article that is HTML.
pub(super) fn read(text: &str, findings: &mut Findings) -> Vec<Node> {
    let items = items(text, &|at| at, findings);
    let mut nodes = pair(items, 0, findings);
    unify(&mut nodes, findings);
    nodes
}

fn utf8(text: &HtmlString) -> String {
    reveal(&String::from_utf8_lossy(&text.0)).into_owned()
}

/// The tags and texts of a piece of HTML; `map` leads from its bytes to those of the article.
#[expect(clippy::too_many_lines, reason = "a token loop: one arm a token")]
pub(super) fn items(source: &str, map: &dyn Fn(usize) -> usize, findings: &mut Findings) -> Vec<Item> {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true);
    let mut items = Vec::new();
    let mut broken: Option<usize> = None;
    // Tags of code that are open: what they hold is no prose.
    let mut code = 0_usize;
    for token in Tokenizer::new_with_emitter(source, emitter).flatten() {
        let clip = |start: usize, end: usize| {
            let start = source.floor_char_boundary(start.min(source.len()));
            start..source.ceil_char_boundary(end.clamp(start, source.len()))
        };
        let mapped = |range: Range<usize>| {
            let start = map(range.start);
            start..map(range.end).max(start)
        };
        match token {
            Token::StartTag(tag) => {
                let local = clip(tag.span.start, tag.span.end);
                let name = utf8(&tag.name);
                let range = mapped(local.clone());
                let written = &source[local.clone()];
                code += usize::from(matches!(name.as_str(), "code" | "pre"));
                if let Some(generic) = generic(written, source.get(local.start.saturating_sub(1)..local.start)) {
                    let message = say!("`{text}` is read as a tag", text = generic.0);
                    findings.add(
                        Code::MarkupTag,
                        range,
                        message,
                        say!("write `{escaped}`, or put it into backticks", escaped = generic.1),
                    );
                    continue;
                }
                let known = known_tag(&name, range.clone(), findings);
                let mut element = Element::new(&name, Vec::new());
                let count = tag.attributes.len();
                if count > limits::TAG_ATTRIBUTES_MAX {
                    let message = say!("`<{name}>` has {count} attributes", name = &name, count = Count::from(count));
                    let help = say!("remove the attributes that have no effect");
                    findings.add(Code::BadHtml, range.clone(), message, help);
                }
                for (attribute, value) in tag.attributes.iter().take(limits::TAG_ATTRIBUTES_MAX) {
                    let (attribute, value) = (utf8(attribute), utf8(&value.value));
                    let (name_at, value_at) = find_attribute(written, &attribute, &value);
                    let shifted = |range: Range<usize>| mapped(local.start + range.start..local.start + range.end);
                    let quotes = ['“', '”', '‘', '’', '＂', '＇', '「'];
                    if value.starts_with(quotes) || attribute.contains(quotes) {
                        let message = say!("the attributes of this tag have Chinese quotation marks");
                        findings.add(Code::BadHtml, shifted(value_at.clone()), message, say!("write `name=\"value\"`"));
                        if attribute.contains(quotes) {
                            break;
                        }
                        // What else is wrong with it, is said of what was meant.
                        if known && attribute != "style" {
                            let value = value.trim_matches(quotes.as_slice()).trim_matches('”').to_owned();
                            element.attributes.push(Attribute { name: attribute, value, range: shifted(value_at) });
                        }
                        continue;
                    }
                    if payload::has_slot(&value) && !(name == "img" && attribute == "src") {
                        findings.no_slot(shifted(value_at.clone()));
                    }
                    if known && known_attribute(&name, &attribute, shifted(name_at), findings) {
                        element.attributes.push(Attribute { name: attribute, value, range: shifted(value_at) });
                    }
                }
                let void = rule(&name).is_some_and(|tag| tag.content == Content::Void)
                    || matches!(
                        name.as_str(),
                        "input" | "meta" | "link" | "embed" | "source" | "col" | "area" | "base" | "wbr"
                    );
                if void {
                    if known {
                        items.push(Item::Node(Node::element(range, element)));
                    }
                    continue;
                }
                if tag.self_closing {
                    let message = say!("the slash does not close `<{name}/>`", name = &name);
                    let help = say!(
                        "write `<{name}></{name}>`: only `<br>`, `<hr>` and `<img>` need no end tag",
                        name = &name
                    );
                    findings.add(Code::UnbalancedTag, range, message, help);
                    continue;
                }
                items.push(Item::Open(element, range));
            }
            Token::EndTag(tag) => {
                let name = utf8(&tag.name);
                code = code.saturating_sub(usize::from(matches!(name.as_str(), "code" | "pre")));
                let range = mapped(clip(tag.span.start, tag.span.end));
                if rule(&name).is_some_and(|tag| tag.content == Content::Void) {
                    let help = say!("remove it: `<{name}>` has no end tag", name = &name);
                    findings.add(Code::UnbalancedTag, range, say!("`</{name}>` closes nothing", name), help);
                } else {
                    items.push(Item::Close(name, range));
                }
            }
            Token::String(text) => {
                let local = clip(text.span.start, text.span.end);
                let string = String::from_utf8_lossy(&text.value.0).into_owned();
                if let Some(formula) = math::find_dollars(&string).or_else(|| math::find_brackets(&string)) {
                    // Exact as far as there is no `&...;` before it.
                    let at = if source[local.clone()] == string {
                        local.start + formula.start..local.start + formula.end
                    } else {
                        local.clone()
                    };
                    math::unsupported(mapped(at), &string[formula], findings);
                }
                let length = local.len();
                let exact = source[local.clone()] == string;
                let place = mapped(local);
                let exact = exact && place.len() == length;
                let words = reveal(&string);
                if code == 0 {
                    findings.words(&words, exact, &place);
                    if exact {
                        leftover::look_in_html(&words, place.start, findings);
                    }
                }
                items.push(Item::Node(Node::text(place, words.into_owned())));
            }
            Token::Comment(comment) => {
                let range = mapped(clip(comment.span.start, comment.span.end));
                if let Some(node) = lint_allow(&utf8(&comment.value), range, findings) {
                    items.push(Item::Node(node));
                }
            }
            Token::Doctype(doctype) => {
                let range = mapped(clip(doctype.span.start, doctype.span.end));
                let (message, help) = no_doctype();
                findings.add(Code::BadHtml, range, message, help);
            }
            Token::Error(error) => {
                let at = mapped(clip(error.span.start, error.span.end));
                // One finding a place; what a browser repairs without guessing is none.
                if !harmless(error.value) && broken != Some(at.start) {
                    broken = Some(at.start);
                    let (message, help) = broken_html(error.value);
                    findings.add(Code::BadHtml, at, message, help);
                }
            }
        }
    }
    items
}

/// A type of a program in prose, `List<String>`, and how to write it; none if it is a tag.
fn generic(written: &str, before: Option<&str>) -> Option<(String, String)> {
    let inner = written.strip_prefix('<')?.strip_suffix('>')?;
    let name = !inner.is_empty()
        && inner.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ',' | ' ' | '_' | '?' | '.'));
    let first = inner.split([',', ' ']).next().unwrap_or_default();
    let word = before.is_some_and(|before| before.ends_with(|c: char| c.is_ascii_alphanumeric()));
    let capital =
        first.starts_with(|c: char| c.is_ascii_uppercase()) && first.contains(|c: char| c.is_ascii_lowercase());
    let known =
        rule(&first.to_ascii_lowercase()).is_some() || RULESET.removed_tags.contains_key(&first.to_ascii_lowercase());
    (name && !known && (word || capital || first.len() == 1 && first != "a"))
        .then(|| (written.to_owned(), format!("&lt;{inner}>")))
}

fn harmless(error: Error) -> bool {
    error.as_str().contains("character-reference") || error.as_str().contains("character-in-input-stream")
}

fn no_doctype() -> (Phrase, Phrase) {
    (say!("an article cannot have a doctype"), say!("remove it: an article contains only the content of `<body>`"))
}

/// What is wrong with HTML, and what to write instead.
/// <https://html.spec.whatwg.org/multipage/parsing.html#parse-errors>
fn broken_html(error: Error) -> (Phrase, Phrase) {
    let name = error.as_str();
    match error {
        Error::EofBeforeTagName
        | Error::InvalidFirstCharacterOfTagName
        | Error::MissingEndTagName
        | Error::UnexpectedQuestionMarkInsteadOfTagName => {
            (say!("this `<` does not start a tag"), say!("write `&lt;` for a plain `<`"))
        }
        Error::EofInTag => (say!("the article ends inside a tag"), say!("close the tag, and the quotes in it")),
        Error::DuplicateAttribute => (say!("the tag has the same attribute twice"), say!("remove one of them")),
        Error::EndTagWithAttributes | Error::EndTagWithTrailingSolidus => {
            (say!("an end tag can contain only its name"), say!("write `</name>`"))
        }
        _ if name.contains("cdata") => {
            (say!("CDATA sections are not allowed"), say!("write the text itself, with `&lt;` for `<`"))
        }
        _ if name.contains("doctype") => no_doctype(),
        _ if name.contains("comment") => (say!("the comment is not well-formed"), say!("write `<!-- comment -->`")),
        _ if name.contains("attribute") || error == Error::UnexpectedSolidusInTag => (
            say!("the attributes of this tag are not well-formed"),
            say!("write `name=\"value\"`, with a space between attributes"),
        ),
        _ => (
            say!("the HTML is invalid here"),
            say!("write `&lt;` for a plain `<`, and close tags, comments and quotes"),
        ),
    }
}

/// Tags that are not in the rules are errors.
fn known_tag(name: &str, range: Range<usize>, findings: &mut Findings) -> bool {
    if rule(name).is_some() {
        return true;
    }
    if findings.is_full(Code::MarkupTag) {
        return false;
    }
    let (why, help): (Phrase, Phrase) = match RULESET.removed_tags.get(name) {
        Some(removed) => (Fixed(&removed.why).into(), Fixed(&removed.instead).into()),
        None => (
            say!("WeChat may strip it"),
            did_you_mean(name, RULESET.tags.keys().map(String::as_str)).map_or_else(
                || say!("use `<section>`, `<p>` or `<span>`"),
                |near| say!("did you mean `{near}`?", near = format!("<{near}>")),
            ),
        ),
    };
    let message = say!("`{name}` is not allowed: {why}", name = format!("<{name}>"), why);
    findings.add(Code::MarkupTag, range, message, help);
    false
}

fn known_attribute(tag: &str, name: &str, range: Range<usize>, findings: &mut Findings) -> bool {
    let everywhere = RULESET.attributes.everywhere.iter().any(|known| known == name);
    if everywhere || rule(tag).is_some_and(|rule| rule.attributes.iter().any(|known| known == name)) {
        return true;
    }
    if findings.is_full(Code::MarkupAttribute) {
        return false;
    }
    let reason = removed(&RULESET.removed_attributes, name);
    let why = reason.map_or_else(|| say!("WeChat may strip it"), |removed| Fixed(&removed.why).into());
    let message = say!("the attribute `{name}` is not allowed on `<{tag}>`: {why}", name, tag, why);
    let help = say!("remove it; to style the element, use a theme or `style=\"...\"`");
    findings.add(Code::MarkupAttribute, range, message, help);
    false
}

/// Bytes of an attribute's name and of its value, inside of its tag.
fn find_attribute(tag: &str, name: &str, value: &str) -> (Range<usize>, Range<usize>) {
    let lower = tag.to_ascii_lowercase();
    let begins = |at: &usize| {
        let before = lower[..*at].chars().next_back();
        let after = lower[at + name.len()..].chars().next();
        before.is_some_and(|c| c.is_ascii_whitespace() || matches!(c, '"' | '\'' | '/'))
            && after.is_none_or(|c| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/'))
    };
    let Some(at) = lower.match_indices(name).map(|(at, _)| at).find(begins) else {
        return (0..tag.len(), 0..tag.len());
    };
    let name_at = at..at + name.len();
    let value_at = tag[name_at.end..].find(value).filter(|_| !value.is_empty()).map(|found| name_at.end + found);
    (name_at.clone(), value_at.map_or(name_at, |start| start..start + value.len()))
}

/// `<!-- lint-allow A203 reason -->`; other comments are dropped.
fn lint_allow(comment: &str, range: Range<usize>, findings: &mut Findings) -> Option<Node> {
    let rest = comment.trim().strip_prefix("lint-allow")?;
    if rest.starts_with(|c: char| !c.is_whitespace()) {
        return None;
    }
    let help = say!("write `<!-- lint-allow CODE reason -->`");
    let mut words = rest.split_whitespace();
    let Some(name) = words.next() else {
        findings.add(Code::BadLintAllow, range, say!("`lint-allow` needs a code"), help);
        return None;
    };
    let message = match Code::find(name) {
        None => say!("unknown code `{name}`", name),
        Some(code) if code.info().severity == Severity::Error => {
            say!("`{name}` is an error and cannot be silenced", name)
        }
        Some(_) if words.next().is_none() => say!("`lint-allow {name}` needs a reason", name),
        Some(code) => return Some(Node { range, kind: Kind::Allow(code) }),
    };
    findings.add(Code::BadLintAllow, range, message, help);
    None
}

/// Gives each thing one name: `b` is `strong`, and `pre` is a code block.
pub(super) fn unify(nodes: &mut Vec<Node>, findings: &mut Findings) {
    for node in nodes {
        let Kind::Element(element) = &mut node.kind else { continue };
        if element.tag == "pre" {
            let mut text = String::new();
            flatten(&element.children, &mut text, findings);
            // The line end after `<pre>` does not count, nor does the one before `</pre>`.
            let text = text.replace("\r\n", "\n");
            let text = text.strip_prefix('\n').unwrap_or(&text);
            let text = text.strip_suffix('\n').unwrap_or(text).to_owned();
            node.kind = Kind::Code { language: String::new(), text };
            continue;
        }
        match element.tag.as_str() {
            "b" => element.tag = "strong".into(),
            "i" => element.tag = "em".into(),
            "s" => element.tag = "del".into(),
            _ => {}
        }
        unify(&mut element.children, findings);
    }
}

fn flatten(nodes: &[Node], out: &mut String, findings: &mut Findings) {
    for node in nodes {
        match &node.kind {
            Kind::Text(text) => out.push_str(text),
            Kind::Element(element) if element.tag == "br" => out.push('\n'),
            Kind::Element(element) if element.tag == "code" && element.attributes.is_empty() => {
                flatten(&element.children, out, findings);
            }
            Kind::Element(element) => {
                let help = say!("write the code as plain text; Markdown code blocks are highlighted");
                findings.add(Code::MisplacedTag, node.range.clone(), not_inside(&element.tag, "pre"), help);
            }
            _ => {}
        }
    }
}
