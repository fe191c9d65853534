//! Addresses in texts: whether their host is one, and whether WeChat opens them. Pure.

use std::ops::Range;

use crate::{
    diag::Code,
    locale::{Phrase, say},
    payload,
};

/// What is wrong with a link of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Chinese quotation marks, or full-width ones, around an attribute.
    Quotes,
    /// A tag that does not end, or has no end tag.
    Open,
    /// Its host is not one; the host.
    Host(String),
    /// Written in signs of a Chinese keyboard.
    Wide(String),
    /// An address without a scheme, or with one that nothing opens.
    Scheme(String),
    /// WeChat does not open it, and shows the text.
    Dropped(String),
}

impl Fault {
    /// Its code, what is wrong, and what to write.
    pub(crate) fn said(self) -> (Code, Phrase, Phrase) {
        match self {
            Self::Quotes => (
                Code::BrokenLink,
                say!("this tag has Chinese quotation marks"),
                say!("write `<a href=\"https://...\">`"),
            ),
            Self::Open => (Code::BrokenLink, say!("this link is not closed"), say!("write `<a href=\"...\">text</a>`")),
            Self::Host(host) => (
                Code::BrokenLink,
                say!("`{host}` is not the name of a host", host),
                say!("write an address such as `https://example.com/spring`"),
            ),
            Self::Wide(address) => (
                Code::BrokenLink,
                say!("the address `{address}` has full-width signs", address),
                say!("write `https://...` in half-width signs"),
            ),
            Self::Scheme(address) => (
                Code::BrokenLink,
                say!(
                    "the link to `{address}` does not work: {why}",
                    address,
                    why = say!("WeChat does not open this kind of URL")
                ),
                say!("write a URL with https://"),
            ),
            Self::Dropped(address) => (
                Code::DroppedLink,
                say!("WeChat does not open the link to `{address}`", address),
                say!("write the number or address in the text"),
            ),
        }
    }
}

/// Whether an address leads to a telephone, a mailbox or the like, which WeChat does not open.
pub(crate) fn is_dropped(address: &str) -> bool {
    let scheme = address.split_once(':').map(|(scheme, _)| scheme.trim().to_ascii_lowercase());
    matches!(
        scheme.as_deref(),
        Some(
            "tel"
                | "mailto"
                | "sms"
                | "smsto"
                | "callto"
                | "facetime"
                | "geo"
                | "ftp"
                | "file"
                | "market"
                | "intent"
                | "itms-apps"
        )
    )
}

/// The host of a web address if it cannot be one.
pub(crate) fn bad_host(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if payload::has_slot(authority) {
        return None;
    }
    let bare = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if bare.starts_with('[') {
        return (!bare.contains(']')).then_some(authority);
    }
    let (host, port) = bare.split_once(':').unwrap_or((bare, ""));
    let host = host.strip_suffix('.').unwrap_or(host);
    let label = |label: &str| {
        let letters = label.chars().all(|c| {
            c.is_ascii_alphanumeric()
                || matches!(c, '-' | '_')
                || (!c.is_ascii() && c.is_alphanumeric() && !('\u{ff00}'..='\u{ffef}').contains(&c))
        });
        !label.is_empty() && label.chars().count() <= 63 && letters && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|b| b.is_ascii_digit());
    let good = !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(label)
        && (!number || host.parse::<std::net::Ipv4Addr>().is_ok())
        && (port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0));
    (!good).then_some(authority)
}

/// What is wrong with the links and addresses of a message, each with its range.
pub(crate) fn faults(text: &str) -> Vec<(Range<usize>, Fault)> {
    let mut found = Vec::new();
    tags(text, &mut found);
    addresses(text, &mut found);
    found
}

fn tags(text: &str, found: &mut Vec<(Range<usize>, Fault)>) {
    if !text.contains('<') {
        return;
    }
    let lower = text.to_ascii_lowercase();
    for (at, _) in lower.match_indices("<a").take(100) {
        let rest = &lower[at + 2..];
        if !rest.starts_with(|c: char| c.is_whitespace() || c == '>') {
            continue;
        }
        let Some(length) = rest.find(['>', '<']).filter(|length| rest[*length..].starts_with('>')) else {
            found.push((at..at + 2, Fault::Open));
            continue;
        };
        let tag = &text[at..at + 2 + length + 1];
        let whole = at..at + tag.len();
        if tag.contains(['“', '”', '‘', '’', '＂', '＇', '「', '」', '＝']) {
            found.push((whole, Fault::Quotes));
            continue;
        }
        let inside = &rest[length + 1..];
        let end = inside.find("</a>");
        if end.is_none_or(|end| inside[..end].contains("<a ")) {
            found.push((whole.clone(), Fault::Open));
        }
        let Some(href) = attribute(tag, "href") else { continue };
        if payload::has_slot(href) {
            continue;
        }
        let scheme = href.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        let fault = match scheme.as_deref() {
            Some("http" | "https") => bad_host(href)
                .map(|host| Fault::Host(host.to_owned()))
                .or_else(|| (!href.contains("://")).then(|| Fault::Scheme(href.to_owned()))),
            Some("weixin") => None,
            _ if is_dropped(href) => Some(Fault::Dropped(href.to_owned())),
            // A mini program needs no address.
            _ if tag.contains("data-miniprogram-appid") && href.is_empty() => None,
            _ => Some(Fault::Scheme(href.to_owned())),
        };
        found.extend(fault.map(|fault| (whole, fault)));
    }
}

