//! What a draft has lost between being sent and being read back.

use html5gum::{DefaultEmitter, Token, Tokenizer};

use crate::locale::{Count, Phrase, say};

/// What an article shows, as far as it can be compared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shown {
    /// Visible characters, without blanks: WeChat moves them.
    text: String,
    /// Addresses of pictures, without their scheme and query.
    images: Vec<String>,
    /// Addresses of links.
    links: Vec<String>,
    /// Elements that have a style.
    styles: usize,
}

fn shown(html: &str) -> Shown {
    let mut shown = Shown::default();
    for token in Tokenizer::new_with_emitter(html, DefaultEmitter::<usize>::new_with_span()).flatten() {
        match token {
            Token::String(text) => {
                let text = String::from_utf8_lossy(&text.0).into_owned();
                shown.text.extend(text.chars().filter(|c| !c.is_whitespace()));
            }
            Token::StartTag(tag) => {
                let attribute = |name: &str| {
                    let value = tag.attributes.iter().find(|(known, _)| known.0 == name.as_bytes());
                    value.map(|(_, value)| String::from_utf8_lossy(&value.value.0).into_owned())
                };
                shown.styles += usize::from(attribute("style").is_some_and(|style| !style.trim().is_empty()));
                // The editor keeps the address in `data-src`.
                match tag.name.0.as_slice() {
                    b"img" => shown.images.extend(attribute("data-src").or_else(|| attribute("src")).map(plain)),
                    b"a" => shown.links.extend(attribute("href").map(plain)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    shown
}

fn plain(address: String) -> String {
    let address = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
    address.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Whether two texts show the same, whichever characters are written as entities and however blanks are.
pub(crate) fn same_text(sent: &str, got: &str) -> bool {
    sent == got || shown(sent).text == shown(got).text
}

/// What an article is known by when its markup is not what it was: its visible text without blanks, and how many pictures
/// it has.
pub(crate) fn text(html: &str) -> String {
    let shown = shown(html);
    format!("{}\n{}", shown.images.len(), shown.text)
}

/// What is missing or changed, in words; of a text that is no HTML, only whether it is the same.
pub(crate) fn losses(sent: &str, got: &str, html: bool) -> Vec<Phrase> {
    if !html {
        return if same_text(sent, got) { Vec::new() } else { vec![say!("the text was changed")] };
    }
    let (sent, got) = (shown(sent), shown(got));
    let mut lost = Vec::new();
    let gone = sent.images.iter().filter(|image| !got.images.contains(image)).count();
    if gone > 0 {
        let all = Count::from(sent.images.len());
        lost.push(say!("pictures missing: {gone} of {all}", gone = Count::from(gone), all));
    } else if sent.images.len() != got.images.len() {
        let (all, found) = (Count::from(sent.images.len()), Count::from(got.images.len()));
        lost.push(say!("{all} pictures were sent, but the draft has {found}", all, found));
    }
    if sent.text != got.text {
        let same = sent.text.chars().zip(got.text.chars()).take_while(|(a, b)| a == b).count();
        let around = |text: &str| text.chars().skip(same.saturating_sub(4)).take(16).collect::<String>();
        let (sent, got) = (around(&sent.text), around(&got.text));
        lost.push(say!("the text was changed: `{sent}` is now `{got}`", sent, got));
    }
    let gone = sent.links.iter().filter(|link| !got.links.contains(link)).count();
    if gone > 0 {
        let all = Count::from(sent.links.len());
        lost.push(say!("links missing: {gone} of {all}", gone = Count::from(gone), all));
    }
    if got.styles < sent.styles {
        let (gone, all) = (Count::from(sent.styles - got.styles), Count::from(sent.styles));
        lost.push(say!("styles missing: {gone} of {all}", gone, all));
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::losses;

    #[test]
    fn what_is_lost_is_said() {
        let _heard = crate::locale::tests::heard("content-article-compare-what_is_lost_is_said");
        let sent = r#"<p style="color:red">春茶 &amp; <img src="https://mmbiz.qpic.cn/a?x=1"><a href="https://mp.weixin.qq.com/s/x">看</a></p>"#;
        let lost = |got: &str| losses(sent, got, true).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert_eq!(lost(sent), "");
        assert_eq!(
            lost(
                "<p style=\"color: red;\">春茶&amp;<img data-src=\"http://mmbiz.qpic.cn/a\"/>\n<a href=\"https://mp.weixin.qq.com/s/x\">看</a></p>"
            ),
            ""
        );
        assert_eq!(lost(&sent.replace(" style=\"color:red\"", "")), "styles missing: 1 of 1");
        assert_eq!(lost(&sent.replace("春茶", "春")), "the text was changed: `春茶&看` is now `春&看`");
        assert_eq!(lost(&sent.replace("<img src=\"https://mmbiz.qpic.cn/a?x=1\">", "")), "pictures missing: 1 of 1");
        assert_eq!(lost(&sent.replace("https://mp.weixin.qq.com/s/x", "")), "links missing: 1 of 1");
        assert_eq!(losses("a b", "a b ", false).len() + losses("a", "b", false).len(), 1);
    }
}
