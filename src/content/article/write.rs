//! The tree to HTML with inline styles, and to the visible text beside it.

use std::{collections::BTreeMap, ops::Range};

use super::{
    Article, Budget, Image, Input, Links, Piece, code,
    css::{self, Declaration},
    rules::RULESET,
    theme::{Names, set},
    tree::{Element, Findings, Kind, Node},
};
use crate::{
    content::address,
    diag::Code,
    limits,
    locale::{Count, Phrase, say},
    payload,
};

/// Where a block begins in what is written.
pub(super) struct Mark {
    /// Bytes of the article's text that became the block.
    range: Range<usize>,
    /// In which piece, and after how many bytes of it.
    at: (usize, usize),
}

impl Mark {
    /// The places before the innermost blocks that hold these bytes of the text, which are in order.
    pub(super) fn nearest(mut marks: Vec<Mark>, bytes: impl Iterator<Item = usize>) -> Vec<Option<(usize, usize)>> {
        marks.sort_by_key(|mark| (mark.range.start, std::cmp::Reverse(mark.range.end)));
        let mut marks = marks.into_iter().peekable();
        let mut open: Vec<Mark> = Vec::new();
        let mut nearest = |byte: usize| {
            while let Some(mark) = marks.next_if(|mark| mark.range.start <= byte) {
                open.push(mark);
            }
            while open.pop_if(|mark| mark.range.end <= byte).is_some() {}
            open.last().map(|mark| mark.at)
        };
        bytes.map(&mut nearest).collect()
    }
}

impl Article {
    /// The HTML with an address for each picture, which is escaped here.
    #[cfg(test)]
    pub(crate) fn html(&self, address: impl Fn(usize, &Image) -> String) -> String {
        let mut html = String::with_capacity(self.budget.bytes + 160 * self.images.len());
        for piece in &self.pieces {
            match piece {
                Piece::Html(part) => html.push_str(part),
                Piece::Image(at) => {
                    if let Some(image) = self.images.get(*at) {
                        escape(&address(*at, image), true, &mut html);
                    }
                }
            }
        }
        html
    }
}

/// Writes the article, and says where its blocks begin. With errors among the findings the result is only good for
/// counting.
pub(super) fn write(input: &Input<'_>, nodes: &[Node], findings: &mut Findings) -> (Article, Vec<Mark>) {
    let mut writer = Writer {
        input,
        findings,
        chain: Vec::new(),
        styles: BTreeMap::new(),
        looked_at: 0,
        done: 0,
        pieces: Vec::new(),
        html: String::new(),
        text: String::new(),
        gap: None,
        at_start: true,
        images: Vec::new(),
        image_numbers: BTreeMap::new(),
        shown: 0,
        links: Vec::new(),
        link_numbers: BTreeMap::new(),
        costs: BTreeMap::new(),
        lists: 0,
        coloured: 0,
        marks: Vec::new(),
    };
    if begins_with_code(nodes) {
        // WeChat drops the style of a code block that begins the article.
        writer.html.push_str("<p style=\"margin:0;font-size:1px;line-height:1px\">&nbsp;</p>");
    }
    let (notes, body): (Vec<&Node>, Vec<&Node>) = nodes.iter().partition(|node| matches!(node.kind, Kind::Note(..)));
    writer.flow(&body, true);
    writer.notes(&notes);
    writer.link_list();
    writer.finish()
}

fn begins_with_code(nodes: &[Node]) -> bool {
    match nodes.iter().find(|node| !node.is_blank()).map(|node| &node.kind) {
        Some(Kind::Code { .. }) => true,
        Some(Kind::Element(element)) if matches!(element.tag.as_str(), "section" | "blockquote") => {
            begins_with_code(&element.children)
        }
        _ => false,
    }
}

/// Escapes text, or the value of an attribute.
pub(super) fn escape(text: &str, attribute: bool, out: &mut String) {
    for c in text.chars() {
        escape_char(c, attribute, out);
    }
}

fn escape_char(c: char, attribute: bool, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' if attribute => out.push_str("&quot;"),
        '\u{a0}' => out.push_str("&nbsp;"),
        c => out.push(c),
    }
}

/// White space that was read and not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    Space,
    Line,
}

/// What takes bytes of an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    CodeColours,
    CodeSpaces,
    /// Of a tag, or of a hook with its dot.
    Markup(&'static str),
    Text,
}

impl Cause {
    /// In words, and how often it is met.
    fn words(self, times: usize) -> Phrase {
        let cause = match self {
            Self::CodeColours => say!("syntax colours"),
            Self::CodeSpaces => say!("spaces in code"),
            Self::Markup(name) => say!("tags and styles for `{name}`", name),
            Self::Text => say!("the text itself"),
        };
        if times > 1 { say!("{cause} ({times} times)", cause, times = Count::from(times)) } else { cause }
    }
}

