//! Words that should not reach followers: templates in another form, words of drafts, words that the plan forbids.
//!
//! Text in, findings out: whoever calls knows what is prose, and where it stands.

use std::{ops::Range, sync::LazyLock};

use serde::Deserialize;

use super::hosts::Hosts;
use crate::{
    diag::Code,
    locale::{Phrase, say},
    payload,
    text::characters::half_width,
};

/// The words of drafts, as data.
const WORDS: &str = include_str!("words.json");

#[derive(Debug, Default, Deserialize)]
struct Words {
    capitals: Vec<String>,
    anywhere: Vec<String>,
    ends: Vec<String>,
    alone: Vec<String>,
}

/// Read once; a test holds that they can be.
static DRAFT: LazyLock<Words> = LazyLock::new(|| serde_json::from_str(WORDS).unwrap_or_default());

/// Which characters, by their last 16 bits, may begin a word of a draft, in any case.
static FIRST: LazyLock<Vec<bool>> = LazyLock::new(|| {
    let mut first = vec![false; FIRST_MASK + 1];
    let words = DRAFT.capitals.iter().chain(&DRAFT.anywhere).chain(&DRAFT.ends);
    for c in words.filter_map(|word| word.chars().next()).chain(CROSSES) {
        for c in [c.to_ascii_lowercase(), c.to_ascii_uppercase()] {
            first[c as usize & FIRST_MASK] = true;
        }
    }
    first
});
const FIRST_MASK: usize = 0xffff;

/// What stands for a name or number.
const CROSSES: [char; 4] = ['×', 'X', 'x', 'Ｘ'];

/// What is known of a plan when its words are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lint {
    /// Words that must not reach followers.
    pub(crate) forbidden: Vec<String>,
    /// Phrases that hold such a word and are right.
    pub(crate) allow: Vec<String>,
    /// Names of variables, columns and environment variables, in full.
    pub(crate) names: Vec<String>,
    /// Hosts that followers must never be led to.
    pub(crate) staging: Hosts,
    /// Whether braces in an article can only be a template that was not read.
    pub(crate) braces: bool,
}

/// Something found in a text.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) range: Range<usize>,
    pub(crate) code: Code,
    pub(crate) message: Phrase,
    pub(crate) help: Phrase,
}

/// What a text should not hold; `article` if it is a part of one, in which words of programs are prose.
pub(crate) fn look(text: &str, lint: &Lint, article: bool) -> Vec<Found> {
    let mut found = mistyped(text, lint);
    let mark = ["{{", "}}", "{%", "%}", "｛｛", "｝｝"].into_iter().filter(|_| lint.braces && found.is_empty());
    if let Some((mark, at)) = mark.filter_map(|mark| Some((mark, text.find(mark)?))).min_by_key(|(_, at)| *at) {
        let message = say!("the rendered text contains `{mark}`", mark);
        let help = say!("check the braces and the inserted values, which are not rendered again");
        found.push(Found { range: at..at + mark.len(), code: Code::LeftoverTemplate, message, help });
    }
    if let Some(range) = draft_word(text, article) {
        let word = &text[range.clone()];
        let message = say!("the rendered text contains `{word}`, a draft or test word", word);
        found.push(Found { range, code: Code::TestWords, message, help: say!("write the final text") });
    }
    found.extend(forbidden(text, lint));
    found
}

/// Words that the plan forbids, each once.
fn forbidden(text: &str, lint: &Lint) -> Vec<Found> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for word in lint.forbidden.iter().filter(|word| !word.is_empty()) {
        let wanted = word.to_ascii_lowercase();
        let meant = |at: usize| {
            lint.allow.iter().any(|phrase| {
                let phrase = phrase.to_ascii_lowercase();
                phrase.match_indices(&wanted).any(|(offset, _)| {
                    let begin = at.checked_sub(offset).and_then(|begin| lower.get(begin..));
                    begin.is_some_and(|text| text.starts_with(&phrase))
                })
            })
        };
        let free = |at: &usize| !meant(*at);
        if let Some(at) = lower.match_indices(&wanted).map(|(at, _)| at).find(free) {
            let range = at..at + wanted.len();
            let message = say!("the text contains `{word}`, which is in `lint.forbidden`", word = word.as_str());
            let help = say!("write it without this word, or put a phrase that is right into `lint.allow`");
            found.push(Found { range, code: Code::ForbiddenWord, message, help });
        }
    }
    found
}

