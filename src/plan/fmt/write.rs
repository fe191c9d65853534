//! The tree as text.

use unicode_width::UnicodeWidthStr as _;

use super::tree::{Collection, Comment, Item, Kind, Node, Tree};

/// What is wider than this, in columns of a terminal, is not written in brackets on one line.
const WIDTH_MAX: usize = 120;

/// How much deeper what is inside stands.
pub(super) const STEP: usize = 2;

/// The whole text.
pub(super) fn write(tree: &Tree) -> String {
    let mut writer = Writer { out: String::new(), open: false, kept: false };
    let mut first = true;
    writer.comments(&tree.head, 0, &mut first);
    if let Some(comments) = &tree.start {
        writer.line(0, "---");
        writer.comments(comments, 0, &mut first);
    }
    if tree.blank && !first {
        writer.blank();
    }
    match &tree.root.kind {
        Kind::Mapping(root) => writer.items(root, false, 0),
        Kind::List(root) => writer.items(root, true, 0),
        _ => {}
    }
    writer.out
}

struct Writer {
    out: String,
    /// The line was begun by the dash of a list item.
    open: bool,
    /// A block scalar that keeps its blank lines stands right before: another one would be part of it.
    kept: bool,
}

impl Writer {
    fn indent(&mut self, indent: usize) {
        if !std::mem::take(&mut self.open) {
            self.out.extend(std::iter::repeat_n(' ', indent));
        }
        self.kept = false;
    }

    fn line(&mut self, indent: usize, text: &str) {
        self.indent(indent);
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn blank(&mut self) {
        if !self.kept {
            self.out.push('\n');
        }
    }

    fn comments(&mut self, comments: &[Comment], indent: usize, first: &mut bool) {
        for comment in comments {
            if comment.blank && !*first {
                self.blank();
            }
            self.line(indent, &comment.text);
            *first = false;
        }
    }

    fn items(&mut self, collection: &Collection, list: bool, indent: usize) {
        let mut first = true;
        for item in &collection.items {
            self.comments(&item.lead, indent, &mut first);
            if item.blank && !first {
                self.blank();
            }
            first = false;
            self.item(item, list, indent);
        }
        self.comments(&collection.foot, indent, &mut first);
    }

    fn item(&mut self, item: &Item, list: bool, indent: usize) {
        let head = head(item);
        let anchor = item.value.anchor.is_some();
        let beside = item.trail.as_ref().map_or(String::new(), |trail| format!("  {trail}"));
        if let Some(text) = on_one_line(item, indent) {
            let space = if text.is_empty() { "" } else { " " };
            return self.line(indent, &format!("{head}{space}{text}{beside}"));
        }
        match &item.value.kind {
            Kind::Text { lines, .. } => {
                self.indent(indent);
                self.out.push_str(&head);
                for (number, line) in lines.iter().enumerate() {
                    if number == 0 {
                        self.out.push(' ');
                    } else {
                        self.out.push('\n');
                        if !line.is_empty() {
                            self.indent(indent + STEP);
                        }
                    }
                    self.out.push_str(line);
                }
                self.out.push_str(&beside);
                self.out.push('\n');
            }
            Kind::Block { style, indented, chomping, lines } => {
                let depth = if *indented { "2" } else { "" };
                let chomping_written = chomping.map_or(String::new(), String::from);
                self.line(indent, &format!("{head} {style}{depth}{chomping_written}{beside}"));
                for line in lines {
                    let indent = if line.is_empty() { 0 } else { indent + STEP };
                    self.line(indent, line);
                }
                self.kept = *chomping == Some('+');
            }
            Kind::List(inner) | Kind::Mapping(inner) => {
                let inner_list = matches!(item.value.kind, Kind::List(_));
                if list && !anchor {
                    self.indent(indent);
                    self.out.push_str("- ");
                    self.open = true;
                } else {
                    self.line(indent, &format!("{head}{beside}"));
                }
                self.items(inner, inner_list, indent + STEP);
            }
            Kind::Alias(_) => {}
        }
    }
}

/// What stands before a value: its key or dash, and its anchor.
fn head(item: &Item) -> String {
    let key = item.key.as_ref().map_or("-".to_owned(), |key| format!("{}:", key.written));
    match &item.value.anchor {
        Some(anchor) => format!("{key} &{anchor}"),
        None => key,
    }
}

/// The value of an item that stands at `indent`, if it stands on the line of its key or dash.
pub(super) fn on_one_line(item: &Item, indent: usize) -> Option<String> {
    inline_kind(&item.value.kind).filter(|text| {
        let brackets = matches!(item.value.kind, Kind::List(_) | Kind::Mapping(_)) && text.len() > 2;
        !brackets || indent + head(item).width() + 1 + text.width() <= WIDTH_MAX
    })
}

/// A value on one line, if it can be.
fn inline(node: &Node) -> Option<String> {
    let text = inline_kind(&node.kind)?;
    Some(match &node.anchor {
        Some(anchor) => format!("&{anchor} {}", if text.is_empty() { "null" } else { &text }),
        None if text.is_empty() => "null".to_owned(),
        None => text,
    })
}

fn inline_kind(kind: &Kind) -> Option<String> {
    let (collection, open, close) = match kind {
        Kind::Text { lines, .. } => return <&[String; 1]>::try_from(lines.as_slice()).ok().map(|[line]| line.clone()),
        Kind::Alias(name) => return Some(format!("*{name}")),
        Kind::Block { .. } => return None,
        Kind::List(list) => (list, '[', ']'),
        Kind::Mapping(mapping) => (mapping, '{', '}'),
    };
    let said = |item: &Item| !item.lead.is_empty() || item.trail.is_some();
    if !collection.flow || !collection.foot.is_empty() || collection.items.iter().any(said) {
        return None;
    }
    let member = |item: &Item| {
        let value = inline(&item.value)?;
        Some(match &item.key {
            Some(key) => format!("{}: {value}", key.written),
            None => value,
        })
    };
    let members = collection.items.iter().map(member).collect::<Option<Vec<_>>>()?.join(", ");
    let blank = if open == '{' && !members.is_empty() { " " } else { "" };
    Some(format!("{open}{blank}{members}{blank}{close}"))
}
