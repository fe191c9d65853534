//! Formulas: WeChat does not typeset them, so each is a finding.

use std::ops::Range;

use super::tree::Findings;
use crate::{diag::Code, locale::say};

/// Functions that are written in letters.
const FUNCTIONS: &[&str] = &["sin", "cos", "tan", "log", "ln", "exp", "max", "min", "lim", "mod", "gcd", "det"];

/// Whether a text between dollar signs is a formula: it has a TeX command, or is of short names, numbers and signs of formulas.
pub(super) fn is_tex(text: &str) -> bool {
    let command = text.match_indices('\\').any(|(at, _)| text[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic()));
    let mut words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()).peekable();
    let named = words.peek().is_some();
    let short = words.all(|word| word.len() <= 2 || FUNCTIONS.contains(&word));
    let signs = text.contains(['=', '+', '^', '_', '<', '>', '\'']) || text.len() == 1 || is_call(text);
    // `$5 + $6` is a sum of money: nothing stands before a number.
    command || (text.is_ascii() && named && short && signs && !text.contains(['$', '"', ';']))
}

/// `f(x)`, `O(n)`, `n!`.
fn is_call(text: &str) -> bool {
    let text = text.trim();
    let one = |text: &str| text.len() == 1 && text.starts_with(|c: char| c.is_ascii_alphabetic());
    text.strip_suffix('!').is_some_and(one)
        || text
            .strip_suffix(')')
            .and_then(|text| text.split_once('('))
            .is_some_and(|(name, inner)| one(name) && !inner.is_empty())
}

/// `\begin{equation}` and its end.
pub(super) fn find_environment(text: &str) -> Option<Range<usize>> {
    let start = text.find("\\begin{")?;
    let end = text[start..].find("\\end{").map_or(start + "\\begin{".len(), |at| start + at);
    Some(start..text[end..].find('}').map_or(text.len(), |at| end + at + 1))
}

/// `$$...$$`, or `$...$` with a TeX command.
pub(super) fn find_dollars(text: &str) -> Option<Range<usize>> {
    if let Some((start, rest)) = text.find("$$").map(|start| (start, &text[start + 2..]))
        && let Some(length) = rest.find("$$").filter(|length| *length > 0)
    {
        return Some(start..start + length + 4);
    }
    let marks: Vec<usize> = text.match_indices('$').map(|(at, _)| at).collect();
    marks.windows(2).find(|pair| is_tex(&text[pair[0] + 1..pair[1]])).map(|pair| pair[0]..pair[1] + 1)
}

/// A formula between `\\(` and `\\)`, or `\\[` and `\\]`.
pub(super) fn find_brackets(text: &str) -> Option<Range<usize>> {
    for (open, close) in [("\\(", "\\)"), ("\\[", "\\]")] {
        let mut from = 0;
        while let Some(start) = text[from..].find(open).map(|at| from + at) {
            let Some(length) = text[start + 2..].find(close) else { break };
            let inner = &text[start + 2..start + 2 + length];
            if !text[..start].ends_with('\\') && (is_tex(inner.trim()) || inner.contains(['^', '=', '_'])) {
                return Some(start..start + length + 4);
            }
            from = start + length + 4;
        }
    }
    None
}

/// The finding for a formula.
pub(super) fn unsupported(range: Range<usize>, formula: &str, findings: &mut Findings) {
    if findings.is_full(Code::MathUnsupported) {
        return;
    }
    let shown: String = formula.chars().take(40).collect();
    let help = say!(
        "commit the formula as a PNG next to the article and write `![formula](formula.png)`; for a plain dollar sign write `\\$`"
    );
    let message = say!("WeChat cannot render the formula `{formula}`", formula = shown.trim());
    findings.add(Code::MathUnsupported, range, message, help);
}