/// A word of a draft, or of a test.
pub(crate) fn draft_word(text: &str, article: bool) -> Option<Range<usize>> {
    let trimmed = text.trim().trim_end_matches(['.', '!', '。', '\u{ff01}']);
    if !article && DRAFT.alone.iter().any(|word| trimmed.eq_ignore_ascii_case(word)) {
        let start = text.len() - text.trim_start().len();
        return Some(start..start + trimmed.len());
    }
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // Most characters begin none of them.
    let candidates = text.char_indices().filter(|(_, first)| FIRST[*first as usize & FIRST_MASK]);
    candidates.into_iter().find_map(|(at, first)| {
        let rest = &text[at..];
        let begins = |word: &str| rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        if first.is_ascii_uppercase() && !text[..at].ends_with(inside) {
            let capital = DRAFT.capitals.iter().find(|word| {
                let after = rest.strip_prefix(word.as_str());
                // Articles speak of lists of TODOs.
                after.is_some_and(|after| {
                    !after.starts_with(inside)
                        && (!article || after.starts_with([':', '：', '(', '（', '!', '！']) || after.trim().is_empty())
                })
            });
            if let Some(word) = capital {
                return Some(at..at + word.len());
            }
        }
        let length = crosses(text, at, first);
        if length > 0 {
            return Some(at..at + length);
        }
        let first = first.to_ascii_lowercase();
        let of = |words: &'static [String]| words.iter().filter(move |word| word.starts_with(first));
        let word = of(&DRAFT.anywhere).find(|word| begins(word)).or_else(|| {
            let ends = |word: &str| !rest[word.len()..].starts_with(|c: char| c.is_alphanumeric());
            of(&DRAFT.ends).find(|word| begins(word) && ends(word))
        })?;
        Some(at..at + word.len())
    })
}

/// The length of `××` or `XX` in the place of a name or number of Chinese text.
fn crosses(text: &str, at: usize, first: char) -> usize {
    let same = |c: char| if first == '×' { c == '×' } else { c == first };
    if !CROSSES.contains(&first) || text[..at].ends_with(same) {
        return 0;
    }
    let rest = &text[at..];
    let length = rest.len() - rest.trim_start_matches(same).len();
    if length < 2 * first.len_utf8() {
        return 0;
    }
    let (before, after) = (text[..at].chars().next_back(), rest[length..].chars().next());
    let chinese = |c: Option<char>| c.is_some_and(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    let word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let alone = match first {
        '×' => !word(before) && !word(after),
        _ => (!word(before) || year(&text[..at]) && after == Some('年')) && !word(after) && chinese(after),
    };
    if alone { length } else { 0 }
}

/// `20XX年`.
fn year(before: &str) -> bool {
    ["19", "20"].iter().any(|century| {
        before.strip_suffix(century).is_some_and(|rest| !rest.ends_with(|c: char| c.is_ascii_alphanumeric()))
    })
}

/// The first part of what a template may name.
const ROOTS: &[&str] = &["vars", "row", "env", "steps", "run", "account"];

/// A dotted name at the beginning of a text, `vars.x`, and its length.
fn dotted(text: &str) -> Option<(&str, usize)> {
    let root = ROOTS.iter().find(|root| text.strip_prefix(**root).is_some_and(|rest| rest.starts_with('.')))?;
    let name = &text[root.len() + 1..];
    let length =
        name.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']' | '"'))).unwrap_or(name.len());
    let name = name[..length].trim_end_matches(['.', '"', '[']);
    let first = name.split(['.', '[']).next().unwrap_or_default();
    (!first.is_empty() && first.starts_with(|c: char| c.is_alphabetic() || c == '_'))
        .then_some((first, root.len() + 1 + name.len()))
}

/// Whether a text has a character that a template in another form has: else no name is looked for in it.
pub(crate) fn may_be_mistyped(text: &str) -> bool {
    text.contains(['{', '｛', '$', '%', '.', '＄', '％'])
}

