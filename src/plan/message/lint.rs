//! What a text should not hold when it reaches followers.

use crate::{diag::Code, locale::say, plan::ask::Fields};

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
    let hosts = fields.staging_hosts(text);
    let lower = if hosts.is_empty() { String::new() } else { text.to_ascii_lowercase() };
    for host in hosts {
        if let Some(found) = find_host(text, &lower, &host) {
            let message = say!("the text links to `{found}`, which is in `lint.staging_hosts`", found);
            fields.problem_in(suffix, found, Code::StagingLink, message, say!("write the URL for followers"));
        }
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
    text.char_indices().find_map(|(at, first)| {
        let rest = &text[at..];
        let begins = |word: &str| rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        let word = if first.is_ascii_uppercase() && !text[..at].ends_with(inside) {
            DRAFT.iter().find(|word| rest.starts_with(**word) && !rest[word.len()..].starts_with(inside))
        } else {
            None
        };
        let word = word.or_else(|| {
            // Most characters begin none of them.
            let fillers = FILLER.iter().filter(|word| word.starts_with(first.to_ascii_lowercase()));
            fillers.into_iter().find(|word| begins(word))
        })?;
        Some(&rest[..word.len()])
    })
}

/// All links of a text with this beginning: up to a blank, a quote, or a character that no address holds.
fn links<'a>(text: &'a str, scheme: &str) -> Vec<&'a str> {
    if !text.contains("://") {
        return Vec::new();
    }
    // ASCII case only, so that offsets stay right.
    let lower = text.to_ascii_lowercase();
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>') || !c.is_ascii();
    lower
        .match_indices(scheme)
        .map(|(at, _)| {
            let link = &text[at..];
            &link[..link.find(ends).unwrap_or(link.len())]
        })
        .collect()
}

/// A mention of a host or of one below it, in any case, with what stands before it; `lower` is the text in lower case.
fn find_host<'a>(text: &'a str, lower: &str, host: &str) -> Option<&'a str> {
    let host = host.trim().trim_start_matches('.').to_ascii_lowercase();
    let part = |c: char| c.is_alphanumeric() && c.is_ascii() || matches!(c, '-' | '.');
    lower.match_indices(&host).find_map(|(at, _)| {
        let end = at + host.len();
        let start =
            lower[..at].rfind(|c| !part(c)).map_or(0, |at| at + lower[at..].chars().next().map_or(1, char::len_utf8));
        let before = start == at || lower[..at].ends_with('.');
        // A dot may end the sentence; a longer name is another host.
        let mut after = lower[end..].chars();
        let next = after.next();
        let longer = next.is_some_and(|c| part(c) && c != '.') || (next == Some('.') && after.next().is_some_and(part));
        (before && !longer).then(|| &text[start..end])
    })
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
    }

    #[test]
    fn hosts_are_found_whole() {
        for (text, found) in [
            ("https://test.example.com/a", Some("test.example.com")),
            ("https://M.Test.Example.com", Some("M.Test.Example.com")),
            ("看test.example.com。", Some("test.example.com")),
            ("open test.example.com.", Some("test.example.com")),
            ("https://latest.example.com", None),
            ("https://test.example.com.cn", None),
            ("https://test.example.community", None),
        ] {
            assert_eq!(find_host(text, &text.to_ascii_lowercase(), "test.example.com"), found, "{text}");
        }
    }
}
