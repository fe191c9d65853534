//! A YAML text as a tree that keeps how it was written: comments, blank lines, quotes, anchors.

use std::collections::VecDeque;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};
use serde_json::Value;

use super::yaml;
use crate::limits;

/// A document.
#[derive(Debug)]
pub(super) struct Tree {
    /// Comments before `---`, or before the first key.
    pub(super) head: Vec<Comment>,
    /// Whether `---` is written, and the comments between it and the first key.
    pub(super) start: Option<Vec<Comment>>,
    /// Whether a blank line stands before the first key.
    pub(super) blank: bool,
    /// The value.
    pub(super) root: Node,
    /// The text of every comment, in order.
    pub(super) comments: Vec<String>,
}

/// A comment on a line of its own.
#[derive(Debug)]
pub(super) struct Comment {
    /// With its `#`.
    pub(super) text: String,
    /// Whether a blank line stands before it.
    pub(super) blank: bool,
}

/// A value.
#[derive(Debug)]
pub(super) struct Node {
    /// Name of its anchor.
    pub(super) anchor: Option<String>,
    /// What it is.
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    /// A plain or quoted scalar: its lines as they are written, and what it says.
    Text { lines: Vec<String>, decoded: String },
    /// A block scalar: `|` or `>`, whether its indentation is written, its chomping, its lines without indentation.
    Block { style: char, indented: bool, chomping: Option<char>, lines: Vec<String> },
    /// The anchor that is meant.
    Alias(String),
    /// A list.
    List(Collection),
    /// A mapping.
    Mapping(Collection),
}

/// A list or a mapping.
#[derive(Debug)]
pub(super) struct Collection {
    /// Written with brackets.
    pub(super) flow: bool,
    /// Its items or members.
    pub(super) items: Vec<Item>,
    /// Comments after the last of them.
    pub(super) foot: Vec<Comment>,
}

impl Collection {
    /// The text of a member.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.items.iter().find(|item| item.name() == name).and_then(|item| match &item.value.kind {
            Kind::Text { decoded, .. } => Some(decoded.as_str()),
            _ => None,
        })
    }
}

/// An item of a list, or a member of a mapping.
#[derive(Debug)]
pub(super) struct Item {
    /// Comments before it.
    pub(super) lead: Vec<Comment>,
    /// Whether a blank line stands right before it.
    pub(super) blank: bool,
    /// The key of a member, and the anchor of the key.
    pub(super) key: Option<Key>,
    /// The value.
    pub(super) value: Node,
    /// The comment on its line.
    pub(super) trail: Option<String>,
}

impl Item {
    /// Without a blank line before it.
    pub(super) fn close_up(&mut self) {
        self.blank = false;
        self.lead.iter_mut().for_each(|comment| comment.blank = false);
    }

    /// The name of a member.
    pub(super) fn name(&self) -> &str {
        self.key.as_ref().map_or("", |key| key.name.as_str())
    }
}

/// The key of a member.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    /// As it is written, with its anchor.
    pub(super) written: String,
}

/// Reads a text that `yaml::parse` has read without a finding, with `\n` at the ends of its lines.
pub(super) fn read(text: &str) -> Option<Tree> {
    let options = granit_parser::options! {
        block_scalar_eof_without_line_feed: true,
        block_nesting_limit: limits::YAML_DEPTH_MAX,
        flow_nesting_limit: limits::YAML_DEPTH_MAX,
        emit_anchor_events: true,
        emit_comments: true,
        max_buffered_comment_events: usize::MAX,
    };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let (mut tokens, mut comments): (VecDeque<Token>, Vec<Remark>) = (VecDeque::new(), Vec::new());
    let mut start = None;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.ok()?;
        let range = span.byte_range()?;
        let (shape, id) = match event {
            Event::StreamEnd => break,
            Event::DocumentStart(explicit, _) => {
                start = explicit.then_some(range.start);
                continue;
            }
            Event::Comment(..) => {
                let before = &text[..range.start];
                let own_line = before[before.rfind('\n').map_or(0, |at| at + 1)..].trim().is_empty();
                let said = text.get(range.clone())?.trim_end().to_owned();
                comments.push(Remark { start: range.start, end: range.end, text: said, own_line });
                continue;
            }
            Event::Anchor(_, name) => {
                tokens.back_mut()?.anchor = Some(name.into_owned());
                continue;
            }
            Event::Alias(_) => (Shape::Alias, 0),
            Event::Scalar(decoded, style, id, _) => (Shape::Scalar { decoded: decoded.into_owned(), style }, id),
            Event::SequenceStart(style, id, _) => (Shape::List { flow: style == StructureStyle::Flow }, id),
            Event::MappingStart(style, id, _) => (Shape::Mapping { flow: style == StructureStyle::Flow }, id),
            Event::SequenceEnd | Event::MappingEnd => (Shape::End, 0),
            _ => continue,
        };
        debug_assert!(id == 0 || !matches!(shape, Shape::Alias | Shape::End));
        tokens.push_back(Token { start: range.start, end: range.end, shape, anchor: None });
    }
    comments.sort_by_key(|comment| comment.start);
    let texts = comments.iter().map(|comment| comment.text.clone()).collect();
    let mut reader = Reader { text, tokens, comments: comments.into(), last: 0, token_end: 0 };
    let first = reader.tokens.front()?.start;
    let head = reader.comments_before(start.unwrap_or(first).min(first));
    let start = start.map(|at| {
        reader.last = reader.last.max(at + "---".len());
        reader.comments_before(first)
    });
    let blank = reader.blank_before(first);
    let mut root = reader.node(0, false)?;
    if let Kind::List(collection) | Kind::Mapping(collection) = &mut root.kind {
        let rest = reader.comments_before(usize::MAX);
        collection.foot.extend(rest);
    }
    Some(Tree { head, start, blank, root, comments: texts })
}