/// Templates that were typed in another form, so that readers would see them.
fn mistyped(text: &str, lint: &Lint) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut end = 0;
    if !may_be_mistyped(text) {
        return found;
    }
    for (at, c) in text.char_indices() {
        if at < end {
            continue;
        }
        let rest = &text[at..];
        let near = &rest[..rest.floor_char_boundary(rest.len().min(300))];
        let what = match c {
            '{' | '｛' if !text[..at].ends_with(['{', '｛']) => braced(near, lint),
            '$' | '＄' => dollar(&near[c.len_utf8()..], lint).map(|(length, name)| (c.len_utf8() + length, name)),
            '#' if near.starts_with("#{") => braced(&near[1..], lint).map(|(length, name)| (length + 1, name)),
            '%' | '％' if !text[..at].ends_with(|c: char| c.is_ascii_digit()) => percent(near, c, lint),
            _ => None,
        };
        let what = what.or_else(|| plain(text, at, near, lint));
        let Some((length, name)) = what else { continue };
        end = at + length;
        let written = &text[at..end];
        let message = say!("`{text}` is not read as a template: readers would see it", text = payload::shown(written));
        let help = say!("write `{template}`", template = format!("{{{{ {name} }}}}"));
        found.push(Found { range: at..end, code: Code::MistypedTemplate, message, help });
        if found.len() >= 20 {
            break;
        }
    }
    found
}

/// A name of a template: what stands before the first filter.
fn name_of(inner: &str) -> Option<String> {
    let inner = half_width(inner);
    let inner = inner.trim_matches(['{', '}', ' ']).trim();
    (!inner.is_empty() && !inner.contains(['{', '}', '\n'])).then(|| inner.to_owned())
}

/// The name of a variable, in full.
fn known(name: &str, lint: &Lint) -> Option<String> {
    lint.names.iter().find(|known| *known == name || known.rsplit('.').next() == Some(name)).cloned()
}

/// `｛｛ x ｝｝`, `{ vars.x }`, `{x}` of a known name: its length, and what to write between the braces.
fn braced(text: &str, lint: &Lint) -> Option<(usize, String)> {
    let open = |c: char| matches!(c, '{' | '｛');
    let close = |c: char| matches!(c, '}' | '｝');
    let opening = text.len() - text.trim_start_matches(open).len();
    let signs = text[..opening].chars().count();
    let length = text[opening..].find(close)?;
    let inner = &text[opening..opening + length];
    let closing = text[opening + length..].len() - text[opening + length..].trim_start_matches(close).len();
    let whole = opening + length + closing;
    let wide = text[..opening].contains('｛') || text[opening + length..whole].contains('｝');
    let name = name_of(inner)?;
    if signs > 2 || inner.contains(open) {
        return None;
    }
    let first = name.split(['|', ' ']).next().unwrap_or_default();
    let is_dotted = dotted(first).is_some();
    // `{{ x }}` that stayed is said of all braces that stayed.
    match (signs, wide) {
        (2, true) if is_dotted || first.starts_with(char::is_alphanumeric) => {}
        (1, _) if is_dotted => {}
        (1, _) => return Some((whole, known(&name, lint)?)),
        _ => return None,
    }
    let name = if is_dotted { name } else { known(&name, lint).unwrap_or(name) };
    Some((whole, name))
}

/// `${vars.x}`, `${x}` of a known name, `$vars.x`; what follows the sign.
fn dollar(text: &str, lint: &Lint) -> Option<(usize, String)> {
    if text.starts_with(['{', '｛']) {
        let close = text.find(['}', '｝'])?;
        let end = close + text[close..].len() - text[close..].trim_start_matches(['}', '｝']).len();
        let name = name_of(&text[..close])?;
        let first = name.split(['|', ' ']).next().unwrap_or_default();
        return match dotted(first) {
            Some(_) => Some((end, name)),
            None => Some((end, known(&name, lint)?)),
        };
    }
    if let Some((_, length)) = dotted(text) {
        return Some((length, text[..length].to_owned()));
    }
    let length = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let name = &text[..length];
    (length > 2 && !name.starts_with(|c: char| c.is_ascii_digit())).then_some(())?;
    Some((length, known(name, lint)?))
}

/// `%x%` of a known name.
fn percent(text: &str, sign: char, lint: &Lint) -> Option<(usize, String)> {
    let inner = &text[sign.len_utf8()..];
    let length = inner.find(sign).filter(|length| *length > 0)?;
    let name = half_width(&inner[..length]);
    let name = name.trim();
    let whole = length + 2 * sign.len_utf8();
    match dotted(name) {
        Some((_, length)) if length == name.len() => Some((whole, name.to_owned())),
        _ => Some((whole, known(name, lint)?)),
    }
}

