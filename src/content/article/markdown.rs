//! Markdown to the tree.

use std::{collections::BTreeMap, ops::Range};

use comrak::{
    Arena, Options,
    nodes::{ListDelimType, ListType, NodeValue, Sourcepos, TableAlignment},
    parse_document,
};

use super::{
    html, math,
    tree::{Element, Findings, Item, Kind, Node, pair},
};
use crate::{
    diag::{Code, source::reveal},
    limits,
    locale::{Count, say},
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
    // `**好。**然` is emphasis, though no space follows.
    options.extension.cjk_friendly_emphasis = true;
    // Notes that nothing refers to stay in the tree, so that their loss can be told.
    options.parse.leave_footnote_definitions = true;
    options
}

/// Reads an article that is Markdown.
pub(super) fn read(text: &str, findings: &mut Findings) -> Vec<Node> {
    let arena = Arena::new();
    let mut root = None;
    if text.contains('$') {
        let parsed = parse_document(&arena, text, &options(true));
        let (mut plain, mut formula) = (false, false);
        for node in parsed.descendants() {
            if let NodeValue::Math(math) = &node.data().value {
                let tex = math.display_math || math::is_tex(&math.literal);
                formula |= tex;
                plain |= !tex;
            }
        }
        // `$5 或 $6` is no formula, and what stands between may be emphasis: it is read again without formulas.
        if formula || !plain {
            root = Some(parsed);
        }
    }
    let root = root.unwrap_or_else(|| parse_document(&arena, text, &options(false)));
    let mut numbers = BTreeMap::new();
    for node in root.descendants() {
        if let NodeValue::FootnoteReference(reference) = &node.data().value {
            numbers.insert(reference.name.to_lowercase(), reference.ix);
        }
    }
    let mut reader = Reader { text, lines: line_starts(text), findings, numbers, notes: BTreeMap::new(), cells: 0 };
    let mut nodes = reader.children(root, 0);
    nodes.extend(std::mem::take(&mut reader.notes).into_values());
    nodes
}

/// Lines as CommonMark ends them: a lone carriage return counts.
fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let ends = |at: &usize| bytes[*at] == b'\n' || (bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
    std::iter::once(0).chain((0..bytes.len()).filter(ends).map(|at| at + 1)).collect()
}

struct Reader<'t> {
    text: &'t str,
    lines: Vec<usize>,
    findings: &'t mut Findings,
    /// Notes by their names in lower case.
    numbers: BTreeMap<String, u32>,
    notes: BTreeMap<u32, Node>,
    /// Cells of tables so far.
    cells: usize,
}

impl Reader<'_> {
    fn offset(&self, line: usize, column: usize) -> usize {
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or(self.text.len());
        (start + column).min(self.text.len())
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
        }
        let mut element = None;
        match &data.value {
            NodeValue::Text(text) => {
                self.undefined_notes(text, &range);
                items.push(Item::Node(Node::text(range.clone(), reveal(text))));
            }
            NodeValue::SoftBreak => items.push(Item::Node(Node::text(range.clone(), "\n"))),
            NodeValue::LineBreak => element = Some(Element::new("br", Vec::new())),
            NodeValue::Code(code) => {
                let text = Node::text(range.clone(), reveal(&code.literal));
                element = Some(Element::new("code", vec![text]));
            }
            NodeValue::Math(formula) => {
                if formula.display_math || math::is_tex(&formula.literal) {
                    math::unsupported(range.clone(), &formula.literal, self.findings);
                } else {
                    items.push(Item::Node(Node::text(range.clone(), format!("${}$", reveal(&formula.literal)))));
                }
            }
            NodeValue::CodeBlock(block) => items.extend(self.code(&block.info, &block.literal, range.clone())),
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
            NodeValue::Heading(heading) => {
                element = Some(Element::new(&format!("h{}", heading.level), self.children(node, depth + 1)));
            }
            NodeValue::ThematicBreak => element = Some(Element::new("hr", Vec::new())),
            other => {
                let tag = match other {
                    NodeValue::Paragraph => "p",
                    NodeValue::BlockQuote => "blockquote",
                    NodeValue::Item(_) => "li",
                    NodeValue::Emph => "em",
                    NodeValue::Strong => "strong",
                    NodeValue::Strikethrough => "del",
                    // No other extension is on; were one, its text would still arrive.
                    _ => "span",
                };
                element = Some(Element::new(tag, self.children(node, depth + 1)));
            }
        }
        items.extend(element.map(|element| Item::Node(Node::element(range, element))));
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
        let Some(text) = self.text.get(range.clone()).filter(|text| text.contains("\\(") || text.contains("\\["))
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
        if let Some(found) = math::find_brackets(&text) {
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
