//! HTML that WeChat gives back, as an article that can be sent again: what the rules do not list is left out or unwrapped,
//! and counted; tags are paired and stand where they may.

use std::collections::BTreeMap;

use html5gum::{DefaultEmitter, Token, Tokenizer};

use super::{
    css, math,
    rules::{Content, RULESET},
    tree::rule,
    write::escape,
};
use crate::{diag::source::without_forbidden, limits};

/// An article that can be sent again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) html: String,
    /// What is no part of it, and how often: `<iframe>`, `position`. What has no effect in WeChat is not counted.
    pub(crate) dropped: BTreeMap<String, usize>,
}

/// Elements that go with all that they hold.
const WHOLE: [&str; 12] =
    ["script", "style", "iframe", "svg", "video", "audio", "object", "canvas", "textarea", "select", "head", "title"];
/// What stands for elements that have another name here.
const OTHER_NAMES: [(&str, &str); 10] = [
    ("div", "section"),
    ("figure", "section"),
    ("figcaption", "section"),
    ("center", "section"),
    ("article", "section"),
    ("main", "section"),
    ("font", "span"),
    ("mark", "span"),
    ("strike", "del"),
    ("small", "span"),
];
/// Elements that never hold anything.
const VOID: [&str; 12] = ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"];

/// An element that is open.
struct Open {
    /// As the source names it.
    source: String,
    /// As it is written; none if it is unwrapped.
    tag: Option<String>,
}

struct Writer<'p> {
    kept: Kept,
    open: Vec<Open>,
    /// Of elements that go: the one that is open, and how deep.
    gone: Option<(String, usize)>,
    /// What stands for the address of a picture; none leaves the picture out.
    picture: &'p mut dyn FnMut(&str) -> Option<String>,
}

/// Reads HTML as WeChat gives it. `picture` is asked for each picture's address, and gives another one, or none.
pub(crate) fn kept(html: &str, picture: &mut dyn FnMut(&str) -> Option<String>) -> Kept {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true);
    let mut writer = Writer { kept: Kept::default(), open: Vec::new(), gone: None, picture };
    let utf8 = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for token in Tokenizer::new_with_emitter(html, emitter).flatten() {
        match token {
            Token::StartTag(tag) => {
                let attributes = tag.attributes.iter().take(limits::TAG_ATTRIBUTES_MAX);
                let attributes = attributes.map(|(name, value)| (utf8(name), utf8(&value.value))).collect();
                writer.start(&utf8(&tag.name), tag.self_closing, attributes);
            }
            Token::EndTag(tag) => writer.end(&utf8(&tag.name)),
            Token::String(text) => writer.text(&utf8(&text.value)),
            _ => {}
        }
    }
    writer.close_to(0);
    // Nothing of it is a template.
    let html = &mut writer.kept.html;
    *html = without_forbidden(html);
    if ["{{", "{%", "{#"].iter().any(|opening| html.contains(opening)) {
        *html = html.replace('{', "&#123;");
    }
    writer.kept
}

