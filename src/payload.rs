//! The body of a request: JSON text with named slots for what is known only at run time.
//!
//! A slot is a name between two Unicode noncharacters, which no input of ours may hold ([`crate::source::decode`]), so
//! no text of a user can be taken for one. `#` before the name marks a number: the quotes around it go away.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';

/// The text that stands for a run-time value inside a string.
pub fn slot(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

/// The string that stands for a run-time number.
pub fn number_slot(name: &str) -> String {
    format!("{OPEN}#{name}{CLOSE}")
}

/// True if a text holds a slot.
pub fn has_slot(text: &str) -> bool {
    text.contains(OPEN)
}

/// If a text is one slot and nothing else: its name.
pub fn only_slot(text: &str) -> Option<&str> {
    let name = text.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    (!name.contains([OPEN, CLOSE])).then(|| name.trim_start_matches('#'))
}

/// A text as a dry run shows it: `<steps.article.media_id>`.
pub fn shown(text: &str) -> String {
    text.replace("\u{fdd0}#", "<").replace(OPEN, "<").replace(CLOSE, ">")
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    text: String,
}

/// A slot whose value is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of `{0}` is not known")]
pub struct MissingValue(pub String);

impl Payload {
    /// Serialises a body: UTF-8 as it is, no `\uXXXX` but for control characters, no HTML escaping, keys in order.
    pub fn new(body: &Value) -> Self {
        Self { text: body.to_string() }
    }

    /// The body as a dry run shows it.
    pub fn shown(&self) -> String {
        shown(&self.text)
    }

    /// The body with its slots as they are, for the ledger.
    pub fn raw(&self) -> String {
        self.text.clone()
    }

    /// The body that [`Payload::raw`] gave.
    pub fn from_raw(text: String) -> Self {
        Self { text }
    }

    /// Names of the slots, in order.
    pub fn slots(&self) -> impl Iterator<Item = &str> {
        self.text
            .split(OPEN)
            .skip(1)
            .filter_map(|part| part.split(CLOSE).next())
            .map(|name| name.trim_start_matches('#'))
    }

    /// The bytes to send.
    pub fn fill(&self, value: &dyn Fn(&str) -> Option<Value>) -> Result<String, MissingValue> {
        let mut parts = self.text.split(OPEN);
        let mut out = parts.next().unwrap_or_default().to_owned();
        let mut close_quote = false;
        for part in parts {
            let (name, rest) = part.split_once(CLOSE).unwrap_or((part, ""));
            let bare = name.trim_start_matches('#');
            let found = value(bare).ok_or_else(|| MissingValue(bare.to_owned()))?;
            if name.starts_with('#') {
                debug_assert!(out.ends_with('"'));
                out.pop();
                let _ = write!(out, "{found}");
                close_quote = true;
            } else {
                let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
                let quoted = Value::String(text).to_string();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
            out.push_str(if std::mem::take(&mut close_quote) { rest.strip_prefix('"').unwrap_or(rest) } else { rest });
        }
        Ok(out)
    }

    /// `sha256:` and the digest of the body with its slots unfilled.
    pub fn digest(&self) -> String {
        digest(self.text.as_bytes())
    }
}

/// A named digest: `sha256:` and 64 hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn slots_are_filled_and_escaped() {
        let body = json!({ "a": format!("x{}y", slot("steps.a.media_id")), "n": number_slot("tag VIP"), "t": "你好 <a href=\"x\">\n" });
        let payload = Payload::new(&body);
        assert_eq!(payload.shown(), r#"{"a":"x<steps.a.media_id>y","n":"<tag VIP>","t":"你好 <a href=\"x\">\n"}"#);
        assert_eq!(payload.slots().collect::<Vec<_>>(), ["steps.a.media_id", "tag VIP"]);
        let fill = |name: &str| Some(if name == "tag VIP" { json!(9_007_199_254_740_993_u64) } else { json!("q\"\\") });
        assert_eq!(
            payload.fill(&fill).expect("both known"),
            r#"{"a":"xq\"\\y","n":9007199254740993,"t":"你好 <a href=\"x\">\n"}"#
        );
        assert_eq!(payload.fill(&|_| None), Err(MissingValue("steps.a.media_id".into())));
    }

    #[test]
    fn a_slot_alone_is_recognised() {
        assert_eq!(only_slot(&slot("a")), Some("a"));
        assert_eq!(only_slot(&format!("{}{}", slot("a"), slot("b"))), None);
        assert_eq!(only_slot("a"), None);
    }
}
