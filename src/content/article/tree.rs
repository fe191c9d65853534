//! The small tree that Markdown and HTML are both read into, and findings with bytes of the article.

use std::{ops::Range, rc::Rc};

use super::rules::{Content, RULESET, Tag};
use crate::{
    content::words::{self, Lint},
    diag::{
        Code, Diagnostic, Severity,
        source::{Span, reveal},
    },
    limits,
    locale::{Phrase, say},
    payload,
    text::one_of,
};

/// A part of an article.
#[derive(Debug)]
pub(super) struct Node {
    /// Bytes of the article's text.
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Text, white space collapses.
    Text(String),
    Element(Element),
    /// A code block, to the letter.
    Code {
        language: String,
        text: String,
    },
    /// A reference to a note, with its number.
    NoteReference(u32),
    /// Notes at the end of the article.
    Note(u32, Vec<Node>),
    /// A code that is silenced for what follows.
    Allow(Code),
}

/// A tag with what it holds.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) tag: String,
    pub(super) attributes: Vec<Attribute>,
    pub(super) children: Vec<Node>,
    /// Of a task: whether it is done.
    pub(super) done: Option<bool>,
    /// Of an ordered list: `1)` rather than `1.`.
    pub(super) paren: bool,
    /// The name by which a theme knows it, with its dot, besides its tag.
    pub(super) hook: &'static str,
}

#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) range: Range<usize>,
}

impl Element {
    pub(super) fn new(tag: &str, children: Vec<Node>) -> Self {
        Self { tag: tag.to_owned(), children, ..Self::default() }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>, range: Range<usize>) -> Self {
        self.attributes.push(Attribute { name: name.to_owned(), value: value.into(), range });
        self
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}

impl Node {
    pub(super) fn text(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { range, kind: Kind::Text(text.into()) }
    }

    pub(super) fn element(range: Range<usize>, element: Element) -> Self {
        Self { range, kind: Kind::Element(element) }
    }

    /// Whether it begins a line of its own.
    pub(super) fn is_block(&self) -> bool {
        match &self.kind {
            Kind::Element(element) => rule(&element.tag).is_some_and(|tag| tag.block()),
            Kind::Code { .. } | Kind::Note(..) => true,
            Kind::Text(_) | Kind::NoteReference(_) | Kind::Allow(_) => false,
        }
    }

    /// White space between blocks, and what shows nothing.
    pub(super) fn is_blank(&self) -> bool {
        match &self.kind {
            Kind::Text(text) => text.chars().all(|c| c.is_ascii_whitespace()),
            Kind::Allow(_) => true,
            _ => false,
        }
    }
}

pub(super) fn rule(tag: &str) -> Option<&'static Tag> {
    RULESET.tags.get(tag)
}

/// What is found, with bytes of the article; becomes diagnostics at the end, when all silenced places are known.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What words are compared with.
    pub(super) lint: Rc<Lint>,
    found: Vec<Finding>,
    /// Whether an error is among them.
    error: bool,
    allowed: Vec<Allowed>,
    too_deep: bool,
}

#[derive(Debug)]
struct Finding {
    code: Code,
    range: Range<usize>,
    message: Phrase,
    help: Phrase,
}

/// A place where a code is silenced.
#[derive(Debug)]
struct Allowed {
    code: Code,
    comment: Range<usize>,
    /// What it silences, the comment included.
    range: Range<usize>,
    used: bool,
}

impl Findings {
    /// None yet, of an article whose words are compared.
    pub(super) fn of(lint: &Rc<Lint>) -> Self {
        Self { lint: Rc::clone(lint), ..Self::default() }
    }

    pub(super) fn add(&mut self, code: Code, range: Range<usize>, message: Phrase, help: Phrase) {
        if self.is_full(code) {
            return;
        }
        self.error |= code.info().severity == Severity::Error;
        let (mut message, mut help) = (message, help);
        for phrase in [&mut message, &mut help] {
            let plain = |text: &mut String| *text = reveal(text).into_owned();
            phrase.cut(&plain, &plain);
        }
        self.found.push(Finding { code, range, message, help });
    }

    /// A value that only a run knows can be the address of a picture and nothing else.
    pub(super) fn no_slot(&mut self, range: Range<usize>) {
        let message = say!("in an article, a run-time value can only be the address of a picture");
        self.add(Code::RuntimeValue, range, message, say!("write `![description]({{{{ steps.ID.url }}}})`"));
    }

