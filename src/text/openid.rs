//! What an openid looks like, and what stands in its place: told by its kind alone, for a log is no place for people.

use super::{acts, characters};
use crate::{
    limits,
    locale::{Phrase, say},
};

/// Letters, digits, `-` and `_`; at most 64.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    // Looked up and joined without a branch: this is done for every byte of the largest files.
    (1..=64).contains(&text.len()) && text.iter().fold(true, |good, byte| good & BYTES[usize::from(*byte)])
}

const BYTES: [bool; 256] = {
    let mut good = [false; 256];
    let mut byte = 0;
    while byte < good.len() {
        let c = byte as u8;
        good[byte] = c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        byte += 1;
    }
    good
};

/// Whether it may be an openid. Those of WeChat have 28 characters; shorter ones are made up, for a test.
pub(crate) fn may_be(text: &[u8]) -> bool {
    is_plain(text) && text[0] == b'o' && (text.len() == limits::OPENID_CHARS || !is_title(text))
}

/// The name of a column, rather than what stands in it.
fn is_title(text: &[u8]) -> bool {
    let letters: Vec<u8> =
        text.iter().filter(|byte| !matches!(byte, b'-' | b'_')).map(u8::to_ascii_lowercase).collect();
    matches!(letters.as_slice(), b"openid" | b"openids")
}

/// What a WeChat id (微信号) is: a letter first, 6 to 20 letters, digits, `_` and `-`.
pub(crate) fn is_wxname(text: &str) -> bool {
    (6..=20).contains(&text.len()) && is_plain(text.as_bytes()) && text.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// What a cell looks like, where that is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looks {
    Openid,
    Phone,
    Email,
    Number,
    Address,
}

/// What a cell looks like; none if it may be anything.
pub(crate) fn looks(cell: &str) -> Option<Looks> {
    let cell = cell.trim();
    let digits: String = cell.chars().filter(|c| !matches!(c, ' ' | '-' | '+')).collect();
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let phone = digits.strip_prefix("86").filter(|rest| rest.len() == 11).unwrap_or(&digits);
    if all_digits && phone.len() == 11 && phone.starts_with('1') {
        return Some(Looks::Phone);
    }
    if all_digits || cell.parse::<f64>().is_ok_and(f64::is_finite) {
        return Some(Looks::Number);
    }
    if cell.starts_with("http://") || cell.starts_with("https://") {
        return Some(Looks::Address);
    }
    let mail = cell.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    if mail && !cell.contains(char::is_whitespace) {
        return Some(Looks::Email);
    }
    let openid = cell.len() == limits::OPENID_CHARS && cell.starts_with('o');
    (openid && is_plain(cell.as_bytes())).then_some(Looks::Openid)
}

/// Why a text is no openid, and what one is; the text itself is not told.
pub(crate) fn wrong(text: &str) -> (Phrase, Phrase) {
    let help = say!("an openid is `o` and 27 more letters, digits, `-` and `_`");
    let message = match looks(text) {
        _ if text.is_empty() => say!("an openid is missing"),
        _ if is_title(text.as_bytes()) => say!("this is the name of a column, not an openid"),
        _ if odd(text).is_some() => return (odd_words(text), say!("delete it")),
        Some(Looks::Phone) => say!("this is a phone number, not an openid"),
        Some(Looks::Number) => say!("this is a number, not an openid"),
        Some(Looks::Email) => say!("this is an email address, not an openid"),
        Some(Looks::Address) => say!("this is a web address, not an openid"),
        _ if text.starts_with(['"', '\'', '“', '”', '‘']) => say!("there are quotes around this openid"),
        _ if text.contains([',', ';', '\t', '，', '；', '、', '|']) => {
            say!("there are several values here, not one openid")
        }
        _ if text.contains(char::is_whitespace) => say!("there is a space in this openid"),
        _ if !text.is_ascii() => say!("this is text, not an openid"),
        _ if is_plain(text.as_bytes()) && text.starts_with('O') => {
            say!("an openid begins with a lowercase `o`, not with a capital one")
        }
        _ if is_plain(text.as_bytes()) && text.starts_with('0') => {
            say!("an openid begins with the letter `o`, not with the digit 0")
        }
        _ if is_wxname(text) => say!("this looks like a WeChat id, not an openid"),
        _ => say!("this is not an openid"),
    };
    (message, help)
}

