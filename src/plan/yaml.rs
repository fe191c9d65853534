//! YAML text to a value and an index from JSON pointer to places. Only this module and `layout` know the YAML parser.
//!
//! One pass builds both, so a value and its place cannot disagree. The types of plain scalars are serde_yaml's:
//! `no`, `on` and `017` stay words.

use std::{borrow::Cow, collections::HashMap};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

use super::mend;
use crate::{
    diag::{
        Code, Diagnostic, Diagnostics,
        source::{FileId, SourceMap, Span, code_point},
    },
    limits,
    locale::{Count, Phrase, say},
};

/// The places of one node, and of those in it: in the order of its members or items.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key, if the node is the value of one.
    pub(crate) key: Option<Span>,
    /// The value.
    pub(crate) value: Span,
    /// How a scalar is written, for places inside it.
    style: Option<ScalarStyle>,
    inside: Vec<Entry>,
}

impl Entry {
    pub(crate) fn new(key: Option<Span>, value: Span) -> Self {
        Self { key, value, style: None, inside: Vec::new() }
    }

    /// Adds a member to a mapping of which this is the entry; a name with a dot is that of a member of a member.
    pub(crate) fn put(&mut self, members: &mut Map<String, Value>, name: &str, value: Value, key: &Span, at: &Span) {
        let Some((owner, inner)) = name.split_once('.') else {
            let items = value.as_array().map_or(0, Vec::len);
            let inside = vec![Self::new(None, at.clone()); items];
            members.insert(name.to_owned(), value);
            self.inside.push(Self { inside, ..Self::new(Some(key.clone()), at.clone()) });
            return;
        };
        if !members.contains_key(owner) {
            members.insert(owner.to_owned(), Value::Object(Map::new()));
            self.inside.push(Self::new(Some(key.clone()), at.clone()));
        }
        let place = members.keys().position(|known| known == owner);
        if let (Some(Value::Object(members)), Some(place)) = (members.get_mut(owner), place) {
            self.inside[place].put(members, inner, value, key, at);
        }
    }

    /// The members of a mapping of which this is the entry, and that stand at no other place.
    pub(crate) fn fill(&mut self, members: &Map<String, Value>) {
        for value in members.values() {
            let mut entry = Self::new(None, self.value.clone());
            match value {
                Value::Object(members) => entry.fill(members),
                Value::Array(items) => entry.inside = vec![Self::new(None, self.value.clone()); items.len()],
                _ => {}
            }
            self.inside.push(entry);
        }
    }

    /// Adds the places of a member of another document.
    pub(crate) fn take(&mut self, document: &Document, pointer: &str) {
        self.inside.push(document.find(pointer).0.clone());
    }
}

/// A parsed YAML file.
#[derive(Debug)]
pub struct Document {
    /// The file.
    pub(crate) file: FileId,
    /// Its value.
    pub value: Value,
    /// Its places.
    places: Entry,
}

impl Document {
    /// A value whose parts stand at those places.
    pub(crate) fn of_value(file: FileId, value: Value, places: Entry) -> Self {
        Self { file, value, places }
    }

    /// A mapping with a list, whose items stand at those places.
    pub(crate) fn of_items(file: FileId, name: &str, items: Vec<Value>, places: Vec<Entry>) -> Self {
        let all = || Entry::new(None, Span::new(file, 0..0));
        let value = Value::Object(Map::from_iter([(name.to_owned(), Value::Array(items))]));
        Self { file, value, places: Entry { inside: vec![Entry { inside: places, ..all() }], ..all() } }
    }

    /// The entry at a pointer, or at its nearest ancestor; and whether it is the one at the pointer.
    fn find(&self, pointer: &str) -> (&Entry, bool) {
        let (mut value, mut entry) = (&self.value, &self.places);
        for part in pointer.split('/').skip(1) {
            let name =
                if part.contains('~') { part.replace("~1", "/").replace("~0", "~").into() } else { Cow::from(part) };
            let next = match value {
                Value::Object(members) => members.iter().position(|(key, _)| *key == name).zip(members.get(&*name)),
                Value::Array(items) => name.parse().ok().and_then(|at: usize| Some((at, items.get(at)?))),
                _ => None,
            };
            match next.and_then(|(at, value)| Some((value, entry.inside.get(at)?))) {
                Some(next) => (value, entry) = next,
                None => return (entry, false),
            }
        }
        (entry, true)
    }

    /// The place of the value at a pointer (or of its nearest ancestor).
    pub fn span(&self, pointer: &str) -> Span {
        self.find(pointer).0.value.clone()
    }

    /// The place of the key at a pointer; its value where it has no key.
    pub fn key_span(&self, pointer: &str) -> Span {
        let (entry, exact) = self.find(pointer);
        entry.key.clone().filter(|_| exact).unwrap_or_else(|| entry.value.clone())
    }