    /// Looks at words of prose that come from a range of the article; whether they stand there as they are.
    pub(super) fn words(&mut self, words: &str, exact: bool, range: &Range<usize>) {
        if payload::has_slot(words) {
            return self.no_slot(range.clone());
        }
        let lint = Rc::clone(&self.lint);
        for words::Found { range: at, code, message, help } in words::look(words, &lint, true) {
            let place = if exact { range.start + at.start..range.start + at.end } else { range.clone() };
            self.add(code, place, message, help);
        }
    }

    /// Said once: what is inside is not read any more.
    pub(super) fn too_deep(&mut self, range: Range<usize>) {
        if !self.too_deep {
            self.too_deep = true;
            let message =
                say!("the article is nested more than {most} levels deep here", most = limits::ARTICLE_DEPTH_MAX);
            self.add(Code::ArticleTooDeep, range, message, say!("nest fewer quotes, lists or tags"));
        }
    }

    pub(super) fn allow(&mut self, code: Code, comment: Range<usize>, end: usize) {
        self.allowed.push(Allowed { code, range: comment.start..end, comment, used: false });
    }

    /// Whether a code that is about the whole article is silenced anywhere in it.
    pub(super) fn allows(&mut self, code: Code) -> bool {
        let all = self.allowed.iter_mut().filter(|allowed| allowed.code == code);
        all.map(|allowed| allowed.used = true).count() > 0
    }

    /// Takes away what is silenced, and names what silences nothing.
    pub(super) fn settle(&mut self) {
        let errors = self.any_error();
        let allowed = &mut self.allowed;
        self.found.retain(|finding| {
            let error = finding.code.info().severity == Severity::Error;
            let mut silenced = false;
            for allow in allowed.iter_mut().filter(|allow| allow.code == finding.code && !error) {
                if allow.range.contains(&finding.range.start) {
                    (allow.used, silenced) = (true, true);
                }
            }
            !silenced
        });
        // What is not read any more because of an error may be what a comment is about.
        for allow in std::mem::take(&mut self.allowed).into_iter().filter(|allow| !allow.used && !errors) {
            let message = say!("`lint-allow {code}` has no effect", code = allow.code.info().id);
            let help = say!("remove it, or put it directly before the block it applies to");
            self.add(Code::UnusedLintAllow, allow.comment, message, help);
        }
    }

    pub(super) fn any_error(&self) -> bool {
        self.error
    }

    /// Whether a finding with this code is not told any more, and need not be worded.
    pub(super) fn is_full(&self, code: Code) -> bool {
        // Enough is enough, as long as what is wrong stays wrong.
        let error = code.info().severity == Severity::Error;
        self.found.len() >= limits::ARTICLE_FINDINGS_MAX && (!error || self.error)
    }

    /// Hands out what is not silenced, in the order of the text; gives where in the text each of it begins.
    pub(super) fn report(mut self, place: &dyn Fn(Range<usize>) -> Span) -> Vec<(usize, Diagnostic)> {
        self.found.sort_by_key(|finding| finding.range.start);
        let told = self.found.into_iter().map(|Finding { code, range, message, help }| {
            (range.start, Diagnostic::new(code, place(range), message).help(help))
        });
        told.collect()
    }
}

/// What a container holds before its tags are paired: raw tags are events of their own in Markdown.
#[derive(Debug)]
pub(super) enum Item {
    Node(Node),
    Open(Element, Range<usize>),
    Close(String, Range<usize>),
}