/// What is wrong with an openid that is not as long as others beside it.
pub(crate) fn wrong_length(characters: usize) -> (Phrase, Phrase) {
    let message = say!(
        "this openid has {characters} character; an openid has {most}"
            | "this openid has {characters} characters; an openid has {most}",
        characters,
        most = limits::OPENID_CHARS
    );
    (message, say!("copy it whole from where it came from"))
}

/// The first character that nobody sees or that acts.
pub(crate) fn odd(text: &str) -> Option<(usize, char)> {
    let hides = |c: char| acts(c) || characters::is_hiding(c) || characters::blank(c).is_some();
    text.char_indices().find(|(_, c)| hides(*c) && *c != '\t')
}

fn odd_words(text: &str) -> Phrase {
    let c = odd(text).map_or(' ', |(_, c)| c);
    let code = characters::code_of(c);
    match acts(c) {
        true => say!("there is a control character ({code}) in this openid", code),
        false => say!("there is a {character} ({code}) in this openid", character = characters::hiding(c), code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openids_and_what_is_none() {
        let _heard = crate::locale::tests::heard("text-openid-openids_and_what_is_none");
        for good in ["oFakeOpenId_AAAAAAAAAAAAAA01", "o6_bmjrPTlm6_2sgVt7hMZOPfL2M", "oA", "oNobodyKnows"] {
            assert!(may_be(good.as_bytes()), "{good}");
        }
        let said = |text: &str| wrong(text).0.to_string();
        for (bad, why) in [
            ("13800138000", "this is a phone number, not an openid"),
            ("+86 138-0013-8000", "this is a phone number, not an openid"),
            ("10086", "this is a number, not an openid"),
            ("1.38E+10", "this is a number, not an openid"),
            ("tea-editor", "this looks like a WeChat id, not an openid"),
            ("wxid_a1b2c3d4e5f622", "this looks like a WeChat id, not an openid"),
            ("wang@example.com", "this is an email address, not an openid"),
            ("https://a.example/b", "this is a web address, not an openid"),
            ("王五", "this is text, not an openid"),
            ("OpenID", "this is the name of a column, not an openid"),
            ("open_id", "this is the name of a column, not an openid"),
            ("oA,oB", "there are several values here, not one openid"),
            ("oA B", "there is a space in this openid"),
            ("\"oA\"", "there are quotes around this openid"),
            ("oA\u{200b}B", "there is a zero-width space (U+200B) in this openid"),
            ("oA\u{202e}B", "there is a control character (U+202E) in this openid"),
            ("OFakeOpenId_AAAAAAAAAAAAAA01", "an openid begins with a lowercase `o`, not with a capital one"),
            ("0FakeOpenId_AAAAAAAAAAAAAA01", "an openid begins with the letter `o`, not with the digit 0"),
            ("", "an openid is missing"),
        ] {
            assert!(!may_be(bad.as_bytes()) && said(bad) == why, "{bad}: {}", said(bad));
        }
    }

    #[test]
    fn a_wechat_id_begins_with_a_letter_and_has_6_to_20() {
        for good in ["tea-editor", "wxid_a1b2c3d4e5f622", "Abc123"] {
            assert!(is_wxname(good), "{good}");
        }
        for bad in ["tea", "1abcdef", "_abcdef", "王小明在这里", "a.b.c.d", "a2345678901234567890x"] {
            assert!(!is_wxname(bad), "{bad}");
        }
    }
}