    /// The numbers at a pointer and below it, as they are written, with their places.
    pub(crate) fn numbers<'s>(&self, sources: &'s SourceMap, pointer: &str) -> Vec<(&Number, &'s str, Span)> {
        let mut found = Vec::new();
        let (entry, exact) = self.find(pointer);
        let mut open: Vec<(&Value, &Entry)> =
            self.value.pointer(pointer).filter(|_| exact).map(|value| (value, entry)).into_iter().collect();
        while let Some((value, entry)) = open.pop() {
            match value {
                // An alias is written where its anchor is.
                Value::Number(number) => {
                    let written = &sources.file(self.file).text[entry.value.start..entry.value.end];
                    if !written.starts_with('*') {
                        found.push((number, written, entry.value.clone()));
                    }
                }
                Value::Array(items) => open.extend(items.iter().zip(&entry.inside)),
                Value::Object(members) => open.extend(members.values().zip(&entry.inside)),
                Value::Null | Value::Bool(_) | Value::String(_) => {}
            }
        }
        found
    }

    /// The texts at a pointer and below it that ` #` ends. `sent` says whether followers read what stands at the pointer; of
    /// what they do not read, only a `#` without a space after it is no comment.
    pub(crate) fn cut_short(&self, sources: &SourceMap, pointer: &str, sent: bool) -> Vec<Diagnostic> {
        const SENT: &[&str] =
            &["text", "title", "digest", "author", "content", "introduction", "recommend", "vars", "foreach"];
        const WORDS: &[&str] = &[
            "action",
            "kind",
            "type",
            "token",
            "until",
            "links",
            "on_audience_change",
            "env",
            "appid",
            "secret",
            "access_token",
            "component",
            "proxy",
            "callback",
        ];
        let (entry, exact) = self.find(pointer);
        let text = &sources.file(self.file).text;
        let mut open: Vec<(&Value, &Entry, &str, bool)> = Vec::new();
        open.extend(self.value.pointer(pointer).filter(|_| exact).map(|value| (value, entry, "", sent)));
        let mut found = Vec::new();
        while let Some((value, entry, key, sent)) = open.pop() {
            match value {
                Value::Array(items) => {
                    open.extend(items.iter().zip(&entry.inside).map(|(item, inner)| (item, inner, key, sent)));
                }
                Value::Object(members) => {
                    let inner =
                        members.iter().zip(&entry.inside).filter(|((key, _), _)| !WORDS.contains(&key.as_str()));
                    open.extend(inner.map(|((key, value), inner)| {
                        (value, inner, key.as_str(), sent || SENT.contains(&key.as_str()))
                    }));
                }
                Value::String(_) if entry.style == Some(ScalarStyle::Plain) => {
                    found.extend(self.comment(text, &entry.value, key, sent));
                    found.extend(self.quotes(text, &entry.value, key).filter(|_| sent));
                }
                _ => {}
            }
        }
        found.sort_by_key(|found: &Diagnostic| found.primary.as_ref().map(|label| label.span.start));
        found
    }

    /// The quotation marks of a Chinese keyboard around a plain scalar.
    fn quotes(&self, text: &str, scalar: &Span, key: &str) -> Option<Diagnostic> {
        let value = text[scalar.start..scalar.end].trim();
        let (open, close) = (value.chars().next()?, value.chars().next_back()?);
        let marks = ['“', '”', '‘', '’', '＂', '＇'];
        let inner = value.strip_prefix(open)?.strip_suffix(close)?;
        if !marks.contains(&open) || !marks.contains(&close) || inner.contains(marks) || inner.contains('\n') {
            return None;
        }
        let message = say!("the Chinese quotation marks around this value are part of the text");
        let line = format!("{key}{}\"{inner}\"", if key.is_empty() { "" } else { ": " });
        let place = Span::new(self.file, scalar.start..scalar.start + open.len_utf8());
        Some(Diagnostic::new(Code::ChineseQuotes, place, message).help(say!("write `{line}`", line)))
    }

    /// The comment that ends a plain scalar.
    fn comment(&self, text: &str, scalar: &Span, key: &str, sent: bool) -> Option<Diagnostic> {
        let value = text[scalar.start..scalar.end].trim_end_matches([' ', '\t']);
        let end = scalar.start + value.len();
        let line = text[end..].split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let comment = line.trim_start_matches([' ', '\t']);
        let words = comment.strip_prefix('#').filter(|_| comment.len() < line.len())?;
        if value.starts_with('*') || !(sent || words.starts_with(|c: char| !c.is_whitespace() && c != '#')) {
            return None;
        }
        let start = end + line.len() - comment.len();
        let place = Span::new(self.file, start..start + comment.len());
        let message = say!("the value ends here: ` #` begins a comment");
        let whole = format!(
            "{key}{}\"{}\"",
            if key.is_empty() { "" } else { ": " },
            text[scalar.start..start + comment.len()].replace('"', "\\\"")
        );
        let help = if whole.contains('\n') {
            say!("put quotes around the whole value")
        } else {
            say!("if it belongs to the text, write `{line}`", line = whole)
        };
        Some(
            Diagnostic::new(Code::CutShort, place, message)
                .help(help)
                .help(say!("if not, put the comment on a line of its own")),
        )
    }

    /// A plain scalar as it is written: `1e5`, and not the number that it is read as.
    pub(crate) fn written<'s>(&self, sources: &'s SourceMap, pointer: &str) -> Option<&'s str> {
        let (entry, exact) = self.find(pointer);
        let plain = exact && entry.style == Some(ScalarStyle::Plain);
        let written = sources.file(self.file).text.get(entry.value.start..entry.value.end)?;
        Some(written).filter(|written| plain && !written.starts_with('*'))
    }

    /// The place of a range of the decoded text of the scalar at a pointer.
    pub fn span_in(&self, sources: &SourceMap, pointer: &str, range: std::ops::Range<usize>) -> Span {
        let (entry, exact) = self.find(pointer);
        let text = self.value.pointer(pointer).and_then(Value::as_str).filter(|_| exact);
        let Some((style, text)) = entry.style.zip(text) else { return entry.value.clone() };
        let raw = Raw { source: &sources.file(self.file).text, span: &entry.value, style };
        let start = raw.place(text, range.start);
        let end = raw.place(text, range.end).max(start);
        Span::new(self.file, start..end)
    }
}

