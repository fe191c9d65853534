//! Secrets are a type from the moment they are read.

use std::fmt;

use serde_json::Value;

/// A value that no output shows: `Debug` prints asterisks, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for the wire only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Finds known secrets: in words that came from outside (a server may echo what it was sent), and in what is about to be sent.
/// Each is known as it is and in base64, and each character of these also escaped for URLs, JSON or HTML.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<Secret>,
    forms: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

impl Redactor {
    /// Shorter values are left alone: to replace every `a` would mangle the text and hide nothing. WeChat's own have 32
    /// characters and more.
    const SHORTEST: usize = 8;

    pub fn learn(&mut self, secret: &Secret) {
        if secret.0.len() < Self::SHORTEST || self.secrets.contains(secret) {
            return;
        }
        let forms =
            [0, 1, 2].into_iter().flat_map(|before| [STANDARD, URL_SAFE].map(|set| base64(secret, before, set)));
        for form in std::iter::once(secret.0.clone()).chain(forms) {
            if !self.forms.contains(&form) {
                self.forms.push(form);
            }
        }
        self.secrets.push(secret.clone());
    }

    /// The text without any secret known.
    pub fn clean(&self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        let starts = self.starts();
        while let Some(first) = rest.chars().next() {
            match self.at(rest.as_bytes(), &starts) {
                Some(length) => {
                    clean.push_str("***");
                    rest = &rest[length..];
                }
                None => {
                    clean.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        clean
    }

    /// The value without any secret known in its texts.
    pub fn clean_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.clean(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.clean_value(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.clean_value(member)),
            _ => {}
        }
    }

    /// Whether a known secret stands in the bytes.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        let starts = self.starts();
        !self.forms.is_empty() && (0..bytes.len()).any(|at| self.at(&bytes[at..], &starts).is_some())
    }

    /// The bytes with which a form can begin: most places need no closer look.
    fn starts(&self) -> [bool; 256] {
        let mut starts = [false; 256];
        let first = self.forms.iter().filter_map(|form| form.bytes().next());
        first.chain(*b"%\\&").for_each(|byte| starts[usize::from(byte)] = true);
        starts
    }

    /// How many bytes the longest form has with which the text begins.
    fn at(&self, text: &[u8], starts: &[bool; 256]) -> Option<usize> {
        let begins = text.first().is_some_and(|byte| starts[usize::from(*byte)]);
        begins.then(|| self.forms.iter().filter_map(|form| begins_with(text, form)).max()).flatten()
    }
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The characters of base64 that the secret alone decides, where so many bytes (modulo 3) stand before it.
fn base64(secret: &Secret, before: usize, alphabet: &[u8; 64]) -> String {
    let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(secret.0.bytes()).collect();
    let bit = |at: usize| usize::from(bytes[at / 8] >> (7 - at % 8) & 1);
    let first = (before * 8).div_ceil(6);
    let sextet = |at: usize| (0..6).fold(0, |value, offset| value << 1 | bit(at * 6 + offset));
    (first..bytes.len() * 8 / 6).map(|at| char::from(alphabet[sextet(at)])).collect()
}

/// How many bytes of the text spell the form, each character as it is or escaped.
fn begins_with(text: &[u8], form: &str) -> Option<usize> {
    let mut at = 0;
    for c in form.chars() {
        at += spelled(&text[at..], c)?;
    }
    Some(at)
}

/// How many bytes at the beginning of the text spell a character: as it is, `%2F`, `\/`, `\u002f`, `&#47;`, `&amp;`, and these
/// escaped once more.
fn spelled(text: &[u8], c: char) -> Option<usize> {
    let mut buffer = [0; 4];
    let bytes = c.encode_utf8(&mut buffer).as_bytes();
    // A backslash and an ampersand that stand for themselves may be written longer.
    let escaped = match text.first()? {
        b'%' => percent(text, bytes),
        b'\\' => backslash(text, c),
        b'&' => reference(text, c),
        _ => None,
    };
    escaped.or_else(|| text.starts_with(bytes).then_some(bytes.len()))
}

/// How often one escape may be escaped again. It bounds the work too: a hostile text may be nothing but escapes.
const DEEPEST: usize = 4;

fn percent(text: &[u8], bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    for byte in bytes {
        at += 1 + hex_of(text.get(at..)?.strip_prefix(b"%")?, *byte, DEEPEST)?;
    }
    Some(at)
}

/// How many bytes at the beginning of the text are the byte's two digits, or those of an escaped `%` and then these.
fn hex_of(text: &[u8], byte: u8, deepest: usize) -> Option<usize> {
    let again = text.strip_prefix(b"25").filter(|_| deepest > 1).and_then(|rest| hex_of(rest, byte, deepest - 1));
    let here = || (hex(text.get(..2)?)? == u32::from(byte)).then_some(2);
    again.map(|length| length + 2).or_else(here)
}

fn backslash(text: &[u8], c: char) -> Option<usize> {
    let slashes = text.iter().take(1 << DEEPEST).take_while(|byte| **byte == b'\\').count();
    let rest = &text[slashes..];
    match rest.first() {
        Some(b'u') if rest.get(1..5).and_then(hex) == Some(u32::from(c)) => Some(slashes + 5),
        Some(byte @ (b'"' | b'/')) if char::from(*byte) == c => Some(slashes + 1),
        _ if c == '\\' => Some(slashes),
        _ => None,
    }
}

fn reference(text: &[u8], c: char) -> Option<usize> {
    let mut at = 1;
    for _ in 1..DEEPEST {
        at += if text[at..].starts_with(b"amp;") { 4 } else { 0 };
    }
    // `&amp;` that stands for itself.
    let itself = (c == '&' && at > 1).then_some(at);
    let end = text[at..].iter().take(10).position(|byte| *byte == b';');
    let name = end.and_then(|end| std::str::from_utf8(&text[at..at + end]).ok());
    let code = name.and_then(|name| match name {
        "lt" => Some(u32::from('<')),
        "gt" => Some(u32::from('>')),
        "quot" => Some(u32::from('"')),
        "apos" => Some(u32::from('\'')),
        _ => {
            let number = name.strip_prefix('#')?;
            number.strip_prefix(['x', 'X']).map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())
        }
    });
    if code == Some(u32::from(c)) { end.map(|end| at + end + 1) } else { itself }
}

fn hex(digits: &[u8]) -> Option<u32> {
    let plain = digits.iter().all(u8::is_ascii_hexdigit);
    u32::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| plain)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knowing(secret: &str) -> Redactor {
        let mut redactor = Redactor::default();
        redactor.learn(&Secret::new(secret.into()));
        redactor
    }