/// An event, but for comments.
struct Token {
    start: usize,
    end: usize,
    shape: Shape,
    anchor: Option<String>,
}

impl Token {
    fn is_block_scalar(&self) -> bool {
        matches!(self.shape, Shape::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. })
    }
}

enum Shape {
    Scalar { decoded: String, style: ScalarStyle },
    Alias,
    List { flow: bool },
    Mapping { flow: bool },
    End,
}

/// A comment that has no place yet.
struct Remark {
    start: usize,
    end: usize,
    text: String,
    own_line: bool,
}

struct Reader<'a> {
    text: &'a str,
    tokens: VecDeque<Token>,
    comments: VecDeque<Remark>,
    /// The end of what was read last.
    last: usize,
    /// The end of the last token, comments left out.
    token_end: usize,
}

impl Reader<'_> {
    fn column(&self, at: usize) -> usize {
        at - self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Where the next token begins; a block scalar with its header.
    fn begin(&self) -> usize {
        let Some(token) = self.tokens.front() else { return self.text.len() };
        let Shape::Scalar { style: style @ (ScalarStyle::Literal | ScalarStyle::Folded), .. } = token.shape else {
            return token.start;
        };
        let sign = if style == ScalarStyle::Literal { '|' } else { '>' };
        // The header is the first sign after the token before it, comments and anchors left out.
        let mut at = self.token_end;
        loop {
            let rest = &self.text[at..];
            match rest.chars().next() {
                Some('#') => at += rest.find('\n').unwrap_or(rest.len()),
                Some('&') => at += rest.find(char::is_whitespace).unwrap_or(rest.len()),
                Some(c) if c != sign => at += c.len_utf8(),
                _ => return at,
            }
        }
    }

    /// Whether a blank line stands between what was read last and `at`; what follows a dash does not count.
    fn blank_before(&self, at: usize) -> bool {
        let gap = self.text.get(self.last..at).unwrap_or_default();
        gap.split(['-', '?', ':']).next().unwrap_or_default().matches('\n').count() > 1
    }

    fn next_comment(&mut self) -> Option<Comment> {
        let blank = self.comments.front().is_some_and(|comment| self.blank_before(comment.start));
        let remark = self.comments.pop_front()?;
        self.last = self.last.max(remark.end);
        Some(Comment { text: remark.text, blank })
    }

    /// All comments before a place.
    fn comments_before(&mut self, at: usize) -> Vec<Comment> {
        let mut taken = Vec::new();
        while self.comments.front().is_some_and(|comment| comment.start < at) {
            taken.extend(self.next_comment());
        }
        taken
    }

    /// The comment that ends the line of what was read last, if one does before `at`.
    fn comment_beside(&mut self, at: usize) -> Option<String> {
        let comment = self.comments.front().filter(|comment| !comment.own_line && comment.start < at)?;
        if self.text.get(self.last..comment.start)?.contains('\n') {
            return None;
        }
        self.next_comment().map(|comment| comment.text)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.pop_front()?;
        // The end of a block is where the next token begins.
        if token.start < token.end {
            self.last = self.last.max(token.end);
            self.token_end = token.end;
        }
        Some(token)
    }

    /// The next value; `column` is where the collection stands that it belongs to, and `keyed` whether it has a key there.
    fn node(&mut self, column: usize, keyed: bool) -> Option<Node> {
        let (last, begin) = (self.last, self.begin());
        let token = self.next()?;
        let anchor = token.anchor;
        let kind = match token.shape {
            Shape::Scalar { decoded, style: style @ (ScalarStyle::Literal | ScalarStyle::Folded) } => {
                self.last = last;
                self.block(begin, token.start..token.end, style, &decoded, column)?
            }
            Shape::Scalar { decoded, style } => {
                Kind::Text { lines: settled(&self.text[token.start..token.end], style, &decoded), decoded }
            }
            Shape::Alias => Kind::Alias(self.text[token.start..token.end].trim_start_matches('*').to_owned()),
            Shape::List { flow } => Kind::List(self.collection(flow, true, token.start, keyed.then_some(column))?),
            Shape::Mapping { flow } => Kind::Mapping(self.collection(flow, false, token.start, None)?),
            Shape::End => return None,
        };
        Some(Node { anchor, kind })
    }

    fn collection(&mut self, flow: bool, list: bool, start: usize, key_column: Option<usize>) -> Option<Collection> {
        let column = match key_column {
            Some(column) if list && !flow => self.dashes(start, column),
            _ => self.column(start),
        };
        let mut items: Vec<Item> = Vec::new();
        loop {
            let next = self.tokens.front()?;
            if matches!(next.shape, Shape::End) {
                break;
            }
            let at = if list { self.begin() } else { next.start };
            let mut lead = self.comments_before(at);
            let blank = self.blank_before(at);
            let mut trail = None;
            let key = if list {
                None
            } else {
                let token = self.next()?;
                let Shape::Scalar { decoded, style } = token.shape else { return None };
                let key = Key::new(&self.text[token.start..token.end], style, decoded, token.anchor);
                let value = self.tokens.front()?;
                let nested = matches!(value.shape, Shape::List { flow: false } | Shape::Mapping { flow: false });
                let empty = value.start == value.end && !value.is_block_scalar();
                let at = self.begin();
                if nested || !empty {
                    trail = self.comment_beside(at);
                }
                if !nested && !empty {
                    lead.extend(self.comments_before(at));
                }
                Some(key)
            };
            if self.tokens.front()?.is_block_scalar() {
                let at = self.begin();
                let line_end = at + self.text[at..].find('\n').unwrap_or(self.text.len() - at);
                for comment in self.comments_before(line_end) {
                    match &trail {
                        None => trail = Some(comment.text),
                        Some(_) => lead.push(comment),
                    }
                }
            }
            let value = self.node(column, !list)?;
            let next = self.begin();
            if let Some(comment) = self.comment_beside(next) {
                match &trail {
                    None => trail = Some(comment),
                    Some(_) => lead.push(Comment { text: comment, blank: false }),
                }
            }
            items.push(Item { lead, blank, key, value, trail });
        }
        let end = self.tokens.front()?.start;
        let foot = if flow { self.comments_before(end) } else { self.foot(column, end) };
        self.next()?;
        // What stands before the first item is not between two of them.
        if let Some(first) = items.first_mut() {
            match first.lead.first_mut() {
                Some(comment) => comment.blank = false,
                None => first.blank = false,
            }
        }
        Some(Collection { flow, items, foot })
    }

    /// The column of the dashes of a block list. The dashes of a list may stand right below its key; the parser then gives the place
    /// of what follows the first dash.
    fn dashes(&self, start: usize, key_column: usize) -> usize {
        let line = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let at_dash = self.text[start..].starts_with('-') && self.text[line..start].trim().is_empty();
        if at_dash { start - line } else { key_column }
    }

    /// Comments at the end of a block that stand as deep as it does, and deeper than what follows.
    fn foot(&mut self, column: usize, end: usize) -> Vec<Comment> {
        let rest = self.text.get(end..).unwrap_or_default();
        let following = if rest.trim().is_empty() { 0 } else { self.column(end) };
        let mut taken = Vec::new();
        while let Some(comment) = self.comments.front().filter(|comment| comment.own_line && comment.start < end) {
            let at = self.column(comment.start);
            if at < column || at <= following {
                break;
            }
            taken.extend(self.next_comment());
        }
        taken
    }

    /// A block scalar whose header is at `at`: its lines, as they are.
    fn block(
        &mut self,
        at: usize,
        span: std::ops::Range<usize>,
        style: ScalarStyle,
        decoded: &str,
        column: usize,
    ) -> Option<Kind> {
        let sign = if style == ScalarStyle::Literal { '|' } else { '>' };
        let header = self.text.get(at..)?.split(char::is_whitespace).next()?;
        let body = at + self.text[at..].find('\n').map_or(self.text.len() - at, |newline| newline + 1);
        let raw = self.text.get(body..span.end.max(body))?;
        // The indentation of what follows is not content.
        let raw = match raw.rsplit_once('\n') {
            Some((lines, rest)) if rest.trim_matches(' ').is_empty() => lines,
            None if raw.trim_matches(' ').is_empty() => "",
            _ => raw,
        };
        let written = header.chars().find(char::is_ascii_digit).and_then(|digit| digit.to_digit(10));
        let indent = match written {
            Some(more) => column + more as usize,
            None => raw
                .lines()
                .find(|line| !line.trim_matches(' ').is_empty())
                .map_or(usize::MAX, |line| line.len() - line.trim_start_matches(' ').len()),
        };
        let mut chomping = header.chars().find(|c| matches!(c, '+' | '-'));
        let mut lines: Vec<String> = match raw {
            "" if span.is_empty() => Vec::new(),
            raw => {
                raw.split('\n').map(|line| line.get(indent.min(line.len())..).unwrap_or_default().to_owned()).collect()
            }
        };
        if chomping != Some('+') {
            while lines.last().is_some_and(String::is_empty) {
                lines.pop();
            }
        }
        // Of blank lines alone only those that are kept say anything.
        if decoded.chars().all(|c| c == '\n') {
            lines = vec![String::new(); decoded.len()];
        }
        // At the end of a file without a line end there is none in the text either.
        if !decoded.is_empty() && !decoded.ends_with('\n') {
            chomping = Some('-');
        }
        // Blank lines after it part it from what follows, unless it keeps them.
        let whole = &self.text[at..span.end.max(body)];
        let said = if chomping == Some('+') { whole } else { whole.trim_end_matches([' ', '\n']) };
        self.last = self.last.max(at + said.len());
        self.token_end = span.end.max(body);
        Some(Kind::Block { style: sign, indented: written.is_some(), chomping, lines })
    }
}