/// Escapes a key for a JSON pointer (RFC 6901).
pub fn escape(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) { key.replace('~', "~0").replace('/', "~1").into() } else { key.into() }
}

/// The value and places of a YAML text; findings that leave a value (duplicate keys) do not stop the reading.
pub fn parse(file: FileId, sources: &SourceMap, diagnostics: &mut Diagnostics) -> Option<Document> {
    let text = &sources.file(file).text;
    let mut reader = Reader {
        file,
        text,
        parser: Parser::new_from_str_with_options(text, options()),
        anchors: HashMap::new(),
        nodes: 0,
        bytes: 0,
        copied: 0,
        copied_bytes: 0,
        depth: 0,
        diagnostics,
    };
    match reader.document() {
        Ok(read) => read.map(|(value, places)| Document { file, value, places }),
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            None
        }
    }
}

fn options() -> granit_parser::Options {
    granit_parser::options! {
        block_scalar_eof_without_line_feed: true,
        emit_comments: false,
        block_nesting_limit: limits::YAML_DEPTH_MAX,
        flow_nesting_limit: limits::YAML_DEPTH_MAX,
    }
}

/// Where a text is no YAML any more; none if it is to its end.
fn first_error(text: &str) -> Option<usize> {
    let mut parser = Parser::new_from_str_with_options(text, options());
    loop {
        match parser.next_event()? {
            Ok((Event::StreamEnd, _)) => return None,
            Ok(_) => {}
            Err(error) => return Some(error.marker().byte_offset().unwrap_or(0)),
        }
    }
}

struct Reader<'a> {
    file: FileId,
    text: &'a str,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Anchored>,
    /// Nodes so far, and bytes of text in them; those that aliases expanded to included.
    nodes: usize,
    bytes: usize,
    /// Nodes that anchors and aliases have copied, and bytes of text in them.
    copied: usize,
    copied_bytes: usize,
    depth: usize,
    diagnostics: &'a mut Diagnostics,
}

struct Anchored {
    value: Value,
    inside: Vec<Entry>,
    /// How many nodes it is, itself included, and how many bytes of text.
    nodes: usize,
    bytes: usize,
}

type Read<T> = Result<T, Box<Diagnostic>>;