struct Writer<'w> {
    input: &'w Input<'w>,
    findings: &'w mut Findings,
    /// From the outermost element to this one, as themes name them.
    chain: Vec<Names>,
    styles: BTreeMap<Vec<Names>, Vec<Declaration>>,
    /// Rules that were looked at for them.
    looked_at: usize,
    /// Bytes of the pieces that are done.
    done: usize,
    pieces: Vec<Piece>,
    html: String,
    text: String,
    gap: Option<Gap>,
    at_start: bool,
    images: Vec<Image>,
    /// Which of the images has a path.
    image_numbers: BTreeMap<String, usize>,
    shown: usize,
    links: Vec<String>,
    link_numbers: BTreeMap<String, usize>,
    /// Times and bytes of each cause.
    costs: BTreeMap<Cause, (usize, usize)>,
    lists: usize,
    coloured: usize,
    marks: Vec<Mark>,
}

/// The name of a tag for as long as the program runs.
fn fixed(tag: &str) -> &'static str {
    RULESET.tags.get_key_value(tag).map_or("span", |(name, _)| name.as_str())
}

fn declaration(property: &str, value: &str) -> Declaration {
    Declaration { property: property.to_owned(), value: value.to_owned() }
}

impl Writer<'_> {
    /// Remembers that a block of the text begins here.
    fn mark(&mut self, range: &Range<usize>) {
        self.marks.push(Mark { range: range.clone(), at: (self.pieces.len(), self.html.len()) });
    }

    fn finish(mut self) -> (Article, Vec<Mark>) {
        self.text.truncate(self.text.trim_end().len());
        if !self.html.is_empty() {
            self.pieces.push(Piece::Html(std::mem::take(&mut self.html)));
        }
        if self.looked_at > limits::STYLES_MAX {
            let message = say!(
                "the theme has {rules} selectors and declarations and the article {places} kinds of nesting: together more \
                 than the limit of {most} combinations",
                rules = Count::from(self.input.theme.rules()),
                places = Count::from(self.styles.len()),
                most = Count::from(limits::STYLES_MAX)
            );
            let help = say!("use a theme with fewer rules, or nest fewer tags");
            self.findings.add(Code::TooComplex, 0..0, message, help);
        }
        let html =
            || self.pieces.iter().filter_map(|piece| if let Piece::Html(html) = piece { Some(html) } else { None });
        let characters = self.text.chars().filter(|c| *c != '\n').count();
        let text = self.text.len();
        self.costs.insert(Cause::Text, (1, text));
        let mut costs: Vec<_> = self.costs.into_iter().filter(|(_, (_, bytes))| *bytes > 0).collect();
        costs.sort_by_key(|(cause, (_, bytes))| (std::cmp::Reverse(*bytes), *cause));
        costs.truncate(3);
        let heaviest = costs.into_iter().map(|(cause, (times, bytes))| (cause.words(times), bytes)).collect();
        let budget = Budget {
            characters,
            html_characters: html().map(|html| html.chars().count()).sum(),
            bytes: html().map(String::len).sum(),
            images: self.shown,
            heaviest,
        };
        let (pieces, images, text) = (self.pieces, self.images, self.text);
        (Article { pieces, images, text, budget }, self.marks)
    }

    fn cost(&mut self, cause: Cause, bytes: usize) {
        let (times, sum) = self.costs.entry(cause).or_default();
        (*times, *sum) = (*times + 1, *sum + bytes);
    }

    /// The style of the last element of the chain.
    fn style(&mut self, own: Vec<Declaration>) -> String {
        if !self.styles.contains_key(&self.chain) {
            self.looked_at += self.input.theme.rules();
            let found = match self.looked_at <= limits::STYLES_MAX {
                true => self.input.theme.declarations(&self.chain),
                false => Vec::new(),
            };
            self.styles.insert(self.chain.clone(), found);
        }
        let mut declarations = self.styles.get(&self.chain).cloned().unwrap_or_default();
        for declaration in own {
            set(&mut declarations, declaration);
        }
        let all: Vec<String> = declarations.iter().map(|d| format!("{}:{}", d.property, d.value)).collect();
        all.join(";")
    }

    /// Whether more was written than is ever sent: what follows is left out.
    fn is_full(&self) -> bool {
        self.done + self.html.len() > limits::ARTICLE_WRITTEN_MAX
    }

    /// Writes an opening tag, and makes it the last of the chain.
    fn open(&mut self, out: &str, names: Names, own: Vec<Declaration>, attributes: &str) -> bool {
        self.chain.push(names);
        let style = self.style(own);
        if out == "span" && style.is_empty() && attributes.is_empty() {
            return false;
        }
        let before = self.html.len();
        self.html.push('<');
        self.html.push_str(out);
        self.html.push_str(attributes);
        if !style.is_empty() {
            self.html.push_str(" style=\"");
            escape(&style, true, &mut self.html);
            self.html.push('"');
        }
        self.html.push('>');
        let name = if names[1].is_empty() { names[0] } else { names[1] };
        let bytes = self.html.len() - before + out.len() + 3;
        self.cost(Cause::Markup(name), bytes);
        true
    }

    fn close(&mut self, out: &str, opened: bool) {
        self.chain.pop();
        if opened {
            self.html.push_str("</");
            self.html.push_str(out);
            self.html.push('>');
        }
    }

    fn start_block(&mut self) {
        self.at_start = true;
        self.gap = None;
    }

    fn end_block(&mut self) {
        self.start_block();
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// The declarations that an element brings itself; findings are told once, where it is written.
    fn own(&mut self, element: &Element) -> Vec<Declaration> {
        let Some(style) = element.attribute("style") else { return Vec::new() };
        let (read, problems) = css::inline(&style.value);
        let exact = self.input.text.get(style.range.clone()) == Some(style.value.as_str());
        for problem in problems {
            let range = if exact {
                style.range.start + problem.range.start..style.range.start + problem.range.end
            } else {
                style.range.clone()
            };
            self.findings.add(problem.code, range, problem.message, problem.help);
        }
        read
    }

    /// Blocks, and text between them; text alone becomes a paragraph if it is asked for.
    fn flow(&mut self, nodes: &[&Node], wrap: bool) {
        if !wrap && !nodes.iter().any(|node| node.is_block()) {
            self.inlines(nodes);
            return;
        }
        for run in nodes.chunk_by(|a, b| !a.is_block() && !b.is_block()) {
            match run {
                [node] if node.is_block() => self.block(node),
                run if run.iter().all(|node| node.is_blank()) => {}
                run => {
                    if let [first, .., last] | [first @ last] = run {
                        self.mark(&(first.range.start..last.range.end));
                    }
                    self.start_block();
                    let opened = self.open("p", ["p", ""], Vec::new(), "");
                    self.inlines(run);
                    self.close("p", opened);
                    self.end_block();
                }
            }
        }
    }

    fn block(&mut self, node: &Node) {
        if self.is_full() {
            return;
        }
        self.mark(&node.range);
        let element = match &node.kind {
            Kind::Code { language, text } => return self.code(language, text, &node.range),
            Kind::Element(element) => element,
            _ => return,
        };
        let own = self.own(element);
        let children: Vec<&Node> = element.children.iter().collect();
        self.start_block();
        match element.tag.as_str() {
            "ul" | "ol" => self.list(element, own, &node.range),
            "table" => self.table(element, own),
            "hr" => {
                self.open("hr", ["hr", ""], own, "");
                self.chain.pop();
            }
            "blockquote" => {
                let opened = self.open("section", ["blockquote", ".quote"], own, "");
                self.flow(&children, true);
                self.close("section", opened);
            }
            "section" => {
                let scrolling = scrolling_table(&own, &children);
                let opened = self.open("section", ["section", ""], own, "");
                match scrolling {
                    Some(table) => self.bare_table(table),
                    None => self.flow(&children, false),
                }
                self.close("section", opened);
            }
            tag => {
                let tag = fixed(tag);
                let opened = self.open(tag, [tag, ""], own, "");
                self.inlines(&children);
                self.close(tag, opened);
            }
        }
        self.end_block();
    }

    fn list(&mut self, list: &Element, own: Vec<Declaration>, range: &Range<usize>) {
        self.lists += 1;
        if self.lists == limits::ARTICLE_LIST_DEPTH + 1 {
            let message = say!("this list is nested more than {most} levels deep", most = limits::ARTICLE_LIST_DEPTH);
            let help = say!("start a separate list after a paragraph, or use headings");
            self.findings.add(Code::DeepList, range.clone(), message, help);
        }
        let tag = fixed(&list.tag);
        let opened = self.open("section", [tag, ""], own, "");
        let mut number: u64 = 1;
        if let Some(start) = list.attribute("start").filter(|_| tag == "ol") {
            match start.value.trim().parse::<u32>() {
                Ok(value) => number = value.into(),
                Err(_) => {
                    let message = say!("`start` is not a number: `{value}`", value = &start.value);
                    let help = say!("write only digits");
                    self.findings.add(Code::MarkupAttribute, start.range.clone(), message, help);
                }
            }
        }
        for node in &list.children {
            if self.is_full() {
                break;
            }
            let Kind::Element(item) = &node.kind else { continue };
            let marker = match (item.done, tag) {
                (Some(true), _) => "☑ ".to_owned(),
                (Some(false), _) => "☐ ".to_owned(),
                (None, "ol") => format!("{number}{} ", if list.paren { ')' } else { '.' }),
                (None, _) => "• ".to_owned(),
            };
            number += 1;
            let own = self.own(item);
            self.mark(&node.range);
            self.item(&marker, &item.children, ["li", ""], own);
        }
        self.close("section", opened);
        self.lists -= 1;
    }

    /// A row with its marker; what follows its first paragraph comes after it, indented.
    fn item(&mut self, marker: &str, children: &[Node], names: Names, own: Vec<Declaration>) {
        let mut rest: Vec<&Node> = children.iter().skip_while(|node| node.is_blank()).collect();
        let mut head: Vec<&Node> = Vec::new();
        let mut first_own = own;
        match rest.first().map(|node| &node.kind) {
            Some(Kind::Element(first)) if first.tag == "p" => {
                for declaration in self.own(first) {
                    set(&mut first_own, declaration);
                }
                head.extend(&first.children);
                rest.remove(0);
            }
            _ => {
                let inline = rest.iter().take_while(|node| !node.is_block()).count();
                head.extend(rest.drain(..inline));
            }
        }
        self.start_block();
        let opened = self.open("section", names, first_own, "");
        self.html.push_str(marker);
        self.text.push_str(marker);
        self.inlines(&head);
        self.close("section", opened);
        self.end_block();
        // Nested parts stand beside the row, so that they do not inherit its indent; themes still see them inside.
        self.chain.push(names);
        let is_list = |node: &&Node| matches!(&node.kind, Kind::Element(e) if matches!(e.tag.as_str(), "ul" | "ol"));
        for run in rest.chunk_by(|a, b| is_list(a) == is_list(b)) {
            if run.first().is_some_and(is_list) {
                run.iter().for_each(|node| self.block(node));
            } else if !run.iter().all(|node| node.is_blank()) {
                let opened = self.open("section", ["section", ".li-more"], Vec::new(), "");
                self.flow(run, true);
                self.close("section", opened);
            }
        }
        self.chain.pop();
    }

    fn table(&mut self, table: &Element, own: Vec<Declaration>) {
        let scroll = vec![declaration("overflow-x", "auto")];
        let wrapped = self.open("section", ["section", ".table-wrap"], scroll, "");
        self.columns(table, own);
        self.close("section", wrapped);
    }

    /// A table that scrolls already with what is around it, as in an article that comes back from WeChat.
    fn bare_table(&mut self, table: &Element) {
        let own = self.own(table);
        self.start_block();
        self.columns(table, own);
        self.end_block();
    }

    fn columns(&mut self, table: &Element, own: Vec<Declaration>) {
        let opened = self.open("table", ["table", ""], own, "");
        self.html.push_str("<tbody>");
        self.rows(&table.children);
        self.html.push_str("</tbody>");
        self.close("table", opened);
    }

    fn rows(&mut self, nodes: &[Node]) {
        for node in nodes {
            if self.is_full() {
                return;
            }
            let Kind::Element(element) = &node.kind else { continue };
            let own = self.own(element);
            if element.tag != "tr" {
                // `<thead>` and `<tbody>` only name their rows for the theme.
                self.chain.push([fixed(&element.tag), ""]);
                self.rows(&element.children);
                self.chain.pop();
                continue;
            }
            let opened = self.open("tr", ["tr", ""], own, "");
            for node in &element.children {
                if self.is_full() {
                    break;
                }
                let Kind::Element(cell) = &node.kind else { continue };
                let mut own = self.own(cell);
                let mut attributes = String::new();
                for attribute in &cell.attributes {
                    let value = attribute.value.trim();
                    let bad = match attribute.name.as_str() {
                        "align" if matches!(value, "left" | "center" | "right") => {
                            own.insert(0, declaration("text-align", value));
                            None
                        }
                        "align" => Some(say!("write `left`, `center` or `right`")),
                        "colspan" | "rowspan" if value.parse::<u16>().is_ok_and(|n| (1..=100).contains(&n)) => {
                            attributes.push_str(&format!(" {}=\"{value}\"", attribute.name));
                            None
                        }
                        "colspan" | "rowspan" => Some(say!("write a number from 1 to 100")),
                        _ => None,
                    };
                    if let Some(help) = bad {
                        let message = say!("`{name}` cannot be `{value}`", name = &attribute.name, value);
                        self.findings.add(Code::MarkupAttribute, attribute.range.clone(), message, help);
                    }
                }
                let tag = fixed(&cell.tag);
                self.start_block();
                let opened = self.open(tag, [tag, ""], own, &attributes);
                self.flow(&cell.children.iter().collect::<Vec<_>>(), false);
                self.close(tag, opened);
                self.end_block();
            }
            self.close("tr", opened);
        }
    }

    fn code(&mut self, language: &str, text: &str, range: &Range<usize>) {
        let known = code::language(language);
        if matches!(known, code::Language::Unknown) {
            let source = self.input.text.get(range.clone()).unwrap_or_default();
            let first = source.lines().next().unwrap_or_default();
            let at =
                first.find(language).map_or(range.clone(), |at| range.start + at..range.start + at + language.len());
            let message = say!("unknown language `{language}`; the code is not highlighted", language);
            self.findings.add(Code::UnknownLanguage, at, message, say!("correct the name, or write `text`"));
        }
        self.coloured += text.len();
        let parts = match known {
            code::Language::Known(syntax) if self.coloured <= limits::CODE_COLOURED && self.may_colour(text, range) => {
                code::parts(text, syntax)
            }
            _ => vec![("", text)],
        };
        self.start_block();
        let scroll = vec![declaration("overflow-x", "auto")];
        let opened = self.open("section", ["pre", ".code-block"], scroll, "");
        // Parts of one colour become one; white space has none of its own.
        let mut styles: BTreeMap<&'static str, String> = BTreeMap::from([("", String::new())]);
        let mut runs: Vec<(String, String)> = Vec::new();
        for (hook, part) in parts {
            if !styles.contains_key(hook) {
                self.chain.push(["span", hook]);
                let style = self.style(Vec::new());
                self.chain.pop();
                styles.insert(hook, style);
            }
            let style = styles.get(hook).cloned().unwrap_or_default();
            let blank = part.chars().all(char::is_whitespace);
            match runs.last_mut() {
                Some((last, run)) if blank || *last == style => run.push_str(part),
                _ => runs.push((if blank { String::new() } else { style }, part.to_owned())),
            }
        }
        let mut column = 0;
        for (style, run) in runs {
            if self.is_full() {
                break;
            }
            let before = self.html.len();
            let body = run.trim_end();
            if !style.is_empty() {
                self.html.push_str("<span style=\"");
                escape(&style, true, &mut self.html);
                self.html.push_str("\">");
                self.letters(body, &mut column);
                self.html.push_str("</span>");
                let bytes = self.html.len() - before - body.len();
                self.cost(Cause::CodeColours, bytes);
                self.letters(&run[body.len()..], &mut column);
            } else {
                self.letters(&run, &mut column);
            }
        }
        self.close("section", opened);
        self.end_block();
    }

    /// Whether the code may be coloured as far as the plan goes.
    fn may_colour(&mut self, code: &str, range: &Range<usize>) -> bool {
        let longer = |line: &str| line.len().saturating_sub(limits::CODE_LINE_USUAL).min(limits::CODE_LINE_COLOURED);
        let work = code.len() + code.lines().map(|line| longer(line).pow(2) / 16).sum::<usize>();
        let left = self.input.colours.get().checked_sub(work);
        if left.is_none() {
            let message = say!(
                "with this block, the plan's articles have more than {most} KiB of code to highlight",
                most = limits::PLAN_CODE_COLOURED >> 10
            );
            let help = say!(
                "split the plan, break lines of more than {usual} bytes, which count more, or write `text` as the language",
                usual = limits::CODE_LINE_USUAL
            );
            self.findings.add(Code::TooComplex, range.clone(), message, help);
        }
        self.input.colours.set(left.unwrap_or(0));
        left.is_some()
    }

    /// Code to the letter: WeChat keeps neither line ends nor runs of spaces.
    fn letters(&mut self, code: &str, column: &mut usize) {
        let mut blanks = 0;
        for c in code.chars() {
            match c {
                '\n' => {
                    self.html.push_str("<br>");
                    self.text.push('\n');
                    *column = 0;
                    continue;
                }
                '\r' => continue,
                ' ' | '\t' => {
                    let width = if c == '\t' { 4 - *column % 4 } else { 1 };
                    self.html.push_str(&"&nbsp;".repeat(width));
                    self.text.push_str(&" ".repeat(width));
                    blanks += 5 * width;
                    *column += width;
                    continue;
                }
                c => escape_char(c, false, &mut self.html),
            }
            self.text.push(c);
            *column += 1;
        }
        if blanks > 0 {
            self.cost(Cause::CodeSpaces, blanks);
        }
    }

    /// Writes white space that is due, as far as the next character leaves it visible.
    fn fill(&mut self, next: Option<char>) {
        let Some(gap) = self.gap.take() else { return };
        // Chinese has no spaces: a line that ends inside of a paragraph ends nothing.
        let joined =
            gap == Gap::Line && next.is_some_and(chinese) && self.text.chars().next_back().is_some_and(chinese);
        if !joined {
            self.html.push(' ');
            self.text.push(' ');
        }
    }

    fn visible(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_ascii_whitespace() {
                if !self.at_start {
                    let gap = if c == '\n' || c == '\r' { Gap::Line } else { Gap::Space };
                    self.gap = self.gap.max(Some(gap));
                }
                continue;
            }
            self.fill(Some(c));
            self.at_start = false;
            escape_char(c, false, &mut self.html);
            self.text.push(c);
        }
    }

    fn inlines(&mut self, nodes: &[&Node]) {
        for node in nodes {
            if self.is_full() {
                return;
            }
            self.inline(node);
        }
    }

    fn inline(&mut self, node: &Node) {
        let element = match &node.kind {
            Kind::Text(text) => return self.visible(text),
            Kind::NoteReference(number) => return self.number(&number.to_string()),
            Kind::Element(element) => element,
            _ => return,
        };
        let own = self.own(element);
        let children: Vec<&Node> = element.children.iter().collect();
        match element.tag.as_str() {
            "br" => {
                self.html.push_str("<br>");
                self.text.push('\n');
                self.start_block();
            }
            "img" => self.image(element, own, &node.range),
            "a" => self.link(element, own, &node.range),
            "code" => {
                self.fill(first_char(&children));
                let opened = self.open("code", ["code", ""], own, "");
                self.at_start = false;
                let mut text = String::new();
                let plain = children.iter().all(|node| matches!(node.kind, Kind::Text(_)));
                if plain {
                    for child in &children {
                        if let Kind::Text(part) = &child.kind {
                            text.push_str(part);
                        }
                    }
                    self.letters_inline(&text);
                } else {
                    self.inlines(&children);
                }
                self.close("code", opened);
            }
            tag => {
                let tag = fixed(tag);
                self.fill(first_char(&children));
                let opened = self.open(tag, [tag, element.hook], own, "");
                self.inlines(&children);
                self.close(tag, opened);
            }
        }
    }

    /// Code inside of a line: runs of spaces stay, single ones may break the line.
    fn letters_inline(&mut self, code: &str) {
        let code: Vec<char> = code.chars().map(|c| if c.is_ascii_whitespace() { ' ' } else { c }).collect();
        for (at, c) in code.iter().enumerate() {
            let neighbour = |at: Option<usize>| at.and_then(|at| code.get(at)).is_none_or(|c| *c == ' ');
            if *c == ' ' && (neighbour(at.checked_sub(1)) || neighbour(Some(at + 1))) {
                self.html.push_str("&nbsp;");
            } else {
                escape_char(*c, false, &mut self.html);
            }
            self.text.push(*c);
        }
    }

    fn number(&mut self, number: &str) {
        self.gap = None;
        let opened = self.open("sup", ["sup", ".number"], Vec::new(), "");
        self.html.push_str(number);
        self.text.push_str(number);
        self.at_start = false;
        self.close("sup", opened);
    }

    fn image(&mut self, element: &Element, own: Vec<Declaration>, range: &Range<usize>) {
        self.fill(None);
        self.at_start = false;
        let (src, at) =
            element.attribute("src").map_or(("", range.clone()), |src| (src.value.as_str(), src.range.clone()));
        let alt = element.attribute("alt").map_or("", |alt| alt.value.trim());
        if alt.is_empty() {
            let help = say!("describe it: `![description](picture.png)`, or `alt=\"description\"`");
            self.findings.add(Code::ImageAlt, range.clone(), say!("the picture has no alt text"), help);
        }
        if payload::has_slot(alt) {
            return self.findings.no_slot(range.clone());
        }
        // What WeChat keeps already: an address of its own, or one that an earlier step gives.
        if payload::has_slot(src) || hosted(src) {
            if payload::has_slot(src) && payload::only_slot(src.trim()).is_none() {
                return self.findings.no_slot(at);
            }
            self.shown += 1;
            let mut address = String::new();
            match payload::has_slot(src) {
                true => address.push_str(src.trim()),
                false => escape(&src.trim().replacen("http://", "https://", 1), true, &mut address),
            }
            self.html.push_str("<img src=\"");
            self.html.push_str(&address);
            self.picture_end(alt, own);
            return;
        }
        let path = match image_path(src, self.input.webp) {
            Ok(path) => path,
            Err((code, message, help)) => return self.findings.add(code, at, message, help),
        };
        let index = *self.image_numbers.entry(path.clone()).or_insert_with(|| {
            let place = (self.input.place)(range.clone());
            self.images.push(Image { path, alt: alt.to_owned(), place });
            self.images.len() - 1
        });
        self.shown += 1;
        self.html.push_str("<img src=\"");
        self.done += self.html.len();
        self.pieces.push(Piece::Html(std::mem::take(&mut self.html)));
        self.pieces.push(Piece::Image(index));
        self.picture_end(alt, own);
    }

    /// What follows the address of a picture.
    fn picture_end(&mut self, alt: &str, own: Vec<Declaration>) {
        self.html.push('"');
        if !alt.is_empty() {
            self.html.push_str(" alt=\"");
            escape(alt, true, &mut self.html);
            self.html.push('"');
        }
        let mut fit = own;
        set(&mut fit, declaration("max-width", "100%"));
        set(&mut fit, declaration("height", "auto"));
        self.chain.push(["img", ""]);
        let style = self.style(fit);
        self.chain.pop();
        self.html.push_str(" style=\"");
        escape(&style, true, &mut self.html);
        self.html.push_str("\">");
        self.cost(Cause::Markup("img"), style.len() + 20);
    }

    fn link(&mut self, element: &Element, own: Vec<Declaration>, range: &Range<usize>) {
        let children: Vec<&Node> = element.children.iter().collect();
        let (href, at) = element.attribute("href").map_or(("", range.clone()), |h| (h.value.trim(), h.range.clone()));
        let lower = href.to_ascii_lowercase();
        let scheme = lower.split_once(':').map(|(scheme, _)| scheme);
        let web = matches!(scheme, Some("http" | "https"))
            && lower.split_once("://").is_some_and(|(_, rest)| !rest.is_empty());
        if href.is_empty() {
            let help = say!("write the URL, or only the text");
            return self.findings.add(Code::DeadLink, at, say!("the link has no URL"), help);
        }
        if payload::has_slot(href) {
            return self.findings.no_slot(at);
        }
        if let Some(host) = address::bad_host(href).filter(|_| web) {
            let message = say!(
                "the link to `{shown}` does not work: {why}",
                shown = href,
                why = say!("`{host}` is not the name of a host", host)
            );
            return self.findings.add(Code::DeadLink, at, message, say!("write the full URL with https://"));
        }
        let lint = std::rc::Rc::clone(&self.findings.lint);
        if let Some(found) = lint.staging.mentioned_in(href).first().copied() {
            let message = say!("the text links to `{found}`, which is in `lint.staging_hosts`", found);
            self.findings.add(Code::StagingLink, at.clone(), message, say!("write the URL for followers"));
        }
        let dropped = address::is_dropped(href) && scheme != Some("ftp") && scheme != Some("file");
        if !web && !dropped {
            let (why, help) = dead_link(href, scheme);
            if self.findings.is_full(Code::DeadLink) {
                return;
            }
            let shown: String = href.chars().take(60).collect();
            let message = say!("the link to `{shown}` does not work: {why}", shown, why);
            self.findings.add(Code::DeadLink, at, message, help);
            return;
        }
        self.fill(first_char(&children));
        let stays = web && (wechat(href) || self.input.links == Links::Keep);
        if stays {
            let mut attributes = String::from(" href=\"");
            escape(href, true, &mut attributes);
            attributes.push('"');
            let opened = self.open("a", ["a", ""], own, &attributes);
            self.inlines(&children);
            self.close("a", opened);
            return;
        }
        if self.input.links == Links::Error {
            let help = say!("link only to mp.weixin.qq.com, or set `links: footnote`");
            self.findings.add(Code::ExternalLink, at.clone(), say!("the link to `{href}` is external", href), help);
        }
        let before = self.text.len();
        let opened = self.open("span", ["span", ".link-text"], own, "");
        self.inlines(&children);
        self.close("span", opened);
        // An address that is written out needs no reference.
        let shown = self.text[before..].trim();
        let bare = href.strip_prefix("http://").unwrap_or(href);
        if shown == href || shown == bare {
            return;
        }
        if dropped {
            let shown = shown.to_owned();
            return self.dropped_link(href, &shown, at);
        }
        let number = *self.link_numbers.entry(href.to_owned()).or_insert_with(|| {
            self.links.push(href.to_owned());
            self.links.len() - 1
        });
        self.number(&format!("[{}]", number + 1));
    }

    /// A link to a telephone or mailbox became its text: nothing is lost where the number or address is what readers see.
    fn dropped_link(&mut self, href: &str, shown: &str, at: Range<usize>) {
        let target = href.split_once(':').map_or(href, |(_, target)| target);
        let target = target.split('?').next().unwrap_or(target);
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
        if !letters(shown).contains(&letters(target)) {
            let message = say!("WeChat does not open the link to `{address}`", address = href);
            let help = say!("write the number or address in the text");
            self.findings.add(Code::DroppedLink, at, message, help);
        }
    }

    fn notes(&mut self, notes: &[&Node]) {
        if notes.is_empty() {
            return;
        }
        let opened = self.open("section", ["section", ".footnotes"], Vec::new(), "");
        self.title("注释", ".footnotes-title");
        for note in notes {
            if self.is_full() {
                break;
            }
            if let Kind::Note(number, children) = &note.kind {
                self.mark(&note.range);
                self.item(&format!("{number}. "), children, ["section", ".footnote"], Vec::new());
            }
        }
        self.close("section", opened);
    }

    fn title(&mut self, title: &str, hook: &'static str) {
        self.end_block();
        let opened = self.open("p", ["p", hook], Vec::new(), "");
        self.visible(title);
        self.close("p", opened);
        self.end_block();
    }

    fn link_list(&mut self) {
        if self.links.is_empty() {
            return;
        }
        let opened = self.open("section", ["section", ".links"], Vec::new(), "");
        self.title("参考链接", ".links-title");
        for (at, link) in std::mem::take(&mut self.links).iter().enumerate() {
            if self.is_full() {
                break;
            }
            let opened = self.open("section", ["section", ".link"], Vec::new(), "");
            self.visible(&format!("[{}] {link}", at + 1));
            self.close("section", opened);
            self.end_block();
        }
        self.close("section", opened);
    }
}

