//! The settled layout of a plan (`qunfa fmt`): order of keys, indentation, quotes, blank lines. Text to text.
//!
//! It never changes what a plan says: what it writes is read again, and is handed out only if the value and every comment are those
//! of the plan as it was.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{check, parse, yaml};
use crate::{
    diag::{
        Code, Diagnostic, Diagnostics,
        source::{FileId, SourceMap, Span},
    },
    locale::{Phrase, say},
};

mod tree;
mod write;

use tree::{Collection, Comment, Item, Kind, Node, Tree};

/// Why there is no settled text.
#[derive(Debug)]
pub enum Refusal {
    /// The plan is no YAML that plans may hold; the diagnostics say where.
    Unreadable,
    /// What would be written is not what was read: a fault of ours.
    Changed(Phrase),
}

fn form_changed() -> Refusal {
    Refusal::Changed(say!("formatting would change the structure of the plan"))
}

/// The text of a plan in its settled layout. Whether it is a valid plan does not matter, as long as its YAML is.
pub fn format(file: FileId, sources: &mut SourceMap, diagnostics: &mut Diagnostics) -> Result<String, Refusal> {
    let document = parse::document(file, sources, diagnostics);
    if let (Some(_), Some(directive)) = (&document, directive(&sources.file(file).text)) {
        let what = say!("fmt does not support directives (`%...`)");
        let diagnostic = Diagnostic::new(Code::UnsupportedYaml, Span::new(file, directive), what);
        diagnostics.push(diagnostic.help(say!("remove it; it has no effect in a plan")));
    }
    let document = document.filter(|_| diagnostics.is_empty()).ok_or(Refusal::Unreadable)?;
    let text = sources.file(file).text.replace("\r\n", "\n").replace('\r', "\n");
    let mut tree = tree::read(&text).ok_or_else(form_changed)?;
    let comments = tree.comments.clone();
    // A file of an account or of variables has no order of keys of its own.
    if document.value.get("steps").is_some() {
        order(&mut tree);
    }
    hoist(&mut tree.root, 0);
    let settled = write::write(&tree);

    let mut again = SourceMap::default();
    let copy = again.add("settled", settled.clone());
    let mut problems = Diagnostics::default();
    let value = yaml::parse(copy, &again, &mut problems).map(|document| document.value);
    if !problems.is_empty() || value.as_ref() != Some(&document.value) {
        return Err(Refusal::Changed(say!("formatting would change values of the plan")));
    }
    let sorted = |mut comments: Vec<String>| {
        comments.sort();
        comments
    };
    if sorted(tree::read(&settled).ok_or_else(form_changed)?.comments) != sorted(comments) {
        return Err(Refusal::Changed(say!("formatting would change comments of the plan")));
    }
    Ok(settled)
}

/// The line of a `%YAML` or `%TAG`, which stands before the document.
fn directive(text: &str) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            said if said.starts_with('%') => return Some(at..at + said.len()),
            said if said.is_empty() || said.starts_with('#') => at += line.len(),
            _ => return None,
        }
    }
    None
}

/// Puts keys that the schema knows into its order; what it does not know (variables, rows) stays as it is.
fn order(tree: &mut Tree) {
    let aliases = Aliases::of(&tree.root);
    if aliases.ambiguous {
        return;
    }
    sort(&mut tree.root, check::schema(), &aliases, true);
}