impl<'a> Reader<'a> {
    fn document(&mut self) -> Read<Option<(Value, Entry)>> {
        let mut value = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(value),
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if value.is_none() => {}
                Event::DocumentStart(..) => {
                    let what = say!("a plan cannot have a second document in the same file");
                    return Err(self.unsupported(&span, what).help(say!("keep one plan per file")).into());
                }
                event => value = Some(self.node(event, &span, None)?),
            }
        }
    }

    fn next(&mut self) -> Read<(Event<'a>, Span)> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.span(&span))),
            Some(Err(error)) => {
                let marker = error.marker();
                let at = marker.byte_offset().unwrap_or(0).min(self.text.len());
                let at = self.text.floor_char_boundary(at);
                let too_deep = matches!(error.kind(), ErrorKind::RecursionLimitExceeded);
                Err(if too_deep { self.too_deep(at) } else { self.syntax_error(at, syntax(error.kind())) }.into())
            }
            None => Ok((Event::StreamEnd, Span::new(self.file, self.text.len()..self.text.len()))),
        }
    }

    fn syntax_error(&self, at: usize, why: Phrase) -> Diagnostic {
        let end = self.text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
        if let Some(slip) = mend::find(self.text, at, &first_error) {
            let (place, why) = match slip.place {
                Some((place, what)) => (place, what),
                None => (at..end, why),
            };
            let message = say!("invalid YAML: {why}", why);
            return Diagnostic::new(Code::YamlSyntax, Span::new(self.file, place), message).help(slip.help);
        }
        let diagnostic =
            Diagnostic::new(Code::YamlSyntax, Span::new(self.file, at..end), say!("invalid YAML: {why}", why));
        let line = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let indent =
            &self.text[line..][..self.text[line..].len() - self.text[line..].trim_start_matches([' ', '\t']).len()];
        if indent.contains('\t') {
            diagnostic.help(say!("indent with spaces; YAML does not allow tabs"))
        } else if self.text[line..].lines().next().is_some_and(|line| line.contains(": {{") || line.contains("- {{")) {
            diagnostic.help(quote_templates())
        } else {
            diagnostic.help(say!("check the indentation, quotes and colons of this line and the one before it"))
        }
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        let range = span.byte_range().unwrap_or(0..0);
        Span::new(self.file, range.start.min(self.text.len())..range.end.min(self.text.len()))
    }

    fn unsupported(&self, span: &Span, what: Phrase) -> Diagnostic {
        Diagnostic::new(Code::UnsupportedYaml, span.clone(), what)
    }

    fn node(&mut self, event: Event<'a>, span: &Span, key: Option<Span>) -> Read<(Value, Entry)> {
        self.count(1, 0, span)?;
        let before = (self.nodes, self.bytes);
        let mut entry = Entry::new(key, span.clone());
        let (anchor, value) = match event {
            Event::Alias(id) => return self.alias(id, span, entry),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span)?;
                entry.style = Some(style);
                self.refuse_control(&text, span)?;
                self.count(0, text.len(), span)?;
                (anchor, scalar(text.as_ref(), style))
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span)?;
                (anchor, self.sequence(&mut entry)?)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span)?;
                (anchor, self.mapping(&mut entry)?)
            }
            _ => return Err(self.syntax_error(span.start, say!("a value is missing here")).into()),
        };
        if anchor > 0 {
            let (nodes, bytes) = (self.nodes - before.0 + 1, self.bytes - before.1);
            self.copy(nodes, bytes, span)?;
            self.anchors.insert(anchor, Anchored { value: value.clone(), inside: entry.inside.clone(), nodes, bytes });
        }
        Ok((value, entry))
    }

    /// Counts what is read; a text of a few bytes can be many values.
    fn count(&mut self, nodes: usize, bytes: usize, span: &Span) -> Read<()> {
        self.nodes += nodes;
        self.bytes += bytes;
        if self.nodes > limits::YAML_NODES_MAX {
            let message = say!("the file has more than {values} values", values = Count::from(limits::YAML_NODES_MAX));
            let help = say!("split the plan, or move rows to a data file");
            return Err(self.too_complex(span, message).help(help).into());
        }
        Ok(())
    }

    /// Counts what an anchor or an alias is about to copy: each may hold others.
    fn copy(&mut self, nodes: usize, bytes: usize, span: &Span) -> Read<()> {
        self.copied += nodes;
        self.copied_bytes += bytes;
        let (values, text) = (limits::YAML_COPIED_MAX, limits::YAML_COPIED_BYTES_MAX);
        let message = if self.copied > values {
            say!("anchors and aliases copy more than {values} values", values = Count::from(values))
        } else if self.copied_bytes > text {
            say!("anchors and aliases copy more than {bytes} bytes of text", bytes = Count::from(text))
        } else {
            return Ok(());
        };
        Err(self.too_complex(span, message).help(say!("write the values without aliases")).into())
    }

    fn too_complex(&self, span: &Span, message: Phrase) -> Diagnostic {
        Diagnostic::new(Code::TooComplex, span.clone(), message)
    }

    /// An escape can write what a file may not hold.
    fn refuse_control(&self, text: &str, span: &Span) -> Read<()> {
        match crate::diag::source::find_control(text) {
            None => Ok(()),
            Some((_, c)) => {
                let character = code_point(c);
                let message = say!("the text contains the control character {character}", character);
                Err(Diagnostic::new(Code::ControlCharacter, span.clone(), message).help(say!("remove it")).into())
            }
        }
    }

    fn refuse_tag(&self, tagged: bool, span: &Span) -> Read<()> {
        if tagged {
            let what = say!("a plan cannot have YAML tags (`!...`)");
            return Err(self.unsupported(span, what).help(say!("write the plain value")).into());
        }
        Ok(())
    }

    /// An alias is its anchor's value again; places inside it are the anchor's.
    fn alias(&mut self, id: usize, span: &Span, mut entry: Entry) -> Read<(Value, Entry)> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(self.unsupported(span, say!("an alias cannot be inside its own anchor")).into());
        };
        let (nodes, bytes) = (anchored.nodes, anchored.bytes);
        self.copy(nodes, bytes, span)?;
        self.count(nodes, bytes, span)?;
        let anchored = &self.anchors[&id];
        entry.inside.clone_from(&anchored.inside);
        Ok((anchored.value.clone(), entry))
    }

    fn sequence(&mut self, entry: &mut Entry) -> Read<Value> {
        let mut items = Vec::new();
        self.descend(&entry.value)?;
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                entry.value.end = span.end.max(entry.value.start);
                self.depth -= 1;
                return Ok(Value::Array(items));
            }
            let (item, places) = self.node(event, &span, None)?;
            items.push(item);
            entry.inside.push(places);
        }
    }

    /// The parser's limits count flow and block nesting apart; a mix of both is counted here.
    fn descend(&mut self, span: &Span) -> Read<()> {
        self.depth += 1;
        if self.depth > limits::YAML_DEPTH_MAX {
            return Err(self.too_deep(span.start).into());
        }
        Ok(())
    }

    fn too_deep(&self, at: usize) -> Diagnostic {
        let message = say!("the plan is nested more than {levels} levels deep", levels = limits::YAML_DEPTH_MAX);
        self.too_complex(&Span::new(self.file, at..at + 1), message)
    }

    fn mapping(&mut self, entry: &mut Entry) -> Read<Value> {
        let mut members = Map::new();
        self.descend(&entry.value)?;
        loop {
            let (event, key_span) = self.next()?;
            let key = match event {
                Event::MappingEnd => {
                    entry.value.end = key_span.end.max(entry.value.start);
                    self.depth -= 1;
                    return Ok(Value::Object(members));
                }
                Event::Scalar(text, ..) => {
                    self.refuse_control(&text, &key_span)?;
                    self.count(0, text.len(), &key_span)?;
                    text.into_owned()
                }
                _ => {
                    let diagnostic = self.unsupported(&key_span, say!("a key must be plain text"));
                    // `text: {{ x }}` is a mapping in a mapping to YAML.
                    let template = self.text[..=key_span.start.min(self.text.len() - 1)].ends_with("{{");
                    return Err(if template { diagnostic.help(quote_templates()) } else { diagnostic }.into());
                }
            };
            if key == "<<" {
                let help = say!("write the keys themselves, or use `defaults` or `vars`");
                return Err(self
                    .unsupported(&key_span, say!("a plan cannot use the merge key `<<`"))
                    .help(help)
                    .into());
            }
            let (event, span) = self.next()?;
            let (value, places) = self.node(event, &span, Some(key_span.clone()))?;
            if members.contains_key(&key) {
                let at = members.keys().position(|known| *known == key);
                let duplicate =
                    Diagnostic::new(Code::DuplicateKey, key_span.clone(), say!("duplicate key `{key}`", key));
                let first = at.and_then(|at| entry.inside[at].key.clone()).unwrap_or(key_span);
                let duplicate = duplicate.label(say!("again")).related(first, say!("first here"));
                self.diagnostics.push(duplicate.help(say!("remove one of the two")));
                if self.diagnostics.is_full() {
                    return Err(self.too_complex(&span, say!("the rest is not checked")).into());
                }
            } else {
                members.insert(key, value);
                entry.inside.push(places);
            }
        }
    }
}