/// `vars.x` of a known name that stands in the text.
fn plain(text: &str, at: usize, near: &str, lint: &Lint) -> Option<(usize, String)> {
    if text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-' | '@')) {
        return None;
    }
    // Braces that stayed are said of.
    if text[..at].trim_end().ends_with("{{") {
        return None;
    }
    let (_, length) = dotted(near)?;
    let name = &near[..length];
    lint.names.iter().any(|known| known == name).then(|| (length, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_can_be_read() {
        let words: Words = serde_json::from_str(WORDS).expect("valid");
        assert!(words.anywhere.len() > 30 && words.capitals.len() == 4);
    }

    #[test]
    fn words_of_drafts_are_found_and_words_of_people_are_not() {
        for (text, word) in [
            ("春茶 TODO 改标题", Some("TODO")),
            ("TODO:价格", Some("TODO")),
            ("【测试】春茶上新", Some("【测试】")),
            ("Lorem ipsum dolor", Some("Lorem ipsum")),
            (" 测试。", Some("测试")),
            ("Test!", Some("Test")),
            ("时间待定", Some("待定")),
            ("地点：待定。", Some("待定")),
            ("价格待补充", Some("待补充")),
            ("××店开业", Some("××")),
            ("欢迎来到XX店", Some("XX")),
            ("xx公司敬上", Some("xx")),
            ("20XX年春", Some("XX")),
            ("此处填写地址", Some("此处填写")),
            ("体质测试今日开放", None),
            ("TODOS", None),
            ("XXXL 码到货", None),
            ("XXL码到货", None),
            ("todo 清单", None),
            ("待定系数法", None),
            ("海报 1080×1920", None),
            ("3××5", None),
            ("XX", None),
            ("138XXXX5678", None),
            ("待补货的茶", None),
            ("exXXample", None),
        ] {
            assert_eq!(draft_word(text, false).map(|range| &text[range]), word, "{text}");
        }
        assert_eq!(draft_word("写一个 TODO 应用", true), None);
        assert_eq!(draft_word("TODO: 补图", true), Some(0..4));
    }

    #[test]
    fn templates_in_another_form_are_found() {
        let lint =
            Lint { names: vec!["vars.product".into(), "row.城市".into(), "env.BUILD".into()], ..Lint::default() };
        let found = |text: &str| -> Vec<String> {
            mistyped(text, &lint).iter().map(|found| format!("{} {}", &text[found.range.clone()], found.help)).collect()
        };
        for (text, what) in [
            ("｛｛ vars.product ｝｝上新", "｛｛ vars.product ｝｝ write `{{ vars.product }}`"),
            ("｛｛product｝｝", "｛｛product｝｝ write `{{ vars.product }}`"),
            ("{｛ vars.product }}", "{｛ vars.product }} write `{{ vars.product }}`"),
            ("{ vars.product }上新", "{ vars.product } write `{{ vars.product }}`"),
            ("{row.城市}", "{row.城市} write `{{ row.城市 }}`"),
            ("{城市}店", "{城市} write `{{ row.城市 }}`"),
            ("看${vars.product}吧", "${vars.product} write `{{ vars.product }}`"),
            ("${product}", "${product} write `{{ vars.product }}`"),
            ("#{product}", "#{product} write `{{ vars.product }}`"),
            ("$product 好", "$product write `{{ vars.product }}`"),
            ("$vars.product 好", "$vars.product write `{{ vars.product }}`"),
            ("%product%上新", "%product% write `{{ vars.product }}`"),
            ("% 城市 %", "% 城市 % write `{{ row.城市 }}`"),
            ("欢迎 vars.product 上新", "vars.product write `{{ vars.product }}`"),
        ] {
            assert_eq!(found(text), [what], "{text}");
        }
        for text in [
            "五折 50%product%",
            "100% 好茶 %",
            "{春茶}",
            "${PATH}",
            "{ }",
            "a.vars.product",
            "https://vars.product/",
            "vars.other",
            "｛注｝",
            "{a: 1}",
            "{{ vars.product }}",
            "{{ product }}",
            "$5 和 $6",
        ] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }

    #[test]
    fn words_that_the_plan_forbids_have_exceptions() {
        let lint = Lint {
            forbidden: vec!["最".into(), "第一".into(), "Best".into()],
            allow: vec!["最近".into(), "第一次".into()],
            ..Lint::default()
        };
        let found = |text: &str| -> Vec<String> {
            forbidden(text, &lint).iter().map(|found| text[found.range.clone()].to_owned()).collect()
        };
        assert_eq!(found("最近的第一次"), Vec::<String>::new());
        assert_eq!(found("最近是最好的第一名，best"), ["最", "第一", "best"]);
        assert_eq!(found("近最近最"), ["最"]);
    }
}
