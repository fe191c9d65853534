//! What a text should not hold when it reaches followers.

use crate::{
    content::{
        address,
        words::{self, Found},
    },
    diag::Code,
    limits,
    locale::say,
    plan::ask::{Fields, Part},
};

/// Marks of templates.
const MARKS: &[&str] = &["{{", "}}", "{%", "%}", "{#", "#}"];

/// Notes what a rendered text of a message should not hold.
pub(super) fn text(fields: &mut dyn Fields, suffix: &str, text: &str) {
    for found in fields.staging_hosts(text).into_iter().take(limits::LINKS_SHOWN) {
        let message = say!("the text links to `{found}`, which is in `lint.staging_hosts`", found);
        let part = Part::first(text, found);
        fields.problem_in(suffix, part, Code::StagingLink, message, say!("write the URL for followers"));
    }
    if text.contains(['{', '}'])
        && let Some(mark) = MARKS.iter().find(|mark| text.contains(**mark))
    {
        let message = say!("the rendered text contains `{mark}`", mark = *mark);
        let help = say!("check the braces and the inserted values, which are not rendered again");
        // The same mark may well begin a template that is right: the whole text is pointed at.
        fields.problem(suffix, Code::LeftoverTemplate, message, help);
    }
    for Found { range, code, message, help } in words::look(text, &fields.words(text), false) {
        fields.problem_in(suffix, Part { text, range }, code, message, help);
    }
    for (at, fault) in address::faults(text) {
        let (code, message, help) = fault.said();
        fields.problem_in(suffix, Part { text, range: at }, code, message, help);
    }
    for link in links(text, "http://") {
        let message = say!("`{link}` is a link without https", link);
        fields.problem_in(
            suffix,
            Part::first(text, link),
            Code::InsecureLink,
            message,
            say!("write https:// if the site supports it"),
        );
    }
}

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