fn quote_templates() -> Phrase {
    say!("quote values that start with a template: \"{{{{ ... }}}}\"")
}

/// Why a text is not YAML. The parser has its own sentences, in the words of its code and in English alone.
fn syntax(kind: &ErrorKind) -> Phrase {
    use ErrorKind as Kind;
    match kind {
        Kind::UnclosedFlowCollection { open } => say!("`{open}` is not closed", open = *open),
        Kind::UnexpectedEofFlowSequence => say!("`{open}` is not closed", open = '['),
        Kind::UnexpectedEofFlowMapping | Kind::UnexpectedEofImplicitFlowMapping => {
            say!("`{open}` is not closed", open = '{')
        }
        Kind::ExpectedFlowSequenceSeparator => say!("`,` or `]` is missing"),
        Kind::ExpectedFlowMappingSeparator => say!("`,` or `}}` is missing"),
        Kind::MismatchedFlowCollectionEnd { open, close } => {
            say!("`{open}` is closed by `{close}`", open = *open, close = *close)
        }
        Kind::MisplacedFlowCollectionEnd => say!("there is no opening bracket for this one"),
        Kind::UnclosedQuotedScalar | Kind::DocumentIndicatorInQuotedScalar => say!("the quotes are not closed"),
        Kind::InvalidTrailingSingleQuotedScalar | Kind::InvalidTrailingDoubleQuotedScalar => {
            say!("there is text after the closing quote")
        }
        Kind::UnknownQuotedScalarEscape
        | Kind::InvalidQuotedScalarHexEscape
        | Kind::InvalidLowSurrogateHexEscape
        | Kind::InvalidLowSurrogate
        | Kind::MissingLowSurrogate
        | Kind::UnpairedLowSurrogate
        | Kind::InvalidUnicodeEscape => say!("`\\` and what follows it is not a known escape; `\\\\` is a backslash"),
        Kind::TabNotAllowed
        | Kind::TabInBlockIndentation
        | Kind::TabInIndentation
        | Kind::TabAtBlockScalarStart
        | Kind::TabInPlainScalar => say!("there is a tab"),
        Kind::UnexpectedEofBlockMapping | Kind::ExpectedBlockMappingKey => say!("expected a key and `:`"),
        Kind::UnexpectedEofBlockSequence | Kind::ExpectedBlockSequenceEntry => say!("expected a list item with `-`"),
        Kind::InvalidIndentation
        | Kind::InvalidBlockScalarIndent
        | Kind::InvalidQuotedScalarIndent
        | Kind::InvalidFlowScalarIndent => say!("the indentation does not match the lines before"),
        Kind::SimpleKeyExpected | Kind::InvalidSimpleKey => say!("`:` is missing after the key"),
        Kind::InvalidColonPlacement
        | Kind::MappingValueNotAllowed
        | Kind::InvalidMappingValueWhitespace
        | Kind::FlowMappingValueAdjacentCollection => say!("`:` is not allowed here; quote text that contains it"),
        Kind::MappingKeyNotAllowed => say!("a key is not allowed here"),
        Kind::BlockEntryInFlowCollection
        | Kind::BlockSequenceEntryNotAllowed
        | Kind::InvalidBlockEntryWhitespace
        | Kind::PlainScalarStartsWithDashFlowIndicator => say!("`-` is not allowed here"),
        Kind::ExpectedNodeContent | Kind::UnexpectedEndOfPlainScalar => say!("a value is missing here"),
        Kind::UnexpectedCharacter { character } => {
            say!("a value cannot start with `{character}`; quote it", character = *character)
        }
        _ => rare_syntax(kind),
    }
}

