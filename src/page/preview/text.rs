//! Text of a message in pieces: words, and the links that WeChat makes of addresses.

use serde::Serialize;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Piece {
    /// What is read.
    pub(super) text: String,
    /// Where it leads, http or https.
    pub(super) link: Option<String>,
}

/// Plain addresses become links, and so do `<a href="…">…</a>`; every other tag is text.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    let mut words = String::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let found = anchor(rest).or_else(|| address(rest, text[..at].chars().next_back()));
        match found {
            Some((length, piece)) => {
                if !words.is_empty() {
                    out.push(Piece { text: std::mem::take(&mut words), link: None });
                }
                out.push(piece);
                at += length;
            }
            None => {
                let Some(c) = rest.chars().next() else { break };
                words.push(c);
                at += c.len_utf8();
            }
        }
    }
    if !words.is_empty() {
        out.push(Piece { text: words, link: None });
    }
    out
}

fn is_web(address: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| address.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

/// `<a href="https://…">words</a>` at the beginning: how long it is, and the link.
fn anchor(text: &str) -> Option<(usize, Piece)> {
    let (tag, rest) = text.strip_prefix("<a ")?.split_once('>')?;
    let (words, _) = rest.split_once("</a>")?;
    let quoted = tag.split_once("href=")?.1;
    let quote = quoted.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let link = quoted[1..].split(quote).next().filter(|link| is_web(link))?;
    let length = "<a ".len() + tag.len() + 1 + words.len() + "</a>".len();
    Some((length, Piece { text: words.to_owned(), link: Some(link.to_owned()) }))
}

/// A plain address at the beginning. Chinese and blanks end it, and punctuation at its end is none of it.
fn address(text: &str, before: Option<char>) -> Option<(usize, Piece)> {
    if before.is_some_and(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let end = text.find(|c: char| !c.is_ascii_graphic() || matches!(c, '<' | '>' | '"')).unwrap_or(text.len());
    let link = text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'']);
    is_web(link).then(|| (link.len(), Piece { text: link.to_owned(), link: Some(link.to_owned()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Vec<(String, Option<String>)> {
        pieces(text).into_iter().map(|piece| (piece.text, piece.link)).collect()
    }

    #[test]
    fn addresses_become_links() {
        let plain = |text: &str| (text.to_owned(), None);
        let link = |text: &str, link: &str| (text.to_owned(), Some(link.to_owned()));
        assert_eq!(
            seen("看https://a.example/x?y=1。好"),
            [plain("看"), link("https://a.example/x?y=1", "https://a.example/x?y=1"), plain("。好")]
        );
        assert_eq!(
            seen("(http://a.example)."),
            [plain("("), link("http://a.example", "http://a.example"), plain(").")]
        );
        assert_eq!(seen("<a href=\"https://a.example\">详情</a>!"), [link("详情", "https://a.example"), plain("!")]);
        // A tag without its end is text, and the address in it is one like any other.
        let open = [plain("<a href=\""), link("https://a.example", "https://a.example"), plain("\">x")];
        assert_eq!(seen("<a href=\"https://a.example\">x"), open);
        assert_eq!(pieces("a\n👩‍👩‍👧 b"), [Piece { text: "a\n👩‍👩‍👧 b".into(), link: None }]);
    }

    #[test]
    fn nothing_else_becomes_one() {
        for text in [
            "",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<a href=x>x</a>",
            "https://",
            "xhttps://a.example",
            "<img src=x onerror=alert(1)>",
        ] {
            assert!(pieces(text).iter().all(|piece| piece.link.is_none()), "{text}");
            assert_eq!(pieces(text).iter().map(|piece| piece.text.as_str()).collect::<String>(), text);
        }
    }
}
