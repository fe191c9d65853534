//! The front matter of an article: where it ends, what looks like one and is not, and keys of other programs.

use std::ops::Range;

use crate::{
    diag::Code,
    locale::{Phrase, say},
};

/// Keys of the front matter, which are those of the plan.
pub(super) const KEYS: &[&str] = &[
    "title",
    "author",
    "digest",
    "cover",
    "theme",
    "source_url",
    "need_open_comment",
    "only_fans_can_comment",
    "pic_crop_235_1",
    "pic_crop_1_1",
    "optimize",
];

/// Keys of Hexo, Hugo, Jekyll, VuePress, Obsidian and others, which have no effect here.
const OTHERS: &[&str] = &[
    "abbrlink",
    "abstract",
    "aliases",
    "alias",
    "archive",
    "article",
    "authors",
    "avatar",
    "banner",
    "banner_img",
    "bibliography",
    "breadcrumb",
    "canonical",
    "canonical_url",
    "canonicalURL",
    "cascade",
    "categories",
    "category",
    "class",
    "collection",
    "collections",
    "comment",
    "comments",
    "contributors",
    "copyright",
    "created",
    "cssclass",
    "cssclasses",
    "css",
    "date",
    "date_created",
    "date_modified",
    "dg-publish",
    "description",
    "disableNunjucks",
    "donate",
    "draft",
    "editLink",
    "emoji",
    "enableComment",
    "excerpt",
    "expirydate",
    "expiryDate",
    "external",
    "feature",
    "featured",
    "featured_image",
    "featuredImage",
    "features",
    "feed",
    "footer",
    "gallery",
    "gitalk",
    "hash",
    "head",
    "header",
    "header-img",
    "headline",
    "heroImage",
    "hidden",
    "hide",
    "highlight",
    "home",
    "icon",
    "id",
    "image",
    "images",
    "img",
    "index",
    "index_img",
    "index_site",
    "isCJKLanguage",
    "isOriginal",
    "isShowComments",
    "katex",
    "keywords",
    "kind",
    "lang",
    "language",
    "last_modified_at",
    "lastmod",
    "lastMod",
    "last_update",
    "lastUpdated",
    "layout",
    "license",
    "linkTitle",
    "linktitle",
    "links",
    "location",
    "locale",
    "markup",
    "math",
    "mathjax",
    "menu",
    "mermaid",
    "meta",
    "modified",
    "month",
    "moc",
    "name",
    "nav",
    "navbar",
    "next",
    "noindex",
    "no_toc",
    "number",
    "order",
    "original",
    "outline",
    "outputs",
    "pageClass",
    "parent",
    "password",
    "path",
    "permalink",
    "photos",
    "pid",
    "pin",
    "post_meta",
    "prev",
    "publish",
    "publishDate",
    "publishdate",
    "published",
    "pubDate",
    "pubDatetime",
    "reading_time",
    "readingTime",
    "readtime",
    "recommend",
    "redirect",
    "redirect_from",
    "related",
    "reprint",
    "resources",
    "reward",
    "robots",
    "rss",
    "search",
    "seo",
    "seo_title",
    "series",
    "series_order",
    "share",
    "short_title",
    "shortTitle",
    "show_date",
    "showToc",
    "sidebar",
    "sidebar_label",
    "sidebar_position",
    "sitemap",
    "slug",
    "sort",
    "source",
    "star",
    "status",
    "sticky",
    "style",
    "subtitle",
    "subject",
    "summary",
    "swiper_index",
    "tag",
    "tags",
    "taxonomies",
    "teaser",
    "template",
    "thumb",
    "thumbnail",
    "time",
    "timeline",
    "toc",
    "toc_number",
    "ToC",
    "top",
    "top_img",
    "top_image",
    "topic",
    "topics",
    "translationKey",
    "translations",
    "type",
    "unlisted",
    "updated",
    "update",
    "updated_at",
    "updatedAt",
    "created_at",
    "createdAt",
    "url",
    "uuid",
    "version",
    "video",
    "view",
    "visibility",
    "weight",
    "word_count",
    "wordcount",
    "year",
    "zoom",
];

/// Whether a key belongs to another program.
pub(super) fn is_other(key: &str) -> bool {
    OTHERS.iter().any(|known| known.eq_ignore_ascii_case(key))
}

/// Where the front matter of a text ends, after its closing line; 0 if there is none.
pub(super) fn end(text: &str) -> usize {
    let mut at = 0;
    let mut open = false;
    for line in text.split_inclusive('\n') {
        at += line.len();
        let bare = line.trim_end();
        match (open, bare) {
            (false, "") => {}
            (false, "---") if line.starts_with("---") => open = true,
            (true, "---" | "...") => return at,
            (false, _) => return 0,
            _ => {}
        }
    }
    0
}

/// What looks like a front matter and is not read as one: where, and what to do.
pub(super) struct Unread {
    pub(super) code: Code,
    pub(super) range: Range<usize>,
    pub(super) message: Phrase,
    pub(super) help: Phrase,
}

/// The key of a line `key: value`, if it is one of a front matter.
fn key(line: &str, sign: char) -> Option<&str> {
    let (key, _) = line.split_once(sign)?;
    let key = key.trim_end();
    let known = KEYS.contains(&key) || is_other(key);
    (known && !line.starts_with([' ', '\t'])).then_some(key)
}