/// [`syntax`] of what hardly anybody writes in a plan.
fn rare_syntax(kind: &ErrorKind) -> Phrase {
    use ErrorKind as Kind;
    match kind {
        Kind::UnknownAnchor => say!("there is no anchor of this name before the alias"),
        Kind::MissingAnchorOrAliasName => say!("`&` and `*` need a name; quote text that starts with them"),
        Kind::CommentInterceptedScalar => say!("a comment cannot be inside a value of several lines"),
        Kind::CommentNotSeparated => say!("a space is missing before `#`"),
        Kind::ExpectedWhitespace => say!("a space is missing here"),
        Kind::ZeroBlockScalarIndent | Kind::InvalidBlockScalarHeader => {
            say!("only `+`, `-` or a number can follow `|` and `>` in the same line")
        }
        Kind::ExpectedDocumentStart | Kind::InvalidDocumentEnd | Kind::MissingDocumentEndBeforeDirective => {
            say!("there is text after the end of the document")
        }
        Kind::BomInsideDocument => say!("there is a byte order mark inside the text"),
        Kind::DuplicateVersionDirective
        | Kind::UnsupportedYamlMajorVersion
        | Kind::DuplicateTagDirective
        | Kind::InvalidDirectiveTerminator
        | Kind::MissingYamlVersionSeparator
        | Kind::MissingDirectiveName
        | Kind::InvalidDirectiveName
        | Kind::YamlVersionTooLong
        | Kind::MissingYamlVersion
        | Kind::InvalidTagDirectiveTerminator => {
            say!("the directive (`%...`) is invalid; quote text that starts with `%`")
        }
        Kind::UndeclaredTagHandle
        | Kind::ExpectedTagBang
        | Kind::ExpectedTagDirectiveBang
        | Kind::InvalidGlobalTagCharacter
        | Kind::InvalidTagTerminator
        | Kind::MissingTagUri
        | Kind::UnclosedVerbatimTag
        | Kind::InvalidTagEscape
        | Kind::InvalidTagUtf8LeadingByte
        | Kind::InvalidTagUtf8TrailingByte
        | Kind::InvalidTagUtf8 => say!("the tag (`!...`) is invalid; quote text that starts with `!`"),
        Kind::UnexpectedEof => say!("the file ends too early"),
        _ => say!("this cannot be read"),
    }
}

/// The value of a scalar. Only plain scalars have other types than text, by serde_yaml's rules; most begin with a
/// letter that no number, boolean or null begins with, and are text at once.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    let may_be_typed =
        |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | '~' | 't' | 'T' | 'f' | 'F' | 'n' | 'N');
    if style != ScalarStyle::Plain || !text.chars().next().is_none_or(may_be_typed) || text.contains([' ', '\n']) {
        return Value::String(text.to_owned());
    }
    // The commonest numbers need no parser of YAML: no sign, no leading zero, no chance of an overflow.
    if text.len() < 19 && text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0')) {
        return text.parse::<u64>().map_or_else(|_| Value::String(text.to_owned()), Value::from);
    }
    match serde_yaml::from_str::<Value>(text) {
        // `.inf` and `.nan` are numbers to YAML alone.
        Ok(Value::Null) if text.contains(['i', 'I', 'a', 'A']) => Value::String(text.to_owned()),
        Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

/// The value of a text, typed as YAML types a scalar: in quotes it is text.
pub fn plain(text: &str) -> Value {
    let quoted = text.len() > 1 && ['"', '\''].iter().any(|quote| text.starts_with(*quote) && text.ends_with(*quote));
    match serde_yaml::from_str::<Value>(text) {
        Ok(value @ Value::String(_)) if quoted => value,
        _ => scalar(text, ScalarStyle::Plain),
    }
}

/// A value as YAML takes it: in quotes where it needs them.
pub(crate) fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.trim() == text
        && !text.starts_with(|c: char| "-?:,[]{}#&*!|>'\"%@`".contains(c))
        && !text.ends_with(':')
        && ![": ", " #", "\n", ", ", "{", "}", "[", "]", ","].iter().any(|sign| text.contains(sign))
        && plain(text).is_string();
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

/// A scalar as it is written.
struct Raw<'a> {
    source: &'a str,
    span: &'a Span,
    style: ScalarStyle,
}

