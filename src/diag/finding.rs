//! Diagnostics as data: what `--format json` prints, and what the formats of other tools are made from.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Diagnostic, Severity, render::sorted};
use crate::{
    diag::source::{SourceMap, Span},
    locale::{Language, Phrase},
};

/// Version of the shape.
pub const DIAGNOSTICS_SCHEMA: u32 = 1;

/// Findings in plans. Every command prints them with `--format json` if a plan has errors; `validate` always does.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Document {
    /// Version of this format.
    pub(crate) schema: u32,
    /// Exit code of the process.
    pub(crate) exit_code: u8,
    /// One entry per plan, in command-line order.
    pub(crate) plans: Vec<Checked>,
}

/// A checked plan.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Checked {
    /// Path as given; `-` is standard input.
    pub plan: String,
    /// Whether the plan can run, because it has no errors.
    pub valid: bool,
    /// Digest of everything that determines the messages, as printed by `render`; null if there are errors.
    pub digest: Option<String>,
    /// Findings: errors first, then by file and location.
    pub diagnostics: Vec<Finding>,
    /// Sizes of its articles, even if there are errors.
    pub articles: Vec<ArticleSize>,
}

/// Size of an article in the plan.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ArticleSize {
    /// Step that creates the article.
    pub(crate) step: String,
    /// The step's `foreach` key.
    pub(crate) key: Option<String>,
    /// Position in the draft, starting at 1.
    pub(crate) article: usize,
    /// Title of the article.
    pub(crate) title: String,
    /// Visible characters.
    pub(crate) characters: usize,
    /// Characters including tags and styles.
    pub(crate) html_characters: usize,
    /// Size of the HTML in bytes.
    pub(crate) bytes: usize,
    /// Number of pictures.
    pub(crate) images: usize,
    /// What uses the most bytes.
    pub(crate) heaviest: Vec<Cause>,
    /// Keys of the front matter that have no effect here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ignored: Vec<String>,
}

/// Something that uses bytes of an article.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Cause {
    /// Description of the content.
    pub(crate) cause: Phrase,
    /// Number of bytes.
    pub(crate) bytes: usize,
}

/// A finding.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Finding {
    /// Code such as `Q201`; `qunfa explain` explains it.
    pub(crate) code: &'static str,
    /// Name of the code, such as `unknown-key`.
    pub(crate) name: &'static str,
    /// Severity.
    pub(crate) severity: Severity,
    /// What is wrong, in one line.
    pub(crate) message: Phrase,
    /// Arguments of the message, by name.
    pub(crate) arguments: serde_json::Map<String, serde_json::Value>,
    /// Location; null if there is no file, for example for an option.
    pub(crate) place: Option<Place>,
    /// Related locations.
    pub(crate) related: Vec<Place>,
    /// What to write instead or what to do.
    pub(crate) help: Vec<Phrase>,
}

/// A labelled location in a file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Place {
    /// Path as shown to the user; `<stdin>` is standard input.
    pub(crate) file: String,
    /// Start line, starting at 1.
    pub(crate) line: usize,
    /// Start column in characters, starting at 1.
    pub(crate) column: usize,
    /// End line.
    pub(crate) end_line: usize,
    /// Column of the first character after the end.
    pub(crate) end_column: usize,
    /// Start offset in UTF-8 bytes, without a byte order mark.
    pub(crate) byte_start: usize,
    /// End offset in UTF-8 bytes.
    pub(crate) byte_end: usize,
    /// Label; may be empty.
    pub(crate) label: Phrase,
}

/// All findings as data.
pub fn findings(diagnostics: &[Diagnostic], sources: &SourceMap) -> Vec<Finding> {
    let place = |label: &super::Label| place(&label.span, &label.text, sources);
    sorted(diagnostics)
        .into_iter()
        .map(|d| Finding {
            code: d.code.info().id,
            name: d.code.info().name,
            severity: d.severity(),
            message: d.message.clone(),
            arguments: d.message.arguments(),
            place: d.primary.as_ref().map(place),
            related: d.related.iter().map(place).collect(),
            help: d.help.clone(),
        })
        .collect()
}

