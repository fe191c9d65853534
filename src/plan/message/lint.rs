//! What a text should not hold when it reaches followers.

use crate::{diag::Code, limits, locale::say, plan::ask::Fields};

/// Words that mark a draft, as whole words in capitals.
const DRAFT: &[&str] = &["TODO", "FIXME", "XXX", "TBD"];
/// Words that mark a draft wherever they stand, in any case.
const FILLER: &[&str] = &["lorem ipsum", "【测试】", "[测试]", "(测试)", "（测试）", "待补充", "占位符"];
/// Texts that are a test and nothing else.
const ALONE: &[&str] =
    &["test", "testing", "hello world", "测试", "测试测试", "测试消息", "测试一下", "111", "123", "asdf"];
/// Marks of templates.
const MARKS: &[&str] = &["{{", "}}", "{%", "%}", "{#", "#}"];

/// Notes what a rendered text of a message should not hold.
pub(super) fn text(fields: &mut dyn Fields, suffix: &str, text: &str) {
    for found in fields.staging_hosts(text).into_iter().take(limits::LINKS_SHOWN) {
        let message = say!("the text links to `{found}`, which is in `lint.staging_hosts`", found);
        fields.problem_in(suffix, found, Code::StagingLink, message, say!("write the URL for followers"));
    }
    if text.contains(['{', '}'])
        && let Some(mark) = MARKS.iter().find(|mark| text.contains(**mark))
    {
        let message = say!("the rendered text contains `{mark}`", mark = *mark);
        let help = say!("check the braces and the inserted values, which are not rendered again");
        // The same mark may well begin a template that is right: the whole text is pointed at.
        fields.problem(suffix, Code::LeftoverTemplate, message, help);
    }
    if let Some(word) = test_word(text) {
        let message = say!("the rendered text contains `{word}`, a draft or test word", word);
        fields.problem_in(suffix, word, Code::TestWords, message, say!("write the final text"));
    }
    for link in links(text, "http://") {
        let message = say!("`{link}` is a link without https", link);
        fields.problem_in(suffix, link, Code::InsecureLink, message, say!("write https:// if the site supports it"));
    }
}

fn test_word(text: &str) -> Option<&str> {
    let alone = text.trim().trim_end_matches(['.', '!', '。', '\u{ff01}']);
    if ALONE.iter().any(|word| alone.eq_ignore_ascii_case(word)) {
        return Some(alone);
    }
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // Most characters begin none of them.
    let begins = text.bytes().enumerate().filter(|(_, byte)| BEGINS[usize::from(*byte)]);
    begins.map(|(at, _)| (&text[..at], &text[at..])).find_map(|(before, rest)| {
        let is = |word: &&&str| rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        let draft = |word: &&&str| rest.starts_with(**word) && !rest[word.len()..].starts_with(inside);
        let word = DRAFT.iter().find(draft).filter(|_| !before.ends_with(inside)).or_else(|| FILLER.iter().find(is))?;
        Some(&rest[..word.len()])
    })
}

/// Whether a byte is the first one of a word of [`DRAFT`] or [`FILLER`], in any case. Inside of a character there is none of them.
const BEGINS: [bool; 256] = {
    let mut begins = [false; 256];
    let (mut list, lists) = (0, [DRAFT, FILLER]);
    while list < lists.len() {
        let mut word = 0;
        while word < lists[list].len() {
            let first = lists[list][word].as_bytes()[0];
            begins[first as usize] = true;
            begins[first.to_ascii_uppercase() as usize] = true;
            word += 1;
        }
        list += 1;
    }
    begins
};

/// The first links of a text with this beginning: up to a blank, a quote, or a character that no address holds.
fn links<'a>(text: &'a str, scheme: &str) -> Vec<&'a str> {
    let mut links = Vec::new();
    if !text.contains("://") {
        return links;
    }
    // ASCII case only, so that offsets stay right.
    let lower = text.to_ascii_lowercase();
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>') || !c.is_ascii();
    let mut rest = 0;
    while let Some(at) = lower[rest..].find(scheme).filter(|_| links.len() < limits::LINKS_SHOWN) {
        let link = &text[rest + at..];
        let link = &link[..link.find(ends).unwrap_or(link.len())];
        rest += at + link.len();
        links.push(link);
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_words_are_whole_words() {
        for (text, word) in [
            ("春茶 TODO 改标题", Some("TODO")),
            ("TODO:价格", Some("TODO")),
            ("【测试】春茶上新", Some("【测试】")),
            ("Lorem ipsum dolor", Some("Lorem ipsum")),
            (" 测试。", Some("测试")),
            ("Test!", Some("Test")),
            ("体质测试今日开放", None),
            ("TODOS", None),
            ("XXXL 码到货", None),
            ("todo 清单", None),
        ] {
            assert_eq!(test_word(text), word, "{text}");
        }
    }

    #[test]
    fn links_end_where_addresses_do() {
        assert_eq!(
            links("看http://a.example/x?y=1,再看 HTTP://b.example。", "http://"),
            ["http://a.example/x?y=1,再".trim_end_matches("再"), "HTTP://b.example"]
        );
        assert_eq!(links("<a href=\"http://a.example\">x</a>", "http://"), ["http://a.example"]);
        assert!(links("https://a.example", "http://").is_empty());
        // A link in a link is a part of it, and some of many are told.
        assert_eq!(links("http://a/?u=http://b c", "http://"), ["http://a/?u=http://b"]);
        assert_eq!(links(&"http://a ".repeat(1_000), "http://").len(), limits::LINKS_SHOWN);
    }
}