fn sort(node: &mut Node, schema: &'static Value, aliases: &Aliases, root: bool) {
    let schema = check::resolved(schema);
    match &mut node.kind {
        Kind::Mapping(mapping) => {
            let (schema, order) = match mapping.text_of("action") {
                // A step of an action that is not known has the keys of all steps.
                Some(action) if schema["properties"].get("action").is_some() => {
                    let own = check::schema()["$defs"].get(action).filter(|own| own["properties"].is_object());
                    (own.unwrap_or(schema), step_order(own.unwrap_or(schema)))
                }
                _ => (schema, known(schema)),
            };
            if !aliases.tie(mapping) {
                let rank = |item: &Item| order.iter().position(|key| *key == item.name()).unwrap_or(usize::MAX);
                let ranks: Vec<usize> = mapping.items.iter().map(rank).collect();
                mapping.items.sort_by_key(rank);
                // Blank lines parted groups of keys that are no longer there; those between the parts of a plan stay.
                if !ranks.is_sorted() && !root {
                    mapping.items.iter_mut().for_each(Item::close_up);
                }
            }
            for item in &mut mapping.items {
                if let Some(schema) = schema["properties"].get(item.name()) {
                    sort(&mut item.value, schema, aliases, false);
                }
            }
        }
        Kind::List(list) => {
            if let Some(schema) = schema.get("items") {
                list.items.iter_mut().for_each(|item| sort(&mut item.value, schema, aliases, false));
            }
        }
        Kind::Text { .. } | Kind::Block { .. } | Kind::Alias(_) => {}
    }
}

fn known(schema: &'static Value) -> Vec<&'static str> {
    schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

/// What a step is, what it does, and only then how its calls are made.
fn step_order(schema: &'static Value) -> Vec<&'static str> {
    const LAST: [&str; 3] = ["timeout", "retry", "continue_on_error"];
    known(schema).into_iter().filter(|key| !LAST.contains(key)).chain(LAST).collect()
}

/// Which anchors and aliases stand where: an alias must stay behind its anchor.
struct Aliases {
    /// A name is given twice: which of them an alias means depends on the order.
    ambiguous: bool,
    any: bool,
}

impl Aliases {
    fn of(root: &Node) -> Self {
        let mut names: HashMap<&str, u32> = HashMap::new();
        let mut any = false;
        visit(root, &mut |node| {
            if let Some(anchor) = &node.anchor {
                *names.entry(anchor).or_default() += 1;
            }
            any |= matches!(node.kind, Kind::Alias(_));
        });
        Self { ambiguous: any && names.values().any(|count| *count > 1), any }
    }

    /// Whether a member of the mapping refers into another one.
    fn tie(&self, mapping: &Collection) -> bool {
        if !self.any {
            return false;
        }
        let (mut defined, mut used) = (HashMap::new(), HashSet::new());
        for (at, item) in mapping.items.iter().enumerate() {
            visit(&item.value, &mut |node| {
                if let Some(anchor) = &node.anchor {
                    defined.insert(anchor.as_str(), at);
                }
                if let Kind::Alias(name) = &node.kind {
                    used.insert((name.as_str(), at));
                }
            });
        }
        used.iter().any(|(name, at)| defined.get(name).is_some_and(|there| there != at))
    }
}

fn visit<'a>(node: &'a Node, look: &mut dyn FnMut(&'a Node)) {
    look(node);
    if let Kind::List(collection) | Kind::Mapping(collection) = &node.kind {
        collection.items.iter().for_each(|item| visit(&item.value, look));
    }
}

/// What is said of the first member of a list item, or beside one that takes several lines, is said before its dash.
fn hoist(node: &mut Node, indent: usize) {
    let list = matches!(node.kind, Kind::List(_));
    let (Kind::List(collection) | Kind::Mapping(collection)) = &mut node.kind else { return };
    for item in &mut collection.items {
        hoist(&mut item.value, indent + write::STEP);
        if !list || write::on_one_line(item, indent).is_some() {
            continue;
        }
        let (Kind::List(inner) | Kind::Mapping(inner)) = &mut item.value.kind else { continue };
        let beside = item.trail.take().map(|text| Comment { text, blank: false });
        let first = inner.items.first_mut().into_iter();
        let first = first.flat_map(|first| {
            first.blank = false;
            std::mem::take(&mut first.lead)
        });
        let mut lead: Vec<Comment> = beside.into_iter().chain(first).collect();
        if let Some(comment) = lead.first_mut() {
            comment.blank = std::mem::take(&mut item.blank);
        }
        item.lead.extend(lead);
    }
}
