//! Why a template cannot be parsed: the character that a keyboard typed instead of another, or braces that are no template.

use std::ops::Range;

use super::errors;
use crate::{
    locale::{Phrase, say},
    text::characters,
};

/// Why a template cannot be parsed, where, and what to do.
pub(super) struct Cause {
    pub(super) message: Phrase,
    pub(super) range: Option<Range<usize>>,
    pub(super) help: Vec<Phrase>,
}

/// The cause, at its own place.
pub(super) fn explain(source: &str, detail: &str, range: Option<Range<usize>>) -> Cause {
    let tag = range.clone().and_then(|range| open_tag(source, range.start)).or_else(|| open_tag(source, source.len()));
    let here = tag.as_ref().and_then(|tag| odd_character(source, tag));
    if let Some(failure) = here.or_else(|| tags(source).find_map(|tag| odd_character(source, &tag))) {
        return failure;
    }
    let comment = source.rfind("{#").filter(|at| !source[*at..].contains("#}"));
    if let Some(at) = comment.filter(|_| detail.contains("comment") || detail.contains("end")) {
        let message = say!("`{{#` begins a comment of a template, and nothing ends it");
        return Cause { message, range: Some(at..at + 2), help: vec![as_it_is()] };
    }
    // Other programs write pictures and boxes in braces too.
    let written = tag.clone().and_then(|tag| source.get(tag)).unwrap_or_default();
    let hexo = detail.strip_prefix("unknown statement ").filter(|name| HEXO.contains(name));
    if written.starts_with("{{<") || written.starts_with("{{%") || hexo.is_some() {
        let message = match hexo {
            Some(name) => say!("`{name}` is a tag of Hexo, which is not read", name),
            None => say!("this is a shortcode of Hugo, which is not read"),
        };
        let help = say!("write it in Markdown: `![description](picture.png)`, or `> [!TIP]` for a box");
        return Cause { message, range: range.or(tag), help: vec![help, as_it_is()] };
    }
    let (message, help) = errors::syntax(detail);
    let unclosed = tag.as_ref().is_some_and(|tag| {
        !source[tag.start..].contains(if source[tag.start..].starts_with("{{") { "}}" } else { "%}" })
    });
    let close = unclosed.then(|| say!("close the tag: `{{{{ ... }}}}`, `{{% ... %}}`"));
    Cause { message, range, help: help.into_iter().chain(close).chain([as_it_is()]).collect() }
}

/// Tags of Hexo and its themes.
const HEXO: &[&str] = &[
    "asset_img",
    "asset_link",
    "asset_path",
    "img",
    "note",
    "endnote",
    "post_link",
    "post_path",
    "codeblock",
    "endcodeblock",
    "code",
    "endcode",
    "blockquote",
    "endblockquote",
    "quote",
    "endquote",
    "pullquote",
    "endpullquote",
    "centerquote",
    "endcenterquote",
    "cq",
    "youtube",
    "vimeo",
    "gist",
    "jsfiddle",
    "iframe",
    "link",
    "tabs",
    "endtabs",
    "tab",
    "endtab",
    "label",
    "btn",
    "button",
    "video",
    "hideToggle",
    "endhideToggle",
    "hideInline",
    "hideBlock",
    "gallery",
    "endgallery",
    "mermaid",
    "endmermaid",
    "highlight",
    "endhighlight",
    "timeline",
    "endtimeline",
    "inlineImg",
    "flink",
    "endflink",
    "span",
    "p",
    "folding",
    "endfolding",
    "checkbox",
    "radio",
    "bvideo",
];

/// What to do about braces that are no template.
pub(super) fn as_it_is() -> Phrase {
    say!("to show braces as they are, in code for example, put `{{% raw %}}` before and `{{% endraw %}}` after them")
}

/// All tags of a source.
fn tags(source: &str) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let open = ["{{", "{%"].iter().filter_map(|open| source[from..].find(open)).min()? + from;
        let close = if source[open..].starts_with("{{") { "}}" } else { "%}" };
        from = source[open..].find(close).map_or(source.len(), |length| open + length + 2);
        Some(open..from)
    })
}