impl Key {
    fn new(raw: &str, style: ScalarStyle, name: String, anchor: Option<String>) -> Self {
        let lines = settled(raw, style, &name);
        let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let written = match lines.as_slice() {
            [line] if line.is_empty() => "~".to_owned(),
            [line] if !block => line.clone(),
            _ => Value::String(name.clone()).to_string(),
        };
        let written = match anchor {
            Some(anchor) => format!("&{anchor} {written}"),
            None => written,
        };
        Self { name, written }
    }
}

/// The lines of a plain or quoted scalar, in double quotes if it has quotes or needs them.
fn settled(raw: &str, style: ScalarStyle, decoded: &str) -> Vec<String> {
    let several = raw.contains('\n');
    match style {
        ScalarStyle::Plain if !several && is_misread(raw) && yaml::plain(raw).is_string() => vec![format!("\"{raw}\"")],
        ScalarStyle::SingleQuoted if !several && !decoded.contains(['"', '\\']) => vec![format!("\"{decoded}\"")],
        _ => {
            let trim = |line: &str| {
                let line = line.trim_start_matches([' ', '\t']);
                let short = line.trim_end_matches([' ', '\t']);
                // A blank may be escaped.
                let escaped = style == ScalarStyle::DoubleQuoted && short.ends_with('\\') && short.len() < line.len();
                line[..short.len() + usize::from(escaped)].to_owned()
            };
            raw.split('\n').map(trim).collect()
        }
    }
}