    #[test]
    fn a_secret_does_not_print() {
        let secret = Secret::new("hunter2-hunter2".into());
        assert_eq!(format!("{secret:?}"), "***");
        let redactor = knowing("hunter2-hunter2");
        assert_eq!(redactor.clean("a token hunter2-hunter2 is bad"), "a token *** is bad");
        assert!(!format!("{redactor:?}").contains("hunter2"));
    }

    #[test]
    fn a_secret_is_known_however_it_is_escaped() {
        let redactor = knowing("a/b+c\"d&e<é%\\'=z");
        for written in [
            "a/b+c\"d&e<é%\\'=z",
            "a%2Fb%2Bc%22d%26e%3C%C3%A9%25%5C%27%3Dz",
            "a%2fb%2bc%22d%26e%3c%c3%a9%25%5c%27%3dz",
            "%61%2F%62%2B%63%22%64%26%65%3C%C3%A9%25%5C%27%3D%7A",
            "a%252Fb%252Bc%2522d%2526e%253C%25C3%25A9%2525%255C%2527%253Dz",
            "a/b+c\\\"d&e<é%\\\\'=z",
            "a\\/b+c\\\"d\\u0026e\\u003c\\u00e9%\\\\'=z",
            "\\u0061\\u002F\\u0062+c\\\\\\\"d&e<\\u00E9%\\u005C\\u0027=z",
            "a/b+c&quot;d&amp;e&lt;é%\\&#39;=z",
            "&#97;&#x2f;b+c&#34;d&#x26;e&amp;lt;&#233;%\\&apos;=z",
        ] {
            assert_eq!(redactor.clean(&format!("<{written}>")), "<***>", "{written}");
            assert!(redactor.finds(format!("..{written}..").as_bytes()), "{written}");
        }
        let percent = knowing("100%41%%");
        for written in ["100%41%%", "100%2541%25%25", "100%252541%2525%2525"] {
            assert_eq!(percent.clean(written), "***", "{written}");
        }
        for other in ["a/b+c\"d&e<é%\\'=", "a%2Fb%2", "a&", "%", "\\", "&#;", "&amp;", "a\\u00"] {
            assert_eq!(redactor.clean(other), other);
            assert!(!redactor.finds(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_secret_is_known_in_base64_wherever_it_stands() {
        // What `base64` and `basenc --base64url` write.
        let redactor = knowing("s3cret>>>???s3cret");
        for written in [
            "czNjcmV0Pj4+Pz8/czNjcmV0",
            "czNjcmV0Pj4-Pz8_czNjcmV0",
            "eHMzY3JldD4+Pj8/P3MzY3JldA==",
            "eHMzY3JldD4-Pj8_P3MzY3JldA",
            "eHlzM2NyZXQ+Pj4/Pz9zM2NyZXR6",
            "eHlzM2NyZXQ-Pj4_Pz9zM2NyZXR6",
            "czNjcmV0Pj4%2BPz8%2FczNjcmV0",
            "czNjcmV0Pj4+Pz8\\/czNjcmV0",
        ] {
            assert!(redactor.finds(written.as_bytes()), "{written}");
            assert!(redactor.clean(written).contains("***"), "{written}");
        }
        assert!(!redactor.finds(b"czNjcmV0Pj4+Pz8/czNjcmV1"), "another text");
    }

    #[test]
    fn short_values_mangle_nothing() {
        let redactor = knowing("secret");
        assert_eq!(redactor.clean("the secret of c2VjcmV0"), "the secret of c2VjcmV0");
        assert!(!redactor.finds(b"secret"));
        assert!(!Redactor::default().finds(b"%\\&"));
    }
}