/// Why a link that is no web page does not work, and what to write.
fn dead_link(href: &str, scheme: Option<&str>) -> (Phrase, Phrase) {
    if href.starts_with('#') {
        return (say!("WeChat removes ids, so the link has no target"), say!("name the heading in words"));
    }
    if href.starts_with(['“', '”', '‘', '’', '＂', '＇']) {
        return (say!("its quotation marks are Chinese"), say!("write `<a href=\"https://...\">`"));
    }
    if scheme.is_some_and(|scheme| scheme.chars().all(|c| c.is_ascii_alphanumeric())) {
        return (say!("WeChat does not open this kind of URL"), say!("write a URL with https://"));
    }
    (say!("relative URLs do not work in an article"), say!("write the full URL with https://"))
}

/// Whether a picture is one that WeChat keeps: what its uploads give.
fn hosted(src: &str) -> bool {
    let host = src.trim().split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
    let host = host.map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    host.is_some_and(|host| RULESET.images.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)))
}

/// Whether WeChat opens the address: its host is one of the rules'.
fn wechat(href: &str) -> bool {
    let Some((_, rest)) = href.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    RULESET.links.hosts.iter().any(|host| host.eq_ignore_ascii_case(authority))
}

/// The table that is all that a section holds which scrolls sideways.
fn scrolling_table<'n>(own: &[Declaration], children: &[&'n Node]) -> Option<&'n Element> {
    let scrolls = own.iter().any(|declaration| declaration.property == "overflow-x" && declaration.value == "auto");
    let mut shown = children.iter().filter(|node| !node.is_blank());
    match (&shown.next()?.kind, shown.next()) {
        (Kind::Element(table), None) if scrolls && table.tag == "table" => Some(table),
        _ => None,
    }
}