impl Writer<'_> {
    fn drop(&mut self, name: impl Into<String>) {
        *self.kept.dropped.entry(name.into()).or_default() += 1;
    }

    /// The innermost element that is written, and whether all that it holds stands in a line.
    fn inside(&self) -> Option<&str> {
        self.open.iter().rev().find_map(|open| open.tag.as_deref())
    }

    fn is_inline(&self) -> bool {
        let mut tags = self.open.iter().filter_map(|open| open.tag.as_deref());
        tags.any(|tag| rule(tag).is_some_and(|rule| rule.content == Content::Inline))
    }

    fn start(&mut self, source: &str, closed: bool, attributes: Vec<(String, String)>) {
        if let Some((gone, depth)) = &mut self.gone {
            *depth += usize::from(gone == source && !closed);
            return;
        }
        let void = VOID.contains(&source);
        if WHOLE.contains(&source) {
            self.drop(format!("<{source}>"));
            self.gone = (!closed).then(|| (source.to_owned(), 1));
            return;
        }
        let named = OTHER_NAMES.iter().find(|(from, _)| *from == source).map_or(source, |(_, to)| to);
        // Deeper than any article: what is there stands without its elements.
        let too_deep = self.open.len() >= 2 * limits::ARTICLE_DEPTH_MAX;
        let tag = if too_deep && !void { None } else { self.placed(named) };
        if tag.is_none() && rule(named).is_none() && !matches!(source, "html" | "body" | "wbr") {
            self.drop(format!("<{source}>"));
        }
        if let Some(tag) = &tag {
            match tag.as_str() {
                "img" => return self.image(&attributes),
                tag => self.write(tag, &attributes),
            }
        }
        if !void && !closed && !too_deep {
            self.open.push(Open { source: source.to_owned(), tag });
        } else if let Some(tag) = tag.filter(|_| !void) {
            self.kept.html.push_str(&format!("</{tag}>"));
        }
    }

    /// The tag that may stand here for one; none if what it holds stands without it.
    fn placed(&mut self, tag: &str) -> Option<String> {
        let found = rule(tag)?;
        if self.open.iter().filter(|open| open.tag.is_some()).count() + 2 >= limits::ARTICLE_DEPTH_MAX {
            return None;
        }
        if self.open.iter().any(|open| open.tag.as_deref() == Some("pre")) {
            return (tag == "br").then(|| tag.to_owned());
        }
        // A block ends the paragraph before it, as in browsers.
        if found.block()
            && let Some(paragraph) = self.open.iter().rposition(|open| open.tag.as_deref() == Some("p"))
        {
            self.close_to(paragraph);
        }
        let content = self.inside().and_then(rule).map_or(Content::Flow, |inside| inside.content);
        let inside = self.inside().unwrap_or_default();
        if found.parents.as_ref().is_some_and(|parents| !parents.iter().any(|parent| parent == inside))
            || !content.holds(tag)
        {
            return None;
        }
        if found.block() && self.is_inline() {
            return (found.content != Content::Void).then(|| "span".to_owned());
        }
        Some(tag.to_owned())
    }

    fn write(&mut self, tag: &str, attributes: &[(String, String)]) {
        let mut html = format!("<{tag}");
        for (name, value) in attributes {
            let style = name == "style" && tag != "pre";
            let allowed = rule(tag).is_some_and(|rule| rule.attributes.iter().any(|known| known == name));
            let value = match style {
                true => self.style(value),
                false => value.trim().to_owned(),
            };
            if value.is_empty() || !(style || allowed) {
                continue;
            }
            html.push_str(&format!(" {name}=\""));
            escape(&value, true, &mut html);
            html.push('"');
        }
        html.push('>');
        self.kept.html.push_str(&html);
    }

    fn style(&mut self, style: &str) -> String {
        let (kept, dropped) = css::kept(style);
        for name in dropped {
            self.drop(name);
        }
        kept
    }

    /// The editor keeps the address in `data-src`.
    fn image(&mut self, attributes: &[(String, String)]) {
        let value = |name: &str| attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim());
        let address = value("data-src").or_else(|| value("src")).unwrap_or_default();
        let Some(address) = (self.picture)(address) else { return self.drop("<img>") };
        let mut own = vec![("src".to_owned(), address)];
        own.extend(attributes.iter().filter(|(name, _)| matches!(name.as_str(), "alt" | "style")).cloned());
        self.write("img", &own);
    }

    fn text(&mut self, text: &str) {
        if self.gone.is_some() {
            return;
        }
        let parent = self.inside().and_then(rule).map_or(Content::Flow, |rule| rule.content);
        let bare = parent.only_tags() && !text.trim().is_empty();
        if parent.only_tags() && !bare {
            return;
        }
        let (before, after) = match bare {
            true if parent == Content::List => ("<li>", "</li>"),
            _ => ("", ""),
        };
        let mut escaped = String::new();
        escape(text, false, &mut escaped);
        // What would be read as a formula is none: an element that shows nothing keeps its signs apart.
        if math::find_dollars(text).or_else(|| math::find_brackets(text)).is_some() {
            for sign in ["$", "\\"] {
                escaped = escaped.replace(sign, &format!("{sign}<span></span>"));
            }
        }
        self.kept.html.push_str(&format!("{before}{escaped}{after}"));
    }

    fn end(&mut self, source: &str) {
        if let Some((gone, depth)) = &mut self.gone {
            *depth -= usize::from(gone == source);
            if *depth == 0 {
                self.gone = None;
            }
            return;
        }
        if let Some(at) = self.open.iter().rposition(|open| open.source == source) {
            self.close_to(at);
        }
    }

    fn close_to(&mut self, at: usize) {
        for tag in self.open.drain(at..).rev().filter_map(|open| open.tag) {
            self.kept.html.push_str(&format!("</{tag}>"));
        }
    }
}