/// Pairs tags. Unpaired ones are errors; what comes out then only serves to find more.
pub(super) fn pair(items: Vec<Item>, depth: usize, findings: &mut Findings) -> Vec<Node> {
    let mut open: Vec<(Element, Range<usize>)> = Vec::new();
    let mut nodes: Vec<Node> = Vec::new();
    for item in items {
        match item {
            Item::Node(node) => open.last_mut().map_or(&mut nodes, |(element, _)| &mut element.children).push(node),
            Item::Open(element, range) => {
                if depth + open.len() >= limits::ARTICLE_DEPTH_MAX {
                    findings.too_deep(range);
                } else {
                    open.push((element, range));
                }
            }
            Item::Close(tag, range) => {
                match open.last() {
                    Some((element, _)) if element.tag == tag => {}
                    // What is too deep was not opened: its end is no finding of its own.
                    _ if findings.too_deep => continue,
                    Some((element, _)) if open.iter().any(|(element, _)| element.tag == tag) => {
                        let message = say!("`</{tag}>` comes before `</{inner}>`", tag = &tag, inner = &element.tag);
                        let help = say!("write `</{tag}>` before it: close tags in reverse order", tag = &element.tag);
                        findings.add(Code::UnbalancedTag, range.clone(), message, help);
                    }
                    _ => {
                        let message = say!("`</{name}>` closes nothing", name = &tag);
                        let help = say!("remove it, or write `<{name}>` before it in the same block", name = tag);
                        findings.add(Code::UnbalancedTag, range, message, help);
                        continue;
                    }
                }
                while let Some((element, start)) = open.pop() {
                    let found = element.tag == tag;
                    let node = Node::element(start.start..range.end, element);
                    open.last_mut().map_or(&mut nodes, |(element, _)| &mut element.children).push(node);
                    if found {
                        break;
                    }
                }
            }
        }
    }
    while let Some((element, range)) = open.pop() {
        if findings.is_full(Code::UnbalancedTag) {
            let node = Node::element(range, element);
            open.last_mut().map_or(&mut nodes, |(element, _)| &mut element.children).push(node);
            continue;
        }
        let message = say!("`<{name}>` is never closed", name = &element.tag);
        let help = say!("write `</{name}>` where it ends, in the same paragraph, item or quote", name = &element.tag);
        findings.add(Code::UnbalancedTag, range.clone(), message, help);
        let node = Node::element(range, element);
        open.last_mut().map_or(&mut nodes, |(element, _)| &mut element.children).push(node);
    }
    nodes
}

/// A tag that another must not hold.
pub(super) fn not_inside(tag: &str, inside: &str) -> Phrase {
    say!("`<{tag}>` is not allowed inside `<{inside}>`", tag, inside)
}

/// Checks what stands in what, and finds what silenced codes apply to.
pub(super) fn check(nodes: &[Node], parent: Option<&str>, inline: bool, findings: &mut Findings) {
    let content = parent.and_then(rule).map_or(Content::Flow, |tag| tag.content);
    // For each node what shows something and follows it; only silences ask for it.
    let mut following = Vec::new();
    if nodes.iter().any(|node| matches!(node.kind, Kind::Allow(_))) {
        let mut next = None;
        for node in nodes.iter().rev() {
            following.push(next);
            next = if node.is_blank() { next } else { Some(node) };
        }
        following.reverse();
    }
    for (at, node) in nodes.iter().enumerate() {
        match &node.kind {
            Kind::Element(element) => {
                let tag = element.tag.as_str();
                let Some(rule) = rule(tag) else { continue };
                let inside = parent.unwrap_or_default();
                if let Some(parents) = &rule.parents
                    && !parents.iter().any(|name| name == inside)
                {
                    let parents: Vec<String> = parents.iter().map(|name| format!("<{name}>")).collect();
                    let help = say!("put it directly in {parents}", parents = one_of(&parents));
                    let message = say!("`<{tag}>` is not allowed here", tag);
                    findings.add(Code::MisplacedTag, node.range.clone(), message, help);
                } else if (inline || content == Content::Inline) && rule.block() {
                    let help = say!("close the paragraph or tag before it");
                    findings.add(Code::MisplacedTag, node.range.clone(), not_inside(tag, inside), help);
                } else if !content.holds(tag) {
                    let message = say!("`<{tag}>` is not allowed directly inside `<{inside}>`", tag, inside);
                    findings.add(Code::MisplacedTag, node.range.clone(), message, content.instead());
                }
                check(&element.children, Some(tag), inline || rule.content == Content::Inline, findings);
            }
            Kind::Note(_, children) => check(children, None, false, findings),
            Kind::Text(_) if !node.is_blank() && content.only_tags() => {
                let inside = parent.unwrap_or_default();
                let message = say!("text is not allowed directly inside `<{inside}>`", inside);
                findings.add(Code::MisplacedTag, node.range.clone(), message, content.instead());
            }
            Kind::Code { .. } if inline || !matches!(content, Content::Flow) => {
                let inside = parent.unwrap_or_default();
                let message = say!("a code block is not allowed inside `<{inside}>`", inside);
                findings.add(Code::MisplacedTag, node.range.clone(), message, say!("close the tag before it"));
            }
            Kind::Allow(code) => {
                let block = following.get(at).copied().flatten();
                // Inside of a paragraph: for what is left of it.
                let end = if block.is_some_and(|block: &Node| block.is_block()) { block } else { nodes.last() };
                findings.allow(*code, node.range.clone(), end.map_or(node.range.end, |node| node.range.end));
            }
            Kind::Text(_) | Kind::Code { .. } | Kind::NoteReference(_) => {}
        }
    }
}