/// The value of an attribute, with or without quotes.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let lower = tag.to_ascii_lowercase();
    let at = lower.match_indices(name).map(|(at, _)| at).find(|at| {
        lower[..*at].ends_with(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
            && lower[at + name.len()..].trim_start().starts_with('=')
    })?;
    let value = tag[at..].split_once('=')?.1.trim_start();
    Some(match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split(quote).next()?.trim(),
        _ => value.split([' ', '>', '\t', '\n']).next()?,
    })
}

/// Addresses that stand in the text or in a tag.
fn addresses(text: &str, found: &mut Vec<(Range<usize>, Fault)>) {
    for (at, _) in text.match_indices("http").take(200) {
        let rest = &text[at..];
        if text[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) {
            continue;
        }
        let after = rest["http".len()..].strip_prefix('s').unwrap_or(&rest["http".len()..]);
        let end = rest
            .find(|c: char| {
                c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '”' | '“' | '。' | '，' | '）' | '（')
            })
            .unwrap_or(rest.len());
        let address = &rest[..end];
        let cut: String = address.chars().take(60).collect();
        let broken = after.starts_with("//")
            || after.starts_with(":\\")
            || (after.starts_with(":/") && !after.starts_with("://"));
        if broken && !text[..at].ends_with(['"', '\'', '=']) {
            found.push((at..at + end, Fault::Scheme(cut)));
        } else if after.starts_with("：/") || after.starts_with("：／") || after.starts_with(":／") {
            found.push((at..at + end, Fault::Wide(cut)));
        } else if after.starts_with("://")
            && !text[..at].ends_with(['"', '\''])
            && let Some(host) = bad_host(&address[..address.find(ends_address).unwrap_or(address.len())])
        {
            found.push((at..at + end, Fault::Host(host.to_owned())));
        }
    }
}

/// Whether a bare address ends before this sign.
pub(crate) fn ends_address(c: char) -> bool {
    matches!(
        c,
        '。' | '，'
            | '、'
            | '；'
            | '：'
            | '？'
            | '！'
            | '）'
            | '」'
            | '』'
            | '】'
            | '》'
            | '〉'
            | '”'
            | '’'
            | '…'
            | '（'
            | '「'
            | '『'
            | '【'
            | '《'
            | '〈'
            | '“'
            | '‘'
            | '～'
            | '—'
            | '·'
            | '｜'
            | '\u{3000}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names() {
        for good in [
            "https://example.com",
            "http://a.cn:8080/x",
            "https://例子.中国/x",
            "http://127.0.0.1/",
            "http://localhost:3000",
            "https://a_b.example.com",
            "https://[::1]/",
            "https://u:p@a.cn/",
            "https://xn--fiq228c.cn/?a=b",
        ] {
            assert_eq!(bad_host(good), None, "{good}");
        }
        for bad in [
            "https://",
            "https:///x",
            "https://a..cn",
            "https://-a.cn",
            "https://.cn",
            "https://a.cn:99999",
            "http://1.2.3",
            "http://256.1.1.1/",
            "https://exam ple.com",
            "https://a，b.cn",
            "https://ａ.cn",
        ] {
            assert!(bad_host(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn links_of_messages() {
        let found = |text: &str| faults(text).into_iter().map(|(_, fault)| fault).collect::<Vec<_>>();
        for good in [
            "<a href=\"https://a.cn/x\">看</a>",
            "<a href='http://a.cn'>看</a>",
            "看 https://a.cn/x。好",
            "<a data-miniprogram-appid=\"wx1\" data-miniprogram-path=\"p\" href=\"http://a.cn\">x</a>",
            "<a href=\"weixin://bizmsgmenu?msgmenucontent=1&msgmenuid=1\">1</a>",
            "a < b, <abc>",
            "用http协议",
        ] {
            assert_eq!(found(good), [], "{good}");
        }
        assert_eq!(found("<a href=“https://a.cn”>看</a>"), [Fault::Quotes]);
        assert_eq!(found("<a href=\"tel:400800\">电话</a>"), [Fault::Dropped("tel:400800".into())]);
        assert_eq!(found("<a href=\"www.a.cn\">看</a>"), [Fault::Scheme("www.a.cn".into())]);
        assert_eq!(found("<a href=\"javascript:x()\">看</a>"), [Fault::Scheme("javascript:x()".into())]);
        assert_eq!(found("<a href=\"https:/a.cn\">看</a>"), [Fault::Scheme("https:/a.cn".into())]);
        assert_eq!(found("<a href=\"https://a..cn\">看</a>"), [Fault::Host("a..cn".into())]);
        assert_eq!(found("<a href=\"https://a.cn\">看"), [Fault::Open]);
        assert_eq!(found("<a href=\"https://a.cn\">看</a"), [Fault::Open]);
        for wrong in ["https:/a.cn", "https//a.cn", "http:\\\\a.cn"] {
            assert_eq!(found(&format!("看 {wrong} 吧")), [Fault::Scheme(wrong.into())]);
        }
        assert_eq!(found("看 https：//a.cn 吧"), [Fault::Wide("https：//a.cn".into())]);
        assert_eq!(found("看 https://a..cn/x 吧"), [Fault::Host("a..cn".into())]);
    }
}