/// Whether WeChat has a picture: what its uploads give.
pub(crate) fn is_hosted(address: &str) -> bool {
    let host = address.trim().split_once("//").filter(|(scheme, _)| matches!(*scheme, "http:" | "https:" | ""));
    let host = host.map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    host.is_some_and(|host| RULESET.images.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(html: &str) -> String {
        kept(html, &mut |address| is_hosted(address).then(|| "a.png".to_owned())).html
    }

    #[test]
    fn what_the_rules_list_stays() {
        for html in [
            "",
            "<p>春茶 &amp; 1 &lt; 2&nbsp;</p>",
            "<section style=\"color:red;margin:0 auto\"><p>a<br>b</p><hr></section>",
            "<p><a href=\"https://mp.weixin.qq.com/s/x\">y</a></p>",
            "<ol start=\"5\"><li><span>z</span></li></ol>",
            "<table><tbody><tr><td colspan=\"2\">x</td></tr></tbody></table>",
        ] {
            assert_eq!(after(html), html);
        }
    }

    #[test]
    fn the_rest_goes_or_is_unwrapped() {
        for (html, left) in [
            ("a<script>if (1 < 2) '</p>'</script>b", "ab"),
            ("a<script>never closed", "a"),
            ("<div id=x class=y data-z=1 onclick=w>a</div>", "<section>a</section>"),
            ("<svg><svg></svg><p>x</p></svg>b", "b"),
            ("<mpvoice name=x></mpvoice><mp-common-profile></mp-common-profile>a", "a"),
            ("<p>a<section>b</section>", "<p>a</p><section>b</section>"),
            (
                "<span>a<section style=\"color:red\">b</section></span>",
                "<span>a<span style=\"color:red\">b</span></span>",
            ),
            ("<li>a</li><td>b</td>", "ab"),
            ("<ul>a<p>b</p><li>c</li></ul>", "<ul><li>a</li><li>b</li><li>c</li></ul>"),
            ("<b>a<i>b</b>c</i>", "<b>a<i>b</i></b>c"),
            ("a</p></section>b", "ab"),
            ("<p>a", "<p>a</p>"),
            ("<!-- c --><!doctype html>a<?x?>", "a"),
            ("<pre><code class=x><span>a</span><br>b</code></pre>", "<pre>a<br>b</pre>"),
            ("<p style=\"position:fixed;color:red\">a</p>", "<p style=\"color:red\">a</p>"),
            ("<p style=\"position:fixed\">a</p>", "<p>a</p>"),
            ("<p style=\"background:#fff\">a</p>", "<p style=\"background:#fff;color:inherit\">a</p>"),
            ("a {{ b }} {% c", "a &#123;&#123; b }} &#123;% c"),
            ("$x$ \\(y\\)", "$<span></span>x$<span></span> \\<span></span>(y\\<span></span>)"),
            ("a\u{1}b\u{7f}", "ab"),
        ] {
            assert_eq!(after(html), left, "{html}");
        }
        assert!(after(&"<section>".repeat(5000)).len() < 10_000);
    }

    #[test]
    fn pictures_have_another_address_or_go() {
        let html = "<img class=x data-src=\"http://mmbiz.qpic.cn/a/0?b=1&amp;c=2\" src=\"data:x\" alt=\"茶\" data-w=3>";
        assert_eq!(after(html), "<img src=\"a.png\" alt=\"茶\">");
        let mut asked = Vec::new();
        kept(html, &mut |address| {
            asked.push(address.to_owned());
            None
        });
        assert_eq!(asked, ["http://mmbiz.qpic.cn/a/0?b=1&c=2"]);
        assert_eq!(after("<img src=\"https://x.cn/a.png\">b<img>"), "b");
        let dropped = kept("<img src=x><iframe></iframe><p style=\"position:fixed\">", &mut |_| None).dropped;
        let dropped: Vec<(&str, usize)> = dropped.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(dropped, [("<iframe>", 1), ("<img>", 1), ("position", 1)]);
        assert!(is_hosted("//mmbiz.qpic.cn/a") && !is_hosted("https://mmbiz.qpic.cn.x.cn/a") && !is_hosted("a.png"));
    }
}
