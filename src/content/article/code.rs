//! Colours of code. The grammars are loaded when the first coloured block is met, and never otherwise.

use std::sync::LazyLock;

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use crate::limits;

static GRAMMARS: LazyLock<SyntaxSet> = LazyLock::new(two_face::syntax::extra_newlines);

/// The parts of code that have a colour: the beginning of a scope, and the hook of the theme. The first that fits wins.
const PARTS: &[(&str, &str)] = &[
    ("comment", ".code-comment"),
    ("string", ".code-string"),
    ("constant.character.escape", ".code-string"),
    ("constant", ".code-number"),
    ("keyword.operator.word", ".code-keyword"),
    ("keyword.operator", ""),
    ("keyword", ".code-keyword"),
    ("storage.type.primitive", ".code-type"),
    ("storage", ".code-keyword"),
    ("entity.name.function", ".code-function"),
    ("entity.name.tag", ".code-tag"),
    ("entity.name.type", ".code-type"),
    ("entity.name.class", ".code-type"),
    ("entity.name.struct", ".code-type"),
    ("entity.name.enum", ".code-type"),
    ("entity.name.trait", ".code-type"),
    ("entity.other.attribute-name", ".code-attribute"),
    ("support.function", ".code-function"),
    ("support.macro", ".code-function"),
    ("variable.function", ".code-function"),
    ("support.type.property-name", ".code-attribute"),
    ("support.type", ".code-type"),
    ("support.class", ".code-type"),
    ("meta.mapping.key", ".code-attribute"),
];

static SCOPES: LazyLock<Vec<(Scope, &'static str)>> =
    LazyLock::new(|| PARTS.iter().filter_map(|(scope, hook)| Some((Scope::new(scope).ok()?, *hook))).collect());

/// A grammar, or the fact that none is wanted.
pub(super) enum Language {
    Plain,
    Unknown,
    Known(&'static SyntaxReference),
}

/// The grammar of the name after a fence.
pub(super) fn language(name: &str) -> Language {
    let name = name.to_ascii_lowercase();
    let name = match name.as_str() {
        "" | "text" | "txt" | "plain" | "plaintext" | "none" | "output" => return Language::Plain,
        "golang" => "go",
        "shell" | "console" | "shell-session" | "zsh" => "bash",
        "c++" => "cpp",
        "c#" | "csharp" => "cs",
        "jsonc" | "json5" => "json",
        "javascript" => "js",
        "typescript" => "ts",
        other => other,
    };
    GRAMMARS.find_syntax_by_token(name).map_or(Language::Unknown, Language::Known)
}

/// The code in parts, each with its hook (or an empty one).
pub(super) fn parts<'t>(code: &'t str, syntax: &SyntaxReference) -> Vec<(&'static str, &'t str)> {
    let mut state = ParseState::new(syntax);
    let mut stack = ScopeStack::new();
    let mut parts = Vec::new();
    let mut broken = false;
    for line in code.split_inclusive('\n') {
        // Grammars ask for the line end.
        let ended = if line.ends_with('\n') { line.to_owned() } else { format!("{line}\n") };
        broken |= line.len() > limits::CODE_LINE_COLOURED;
        let operations = if broken { None } else { state.parse_line(&ended, &GRAMMARS).ok() };
        let Some(operations) = operations else {
            broken = true;
            parts.push(("", line));
            continue;
        };
        let mut from = 0;
        for (at, operation) in operations {
            let at = line.floor_char_boundary(at.min(line.len()));
            if at > from {
                parts.push((hook(&stack), &line[from..at]));
                from = at;
            }
            broken |= stack.apply(&operation).is_err();
        }
        if from < line.len() {
            parts.push((hook(&stack), &line[from..]));
        }
    }
    parts
}

fn hook(stack: &ScopeStack) -> &'static str {
    let find = |scope: &Scope| SCOPES.iter().find(|(part, _)| part.is_prefix_of(*scope)).map(|(_, hook)| *hook);
    stack.as_slice().iter().rev().find_map(find).unwrap_or_default()
}