/// The tag that is open at a byte.
fn open_tag(source: &str, at: usize) -> Option<Range<usize>> {
    let at = source.floor_char_boundary(at.min(source.len()));
    // The error may stand at the opening itself.
    let reach = source.ceil_char_boundary((at + 2).min(source.len()));
    let start = ["{{", "{%"].iter().filter_map(|open| source[..reach].rfind(open)).max()?;
    let close = if source[start..].starts_with("{{") { "}}" } else { "%}" };
    let end = source[start..].find(close).map_or(source.len(), |length| start + length + 2);
    (end >= at).then_some(start..end)
}

/// The first character of a tag, outside of texts, that no template knows: its name, and what to write.
fn odd_character(source: &str, tag: &Range<usize>) -> Option<Cause> {
    let mut quote = None;
    for (at, c) in source[tag.clone()].char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if c.is_ascii() || c.is_alphanumeric() && !('\u{ff01}'..='\u{ff5e}').contains(&c) => {}
            None => {
                let start = tag.start + at;
                let half = characters::half_width(c.encode_utf8(&mut [0; 4]));
                let code = characters::code_of(c);
                let message = match characters::blank(c).or_else(|| characters::invisible(c)) {
                    Some(name) => say!("there is a {name} ({code}) in the template", name, code),
                    None => say!("there is a `{c}` ({code}) in the template", c, code),
                };
                let instead = characters::odd(c).map_or(half, |(_, instead)| instead.to_owned());
                let help = match instead.trim() {
                    "" => say!("delete it"),
                    instead if instead.is_ascii() => say!("write `{instead}`", instead),
                    _ => say!("put text into quotes: `\"...\"`"),
                };
                return Some(Cause { message, range: Some(start..start + c.len_utf8()), help: vec![help] });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use crate::content::template::Engine;

    fn failed(source: &str) -> (String, Option<&str>, String) {
        let mut failures = Engine::default().render(source, &context! { x => 1 }).expect_err(source);
        let failure = failures.remove(0);
        let help: Vec<String> = failure.help.iter().map(ToString::to_string).collect();
        (failure.message.to_string(), failure.range.map(|range| &source[range]), help.join("\n"))
    }

    #[test]
    fn a_character_of_a_chinese_keyboard_is_named_at_its_place() {
        let _heard = crate::locale::tests::heard(
            "content-template-syntax-a_character_of_a_chinese_keyboard_is_named_at_its_place",
        );
        for (source, place, write) in [
            ("价 {{ “a” }}", "“", "write `\"`"),
            ("{{ x ｜ string }}", "｜", "write `|`"),
            ("{{ x。y }}", "。", "write `.`"),
            ("{{ x，1 }}", "，", "write `,`"),
            ("{% if x ＞ 1 %}{% endif %}", "＞", "write `>`"),
            ("{{\u{a0}x }}", "\u{a0}", "delete it"),
            ("{{ x\u{200b} }}", "\u{200b}", "delete it"),
            ("{{ x（1） }}", "（", "write `(`"),
            ("{{ x、1 }}", "、", "write `,`"),
            ("{{ ［1] }}", "［", "write `[`"),
            ("{{ x；1 }}", "；", "write `,`"),
            ("{{ ＂a\" }}", "＂", "write `\"`"),
            ("{{ ＃x }}", "＃", "write `#`"),
            ("{{\u{202f}x }}", "\u{202f}", "delete it"),
            ("{{\u{2009}x }}", "\u{2009}", "delete it"),
        ] {
            let (message, at, help) = failed(source);
            assert_eq!(at, Some(place), "{source}: {message}");
            assert!(help.contains(write), "{source}: {help}");
        }
    }

    #[test]
    fn braces_that_are_no_template_can_be_shown() {
        let _heard = crate::locale::tests::heard("content-template-syntax-braces_that_are_no_template_can_be_shown");
        for source in ["{{ msg", "{% note info %}提示{% endnote %}", "## 安装 {#install}", "{{ }}"] {
            let (_, _, help) = failed(source);
            assert!(help.contains("{% raw %}"), "{source}: {help}");
        }
        assert_eq!(failed("a\n## 安装 {#install}").1, Some("{#"));
    }
}