/// The first visible character of what follows.
fn first_char(nodes: &[&Node]) -> Option<char> {
    nodes.iter().find_map(|node| match &node.kind {
        Kind::Text(text) => text.chars().next(),
        Kind::Element(element) => first_char(&element.children.iter().collect::<Vec<_>>()),
        _ => None,
    })
}

/// Characters between which Chinese and Japanese put no space.
fn chinese(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff01}'..='\u{ff60}' | '\u{20000}'..='\u{3ffff}'
        | '“' | '”' | '‘' | '’' | '…' | '—')
}

/// The path of a picture, or what is wrong with it.
fn image_path(src: &str, webp: bool) -> Result<String, (Code, Phrase, Phrase)> {
    let src = src.trim();
    let shown: String = src.chars().take(60).collect();
    let scheme = src.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| {
        scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-'))
    });
    if scheme.is_some() || src.starts_with("//") {
        let message = say!("the picture `{shown}` is not a file; WeChat would not show it", shown);
        let help = say!("save the picture next to the article and use its name: `![...](picture.png)`");
        return Err((Code::ExternalImage, message, help));
    }
    let bad = |message: Phrase| {
        Err((Code::ImagePath, message, say!("write a path relative to the article, such as `images/cover.png`")))
    };
    let Some(path) = decode(src) else {
        return bad(say!("the picture's path `{shown}` has an invalid percent escape", shown));
    };
    if path.is_empty() {
        return bad(say!("the picture's path is empty"));
    }
    if path.starts_with('/') || path.get(1..2) == Some(":") {
        return bad(say!("the picture's path `{shown}` is absolute", shown));
    }
    if path.contains('\\') || path.chars().any(char::is_control) {
        return bad(say!("the picture's path `{shown}` contains a character that is not allowed in paths", shown));
    }
    let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    if !(RULESET.images.endings.contains(&ending) || webp && ending == "webp") {
        let message = say!("WeChat accepts only JPEG, PNG and GIF pictures in articles, not `{shown}`", shown);
        let help = match ending.as_str() {
            "webp" => say!("convert it to `.png` or `.jpg`, or write `optimize: true` for the article"),
            _ => say!("convert it to `.png` or `.jpg`"),
        };
        return Err((Code::ImageFormat, message, help));
    }
    Ok(path)
}

/// Decodes `%20` and the like.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| (byte as char).to_digit(16));
        let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
        out.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(out).ok()
}
