//! Markdown to the tree.

use std::{collections::BTreeMap, ops::Range};

use comrak::{
    Arena, Options,
    nodes::{ListDelimType, ListType, NodeLink, NodeMath, NodeValue, Sourcepos, TableAlignment},
    parse_document,
};

use super::{
    html,
    leftover::{self, ADDRESS, COVER},
    math,
    tree::{Element, Findings, Item, Kind, Node, pair},
};
use crate::{
    diag::{Code, source::reveal},
    limits,
    locale::{Count, say},
    payload,
};

/// The Markdown that articles are written in.
pub(super) fn options(math: bool) -> Options<'static> {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.extension.autolink = true;
    options.extension.footnotes = true;
    options.extension.math_dollars = math;
    options.extension.math_code = math;
    options.extension.highlight = true;
    options.extension.ofm_callouts = true;
    options.extension.ofm_comments = true;
    options.extension.block_directive = true;
    // `**好。**然` is emphasis, though no space follows.
    options.extension.cjk_friendly_emphasis = true;
    // Notes that nothing refers to stay in the tree, so that their loss can be told.
    options.parse.leave_footnote_definitions = true;
    options
}

/// Reads an article that is Markdown.
pub(super) fn read(text: &str, findings: &mut Findings) -> Vec<Node> {
    let arena = Arena::new();
    let mut source = Source::new(text);
    let mut root = parse(&arena, &source.parsed);
    // An address that stands bare in Chinese text ends before the next sign, which the parser does not know.
    for _ in 0..ADDRESS_PASSES {
        let ends = source.address_ends(root);
        if ends.is_empty() {
            break;
        }
        source.end_at(&ends);
        root = parse(&arena, &source.parsed);
    }
    let mut numbers = BTreeMap::new();
    for node in root.descendants() {
        if let NodeValue::FootnoteReference(reference) = &node.data().value {
            numbers.insert(reference.name.to_lowercase(), reference.ix);
        }
    }
    let mut reader = Reader { text, source: &source, findings, numbers, notes: BTreeMap::new(), cells: 0 };
    let mut nodes = reader.children(root, 0);
    nodes.extend(std::mem::take(&mut reader.notes).into_values());
    nodes
}

fn parse<'a>(arena: &'a Arena<'a>, text: &str) -> comrak::Node<'a> {
    if text.contains('$') {
        let parsed = parse_document(arena, text, &options(true));
        let (mut plain, mut formula) = (false, false);
        for node in parsed.descendants() {
            if let NodeValue::Math(math) = &node.data().value {
                let tex = is_formula(math);
                formula |= tex;
                plain |= !tex;
            }
        }
        // `$5 或 $6` is no formula, and what stands between may be emphasis: it is read again without formulas.
        if formula || !plain {
            return parsed;
        }
    }
    parse_document(arena, text, &options(false))
}

fn is_formula(math: &NodeMath) -> bool {
    math.display_math || !math.dollar_math || math::is_tex(&math.literal)
}

/// How often an article is read anew because of addresses.
const ADDRESS_PASSES: usize = 4;
/// Put where an address ends: it shows nothing, and no address goes on behind it.
const END: &str = "<!---->";

/// The text as it is parsed, with ends put behind addresses, and the way back to the article.
struct Source<'t> {
    text: &'t str,
    parsed: String,
    /// Where lines of the parsed text begin.
    lines: Vec<usize>,
    /// Where ends stand in the parsed text, in order.
    ends: Vec<usize>,
}