impl Raw<'_> {
    /// Where the byte `offset` of the decoded text stands in the source: both are walked side by side.
    fn place(&self, decoded: &str, offset: usize) -> usize {
        let raw = &self.source[self.span.start..self.span.end];
        let quoted = matches!(self.style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
        let line = self.source[..self.span.start].rfind('\n').map_or(0, |newline| newline + 1);
        let block = matches!(self.style, ScalarStyle::Literal | ScalarStyle::Folded);
        let indent = if block { self.source[line..self.span.start].len() } else { usize::MAX };
        let mut at = usize::from(quoted && raw.starts_with(['"', '\'']));
        let mut done = 0;
        while done < offset.min(decoded.len()) {
            let (Some(want), Some(have)) = (decoded[done..].chars().next(), raw[at..].chars().next()) else { break };
            if self.style == ScalarStyle::DoubleQuoted && have == '\\' {
                let escape = raw[at + 1..].chars().next();
                at += match escape {
                    Some('x') => 4,
                    Some('u') => 6,
                    Some('U') => 10,
                    Some(c) => 1 + c.len_utf8(),
                    None => 1,
                };
                at = raw.ceil_char_boundary(at.min(raw.len()));
                if escape == Some('\n') {
                    at += raw[at..].len() - raw[at..].trim_start_matches([' ', '\t']).len();
                } else {
                    done += want.len_utf8();
                }
            } else if self.style == ScalarStyle::SingleQuoted && raw[at..].starts_with("''") {
                at += 2;
                done += 1;
            } else if have == want || (have == '\n' && want == ' ') {
                at += have.len_utf8();
                done += want.len_utf8();
                if have == '\n' {
                    let blanks = raw[at..].len() - raw[at..].trim_start_matches(' ').len();
                    at += blanks.min(indent);
                }
            } else if have.is_whitespace() {
                at += have.len_utf8();
            } else {
                break;
            }
        }
        self.span.start + at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (SourceMap, Option<Document>, Diagnostics) {
        let mut sources = SourceMap::default();
        let file = sources.add("plan.yaml", text.to_owned());
        let mut diagnostics = Diagnostics::default();
        let document = parse(file, &sources, &mut diagnostics);
        (sources, document, diagnostics)
    }

    fn codes(text: &str) -> Vec<Code> {
        read(text).2.iter().map(|d| d.code).collect()
    }

    /// Each way in which a text is no YAML, in our own words.
    #[test]
    fn what_is_wrong_is_said_in_our_own_words() {
        let _heard = crate::locale::tests::heard("plan-yaml-what_is_wrong_is_said_in_our_own_words");
        for text in [
            "a: &\n",
            "a: *\n",
            "a: [1 2, {b: 1} {c: 2}]\n",
            "a: [1 b: 2\n",
            "a: {b: 1 c: 2, [d]: e f: g}\n",
            "a: ]\n",
            "a: 1\n]\n",
            "a: b\n - c\n",
            "a: - b\n",
            "a: [- b]\n",
            "a: [-]\n",
            "a: b\n   c: d\n  e: f\n",
            "a:\n    b: 1\n  c: 2\n",
            "a: |\n    x\n  y\n",
            "a: |x\n  y\n",
            "a: |0\n  y\n",
            "a: > b\n",
            "a: \"x\"#y\n",
            "a: [b]#c\n",
            "a: b\n  # c\n  d\n",
            "a: b # c\n  d\n",
            "a: \"x\"y\n",
            "a\nb: 1\n",
            "a\n",
            "a: 1\nb\nc: 2\n",
            "? a\n: ? b\n",
            "a: ? b\n",
            "a: 1\n...\nb: 2\n",
            "a: 1\n... b\n",
            "a: 1\n%YAML 1.2\n",
            "%YAML\n---\na: 1\n",
            "%YAML 1.2.3.4\n---\na: 1\n",
            "%TAG x\n---\na: 1\n",
            "%YAML 1.2\n%YAML 1.2\n---\na: 1\n",
            "a: %b\n",
            "a: !<b\n",
            "a: !x!b c\n",
            "a: !%zz b\n",
            "a: \u{feff}b\n",
            "a: 1\n\u{feff}b: 2\n",
            "a: 'b\n",
            "a: !\n  b: 1\n c: 2\n",
            "a: [\n",
            "a: {b\n",
            "a: &x &y b\n",
            "a: &x *x\n",
            "a: *nope\n",
            "- a\nb: 1\n",
            "a: 1\n- b\n",
            "a: @b\n",
            "a: {,}\n",
            "a: [,]\n",
            "a: {b: [c}\n",
            "a: 时间 #1\n  二\n",
            "a: b: c\n",
            "a:\n  - b\n c\n",
            "\"a\nb\": 1\n",
            "[a\n]: 1\n",
            "a: b\n\tc: d\n",
            "{a: 1}}\n",
            "--- a: 1\n",
            "a: --- b\n---x\n",
        ] {
            for text in [text.to_owned(), format!("x: [{}", text.trim_end())] {
                let (_, _, found) = read(&text);
                let messages: Vec<String> = found.iter().map(|d| d.message.to_string()).collect();
                assert!(
                    messages.iter().all(|words| !words.contains("while") && !words.contains("expected <")),
                    "{text:?}: {messages:?}"
                );
            }
        }
    }

    #[test]
    fn scalars_are_typed_as_serde_yaml_types_them() {
        let text = "a: no\nb: on\nc: 017\nd: 12\ne: true\nf: ~\ng: 1.5\nh: '12'\ni: 2026-03-01T09:00:00+08:00\nj: -7\nk:\nl: 9007199254740993\nm: 0o17\nn: .5\no: yes\np: 1_000\nq: 12e3\nr: +1\n";
        let ours = read(text).1.expect("parses").value;
        let theirs: Value = serde_yaml::from_str(text).expect("parses");
        assert_eq!(ours, theirs);
        assert_eq!((&ours["a"], &ours["c"]), (&Value::from("no"), &Value::from("017")));
    }

    #[test]
    fn places_are_bytes_after_chinese_text() {
        let (sources, document, _) = read("名称: 春茶\nsteps:\n  - id: 第一\n    text: |\n      你好\n      {{ x }}\n");
        let document = document.expect("parses");
        let text = &sources.file(document.file).text;
        let of = |pointer: &str| {
            let span = document.span(pointer);
            &text[span.start..span.end]
        };
        assert_eq!(of("/名称"), "春茶");
        assert_eq!(of("/steps/0/id"), "第一");
        let inside = document.span_in(&sources, "/steps/0/text", 7..14);
        assert_eq!(&text[inside.start..inside.end], "{{ x }}");
    }

    #[test]
    fn places_inside_every_style_of_scalar() {
        for text in [
            "a: 你好 {{ x }} 完",
            "a: '它''s {{ x }}'",
            "a: \"你\\n\\u4f60\\\"{{ x }}\"",
            "a: >\n  一\n  二 {{ x }}\n",
            "a: |\n  一\n\n    二 {{ x }}\n",
            "a: 一\n  二 {{ x }}",
            "a: \"一\n\n  二 {{ x }}\"",
            "a: |2-\n    一 {{ x }}",
        ] {
            let (sources, document, _) = read(text);
            let document = document.expect("parses");
            let decoded = document.value["a"].as_str().expect("text");
            let at = decoded.find("{{ x }}").expect("there");
            let span = document.span_in(&sources, "/a", at..at + 7);
            assert_eq!(&text[span.start..span.end], "{{ x }}", "in {text:?}");
        }
    }

    #[test]
    fn hostile_input_is_an_error() {
        let bomb: String = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned()
            + &(1..10)
                .map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(",")))
                .collect::<String>();
        assert_eq!(codes(&bomb), [Code::TooComplex]);
        assert_eq!(codes(&"[".repeat(100_000)).len(), 1);
        assert_eq!(codes(&("[".repeat(100) + &"]".repeat(100))), [Code::TooComplex]);
        assert_eq!(codes(&"- ".repeat(20_000)), [Code::TooComplex]);
        assert_eq!(
            codes(&format!(
                "{}{}",
                "- - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - - ",
                "[".repeat(40) + &"]".repeat(40)
            )),
            [Code::TooComplex]
        );
        assert_eq!(codes("a: &a [*a]"), [Code::UnsupportedYaml]);
        assert_eq!(codes("a: 1\n\tb: 2"), [Code::YamlSyntax]);
        assert_eq!(codes("a: !!str 1"), [Code::UnsupportedYaml]);
        assert_eq!(codes("a: 1\n---\nb: 2"), [Code::UnsupportedYaml]);
        assert_eq!(codes("<<: 1"), [Code::UnsupportedYaml]);
        assert_eq!(codes("? [a]\n: 1"), [Code::UnsupportedYaml]);
        assert_eq!(codes("a: 1\na: 2\nb: [}"), [Code::DuplicateKey, Code::YamlSyntax]);
    }

    #[test]
    fn aliases_keep_their_values_and_places() {
        let (_, document, _) = read("a: &x {b: 1}\nc: *x\n");
        let document = document.expect("parses");
        assert_eq!(document.value["c"]["b"], 1);
        assert!(document.find("/c/b").1);
    }
}
