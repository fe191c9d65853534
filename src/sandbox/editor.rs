//! What WeChat's editor leaves of the HTML of an article.
//!
//! Its rules are known from the [page on drafts][add] and from those who ran into them; they are the stricter reading:
//!
//! * `script`, `style`, `iframe` (but for videos of v.qq.com), `form`, `input`, `link` and comments go, with what is in them;
//! * [`div` is unwrapped, `id` goes](https://github.com/doocs/md/issues/907), as `class`, `data-*` and `on*` do;
//! * a picture that was not uploaded by this account goes; the address of one that stays is in `data-src`, as in the pages
//!   that readers get: the documents do not say where `draft/get` has it;
//! * a link that does not lead to mp.weixin.qq.com loses its address;
//! * [one declaration that is not supported](https://github.com/doocs/md/issues/1944) takes the whole `style` with it.
//!
//! [add]: https://developers.weixin.qq.com/doc/service/api/draftbox/draftmanage/api_draft_add

/// Elements that go with what is in them.
const GONE: [&str; 4] = ["script", "style", "iframe", "form"];
/// Elements that go and hold nothing.
const GONE_EMPTY: [&str; 4] = ["input", "link", "meta", "base"];
/// Elements whose content stays.
const UNWRAPPED: [&str; 4] = ["div", "html", "head", "body"];
/// Elements whose content is no HTML.
const RAW: [&str; 5] = ["script", "style", "iframe", "textarea", "title"];
/// Properties that are not supported, as they begin.
const PROPERTIES: [&str; 7] = ["animation", "transition", "transform", "filter", "backdrop-filter", "flex", "grid"];
/// Parts of values that are not supported.
const VALUES: [&str; 4] = ["calc(", "var(", "gradient(", "!important"];

/// A piece of HTML; comments are left out.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'h> {
    /// As it is written, with its entities.
    Text(&'h str),
    Open(Tag<'h>),
    Close(String),
}

#[derive(Debug, PartialEq, Eq)]
struct Tag<'h> {
    name: String,
    /// With values as they are written.
    attributes: Vec<(String, Option<&'h str>)>,
    closed: bool,
}

impl Tag<'_> {
    fn attribute(&self, name: &str) -> Option<String> {
        let (_, value) = self.attributes.iter().find(|(known, _)| known == name)?;
        Some(decode(value.unwrap_or_default()))
    }
}

/// What is left of an article; `owns` knows the addresses of this account's pictures.
pub(super) fn kept(html: &str, owns: &dyn Fn(&str) -> bool) -> String {
    let mut left = Vec::new();
    // The element that goes, and how many of its kind are open.
    let mut gone: Option<(String, usize)> = None;
    for piece in pieces(html) {
        if let Some((name, depth)) = &mut gone {
            match &piece {
                Piece::Open(tag) if tag.name == *name => *depth += 1,
                Piece::Close(close) if close == name => *depth -= 1,
                _ => {}
            }
            if *depth == 0 {
                gone = None;
            }
            continue;
        }
        match piece {
            Piece::Text(_) => left.push(piece),
            Piece::Close(name) if is_any(&name, &UNWRAPPED) || is_any(&name, &GONE_EMPTY) => {}
            // The end of a video that stayed; no other of these has its beginning left.
            Piece::Close(name) if is_any(&name, &GONE) && name != "iframe" => {}
            Piece::Close(_) => left.push(piece),
            Piece::Open(tag) => {
                let is_video =
                    tag.name == "iframe" && tag.attribute("src").is_some_and(|src| leads_to(&src, "v.qq.com"));
                if is_any(&tag.name, &GONE) && !is_video {
                    gone = Some((tag.name, 1));
                } else if !is_any(&tag.name, &UNWRAPPED) && !is_any(&tag.name, &GONE_EMPTY) {
                    left.extend(stripped(tag, owns).map(Piece::Open));
                }
            }
        }
    }
    write(&left)
}

fn is_any(name: &str, names: &[&str]) -> bool {
    names.contains(&name)
}

/// What is left of a tag; none if it goes.
fn stripped<'h>(mut tag: Tag<'h>, owns: &dyn Fn(&str) -> bool) -> Option<Tag<'h>> {
    if tag.name == "img" && !tag.attribute("src").is_some_and(|src| owns(&src)) {
        return None;
    }
    let is_link = tag.name == "a";
    tag.attributes.retain(|(name, value)| {
        let value = decode(value.unwrap_or_default());
        match name.as_str() {
            "id" | "class" => false,
            "href" if is_link => leads_to(&value, "mp.weixin.qq.com"),
            "style" => is_supported(&value, owns),
            name => !name.starts_with("on") && !name.starts_with("data-"),
        }
    });
    if tag.name == "img" {
        for (name, _) in tag.attributes.iter_mut().filter(|(name, _)| name == "src") {
            "data-src".clone_into(name);
        }
    }
    Some(tag)
}