impl<'t> Source<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, parsed: text.to_owned(), lines: line_starts(text), ends: Vec::new() }
    }

    /// The byte of the parsed text at a place.
    fn at(&self, line: usize, column: usize) -> usize {
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or(self.parsed.len());
        (start + column).min(self.parsed.len())
    }

    /// The byte of the article at a place of the parsed text.
    fn offset(&self, line: usize, column: usize) -> usize {
        let at = self.at(line, column);
        let before = self.ends.partition_point(|end| *end < at);
        let inside = before
            .checked_sub(1)
            .and_then(|last| self.ends.get(last))
            .map_or(0, |last| (last + END.len()).saturating_sub(at));
        (at + inside - before * END.len()).min(self.text.len())
    }

    /// Where bare addresses of the parsed text go on behind a sign of Chinese text.
    fn address_ends(&self, root: comrak::Node<'_>) -> Vec<usize> {
        let mut ends = Vec::new();
        for node in root.descendants() {
            let data = node.data();
            let NodeValue::Link(link) = &data.value else { continue };
            let start = self.at(data.sourcepos.start.line, data.sourcepos.start.column.saturating_sub(1));
            let Some(shown) = bare_address(node, link) else { continue };
            if self.parsed.get(start..).is_some_and(|rest| rest.starts_with(&*shown)) {
                ends.extend(leftover::address_ends(&shown).into_iter().map(|end| start + end));
            }
        }
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    fn end_at(&mut self, ends: &[usize]) {
        let mut parsed = String::with_capacity(self.parsed.len() + ends.len() * END.len());
        let mut all: Vec<usize> =
            self.ends.iter().map(|end| end + ends.partition_point(|new| new <= end) * END.len()).collect();
        let mut from = 0;
        for end in ends {
            parsed.push_str(&self.parsed[from..*end]);
            all.push(parsed.len());
            parsed.push_str(END);
            from = *end;
        }
        parsed.push_str(&self.parsed[from..]);
        all.sort_unstable();
        (self.ends, self.lines, self.parsed) = (all, line_starts(&parsed), parsed);
    }
}

/// The words of a link that is an address and nothing else.
fn bare_address(node: comrak::Node<'_>, link: &NodeLink) -> Option<String> {
    let child = node.first_child().filter(|child| child.next_sibling().is_none())?;
    let data = child.data();
    let NodeValue::Text(text) = &data.value else { return None };
    link.url.ends_with(&**text).then(|| text.to_string())
}

/// Lines as CommonMark ends them: a lone carriage return counts.
fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let ends = |at: &usize| bytes[*at] == b'\n' || (bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
    std::iter::once(0).chain((0..bytes.len()).filter(ends).map(|at| at + 1)).collect()
}

/// Kinds of quotes with a title, and the title of one that has none.
const CALLOUTS: &[(&str, &str)] = &[
    ("note", "注"),
    ("info", "信息"),
    ("todo", "待办"),
    ("tip", "提示"),
    ("hint", "提示"),
    ("important", "重要"),
    ("warning", "警告"),
    ("caution", "注意"),
    ("attention", "注意"),
    ("danger", "危险"),
    ("error", "错误"),
    ("bug", "缺陷"),
    ("failure", "失败"),
    ("success", "成功"),
    ("check", "完成"),
    ("question", "问题"),
    ("faq", "问题"),
    ("example", "示例"),
    ("quote", "引用"),
    ("abstract", "摘要"),
    ("summary", "摘要"),
    ("tldr", "摘要"),
    ("details", "详情"),
];

fn callout_title(kind: &str) -> String {
    let known = CALLOUTS.iter().find(|(name, _)| *name == kind).map(|(_, title)| (*title).to_owned());
    known.unwrap_or_else(|| reveal(kind).replace('-', " "))
}

