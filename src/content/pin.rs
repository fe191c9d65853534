//! What of a draft is content, and the digest by which that is known again.
//!
//! The rule is named `draft/1`. Of each article, in order: its type, title, author, digest, content, the address behind "Read
//! more", cover, the two switches of comments, and the pictures of a `newspic`. Addresses that are another each time
//! (`url`, `thumb_url`), times, and the scheme and query of WeChat's own pictures in the content do not belong to it. A rule
//! that is another has another name, and so another digest.

use std::fmt;

use serde_json::{Value, json};

use crate::{
    limits,
    locale::{Phrase, say},
    payload,
};

/// The rule by which these digests are made.
const RULE: &str = "draft/1";
/// What the digest of an article begins with in a plan.
const FORM: &str = "sha256-";
/// Where WeChat's pictures are.
const PICTURES: &str = "//mmbiz.qpic.cn/";

/// The digests of the articles of a draft, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin(Vec<String>);

impl Pin {
    /// Of `news_item`, as `draft/get` gives it; none if there is no article.
    pub(crate) fn of(articles: &[Value]) -> Option<Self> {
        let pin = Self(articles.iter().map(digest).collect());
        (!pin.0.is_empty()).then_some(pin)
    }

    /// As it stands in a plan: `sha256-` and 64 hexadecimal digits for each article, with a space between two.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hex = |word: &str| {
            let hex = word.strip_prefix(FORM)?;
            let good = hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            good.then(|| hex.to_owned())
        };
        let articles: Vec<String> = text.split_whitespace().map(hex).collect::<Option<_>>()?;
        (1..=limits::DRAFT_ARTICLES_MAX).contains(&articles.len()).then_some(Self(articles))
    }

    /// What differs from what was pinned, in words; `titles` are those of now.
    pub(crate) fn changes(&self, now: &Self, titles: &[String]) -> Vec<Phrase> {
        if self.0.len() != now.0.len() {
            return vec![say!(
                "it has {now} article now, and had {before}" | "it has {now} articles now, and had {before}",
                now = now.0.len(),
                before = crate::locale::Count::from(self.0.len())
            )];
        }
        let mut changes = Vec::new();
        for (index, (before, after)) in self.0.iter().zip(&now.0).enumerate() {
            if before == after {
                continue;
            }
            let (number, title) = (index + 1, titles.get(index).map_or("", String::as_str));
            changes.push(match self.0.iter().position(|other| other == after) {
                Some(from) => say!("article {number} (`{title}`) was article {from}", number, title, from = from + 1),
                None => say!("article {number} (`{title}`) has changed", number, title),
            });
        }
        changes
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, hex) in self.0.iter().enumerate() {
            write!(f, "{}{FORM}{hex}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// The titles of articles, as `draft/get` and `draft/batchget` give them.
pub(crate) fn titles(articles: &[Value]) -> Vec<String> {
    articles.iter().map(|article| text(article, "title")).collect()
}

fn text(article: &Value, name: &str) -> String {
    article[name].as_str().unwrap_or_default().to_owned()
}

fn digest(article: &Value) -> String {
    let kind = Some(text(article, "article_type")).filter(|kind| !kind.is_empty()).unwrap_or_else(|| "news".to_owned());
    let list = article["image_info"]["image_list"].as_array().map_or(&[][..], Vec::as_slice);
    let images: Vec<String> = list.iter().map(|image| text(image, "image_media_id")).collect();
    let content = json!([
        RULE,
        kind,
        text(article, "title"),
        text(article, "author"),
        text(article, "digest"),
        settled(&text(article, "content")),
        text(article, "content_source_url"),
        text(article, "thumb_media_id"),
        is_on(&article["need_open_comment"]),
        is_on(&article["only_fans_can_comment"]),
        images,
    ]);
    let digest = payload::digest(content.to_string().as_bytes());
    digest.strip_prefix("sha256:").unwrap_or(&digest).to_owned()
}

/// A switch; one that is off may be left out.
fn is_on(value: &Value) -> bool {
    value.as_bool().unwrap_or_default() || value.as_u64() == Some(1) || value.as_str() == Some("1")
}

/// The content with the addresses of WeChat's pictures without scheme and query.
fn settled(content: &str) -> String {
    let mut out = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = rest.find(PICTURES) {
        let (before, address) = rest.split_at(at);
        out.push_str(before.strip_suffix("https:").or_else(|| before.strip_suffix("http:")).unwrap_or(before));
        let end = address.find(|c: char| c.is_whitespace() || "\"'<>)\\".contains(c)).unwrap_or(address.len());
        let quotes = ["&quot;", "&apos;", "&#34;", "&#39;"];
        let end = quotes.iter().filter_map(|quote| address[..end].find(quote)).min().unwrap_or(end);
        let (address, after) = address.split_at(end);
        out.push_str(address.split(['?', '#']).next().unwrap_or_default());
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn article() -> Value {
        json!({
            "article_type": "news", "title": "春茶", "author": "茶园", "digest": "头采", "content": "<p>好茶</p>",
            "content_source_url": "https://a.cn", "thumb_media_id": "M", "need_open_comment": 1,
            "only_fans_can_comment": 0, "url": "http://mp.weixin.qq.com/s?tempkey=1", "thumb_url": "http://x/1",
        })
    }

    fn with(name: &str, value: Value) -> Pin {
        let mut changed = article();
        changed[name] = value;
        Pin::of(&[changed]).expect("an article")
    }

    #[test]
    fn what_is_content_changes_the_digest_and_nothing_else() {
        let pin = Pin::of(&[article()]).expect("an article");
        for (name, value) in [
            ("article_type", json!("newspic")),
            ("title", json!("春")),
            ("author", json!("")),
            ("digest", json!("x")),
            ("content", json!("<p>好茶 </p>")),
            ("content_source_url", json!("https://b.cn")),
            ("thumb_media_id", json!("N")),
            ("need_open_comment", json!(0)),
            ("only_fans_can_comment", json!(1)),
            ("image_info", json!({ "image_list": [{ "image_media_id": "I" }] })),
        ] {
            assert_ne!(with(name, value), pin, "{name}");
        }
        for (name, value) in [
            ("url", json!("http://mp.weixin.qq.com/s?tempkey=2")),
            ("thumb_url", Value::Null),
            ("need_open_comment", json!("1")),
            ("only_fans_can_comment", Value::Null),
            ("show_cover_pic", json!(1)),
        ] {
            assert_eq!(with(name, value), pin, "{name}");
        }
        assert_eq!(Pin::parse(&pin.to_string()), Some(pin));
        assert_eq!(Pin::of(&[]), None);
    }

    /// It stands in plans: it may never change between versions.
    #[test]
    fn the_digest_of_a_rule_is_always_the_same() {
        let pin = Pin::of(&[article()]).expect("an article").to_string();
        assert_eq!(pin, "sha256-7773e30ef7800b093f531f69cf0119ec86f2f685f78b5a705dc08a769a8e325c");
    }

    #[test]
    fn pictures_are_known_without_scheme_and_query() {
        for (text, as_text) in [
            (
                "<img src=\"http://mmbiz.qpic.cn/a/0?wx_fmt=png&amp;tp=webp\"><p>a?b</p>",
                "<img src=\"//mmbiz.qpic.cn/a/0\"><p>a?b</p>",
            ),
            ("url(&quot;https://mmbiz.qpic.cn/a?x=1&quot;) ?", "url(&quot;//mmbiz.qpic.cn/a&quot;) ?"),
            ("//mmbiz.qpic.cn/a//mmbiz.qpic.cn/b?c", "//mmbiz.qpic.cn/a//mmbiz.qpic.cn/b"),
            ("//mmbiz.qpic.cn/", "//mmbiz.qpic.cn/"),
            ("https://mmbiz.qpic.cn/a&amp;b", "//mmbiz.qpic.cn/a&amp;b"),
            ("http://a.cn/?x=1", "http://a.cn/?x=1"),
            ("https:", "https:"),
        ] {
            assert_eq!(settled(text), as_text, "{text}");
            assert_eq!(settled(as_text), as_text, "{text}");
        }
    }

    #[test]
    fn what_changed_is_said_by_article() {
        let _heard = crate::locale::tests::heard("content-pin-what_changed_is_said_by_article");
        let other = |title: &str| json!({ "title": title, "content": "x" });
        let list = [other("一"), other("二")];
        let pin = |articles: &[Value]| Pin::of(articles).expect("articles");
        let said = |now: &[Value]| -> Vec<String> {
            pin(&list).changes(&pin(now), &titles(now)).iter().map(ToString::to_string).collect()
        };
        assert_eq!(said(&list), Vec::<String>::new());
        assert_eq!(said(&[other("一"), other("三")]), ["article 2 (`三`) has changed"]);
        assert_eq!(
            said(&[other("二"), other("一")]),
            ["article 1 (`二`) was article 2", "article 2 (`一`) was article 1"]
        );
        assert_eq!(said(&list[..1]), ["it has 1 article now, and had 2"]);
    }

    #[test]
    fn what_is_no_digest_is_not_taken() {
        let good = format!("sha256-{}", "a".repeat(64));
        assert!(Pin::parse(&good).is_some() && Pin::parse(&format!("{good} {good}")).is_some());
        let many = [good.as_str(); 9].join(" ");
        for text in ["", " ", "sha256-", &good[..70], &good.to_uppercase(), &good.replace('-', ":"), &many] {
            assert_eq!(Pin::parse(text), None, "{text}");
        }
    }
}