fn leads_to(address: &str, host: &str) -> bool {
    let address = address.trim().to_ascii_lowercase();
    let rest = address.split_once("//").filter(|(scheme, _)| ["http:", "https:", ""].contains(scheme));
    let rest = rest.and_then(|(_, rest)| rest.strip_prefix(host));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
}

/// Whether all declarations of a `style` are supported.
fn is_supported(style: &str, owns: &dyn Fn(&str) -> bool) -> bool {
    let style: String = style.chars().filter(|c| !c.is_whitespace()).collect();
    let addresses = style.split("url(").skip(1).filter_map(|rest| rest.split(')').next());
    if !addresses.map(|address| address.trim_matches(['"', '\''])).all(owns) {
        return false;
    }
    style.to_ascii_lowercase().split(';').all(|declaration| {
        let (property, value) = declaration.split_once(':').unwrap_or((declaration, ""));
        let property = property.strip_prefix("-webkit-").unwrap_or(property);
        let moves = property == "position" && value != "static";
        let lays_out = property == "display" && ["flex", "grid"].iter().any(|layout| value.ends_with(layout));
        let unknown = PROPERTIES.iter().any(|known| property.starts_with(known));
        !moves && !lays_out && !unknown && !VALUES.iter().any(|known| value.contains(known))
    })
}

/// What a draft loses, although nothing was wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    /// Its last word.
    pub(crate) word: bool,
    /// Its first picture.
    pub(crate) picture: bool,
    /// Its first style.
    pub(crate) style: bool,
}

/// Takes something from an article that has lost nothing yet.
pub(super) fn lose(html: &str, loss: Loss) -> String {
    let mut left = pieces(html);
    if loss.picture {
        let picture = left.iter().position(|piece| matches!(piece, Piece::Open(tag) if tag.name == "img"));
        picture.map(|at| left.remove(at));
    }
    if loss.style {
        let mut attributes = left.iter_mut().filter_map(|piece| match piece {
            Piece::Open(tag) => Some(&mut tag.attributes),
            _ => None,
        });
        if let Some(attributes) = attributes.find(|all| all.iter().any(|(name, _)| name == "style")) {
            attributes.retain(|(name, _)| name != "style");
        }
    }
    if loss.word {
        let texts = left.iter_mut().filter_map(|piece| match piece {
            Piece::Text(text) if !is_blank(text) => Some(text),
            _ => None,
        });
        if let Some(text) = texts.last() {
            *text = without_last_word(text);
        }
    }
    write(&left)
}

/// A text without its last word: in Chinese, without its last character.
pub(super) fn without_last_word(text: &str) -> &str {
    let text = text.trim_end();
    if let Some(entity) = text.rfind('&').filter(|_| text.ends_with(';')) {
        return &text[..entity];
    }
    let word = text.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
    if word.len() < text.len() { word } else { text.char_indices().next_back().map_or("", |(at, _)| &text[..at]) }
}

/// The characters that a reader sees, blanks as they come.
pub(super) fn text(html: &str) -> String {
    let text: String = pieces(html)
        .iter()
        .filter_map(|piece| if let Piece::Text(text) = piece { Some(*text) } else { None })
        .collect();
    decode(&text)
}

/// Whether there is nothing to see.
pub(super) fn is_empty(html: &str) -> bool {
    let shows = ["img", "iframe", "svg", "hr", "video", "mpvoice", "mp-common-profile"];
    pieces(html).iter().all(|piece| match piece {
        Piece::Text(text) => is_blank(text),
        Piece::Open(tag) => !is_any(&tag.name, &shows),
        Piece::Close(_) => true,
    })
}

/// Whether a text has tags other than those named.
pub(super) fn has_tags_but(html: &str, allowed: &[&str]) -> bool {
    pieces(html).iter().any(|piece| matches!(piece, Piece::Open(tag) if !is_any(&tag.name, allowed)))
}

fn is_blank(text: &str) -> bool {
    decode(text).chars().all(char::is_whitespace)
}