/// Whether readers of YAML 1.1 take a plain text for a boolean, a number, a time or a merge.
fn is_misread(text: &str) -> bool {
    use std::sync::OnceLock;
    static FORMS: OnceLock<regex_lite::Regex> = OnceLock::new();
    let forms = FORMS.get_or_init(|| {
        let words = "y|Y|n|N|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|null|Null|NULL|=|<<";
        let whole = "0b[01_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*";
        let real = r"(?:[0-9][0-9_]*)?\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.(?:inf|Inf|INF|nan|NaN|NAN)";
        let sixties = r"[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?";
        let time = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)?";
        regex_lite::Regex::new(&format!("^(?:{words}|[-+]?(?:{whole}|{real}|{sixties})|{time})$"))
            .expect("the forms are valid, which a test checks")
    });
    forms.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_misread() {
        for text in [
            "no",
            "on",
            "Y",
            "1_000",
            "0123",
            "089",
            "12:30",
            "1e3",
            ".5",
            "2026-03-01",
            "2026-03-01T09:00:00+08:00",
            "<<",
            "+1",
        ] {
            assert!(is_misread(text), "{text}");
        }
        for text in ["2026-03", "once", "none", "wx0123456789abcdef", "30s", "1.2.3", "a:b", "-", "v1", "上新", "e3"]
        {
            assert!(!is_misread(text), "{text}");
        }
    }
}