/// Looks for a front matter that nobody reads in a text without one; readers would see it.
pub(super) fn unread(text: &str) -> Option<Unread> {
    let mut lines: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n').take(60) {
        lines.push((at, line.trim_end()));
        at += line.len();
    }
    let first = lines.iter().position(|(_, line)| !line.trim().is_empty())?;
    let (start, line) = lines[first];
    let next = |from: usize| lines.get(from).map_or("", |(_, line)| *line);
    let range = start..start + line.len();
    let unread = |range: Range<usize>, message: Phrase, help: Phrase| {
        Some(Unread { code: Code::YamlSyntax, range, message, help })
    };
    match line.trim() {
        "+++" if key(next(first + 1), '=').is_some() || lines[first + 1..].iter().any(|(_, line)| *line == "+++") => {
            return unread(
                range,
                say!("this front matter is TOML, which is not read"),
                say!("write YAML: `---`, `title: ...`, `---`"),
            );
        }
        ";;;" => {
            return unread(
                range,
                say!("this front matter is JSON, which is not read"),
                say!("write YAML: `---`, `title: ...`, `---`"),
            );
        }
        "{" if next(first + 1)
            .trim_start()
            .trim_start_matches('"')
            .split('"')
            .next()
            .is_some_and(|name| KEYS.contains(&name) || is_other(name)) =>
        {
            return unread(
                range,
                say!("this front matter is JSON, which is not read"),
                say!("write YAML: `---`, `title: ...`, `---`"),
            );
        }
        "---" if key(next(first + 1), ':').is_some() => {
            if line.starts_with("---") {
                return unread(range, say!("the front matter is not closed"), say!("end it with a line `---`"));
            }
            return unread(
                range,
                say!("this `---` is indented, so it does not begin front matter"),
                say!("remove the spaces before `---`"),
            );
        }
        sign if is_line_of_dashes(sign) && key(next(first + 1), ':').is_some() => {
            return unread(range, say!("`{line}` does not begin front matter", line = sign), say!("write `---`"));
        }
        _ => {}
    }
    // Without the line that begins it.
    let keys = lines[first..].iter().take_while(|(_, line)| !is_line_of_dashes(line) && !line.trim().is_empty());
    let (count, known) = keys.fold((0, 0), |(count, known), (_, line)| {
        let more = line.starts_with([' ', '\t', '-']) || line.starts_with('#');
        (count + 1, known + usize::from(key(line, ':').is_some() || (more && known > 0)))
    });
    let closes = lines.get(first + count).is_some_and(|(_, line)| line.starts_with("---") && is_line_of_dashes(line));
    if known == count && count > 0 && (closes || (count > 1 && key(line, ':') == Some("title"))) {
        return unread(
            range,
            say!("this front matter has no `---` before it"),
            say!("write a line `---` before it and one after it"),
        );
    }
    late(&lines, first)
}

/// A front matter with something before it.
fn late(lines: &[(usize, &str)], first: usize) -> Option<Unread> {
    let next = |from: usize| lines.get(from).map_or("", |(_, line)| *line);
    let yaml = |line: &str| line.is_empty() || line.starts_with([' ', '\t', '-', '#']) || key(line, ':').is_some();
    for (number, (start, line)) in lines.iter().enumerate().skip(first + 1) {
        if *line != "---" || key(next(number + 1), ':').is_none() {
            continue;
        }
        let inner = lines[number + 1..].iter().position(|(_, line)| *line == "---");
        if inner.is_some_and(|length| lines[number + 1..number + 1 + length].iter().all(|(_, line)| yaml(line))) {
            return Some(Unread {
                code: Code::YamlSyntax,
                range: *start..start + line.len(),
                message: say!("this front matter does not stand at the beginning of the file"),
                help: say!("remove what stands before it, or move it below"),
            });
        }
    }
    None
}

/// `----`, `———` or `－－－`.
fn is_line_of_dashes(line: &str) -> bool {
    let line = line.trim_end();
    line.chars().count() >= 2 && line.chars().all(|c| matches!(c, '-' | '－' | '—' | '–' | '−'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_ends_at_its_line() {
        assert_eq!(end("---\ntitle: a\n---\nbody"), 17);
        assert_eq!(end("---  \ntitle: a\n--- \nbody"), 20);
        assert_eq!(end("\n \n---\ntitle: a\n---\nbody"), 20);
        assert_eq!(end("---\ntitle: a\n...\nbody"), 17);
        assert_eq!(end("---\ntitle: a\nbody"), 0);
        assert_eq!(end("body\n---\n"), 0);
        assert_eq!(end(" ---\ntitle: a\n---\n"), 0);
    }

    #[test]
    fn front_matter_that_nobody_reads_is_found() {
        let _heard = crate::locale::tests::heard("resolve-front-front_matter_that_nobody_reads_is_found");
        let found = |text: &str| unread(text).map(|found| text[found.range].to_owned());
        for (text, place) in [
            ("+++\ntitle = \"a\"\n+++\nbody", "+++"),
            ("{\n  \"title\": \"a\"\n}\nbody", "{"),
            (";;;\n\"title\": \"a\"\n;;;\nbody", ";;;"),
            (" ---\ntitle: a\n---\nbody", " ---"),
            ("----\ntitle: a\n----\nbody", "----"),
            ("———\ntitle: a\n———\nbody", "———"),
            ("title: a\ndate: 2026-01-01\n---\nbody", "title: a"),
            ("<!-- a -->\n---\ntitle: a\ntags:\n  - b\n---\nbody", "---"),
            ("# a\n\n---\ntitle: a\n---\nbody", "---"),
            ("---\ntitle: a\n\nbody", "---"),
        ] {
            assert_eq!(found(text).as_deref(), Some(place), "{text}");
        }
        for text in [
            "正文",
            "---\n\n正文\n\n---\n",
            "正文\n\n---\n\n注: 下文\n\n---\n",
            "date: 三月\n\n正文",
            "标题: 春\n---\n",
            "{ a }",
            "a\n---\nb: c\n---\n",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