fn decode(text: &str) -> String {
    // The ampersand last, so that nothing is decoded twice.
    let entities =
        [("&nbsp;", "\u{a0}"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

fn write(pieces: &[Piece]) -> String {
    let mut html = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => html.push_str(text),
            Piece::Close(name) => html.push_str(&format!("</{name}>")),
            Piece::Open(tag) => {
                html.push('<');
                html.push_str(&tag.name);
                for (name, value) in &tag.attributes {
                    match value {
                        Some(value) => html.push_str(&format!(" {name}=\"{}\"", value.replace('"', "&quot;"))),
                        None => html.push_str(&format!(" {name}")),
                    }
                }
                html.push_str(if tag.closed { "/>" } else { ">" });
            }
        }
    }
    html
}

fn pieces(html: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(found) = html[at..].find('<') {
        at += found;
        let rest = &html[at + 1..];
        let is_name = |text: &str| text.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_tag = is_name(rest) || rest.starts_with(['!', '?']) || rest.strip_prefix('/').is_some_and(is_name);
        if !is_tag {
            at += 1;
            continue;
        }
        if from < at {
            pieces.push(Piece::Text(&html[from..at]));
        }
        let (piece, length) = markup(rest);
        at += 1 + length;
        from = at;
        if let Some(Piece::Open(tag)) = &piece
            && is_any(&tag.name, &RAW)
        {
            let end = format!("</{}", tag.name);
            let length = html[at..].to_ascii_lowercase().find(&end).unwrap_or(html.len() - at);
            pieces.extend(piece);
            if length > 0 {
                pieces.push(Piece::Text(&html[at..at + length]));
            }
            at += length;
            from = at;
        } else {
            pieces.extend(piece);
        }
    }
    if from < html.len() {
        pieces.push(Piece::Text(&html[from..]));
    }
    pieces
}

/// What follows a `<`, and how long it is; none for comments and what is cut off.
fn markup(rest: &str) -> (Option<Piece<'_>>, usize) {
    if let Some(comment) = rest.strip_prefix("!--") {
        return (None, comment.find("-->").map_or(rest.len(), |end| 3 + end + 3));
    }
    let to_end = rest.find('>').map_or(rest.len(), |end| end + 1);
    if rest.starts_with(['!', '?']) {
        return (None, to_end);
    }
    if let Some(close) = rest.strip_prefix('/') {
        return (Some(Piece::Close(name(close).to_ascii_lowercase())), to_end);
    }
    let tag = name(rest);
    let mut at = tag.len();
    let mut tag = Tag { name: tag.to_ascii_lowercase(), attributes: Vec::new(), closed: false };
    loop {
        let left = &rest[at..];
        let trimmed = left.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        let skipped = left.len() - trimmed.len();
        at += skipped;
        if trimmed.is_empty() {
            return (None, rest.len());
        }
        if trimmed.starts_with('>') {
            tag.closed = left[..skipped].ends_with('/');
            return (Some(Piece::Open(tag)), at + 1);
        }
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/');
        // An attribute may begin with `=`, odd as it is.
        let length = trimmed.char_indices().skip(1).find(|(_, c)| ends(*c)).map_or(trimmed.len(), |(end, _)| end);
        let attribute = trimmed[..length].to_ascii_lowercase();
        at += length;
        let after = rest[at..].trim_start_matches(|c: char| c.is_ascii_whitespace());
        let value = after.strip_prefix('=').map(|value| value.trim_start_matches(|c: char| c.is_ascii_whitespace()));
        let value = value.map(|value| {
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            let inner = if quote.is_some() { &value[1..] } else { value };
            let end = inner.find(|c: char| quote.map_or(c.is_ascii_whitespace() || c == '>', |quote| c == quote));
            let end = end.unwrap_or(inner.len());
            at = rest.len() - inner.len() + end;
            at = (at + usize::from(quote.is_some())).min(rest.len());
            &inner[..end]
        });
        if !tag.attributes.iter().any(|(known, _)| *known == attribute) {
            tag.attributes.push((attribute, value));
        }
    }
}

fn name(text: &str) -> &str {
    let end = text.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(html: &str) -> String {
        kept(html, &|address| address.contains("//mmbiz.qpic.cn/own"))
    }

    #[test]
    fn plain_articles_stay_as_they_are() {
        for html in [
            "",
            "春茶 < 3 & 4 > 2",
            "<section style=\"color: red;\"><p>a<br/>b&nbsp;c</p><hr></section>",
            "<p title='a > b'>x</p>",
            "<a href=\"https://mp.weixin.qq.com/s/x\">y</a>",
            "<ol start=\"5\"><li><span>z</span></li></ol><input-like>",
        ] {
            assert_eq!(after(html), html.replace('\'', "\""), "{html}");
        }
    }

    #[test]
    fn elements_go_or_are_unwrapped() {
        for (html, left) in [
            ("a<script>if (1 < 2) '</p>'</script>b", "ab"),
            ("a<SCRIPT src=x />b</script>c", "ac"),
            ("a<script>never closed", "a"),
            ("a<style>p { color: red }</style>b", "ab"),
            ("a<iframe src=\"https://x.cn\"><p>c</iframe>b", "ab"),
            ("a<form><form>b</form><p>c</p></form>d", "ad"),
            ("a<input type=checkbox>b<link rel=x><meta>c", "abc"),
            ("a<!-- <p> -->b<!doctype html>c<?x?>d<!-- e", "abcd"),
            ("<div style=\"color:red\">a<div><p>b</p></div></div>", "a<p>b</p>"),
            ("<html><body><p>a</p></body></html>", "<p>a</p>"),
            ("a<p style=\"x", "a"),
        ] {
            assert_eq!(after(html), left, "{html}");
        }
        let video = "<iframe src=\"https://v.qq.com/txp/iframe/player.html?vid=a\"></iframe>";
        assert_eq!(after(video), video);
    }

    #[test]
    fn attributes_go() {
        let html = "<p id=\"a\" class='b' data-x=c onclick=\"d()\" ONLOAD=e title=f dir>g</p>";
        assert_eq!(after(html), "<p title=\"f\" dir>g</p>");
        for (href, stays) in [
            ("https://mp.weixin.qq.com/s/x", true),
            ("http://mp.weixin.qq.com", true),
            ("https://mp.weixin.qq.com.x.cn/", false),
            ("https://x.cn/mp.weixin.qq.com", false),
            ("javascript:x()", false),
            ("javascript://mp.weixin.qq.com/", false),
            ("#note", false),
        ] {
            let left = if stays { format!("<a href=\"{href}\">x</a>") } else { "<a>x</a>".to_owned() };
            assert_eq!(after(&format!("<a href='{href}'>x</a>")), left);
        }
    }

    #[test]
    fn only_own_pictures_stay() {
        assert_eq!(
            after("<img alt=\"茶\" src=\"https://mmbiz.qpic.cn/own/0?a=1&amp;b=2\" data-w=3 />"),
            "<img alt=\"茶\" data-src=\"https://mmbiz.qpic.cn/own/0?a=1&amp;b=2\"/>"
        );
        for src in ["https://mmbiz.qpic.cn/other/0", "https://x.cn/a.png", "data:image/png;base64,AA==", "a.png", ""] {
            assert_eq!(after(&format!("a<img src=\"{src}\">b")), "ab", "{src}");
        }
        assert_eq!(after("a<img data-src=\"https://mmbiz.qpic.cn/own\">b"), "ab");
    }

    #[test]
    fn one_bad_declaration_takes_the_style() {
        for (style, stays) in [
            ("color:red;margin: 0 auto", true),
            ("overflow-x:auto;display:block", true),
            ("position:static", true),
            ("background:url(https://mmbiz.qpic.cn/own)", true),
            ("color:red;position : Fixed", false),
            ("position:absolute", false),
            ("position:sticky", false),
            ("position:relative", false),
            ("transform:rotate(1deg)", false),
            ("-webkit-transform:none", false),
            ("filter:blur(1px)", false),
            ("animation-name:x", false),
            ("transition:all 1s", false),
            ("width:calc(100% - 1px)", false),
            ("color:var(--ink)", false),
            ("background:linear-gradient(red, blue)", false),
            ("color:red ! important", false),
            ("display:flex", false),
            ("display:inline-grid", false),
            ("flex-direction:row", false),
            ("background-image:url('https://x.cn/a.png')", false),
        ] {
            let left = if stays { format!("<p style=\"{style}\">a</p>") } else { "<p>a</p>".to_owned() };
            assert_eq!(after(&format!("<p style=\"{style}\">a</p>")), left, "{style}");
        }
    }

    #[test]
    fn losses_take_one_thing_each() {
        let html = "<p>a</p><p style=\"x\">茶<img data-src=\"1\"><img data-src=\"2\"></p><b style=\"y\">good tea</b> ";
        let lost = |word: bool, picture: bool, style: bool| lose(html, Loss { word, picture, style });
        assert_eq!(lost(true, false, false), html.replace("good tea", "good "));
        assert_eq!(lost(false, true, false), html.replace("<img data-src=\"1\">", ""));
        assert_eq!(lost(false, false, true), html.replace(" style=\"x\"", ""));
        for (text, left) in [("春茶", "春"), ("x &amp; ", "x "), ("a&b;", "a"), ("tea!", "tea"), ("", "")] {
            assert_eq!(without_last_word(text), left, "{text}");
        }
    }

    #[test]
    fn what_is_seen() {
        assert_eq!(text("<p>a &lt; b</p><p>&amp;lt;&nbsp;茶</p>"), "a < b&lt;\u{a0}茶");
        assert!(is_empty("<p> &nbsp;</p>") && !is_empty("<p><img></p>") && !is_empty("x"));
        assert!(has_tags_but("a <b>c</b>", &["a"]) && !has_tags_but("1 < 2 <a href=x>y</a>", &["a"]));
    }
}