fn place(span: &Span, label: &Phrase, sources: &SourceMap) -> Place {
    let file = sources.file(span.file);
    let text = &file.text;
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
    // A block reaches to the beginning of what follows it.
    let end = start + text[start..end].trim_end().len();
    let (from, to) = (file.position(start), file.position(end));
    Place {
        file: file.path.clone(),
        line: from.line,
        column: from.column,
        end_line: to.line,
        end_column: to.column,
        byte_start: start,
        byte_end: end,
        label: label.clone(),
    }
}

impl Finding {
    /// The message, and what to do about it below.
    pub fn text(&self) -> String {
        std::iter::once(&self.message).chain(&self.help).map(Phrase::to_string).collect::<Vec<_>>().join("\n")
    }

    /// Names its files otherwise: systems that show findings know them from the root of the repository.
    pub fn rename(&mut self, name: &dyn Fn(&str) -> String) {
        for place in self.place.iter_mut().chain(&mut self.related) {
            place.file = name(&place.file);
        }
    }
}

impl Checked {
    /// Each finding with a name that stays the same while lines move and languages change: code, file, English words, and
    /// which of several alike.
    pub(super) fn fingerprinted(&self) -> impl Iterator<Item = (String, &Finding)> {
        let mut seen: HashMap<String, u32> = HashMap::new();
        self.diagnostics.iter().map(move |finding| {
            let file = finding.place.as_ref().map_or(self.plan.as_str(), |place| &place.file);
            let what = format!("{}\n{file}\n{}", finding.code, finding.message.in_language(Language::En));
            let number = seen.entry(what.clone()).or_default();
            *number += 1;
            let hash = Sha256::digest(format!("{what}\n{number}"));
            (hash.iter().map(|byte| format!("{byte:02x}")).collect(), finding)
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diag::Code;

    /// A plan with an error under full-width text, one over several lines with a second place, two alike, a warning and
    /// one of no file.
    pub(in crate::diag) fn sample() -> Checked {
        let mut sources = SourceMap::default();
        let text = "{id: 第一步,　sned: 1}\nnext:\n  春: 1\n  茶: 2\n\nlast: a, b\n";
        let file = sources.add("活动/plan 1.yaml", text.into());
        let span = |words: &str| {
            let at = text.find(words).expect("there");
            Span::new(file, at..at + words.len())
        };
        let diagnostics = [
            Diagnostic::nowhere(Code::EnvMissing, "the environment variable `X` is not set").help("set it"),
            Diagnostic::new(Code::LongText, span("last"), "the text is long: 50 % more"),
            Diagnostic::new(Code::UnknownKey, span("sned"), "unknown key `sned`").help("did you mean `send`?"),
            Diagnostic::new(Code::DuplicateId, span("春: 1\n  茶: 2\n\n"), "two of them")
                .label("here")
                .related(span("id"), "first used here"),
            Diagnostic::new(Code::WrongType, span("a, b"), "not a number"),
            Diagnostic::new(Code::WrongType, span("b"), "not a number"),
        ];
        Checked {
            plan: "活动/plan 1.yaml".into(),
            valid: false,
            digest: None,
            diagnostics: findings(&diagnostics, &sources),
            articles: Vec::new(),
        }
    }

    #[test]
    fn places_are_data() {
        insta::assert_json_snapshot!(sample());
    }

    #[test]
    fn a_fingerprint_survives_moved_lines() {
        let (before, mut after) = (sample(), sample());
        for place in after.diagnostics.iter_mut().filter_map(|finding| finding.place.as_mut()) {
            place.line += 10;
        }
        let names = |checked: &Checked| checked.fingerprinted().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&before), names(&after));
        let mut unique = names(&before);
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), before.diagnostics.len(), "also of two that are alike");
    }
}