/// Makes the words of paragraphs bold.
fn stand_out(nodes: &mut [Node]) {
    for node in nodes {
        if let Kind::Element(element) = &mut node.kind
            && element.tag == "p"
        {
            let words = Element::new("strong", std::mem::take(&mut element.children));
            element.children = vec![Node::element(node.range.clone(), words)];
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    source: &'t Source<'t>,
    findings: &'t mut Findings,
    /// Notes by their names in lower case.
    numbers: BTreeMap<String, u32>,
    notes: BTreeMap<u32, Node>,
    /// Cells of tables so far.
    cells: usize,
}

impl Reader<'_> {
    fn offset(&self, line: usize, column: usize) -> usize {
        self.source.offset(line, column)
    }

    fn range(&self, place: Sourcepos) -> Range<usize> {
        let start = self.offset(place.start.line, place.start.column.saturating_sub(1));
        let end = self.offset(place.end.line, place.end.column);
        let start = self.text.floor_char_boundary(start);
        start..self.text.ceil_char_boundary(end.max(start))
    }

    /// One line without its end.
    fn line(&self, line: usize) -> Range<usize> {
        let range = self.offset(line, 0)..self.offset(line + 1, 0);
        range.start..range.start + self.text[range].trim_end_matches(['\n', '\r']).len()
    }

    fn children(&mut self, parent: comrak::Node<'_>, depth: usize) -> Vec<Node> {
        if depth > limits::ARTICLE_DEPTH_MAX {
            let range = self.range(parent.data().sourcepos);
            self.findings.too_deep(range);
            return Vec::new();
        }
        let mut items = Vec::new();
        for node in parent.children() {
            self.node(node, depth, &mut items);
        }
        let mut nodes = pair(items, depth, self.findings);
        html::unify(&mut nodes, self.findings);
        nodes
    }

    #[expect(clippy::too_many_lines, reason = "one arm a kind of node")]
    fn node(&mut self, node: comrak::Node<'_>, depth: usize, items: &mut Vec<Item>) {
        let data = node.data();
        let range = self.range(data.sourcepos);
        if matches!(data.value, NodeValue::Paragraph | NodeValue::Heading(_) | NodeValue::TableCell) {
            self.brackets(node, &range);
            self.leftovers(node, &range);
        }
        let mut element = None;
        match &data.value {
            NodeValue::Text(text) => {
                self.undefined_notes(text, &range);
                let words = reveal(text);
                let exact = self.text.get(range.clone()) == Some(&*words);
                self.findings.words(&words, exact, &range);
                items.push(Item::Node(Node::text(range.clone(), reveal(text))));
            }
            NodeValue::SoftBreak => items.push(Item::Node(Node::text(range.clone(), "\n"))),
            NodeValue::LineBreak => element = Some(Element::new("br", Vec::new())),
            NodeValue::Code(code) => {
                if payload::has_slot(&code.literal) {
                    self.findings.no_slot(range.clone());
                }
                let text = Node::text(range.clone(), reveal(&code.literal));
                element = Some(Element::new("code", vec![text]));
            }
            NodeValue::Math(formula) => {
                if is_formula(formula) {
                    math::unsupported(range.clone(), &formula.literal, self.findings);
                } else {
                    items.push(Item::Node(Node::text(range.clone(), format!("${}$", reveal(&formula.literal)))));
                }
            }
            NodeValue::CodeBlock(block) => {
                if block.fenced && !block.closed {
                    let first = range.start..self.line(data.sourcepos.start.line).end.max(range.start);
                    let help = say!("write the same signs on a line of their own where the code ends");
                    self.findings.add(Code::LeftoverMarkup, first, say!("this code block never ends"), help);
                }
                if payload::has_slot(&block.literal) {
                    self.findings.no_slot(range.clone());
                }
                items.extend(self.code(&block.info, &block.literal, range.clone()));
            }
            NodeValue::HtmlBlock(block) => {
                let map = self.block_map(&block.literal, data.sourcepos.start.line);
                items.extend(html::items(&block.literal, &map, self.findings));
            }
            NodeValue::HtmlInline(literal) => {
                let (start, end) = (range.start, self.text.len());
                let map = |at: usize| self.text.floor_char_boundary((start + at).min(end));
                items.extend(html::items(literal, &map, self.findings));
            }
            NodeValue::FootnoteReference(reference) => {
                items.push(Item::Node(Node { range: range.clone(), kind: Kind::NoteReference(reference.ix) }));
            }
            NodeValue::FootnoteDefinition(definition) => {
                let number = self.numbers.get(&definition.name.to_lowercase()).copied();
                match number.filter(|number| definition.total_references > 0 && !self.notes.contains_key(number)) {
                    Some(number) => {
                        let children = self.children(node, depth + 1);
                        self.notes.insert(number, Node { range: range.clone(), kind: Kind::Note(number, children) });
                    }
                    None => {
                        let message = say!("the footnote `[^{name}]` is never used", name = definition.name.as_str());
                        let help = say!("reference it with `[^{name}]`, or remove it", name = definition.name.as_str());
                        let first = range.start..self.line(data.sourcepos.start.line).end.max(range.start);
                        self.findings.add(Code::LostText, first, message, help);
                    }
                }
            }
            NodeValue::Link(link) => {
                if self.text[..range.start].ends_with('！') && leftover::is_picture(&link.url) {
                    let start = range.start - '！'.len_utf8();
                    let written = self.text.get(range.clone()).unwrap_or_default();
                    let message = say!(
                        "`{text}` is not read as a picture: {why}",
                        text = format!("！{written}"),
                        why = say!("its signs are full-width")
                    );
                    let help = say!("write `{picture}`", picture = format!("!{written}"));
                    self.findings.add(Code::UnreadPicture, start..range.end, message, help);
                    return;
                }
                let children = self.children(node, depth + 1);
                element = Some(Element::new("a", children).with("href", reveal(&link.url), range.clone()));
            }
            NodeValue::Image(link) => {
                let mut alt = String::new();
                for inner in node.descendants().skip(1) {
                    match &inner.data().value {
                        NodeValue::Text(text) => alt.push_str(text),
                        NodeValue::Code(code) => alt.push_str(&code.literal),
                        NodeValue::SoftBreak | NodeValue::LineBreak => alt.push(' '),
                        _ => {}
                    }
                }
                // Obsidian writes a width behind the words.
                if let Some((words, size)) = alt.rsplit_once('|')
                    && !size.is_empty()
                    && size.chars().all(|c| c.is_ascii_digit() || c == 'x')
                {
                    alt.truncate(words.trim_end().len());
                }
                let image = Element::new("img", Vec::new()).with("src", reveal(&link.url), range.clone());
                element = Some(image.with("alt", reveal(&alt), range.clone()));
            }
            NodeValue::Table(table) => {
                let children = self.table(node, &table.alignments, depth);
                element = Some(Element::new("table", children));
            }
            NodeValue::List(list) => {
                let children = self.children(node, depth + 1);
                let tag = if list.list_type == ListType::Ordered { "ol" } else { "ul" };
                let mut made = Element::new(tag, children).with("start", list.start.to_string(), range.clone());
                made.paren = list.delimiter == ListDelimType::Paren;
                element = Some(made);
            }
            NodeValue::TaskItem(task) => {
                let mut made = Element::new("li", self.children(node, depth + 1));
                made.done = Some(task.symbol.is_some());
                element = Some(made);
            }
            NodeValue::Highlight | NodeValue::Strikethrough | NodeValue::Emph | NodeValue::Strong => {
                let children = self.children(node, depth + 1);
                match self.sign(&data.value, &range) {
                    None => {
                        let (tag, hook) = match &data.value {
                            NodeValue::Highlight => ("span", ".mark"),
                            NodeValue::Strikethrough => ("del", ""),
                            NodeValue::Emph => ("em", ""),
                            _ => ("strong", ""),
                        };
                        let mut made = Element::new(tag, children);
                        made.hook = hook;
                        element = Some(made);
                    }
                    // Signs of a formula or of a span of time, and none of Markdown.
                    Some(sign) => {
                        let (start, end) = (range.start..range.start + sign.len(), range.end - sign.len()..range.end);
                        items.push(Item::Node(Node::text(start, sign)));
                        items.extend(children.into_iter().map(Item::Node));
                        items.push(Item::Node(Node::text(end, sign)));
                    }
                }
            }
            NodeValue::CommentInline(_) | NodeValue::MultilineComment(_) => {
                let closed = !matches!(&data.value, NodeValue::MultilineComment(comment) if !comment.closed);
                let first = range.start
                    ..self.line(data.sourcepos.start.line).end.clamp(range.start, range.end.max(range.start));
                let message = match closed {
                    true => say!("this `%%` comment of Obsidian is left out"),
                    false => say!("this `%%` comment never ends, and what follows is left out"),
                };
                let code = if closed { Code::LeftoverMarkup } else { Code::LostText };
                self.findings.add(code, first, message, say!("write comments as `<!-- ... -->`"));
            }
            NodeValue::Callout(callout) => {
                let title = node.first_child().filter(|child| matches!(child.data().value, NodeValue::CalloutTitle));
                let mut children = match title {
                    Some(title) => self.children(title, depth + 1),
                    None => vec![Node::element(
                        range.clone(),
                        Element::new("p", vec![Node::text(range.clone(), callout_title(&callout.callout_type))]),
                    )],
                };
                stand_out(&mut children);
                for child in node.children().filter(|child| !matches!(child.data().value, NodeValue::CalloutTitle)) {
                    let mut inner = Vec::new();
                    self.node(child, depth + 1, &mut inner);
                    children.extend(pair(inner, depth, self.findings));
                }
                element = Some(Element::new("blockquote", children));
            }
            NodeValue::BlockDirective(directive) => {
                let children = self.children(node, depth + 1);
                let first = range.start..self.line(data.sourcepos.start.line).end.max(range.start);
                element = self.directive(&directive.info, children, &range, first);
            }
            NodeValue::Heading(heading) => {
                element = Some(Element::new(&format!("h{}", heading.level), self.children(node, depth + 1)));
            }
            NodeValue::ThematicBreak => element = Some(Element::new("hr", Vec::new())),
            other => {
                // A comment that stands alone leaves no empty line.
                let comment = |child: comrak::Node<'_>| matches!(child.data().value, NodeValue::CommentInline(_));
                if matches!(other, NodeValue::Paragraph) && node.first_child().is_some() && node.children().all(comment)
                {
                    items.extend(self.children(node, depth + 1).into_iter().map(Item::Node));
                    return;
                }
                let tag = match other {
                    NodeValue::Paragraph => "p",
                    NodeValue::BlockQuote => "blockquote",
                    NodeValue::Item(_) => "li",
                    // No other extension is on; were one, its text would still arrive.
                    _ => "span",
                };
                element = Some(Element::new(tag, self.children(node, depth + 1)));
            }
        }
        items.extend(element.map(|element| Item::Node(Node::element(range, element))));
    }

    /// The sign around a part that is no markup: `a==b 且 c==d`, `9:00~12:00，13:00~18:00`, `2*3*4`.
    fn sign(&self, value: &NodeValue, range: &Range<usize>) -> Option<&'static str> {
        let text = self.text.get(range.clone()).unwrap_or_default();
        if *value == NodeValue::Strikethrough {
            return (text.starts_with('~') && !text.starts_with("~~")).then_some("~");
        }
        let code = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let before = self.text[..range.start].chars().next_back();
        let sign = match value {
            NodeValue::Highlight => "==",
            NodeValue::Emph => "*",
            _ => "**",
        };
        // Stars of a product or of a number that is half hidden: `2*3*4`, `138****1234`.
        let before = code(before) || (sign.starts_with('*') && before == Some('*'));
        (text.starts_with(sign) && text.ends_with(sign) && before && code(text[sign.len()..].chars().next()))
            .then_some(sign)
    }

    /// What VuePress and others write between `:::`: a quote with a title, if it is one.
    fn directive(
        &mut self,
        info: &str,
        children: Vec<Node>,
        range: &Range<usize>,
        first: Range<usize>,
    ) -> Option<Element> {
        let info = info.trim();
        let end = info.find(|c: char| c.is_whitespace() || matches!(c, '[' | '{')).unwrap_or(info.len());
        let (kind, rest) = (info[..end].to_lowercase(), info[end..].trim());
        let title = match rest.split_once('{') {
            Some((title, _)) => title.trim(),
            None => rest,
        };
        let title = title.strip_prefix('[').and_then(|title| title.strip_suffix(']')).unwrap_or(title);
        let open = !self.text.get(range.clone()).is_some_and(|text| text.trim_end().ends_with(":::"));
        if CALLOUTS.iter().any(|(name, _)| *name == kind) && !open {
            let words = if title.is_empty() { callout_title(&kind) } else { title.to_owned() };
            let mut quote = vec![Node::element(first.clone(), Element::new("p", vec![Node::text(first, words)]))];
            stand_out(&mut quote);
            quote.extend(children);
            return Some(Element::new("blockquote", quote));
        }
        let (message, help) = if open {
            (say!("this `:::` has no `:::` at its end"), say!("write `:::` on a line of its own where the block ends"))
        } else {
            (
                say!("`::: {kind}` means nothing in an article; only what it holds is shown", kind),
                say!("write `::: tip`, or remove both lines with `:::`"),
            )
        };
        self.findings.add(Code::LeftoverMarkup, first, message, help);
        Some(Element::new("section", children))
    }

    /// Markup in a block that nobody read.
    fn leftovers(&mut self, block: comrak::Node<'_>, range: &Range<usize>) {
        let Some(raw) = self.text.get(range.clone()) else { return };
        if !raw.contains([
            '[', '［', '#', '＃', '*', '=', ':', '：', '{', '|', '^', '%', '｀', '·', '~', '!', '?', '<', '@', '\\',
        ]) && !raw.starts_with("import ")
            && !raw.starts_with("export ")
        {
            return;
        }
        let mut covered = raw.as_bytes().to_vec();
        let mut exact = true;
        let mut cover = |from: usize, to: usize, with: char| {
            let (from, to) =
                (from.clamp(range.start, range.end) - range.start, to.clamp(range.start, range.end) - range.start);
            if from < to {
                covered[from..to].fill(with as u8);
            }
        };
        for node in block.descendants() {
            let data = node.data();
            let inner = self.range(data.sourcepos);
            let written = self.text.get(inner.clone()).unwrap_or_default();
            match &data.value {
                NodeValue::Code(_)
                | NodeValue::HtmlInline(_)
                | NodeValue::Math(_)
                | NodeValue::Image(_)
                | NodeValue::FootnoteReference(_)
                | NodeValue::CommentInline(_) => {
                    cover(inner.start, inner.end, COVER);
                }
                NodeValue::Link(link) => {
                    let bare = bare_address(node, link).is_some_and(|shown| written.starts_with(&shown));
                    cover(inner.start, inner.end, if bare { ADDRESS } else { COVER });
                }
                NodeValue::Strong | NodeValue::Emph | NodeValue::Highlight => {
                    let sign = match data.value {
                        NodeValue::Emph => 1,
                        _ => 2,
                    };
                    exact &= written.starts_with(['*', '_', '=']) && written.ends_with(['*', '_', '=']);
                    cover(inner.start, inner.start + sign, COVER);
                    cover(inner.end.saturating_sub(sign), inner.end, COVER);
                }
                _ => {}
            }
        }
        let mut escape = false;
        for at in 0..covered.len() {
            if escape && covered[at].is_ascii_punctuation() {
                covered[at - 1] = COVER as u8;
                covered[at] = COVER as u8;
                escape = false;
            } else {
                escape = covered[at] == b'\\';
            }
        }
        // Fillers take the place of whole characters.
        let covered = String::from_utf8_lossy(&covered);
        if covered.len() == raw.len() {
            let paragraph = matches!(block.data().value, NodeValue::Paragraph);
            leftover::look(
                &leftover::Block { covered: &covered, raw, start: range.start, paragraph, html: false, exact },
                self.findings,
            );
        }
    }

    /// A reference whose note is missing stays as it is written.
    fn undefined_notes(&mut self, text: &str, range: &Range<usize>) {
        for (at, _) in text.match_indices("[^") {
            if self.findings.is_full(Code::UndefinedFootnote) {
                return;
            }
            // Names are short: what is longer is not looked through again and again.
            let near = &text[at + 2..text.floor_char_boundary(at + 200)];
            let Some(length) = near.find(']').filter(|length| *length > 0) else { continue };
            let name = &text[at + 2..at + 2 + length];
            if name.contains(char::is_whitespace) {
                continue;
            }
            let exact =
                self.text.get(range.start + at..range.start + at + length + 3) == Some(&text[at..at + length + 3]);
            let place = if exact { range.start + at..range.start + at + length + 3 } else { range.clone() };
            let message = say!("the footnote `{name}` is not defined", name);
            let help = say!("write `[^{name}]: the note` on a line of its own", name);
            self.findings.add(Code::UndefinedFootnote, place, message, help);
        }
    }

    /// Formulas between `\(` and `\)`: Markdown takes the backslashes away, so they are looked for in the source.
    fn brackets(&mut self, block: comrak::Node<'_>, range: &Range<usize>) {
        let Some(text) = self
            .text
            .get(range.clone())
            .filter(|text| ["\\(", "\\[", "\\begin{"].iter().any(|sign| text.contains(sign)))
        else {
            return;
        };
        let mut text = text.to_owned();
        for node in block.descendants() {
            let data = node.data();
            if matches!(data.value, NodeValue::Code(_) | NodeValue::HtmlInline(_)) {
                let inner = self.range(data.sourcepos);
                let inner = inner.start.max(range.start) - range.start..inner.end.min(range.end) - range.start;
                text.replace_range(inner.clone(), &" ".repeat(inner.len()));
            }
        }
        if let Some(found) = math::find_brackets(&text).or_else(|| math::find_environment(&text)) {
            math::unsupported(range.start + found.start..range.start + found.end, &text[found], self.findings);
        }
    }

    fn code(&mut self, info: &str, literal: &str, range: Range<usize>) -> Option<Item> {
        let (info, literal) = (reveal(info), reveal(literal));
        let language = info.split([' ', ',', '{', '\t']).next().unwrap_or_default();
        match language.to_ascii_lowercase().as_str() {
            "mermaid" | "plantuml" | "puml" | "graphviz" | "d2" | "vega" | "vega-lite" | "wavedrom" | "echarts" => {
                let message = say!("WeChat cannot render `{language}`", language);
                let help = say!("commit the diagram as a PNG next to the article and write `![diagram](diagram.png)`");
                self.findings.add(Code::DiagramUnsupported, range, message, help);
                None
            }
            "math" | "tex-math" => {
                math::unsupported(range, &literal, self.findings);
                None
            }
            _ => {
                let text = literal.strip_suffix('\n').unwrap_or(&literal).to_owned();
                Some(Item::Node(Node { range, kind: Kind::Code { language: language.to_owned(), text } }))
            }
        }
    }

    /// From bytes of an HTML block to bytes of the article: each line lost only what stood before it.
    fn block_map(&self, literal: &str, first_line: usize) -> impl Fn(usize) -> usize + use<> {
        let mut starts = Vec::new();
        let mut at = 0;
        for (index, line) in literal.split_inclusive('\n').enumerate() {
            let source = self.line(first_line + index);
            let own = line.trim_end_matches(['\n', '\r']).len();
            starts.push((at, source.end.saturating_sub(own).max(source.start)));
            at += line.len();
        }
        let length = self.text.len();
        move |at| {
            let line = starts.partition_point(|(start, _)| *start <= at).saturating_sub(1);
            starts.get(line).map_or(length, |(start, source)| (source + at - start).min(length))
        }
    }

    fn table(&mut self, table: comrak::Node<'_>, alignments: &[TableAlignment], depth: usize) -> Vec<Node> {
        let mut rows = Vec::new();
        for row in table.children() {
            let data = row.data();
            let NodeValue::TableRow(header) = data.value else { continue };
            let range = self.range(data.sourcepos);
            let before = self.cells;
            self.cells += alignments.len();
            if self.cells > limits::TABLE_CELLS_MAX {
                if before <= limits::TABLE_CELLS_MAX {
                    let most = Count::from(limits::TABLE_CELLS_MAX);
                    let message = say!("the tables of the article have more than {most} cells", most);
                    let help = say!("split the article, or remove columns");
                    self.findings.add(Code::ArticleBytes, range, message, help);
                }
                break;
            }
            self.lost_cells(&range, alignments.len());
            let mut cells = Vec::new();
            for (column, cell) in row.children().enumerate() {
                let place = self.range(cell.data().sourcepos);
                let children = self.children(cell, depth + 3);
                let mut element = Element::new(if header { "th" } else { "td" }, children);
                let align = match alignments.get(column) {
                    Some(TableAlignment::Left) => Some("left"),
                    Some(TableAlignment::Center) => Some("center"),
                    Some(TableAlignment::Right) => Some("right"),
                    _ => None,
                };
                if let Some(align) = align {
                    element = element.with("align", align, place.clone());
                }
                cells.push(Node::element(place, element));
            }
            rows.push(Node::element(range, Element::new("tr", cells)));
        }
        rows
    }

    /// Cells beyond the last column are not in the tree.
    fn lost_cells(&mut self, row: &Range<usize>, columns: usize) {
        let line = self.text[row.start..].lines().next().unwrap_or_default();
        let mut cells = 0;
        let (mut escaped, mut start) = (false, if line.starts_with('|') { 1 } else { 0 });
        for (at, c) in line.char_indices().chain([(line.len(), '|')]) {
            let ends = c == '|' && !escaped && at >= start;
            escaped = c == '\\' && !escaped;
            if ends && !(at == line.len() && line[start..at].trim().is_empty()) {
                cells += 1;
                if cells > columns && !line[start..at].trim().is_empty() {
                    let message = say!(
                        "this cell is beyond the table's {columns} column"
                            | "this cell is beyond the table's {columns} columns",
                        columns
                    );
                    let help = say!("escape a bar inside a cell as `\\|`, or add a column to the first two lines");
                    let range = row.start + start..row.start + at;
                    self.findings.add(Code::LostText, range, message, help);
                    return;
                }
                start = at + 1;
            }
        }
    }
}
